"""Whether posteriors of patients are calibrated: by chains, and amortised, on the model's own data.

Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788) of a network of 6 Epileptors seen
by 12 contacts, with the weak prior N(-3, 1) of every region's excitability, over one discharge: 200
truths are drawn from the prior, each makes a recording, and the truth's rank among draws of the
posterior must be uniform, and 50 % and 90 % intervals must hold half and nine tenths of them. The
same for an amortised posterior that saw 40,000 other recordings; and both on the same patients.

`python -m benchmarks.calibration [--count 200]` goes on where it was ended, and writes
benchmarks/results/calibration.json and calibration.md.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.stats
from numpyro import handlers

import tvbjax
from benchmarks.compare import BUILD, keep, machine
from tvbjax import bayes, forward, monitors
from tvbjax.bayes import epilepsy, likelihoods

REGIONS, CONTACTS, DURATION, EVERY = 6, 12, 8.0, 0.2
METHOD = bayes.Nuts(chains=2, warmup=300, draws=400)
SIMULATIONS, MODES = 40_000, 14
NAMES = [*(f"excitability[{i}]" for i in range(REGIONS)), "coupling", "amplitude", "noise"]
SITES = ("excitability", "coupling", "amplitude", "noise")
AGREEING = 3  # patients
LEVELS = (0.5, 0.9)


def program(data: np.ndarray | None = None) -> bayes.Program:
    """A patient; without data, of noise, which calibration puts others in the place of."""
    rng = np.random.default_rng(3)
    brain = tvbjax.datasets.synthetic_connectome(REGIONS, key=jax.random.key(0))
    brain = brain.without_self_connections().normalise()
    # All contacts see all regions, some of them well.
    matrix = rng.uniform(0.1, 1.0, (CONTACTS, REGIONS)) ** 2
    gain = forward.Gain(matrix, tuple(f"contact {i}" for i in range(CONTACTS)))
    if data is None:
        data = rng.normal(size=(round(DURATION / EVERY), CONTACTS))
    likelihood = likelihoods.Seeg(
        gain,
        data,
        amplitude=dist.LogNormal(0.0, 0.3),
        noise=dist.LogNormal(np.log(0.2), 0.3),
        offset=(0.0, 1.0),
        error=0.2,
    )
    return epilepsy.patient_program(
        epilepsy.network(brain, watch=monitors.SubSample(EVERY, ("x",))),
        likelihood,
        excitability=epilepsy.priors.uninformed(brain.labels),
        initial=epilepsy.NearSlowManifold(dist.Normal(3.8, 0.3)),
    )


def simulated(made: bayes.Program):
    """A function of a key: a truth from the prior, unbounded, and what is recorded of it, in the
    coordinates of the likelihood."""

    def draw(key):
        with handlers.trace() as trace, handlers.seed(rng_seed=key), handlers.uncondition():
            made()
        value = {name: site["value"] for name, site in trace.items() if "value" in site}
        positive = jnp.log(jnp.stack([value[name] for name in SITES[1:]]))
        return jnp.concatenate([value["excitability"], positive]), value["seeg"]

    return draw


def summaries(recorded):
    """Slow modes of what was recorded, and how large the fast ones are."""
    fast = jnp.log(jnp.sqrt(jnp.mean(recorded[..., MODES:, :] ** 2, axis=-2)))
    slow = recorded[..., :MODES, :].reshape(*recorded.shape[:-2], -1)
    return jnp.concatenate([slow, fast], axis=-1)


def learned(made: bayes.Program, count: int) -> bayes.Amortised:
    draw = jax.jit(jax.vmap(simulated(made)))
    keys = jax.random.split(jax.random.key(11), (count // 1000, 1000))
    parts = [draw(some) for some in keys]
    truths = np.concatenate([part[0] for part in parts])
    seen = np.concatenate([summaries(part[1]) for part in parts])
    return bayes.amortised.train(
        truths, seen, key=jax.random.key(12), names=NAMES, features=40, epochs=150, progress=False
    )


def amortised_calibration(made: bayes.Program, flow: bayes.Amortised, count: int):
    draw = jax.jit(simulated(made))

    def drawn(key):
        truth, recorded = draw(key)
        return truth, summaries(recorded)

    return bayes.simulation_based_calibration(
        drawn,
        lambda data, key: flow.sample(data, key, draws=99),
        count=count,
        key=jax.random.key(13),
        names=NAMES,
        progress=False,
    )


def agreement(made: bayes.Program, flow: bayes.Amortised, seed: int) -> dict:
    """Chains and flow on one patient: means by deviations of the chains', ratios of deviations, and
    the largest distance of distributions (Kolmogorov's)."""
    truth, recorded = jax.jit(simulated(made))(jax.random.key(seed))
    (likelihood,) = made.likelihoods.values()
    own = program(np.asarray(likelihood.as_measured(recorded)))
    tree = bayes.sample(own, key=jax.random.key(seed), method=bayes.Nuts(draws=500), progress=False)
    posterior = tree["posterior"]
    columns = [np.asarray(posterior["excitability"]).reshape(-1, REGIONS)]
    columns += [np.log(np.asarray(posterior[name])).reshape(-1, 1) for name in SITES[1:]]
    chains = np.concatenate(columns, axis=1)
    flows = np.asarray(flow.sample(summaries(recorded), jax.random.key(0), draws=4000))
    deviation = chains.std(axis=0)
    apart = [_distance(a, b) for a, b in zip(chains.T, flows.T, strict=True)]
    return {
        "truth": np.asarray(truth).tolist(),
        "trusted": bayes.diagnose(tree).trusted,
        "R-hat": bayes.diagnose(tree).numbers["R-hat"],
        "chains": [chains.mean(axis=0).tolist(), deviation.tolist()],
        "flow": [flows.mean(axis=0).tolist(), flows.std(axis=0).tolist()],
        "means apart": (np.abs(flows.mean(axis=0) - chains.mean(axis=0)) / deviation).tolist(),
        "deviations": (flows.std(axis=0) / deviation).tolist(),
        "distance": apart,
    }


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    found: Any = scipy.stats.ks_2samp(one, other)
    return float(found.statistic)


def told(calibration: bayes.Calibration) -> dict:
    cover = calibration.coverage
    return {
        "names": calibration.names,
        "data sets": len(calibration.ranks),
        "failures": {str(i): why for i, why in calibration.failures.items()},
        "wrong": calibration.wrong,
        "p of ranks, chi square": calibration.uniformity.chi_square.tolist(),
        "p of ranks, band": calibration.uniformity.ecdf.tolist(),
        "levels": cover.levels,
        "coverage": cover.shares.tolist(),
        "low": cover.low.tolist(),
        "high": cover.high.tolist(),
        "shrinkage": np.median(calibration.shrinkages, axis=0).tolist(),
        "summary": calibration.summary(),
    }


def rows_of(what: str, one: dict) -> list[str]:
    lines = []
    for i, name in enumerate(one["names"]):
        p = min(1.0, 2 * min(one["p of ranks, chi square"][i], one["p of ranks, band"][i]))
        cells = []
        for level in LEVELS:
            j = list(one["levels"]).index(level)
            share, low, high = (one[key][j][i] for key in ("coverage", "low", "high"))
            cells.append(f"{share:.1%} ({low:.1%} to {high:.1%})")
        lines.append(f"| {what} | {name} | {p:.2g} | {' | '.join(cells)} |")
    return lines


def table(chains: dict, flow: dict, both: list[dict], seconds: dict) -> list[str]:
    """For people."""
    where = machine()
    lines = [
        "# Calibration of posteriors, by chains and amortised",
        "",
        f"{REGIONS} Epileptors, {CONTACTS} contacts, {DURATION:g} ms, weak prior N(-3, 1); data",
        "from the model itself, its errors and noise included. By chains: "
        f"{METHOD.chains} of {METHOD.warmup} + {METHOD.draws} draws, thinned",
        f"to 100 that are independent. Amortised: a flow trained on {SIMULATIONS:,} other",
        "recordings. p of the ranks: twice the smaller one of a chi square test and of the band of",
        "the ranks' distribution; all parameters are judged together (Bonferroni's correction).",
        "Coverage with 95 % intervals. Of the coupling contacts tell next to nothing in so short a",
        f"time: that it is calibrated is no finding. {where['processor']}, {where['cores']} cores.",
        "",
        "| posterior | parameter | p of the ranks | in 50 % | in 90 % |",
        "| --- | --- | --- | --- | --- |",
        *rows_of("chains", chains),
        *rows_of("amortised", flow),
        "",
    ]
    for what, one in (("Chains", chains), ("Amortised", flow)):
        inside = [np.mean(one["coverage"][list(one["levels"]).index(level)]) for level in LEVELS]
        wrong = ", ".join(one["wrong"]) or "none"
        lines.append(
            f"{what}: {one['data sets']} data sets, {len(one['failures'])} failed; over all "
            f"parameters 50 % intervals hold {inside[0]:.1%}, 90 % {inside[1]:.1%}; ranks are not "
            f"uniform for: {wrong}. {seconds[what.lower()]:.0f} s. "
            + one["summary"].splitlines()[-1].split(" number ")[0].rstrip("; ").rstrip(".")
            + "."
        )
        lines += [f"Data set {i} failed: {why}" for i, why in one["failures"].items()]
    lines += [
        "",
        "Both on the same patients. How far apart their means are, in deviations of the chains',",
        "and the ratio of the flow's deviation to the chains':",
        "",
        f"| patient | {' | '.join(NAMES)} | distributions (Kolmogorov), mean |",
        f"|{' --- |' * (2 + len(NAMES))}",
    ]
    for i, one in enumerate(both):
        pairs = zip(one["means apart"], one["deviations"], strict=True)
        cells = [f"{apart:.2f}, {ratio:.2f}" for apart, ratio in pairs]
        note = "" if one["trusted"] else f" (chains not trusted: R-hat {one['R-hat']:.3f})"
        lines.append(f"| {i}{note} | {' | '.join(cells)} | {np.mean(one['distance']):.2f} |")
    regional = np.array([one["means apart"][:REGIONS] for one in both])
    wider = np.array([one["deviations"][:REGIONS] for one in both])
    lines += [
        "",
        f"Excitabilities agree: means are {regional.max():.2f} deviations apart at most, "
        f"{regional.mean():.2f} on average, and the flow's deviations are {wider.min():.2f} to "
        f"{wider.max():.2f} times the chains'. Amplitude and noise agree less well: the flow is",
        "given summaries of the recording, not all of it, and has wider posteriors of them. Each",
        "is calibrated for what it was given.",
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    made, seconds = program(), {}
    began = time.perf_counter()
    chains = bayes.calibrate(
        made,
        key=jax.random.key(10),
        count=given.count,
        of=SITES,
        method=METHOD,
        starts=8,
        checkpoint=BUILD / "calibration.npz",
    )
    seconds["chains"] = time.perf_counter() - began
    print(chains)
    began, path = time.perf_counter(), BUILD / "calibration-flow.npz"
    flow = bayes.load_amortised(path) if path.exists() else learned(made, SIMULATIONS)
    flow.save(path)
    calibrated = amortised_calibration(made, flow, 5 * given.count)
    seconds["amortised"] = time.perf_counter() - began
    print(calibrated)
    both = [agreement(made, flow, 100 + seed) for seed in range(AGREEING)]
    whole = {"chains": told(chains), "amortised": told(calibrated), "agreement": both}
    lines = table(whole["chains"], whole["amortised"], both, seconds)
    print("\n".join(lines))
    keep("calibration", {"machine": machine(), "seconds": seconds} | whole, lines)


if __name__ == "__main__":
    tvbjax.tune_cpu()
    jax.config.update("jax_enable_x64", True)
    main()
