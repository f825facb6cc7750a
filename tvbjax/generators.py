"""Random numbers by counting: number n of a lane is a function of the key, the lane and n.

A lane is a pair of state variables and regions of one simulation, and n is the step, so that
blocks, chunks, tiles and devices never change a number. Written out in elementwise operations over
long rows of lanes, which a compiler turns into vector instructions; `jax.random` costs three times
as much on a CPU.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Int, UInt32

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
    """Two rounds of a 32-bit hash of the step, keyed by 64 bits of each lane: faster.

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


def normal_pairs(
    generator: AbstractGenerator, lanes: Lanes, first: Int[Array, ""], steps: int, dtype
) -> Complex[Array, "step lane"]:
    """Two independent standard normal numbers for each lane of steps `first` to
    `first + steps - 1`, as real and imaginary part.

    They are one array so that a compiler makes the bits of both at once. Box & Muller (1958), Ann.
    Math. Stat. 29:610; uniform numbers are the middles of their cells, of 24 bits (`dtype` single)
    or 52. In single precision no number is beyond 5.9.
    """
    counter = lax.broadcasted_iota(jnp.uint32, (steps, 1), 0) + first.astype(jnp.uint32)
    high, low = generator.bits(lanes, counter)
    if jnp.dtype(dtype).itemsize < 8:
        radius, angle, eighth = _unit(high), _unit(low), low
    else:  # no run has 2^31 steps, so that their numbers are free
        more, less = generator.bits(lanes, counter | np.uint32(1 << 31))
        radius, angle, eighth = _fine_unit(high, low), _fine_unit(more, less), less
    length = jnp.sqrt(-2 * jnp.log(radius))
    sine, cosine = _sine_cosine(jnp.asarray(np.pi / 4, angle.dtype) * angle)
    # An eighth of the circle, and three bits that the angle does not use say which.
    swapped = (eighth & np.uint32(1)) == np.uint32(0)
    real = length * jnp.where(swapped, sine, cosine) * _sign(eighth, 1, angle.dtype)
    imaginary = length * jnp.where(swapped, cosine, sine) * _sign(eighth, 2, angle.dtype)
    return lax.complex(real, imaginary)


def _unit(bits: Array) -> Float[Array, "..."]:
    """Uniform in (0, 1) of the upper 24 bits."""
    whole = (bits >> np.uint32(8)).astype(jnp.int32).astype(jnp.float32)
    return (whole + np.float32(0.5)) * np.float32(2.0**-24)


def _fine_unit(high: Array, low: Array) -> Float[Array, "..."]:
    """Uniform in (0, 1) of the upper 52 bits."""
    whole = (high.astype(jnp.int64) << 20) | (low >> np.uint32(12)).astype(jnp.int64)
    return (whole.astype(jnp.float64) + 0.5) * 2.0**-52


def _sign(bits: Array, which: int, dtype) -> Float[Array, "..."]:
    """1 or -1, by a bit."""
    bit = ((bits >> np.uint32(which)) & np.uint32(1)).astype(jnp.int32)
    return (1 - 2 * bit).astype(dtype)


def _sine_cosine(x: Array) -> tuple[Array, Array]:
    """Both at angles from 0 to pi/4; in single precision by Taylor's series, to the last bits."""
    if x.dtype != jnp.float32:
        return jnp.sin(x), jnp.cos(x)
    square = x * x
    sine = _series(square, (1.0, -1 / 6, 1 / 120, -1 / 5040))
    return x * sine, _series(square, (1.0, -1 / 2, 1 / 24, -1 / 720, 1 / 40320))


def _series(x: Array, coefficients: tuple[float, ...]) -> Array:
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + np.float32(coefficient)
    return total


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
