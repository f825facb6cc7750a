"""The reduced sets of oscillators beside quadratures of their modes on a grid of quantiles."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from tvbjax import lems

MODES = 3
POINTS = 1500


def with_values(model, values):
    return eqx.tree_at(lambda m: [m.params[name] for name in values], model, [*values.values()])


def integrals(mu: float, sigma: float):
    """The modes (mode, point), and the integral over the input z of (..., point)."""
    z = norm.ppf(np.arange(1, POINTS + 1) / (POINTS + 1), mu, sigma)

    def integral(values):
        return np.trapezoid(values, z, axis=-1)

    modes = np.repeat(np.eye(MODES), POINTS // MODES, axis=1)
    modes /= np.sqrt(integral(modes**2))[:, None]
    return z, modes, norm.pdf(z, mu, sigma), integral


def fitzhugh_nagumo(p, state, c):
    z, V, density, integral = integrals(p["mu"], p["sigma"])
    xi, eta, alpha, beta = state.reshape(4, MODES)
    A = np.outer(integral(V), integral(density * V))
    B = A.T if p["transposed_B"] else A
    cubic, forced, constant = integral(V**4), integral(z * V), p["a"] * integral(V)
    tau, b = p["tau"], p["b"]
    return np.concatenate([
        tau * (xi - cubic * xi**3 / 3 - eta + forced + c)
        + p["K11"] * (A @ xi - xi) - p["K12"] * (B @ alpha - xi),
        (xi - b * eta + constant) / tau,
        tau * (alpha - cubic * alpha**3 / 3 - beta + forced + c) + p["K21"] * (A @ xi - alpha),
        (alpha - b * beta + constant) / tau,
    ])  # fmt: skip


def hindmarsh_rose(p, state, c):
    z, V, density, integral = integrals(p["mu"], p["sigma"])
    xi, eta, tau, alpha, beta, gamma = state.reshape(6, MODES)
    A = np.outer(integral(V), integral(density * V))
    B = A.T if p["transposed_B"] else A
    cubic, square, forced = p["a"] * integral(V**4), p["b"] * integral(V**3), integral(z * V)
    recovery = p["d"] * integral(V**3 if p["corrected_d_p"] else V)
    constant, rest = p["c"] * integral(V), p["r"] * p["s"] * p["xo"] * integral(V)
    return np.concatenate([
        eta - cubic * xi**3 + square * xi**2 - tau
        + p["K11"] * (A @ xi - xi) - p["K12"] * (B @ alpha - xi) + forced + c,
        constant - recovery * xi**2 - eta,
        p["r"] * p["s"] * xi - p["r"] * tau - rest,
        beta - cubic * alpha**3 + square * alpha**2 - gamma
        + p["K21"] * (A @ xi - alpha) + forced + c,
        constant - recovery * alpha**2 - beta,
        p["r"] * p["s"] * alpha - p["r"] * gamma - rest,
    ])  # fmt: skip


slope = eqx.filter_jit(lambda model, state, inputs: model.dfun(state, inputs))

SETS = {"ReducedSetFitzHughNagumo": fitzhugh_nagumo, "ReducedSetHindmarshRose": hindmarsh_rose}


@pytest.mark.parametrize("switches", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("name", SETS)
def test_coefficients_are_the_integrals_over_the_modes(name, switches):
    random = np.random.RandomState(2)
    for mu, sigma in ((0.0, 0.35), (3.3, 0.3), (-0.7, 0.9)):
        model = lems.load(name)
        values = {"mu": mu, "sigma": sigma, "transposed_B": switches[0], "K12": 0.8}
        if "corrected_d_p" in model.params:
            values["corrected_d_p"] = switches[1]
        model = with_values(model, values)
        state = random.uniform(-2, 2, len(model.state_variables))
        expected = SETS[name]({k: float(v) for k, v in model.params.items()}, state, 0.4)
        found = slope(model, jnp.asarray(state), jnp.array([0.4]))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_the_mean_and_deviation_of_the_input_have_gradients(name):
    model = lems.load(name)
    state = jnp.linspace(-1, 1, len(model.state_variables))

    def total(mu, sigma):
        return with_values(model, {"mu": mu, "sigma": sigma}).dfun(state, jnp.array([0.1])).sum()

    mu, sigma, step = float(model.params["mu"]), float(model.params["sigma"]), 1e-5
    slopes = jax.grad(total, (0, 1))(mu, sigma)
    by_mu = (total(mu + step, sigma) - total(mu - step, sigma)) / (2 * step)
    by_sigma = (total(mu, sigma + step) - total(mu, sigma - step)) / (2 * step)
    np.testing.assert_allclose(slopes, [by_mu, by_sigma], rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", SETS)
def test_the_network_sends_the_sum_over_the_modes_of_the_excitatory_potential(name):
    model = lems.load(name)
    assert model.inputs == ("c_0",) and model.sources == (("xi_total",),)
