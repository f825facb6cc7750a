"""What cross-entropy draws candidates from, and fits to the best of them.

All are fitted by weighted maximum likelihood. States are trees of arrays.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count

# Below this share of the largest variance a covariance is no longer positive in float64 or float32.
_LEAST_SHARE = 1e-12, 1e-6


class AbstractDistribution(eqx.Module):
    """Draws, and a fit to weighted candidates."""

    @abc.abstractmethod
    def begin(self, start: Float[Array, " width"], deviations: Float[Array, " width"], key: Array):
        """The state of a distribution about `start`."""

    @abc.abstractmethod
    def draw(self, state: Any, count: int, key: Array) -> Float[Array, "count width"]:
        """Candidates."""

    @abc.abstractmethod
    def fit(
        self,
        state: Any,
        candidates: Float[Array, "candidate width"],
        weights: Float[Array, " candidate"],
    ) -> Any:
        """The state of the greatest likelihood for candidates whose weights sum to 1."""

    @abc.abstractmethod
    def widened(self, state: Any, variances: Float[Array, " width"]) -> Any:
        """The state with more variance along each coordinate."""

    @abc.abstractmethod
    def variances(self, state: Any) -> Float[Array, "*component width"]:
        """Along each coordinate."""


class _Normal(eqx.Module):
    mean: Float[Array, " width"]
    variances: Float[Array, " width"]


class DiagonalNormal(AbstractDistribution):
    """A normal distribution whose axes are the coordinates'."""

    def begin(self, start, deviations, key):
        return _Normal(start, deviations**2)

    def draw(self, state, count, key):
        steps = jr.normal(key, (count, len(state.mean)), state.mean.dtype)
        return state.mean[None] + jnp.sqrt(state.variances)[None] * steps

    def fit(self, state, candidates, weights):
        mean = matmul(weights, candidates)
        return _Normal(mean, matmul(weights, (candidates - mean[None]) ** 2))

    def widened(self, state, variances):
        return _Normal(state.mean, state.variances + variances)

    def variances(self, state):
        return state.variances


class _Correlated(eqx.Module):
    mean: Float[Array, " width"]
    covariance: Float[Array, "width width"]


class FullNormal(AbstractDistribution):
    """A normal distribution of any covariance, for coordinates that hang together."""

    def begin(self, start, deviations, key):
        return _Correlated(start, jnp.diag(deviations**2))

    def draw(self, state, count, key):
        steps = jr.normal(key, (count, len(state.mean)), state.mean.dtype)
        return state.mean[None] + matmul(steps, _root(state.covariance).T)

    def fit(self, state, candidates, weights):
        mean = matmul(weights, candidates)
        apart = candidates - mean[None]
        return _Correlated(mean, matmul((weights[:, None] * apart).T, apart))

    def widened(self, state, variances):
        return _Correlated(state.mean, state.covariance + jnp.diag(variances))

    def variances(self, state):
        return jnp.diagonal(state.covariance)


class _Mixed(eqx.Module):
    shares: Float[Array, " component"]
    means: Float[Array, "component width"]
    covariances: Float[Array, "component width width"]


class NormalMixture(AbstractDistribution):
    """Several normal distributions, for losses with several valleys.

    Fitted by expectation maximisation (Dempster, Laird & Rubin 1977, J. R. Stat. Soc. B 39:1) from
    the last mixture on. `sweeps`: rounds of it. `prior`: of how many candidates' weight the
    covariance of all is in each component's, so that none collapses on a single candidate.
    """

    components: int = eqx.field(static=True, default=2)
    sweeps: int = eqx.field(static=True, default=10)
    prior: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_count("NormalMixture: components", self.components)
        check_count("NormalMixture: sweeps", self.sweeps)

    def begin(self, start, deviations, key):
        # Apart from each other: equal components would stay equal for ever.
        steps = jr.normal(key, (self.components, len(start)), start.dtype)
        covariances = jnp.broadcast_to(
            jnp.diag(deviations**2), (self.components, len(start), len(start))
        )
        shares = jnp.full(self.components, 1.0 / self.components, start.dtype)
        return _Mixed(shares, start[None] + deviations[None] * steps, covariances)

    def draw(self, state, count, key):
        which, moved = jr.split(key)
        chosen = jr.categorical(which, jnp.log(state.shares), shape=(count,))
        steps = jr.normal(moved, (count, state.means.shape[1]), state.means.dtype)
        roots = jax.vmap(_root)(state.covariances)
        return state.means[chosen] + jnp.einsum(
            "cij,cj->ci", roots[chosen], steps, precision="highest"
        )

    def fit(self, state, candidates, weights):
        middle = matmul(weights, candidates)
        apart = candidates - middle[None]
        whole = matmul((weights[:, None] * apart).T, apart)
        # The sum of squares is one over the number of candidates that count.
        prior = self.prior * jnp.sum(weights**2)

        def sweep(_, state):
            duties = weights[:, None] * _responsibilities(state, candidates)
            sums = duties.sum(axis=0)
            # A component without candidates stays where it is.
            alive = sums > jnp.finfo(sums.dtype).tiny
            safe = jnp.where(alive, sums, 1.0)
            means = jnp.where(
                alive[:, None], matmul(duties.T, candidates) / safe[:, None], state.means
            )
            away = candidates[None] - means[:, None]
            scatter = jnp.einsum("nc,cni,cnj->cij", duties, away, away, precision="highest")
            covariances = (scatter + prior * whole[None]) / (sums + prior)[:, None, None]
            return _Mixed(sums / sums.sum(), means, covariances)

        return jax.lax.fori_loop(0, self.sweeps, sweep, state)

    def widened(self, state, variances):
        return _Mixed(state.shares, state.means, state.covariances + jnp.diag(variances)[None])

    def variances(self, state):
        # The variance of a component that draws nothing does not matter.
        there = (state.shares > jnp.finfo(state.shares.dtype).tiny)[:, None]
        return jnp.where(there, jnp.diagonal(state.covariances, axis1=1, axis2=2), 0.0)


def _responsibilities(
    state: _Mixed, candidates: Float[Array, "candidate width"]
) -> Float[Array, "candidate component"]:
    def density(share, mean, covariance):
        root = _root(covariance)
        white = jax.scipy.linalg.solve_triangular(root, (candidates - mean[None]).T, lower=True)
        return jnp.log(share) - 0.5 * (white**2).sum(axis=0) - jnp.log(jnp.diagonal(root)).sum()

    scores = jax.vmap(density, out_axes=1)(state.shares, state.means, state.covariances)
    return jnp.exp(scores - logsumexp(scores, axis=1, keepdims=True))


def _root(covariance: Float[Array, "width width"]) -> Float[Array, "width width"]:
    """The lower triangular root, after as much on the diagonal as it takes to have one."""
    share = _LEAST_SHARE[0 if covariance.dtype == jnp.dtype("float64") else 1]
    scale = jnp.maximum(jnp.diagonal(covariance), jnp.finfo(covariance.dtype).tiny)
    # In units of each coordinate's deviation, so that scales may differ by orders of magnitude.
    deviations = jnp.sqrt(scale)
    inside = covariance / (deviations[:, None] * deviations[None])
    root = jnp.linalg.cholesky(inside + share * jnp.eye(len(inside), dtype=inside.dtype))
    return deviations[:, None] * root
