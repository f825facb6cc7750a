"""BOLD: kernels and the Balloon equations against SciPy, TVB and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.signal
import scipy.stats
from jax.test_util import check_grads

import tvbjax
from networks import network
from reference import cases
from signals import observed
from tvbjax import monitors
from tvbjax.monitors import BalloonWindkessel, Bold, Haemodynamics

TVB = cases.stored("tvb_haemodynamics")


@pytest.mark.parametrize("name", cases.KERNELS)
def test_kernels_are_tvbs(name):
    """TVB scales some to the peak on its grid; the true peak is a millionth higher."""
    found = getattr(monitors, name)().response(jnp.asarray(cases.KERNEL_AGES))
    np.testing.assert_allclose(found, TVB[name], rtol=0, atol=2e-6 * np.abs(TVB[name]).max())


def test_mixture_of_gammas_is_scipys_densities():
    ages = np.linspace(0.01, 30.0, 500)
    kernel = monitors.MixtureOfGammas(a1=5.5, a2=11.0, l=1.3, c=0.3)
    density = [scipy.stats.gamma.pdf(ages, a, scale=1 / 1.3) / 1.3 for a in (5.5, 11.0)]
    expected = density[0] - 0.3 * density[1]
    np.testing.assert_allclose(kernel.response(jnp.asarray(ages)), expected, rtol=1e-10)


@pytest.mark.parametrize(
    "kernel",
    [
        monitors.Gamma(length=1.0, tau=0.1),
        monitors.DoubleExponential(length=1.0, f1=0.3, f2=1.2, tau1=0.7, tau2=0.4),
        monitors.MixtureOfGammas(length=1.0, l=20.0),
    ],
    ids=lambda kernel: type(kernel).__name__,
)
@pytest.mark.parametrize("chunks", [None, [700, 1, 3299]])
def test_bold_is_scipys_convolution(kernel, chunks):
    """Of means over 2 ms, each met by the kernel at its own age; the past is that of the start."""
    signal = np.random.default_rng(0).normal(size=(4000, 1, 2)).cumsum(axis=0) / 30
    found = observed(Bold(20.0, kernel=kernel, interim=2.0), signal, 0.5, chunks=chunks)
    means = signal.reshape(1000, 4, 2).mean(axis=1)
    held = np.concatenate([np.tile(signal[0], (500, 1)), means])
    ages = 0.002 * (np.arange(500) + 0.5)
    weights = np.asarray(kernel.response(jnp.asarray(ages))) * 0.002
    convolved = scipy.signal.fftconvolve(held, weights[:, None], axes=0)[: len(held)]
    np.testing.assert_allclose(found[:, 0], convolved[500 + 9 :: 10], atol=1e-10)


def test_bold_begins_with_the_history_that_it_is_given():
    """A run that continues a signal, given as history, gives what the whole run gives."""
    signal = np.random.default_rng(1).normal(size=(1200, 1, 3))
    monitor = Bold(20.0, kernel=monitors.Gamma(length=0.4, tau=0.05), interim=2.0)
    whole = observed(monitor, signal, 1.0)
    late = observed(monitor, signal[600:], 1.0, past=signal[:600])
    np.testing.assert_allclose(late, whole[30:], rtol=1e-12)


def test_a_simulation_gives_its_history_to_bold(tmp_path):
    kernel = monitors.Gamma(length=0.02, tau=0.003)
    watch = Bold(1.0, kernel=kernel, interim=0.1)
    simulator = network(tmp_path, monitors=watch)
    past = np.random.default_rng(0).uniform(0.0, 2.0, (150, 1, 5))  # more than the delays need
    found = tvbjax.simulate(simulator, 1.0, initial=past).samples["bold"].values[0, 0]
    raw = tvbjax.simulate(network(tmp_path), 1.0, initial=past).samples["raw"].values
    held = np.tile(past[:1], (200 - len(past), 1, 1))
    states = np.concatenate([held, past, raw])[-200:, 0]
    ages = 1e-4 * (np.arange(200) + 0.5)
    weights = np.asarray(kernel.response(jnp.asarray(ages))) * 1e-4
    np.testing.assert_allclose(found, weights @ states[::-1], rtol=1e-12)


def balloon(t, x, drive, parameters):
    """The equations of Stephan et al. (2007), as they are printed."""
    s, f, v, q = x
    p = parameters
    return [
        p["efficacy"] * drive(t) - s / p["tau_s"] - (f - 1) / p["tau_f"],
        s,
        (f - v ** (1 / p["alpha"])) / p["tau_o"],
        (f * (1 - (1 - p["E0"]) ** (1 / f)) / p["E0"] - v ** (1 / p["alpha"]) * q / v) / p["tau_o"],
    ]


@pytest.mark.parametrize("chunks", [None, [3001, 4, 995, 8000]])
def test_balloon_is_a_fine_solution_of_the_equations(chunks):
    """With regional parameters; what is lost is the drive's change within 4 ms."""
    time = 1e-3 * np.arange(12000)
    drives = [lambda t: 0.4 + 0.3 * np.sin(1.7 * t), lambda t: 0.2 - 0.3 * np.cos(0.9 * t)]
    signal = np.stack([drive(time + 5e-4) for drive in drives], axis=1)[:, None]
    regional = {"tau_s": [1.54, 1.2], "E0": [0.4, 0.35], "alpha": [0.32, 0.28]}
    haemodynamics = Haemodynamics(efficacy=0.8, **{k: np.array(v) for k, v in regional.items()})
    found = observed(BalloonWindkessel(100.0, haemodynamics=haemodynamics), signal, 1.0)
    defaults = {"efficacy": 0.8, "tau_f": 1.44, "tau_o": 0.98}
    for region, drive in enumerate(drives):
        parameters = defaults | {name: values[region] for name, values in regional.items()}
        inflow = max(0.05, 1 + 1.44 * 0.8 * signal[0, 0, region])
        oxygen = (1 - (1 - parameters["E0"]) ** (1 / inflow)) / parameters["E0"]
        volume = inflow ** parameters["alpha"]
        solved = scipy.integrate.solve_ivp(
            *(balloon, (0, 12), [0.0, inflow, volume, volume * oxygen]),
            args=(drive, parameters),
            rtol=1e-10,
            atol=1e-12,
            t_eval=0.1 * np.arange(1, 121),
        )
        _, _, v, q = solved.y
        k1, k2, k3 = 4.3 * 40.3 * parameters["E0"] * 0.04, 0.5 * 25 * parameters["E0"] * 0.04, 0.5
        expected = 4.0 * (k1 * (1 - q) + k2 * (1 - q / v) + k3 * (1 - v))
        assert np.ptp(expected) > 0.5
        np.testing.assert_allclose(found[:, 0, region], expected, atol=2e-5)


def test_balloon_is_tvbs_analyzer():
    """Which uses Heun's method at the same step of 4 ms, and the drive of the step's end."""
    drive = cases.drive()
    signal = np.concatenate([drive[1:], drive[-1:]])[:, None]
    monitor = BalloonWindkessel(cases.BOLD_WINDOW, interim=cases.BOLD_WINDOW)
    found = observed(monitor, signal, cases.BOLD_WINDOW, past=np.zeros((1, 1, 3)))[:, 0]
    np.testing.assert_allclose(found[:-1], TVB["balloon"][1:], atol=1e-4)


def test_balloon_of_a_constant_drive_stays_where_it_is():
    signal = np.tile(np.array([[[0.3, -0.2, 2.0]]]), (4000, 1, 1))
    found = observed(BalloonWindkessel(100.0), signal, 1.0)
    assert np.ptp(found, axis=0).max() < 1e-12
    f = 1 + 1.44 * signal[0, 0]
    v = f**0.32
    q = v * (1 - 0.6 ** (1 / f)) / 0.4
    expected = 4.0 * (4.3 * 40.3 * 0.4 * 0.04 * (1 - q) + 0.2 * (1 - q / v) + 0.5 * (1 - v))
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-10)


def test_a_drive_that_stops_the_inflow_is_reported(tmp_path):
    """Below -1 / tau_f the equations have no steady state: the inflow falls to 0."""
    simulator = network(
        tmp_path,
        monitors=BalloonWindkessel(100.0),
        coupling=tvbjax.coupling.Linear(a=0.0, b=-3.0),
    )
    with pytest.raises(
        tvbjax.DivergenceError,
        match="'bold' have x = nan in region .* stops the inflow of blood.* lower the efficacy",
    ):
        tvbjax.simulate(simulator, 20_000.0)


def test_the_balloon_is_differentiable_in_signal_and_parameters():
    signal = 0.3 + 0.1 * np.random.default_rng(2).normal(size=(200, 1, 2))

    def last(signal, tau_s, alpha):
        signal = jnp.asarray(signal)
        blood = Haemodynamics(tau_s=tau_s, alpha=alpha)
        monitor = BalloonWindkessel(20.0, haemodynamics=blood)
        carried = monitor.start(signal[:1], 1.0)
        chunk = monitors.Chunk(0, jnp.asarray(0, jnp.int32), len(signal), len(signal), 1.0)
        buffer = monitor.update(
            monitor.open(carried, chunk), signal, jnp.asarray(0, jnp.int32), chunk
        )
        return monitor.close(carried, buffer, chunk)[1].sum()

    arguments = (jnp.asarray(signal), jnp.asarray([1.5, 1.2]), jnp.asarray(0.32))
    check_grads(last, arguments, order=1, modes=("fwd", "rev"), rtol=1e-4)


def test_members_of_a_sweep_have_blood_of_their_own(tmp_path):
    simulator = network(tmp_path, monitors=BalloonWindkessel(10.0))
    taus = np.array([0.5, 1.0, 2.0])
    free = tvbjax.Free(lambda s: s.monitors[0].haemodynamics.tau_s)
    found = tvbjax.sweep(simulator, {free: taus}, 50.0, progress=False)
    for tau in taus:
        alone = network(
            tmp_path, monitors=BalloonWindkessel(10.0, haemodynamics=Haemodynamics(tau_s=tau))
        )
        expected = tvbjax.simulate(alone, 50.0)["bold"]
        np.testing.assert_allclose(found.bold.sel(tau_s=tau), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bold(2.0, interim=4.0), "period of 2 ms is shorter than the interim step of 4 ms"),
        (lambda: Bold(10.0, interim=4.0), "is no multiple of the interim step"),
        (lambda: Bold(10.0, interim=0.25), "no multiple of dt"),
        (lambda: BalloonWindkessel(1.0, interim=2.0), "shorter than the interim step"),
        (
            lambda: BalloonWindkessel(haemodynamics=Haemodynamics(tau_s=np.ones(3))),
            "tau_s has the shape .3,.; give a number, or one value for each of the 5 nodes",
        ),
        (lambda: Haemodynamics(tau_o=-1.0), "tau_o is -1.0; give positive"),
        (lambda: Haemodynamics(E0=1.5), "below 1"),
        (lambda: monitors.Gamma(n=1.0), "n > 1"),
        (lambda: monitors.Gamma(length=0.0), "positive time"),
        (lambda: monitors.DoubleExponential(tau1=0.0), "both are > 0"),
        (lambda: monitors.MixtureOfGammas(l=-1.0), "l > 0"),
        (lambda: monitors.Gamma(tau=np.ones(5)), "tau has the shape .5,.; give one .*Balloon"),
        (lambda: monitors.FirstOrderVolterra(tau_s=np.ones(5)), "tau_s has the shape .5,.; give"),
        (lambda: monitors.DoubleExponential(a=np.ones(5)), "a has the shape .5,.; give one number"),
        (lambda: monitors.MixtureOfGammas(c=np.nan), "MixtureOfGammas: c is nan; give finite"),
        (lambda: monitors.FirstOrderVolterra(V0=np.full(5, np.inf)), "V0 is NaN or infinite"),
        (lambda: Haemodynamics(TE=np.inf), "Haemodynamics: TE is inf; give finite numbers"),
        (
            lambda: Bold(kernel=monitors.FirstOrderVolterra(V0=np.ones(4))),
            "Bold: V0 of FirstOrderVolterra has the shape .4,.; .* each of the 5 nodes",
        ),
        (
            lambda: Bold(kernel=monitors.FirstOrderVolterra(k1=np.ones((5, 1)))),
            "Bold: k1 of FirstOrderVolterra has the shape .5, 1.; give one number, or one",
        ),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, make, says):
    with pytest.raises(ValueError, match=says):
        network(tmp_path, monitors=make())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Haemodynamics(tau_s="long"), "Haemodynamics: tau_s is 'long'; give a number"),
        (lambda: monitors.Gamma(a="large"), "Gamma: a is 'large'; give a number"),
    ],
)
def test_what_is_no_parameter_is_told(without_type_checks, make, says):
    with pytest.raises(TypeError, match=says):
        make()


def test_a_scale_of_every_node_scales_it(tmp_path):
    scales = np.linspace(0.01, 0.05, 5)
    one, each = (
        tvbjax.simulate(
            network(tmp_path, monitors=Bold(10.0, kernel=monitors.FirstOrderVolterra(V0=scale))),
            50.0,
        )["bold"].values
        for scale in (0.02, scales)
    )
    np.testing.assert_allclose(each, one * scales / 0.02, rtol=1e-10)


def test_ten_minutes_of_bold_carry_only_the_kernels_length(tmp_path):
    simulator = network(tmp_path, monitors=(Bold(100.0), BalloonWindkessel(100.0, name="blood")))
    result = tvbjax.simulate(simulator, 200.0)
    sizes = [sum(part.size for part in carried) for carried in result.final.monitors]
    assert sizes[0] == 5 * (5000 + 1) and sizes[1] == 5 * (4 + 1)
    assert jax.tree.all(jax.tree.map(lambda x: np.isfinite(x).all(), result.final.monitors))
