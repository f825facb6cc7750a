"""What evolution strategies share: losses as ranks, and samples in mirrored pairs."""

import math

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import ranks
from tvbjax_inference.l2l.optimisers.collapse import collapsed


def utilities(count: int) -> Float[Array, " count"]:
    """By place from best to worst; they sum to 0. Wierstra, Schaul, Glasmachers, Sun, Peters &
    Schmidhuber (2014), J. Mach. Learn. Res. 15:949, section 3.1."""
    places = jnp.arange(1, count + 1)
    raw = jnp.maximum(0.0, math.log(count / 2 + 1) - jnp.log(places))
    return raw / raw.sum() - 1.0 / count


def usual_deviation_rate(width: int) -> float:
    """By which deviations along coordinates are learned: the same paper's, table 1."""
    return (3.0 + math.log(width)) / (5.0 * math.sqrt(width))


def centred_ranks(losses: Float[Array, " candidate"]) -> Float[Array, " candidate"]:
    """From -1/2 for the best to 1/2 for the worst; equals have their ranks' mean. Salimans et al.
    (2017), arXiv:1703.03864, section 2.1."""
    below = jnp.sum(losses[None] < losses[:, None], axis=1)
    level = jnp.sum(losses[None] == losses[:, None], axis=1)
    places = below.astype(losses.dtype) + 0.5 * (level - 1).astype(losses.dtype)
    return places / (len(losses) - 1) - 0.5


def mirrored_steps(key: Array, count: int, width: int, dtype) -> Float[Array, "count width"]:
    """Normal, the second half of them the first one's negatives."""
    half = jr.normal(key, (count // 2, width), dtype)
    return jnp.concatenate([half, -half])


def check_even(who: str, size: int) -> None:
    """Raises `ValueError` for a number of candidates that are no pairs."""
    check_count(f"{who}: size", size, 2)
    if size % 2:
        raise ValueError(f"{who}: size is {size}; candidates are pairs, so give an even number.")


def shaped(losses: Float[Array, " candidate"]) -> Float[Array, " candidate"]:
    """Each candidate's utility."""
    return utilities(len(losses))[ranks(losses)]


def symmetric_exponential(matrix: Float[Array, "width width"]) -> Float[Array, "width width"]:
    """The exponential of a symmetric matrix."""
    values, vectors = jnp.linalg.eigh(matrix)
    return matmul(vectors * jnp.exp(values)[None], vectors.T)


def is_over(deviations: Float[Array, " width"], first: Float[Array, " width"]) -> Bool[Array, ""]:
    """Whether deviations are so small that they change no loss, or beyond all measure, each beside
    its first one."""
    return collapsed(deviations, first) | jnp.any(deviations > 1e14 * first)
