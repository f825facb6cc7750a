"""The posterior of a patient with epilepsy: BVEP's demonstration, informed and with a weak prior.

84 regions, 162 contacts, 130 samples; two regions begin to seize (6 and 34), three are at the edge
(5, 11, 27). Two windows: between two bursts, where nothing spreads, and from before the seizure,
with stronger tracts along which it spreads. The data are simulated as in the notebooks of the
Bayesian Virtual Epileptic Patient (Hashemi et al. 2020, NeuroImage 217:116839; Jha et al. 2022,
Machine Learning: Science and Technology 3:035016), from the connectome and the gain of its patient
1, which are looked for in the folder TVBJAX_SHARED.

`python -m benchmarks.epilepsy [--quick] [--window ...] [--prior ...]` writes
benchmarks/results/epilepsy.json and epilepsy.md; what was measured before stays in them.
"""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist

import tvbjax
from benchmarks.compare import keep
from benchmarks.scaling import environment, told
from tvbjax import bayes, forward, integrators
from tvbjax.bayes import epilepsy, likelihoods

RESULTS = Path(__file__).parent / "results"
SOURCES, EDGE = [6, 34], [5, 11, 27]
PRIORS = {"informed": (-3.2, 0.4), "weak": (-3.0, 1.0)}
WINDOWS = ("between bursts", "with propagation")

# BVEP2_seeg_noncentered by Stan 2.28, 4 chains of 2,000 + 500: seconds for 1,000 draws of all four
# chains, and leapfrog steps a draw: all ended at the greatest depth.
STAN_SECONDS, STAN_STEPS = 29_500, 1023


def patient() -> dict[str, np.ndarray]:
    """Patient 1's weights, gain and labels."""
    shared = os.environ.get("TVBJAX_SHARED", Path(__file__).parents[2] / "shared")
    path = Path(shared) / "bvep" / "patient1_84.npz"
    if not path.exists():
        raise SystemExit(f"There is no {path}; name the folder of test data by TVBJAX_SHARED.")
    with np.load(path) as file:
        return dict(file)


def recorded(window: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, what contacts record, and the true excitabilities."""
    found = patient()
    weights = found["weights"].astype(float) / found["weights"].max()
    if window == "with propagation":
        weights[np.ix_([5, 11], SOURCES)] = 4.0
        weights[27, SOURCES] = 1.0
    true = np.full(84, -3.5)
    true[SOURCES], true[EDGE] = -1.6, -2.4
    x, z, rows = np.full(84, -2.5), np.full(84, 3.5), []
    for _ in range(301):
        heard = weights @ x - weights.sum(axis=1) * x
        dx, dz = 4.1 - x**3 - 2 * x**2 - z, (4 * (x - true) - z - heard) / 10.0
        x, z = x + 0.1 * dx, z + 0.1 * dz
        rows.append(x)
    rng = np.random.default_rng(seed)
    noise = 3.0 * rng.standard_normal((162, 301))
    signals = 2.0 * (found["gain"] @ np.array(rows).T + noise)
    first = 120 if window == "between bursts" else 10
    kept = signals[:, first : first + 130] + 10.0 + rng.standard_normal((162, 1))
    return weights, kept.T, true


def program(window: str, prior: str, seed: int) -> tuple[bayes.Program, np.ndarray]:
    """The program, and the true excitabilities."""
    weights, data, true = recorded(window, seed)
    found = patient()
    labels = [str(label) for label in found["region_labels"]]
    weights = weights.copy()
    np.fill_diagonal(weights, 0.0)
    connectome = tvbjax.Connectome(weights, np.zeros_like(weights), labels=labels)
    # The stronger tracts are heavier than 1, as they are in the notebooks.
    simulator = epilepsy.network(connectome, integrator=integrators.Euler(dt=0.1), greatest=None)
    gain = forward.Gain(found["gain"], tuple(f"contact {i}" for i in range(162)))
    likelihood = likelihoods.Seeg(
        gain,
        data,
        amplitude=dist.LogNormal(np.log(2.0), 0.5),
        noise=dist.LogNormal(np.log(5.0), 1.0),
        offset=(10.0, 1.0),
        error=0.2,
    )
    mean, deviation = PRIORS[prior]
    begins = dist.Normal(4.5 if window == "between bursts" else 3.6, 0.5)
    made = epilepsy.patient_program(
        simulator,
        likelihood,
        excitability=epilepsy.priors.uninformed(labels, mean, deviation),
        initial=epilepsy.NearSlowManifold(begins),
    )
    return made, true


def measured(window: str, prior: str, method: bayes.Nuts, seed: int) -> dict:
    """One posterior, and all that is said of it."""
    made, true = program(window, prior, seed)
    wall, cpu = time.perf_counter(), time.process_time()
    tree = bayes.sample(made, key=jax.random.key(seed), method=method, progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    found = bayes.diagnose(tree)
    draws = np.asarray(tree["posterior"]["excitability"]).reshape(-1, 84)
    strength = np.asarray(tree["posterior"]["coupling"])
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    above = (draws > epilepsy.THRESHOLD).mean(axis=0)
    others = np.delete(above, SOURCES)
    return {
        "window": window,
        "prior": prior,
        "seed": seed,
        "machine": environment(),
        "target_accept": method.target_accept,
        "trusted": found.trusted,
        **found.numbers,
        "problems": list(found.problems),
        "wall s": wall,
        "CPU s": cpu,
        "CPU s for 1,000 draws of 4 chains, warm-up included": cpu * 1000 / method.draws,
        "truth in the 95 % intervals": float(((low < true) & (true < high)).mean()),
        "P(EZ) of the sources": above[SOURCES].tolist(),
        "largest P(EZ) elsewhere": float(others.max()),
        "excitability of sources and edge": [
            [float(draws[:, i].mean()), float(draws[:, i].std())] for i in (*SOURCES, *EDGE)
        ],
        "coupling": [float(strength.mean()), float(strength.std())],
        "half the step": str(bayes.step_halving(made, tree, 10)),
    }


def row(one: dict) -> str:
    sources = " and ".join(f"{p:.3f}" for p in one["P(EZ) of the sources"])
    return (
        f"| {one['window']} | {one['prior']} | {one['target_accept']:g} | {one['R-hat']:.4f} | "
        f"{one['bulk ESS']:.0f} | "
        f"{one['tail ESS']:.0f} | {one['divergences']:.0f} | "
        f"{one['share at the greatest depth']:.0%} | {one['steps a draw']:.0f} | "
        f"{one['wall s']:.0f} | {one['CPU s']:.0f} | {sources} | "
        f"{one['largest P(EZ) elsewhere']:.3f} | {one['truth in the 95 % intervals']:.0%} |"
    )


COLUMNS = (
    "window, prior, acceptance, R-hat, bulk ESS, tail ESS, divergences, at greatest depth, "
    "steps a draw, wall s, CPU s, P(EZ) of the sources, elsewhere at most, truth in 95 % intervals"
).split(", ")


def table(rows: list[dict]) -> list[str]:
    """For people."""
    lines = [
        "# The posterior of BVEP's demonstration",
        "",
        "BVEP's demonstration (84 regions, 162 contacts, 130 samples), linear SEEG with an error",
        "of the model of 0.2 in x (correlation 30 samples). Priors: excitability N(-3.2, 0.4),",
        "informed, or N(-3, 1), weak; coupling LogNormal(0, 0.5), amplitude LogNormal(log 2, 0.5),",
        "noise LogNormal(log 5, 1), offsets N(10, 1), the state at the beginning near the slow",
        "manifold. Truth: -1.6 in regions 6 and 34, -2.4 in 5, 11 and 27, -3.5 elsewhere; coupling",
        "1. The data are of the same equations with the same steps of 0.1 ms, one draw of noise. 4",
        "chains of 500 + 1,000. Times hold the search of modes from 16 starts (of runs without a",
        "machine below: from 2), compilation and warm-up; other programs were running.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{' --- |' * len(COLUMNS)}",
        *(row(one) for one in rows),
        "",
        "Stan's published runs of this problem (BVEP2; other priors and window, another machine):",
        f"{STAN_STEPS} steps a draw, all at the greatest depth, {STAN_SECONDS} s for 1,000 draws",
        "of 4 chains without warm-up.",
        "",
    ]
    for one in rows:
        edge = one["excitability of sources and edge"]
        said = ", ".join(f"{mean:.2f} +- {deviation:.2f}" for mean, deviation in edge)
        mean, deviation = one["coupling"]
        lines.append(
            f"- {one['window']}, {one['prior']}: excitability {said} (regions 6, 34, 5, 11, 27), "
            f"coupling {mean:.2f} +- {deviation:.2f}. {one['half the step']}"
        )
        if "machine" in one:  # older runs have none
            lines.append(f"  - On {told(one['machine'])}")
        lines += [f"  - {problem}" for problem in one["problems"]]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--quick", action="store_true", help="100 + 100 draws, to see it work")
    parser.add_argument("--window", choices=WINDOWS, help="one window")
    parser.add_argument("--prior", choices=PRIORS, help="one prior")
    parser.add_argument(
        "--accept", type=float, default=0.98, help="acceptance that steps are made for"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the data's noise and of the chains")
    given = parser.parse_args()
    method = bayes.Nuts(target_accept=given.accept)
    if given.quick:
        method = dataclasses.replace(method, warmup=100, draws=100)
    path = RESULTS / "epilepsy.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for window in [given.window] if given.window else WINDOWS:
        for prior in [given.prior] if given.prior else PRIORS:
            one = measured(window, prior, method, given.seed)
            print("\n".join(table([one])), flush=True)
            if given.quick:
                continue
            same = {name: one[name] for name in ("window", "prior", "seed", "target_accept")}
            rows = [k for k in rows if any(k[n] != v for n, v in same.items())] + [one]
            keep("epilepsy", {"rows": rows}, table(rows))


if __name__ == "__main__":
    tvbjax.tune_cpu()
    jax.config.update("jax_enable_x64", True)
    main()
