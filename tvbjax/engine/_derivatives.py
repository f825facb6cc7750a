"""Which derivatives will be taken of a run, and how much of it reverse mode keeps."""

import dataclasses
import math

from tvbjax.kinds import check_number
from tvbjax.steps import steps_of


@dataclasses.dataclass(frozen=True)
class Reverse:
    """A run is made ready for `jax.grad`: derivatives of few numbers by many.

    `horizon`: ms over which the network's own state is followed back, None for all of the run; as
    near to it as whole spans of steps come. What
    a parameter does within such a time counts, and what that leads to after its end does not:
    gradients of chaotic dynamics, which grow without bound over long times, are then of use, though
    biased. What monitors carry on is followed to the end. Williams & Peng (1990), Neural
    Computation 2:490 (truncated backpropagation through time).
    """

    horizon: float | None = None

    def __post_init__(self):
        if self.horizon is not None:
            check_number("Reverse: horizon, in ms,", self.horizon, above=0.0)

    def spans(self, span: int, dt: float) -> int | None:
        """The horizon in spans of so many steps, one at least."""
        if self.horizon is None:
            return None
        return max(1, round(steps_of(self.horizon, dt, "Reverse: the horizon") / span))


@dataclasses.dataclass(frozen=True)
class Forward:
    """A run is made ready for `jax.jvp` and `jax.jacfwd`: derivatives of many numbers by few."""


Derivatives = Reverse | Forward


# Bytes of a run that reverse mode may keep before it rather runs parts again.
_MOST_KEPT = 128 << 20


def spans_together(spans: int, bytes_of_span: int) -> int:
    """How many spans are run again together in reverse mode: all, where what is kept of all is
    little; else about the square root of their number, so that what is kept of a group and the
    beginnings of all groups are as many, and a divisor of it if one is near.
    """
    if spans * bytes_of_span <= _MOST_KEPT:
        return spans
    root = max(1, round(math.sqrt(spans)))
    near = range(max(1, (2 * root) // 3), (3 * root) // 2 + 1)
    dividing = [group for group in near if spans % group == 0]
    return min(dividing, key=lambda group: abs(group - root), default=root)
