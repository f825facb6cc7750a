"""Whether a fit finds numbers that are known: a global coupling, and one parameter of each region.

`python -m benchmarks.recovery [--seeds 10]`: for each seed a truth is drawn, a reduced Wong-Wang
network of tvb-data's 76 regions answers pulses to a few regions, and what its regions do is
measured with errors. The fit begins at values that all regions share. Its findings are compared
with the truth: the coupling's error, and the correlation over those regions' external currents of
which the report on identifiability, at the fit, says that the data determine them well. Failures
count: the table has every seed. Writes benchmarks/results/recovery.json and recovery.md.
"""

import argparse
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import tvbjax
from benchmarks.compare import keep, machine
from tvbjax import Free, Interval, coupling, equations, integrators, monitors
from tvbjax.inference import Problem, fit, identifiability, objectives

DURATION = 2000.0  # ms
STIMULATED = 8  # regions
ERROR = 0.2  # of a sample, as a share of the activity's own standard deviation
# Adam, first fast, then ever slower: where numbers make up for one another the loss hardly falls.
FAST, SLOW = 300, 600  # steps
RATE = optax.join_schedules(
    [optax.constant_schedule(0.05), optax.cosine_decay_schedule(0.02, SLOW)], [FAST]
)
FREE = {
    "coupling": Free(lambda s: s.coupling.a, Interval(0.0, 0.3)),
    "current": Free(
        lambda s: s.model.params["I_o"], Interval(0.2, 0.4), tie=tvbjax.ties.Regional()
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Recovery of known parameters by a fit.")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    tvbjax.tune_cpu()
    rows = [recovered(seed) for seed in range(options.seeds)]
    lines = table(rows)
    print("\n".join(lines))
    keep("recovery", {"machine": machine(), "rows": rows}, lines)


def network(seed: int) -> tvbjax.Simulator:
    connectome = tvbjax.datasets.connectome("tvb76").normalise()
    chosen = np.random.default_rng([seed, 1]).choice(76, STIMULATED, replace=False)
    pattern = np.zeros(76)
    pattern[chosen] = 1.0
    train = equations.PulseTrain(onset=500.5, T=1000.0, tau=200.0, amp=0.002)
    return tvbjax.Simulator(
        tvbjax.lems.load("ReducedWongWang"),
        connectome,
        coupling.Linear(a=0.1),
        integrators.Heun(dt=1.0),
        stimulus=tvbjax.Stimulus(train, pattern, "S"),
        monitors=monitors.TemporalAverage(10.0),
    )


def recovered(seed: int) -> dict[str, Any]:
    """A row of the table: the truth and what the fit finds of it."""
    draw = np.random.default_rng(seed)
    simulator = network(seed)
    truth = {"coupling": draw.uniform(0.05, 0.2), "current": draw.uniform(0.25, 0.35, 76)}
    known = simulator
    for name, value in truth.items():
        known = FREE[name].replace(known, jnp.asarray(value))
    initial = np.full((1, 76), 0.1)
    clean = np.asarray(tvbjax.simulate(known, DURATION, initial=initial)["temporal_average"])[:, 0]
    error = ERROR * clean.std()
    target = clean + draw.normal(0.0, error, clean.shape)
    problem = Problem(simulator, FREE, objectives.TimeSeries(target), DURATION, initial=initial)

    begun = time.perf_counter()
    found = fit(problem, optimiser=optax.adam(RATE), steps=FAST + SLOW, progress=False)
    seconds = time.perf_counter() - begun
    report = identifiability(problem, found.position, noise=error)
    verdicts = np.array(report.verdicts)
    which = np.array([label.startswith("current") for label in report.labels])
    well = verdicts[which] == "well"
    current, coupled = np.asarray(found.values["current"]), float(found.values["coupling"])
    away = np.abs(current - truth["current"]) / report.sds[which]
    there = np.corrcoef(current[well], truth["current"][well])[0, 1] if well.sum() > 2 else np.nan
    row = {
        "seed": seed,
        "coupling": truth["coupling"],
        "found": coupled,
        "error_percent": 100 * abs(coupled / truth["coupling"] - 1),
        "sd_percent": 100 * float(report.sds[~which][0]) / coupled,
        "coupling_determined": str(verdicts[~which][0]),
        "well": int(well.sum()),
        "r_well": float(there),
        "r_all": float(np.corrcoef(current, truth["current"])[0, 1]),
        "worst_in_sds": float(away[well].max(initial=0)),
        "loss": found.loss,
        "noise_floor": float(
            ((target - clean) ** 2).sum() / ((target - target.mean(0)) ** 2).sum()
        ),
        "seconds": seconds,
    }
    print(row, file=sys.stderr, flush=True)
    return row


def table(rows: list[dict[str, Any]]) -> list[str]:
    facts = machine()
    coupled = sum(row["error_percent"] <= 2.0 for row in rows)
    regional = sum(row["r_well"] >= 0.9 for row in rows)
    lines = [
        "# Known parameters, found again",
        "",
        f"A reduced Wong-Wang network of 76 regions with delays, {DURATION:.0f} ms with pulses to "
        f"{STIMULATED} regions, every region's activity every 10 ms with errors of "
        f"{100 * ERROR:.0f} % of its standard deviation. Free: the coupling, and the external "
        "current of every region, from a start that all regions share. "
        f"{facts['processor']}, {facts['cores']} cores.",
        "",
        f"Coupling within 2 %: {coupled} of {len(rows)} seeds. Correlation of currents at least "
        f"0.9 over the regions where the report says *well*: {regional} of {len(rows)}.",
        "",
        "| seed | coupling | found | error | sd by report | regions *well* | r there | r of all "
        "| farthest, in sds | loss | of the true numbers | s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row['seed']} | {row['coupling']:.4f} | {row['found']:.4f} "
            f"| {row['error_percent']:.2f} % | {row['sd_percent']:.2f} % | {row['well']} of 76 "
            f"| {row['r_well']:.4f} | {row['r_all']:.4f} | {row['worst_in_sds']:.1f} "
            f"| {row['loss']:.4f} | {row['noise_floor']:.4f} | {row['seconds']:.0f} |"
        )
    return lines


if __name__ == "__main__":
    main()
