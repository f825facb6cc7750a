"""Distances of values and of distributions against NumPy and SciPy, and their gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from slopes import check_slope
from tvbjax.inference import objectives

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.normal(size=40), 0.3 + 2.0 * RNG.normal(size=40)
# Beyond the others on both sides: to the smooth distance the ends of all values are constants.
FEWER = 3.0 * RNG.normal(size=27) - 0.5
VALUES = [
    objectives.correlation_distance,
    objectives.mean_square,
    objectives.root_mean_square,
]
DISTRIBUTIONS = [objectives.wasserstein_distance, objectives.KolmogorovSmirnov(width=0.2)]


def test_distances_are_those_of_their_formulas():
    one, other = jnp.asarray(ONE), jnp.asarray(OTHER)
    correlation: Any = scipy.stats.pearsonr(ONE, OTHER)
    found = objectives.correlation_distance(one, other)
    assert found == pytest.approx(1.0 - correlation.statistic, abs=1e-13)
    square = np.mean((ONE - OTHER) ** 2)
    assert objectives.mean_square(one, other) == pytest.approx(square, rel=1e-13)
    assert objectives.root_mean_square(one, other) == pytest.approx(np.sqrt(square), rel=1e-13)


@pytest.mark.parametrize("other", [OTHER, FEWER, FEWER[:1]], ids=["equal", "fewer", "one"])
def test_the_wasserstein_distance_is_that_of_scipy(other):
    found = objectives.wasserstein_distance(jnp.asarray(ONE), jnp.asarray(other))
    assert found == pytest.approx(scipy.stats.wasserstein_distance(ONE, other), rel=1e-12)


def test_kolmogorovs_and_smirnovs_comes_near_that_of_scipy():
    exact: Any = scipy.stats.ks_2samp(ONE, FEWER)
    found = objectives.KolmogorovSmirnov(1e-3)(jnp.asarray(ONE), jnp.asarray(FEWER))
    assert found == pytest.approx(exact.statistic, abs=0.02)
    with pytest.raises(ValueError, match="width is 0.0; give a number above 0"):
        objectives.KolmogorovSmirnov(0.0)


@pytest.mark.parametrize("distance", VALUES + DISTRIBUTIONS)
def test_gradients_are_those_of_differences(distance):
    check_slope(lambda x: distance(x, jnp.asarray(OTHER)), ONE)


def test_gradients_do_not_depend_on_how_it_is_compiled():
    """Without optimisation XLA rounds a value that it computes twice in two ways."""
    slope = jax.grad(objectives.KolmogorovSmirnov(width=0.2))
    plain = jax.jit(slope, compiler_options={"xla_backend_optimization_level": 0})
    one, other = jnp.asarray(ONE), jnp.asarray(OTHER)
    np.testing.assert_allclose(plain(one, other), jax.jit(slope)(one, other), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("distance", DISTRIBUTIONS)
def test_numbers_of_values_may_differ(distance):
    check_slope(lambda x: distance(x, jnp.asarray(FEWER)), ONE)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("distance", VALUES + DISTRIBUTIONS)
def test_at_agreement_the_loss_is_zero_and_the_gradient_finite(distance, single):
    with jax.enable_x64(not single):
        value, gradient = jax.jit(jax.value_and_grad(distance))(jnp.asarray(ONE), jnp.asarray(ONE))
    assert gradient.dtype == (np.float32 if single else np.float64)
    assert abs(value) < (1e-6 if single else 1e-14)
    assert np.isfinite(gradient).all()


def test_far_apart_one_distance_has_a_gradient_and_the_other_none():
    far = jnp.asarray(ONE) + 100.0
    pull = jax.grad(objectives.wasserstein_distance)(far, jnp.asarray(ONE))
    np.testing.assert_allclose(pull, 1.0 / 40, rtol=1e-12)
    flat = jax.grad(objectives.KolmogorovSmirnov(0.1))(far, jnp.asarray(ONE))
    assert np.abs(flat).max() < 1e-15


@pytest.mark.parametrize("distance", VALUES + DISTRIBUTIONS)
def test_a_nan_is_no_agreement(distance):
    assert jnp.isnan(distance(jnp.asarray(ONE).at[3].set(jnp.nan), jnp.asarray(ONE)))


def test_tiny_differences_in_single_precision_are_not_lost():
    with jax.enable_x64(False):
        one, other = jnp.full(5, 3e-25), jnp.full(5, 1e-25)
        assert objectives.root_mean_square(one, other) == pytest.approx(2e-25, rel=1e-5)
