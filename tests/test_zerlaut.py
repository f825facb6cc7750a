"""The Zerlaut models beside their transfer functions in mpmath, and derivatives of these."""

import equinox as eqx
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from tvbjax import lems

STATES = ([0.004, 0.009, 0.03, 0.0], [0.0005, 0.012, 0.08, 0.002], [0.09, 0.06, 0.4, 0.01])
INPUT = 0.0007


@pytest.fixture(scope="module")
def model():
    return lems.load("ZerlautAdaptationSecondOrder")


def changed(model, **values):
    return eqx.tree_at(lambda m: [m.params[k] for k in values], model, [*values.values()])


def transfer(p, kind: str, other: str, e, i, W, drive):
    """The firing rate in kHz and the mean potential; nA, uS, nF, mV and ms throughout."""
    exc = (e + mpmath.mpf("1e-6")) * (1 - p["g"]) * p["p_connect_e"] * p["N_tot"]
    exc += drive * p["K_ext_e"]
    inh = (i + mpmath.mpf("1e-6")) * p["g"] * p["p_connect_i"] * p["N_tot"]
    inh += p[f"external_input_{other}_in"] * p["K_ext_i"]
    ge, gi = p["Q_e"] * p["tau_e"] * exc, p["Q_i"] * p["tau_i"] * inh
    total = ge + gi + p["g_L"]
    mean = (ge * p["E_e"] + gi * p["E_i"] + p["g_L"] * p[f"E_L_{kind}"] - W) / total
    synapses = [
        (exc, p["Q_e"] * (p["E_e"] - mean) / total * p["tau_e"], p["tau_e"]),
        (inh, p["Q_i"] * (p["E_i"] - mean) / total * p["tau_i"], p["tau_i"]),
    ]
    membrane = p["C_m"] / total
    variance = sum(f * u**2 / (2 * (tau + membrane)) for f, u, tau in synapses)
    spread = mpmath.sqrt(variance)
    time = sum(f * u**2 for f, u, _ in synapses) / (2 * variance)
    v, s, t = (mean + 60) / 10, (spread - 4) / 6, time * p["g_L"] / p["C_m"] - 0.5
    terms = [1, v, s, t, v * v, s * s, t * t, v * s, v * t, s * t]
    threshold = sum(p[f"P_{kind}{k}"] * term for k, term in enumerate(terms))
    return mpmath.erfc((threshold - mean) / (mpmath.sqrt(2) * spread)) / (2 * time), mean


def exact(model, nu, W_e, W_i):
    """Rates, mean potentials, Jacobian [to, by] and Hessians [to, by, by] of both populations."""
    p = {name: mpmath.mpf(float(value)) for name, value in model.params.items()}
    e_drive = INPUT + p["external_input_ex_ex"]
    i_drive = p["S_i"] * INPUT + p["external_input_in_ex"]
    with mpmath.workdps(40):
        both = [
            lambda e, i: transfer(p, "e", "ex", e, i, W_e, e_drive)[0],
            lambda e, i: transfer(p, "i", "in", e, i, W_i, i_drive)[0],
        ]
        at = e, i = mpmath.mpf(float(nu[0])), mpmath.mpf(float(nu[1]))
        rates = [float(F(*at)) for F in both]
        first = [[float(mpmath.diff(F, at, n)) for n in ((1, 0), (0, 1))] for F in both]
        orders = (((2, 0), (1, 1)), ((1, 1), (0, 2)))
        second = [[[float(mpmath.diff(F, at, n)) for n in row] for row in orders] for F in both]
        means = [
            float(transfer(p, "e", "ex", e, i, W_e, e_drive)[1]),
            float(transfer(p, "i", "in", e, i, W_i, i_drive)[1]),
        ]
    return np.array(rates), np.array(means), np.array(first), np.array(second)


def slopes(model, nu, C, W_e, W_i):
    state = jnp.array([*nu, C[0, 0], C[0, 1], C[1, 1], W_e, W_i, 0.0])
    found = np.asarray(model.dfun(state, jnp.array([INPUT])))
    return found[:2], np.array([[found[2], found[3]], [found[3], found[4]]]), found[5:7]


@pytest.mark.parametrize("at", STATES)
def test_rates_and_covariances_move_by_the_exact_derivatives(model, at):
    model = changed(model, S_i=0.7, K_ext_i=30.0, external_input_in_in=0.0004, a_i=0.003, b_i=0.02)
    nu, (W_e, W_i) = np.array(at[:2]), at[2:]
    C = np.array([[3e-5, 1e-5], [1e-5, 4e-5]])
    rates, means, J, H = exact(model, nu, W_e, W_i)
    p = {name: float(value) for name, value in model.params.items()}
    T = p["T"]
    shift = np.einsum("kij,ij->k", H, C) / 2
    of_rates, of_covariances, of_adaptation = slopes(model, nu, C, W_e, W_i)
    np.testing.assert_allclose(of_rates, (rates - nu + shift) / T, rtol=1e-9, atol=1e-18)
    noise = np.diag(rates * (1 / T - rates) / (p["N_tot"] * np.array([1 - p["g"], p["g"]])))
    spread = noise + np.outer(rates - nu, rates - nu) + J @ C + C @ J.T - 2 * C
    np.testing.assert_allclose(of_covariances, spread / T, rtol=1e-9, atol=1e-18)
    drift = [
        b * rate + (a * (mean - rest) - W) / tau
        for a, b, mean, rest, rate, W, tau in (
            (p["a_e"], p["b_e"], means[0], p["E_L_e"], nu[0], W_e, p["tau_w_e"]),
            (p["a_i"], p["b_i"], means[1], p["E_L_i"], nu[1], W_i, p["tau_w_i"]),
        )
    ]
    np.testing.assert_allclose(of_adaptation, drift, rtol=1e-9, atol=1e-18)


def test_the_switches_give_the_equations_of_the_virtual_brain(model):
    nu, (W_e, W_i) = np.array(STATES[0][:2]), STATES[0][2:]
    C = np.array([[3e-5, 1e-5], [1e-5, 4e-5]])
    rates, _, J, H = exact(model, nu, W_e, W_i)
    T = float(model.params["T"])
    odd = changed(model, unit_of_derivative=0.001, trace_in_C_ei=1.0)
    of_rates, of_covariances, _ = slopes(odd, nu, C, W_e, W_i)
    shift = 1e-6 * np.einsum("kij,ij->k", H, C) / 2
    np.testing.assert_allclose(of_rates, (rates - nu + shift) / T, rtol=1e-10)
    covariance = np.prod(rates - nu) + 1e-3 * np.trace(C @ J) - 2 * C[0, 1]
    np.testing.assert_allclose(of_covariances[0, 1], covariance / T, rtol=1e-10)


def test_without_covariances_the_second_order_is_the_first(model):
    first = lems.load("ZerlautAdaptationFirstOrder")
    first = changed(first, external_input_ex_ex=0.003, external_input_in_ex=0.003)
    nu, (W_e, W_i) = np.array(STATES[0][:2]), STATES[0][2:]
    expected = first.dfun(jnp.array([*nu, W_e, W_i, 0.0]), jnp.array([INPUT]))
    of_rates, _, of_adaptation = slopes(model, nu, np.zeros((2, 2)), W_e, W_i)
    np.testing.assert_allclose(np.r_[of_rates, of_adaptation], expected[:4], rtol=1e-12)


@pytest.mark.parametrize("name", ["ZerlautAdaptationFirstOrder", "ZerlautAdaptationSecondOrder"])
def test_negative_input_counts_as_none(name):
    model = changed(lems.load(name), external_input_ex_ex=0.0, external_input_in_ex=0.0)
    state = jnp.array([sum(limits) / 2 for limits in model.initial_range])
    np.testing.assert_array_equal(
        model.dfun(state, jnp.array([-0.1])), model.dfun(state, jnp.zeros(1))
    )
