"""Policy gradients with parameter-based exploration: pairs of samples move mean and deviations.

Sehnke, Osendorfer, Rückstiess, Graves, Peters & Schmidhuber (2010), Neural Networks 23:551,
section 3.3 (symmetric sampling), with losses as ranks.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from tvbjax.arrays import matmul
from tvbjax_inference import gradient_step
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, as_optional_hyper
from tvbjax_inference.l2l.optimisers.populations import frozen
from tvbjax_inference.l2l.optimisers.shaping import (
    centred_ranks,
    check_even,
    is_over,
    mirrored_steps,
    usual_deviation_rate,
)

# One for all, so that optimisers are alike.
_PLAIN = optax.sgd(1.0)


class _State(eqx.Module):
    mean: Float[Array, " width"]
    deviations: Float[Array, " width"]
    rule: Any


class Pgpe(AbstractOptimiser):
    """PGPE. `size`: candidates in a generation, an even number, by default 40. `sigma`: the first
    deviation, in the space's. `rule`: of optax, what is done with the mean's gradient; its steps
    are times `rate` and in units of deviations. `deviation_rate`: of these; by default that of
    `SeparableNes`, (3 + ln width) / (5 sqrt(width))."""

    size: int = eqx.field(static=True, default=40)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)
    rule: optax.GradientTransformation = eqx.field(static=True, default=_PLAIN)
    rate: Array = eqx.field(converter=as_hyper, default=2.0)
    deviation_rate: Array | None = eqx.field(converter=as_optional_hyper, default=None)

    stops_when = "deviations are too small to change a loss, or beyond all measure"

    def __check_init__(self):
        check_even("Pgpe", self.size)

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        deviations = self.sigma * jnp.asarray(space.deviations, start.dtype)
        return _State(start, deviations, gradient_step.begun(self.rule, start))

    def propose(self, space, inner, key):
        steps = mirrored_steps(key, self.size, space.width, inner.mean.dtype)
        return inner.mean[None] + inner.deviations[None] * steps, inner

    def learn(self, space, inner, candidates, evaluations, key):
        half = self.size // 2
        steps = (candidates - inner.mean[None]) / inner.deviations[None]
        placed = centred_ranks(evaluations.losses)
        # A pair's difference is what the mean learns from, its sum what deviations do.
        apart = 0.5 * (placed[:half] - placed[half:])
        together = 0.5 * (placed[:half] + placed[half:])
        slope = matmul(apart, steps[:half]) / half
        widening = matmul(together, steps[:half] ** 2 - 1.0) / half
        moves, rule = gradient_step.changes(self.rule, slope, inner.rule, inner.mean)
        share = self.deviation_rate
        if share is None:
            share = usual_deviation_rate(space.width)
        # In the logarithm, so that deviations stay above zero; and by a fifth at most.
        grown = jnp.clip(-share * widening, -0.2, 0.2)
        mean = inner.mean + self.rate * inner.deviations * moves
        after = _State(mean, inner.deviations * jnp.exp(grown), rule)
        return frozen(self.exhausted(space, inner), inner, after)

    def exhausted(self, space, inner):
        first = self.sigma * jnp.asarray(space.deviations, inner.mean.dtype)
        return is_over(inner.deviations, first)
