"""Regions of a posterior: probabilities against counts, onsets against single runs, correlations
against NumPy's, hidden regions against the null space of a gain made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from patients import LABELS, TRUTH, posterior_about, small_patient
from tvbjax import simulate
from tvbjax.forward import Gain
from tvbjax_inference.bayes import epilepsy
from tvbjax_inference.bayes.epilepsy.runs import chosen_draws, onsets, watched


@pytest.fixture(scope="module")
def program():
    return small_patient()


@pytest.fixture(scope="module")
def tree():
    return posterior_about(TRUTH, LABELS)


@pytest.fixture(scope="module")
def runs(program, tree):
    return epilepsy.activity(program, tree, draws=12, seed=3, duration=30.0)


def test_onsets_are_those_of_single_runs(program):
    """All draws, in the order of chains: each against a run by itself, read in plain NumPy."""
    few = posterior_about(TRUTH, LABELS, deviation=0.1, draws=2)
    found = epilepsy.activity(program, few, duration=30.0)
    assert found.sizes == {"draw": 4, "region": 5}
    posterior = few["posterior"].to_dataset()
    sites = ("excitability", "coupling", "permittivity", "initial_away")
    for number, (chain, draw) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        one = posterior.isel(chain=chain, draw=draw)
        simulator, initial = program.begun({n: jnp.asarray(one[n].values) for n in sites})
        x = simulate(simulator, 30.0, initial=initial, progress=False)["raw"].values[:, 0]
        above = np.vstack([np.asarray(initial)[:1], x]) > 0
        expected = np.where(above.any(axis=0), above.argmax(axis=0) * 0.1, np.nan)
        np.testing.assert_allclose(found["onset"][number], expected, rtol=1e-12)


def test_the_seizure_starts_in_its_source_and_spreads_to_what_it_drives(runs):
    assert runs["recruited"].values[:, :3].all() and not runs["recruited"].values[:, 3:].any()
    onset = runs["onset"].values
    assert (onset[:, 1] > onset[:, 0]).all() and np.isnan(onset[:, 3:]).all()


def test_a_discharge_from_the_beginning_starts_at_zero(program):
    simulator = watched(program).simulator
    begun = np.array([[-1.9] * 5, [3.6] * 5])
    begun[0, 3] = 0.5
    found = jax.jit(lambda x: onsets(simulator, x, None, 5.0))(begun)
    assert float(found[3]) == 0.0 and (np.delete(np.asarray(found), 3) > 0).all()


def test_draws_are_chosen_by_their_seed(tree):
    """Without putting back, so that all differ, and by the same draws for all sites."""
    names = ("coupling", "excitability")
    one, same, other = (chosen_draws(tree, names, 40, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one["coupling"], same["coupling"])
    assert len(np.unique(one["coupling"])) == 40
    assert not np.array_equal(one["coupling"], other["coupling"])
    posterior = tree["posterior"].to_dataset().stack(every=("chain", "draw"))
    for coupling, excitability in zip(one["coupling"], one["excitability"], strict=True):
        place = int(np.argmin(np.abs(posterior["coupling"].values - float(coupling))))
        np.testing.assert_array_equal(excitability, posterior["excitability"].values[:, place])


def test_a_summary_counts(tree, runs):
    found = epilepsy.summary(tree, runs, level=0.8)
    draws = tree["posterior"]["excitability"].values.reshape(-1, 5)
    before = tree["prior"]["excitability"].values.reshape(-1, 5)
    np.testing.assert_allclose(found["epileptogenic"], (draws > -2.05).mean(axis=0))
    np.testing.assert_allclose(found["low"], np.quantile(draws, 0.1, axis=0))
    np.testing.assert_allclose(found["high"], np.quantile(draws, 0.9, axis=0))
    np.testing.assert_allclose(found["shrinkage"], 1 - draws.var(axis=0) / before.var(axis=0))
    assert found["epileptogenic"].values.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    # 0.2 % of the prior is above the threshold; 500 draws have it within four deviations.
    share = norm.sf(-2.05, -3.2, 0.4)
    assert (abs(found["prior"] - share) < 4 * np.sqrt(share / 500)).all()
    np.testing.assert_allclose(found["recruited"], [1, 1, 1, 0, 0])
    np.testing.assert_allclose(found["onset"][:3], np.median(runs["onset"], axis=0)[:3])
    assert np.isnan(found["onset"][3:]).all()


def test_the_second_definition_is_about_time(tree, runs):
    onset = runs["onset"].values
    gap = float((onset[:, 1] - onset[:, 0]).min())
    early = epilepsy.summary(tree, runs, within=gap / 2)["early"].values
    assert early.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert epilepsy.summary(tree, runs, within=100.0)["early"].values.tolist() == [1, 1, 1, 0, 0]


def test_a_region_whose_posterior_is_its_prior_is_unknown():
    tree = posterior_about(TRUTH, LABELS, draws=250)
    chosen = {"region": "e"}
    prior = tree["prior"]["excitability"].loc[chosen].values.reshape(2, 250)
    tree["posterior"]["excitability"].loc[chosen] = prior
    # As wide as the prior but elsewhere: that is known.
    tree["posterior"]["excitability"].loc[{"region": "b"}] = prior + 1.5
    found = epilepsy.summary(tree)
    assert found["known"].values.tolist() == [True, True, True, True, False]
    assert float(found["shrinkage"][4]) == pytest.approx(0.0, abs=1e-12)
    rows = epilepsy.cells(found)
    assert rows[1][0] == "a" and rows[-1][0] == "e" and rows[-1][-1] == "no: as the prior"


def test_a_table_is_aligned_and_sorted(tree, runs):
    lines = epilepsy.to_table(epilepsy.summary(tree, runs), most=3).splitlines()
    assert len(lines) == 4 and lines[1].startswith("a ") and "P(recruited)" in lines[0]
    place = lines[0].index("prior")
    assert all(line[place - 1] == " " and line[place] != " " for line in lines)


def test_correlations_are_numpys_and_are_said():
    tree = posterior_about(TRUTH, LABELS, draws=200, deviation=0.3)
    posterior = tree["posterior"].to_dataset()
    values, coupling = posterior["excitability"], posterior["coupling"].values
    values.loc[{"region": "c"}] = -values.sel(region="b").values - 5.0
    values.loc[{"region": "d"}] = 10.0 * coupling - 13.5
    found = epilepsy.correlations(tree)
    flat = values.values.reshape(-1, 5)
    np.testing.assert_allclose(found.regions, np.corrcoef(flat.T), atol=1e-12)
    expected = np.corrcoef(flat.T, coupling.ravel())[5, :5]
    np.testing.assert_allclose(found.others["coupling"], expected, atol=1e-12)
    assert len(found.said) == 2
    assert "excitability of d and the coupling" in found.said[0]
    assert "b and c cannot be told apart (r = -1.00)" in found.said[1]
    # Where each is known well by itself, nothing is said.
    tree["prior"] = (
        tree["prior"].to_dataset().assign(excitability=10.0 * tree["prior"]["excitability"])
    )
    assert epilepsy.correlations(tree).said == ()


def test_what_no_channel_sees_is_unresolved():
    """One channel sees the sum of two sources, another a third source faintly."""
    gain = Gain(np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.0]]), ("A", "B"))
    seen = epilepsy.unresolved(gain, noise=0.05)
    np.testing.assert_allclose(seen, [16 / 25, 9 / 25, 0.0, 1.0], atol=1e-12)
    noisy = epilepsy.unresolved(gain, noise=0.5)
    np.testing.assert_allclose(noisy, [16 / 25, 9 / 25, 1.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(epilepsy.unresolved(gain, noise=0.5, samples=100), seen)


def test_what_does_not_fit_is_told(program, tree, without_type_checks):
    with pytest.raises(ValueError, match="no group 'prior'; give what tvbjax.bayes.sample"):
        epilepsy.summary(tree.filter(lambda node: node.name != "prior"))
    with pytest.raises(ValueError, match="has no 'excitability'; it has coupling"):
        bare = tree.copy()
        bare["posterior"] = bare["posterior"].to_dataset()[["coupling"]]
        epilepsy.summary(bare)
    with pytest.raises(ValueError, match="region 3 is 'x' in the tree and 'd' in the program"):
        epilepsy.activity(program, posterior_about(TRUTH, tuple("abcxe")))
    with pytest.raises(ValueError, match="the tree has 4 regions and the program 5; give the"):
        epilepsy.activity(program, posterior_about(TRUTH[:4], LABELS[:4]))
    with pytest.raises(ValueError, match="level is 1; give a probability below 1"):
        epilepsy.summary(tree, level=1.0)
    with pytest.raises(TypeError, match="activity: program is 'p'"):
        epilepsy.activity("p", tree)  # type: ignore[arg-type]
