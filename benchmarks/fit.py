"""A fit to functional connectivity, by the same 20 steps of Adam in TVB-Optim and in tvbjax.

`python -m benchmarks.fit`: one after the other; what is done is in benchmarks/peers/fit.py. Writes
benchmarks/results/fit.json and fit.md.
"""

import argparse
import sys
from typing import Any

from benchmarks.compare import ENVIRONMENTS, keep, machine, reported

# TVB-Optim first: it writes the network that it brings.
PROGRAMS = (
    (str(ENVIRONMENTS / "tvboptim/bin/python"), "run_tvboptim_fit.py"),
    (sys.executable, "run_tvbjax_fit.py"),
)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    reports = [reported(*program) for program in PROGRAMS]
    lines = table(reports)
    print("\n".join(lines))
    keep("fit", {"machine": machine(), "reports": reports}, lines)


def table(reports: list[dict[str, Any]]) -> list[str]:
    facts, (theirs, ours) = machine(), reports
    lines = [
        "# A fit to functional connectivity, beside TVB-Optim",
        "",
        f"{facts['processor']}, {facts['cores']} cores. The strength of all connections of 84 "
        "regions (reduced Wong-Wang, Heun of 1 ms, delays, noise, a minute of activity and BOLD) "
        "is fitted to the functional connectivity that TVB-Optim brings, by 20 steps of Adam. "
        "Medians of seconds; *loss*: root mean square of differences at the start and the least.",
        "",
        "| program | a simulation | a step | ratio | range | loss | memory | precision, ways |",
        "| --- | ---: | ---: | ---: | --- | --- | ---: | --- |",
    ]
    for report in (ours, theirs):
        step, every = report["step_seconds"], report["step_all"]
        lines.append(
            f"| {report['peer']} {report['version']} | {report['simulation_seconds']:.2f} s "
            f"| {step:.2f} s | {theirs['step_seconds'] / step:.1f} "
            f"| {min(every):.2f} to {max(every):.2f} s "
            f"| {report['losses'][0]:.3f} to {min(report['losses']):.3f} "
            f"| {report['peak_mb']:.0f} MB | {report['dtype']}; {report['note']} |"
        )
    return lines


if __name__ == "__main__":
    main()
