"""When a run of CMA-ES has come to its end: by its losses' history and by its distribution.

The criteria and constants of Hansen (2009), Benchmarking a BI-population CMA-ES on the BBOB-2009
function testbed, GECCO companion, section 2, and of the tutorial, arXiv:1604.00772, B.3.
"""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tvbjax_inference.l2l.optimisers.cma_distribution import Normal

# Of the longest axis, over the first one.
_DIVERGED = 1e4


class History(eqx.Module):
    """Losses of a run, oldest first; infinity before there were any. `recent`: the least of each of
    the last generations. `bests`, `medians`: of generations that are spread over the last fifth
    of the run, once it is so long. `due`: the generation that is noted next in these."""

    recent: Float[Array, " recent"]
    bests: Float[Array, " noted"]
    medians: Float[Array, " noted"]
    due: Int[Array, ""]


def no_history(width: int, size: int, dtype) -> History:
    """At the beginning. `size`: the least population that there will be."""
    recent = 10 + math.ceil(30 * width / size)
    noted = 120 + math.ceil(30 * width / size)
    return History(
        recent=jnp.full(recent, jnp.inf, dtype),
        bests=jnp.full(noted, jnp.inf, dtype),
        medians=jnp.full(noted, jnp.inf, dtype),
        due=jnp.zeros((), jnp.int32),
    )


def noted(
    history: History,
    losses: Float[Array, " candidate"],
    population: Float[Array, ""],
    generation: Int[Array, ""],
) -> History:
    """The history with one generation more. `generation`: from 0 on."""
    # Failures are alike, so that their differences are zero and not NaN.
    ordered = jnp.sort(jnp.minimum(losses, 0.25 * jnp.finfo(losses.dtype).max))
    best, median = ordered[0], ordered[(population // 2.0).astype(jnp.int32)]
    due = generation >= history.due
    pause = jnp.maximum(1, generation // (5 * len(history.bests)))

    def longer(row, value, when):
        return jnp.where(when, jnp.concatenate([row[1:], value[None]]), row)

    return History(
        recent=longer(history.recent, best, True),
        bests=longer(history.bests, best, due),
        medians=longer(history.medians, median, due),
        due=jnp.where(due, generation + pause, history.due).astype(jnp.int32),
    )


def stopped(
    normal: Normal,
    history: History,
    losses: Float[Array, " candidate"],
    population: Float[Array, ""],
    scale: Float[Array, " width"],
    sigma: Float[Array, ""],
    tolerance: Float[Array, ""],
) -> Bool[Array, ""]:
    """Whether the run has come to its end. `losses`: of its last generation, infinite beyond
    `population`. `scale`, `sigma`: the first deviations and step size; `tolerance`: of losses."""
    wanted = 10.0 + jnp.ceil(30.0 * len(scale) / population)
    return (
        _flat(history.recent, losses, wanted, tolerance)
        | _stagnates(history)
        | _collapsed(normal, scale, sigma)
    )


def _flat(recent, losses, wanted, tolerance) -> Bool[Array, ""]:
    """TolFun over so many generations, and EqualFunValues."""
    asked = jnp.arange(len(recent), 0, -1).astype(wanted.dtype) <= wanted
    lowest = jnp.min(jnp.where(asked, recent, jnp.inf))
    highest = jnp.max(jnp.where(asked, recent, -jnp.inf))
    last = jnp.max(jnp.where(jnp.isfinite(losses), losses, -jnp.inf))
    level = jnp.maximum(last, highest) - lowest <= tolerance
    return jnp.isfinite(highest) & ((highest == lowest) | level)


def _stagnates(history: History) -> Bool[Array, ""]:
    """Stagnation: neither bests nor medians are less than they were."""
    share = int(0.3 * len(history.bests))
    worse = [jnp.median(row[-share:]) >= jnp.median(row[:share]) for row in _rows(history)]
    return jnp.isfinite(history.medians[0]) & worse[0] & worse[1]


def _rows(history: History) -> tuple[Array, Array]:
    # Before all are there, the median of infinities is not asked for.
    return tuple(jnp.where(jnp.isfinite(row), row, 0.0) for row in (history.bests, history.medians))


def _collapsed(normal: Normal, scale, sigma) -> Bool[Array, ""]:
    """TolX, TolXUp, ConditionCov, NoEffectAxis and NoEffectCoord, and what is no number."""
    mean, steps = normal.mean, normal.sigma * scale
    precision = jnp.finfo(mean.dtype).eps
    deviations = jnp.sqrt(jnp.diagonal(normal.covariance))
    longest, shortest = jnp.max(normal.lengths), jnp.min(normal.lengths)
    reach = normal.sigma * jnp.maximum(jnp.abs(normal.path), deviations)
    axis = normal.generation % len(scale)
    along = 0.1 * steps * normal.lengths[axis] * normal.basis[:, axis]
    return (
        jnp.all(reach < 1e-12 * sigma)
        | (normal.sigma * longest > _DIVERGED * sigma)
        | (longest**2 > min(1e14, 0.2 / precision) * shortest**2)
        | jnp.all(mean == mean + along)
        | jnp.any(mean == mean + 0.2 * steps * deviations)
        | ~jnp.isfinite(normal.sigma * longest)
    )
