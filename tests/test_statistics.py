"""Stochastic networks against their theory: covariance, lagged covariance, a delayed loop.

A linear network x' = -gamma x + c with noise is a Gaussian process whose moments are solutions of
Lyapunov equations. Tolerances are 5 standard errors, from the process's own correlations, and the
step's bias is not hidden in them: the discrete process has its own Lyapunov equation, whose
solution is also held against the continuous one.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import tvbjax
from networks import linear_model
from tvbjax import coupling, integrators, monitors, noise

GAMMA = 1.0  # 1/ms
ERRORS = 5.0  # standard errors

WEIGHTS = np.array(
    [
        [0.0, 0.8, 0.0, 0.3],
        [0.1, 0.0, 0.9, 0.0],
        [0.5, 0.0, 0.2, 0.4],
        [0.0, 0.6, 0.0, 0.0],
    ]
)
GAIN = 0.6
NSIG = np.array([0.5, 0.1, 0.0, 0.3])  # 1/ms


def one_step(method: str, dt: float) -> tuple[np.ndarray, float]:
    """Matrix and noise gain of one step, x' = M x + g z, the coupling being held over the step."""
    identity, coupled = np.eye(len(WEIGHTS)), GAIN * WEIGHTS
    if method == "Euler":
        return identity + dt * (coupled - GAMMA * identity), 1.0
    half = 1.0 - GAMMA * dt / 2.0  # Heun averages two slopes, the second after a whole step
    return (1.0 - GAMMA * dt * half) * identity + dt * half * coupled, half


def lagged(matrix: np.ndarray, covariance: np.ndarray, lags: int) -> np.ndarray:
    """E[x(k) x(0)^T] for k = -lags ... lags, `(2 lags + 1, region, region)`."""
    ahead = [covariance]
    for _ in range(lags):
        ahead.append(matrix @ ahead[-1])
    behind = [c.T for c in ahead[:0:-1]]
    return np.array(behind + ahead)


def standard_error(process: np.ndarray, lag: int, samples: int) -> np.ndarray:
    """Of the mean of x_i(t + lag) x_j(t) over correlated samples of a Gaussian process.

    Isserlis: the products' covariance at distance k is C_ii(k) C_jj(k) + C_ij(k + l) C_ji(k - l).
    """
    middle, reach = len(process) // 2, len(process) // 2 - lag
    k = np.arange(-reach, reach + 1) + middle
    variances = np.einsum("kii->ki", process)
    own = np.einsum("ki,kj->ij", variances[k], variances[k])
    crossed = np.einsum("kij,kji->ij", process[k + lag], process[k - lag])
    return np.sqrt((own + crossed) / samples)


def paths(built: tvbjax.Simulator, duration: float, seed: int) -> np.ndarray:
    """Sub-sampled x (time, region), after the start is forgotten."""
    result = tvbjax.simulate(built, duration, key=jax.random.key(seed), progress=False)
    x = np.asarray(result.samples["subsample"].values)[:, 0]
    return x[len(x) // 100 :]


@pytest.mark.parametrize("method, dt", [("Heun", 0.1), ("Euler", 0.1)])
def test_covariance_of_a_linear_network(method: str, dt: float, tmp_path: Path):
    every = 2  # steps between samples
    built = tvbjax.Simulator(
        model=linear_model(tmp_path, GAMMA),
        connectome=tvbjax.Connectome(WEIGHTS),
        coupling=coupling.Linear(a=GAIN),
        integrator=getattr(integrators, method)(dt=dt),
        noise=noise.Additive({"x": jnp.asarray(NSIG)}),
        monitors=monitors.SubSample(every * dt),
    )
    x = paths(built, 40_000.0, seed=1)

    matrix, gain = one_step(method, dt)
    drive = 2.0 * dt * gain**2 * np.diag(NSIG)
    covariance = scipy.linalg.solve_discrete_lyapunov(matrix, drive)
    process = lagged(np.linalg.matrix_power(matrix, every), covariance, lags=300)
    for lag in (0, 1, 5, 15):  # up to 3 ms
        empirical = x[lag:].T @ x[: len(x) - lag] / (len(x) - lag)
        error = standard_error(process, lag, len(x) - lag)
        expected = process[len(process) // 2 + lag]
        assert (np.abs(empirical - expected) < ERRORS * error).all(), f"lag {lag}"
    # The test could see an error of this size: 5 standard errors are a small part of a variance.
    assert ERRORS * standard_error(process, 0, len(x)).max() < 0.05 * covariance.max()


@pytest.mark.parametrize("method", ["Heun", "Euler"])
def test_the_discrete_covariance_tends_to_the_continuous_one(method: str):
    """Ties the expectation above to the stochastic differential equation: error O(dt)."""
    drift = GAIN * WEIGHTS - GAMMA * np.eye(len(WEIGHTS))
    continuous = scipy.linalg.solve_continuous_lyapunov(drift, -2.0 * np.diag(NSIG))
    errors = []
    for dt in (0.1, 0.01, 0.001):
        matrix, gain = one_step(method, dt)
        drive = 2.0 * dt * gain**2 * np.diag(NSIG)
        covariance = scipy.linalg.solve_discrete_lyapunov(matrix, drive)
        errors.append(np.abs(covariance - continuous).max() / continuous.max())
    assert errors[0] < 0.12 and errors[2] < 1.2e-3
    assert errors[1] < 0.12 * errors[0] and errors[2] < 0.12 * errors[1]


DELAY = 1.0  # ms
LOOP = 0.7  # 1/ms, gain of the delayed loop


def delayed_variance(a: float, b: float, delay: float, diffusion: float) -> float:
    """Stationary variance of dx = (a x(t) + b x(t - delay)) dt + sqrt(2 D) dW, |b| < -a.

    Küchler and Mensch (1992), Stochastics and Stochastic Reports 40:23.
    """
    rate = np.sqrt(a**2 - b**2)
    numerator = b * np.sinh(rate * delay) - rate
    return 2.0 * diffusion * numerator / (2.0 * rate * (a + b * np.cosh(rate * delay)))


def delayed_variance_of_heun(gain: float, dt: float, diffusion: float) -> float:
    """The same of Heun's steps: the present and the past as one vector, moved by one matrix."""
    steps, half = round(DELAY / dt), 1.0 - GAMMA * dt / 2.0
    matrix = np.eye(steps + 1, k=-1)
    matrix[0, 0] = 1.0 - GAMMA * dt * half
    matrix[0, -1] += dt * half * gain
    drive = np.zeros_like(matrix)
    drive[0, 0] = 2.0 * diffusion * dt * half**2
    return scipy.linalg.solve_discrete_lyapunov(matrix, drive)[0, 0]


def test_variance_of_a_delayed_loop(tmp_path: Path):
    """128 regions alone, each driven by its own past: half push themselves, half pull back.

    A coarse step, so that a delay wrong by one step is more than the error of the estimate.
    """
    loops, dt, diffusion = 128, 0.2, 0.5
    sign = np.where(np.arange(loops) < loops // 2, 1.0, -1.0)
    built = tvbjax.Simulator(
        model=linear_model(tmp_path, GAMMA),
        connectome=tvbjax.Connectome(np.eye(loops), np.eye(loops) * DELAY, speed=1.0),
        coupling=coupling.Linear(a=jnp.asarray(LOOP * sign)),
        integrator=integrators.Heun(dt=dt),
        noise=noise.Additive({"x": diffusion}),
        monitors=monitors.SubSample(2 * dt),
    )
    x = paths(built, 8_000.0, seed=2)
    for direction in (1.0, -1.0):
        # Every loop is an independent repetition: the spread between them is the error.
        estimates = (x[:, sign == direction] ** 2).mean(axis=0)
        error = estimates.std(ddof=1) / np.sqrt(len(estimates))
        expected = delayed_variance_of_heun(direction * LOOP, dt, diffusion)
        assert ERRORS * error < 0.03 * expected  # one step of delay is 0.05
        assert abs(estimates.mean() - expected) < ERRORS * error


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_the_discrete_delayed_variance_tends_to_the_continuous_one(direction: float):
    gain, diffusion = direction * LOOP, 0.5
    expected = delayed_variance(-GAMMA, gain, DELAY, diffusion)
    errors = [
        abs(delayed_variance_of_heun(gain, dt, diffusion) - expected) / expected
        for dt in (0.1, 0.05, 0.025)
    ]
    assert errors[2] < 0.01
    assert errors[2] < 0.6 * errors[1] < 0.36 * errors[0]
