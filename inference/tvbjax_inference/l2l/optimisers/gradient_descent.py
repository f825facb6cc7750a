"""Descent along exact gradients, from several starts at once, by any rule of optax."""

from typing import Any

import equinox as eqx

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser
from tvbjax_inference.l2l.optimisers.gradient_rules import (
    begun,
    check_gradients_suffice,
    check_rule,
    descended,
)


class GradientDescent(AbstractOptimiser):
    """Exact gradients of a JAX loss, and a rule: `GradientDescent(optax.adam(0.05))`.

    `starts`: so many searches side by side, the first from the start, the others from draws of the
    space. Coordinates beyond an end are put back to it. Learning rates are in coordinates, 0 to 1
    from end to end.
    """

    rule: Any = eqx.field(static=True)
    starts: int = eqx.field(static=True, default=1)

    needs_gradients = True
    needs_continuous = True
    stops_when = "no start moves any more"

    def __check_init__(self):
        check_rule("GradientDescent", self.rule)
        check_count("GradientDescent: starts", self.starts)

    def check(self, space):
        check_gradients_suffice("GradientDescent", self.rule, space)

    def population(self, space):
        return self.starts

    def begin(self, space, start, key):
        return begun(space, self.rule, self.starts, start, key)

    def propose(self, space, inner, key):
        return inner.positions, inner

    def learn(self, space, inner, candidates, evaluations, key):
        losses, gradients = evaluations.losses, evaluations.gradients
        assert gradients is not None  # `tell` has seen to it
        return descended(space, self.rule, inner, losses, gradients, key)

    def exhausted(self, space, inner):
        return inner.still.all()
