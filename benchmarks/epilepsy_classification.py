"""How well posteriors find epileptogenic regions: synthetic patients, beside what is simpler.

Each patient has 16 regions, of which two are epileptogenic and three driven by them, and 48
contacts on 8 shafts, made by `epilepsy.synthetic_patient`: regions are Epileptors of drawn
excitabilities, and the recording is noise whose power follows them. The inference sees the folder's
contents alone, with no hypothesis; the truth is compared with what was found, and decides nothing.
Beside the posterior stand the prior, and the region under the contact that changes most.

`python -m benchmarks.epilepsy_classification [--patients 30] [--from 0]` goes on where it
ended, and writes benchmarks/results/epilepsy_classification.json and .md; patients that are there
are not done again.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np

import tvbjax
from benchmarks.compare import BUILD, RESULTS, keep, machine
from tvbjax import bayes
from tvbjax.bayes import epilepsy
from tvbjax_inference.bayes.epilepsy import classification

REGIONS, SHAFTS, CONTACTS = 16, 8, 6
METHOD = bayes.Nuts(chains=2, warmup=250, draws=250)
PRIOR = 0.171  # P(N(-3, 1) > -2.05), of every region
NAME = "epilepsy_classification"
MEASURES = ("precision", "recall", "f1", "roc_auc", "pr_auc", "hit", "distance")


def found(seed: int) -> dict:
    """What one patient's posterior says, and what else there is to say of the regions."""
    patient, truth = epilepsy.synthetic_patient(
        jax.random.key(seed), regions=REGIONS, shafts=SHAFTS, contacts=CONTACTS
    )
    program = epilepsy.seizure_program(patient, patient.seizures[0])
    cpu = time.process_time()
    tree = bayes.sample(
        program, key=jax.random.key(seed + 1000), method=METHOD, replicates=10, progress=False
    )
    cpu = time.process_time() - cpu
    diagnosis = bayes.diagnose(tree)
    draws = np.asarray(tree["posterior"]["excitability"]).reshape(-1, REGIONS)
    (likelihood,) = program.likelihoods.values()
    data = np.asarray(likelihood.measured)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return {
        "seed": seed,
        "true": [label in truth.epileptogenic for label in patient.regions],
        "centres": np.asarray(patient.connectome.centres).tolist(),
        "posterior": (draws > epilepsy.THRESHOLD).mean(axis=0).tolist(),
        "amplitude": classification.largest_amplitude(data, patient.gain).tolist(),
        "inside 90 %": ((low < truth.excitability) & (truth.excitability < high)).tolist(),
        "trusted": diagnosis.trusted,
        "numbers": diagnosis.numbers,
        "modes": int(tree["modes"].sizes["mode"]),
        "CPU s": cpu,
    }


def cases(rows: list[dict], scores: str) -> list[classification.Case]:
    made = []
    for row in rows:
        given = row[scores] if scores in row else [PRIOR] * REGIONS
        made.append(
            classification.Case(np.array(given), np.array(row["true"]), np.array(row["centres"]))
        )
    return made


def table(rows: list[dict]) -> list[str]:
    """For people."""
    methods = {
        "posterior": cases(rows, "posterior"),
        "prior alone": cases(rows, "prior"),
        "largest amplitude": cases(rows, "amplitude"),
    }
    good = [row for row in rows if row["numbers"]["R-hat"] < 1.05]
    compared = classification.compare(methods, generator=np.random.default_rng(0))
    least = [row["numbers"]["bulk ESS"] for row in rows]
    diverged = sum(row["numbers"]["divergences"] for row in rows)
    trusted, where = sum(row["trusted"] for row in rows), machine()
    lines = [
        "# Epileptogenic regions, found in synthetic patients",
        "",
        f"{len(rows)} synthetic patients of {REGIONS} regions (2 epileptogenic, 3 driven by them),",
        f"{SHAFTS * CONTACTS} contacts on {SHAFTS} shafts, log power of one seizure, weak prior",
        "N(-3, 1) in every region; found is what has a score above 0.5 (the posterior's and the",
        "prior's are P(excitability > -2.05); the amplitudes' is a share of the largest). With",
        "95 % intervals by bootstrap over patients. `hit`: one of the three highest is true;",
        "`distance`: of what is falsely found to the nearest true region, mm.",
        "",
        f"| by | average | {' | '.join(MEASURES)} |",
        f"|{' --- |' * (2 + len(MEASURES))}",
    ]
    for method in methods:
        for average in classification.AVERAGES:
            said = [_said(compared[name].sel(by=method, average=average)) for name in MEASURES]
            lines.append(f"| {method} | {average} | {' | '.join(said)} |")
    inside = np.mean([row["inside 90 %"] for row in rows])
    cpu = np.median([row["CPU s"] for row in rows])
    steps = np.median([row["numbers"]["steps a draw"] for row in rows])
    several = sum(row["modes"] > 1 for row in rows)
    lines += [
        "",
        f"{METHOD.chains} chains of {METHOD.warmup} + {METHOD.draws} draws each; median "
        f"{steps:.0f} steps a draw and {cpu:.0f} s of CPU in all, compilation included. R-hat is "
        f"below 1.05 for all numbers of {len(good)} patients; {several} posteriors have several "
        "modes. Patients whose chains do not agree count as the others do. The 90 % intervals "
        f"hold {inside:.1%} of the true excitabilities, which were not drawn from this prior. "
        f"{where['processor']}, {where['cores']} cores.",
        "",
        f"So few draws are too few to be trusted: `diagnose` passes {trusted} of {len(rows)}, bulk "
        f"ESS of the worst number is {min(least):.0f} to {max(least):.0f} (median "
        f"{np.median(least):.0f}), and {diverged:.0f} steps diverged in all. They "
        "are enough to say on which side of -2.05 a region is. The patients are of the same family "
        "of models that fits them, and are seen by three contacts for each region: real ones are "
        "harder, and this is an upper bound.",
    ]
    return lines


def _said(bounds) -> str:
    estimate, low, high = (float(bounds.sel(bound=name)) for name in ("estimate", "low", "high"))
    return "none" if np.isnan(estimate) else f"{estimate:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--patients", type=int, default=30)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    given = parser.parse_args()
    folder = BUILD / "classification"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first, given.first + given.patients):
        if seed in known(folder):
            continue
        one = found(seed)
        (folder / f"{seed}.json").write_text(json.dumps(one))
        shown = {name: one[name] for name in ("seed", "trusted", "modes", "CPU s", "numbers")}
        print(json.dumps(shown), flush=True)
    rows = [row for _, row in sorted(known(folder).items())]
    lines = table(rows)
    print("\n".join(lines))
    keep(NAME, {"machine": machine(), "rows": rows}, lines)


def known(folder: Path) -> dict[int, dict]:
    """By seed, the patients of the last results, and those that came since."""
    path = RESULTS / f"{NAME}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    rows += [json.loads(one.read_text()) for one in folder.glob("*.json")]
    return {row["seed"]: row for row in rows}


if __name__ == "__main__":
    tvbjax.tune_cpu()
    jax.config.update("jax_enable_x64", True)
    main()
