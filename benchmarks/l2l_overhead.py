"""What a study costs beside what it evaluates, and what failures do: tvbjax's and L2L's own.

`python -m benchmarks.l2l_overhead [--quick]`: the same genetic algorithm (blend crossover, normal
mutation, tournaments of four) on Rastrigin's function in two dimensions, for a few generations and
for more, so that the cost of an evaluation is told from that of starting; then the same function
failing in stated ways. L2LforHPC runs in an environment of its own (`make bench-l2l`). Writes
benchmarks/results/l2l_overhead.json and .md.
"""

import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from benchmarks.compare import ENVIRONMENTS, SCRIPTS, keep, machine
from tvbjax import l2l

POPULATION, WORKERS = 8, 2
LIMIT = 120.0  # s, after which a run with a failure counts as hanging
SPACE = l2l.Space(x=l2l.Real(-5.12, 5.12, shape=(2,)))
FAULTS = ("raises", "exits with 3", "is killed", "hangs", "returns NaN", "returns two numbers")


def main() -> None:
    parser = argparse.ArgumentParser(description="Overhead and faults, beside L2L.")
    parser.add_argument("--quick", action="store_true", help="fewer evaluations, no faults")
    options = parser.parse_args()
    lengths = (1, 3) if options.quick else (2, 8)
    rows = [peer_overhead(lengths), *(own_overhead(name) for name in WAYS)]
    faults = [] if options.quick else [of_fault(fault) for fault in FAULTS]
    lines = table(rows, faults)
    print("\n".join(lines))
    keep("l2l_overhead", {"machine": machine(), "rows": rows, "faults": faults}, lines)


def rastrigin(values: dict[str, Any], seed: int) -> float:
    """In NumPy, as L2L's workers have it."""
    x = values["x"]
    return float(20 + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def rastrigin_in_jax(values, key):
    """The same as a JAX function."""
    return l2l.functions.rastrigin(values["x"])


def failing(fault: str, values: dict[str, Any], seed: int) -> Any:
    """Rastrigin's function, which fails where its first number is above 2."""
    if values["x"][0] <= 2.0:
        return rastrigin(values, seed)
    if fault == "raises":
        raise ValueError("it broke")
    if fault == "exits with 3":
        os._exit(3)
    if fault == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hangs":
        time.sleep(3600)
    return float("nan") if fault == "returns NaN" else [1.0, 2.0]


def genetic() -> l2l.Genetic:
    """With the settings of L2L's."""
    return l2l.Genetic(
        POPULATION, crossover=l2l.Blend(0.5), crossing=0.7, mutating=0.45, entrants=4, elite=0
    )


def in_jax(generations: int, store: Path | None) -> l2l.Outcome:
    """All candidates in one compiled call."""
    function = l2l.Function(rastrigin_in_jax, SPACE)
    study = l2l.Study(function, genetic(), jr.key(0), l2l.MaxGenerations(generations))
    return study.run(store, progress=False)


def in_processes(generations: int, store: Path | None) -> l2l.Outcome:
    """A Python function in isolated workers."""
    study = l2l.Study(
        l2l.Python(rastrigin, SPACE),
        genetic(),
        jr.key(0),
        l2l.MaxGenerations(generations),
        engine=l2l.Processes(WORKERS),
    )
    return study.run(store, progress=False)


# Name: how, whether in a store, and the two numbers of generations.
WAYS: dict[str, tuple[Callable, bool, tuple[int, int]]] = {
    "tvbjax, Python function in 2 processes, with a store": (in_processes, True, (2, 82)),
    "tvbjax, Python function in 2 processes": (in_processes, False, (2, 82)),
    "tvbjax, JAX function, with a store": (in_jax, True, (2, 82)),
    "tvbjax, JAX function": (in_jax, False, (2, 82)),
}


def own_overhead(name: str) -> dict[str, Any]:
    """Seconds of a short and of a long run."""
    run, kept, lengths = WAYS[name]
    run(1, None)  # what Python and JAX import and set up once
    runs = []
    for generations in lengths:
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            found = run(generations, Path(folder) / "store" if kept else None)
            runs.append({"seconds": time.perf_counter() - begun, "evaluations": len(found.losses)})
    return {"way": name, "runs": runs, "each": _each(runs)}


def peer_overhead(lengths: tuple[int, int]) -> dict[str, Any]:
    """The same of L2L's."""
    runs = [peer("none", generations, 1800.0) for generations in lengths]
    return {"way": "L2LforHPC, 2 workers", "runs": runs, "each": _each(runs)}


def _each(runs: list[dict[str, Any]]) -> float:
    """Seconds of one more evaluation."""
    short, long = runs
    return (long["seconds"] - short["seconds"]) / (long["evaluations"] - short["evaluations"])


def peer(fault: str, generations: int, limit: float) -> dict[str, Any]:
    """What L2L does: seconds and evaluations, or how it ended; and processes that are left."""
    python = str(ENVIRONMENTS / "l2l" / "bin" / "python")
    command = [python, "run_l2l.py", fault, str(POPULATION), str(generations), str(WORKERS)]
    with tempfile.TemporaryFile("w+") as out:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=SCRIPTS, stdout=out, stderr=out, start_new_session=True
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        seconds = time.perf_counter() - begun
        process.kill()
        process.wait()
        left = _group(process.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        out.seek(0)
        lines = out.read().strip().splitlines()
    found: dict[str, Any] = {"status": status, "seconds": seconds, "left": len(left)}
    if status == 0:
        found |= json.loads(lines[-1])
    elif status is not None:
        found["words"] = lines[-1][:160] if lines else ""
    return found


def _group(group: int) -> list[int]:
    """Processes of a session that are still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def of_fault(fault: str) -> dict[str, Any]:
    """What a failure does in each."""
    print(f"an evaluation {fault} ...", file=sys.stderr)
    begun = time.perf_counter()
    study = l2l.Study(
        l2l.Python(functools.partial(failing, fault), SPACE, timeout=3.0),
        genetic(),
        jr.key(0),
        l2l.MaxGenerations(3),
        engine=l2l.Processes(WORKERS),
    )
    found = study.run(progress=False)
    seconds = time.perf_counter() - begun
    return {
        "fault": fault,
        "ours": {
            "seconds": seconds,
            "evaluations": len(found.losses),
            "failures": found.failures,
            "loss": found.loss,
        },
        "peer": peer(fault, 3, LIMIT),
    }


def table(rows: list[dict[str, Any]], faults: list[dict[str, Any]]) -> list[str]:
    """Text for people."""
    facts, first = machine(), rows[0]
    lines = [
        "# What a study costs, beside L2L",
        "",
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}. The same genetic "
        "algorithm with the same settings on Rastrigin's function in two dimensions, whose own "
        "cost is microseconds; its random numbers differ. A short and a long run of each; one more "
        "evaluation is their difference divided by that of evaluations, so that starting and "
        "compiling are not in it: they are in the short run's seconds.",
        "",
        "| | short run | long run | one more evaluation | L2L's is |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        runs = [f"{one['evaluations']} in {one['seconds']:.2f} s" for one in row["runs"]]
        ratio = first["each"] / row["each"]
        lines.append(
            f"| {row['way']} | {runs[0]} | {runs[1]} | {1e3 * row['each']:.3g} ms | "
            + ("|" if row is first else f"{ratio:,.0f} times that |")
        )
    if faults:
        lines += ["", *_fault_lines(faults)]
    return lines


def _fault_lines(faults: list[dict[str, Any]]) -> list[str]:
    lines = [
        "Three generations of eight, in which the function fails where its first number is above "
        f"2. A run that had not ended after {LIMIT:.0f} s was ended. tvbjax's time limit for an "
        "evaluation is 3 s; L2L has none.",
        "",
        "| an evaluation | tvbjax | L2LforHPC |",
        "| --- | --- | --- |",
    ]
    for row in faults:
        ours, other = row["ours"], row["peer"]
        failed = ", ".join(f"{count} {name}" for name, count in ours["failures"].items())
        mine = f"goes on: {ours['evaluations']} evaluations, {failed}; {ours['seconds']:.1f} s"
        if other["status"] is None:
            theirs = f"had not ended after {other['seconds']:.0f} s"
        elif other["status"] == 0:
            theirs = f"goes on: {other['evaluations']} evaluations in {other['seconds']:.0f} s"
        else:
            theirs = (
                f"ends with {other['status']} after {other['seconds']:.0f} s: `{other['words']}`"
            )
        theirs += f"; {other['left']} processes left" if other["left"] else ""
        lines.append(f"| {row['fault']} | {mine} | {theirs} |")
    return lines


if __name__ == "__main__":
    main()
