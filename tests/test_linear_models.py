"""The models that are solved on paper: the damped oscillator and Ornstein-Uhlenbeck's process."""

import math

import jax
import numpy as np
import pytest
from scipy.linalg import expm, solve_continuous_lyapunov

from networks import trajectory, with_params
from tvbjax import coupling, integrators, lems, noise


@pytest.mark.parametrize("damping", [0.0, 0.3, 1.7])
def test_the_damped_oscillator_moves_as_solved(damping):
    """About its input p: exp of the companion matrix; below 1 also the textbook's cosine."""
    model = with_params(lems.load("DampedOscillator"), damping=damping, frequency=0.02)
    omega, p = 2 * math.pi * 0.02, 0.4
    found = trajectory(
        model, 200.0, np.array([[1.0], [0.0]]),
        rule=coupling.Linear(a=0.0, b=p), integrator=integrators.RK4(dt=0.1),
    )[:, :, 0]  # fmt: skip
    matrix = np.array([[0.0, 1.0], [-(omega**2), -2 * damping * omega]])
    times = np.arange(1.0, 201.0)
    moved = np.array([expm(matrix * t) @ [1 - p, 0.0] for t in times])
    np.testing.assert_allclose(found, moved + [p, 0.0], atol=1e-8)
    if damping < 1:
        ringing = omega * math.sqrt(1 - damping**2)
        decay = damping * omega
        swing = np.cos(ringing * times) + decay / ringing * np.sin(ringing * times)
        np.testing.assert_allclose(
            found[:, 0], p + (1 - p) * np.exp(-decay * times) * swing, atol=1e-8
        )


def test_the_covariances_of_coupled_ornstein_uhlenbeck_processes():
    """A C + C A' + 2 D = 0 at once, and expm(A lag) C later; 5 % is 5 errors or more."""
    weights = np.array([[0.0, 0.6, 0.0], [0.2, 0.0, 0.5], [0.4, 0.1, 0.0]])
    tau, strength, mean = 20.0, 0.03, np.array([0.5, -1.0, 2.0])
    model = with_params(lems.load("OrnsteinUhlenbeck"), tau=tau, mu=mean)
    run = trajectory(
        model, 400_000.0, np.zeros((1, 3)), weights=weights, rule=coupling.Linear(a=1.0),
        integrator=integrators.Heun(dt=0.5), every=10.0, noise=noise.Additive(strength),
        key=jax.random.key(3),
    )[200:, 0]  # fmt: skip
    drift = (weights - np.eye(3)) / tau
    expected = solve_continuous_lyapunov(drift, -2 * strength * np.eye(3))
    rest = np.linalg.solve(np.eye(3) - weights, mean)
    scale = np.sqrt(np.diag(expected))
    assert np.abs(run.mean(axis=0) - rest).max() < 0.05 * scale.max()
    moved = run - rest
    for lag in (0, 1, 3):
        found = moved[lag:].T @ moved[: len(moved) - lag] / (len(moved) - lag)
        error = found - expm(drift * 10.0 * lag) @ expected
        assert np.abs(error / np.outer(scale, scale)).max() < 0.05, lag
