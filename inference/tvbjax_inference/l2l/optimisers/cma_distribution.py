"""The normal distribution of CMA-ES: its weights and rates, its samples, and how it is adapted.

Hansen (2016), The CMA evolution strategy: a tutorial, arXiv:1604.00772; equations, tables and
figures are numbered as there. Steps are in units of the first deviations. Populations are numbers
that may be traced: a buffer of candidates may be filled in part, and weights beyond are zero.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int

from tvbjax.arrays import matmul
from tvbjax_inference.l2l.optimiser import ranks


class Normal(eqx.Module):
    """`mean`, in coordinates; `sigma`, the step size; `covariance` of steps, and of the time when
    it was last decomposed its eigenvectors (`basis`, columns) and the roots of its eigenvalues
    (`lengths`). `path`, `conjugate`: evolution paths p_c and p_sigma. `generation`: how many times
    it was adapted."""

    mean: Float[Array, " width"]
    sigma: Float[Array, ""]
    covariance: Float[Array, "width width"]
    basis: Float[Array, "width width"]
    lengths: Float[Array, " width"]
    path: Float[Array, " width"]
    conjugate: Float[Array, " width"]
    generation: Int[Array, ""]


class Rates(eqx.Module):
    """Table 1 for one population: `weights` of the candidates from best to worst, of which the
    better half's sum to 1; their `mass` mu_eff; the rates of both paths and of both updates of the
    covariance; and the `damping` of the step size."""

    weights: Float[Array, " candidate"]
    mass: Float[Array, ""]
    conjugate: Float[Array, ""]
    path: Float[Array, ""]
    one: Float[Array, ""]
    many: Float[Array, ""]
    damping: Float[Array, ""]


def rates(room: int, population: Float[Array, ""], width: int) -> Rates:
    """For a population in a buffer that has `room` for as many or more (equations 49 to 58)."""
    places = jnp.arange(1, room + 1).astype(population.dtype)
    raw = jnp.log((population + 1.0) / 2.0) - jnp.log(places)
    better = jnp.maximum(raw, 0.0)
    worse = jnp.where(places <= population, jnp.minimum(raw, 0.0), 0.0)
    mass = jnp.sum(better) ** 2 / jnp.sum(better**2)
    worse_mass = jnp.sum(worse) ** 2 / jnp.sum(worse**2)
    conjugate = (mass + 2.0) / (width + mass + 5.0)
    one = 2.0 / ((width + 1.3) ** 2 + mass)
    many = 2.0 * (0.25 + mass + 1.0 / mass - 2.0) / ((width + 2.0) ** 2 + mass)
    many = jnp.minimum(1.0 - one, many)
    least = jnp.minimum(1.0 + one / many, 1.0 + 2.0 * worse_mass / (mass + 2.0))
    least = jnp.minimum(least, (1.0 - one - many) / (width * many))
    return Rates(
        weights=better / jnp.sum(better) + least * worse / -jnp.sum(worse),
        mass=mass,
        conjugate=conjugate,
        path=(4.0 + mass / width) / (width + 4.0 + 2.0 * mass / width),
        one=one,
        many=many,
        damping=1.0
        + 2.0 * jnp.maximum(0.0, jnp.sqrt((mass - 1.0) / (width + 1.0)) - 1.0)
        + conjugate,
    )


def first_normal(mean: Float[Array, " width"], sigma: Float[Array, ""]) -> Normal:
    """The distribution to begin with."""
    width, dtype = len(mean), mean.dtype
    return Normal(
        mean=mean,
        sigma=jnp.asarray(sigma, dtype),
        covariance=jnp.eye(width, dtype=dtype),
        basis=jnp.eye(width, dtype=dtype),
        lengths=jnp.ones(width, dtype),
        path=jnp.zeros(width, dtype),
        conjugate=jnp.zeros(width, dtype),
        generation=jnp.zeros((), jnp.int32),
    )


def sampled(
    normal: Normal, scale: Float[Array, " width"], key: Array, count: int
) -> Float[Array, "count width"]:
    """Candidates (equations 38 to 40). `scale`: the first deviations."""
    drawn = jr.normal(key, (count, len(scale)), normal.mean.dtype)
    steps = matmul(normal.lengths[None] * drawn, normal.basis.T)
    return normal.mean[None] + normal.sigma * scale[None] * steps


def adapted(
    normal: Normal,
    scale: Float[Array, " width"],
    candidates: Float[Array, "candidate width"],
    losses: Float[Array, " candidate"],
    population: Float[Array, ""],
) -> Normal:
    """The distribution after its candidates' losses (equations 41 to 47, weights below zero
    included); what is in the buffer beyond `population` has infinite losses and no weight."""
    room, width = candidates.shape
    rate = rates(room, population, width)
    weights = rate.weights[ranks(losses)]
    # What failed is no candidate: it may be anywhere, and far away it would ruin the mean.
    steps = (candidates - normal.mean[None]) / (normal.sigma * scale[None])
    steps = jnp.where((weights == 0.0)[:, None], 0.0, steps)
    step = matmul(jnp.maximum(weights, 0.0), steps)
    conjugate = (1.0 - rate.conjugate) * normal.conjugate + jnp.sqrt(
        rate.conjugate * (2.0 - rate.conjugate) * rate.mass
    ) * matmul(normal.basis, matmul(step, normal.basis) / normal.lengths)
    length = jnp.linalg.norm(conjugate)
    times = (normal.generation + 1).astype(length.dtype)
    settled = jnp.sqrt(1.0 - (1.0 - rate.conjugate) ** (2.0 * times))
    usual = math.sqrt(width) * (1.0 - 1.0 / (4.0 * width) + 1.0 / (21.0 * width**2))
    # h_sigma: the path waits while the step size still grows fast.
    waits = length / settled >= (1.4 + 2.0 / (width + 1.0)) * usual
    taken = jnp.sqrt(rate.path * (2.0 - rate.path) * rate.mass) * step
    path = (1.0 - rate.path) * normal.path + jnp.where(waits, 0.0, taken)
    covariance = _covariance(normal, rate, weights, steps, path, waits)
    grown = normal.sigma * jnp.exp(
        jnp.minimum(1.0, rate.conjugate / rate.damping * (length / usual - 1.0))
    )
    pause = jnp.floor(1.0 / (10.0 * width * (rate.one + rate.many)))
    due = (times % jnp.maximum(1.0, pause)) == 0.0
    basis, lengths = jax.lax.cond(
        due, decomposed, lambda _: (normal.basis, normal.lengths), covariance
    )
    return Normal(
        mean=normal.mean + normal.sigma * scale * step,
        sigma=grown,
        covariance=covariance,
        basis=basis,
        lengths=lengths,
        path=path,
        conjugate=conjugate,
        generation=normal.generation + 1,
    )


def _covariance(normal, rate, weights, steps, path, waits) -> Float[Array, "width width"]:
    """Equations 46 and 47."""
    whitened = jnp.sum((matmul(steps, normal.basis) / normal.lengths[None]) ** 2, axis=1)
    tiny = jnp.finfo(steps.dtype).tiny
    # Bad steps count by direction only, or a long one would make the covariance indefinite.
    balanced = jnp.where(weights < 0.0, weights * len(path) / jnp.maximum(whitened, tiny), weights)
    lost = jnp.where(waits, rate.path * (2.0 - rate.path), 0.0)
    kept = 1.0 + rate.one * lost - rate.one - rate.many * jnp.sum(rate.weights)
    many = matmul((balanced[:, None] * steps).T, steps)
    covariance = kept * normal.covariance + rate.one * jnp.outer(path, path) + rate.many * many
    return 0.5 * (covariance + covariance.T)


def decomposed(
    covariance: Float[Array, "width width"],
) -> tuple[Float[Array, "width width"], Float[Array, " width"]]:
    """Eigenvectors, and the roots of eigenvalues, which stay above rounding errors."""
    values, vectors = jnp.linalg.eigh(covariance)
    least = jnp.finfo(values.dtype).eps * jnp.max(values)
    return vectors, jnp.sqrt(jnp.maximum(values, least))
