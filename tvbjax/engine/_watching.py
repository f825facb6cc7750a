"""The monitors of many simulations: what they carry, their buffers, their samples.

A monitor is written for one simulation and is mapped over the members. Where each region's samples
depend on that region alone, members are as good as more regions: their states then need not be put
in another order, which would cost as much as summing them.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.engine._members import Members
from tvbjax.monitors import AbstractMonitor, Chunk

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


@dataclasses.dataclass(frozen=True)
class Watcher:
    """Monitor `number` of members over a chunk. What it carries from chunk to chunk and gives has
    the members first."""

    number: int
    wide: bool
    chunk: Chunk

    def open(self, members: Members, carried: tuple[Array, ...]) -> Any:
        """A buffer for the chunk."""
        if self.wide:
            return self._monitor(members.simulator).open(_widened(carried), self.chunk)

        def opened(simulator, carried):
            return self._monitor(simulator).open(carried, self.chunk)

        return members.over(opened, carried, axes=(0,), out_axes=0)

    def update(
        self,
        members: Members,
        buffer: Any,
        states: Float[Array, "step state node member"],
        inputs: Float[Array, "step input node member"] | None,
        offset: Int[Array, ""],
    ) -> Any:
        """The buffer after the states from step `offset + 1` of the chunk on, to each of which
        those inputs led."""

        def seen_by(simulator, states, inputs):
            return observed(simulator, self.number, states, inputs)

        if self.wide:
            seen = members.over(seen_by, states, inputs)
            seen = seen.reshape(*seen.shape[:2], -1)
            return self._monitor(members.simulator).update(buffer, seen, offset, self.chunk)

        def updated(simulator, buffer, states, inputs):
            seen = seen_by(simulator, states, inputs)
            return self._monitor(simulator).update(buffer, seen, offset, self.chunk)

        return members.over(updated, buffer, states, inputs, axes=(0, -1, -1), out_axes=0)

    def close(
        self, members: Members, carried: tuple[Array, ...], buffer: Any
    ) -> tuple[tuple[Array, ...], Float[Array, "member sample voi *place"]]:
        """What is carried on, and the samples that the chunk completed."""
        if self.wide:
            count = carried[0].shape[0]
            monitor = self._monitor(members.simulator)
            wide = monitor.close(_widened(carried), buffer, self.chunk)
            return jax.tree.map(lambda x: _members_first(x, count), wide)

        def closed(simulator, carried, buffer):
            return self._monitor(simulator).close(carried, buffer, self.chunk)

        return members.over(closed, carried, buffer, axes=(0, 0), out_axes=0)

    def _monitor(self, simulator: "Simulator") -> AbstractMonitor:
        return simulator.monitors[self.number]


def observed(
    simulator: "Simulator",
    number: int,
    states: Float[Array, "step state node"],
    inputs: Float[Array, "step input node"] | None,
) -> Float[Array, "step voi node"]:
    """What monitor `number` observes of states, and of the inputs that led to them."""
    names, model = simulator.observed[number], simulator.model
    if simulator.monitors[number].afferent:
        assert inputs is not None
        return inputs[:, np.array([model.inputs.index(name) for name in names])]
    return jax.vmap(lambda state: model.observe(state, names=names))(states)


def watchers(members: Members, chunks: tuple[Chunk, ...]) -> tuple[Watcher, ...]:
    """One for each monitor."""
    found = []
    for number, chunk in enumerate(chunks):
        own = members.differ_in(lambda s, n=number: s.monitors[n])
        wide = members.simulator.monitors[number].pointwise and not own
        found.append(Watcher(number, wide, chunk))
    return tuple(found)


def _widened(carried: tuple[Array, ...]) -> tuple[Array, ...]:
    """Arrays (member, ..., node) with the members as more nodes."""
    return tuple(jnp.moveaxis(x, 0, -1).reshape(*x.shape[1:-1], -1) for x in carried)


def _members_first(array: Array, count: int) -> Array:
    nodes = array.shape[-1] // count
    return jnp.moveaxis(array.reshape(*array.shape[:-1], nodes, count), -1, 0)
