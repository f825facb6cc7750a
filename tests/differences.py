"""Gradients against differences: every leaf of a simulator, and the history.

One compiled gradient is enough for a whole simulator: each leaf is checked by itself, in a random
direction, against differences of fourth order. Networks are small, with hubs, gaps and regions that
hear themselves; delays lie between two steps where they have a gradient.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import tvbjax
from tvbjax import integrators, monitors
from tvbjax.delays import Linear, Nearest

DT = 0.1
H = 3e-4  # of a leaf's size: errors of fourth order, and of rounding, are about 1e-12 then
KEY = jax.random.key(3)


def quick(function):
    """Compiled in half the time, for a slower program."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def brain(
    nodes: int = 4,
    longest: int = 12,
    seed: int = 0,
    *,
    symmetric: bool = False,
    selves: bool = True,
) -> tvbjax.Connectome:
    """Delays of 0 to `longest` steps and 0.1 to 0.4 of one: derivatives jump at whole and half
    ones. Some connections have no weight and some no length; a speed for each."""
    draw = np.random.default_rng(seed)
    weights = draw.uniform(0.3, 1.0, (nodes, nodes)) * (draw.random((nodes, nodes)) < 0.7)
    steps = draw.integers(0, longest + 1, (nodes, nodes)) + draw.uniform(0.1, 0.4, (nodes, nodes))
    speed = draw.uniform(1.0, 3.0, (nodes, nodes))
    weights[0, 1], weights[1, 0] = 0.5, 0.4
    if symmetric:
        weights = weights + weights.T
    np.fill_diagonal(weights, 0.3 * selves)
    lengths = steps * DT * speed * (longest > 0)
    np.fill_diagonal(lengths, 0.0)
    lengths[0, 1] = 0.0
    return tvbjax.Connectome(weights, lengths, speed=speed)


def built(model, rules, integrator: Any = integrators.Heun, connectome=None, **changes):
    options: dict[str, Any] = dict(monitors=monitors.Raw(), delays=Linear())
    return tvbjax.Simulator(
        model,
        brain() if connectome is None else connectome,
        rules,
        integrator(dt=DT),
        **(options | changes),
    )


def history_of(simulator, seed: int = 1):
    """Within the middle half of the initial range; of one state more than is needed."""
    low, high = np.asarray(simulator.model.initial_range).T[:, None, :, None]
    shape = (simulator.horizon + 1, len(simulator.model.state_variables), simulator.nodes)
    drawn = np.random.default_rng(seed).uniform(0.25, 0.75, shape)
    return jnp.asarray((low + (high - low) * drawn)[0])


def objective(simulator, duration: float, initial=None, key=None, **options):
    """A function of every number that the simulator and the initial state have, and those."""
    initial = history_of(simulator) if initial is None else jnp.asarray(initial)
    free, rest = eqx.partition((simulator, initial), eqx.is_inexact_array)

    def loss(free):
        own, begin = eqx.combine(free, rest)
        run = tvbjax.simulate(own, duration, initial=begin, key=key, **options)
        return sum(sized(part.values) for part in run.samples.values())

    return loss, free


def sized(values):
    """A number in which every sample counts otherwise."""
    ramp = jnp.linspace(0.5, 1.5, values.size).reshape(values.shape)
    return jnp.mean(ramp * jnp.sqrt(1.0 + values**2)) + 0.3 * jnp.mean(values)


def leaves_of(free) -> list[tuple[str, Any]]:
    return [
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(free)[0]
    ]


def direction(name: str, leaf, draw):
    """As large as the leaf. Where a connection or noise is not there, there is no direction."""
    size = np.abs(leaf)
    if "connectome" not in name and "nsig" not in name:
        size = np.maximum(size, 0.1 * size.max(initial=0.01))
    return draw.normal(size=size.shape) * size


def check(simulator, duration: float, initial=None, key=None, tolerance: float = 1e-6) -> float:
    """Every leaf's gradient, relative to what it is; gives the greatest error."""
    loss, free = objective(simulator, duration, initial, key)
    return compared(quick(jax.value_and_grad(loss)), free, tolerance)


def compared(function: Callable, free, tolerance: float = 1e-6) -> float:
    value, gradient = function(free)
    flat, structure = jax.tree.flatten(free)
    draw, worst = np.random.default_rng(0), 0.0
    slopes = jax.tree.leaves(gradient)
    nearest = any(isinstance(s, Nearest) for s in jax.tree.leaves(free, is_leaf=_is_delays))
    for number, (name, leaf) in enumerate(leaves_of(free)):
        assert np.isfinite(slopes[number]).all(), f"{name} has no finite gradient"
        if nearest and ("tract_lengths" in name or "speed" in name):
            np.testing.assert_array_equal(slopes[number], 0.0)
            continue
        step = direction(name, leaf, draw)

        def along(h, number=number, leaf=leaf, step=step):
            moved = [*flat[:number], leaf + h * step, *flat[number + 1 :]]
            return float(function(structure.unflatten(moved))[0])

        coarse, fine = ((along(h) - along(-h)) / (2 * h) for h in (H, H / 2))
        numeric, found = (4 * fine - coarse) / 3, float(np.vdot(slopes[number], step))
        # Differences do not see less: rounding changes them by a few 1e-12 of the loss.
        error = abs(found - numeric) / max(abs(numeric), 1e-5 * abs(float(value)))
        assert error < tolerance, f"{name}: {found!r} where differences give {numeric!r}"
        worst = max(worst, error)
    print(f"worst relative error {worst:.1e}")
    return worst


def _is_delays(part) -> bool:
    return isinstance(part, Nearest | Linear)
