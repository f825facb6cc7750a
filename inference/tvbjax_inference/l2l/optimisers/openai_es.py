"""Evolution strategy of OpenAI: a gradient of smoothed losses by mirrored samples, for any rule.

Salimans, Ho, Chen, Sidor & Sutskever (2017), arXiv:1703.03864, algorithm 1 and section 2; mirrored
samples after Brockhoff et al. (2010), PPSN XI, LNCS 6238:11.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from tvbjax.arrays import matmul
from tvbjax_inference import gradient_step
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper
from tvbjax_inference.l2l.optimisers.collapse import collapsed
from tvbjax_inference.l2l.optimisers.populations import frozen
from tvbjax_inference.l2l.optimisers.shaping import (
    centred_ranks,
    check_even,
    mirrored_steps,
)

# One for all, so that optimisers are alike.
_PLAIN = optax.sgd(1.0)


class _State(eqx.Module):
    mean: Float[Array, " width"]
    sigma: Float[Array, ""]
    rule: Any


class OpenAiEs(AbstractOptimiser):
    """OpenAI's evolution strategy. `size`: candidates in a generation, an even number, by default
    40. `sigma`: the deviation about the mean, in the space's. `rule`: of optax, what is done with
    gradients; its steps are times `rate` and in units of the deviation. `decay`: of the deviation
    in a generation; 1 is the paper's, which cannot come nearer than the deviation is wide."""

    size: int = eqx.field(static=True, default=40)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)
    rule: optax.GradientTransformation = eqx.field(static=True, default=_PLAIN)
    rate: Array = eqx.field(converter=as_hyper, default=1.0)
    decay: Array = eqx.field(converter=as_hyper, default=0.98)

    stops_when = "the deviation is too small to change a loss"

    def __check_init__(self):
        check_even("OpenAiEs", self.size)

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        sigma = jnp.asarray(self.sigma, start.dtype)
        return _State(start, sigma, gradient_step.begun(self.rule, start))

    def propose(self, space, inner, key):
        steps = mirrored_steps(key, self.size, space.width, inner.mean.dtype)
        return inner.mean[None] + self._deviations(space, inner)[None] * steps, inner

    def learn(self, space, inner, candidates, evaluations, key):
        deviations = self._deviations(space, inner)
        steps = (candidates - inner.mean[None]) / deviations[None]
        # Ranks grow with losses: this is the slope of a smoothed loss, per deviation.
        slope = matmul(centred_ranks(evaluations.losses), steps) / self.size
        moves, rule = gradient_step.changes(self.rule, slope, inner.rule, inner.mean)
        mean = inner.mean + self.rate * deviations * moves
        after = _State(mean, inner.sigma * self.decay, rule)
        return frozen(self.exhausted(space, inner), inner, after)

    def exhausted(self, space, inner):
        return collapsed(inner.sigma, self.sigma)

    def _deviations(self, space, inner) -> Float[Array, " width"]:
        return inner.sigma * jnp.asarray(space.deviations, inner.mean.dtype)
