"""Statistics that are gathered while a simulation runs, against two passes over the samples."""

import jax
import numpy as np
import pytest
import scipy.signal

import tvbjax
from networks import network
from signals import observed
from tvbjax import monitors, noise
from tvbjax.monitors import (
    Bold,
    Covariance,
    FunctionalConnectivity,
    FunctionalConnectivityDynamics,
    GlobalAverage,
    PowerSpectrum,
    Raw,
    SpatialAverage,
    SubSample,
    TemporalAverage,
)

CHUNKS = [None, [137, 1, 862], [500, 500]]


@pytest.fixture(scope="module")
def signal():
    """(step, voi, node); far from 0, where one pass of sums of squares would lose digits."""
    draw = np.random.default_rng(0)
    mixed = draw.normal(size=(1000, 2, 4)) @ draw.normal(size=(4, 4))
    return 1e4 + mixed + np.sin(np.arange(1000) / 9.0)[:, None, None]


def means(signal, steps):
    return signal.reshape(-1, steps, *signal.shape[1:]).mean(axis=1)


@pytest.mark.parametrize("chunks", CHUNKS)
def test_covariance_is_numpys(signal, chunks):
    found = observed(Covariance(TemporalAverage(2.0), 40), signal, 1.0, chunks=chunks)
    samples = means(signal, 2)
    expected = [[np.cov(samples[i : i + 40, v].T) for v in range(2)] for i in range(0, 480, 40)]
    assert found.shape == (12, 2, 4, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("chunks", CHUNKS)
def test_functional_connectivity_is_numpys(signal, chunks):
    found = observed(FunctionalConnectivity(Raw(), 300), signal, 1.0, chunks=chunks)
    expected = [
        [np.corrcoef(signal[i : i + 300, v].T) for v in range(2)] for i in range(0, 900, 300)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("chunks", CHUNKS)
def test_dynamics_are_correlations_of_windows(signal, chunks):
    monitor = FunctionalConnectivityDynamics(TemporalAverage(2.0), window=60, windows=5, step=35)
    assert monitor.samples == 200
    found = observed(monitor, signal, 1.0, chunks=chunks)
    upper = np.triu_indices(4, 1)
    expected = []
    for begin in (0, 200):
        samples = means(signal, 2)[begin : begin + 200]
        windows = [samples[i : i + 60] for i in range(0, 141, 35)]
        flat = [[np.corrcoef(w[:, v].T)[upper] for w in windows] for v in range(2)]
        expected.append([np.corrcoef(of_variable) for of_variable in flat])
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("segment", [64, 51])
def test_power_spectra_are_scipys(signal, segment, chunks):
    monitor = PowerSpectrum(TemporalAverage(2.0), segment=segment, segments=9)
    found = observed(monitor, signal, 1.0, chunks=chunks)
    samples = means(signal, 2)[: monitor.samples]
    frequency, density = scipy.signal.welch(samples, fs=500.0, nperseg=segment, axis=0)
    np.testing.assert_allclose(found[0], np.moveaxis(density, 0, 1), rtol=1e-6, atol=1e-9)
    (axis, _) = monitor.axes(tvbjax.axes.Axis("region", ("a", "b", "c", "d")), 1.0)
    np.testing.assert_allclose(np.array(axis.coordinate), frequency)


def noisy(tmp_path, watch, **changes):
    return network(tmp_path, monitors=watch, noise=noise.Additive(0.1), **changes)


def test_statistics_of_a_simulation_are_those_of_its_samples(tmp_path):
    """Also where the run is cut at odd places and continued."""
    watch = (
        SubSample(0.4),
        FunctionalConnectivity(SubSample(0.4), 50),
        Covariance(Bold(0.4, kernel=monitors.Gamma(length=0.01, tau=0.001)), 30),
        PowerSpectrum(GlobalAverage(SubSample(0.4)), segment=32, segments=3),
    )
    simulator, key = noisy(tmp_path, watch), jax.random.key(0)
    whole = tvbjax.simulate(simulator, 60.0, key=key)
    samples = whole["subsample"].values[:, 0]
    fc = whole["functional_connectivity"]
    assert fc.dims == ("time", "variable", "region", "other_region")
    np.testing.assert_allclose(fc.time, [20.0, 40.0, 60.0])
    expected = [np.corrcoef(samples[i : i + 50].T) for i in (0, 50, 100)]
    np.testing.assert_allclose(fc.values[:, 0], expected, atol=1e-10)
    spectrum = whole["power_spectrum"]
    assert spectrum.dims == ("time", "variable", "frequency", "region")
    assert spectrum.frequency.attrs["units"] == "Hz"
    _, density = scipy.signal.welch(samples[:64].mean(axis=1), fs=2500.0, nperseg=32)
    np.testing.assert_allclose(spectrum.values[0, 0, :, 0], density, rtol=1e-8)

    parts = tvbjax.simulate(simulator, 25.7, key=key)
    later = tvbjax.simulate(simulator, 34.3, initial=parts, key=key)
    joined = tvbjax.join(parts, later)
    for name in whole.samples:
        np.testing.assert_allclose(joined[name], whole[name], rtol=1e-9, atol=1e-12)


def test_statistics_are_saved_and_read(tmp_path):
    watch = (
        FunctionalConnectivityDynamics(Raw(), window=10, windows=3, step=5),
        PowerSpectrum(Raw(), segment=16, segments=2),
    )
    result = tvbjax.simulate(noisy(tmp_path, watch), 10.0, key=jax.random.key(1))
    again = tvbjax.load_result(result.save(tmp_path / "saved.nc"))
    for name in result.samples:
        assert again.samples[name].axes == result.samples[name].axes
        np.testing.assert_array_equal(again[name], result[name])


def test_every_member_of_a_sweep_has_its_own(tmp_path):
    watch = (FunctionalConnectivity(SubSample(0.2), 40), Covariance(SubSample(0.2), 40))
    simulator = noisy(tmp_path, watch)
    gain = tvbjax.Free(lambda s: s.coupling.a)
    keys = jax.random.split(jax.random.key(2), 3)
    swept = tvbjax.sweep(
        simulator, {gain: [0.1, 0.2, 0.3]}, 17.0, key=tvbjax.PerMember(keys), progress=False
    )
    assert swept.functional_connectivity.shape == (3, 2, 1, 5, 5)
    for number, a in enumerate([0.1, 0.2, 0.3]):
        alone = noisy(tmp_path, watch, coupling=tvbjax.coupling.Linear(a=a, b=0.05))
        expected = tvbjax.simulate(alone, 17.0, key=keys[number])
        np.testing.assert_allclose(
            swept.functional_connectivity[number], expected["functional_connectivity"], atol=1e-8
        )


@pytest.mark.slow
def test_statistics_are_differentiable(tmp_path):
    """Against a difference quotient, through connectivity gathered in the run."""
    simulator = noisy(tmp_path, FunctionalConnectivity(SubSample(0.2), 40))
    key = jax.random.key(3)

    def fc(a):
        changed = tvbjax.Free(lambda s: s.coupling.a).replace(simulator, a)
        found = tvbjax.simulate(changed, 8.0, key=key, progress=False)
        return found.samples["functional_connectivity"].values[0, 0, 0, 1]

    slope = jax.jit(jax.grad(fc))(0.3)
    quotient = (fc(jax.numpy.asarray(0.3 + 1e-5)) - fc(jax.numpy.asarray(0.3 - 1e-5))) / 2e-5
    np.testing.assert_allclose(slope, quotient, rtol=1e-5)


def test_a_signal_that_does_not_vary_is_reported(tmp_path):
    simulator = network(
        tmp_path,
        monitors=FunctionalConnectivity(SubSample(0.1), 20),
        coupling=tvbjax.coupling.Linear(a=0.0, b=0.0),
    )
    with pytest.raises(tvbjax.DivergenceError, match="'functional_connectivity' have x = nan"):
        tvbjax.simulate(simulator, 4.0, initial=np.zeros((1, 5)))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Covariance(Raw(), 1),
            "Covariance: samples is 1; give a whole number of 2 or more",
        ),
        (lambda: Covariance(Covariance(Raw(), 9), 4), "of a Covariance are no signals of nodes"),
        (lambda: PowerSpectrum(Raw(), segment=1, segments=2), "PowerSpectrum: segment is 1"),
        (lambda: FunctionalConnectivityDynamics(Raw(), window=5, windows=1), "windows is 1; give"),
        (lambda: Covariance(TemporalAverage(0.25), 9), "nearest are 0.2 or 0.3"),
        (lambda: FunctionalConnectivity(GlobalAverage(Raw()), 9), "observes 1 of the 2 places"),
        (
            lambda: FunctionalConnectivityDynamics(SpatialAverage(Raw(), [0, 1, 0, 1, 0]), 5, 4),
            "SpatialAverage observes 2 of the 3 places",
        ),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, make, says):
    with pytest.raises(ValueError, match=says):
        network(tmp_path, monitors=make())


def test_counts_of_any_whole_type_are_taken():
    five, nine = np.int64(5), np.uint8(9)
    assert Covariance(Raw(), nine) == Covariance(Raw(), 9)
    dynamics = FunctionalConnectivityDynamics(Raw(), window=nine, windows=five, step=np.int32(2))
    assert dynamics.samples == 9 + 4 * 2 and type(dynamics.samples) is int
    assert PowerSpectrum(Raw(), segment=jax.numpy.asarray(8), segments=five).samples == 8 + 4 * 4


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Covariance(Raw(), 9.0), "Covariance: samples is 9.0; give a whole number"),
        (lambda: Covariance(Raw(), True), "samples is True"),
        (
            lambda: FunctionalConnectivityDynamics(Raw(), 9, 5, 1.5),
            "FunctionalConnectivityDynamics: step is 1.5; give a whole number of 1 or more",
        ),
        (lambda: PowerSpectrum(Raw(), 8, None), "PowerSpectrum: segments is None"),
    ],
)
def test_counts_that_are_none_are_told_by_name(make, says, without_type_checks):
    with pytest.raises(ValueError, match=says):
        make()


def test_connectivity_of_a_whole_cortex_is_warned_of():
    """In float64 its products alone are 16384^2 x 8 bytes; of regions nothing is said."""
    with pytest.warns(UserWarning, match="2.15 GB are gathered .* of 16384 places; average by reg"):
        FunctionalConnectivity(TemporalAverage(1.0), 50).check(16_384, 0.1)
    averaged = SpatialAverage(TemporalAverage(1.0), np.arange(16_384) % 76)
    FunctionalConnectivity(averaged, 50).check(16_384, 0.1)
    PowerSpectrum(TemporalAverage(1.0), 500, 3).check(16_384, 0.1)
