"""What the scripts of one person's fit share: the work, its settings, and the JSON report.

The work is that of notebooks/02_gradient_fitting: 80 cortical regions, reduced Wong-Wang in steps
of 10 ms, delays, noise, BOLD, and the root mean square of what the functional connectivity differs
from the measured one by. First the coupling and one current for all regions vary, then a current
for each region, drawn to their mean. A script has so many seconds, of which it counts all but the
imports: compiling, too. It reports the position of the least loss that it met.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = {
    "dt": 10.0,  # ms
    "period": 1440.0,  # ms, of BOLD
    "samples": 120,  # of BOLD
    "skip": 14,
    "interim": 80.0,  # ms, of the activity that is convolved
    "speed": 3.0,  # mm/ms
    "w": 0.3,
    "sigma": (2e-5) ** 0.5,  # of S, per square root of ms
    "initial": 0.3,  # S
    "G": (0.0, 2.0),  # bounds
    "I_o": (0.335, 0.365),  # nA, bounds of the current of all regions
    "begin": {"G": 0.5, "I_o": 0.34},
    "spread": 0.01,  # nA, what currents of regions differ by
    "penalty": 0.002,  # for a mean square of deviations, in spreads
    "rates": (0.15, 0.1),  # of Adam, in unbounded numbers
    "tried": 16,  # positions before the first step
    "share": 0.3,  # of the time, for the two numbers
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fit a person's functional connectivity.")
    parser.add_argument("network", type=Path, help=".npz: weights, lengths, labels, fc")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds")
    parser.add_argument("--sparse", action="store_true", help="TVB-Optim's other graph")
    parser.add_argument("--random", action="store_true", help="random search, by tvbjax alone")
    return parser.parse_args()


def tvbjax_simulator(connectome: Any) -> Any:
    """The work in tvbjax, at the start: for the fit, and for judging what others found."""
    import equinox as eqx
    import jax.numpy as jnp

    import tvbjax
    from tvbjax import coupling, integrators, monitors, noise

    work = SETTINGS
    model = tvbjax.lems.load("ReducedWongWang")
    model = eqx.tree_at(lambda m: m.params["w"], model, jnp.asarray(work["w"]))
    return tvbjax.Simulator(
        model,
        connectome,
        coupling.Linear(a=work["begin"]["G"]),
        integrators.Heun(dt=work["dt"]),
        noise.Additive({"S": work["sigma"] ** 2 / 2}),
        monitors.Bold(work["period"], interim=work["interim"]),
    )


def search(peer: str, loss: Callable[[Any, Any], Any], options: argparse.Namespace) -> None:
    """Make `loss(G, I_o)`, of a number and of one current for each region, small, and report."""
    with np.load(options.network) as network:
        regions = len(network["weights"])
    watch = Watch(options.budget)
    if options.random:
        _draw(watch, loss, regions)
    else:
        _descend(watch, loss, regions)
    print(json.dumps({"peer": peer} | watch.report()))


class Watch:
    """The clock, and the best position that was met."""

    def __init__(self, budget: float):
        self.begun, self.budget = time.perf_counter(), budget
        self.best: tuple[float, Any, Any] = (np.inf, None, None)
        self.evaluations = 0
        self.first: float | None = None

    @property
    def spent(self) -> float:
        return time.perf_counter() - self.begun

    def saw(self, loss: Any, G: Any, I_o: Any) -> None:
        self.evaluations += 1
        if self.first is None:
            self.first = self.spent
        if float(loss) < self.best[0]:
            self.best = (float(loss), G, I_o)

    def report(self) -> dict[str, Any]:
        loss, G, I_o = self.best
        return {
            "G": float(G),
            "I_o": np.asarray(I_o, float).tolist(),
            "loss": loss,
            "evaluations": self.evaluations,
            "first": self.first,
            "seconds": self.spent,
        }


def _within(bounds: tuple[float, float], z: Any) -> Any:
    import jax

    return _scaled(bounds, jax.nn.sigmoid(z))


def _scaled(bounds: tuple[float, float], share: Any) -> Any:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _unbounded(bounds: tuple[float, float], value: float) -> float:
    share = (value - bounds[0]) / (bounds[1] - bounds[0])
    return float(np.log(share / (1.0 - share)))


def _descend(watch: Watch, loss: Callable[[Any, Any], Any], regions: int) -> None:
    """The best of some positions by Adam: two numbers, then the currents of all regions."""
    import jax
    import jax.numpy as jnp

    work = SETTINGS

    def of_two(z):
        return _within(work["G"], z[0]), jnp.full(regions, _within(work["I_o"], z[1]))

    draw = np.random.default_rng(0)
    begin = np.array([_unbounded(work[name], work["begin"][name]) for name in ("G", "I_o")])
    tried = begin + np.vstack([np.zeros(2), draw.normal(0.0, 1.0, (work["tried"] - 1, 2))])
    evaluate = jax.jit(loss)
    found = []
    for z in tried:
        at = of_two(z)
        found.append(float(evaluate(*at)))
        watch.saw(found[-1], *at)
        if watch.spent > work["share"] * watch.budget / 2:
            break
    best = jnp.asarray(tried[int(np.nanargmin(found))])
    gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))  # compiled once, for both
    until = work["share"] * watch.budget
    _adam(watch, gradient, of_two, lambda z: 0.0 * z[0], best, work["rates"][0], until)

    G, level = jnp.asarray(watch.best[1]), float(watch.best[2][0])

    def of_regions(z):
        return G, level + work["spread"] * z

    def penalty(z):
        return work["penalty"] * jnp.mean((z - z.mean()) ** 2)

    watch.best = (np.inf, *watch.best[1:])  # losses have the penalty from here
    begin = jnp.zeros(regions)
    _adam(watch, gradient, of_regions, penalty, begin, work["rates"][1], watch.budget)


def _adam(watch: Watch, gradient, values, penalty, z, rate: float, until: float) -> None:
    """Steps until so many seconds are spent, one at least. `values`: G and I_o of z."""
    import jax
    import optax

    optimiser = optax.adam(rate)

    @jax.jit
    def step(z, state, found, slopes):
        (slope,) = jax.vjp(values, z)[1](slopes)
        added, more = jax.value_and_grad(penalty)(z)
        change, state = optimiser.update(slope + more, state)
        return optax.apply_updates(z, change), state, found + added

    state, place = optimiser.init(z), jax.jit(values)
    while True:
        at = place(z)
        z, state, found = step(z, state, *gradient(*at))
        watch.saw(found, *at)
        if watch.spent > until:
            return


def _draw(watch: Watch, loss: Callable[[Any, Any], Any], regions: int) -> None:
    """Positions at random, some side by side."""
    import jax

    draw, together = np.random.default_rng(0), 8
    evaluate = jax.jit(jax.vmap(loss))
    while watch.spent < watch.budget:
        G = _scaled(SETTINGS["G"], draw.uniform(size=together))
        level = _scaled(SETTINGS["I_o"], draw.uniform(size=(together, 1)))
        spread = SETTINGS["spread"] * draw.uniform(size=(together, 1))
        I_o = level + spread * draw.normal(size=(together, regions))
        for number, found in enumerate(np.asarray(evaluate(G, I_o))):
            watch.saw(found, G[number], I_o[number])
