"""Objectives of connectivity against NumPy and SciPy; gradients, limits and what they refuse."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats
import xarray as xr

import tvbjax
from networks import network
from signals import result_of
from slopes import check_slope
from tvbjax import analysis, monitors
from tvbjax.axes import Axis
from tvbjax.inference import objectives

RNG = np.random.default_rng(0)
MIXED = RNG.normal(size=(4, 4))
SIGNALS = np.cumsum(RNG.normal(size=(160, 4)), axis=0) * 0.3 + RNG.normal(size=(160, 4)) @ MIXED
MEASURED = np.asarray(np.corrcoef((RNG.normal(size=(200, 4)) @ (MIXED + 0.5)).T))
UPPER = np.triu_indices(4, 1)
LABELS = ["r0", "r1", "r2", "r3"]


def pearson(one, other) -> float:
    found: Any = scipy.stats.pearsonr(one, other)
    return found.statistic


def fc(signals):
    return np.corrcoef(signals.T)[UPPER]


def slope_of(loss):
    return jax.jit(jax.value_and_grad(loss))


def on_results(objective, period=1.0):
    """The loss as a function of signals."""
    return lambda values: objective(result_of(values, period))


def test_functional_connectivity_is_compared_above_the_diagonal():
    result = result_of(SIGNALS)
    expected = 1.0 - pearson(fc(SIGNALS), MEASURED[UPPER])
    objective = objectives.FunctionalConnectivity(MEASURED)
    assert objective(result) == pytest.approx(expected, abs=1e-13)
    assert objective.name == "functional_connectivity"

    rms = objectives.FunctionalConnectivity(MEASURED, distance=objectives.root_mean_square)
    difference = fc(SIGNALS) - MEASURED[UPPER]
    assert rms(result) == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-12)

    without = objectives.FunctionalConnectivity(MEASURED - np.eye(4), skip=30.0)
    expected = 1.0 - pearson(fc(SIGNALS[15:]), MEASURED[UPPER])
    assert without(result_of(SIGNALS, 2.0)) == pytest.approx(expected, abs=1e-13)
    # A sample that begins in what is skipped is left out, too.
    part = objectives.FunctionalConnectivity(MEASURED, skip=29.0)
    assert part(result_of(SIGNALS, 2.0)) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("distance", [objectives.correlation_distance, objectives.root_mean_square])
def test_the_gradient_of_functional_connectivity(distance):
    objective = objectives.FunctionalConnectivity(MEASURED, distance=distance)
    check_slope(on_results(objective), SIGNALS)
    slope = slope_of(on_results(objective))
    (_, scaled), (_, plain) = slope(jnp.asarray(1e-6 * SIGNALS)), slope(jnp.asarray(SIGNALS))
    np.testing.assert_allclose(1e-6 * scaled, plain, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("distance", [objectives.correlation_distance, objectives.root_mean_square])
def test_at_perfect_connectivity_gradients_are_finite(distance, single):
    with jax.enable_x64(not single):
        own = analysis.functional_connectivity(SIGNALS)
        objective = objectives.FunctionalConnectivity(own, distance=distance)
        value, gradient = slope_of(on_results(objective))(jnp.asarray(SIGNALS))
    assert value.dtype == (np.float32 if single else np.float64)
    assert abs(value) < 1e-6 and np.isfinite(gradient).all()


def test_a_constant_signal_gives_nan_and_is_told():
    silent = SIGNALS.copy()
    silent[:, 2] = 0.1
    assert jnp.isnan(objectives.FunctionalConnectivity(MEASURED)(result_of(silent)))


def test_identical_signals_have_a_level_and_no_pattern():
    same = np.repeat(SIGNALS[:, :1], 4, axis=1)
    pattern = objectives.FunctionalConnectivity(MEASURED)
    assert not abs(pattern(result_of(same))) < 0.5  # rounding has no pattern: NaN, or about 1
    level = objectives.FunctionalConnectivity(MEASURED, distance=objectives.root_mean_square)
    value, gradient = slope_of(on_results(level))(jnp.asarray(same))
    expected = np.sqrt(np.mean((1.0 - MEASURED[UPPER]) ** 2))
    assert value == pytest.approx(expected, rel=1e-12) and np.isfinite(gradient).all()


@pytest.mark.slow
def test_connectivity_gathered_in_the_run_serves_as_well(tmp_path):
    raw = monitors.Raw()
    watch = (
        raw,
        monitors.FunctionalConnectivity(raw, 100, name="fc"),
        monitors.Covariance(raw, 100, name="covariance"),
    )
    simulator = network(tmp_path, regions=4, monitors=watch)
    result = tvbjax.simulate(simulator, 10.0)
    by_signals = objectives.FunctionalConnectivity(MEASURED, monitor="raw")
    for name in ("fc", "covariance"):
        gathered = objectives.FunctionalConnectivity(MEASURED, monitor=name)
        gathered.check(simulator, 10.0)
        assert gathered(result) == pytest.approx(float(by_signals(result)), abs=1e-8)
        with pytest.raises(ValueError, match="no sample of 5 ms.*every 10 ms; run longer"):
            gathered.check(simulator, 5.0)
    with pytest.raises(ValueError, match="skip=3 ms leaves none of the 1 samples of 'fc'"):
        objectives.FunctionalConnectivity(MEASURED, monitor="fc", skip=3.0).check(simulator, 10.0)
    with pytest.raises(ValueError, match="those of one sample"):
        objectives.FunctionalConnectivity(MEASURED, monitor="fc", skip=3.0)(result)

    @jax.jit
    def loss(gain):
        changed = eqx.tree_at(lambda s: s.coupling.a, simulator, gain)
        return by_signals(tvbjax.simulate(changed, 10.0))

    value, slope = jax.value_and_grad(loss)(jnp.asarray(0.3))
    ahead, behind = loss(0.3 + 1e-6), loss(0.3 - 1e-6)
    assert value == pytest.approx(float(by_signals(result)), abs=1e-8)
    assert slope == pytest.approx(float(ahead - behind) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_envelopes_are_filtered_and_correlated(orthogonal):
    period = 10.0
    form = analysis.orthogonal_envelope_correlation if orthogonal else analysis.envelope_correlation
    objective = objectives.EnvelopeCorrelation(MEASURED, 8.0, 13.0, correlation=form)
    found = objective.compared(result_of(SIGNALS, period))
    band = np.asarray(analysis.band_pass(SIGNALS, period, 8.0, 13.0))
    if not orthogonal:
        analytic: Any = scipy.signal.hilbert(band, axis=0)
        expected = np.corrcoef(np.abs(analytic).T)
        np.testing.assert_allclose(found.simulated, expected, atol=1e-10)
    expected = 1.0 - pearson(np.asarray(form(band))[UPPER], MEASURED[UPPER])
    assert objective(result_of(SIGNALS, period)) == pytest.approx(expected, abs=1e-12)
    check_slope(on_results(objective, period), SIGNALS, step=1e-7 if orthogonal else 1e-6, rel=1e-5)


def windows_of(signals, window, step):
    flat = [fc(signals[i : i + window]) for i in range(0, len(signals) - window + 1, step)]
    return np.corrcoef(np.array(flat))


def test_dynamics_are_compared_as_distributions():
    window, step, apart = 40, 10, 2
    fcd = windows_of(SIGNALS, window, step)
    values = fcd[np.triu_indices(len(fcd), apart)]
    other = windows_of(RNG.normal(size=(300, 4)) @ MIXED, 50, 20)
    objective = objectives.FunctionalConnectivityDynamics(other, window, step, apart=apart)
    wanted = other[np.triu_indices(len(other), apart)]
    expected = scipy.stats.wasserstein_distance(values, wanted)
    assert objective(result_of(SIGNALS)) == pytest.approx(expected, abs=1e-10)
    compared = objective.compared(result_of(SIGNALS))
    assert compared.kind is objectives.Kind.DISTRIBUTION and compared.axes == ()
    np.testing.assert_allclose(compared.empirical, wanted)

    # To the smooth distance the ends of all values are constants: those of the target here.
    wanted = np.append(wanted, [-1.0, 1.0])
    smooth = objectives.FunctionalConnectivityDynamics(
        wanted, window, step, apart=apart, distance=objectives.KolmogorovSmirnov(0.1)
    )
    expected = analysis.ks_distance(values, wanted, width=0.1)
    assert smooth(result_of(SIGNALS)) == pytest.approx(float(expected), abs=1e-10)
    for one in (objective, smooth):
        check_slope(on_results(one), SIGNALS)


def test_dynamics_like_the_targets_have_no_distance_and_finite_gradients():
    own = np.asarray(analysis.functional_connectivity_dynamics(SIGNALS, 40, 10))
    for distance in (objectives.wasserstein_distance, objectives.KolmogorovSmirnov(0.1)):
        objective = objectives.FunctionalConnectivityDynamics(own, 40, 10, distance=distance)
        value, gradient = slope_of(on_results(objective))(jnp.asarray(SIGNALS))
        assert value < 1e-12 and np.isfinite(gradient).all()


def changed(index, value, mirror=True):
    matrix = MEASURED.copy()
    matrix[index] = value
    if mirror:
        matrix[index[::-1]] = value
    return matrix


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (changed((0, 2), np.nan), r"target\[0, 2\] is nan \(2 of 16 .*fill in or leave out"),
        (MEASURED[:3], r"shape \(3, 4\); give a square matrix of 3 or more"),
        (np.eye(2), r"shape \(2, 2\); give a square matrix"),
        (changed((1, 3), 0.5, False), r"target\[1, 3\] is 0.5 and its mirror .*target.T\) / 2"),
        (changed((1, 3), 1.7), r"target\[1, 3\] is 1.7, and no correlation; .*np.tanh"),
        (changed((1, 1), 0.4), r"target\[1, 1\] on the diagonal is 0.4; .*covariance"),
        (np.eye(4), r"all correlations of the target are 0, .*root_mean_square"),
    ],
)
def test_what_is_no_functional_connectivity_is_refused(target, says):
    with pytest.raises(ValueError, match=says):
        objectives.FunctionalConnectivity(target)
    with pytest.raises(ValueError, match=says):
        objectives.EnvelopeCorrelation(target, 8.0, 13.0)


def of_regions(labels, other=None):
    coords = {"region": labels, "other_region": labels if other is None else other}
    return xr.DataArray(MEASURED.copy(), dims=("region", "other_region"), coords=coords)


def test_labels_must_be_those_of_the_simulation_in_its_order():
    result = result_of(SIGNALS)
    plain = objectives.FunctionalConnectivity(MEASURED)(result)
    assert objectives.FunctionalConnectivity(of_regions(LABELS))(result) == plain
    swapped = ["r0", "r2", "r1", "r3"]
    with pytest.raises(ValueError, match="region 1 is 'r2' there and 'r1' in 'bold'.*sel.region=l"):
        objectives.FunctionalConnectivity(of_regions(swapped))(result)
    with pytest.raises(ValueError, match="has no region 'r1' .1 of 4 are missing.*'lA'"):
        objectives.FunctionalConnectivity(of_regions(["r0", "lA", "r2", "r3"]))(result)
    with pytest.raises(ValueError, match="rows .region. and columns .other_region. have different"):
        objectives.FunctionalConnectivity(of_regions(LABELS, swapped))
    missing = of_regions(LABELS)
    missing[0, 3] = np.nan
    with pytest.raises(ValueError, match=r"target\[0, 3\] \(region r0, other_region r3\) is nan"):
        objectives.FunctionalConnectivity(missing)
    fewer = objectives.FunctionalConnectivity(MEASURED[:3, :3])
    with pytest.raises(ValueError, match="the target has 3 regions and 'bold' observes 4"):
        fewer(result)
    sensors = (Axis("sensor", ("a", "b", "c", "d")),)
    with pytest.raises(ValueError, match="the target has no sensor 'a'"):
        objectives.FunctionalConnectivity(of_regions(LABELS))(result_of(SIGNALS, axes=sensors))
    rows = xr.DataArray(MEASURED, dims=("region", "other"), coords={"region": swapped})
    with pytest.raises(ValueError, match="region 1 is 'r2' there and 'r1' in 'bold'"):
        objectives.FunctionalConnectivity(rows)(result)
    with pytest.raises(TypeError, match="a DataFrame of pandas, .*give xarray.DataArray"):
        objectives.FunctionalConnectivity(rows.to_pandas())


def test_what_the_run_cannot_give_is_refused(tmp_path, without_type_checks):
    watch = monitors.TemporalAverage(1.0)
    simulator = network(tmp_path, regions=4, monitors=watch)

    def refused(objective, duration, says):
        with pytest.raises(ValueError, match=says):
            objective.check(simulator, duration)

    connectivity = objectives.FunctionalConnectivity(MEASURED, skip=5.0)
    connectivity.check(simulator, 10.0)
    refused(connectivity, 6.0, "1 samples of 'temporal_average' are left.*a correlation takes 2")
    refused(connectivity, 4.0, "skip=5 ms leaves none of the 4 samples")
    dynamics = objectives.FunctionalConnectivityDynamics(MEASURED, 30, 5)
    dynamics.check(simulator, 35.0)
    refused(dynamics, 34.0, "34 samples .* two windows of 30 samples, 1 steps of 5 apart, takes 35")
    envelopes = objectives.EnvelopeCorrelation(MEASURED, 8.0, 13.0)
    envelopes.check(simulator, 125.0)
    refused(envelopes, 100.0, "a cycle of 8 Hz takes 125")
    fast = objectives.EnvelopeCorrelation(MEASURED, 80.0, 700.0)
    refused(fast, 100.0, "band is 80.0 to 700.0 Hz of signals sampled every 1.0 ms.*500 Hz")
    vector = objectives.FunctionalConnectivity(MEASURED, distance=lambda a, b: a - b)
    refused(vector, 10.0, r"the loss has the shape \(6,\); give a distance that is one number")
    for none in ("rms", objectives.KolmogorovSmirnov):
        with pytest.raises(TypeError, match="distance is .*; give a function, such as"):
            objectives.FunctionalConnectivity(MEASURED, distance=none)  # type: ignore
    with pytest.raises(TypeError, match="is complex; give its real part"):
        objectives.FunctionalConnectivity(MEASURED * 1j)
    with pytest.raises(ValueError, match="a value of 5, and no correlation is beyond 1"):
        objectives.FunctionalConnectivityDynamics([0.1, 5.0], 30, 5)
    with pytest.raises(TypeError, match="low is 'alpha'; give a finite number"):
        objectives.EnvelopeCorrelation(MEASURED, "alpha", 13.0)  # type: ignore
    with pytest.raises(TypeError, match="correlation is 'orthogonal'; give a function"):
        objectives.EnvelopeCorrelation(MEASURED, 8.0, 13.0, correlation="orthogonal")  # type: ignore
    few = objectives.FunctionalConnectivityDynamics(MEASURED, 30, 5)
    with pytest.raises(ValueError, match="'bold' observes 2 regions; it takes three"):
        few(result_of(SIGNALS[:, :2]))
    matrices = result_of(SIGNALS.reshape(20, 8, 4), axes=(Axis("a", ()), Axis("b", ())))
    with pytest.raises(ValueError, match="no signals .time, place.; name a monitor such as"):
        few(matrices)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: objectives.EnvelopeCorrelation(MEASURED, 13.0, 8.0), "give 0 < low < high"),
        (lambda: objectives.EnvelopeCorrelation(MEASURED, 8.0, 9.0, order=0), "order=0; give 1"),
        (lambda: objectives.FunctionalConnectivityDynamics(MEASURED, 1), "window=1; give 2 or"),
        (lambda: objectives.FunctionalConnectivityDynamics(MEASURED, 9, 0), "step=0; give 1 or"),
        (lambda: objectives.FunctionalConnectivityDynamics(MEASURED, 9, apart=4), "matrix of 5 or"),
        (lambda: objectives.FunctionalConnectivityDynamics([], 9), "no values; give one or more"),
        (
            lambda: objectives.FunctionalConnectivityDynamics([0.1, np.inf], 9),
            r"target\[1\] is inf",
        ),
        (lambda: objectives.FunctionalConnectivity(MEASURED, skip=-1.0), "skip=-1.0; give the ms"),
    ],
)
def test_options_that_make_no_sense_are_refused(build, says):
    with pytest.raises(ValueError, match=says):
        build()


def test_numbers_may_be_of_any_type_and_what_is_none_is_refused(without_type_checks):
    made = objectives.FunctionalConnectivityDynamics(MEASURED, np.int64(9), skip=np.float32(5))
    assert hash((made.window, made.skip)) == hash((9, 5.0))
    build: Any = objectives.FunctionalConnectivityDynamics
    with pytest.raises(TypeError, match="window='a'; give a whole number"):
        build(MEASURED, "a")
    with pytest.raises(TypeError, match="skip is 'b'; give e.g. 10_000.0, in ms"):
        build(MEASURED, 9, skip="b")
