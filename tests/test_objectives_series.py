"""The objective of time courses against NumPy's sums and regressions, and what it refuses."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from networks import network
from signals import result_of
from slopes import check_slope
from tvbjax import monitors
from tvbjax.inference import objectives

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(60, 3)) + 5.0
SIGNALS = 0.4 * DATA + RNG.normal(size=(60, 3))
WEIGHTS = np.where(np.arange(60) < 20, 0.0, RNG.uniform(0.5, 2.0, 60))


def unexplained(simulated, weights):
    weights = weights[:, None]
    mean = (weights * DATA).sum(axis=0) / weights.sum()
    return (weights * (simulated - DATA) ** 2).sum() / (weights * (DATA - mean) ** 2).sum()


def regressed(weights):
    """Weighted least squares of every place by itself."""
    fitted = np.empty_like(DATA)
    root = np.sqrt(weights)
    for place in range(3):
        design = np.column_stack([np.ones(60), SIGNALS[:, place]])
        solved = np.linalg.lstsq(design * root[:, None], DATA[:, place] * root, rcond=None)[0]
        fitted[:, place] = design @ solved
    return fitted


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_loss_is_the_unexplained_share(weighted, scaled):
    weights = WEIGHTS if weighted else np.ones(60)
    objective = objectives.TimeSeries(DATA, weights=WEIGHTS if weighted else None, scaled=scaled)
    fitted = regressed(weights) if scaled else SIGNALS
    expected = unexplained(fitted, weights)
    assert objective(result_of(SIGNALS)) == pytest.approx(expected, rel=1e-11)
    compared = objective.compared(result_of(SIGNALS))
    np.testing.assert_allclose(compared.simulated, fitted, rtol=1e-9)
    assert compared.kind is objectives.Kind.SERIES
    assert [axis.name for axis in compared.axes] == ["time", "region"]
    check_slope(lambda x: objective(result_of(x)), SIGNALS)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_at_agreement_the_loss_and_its_gradient_are_zero(scaled, single):
    with jax.enable_x64(not single):
        objective = objectives.TimeSeries(DATA, scaled=scaled)
        slope = jax.jit(jax.value_and_grad(lambda x: objective(result_of(x))))
        value, gradient = slope(jnp.asarray(DATA))
        off = objective(result_of(jnp.asarray(1e-9 * DATA + 1e-8)))
    assert value < 1e-10 and np.abs(gradient).max() < 1e-6
    assert value.dtype == (np.float32 if single else np.float64)
    assert (off < 1e-10) == scaled


def test_the_targets_mean_has_the_loss_one():
    mean = np.broadcast_to(DATA.mean(axis=0), DATA.shape)
    assert objectives.TimeSeries(DATA)(result_of(mean)) == pytest.approx(1.0, rel=1e-12)
    assert np.isnan(objectives.TimeSeries(DATA, scaled=True)(result_of(0.0 * mean)))


def of_times(times, unit="ms"):
    coords = {"time": ("time", times, {"units": unit}), "region": ["r0", "r1", "r2"]}
    return xr.DataArray(DATA, dims=("time", "region"), coords=coords)


DATES = (1000 * np.arange(60)).astype("datetime64[ms]")


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: objectives.TimeSeries(DATA[:, 0]), r"shape \(60,\); give \(time, place\)"),
        (lambda: objectives.TimeSeries(np.where(DATA > 7, np.nan, DATA)), r"target\[.*\] is nan"),
        (lambda: objectives.TimeSeries(np.full((9, 2), 0.1)), "no place of the target.* varies"),
        (lambda: objectives.TimeSeries(DATA, weights=np.eye(60)[0]), "no place of the target"),
        (lambda: objectives.TimeSeries(DATA, weights=WEIGHTS[1:]), r"shape \(59,\); give one for"),
        (lambda: objectives.TimeSeries(DATA, weights=-WEIGHTS), r"weights\[20\] is -.*0 or more"),
        (
            lambda: objectives.TimeSeries(of_times(np.arange(60.0)).T),
            r"dims are region, time; give time first: target.transpose\('time', 'region'\)",
        ),
        (lambda: objectives.TimeSeries(DATA, period=0.0), "period, in ms, is 0.0; give a number"),
        (lambda: objectives.TimeSeries(DATA, period=cast(Any, "4")), "period, in ms, is '4'"),
        (lambda: objectives.TimeSeries(DATA, scaled=cast(Any, "no")), "scaled is 'no'; give"),
        (lambda: objectives.TimeSeries(cast(Any, "x")), "the target: 'x' is no number"),
        (
            lambda: objectives.TimeSeries(of_times(DATES)),
            "time has dates .* .datetime64",
        ),
        (lambda: objectives.TimeSeries(of_times(DATES - DATES[0])), "durations .timedelta64"),
        (lambda: objectives.TimeSeries(of_times(-np.arange(60.0))), "do not rise .-1 ms from row"),
        (lambda: objectives.TimeSeries(of_times(np.arange(60.0), "s")), "is in 's'; give ms"),
        (
            lambda: objectives.TimeSeries(of_times(np.arange(60.0) ** 2)),
            r"not evenly spaced \(1 ms after row 0, 59 ms on average\); resample",
        ),
    ],
)
def test_what_is_no_time_series_is_refused(build, says, without_type_checks):
    with pytest.raises((TypeError, ValueError), match=says):
        build()


def test_what_the_run_cannot_give_is_refused(tmp_path):
    simulator = network(tmp_path, regions=3, monitors=monitors.TemporalAverage(2.0))
    plain = objectives.TimeSeries(DATA, skip=8.0)
    plain.check(simulator, 128.0)
    with pytest.raises(ValueError, match="60 samples and 'temporal_average' gives 56, one every 2"):
        plain.check(simulator, 120.0)
    with pytest.raises(ValueError, match=r"shape \(3, 60\), and .* \(60, 3\); give target.T"):
        objectives.TimeSeries(DATA.T).check(simulator, 120.0)
    for other in (
        objectives.TimeSeries(DATA, period=4.0),
        objectives.TimeSeries(of_times(4.0 * np.arange(60.0))),
    ):
        with pytest.raises(ValueError, match="sample every 4 ms and .* one every 2 ms; give the m"):
            other.check(simulator, 120.0)
    right = objectives.TimeSeries(of_times(2.0 * np.arange(60.0)))
    with pytest.raises(ValueError, match="target has no region 'region_0'"):
        right.check(simulator, 120.0)
    assert right(result_of(SIGNALS, 2.0)) == objectives.TimeSeries(DATA)(result_of(SIGNALS))
