"""What the scripts of the fit share: the work, its settings, the clock and the JSON report.

The work is that of TVB-Optim's page on gradient checkpointing: 84 regions, reduced Wong-Wang, Heun
of 1 ms, delays, additive noise, BOLD by a convolution, and the root mean square of what the
functional connectivity of a minute differs from a measured one by. Adam changes the strength of all
connections, with the same noise at every step. Weights are the roots of the page's: with those the
best fit is 0.28, hardly better than none (0.33), with their roots 0.23. Adam starts above the
strength at which activity rises, where the fit is best in a narrow range.

The report has seconds of a simulation with its loss, of a step of Adam, both after a first one that
compiles, the losses, strengths and slopes that Adam went through, and the most memory held. Losses
tell whether slopes are right: their difference over that of strengths is the mean slope.
"""

import argparse
import importlib.metadata
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = {
    "dt": 1.0,  # ms
    "duration": 60_000.0,  # ms
    "speed": 4.0,  # mm/ms
    "w": 0.5,
    "I_o": 0.32,  # nA
    "initial": 0.3,  # S
    "sigma": 0.00283,  # of S, per square root of ms
    "period": 1000.0,  # ms, of BOLD
    "interim": 4.0,  # ms, of the activity that is convolved
    "skip": 20,  # samples of BOLD
    "G": 0.09,  # where Adam starts
    "rate": 0.001,  # of Adam
}
NETWORK = Path(__file__).parents[2] / "build" / "benchmarks" / "fit.npz"


def read_options(
    peer: str, add: Callable[[argparse.ArgumentParser], Any], *, x64: bool
) -> argparse.Namespace:
    """`x64`: whether in double precision, where the command line does not say."""
    parser = argparse.ArgumentParser(description=f"The fit of a connection strength with {peer}.")
    parser.add_argument("--network", type=Path, default=NETWORK, help=".npz, by run_tvboptim_fit")
    parser.add_argument("--steps", type=int, default=20, help="of Adam")
    parser.add_argument("--repeats", type=int, default=3, help="of the simulation")
    parser.add_argument("--duration", type=float, default=SETTINGS["duration"], help="ms")
    parser.add_argument("--x64", action=argparse.BooleanOptionalAction, default=x64)
    parser.add_argument("--noise", type=Path, help=".npy: normal numbers (step, 1, region) to use")
    parser.add_argument("--trajectory", type=Path, help=".npy: S of every step without noise")
    add(parser)
    options = parser.parse_args()
    if options.steps < 1 or options.repeats < 1:
        parser.error("--steps and --repeats are at least 1: the first of each is timed apart")
    return options


def report(
    peer: str,
    package: str,
    options: argparse.Namespace,
    loss: Callable[[Any], Any],
    value_and_slope: Callable[[Any], tuple[Any, Any]],
    note: str,
) -> None:
    """Time `loss` of a strength, fit it by what `value_and_slope` finds, and print the report."""
    import jax
    import jax.numpy as jnp
    import optax

    strength = jnp.asarray(SETTINGS["G"], jnp.result_type(float))  # else compiled twice
    simulate = jax.jit(loss)
    seconds = [_timed(lambda: simulate(strength))[1] for _ in range(1 + options.repeats)]

    optimiser = optax.adam(SETTINGS["rate"])

    @jax.jit
    def step(strength, state):
        found, slope = value_and_slope(strength)
        change, state = optimiser.update(slope, state)
        return optax.apply_updates(strength, change), state, found, slope

    state = optimiser.init(strength)
    walk, steps = [], []
    for _ in range(1 + options.steps):  # the last one for its loss
        (after, state, found, slope), took = _timed(lambda s=strength, m=state: step(s, m))
        walk.append([float(strength), float(found), float(slope)])
        steps.append(took)
        strength = after
    print(
        json.dumps(
            {
                "peer": peer,
                "version": importlib.metadata.version(package),
                "python": platform.python_version(),
                "jax": importlib.metadata.version("jax"),
                "note": note,
                "dtype": "float64" if options.x64 else "float32",
                "settings": SETTINGS | {"duration": options.duration},
                "simulation_seconds": statistics.median(seconds[1:]),
                "simulation_all": seconds[1:],
                "simulation_first": seconds[0],
                "step_seconds": statistics.median(steps[1:]),
                "step_all": steps[1:],
                "step_first": steps[0],
                "strengths": [row[0] for row in walk],
                "losses": [row[1] for row in walk],
                "slopes": [row[2] for row in walk],
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def save_trajectory(path: Path, values: Any) -> None:
    np.save(path, np.asarray(values))


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    import jax

    begun = time.perf_counter()
    result = jax.block_until_ready(run())
    return result, time.perf_counter() - begun
