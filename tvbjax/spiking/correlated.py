"""Poisson spikes that come together: each train has the rate that is asked for, and any two have
the correlation that is.

Kuhn, Aertsen & Rotter (2003), Neural Comput. 15, 67-101: single and multiple interaction processes.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, UInt32

from tvbjax.arrays import as_floats
from tvbjax.spiking.poisson import bits_of, lanes_of, poisson_counts


class AbstractCorrelation(eqx.Module):
    """How trains share spikes. `correlation`: of the counts of any two, from 0 to 1."""

    correlation: eqx.AbstractVar[Float[Array, ""]]

    @abc.abstractmethod
    def counts(
        self, key: Array, rates: Float[Array, "step _"], first: Int[Array, ""], cells: int
    ) -> Float[Array, "step cell"]:
        """The counts of all trains; `rates`: expected in a step, the same for all cells."""


class SingleInteraction(AbstractCorrelation):
    """A part of the spikes, `correlation`, is common to all trains, the rest is each one's own."""

    correlation: Float[Array, ""] = eqx.field(converter=as_floats)

    def __check_init__(self):
        _check(self)

    def counts(self, key, rates, first, cells):
        steps = len(rates)
        shared, own = jax.random.split(key)
        together = poisson_counts(
            bits_of(lanes_of(shared, 1), first, steps), self.correlation * rates
        )
        alone = poisson_counts(
            bits_of(lanes_of(own, cells), first, steps), (1.0 - self.correlation) * rates
        )
        return together + alone


class MultipleInteraction(AbstractCorrelation):
    """Each train is a thinned copy of a mother process of rate `rate / correlation`: it keeps each
    spike with the chance `correlation`, so that its rate is the one that is asked for."""

    correlation: Float[Array, ""] = eqx.field(converter=as_floats)

    def __check_init__(self):
        _check(self)

    def counts(self, key, rates, first, cells):
        steps = len(rates)
        mother, thin = jax.random.split(key)
        many = poisson_counts(bits_of(lanes_of(mother, 1), first, steps), rates / self.correlation)
        bits = bits_of(lanes_of(thin, cells), first, steps)
        return _thinned(bits, many, self.correlation)


@jax.custom_jvp
def _thinned(
    bits: UInt32[Array, "step cell"], many: Float[Array, "step 1"], chance: Float[Array, ""]
) -> Float[Array, "step cell"]:
    """Of `many` spikes in each step, those that each train keeps: a binomial number. Its derivative
    is taken to be that of the mean."""
    rarer = jnp.minimum(chance, 1.0 - chance)  # the power of what is left does not underflow
    few = _binomial(bits, many, rarer)
    return jnp.where(chance > 0.5, many - few, few)


@_thinned.defjvp
def _thinned_jvp(primals, tangents):
    _, many, chance = primals
    kept = _thinned(*primals)
    slope = chance * tangents[1] + many * tangents[2]
    return kept, jnp.broadcast_to(slope, kept.shape)


def _binomial(bits: Array, many: Array, chance: Array) -> Array:
    """By inversion of the distribution function; `chance`: up to 1/2."""
    uniform = (bits.astype(many.dtype) + 0.5) * many.dtype.type(2.0**-32)
    odds = chance / (1.0 - chance)

    def more(loop):
        number, _, _, _ = loop
        return number <= jnp.max(many)

    def one(loop):
        number, each, below, counts = loop
        counts = counts + (uniform >= below).astype(many.dtype)
        each = each * odds * jnp.maximum(many - number, 0.0) / (number + 1.0)
        return number + 1.0, each, below + each, counts

    none = jnp.power(1.0 - chance, many)
    begin = (jnp.zeros((), many.dtype), none, none, jnp.zeros(bits.shape, many.dtype))
    return jnp.minimum(jax.lax.while_loop(more, one, begin)[3], many)


def _check(correlation: AbstractCorrelation) -> None:
    name, value = type(correlation).__name__, correlation.correlation
    if value.ndim:
        raise ValueError(f"{name}: correlation has the shape {value.shape}; give one number.")
    single = isinstance(correlation, SingleInteraction)
    if not isinstance(value, Tracer) and not (0.0 <= value <= 1.0 and (single or value > 0.0)):
        raise ValueError(f"{name}: correlation is {float(value):g}; give one above 0, up to 1.")
