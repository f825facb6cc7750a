"""`simulate` inside jit, grad and vmap."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import network, ring_connectome
from tvbjax import coupling, integrators, monitors, noise


def loss(simulator, key=None):
    result = tvbjax.simulate(simulator, 12.0, key=key)
    return jnp.mean(result.samples["temporal_average"].values ** 2)


@pytest.fixture
def simulator(tmp_path):
    return network(
        tmp_path,
        noise=noise.Additive(0.01),
        monitors=monitors.TemporalAverage(1.0),
        coupling=coupling.Linear(a=0.3),
    )


def test_jit_gives_what_plain_simulate_gives(simulator):
    key = jax.random.key(0)
    np.testing.assert_allclose(eqx.filter_jit(loss)(simulator, key), loss(simulator, key))
    plain = jax.jit(lambda k: tvbjax.simulate(simulator, 12.0, key=k).samples)(key)
    expected = tvbjax.simulate(simulator, 12.0, key=key).samples
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), plain, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    [
        lambda s: s.coupling.a,
        lambda s: s.model.params["gamma"],
        lambda s: s.connectome.weights,
        lambda s: s.noise.nsig,
    ],
    ids=["coupling", "parameter", "weights", "noise"],
)
def test_gradients_through_delays_are_those_of_finite_differences(simulator, where):
    key = jax.random.key(0)

    def of(value):
        return loss(eqx.tree_at(where, simulator, value), key)

    at = where(simulator)
    direction = jnp.where(at != 0, jax.random.normal(jax.random.key(1), at.shape), 0.0)
    analytic = jnp.sum(jax.grad(of)(at) * direction)
    h = 1e-5
    numeric = (of(at + h * direction) - of(at - h * direction)) / (2 * h)
    assert float(analytic) == pytest.approx(float(numeric), rel=1e-6)


@pytest.mark.slow
def test_variables_without_noise_have_no_gradient_of_it():
    simulator = tvbjax.Simulator(
        tvbjax.lems.load("Generic2dOscillator"),
        ring_connectome(),
        coupling.Linear(a=0.1),
        integrators.Heun(dt=0.1),
        noise.Additive({"V": 1e-3}),
    )
    gradient = eqx.filter_grad(loss)(simulator, jax.random.key(0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    np.testing.assert_array_equal(gradient.noise.nsig[1], 0.0)
    assert abs(float(gradient.noise.nsig[0, 0])) > 0


def test_gradient_with_respect_to_the_initial_state(simulator):
    def of(initial):
        result = tvbjax.simulate(simulator, 5.0, initial=initial, key=jax.random.key(0))
        return result.samples["temporal_average"].values[-1].sum()

    at, h = jnp.ones((1, 5)), 1e-5
    gradient = jax.grad(of)(at)
    assert np.isfinite(gradient).all()
    step = jnp.zeros((1, 5)).at[0, 2].set(h)
    numeric = (of(at + step) - of(at - step)) / (2 * h)
    assert float(gradient[0, 2]) == pytest.approx(float(numeric), rel=1e-6)


def test_vmap_gives_each_member_what_it_gets_alone(simulator):
    gains = jnp.array([0.0, 0.2, 0.5])
    keys = jax.random.split(jax.random.key(0), 3)

    def one(gain, key):
        changed = eqx.tree_at(lambda s: s.coupling.a, simulator, gain)
        return tvbjax.simulate(changed, 12.0, key=key).samples["temporal_average"].values

    together = jax.vmap(one)(gains, keys)
    for i in range(3):
        np.testing.assert_allclose(together[i], one(gains[i], keys[i]), rtol=1e-12)


def test_a_diverged_run_is_told_of_inside_jit(simulator):
    wild = eqx.tree_at(lambda s: s.coupling.a, simulator, jnp.asarray(1e5))
    trouble = jax.jit(lambda k: tvbjax.simulate(wild, 50.0, key=k).final.trouble)(jax.random.key(0))
    assert int(trouble[0]) > 0


def test_a_simulator_may_be_built_inside_jit(tmp_path):
    brain, watch = ring_connectome(), monitors.TemporalAverage(1.0)

    def last(gain):
        rule = coupling.Linear(a=gain)
        built = network(tmp_path, connectome=brain, coupling=rule, monitors=watch)
        return tvbjax.simulate(built, 6.0).samples["temporal_average"].values

    np.testing.assert_allclose(jax.jit(last)(0.3), last(0.3), rtol=1e-12)


def test_building_a_simulator_from_traced_weights_says_what_to_do(tmp_path, simulator):
    def build(weights):
        connectome = eqx.tree_at(lambda c: c.weights, simulator.connectome, weights)
        return network(tmp_path, connectome=connectome).nodes

    with pytest.raises(TypeError, match="build the Simulator outside of jit"):
        jax.jit(build)(simulator.connectome.weights)
