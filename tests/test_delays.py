"""Delays between two steps: a plain loop, orders of convergence, gradients, whatever the layout."""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import linear_model, network, ring_connectome
from tvbjax import Free, Interval, Points, Positive, coupling, integrators, monitors, noise
from tvbjax.delays import Linear, Nearest

STEPS = 50
SPEED = Free(lambda s: s.connectome.speed, Positive())
WEIGHTS = Free(lambda s: s.connectome.weights, Interval(-1.0, 10.0))


def brain(speed: float = 2.0) -> tvbjax.Connectome:
    """With delays of less than a step, one of them from a region to itself, and with none."""
    ring = ring_connectome(speed=speed)
    weights, lengths = np.array(ring.weights), np.array(ring.tract_lengths)
    weights[[3, 2], [2, 2]], lengths[[3, 2], [2, 2]] = 0.4, (0.13, 0.15)
    return tvbjax.Connectome(weights, lengths, speed=speed)


def line_network(folder: Path, delays=Linear(), speed: float = 2.0, **changes):  # noqa: B008
    options: dict[str, Any] = dict(delays=delays, connectome=brain(speed))
    return network(folder, **(options | changes))


def history_of(simulator, seed=0):
    shape = (simulator.horizon, 1, simulator.nodes)
    return np.random.default_rng(seed).uniform(0.0, 2.0, shape)


def raw(simulator, history, duration=0.1 * STEPS, **options):
    run = tvbjax.simulate(simulator, duration, initial=history, progress=False, **options)
    return np.asarray(run.samples["raw"].values)


def with_speed(simulator, speed):
    return eqx.tree_at(lambda s: s.connectome.speed, simulator, jnp.asarray(speed, float))


def interpolated(simulator, history, hear, steps=STEPS):
    """Heun's method for dx/dt = c - x with a loop over connections: `hear(w, sent, own)` sums."""
    connectome, dt = simulator.connectome, simulator.integrator.dt
    weights, lengths = np.asarray(connectome.weights), np.asarray(connectome.tract_lengths)
    delays = lengths / np.asarray(connectome.speed) / dt
    if simulator.delays.midstep:
        delays = np.maximum(delays - 0.5, 0.0)
    states, nodes = [row[0] for row in history], len(weights)
    for _ in range(steps):
        past, x = np.array(states)[::-1], states[-1]
        ages = np.arange(len(past))
        sent = [
            [np.interp(delays[i, j], ages, past[:, j]) for j in range(nodes)] for i in range(nodes)
        ]
        c = hear(weights, np.array(sent), x)
        slope = c - x
        states.append(x + dt / 2 * (slope + c - (x + dt * slope)))
    return np.array(states[len(history) :])[:, None]


def linear(weights, sent, own):
    return 0.3 * (weights * sent).sum(axis=1) + 0.05


def difference(weights, sent, own):
    return 0.4 * (weights * (sent - own[:, None])).sum(axis=1)


def paired(weights, sent, own):
    return (weights * sent * np.tanh(own)[:, None]).sum(axis=1)


RULES = {
    "linear": (coupling.Linear(a=0.3, b=0.05), linear),
    "difference": (coupling.Difference(a=0.4), difference),
    "pairs": (coupling.Pairwise(lambda s, o, p: s[0] * jnp.tanh(o[0])), paired),
}


@pytest.mark.parametrize(
    "midstep, block, rule",
    [
        (False, 1, "linear"),
        (True, None, "linear"),
        (True, (4, 8), "linear"),
        (True, 32, "difference"),
        (False, (4, 8), "difference"),
        (True, 8, "pairs"),
    ],
)
def test_the_past_between_two_steps_is_a_straight_line(tmp_path, midstep, block, rule):
    """Delays of 0 to 30 steps, some of less than one, and regions that hear themselves at once."""
    ours, theirs = RULES[rule]
    simulator = line_network(tmp_path, Linear(midstep), block=block, coupling=ours)
    history = history_of(simulator)
    expected = interpolated(simulator, history, theirs)
    np.testing.assert_allclose(raw(simulator, history), expected, rtol=0, atol=1e-13)


def test_delays_of_whole_steps_are_those_of_the_nearest(tmp_path):
    whole = dataclasses.replace(brain(), tract_lengths=0.2 * jnp.rint(brain().tract_lengths / 0.2))
    nearest, line = (
        network(tmp_path, connectome=whole, delays=delays)
        for delays in (Nearest(), Linear(midstep=False))
    )
    assert line.horizon == nearest.horizon + 1
    history = history_of(line)
    np.testing.assert_allclose(raw(line, history), raw(nearest, history), rtol=1e-13)


def test_nearest_is_the_default_and_costs_nothing(tmp_path):
    plain, named = network(tmp_path), network(tmp_path, delays=Nearest())
    assert jax.tree.structure(plain) == jax.tree.structure(named)
    assert plain.layout.still is None
    history = history_of(plain)
    np.testing.assert_array_equal(raw(plain, history), raw(named, history))


@pytest.mark.parametrize("speed", [np.inf, 2.0])
def test_connections_without_length_are_read_once(tmp_path, speed):
    """So a network without delays is a product of matrices, and has no history, as before."""
    short = dataclasses.replace(brain(speed), tract_lengths=jnp.zeros((5, 5)))
    line, nearest = (network(tmp_path, connectome=short, delays=d) for d in (Linear(), Nearest()))
    assert line.horizon == 1 and line.layout.dense == nearest.layout.dense
    history = history_of(line)
    np.testing.assert_array_equal(raw(line, history), raw(nearest, history))


# Orders.


def error_at(folder: Path, integrator, delays, dt: float) -> float:
    """Of x' = -x + 0.8 x(t - tau) with x = 1 before 0, over two delays, by the method of steps."""
    tau, gain = 2.0 / 3.0, 0.8
    simulator = tvbjax.Simulator(
        linear_model(folder),
        tvbjax.Connectome(np.ones((1, 1)), np.full((1, 1), tau), speed=1.0),
        coupling.Linear(a=gain),
        integrator(dt=dt),
        monitors=monitors.Raw(),
        delays=delays,
    )
    found = raw(simulator, np.ones((1, 1)), 1.25)[-1, 0, 0]
    # x = g + (1 - g) e^-t up to tau; then with s = t - tau, x' = -x + g (g + (1 - g) e^-s).
    s, start = 1.25 - tau, gain + (1 - gain) * np.exp(-tau)
    decayed = np.exp(-s)
    exact = start * decayed + gain**2 * (1 - decayed) + gain * (1 - gain) * s * decayed
    return abs(found - exact)


@pytest.mark.parametrize(
    "integrator, delays, order",
    [
        (integrators.Heun, Linear(), 2),
        (integrators.RK4, Linear(), 2),
        (integrators.ExponentialEuler, Linear(), 2),
        (integrators.RecoupledHeun, Linear(), 2),
        (integrators.RecoupledHeun, Linear(midstep=False), 2),
        (integrators.Heun, Linear(midstep=False), 1),
        (integrators.Euler, Linear(), 1),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_delay_is_of_the_stated_order(tmp_path, integrator, delays, order):
    """From dt to dt / 4, of which the delay is as much between two steps."""
    coarse, fine = (error_at(tmp_path, integrator, delays, dt) for dt in (2.0**-4, 2.0**-6))
    print(f"{integrator.__name__} {delays}: order {np.log2(coarse / fine) / 2:.2f}")
    assert np.log2(coarse / fine) / 2 == pytest.approx(order, abs=0.15)


# Derivatives.


@pytest.mark.parametrize("block", [1, (4, 8), 32])
def test_speed_and_lengths_have_gradients(tmp_path, block):
    speeds = np.random.default_rng(2).uniform(1.9, 2.1, (5, 5))
    own = dataclasses.replace(brain(), speed=speeds)
    simulator = line_network(tmp_path, connectome=own, block=block)
    history = jnp.asarray(history_of(simulator))

    def loss(leaves):
        own = eqx.tree_at(
            lambda s: (s.connectome.speed, s.connectome.tract_lengths), simulator, leaves
        )
        values = tvbjax.simulate(own, 4.0, initial=history).samples["raw"].values
        return jnp.sum(values**2)

    leaves = simulator.connectome.speed, simulator.connectome.tract_lengths
    slopes = jax.jit(jax.grad(loss))(leaves)
    function = jax.jit(loss)
    draw = np.random.default_rng(0)
    for number, slope in enumerate(slopes):
        step = draw.normal(size=(5, 5)) * np.asarray(leaves[1] > 0)
        ends = []
        for h in (1e-6, -1e-6):
            moved = list(leaves)
            moved[number] = moved[number] + h * step
            ends.append(float(function(tuple(moved))))
        assert float(jnp.sum(slope * step)) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)
    assert float(jnp.abs(slopes[0]).max()) > 1e-3
    np.testing.assert_array_equal(np.asarray(slopes[1])[np.asarray(leaves[1]) == 0], 0.0)


def test_a_speed_is_found_by_its_derivative(tmp_path):
    """Gauss's and Newton's method in one compiled loop, with room for delays of 2/3 to 3/2."""
    simulator = line_network(tmp_path, Linear(room=1.5))
    waves = np.sin(np.arange(simulator.horizon) / 6.0)[:, None, None]
    history = jnp.asarray(np.broadcast_to(1.0 + waves, (simulator.horizon, 1, 5)))

    def run(speed):
        own = with_speed(simulator, speed)
        return tvbjax.simulate(own, 4.0, initial=history).samples["raw"].values

    wanted = run(jnp.asarray(2.6))

    @jax.jit
    def fit(start):
        def step(_, at):
            values, slope = jax.jvp(run, (at,), (jnp.ones_like(at),))
            return at - jnp.vdot(slope, values - wanted) / jnp.vdot(slope, slope)

        return jax.lax.fori_loop(0, 8, step, start)

    assert float(fit(jnp.asarray(2.1))) == pytest.approx(2.6, rel=1e-6)


def test_delays_beyond_the_room_are_refused_where_they_are_traced(tmp_path):
    end = eqx.filter_jit(lambda s: tvbjax.simulate(s, 1.0).final.state)
    narrow, blocks = line_network(tmp_path), line_network(tmp_path, block=8)
    wide = line_network(tmp_path, Linear(room=1.5))
    with pytest.raises(RuntimeError, match=r"a delay exceeds the history.*Linear\(room=2.0\)"):
        end(with_speed(narrow, 1.5))
    with pytest.raises(RuntimeError, match=r"with time blocks of \d+ steps.*Linear\(room=2.0\)"):
        end(with_speed(blocks, 8.0))
    for speed in (1.5, 2.9):
        own = with_speed(wide, speed)
        np.testing.assert_allclose(end(own), tvbjax.simulate(own, 1.0).final.state, rtol=1e-12)
    longer = eqx.tree_at(lambda s: s.connectome.tract_lengths, wide, jnp.full((5, 5), 0.01))
    with pytest.raises(RuntimeError, match="no delay when the Simulator was built"):
        end(longer)


# With the rest of tvbjax.


def test_a_replaced_speed_is_laid_out_anew(tmp_path):
    simulator = line_network(tmp_path, speed=1.0)
    fast = with_speed(simulator, 6.0)
    built = line_network(tmp_path, speed=6.0)
    history = history_of(simulator)
    np.testing.assert_allclose(raw(fast, history), raw(built, history), rtol=1e-12)
    with pytest.raises(ValueError, match=r"exceeds the history of \d+ steps"):
        tvbjax.simulate(with_speed(simulator, 0.5), 1.0)


@pytest.mark.parametrize("own_weights", [False, True])
def test_members_of_a_sweep_have_delays_of_their_own(tmp_path, own_weights):
    simulator = line_network(tmp_path, speed=1.0)
    speeds = np.array([1.0, 1.7, 6.3])
    matrices = np.asarray(simulator.connectome.weights) * np.array([1.0, 0.5, 1.5])[:, None, None]
    space = {SPEED: speeds}
    if own_weights:
        space[WEIGHTS] = matrices
    swept = tvbjax.sweep(simulator, Points(space), 3.0)
    for number, speed in enumerate(speeds):
        alone = with_speed(simulator, speed)
        if own_weights:
            alone = eqx.tree_at(
                lambda s: s.connectome.weights, alone, jnp.asarray(matrices[number])
            )
        expected = tvbjax.simulate(alone, 3.0, progress=False).samples["raw"].values
        np.testing.assert_allclose(swept["raw"][number], expected, rtol=1e-12)
    with pytest.raises(ValueError, match="member 1: .*exceeds the history"):
        tvbjax.sweep(simulator, {SPEED: [1.0, 0.3]}, 3.0)


def test_a_continued_run_is_one_long_run(tmp_path):
    simulator = line_network(tmp_path, noise=noise.Additive(0.1))
    key = jax.random.key(0)
    whole = tvbjax.simulate(simulator, 10.0, key=key, progress=False)
    begun = tvbjax.simulate(simulator, 3.7, key=key, progress=False)
    ended = tvbjax.simulate(simulator, 6.3, key=key, initial=begun, progress=False)
    np.testing.assert_allclose(
        tvbjax.join(begun, ended).samples["raw"].values, whole.samples["raw"].values, rtol=1e-12
    )
    assert (
        '"type": "Linear"' in whole.provenance.text and '"midstep": true' in whole.provenance.text
    )
    longer = line_network(tmp_path, noise=noise.Additive(0.1), horizon=99)
    with pytest.raises(ValueError, match=r"another simulator \(horizon differ"):
        tvbjax.simulate(longer, 1.0, key=key, initial=whole)


def test_rules_without_delay_and_in_strengths_know_the_connections_alone(tmp_path):
    """A connection has several taps and still is one: there and in the count of connections."""
    rules = (coupling.Instant(coupling.Difference(a=0.2)), coupling.Difference(a=0.1))
    simulator = line_network(tmp_path, coupling=rules)
    history = history_of(simulator)
    weights = np.asarray(simulator.connectome.weights)

    def hear(weights, sent, own):
        at_once = (weights * (own[None] - own[:, None])).sum(axis=1)
        return 0.2 * at_once + 0.1 * (weights * (sent - own[:, None])).sum(axis=1)

    expected = interpolated(simulator, history, hear)
    np.testing.assert_allclose(raw(simulator, history), expected, rtol=0, atol=1e-13)
    told = tvbjax.explain(simulator)
    assert (told.connections, told.taps) == (np.count_nonzero(weights), 2)
    assert "taps of connections" in str(told) and f"{told.connections} connections" in str(told)
    assert told.delays == (0, simulator.horizon - 1)
    more = eqx.tree_at(lambda s: s.connectome.weights, simulator, jnp.ones((5, 5)))
    with pytest.raises(ValueError, match="was not there when the Simulator was built"):
        tvbjax.simulate(more, 1.0)


@pytest.mark.parametrize(
    "delays, error, match",
    [
        ("linear", TypeError, r"Simulator: delays is 'linear'; give e.g. tvbjax.delays.Linear\(\)"),
        (Linear, TypeError, r"delays is the class Linear; give an instance: Linear\(...\)"),
        (None, TypeError, "delays is None"),
    ],
)
def test_wrong_delays_are_told(tmp_path, delays, error, match, without_type_checks):
    with pytest.raises(error, match=match):
        network(tmp_path, delays=delays)


def test_wrong_fields_are_told(without_type_checks):
    with pytest.raises(TypeError, match="midstep is 1; give True or False"):
        Linear(midstep=1)  # type: ignore
    for room in (0.5, np.nan, "wide", True):
        with pytest.raises(ValueError, match="room is .*; give the factor"):
            Linear(room=room)  # type: ignore


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_whole_number_of_steps_is_one_for_every_compiler(precision):
    """Rounding errors of a delay leave its steps what they are, and its share as near."""
    whole = np.arange(1, 3000, dtype=precision)
    for factor in (1.0 - np.finfo(precision).eps, 1.0, 1.0 + np.finfo(precision).eps):
        delays = (whole * precision(factor)).astype(precision)
        steps, shares = Linear(midstep=False).read(delays, held=True)
        np.testing.assert_array_equal(steps[:, 0], whole)
        assert shares is not None and np.abs(shares[:, 1]).max() < 1e-3
    for bad in (-1.0, np.nan, np.inf):
        for rule in (Nearest(), Linear()):
            assert (rule.read(np.array([bad], precision), held=True).steps == -1).all()
