"""Separable natural evolution strategy: a normal distribution whose axes are the coordinates'.

Wierstra, Schaul, Glasmachers, Sun, Peters & Schmidhuber (2014), J. Mach. Learn. Res. 15:949,
algorithm 6 and table 1.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, ranks

# Deviations below this share of the first ones change nothing in float64's losses.
_COLLAPSED = 1e-14


class _State(eqx.Module):
    mean: Float[Array, " width"]
    deviations: Float[Array, " width"]


class SeparableNes(AbstractOptimiser):
    """SNES. `size`: candidates in a generation, by default 4 + 3 ln(width). `sigma`: the first
    deviation, in those of the space. `mean_rate`, `deviation_rate`: learning rates; by default 1
    and the paper's (3 + ln width) / (5 sqrt(width))."""

    size: int | None = eqx.field(static=True, default=None)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)
    mean_rate: Array = eqx.field(converter=as_hyper, default=1.0)
    deviation_rate: Array | None = eqx.field(
        converter=lambda x: None if x is None else as_hyper(x), default=None
    )

    stops_when = "all deviations are too small to change a loss"

    def __check_init__(self):
        if self.size is not None:
            check_count("SeparableNes: size", self.size, 2)

    def population(self, space):
        return self.size or 4 + int(3 * math.log(space.width))

    def begin(self, space, start, key):
        return _State(start, self.sigma * jnp.asarray(space.deviations, start.dtype))

    def propose(self, space, inner, key):
        steps = jr.normal(key, (self.population(space), space.width), inner.mean.dtype)
        return inner.mean[None] + inner.deviations[None] * steps, inner

    def learn(self, space, inner, candidates, evaluations, key):
        steps = (candidates - inner.mean[None]) / inner.deviations[None]
        utilities = _utilities(len(candidates))[ranks(evaluations.losses)]
        rate = self.deviation_rate
        if rate is None:
            rate = (3.0 + math.log(space.width)) / (5.0 * math.sqrt(space.width))
        mean = inner.mean + self.mean_rate * inner.deviations * (utilities @ steps)
        grown = utilities @ (steps**2 - 1.0)
        return _State(mean, inner.deviations * jnp.exp(0.5 * rate * grown))

    def exhausted(self, space, inner):
        first = jnp.asarray(space.deviations, inner.mean.dtype)
        return jnp.all(inner.deviations < _COLLAPSED * first)


def _utilities(count: int) -> Float[Array, " count"]:
    """By place from best to worst; they sum to 0."""
    places = jnp.arange(1, count + 1)
    raw = jnp.maximum(0.0, math.log(count / 2 + 1) - jnp.log(places))
    return raw / raw.sum() - 1.0 / count
