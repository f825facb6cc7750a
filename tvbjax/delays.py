"""Delays: which steps of the past a connection reads, and how much of each.

A delay is tract length over speed over dt: a number of steps that is seldom whole. Each step that
is read for it is a tap of the connection. Knows no network and no history.
"""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Values = Array | np.ndarray


class Taps(NamedTuple):
    """What connections read. `steps`: how far back, -1 where there is no such delay. `shares`: of
    each tap in what the connection hears; None where there is but one."""

    steps: Int[Values, "edge tap"]
    shares: Float[Values, "edge tap"] | None


class AbstractDelays(eqx.Module):
    """How a delay between two steps is read."""

    @property
    @abc.abstractmethod
    def taps(self) -> int:
        """How many steps of the past a connection reads."""

    @property
    def room(self) -> float:
        """The factor by which delays may become longer or shorter where they are traced."""
        return 1.0

    @property
    def widened(self) -> str:
        """How to get more room, to be added to an advice; nothing where there is none."""
        return ""

    @abc.abstractmethod
    def read(self, delays: Float[Values, " edge"], held: bool) -> Taps:
        """The taps of delays, which are in steps. NumPy's arrays of NumPy's.

        A delay of exactly 0 is the first tap alone: all others then read step 0, with a share of 0.
        `held`: whether what is read is held throughout a step.
        """


class Nearest(AbstractDelays):
    """Delays of whole steps, nearest, ties to even, as in TVB. They have no gradient."""

    @property
    def taps(self) -> int:
        return 1

    def read(self, delays, held):
        xp: Any = np if isinstance(delays, np.ndarray) else jnp
        with np.errstate(all="ignore"):
            steps = xp.rint(delays)
            return Taps(_counted(xp, steps, steps)[:, None], None)


def _factor(value: float) -> float:
    if isinstance(value, bool | str) or not isinstance(value, int | float) or not 1 <= value < 1e3:
        raise ValueError(
            f"delays.Linear: room is {value!r}; give the factor by which delays may become longer "
            "or shorter while they are traced, 1 or more."
        )
    return float(value)


def _flag(value: bool) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"delays.Linear: midstep is {value!r:.60}; give True or False.")
    return value


class Linear(AbstractDelays):
    """Delays of any length: the past between two steps is a straight line.

    With delta = length / speed / dt, d its whole steps and f the rest, a connection hears
    `(1 - f) x(n - d) + f x(n - d - 1)`: what is simulated has a gradient with respect to conduction
    speed and tract lengths. It is that of the line, and jumps where a delay is a whole number of
    steps. A tract of length 0 is read without delay, and that has none.

    `midstep`: integrators hold the coupling through their stages; it is then that of the middle of
    the step, with `max(delta - 1/2, 0)` for delta. So the coupling is of second order where delays
    are half a step or more, except in what a rule reads of the receiving region (`Difference`,
    `Kuramoto`), which is its state at the step's beginning. It does nothing with an integrator that
    computes the coupling anew (`RecoupledHeun`, of second order without it).
    `room`: the factor by which delays may become longer or shorter where they are traced, as
    when speeds are fitted under `jit`: the history and the blocks of time are then made for that.
    """

    midstep: bool = eqx.field(static=True, default=True, converter=_flag)
    room: float = eqx.field(static=True, default=1.0, converter=_factor)

    @property
    def taps(self) -> int:
        return 2

    @property
    def widened(self) -> str:
        return " and delays=tvbjax.delays.Linear(room=2.0)"

    def read(self, delays, held):
        xp: Any = np if isinstance(delays, np.ndarray) else jnp
        with np.errstate(all="ignore"):
            still = delays == 0
            moved = xp.maximum(delays - 0.5, 0.0) if self.midstep and held else delays
            # Compilers round in ways of their own: a whole number of steps must stay one for all.
            slack = 8.0 * float(jnp.finfo(delays.dtype).eps) * (1.0 + moved)
            whole = xp.floor(moved + slack)
            rest = moved - whole
            zero, one = xp.zeros_like(rest), xp.ones_like(rest)
            steps = [whole, xp.where(still, zero, whole + 1.0)]
            shares = [xp.where(still, one, 1.0 - rest), xp.where(still, zero, rest)]
            counted = [_counted(xp, delays, part) for part in steps]
            return Taps(xp.stack(counted, axis=1), xp.stack(shares, axis=1))


def _counted(xp: Any, delays: Values, steps: Values) -> Values:
    """Whole numbers; -1 where the delay is NaN, negative or beyond all counting."""
    known = (delays >= 0) & (delays < 2**30)
    return xp.where(known, steps, xp.full_like(steps, -1)).astype(xp.int32)
