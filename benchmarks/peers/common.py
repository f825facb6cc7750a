"""What the peer scripts share: the command line, the network, the clock and the JSON report.

Every script runs the same workloads. dt is 0.1 ms, the scheme is Heun, delays are
rint(length / 3 mm/ms / dt) steps, and the output is the mean over every 1 ms.

- W1: Montbrio-Pazo-Roxin (Delta 1, tau 1, J 15, eta -5, G 0.02), delays, additive noise of
  standard deviation 0.01 (r) and 0.02 (V) per square root of ms, from r 0.1 and V -2.
- W2: Jansen-Rit with its sigmoidal coupling (G 0.01), delays, no noise.
- W3: W1 for 256 members with G from 0 to 0.04, on --cores cores.
- W4: value and reverse-mode gradient of mean(r**2) over 2,000 steps of W1 without noise,
  with respect to G and to the eta of every region.
- W5: W1 with all delays zero.
- W6: W1, for a network of 998 regions.

The report gives seconds for a whole run, per repeat, after a first run that is timed apart
because it may compile. "check" is the mean of the first state variable over the last output
sample (W4: the value of the loss).
"""

import argparse
import functools
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W6")
DT = 0.1  # ms
SPEED = 3.0  # mm/ms
PERIOD = 10  # steps averaged into one output sample
G = 0.02
G_JANSEN_RIT = 0.01
ETA = -5.0
SIGMA = (0.01, 0.02)  # of r and V, per square root of ms
INITIAL = (0.1, -2.0)  # r and V


@dataclass
class Task:
    """One run as the command line asks for it."""

    peer: str
    package: str
    workload: str
    weights: np.ndarray
    delays: np.ndarray  # in steps
    steps: int
    members: int
    repeats: int
    cores: int
    options: argparse.Namespace

    @property
    def nodes(self) -> int:
        return self.weights.shape[0]

    @property
    def strengths(self) -> np.ndarray:
        """G of every member: 0 to 0.04 in the ensemble, one value otherwise."""
        if self.workload == "W3":
            return np.linspace(0.0, 2 * G, self.members)
        return np.array([G_JANSEN_RIT if self.workload == "W2" else G])


def read_task(
    peer: str,
    package: str,
    steps: dict[str, int],
    add_options: Callable[[argparse.ArgumentParser], Any] = lambda parser: None,
) -> Task:
    """The task of the command line; `steps` has the peer's default length per workload."""
    parser = argparse.ArgumentParser(description=f"One benchmark workload with {peer}.")
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("network", help=".npz with weights (row = target) and lengths in mm")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--members", type=int, default=256, help="of the ensemble of W3")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2, help="used by W3 alone")
    add_options(parser)
    options = parser.parse_args()
    with np.load(options.network) as network:
        weights, lengths = network["weights"], network["lengths"]
    delays = np.rint(lengths / SPEED / DT).astype(int)
    if options.workload == "W5":
        delays[:] = 0
    delays[weights == 0] = 0
    task = Task(
        peer=peer,
        package=package,
        workload=options.workload,
        weights=weights,
        delays=delays,
        steps=options.steps or steps.get(options.workload, 1000),
        members=options.members if options.workload == "W3" else 1,
        repeats=options.repeats,
        cores=options.cores,
        options=options,
    )
    if task.steps % PERIOD:
        parser.error(f"--steps must be a multiple of {PERIOD}")
    return task


def average(trace):
    """Means of every 1 ms, for a trace with time first."""
    return trace.reshape(-1, PERIOD, *trace.shape[1:]).mean(1)


def measure(
    task: Task,
    run: Callable[[], Any],
    check: Callable[[Any], Any],
    outcome: Callable[[Any], dict[str, Any]] = lambda result: {},
    **facts,
) -> None:
    """Time `run`, which must return finished results, and print the report.

    `check` and `outcome` get the result of the last run: a number, and further facts.
    """
    result, first = _timed(run)
    seconds = []
    for _ in range(task.repeats):
        result, elapsed = _timed(run)
        seconds.append(elapsed)
    report = {
        "peer": task.peer,
        "version": importlib.metadata.version(task.package),
        "python": platform.python_version(),
        "jax": _version("jax"),
        "workload": task.workload,
        "nodes": task.nodes,
        "steps": task.steps,
        "members": task.members,
        "seconds": seconds,
        "first_seconds": first,
        **facts,
        "check": float(check(result)),
        **outcome(result),
    }
    print(json.dumps(report))


def measure_gradient(task: Task, loss: Callable[[Any], Any], parameters: Any, **facts) -> None:
    """W4: the loss's value and gradient; further how many times longer than the loss alone that
    takes, both in turns, and the memory that the compiler sets aside for the gradient."""
    import jax

    @functools.cache
    def compiled(function):
        return jax.jit(function).lower(parameters).compile()

    def finished(function):
        return jax.block_until_ready(compiled(function)(parameters))

    both = jax.value_and_grad(loss)

    def outcome(result) -> dict[str, Any]:
        finished(loss)
        turns = [[_timed(lambda f=f: finished(f))[1] for f in (loss, both)] for _ in range(3)]
        simulation, gradient = (statistics.median(column) for column in zip(*turns, strict=True))
        analysed = compiled(both).memory_analysis()
        assert analysed is not None
        return {
            # The gradient with respect to G, and the sum of those with respect to eta.
            "gradient": [float(part.sum()) for part in result[1]],
            "simulation_seconds": simulation,
            "times_simulation": gradient / simulation,
            "temporary_mb": analysed.temp_size_in_bytes / 1e6,
        }

    facts = {"noise": "none", "dtype": "float32"} | facts
    measure(task, lambda: finished(both), lambda result: result[0], outcome, **facts)


def unsupported(task: Task, reason: str) -> None:
    """Report that the peer cannot do the workload."""
    print(json.dumps({"peer": task.peer, "workload": task.workload, "unsupported": reason}))


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    result = run()
    return result, time.perf_counter() - begun


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
