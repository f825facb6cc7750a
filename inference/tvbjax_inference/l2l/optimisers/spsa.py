"""Simultaneous perturbation: a gradient from two losses, however many coordinates there are.

Spall (1992), IEEE Trans. Autom. Control 37:332, equation 2.2; gains by Spall (1998), IEEE Trans.
Aerosp. Electron. Syst. 34:817.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Int

from tvbjax.kinds import check_count, check_number
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper
from tvbjax_inference.l2l.optimisers.gradient_rules import (
    Descent,
    begun,
    check_gradients_suffice,
    check_rule,
    descended,
    inside,
)

# Spall's (1998) powers for practice; the asymptotically best are 1 and 1/6.
_RATE_POWER = 0.602
_STEP_POWER = 0.101


class _State(eqx.Module):
    descent: Descent
    told: Int[Array, ""]


def spall_rule(rate: float = 0.1, stability: float = 10.0) -> optax.GradientTransformation:
    """Spall's (1998) gains as a rule: rate / (stability + k + 1)^0.602 times the gradient.
    `stability`: about a tenth of the generations there will be."""
    check_number("spall_rule: rate", rate, above=0.0)
    check_number("spall_rule: stability", stability, least=0.0)
    return optax.sgd(lambda count: rate / (stability + count + 1.0) ** _RATE_POWER)


class Spsa(AbstractOptimiser):
    """Gradients by losses at both ends of random steps along all coordinates, and a rule.

    `rule`, `starts`: as those of `GradientDescent`; by default `spall_rule()`. `pairs`: random
    steps of which the mean is taken. `step`: of each coordinate, in the space's deviations, in the
    first generation; it falls as (k + 1)^-0.101. For noisy losses about the noise's deviation.
    """

    rule: Any = eqx.field(static=True, default_factory=spall_rule)
    starts: int = eqx.field(static=True, default=1)
    pairs: int = eqx.field(static=True, default=1)
    step: Array = eqx.field(converter=as_hyper, default=0.05)

    needs_continuous = True
    stops_when = "no start moves any more"

    def __check_init__(self):
        check_rule("Spsa", self.rule)
        check_count("Spsa: starts", self.starts)
        check_count("Spsa: pairs", self.pairs)

    def check(self, space):
        check_gradients_suffice("Spsa", self.rule, space)

    def population(self, space):
        return 2 * self.starts * self.pairs

    def begin(self, space, start, key):
        return _State(begun(space, self.rule, self.starts, start, key), jnp.zeros((), jnp.int32))

    def propose(self, space, inner, key):
        positions = inner.descent.positions
        fall = (1.0 + inner.told.astype(positions.dtype)) ** -_STEP_POWER
        steps = self.step * fall * jnp.asarray(space.deviations, positions.dtype)
        shape = (self.starts, self.pairs, space.width)
        signs = jr.rademacher(key, shape, positions.dtype)
        # So far from the ends that both points are between them.
        centres = inside(space, positions, jnp.minimum(steps, 0.5))
        upper = centres[:, None] + steps[None, None] * signs
        lower = centres[:, None] - steps[None, None] * signs
        return jnp.stack([upper, lower]).reshape(-1, space.width), inner

    def learn(self, space, inner, candidates, evaluations, key):
        shape = (2, self.starts, self.pairs)
        upper, lower = candidates.reshape(*shape, space.width)
        above, below = evaluations.losses.reshape(shape)
        # Of the pairs that did not fail; no number where all did.
        fine = jnp.isfinite(above) & jnp.isfinite(below)
        count = fine.sum(axis=1).astype(above.dtype)
        rises = jnp.where(fine, above - below, 0.0)[:, :, None] / (upper - lower)
        slopes = rises.sum(axis=1) / count[:, None]
        losses = jnp.where(fine, 0.5 * (above + below), 0.0).sum(axis=1) / count
        moved = descended(space, self.rule, inner.descent, losses, slopes, key)
        return _State(moved, inner.told + 1)

    def exhausted(self, space, inner):
        return inner.descent.still.all()
