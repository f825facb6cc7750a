"""The random numbers of a run: drawn for a block of steps at a time, in long rows of lanes."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from tvbjax import generators
from tvbjax.engine._members import Members

# Lanes are filled up to whole vector registers.
_LANES = 8


class Stream(eqx.Module):
    """`lanes`: of the generator, None where nothing is drawn; `before`: the normal numbers of the
    step before step 0, for noise that remembers."""

    generator: generators.AbstractGenerator | None
    lanes: Array | None
    before: Float[Array, "state node member"] | None
    shape: tuple[int, ...] = eqx.field(static=True)
    dtype: jnp.dtype = eqx.field(static=True)

    @classmethod
    def of(
        cls, members: Members, keys: Array | None, state: Float[Array, "state node member"]
    ) -> "Stream":
        """The stream of members with these keys."""
        noise, shape, dtype = members.simulator.noise, state.shape, state.dtype
        generator = None if noise is None else noise.draws_from
        if noise is None or generator is None or keys is None:
            return cls(None, None, None, shape, dtype)
        words = jax.vmap(generators.key_words, out_axes=-1)(keys)
        lanes = generator.lanes(words, -(-shape[0] * shape[1] // 2))
        lanes = jnp.pad(lanes, ((0, 0), (0, -lanes.shape[1] % _LANES)))
        stream = cls(generator, lanes, None, shape, dtype)
        if not noise.remembers(shape[0]):
            return stream
        drawn = stream.drawn(jnp.asarray(-1, jnp.int32), 1)
        assert drawn is not None
        return cls(generator, lanes, stream.of_step(drawn[0]), shape, dtype)

    def drawn(self, first: Int[Array, ""], steps: int) -> Complex[Array, "step lane"] | None:
        """The normal numbers of `steps` steps, in pairs."""
        if self.generator is None or self.lanes is None:
            return None
        return generators.normal_pairs(self.generator, self.lanes, first, steps, self.dtype)

    def of_step(self, drawn: Complex[Array, " lane"]) -> Float[Array, "state node member"]:
        """The numbers of one step in their places: first the real parts, then the others."""
        states, nodes, members = self.shape
        used = -(-states * nodes // 2) * members
        numbers = jnp.concatenate([lax.real(drawn)[:used], lax.imag(drawn)[:used]])
        return numbers[: states * nodes * members].reshape(self.shape)
