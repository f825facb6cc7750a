"""TVB's equations: of distance, of time, or of both. Parameters have TVB's names and defaults."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from tvbjax.arrays import as_floats
from tvbjax.equations._equation import AbstractEquation

# pi / sqrt(3): a logistic function with this factor has the standard deviation sigma.
_STEEPNESS = 1.8137993642342178


class Linear(AbstractEquation):
    """`a x + b`."""

    a: Array = eqx.field(default=1.0, converter=as_floats)
    b: Array = eqx.field(default=0.0, converter=as_floats)

    def __call__(self, x):
        return self.a * x + self.b


class Gaussian(AbstractEquation):
    """`amp exp(-(x - midpoint)^2 / (2 sigma^2)) + offset`."""

    amp: Array = eqx.field(default=1.0, converter=as_floats)
    sigma: Array = eqx.field(default=1.0, converter=as_floats)
    midpoint: Array = eqx.field(default=0.0, converter=as_floats)
    offset: Array = eqx.field(default=0.0, converter=as_floats)

    def __call__(self, x):
        return self.amp * _bell(x, self.midpoint, self.sigma) + self.offset


class DoubleGaussian(AbstractEquation):
    """A difference of Gaussians, `amp_1 exp(-(x - midpoint_1)^2 / (2 sigma_1^2)) - amp_2 exp(...)`:
    with the first narrower and higher a Mexican hat."""

    amp_1: Array = eqx.field(default=0.5, converter=as_floats)
    sigma_1: Array = eqx.field(default=20.0, converter=as_floats)
    midpoint_1: Array = eqx.field(default=0.0, converter=as_floats)
    amp_2: Array = eqx.field(default=1.0, converter=as_floats)
    sigma_2: Array = eqx.field(default=10.0, converter=as_floats)
    midpoint_2: Array = eqx.field(default=0.0, converter=as_floats)

    def __call__(self, x):
        first = self.amp_1 * _bell(x, self.midpoint_1, self.sigma_1)
        return first - self.amp_2 * _bell(x, self.midpoint_2, self.sigma_2)


class Sigmoid(AbstractEquation):
    """`amp / (1 + exp(-pi / sqrt(3) (radius - x) / sigma)) + offset`: falls at the radius."""

    amp: Array = eqx.field(default=1.0, converter=as_floats)
    radius: Array = eqx.field(default=5.0, converter=as_floats)
    sigma: Array = eqx.field(default=1.0, converter=as_floats)
    offset: Array = eqx.field(default=0.0, converter=as_floats)

    def __call__(self, x):
        falling = _logistic(_STEEPNESS * (self.radius - x) / self.sigma)
        return self.amp * falling + self.offset


class GeneralizedSigmoid(AbstractEquation):
    """`low + (high - low) / (1 + exp(-pi / sqrt(3) (x - midpoint) / sigma))`."""

    low: Array = eqx.field(default=0.0, converter=as_floats)
    high: Array = eqx.field(default=1.0, converter=as_floats)
    midpoint: Array = eqx.field(default=1.0, converter=as_floats)
    sigma: Array = eqx.field(default=0.3, converter=as_floats)

    def __call__(self, x):
        rising = _logistic(_STEEPNESS * (x - self.midpoint) / self.sigma)
        return self.low + (self.high - self.low) * rising


class Sinusoid(AbstractEquation):
    """`amp sin(2 pi frequency x)`; the frequency of time is in kHz: 0.01 is 10 Hz."""

    amp: Array = eqx.field(default=1.0, converter=as_floats)
    frequency: Array = eqx.field(default=0.01, converter=as_floats)

    def __call__(self, x):
        return self.amp * jnp.sin(2.0 * jnp.pi * self.frequency * x)


class Cosine(AbstractEquation):
    """`amp cos(2 pi frequency x)`; the frequency of time is in kHz: 0.01 is 10 Hz."""

    amp: Array = eqx.field(default=1.0, converter=as_floats)
    frequency: Array = eqx.field(default=0.01, converter=as_floats)

    def __call__(self, x):
        return self.amp * jnp.cos(2.0 * jnp.pi * self.frequency * x)


class Alpha(AbstractEquation):
    """From the onset on `alpha beta / (beta - alpha) (exp(-alpha x) - exp(-beta x))`, x counted
    from there: a pulse with rates of decay and of rise; `alpha` and `beta` differ."""

    onset: Array = eqx.field(default=0.5, converter=as_floats)
    alpha: Array = eqx.field(default=13.0, converter=as_floats)
    beta: Array = eqx.field(default=42.0, converter=as_floats)

    def __call__(self, x):
        # Held at the onset before it, where the exponentials would overflow.
        since = jnp.maximum(x - self.onset, 0.0)
        scale = self.alpha * self.beta / (self.beta - self.alpha)
        return scale * (jnp.exp(-self.alpha * since) - jnp.exp(-self.beta * since))

    def support(self):
        return float(self.onset), float("inf")


class PulseTrain(AbstractEquation):
    """`amp` for `tau` after the onset and after every period `T` since, else 0; as in TVB, a first
    pulse whose onset is on a step begins with the next one. The times have no gradient; `amp` has.
    """

    T: Array = eqx.field(default=42.0, converter=as_floats)
    tau: Array = eqx.field(default=13.0, converter=as_floats)
    amp: Array = eqx.field(default=1.0, converter=as_floats)
    onset: Array = eqx.field(default=30.0, converter=as_floats)

    def __call__(self, x):
        x = jnp.asarray(x)
        within = (x > self.onset) & ((x - self.onset) % self.T < self.tau)
        return jnp.where(within, self.amp, jnp.zeros_like(self.amp)).astype(x.dtype)

    def support(self):
        return float(self.onset), float("inf")


def _bell(x, midpoint, sigma):
    return jnp.exp(-((x - midpoint) ** 2) / (2.0 * sigma**2))


def _logistic(x):
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)
