"""Monitors against NumPy on the raw trajectory."""

import jax
import numpy as np
import pytest

import tvbjax
from networks import network
from tvbjax import monitors, noise
from tvbjax.monitors import Bold, FirstOrderVolterra, Raw, SubSample, TemporalAverage

STEPS = 1234  # no multiple of any block or period here


@pytest.mark.parametrize("period", [1, 3, 7, 10, 32, 100, 1000])
def test_averages_and_samples_are_those_of_the_trajectory(tmp_path, period):
    observers = (Raw(), TemporalAverage(period * 0.1), SubSample(period * 0.1))
    result = tvbjax.simulate(network(tmp_path, monitors=observers), STEPS * 0.1)
    trajectory = result.samples["raw"].values
    whole = STEPS // period
    windows = trajectory[: whole * period].reshape(whole, period, *trajectory.shape[1:])
    average, sample = result.samples["temporal_average"], result.samples["subsample"]
    np.testing.assert_allclose(average.values, windows.mean(axis=1), rtol=1e-13)
    np.testing.assert_array_equal(sample.values, windows[:, -1])
    ends = period * np.arange(1, whole + 1)
    np.testing.assert_allclose(sample.time, ends * 0.1)
    np.testing.assert_allclose(average.time, (ends - period / 2) * 0.1)
    np.testing.assert_allclose(result.samples["raw"].time, np.arange(1, STEPS + 1) * 0.1)


def volterra(age, tau_s=0.8, tau_f=0.4):
    """The kernel of Friston et al. (2000), ages in s."""
    omega = np.sqrt(1 / tau_f - 1 / (4 * tau_s**2))
    return np.exp(-age / (2 * tau_s)) * np.sin(omega * age) / (3 * omega)


def test_bold_is_the_convolution_of_the_trajectory(tmp_path):
    kernel = FirstOrderVolterra(length=0.2)
    simulator = network(tmp_path, monitors=(Raw(), Bold(20.0, kernel=kernel)))
    result = tvbjax.simulate(simulator, 300.0)
    start = np.full((2000, 1, 5), 1.0)  # the middle of the initial range, held before t = 0
    states = np.concatenate([start, result.samples["raw"].values])
    ages = 1e-4 * (np.arange(2000) + 0.5)  # s: every step met by the kernel at its own age
    expected = []
    for end in range(200, 3001, 200):
        past = states[end : end + 2000][::-1]
        convolved = np.tensordot(volterra(ages), past, axes=1) * 1e-4
        expected.append(5.6 * 0.02 * (convolved - 1.0))
    # Means over h = 4 ms meet the kernel at their centre. The activity moves by less than 2, so
    # what is lost is at most k1 V0 h^2 / 12 G'(0) 2 = 0.112 (0.004)^2 / 12 / 3 * 2 = 1e-7.
    np.testing.assert_allclose(result.samples["bold"].values, expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(result.samples["bold"].time, np.arange(20.0, 301.0, 20.0))


def test_bold_of_constant_activity_is_known_in_closed_form(tmp_path):
    """The integral of the kernel is tau_f / 3, and the activity before t = 0 is that of t = 0."""
    still = network(tmp_path, monitors=Bold(100.0))
    fixed = tvbjax.Simulator(
        still.model,
        tvbjax.Connectome(np.zeros((2, 2))),
        tvbjax.coupling.Linear(a=0.0, b=3.0),
        tvbjax.integrators.Euler(dt=0.5),
        monitors=Bold(100.0),
    )
    result = tvbjax.simulate(fixed, 500.0, initial=np.full((1, 2), 3.0))
    expected = 5.6 * 0.02 * (3.0 * 0.4 / 3.0 - 1.0)
    np.testing.assert_allclose(result.samples["bold"].values, expected, atol=1e-5)


def test_bold_keeps_only_means(tmp_path):
    """What a monitor carries does not grow with the run."""
    simulator = network(tmp_path, monitors=Bold(100.0))
    short, long = (tvbjax.simulate(simulator, t) for t in (100.0, 1000.0))
    sizes = [[part.size for part in r.final.monitors[0]] for r in (short, long)]
    assert sizes[0] == sizes[1]


def test_chosen_variables_and_names():
    simulator = tvbjax.Simulator(
        tvbjax.lems.load("MontbrioPazoRoxin"),
        tvbjax.datasets.connectome("tvb76"),
        tvbjax.coupling.Linear(a=0.0),
        tvbjax.integrators.Heun(dt=0.1),
        monitors=(
            TemporalAverage(1.0, variables="V", name="potential"),
            SubSample(1.0, variables=("V", "r")),
        ),
    )
    result = tvbjax.simulate(simulator, 3.0)
    assert result["potential"].coords["variable"].values.tolist() == ["V"]
    assert result["subsample"].coords["variable"].values.tolist() == ["V", "r"]
    assert result["subsample"].dims == ("time", "variable", "region")


def test_every_state_variable_can_be_observed():
    simulator = tvbjax.Simulator(
        tvbjax.lems.load("JansenRit"),
        tvbjax.datasets.connectome("tvb76"),
        tvbjax.coupling.Linear(a=0.0),
        tvbjax.integrators.Heun(dt=0.1),
        monitors=Raw(variables=("y5", "y0")),
    )
    assert simulator.model.variables_of_interest == ("y0", "y1", "y2", "y3")
    result = tvbjax.simulate(simulator, 3.0)
    assert result["raw"].coords["unit"].values.tolist() == ["mV/ms", "mV"]
    final = np.asarray(result.final.state)
    np.testing.assert_array_equal(result["raw"].values[-1], final[[5, 0]])


@pytest.mark.parametrize(
    "period, near", [(0.25, "0.2 or 0.3"), (0.04, "0.1"), (12.34, "12.3 or 12.4")]
)
def test_a_period_that_is_no_multiple_names_the_nearest(tmp_path, period, near):
    with pytest.raises(ValueError, match=f"the nearest are {near} ms"):
        network(tmp_path, monitors=TemporalAverage(period))


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan")])
def test_a_period_that_is_not_positive_is_an_error(tmp_path, period):
    with pytest.raises(ValueError, match="give a positive multiple of dt"):
        network(tmp_path, monitors=Bold(period))


def test_two_monitors_of_one_name_and_unknown_variables_are_errors(tmp_path):
    with pytest.raises(ValueError, match="2 monitors are called 'temporal_average'"):
        network(tmp_path, monitors=(TemporalAverage(1.0), TemporalAverage(2.0)))
    with pytest.raises(ValueError, match="'y' cannot be observed of Decay; it has x"):
        network(tmp_path, monitors=monitors.Raw(variables="y"))


def test_monitors_see_the_noise_too(tmp_path):
    simulator = network(tmp_path, monitors=(Raw(), TemporalAverage(0.5)), noise=noise.Additive(1.0))
    result = tvbjax.simulate(simulator, 10.0, key=jax.random.key(0))
    means = result.samples["raw"].values.reshape(20, 5, 1, 5).mean(axis=1)
    np.testing.assert_allclose(result.samples["temporal_average"].values, means, rtol=1e-13)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (Bold, {"kernel": "Gamma"}, "Bold: kernel is 'Gamma'; give e.g. monitors.Gamma"),
        (Bold, {"kernel": monitors.Gamma}, "kernel is the class Gamma; give an instance: Gamma"),
        (Bold, {"interim": "4"}, "Bold: interim is '4'; give e.g. 4.0, in ms, or None"),
        (Bold, {"period": "500"}, "Bold: period is '500'"),
        (monitors.Gamma, {"length": "20"}, "Gamma: length is '20'; give e.g. 20.0, in s"),
        (monitors.BalloonWindkessel, {"haemodynamics": {}}, "haemodynamics is {}; give e.g."),
        (monitors.GlobalAverage, {"of": 1.0}, "GlobalAverage: of is 1.0; give e.g. Temporal"),
        (monitors.GlobalAverage, {"of": Raw}, "of is the class Raw; give an instance: Raw"),
        (monitors.SpatialAverage, {"of": None, "groups": [0, 1]}, "SpatialAverage: of is None"),
        (monitors.Covariance, {"of": 1.0, "samples": 5}, "Covariance: of is 1.0; give"),
        (monitors.Projection, {"of": Raw(), "gain": np.ones(2)}, "gain is array.*; give .*gain_of"),
        (TemporalAverage, {"period": None}, "TemporalAverage: period is None; give e.g. 1.0, in"),
        (SubSample, {"period": Raw()}, "SubSample: period is Raw"),
        (Raw, {"name": None}, "Raw: name is None; give e.g. 'fast'"),
        (Raw, {"variables": 5}, "Raw: variables is 5; give a name, a tuple of names"),
        (Raw, {"variables": ("V", 5)}, r"Raw: variables is \('V', 5\)"),
    ],
)
def test_what_is_of_another_kind_is_told_when_it_is_built(kind, given, says, without_type_checks):
    with pytest.raises(TypeError, match=says):
        kind(**given)


def test_variables_are_named_once():
    with pytest.raises(ValueError, match="variables has 'V' more than once"):
        Raw(variables=("V", "r", "V"))


@pytest.mark.parametrize("watch", [[Raw], Raw, (Raw(), None)])
def test_what_is_no_monitor_is_told(tmp_path, watch, without_type_checks):
    with pytest.raises(TypeError, match="Simulator: monitors is (the class Raw|None); give"):
        network(tmp_path, monitors=watch)


def test_periods_of_any_type_of_number_are_taken():
    assert TemporalAverage(1) == TemporalAverage(np.float32(1.0)) == TemporalAverage(1.0)
    assert Bold(np.int64(20), interim=2) == Bold(20.0, interim=2.0)


@pytest.mark.parametrize(
    "watch",
    [
        Raw(name="region"),
        Raw(name=""),
        Raw(name="a/b"),
        monitors.PowerSpectrum(Raw(), 8, 1, name="frequency"),
        monitors.Covariance(Raw(), 8, name="other_region"),
        monitors.FunctionalConnectivityDynamics(Raw(), 8, 4, name="window"),
    ],
    ids=lambda watch: watch.name,
)
def test_a_name_that_files_cannot_have_is_an_error(tmp_path, watch):
    with pytest.raises(ValueError, match=f"a monitor cannot be called '{watch.name}'"):
        network(tmp_path, monitors=watch)


def test_a_kernel_shorter_than_a_mean_is_an_error(tmp_path):
    kernel = monitors.Gamma(length=1e-4)
    with pytest.raises(ValueError, match="length of 0.1 ms is shorter than one mean .*, 4 ms"):
        network(tmp_path, monitors=Bold(20.0, kernel=kernel))
    network(tmp_path, monitors=Bold(20.0, kernel=kernel, interim=0.1))
