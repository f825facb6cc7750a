"""Spiking networks beside NEST: time and rates of a network alone, and of one in a brain.

`make bench-spiking`. Writes benchmarks/results/spiking.json and spiking.md. NEST runs in a process
of its own with one thread, the two in turn; the networks are those of `LifDelta`, iaf_psc_delta in
NEST, with in-degrees of 80 and 20, 0.2 mV and -1 mV, delays of 1.5 ms and steps of 0.1 ms, driven
by Poisson spikes of 0.3 mV; then 66 regions of Wong and Wang, one of them a column of 200 cells.
"""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

import tvbjax
from tvbjax import lems, spiking
from tvbjax.spiking import nest
from tvbjax.spiking.examples.cortical_column import column_region, cortical_column

RESULTS = Path(__file__).parent / "results"
SIZES, DRIVES, REPEATS, DURATION = (1_000, 10_000), (8.0, 5.2), 3, 1_000.0  # cells, kHz, ms
SEEDS = range(5)
LONG_SEEDS, LONG, BEGINNING = range(100, 120), 5_000.0, 1_000  # for agreement: seeds, ms, ms

# NEST alone, without anything of ours around it.
_NEST = """
import json, sys, time, nest
size, seed = int(sys.argv[1]), int(sys.argv[3])
rate, duration = float(sys.argv[2]), float(sys.argv[4])
nest.verbosity = nest.VerbosityLevel.ERROR
nest.ResetKernel()
nest.local_num_threads, nest.resolution, nest.rng_seed = 1, 0.1, seed
cell = dict(tau_m=20.0, V_th=20.0, V_reset=10.0, t_ref=2.0, C_m=1.0, E_L=0.0, V_m=0.0)
began = time.perf_counter()
exc = nest.Create("iaf_psc_delta", int(0.8 * size), cell)
inh = nest.Create("iaf_psc_delta", size - int(0.8 * size), cell)
noise = nest.Create("poisson_generator", dict(rate=1000.0 * rate))
nest.Connect(noise, exc + inh, syn_spec=dict(weight=0.3, delay=0.1))
for source, degree, weight in ((exc, 80, 0.2), (inh, 20, -1.0)):
    rule = dict(rule="fixed_indegree", indegree=degree)
    nest.Connect(source, exc + inh, rule, dict(weight=weight, delay=1.5))
recorder = nest.Create("spike_recorder")
nest.Connect(exc, recorder)
nest.Simulate(0.1)
built = time.perf_counter() - began
began = time.perf_counter()
nest.Simulate(duration)
ran = time.perf_counter() - began
times = recorder.events["times"]
late = (times > 200.0).sum() / len(exc) / (duration - 200.0) * 1000.0
print(json.dumps(dict(built=built, ran=ran, rate=float(late), spikes=len(times))))
"""


def network(size: int, rate: float) -> spiking.Network:
    """The network of the tables."""
    cell, sizes = lems.load_cell("LifDelta"), {"E": int(0.8 * size), "I": size - int(0.8 * size)}
    cells = {n: spiking.Population(cell, s, method=lems.Exact()) for n, s in sizes.items()}
    kinds = {"E": (spiking.FixedInDegree(80), 0.2), "I": (spiking.FixedInDegree(20), -1.0)}
    projections = {
        f"{source} to {target}": spiking.Projection(source, target, rule, weight=weight, delay=1.5)
        for source, (rule, weight) in kinds.items()
        for target in sizes
    }
    drives = {name: spiking.Poisson(name, rate, weight=0.3) for name in sizes}
    monitors = [spiking.Rates(("E", "I")), spiking.Spikes("E")]
    return spiking.Network(
        cells, projections, drives, dt=0.1, key=jax.random.key(0), monitors=monitors
    )


def ours(size: int, rate: float) -> list[dict]:
    """Runs of tvbjax; the first compiles."""
    began = time.perf_counter()
    built = network(size, rate)
    building, found = time.perf_counter() - began, []
    for seed in range(REPEATS + 1):
        began = time.perf_counter()
        result = spiking.simulate(built, DURATION, key=jax.random.key(seed), progress=False)
        ran = time.perf_counter() - began
        late = 1000.0 * float(result["rates"].sel(population="E").values[200:].mean())
        spikes = len(result.spikes["E"])
        found.append({"built": building, "ran": ran, "rate": late, "spikes": spikes})
    return found


def theirs(size: int, rate: float, seed: int) -> dict:
    """A run of NEST."""
    arguments = [str(x) for x in (size, rate, seed, DURATION)]
    done = subprocess.run(
        [sys.executable, "-c", _NEST, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def alone() -> list[dict]:
    """Both simulators, size by size and drive by drive."""
    rows = []
    for size in SIZES:
        for rate in DRIVES:
            first, *rest = ours(size, rate)
            nests = [theirs(size, rate, seed) for seed in range(1, REPEATS + 1)]
            row = {
                "cells": size,
                "drive": rate,
                "ours": [run["ran"] for run in rest],
                "compile": first["ran"] - statistics.median(run["ran"] for run in rest),
                "nest": [run["ran"] for run in nests],
                "our_rates": [run["rate"] for run in rest],
                "nest_rates": [run["rate"] for run in nests],
            }
            rows.append(row)
            print(row, flush=True)
    return rows


def brain() -> tvbjax.Simulator:
    """Sixty-six regions of Wong and Wang with noise."""
    return tvbjax.Simulator(
        lems.load("ReducedWongWangExcInh"),
        tvbjax.datasets.connectome("tvb66"),
        tvbjax.coupling.Linear(a=0.05),
        tvbjax.integrators.Heun(dt=0.1),
        noise=tvbjax.noise.Additive(1e-5),
        monitors=[tvbjax.monitors.TemporalAverage(1.0)],
    )


def together() -> dict:
    """A column in a brain: within the jit, and in NEST, one after the other and interleaved.

    How long a second takes, the first of which compiles; and of longer runs rates, Hz, and S_e.
    """
    column, simulator = cortical_column(), brain()
    label = simulator.connectome.labels[10]
    kinds = {
        "tvbjax, one jit": (column, False),
        "tvbjax, by the protocol": (spiking.InJax(column), False),
        "NEST, one after the other": (nest.Nest(column), False),
        "NEST, interleaved": (nest.Nest(column), True),
    }
    found = {}
    for name, (one, interleaved) in kinds.items():
        region = spiking.SpikingRegion(one, column_region(column).outputs)
        cosimulator = spiking.CoSimulator(simulator, {label: region}, interleaved=interleaved)
        seconds = []
        for seed in SEEDS:
            began = time.perf_counter()
            spiking.cosimulate(cosimulator, DURATION, key=jax.random.key(seed), progress=False)
            seconds.append(time.perf_counter() - began)
        found[name] = {"seconds": seconds}
        if name in ("tvbjax, one jit", "NEST, one after the other"):
            found[name]["runs"] = [_long_run(cosimulator, label, seed) for seed in LONG_SEEDS]
        print(name, found[name], flush=True)
    return found


def _long_run(cosimulator: spiking.CoSimulator, label: str, seed: int) -> list[float]:
    """Rates of E and I, Hz, S_e of the region, and the mean S_e of the others."""
    result = spiking.cosimulate(cosimulator, LONG, key=jax.random.key(seed), progress=False)
    rates = 1e3 * result.regions[label]["rates"].values[BEGINNING:].mean(0)
    gating = result.brain["temporal_average"].sel(variable="S_e").values[BEGINNING:]
    means = [gating[:, 10].mean(), np.delete(gating, 10, 1).mean()]
    return [float(x) for x in (*rates, *means)]


def _spread(values: list[float], digits: int = 2) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.4g} ± {values.std(ddof=1) / np.sqrt(len(values)):.1g}"


def page(rows: list[dict], brains: dict) -> str:
    """The tables."""
    version = importlib.metadata.version("nest-simulator")
    lines = [
        "# Spiking networks beside NEST",
        "",
        f"Python {platform.python_version()}, JAX {jax.__version__}, NEST {version}, "
        f"{os.cpu_count()} cores, no GPU, float32. One second of the network, after compilation; "
        f"NEST with one thread, without building. Medians of {REPEATS} runs, and their range. "
        "Rates are of excitatory cells after 0.2 s; connections and random numbers are each "
        "simulator's own.",
        "",
        "| cells | drive kHz | tvbjax s | NEST s | NEST / tvbjax | tvbjax Hz | NEST Hz "
        "| difference | compilation s |",
        "| ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        times = statistics.median(row["nest"]) / statistics.median(row["ours"])
        one, other = (statistics.mean(row[name]) for name in ("our_rates", "nest_rates"))
        lines.append(
            f"| {row['cells']:,} | {row['drive']} | {_spread(row['ours'])} "
            f"| {_spread(row['nest'])} | {times:.1f} | {one:.2f} | {other:.2f} "
            f"| {100 * (one / other - 1):+.2f} % | {max(0.0, row['compile']):.1f} |"
        )
    lines += [
        "",
        "## In a brain",
        "",
        "66 regions of Wong and Wang, one of them a column of 200 cells, 1 s in steps of 0.1 ms; "
        f"{len(SEEDS)} seeds, of which the first compiles.",
        "",
        "| | first s | then s |",
        "| --- | ---: | --- |",
    ]
    for name, one in brains.items():
        first, *rest = one["seconds"]
        lines.append(f"| {name} | {first:.1f} | {_spread(rest)} |")
    lines += [
        "",
        "Interleaved windows are half as long, and each costs some milliseconds; a column of 200 "
        "cells has too little to do in them to make up for it.",
        "",
        f"{len(LONG_SEEDS)} runs of {LONG / 1000:g} s, without the first of each; means, and "
        "standard errors over runs. Connections are the same; random numbers are each simulator's "
        "own.",
        "",
        "| | E Hz | I Hz | S_e of the region | S_e elsewhere |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    runs = {name: np.array(one["runs"]) for name, one in brains.items() if "runs" in one}
    lines += [f"| {name} | {' | '.join(map(_mean, one.T))} |" for name, one in runs.items()]
    ours, theirs = runs.values()
    errors = np.sqrt(sum(x.var(axis=0, ddof=1) / len(x) for x in (ours, theirs)))
    apart = (ours.mean(axis=0) - theirs.mean(axis=0)) / errors
    lines.append(f"| difference in standard errors | {' | '.join(f'{x:+.1f}' for x in apart)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    rows, brains = alone(), together()
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"alone": rows, "together": brains}, indent=1)
    (RESULTS / "spiking.json").write_text(text + "\n")
    (RESULTS / "spiking.md").write_text(page(rows, brains))


if __name__ == "__main__":
    main()
