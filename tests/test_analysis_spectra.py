"""Spectra, filters, envelopes and wavelets against SciPy, closed forms and slow definitions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax.test_util import check_grads

from tvbjax import analysis

PERIOD = 4.0  # ms: 250 Hz


@pytest.fixture(scope="module")
def signals():
    made = np.random.default_rng(0).normal(size=(400, 4))
    made[:, 1] += 0.8 * made[:, 0]
    return np.cumsum(made, axis=0) * 0.1 + made


def test_power_spectrum_is_that_of_scipy(signals):
    frequency, density = scipy.signal.welch(signals, fs=250.0, nperseg=64, axis=0)
    np.testing.assert_allclose(analysis.power_spectrum(signals, PERIOD, 64), density, rtol=1e-10)
    np.testing.assert_allclose(analysis.frequencies(PERIOD, 64), frequency, rtol=1e-14)


def test_band_powers_add_up_to_the_variance():
    """White noise of variance 4: its density is the same everywhere, 4 / 125 Hz."""
    noise = 2.0 * np.random.default_rng(1).normal(size=(100000, 2))
    density = analysis.power_spectrum(noise, PERIOD, 250)
    frequency = analysis.frequencies(PERIOD, 250)
    edges = [0.0, 10.0, 40.0, 1000.0]
    parts = [
        analysis.band_power(density, frequency, *band)
        for band in zip(edges, edges[1:], strict=False)
    ]
    np.testing.assert_allclose(sum(parts), noise.var(axis=0), rtol=0.02)
    np.testing.assert_allclose(parts[1] / noise.var(axis=0), 30 / 125, rtol=0.02)


def test_band_power_of_a_sine_is_half_its_square():
    sine = 3.0 * np.sin(2 * np.pi * 10.0 * np.arange(5000) * PERIOD / 1000.0)[:, None]
    density = analysis.power_spectrum(sine, PERIOD, 500)
    frequency = analysis.frequencies(PERIOD, 500)
    assert analysis.band_power(density, frequency, 8.0, 12.0)[0] == pytest.approx(4.5, rel=1e-10)
    assert analysis.band_power(density, frequency, 20.0, 30.0)[0] < 1e-20


@pytest.mark.parametrize("segment", [64, 51])
def test_cross_spectrum_is_that_of_scipy(signals, segment):
    found = analysis.cross_spectrum(signals, PERIOD, segment)
    for i, j in [(0, 1), (1, 0), (2, 2)]:
        # SciPy conjugates the first, so that the second is the one ahead.
        _, expected = scipy.signal.csd(signals[:, j], signals[:, i], fs=250.0, nperseg=segment)
        np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-9, atol=1e-15)


def test_coherence_is_that_of_scipy(signals):
    found = analysis.coherence(signals, PERIOD, 64)
    for i, j in [(0, 1), (2, 3)]:
        _, expected = scipy.signal.coherence(signals[:, i], signals[:, j], fs=250.0, nperseg=64)
        np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-9)
    coherency = analysis.complex_coherence(signals, PERIOD, 64)
    np.testing.assert_allclose(np.abs(coherency) ** 2, found, rtol=1e-9)
    np.testing.assert_allclose(analysis.imaginary_coherence(signals, PERIOD, 64), coherency.imag)


def test_the_region_ahead_has_a_positive_imaginary_coherence():
    leader = np.random.default_rng(2).normal(size=40000)
    pair = np.column_stack([leader[5:], leader[:-5]])  # the second is 5 samples, 20 ms, late
    found = analysis.complex_coherence(pair, PERIOD, 500)
    frequency = analysis.frequencies(PERIOD, 500)
    expected = np.exp(2j * np.pi * frequency * 0.020)
    np.testing.assert_allclose(found[2:-2, 0, 1], expected[2:-2], atol=0.05)
    imaginary = analysis.imaginary_coherence(pair, PERIOD, 500)
    assert imaginary[25, 0, 1] > 0.9  # 12.5 Hz: a quarter of a cycle


def test_a_mixture_at_once_has_no_imaginary_coherence():
    sources = np.random.default_rng(3).normal(size=(50000, 2))
    mixed = sources @ np.array([[1.0, 0.6], [0.5, 1.0]])
    assert analysis.coherence(mixed, PERIOD, 100)[:, 0, 1].min() > 0.6
    assert np.abs(analysis.imaginary_coherence(mixed, PERIOD, 100)).max() < 0.1


def test_independent_signals_have_a_coherence_of_one_by_windows():
    noise = np.random.default_rng(4).normal(size=(20000, 2))
    windows = 20000 // 100 * 2 - 1
    # Windows that overlap by half are not independent: Hann's have 18/19 of their number.
    expected = 19 / 18 / windows
    assert analysis.coherence(noise, PERIOD, 100)[1:-1, 0, 1].mean() == pytest.approx(
        expected, rel=0.3
    )


@pytest.mark.parametrize(("order", "low", "high"), [(1, 2.0, 20.0), (3, 8.0, 12.0), (4, 30.0, 90)])
def test_band_pass_is_scipys_forward_and_back(order, low, high):
    signals = np.random.default_rng(5).normal(size=(4000, 2))
    sections = scipy.signal.butter(order, [low, high], "bandpass", fs=250.0, output="sos")
    expected = scipy.signal.sosfiltfilt(sections, signals, axis=0)
    found = np.asarray(analysis.band_pass(signals, PERIOD, low, float(high), order))
    inner = slice(1500, -1500)  # at the ends SciPy starts its filter from another state
    np.testing.assert_allclose(found[inner], expected[inner], atol=2e-6)
    np.testing.assert_allclose(found[[0, -1]], 0.0, atol=1e-12)


def test_a_trend_is_in_no_band():
    """Mirrored in its ends a line goes on as a line, where a periodic one would jump."""
    line = 5.0 + 0.01 * np.arange(2000.0)[:, None]
    assert np.abs(analysis.band_pass(line, PERIOD, 8.0, 12.0)).max() < 1e-3


def test_envelope_of_a_modulated_oscillation():
    time = np.arange(2500) * PERIOD / 1000.0
    envelope = 1.0 + 0.5 * np.cos(2 * np.pi * 0.5 * time)
    signal = (envelope * np.cos(2 * np.pi * 20.0 * time))[:, None]
    found = analysis.amplitude_envelope(analysis.band_pass(signal, PERIOD, 15.0, 25.0))
    np.testing.assert_allclose(found[250:-250, 0], envelope[250:-250], atol=0.005)


def test_envelope_correlation_is_of_scipys_envelopes(signals):
    expected = np.corrcoef(np.abs(np.asarray(scipy.signal.hilbert(signals, axis=0))).T)
    np.testing.assert_allclose(analysis.envelope_correlation(signals), expected, atol=1e-12)


def test_orthogonal_envelope_correlation_by_projection(signals):
    found = analysis.orthogonal_envelope_correlation(signals)
    analytic = np.asarray(scipy.signal.hilbert(signals, axis=0))

    def one_way(x, y):
        along = (y * np.conj(x)).real / np.abs(x) ** 2  # y's projection on x, at every time
        left = np.abs(y - along * x)
        return np.corrcoef(np.log(left**2), np.log(np.abs(x) ** 2))[0, 1]

    for i, j in [(0, 1), (2, 3), (3, 0)]:
        x, y = analytic[:, i], analytic[:, j]
        expected = (one_way(x, y) + one_way(y, x)) / 2
        assert found[i, j] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_array_equal(np.diag(found), 0.0)
    np.testing.assert_allclose(found, found.T)


def test_what_is_mixed_at_once_does_not_count_as_a_common_envelope():
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(40000, 2))
    sources = np.asarray(analysis.band_pass(noise, PERIOD, 10.0, 20.0))
    mixed = sources @ np.array([[1.0, 0.5], [0.5, 1.0]])
    assert analysis.envelope_correlation(mixed)[0, 1] > 0.5
    assert abs(analysis.orthogonal_envelope_correlation(mixed)[0, 1]) < 0.08
    slow = np.exp(analysis.band_pass(rng.normal(size=(40000, 1)), PERIOD, 0.1, 0.5) * 10)
    together = sources * np.asarray(slow)
    assert analysis.orthogonal_envelope_correlation(together)[0, 1] > 0.3


def test_signals_that_a_factor_alone_divides_have_no_orthogonal_correlation(signals):
    doubled = np.column_stack([signals[:, 0], -2.0 * signals[:, 0], 0.0 * signals[:, 0]])
    found = np.asarray(analysis.orthogonal_envelope_correlation(doubled))
    np.testing.assert_array_equal(np.isnan(found), ~np.eye(3, dtype=bool))


@pytest.mark.parametrize("cycles", [5.0, 7.0])
def test_wavelets_are_convolutions_with_morlets(signals, cycles):
    frequency = np.array([10.0, 40.0])
    found = analysis.wavelet_transform(signals, PERIOD, frequency, cycles)
    time = np.arange(-400, 401) * PERIOD / 1000.0
    for i, f in enumerate(frequency):
        spread = cycles / (2 * np.pi * f)
        morlet = np.exp(2j * np.pi * f * time - time**2 / (2 * spread**2))
        morlet *= 2 / np.exp(-(time**2) / (2 * spread**2)).sum()
        full = np.convolve(signals[:, 2], morlet)
        expected = full[400 : 400 + len(signals)]
        # Ours has no part at frequencies below 0, where exp(-cycles^2 / 2) would be left.
        left = 10 * np.exp(-(cycles**2) / 2)
        np.testing.assert_allclose(found[i, :, 2], expected, atol=max(left, 1e-9))


def test_a_wavelets_magnitude_is_the_amplitude_and_its_angle_the_phase():
    time = np.arange(1000) * PERIOD / 1000.0
    signal = 3.0 * np.cos(2 * np.pi * 12.0 * time + 0.4)[:, None]
    found = analysis.wavelet_transform(signal, PERIOD, np.array([12.0]))[0, 300:-300, 0]
    expected = 3.0 * np.exp(1j * (2 * np.pi * 12.0 * time + 0.4))
    np.testing.assert_allclose(found, expected[300:-300], rtol=1e-6)


FREQUENCIES = np.array([20.0, 40.0])
FUNCTIONS = {
    "power_spectrum": lambda x: jnp.log(analysis.power_spectrum(x, PERIOD, 64)[1:]),
    "band_power": lambda x: analysis.band_power(
        analysis.power_spectrum(x, PERIOD, 64), analysis.frequencies(PERIOD, 64), 10.0, 40.0
    ),
    "coherence": lambda x: analysis.coherence(x, PERIOD, 64),
    "imaginary_coherence": lambda x: analysis.imaginary_coherence(x, PERIOD, 64),
    "band_pass": lambda x: analysis.band_pass(x, PERIOD, 10.0, 40.0),
    "envelope_correlation": lambda x: analysis.envelope_correlation(x)[np.triu_indices(4, 1)],
    "orthogonal": lambda x: analysis.orthogonal_envelope_correlation(x),
    "wavelet_transform": lambda x: jnp.abs(analysis.wavelet_transform(x, PERIOD, FREQUENCIES)),
    "spectral_entropy": lambda x: analysis.spectral_entropy(analysis.power_spectrum(x, 4.0, 64)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_jit_and_vmap(signals, name):
    function, x = FUNCTIONS[name], jnp.asarray(signals)
    compiled, several = jax.jit(function), jnp.stack([x, x[::-1] ** 3])
    check_grads(compiled, (x,), 1, ["rev"], atol=2e-5, rtol=2e-5, eps=1e-6)
    np.testing.assert_allclose(compiled(x), function(x), atol=1e-10)
    expected = [compiled(one) for one in several]
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(several), expected, atol=1e-10)


def test_single_precision_stays_single(signals):
    def everything(x):
        return {name: function(x) for name, function in FUNCTIONS.items()}

    found = jax.jit(everything)(jnp.asarray(signals, jnp.float32))
    expected = jax.jit(everything)(jnp.asarray(signals))
    for name, value in found.items():
        assert value.dtype == jnp.float32, name
        np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: analysis.power_spectrum(x, 1.0, 401), "segment=401 of 400 samples"),
        (lambda x: analysis.power_spectrum(x, 0.0, 4), "period is 0.0 ms; give a positive"),
        (lambda x: analysis.coherence(x, 1.0, 300), "coherence: one window of 300 samples in 400"),
        (lambda x: analysis.imaginary_coherence(x, -1.0, 30), "imaginary_coherence: the period"),
        (lambda x: analysis.band_power(x, np.arange(400.0), 7.2, 7.9), "7.2 <= f < 7.9 Hz"),
        (lambda x: analysis.band_pass(x, 4.0, 8.0, 125.0), "8.0 to 125.0 Hz .* < 125 Hz, half"),
        (lambda x: analysis.band_pass(x, 4.0, 0.0, 12.0), "give 0 < low < high"),
        (lambda x: analysis.band_pass(x, 4.0, 8.0, 12.0, 0), "order=0; give 1 or more"),
        (
            lambda x: analysis.wavelet_transform(x, 4.0, np.array([8.0, 125.0])),
            "a frequency of 125 Hz; give frequencies between 0 and 125 Hz",
        ),
        (lambda x: analysis.wavelet_transform(x, 4.0, np.array([])), "no frequencies"),
        (lambda x: analysis.wavelet_transform(x, 4.0, np.array([8.0]), 1.0), "cycles=1.0"),
    ],
)
def test_what_the_samples_do_not_give_is_an_error(signals, call, says):
    with pytest.raises(ValueError, match=says):
        call(signals)


def test_frequencies_of_another_spectrum_are_refused(signals, without_type_checks):
    density = np.ones((33, 4))
    with pytest.raises(ValueError, match=r"shape \(33, 4\) and 51 frequencies"):
        analysis.band_power(density, analysis.frequencies(PERIOD, 100), 8.0, 12.0)


OF_NO_UNIT = {
    "functional_connectivity": analysis.functional_connectivity,
    "partial_correlation": analysis.partial_correlation,
    "cross_correlation": lambda x: analysis.cross_correlation(x, 5),
    "dynamics": lambda x: analysis.functional_connectivity_dynamics(x, 60, 25),
    "loadings": lambda x: analysis.principal_components(x).loadings,
    "imaginary_coherence": FUNCTIONS["imaginary_coherence"],
    "envelope_correlation": FUNCTIONS["envelope_correlation"],
    "orthogonal": FUNCTIONS["orthogonal"],
    "spectral_entropy": lambda x: analysis.spectral_entropy(jnp.abs(x)),
    "metastability": lambda x: analysis.proxy_metastability(x) * analysis.proxy_synchrony(x),
}


@pytest.fixture(scope="module")
def of_unit_scale(signals):
    return {name: np.asarray(function(signals)) for name, function in OF_NO_UNIT.items()}


@pytest.mark.parametrize("scale", [1e-28, 1e-19, 1e18, 1e33])
def test_a_signals_unit_does_not_matter_in_single_precision(signals, of_unit_scale, scale):
    """Squares of 1e-28 and 1e33 are 0 and infinite; against double precision at a scale of 1."""
    single = jnp.asarray(scale * signals, jnp.float32)
    for name, function in OF_NO_UNIT.items():
        expected = of_unit_scale[name]
        np.testing.assert_allclose(function(single), expected, atol=2e-3, err_msg=name)


def test_every_signal_has_a_unit_of_its_own(signals):
    """Correlations and coherences of signals far apart in scale, against SciPy and NumPy."""
    units = np.array([1e-25, 1.0, 1e18, 1e-12])
    mixed = jnp.asarray(signals * units, jnp.float32)
    found = analysis.functional_connectivity(mixed)
    np.testing.assert_allclose(found, np.corrcoef(signals.T), atol=1e-5)
    _, expected = scipy.signal.coherence(
        signals[:, 0], signals[:, 2], fs=1000.0 / PERIOD, nperseg=64
    )
    found = analysis.coherence(mixed, PERIOD, 64)[1:-1, 0, 2]
    np.testing.assert_allclose(found, expected[1:-1], atol=1e-3)
    slope = jax.grad(lambda x: analysis.functional_connectivity(x)[0, 1])
    expected = slope(jnp.asarray(signals))
    np.testing.assert_allclose(np.asarray(slope(mixed)) * units, expected, atol=1e-5)


def test_whole_numbers_of_numpy_are_whole_numbers(signals, without_type_checks):
    untyped: Any = analysis
    counts = np.round(100 * signals).astype(np.int32)
    small, period = np.int64(64), np.float32(4.0)
    for call in (
        lambda x, n, p: untyped.power_spectrum(x, p, n),
        lambda x, n, p: untyped.imaginary_coherence(x, p, n),
        lambda x, n, p: untyped.functional_connectivity_dynamics(x, n, n),
        lambda x, n, p: untyped.cross_correlation(x, n),
        lambda x, n, p: untyped.band_pass(x, p, 8, 12, n // 16),
        lambda x, n, p: untyped.wavelet_transform(x, p, np.array([8, 12])),
        lambda x, n, p: untyped.frequencies(p, n),
        lambda x, n, p: untyped.principal_components(x, n // 32).scores,
        lambda x, n, p: untyped.sample_entropy(x, n // 32),
        lambda x, n, p: untyped.multiscale_entropy(x, np.array([1, 2])),
        lambda x, n, p: untyped.permutation_entropy(x, n // 16),
        lambda x, n, p: untyped.spectral_entropy(abs(x)),
        lambda x, n, p: untyped.ks_distance(x[:, 0], x[:, 1]),
        lambda x, n, p: untyped.band_power(x, np.arange(len(x)), 3, 9),
    ):
        found = call(counts, small, period)
        expected = call(counts.astype(float), 64, 4.0)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for call, says in [
        (lambda: untyped.power_spectrum(signals, 4.0, 64.0), "power_spectrum: segment=64.0; give"),
        (lambda: untyped.cross_correlation(signals, 2.5), "longest=2.5; give a whole number"),
        (lambda: untyped.functional_connectivity_dynamics(signals, "a"), "window='a'; give"),
        (lambda: untyped.permutation_entropy(signals, 3.0), "order=3.0; give a whole"),
        (lambda: untyped.amplitude_envelope(1j * signals), "are of the type complex128; give"),
        (lambda: untyped.covariance([["a", "b"]]), "are of the type <U1; give real"),
    ]:
        with pytest.raises(TypeError, match=says):
            call()
    for call, says in [
        (lambda: untyped.ks_distance(signals, signals), r"shapes \(400, 4\) and \(400, 4\)"),
        (lambda: untyped.frequencies(0.0, 4), "frequencies: the period is 0.0 ms"),
        (lambda: untyped.frequencies(1.0, 1), "frequencies: segment=1; give two"),
        (
            lambda: untyped.band_pass(signals, np.ones(2), 8, 9),
            r"the period is array\(\[1., 1.\]\)",
        ),
        (lambda: untyped.band_power(3.0, np.arange(4.0), 1, 2), r"density of shape \(\)"),
    ]:
        with pytest.raises(ValueError, match=says):
            call()
