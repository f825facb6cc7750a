"""The random bits of the generators, as a stream for a program that tests bits.

    python -m benchmarks.randomness CounterHash lanes | dieharder -a -g 200

`lanes`: all lanes of a step, then of the next, as a simulation uses them; `steps`: many steps of
one lane, then of the next; `seeds`: one step of a few lanes for key after key. Dieharder
(R. G. Brown) is in Debian and Homebrew; 200 is its number for bits from the standard input.
"""

import sys
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from tvbjax import generators
from tvbjax.generators import AbstractGenerator

LANES, STEPS = 1 << 10, 1 << 10


def main() -> None:
    name, order = sys.argv[1:3]
    generator = getattr(generators, name)()
    for block in blocks(generator, order):
        try:
            sys.stdout.buffer.write(block.tobytes())
        except BrokenPipeError:
            return


def blocks(generator: AbstractGenerator, order: str) -> Iterator[np.ndarray]:
    """Endless blocks of words, in one of the orders."""
    if order == "seeds":
        yield from _of_seeds(generator)
    lanes = generator.lanes(generators.key_words(jax.random.key(2))[:, None], LANES)

    @jax.jit
    def bits(lanes, first):
        steps = first + jnp.arange(STEPS, dtype=jnp.uint32)[:, None]
        words = generator.bits(lanes, steps)[0]
        return words if order == "lanes" else words.T

    for first in range(0, 2**32, STEPS):
        yield np.asarray(bits(lanes, jnp.uint32(first)))


def _of_seeds(generator: AbstractGenerator) -> Iterator[np.ndarray]:
    few, at_once = 4, 1 << 16

    @jax.jit
    def bits(first):
        numbers = first + jnp.arange(at_once, dtype=jnp.uint32)
        keys = jax.vmap(lambda n: generators.key_words(jax.random.key(n)))(numbers)
        lanes = generator.lanes(keys.T, few)
        return generator.bits(lanes, jnp.zeros((1, 1), jnp.uint32))[0].reshape(few, at_once).T

    for first in range(0, 2**32, at_once):
        yield np.asarray(bits(jnp.uint32(first)))


if __name__ == "__main__":
    main()
