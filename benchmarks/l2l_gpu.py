"""A study of a whole brain on a GPU: candidates a second in populations of many sizes, beside this
machine's processor, and whether both give the same losses.

    python -m benchmarks.l2l_gpu [--anyway]

The optimisee is the first person's of benchmarks/l2l_subjects.py: the coupling and the currents of
80 regions, half a minute of activity, and no gradient. Writes benchmarks/results/l2l_gpu.json and
.md. `--anyway`: small sizes on whatever there is, to try the script; writes nothing.
"""

import argparse
import sys
from typing import Any

import jax
import jax.random as jr
import numpy as np

import tvbjax
from benchmarks.compare import keep, machine
from benchmarks.gpu import check_device
from benchmarks.l2l_subjects import problem
from tvbjax import l2l

GENERATIONS = 6
ON_GPU, ON_CPU = (16, 256, 1024, 4096, 16384), (16, 256, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description="A study of a whole brain on a GPU.")
    parser.add_argument("--anyway", action="store_true")
    options = parser.parse_args()
    check_device(options.anyway)
    brain = l2l.examples.whole_brain.WholeBrain(problem(tvbjax.datasets.subjects()[0]), jr.key(0))
    device, cpu = jax.devices()[0], jax.devices("cpu")[0]
    rows, first = [], {}
    for where, sizes in ((device, ON_GPU), (cpu, ON_CPU)):
        for size in sizes[:1] if options.anyway else sizes:
            row, losses = searched(brain, size, where)
            rows.append(row)
            first.setdefault(row["device"], losses)
            print(row, file=sys.stderr, flush=True)
    names = list(first)
    apart = float(np.abs(first[names[0]] - first[names[-1]]).max())
    spread = float(first[names[-1]].std())
    lines = table(rows, names, apart, spread)
    print("\n".join(lines))
    if not options.anyway:
        kept = {"machine": machine(), "jax": jax.__version__, "rows": rows}
        keep("l2l_gpu", kept | {"apart": apart, "spread": spread}, lines)


def searched(brain: Any, size: int, where: Any) -> tuple[dict[str, Any], np.ndarray]:
    """One study in generations of a size: its speed, and the losses of its first candidates."""
    with jax.default_device(where):
        study = l2l.Study(
            brain.optimisee(tile=min(size, 4096)),
            l2l.SeparableNes(size=size),
            jr.key(1),
            l2l.MaxGenerations(GENERATIONS),
        )
        outcome = study.run(progress=False)
    # The first generation compiles the optimisee.
    evaluating = [outcome.seconds[outcome.generations == g].sum() for g in range(GENERATIONS)]
    typical = float(np.median(evaluating[1:]))
    row = {
        "device": where.device_kind if where.platform != "cpu" else "processor",
        "size": size,
        "candidates_per_s": size / typical,
        "loss": float(outcome.loss),
    }
    return row, outcome.losses[outcome.generations == 0, 0][:16]


def table(rows: list[dict[str, Any]], names: list[str], apart: float, spread: float) -> list[str]:
    """The report, from what was found."""
    lines = [
        "# A study of a whole brain on a GPU",
        "",
        f"{names[0]}, beside the {machine()['cores']} cores of {machine()['processor']}; jax "
        f"{jax.__version__}, float32. 80 regions of the reduced Wong-Wang model, 30 s of activity "
        "in steps of 10 ms, functional connectivity; 81 numbers are searched by SeparableNes.",
        "",
        "| where | candidates in a generation | candidates a second | of the processor's best |",
        "| --- | ---: | ---: | ---: |",
    ]
    best = max(
        (row["candidates_per_s"] for row in rows if row["device"] == names[-1]), default=np.nan
    )
    for row in rows:
        lines.append(
            f"| {row['device']} | {row['size']:,} | {row['candidates_per_s']:,.1f} "
            f"| {row['candidates_per_s'] / best:.1f} |"
        )
    return [
        *lines,
        "",
        f"The first generation's losses are the same within {apart:.1g} on both; they spread by "
        f"{spread:.2g}.",
    ]


if __name__ == "__main__":
    main()
