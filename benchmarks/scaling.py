"""How fast is the engine, in ratios: batches against one run, noise and delays against none.

`make bench`. Node-steps per second of the 76-region Montbrió-Pazó-Roxin network, compile time
apart. The first column of numbers depends on the machine; the ratios, measured in one run, less so.
"""

import platform
import statistics
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import tvbjax
from tvbjax import Free, coupling, integrators, monitors, noise

STEPS = 20_000
REPEATS = 5
DT = 0.1


def main() -> None:
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"jax {jax.__version__} on {jax.devices()}, {jnp.result_type(float)}\n")
    print(f"{'case':34s} {'compile s':>9s} {'best s':>8s} {'median s':>8s} {'Mnode-steps/s':>14s}")
    base = _single("one run, delays and noise", _simulator())
    quiet = _single("  without noise", _simulator(nsig=None))
    instant = _single("  without delays", _simulator(speed=np.inf))
    members = 64
    batch = _batch(f"sweep of {members}, delays and noise", _simulator(), members)
    print(f"\nnoise costs {base.best / quiet.best:.2f} of a run without")
    print(f"delays cost {base.best / instant.best:.2f} of a run without")
    print(f"a sweep runs at {batch.rate / base.rate:.2f} times the rate of one run")


class Timing:
    """Seconds of a case: best, median, and node-steps per second at best."""

    def __init__(self, name: str, run: Callable[[], object], node_steps: float):
        begun = time.perf_counter()
        run()
        first = time.perf_counter() - begun
        seconds = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begun)
        self.best = min(seconds)
        self.rate = node_steps / self.best
        median = statistics.median(seconds)
        compiled = first - median
        print(
            f"{name:34s} {compiled:9.2f} {self.best:8.3f} {median:8.3f} {self.rate / 1e6:14.2f}",
            flush=True,
        )


def _simulator(nsig: float | None = 1e-3, speed: float = 3.0) -> tvbjax.Simulator:
    model = tvbjax.lems.load("MontbrioPazoRoxin")
    return tvbjax.Simulator(
        eqx.tree_at(lambda m: m.params["eta"], model, jnp.asarray(-6.0)),
        tvbjax.datasets.connectome("tvb76", speed=speed).normalise(),
        coupling.Linear(a=0.02),
        integrators.Heun(dt=DT),
        None if nsig is None else noise.Additive({"V": nsig}),
        monitors.TemporalAverage(1.0),
    )


def _initial(simulator: tvbjax.Simulator) -> np.ndarray:
    return np.repeat([[0.1], [-2.0]], simulator.nodes, axis=1)


def _single(name: str, simulator: tvbjax.Simulator) -> Timing:
    def run():
        return tvbjax.simulate(
            simulator,
            STEPS * DT,
            initial=_initial(simulator),
            key=jax.random.key(0),
            progress=False,
        )

    return Timing(name, run, simulator.nodes * STEPS)


def _batch(name: str, simulator: tvbjax.Simulator, members: int) -> Timing:
    gain = Free(lambda s: s.coupling.a)

    def mean(result):
        return {"mean": result.samples["temporal_average"].values.mean()}

    def run():
        return tvbjax.sweep(
            simulator,
            {gain: np.linspace(0.0, 0.02, members)},
            STEPS * DT / 4,
            initial=_initial(simulator),
            key=jax.random.key(0),
            measure=mean,
            progress=False,
        )

    return Timing(name, run, simulator.nodes * STEPS / 4 * members)


if __name__ == "__main__":
    main()
