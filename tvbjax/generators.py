"""Random numbers by counting: number n of a lane is a function of the key, the lane and n.

A lane is one state variable of one region of one simulation, and n is the step, so that blocks,
chunks, tiles and devices never change a number. Written out in elementwise operations over long
rows of lanes, which a compiler turns into vector instructions; `jax.random` costs about twice as
much on a CPU.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt32

Words = UInt32[Array, "2 member"]
Lanes = UInt32[Array, "word lane"]


class AbstractGenerator(eqx.Module):
    """Makes 64 random bits for every lane and step."""

    @abc.abstractmethod
    def lanes(self, words: Words, count: int) -> Lanes:
        """What is known of a lane before any step: lane `i * members + m` is the i-th of `count`
        lanes of member m, whose key is `words[:, m]`."""

    @abc.abstractmethod
    def bits(
        self, lanes: Lanes, steps: UInt32[Array, "step 1"]
    ) -> tuple[UInt32[Array, "step lane"], UInt32[Array, "step lane"]]:
        """Two words for each lane and step."""


class Threefry(AbstractGenerator):
    """Threefry-2x32 of 20 rounds, as in `jax.random`; the counter is step and lane.

    Salmon, Moraes, Dror & Shaw (2011), Parallel random numbers: as easy as 1, 2, 3. SC11.
    """

    def lanes(self, words, count):
        return jnp.concatenate([_tiled(words, count), _numbers(count, words.shape[1])[None]])

    def bits(self, lanes, steps):
        shape = (steps.shape[0], lanes.shape[1])
        counter = jnp.broadcast_to(steps, shape), jnp.broadcast_to(lanes[2:], shape)
        return _threefry(lanes[:1], lanes[1:2], *counter)


class CounterHash(AbstractGenerator):
    """Two rounds of a 32-bit hash of the step, keyed by 64 bits of each lane: twice as fast.

    The lanes' keys are drawn with Threefry. Passes the tests of tests/test_generators.py and
    benchmarks/randomness.py; a lane repeats after 2^32 steps, which no run reaches. For
    simulation, not for secrets. The hash is lowbias32 of C. Wellons, Prospecting for hash functions
    (2018), bias 0.17 of the least that is known.
    """

    def lanes(self, words, count):
        one, two = _tiled(words, count)
        return jnp.stack(_threefry(one, two, _numbers(count, words.shape[1]), jnp.zeros_like(one)))

    def bits(self, lanes, steps):
        once = _mixed(steps ^ lanes[:1])
        return _mixed(once + lanes[1:]), _mixed(once ^ lanes[1:])


def key_words(key: Array) -> UInt32[Array, "2"]:
    """The 64 bits of a key of JAX, those of another generator than threefry condensed."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    data = jax.random.key_data(key) if typed else key
    if data.shape[-1] == 2:
        return data
    return jax.random.bits(key, (2,), jnp.uint32)


def normal(
    generator: AbstractGenerator, lanes: Lanes, first: Int[Array, ""], steps: int, dtype
) -> Float[Array, "step lane"]:
    """Standard normal numbers of steps `first` to `first + steps - 1`."""
    counter = lax.broadcasted_iota(jnp.uint32, (steps, 1), 0) + first.astype(jnp.uint32)
    high, low = generator.bits(lanes, counter)
    if jnp.dtype(dtype).itemsize < 8:
        return (np.float32(np.sqrt(2.0)) * _erf_inv(_centred(high))).astype(dtype)
    # 52 bits, each number the middle of its cell, so that none is -1, 0 or 1.
    whole = (high.astype(jnp.int64) << 20) | (low >> np.uint32(12)).astype(jnp.int64)
    uniform = (2 * whole + (1 - (1 << 52))).astype(jnp.float64) * 2.0**-52
    return np.sqrt(2.0) * lax.erf_inv(uniform)


def _tiled(words: Words, count: int) -> UInt32[Array, "2 lane"]:
    return jnp.tile(words, (1, count))


def _numbers(count: int, members: int) -> UInt32[Array, " lane"]:
    return jnp.repeat(jnp.arange(count, dtype=jnp.uint32), members)


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def _threefry(key_0: Array, key_1: Array, x_0: Array, x_1: Array) -> tuple[Array, Array]:
    keys = (key_0, key_1, key_0 ^ key_1 ^ np.uint32(0x1BD11BDA))
    x_0, x_1 = x_0 + keys[0], x_1 + keys[1]
    for five in range(5):
        for turn in _ROTATIONS[five % 2]:
            x_0 = x_0 + x_1
            x_1 = ((x_1 << np.uint32(turn)) | (x_1 >> np.uint32(32 - turn))) ^ x_0
        x_0 = x_0 + keys[(five + 1) % 3]
        x_1 = x_1 + keys[(five + 2) % 3] + np.uint32(five + 1)
    return x_0, x_1


def _mixed(x: Array) -> Array:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def _centred(bits: Array) -> Float[Array, "..."]:
    """Uniform in (-1, 1) of 24 bits, each number the middle of its cell."""
    whole = (bits >> np.uint32(8)).astype(jnp.int32)
    return (2 * whole + (1 - (1 << 24))).astype(jnp.float32) * np.float32(2.0**-24)


# Giles (2010), Approximating the erfinv function, single precision: the middle, and the tails.
_MIDDLE = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_TAILS = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def _erf_inv(x: Array) -> Array:
    # As lax.erf_inv, without the care for x near 0 of its logarithm, which the sum here loses.
    w = -jnp.log((np.float32(1) - x) * (np.float32(1) + x))
    middle = w < np.float32(5)
    w = jnp.where(middle, w - np.float32(2.5), jnp.sqrt(w) - np.float32(3))
    total = jnp.zeros_like(w)
    for inner, outer in zip(_MIDDLE, _TAILS, strict=True):
        total = jnp.where(middle, np.float32(inner), np.float32(outer)) + total * w
    return total * x
