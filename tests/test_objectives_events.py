"""Features of events, sharp and soft, against counts and closed forms; `Feature`'s objective."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import network
from signals import result_of
from slopes import check_slope
from tvbjax import features, monitors
from tvbjax.inference import objectives

PERIOD = 2.0  # ms; samples are stamped from 2 ms on
RNG = np.random.default_rng(0)
NOISY = np.cumsum(RNG.normal(size=(200, 3)), axis=0) * 0.5 + RNG.normal(size=(200, 3))
TIME = PERIOD * np.arange(1, 201)
EVENTS = [
    objectives.OnsetTime(threshold=1.0, width=0.3),
    objectives.PeakAmplitude(width=0.3),
    objectives.PeakLatency(width=0.3),
    objectives.EventRate(threshold=0.5, width=0.3),
]


def found(feature, signals):
    (value,) = feature(result_of(signals, PERIOD)).values()
    return np.asarray(value)


def test_sharp_features_are_what_one_counts():
    width, threshold = 1e-7, 1.0
    rises = (NOISY[:-1] < threshold) & (NOISY[1:] >= threshold)
    seconds = PERIOD * 199 / 1000.0
    rate = found(objectives.EventRate(threshold=threshold, width=width), NOISY)
    np.testing.assert_allclose(rate, rises.sum(axis=0) / seconds, rtol=1e-9)
    assert rises.sum() > 10
    amplitude = found(objectives.PeakAmplitude(width=width), NOISY)
    np.testing.assert_allclose(amplitude, NOISY.max(axis=0), rtol=1e-9)
    latency = found(objectives.PeakLatency(width=width), NOISY)
    np.testing.assert_allclose(latency, TIME[NOISY.argmax(axis=0)], rtol=1e-9)
    onset = found(objectives.OnsetTime(threshold=threshold, width=width), NOISY)
    above = NOISY >= threshold
    first = np.where(above.any(axis=0), above.argmax(axis=0), 200)
    np.testing.assert_allclose(onset, PERIOD * (1 + first), rtol=1e-9)
    assert (above.any(axis=0)).any()


def test_a_ramps_onset_lies_between_samples_and_moves_as_its_slope_says():
    slope = 0.05  # per ms: 10 samples take it through 1

    def onset(offset):
        ramp = slope * jnp.asarray(TIME)[:, None] + offset
        feature = objectives.OnsetTime(threshold=5.3, width=0.2)
        return feature.of(ramp, TIME)[0]

    # Sums of a logistic function over samples are its integral: half a period before the sample.
    value, moved = jax.value_and_grad(onset)(jnp.asarray(0.0))
    assert value == pytest.approx(5.3 / slope + PERIOD / 2, abs=1e-6)
    assert moved == pytest.approx(-1.0 / slope, rel=1e-6)


def test_where_nothing_happens_the_onset_is_after_the_end_and_the_gradient_vanishes():
    feature = objectives.OnsetTime(threshold=100.0, width=1.0)
    assert found(feature, NOISY) == pytest.approx(TIME[-1] + PERIOD)
    slope = jax.grad(lambda x: feature.of(x, TIME).sum())(jnp.asarray(NOISY))
    assert np.isfinite(slope).all() and np.abs(slope).max() < 1e-30
    early = objectives.OnsetTime(threshold=-100.0, width=1.0)
    assert found(early, NOISY) == pytest.approx(TIME[0])


def test_a_soft_peak_is_below_the_maximum():
    parabola = -0.5 * ((TIME - 200.0)[:, None] / 20.0) ** 2
    width = 0.1
    amplitude = found(objectives.PeakAmplitude(width=width), parabola)
    assert amplitude == pytest.approx(-width / 2, rel=1e-3)  # of a Gaussian weight: the mean square
    assert found(objectives.PeakLatency(width=width), parabola) == pytest.approx(200.0, rel=1e-6)


def test_rates_do_not_depend_on_the_sampling():
    time = np.linspace(0.0, 2.0, 401)
    wave = np.sin(2 * np.pi * 10.0 * time)[:, None] * [1.0, 3.0]
    feature = objectives.EventRate(threshold=0.2, width=0.1)
    fine = np.asarray(feature.of(wave, 1000.0 * time))
    coarse = np.asarray(feature.of(wave[::5], 1000.0 * time[::5]))
    np.testing.assert_allclose(fine, 10.0, rtol=2e-3)
    np.testing.assert_allclose(coarse, fine, rtol=5e-3)


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.default_name)
def test_gradients_are_those_of_differences(event):
    objective = objectives.Feature(event, 3.0, 2.0)
    check_slope(lambda x: objective(result_of(x, PERIOD)), NOISY)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.default_name)
def test_gradients_are_finite_at_agreement_and_of_constant_signals(event, single):
    with jax.enable_x64(not single):
        own = found(event, NOISY)
        objective = objectives.Feature(event, own)
        slope = jax.jit(jax.value_and_grad(lambda x: objective(result_of(x, PERIOD))))
        value, gradient = slope(jnp.asarray(NOISY))
        still, flat = slope(jnp.full((200, 3), 0.1))
    assert value.dtype == (np.float32 if single else np.float64)
    assert value < 1e-5 and np.isfinite(gradient).all()
    assert np.isfinite(still) and np.isfinite(flat).all()


def test_any_feature_is_compared_with_its_target():
    result = result_of(NOISY, PERIOD)
    mean, target, scale = NOISY[50:].mean(axis=0), np.array([1.0, 2.0, 3.0]), np.array([1, 2, 4])
    objective = objectives.Feature(features.Mean(name="rate"), target, scale, skip=100.0)
    assert objective.name == "rate"
    expected = np.mean(((mean - target) / scale) ** 2)
    assert objective(result) == pytest.approx(expected, rel=1e-12)
    compared = objective.compared(result)
    assert compared.axes[0].name == "region" and compared.kind is objectives.Kind.VALUES
    np.testing.assert_allclose(compared.simulated, mean)

    whole = objectives.Feature(features.Mean(), 3.0, 0.5, reduce=jnp.mean)
    expected = ((NOISY.mean() - 3.0) / 0.5) ** 2
    assert whole(result) == pytest.approx(expected, rel=1e-12)
    assert whole.compared(result).axes[0].coordinate == ("mean",)
    matrix = objectives.Feature(features.FunctionalConnectivity(), np.eye(3))
    expected = np.mean((np.corrcoef(NOISY.T) - np.eye(3)) ** 2)
    assert matrix(result) == pytest.approx(expected, rel=1e-10)
    assert [axis.name for axis in matrix.compared(result).axes] == ["dim_0", "region"]


def test_events_are_measures_of_a_sweep_as_well(tmp_path):
    simulator = network(tmp_path, regions=2, monitors=monitors.TemporalAverage(1.0))
    gain = tvbjax.Free(lambda s: s.coupling.a)
    measure = objectives.PeakAmplitude(width=0.01)
    swept = tvbjax.sweep(simulator, {gain: [0.1, 0.3]}, 20.0, measure=measure, progress=False)
    alone = measure(tvbjax.simulate(simulator, 20.0))["peak_amplitude"]
    np.testing.assert_allclose(swept["peak_amplitude"][1], alone, rtol=1e-10)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (
            lambda: objectives.OnsetTime(threshold=1.0, width=0.0),
            "width, in the signals' unit, is 0.0; give a number above 0",
        ),
        (lambda: objectives.PeakLatency(width=-1.0), "PeakLatency: width, .* is -1.0"),
        (
            lambda: objectives.EventRate(threshold=np.inf, width=1.0),
            "threshold is inf; give a finite",
        ),
        (lambda: objectives.Feature(features.Mean(), [1.0, np.nan]), r"mean: target\[1\] is nan"),
        (lambda: objectives.Feature(features.Mean(), 1.0, 0.0), "the scale is 0 somewhere"),
        (lambda: objectives.Feature(features.Mean(), [1.0, 2.0], [1.0]), r"shape \(1,\) and the"),
    ],
)
def test_what_makes_no_sense_is_refused(build, says):
    with pytest.raises(ValueError, match=says):
        build()


def test_what_is_no_feature_is_refused(without_type_checks):
    build: Any = objectives.Feature
    both = features.Together(features.Mean(), features.Variance())
    for wrong in (both, lambda r: 0.0, "mean"):
        with pytest.raises(
            TypeError, match="Feature: feature is .*; give e.g. tvbjax.features.Mea"
        ):
            build(wrong, 1.0)
    with pytest.raises(TypeError, match="give an instance: Mean"):
        build(features.Mean, 1.0)


def test_what_the_run_cannot_give_is_refused(tmp_path):
    simulator = network(tmp_path, regions=3, monitors=monitors.TemporalAverage(2.0))
    objectives.Feature(features.Mean(), [1.0, 2.0, 3.0]).check(simulator, 20.0)
    for objective, says in [
        (objectives.Feature(features.Mean(), [1.0, 2.0]), r"shape \(2,\) and .* \(3,\); give a t"),
        (
            objectives.Feature(features.Mean(), [1.0, 2.0, 3.0], reduce=jnp.mean),
            r"'temporal_average' after reduce \(\)",
        ),
        (objectives.Feature(features.PowerSpectrum(segment=64), 1.0), "segment=64 of 10 samples"),
        (objectives.Feature(EVENTS[3], 1.0, skip=18.0), "1 samples; it takes two or more"),
        (
            objectives.Feature(features.Mean("bold"), 1.0),
            "there is no 'bold'; name one of temporal",
        ),
    ]:
        with pytest.raises(ValueError, match=says):
            objective.check(simulator, 20.0)
