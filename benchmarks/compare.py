"""tvbjax beside its peers: the same work in each, in turns, several times.

`make bench`. Every program runs in an environment of its own, in a process of its own, pinned to
one core (W3: two), after a first run that is timed apart because it may compile. The workloads are
those of benchmarks/peers/common.py. Writes benchmarks/results/peers.json and peers.md, in which
workloads that were not run are left as they were.

    python -m benchmarks.compare [--rounds 5] [--workloads W1,W5] [--programs tvbjax,tvboptim]
"""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.tuning import SETTING

HERE = Path(__file__).parent
SCRIPTS, RESULTS = HERE / "peers", HERE / "results"
BUILD = HERE.parent / "build" / "benchmarks"
ENVIRONMENTS = HERE.parent / ".venv-bench"
WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W6")
WHAT = {
    "W1": "76 regions, Montbrió-Pazó-Roxin, delays, noise",
    "W2": "76 regions, Jansen-Rit, delays",
    "W3": "256 members of W1 on two cores",
    "W4": "gradient through 2,000 steps of W1 without noise",
    "W5": "W1 without delays",
    "W6": "998 regions, otherwise W1",
}


@dataclasses.dataclass(frozen=True)
class Program:
    """A script with options. `environment`: its folder, None for this one."""

    name: str
    script: str
    environment: str | None
    options: tuple[str, ...] = ()
    tuned: bool = False
    ours: bool = False


PROGRAMS = (
    Program("tvbjax", "run_tvbjax.py", None, ours=True),
    Program(
        "tvbjax, CounterHash",
        "run_tvbjax.py",
        None,
        ("--generator", "CounterHash"),
        ours=True,
    ),
    Program("tvbjax, untuned", "run_tvbjax.py", None, ("--untuned",), ours=True),
    Program("tvboptim, best", "run_tvboptim.py", "tvboptim"),
    Program("tvboptim, best, tuned", "run_tvboptim.py", "tvboptim", tuned=True),
    Program("tvboptim, default", "run_tvboptim.py", "tvboptim", ("--strategy", "default")),
    Program("vbjax", "run_vbjax.py", "vbjax"),
    Program("vbjax, tuned", "run_vbjax.py", "vbjax", tuned=True),
    Program("tvbk", "run_tvbk.py", "tvbk"),
    Program("tvb-library", "run_tvb_library.py", "tvb_library"),
    Program("neurolib", "run_neurolib.py", "neurolib"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmarks beside the peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--programs", help="names, or their beginnings")
    options = parser.parse_args()
    wanted = options.programs.split(",") if options.programs else [""]
    programs = [p for p in PROGRAMS if any(p.name.startswith(name) for name in wanted)]
    networks = make_networks()
    reports: list[dict[str, Any]] = []
    for workload in options.workloads.split(","):
        for number in range(options.rounds):
            for program in programs:
                report = run(program, workload, networks["W6" if workload == "W6" else "W1"])
                reports.append(report | {"program": program.name, "round": number})
                print(workload, number, program.name, told(report), file=sys.stderr, flush=True)
    write(reports + kept(reports), networks)


def kept(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of an earlier run on this machine, of other programs and workloads than these."""
    anew = {(report["workload"], report["program"]) for report in reports}
    path = RESULTS / "peers.json"
    before = json.loads(path.read_text()) if path.is_file() else {}
    if before.get("machine") != machine():
        return []
    return [r for r in before["reports"] if (r["workload"], r["program"]) not in anew]


def make_networks() -> dict[str, tuple[Path, str]]:
    """The networks as files, and what they are."""
    import jax

    import tvbjax
    from tvbjax.io import read_connectome_zip

    BUILD.mkdir(parents=True, exist_ok=True)
    large = Path(os.environ.get("TVBJAX_SHARED", HERE.parents[1] / "shared"))
    large = large / "connectomes" / "connectivity_998.zip"
    if large.is_file():
        many, what = read_connectome_zip(large), "TVB's 998 regions"
    else:
        many, what = (
            tvbjax.datasets.synthetic_connectome(998, key=jax.random.key(0), density=0.036),
            "a synthetic connectome",
        )
    found = {}
    for name, connectome, text in (
        ("W1", tvbjax.datasets.connectome("tvb76"), "TVB's 76 regions"),
        ("W6", many, what),
    ):
        weights = np.asarray(connectome.weights)
        path = BUILD / f"{name}.npz"
        np.savez(path, weights=weights / weights.max(), lengths=connectome.tract_lengths)
        found[name] = (path, text)
    return found


def run(program: Program, workload: str, network: tuple[Path, str]) -> dict[str, Any]:
    """One run of a program, as it reports it."""
    folder = program.environment
    python = sys.executable if folder is None else str(ENVIRONMENTS / folder / "bin" / "python")
    command = [python, str(SCRIPTS / program.script), workload, str(network[0])]
    command += ["--repeats", "1", *program.options]
    if shutil.which("taskset"):
        command = ["taskset", "-c", "0,1" if workload == "W3" else "0", *command]
    environment = dict(os.environ)
    if program.tuned:  # JAX's other programs are run with tvbjax's setting, too
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {SETTING}".strip()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)
    if done.returncode:
        return {"workload": workload, "failed": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def reported(python: str, script: str, *arguments: str) -> dict[str, Any]:
    """What a script of benchmarks/peers reports in its last line."""
    command = [python, script, *arguments]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def rate(report: dict[str, Any]) -> float:
    """Node-steps a second."""
    return report["nodes"] * report["steps"] * report["members"] / report["seconds"][0]


def told(report: dict[str, Any]) -> str:
    return f"{rate(report):.3g} node-steps/s" if "seconds" in report else str(report)


def machine() -> dict[str, Any]:
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    return {"processor": name, "cores": os.cpu_count(), "system": platform.system()}


def write(reports: list[dict[str, Any]], networks) -> None:
    """The results as JSON, and as tables for people."""
    whole = {
        "machine": machine(),
        "networks": {name: text for name, (_, text) in networks.items()},
        "reports": reports,
    }
    keep("peers", whole, tables(whole))


def keep(name: str, whole: dict[str, Any], lines: list[str]) -> None:
    """Results in benchmarks/results: as JSON, and as text."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
    print(f"written to {RESULTS / name}.md", file=sys.stderr)


def tables(whole: dict[str, Any]) -> list[str]:
    """One table for each workload."""
    facts = whole["machine"]
    lines = [
        "# tvbjax beside its peers",
        "",
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}. Medians of runs in "
        "turns, in millions of node-steps a second (W4: ms for a gradient), with the least and the "
        "greatest in brackets. The ratio is that to the best peer. *First* is the first run in s, "
        "compilation included. W4's notes have the time of the loss alone, in turns with more runs "
        "of the gradient, and what the compiler sets aside for the gradient.",
    ]
    for workload in WORKLOADS:
        rows = [r for r in whole["reports"] if r["workload"] == workload]
        if rows:
            lines += ["", f"## {workload}: {WHAT[workload]}", "", *table(workload, rows)]
    return lines


def table(workload: str, rows: list[dict[str, Any]]) -> list[str]:
    ours = {program.name for program in PROGRAMS if program.ours}
    names = list(dict.fromkeys(row["program"] for row in rows))
    runs = {n: [r for r in rows if r["program"] == n and "seconds" in r] for n in names}
    values = {n: [value(workload, r) for r in found] for n, found in runs.items() if found}
    better = min if workload == "W4" else max
    peers = [statistics.median(v) for n, v in values.items() if n not in ours]
    best = better(peers) if peers else float("nan")
    lines = [
        "| program | median | range | ratio | first | noise | versions | note |",
        "| --- | ---: | --- | ---: | ---: | --- | --- | --- |",
    ]
    for name in names:
        if name not in values:
            (why, *_) = [
                r.get("unsupported", r.get("failed")) for r in rows if r["program"] == name
            ]
            lines.append(f"| {name} | - | | | | | | {why} |")
            continue
        median, one = statistics.median(values[name]), runs[name][0]
        ratio = best / median if workload == "W4" else median / best
        first = statistics.median(r["first_seconds"] for r in runs[name])
        note = f"{one['dtype']}; {one['note']}{beside(runs[name])}"
        versions = f"{one['version']}, Python {one['python']}"
        versions += f", JAX {one['jax']}" if one["jax"] else ""
        lines.append(
            f"| {name} | {median:.3g} | {min(values[name]):.3g} to {max(values[name]):.3g} | "
            f"{ratio:.2f} | {first:.1f} | {one['noise']} | {versions} | {note} |"
        )
    return lines


def beside(reports: list[dict[str, Any]]) -> str:
    """What else is known of a gradient: its time over the simulation's, and its memory."""
    if any("simulation_seconds" not in report for report in reports):
        return ""
    alone = statistics.median(r["simulation_seconds"] for r in reports)
    times = statistics.median(r["times_simulation"] for r in reports)
    memory = reports[0]["temporary_mb"]
    return f"; simulation {1e3 * alone:.3g} ms, gradient {times:.1f} times that; {memory:.3g} MB"


def value(workload: str, report: dict[str, Any]) -> float:
    return 1e3 * report["seconds"][0] if workload == "W4" else rate(report) / 1e6


if __name__ == "__main__":
    main()
