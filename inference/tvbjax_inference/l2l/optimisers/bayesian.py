"""Bayesian optimisation: a Gaussian process of the loss says where to look next.

Jones, Schonlau & Welch (1998), J. Glob. Optim. 13:455, with the logarithm of the expected
improvement; for few, expensive evaluations.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Int

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.dimensions import Categorical, Integer, mirrored
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, finite_losses
from tvbjax_inference.l2l.optimisers.expected_improvement import log_expected_improvement
from tvbjax_inference.l2l.optimisers.gaussian_process import (
    Hyper,
    Process,
    conditioned,
    first_hyper,
    fitted,
    predicted,
)
from tvbjax_inference.l2l.optimisers.gradient_rules import inside
from tvbjax_inference.l2l.space import Space

# Points that the improvement is compared at: drawn, near the best, and climbed from.
_DRAWN = 512
_NEAR = 256
_CLIMBED = 8
_CLIMBS = 40


class _State(eqx.Module):
    points: Float[Array, "most width"]
    losses: Float[Array, " most"]
    count: Int[Array, ""]
    design: Float[Array, "first width"]
    hyper: Hyper


class Bayesian(AbstractOptimiser):
    """Bayesian optimisation with a Gaussian process and log expected improvement.

    `most`: losses that are kept; then the search ends (told further ones, they take the worst's
    place). `size`: candidates at once; each but the first is chosen as if the ones before had come
    out as predicted (Ginsbourger, Le Riche & Carraro 2010, kriging believer). `first`: candidates
    of a Latin hypercube at the beginning, with the start the first of them; by default 2 width + 2,
    no more than half of `most`. `sweeps`: steps of a fit of the process. `wide`: how far from the
    best its neighbours are drawn, in the space's deviations.
    """

    most: int = eqx.field(static=True, default=128)
    size: int = eqx.field(static=True, default=1)
    first: int | None = eqx.field(static=True, default=None)
    sweeps: int = eqx.field(static=True, default=40)
    wide: Array = eqx.field(converter=as_hyper, default=0.1)

    stops_when = "as many losses have been told as are kept"

    def __check_init__(self):
        check_count("Bayesian: size", self.size)
        check_count("Bayesian: most", self.most, max(2, self.size))
        check_count("Bayesian: sweeps", self.sweeps)
        if self.first is not None:
            check_count("Bayesian: first", self.first)
            if self.first > self.most:
                raise ValueError(
                    f"Bayesian: first {self.first} is above most {self.most}; give fewer."
                )

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        count = self.first or min(2 * space.width + 2, max(1, self.most // 2))
        design = _hypercube(space, self.size * -(-count // self.size), key)
        return _State(
            points=jnp.zeros((self.most, space.width), start.dtype),
            losses=jnp.full(self.most, jnp.inf, start.dtype),
            count=jnp.zeros((), jnp.int32),
            design=design.at[0].set(start),
            hyper=first_hyper(space.width),
        )

    def propose(self, space, inner, key):
        designed = len(inner.design)

        def from_design(_):
            return jax.lax.dynamic_slice_in_dim(inner.design, inner.count, self.size)

        def from_process(key):
            return self._improving(space, inner, key)

        begun = inner.count >= designed
        return jax.lax.cond(begun, from_process, from_design, key), inner

    def learn(self, space, inner, candidates, evaluations, key):
        def kept(state, one):
            points, losses, count = state
            place = jnp.where(count < self.most, count, jnp.argmax(losses).astype(count.dtype))
            point, loss = one
            points = points.at[place].set(point)
            return (points, losses.at[place].set(loss), count + 1), None

        state = (inner.points, inner.losses, inner.count)
        (points, losses, count), _ = jax.lax.scan(kept, state, (candidates, evaluations.losses))
        snapped = same_values(space, points)
        there = jnp.arange(self.most, dtype=jnp.int32) < count
        values, _ = _standard(losses, there)
        hyper = jax.lax.cond(
            count >= len(inner.design),
            lambda hyper: fitted(hyper, snapped, values, there, self.sweeps),
            lambda hyper: hyper,
            inner.hyper,
        )
        return _State(points, losses, count, inner.design, hyper)

    def exhausted(self, space, inner):
        return inner.count >= self.most

    def process(self, search) -> Process:
        """The process after all losses told; of standardised losses, by coordinates."""
        inner, space = search.inner, search.space
        there = jnp.arange(self.most, dtype=jnp.int32) < inner.count
        values, _ = _standard(inner.losses, there)
        return conditioned(inner.hyper, same_values(space, inner.points), values, there)

    def _improving(self, space: Space, inner: _State, key: Array):
        """Candidates one after the other, each after what was predicted of those before."""
        told = jnp.arange(self.most, dtype=jnp.int32) < inner.count
        values, _ = _standard(inner.losses, told)
        room = self.size - 1
        width = space.width
        dtype = values.dtype
        points = jnp.concatenate(
            [same_values(space, inner.points), jnp.zeros((room, width), dtype)]
        )
        values = jnp.concatenate([values, jnp.zeros(room, dtype)])
        there = jnp.concatenate([told, jnp.zeros(room, bool)])
        best = inner.points[jnp.argmin(inner.losses)]

        def chosen(state, one):
            points, values, there = state
            number, key = one
            process = conditioned(inner.hyper, points, values, there)
            candidate = self._climbed(space, process, best, key)
            snapped = same_values(space, candidate[None])
            mean, _ = predicted(process, snapped)
            place = self.most + number  # the last one's is beyond the end, and is dropped
            points = points.at[place].set(snapped[0], mode="drop")
            values = values.at[place].set(mean[0], mode="drop")
            return (points, values, there.at[place].set(True, mode="drop")), candidate

        numbers = jnp.arange(self.size, dtype=jnp.int32)
        order = (numbers, jr.split(key, self.size))
        return jax.lax.scan(chosen, (points, values, there), order)[1]

    def _climbed(self, space: Space, process: Process, best: Array, key: Array):
        """Where the improvement is greatest, of many points and of those climbed to from them."""
        anywhere, around = jr.split(key)
        deviations = jnp.asarray(space.deviations, best.dtype)
        moves = jr.normal(around, (_NEAR, space.width), best.dtype)
        # Neighbours at all distances: what is left to find is ever nearer.
        scales = self.wide * jnp.logspace(0.0, -3.0, _NEAR, dtype=best.dtype)
        near = inside(space, best[None] + scales[:, None] * deviations[None] * moves)
        drawn = jnp.concatenate([space.draw(anywhere, _DRAWN), near])
        # No better than predicted at what was told: noise is no improvement.
        means, _ = predicted(process, process.points)
        least = jnp.min(jnp.where(process.there, means, jnp.inf))

        def gain(points):
            mean, variance = predicted(process, same_values(space, points))
            return log_expected_improvement(mean, jnp.sqrt(variance), least)

        def climb(number, state):
            points, momentum = state
            slope = jax.grad(lambda x: gain(x).sum())(points)
            length = jnp.sqrt((slope**2).sum(axis=1, keepdims=True))
            way = jnp.where(length > 0.0, slope / jnp.where(length > 0.0, length, 1.0), 0.0)
            momentum = 0.7 * momentum + 0.3 * way
            rate = 0.1 * 0.85 ** number.astype(points.dtype)
            return inside(space, points + rate * deviations[None] * momentum), momentum

        gains = gain(drawn)
        tops = drawn[jax.lax.top_k(gains, _CLIMBED)[1]]
        climbed, _ = jax.lax.fori_loop(0, _CLIMBS, climb, (tops, jnp.zeros_like(tops)))
        last = jnp.concatenate([tops, climbed])
        return last[jnp.argmax(gain(last))]


def same_values(
    space: Space, coordinates: Float[Array, "point width"]
) -> Float[Array, "point width"]:
    """One place for all coordinates that stand for the same values: the loss is one there.

    Garrido-Merchan & Hernandez-Lobato (2020), Neurocomputing 380:20. Reals stay, so that there are
    slopes; whole numbers are at equal distances, options are corners.
    """
    parts, first = [], 0
    for _, dimension in space.dimensions:
        part = coordinates[:, first : first + dimension.width]
        first += dimension.width
        if isinstance(dimension, Categorical):
            scores = mirrored(part).reshape(len(part), dimension.size, dimension.each)
            marked = jax.nn.one_hot(jnp.argmax(scores, axis=-1), dimension.each, dtype=part.dtype)
            part = marked.reshape(part.shape)
        elif isinstance(dimension, Integer):
            values = dimension.decode(part).reshape(part.shape).astype(part.dtype)
            if dimension.log:
                low, high = math.log(dimension.low), math.log(dimension.high)
                part = (jnp.log(values) - low) / (high - low)
            else:
                part = (values - dimension.low) / (dimension.high - dimension.low)
        elif dimension.bounded:
            part = mirrored(part)
        parts.append(part)
    return jnp.concatenate(parts, axis=1)


def _standard(
    losses: Float[Array, " most"], there: Bool[Array, " most"]
) -> tuple[Float[Array, " most"], Float[Array, ""]]:
    """Losses of the mean 0 and the variance 1, failures as the worst; zeros where none are."""
    values = finite_losses(jnp.where(there, losses, jnp.inf))
    count = jnp.maximum(there.sum(), 1).astype(losses.dtype)
    mean = jnp.where(there, values, 0.0).sum() / count
    deviation = jnp.sqrt(jnp.where(there, (values - mean) ** 2, 0.0).sum() / count)
    safe = jnp.where(deviation > 0.0, deviation, 1.0)
    return jnp.where(there, (values - mean) / safe, 0.0), safe


def _hypercube(space: Space, count: int, key: Array) -> Float[Array, "count width"]:
    """One point in each of `count` strata of every coordinate."""
    order, inner = jr.split(key)
    dtype = jnp.result_type(float)
    strata = jax.vmap(lambda key: jr.permutation(key, count), out_axes=1)(
        jr.split(order, space.width)
    )
    units = (strata.astype(dtype) + jr.uniform(inner, strata.shape, dtype)) / count
    units = jnp.clip(units, jnp.finfo(dtype).eps, 1.0 - jnp.finfo(dtype).eps)
    bounded = jnp.broadcast_to(jnp.asarray(space.bounded, bool), units.shape)
    return jnp.where(bounded, units, ndtri(units))
