"""TVB's equations: of distance, of time, or of both. Parameters have TVB's names and defaults."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from tvbjax.arrays import as_numbers
from tvbjax.equations._equation import AbstractParametric

# pi / sqrt(3): a logistic function with this factor has the standard deviation sigma.
_STEEPNESS = 1.8137993642342178


class Linear(AbstractParametric):
    """`a x + b`."""

    a: Array = eqx.field(default=1.0, converter=as_numbers)
    b: Array = eqx.field(default=0.0, converter=as_numbers)

    def __call__(self, x):
        return self.a * x + self.b


class Gaussian(AbstractParametric):
    """`amp exp(-(x - midpoint)^2 / (2 sigma^2)) + offset`."""

    positive: ClassVar[tuple[str, ...]] = ("sigma",)
    amp: Array = eqx.field(default=1.0, converter=as_numbers)
    sigma: Array = eqx.field(default=1.0, converter=as_numbers)
    midpoint: Array = eqx.field(default=0.0, converter=as_numbers)
    offset: Array = eqx.field(default=0.0, converter=as_numbers)

    def __call__(self, x):
        return self.amp * _bell(x, self.midpoint, self.sigma) + self.offset


class DoubleGaussian(AbstractParametric):
    """A difference of Gaussians, `amp_1 exp(-(x - midpoint_1)^2 / (2 sigma_1^2)) - amp_2 exp(...)`:
    with the first narrower and higher a Mexican hat."""

    positive: ClassVar[tuple[str, ...]] = ("sigma_1", "sigma_2")
    amp_1: Array = eqx.field(default=0.5, converter=as_numbers)
    sigma_1: Array = eqx.field(default=20.0, converter=as_numbers)
    midpoint_1: Array = eqx.field(default=0.0, converter=as_numbers)
    amp_2: Array = eqx.field(default=1.0, converter=as_numbers)
    sigma_2: Array = eqx.field(default=10.0, converter=as_numbers)
    midpoint_2: Array = eqx.field(default=0.0, converter=as_numbers)

    def __call__(self, x):
        first = self.amp_1 * _bell(x, self.midpoint_1, self.sigma_1)
        return first - self.amp_2 * _bell(x, self.midpoint_2, self.sigma_2)


class Sigmoid(AbstractParametric):
    """`amp / (1 + exp(-pi / sqrt(3) (radius - x) / sigma)) + offset`: falls at the radius."""

    positive: ClassVar[tuple[str, ...]] = ("sigma",)
    amp: Array = eqx.field(default=1.0, converter=as_numbers)
    radius: Array = eqx.field(default=5.0, converter=as_numbers)
    sigma: Array = eqx.field(default=1.0, converter=as_numbers)
    offset: Array = eqx.field(default=0.0, converter=as_numbers)

    def __call__(self, x):
        falling = _logistic(_STEEPNESS * (self.radius - x) / self.sigma)
        return self.amp * falling + self.offset


class GeneralizedSigmoid(AbstractParametric):
    """`low + (high - low) / (1 + exp(-pi / sqrt(3) (x - midpoint) / sigma))`."""

    positive: ClassVar[tuple[str, ...]] = ("sigma",)
    low: Array = eqx.field(default=0.0, converter=as_numbers)
    high: Array = eqx.field(default=1.0, converter=as_numbers)
    midpoint: Array = eqx.field(default=1.0, converter=as_numbers)
    sigma: Array = eqx.field(default=0.3, converter=as_numbers)

    def __call__(self, x):
        rising = _logistic(_STEEPNESS * (x - self.midpoint) / self.sigma)
        return self.low + (self.high - self.low) * rising


class Sinusoid(AbstractParametric):
    """`amp sin(2 pi frequency x)`; the frequency of time is in kHz: 0.01 is 10 Hz."""

    positive: ClassVar[tuple[str, ...]] = ("frequency",)
    amp: Array = eqx.field(default=1.0, converter=as_numbers)
    frequency: Array = eqx.field(default=0.01, converter=as_numbers)

    def __call__(self, x):
        return self.amp * jnp.sin(2.0 * jnp.pi * self.frequency * x)


class Cosine(AbstractParametric):
    """`amp cos(2 pi frequency x)`; the frequency of time is in kHz: 0.01 is 10 Hz."""

    positive: ClassVar[tuple[str, ...]] = ("frequency",)
    amp: Array = eqx.field(default=1.0, converter=as_numbers)
    frequency: Array = eqx.field(default=0.01, converter=as_numbers)

    def __call__(self, x):
        return self.amp * jnp.cos(2.0 * jnp.pi * self.frequency * x)


class Alpha(AbstractParametric):
    """From the onset on `alpha beta / (beta - alpha) (exp(-alpha x) - exp(-beta x))`, x counted
    from there: a pulse with rates of decay and of rise. Of equal rates, `alpha^2 x exp(-alpha x)`.
    """

    positive: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    onset: Array = eqx.field(default=0.5, converter=as_numbers)
    alpha: Array = eqx.field(default=13.0, converter=as_numbers)
    beta: Array = eqx.field(default=42.0, converter=as_numbers)

    def __call__(self, x):
        # Held at the onset before it, where the exponentials would overflow.
        since = jnp.maximum(x - self.onset, 0.0)
        # By the rates' difference, which may be 0: exp(-slow x) (1 - exp(-(fast - slow) x)).
        slow, fast = jnp.minimum(self.alpha, self.beta), jnp.maximum(self.alpha, self.beta)
        decay = jnp.exp(-slow * since) * _mean_decay((fast - slow) * since)
        return self.alpha * self.beta * since * decay

    def support(self):
        return float(self.onset), float("inf")


class PulseTrain(AbstractParametric):
    """`amp` for `tau` after the onset and after every period `T` since, else 0; as in TVB, a first
    pulse whose onset is on a step begins with the next one. The times have no gradient; `amp` has.

    As in TVB, too, times are compared as they are rounded: pulses that begin or end on steps may
    have a step more or fewer. With the onset half a step away from the steps, and `T` and `tau`
    whole steps, all have as many.
    """

    positive: ClassVar[tuple[str, ...]] = ("T", "tau")
    fits: ClassVar[tuple[tuple[int, str, str], ...]] = ((1, "tau", "T"),)
    T: Array = eqx.field(default=42.0, converter=as_numbers)
    tau: Array = eqx.field(default=13.0, converter=as_numbers)
    amp: Array = eqx.field(default=1.0, converter=as_numbers)
    onset: Array = eqx.field(default=30.0, converter=as_numbers)

    def __call__(self, x):
        x = jnp.asarray(x)
        within = (x > self.onset) & ((x - self.onset) % self.T < self.tau)
        return jnp.where(within, self.amp, jnp.zeros_like(self.amp)).astype(x.dtype)

    def support(self):
        return float(self.onset), float("inf")


def _mean_decay(x):
    """(1 - exp(-x)) / x, and 1 at 0."""
    there = jnp.where(x == 0, jnp.ones_like(x), x)
    return jnp.where(x == 0, 1.0 - 0.5 * x, -jnp.expm1(-there) / there)


def _bell(x, midpoint, sigma):
    return jnp.exp(-((x - midpoint) ** 2) / (2.0 * sigma**2))


def _logistic(x):
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)
