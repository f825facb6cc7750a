"""The mean field of adaptive quadratic integrate-and-fire neurons beside the neurons themselves."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from networks import trajectory, with_params
from tvbjax import integrators, lems

# Dimensionless neurons V' = V^2 + b V + eta_k + ..., with rates and times in units of one ms.
PARAMS = {
    "a": 1.0, "b": -0.3, "c": 0.2, "eta": 1.0, "Delta": 0.4, "I": 0.0, "alpha": 0.05, "beta": 0.0,
    "u_jump": 0.6, "g_e": 1.5, "g_i": 0.8, "E_e": 3.0, "E_i": -2.0, "tau_e": 1.5, "tau_i": 4.0,
    "s_e_jump": 1.2, "s_i_jump": 0.5,
}  # fmt: skip


def spiking(p: dict[str, float], neurons: int, duration: float, start, dt=0.004) -> np.ndarray:
    """Rate, adaptation and open synapses in every ms of a population of neurons, (ms, 4).

    V = m tan(theta / 2), with a scale m for each neuron, turns without end; a spike is where theta
    passes pi. Excitabilities and first potentials are quantiles of their Lorentzian distributions.
    """
    quantiles = (np.arange(neurons) + 0.5) / neurons
    lorentzian = np.tan(math.pi * (quantiles - 0.5))
    eta = p["eta"] + p["Delta"] * lorentzian
    scale = np.sqrt(np.maximum(p["a"] * np.abs(eta), 1.0))
    r, V, u, s_e, s_i = start
    potential = V + math.pi * r / p["a"] * np.random.default_rng(0).permutation(lorentzian)
    theta = 2 * np.arctan(p["a"] * potential / scale)

    def turning(theta, u, s_e, s_i):
        g = p["g_e"] * s_e + p["g_i"] * s_i
        drive = p["g_e"] * s_e * p["E_e"] + p["g_i"] * s_i * p["E_i"] + p["c"] + p["I"] - u
        cosine = np.cos(theta)
        return (
            scale * (1 - cosine)
            + (p["b"] - g) * np.sin(theta)
            + p["a"] * (eta + drive) / scale * (1 + cosine)
        )

    found, per_ms = [], round(1 / dt)
    for _ in range(round(duration)):
        spikes, means = 0, np.zeros(3)
        for _ in range(per_ms):
            first = turning(theta, u, s_e, s_i)
            second = turning(theta + dt * first, u, s_e, s_i)
            theta = theta + dt / 2 * (first + second)
            fired = theta > math.pi
            theta = np.where(fired, theta - 2 * math.pi, theta)
            spikes += fired.sum()
            rate = fired.sum() / (neurons * dt)
            u = u + dt * (p["u_jump"] * rate - p["alpha"] * u)
            s_e = s_e + dt * (p["s_e_jump"] * rate - s_e / p["tau_e"])
            s_i = s_i + dt * (p["s_i_jump"] * rate - s_i / p["tau_i"])
            means += np.array([u, s_e, s_i]) / per_ms
        found.append([spikes / neurons, *means])
    return np.array(found)


@pytest.mark.slow
def test_ten_thousand_neurons_burst_as_their_mean_field_does():
    start = np.array([0.05, -0.5, 0.0, 0.0, 0.0])
    neurons = spiking(PARAMS, 10_000, 60.0, start)
    model = with_params(lems.load("AdaptiveQIF"), **PARAMS)
    run = trajectory(
        model, 60.0, start[:, None], integrator=integrators.RK4(dt=0.01), every=0.01
    )[:, :, 0]  # fmt: skip
    field = run.reshape(60, 100, 5).mean(axis=1)[:, [0, 2, 3, 4]]
    swing = np.ptp(field, axis=0)
    assert swing[0] > 0.3 * field[:, 0].max()
    error = np.sqrt(((neurons - field) ** 2).mean(axis=0)) / swing
    assert (error < 0.03).all(), error


def test_rate_and_potential_move_as_the_pole_of_the_density_of_neurons():
    """A neuron's V' = a V^2 + (b - g) V + ... moves the Lorentzian's pole w = V + i pi r / a."""
    model = lems.load("AdaptiveQIF")
    p = {name: float(value) for name, value in model.params.items()}
    r, V, u, s_e, s_i = state = np.array([0.03, -60.0, 3.0, 0.2, 0.1])
    w, g = V + 1j * math.pi * r / p["a"], p["g_e"] * s_e + p["g_i"] * s_i
    constant = p["c"] + p["eta"] + p["I"] - u + 1j * p["Delta"]
    synaptic = p["g_e"] * s_e * p["E_e"] + p["g_i"] * s_i * p["E_i"]
    slope = p["a"] * w**2 + (p["b"] - g) * w + constant + synaptic
    found = np.asarray(model.dfun(jnp.asarray(state), jnp.array([0.02, 0.01])))
    np.testing.assert_allclose(
        found,
        [
            slope.imag * p["a"] / math.pi,
            slope.real,
            p["alpha"] * (p["beta"] * V - u) + p["u_jump"] * r,
            p["s_e_jump"] * r + 0.02 - s_e / p["tau_e"],
            p["s_i_jump"] * r + 0.01 - s_i / p["tau_i"],
        ],
        rtol=1e-12,
    )


def test_without_adaptation_and_synapses_it_is_montbrios_model():
    ours = with_params(
        lems.load("AdaptiveQIF"), **PARAMS | {"b": 0.0, "c": 0.0, "g_e": 0.0, "g_i": 0.0}
    )
    other = with_params(lems.load("MontbrioPazoRoxin"), eta=1.0, Delta=0.4, J=0.0)
    state = jnp.array([0.2, -0.4, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(
        ours.dfun(state, jnp.zeros(2))[:2], other.dfun(state[:2], jnp.zeros(2)), rtol=1e-13
    )
