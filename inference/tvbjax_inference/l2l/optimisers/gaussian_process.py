"""A Gaussian process of losses by coordinates, in buffers of a fixed size.

Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, algorithm 2.1; Matern's
covariance of the smoothness 5/2 with a length for each coordinate. Losses are in units in which
they have the mean 0 and the variance 1.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Array, Bool, Float

from tvbjax.arrays import matmul
from tvbjax_inference import gradient_step

# Of the logarithm of a length about sqrt(2) + ln(width)/2, so that what is expected to be simple
# stays so in many coordinates: Hvarfner, Hellsten & Nardi (2024), Proc. ICML 235.
_LENGTH_SPREAD = math.sqrt(3.0)
# Of the logarithms of the amplitude about 1 and of the noise about 0.01, wide.
_AMPLITUDE_SPREAD = 1.0
_NOISE_MIDDLE = math.log(1e-2)
_NOISE_SPREAD = 3.0
_RATE = 0.1


class Hyper(eqx.Module):
    """Logarithms of the lengths, of the variance, and of the variance of the losses' noise."""

    lengths: Float[Array, " width"]
    amplitude: Float[Array, ""]
    noise: Float[Array, ""]


class Process(eqx.Module):
    """A process that has seen losses, ready to predict."""

    hyper: Hyper
    points: Float[Array, "most width"]
    there: Bool[Array, " most"]
    root: Float[Array, "most most"]
    weights: Float[Array, " most"]


def first_hyper(width: int) -> Hyper:
    """Where fits begin: at the middles of what is expected."""
    dtype = jnp.result_type(float)
    lengths = jnp.full(width, math.log(math.sqrt(width) * 0.5), dtype)
    return Hyper(lengths, jnp.zeros((), dtype), jnp.asarray(_NOISE_MIDDLE, dtype))


def covariance(
    hyper: Hyper, one: Float[Array, "one width"], other: Float[Array, "other width"]
) -> Float[Array, "one other"]:
    """Matern's, without noise."""
    scaled = jnp.exp(-hyper.lengths)[None]
    apart = (one * scaled)[:, None] - (other * scaled)[None]
    square = (apart**2).sum(axis=-1)
    # The root has no gradient at 0, where the covariance's is 0.
    same = square < jnp.finfo(square.dtype).tiny
    distance = jnp.sqrt(5.0) * jnp.where(same, 0.0, jnp.sqrt(jnp.where(same, 1.0, square)))
    shape = 1.0 + distance + distance**2 / 3.0
    return jnp.exp(hyper.amplitude) * shape * jnp.exp(-distance)


def conditioned(
    hyper: Hyper,
    points: Float[Array, "most width"],
    losses: Float[Array, " most"],
    there: Bool[Array, " most"],
) -> Process:
    """The process after losses at those points that are `there`."""
    root = _root(hyper, points, there)
    weights = cho_solve((root, True), jnp.where(there, losses, 0.0))
    return Process(hyper, points, there, root, weights)


def predicted(
    process: Process, points: Float[Array, "point width"]
) -> tuple[Float[Array, " point"], Float[Array, " point"]]:
    """Means and variances of the loss without noise."""
    across = covariance(process.hyper, process.points, points)
    across = jnp.where(process.there[:, None], across, 0.0)
    whitened = solve_triangular(process.root, across, lower=True)
    variance = jnp.exp(process.hyper.amplitude) - (whitened**2).sum(axis=0)
    least = jnp.finfo(variance.dtype).eps * jnp.exp(process.hyper.amplitude)
    return matmul(across.T, process.weights), jnp.maximum(variance, least)


def log_marginal(
    hyper: Hyper,
    points: Float[Array, "most width"],
    losses: Float[Array, " most"],
    there: Bool[Array, " most"],
) -> Float[Array, ""]:
    """The logarithm of the marginal likelihood (Rasmussen & Williams, equation 2.30)."""
    root = _root(hyper, points, there)
    whitened = solve_triangular(root, jnp.where(there, losses, 0.0), lower=True)
    count = there.sum().astype(losses.dtype)
    fit = -0.5 * (whitened**2).sum() - jnp.log(jnp.diagonal(root)).sum()
    return fit - 0.5 * count * math.log(2.0 * math.pi)


def fitted(
    hyper: Hyper,
    points: Float[Array, "most width"],
    losses: Float[Array, " most"],
    there: Bool[Array, " most"],
    sweeps: int,
) -> Hyper:
    """Hyper-parameters of a greater marginal likelihood, under weak expectations, from `hyper` on
    by so many steps of Adam; as they were if that ends in no number."""
    rule = optax.adam(_RATE)

    def loss(hyper):
        return -log_marginal(hyper, points, losses, there) - _expected(hyper)

    def step(_, state):
        hyper, memory = state
        slope = jax.grad(loss)(hyper)
        return gradient_step.moved(rule, slope, memory, hyper)

    found, _ = jax.lax.fori_loop(0, sweeps, step, (hyper, gradient_step.begun(rule, hyper)))
    numbers = jax.tree.map(lambda x: jnp.isfinite(x).all(), found)
    fine = jax.tree.reduce(jnp.logical_and, numbers)
    return jax.tree.map(lambda new, old: jnp.where(fine, new, old), found, hyper)


def _expected(hyper: Hyper) -> Float[Array, ""]:
    """The logarithm of the prior, but for a constant."""
    middle = math.sqrt(2.0) + 0.5 * math.log(len(hyper.lengths))
    return -0.5 * (
        jnp.sum(((hyper.lengths - middle) / _LENGTH_SPREAD) ** 2)
        + (hyper.amplitude / _AMPLITUDE_SPREAD) ** 2
        + ((hyper.noise - _NOISE_MIDDLE) / _NOISE_SPREAD) ** 2
    )


def _root(hyper: Hyper, points: Array, there: Array) -> Float[Array, "most most"]:
    """Of the covariance of what is there, and of 1 where nothing is."""
    both = there[:, None] & there[None]
    matrix = jnp.where(both, covariance(hyper, points, points), 0.0)
    # Rounding alone is noise of about this size, relative to the variance.
    rounding = jnp.sqrt(jnp.finfo(matrix.dtype).eps) * jnp.exp(hyper.amplitude)
    return jnp.linalg.cholesky(
        matrix + jnp.diag(jnp.where(there, jnp.exp(hyper.noise) + rounding, 1.0))
    )
