"""Power of SEEG in time, against closed forms of sines and noise; windows of seizures."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.special import digamma, polygamma

from tvbjax_inference.bayes.epilepsy import (
    Seizure,
    check_seizure,
    envelope,
    feature_times,
    fitted_window,
    log_power,
    seizure_window,
)

RATE = 256.0
COUNT = int(40 * RATE)
TIMES = np.arange(COUNT) / RATE
INNER = slice(20, -20)  # without the filters' edges


def sines(amplitudes, frequency=40.0) -> np.ndarray:
    return amplitudes * np.sin(2 * np.pi * frequency * TIMES)[:, None]


def noise(channels=4, seed=0, count=COUNT) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, channels))


def test_the_power_of_sines():
    amplitudes = np.array([1.0, 3.0, 1e-5])
    found = log_power(sines(amplitudes), 1 / RATE)
    assert found.shape == (300, 3)
    wanted = np.log(amplitudes**2 / 2)
    np.testing.assert_allclose(found[INNER], np.tile(wanted, (260, 1)), atol=2e-2)
    roots = envelope(sines(amplitudes), 1 / RATE)
    np.testing.assert_allclose(
        roots[INNER], np.tile(amplitudes / math.sqrt(2), (260, 1)), rtol=1e-2
    )


def test_the_power_of_a_sine_whose_amplitude_changes():
    """A slow modulation of ln A comes through: ln(A^2 / 2) at the points' times."""
    logs = 1.0 + 0.8 * np.sin(2 * np.pi * 0.1 * TIMES)
    found = log_power(sines(np.exp(logs)[:, None]), 1 / RATE)[:, 0]
    points = feature_times(len(TIMES), 1 / RATE, 300)
    wanted = 2 * (1.0 + 0.8 * np.sin(2 * np.pi * 0.1 * points)) - math.log(2)
    np.testing.assert_allclose(found[INNER], wanted[INNER], atol=3e-2)


def test_what_is_slow_is_filtered_out():
    """Butterworth of order 4 forwards and backwards: |H|^2 = 1 / (1 + (10 / f)^8) of amplitudes."""
    slow = log_power(sines(np.ones(1), 5.0) + sines(np.array([1e-6])), 1 / RATE)
    assert slow[INNER].mean() == pytest.approx(math.log(0.5 / (1 + 2.0**8) ** 2), abs=0.1)


def test_points_lie_in_the_middle_of_equal_parts():
    np.testing.assert_allclose(feature_times(100, 0.1, 4), [1.25, 3.75, 6.25, 8.75])


def test_power_follows_the_samples_unit_and_keeps_channels_apart():
    values = noise()
    one = log_power(values, 1 / RATE)
    np.testing.assert_allclose(log_power(10 * values, 1 / RATE), one + math.log(100), atol=1e-9)
    np.testing.assert_allclose(log_power(values[:, 2:3], 1 / RATE), one[:, 2:3], atol=1e-9)


def test_noise_has_the_mean_and_variance_that_are_stated():
    """Mean squares of w normal numbers: chi-squared, E ln = digamma(w/2) - ln(w/2)."""
    window = 33 / RATE
    found = log_power(
        noise(40), 1 / RATE, high_pass=0.5, window=window, low_pass=100.0, points=9999
    )
    assert found.mean() == pytest.approx(digamma(16.5) - math.log(16.5), abs=0.01)
    assert found.var() == pytest.approx(float(polygamma(1, 16.5)), rel=0.05)
    assert found.mean() == pytest.approx(-1 / 33, abs=0.01)
    assert found.var() == pytest.approx(2 / 33, rel=0.1)


def test_a_loud_seizure_leaves_no_trace_on_what_is_quiet_later():
    values = noise(1)
    values[2000:4000] *= 1e8
    found = log_power(values, 1 / RATE, low_pass=50.0, points=8000)[:, 0]
    assert found[5000:].mean() == pytest.approx(log_power(noise(1), 1 / RATE)[200:].mean(), abs=0.1)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"high_pass": 128.0}, "samples at 256 Hz hold only what is below 128 Hz; .*times in s"),
        ({"high_pass": 0.0}, "high_pass, in Hz, is 0"),
        ({"window": 0.001}, "window is 0.001 s, 1 samples of 10240"),
        ({"window": 41.0}, "give three or more, and less than the recording"),
        ({"low_pass": 200.0}, "give less than half the samples' rate, 128 Hz"),
        ({"low_pass": 4.0}, "300 points in 40 s, 7.5 a second, show no more than half"),
        ({"points": 0}, "points is 0"),
        ({"points": 10241}, "10241 points are more than the 10240 samples"),
        ({"period": 0.0}, "period, in s, is 0"),
    ],
)
@pytest.mark.parametrize("feature", [log_power, envelope])
def test_arguments_that_do_not_fit_are_told(feature, changed, message):
    with pytest.raises(ValueError, match=f"{feature.__name__}: .*{message}"):
        feature(noise(), **({"period": 1 / RATE} | changed))


def test_recordings_that_have_no_power_are_told():
    flat = noise()
    flat[:, 1] = 0.0
    with pytest.raises(ValueError, match="log_power: column 1 has no power above 10 Hz around 0 s"):
        log_power(flat, 1 / RATE)
    flat[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        log_power(flat, 1 / RATE)
    with pytest.raises(ValueError, match="15 samples are too few for the filters; give 16"):
        log_power(noise(count=15), 1 / RATE, points=3, window=0.02)


def test_a_contact_that_is_dead_for_a_while_is_told():
    """The high-pass rings on after the last sample, so that its power is never 0."""
    half = noise()
    half[5000:, 3] = half[5000, 3]
    with pytest.raises(ValueError, match="column 3 has no power above 10 Hz around 19.*s"):
        log_power(half, 1 / RATE)


# Windows of seizures


def seizure(gain=4.0, **more) -> Seizure:
    values = noise(seed=1)
    values[int(15 * RATE) : int(25 * RATE), 2] *= gain
    whole = Seizure("night1", ("A1", "A2", "A3", "A4"), values, 1 / RATE, 15.0, 25.0)
    return dataclasses.replace(whole, **more)


def test_a_window_has_what_is_around_the_seizure():
    whole = seizure(onsets={"l": 16.0, "r": math.inf, "m": 39.0})
    part = seizure_window(whole, before=3.0, after=2.0)
    first, last = int(12 * RATE), int(27 * RATE)
    np.testing.assert_array_equal(part.samples, whole.samples[first:last])
    assert (part.onset, part.end, part.duration) == (3.0, 13.0, 15.0)
    assert part.onsets == {"l": 4.0, "r": math.inf}
    assert part.channels == whole.channels and part.period == whole.period
    assert seizure_window(seizure(), 0.0, 0.0).onset == 0.0
    assert seizure_window(seizure()).onsets is None


@pytest.mark.parametrize(
    "changed, window, message",
    [
        ({}, (15.5, 1.0), "not 15.5 s before and 1 s after it; lower them"),
        ({}, (1.0, 15.5), "'night1' lasts from 15 to 25 s of 40 s"),
        ({}, (-1.0, 1.0), "before, in s, is -1"),
        (
            {"end": None},
            (1.0, 1.0),
            r"'night1' has no end; mark it: in onsets.tsv, .* region is n/a",
        ),
        ({"onset": None}, (1.0, 1.0), "'night1' has no onset; mark it: in onsets.tsv"),
        ({"onset": 1.5}, (1.0, 1.0), "begins at 1.5 s, and the baseline before it needs 2 s"),
    ],
)
def test_windows_that_do_not_fit_are_told(changed, window, message):
    with pytest.raises(ValueError, match=message):
        seizure_window(seizure(**changed), *window)


def test_what_is_fitted_is_the_window_at_the_models_samples():
    window, found = fitted_window(seizure(), pace=2.0, before=3.0, after=2.0)
    same = seizure_window(seizure(), before=3.0, after=2.0)
    np.testing.assert_array_equal(window.samples, same.samples)
    # 15 s at 2 s in a ms, a point every 0.2 ms: every 0.4 s.
    np.testing.assert_array_equal(found, log_power(same.samples, same.period, points=38))
    assert fitted_window(seizure())[0].duration == 15.0 + 10.0 + 5.0  # as far as recorded


@pytest.mark.parametrize(
    "pace, message",
    [
        (1e-4, "window of 30 s makes 1.5e.06 points, and 20 to 7680"),
        (10.0, "makes 15 points, .* give a pace from 0.0197 to 7.42"),
    ],
)
def test_a_pace_that_a_window_does_not_allow_is_told(pace, message):
    with pytest.raises(ValueError, match=f"fitted_window: 'night1': at a pace .*{message}"):
        fitted_window(seizure(), pace=pace)
    assert fitted_window(seizure(), pace=0.0197)[1].shape == (7614, 4)
    assert fitted_window(seizure(), pace=7.42)[1].shape == (20, 4)


def test_contacts_that_are_dead_in_the_window_are_told_by_name():
    values = np.array(seizure().samples)
    values[int(20 * RATE) :, [0, 3]] = 1.5
    with pytest.raises(ValueError, match="'A1', 'A4' have one value .*night1_channels.tsv"):
        fitted_window(seizure(samples=values))


def test_a_window_without_a_seizure_is_told_with_its_numbers():
    check_seizure(seizure())
    quiet = seizure(1.0)
    for check in (check_seizure, seizure_window):
        with pytest.raises(ValueError, match="a seizure window without a seizure") as raised:
            check(quiet)
        assert "from 15 to 25 s" in str(raised.value) and "never rises to 2 times" in str(
            raised.value
        )
        assert "'A" in str(raised.value) and "deviations" in str(raised.value)
    # Elsewhere in the recording there is one.
    early = dataclasses.replace(seizure(), onset=5.0, end=10.0)
    with pytest.raises(ValueError, match="from 5 to 10 s"):
        check_seizure(early)


@pytest.mark.parametrize("gain, ratio, rises", [(3.0, 5.0, True), (3.0, 20.0, False)])
def test_the_ratio_is_of_powers(gain, ratio, rises):
    """Power rises ninefold."""
    if rises:
        return check_seizure(seizure(gain), ratio=ratio)
    with pytest.raises(ValueError, match=r"channel 'A3' at .* s: (8|9|10|11)\.?\d* times, "):
        check_seizure(seizure(gain), ratio=ratio)


def test_the_rise_is_beyond_the_baselines_own_spread():
    with pytest.warns(UserWarning, match="not by 1000 robust standard deviations.*'A3'"):
        check_seizure(seizure(3.0), deviations=1e3)


def test_a_rise_within_a_baseline_that_drifts_is_left_to_whoever_looks():
    """Power that falls fifty-fold before the onset has a large spread."""
    drifting = seizure(3.0)
    values = np.array(drifting.samples)
    values[: int(15 * RATE)] *= np.exp(np.linspace(1.0, -1.0, int(15 * RATE)))[:, None]
    with pytest.warns(UserWarning, match="look at the recording"):
        check_seizure(dataclasses.replace(drifting, samples=values))


def test_no_chance_of_noise_is_a_seizure():
    for seed in range(5):
        many = Seizure(
            "s", tuple(f"C{i}" for i in range(30)), noise(30, seed), 1 / RATE, 10.0, 35.0
        )
        with pytest.raises(ValueError, match="without a seizure"):
            check_seizure(many)
