"""What the scripts of one person's fit share: the work, its settings, and the JSON report.

The work is that of notebooks/02_gradient_fitting: 80 cortical regions, reduced Wong-Wang in steps
of 10 ms, delays, noise, BOLD, and the root mean square of what the functional connectivity differs
from the measured one by. Free are the coupling and a current for each region. A third of the time
goes to positions at random, some simulated side by side; from the best of these Adam goes on with
gradients, currents being drawn to their mean. `--random` spends all of the time on the first. A
script has so many seconds, of which it counts all but the imports: compiling, too. It reports the
position of the least loss that it met.
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
    "spread": 0.01,  # nA, what currents of regions differ by at most, as a standard deviation
    "penalty": 0.002,  # for a mean square of deviations, in spreads
    "rate": 0.1,  # of Adam, in unbounded numbers and spreads
    "together": 8,  # positions at random side by side
    "share": 0.35,  # of the time, for these
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fit a person's functional connectivity.")
    parser.add_argument(
        "--network", type=Path, required=True, help=".npz: weights, lengths, labels, fc"
    )
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
    _draw(watch, loss, regions, options.budget * (1.0 if options.random else SETTINGS["share"]))
    if not options.random:
        _descend(watch, loss, regions)
    print(json.dumps({"peer": peer} | watch.report()))


class Watch:
    """The clock, and the best position that was met."""

    def __init__(self, budget: float):
        self.begun, self.budget = time.perf_counter(), budget
        self.best: tuple[float, Any, Any] = (np.inf, None, None)
        self.tried = self.steps = 0

    @property
    def spent(self) -> float:
        return time.perf_counter() - self.begun

    def saw(self, loss: Any, G: Any, I_o: Any) -> None:
        if float(loss) < self.best[0]:
            self.best = (float(loss), G, I_o)

    def report(self) -> dict[str, Any]:
        loss, G, I_o = self.best
        return {
            "G": float(G),
            "I_o": np.asarray(I_o, float).tolist(),
            "loss": loss,
            "tried": self.tried,
            "steps": self.steps,
            "seconds": self.spent,
        }


def _scaled(bounds: tuple[float, float], share: Any) -> Any:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _draw(watch: Watch, loss: Callable[[Any, Any], Any], regions: int, until: float) -> None:
    """Positions at random, some side by side, until so many seconds are spent."""
    import jax

    draw, together = np.random.default_rng(0), SETTINGS["together"]
    evaluate = jax.jit(jax.vmap(loss))
    while watch.spent < until:
        G = _scaled(SETTINGS["G"], draw.uniform(size=together))
        level = _scaled(SETTINGS["I_o"], draw.uniform(size=(together, 1)))
        spread = SETTINGS["spread"] * draw.uniform(size=(together, 1))
        I_o = level + spread * draw.normal(size=(together, regions))
        watch.tried += together
        for number, found in enumerate(np.asarray(evaluate(G, I_o))):
            watch.saw(found, G[number], I_o[number])


def _descend(watch: Watch, loss: Callable[[Any, Any], Any], regions: int) -> None:
    """From the best position so far by Adam, until the time is over; one step at least."""
    import jax
    import jax.numpy as jnp
    import optax

    (low, high), (_, G, I_o) = SETTINGS["G"], watch.best
    begun = (G - low) / (high - low)
    z = jnp.concatenate([jnp.array([np.log(begun / (1.0 - begun))]), I_o / SETTINGS["spread"]])

    def values(z):
        return _scaled((low, high), jax.nn.sigmoid(z[0])), SETTINGS["spread"] * z[1:]

    def penalised(z):
        currents = z[1:]
        fitted = loss(*values(z))
        return fitted + SETTINGS["penalty"] * ((currents - currents.mean()) ** 2).mean(), fitted

    optimiser = optax.adam(SETTINGS["rate"])

    @jax.jit
    def step(z, state):
        slopes, fitted = jax.grad(penalised, has_aux=True)(z)
        change, state = optimiser.update(slopes, state)
        return optax.apply_updates(z, change), state, fitted, values(z)

    state = optimiser.init(z)
    while True:
        z, state, fitted, at = step(z, state)
        watch.steps += 1
        watch.saw(fitted, *at)
        if watch.spent > watch.budget:
            return
