"""The past of a block: a mirrored ring of channels, from which every connection reads a slice.

What regions sent is kept twice, so that a slice of a block's length never wraps: step s is in the
columns `s % slots` and `s % slots + slots`. Knows no coupling rule.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Int

from tvbjax.engine._layout import WIDE

Sent = Float[Array, "step region channel member"]
Slices = Float[Array, "row slot step channel member"]
Sums = Float[Array, "row step channel member"]

_IN_BOUNDS = lax.GatherScatterMode.PROMISE_IN_BOUNDS


class AbstractRing(eqx.Module):
    """The columns hold the last `slots` steps: a connection's delay is no longer than that."""

    @property
    @abc.abstractmethod
    def slots(self) -> int:
        """The steps of one half."""

    @property
    @abc.abstractmethod
    def channels(self) -> int:
        """What a region sends in a step."""

    @abc.abstractmethod
    def written(self, sent: Sent, position: ArrayLike) -> "AbstractRing":
        """With what was sent in the steps that begin at column `position`."""

    @abc.abstractmethod
    def slices(self, position, sources, delays, length: int) -> Slices:
        """What arrives over every connection in `length` steps from column `position` on."""

    @abc.abstractmethod
    def weighted(self, position, sources, delays, weights, length: int) -> Sums:
        """The same, weighted, and summed over each row's connections."""

    @abc.abstractmethod
    def recent(self, position: ArrayLike, steps: int) -> Sent:
        """What was sent in the last steps before column `position`."""


class SharedDelays(AbstractRing):
    """All members have the same delays: their values lie side by side, and a slice is contiguous
    over steps, channels and members."""

    columns: Float[Array, "node column channel member"]

    @property
    def slots(self) -> int:
        return self.columns.shape[1] // 2

    @property
    def channels(self) -> int:
        return self.columns.shape[2]

    def written(self, sent, position):
        block = jnp.moveaxis(sent, 0, 1)
        once = lax.dynamic_update_slice_in_dim(self.columns, block, position, axis=1)
        return SharedDelays(
            lax.dynamic_update_slice_in_dim(once, block, position + self.slots, axis=1)
        )

    def slices(self, position, sources, delays, length):
        return _slices(self.columns, sources, position + self.slots - delays, length)

    def weighted(self, position, sources, delays, weights, length):
        on_cpu = jax.default_backend() == "cpu"
        if on_cpu and length < WIDE and weights.ndim == 2:
            return weighted(weights, self.slices(position, sources, delays, length))
        first, together = position + self.slots - delays, _TOGETHER if on_cpu else _TOGETHER_ON_GPU
        return _in_turn(self.columns, sources, first, weights, length=length, together=together)

    def recent(self, position, steps):
        first = position + self.slots - steps
        return jnp.moveaxis(lax.dynamic_slice_in_dim(self.columns, first, steps, axis=1), 1, 0)


# As many slices are added up together. On a GPU every sum that is written down on the way costs.
_TOGETHER, _TOGETHER_ON_GPU = 4, 32


@eqx.filter_custom_jvp
def _in_turn(
    columns: Float[Array, "node column channel member"],
    sources: Int[Array, "row slot"],
    first: Int[Array, "row slot"],
    weights: Float[Array, "row slot *member"],
    *,
    length: int,
    together: int,
) -> Sums:
    """Slices of `length` columns from `first` on, weighted and added up slot by slot.

    Twice as quick as a product of matrices, for the slices are never written down.
    """
    rows, slots, *own = weights.shape

    def added(sums, some):
        for source, start, weight in zip(*some, strict=True):
            values = _slices(columns, source, start, length)
            sums = sums + weight.reshape(rows, 1, 1, *(own or (1,))) * values
        return sums

    groups, rest = divmod(slots, together)
    in_turn = tuple(jnp.moveaxis(x, 1, 0) for x in (sources, first, weights))
    grouped = tuple(x[: slots - rest].reshape(groups, together, *x.shape[1:]) for x in in_turn)
    sums = jnp.zeros((rows, length, *columns.shape[2:]), columns.dtype)
    if groups:
        sums, _ = lax.scan(lambda sums, some: (added(sums, some), None), sums, grouped)
    return added(sums, tuple(x[slots - rest :] for x in in_turn))


@_in_turn.def_jvp
def _in_turn_jvp(primals, tangents, *, length, together):
    # Reverse mode would add up a whole ring for every slot: here, one for all.
    columns, sources, first, weights = primals
    sums = _in_turn(columns, sources, first, weights, length=length, together=together)
    tangent = jnp.zeros_like(sums)
    for ring, factor in ((tangents[0], weights), (columns, tangents[3])):
        if ring is not None and factor is not None:
            tangent = tangent + weighted(factor, _slices(ring, sources, first, length))
    return sums, tangent


def _slices(columns: Array, sources: Array, first: Array, length: int) -> Array:
    start = jnp.stack([sources, first], axis=-1)
    axis = sources.ndim
    dimensions = lax.GatherDimensionNumbers(
        offset_dims=(axis, axis + 1, axis + 2), collapsed_slice_dims=(0,), start_index_map=(0, 1)
    )
    shape = (1, length, *columns.shape[2:])
    return lax.gather(columns, start, dimensions, shape, mode=_IN_BOUNDS)


class OwnDelays(AbstractRing):
    """Each member has delays of its own: steps lie side by side."""

    columns: Float[Array, "node member channel column"]

    @property
    def slots(self) -> int:
        return self.columns.shape[3] // 2

    @property
    def channels(self) -> int:
        return self.columns.shape[2]

    def written(self, sent, position):
        block = jnp.transpose(sent, (1, 3, 2, 0))
        once = lax.dynamic_update_slice_in_dim(self.columns, block, position, axis=3)
        return OwnDelays(
            lax.dynamic_update_slice_in_dim(once, block, position + self.slots, axis=3)
        )

    def slices(self, position, sources, delays, length):
        return jnp.transpose(self._slices(position, sources, delays, length), (0, 2, 4, 3, 1))

    def _slices(self, position, sources, delays, length) -> Float[Array, "row member slot ..."]:
        members, channels = self.columns.shape[1:3]
        delays = jnp.moveaxis(delays, -1, 1)
        member = jnp.arange(members, dtype=jnp.int32)[None, :, None]
        first = jnp.stack(
            [
                jnp.broadcast_to(sources[:, None], delays.shape),
                jnp.broadcast_to(member, delays.shape),
                position + self.slots - delays,
            ],
            axis=-1,
        )
        dimensions = lax.GatherDimensionNumbers(
            offset_dims=(3, 4), collapsed_slice_dims=(0, 1), start_index_map=(0, 1, 3)
        )
        shape = (1, 1, channels, length)
        return lax.gather(self.columns, first, dimensions, shape, mode=_IN_BOUNDS)

    def weighted(self, position, sources, delays, weights, length):
        slices = self._slices(position, sources, delays, length)
        rows, members, slots, *rest = slices.shape
        flat = slices.reshape(rows, members, slots, math.prod(rest))
        own = "rms" if weights.ndim == 3 else "rs"
        weights = jnp.moveaxis(weights, -1, 1) if weights.ndim == 3 else weights
        sums = jnp.einsum(f"{own},rmsk->rmk", weights, flat, precision=lax.Precision.HIGHEST)
        return jnp.transpose(sums.reshape(rows, members, *rest), (0, 3, 2, 1))

    def recent(self, position, steps):
        first = position + self.slots - steps
        found = lax.dynamic_slice_in_dim(self.columns, first, steps, axis=3)
        return jnp.transpose(found, (3, 0, 2, 1))


def weighted(
    weights: Float[Array, "row slot *member"], values: Float[Array, "row slot ..."]
) -> Float[Array, "row ..."]:
    """Values, with the members last where there are any, weighted and summed over the slots."""
    rows, slots, *rest = values.shape
    if weights.ndim == 3:
        between = (1,) * (values.ndim - 3)
        return (weights.reshape(rows, slots, *between, weights.shape[2]) * values).sum(axis=1)
    # A product of matrices in this form, and no other, is quick on a CPU.
    flat = values.reshape(rows, slots, math.prod(rest))
    sums = jnp.einsum("rs,rsk->rk", weights, flat, precision=lax.Precision.HIGHEST)
    return sums.reshape(rows, *rest)


def ring_of(past: Sent, slots: int, *, own_delays: bool) -> AbstractRing:
    """A ring at column 0 of what was sent in the steps before, oldest first."""
    steps, nodes, channels, members = past.shape
    if own_delays:
        empty = OwnDelays(jnp.zeros((nodes, members, channels, 2 * slots), past.dtype))
    else:
        empty = SharedDelays(jnp.zeros((nodes, 2 * slots, channels, members), past.dtype))
    return empty.written(past, slots - steps) if steps else empty
