"""The objective of power spectra against SciPy's Welch; gradients, limits and what it refuses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import xarray as xr

from networks import network
from signals import result_of
from slopes import check_slope
from tvbjax import monitors
from tvbjax.inference import objectives

PERIOD, SEGMENT = 4.0, 64  # ms, samples: a frequency every 3.90625 Hz up to 125 Hz
RNG = np.random.default_rng(0)
SIGNALS = RNG.normal(size=(400, 3)) + 0.5 * np.cumsum(RNG.normal(size=(400, 3)), axis=0)
DATA = RNG.normal(size=(600, 3)) * [1.0, 2.0, 3.0]


def welch(signals, segment=SEGMENT) -> Any:
    return scipy.signal.welch(signals, fs=1000.0 / PERIOD, nperseg=segment, axis=0)


GRID, MEASURED = welch(DATA)
BAND: dict[str, Any] = dict(segment=SEGMENT, low=5.0, high=60.0)
INSIDE = (GRID >= 5.0) & (GRID <= 60.0)


def distance(power, target, relative):
    if relative:
        power, target = power / power.sum(axis=0), target / target.sum(axis=0)
    return np.sqrt(np.mean((10.0 * np.log10(power / target)) ** 2))


@pytest.mark.parametrize("relative", [True, False])
def test_spectra_are_compared_in_decibel(relative):
    result, (_, power) = result_of(SIGNALS, PERIOD), welch(SIGNALS)
    each = objectives.PowerSpectrum(MEASURED, GRID, relative=relative, **BAND)
    expected = distance(power[INSIDE], MEASURED[INSIDE], relative)
    assert each(result) == pytest.approx(expected, rel=1e-10)
    mean = objectives.PowerSpectrum(MEASURED.mean(axis=1), GRID, relative=relative, **BAND)
    expected = distance(power.mean(axis=1)[INSIDE], MEASURED.mean(axis=1)[INSIDE], relative)
    assert mean(result) == pytest.approx(expected, rel=1e-10)
    compared = each.compared(result)
    assert compared.kind is objectives.Kind.SPECTRUM and compared.unit == "dB"
    assert [axis.name for axis in compared.axes] == ["frequency", "region"]
    np.testing.assert_allclose(np.array(compared.axes[0].coordinate), GRID[INSIDE])
    check_slope(lambda x: each(result_of(x, PERIOD)), SIGNALS)


def test_ten_times_the_amplitude_are_twenty_decibel_or_none():
    own = welch(SIGNALS)[1]
    tenfold = result_of(10.0 * SIGNALS, PERIOD)
    absolute = objectives.PowerSpectrum(own, GRID, relative=False, **BAND)
    assert absolute(tenfold) == pytest.approx(20.0, abs=1e-9)
    assert objectives.PowerSpectrum(own, GRID, **BAND)(tenfold) < 1e-9


def test_the_targets_logarithm_is_interpolated():
    fine = np.linspace(1.0, 100.0, 37)
    target = np.exp(-fine / 7.0)  # of which the logarithm is a line
    objective = objectives.PowerSpectrum(target, fine, relative=False, **BAND)
    found = objective.compared(result_of(SIGNALS, PERIOD)).empirical
    np.testing.assert_allclose(found, -10.0 / np.log(10.0) * GRID[INSIDE] / 7.0, rtol=1e-10)
    array = xr.DataArray(target, dims="frequency", coords={"frequency": fine})
    same = objectives.PowerSpectrum(array, relative=False, **BAND)
    assert same(result_of(SIGNALS, PERIOD)) == objective(result_of(SIGNALS, PERIOD))


@pytest.mark.parametrize("single", [False, True])
def test_at_agreement_the_gradient_is_finite(single):
    with jax.enable_x64(not single):
        objective = objectives.PowerSpectrum(MEASURED, GRID, **BAND)
        # Its own spectrum, as computed: exactly equal logarithms.
        own = objective.compared(result_of(SIGNALS, PERIOD)).simulated
        objective = objectives.PowerSpectrum(
            10.0 ** (np.asarray(own) / 10.0),
            GRID[INSIDE],
            segment=SEGMENT,
            low=7.8125,
            high=58.59375,
        )
        slope = jax.jit(jax.value_and_grad(lambda x: objective(result_of(x, PERIOD))))
        value, gradient = slope(jnp.asarray(SIGNALS))
    assert value.dtype == (np.float32 if single else np.float64)
    assert value < (1e-4 if single else 1e-11) and np.isfinite(gradient).all()


def test_the_density_may_be_zero_outside_the_band():
    target = MEASURED.copy()
    target[0] = target[-1] = 0.0
    plain = objectives.PowerSpectrum(MEASURED, GRID, **BAND)
    zeroed = objectives.PowerSpectrum(target, GRID, **BAND)
    result = result_of(SIGNALS, PERIOD)
    assert zeroed(result) == plain(result)
    target[4, 1] = 0.0
    with pytest.raises(ValueError, match=r"target\[4, 1\] at 15.625 Hz is 0, which has no logarit"):
        objectives.PowerSpectrum(target, GRID, **BAND)


def of(target: Any = MEASURED, frequencies: Any = GRID, **changes):
    return objectives.PowerSpectrum(target, frequencies, **(BAND | changes))


def of_frequencies(unit: str):
    coords = {"frequency": ("frequency", GRID, {"units": unit}), "region": ["a", "b", "c"]}
    return xr.DataArray(MEASURED, coords, ("frequency", "region"))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: of(frequencies=None), "frequencies are not known; give frequencies="),
        (lambda: of(frequencies=GRID[1:]), r"32 frequencies of a target of shape \(33, 3\)"),
        (lambda: of(frequencies=GRID[::-1]), "frequencies do not rise; sort them"),
        (lambda: of(low=0.0), "band is 0.0 to 60.0 Hz; give 0 < low < high"),
        (lambda: of(high=200.0), "5 to 200 Hz, and the target's frequencies go from 0 to 125 Hz"),
        (lambda: of(low=None), "low is None; give a finite number"),
        (lambda: of(high="alpha"), "high is 'alpha'; give a finite number"),
        (lambda: of(relative="no"), "relative is 'no'; give"),
        (lambda: of(of_frequencies("rad/s"), None), "frequency is in 'rad/s'; give Hz: target.as"),
        (lambda: of(of_frequencies("Hz").T, None), "'region', of names; give frequencies first"),
        (lambda: of(segment=1), "segment=1; give two samples or more"),
        (lambda: of(np.zeros((3, 3, 3))), r"shape \(3, 3, 3\); give \(frequency,\) or"),
        (lambda: of(np.where(GRID == GRID[3], np.nan, 1.0)), r"target\[3\] is nan"),
    ],
)
def test_what_is_no_spectrum_is_refused(build, says, without_type_checks):
    with pytest.raises((TypeError, ValueError), match=says):
        build()


def test_what_the_run_cannot_give_is_refused(tmp_path):
    simulator = network(tmp_path, regions=3, monitors=monitors.TemporalAverage(PERIOD))
    of().check(simulator, 400.0)
    of(MEASURED[:, 0]).check(simulator, 400.0)
    for objective, says in [
        (of(segment=128), "100 samples of .* a segment of 128 samples takes 128"),
        (of(skip=200.0), "50 samples of .* left after skip, .* takes 64; run longer, or skip less"),
        (of(low=10.0, high=13.0), "fewer than two frequencies .* gives one every 3.90625 Hz"),
        (of(MEASURED[:, :2]), "target has 2 regions and 'temporal_average' observes 3"),
    ]:
        with pytest.raises(ValueError, match=says):
            objective.check(simulator, 400.0)
    slow = network(tmp_path, regions=3, monitors=monitors.TemporalAverage(10.0))
    with pytest.raises(ValueError, match="sample every 10 ms resolves up to 50 Hz; lower high="):
        of().check(slow, 1000.0)
