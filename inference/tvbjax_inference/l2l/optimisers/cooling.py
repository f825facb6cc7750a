"""How a temperature falls with generations: schedules of simulated annealing.

Multiplicative schedules fall for ever: Kirkpatrick, Gelatt & Vecchi (1983), Science 220:671; Aarts
& Korst (1989), Simulated Annealing and Boltzmann Machines, Wiley; Ingber (1989), Math. Comput.
Modelling 12:967. Additive ones end at `last` after `generations`, and stay there: Luke (2005),
Simulated annealing cooling schedules; compared by Nourani & Andresen (1998), J. Phys. A 31:8373.
Temperatures are in the units of the loss; 0 is allowed, and accepts no worse loss.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tvbjax_inference.l2l.optimiser import as_hyper


class AbstractCooling(eqx.Module):
    """A temperature for every generation."""

    @abc.abstractmethod
    def temperature(self, generation: Int[Array, ""]) -> Float[Array, ""]:
        """Of generation 0, 1, ...; never below 0, never NaN."""


class ExponentialCooling(AbstractCooling):
    """first rate^k (Kirkpatrick et al. 1983). `rate`: 0 to 1."""

    first: Array = eqx.field(converter=as_hyper, default=1.0)
    rate: Array = eqx.field(converter=as_hyper, default=0.95)

    def temperature(self, generation):
        return self.first * self.rate ** _number(generation)


class LogarithmicCooling(AbstractCooling):
    """first / (1 + rate ln(1 + k)) (Aarts & Korst 1989)."""

    first: Array = eqx.field(converter=as_hyper, default=1.0)
    rate: Array = eqx.field(converter=as_hyper, default=1.0)

    def temperature(self, generation):
        return self.first / (1.0 + self.rate * jnp.log1p(_number(generation)))


class LinearCooling(AbstractCooling):
    """first / (1 + rate k)."""

    first: Array = eqx.field(converter=as_hyper, default=1.0)
    rate: Array = eqx.field(converter=as_hyper, default=1.0)

    def temperature(self, generation):
        return self.first / (1.0 + self.rate * _number(generation))


class QuadraticCooling(AbstractCooling):
    """first / (1 + rate k^2)."""

    first: Array = eqx.field(converter=as_hyper, default=1.0)
    rate: Array = eqx.field(converter=as_hyper, default=0.01)

    def temperature(self, generation):
        return self.first / (1.0 + self.rate * _number(generation) ** 2)


class StretchedCooling(AbstractCooling):
    """first exp(-rate k^power) (Ingber 1989: the power is 1 / width)."""

    first: Array = eqx.field(converter=as_hyper, default=1.0)
    rate: Array = eqx.field(converter=as_hyper, default=1.0)
    power: Array = eqx.field(converter=as_hyper, default=0.5)

    def temperature(self, generation):
        return self.first * jnp.exp(-self.rate * _number(generation) ** self.power)


class LinearAdditiveCooling(AbstractCooling):
    """last + (first - last) (1 - k/n), for n `generations`."""

    generations: Array = eqx.field(converter=as_hyper)
    first: Array = eqx.field(converter=as_hyper, default=1.0)
    last: Array = eqx.field(converter=as_hyper, default=0.0)

    def temperature(self, generation):
        return self.last + (self.first - self.last) * (1.0 - _share(self, generation))


class QuadraticAdditiveCooling(AbstractCooling):
    """last + (first - last) (1 - k/n)^2, for n `generations`."""

    generations: Array = eqx.field(converter=as_hyper)
    first: Array = eqx.field(converter=as_hyper, default=1.0)
    last: Array = eqx.field(converter=as_hyper, default=0.0)

    def temperature(self, generation):
        return self.last + (self.first - self.last) * (1.0 - _share(self, generation)) ** 2


class ExponentialAdditiveCooling(AbstractCooling):
    """last + (first - last) s(k/n), with s a logistic fall about the middle.

    Luke's steepness is ln(first - last), which has no meaning where temperatures have units and
    is no fall where their difference is 1; here it is a number, and s goes from 1 to 0 exactly.
    """

    generations: Array = eqx.field(converter=as_hyper)
    first: Array = eqx.field(converter=as_hyper, default=1.0)
    last: Array = eqx.field(converter=as_hyper, default=0.0)
    steepness: Array = eqx.field(converter=as_hyper, default=5.0)

    def temperature(self, generation):
        # tanh is the logistic function, moved; of a steepness of 0 a straight line is left.
        half = jnp.where(self.steepness == 0.0, 1e-3, self.steepness)
        fall = jnp.tanh(half * (0.5 - _share(self, generation))) / jnp.tanh(0.5 * half)
        return self.last + (self.first - self.last) * 0.5 * (1.0 + fall)


class TrigonometricAdditiveCooling(AbstractCooling):
    """last + (first - last) (1 + cos(pi k/n)) / 2, for n `generations`."""

    generations: Array = eqx.field(converter=as_hyper)
    first: Array = eqx.field(converter=as_hyper, default=1.0)
    last: Array = eqx.field(converter=as_hyper, default=0.0)

    def temperature(self, generation):
        fall = 0.5 * (1.0 + jnp.cos(jnp.pi * _share(self, generation)))
        return self.last + (self.first - self.last) * fall


def _number(generation: Int[Array, ""]) -> Float[Array, ""]:
    return generation.astype(jnp.result_type(float))


def _share(cooling, generation: Int[Array, ""]) -> Float[Array, ""]:
    """How much of all generations is over, at most 1."""
    return jnp.minimum(_number(generation) / jnp.maximum(cooling.generations, 1.0), 1.0)
