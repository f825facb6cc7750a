"""Epilepsy models and oscillators where a formula is delicate: roots, kinks and removable gaps."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from tvbjax import coupling, integrators, lems, monitors


def principal_root(mu1, mu2, branch):
    """x_s as The Virtual Brain has it, in complex numbers."""
    root = np.sqrt(mu1**2 / 4 - mu2**3 / 27 + 0j)
    u, v = (mu1 / 2 + root) ** (1 / 3), (mu1 / 2 - root) ** (1 / 3)
    turn = np.exp(2j * np.pi / 3 * {1: 0, 2: 1, 3: -1}[branch])
    return np.real(turn * u + np.conj(turn) * v)


def arc_of(mu1, mu2, nu):
    """An EpileptorCodim3 whose arc starts at this point, of its length."""
    start = {"mu1_start": mu1, "mu2_start": mu2, "nu_start": nu}
    stop = {"mu1_stop": mu1 + 0.3, "mu2_stop": mu2 - 0.2, "nu_stop": nu + 0.5}
    radius = np.sqrt(mu1**2 + mu2**2 + nu**2)
    values = start | stop | {"R": radius, "c": 1.0, "dstar": 0.0, "Ks": 0.0, "modification": 0.0}
    model = lems.load("EpileptorCodim3")
    return model, model.params | {name: jnp.asarray(value) for name, value in values.items()}


@pytest.mark.parametrize("branch", [1, 2, 3])
def test_the_resting_state_is_the_real_part_of_the_principal_root(branch):
    random = np.random.default_rng(branch)
    mu1, mu2, nu = random.uniform(-0.5, 0.5, (3, 2000))
    mu1[:20], mu2[20:40] = 0.0, 0.0
    signs = {
        (bool(d < 0), m1 < 0, m2 < 0)
        for d, m1, m2 in zip(mu1**2 / 4 - mu2**3 / 27, mu1, mu2, strict=True)
    }
    assert len(signs) == 6  # every case: with three real roots mu2 is above 0
    model, params = arc_of(mu1, mu2, nu)
    params |= {"N": jnp.asarray(float(branch))}
    state = jnp.stack([jnp.full(2000, 5.0), jnp.zeros(2000), jnp.zeros(2000)])
    found = 5.0 + np.asarray(model.dfun(state, jnp.zeros((1, 2000)), params))[2]  # -(5 - x_s) + 5
    # Near a double root, and for small mu2, the complex formula loses half of its digits.
    errors = np.abs(found - principal_root(mu1, mu2, branch))
    assert errors.max() < 1e-8 and np.median(errors) < 5e-15


def assert_finite_slopes(model, states, params):
    """At every column of `states`; parameters are numbers, or one for each column."""
    states = jnp.asarray(states)
    columns = states.shape[1]
    params = {name: jnp.broadcast_to(value, (columns,)) for name, value in params.items()}
    out, pull = jax.vjp(model.dfun, states, jnp.zeros((len(model.inputs), columns)), params)
    assert bool(jnp.isfinite(out).all())
    for path, leaf in jax.tree_util.tree_leaves_with_path(pull(jnp.ones_like(out))):
        assert bool(jnp.isfinite(leaf).all()), path


def test_gradients_are_finite_where_a_term_of_the_cubic_is_0():
    terms = itertools.product((0.0, -0.1, 0.1), (0.0, 0.3, -0.3), (1.0, 2.0, 3.0))
    mu1, mu2, branch = np.array(list(terms)).T
    model, params = arc_of(mu1, mu2, 0.2)
    assert_finite_slopes(model, np.zeros((3, len(mu1))), params | {"N": jnp.asarray(branch)})


def test_gradients_are_finite_at_a_saddle_node_and_at_rest():
    """mu1 = 2 k^3 and mu2 = 3 k^2 have the discriminant 0 and the simple root 2 k; k is 0.5."""
    model, params = arc_of(0.25, 0.75, 0.0)
    # The unit vector rounds, so try the neighbours of the radius.
    radii = np.float64(params["R"]) * (1 + np.arange(-4, 5) * 2.2e-16)
    points = itertools.product(radii, (1.0, 1.0 + 2.2e-16, 1.0 - 1.1e-16, 0.3), (1.0, 2.0, 3.0))
    radius, x, branch = np.array(list(points)).T
    states = np.stack([x, np.zeros_like(x), np.zeros_like(x)])
    assert_finite_slopes(model, states, params | {"R": radius, "N": branch})


@pytest.mark.parametrize("name", ["EpileptorCodim3", "EpileptorCodim3SlowMod"])
def test_gradients_are_finite_at_the_singularity_itself(name):
    model = lems.load(name)
    params = model.params | {"R": jnp.asarray(0.0), "N": jnp.asarray([1.0, 2.0, 3.0])}
    assert_finite_slopes(model, np.zeros((len(model.state_variables), 3)), params)


@pytest.mark.parametrize("name", ["Epileptor", "Epileptor2D", "EpileptorRestingState"])
def test_gradients_are_finite_at_the_kinks(name):
    model = lems.load(name)
    corners = {"x1": (0.0, -0.5), "z": (0.0, 4.0), "x2": (-0.25, 0.0)}
    values = [corners.get(variable, (0.0,)) for variable in model.state_variables]
    states = np.array(list(itertools.product(*values))).T
    assert_finite_slopes(model, states, model.params)
    if "modification" in model.params:
        assert_finite_slopes(model, states, model.params | {"modification": jnp.asarray(1.0)})


def test_the_firing_rate_of_wong_wang_is_right_at_its_gap():
    """x / (1 - exp(-d x)) is 1/d at 0 with the slope 1/2; x = a (w J S + I_o) - b."""
    model = lems.load("ReducedWongWang")
    p = {name: float(value) for name, value in model.params.items()}
    for excess in (0.0, 1e-12, -1e-12, 1e-6):
        params = model.params | {"I_o": jnp.asarray((p["b"] + excess) / p["a"])}
        value, slope = jax.value_and_grad(
            lambda i, params=params: model.dfun(jnp.zeros(1), jnp.zeros(1), params | {"I_o": i})[0]
        )(params["I_o"])
        assert float(value) == pytest.approx(p["gamma"] * (1 / p["d"] + excess / 2), rel=1e-6)
        assert float(slope) == pytest.approx(p["gamma"] * p["a"] / 2, rel=1e-3)


def test_the_threshold_of_hopfield_moves_as_asked():
    model = lems.load("Hopfield")
    state, inputs = jnp.asarray([0.4, 0.7]), jnp.asarray([1.0, 0.2])
    still = np.asarray(model.dfun(state, inputs))
    np.testing.assert_allclose(still, [0.6, 0.6])
    moving = model.dfun(state, inputs, model.params | {"dynamic": jnp.asarray(1.0)})
    np.testing.assert_allclose(np.asarray(moving), [0.6, (0.2 - 0.7) / 5.0])


def test_a_network_of_hopfield_with_moving_thresholds_is_the_loop():
    """Every region hears the others' outputs; its threshold follows its own (Golos et al.)."""
    model = lems.load("Hopfield")
    model = lems.Model(model.spec, model.params | {"dynamic": jnp.asarray(1.0)})
    weights = np.array([[0.0, 0.9, 0.2], [0.4, 0.0, 0.0], [0.7, 0.3, 0.0]])
    rule = coupling.DynamicPreSigmoidal(G=2.0)
    simulator = tvbjax.Simulator(
        model=model,
        connectome=tvbjax.Connectome(weights),
        coupling={"c_0": rule, "c_1": coupling.Own(rule)},
        integrator=integrators.Euler(dt=0.1),
        monitors=monitors.Raw(variables=("x", "theta")),
    )
    x, theta = start = np.array([[0.9, -0.4, 0.3], [0.2, 0.6, 0.8]])
    found = tvbjax.simulate(simulator, 5.0, initial=start, progress=False)["raw"].values[-1]
    for _ in range(50):
        output = 0.5 * (1.0 + np.tanh(2.0 * (x - theta)))
        heard = weights @ output
        x, theta = x + 0.1 * (heard - x) / 1.0, theta + 0.1 * (output - theta) / 5.0
    np.testing.assert_allclose(found, [x, theta], rtol=1e-13)
