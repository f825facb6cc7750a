"""Draws of posteriors against closed forms; modes; checkpoints; diagnoses."""

import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

from bayes_models import DESIGN, exact, regression, two_humps
from tvbjax import bayes
from tvbjax_inference.bayes.checkpoint import Checkpoint
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.modes import find_modes
from tvbjax_inference.bayes.nuts import _Chains

QUICK = bayes.Nuts(chains=4, warmup=200, draws=500, block=100)


@pytest.fixture(scope="module")
def tree():
    return bayes.sample(regression, key=jax.random.key(0), method=QUICK, progress=False)


def test_draws_have_the_exact_mean_and_covariance(tree):
    mean, covariance, _ = exact()
    draws = np.asarray(tree["posterior"]["slopes"]).reshape(-1, 3)
    deviation = np.sqrt(np.diag(covariance))
    # At least 1,000 of the 2,000 draws are effective: 4 deviations of the estimates.
    assert np.abs(draws.mean(axis=0) - mean).max() < (4.0 * deviation / np.sqrt(1000)).max()
    assert np.allclose(
        np.cov(draws.T), covariance, atol=4 * np.sqrt(2 / 1000) * deviation.max() ** 2
    )


def test_the_tree_has_what_arviz_looks_for(tree):
    groups = {"posterior", "posterior_predictive", "prior", "prior_predictive", "sample_stats"}
    assert groups <= set(tree.children)
    assert tree["posterior"]["slopes"].dims[:2] == ("chain", "draw")
    replicated = np.asarray(tree["posterior_predictive"]["data"])
    mean, covariance, _ = exact()
    expected = np.sqrt(np.diag(DESIGN @ covariance @ DESIGN.T) + 0.3**2)
    found = (replicated - (DESIGN @ mean).astype(np.float32)).std(axis=(0, 1))
    assert found == pytest.approx(expected, rel=0.35)
    prior = np.asarray(tree["prior"]["slopes"])
    assert prior.std() == pytest.approx(1.0, rel=0.1)


def test_a_diagnosis_finds_nothing_wrong_with_good_draws(tree):
    found = bayes.diagnose(tree)
    assert found.trusted, str(found)
    assert float(found.table["slopes"].sel(measure="rhat").max()) < 1.01
    assert "No sign of trouble" in str(found)
    assert found.verdict.startswith("No sign of trouble with the draws (R-hat 1.0")


def test_newton_ends_at_the_mode_and_its_curvature():
    (mode,) = find_modes(flat_of(regression), jax.random.key(0), starts=2)
    mean, covariance, evidence = exact()
    np.testing.assert_allclose(mode.position, mean, rtol=1e-6)
    np.testing.assert_allclose(mode.covariance, covariance, rtol=1e-8)
    assert mode.converged
    # The evidence of a normal model is exact by Laplace's method.
    assert mode.log_evidence == pytest.approx(evidence, rel=1e-8)


def test_a_search_that_begins_at_a_saddle_ends_at_a_mode():
    def symmetric():
        x = numpyro.sample("x", dist.Normal(0.0, 10.0))
        numpyro.factor("humps", jnp.logaddexp(-((x - 3.0) ** 2), -((x + 3.0) ** 2)))

    # The only start is the prior's median, between the humps, where the gradient is 0.
    (mode,) = find_modes(flat_of(symmetric), jax.random.key(0), starts=1)
    assert abs(mode.position) == pytest.approx(3.0 / 1.005, rel=1e-6) and mode.converged


def test_all_modes_are_found_and_told():
    tree = bayes.sample(
        two_humps,
        key=jax.random.key(1),
        method=bayes.Nuts(4, 100, 200, jumps=0),
        starts=8,
        progress=False,
    )
    assert tree["modes"].sizes["mode"] == 2
    assert np.asarray(tree["modes"]["reached"]).sum() == 1.0
    found = bayes.diagnose(tree)
    assert not found.trusted
    assert any("2 modes" in problem for problem in found.problems)
    assert found.verdict.startswith("The draws are not to be trusted") and "\n" not in found.verdict
    assert any("R-hat" in problem for problem in found.problems)


def test_chains_jump_between_modes_as_often_as_they_weigh():
    tree = bayes.sample(
        two_humps, key=jax.random.key(1), method=bayes.Nuts(4, 100, 500), starts=8, progress=False
    )
    drawn = np.asarray(tree["posterior"]["x"])
    # Jumps of ten tries a draw make draws nearly independent: 4 deviations of 1,500 of them.
    assert (drawn > 0).mean() == pytest.approx(2 / 3, abs=4 * np.sqrt(2 / 9 / 1500))
    for side, centre in ((drawn > 0, 3.0), (drawn < 0, -3.0)):
        assert drawn[side].mean() == pytest.approx(centre, abs=0.03)
        assert drawn[side].std() == pytest.approx(0.2, rel=0.1)
    found = bayes.diagnose(tree)
    assert found.trusted, str(found)
    assert found.numbers["least jumps of a chain"] > 100


def test_jumps_between_modes_of_other_widths_keep_their_masses():
    def wide_and_narrow():
        x = numpyro.sample("x", dist.Normal(0.0, 100.0).expand((2,)).to_event())
        # A quarter of the mass at -10 with deviations 0.1 and 3, the rest at 10 with 2 and 0.5.
        narrow = dist.Normal(jnp.array([-10.0, 0.0]), jnp.array([0.1, 3.0])).log_prob(x).sum()
        wide = dist.Normal(jnp.array([10.0, 5.0]), jnp.array([2.0, 0.5])).log_prob(x).sum()
        parts = jnp.stack([narrow + jnp.log(0.25), wide + jnp.log(0.75)])
        numpyro.factor("parts", jax.nn.logsumexp(parts))

    tree = bayes.sample(
        wide_and_narrow,
        key=jax.random.key(2),
        method=bayes.Nuts(4, 100, 500),
        starts=8,
        progress=False,
    )
    drawn = np.asarray(tree["posterior"]["x"])
    right = drawn[..., 0] > 0
    assert right.mean() == pytest.approx(0.75, abs=4 * np.sqrt(3 / 16 / 1000))
    assert drawn[right].std(axis=0) == pytest.approx([2.0, 0.5], rel=0.1)
    assert drawn[~right].std(axis=0) == pytest.approx([0.1, 3.0], rel=0.15)


def test_single_precision_is_refused():
    flat, key = flat_of(two_humps), jax.random.key(0)

    def never():
        raise AssertionError("the model was looked at")

    for search in (
        lambda: find_modes(flat, key, 1),
        lambda: bayes.sample(never, key=key),
        lambda: bayes.calibrate(never, key=key),
    ):
        with jax.enable_x64(False), pytest.raises(ValueError, match="single precision"):
            search()


def test_a_killed_run_goes_on_with_equal_draws(tmp_path):
    method = bayes.Nuts(chains=2, warmup=60, draws=80, block=30)
    key, path = jax.random.key(3), tmp_path / "chains.npz"
    whole = bayes.sample(regression, key=key, method=method, progress=False)

    class Killed(Exception):
        pass

    kept = []

    def killed_after_two_blocks(self, state, draws):
        keep(self, state, draws)
        kept.append(draws)
        if len(kept) == 3:
            raise Killed

    keep = Checkpoint.keep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "keep", killed_after_two_blocks)
        with pytest.raises(Killed):
            bayes.sample(regression, key=key, method=method, checkpoint=path, progress=False)
    resumed = bayes.sample(regression, key=key, method=method, checkpoint=path, progress=False)
    for group in ("posterior", "sample_stats", "posterior_predictive", "prior"):
        xr.testing.assert_identical(whole[group].to_dataset(), resumed[group].to_dataset())


def test_chains_side_by_side_draw_as_chains_by_themselves():
    """As on a GPU, where all are one call. Only the first draws are equal: the two programs round
    differently, and a last bit decides in the end whether a tree goes on, or which of its states is
    the draw."""
    flat, method = flat_of(regression), bayes.Nuts(chains=2, warmup=100, draws=600)
    modes = find_modes(flat, jax.random.key(0), starts=1)
    mean, covariance, _ = exact()
    found = []
    for together in (False, True):
        chains = _Chains(flat, modes, method)
        chains.together = together
        states, blocks = chains.begin(jax.random.key(5)), []
        for _ in range(7):
            states, draws = chains.advance(states, 100)
            blocks.append(draws)
        found.append(blocks[0])
        drawn = np.concatenate([block["numbers"] for block in blocks[1:]], axis=1).reshape(-1, 3)
        # Of the 1,200 draws 600 at least are effective: 4 deviations of the estimates.
        deviation = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose((drawn.mean(axis=0) - mean) / deviation, 0, atol=4 / 600**0.5)
        np.testing.assert_allclose(drawn.std(axis=0) / deviation, 1, atol=4 / (2 * 600) ** 0.5)
    apart, beside = found
    for name in ("numbers", "n_steps", "step_size", "energy"):
        np.testing.assert_allclose(beside[name][:, :8], apart[name][:, :8], rtol=1e-8, atol=1e-8)
    # Chains do not follow one another.
    assert np.abs(apart["numbers"][0] - apart["numbers"][1]).max(axis=1).min() > 1e-3


FIT = """
import sys
import jax
import numpy as np
import numpyro.distributions as dist
import tvbjax
from tvbjax import Free, Positive, Real, bayes, coupling, forward, integrators, monitors, ties

jax.config.update("jax_enable_x64", True)
weights = np.array([[0.0, 0.5, 1.0], [0.2, 0.0, 0.3], [0.7, 0.4, 0.0]])
simulator = tvbjax.Simulator(
    model=tvbjax.lems.load("Epileptor2DSmooth"),
    connectome=tvbjax.Connectome(weights, np.zeros((3, 3)), labels=("rA", "rB", "rC")),
    coupling=coupling.Difference(a=1.0),
    integrator=integrators.Euler(dt=0.1),
    monitors=(monitors.SubSample(0.2, "x"),),
)
gain = forward.Gain(np.random.default_rng(0).uniform(0.1, 1.0, (2, 3)), ("A1", "A2"))
initial = [[-2.0, -1.8, -1.6], [3.6, 3.5, 3.4]]
made = tvbjax.simulate(simulator, 4.0, initial=initial, progress=False)
data = made["subsample"].values[:, 0] @ np.asarray(gain.matrix).T
data += 0.2 * np.random.default_rng(1).normal(size=data.shape)
program = bayes.program(
    simulator,
    {
        "excitability": Free(lambda s: s.model.params["eta"], Real(), tie=ties.Regional()),
        "coupling": Free(lambda s: s.coupling.a, Positive()),
    },
    bayes.likelihoods.Seeg(gain, data, noise=0.2, error=0.1),
    priors={"excitability": dist.Normal(-2.0, 0.4)},
    initial=initial,
)
tree = bayes.sample(
    program,
    key=jax.random.key(2),
    method=bayes.Nuts(chains=2, warmup=60, draws=140, max_tree_depth=5, block=5),
    starts=1,
    replicates=20,
    checkpoint=sys.argv[2] if len(sys.argv) > 2 else None,
    progress=False,
)
groups = {name: one.to_dataset() for name, one in tree.children.items()}
arrays = {f"{group}/{n}": np.asarray(x) for group, one in groups.items() for n, x in one.items()}
np.savez(sys.argv[1], **arrays)
"""


def draws_in(checkpoint):
    """How many a chain has; a file is replaced as a whole, so that there is never half of one."""
    if not checkpoint.exists():
        return 0
    with open(checkpoint, "rb") as raw, np.load(raw) as file:
        return file["draw_numbers"].shape[1] if "draw_numbers" in file else 0


@pytest.mark.slow
def test_a_program_that_was_killed_goes_on_in_another_process(tmp_path):
    """SIGKILL, which no program hears of, after three blocks or more of forty."""
    script, checkpoint = tmp_path / "fit.py", tmp_path / "chains.npz"
    script.write_text(FIT)
    call = [sys.executable, str(script)]
    killed = subprocess.Popen([*call, str(tmp_path / "never.npz"), str(checkpoint)])
    try:
        while draws_in(checkpoint) < 15:
            assert killed.poll() is None, "it ended before it was killed"
            time.sleep(0.02)
    finally:
        killed.kill()
    assert killed.wait() == -signal.SIGKILL
    kept = draws_in(checkpoint)
    assert 15 <= kept < 200 and not (tmp_path / "never.npz").exists()
    for name, more in (("resumed", [str(checkpoint)]), ("whole", [])):
        subprocess.run([*call, str(tmp_path / f"{name}.npz"), *more], check=True)
    found = []
    for name in ("resumed", "whole"):
        with np.load(tmp_path / f"{name}.npz") as file:
            found.append(dict(file))
    resumed, whole = found
    assert set(resumed) == set(whole) and "posterior/excitability" in whole
    assert whole["posterior/excitability"].shape == (2, 140, 3)
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values, err_msg=name)


def test_another_posteriors_checkpoint_is_refused(tmp_path):
    method, path = bayes.Nuts(chains=1, warmup=10, draws=10), tmp_path / "chains.npz"
    bayes.sample(regression, key=jax.random.key(0), method=method, checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="another posterior"):
        bayes.sample(two_humps, key=jax.random.key(0), method=method, checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged"):
        bayes.sample(regression, key=jax.random.key(0), method=method, checkpoint=path)


def stats_tree(**stats):
    rng = np.random.default_rng(0)
    posterior = xr.Dataset({"x": (("chain", "draw"), rng.normal(size=(4, 1000)))})
    given = {"diverging": np.zeros((4, 1000), bool)} | stats
    of_draws = xr.Dataset({name: (("chain", "draw"), value) for name, value in given.items()})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": of_draws})


def walk(seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=(4, 1000)), axis=1)


@pytest.mark.parametrize(
    "stats, word",
    [
        ({"diverging": np.arange(4000).reshape(4, 1000) == 7}, "1 steps diverged"),
        ({"reached_max_tree_depth": np.ones((4, 1000), bool)}, "greatest depth"),
        ({"energy": walk()}, "E-BFMI"),
    ],
)
def test_a_diagnosis_says_what_is_wrong(stats, word):
    found = bayes.diagnose(stats_tree(**stats))
    assert not found.trusted
    assert word in found.problems[0]


def test_draws_above_the_best_mode_tell_of_a_search_that_missed_it():
    tree = stats_tree(lp=np.full((4, 1000), -3.0) + np.arange(4)[:, None])
    modes = {"log_density": -1.0, "log_evidence": 0.0, "converged": True, "reached": 0.25}
    tree["modes"] = xr.Dataset({name: ("mode", [one]) for name, one in modes.items()})
    found = bayes.diagnose(tree)
    assert "1 nats above the best mode" in found.problems[0]
    assert found.numbers["starts at the best mode"] == 0.25
    tree["modes"] = tree["modes"].to_dataset().assign(log_density=("mode", [1.0]))
    assert bayes.diagnose(tree).trusted


def modes_of(log_evidence):
    count = len(log_evidence)
    values = {"log_density": -np.arange(1.0, 1 + count), "converged": np.ones(count, bool)}
    values["log_evidence"] = np.array(log_evidence)
    return xr.Dataset({name: ("mode", array) for name, array in values.items()})


def test_modes_between_which_chains_hardly_went_are_told():
    seldom = stats_tree(jumped=np.arange(4000).reshape(4, 1000) % 300 == 0)
    # Chains begin about both, and are in one distribution: they went by themselves.
    seldom["modes"] = modes_of([0.0, -1.0])
    assert bayes.diagnose(seldom).trusted
    # Of five modes one had no chain.
    seldom["modes"] = modes_of([0.0, -1.0, -20.0, -20.0, -20.0])
    (said,) = bayes.diagnose(seldom).problems
    assert "5 modes" in said and "0.73, 0.27" in said and "hardly went" in said
    # Chains are in two distributions.
    apart = np.asarray(seldom["posterior"]["x"]) + np.array([[0.0], [9.0], [0.0], [9.0]])
    seldom["posterior"] = xr.Dataset({"x": (("chain", "draw"), apart)})
    seldom["modes"] = modes_of([0.0, -1.0])
    assert "2 modes" in str(bayes.diagnose(seldom)) and "R-hat is" in str(bayes.diagnose(seldom))
    often = stats_tree(jumped=np.ones((4, 1000), int))
    often["modes"] = modes_of([0.0, -1.0, -20.0, -20.0, -20.0])
    assert bayes.diagnose(often).trusted


def test_particles_that_agree_need_no_jumps():
    tree = stats_tree(log_evidence=np.zeros((4, 1000)))
    tree["modes"] = modes_of([0.0, -1.0, -2.0, -3.0, -4.0])
    assert bayes.diagnose(tree).trusted


def test_chains_that_did_not_meet_are_named():
    tree = stats_tree()
    tree["posterior"] = xr.Dataset({"x": (("chain", "draw"), walk())})
    said = str(bayes.diagnose(tree))
    assert "R-hat is" in said and "'x'" in said and "effective draws" in said


def discrete():
    numpyro.sample("which", dist.Poisson(3.0))


def nothing_unknown():
    numpyro.sample("data", dist.Normal(0.0, 1.0), obs=1.0)


def impossible():
    x = numpyro.sample("x", dist.Normal(0.0, 1.0))
    numpyro.factor("never", jnp.where(jnp.asarray(x) > 1e9, 0.0, -jnp.inf))


@pytest.mark.parametrize(
    "model, message",
    [
        (discrete, "'which' is discrete"),
        (nothing_unknown, "no unknown"),
        (impossible, "no finite number at any of 2 starts"),
        (3, "the model is 3"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_models_that_cannot_be_sampled_are_named(model, message):
    with pytest.raises((ValueError, TypeError), match=message):
        bayes.sample(model, key=jax.random.key(0), starts=2, progress=False)
