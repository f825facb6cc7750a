"""Calibration of chains on data that a model makes itself."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from bayes_models import DESIGN, regression
from tvbjax import bayes
from tvbjax_inference.bayes.flat import flat_of

QUICK = bayes.Nuts(chains=2, warmup=100, draws=150)


def calibrated(model=regression, **others):
    given = {"key": jax.random.key(0), "count": 40, "method": QUICK, "starts": 1, "draws": 60}
    return bayes.calibrate(model, progress=False, **(given | others))


def test_chains_of_a_regression_are_calibrated_and_go_on_from_a_checkpoint(tmp_path):
    path = tmp_path / "calibration.npz"
    calibrated(count=10, checkpoint=path)
    found = calibrated(checkpoint=path)
    assert found.names == ("slopes[0]", "slopes[1]", "slopes[2]")
    assert not found.wrong and not found.failures
    np.testing.assert_array_equal(found.ranks, calibrated().ranks)
    # A central interval of 50 % holds half of 120 truths: 4 deviations.
    inside = found.coverage.shares[found.coverage.levels.index(0.5)].mean()
    assert inside == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 120))
    with pytest.raises(ValueError, match="another calibration"):
        calibrated(checkpoint=path, draws=50)


def test_data_in_the_place_of_a_models_own_are_those_of_another_model():
    other = np.random.default_rng(5).normal(size=12)

    def with_other():
        slopes = numpyro.sample("slopes", dist.Normal(0.0, 1.0).expand((3,)).to_event())
        numpyro.sample("data", dist.Normal(jnp.asarray(DESIGN) @ slopes, 0.3).to_event(), obs=other)

    there = jnp.array([0.3, -0.2, 1.1])
    beside = flat_of(regression).beside({"data": jnp.asarray(other)})
    assert beside.potential(there) == pytest.approx(
        float(flat_of(with_other).potential(there)), rel=1e-12
    )
    assert beside.potential(there) != flat_of(regression).potential(there)


def test_values_are_in_their_own_units_and_coordinates_are_not_shown():
    def scaled():
        scale = numpyro.sample("scale", dist.LogNormal(0.0, 0.5))
        moved = numpyro.sample("place_coordinate", dist.Normal(0.0, 1.0))
        place = numpyro.deterministic("place", 2.0 * moved)
        numpyro.sample("data", dist.Normal(place, scale).expand((8,)).to_event(), obs=jnp.zeros(8))

    found = calibrated(scaled, count=10, of=None)
    assert found.names == ("place", "scale")
    with pytest.raises(KeyError, match="there is no 'plaice'; there are"):
        calibrated(scaled, of=["plaice"])


def test_chains_that_are_worth_too_little_run_again_or_fail():
    found = calibrated(count=10, method=bayes.Nuts(chains=1, warmup=100, draws=40), draws=100)
    assert not found.failures
    with pytest.raises(ValueError, match="first 5 data sets all failed.*independent draws"):
        calibrated(count=10, method=bayes.Nuts(chains=1, warmup=100, draws=10), draws=1000)
