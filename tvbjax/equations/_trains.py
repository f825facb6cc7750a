"""Trains of pulses as they are given by coils and electrodes."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from tvbjax.arrays import as_floats
from tvbjax.equations._equation import AbstractEquation
from tvbjax.equations._shapes import PulseTrain


class BiphasicTrain(AbstractEquation):
    """Charge-balanced pulses: `amp` for `width`, then `-amp` for `width`, every `T` ms from the
    onset on, as in deep brain stimulation. The times have no gradient; `amp` has.
    """

    T: Array = eqx.field(default=1000.0 / 130.0, converter=as_floats)
    width: Array = eqx.field(default=0.1, converter=as_floats)
    amp: Array = eqx.field(default=1.0, converter=as_floats)
    onset: Array = eqx.field(default=0.0, converter=as_floats)

    def __call__(self, x):
        since = (x - self.onset) % self.T
        first, second = since < self.width, (since >= self.width) & (since < 2.0 * self.width)
        sign = first.astype(x.dtype) - second.astype(x.dtype)
        return jnp.where(x >= self.onset, self.amp * sign, jnp.zeros_like(x)).astype(x.dtype)

    def support(self):
        return float(self.onset), float("inf")


class Product(AbstractEquation):
    """The product of two equations, e.g. of a train of pulses and a train of bursts."""

    first: AbstractEquation
    second: AbstractEquation

    def __call__(self, x):
        return self.first(x) * self.second(x)

    def support(self):
        (a, b), (c, d) = self.first.support(), self.second.support()
        return max(a, c), min(b, d)


def deep_brain_stimulation(
    frequency: float = 130.0, width: float = 0.1, amp: float = 1.0, onset: float = 0.0
) -> BiphasicTrain:
    """Biphasic pulses at `frequency` Hz, each phase of `width` ms, dt or more. Clinical values are
    130 Hz and 60 to 120 us (Volkmann et al. 2006, Mov. Disord. 21:S284)."""
    return BiphasicTrain(T=1000.0 / frequency, width=width, amp=amp, onset=onset)


def theta_burst(width: float = 1.0, amp: float = 1.0, onset: float = 0.0) -> Product:
    """Three pulses at 50 Hz, each of `width` ms, five times a second: theta burst stimulation of
    transcranial magnetic stimulation. Huang et al. (2005), Neuron 45:201."""
    pulses = PulseTrain(T=20.0, tau=width, amp=amp, onset=onset)
    return Product(pulses, PulseTrain(T=200.0, tau=60.0, amp=1.0, onset=onset))
