"""Numbers of like size for a network: summaries in robust units, parameters less their regression.

A flow that learns a posterior need not learn what linear regression of parameters on summaries
finds in closed form: it starts from there (as do Beaumont, Zhang and Balding 2002, Genetics
162:2025) and learns how the residuals depend on the summaries.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.arrays import as_floats, matmul

# In robust units; beyond, only the logarithm grows, so that one outlier is not all that counts.
_TAME = 4.0
_RIDGES = 10.0 ** np.arange(-9, 2)  # relative to the largest singular value's square
_TINY = 1e-10  # of a variance: less is no variation


class Standard(eqx.Module):
    """How parameters and summaries become what a flow sees, and back.

    `kept`: which summaries vary. `middle`, `scale`: their median, and half the distance of their
    quantiles of 16 and 84 %. `offset`, `slopes`: the regression. `factor`: Cholesky's of the
    residuals' covariance. `low`, `high`: the range of all simulated summaries. `center`, `spread`:
    mean and Cholesky's factor of the kept ones. `reach`: the greatest Mahalanobis distance of
    simulations that these two were not computed from.
    """

    kept: Int[Array, " c"]
    middle: Float[Array, " c"]
    scale: Float[Array, " c"]
    offset: Float[Array, " d"]
    slopes: Float[Array, "c d"]
    factor: Float[Array, "d d"]
    low: Float[Array, " s"]
    high: Float[Array, " s"]
    center: Float[Array, " c"]
    spread: Float[Array, "c c"]
    reach: Float[Array, ""]

    def context(self, summaries: Float[Array, " s"]) -> Float[Array, " c"]:
        """What a network sees of summaries."""
        return _tamed((summaries[self.kept] - self.middle) / self.scale, jnp)

    def inward(self, parameters: Float[Array, " d"], context: Float[Array, " c"]):
        """Residuals of unit variance and no correlation."""
        return jnp.linalg.solve(
            self.factor, parameters - self.offset - matmul(context, self.slopes)
        )

    def outward(self, residuals: Float[Array, " d"], context: Float[Array, " c"]):
        """The inverse of `inward`."""
        return self.offset + matmul(context, self.slopes) + matmul(self.factor, residuals)

    @property
    def log_volume(self) -> Float[Array, ""]:
        """The logarithm of the volume of parameters for each volume of residuals."""
        return jnp.log(jnp.diag(self.factor)).sum()

    def distance(self, context: Float[Array, " c"]) -> Float[Array, ""]:
        """Mahalanobis' distance from the simulations."""
        away = jnp.linalg.solve(self.spread, context - self.center)
        return jnp.sqrt((away**2).sum())


def _tamed(numbers: Any, xp: Any) -> Any:
    """Numbers whose growth is logarithmic where they are large. `xp`: numpy, or JAX's."""
    size = xp.abs(numbers)
    large = xp.sign(numbers) * (_TAME + xp.log1p(xp.maximum(size - _TAME, 0.0)))
    return xp.where(size > _TAME, large, numbers)


def varying(summaries: Float[np.ndarray, "n s"]) -> np.ndarray:
    """Which columns vary by more than rounding."""
    size = np.abs(summaries).max(axis=0)
    return np.ptp(summaries, axis=0) > 1e-12 * np.where(size > 0, size, 1.0)


def standardised(
    parameters: Float[np.ndarray, "n d"], summaries: Float[np.ndarray, "n s"]
) -> tuple[Standard, Float[np.ndarray, "n d"], Float[np.ndarray, "n c"]]:
    """The standard of simulations, and of each the residuals and the context.

    A simulation's residuals are those of the regression on all others, so that they are as large
    as those of data which are not simulations.
    """
    kept = np.flatnonzero(varying(summaries))
    used = summaries[:, kept]
    middle = np.median(used, axis=0)
    low, high = np.quantile(used, [0.16, 0.84], axis=0)
    # Half of what is simulated may be alike, as counts of zero are.
    scale = np.where(high > low, (high - low) / 2, used.std(axis=0))
    context = _tamed((used - middle) / scale, np)
    residuals, offset, slopes = _regression(parameters, context)
    covariance = residuals.T @ residuals / len(residuals)
    factor = np.linalg.cholesky(covariance + _TINY * np.diag(parameters.var(axis=0)))
    center, spread, reach = _where(context)
    standard = Standard(
        jnp.asarray(kept),
        *map(as_floats, (middle, scale, offset, slopes, factor)),
        *map(as_floats, (summaries.min(axis=0), summaries.max(axis=0), center, spread, reach)),
    )
    return standard, np.linalg.solve(factor, residuals.T).T, context


def _regression(parameters: np.ndarray, context: np.ndarray):
    """Residuals of ridge regression on all other rows, offset and slopes; of several ridges that
    with the least residuals. Allen (1974), Technometrics 16:125."""
    count = len(context)
    mean, center = parameters.mean(axis=0), context.mean(axis=0)
    left, sizes, right = np.linalg.svd(context - center, full_matrices=False)
    inner = left.T @ (parameters - mean)
    variances = parameters.var(axis=0)
    least, best = np.inf, None
    for ridge in _RIDGES * max(sizes[0], 1e-300) ** 2:
        shares = sizes**2 / (sizes**2 + ridge)
        own = 1 / count + left**2 @ shares  # how much of a row's prediction is its own
        errors = parameters - mean - left @ (shares[:, None] * inner)
        errors /= np.maximum(1 - own, 1e-6)[:, None]
        loss = ((errors**2).mean(axis=0) / variances).mean()
        if loss < least:
            least, best = loss, (errors, right.T @ ((sizes / (sizes**2 + ridge))[:, None] * inner))
    assert best is not None
    errors, slopes = best
    return errors, mean - center @ slopes, slopes


def _where(context: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and factor of the covariance of four in five, and how far off the others are at most."""
    others = np.arange(len(context)) % 5 == 0
    most = context[~others]
    covariance = np.atleast_2d(np.cov(most.T)) + 1e-6 * np.eye(context.shape[1])
    center, spread = most.mean(axis=0), np.linalg.cholesky(covariance)
    away = np.linalg.solve(spread, (context[others] - center).T)
    return center, spread, float(np.sqrt((away**2).sum(axis=0)).max())
