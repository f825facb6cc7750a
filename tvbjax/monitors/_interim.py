"""Means of the neural signal over a few ms: what haemodynamics, which are slow, are driven by."""

import math
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tvbjax.kinds import check_kind
from tvbjax.monitors._arguments import check_period
from tvbjax.monitors._monitor import AbstractMonitor, Chunk, period_ends
from tvbjax.monitors._windows import add_block, open_windows
from tvbjax.steps import steps_of

_LONGEST = 4.0  # ms: TVB's sampling of the neural signal, far below the time scales of blood


class AbstractHaemodynamic(AbstractMonitor):
    """A signal of blood, sampled at the end of every period. `interim`: ms over which the activity
    is averaged first, None for the period's largest divisor up to 4 ms. Of what is carried on, the
    first part is the unfinished mean.
    """

    if TYPE_CHECKING:

        @property
        def interim(self) -> float | None: ...
    else:
        interim: eqx.AbstractVar[float | None]

    def __check_init__(self):
        who = type(self).__name__
        check_period(who, self.period)
        check_kind(f"{who}: interim", self.interim, (float, type(None)), "4.0, in ms, or None")

    def check(self, nodes, dt):
        self.window_steps(dt)

    def window_steps(self, dt: float) -> int:
        """Steps in one mean. Raises `ValueError` where the period is no multiple of it."""
        period, who = self.period_steps(dt), type(self).__name__
        if self.interim is None:
            longest = max(1, min(period, math.floor(_LONGEST / dt + 1e-9)))
            return next(n for n in range(longest, 0, -1) if period % n == 0)
        steps = steps_of(self.interim, dt, f"{who}: interim")
        if period % steps:
            says = "is shorter than" if period < steps else "is no multiple of"
            raise ValueError(
                f"{who}: the period of {period * dt:.10g} ms {says} the interim step of "
                f"{self.interim:.10g} ms; give an interim step that fits into it, or leave it out."
            )
        return steps

    def open(self, carried, chunk):
        return open_windows(carried[0], self.window_steps(chunk.dt), chunk)

    def update(self, buffer, block, offset, chunk):
        return add_block(buffer, block, offset, self.window_steps(chunk.dt), chunk)

    def times(self, first, steps, dt):
        return period_ends(first, steps, self.period_steps(dt)) * dt


def means_of_past(past: Float[Array, "step voi node"], interim: int) -> Float[Array, "mean voi *n"]:
    """The means over the steps up to t = 0, oldest first; the oldest step is held before."""
    missing = -len(past) % interim
    oldest = jnp.broadcast_to(past[:1], (missing, *past.shape[1:]))
    whole = jnp.concatenate([oldest, past])
    return whole.reshape(-1, interim, *past.shape[1:]).mean(axis=1)


def sample_ends(chunk: Chunk, interim: int, per_sample: int, rows: int) -> Int[Array, " sample"]:
    """How many of a chunk's means have passed when each of its samples is due."""
    before = chunk.first // interim % per_sample
    most = (rows + per_sample - 1) // per_sample
    return per_sample * jnp.arange(1, most + 1, dtype=jnp.int32) - before
