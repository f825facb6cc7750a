"""Noise in the state whose path is unknown, and may be how strong it is.

The path is that of innovations, which are standard normal by themselves, and is scaled afterwards
(non-centred): a path and its deviation would hold each other fast.
"""

import dataclasses
import math
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from tvbjax import Simulator, noise
from tvbjax.kinds import check_kind
from tvbjax.near import near
from tvbjax.simulation import whole_steps
from tvbjax.steps import steps_of
from tvbjax_inference.bayes.likelihoods._likelihood import Unknown, check_unknown, unknown

_INNOVATION = "innovation"


class StateNoise(eqx.Module):
    """White noise in some state variables: `dx = f(x) dt + deviation dW`.

    `deviations`: by state variable a prior, or a number where it is known, in the variable's unit
    per square root of a ms, the same in all regions: `noise.Additive` has nsig = deviation^2 / 2.
    `every`: how long an innovation lasts, ms, by default a step. Over more steps the noise is
    constant, and varies as much in all: it is white for what is slower than that, and there are so
    many unknowns less.

    Sites: `innovations_x`, of shape (innovation, region), and with a prior `state_noise_x`.
    """

    deviations: Mapping[str, Unknown]
    every: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_kind("StateNoise: deviations", self.deviations, Mapping, "{'x': HalfNormal(0.1)}")
        if not self.deviations:
            raise ValueError(
                "StateNoise: deviations is empty; name a state variable, or leave the noise out."
            )
        for name, deviation in self.deviations.items():
            check_unknown(f"StateNoise: the deviation of '{name}'", deviation)

    def put(self, simulator: Simulator, duration: float) -> Simulator:
        """The simulator with a path for `duration` ms, of zeros. Raises `ValueError` where it has
        noise of its own, or does not fit."""
        variables = simulator.model.state_variables
        for name in self.deviations:
            if name not in variables:
                hint = near(name, variables) or f"it has {', '.join(variables)}."
                raise ValueError(
                    f"StateNoise: {simulator.model.name} has no state variable '{name}'; {hint}"
                )
        if simulator.noise is not None:
            raise ValueError(
                f"StateNoise: the simulator has noise of its own, {type(simulator.noise).__name__};"
                " build it with noise=None."
            )
        dt = simulator.integrator.dt
        if self.every is not None:
            steps_of(self.every, dt, "StateNoise: every")
        path = np.zeros((whole_steps(duration, dt), len(variables), simulator.nodes))
        return dataclasses.replace(simulator, noise=noise.Recorded(path))

    def draw(self, simulator: Simulator) -> Simulator:
        """Statements of numpyro, and the simulator that `put` made with the path that they give."""
        steps, _, nodes = simulator.noise.path.shape  # type: ignore[union-attr]
        dt, held = simulator.integrator.dt, self._held(simulator)
        rows = {}
        for name, prior in self.deviations.items():
            deviation = unknown(_deviation(name), prior)
            each = dist.Normal(0.0, 1.0).expand((math.ceil(steps / held), nodes)).to_event()
            innovations = numpyro.sample(_innovations(name), each)
            # So many steps add up to a deviation of sqrt(held dt).
            path = deviation * math.sqrt(dt / held) * innovations  # type: ignore[operator]
            rows[name] = jnp.repeat(path, held, axis=0)[:steps]
        none = jnp.zeros((steps, nodes))
        whole = [rows.get(name, none) for name in simulator.model.state_variables]
        return eqx.tree_at(lambda s: s.noise.path, simulator, jnp.stack(whole, axis=1))

    def anew(self, simulator: Simulator) -> Simulator:
        """The simulator with noise that a key draws in every run, for other times than the data's;
        `strengthened` says how much of it."""
        additive = noise.Additive({name: 0.0 for name in self.deviations})
        return dataclasses.replace(simulator, noise=additive)

    def strengthened(self, simulator: Simulator, values: Mapping[str, Array]) -> Simulator:
        """What `anew` made, with the deviations that the sites of one draw have."""
        deviations = [
            values.get(_deviation(name), self.deviations.get(name, 0.0))
            for name in simulator.model.state_variables
        ]
        nsig = jnp.stack([jnp.asarray(one, float) ** 2 / 2.0 for one in deviations])
        return eqx.tree_at(lambda s: s.noise.nsig, simulator, nsig[:, None])

    @property
    def unknown_deviations(self) -> tuple[str, ...]:
        """The sites of deviations."""
        several = self.deviations.items()
        return tuple(_deviation(n) for n, one in several if isinstance(one, dist.Distribution))

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Of its sites, how they are labelled."""
        paths = {_innovations(name): (_INNOVATION, "region") for name in self.deviations}
        return paths | {name: () for name in self.unknown_deviations}

    def coords(self, simulator: Simulator) -> dict[str, np.ndarray]:
        """When innovations begin, ms."""
        steps, held = simulator.noise.path.shape[0], self._held(simulator)  # type: ignore[union-attr]
        return {_INNOVATION: np.arange(0, steps, held) * simulator.integrator.dt}

    def _held(self, simulator: Simulator) -> int:
        """Steps of an innovation."""
        return 1 if self.every is None else round(self.every / simulator.integrator.dt)


def _innovations(name: str) -> str:
    return f"innovations_{name}"


def _deviation(name: str) -> str:
    return f"state_noise_{name}"
