"""Separable natural evolution strategy: a normal distribution whose axes are the coordinates'.

Wierstra, Schaul, Glasmachers, Sun, Peters & Schmidhuber (2014), J. Mach. Learn. Res. 15:949,
algorithm 6 and table 1.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, as_optional_hyper
from tvbjax_inference.l2l.optimisers.populations import frozen
from tvbjax_inference.l2l.optimisers.shaping import is_over, shaped, usual_deviation_rate


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
    deviation_rate: Array | None = eqx.field(converter=as_optional_hyper, default=None)

    stops_when = "deviations are too small to change a loss, or beyond all measure"

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
        shares = shaped(evaluations.losses)
        rate = self.deviation_rate
        if rate is None:
            rate = usual_deviation_rate(space.width)
        mean = inner.mean + self.mean_rate * inner.deviations * matmul(shares, steps)
        grown = matmul(shares, steps**2 - 1.0)
        after = _State(mean, inner.deviations * jnp.exp(0.5 * rate * grown))
        return frozen(self.exhausted(space, inner), inner, after)

    def exhausted(self, space, inner):
        first = self.sigma * jnp.asarray(space.deviations, inner.mean.dtype)
        return is_over(inner.deviations, first)
