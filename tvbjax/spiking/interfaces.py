"""From spikes to what a brain region is: converters of rates, and where their values go.

A converter is a pair of pure functions, one value for each step of the brain. Those with names of
models are of tvb-multiscale; Schirner et al. (2022), NeuroImage 251, 118973.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats
from tvbjax.kinds import check_kind, check_number
from tvbjax.spiking.known import check_scalars

Scalar = Float[Array, ""]


class AbstractConverter(eqx.Module):
    """What is made of a population's rate, kHz, or of another mean of it. `unit`: of the value.

    `of_rates`: whether only a rate can be what it is made of.
    """

    unit: eqx.AbstractVar[str]
    of_rates: ClassVar[bool] = False

    @abc.abstractmethod
    def begin(self, dt: float) -> Any:
        """What is carried, at t = 0. `dt`: of the brain, ms."""

    @abc.abstractmethod
    def step(self, carried: Any, mean: Scalar, dt: float) -> tuple[Any, Scalar]:
        """What is carried on, and the value at the end of a step in which this was the mean."""


class Mean(AbstractConverter):
    """The mean over the step: `gain` times that, and `offset`. Of spikes it is a histogram.

    `unit`: of the value, kHz for a rate with the gain 1, Hz with 1000.
    """

    gain: Scalar = eqx.field(converter=as_floats, default=1.0)
    offset: Scalar = eqx.field(converter=as_floats, default=0.0)
    unit: str = eqx.field(static=True, default="1/ms")

    def __check_init__(self):
        check_scalars(self, ("gain", "offset"))

    def begin(self, dt):
        return ()

    def step(self, carried, mean, dt):
        return carried, self.gain * mean + self.offset


class LowPass(AbstractConverter):
    """tau x' = gain r - x, exact for a rate that is constant in a step. `tau`: ms."""

    tau: Scalar = eqx.field(converter=as_floats, default=10.0)
    gain: Scalar = eqx.field(converter=as_floats, default=1.0)
    unit: str = eqx.field(static=True, default="1/ms")

    def __check_init__(self):
        check_scalars(self, ("tau", "gain"), above=("tau",))

    def begin(self, dt):
        return jnp.zeros(())

    def step(self, carried, mean, dt):
        kept = jnp.exp(-dt / self.tau)
        value = kept * carried + (1.0 - kept) * self.gain * mean
        return value, value


class GaussianKernel(AbstractConverter):
    """The mean over the past weighted by half of a Gaussian of width `sigma`, ms, which knows no
    spike before it comes; cut at four sigma."""

    sigma: float = eqx.field(static=True)
    gain: Scalar = eqx.field(converter=as_floats, default=1.0)
    unit: str = eqx.field(static=True, default="1/ms")

    def __check_init__(self):
        check_number("GaussianKernel: sigma (ms)", self.sigma, above=0.0)
        check_scalars(self, ("gain",))

    def begin(self, dt):
        return jnp.zeros(int(4 * self.sigma / dt) + 1)

    def step(self, carried, mean, dt):
        rates = jnp.roll(carried, 1).at[0].set(mean)
        lags = dt * jnp.arange(len(carried), dtype=carried.dtype)
        weights = jnp.exp(-0.5 * jnp.square(lags / self.sigma))
        return rates, self.gain * jnp.sum(weights * rates) / jnp.sum(weights)


class WongWangExcitatory(AbstractConverter):
    """The gating of NMDA receptors of the reduced Wong-Wang model, S_e, by a rate.

    S' = -S / tau + (1 - S) gamma r, r low-pass filtered with `tau_rate`, which 0 leaves out; r in
    kHz. Deco et al. (2014), J. Neurosci. 34, 7886, equation 9. Steps are exact for a constant rate.
    """

    of_rates = True
    tau: Scalar = eqx.field(converter=as_floats, default=100.0)
    gamma: Scalar = eqx.field(converter=as_floats, default=0.641)
    tau_rate: Scalar = eqx.field(converter=as_floats, default=10.0)
    unit: str = eqx.field(static=True, default="")

    def __check_init__(self):
        check_scalars(self, ("tau", "gamma", "tau_rate"), ("tau", "gamma"), ("tau_rate",))

    def begin(self, dt):
        return jnp.zeros(()), jnp.zeros(())

    def step(self, carried, mean, dt):
        rate, gating = carried
        rate = _filtered(rate, mean, self.tau_rate, dt)
        speed = 1.0 / self.tau + self.gamma * rate
        rest = self.gamma * rate / speed
        gating = rest + (gating - rest) * jnp.exp(-speed * dt)
        return (rate, gating), gating


class WongWangInhibitory(AbstractConverter):
    """The gating of GABA receptors of the reduced Wong-Wang model, S_i: S' = -S / tau + r.

    Deco et al. (2014), J. Neurosci. 34, 7886, equation 10; r in kHz, low-pass filtered with
    `tau_rate`, which 0 leaves out.
    """

    of_rates = True
    tau: Scalar = eqx.field(converter=as_floats, default=10.0)
    tau_rate: Scalar = eqx.field(converter=as_floats, default=10.0)
    unit: str = eqx.field(static=True, default="")

    def __check_init__(self):
        check_scalars(self, ("tau", "tau_rate"), ("tau",), ("tau_rate",))

    def begin(self, dt):
        return jnp.zeros(()), jnp.zeros(())

    def step(self, carried, mean, dt):
        rate, gating = carried
        rate = _filtered(rate, mean, self.tau_rate, dt)
        rest = self.tau * rate
        gating = rest + (gating - rest) * jnp.exp(-dt / self.tau)
        return (rate, gating), gating


class InverseSigmoid(AbstractConverter):
    """The potential at which a sigmoid gives the rate: mid - log(greatest / r - 1) / steepness.

    Of the Jansen-Rit model: r = greatest / (1 + exp(steepness (mid - v))). `greatest`: kHz, `mid`:
    mV, `steepness`: 1/mV. The rate is low-pass filtered with `tau`, ms, and kept within a
    thousandth of the sigmoid's range.
    """

    of_rates = True
    greatest: Scalar = eqx.field(converter=as_floats, default=0.005)
    mid: Scalar = eqx.field(converter=as_floats, default=5.52)
    steepness: Scalar = eqx.field(converter=as_floats, default=0.56)
    tau: Scalar = eqx.field(converter=as_floats, default=10.0)
    unit: str = eqx.field(static=True, default="mV")

    def __check_init__(self):
        names = ("greatest", "mid", "steepness", "tau")
        check_scalars(self, names, ("greatest", "steepness"), ("tau",))

    def begin(self, dt):
        return jnp.zeros(())

    def step(self, carried, mean, dt):
        rate = _filtered(carried, mean, self.tau, dt)
        share = jnp.clip(rate / self.greatest, 1e-3, 1.0 - 1e-3)
        return rate, self.mid - jnp.log(1.0 / share - 1.0) / self.steepness


def _filtered(old: Array, new: Array, tau: Array, dt: float) -> Array:
    kept = jnp.where(tau > 0, jnp.exp(-dt / jnp.where(tau > 0, tau, 1.0)), 0.0)
    return kept * old + (1.0 - kept) * new


class Output(eqx.Module):
    """What a spiking population is for its region: `variable` of the region's model.

    Where it `replaces` it, the default, the state variable is what the converter makes of the
    population's rate; else that is added to its time derivative, per ms, and the region's own
    equations go on. `quantity`: a quantity whose mean over cells is taken instead of the rate, as
    `v`, which the network records by `Means`.
    """

    variable: str = eqx.field(static=True)
    population: str = eqx.field(static=True)
    converter: AbstractConverter = eqx.field(default_factory=Mean)
    quantity: str | None = eqx.field(static=True, default=None)
    replaces: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        check_kind("Output: converter", self.converter, AbstractConverter, "LowPass(10.0)")
