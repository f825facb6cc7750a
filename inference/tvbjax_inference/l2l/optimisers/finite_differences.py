"""Descent along differences of losses a step apart, for what has no exact gradient."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper
from tvbjax_inference.l2l.optimisers.gradient_rules import (
    begun,
    check_gradients_suffice,
    check_rule,
    descended,
    inside,
)


class FiniteDifferences(AbstractOptimiser):
    """Gradients by differences along every coordinate, and a rule: for black boxes.

    `rule`, `starts`: as those of `GradientDescent`. `step`: of the differences, in the space's
    deviations; noise of the loss is divided by it. `central`: differences to both sides, exact to
    the second order for 2 width + 1 evaluations a start, in place of one side for width + 1. At an
    end the points are within it, and the difference is to one side.
    """

    rule: Any = eqx.field(static=True)
    starts: int = eqx.field(static=True, default=1)
    step: Array = eqx.field(converter=as_hyper, default=1e-3)
    central: bool = eqx.field(static=True, default=True)

    needs_continuous = True
    stops_when = "no start moves any more"

    def __check_init__(self):
        check_rule("FiniteDifferences", self.rule)
        check_count("FiniteDifferences: starts", self.starts)

    def check(self, space):
        check_gradients_suffice("FiniteDifferences", self.rule, space)

    def population(self, space):
        return self.starts * (1 + (2 if self.central else 1) * space.width)

    def begin(self, space, start, key):
        return begun(space, self.rule, self.starts, start, key)

    def propose(self, space, inner, key):
        before, after = self._apart(space, inner.positions)
        points = [inner.positions, self._along(inner.positions, after)]
        if self.central:
            points.append(self._along(inner.positions, before))
        return jnp.concatenate(points), inner

    def learn(self, space, inner, candidates, evaluations, key):
        losses = evaluations.losses
        shape = (self.starts, space.width)
        middle, others = losses[: self.starts], losses[self.starts :]
        before, after = self._apart(space, inner.positions)
        if self.central:
            upper, lower = others.reshape(2, *shape)
        else:
            upper, lower = others.reshape(shape), jnp.broadcast_to(middle[:, None], shape)
            before = inner.positions
        gradients = (upper - lower) / (after - before)
        # A coordinate whose difference failed stays where it is, unless they all did.
        known = jnp.isfinite(gradients)
        some = known.any(axis=1, keepdims=True)
        gradients = jnp.where(some & ~known, 0.0, gradients)
        return descended(space, self.rule, inner, middle, gradients, key)

    def exhausted(self, space, inner):
        return inner.still.all()

    def _apart(self, space, positions):
        """Each coordinate a step lower and a step higher, within its ends."""
        steps = (self.step * jnp.asarray(space.deviations, positions.dtype))[None]
        after = inside(space, positions + steps)
        if not self.central:  # to the other side where there is no room
            after = jnp.where(after - positions < 0.5 * steps, positions - steps, after)
        return inside(space, positions - steps), after

    def _along(
        self, positions: Float[Array, "start width"], moved: Float[Array, "start width"]
    ) -> Float[Array, "points width"]:
        """Points of which each has one coordinate of `moved`, start by start."""
        width = positions.shape[1]
        one = jnp.eye(width, dtype=bool)[None]
        points = jnp.where(one, moved[:, None, :], positions[:, None, :])
        return points.reshape(-1, width)
