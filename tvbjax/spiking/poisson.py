"""Poisson numbers by counting: how many spikes reach a cell in a step, from random bits.

By inversion of the distribution function, from the tail, so that small rates are exact. The bits
depend on the key, the step and the cell alone, however a run is cut.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, UInt32

from tvbjax.generators import CounterHash, Lanes, key_words

GREATEST = 60.0  # spikes per step and cell; beyond, exp(-rate) is too small for float32
_GENERATOR = CounterHash()


def lanes_of(key: Array, cells: int) -> Lanes:
    """What is known of each cell's random numbers before any step."""
    return _GENERATOR.lanes(key_words(key)[:, None], cells)


def bits_of(lanes: Lanes, first: Array, steps: int) -> UInt32[Array, "step cell"]:
    """Random bits for the steps from `first` on."""
    counter = lax.broadcasted_iota(jnp.uint32, (steps, 1), 0) + first.astype(jnp.uint32)
    return _GENERATOR.bits(lanes, counter)[0]


@jax.custom_jvp
def poisson_counts(
    bits: UInt32[Array, "step cell"], rates: Float[Array, "step _"]
) -> Float[Array, "step cell"]:
    """Poisson numbers; `rates`: expected per step, for all cells (step, 1) or each (step, cell).

    Their derivative by the rate is taken to be 1, which is that of the mean.
    """
    uniform = (bits.astype(rates.dtype) + 0.5) * rates.dtype.type(2.0**-32)
    rates = jnp.clip(rates, 0.0, GREATEST)
    chance = jnp.exp(-rates)

    def more(loop):
        number, chance, _, _ = loop
        return (number < 1.0) | jnp.any((chance > 1e-12) | (rates > number))

    def one(loop):
        number, chance, tail, counts = loop
        counts = counts + (uniform < tail).astype(rates.dtype)
        chance = chance * rates / (number + 1.0)
        return number + 1.0, chance, jnp.maximum(tail - chance, 0.0), counts

    none = jnp.zeros(jnp.broadcast_shapes(bits.shape, rates.shape), rates.dtype)
    begin = (jnp.zeros((), rates.dtype), chance, -jnp.expm1(-rates), none)
    return lax.while_loop(more, one, begin)[3]


@poisson_counts.defjvp
def _poisson_counts_jvp(primals, tangents):
    counts = poisson_counts(*primals)
    return counts, jnp.broadcast_to(tangents[1], counts.shape)
