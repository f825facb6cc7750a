"""Tempered particles and normal approximations, against closed forms."""

import jax
import numpy as np
import pytest

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
