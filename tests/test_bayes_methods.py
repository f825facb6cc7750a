"""Tempered particles and normal approximations, against closed forms."""

import sys

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

from bayes_models import exact, regression, two_humps
from tvbjax import bayes


def test_tempered_particles_have_the_exact_moments_and_evidence():
    method = bayes.Tempered(populations=2, particles=400, moves=3)
    tree = bayes.sample(regression, key=jax.random.key(0), method=method, progress=False)
    mean, covariance, evidence = exact()
    draws = np.asarray(tree["posterior"]["slopes"]).reshape(-1, 3)
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(axis=0) - mean) / deviation).max() < 4 / np.sqrt(300)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.35 * deviation.max() ** 2)
    # Its deviation between populations of this size is about 0.1.
    found = np.asarray(tree["sample_stats"]["log_evidence"])[:, 0]
    assert found == pytest.approx(evidence, abs=0.5)


def test_tempered_particles_find_both_modes_in_their_shares():
    method = bayes.Tempered(populations=2, particles=1000, moves=3)
    tree = bayes.sample(two_humps, key=jax.random.key(1), method=method, progress=False)
    x = np.asarray(tree["posterior"]["x"])
    # Counts of 2,000 particles that came from the prior's 90 or so near the modes.
    assert (x > 0).mean() == pytest.approx(2 / 3, abs=0.15)
    assert np.abs(np.abs(x) - 3.0).max() < 1.2


@pytest.mark.slow
def test_tempering_goes_on_with_equal_particles(tmp_path):
    method = bayes.Tempered(populations=1, particles=50, moves=1)
    key, path = jax.random.key(2), tmp_path / "particles.npz"
    whole = bayes.sample(regression, key=key, method=method, progress=False)
    bayes.sample(regression, key=key, method=method, checkpoint=path, progress=False)
    again = bayes.sample(regression, key=key, method=method, checkpoint=path, progress=False)
    np.testing.assert_array_equal(whole["posterior"]["slopes"], again["posterior"]["slopes"])


def test_a_normal_posterior_is_approximated_well():
    method = bayes.Variational(steps=300)
    tree = bayes.sample(regression, key=jax.random.key(0), method=method, progress=False)
    mean, covariance, _ = exact()
    draws = np.asarray(tree["posterior"]["slopes"]).reshape(-1, 3)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.25 * covariance.max() ** 0.5)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.3 * covariance.max())
    found = bayes.diagnose(tree)
    assert found.numbers["Pareto k"] < 0.7
    assert "one chain" in str(found)


def test_an_approximation_that_misses_a_mode_is_told():
    method = bayes.Variational(steps=50)
    tree = bayes.sample(two_humps, key=jax.random.key(0), method=method, starts=8, progress=False)
    assert any("2 modes" in problem for problem in bayes.diagnose(tree).problems)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: bayes.Tempered(particles=0), "particles is 0"),
        (lambda: bayes.Tempered(share=1.0), "share is 1.0"),
        (lambda: bayes.Variational(learning_rate=0.0), "learning_rate is 0.0"),
        (lambda: bayes.Nuts(target_accept=1.0), "target_accept is 1.0"),
        (lambda: bayes.Nuts(chains=0), "chains is 0"),
    ],
)
def test_bad_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_tempering_without_blackjax_is_told_when_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(ModuleNotFoundError, match=r"blackjax: pip install 'tvbjax\[bayes\]'"):
        bayes.Tempered()


def steep():
    """Nearly normal at its mode, and with walls of the fourth power at once."""
    x = numpyro.sample("x", dist.Normal(0.0, 1.0))
    numpyro.factor("walls", -1e7 * x**4)


def test_an_approximation_that_is_far_off_cannot_stand_for_the_posterior():
    method = bayes.Variational(draws=400, steps=1)
    tree = bayes.sample(steep, key=jax.random.key(0), method=method, starts=1, progress=False)
    assert np.ptp(np.asarray(tree["sample_stats"]["log_weight"])) > 1e5
    found = bayes.diagnose(tree)
    assert found.numbers["Pareto k"] == np.inf
    assert "cannot stand for the posterior; draw with Nuts()" in str(found)


def weighed(log_weights):
    x = np.random.default_rng(1).normal(size=(1, len(log_weights)))
    draws = xr.Dataset({"x": (("chain", "draw"), x)})
    stats = xr.Dataset({"log_weight": (("chain", "draw"), log_weights[None])})
    return bayes.diagnose(xr.DataTree.from_dict({"posterior": draws, "sample_stats": stats}))


@pytest.mark.parametrize("deviation", [0.4, 0.7])
def test_pareto_k_of_a_narrower_normal_is_that_in_closed_form(deviation):
    """Of N(0, 1) by draws of N(0, s), weights are above t with a probability like
    t^(-1 / (1 - s^2)): their shape is 1 - s^2."""
    x = deviation * np.random.default_rng(0).normal(size=100_000)
    found = weighed(0.5 * x**2 * (1.0 / deviation**2 - 1.0))
    assert found.numbers["Pareto k"] == pytest.approx(1.0 - deviation**2, abs=0.1)
    assert ("misses a part of it" in str(found)) == (deviation == 0.4)


@pytest.mark.parametrize(
    "log_weights, message",
    [
        (np.where(np.arange(400) < 397, -np.inf, 0.0), "a few draws count"),
        (3000.0 * np.random.default_rng(0).normal(size=400), "a few draws count"),
        (np.where(np.arange(400) == 7, np.nan, 0.0), "At 1 of 400 draws"),
        (np.linspace(0.0, 1.0, 24), "24 draws are too few"),
    ],
)
def test_weights_that_say_nothing_are_told(log_weights, message):
    assert message in str(weighed(log_weights))


def test_equal_weights_are_no_trouble():
    found = weighed(np.full(400, -3.0))
    assert found.numbers["Pareto k"] == 0.0
    assert "Weighed" not in str(found)
