"""Stimuli: equations against NumPy and TVB's definitions, networks against closed forms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import tvbjax
from networks import network, ring_connectome
from tvbjax import coupling, equations, integrators, noise
from tvbjax.equations import (
    Alpha,
    BiphasicTrain,
    Expression,
    Function,
    Gaussian,
    PulseTrain,
    Sampled,
    Sinusoid,
    Windowed,
)

X = np.linspace(-50.0, 250.0, 3001) + 0.003  # beside the jumps


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        (equations.Linear(2.0, -1.0), 2.0 * X - 1.0),
        (Gaussian(2.0, 7.0, 30.0, 0.5), 2.0 * np.exp(-((X - 30.0) ** 2) / 98.0) + 0.5),
        (
            equations.DoubleGaussian(3.0, 5.0, 10.0, 1.0, 20.0, 12.0),
            3.0 * np.exp(-((X - 10.0) ** 2) / 50.0) - np.exp(-((X - 12.0) ** 2) / 800.0),
        ),
        # A logistic of standard deviation sigma.
        (
            equations.Sigmoid(2.0, 60.0, 15.0, 0.1),
            2.0 * scipy.stats.logistic.sf(X, 60.0, 15.0 * np.sqrt(3) / np.pi) + 0.1,
        ),
        (
            equations.GeneralizedSigmoid(1.0, 4.0, 60.0, 15.0),
            1.0 + 3.0 * scipy.stats.logistic.cdf(X, 60.0, 15.0 * np.sqrt(3) / np.pi),
        ),
        (Sinusoid(2.0, 0.01), 2.0 * np.sin(2 * np.pi * X / 100.0)),
        (equations.Cosine(2.0, 0.01), 2.0 * np.cos(2 * np.pi * X / 100.0)),
        (
            PulseTrain(T=42.0, tau=13.0, amp=3.0, onset=30.0),
            3.0 * ((X > 30.0) & (np.mod(X - 30.0, 42.0) < 13.0)),
        ),
        (Expression("a * exp(-t / 9) * H(t)", a=2.0), 2.0 * np.exp(-X / 9.0) * (X > 0)),
        (Expression("x^2 - 1"), X**2 - 1.0),
        (Function(lambda t, p: p["k"] * jnp.abs(t), {"k": 0.5}), 0.5 * np.abs(X)),
        (Windowed(equations.Linear(), 10.0, 20.0), np.where((X >= 10.0) & (X < 20.0), X, 0.0)),
    ],
    ids=lambda part: type(part).__name__,
)
def test_equations_are_what_they_say(equation, expected):
    found = np.asarray(equation(jnp.asarray(X)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_an_alpha_pulse_has_the_area_one_and_no_overflow():
    """Its two exponentials integrate to 1, whatever the rates."""
    pulse = Alpha(onset=20.0, alpha=0.3, beta=0.9)
    time = np.arange(-1000.0, 200.0, 0.01)
    values = np.asarray(pulse(jnp.asarray(time)))
    np.testing.assert_allclose(values.sum() * 0.01, 1.0, rtol=1e-3)
    assert (values[time <= 20.0] == 0).all()
    slope = jax.vmap(jax.grad(pulse))(jnp.asarray([-1e4, 0.0, 20.0, 25.0]))
    assert np.isfinite(slope).all()


def test_an_alpha_pulse_of_equal_rates_is_the_limit():
    time = jnp.linspace(0.0, 60.0, 50)

    def pulse(alpha, beta):
        return Alpha(onset=20.0, alpha=alpha, beta=beta)(time)

    since = np.maximum(np.asarray(time) - 20.0, 0.0)
    np.testing.assert_allclose(pulse(0.3, 0.3), 0.09 * since * np.exp(-0.3 * since), rtol=1e-12)
    np.testing.assert_array_equal(pulse(0.9, 0.3), pulse(0.3, 0.9))
    slopes = jax.jacobian(pulse, argnums=(0, 1))(0.3, 0.3)
    for slope, change in zip(slopes, ((1e-6, 0.0), (0.0, 1e-6)), strict=True):
        ahead, behind = (pulse(0.3 + s * change[0], 0.3 + s * change[1]) for s in (1, -1))
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, atol=1e-8)


def test_pulses_have_equally_many_steps_with_an_onset_beside_the_steps():
    """What the documentation advises; on the steps TVB's comparison has 3 and 4."""
    train = PulseTrain(T=0.7, tau=0.3, onset=1.05)
    on = np.asarray(train(jnp.asarray(0.1 * np.arange(7011)))) > 0
    assert (on[11:].reshape(-1, 7) == [True] * 3 + [False] * 4).all() and not on[:11].any()


def test_samples_are_held_and_end():
    signal = Sampled([1.0, -2.0, 3.0], period=0.5, onset=10.0)
    time = 0.1 * np.arange(95, 125)
    held = np.repeat([0.0, 1.0, -2.0, 3.0, 0.0], [5, 5, 5, 5, 10])
    np.testing.assert_array_equal(signal(jnp.asarray(time)), held)
    np.testing.assert_array_equal(signal(jnp.asarray(time, jnp.float32)), held.astype("f4"))


def test_trains_have_the_pulses_that_they_are_known_for():
    time = jnp.asarray(0.05 * (np.arange(20_000) + 0.5))
    dbs = np.asarray(equations.deep_brain_stimulation(130.0, 0.1, 2.0)(time))
    assert (np.diff((dbs > 0).astype(int)) == 1).sum() + (dbs[0] > 0) == 130
    assert abs(dbs.sum()) < 5 and dbs.max() == 2.0 and dbs.min() == -2.0
    burst = np.asarray(equations.theta_burst(1.0)(time)) > 0
    starts = 0.05 * (np.flatnonzero(np.diff(burst.astype(int)) == 1) + 1)
    starts = np.concatenate([[0.0], starts])
    expected = (200.0 * np.arange(5)[:, None] + [0.0, 20.0, 40.0]).ravel()
    np.testing.assert_allclose(starts, expected, atol=0.06)


PATTERN = np.array([0.0, 1.0, 0.5, -2.0, 0.0])


def still(tmp_path, stimulus, **changes):
    """Regions that do not hear each other: x' = -x + s."""
    arguments: dict[str, Any] = dict(coupling=coupling.Linear(a=0.0), stimulus=stimulus)
    return network(tmp_path, **(arguments | changes))


@pytest.mark.parametrize("kind", [integrators.Euler, integrators.Heun, integrators.RK4])
def test_a_region_follows_its_stimulus(tmp_path, kind):
    """A stimulus held over each step: Euler's and Heun's recursions are known."""
    stimulus = tvbjax.Stimulus(Sinusoid(1.5, 0.02), PATTERN, "x")
    simulator = still(tmp_path, stimulus, integrator=kind(dt=0.1))
    found = tvbjax.simulate(simulator, 20.0, initial=np.ones((1, 5)))["raw"].values[:, 0]
    shrink = sum(
        (-0.1) ** k / [1, 1, 2, 6, 24][k]
        for k in range({"Euler": 2, "Heun": 3}.get(kind.__name__, 5))
    )
    x, expected = np.ones(5), []
    for step in range(200):
        push = 1.5 * np.sin(2 * np.pi * 0.02 * 0.1 * step) * PATTERN
        x = shrink * x + (1.0 - shrink) * push  # exact for what is linear and held
        expected.append(x)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [1, 4, 16])
def test_blocks_chunks_and_continuation_do_not_move_the_clock(tmp_path, block):
    stimulus = tvbjax.Stimulus(PulseTrain(T=7.0, tau=2.0, onset=3.0), PATTERN, "x")
    simulator = network(tmp_path, stimulus=stimulus, block=block)
    whole = tvbjax.simulate(simulator, 40.0)
    first = tvbjax.simulate(simulator, 13.3)
    second = tvbjax.simulate(simulator, 26.7, initial=first)
    np.testing.assert_allclose(tvbjax.join(first, second)["raw"], whole["raw"], rtol=1e-10)
    alone = tvbjax.simulate(network(tmp_path, stimulus=stimulus, block=1), 40.0)
    np.testing.assert_allclose(whole["raw"], alone["raw"], rtol=1e-10)


def test_several_stimuli_are_added_to_the_variables_that_they_name():
    """Against the same drive as part of the derivatives, found by differences of Euler steps."""
    pattern = tvbjax.pattern_of(ring_connectome(), {"region_1": 2.0, "region_3": 1.0})
    both = (
        tvbjax.Stimulus(equations.Linear(0.0, 0.3), pattern, ("r", "V")),
        tvbjax.Stimulus(Expression("0.1 * t"), np.ones(5), "V"),
    )

    def one_step(stimulus):
        simulator = tvbjax.Simulator(
            tvbjax.lems.load("MontbrioPazoRoxin"),
            ring_connectome(),
            coupling.Linear(a=0.1),
            integrators.Euler(dt=0.1),
            monitors=tvbjax.monitors.Raw(),
            stimulus=stimulus,
        )
        start = np.full((2, 5), 0.5)
        earlier = tvbjax.simulate(simulator, 0.1, initial=start)
        return earlier["raw"].values[0], tvbjax.simulate(simulator, 0.1, initial=earlier)

    (pushed, later), (free, _) = one_step(both), one_step(None)
    given = np.array([0.0, 0.6, 0.0, 0.3, 0.0])
    np.testing.assert_allclose((pushed - free) / 0.1, np.stack([given, given]), atol=1e-12)
    assert later.samples["raw"].time[0] == pytest.approx(0.2)


def test_stimuli_vary_among_the_members_of_a_sweep(tmp_path):
    stimulus = tvbjax.Stimulus(PulseTrain(T=7.0, tau=2.0, amp=1.0, onset=3.0), PATTERN, "x")
    simulator = network(tmp_path, stimulus=stimulus)
    amp = tvbjax.Free(lambda s: s.stimulus[0].temporal.amp)
    onset = tvbjax.Free(lambda s: s.stimulus[0].temporal.onset)
    found = tvbjax.sweep(simulator, {amp: [0.5, 2.0], onset: [0.0, 5.0]}, 20.0, progress=False)
    for a in (0.5, 2.0):
        for o in (0.0, 5.0):
            one = tvbjax.Stimulus(PulseTrain(T=7.0, tau=2.0, amp=a, onset=o), PATTERN, "x")
            alone = tvbjax.simulate(network(tmp_path, stimulus=one), 20.0)
            np.testing.assert_allclose(
                found.raw.sel(amp=a, onset=o), alone["raw"], rtol=1e-10, atol=1e-12
            )


def test_a_stimulus_is_found_by_its_gradient(tmp_path):
    """The samples of a stimulus that makes a region follow a given course; x' = -x + s is linear,
    so that the loss is a quadratic and Newton's step finds them."""
    course = np.sin(0.3 * np.arange(1, 41))
    free = tvbjax.Free(lambda s: s.stimulus[0].temporal.values)
    simulator = still(tmp_path, tvbjax.Stimulus(Sampled(np.zeros(40), 0.1), PATTERN, "x"))

    def missed(values):
        run = tvbjax.simulate(
            free.replace(simulator, values), 4.0, initial=jnp.zeros((1, 5)), progress=False
        )
        return run.samples["raw"].values[:, 0, 1] - course

    zero = jnp.zeros(40)
    jacobian = jax.jit(jax.jacrev(missed))(zero)
    values = -np.linalg.solve(jacobian, missed(zero))
    np.testing.assert_allclose(missed(jnp.asarray(values)), 0.0, atol=1e-10)
    # Euler and Heun hold the stimulus: s = (x_n+1 - shrink x_n) / (1 - shrink).
    shrink = 1 - 0.1 + 0.005
    expected = (course - shrink * np.concatenate([[0.0], course[:-1]])) / (1 - shrink)
    np.testing.assert_allclose(values, expected, rtol=1e-8)


def test_noise_and_stimulus_are_independent(tmp_path):
    """The same key, with and without a stimulus: the difference is the stimulus's own course."""
    stimulus = tvbjax.Stimulus(Gaussian(1.0, 2.0, 10.0), PATTERN, "x")
    key = jax.random.key(0)
    runs = [
        tvbjax.simulate(still(tmp_path, s, noise=noise.Additive(0.1)), 20.0, key=key)["raw"]
        for s in (stimulus, None)
    ]
    quiet = [tvbjax.simulate(still(tmp_path, s), 20.0)["raw"] for s in (stimulus, None)]
    np.testing.assert_allclose(runs[0] - runs[1], quiet[0] - quiet[1], atol=1e-12)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: tvbjax.Stimulus(Gaussian(), np.ones(3), "x"), "is for 3 regions, and the network"),
        (
            lambda: tvbjax.Stimulus(Gaussian(), np.ones(5), "y"),
            "applied to y; .* state variables x",
        ),
        (lambda: tvbjax.Stimulus(Gaussian(), np.ones((5, 2)), "x"), "one weight for each region"),
        (lambda: tvbjax.Stimulus(Gaussian(), [0, 1, np.nan, 0, 0], "x"), "pattern.2. is nan"),
        (lambda: Sampled([1.0, np.inf], 1.0), "values.1. is inf"),
        (lambda: Sampled([1.0], 0.0), "the time from one to the next"),
        (lambda: Windowed(Gaussian(), 5.0, 5.0), "give begin < end"),
        (lambda: Expression("a * t"), "'a' in 'a . t' has no value"),
        (lambda: Expression("2 +"), r"Expression: .*\n.*2 \+"),
        (lambda: Expression("__import__('os')"), "Expression"),
        (lambda: tvbjax.pattern_of(ring_connectome(), {"region1": 1.0}), "did you mean"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, make, says):
    with pytest.raises(ValueError, match=says):
        network(tmp_path, stimulus=make())


class Short(equations.AbstractEquation):
    """One of a user, that forgets the shape."""

    def __call__(self, x):
        return x[:2]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PulseTrain(T=0.0), "PulseTrain: T is 0; give a finite number above 0"),
        (lambda: PulseTrain(T=-3.0), "T is -3"),
        (lambda: PulseTrain(tau=0.0), "tau is 0; .*above 0"),
        (lambda: PulseTrain(T=5.0, tau=6.0), "tau is 6 and T 5; give tau <= T"),
        (lambda: PulseTrain(onset=np.nan), "onset is nan; give a finite number[.]"),
        (lambda: PulseTrain(amp=np.ones(3)), r"amp has the shape \(3,\); give one number"),
        (lambda: BiphasicTrain(T=1.0, width=0.6), "width is 0.6 and T 1; give width <= T / 2"),
        (lambda: equations.BurstTrain(interval=0.0), "BurstTrain: interval is 0"),
        (
            lambda: equations.BurstTrain(interval=50.0),
            "burst is 60 and interval 50; give burst <= interval",
        ),
        (lambda: equations.theta_burst(width=21.0), "width is 21 and T 20"),
        (lambda: equations.deep_brain_stimulation(0.0), "deep_brain_stimulation: frequency is 0"),
        (lambda: Sinusoid(frequency=0.0), "Sinusoid: frequency is 0"),
        (lambda: equations.Cosine(frequency=-1.0), "Cosine: frequency is -1"),
        (lambda: Alpha(beta=0.0), "Alpha: beta is 0"),
        (lambda: Gaussian(sigma=0.0), "Gaussian: sigma is 0"),
        (lambda: Gaussian(amp=np.inf), "amp is inf"),
        (lambda: equations.DoubleGaussian(sigma_2=-1.0), "sigma_2 is -1"),
        (lambda: equations.Sigmoid(sigma=0.0), "Sigmoid: sigma is 0"),
        (lambda: equations.GeneralizedSigmoid(sigma=0.0), "Sigmoid: sigma is 0"),
        (lambda: equations.Linear(a=[1.0]), r"Linear: a has the shape \(1,\)"),
        (lambda: Sampled([1.0], np.inf), "Sampled: values of shape"),
        (lambda: Sampled([], 1.0), r"Sampled: values of shape \(0,\)"),
        (lambda: Sampled([1.0], 1.0, np.nan), "Sampled: onset is nan"),
        (lambda: Expression("a * t", a=1.0, b=2.0), "'b' is given and not in .* names a, t"),
        (lambda: Expression("t", t=1.0), "'t', which is the variable"),
        (lambda: Expression("pi * t", pi=3.0), "'pi', which"),
        (lambda: Expression("a * t", a=np.nan), "'a' is nan"),
        (lambda: Expression("a * t", a=np.ones(2)), r"'a' has the shape \(2,\)"),
        (lambda: Function(lambda t, p: t, {"k": np.nan}), "'k' is nan"),
        (
            lambda: Function(lambda t, p: np.interp(t, [0, 1], [0, 1])),
            "fails on .* function of jax",
        ),
        (lambda: Function(lambda t, p: t if t > 0 else 0.0), "ambiguous.*where.* for a choice"),
        (lambda: Function(lambda t, p: t[:3]), "fails on an array of 7 times.*broadcast"),
        (lambda: Function(lambda t, p: None), "fails on .*NoneType"),  # type: ignore
        (lambda: Function(lambda t: t), "fails on .*positional argument"),  # type: ignore
        (
            lambda: tvbjax.Stimulus(Short(), PATTERN, "x"),
            r"temporal, Short, gives .*\(2,\)|float64.2",
        ),
        (lambda: tvbjax.Stimulus(Gaussian(), PATTERN, ("x", "x")), "has 'x' twice"),
        (
            lambda: tvbjax.pattern_of(ring_connectome(), {"region_1": np.ones(2)}),
            r"weight of 'region_1' has the shape \(2,\)",
        ),
    ],
)
def test_parameters_that_make_no_sense_are_told(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_equations_are_built_of_traced_numbers():
    """Their values are not known: what is known of them still is checked."""

    def value(period, onset):
        return PulseTrain(T=period, tau=1.0, onset=onset, amp=onset)(jnp.asarray(3.5))

    assert jax.jit(value)(5.0, 3.0) == 3.0
    assert jax.grad(value, argnums=1)(5.0, 3.0) == 1.0
    np.testing.assert_array_equal(jax.vmap(value)(jnp.ones(2) * 5.0, jnp.array([1.0, 3.0])), [0, 3])
    with pytest.raises(ValueError, match="PulseTrain: T is 0"):
        jax.grad(lambda onset: value(0.0, onset))(3.0)


def test_what_is_no_stimulus_is_told(tmp_path, without_type_checks):
    with pytest.raises(TypeError, match="give e.g. tvbjax.Stimulus"):
        network(tmp_path, stimulus="pulse")
    stimulus_of: Any = tvbjax.Stimulus
    pattern_of: Any = tvbjax.pattern_of
    for call, says in [
        (lambda: stimulus_of(np.sin, np.ones(5), "x"), "give an equation of time"),
        (
            lambda: stimulus_of(Gaussian(), {"a": 1.0}, "x"),
            r"pattern is \{'a': 1.0\}; .*pattern_of",
        ),
        (lambda: stimulus_of(Gaussian(), "all", "x"), "pattern is 'all'"),
        (lambda: stimulus_of(Gaussian(), np.ones(5), 3), "variables is 3; give the name"),
        (lambda: stimulus_of(Gaussian(), np.ones(5), ("x", None)), "give the name"),
        (lambda: pattern_of(ring_connectome(), [1.0]), r"weights is \[1.0\]; give a dictionary"),
        (lambda: pattern_of(5, {"a": 1.0}), "connectome is 5; give a tvbjax.Connectome"),
        (lambda: Windowed(5, 0, 1), "of is 5; give an equation, e.g."),  # type: ignore
        (lambda: Expression(5), "the text is 5; give a string"),  # type: ignore
        (lambda: Function(jnp.sin, [1.0]), r"params is \[1.0\]; give a dictionary"),  # type: ignore
        (lambda: Gaussian(amp="high"), "Gaussian: amp is 'high'; give a number"),
        (
            lambda: tvbjax.Stimulus(PulseTrain(), PATTERN * 1j, "x"),
            "the pattern is complex; give real weights",
        ),
    ]:
        with pytest.raises(TypeError, match=says):
            call()


@pytest.mark.parametrize(
    "temporal",
    [
        PulseTrain(onset=100.0),
        Sampled(np.ones(10), 0.1, onset=-5.0),
        Windowed(Gaussian(), -3.0, 0.0),
        BiphasicTrain(onset=30.0),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_stimulus_outside_of_the_run_is_told(tmp_path, temporal):
    simulator = network(tmp_path, stimulus=tvbjax.Stimulus(temporal, PATTERN, "x"))
    with pytest.raises(
        ValueError, match="stimulus 0 acts from .* and the run goes from 0 to 20 ms"
    ):
        tvbjax.simulate(simulator, 20.0)
    with pytest.raises(ValueError, match="move it"):
        tvbjax.sweep(simulator, {tvbjax.Free(lambda s: s.coupling.a): [0.1]}, 20.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("frequency", "width"), [(100.0, 0.2), (100.0, 0.1), (50.0, 0.5)])
def test_pulses_on_the_grid_of_steps_have_all_their_steps(dtype, frequency, width):
    """Whatever rounding does to the times: no charge is left over."""
    time = jnp.asarray(0.1 * np.arange(20_000), dtype)

    def values(equation):
        in_dtype = jax.tree.map(lambda leaf: leaf.astype(dtype), equation)
        return np.asarray(in_dtype(time))

    train = values(equations.deep_brain_stimulation(frequency, width))
    pulses, steps = round(2.0 * frequency), round(width / 0.1)
    assert (train > 0).sum() == (train < 0).sum() == pulses * steps
    burst = values(equations.BurstTrain(T=10.0, width=width, burst=50.0, interval=200.0))
    assert (burst > 0).sum() == 10 * 5 * steps
