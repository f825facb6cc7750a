"""Observation noise, against the moments that were asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import xarray

from tvbjax.axes import Axis
from tvbjax.forward import with_noise
from tvbjax.result import Samples

KEY = jax.random.key(0)


def test_noise_is_white_gaussian_and_of_the_size_asked_for():
    """20,000 samples: standard deviations to 2 % (four standard errors), means to 3 %."""
    clean = jnp.zeros((20_000, 3))
    asked = np.array([0.5, 2.0, 0.0])
    noisy = np.asarray(with_noise(clean, asked, KEY))
    np.testing.assert_allclose(noisy.std(axis=0), asked, rtol=0.02)
    np.testing.assert_allclose(noisy.mean(axis=0), 0, atol=0.03 * 2)
    assert scipy.stats.kstest(noisy[:, 1] / 2.0, "norm").pvalue > 0.01
    lagged = np.corrcoef(noisy[:-1, 0], noisy[1:, 0])[0, 1]
    between = np.corrcoef(noisy[:, 0], noisy[:, 1])[0, 1]
    assert abs(lagged) < 0.03 and abs(between) < 0.03


def test_nothing_is_added_but_what_is_asked_for():
    clean = jnp.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(with_noise(clean, 0.0, KEY), clean)
    one, two = with_noise(clean, 1.0, KEY), with_noise(clean, 1.0, KEY)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(with_noise(clean, 3.0, KEY) - clean, 3 * (one - clean), rtol=1e-12)
    assert (np.asarray(one) != np.asarray(with_noise(clean, 1.0, jax.random.key(1)))).all()


def test_noise_has_the_covariance_asked_for_also_of_a_common_reference():
    draw = np.random.default_rng(0).normal(size=(4, 4))
    referenced = (np.eye(4) - 0.25) @ draw @ draw.T @ (np.eye(4) - 0.25)
    for covariance in (draw @ draw.T, (referenced + referenced.T) / 2):
        noisy = np.asarray(with_noise(jnp.zeros((50_000, 4)), None, KEY, covariance=covariance))
        # The standard error of an entry is sqrt((c_ij² + c_ii c_jj) / samples); five of them.
        sizes = np.diag(covariance)
        error = np.sqrt((covariance**2 + np.outer(sizes, sizes)) / len(noisy))
        assert (abs(np.cov(noisy.T) - covariance) < 5 * error + 1e-12).all()
    np.testing.assert_allclose(noisy.sum(axis=1), 0, atol=1e-6)


def test_a_recording_keeps_its_names_and_its_times():
    signal = xarray.DataArray(
        np.zeros((2, 500, 3)),
        dims=("channel", "time", "variable"),
        coords={"channel": ["a", "b"], "time": np.arange(500.0)},
        name="eeg",
        attrs={"unit": "V"},
    )
    noisy = with_noise(signal, np.array([0.0, 1.0]), KEY)
    assert noisy.dims == signal.dims and noisy.attrs == signal.attrs and noisy.name == "eeg"
    assert noisy.time.identical(signal.time)
    assert (noisy.sel(channel="a") == 0).all() and float(noisy.sel(channel="b").std()) > 0.9
    assert (signal == 0).all()


def test_the_standard_deviation_is_differentiable_under_jit():
    spread = jax.jit(jax.grad(lambda s: (with_noise(jnp.zeros((10_000, 2)), s, KEY) ** 2).mean()))(
        jnp.asarray(1.5)
    )
    assert float(spread) == pytest.approx(2 * 1.5, rel=0.05)


def test_a_monitors_samples_are_taken_too():
    time, values = jnp.arange(4.0), jnp.zeros((4, 1, 3))
    samples = Samples(time, values, ("v",), ("uV",), (Axis("channel", ("a", "b", "c")),))
    noisy = with_noise(samples, 1.0, KEY)
    np.testing.assert_array_equal(noisy.values, with_noise(values, 1.0, KEY))
    assert noisy.axes == samples.axes and noisy.time is time


@pytest.mark.parametrize(
    ("samples", "key", "says"),
    [
        (jnp.zeros((4, 3)), 0, r"key is 0; give a key of JAX, e.g. jax.random.key\(0\)"),
        (jnp.zeros((4, 3)), None, "key is None; give a key of JAX"),
        ("eeg", KEY, r"samples are 'eeg'; .*result\[\"eeg\"\]"),
    ],
)
def test_what_is_no_argument_is_told(without_type_checks, samples, key, says):
    with pytest.raises(TypeError, match=says):
        with_noise(samples, 1.0, key)


def test_what_is_no_noise_is_refused():
    clean = jnp.zeros((5, 3))
    with pytest.raises(ValueError, match="one of the two"):
        with_noise(clean, None, KEY)
    with pytest.raises(ValueError, match="one of the two"):
        with_noise(clean, 1.0, KEY, covariance=np.eye(3))
    with pytest.raises(ValueError, match=r"shape \(2,\) and there are 3 channels"):
        with_noise(clean, np.ones(2), KEY)
    with pytest.raises(ValueError, match="negative or NaN"):
        with_noise(clean, -1.0, KEY)
    with pytest.raises(ValueError, match=r"covariance has the shape \(2, 2\)"):
        with_noise(clean, None, KEY, covariance=np.eye(2))
    with pytest.raises(ValueError, match="not symmetric"):
        with_noise(clean, None, KEY, covariance=np.eye(3) + np.eye(3, k=1))
    with pytest.raises(ValueError, match="negative eigenvalue -1"):
        with_noise(clean, None, KEY, covariance=np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(ValueError, match="array of floats"):
        with_noise(jnp.zeros((3, 2), dtype=int), 1.0, KEY)
