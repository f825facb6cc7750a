"""Posteriors that are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import xarray as xr
from scipy import stats

NOISE = 0.3
DESIGN = np.random.default_rng(0).normal(size=(12, 3))
DATA = DESIGN @ np.array([0.5, -1.0, 2.0]) + NOISE * np.random.default_rng(1).normal(size=12)


def regression():
    """Normal prior, normal data: the posterior is normal."""
    slopes = numpyro.sample("slopes", dist.Normal(0.0, 1.0).expand((3,)).to_event())
    numpyro.sample("data", dist.Normal(jnp.asarray(DESIGN) @ slopes, NOISE).to_event(), obs=DATA)


def exact_posterior(design, data):
    """Mean and covariance of the slopes."""
    covariance = np.linalg.inv(np.eye(design.shape[1]) + design.T @ design / NOISE**2)
    return covariance @ design.T @ data / NOISE**2, covariance


def exact():
    """Mean, covariance and log evidence of `regression`."""
    total = DESIGN @ DESIGN.T + NOISE**2 * np.eye(12)
    misfit = DATA @ np.linalg.solve(total, DATA)
    evidence = -0.5 * (misfit + np.linalg.slogdet(2 * np.pi * total)[1])
    return *exact_posterior(DESIGN, DATA), evidence


def two_humps():
    """A third at -3, the rest at 3, both of deviation 0.2."""
    x = numpyro.sample("x", dist.Normal(0.0, 10.0))
    low, high = -0.5 * ((x + 3.0) / 0.2) ** 2, -0.5 * ((x - 3.0) / 0.2) ** 2
    numpyro.factor("humps", jax.nn.logsumexp(jnp.stack([low + jnp.log(0.5), high])))


def regression_tree(design=DESIGN, data=DATA, draws=2000, name="data"):
    """Exact draws of the regression, and the densities of its data."""
    mean, covariance = exact_posterior(design, data)
    generator = np.random.default_rng(3)
    slopes = generator.multivariate_normal(mean, covariance, size=(4, draws))
    density = stats.norm.logpdf(data, slopes @ design.T, NOISE)
    groups = {
        "posterior": xr.Dataset({"slopes": (("chain", "draw", "slope"), slopes)}),
        "log_likelihood": xr.Dataset({name: (("chain", "draw", "channel"), density)}),
        "observed_data": xr.Dataset({name: ("channel", data)}),
    }
    labels = [f"A{i + 1}" for i in range(len(data))]
    for group in ("log_likelihood", "observed_data"):
        groups[group] = groups[group].assign_coords(channel=labels)
    return xr.DataTree.from_dict(groups)
