"""What papers say that the models do: onsets, thresholds, rhythms, bistable ranges.

Bifurcation points by continuation are in test_continuation.py: the folds of Montbrió's model and
the folds and Hopf points of Jansen and Rit's.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

import tvbjax
from networks import trajectory, with_params
from test_continuation import varied
from tvbjax import coupling, lems

J_II = 1.0  # nA, a constant of the model
FOLD_X = -4 / 3  # where 1 - x^3 - 2 x^2 - z + 3.1 turns
FOLD_Z = 4.1 - FOLD_X**3 - 2 * FOLD_X**2


def rhythm(values: np.ndarray, step: float) -> float:
    """The frequency of the largest peak of the spectrum, per unit of `step`."""
    window = np.hanning(len(values)) * (values - values.mean())
    power = np.abs(np.fft.rfft(window, 8 * len(values)))
    return float(np.fft.rfftfreq(8 * len(values), step)[np.argmax(power)])


def test_the_epileptor_has_seizures_above_its_critical_excitability():
    """Jirsa et al. 2014, Proix et al. 2014: x0 = -2.05; the fold is at -4/3 - z/4 = -2.062."""
    assert FOLD_X - FOLD_Z / 4 == pytest.approx(-2.062, abs=5e-4)
    model, values = lems.load("Epileptor"), np.array([-2.2, -2.1, -2.0, -1.6])
    rest = np.array([-1.8, -15.2, 3.2, -1.0, 0.0, -0.18])[:, None].repeat(4, axis=1)
    run = trajectory(with_params(model, x0=values), 9000.0, rest, every=0.5)[1000:]
    assert ((run[:, 0].max(axis=0) > 0) == (values > -2.05)).all()
    for x0, healthy in ((-2.07, True), (-2.055, False)):
        within = {"x1": (-2.5, 0.0), "z": (2.0, 5.0)}
        points = lems.fixed_points(model, bounds=within, params=varied(model, x0=x0))
        assert any(point.stable for point in points) == healthy, x0


def test_a_seizure_starts_at_the_fold():
    """Jirsa et al. 2014, Brain 137:2210: a saddle-node, passed at the speed of z.

    A slow passage of a fold is late by the speed to the power of 2/3: 4 times less at an eighth.
    """
    late = []
    for slower in (1, 8, 64):
        model = with_params(lems.load("Epileptor"), r=0.00035 / slower)
        calm = np.array([-1.5, 1 - 5 * 1.5**2, FOLD_Z + 0.04, -1.0, 0.0, -0.15])[:, None]
        run = trajectory(model, 400.0 * slower, calm, every=0.5)[:, :, 0]
        started = np.flatnonzero(run[:, 0] > -0.5)[0]
        late.append(FOLD_Z - run[started, 2])
    assert 0 < late[2] < 0.005
    assert late[0] / late[1] == pytest.approx(4.0, rel=0.15)
    assert late[1] / late[2] == pytest.approx(4.0, rel=0.15)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    return cast(float, brentq(function, low, high))


def lowest(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """Where a function is lowest between two points, and its value there."""
    found: Any = minimize_scalar(function, bounds=(low, high), method="bounded")
    return float(found.x), float(found.fun)


@pytest.mark.parametrize("tau0", [10.0, 2857.0])
def test_the_smooth_epileptor_turns_over_where_its_trace_is_0(tau0):
    """Hashemi et al. 2020 give eta_c = -2.05; the trace is -3 x^2 - 4 x - 1 / tau0."""
    model = lems.load("Epileptor2DSmooth")
    params = varied(model, tau0=tau0, eta=-2.5)
    within = {"x": (-3.0, -0.9), "z": (0.0, 6.0)}
    branches = lems.continuation(model, "eta", (-3.0, -1.5), params=params, within=within)
    (hopf,) = (b for branch in branches for b in branch.bifurcations)
    x = -(4 + math.sqrt(16 - 12 / tau0)) / 6
    assert hopf.kind is lems.BifurcationKind.HOPF
    assert hopf.parameter_value == pytest.approx(x - (4.1 - x**3 - 2 * x**2) / 4, abs=1e-9)
    assert hopf.parameter_value == pytest.approx(-2.05, abs=0.02)


def test_the_smooth_epileptor_is_epileptor_2d_below_0():
    """Where TVB's form has its cubic for x below 0: c = 1, tt = 1, r = 1 / tau0, Ks = -K."""
    smooth, kinked = lems.load("Epileptor2DSmooth"), lems.load("Epileptor2D")
    kinked = with_params(kinked, r=1 / 10.0, Ks=-1.0, x0=-1.6)
    state = jnp.stack([jnp.linspace(-2.5, -0.01, 50), jnp.linspace(2.0, 5.0, 50)])
    inputs = jnp.linspace(-1.0, 1.0, 50)[None]
    np.testing.assert_allclose(
        smooth.dfun(state, inputs), kinked.dfun(state, inputs), rtol=1e-12, atol=1e-14
    )


def test_a_seizure_of_the_smooth_epileptor_spreads_to_a_region_below_the_critical_value():
    """eta = -2.3 seizes through a neighbour at -1.6, not on its own: Proix et al. 2014."""
    model = with_params(lems.load("Epileptor2DSmooth"), eta=np.array([-1.6, -2.3]))
    start = np.array([[-1.9, -1.9], [3.6, 3.6]])
    weights = np.array([[0.0, 1.0], [1.0, 0.0]])
    for strength, spreads in ((0.0, False), (1.0, True)):
        run = trajectory(model, 400.0, start, weights=weights, rule=coupling.Difference(strength))
        assert run[:, 0, 0].max() > 0.5
        assert (run[:, 0, 1].max() > 0) == spreads, strength


def test_kuramotos_critical_coupling():
    """Kuramoto 1975: K_c = 2 / (pi g(0)) = 2 gamma and r = sqrt(1 - K_c / K) for a Lorentzian."""
    nodes, gamma = 600, 0.05
    shares = (np.arange(nodes) + 0.5) / nodes
    model = with_params(lems.load("Kuramoto"), omega=1.0 + gamma * np.tan(math.pi * (shares - 0.5)))
    start = np.random.default_rng(0).uniform(0, 2 * math.pi, (1, nodes))
    found = {}
    for times in (0.6, 1.3, 2.0, 4.0):
        run = trajectory(
            model, 800.0, start, weights=np.ones((nodes, nodes)),
            rule=coupling.Kuramoto(a=times * 2 * gamma), every=4.0,
        )  # fmt: skip
        found[times] = float(np.abs(np.exp(1j * run[100:, 0]).mean(axis=1)).mean())
    assert found[0.6] < 0.1
    for times in (1.3, 2.0, 4.0):
        assert found[times] == pytest.approx(math.sqrt(1 - 1 / times), abs=0.04), times


def wong_wang(p: dict[str, float], S: float) -> float:
    """The recurrence w for which S is at rest: 0 = (1 - S) gamma H(x) - S / tau, solved for x."""
    rate = S / ((1 - S) * p["gamma"] * p["tau_s"])
    drive = root(lambda y: y / -math.expm1(-p["d"] * y) - rate, -2.0, 3.0)
    current = (drive + p["b"]) / p["a"]
    return (current - p["I_o"]) / (p["J_N"] * S)


def test_wong_wangs_bistable_range():
    """Deco et al. 2013: low activity alone, then low and high, then high, as coupling grows.

    With w = 0.9 and I_o = 0.3 nA of that paper, and in-strengths of 1: a network at one common S is
    a region with the recurrence w + G.
    """
    model = with_params(lems.load("ReducedWongWang"), w=0.9, I_o=0.3)
    p = varied(model)
    low, leave = lowest(lambda S: -wong_wang(p, S), 0.05, 0.3)
    high, enter = lowest(lambda S: wong_wang(p, S), 0.3, 0.9)
    enter, leave = enter - p["w"], -leave - p["w"]
    assert enter < leave
    bounds = {"S": (0.0, 1.0)}
    (branch,) = lems.continuation(model, "w", (0.5, 6.0), within=bounds)
    folds = [b.parameter_value for b in branch.bifurcations]
    assert sorted(folds) == pytest.approx([p["w"] + enter, p["w"] + leave], rel=1e-7)

    weights = np.asarray(tvbjax.datasets.connectome("tvb76").weights)
    weights = weights[weights.sum(axis=1) > 0][:, weights.sum(axis=1) > 0]
    weights = weights / weights.sum(axis=1, keepdims=True)
    states = {}
    for place, G in (
        ("below", 0.95 * enter),
        ("within", (enter + leave) / 2),
        ("above", 1.05 * leave),
    ):
        for start in (0.01, 0.9):
            run = trajectory(
                model, 6000.0, np.full((1, len(weights)), start), weights=weights,
                rule=coupling.Linear(a=G), every=100.0,
            )  # fmt: skip
            assert np.ptp(run[-1]) < 1e-9
            states[place, start] = float(run[-1].mean())
            assert wong_wang(p, states[place, start]) == pytest.approx(p["w"] + G, rel=1e-4)
    assert states["below", 0.01] == pytest.approx(states["below", 0.9], rel=1e-2)
    assert states["within", 0.01] < low and states["within", 0.9] > high
    assert states["above", 0.01] == pytest.approx(states["above", 0.9], rel=1e-2)
    assert states["below", 0.9] < low and states["above", 0.01] > high


def test_jansen_and_rits_alpha_rhythm():
    """Jansen & Rit 1995; Grimbert & Faugeras 2006: alpha from 89.83 to 315.70 per s, then rest."""
    inputs = np.array([0.1, 0.12, 0.22, 0.3, 0.33])
    model = with_params(lems.load("JansenRit"), v0=6.0, mu=inputs)
    start = np.array([0.12, 20.0, 13.0, 0.0, 0.0, 0.0])[:, None].repeat(5, axis=1)
    run = trajectory(model, 30_000.0, start)[-8000:]
    potential = run[:, 1] - run[:, 2]
    for i in range(4):
        assert 9.0 < 1000 * rhythm(potential[:, i], 1.0) < 12.0, inputs[i]
        assert np.ptp(potential[:, i]) > 1.0
    assert np.ptp(potential[:, 4]) < 0.01


def test_hindmarsh_and_roses_neuron_is_silent_bursts_is_chaotic_and_spikes():
    """Hindmarsh & Rose 1984; the chaos at 3.25: Wang 1993, Physica D 62:263, for r = 0.006."""
    model = lems.load("HindmarshRose")
    three = with_params(model, I=np.array([0.8, 2.0, 4.0]))
    run = trajectory(three, 6000.0, np.array([[-1.6] * 3, [-12.0] * 3, [1.0] * 3]), every=0.1)
    spikes = [np.flatnonzero((x[:-1] < 1.0) & (x[1:] >= 1.0)) * 0.1 for x in run[20_000:, 0].T]
    assert len(spikes[0]) == 0 and len(spikes[2]) > 100
    bursts, tonic = np.diff(spikes[1]), np.diff(spikes[2])
    assert bursts.max() > 4 * bursts.min() and np.ptp(tonic) < 0.02 * tonic.mean()
    for current, chaotic in ((2.0, False), (3.25, True), (4.0, False)):
        params = varied(model, I=current)
        spectrum = lems.lyapunov_spectrum(
            model, 20_000.0, dt=0.02, params=params, transient=3000.0, exponents=1
        )
        first, error = float(spectrum.exponents[0]), float(spectrum.errors[0])
        assert (first > 0.005 and first > 5 * error) if chaotic else abs(first) < 2e-3, current


def test_oscillators_of_stuart_and_landau_turn_on_their_cycle():
    """Radius sqrt(a / cubic), at the frequency and the shear's addition."""
    frequency = np.array([5.0, 10.0, 40.0])
    model = with_params(
        lems.load("StuartLandau"), a=0.02, cubic=0.005, shear=0.5, frequency=frequency / 1000
    )
    run = trajectory(model, 3000.0, np.array([[0.3] * 3, [0.1] * 3]), every=0.5)[2000:]
    radius = np.hypot(run[:, 0], run[:, 1])
    np.testing.assert_allclose(radius, 2.0, rtol=2e-4)
    turns = np.unwrap(np.arctan2(run[:, 1], run[:, 0]), axis=0)
    found = (turns[-1] - turns[0]) / (2 * math.pi * 0.5e-3 * (len(turns) - 1))
    np.testing.assert_allclose(found, frequency + 0.5 * 20.0 / (2 * math.pi), rtol=2e-3)


@pytest.mark.parametrize(
    "ratio, spread, dies", [(0.7, 4.0, False), (2.0, 4.0, True), (2.0, 3.0, False)]
)
def test_two_oscillators_kill_each_other_where_aronson_ermentrout_and_kopell_say(
    ratio, spread, dies
):
    """Physica D 41:403 (1990): amplitude death for K > 1 and |Delta omega| > 2 sqrt(2 K - 1).

    In units of a = cubic; the threshold for K = 2 is 3.46.
    """
    a = 0.01
    shift = spread * a / 2 / (2 * math.pi)
    model = with_params(
        lems.load("StuartLandau"), a=a, cubic=a, K=ratio * a,
        frequency=0.01 + np.array([-shift, shift]),
    )  # fmt: skip
    run = trajectory(
        model, 20_000.0, np.array([[0.5, 0.2], [0.1, 0.4]]), weights=1 - np.eye(2),
        rule=coupling.Difference(a=1.0), every=10.0,
    )  # fmt: skip
    assert (np.hypot(run[-200:, 0], run[-200:, 1]).max() < 1e-3) == dies


def test_feedback_inhibition_brings_every_region_to_its_target():
    """Deco et al. 2014: about 3 Hz everywhere, J_i = 1 nA alone, more with the in-strength."""
    model = lems.load("ReducedWongWangFIC")
    p = varied(model)
    weights = np.asarray(tvbjax.datasets.connectome("tvb76").weights)
    weights = weights / weights.sum(axis=1).max()
    start = np.array([[0.1], [0.1], [1.0]]).repeat(76, axis=1)
    run = trajectory(
        model, 60_000.0, start, weights=weights, rule=coupling.Linear(a=1.0), every=1000.0
    )[-1]
    S_e, S_i, J_i = run

    def response(current, a, b, d):
        drive = a * current - b
        return drive / -math.expm1(-d * drive)

    def excitatory(current):
        return response(current, p["a_e"], p["b_e"], p["d_e"])

    def inhibitory(S):
        current = p["J_N"] * gate - J_II * S + p["W_i"] * p["I_o"]
        return response(current, p["a_i"], p["b_i"], p["d_i"])

    gate = p["gamma_e"] * p["tau_e"] * 0.003
    gate /= 1 + gate
    np.testing.assert_allclose(S_e, gate, rtol=1e-4)  # 3 Hz
    shut = root(lambda S: p["gamma_i"] * p["tau_i"] * inhibitory(S) - S, 0.0, 1.0)
    np.testing.assert_allclose(S_i, shut, rtol=1e-4)
    current = root(lambda current: excitatory(current) - 0.003, 0.3, 0.5)
    alone = (p["w_p"] * p["J_N"] * gate + p["W_e"] * p["I_o"] - current) / shut
    assert alone == pytest.approx(1.0, abs=0.02)
    expected = alone + p["G"] * p["J_N"] * gate / shut * weights.sum(axis=1)
    np.testing.assert_allclose(J_i, expected, rtol=2e-4)


def test_plastic_inhibition_brings_every_region_to_its_target_and_to_alpha():
    """Abeysuriya et al. 2018: then the mean of I (E - rho) is 0; oscillations near 10 Hz."""
    model = with_params(lems.load("WilsonCowanPlastic"), tau_c=200.0)
    weights = np.asarray(tvbjax.datasets.connectome("tvb76").weights)
    weights = 0.3 * weights / weights.sum(axis=1).max()
    random = np.random.default_rng(1)
    start = np.stack([random.uniform(0, 0.3, 76), random.uniform(0, 0.3, 76), np.full(76, 2.0)])
    run = trajectory(
        model, 60_000.0, start, weights=weights, rule=coupling.Linear(a=1.0), every=2.0
    )
    E, inhibition, c_ei = run[-10_000:].transpose(1, 0, 2)
    weighted = (inhibition * E).mean(axis=0) / inhibition.mean(axis=0)
    np.testing.assert_allclose(weighted, 0.15, rtol=0.03)
    strength = weights.sum(axis=1)
    assert np.corrcoef(c_ei.mean(axis=0), strength)[0, 1] > 0.9  # more input, more inhibition
    for i in (int(np.argmin(strength)), int(np.argmax(strength))):
        assert 8.0 < 1000 * rhythm(E[:, i], 2.0) < 12.0
    still = with_params(model, plastic=0.0)
    run = trajectory(still, 100.0, start)
    assert (run[:, 2] == 2.0).all()
