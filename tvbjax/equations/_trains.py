"""Trains of pulses as they are given by coils and electrodes.

A pulse begins at its onset and ends before onset + width. Where time is float32 it is known to 7
digits: short pulses late in a long run need JAX's x64. The times have no gradient; `amp` has.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from tvbjax.arrays import as_numbers
from tvbjax.equations._equation import AbstractParametric, check_number

# Of a pulse's width: a step that rounding put just before the pulse belongs to it, and one just
# before its end does not; else pulses on the grid of steps would have a step too many or too few.
_EARLY = 0.01


class BiphasicTrain(AbstractParametric):
    """Charge-balanced pulses: `amp` for `width`, then `-amp` for `width`, every `T` ms from the
    onset on, as in deep brain stimulation.
    """

    positive: ClassVar[tuple[str, ...]] = ("T", "width")
    fits: ClassVar[tuple[tuple[int, str, str], ...]] = ((2, "width", "T"),)
    T: Array = eqx.field(default=1000.0 / 130.0, converter=as_numbers)
    width: Array = eqx.field(default=0.1, converter=as_numbers)
    amp: Array = eqx.field(default=1.0, converter=as_numbers)
    onset: Array = eqx.field(default=0.0, converter=as_numbers)

    def __call__(self, x):
        x, early = jnp.asarray(x), _EARLY * self.width
        since = (x - self.onset + early) % self.T
        first, second = since < self.width, (since >= self.width) & (since < 2.0 * self.width)
        sign = first.astype(x.dtype) - second.astype(x.dtype)
        begun = x >= self.onset - early
        return jnp.where(begun, self.amp * sign, jnp.zeros_like(x)).astype(x.dtype)

    def support(self):
        return float(self.onset), float("inf")


class BurstTrain(AbstractParametric):
    """Bursts of pulses: `amp` for `width` every `T` ms, while a burst lasts, `burst` ms every
    `interval` ms, from the onset on."""

    positive: ClassVar[tuple[str, ...]] = ("T", "width", "burst", "interval")
    fits: ClassVar[tuple[tuple[int, str, str], ...]] = (
        (1, "width", "T"),
        (1, "burst", "interval"),
    )
    T: Array = eqx.field(default=20.0, converter=as_numbers)
    width: Array = eqx.field(default=1.0, converter=as_numbers)
    burst: Array = eqx.field(default=60.0, converter=as_numbers)
    interval: Array = eqx.field(default=200.0, converter=as_numbers)
    amp: Array = eqx.field(default=1.0, converter=as_numbers)
    onset: Array = eqx.field(default=0.0, converter=as_numbers)

    def __call__(self, x):
        x, early = jnp.asarray(x), _EARLY * self.width
        since = (x - self.onset + early) % self.interval
        begun = x >= self.onset - early
        on = begun & (since < self.burst) & (since % self.T < self.width)
        return jnp.where(on, self.amp, jnp.zeros_like(self.amp)).astype(x.dtype)

    def support(self):
        return float(self.onset), float("inf")


def deep_brain_stimulation(
    frequency: float = 130.0, width: float = 0.1, amp: float = 1.0, onset: float = 0.0
) -> BiphasicTrain:
    """Biphasic pulses at `frequency` Hz, each phase of `width` ms, dt or more. Clinical values are
    130 Hz and 60 to 120 us (Volkmann et al. 2006, Mov. Disord. 21:S284)."""
    check_number("deep_brain_stimulation: frequency", frequency, positive=True)
    return BiphasicTrain(T=1000.0 / frequency, width=width, amp=amp, onset=onset)


def theta_burst(width: float = 1.0, amp: float = 1.0, onset: float = 0.0) -> BurstTrain:
    """Three pulses at 50 Hz, each of `width` ms, five times a second: theta burst stimulation of
    transcranial magnetic stimulation. Huang et al. (2005), Neuron 45:201."""
    return BurstTrain(T=20.0, width=width, burst=60.0, interval=200.0, amp=amp, onset=onset)
