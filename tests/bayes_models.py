"""Posteriors that are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

DESIGN = np.random.default_rng(0).normal(size=(12, 3))
DATA = DESIGN @ np.array([0.5, -1.0, 2.0]) + 0.3 * np.random.default_rng(1).normal(size=12)


def regression():
    """Normal prior, normal data: the posterior is normal."""
    slopes = numpyro.sample("slopes", dist.Normal(0.0, 1.0).expand((3,)).to_event())
    numpyro.sample("data", dist.Normal(jnp.asarray(DESIGN) @ slopes, 0.3).to_event(), obs=DATA)


def exact():
    """Mean, covariance and log evidence of `regression`."""
    precision = np.eye(3) + DESIGN.T @ DESIGN / 0.3**2
    covariance = np.linalg.inv(precision)
    total = DESIGN @ DESIGN.T + 0.3**2 * np.eye(12)
    misfit = DATA @ np.linalg.solve(total, DATA)
    evidence = -0.5 * (misfit + np.linalg.slogdet(2 * np.pi * total)[1])
    return covariance @ DESIGN.T @ DATA / 0.3**2, covariance, evidence


def two_humps():
    """A third at -3, the rest at 3, both of deviation 0.2."""
    x = numpyro.sample("x", dist.Normal(0.0, 10.0))
    low, high = -0.5 * ((x + 3.0) / 0.2) ** 2, -0.5 * ((x - 3.0) / 0.2) ** 2
    numpyro.factor("humps", jax.nn.logsumexp(jnp.stack([low + jnp.log(0.5), high])))
