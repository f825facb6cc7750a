"""Connectivity against NumPy, SciPy, regressions and loops; its gradients against differences."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats
from jax.test_util import check_grads

from tvbjax import analysis, features


@pytest.fixture(scope="module")
def signals():
    made = np.random.default_rng(0).normal(size=(240, 4))
    made[:, 1] += 0.8 * made[:, 0]
    return np.cumsum(made, axis=0) * 0.1 + made


def ks_of_scipy(one, other):
    tested: Any = scipy.stats.ks_2samp(np.asarray(one), np.asarray(other))
    return tested.statistic


def test_functional_connectivity_is_pearsons(signals):
    found = analysis.functional_connectivity(signals)
    np.testing.assert_allclose(found, np.corrcoef(signals.T), atol=1e-12)


@pytest.mark.parametrize("value", [3.0, 0.1, -1e9])
def test_a_constant_signal_has_no_correlation(signals, value):
    silent = signals.copy()
    silent[:, 2] = value  # the mean of 0.1 and 0.1 and ... is not 0.1
    found = np.asarray(analysis.functional_connectivity(silent))
    assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()
    others = np.delete(np.delete(found, 2, axis=0), 2, axis=1)
    np.testing.assert_allclose(others, np.corrcoef(signals[:, [0, 1, 3]].T), atol=1e-12)


def test_a_nan_stays_in_its_region(signals):
    gap = signals.copy()
    gap[5, 1] = np.nan
    found = np.asarray(analysis.functional_connectivity(gap))
    assert np.isnan(found[1]).all() and np.isnan(found).sum() == 7


def test_covariance_is_that_of_numpy(signals):
    np.testing.assert_allclose(analysis.covariance(signals), np.cov(signals.T), rtol=1e-12)
    far = signals + 1e6  # where a sum of squares less a square of sums would lose all
    np.testing.assert_allclose(analysis.covariance(far), np.cov(far.T), rtol=1e-9)


def test_partial_correlation_is_that_of_what_regressions_leave(signals):
    found = analysis.partial_correlation(signals)
    np.testing.assert_allclose(np.diag(found), 1.0, rtol=1e-12)
    for i, j in [(0, 1), (0, 3), (2, 1)]:
        others = np.delete(signals, [i, j], axis=1)
        design = np.column_stack([np.ones(len(signals)), others])
        left = [
            signals[:, k] - design @ np.linalg.lstsq(design, signals[:, k], rcond=None)[0]
            for k in (i, j)
        ]
        assert found[i, j] == pytest.approx(np.corrcoef(left)[0, 1], abs=1e-10)


def test_partial_correlation_sees_through_a_common_cause():
    rng = np.random.default_rng(1)
    cause = rng.normal(size=(20000, 1))
    made = np.hstack([cause, cause + 0.5 * rng.normal(size=(20000, 2))])
    assert analysis.functional_connectivity(made)[1, 2] > 0.75
    assert abs(analysis.partial_correlation(made)[1, 2]) < 0.03  # 4 standard errors
    made[:, 0] = 0.1
    assert np.isnan(analysis.partial_correlation(made)).all()


def test_cross_correlation_is_that_of_scipy(signals):
    longest = 15
    found = analysis.cross_correlation(signals, longest)
    scaled = (signals - signals.mean(axis=0)) / signals.std(axis=0)
    lags = scipy.signal.correlation_lags(240, 240)
    near = np.abs(lags) <= longest
    for i, j in [(0, 1), (1, 0), (3, 3)]:
        expected = scipy.signal.correlate(scaled[:, i], scaled[:, j]) / len(signals)
        np.testing.assert_allclose(found[:, i, j], expected[near], atol=1e-12)
    zero = analysis.functional_connectivity(signals)
    np.testing.assert_allclose(found[longest], zero, atol=1e-12)
    assert analysis.cross_correlation(signals, 0).shape == (1, 4, 4)


def test_a_region_that_follows_peaks_at_a_positive_lag():
    leader = np.random.default_rng(2).normal(size=500)
    pair = np.column_stack([np.roll(leader, 7), leader])
    assert int(analysis.cross_correlation(pair, 20)[:, 0, 1].argmax()) - 20 == 7


def test_functional_connectivity_dynamics_window_by_window(signals):
    window, step = 60, 25
    upper = np.triu_indices(4, 1)
    windows = [signals[i : i + window] for i in range(0, 240 - window + 1, step)]
    flat = np.array([np.corrcoef(w.T)[upper] for w in windows])
    found = analysis.functional_connectivity_dynamics(signals, window, step)
    assert found.shape == (8, 8)
    np.testing.assert_allclose(found, np.corrcoef(flat), atol=1e-11)


@pytest.mark.parametrize("sizes", [(50, 80), (1, 7), (200, 200)])
def test_ks_distance_is_that_of_scipy(sizes):
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=sizes[0]).round(1), 0.3 + rng.normal(size=sizes[1]).round(1)
    expected = ks_of_scipy(one, other)
    assert analysis.ks_distance(one, other) == pytest.approx(expected, abs=1e-14)
    assert analysis.ks_distance(one, one) < 1e-15
    assert analysis.ks_distance(one, one + 100.0) == 1.0


def test_ks_distance_of_a_nan_is_nan_and_its_gradient_zero():
    one, other = jnp.array([0.0, 1.0, jnp.nan]), jnp.array([0.5, 2.0])
    assert jnp.isnan(analysis.ks_distance(one, other))
    slope = jax.grad(lambda x: analysis.ks_distance(x, other))(one[:2])
    np.testing.assert_array_equal(slope, 0.0)


def test_the_smooth_distance_comes_near_and_has_a_gradient():
    rng = np.random.default_rng(4)
    one, other = jnp.asarray(rng.normal(size=400)), jnp.asarray(0.5 + rng.normal(size=300))
    exact = ks_of_scipy(one, other)
    assert analysis.ks_distance(one, other, width=0.01) == pytest.approx(exact, abs=0.01)

    # Two logistic distributions of scale w, means m apart: the largest gap is tanh(m / 4w).
    apart = analysis.ks_distance(jnp.zeros(1), jnp.full(1, 0.8), width=0.5)
    assert apart == pytest.approx(np.tanh(0.8 / 2.0), rel=1e-4)
    shift = jax.grad(lambda m: analysis.ks_distance(one, one + m, width=0.2))(1.0)
    assert 0.1 < shift < 0.5  # near the density of N(0, 1) at half the shift, 0.35
    check_grads(lambda x: analysis.ks_distance(x, other, width=0.2), (one[1:9],), 1, ["rev"])


def test_fcd_distance_is_of_the_windows_far_enough_apart(signals):
    first = analysis.functional_connectivity_dynamics(signals, 30, 10)
    second = analysis.functional_connectivity_dynamics(signals[::-1] ** 2, 40, 10)
    for apart in (1, 4):
        values = [
            [m[i, j] for i in range(len(m)) for j in range(len(m)) if j - i >= apart]
            for m in (np.asarray(first), np.asarray(second))
        ]
        expected = ks_of_scipy(*values)
        found = analysis.fcd_distance(first, second, apart)
        assert found == pytest.approx(expected, abs=1e-14)


FUNCTIONS = {
    "functional_connectivity": analysis.functional_connectivity,
    "covariance": analysis.covariance,
    "partial_correlation": analysis.partial_correlation,
    "cross_correlation": lambda x: analysis.cross_correlation(x, 15),
    "dynamics": lambda x: analysis.functional_connectivity_dynamics(x, 60, 25),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_jit_and_vmap(signals, name):
    function, x = FUNCTIONS[name], jnp.asarray(signals)
    pairs = np.triu_indices(3, 1)  # a diagonal of 1 has no gradient

    def values(x):
        return function(x)[..., *pairs]

    compiled, several = jax.jit(values), jnp.stack([x, x[::-1] ** 2])
    check_grads(compiled, (x,), 1, ["rev"], atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(compiled(x), values(x), atol=1e-12)
    expected = [compiled(one) for one in several]
    np.testing.assert_allclose(jax.jit(jax.vmap(values))(several), expected, atol=1e-11)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: analysis.functional_connectivity_dynamics(x, 240), "240 samples, window=240"),
        (lambda x: analysis.functional_connectivity_dynamics(x[:, :2], 9), "takes three"),
        (lambda x: analysis.covariance(x[:1]), r"shape \(1, 4\) .*give 2 samples"),
        (lambda x: analysis.partial_correlation(x[:5]), "5 samples of 4 regions; give 6"),
        (lambda x: analysis.cross_correlation(x, 240), "longest=240 of 240 samples; give 0 to 239"),
        (lambda x: analysis.ks_distance(x[0], x[:0, 0]), r"shapes \(4,\) and \(0,\)"),
        (lambda x: analysis.ks_distance(x[0], x[1], width=0.0), "width=0.0; give a positive"),
        (lambda x: analysis.functional_connectivity(x[:1]), "functional_con.*give 2 samples or"),
        (
            lambda x: features.FunctionalConnectivity().of(x[:1], np.zeros(1)),
            "functional_con.*give 2 samples or",
        ),
        (lambda x: analysis.fcd_distance(x[:3, :3], x[:4], apart=3), "apart=3 of 3 windows in fi"),
    ],
)
def test_what_the_samples_do_not_give_is_an_error(signals, call, says):
    with pytest.raises(ValueError, match=says):
        call(signals)


def test_signals_of_other_shapes_are_refused(signals, without_type_checks):
    for function in (analysis.functional_connectivity, analysis.sample_entropy):
        with pytest.raises(ValueError, match=r"shape \(240,\); give \(time, region\): signals\[:,"):
            function(signals[:, 0])
    with pytest.raises(ValueError, match=r"second has the shape \(3, 4\); give a square"):
        analysis.fcd_distance(np.eye(3), signals[:3])
    counts = np.arange(12).reshape(6, 2) ** 2  # whole numbers are signals too
    np.testing.assert_allclose(analysis.covariance(counts), np.cov(counts.T))


@pytest.mark.parametrize("mean", [1e2, 1e4])
def test_a_large_mean_costs_no_digits_in_single_precision(mean):
    """Beside NumPy and SciPy in float64, of the same numbers."""
    signals = np.random.default_rng(0).normal(mean, 0.3, (200, 5)).astype(np.float32)
    exact = signals.astype(float)
    found = analysis.functional_connectivity(signals)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.corrcoef(exact.T), atol=2e-6)
    np.testing.assert_allclose(analysis.covariance(signals), np.cov(exact.T), atol=2e-7)
    _, density = scipy.signal.welch(exact, fs=1000.0, nperseg=64, axis=0)
    spectrum = analysis.power_spectrum(signals, 1.0, 64)
    np.testing.assert_allclose(spectrum, density, atol=2e-6 * density.max())
