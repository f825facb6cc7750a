"""The engine against plain loops: delays, couplings, integrators, bounds, chunks, continuation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import tvbjax
from networks import network, plain_run, ring_connectome
from tvbjax import coupling, integrators, monitors, noise, simulation
from tvbjax.simulator import _check_kinds

STEPS = 70


def rough_history(simulator, seed=1):
    shape = (simulator.horizon, len(simulator.model.state_variables), simulator.nodes)
    low, high = np.asarray(simulator.model.initial_range).T[:, None, :, None]
    return low + (high - low) * np.random.default_rng(seed).random(shape)


def raw(simulator, history, steps=STEPS, key=None):
    result = tvbjax.simulate(simulator, steps * 0.1, initial=history, key=key)
    return np.asarray(result.samples["raw"].values)


@pytest.mark.parametrize("integrator", [integrators.Euler, integrators.Heun, integrators.RK4])
@pytest.mark.parametrize("delayed", [True, False])
def test_a_delayed_network_follows_the_plain_loop(tmp_path, integrator, delayed):
    simulator = network(tmp_path, delayed=delayed, integrator=integrator(dt=0.1))
    assert (simulator.horizon > 10) == delayed
    history = rough_history(simulator)
    expected = plain_run(simulator, history, STEPS)
    np.testing.assert_allclose(raw(simulator, history), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "rule",
    [
        coupling.Linear(a=0.2, b=0.1),
        coupling.Scaling(a=0.2),
        coupling.Difference(a=0.3),
        coupling.Kuramoto(a=2.0),
        coupling.HyperbolicTangent(a=0.2, b=1.5, midpoint=0.3, sigma=0.7),
        coupling.Sigmoidal(cmin=-0.2, cmax=0.9, midpoint=0.4, a=1.2, sigma=0.8),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_every_coupling_is_its_formula(tmp_path, rule):
    simulator = network(tmp_path, coupling=rule)
    history = rough_history(simulator)
    expected = plain_run(simulator, history, STEPS)
    np.testing.assert_allclose(raw(simulator, history), expected, rtol=0, atol=1e-12)


def test_a_coupling_of_two_variables_reads_both():
    simulator = tvbjax.Simulator(
        tvbjax.lems.load("JansenRit"),
        ring_connectome(),
        coupling.SigmoidalJansenRit(a=30.0),
        integrators.Heun(dt=0.1),
        monitors=monitors.SubSample(0.1, name="raw"),
    )
    history = rough_history(simulator)
    result = tvbjax.simulate(simulator, 7.0, initial=history)
    expected = plain_run(simulator, history, STEPS)
    shown = [simulator.model.state_variables.index(v) for v in simulator.observed[0]]
    np.testing.assert_allclose(
        result.samples["raw"].values, expected[:, shown], rtol=1e-11, atol=1e-11
    )


def test_bounds_hold_in_predictor_and_result():
    simulator = tvbjax.Simulator(
        tvbjax.lems.load("MontbrioPazoRoxin"),
        ring_connectome(),
        coupling.Linear(a=0.1),
        integrators.Heun(dt=0.1),
        monitors=monitors.Raw(),
    )
    kicks = np.random.default_rng(3).normal(0.0, 0.3, (STEPS, 2, 5))
    stochastic = eqx.tree_at(
        lambda s: s.noise, simulator, noise.Recorded(kicks), is_leaf=lambda x: x is None
    )
    history = rough_history(simulator)
    expected = plain_run(simulator, history, STEPS, kicks)
    assert (expected[:, 0] == 0.0).any(), "the case must reach the bound"
    np.testing.assert_allclose(raw(stochastic, history), expected, rtol=1e-10, atol=1e-10)


def test_edges_without_weight_do_not_lengthen_the_history(tmp_path):
    weights, lengths = np.eye(3), np.zeros((3, 3))
    weights[0, 1], lengths[0, 1] = 1.0, 2.0
    lengths[1, 0] = 500.0
    connectome = tvbjax.Connectome(weights, lengths, speed=2.0)
    assert network(tmp_path, connectome=connectome).horizon == 11


@pytest.mark.parametrize("cut", [1, 37, 400, 613])
def test_a_continued_run_is_one_long_run(tmp_path, cut):
    observers = (
        monitors.Raw(),
        monitors.TemporalAverage(0.7),
        monitors.SubSample(1.2),
        monitors.Bold(12.0),
    )
    simulator = network(tmp_path, noise=noise.Additive(0.1), monitors=observers)
    key = jax.random.key(5)
    whole = tvbjax.simulate(simulator, 100.0, key=key)
    begun = tvbjax.simulate(simulator, cut * 0.1, key=key)
    ended = tvbjax.simulate(simulator, (1000 - cut) * 0.1, initial=begun, key=key)
    joined = tvbjax.join(begun, ended)
    np.testing.assert_array_equal(joined.samples["raw"].values, whole.samples["raw"].values)
    for name in whole.samples:  # sums of a cut window may round differently
        np.testing.assert_allclose(
            joined.samples[name].values, whole.samples[name].values, rtol=1e-12
        )
        np.testing.assert_allclose(joined.samples[name].time, whole.samples[name].time)


def test_chunks_do_not_change_a_bit(tmp_path, monkeypatch):
    simulator = network(
        tmp_path,
        noise=noise.Additive(0.1),
        monitors=(monitors.Raw(), monitors.TemporalAverage(0.7), monitors.Bold(4.0)),
    )
    whole = tvbjax.simulate(simulator, 50.0, key=jax.random.key(2))
    monkeypatch.setattr(simulation, "_NODE_STEPS_PER_CHUNK", 200)
    chunked = tvbjax.simulate(simulator, 50.0, key=jax.random.key(2))
    np.testing.assert_array_equal(chunked.samples["raw"].values, whole.samples["raw"].values)
    for name in whole.samples:  # sums of a cut window may round differently
        np.testing.assert_allclose(chunked[name], whole[name], rtol=1e-12)


def test_without_delays_the_connections_are_checked_too(tmp_path):
    simulator = network(tmp_path, delayed=False)
    assert simulator.horizon == 1
    slow = eqx.tree_at(lambda s: s.connectome.speed, simulator, jnp.asarray(2.0))
    full = eqx.tree_at(lambda s: s.connectome.weights, simulator, jnp.ones((5, 5)))
    for changed in (slow, full):
        with pytest.raises(ValueError, match="exceeds the history|was not there"):
            tvbjax.simulate(changed, 1.0)
        with pytest.raises(RuntimeError, match="exceeds the history|was not built with"):
            eqx.filter_jit(lambda s: tvbjax.simulate(s, 1.0).final.state)(changed)


@pytest.mark.slow
def test_a_weight_that_is_not_there_has_no_gradient(tmp_path):
    for delayed in (True, False):
        simulator = network(tmp_path, delayed=delayed)

        def of(weights, simulator=simulator):
            changed = eqx.tree_at(lambda s: s.connectome.weights, simulator, weights)
            return tvbjax.simulate(changed, 5.0).samples["raw"].values.sum()

        weights = simulator.connectome.weights
        gradient = jax.grad(of)(weights)
        assert (np.asarray(gradient)[np.asarray(weights) == 0] == 0).all()
        assert (np.asarray(gradient)[np.asarray(weights) != 0] != 0).all()


def test_a_delay_beyond_the_history_is_an_error(tmp_path):
    simulator = network(tmp_path)
    slow = eqx.tree_at(lambda s: s.connectome.speed, simulator, simulator.connectome.speed / 2)
    with pytest.raises(ValueError, match="a delay of 57 steps exceeds the history of 30"):
        tvbjax.simulate(slow, 1.0)
    with pytest.raises(RuntimeError, match="a delay exceeds the history"):
        jax.jit(lambda s: tvbjax.simulate(s, 1.0).final.state)(slow).block_until_ready()
    with pytest.raises(ValueError, match="horizon is 3 steps"):
        network(tmp_path, horizon=3)


def test_a_new_connection_is_an_error(tmp_path):
    simulator = network(tmp_path)
    full = eqx.tree_at(lambda s: s.connectome.weights, simulator, np.ones((5, 5)))
    with pytest.raises(ValueError, match=r"from region_\d to region_\d was not there"):
        tvbjax.simulate(full, 1.0)
    with pytest.raises(RuntimeError, match="connections that the Simulator was not built with"):
        eqx.filter_jit(lambda s: tvbjax.simulate(s, 1.0).final.state)(full).block_until_ready()


def test_divergence_names_time_variable_and_region(tmp_path):
    simulator = network(tmp_path, coupling=coupling.Linear(a=1e4))
    with pytest.raises(
        tvbjax.DivergenceError, match=r"x of region \w+ was no finite number at"
    ) as caught:
        tvbjax.simulate(simulator, 200.0)
    step, variable, region = (int(i) for i in caught.value.result.final.trouble)
    values = caught.value.result.samples["raw"].values
    assert np.isfinite(values[: step - 1]).all()
    assert not np.isfinite(values[step - 1, variable, region])


@pytest.mark.parametrize(
    "argument, value, message",
    [
        ("model", "JansenRit", "model is 'JansenRit'; give e.g. tvbjax.lems.load"),
        ("connectome", np.eye(3), "connectome is array"),
        ("coupling", coupling.Linear, "coupling is the class Linear; give an instance"),
        ("coupling", 0.1, "coupling is 0.1; give e.g. tvbjax.coupling.Linear"),
        ("integrator", integrators.Heun, "integrator is the class Heun; give an instance"),
        ("noise", 0.1, "noise is 0.1; give e.g. tvbjax.noise.Additive"),
        ("monitors", "raw", "monitors is 'raw'; give e.g."),
    ],
)
def test_a_wrong_kind_of_part_is_named(tmp_path, argument, value, message):
    simulator = network(tmp_path)
    names = ("model", "connectome", "coupling", "integrator", "noise", "monitors")
    parts = {name: getattr(simulator, name) for name in names} | {argument: value}
    with pytest.raises(TypeError, match=message):  # before it, the tests' type checker would speak
        _check_kinds(**parts)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"coupling": coupling.Linear(a=np.ones(3))}, r"'a' of Linear has shape \(3,\)"),
        ({"coupling": coupling.Linear(a=np.nan)}, "'a' of Linear is nan; give finite numbers"),
        ({"monitors": monitors.Raw(name="checkpoint")}, "cannot be called 'checkpoint'"),
        ({"monitors": monitors.Raw(name="a/b")}, "cannot be called 'a/b'"),
        ({"monitors": monitors.Raw(variables=())}, "observes no variables"),
        ({"horizon": 0}, "horizon is 0; give a number of steps"),
    ],
)
def test_a_part_that_does_not_fit_is_an_error(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        network(tmp_path, **changes)


def test_a_delay_that_is_none_is_an_error(tmp_path):
    simulator = network(tmp_path)
    broken = eqx.tree_at(lambda s: s.connectome.speed, simulator, jnp.asarray(jnp.nan))
    with pytest.raises(ValueError, match="a delay is NaN, negative or endless"):
        tvbjax.simulate(broken, 1.0)


@pytest.mark.parametrize("key", [0, "seed", np.random.default_rng(0)])
def test_a_key_of_another_kind_is_an_error(tmp_path, key):
    with pytest.raises((TypeError, jaxtyping.TypeCheckError), match="key"):
        tvbjax.simulate(network(tmp_path), 1.0, key=key)
