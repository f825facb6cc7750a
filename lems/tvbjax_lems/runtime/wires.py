"""Connections made ready for a time step: delays, and sums of what arrives."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .plan import LinkPlan, Plan
from .state import NetworkState
from .values import Name, Params, Values


class Wire:
    """A link made ready for a time step: `steps` of delay, all 0 or none."""

    def __init__(self, plan: Plan, link: LinkPlan, steps: np.ndarray, number: int):
        self.link, self.steps, self.number = link, steps, number
        self.source = (link.source, link.source_port)
        self.sources = link.sources
        self.size = plan.units[link.target].size
        self.pool = plan.units[link.target].pool
        self.sums = Sums(link.targets, self.size)

    def from_sources(self, count: Array) -> Array:
        """The events of the sources, one number per connection."""
        return count if self.is_plain(count.shape[0]) else count[self.sources]

    def is_plain(self, size: int) -> bool:
        """Whether each of the `size` sources has one connection, in their order."""
        return len(self.sources) == size and _is_range(self.sources)

    def delayed(self, state: NetworkState) -> Array:
        """The events whose delay is over now, one number per connection."""
        ring = state.sent[self.source]
        # Slots of steps that have not been are still 0: a ring is longer than its longest delay.
        return ring[(state.steps - self.steps) % ring.shape[0], self.sources]

    def arriving(
        self, come: Array, amounts: "Mapping[int, dict[str, Any]]"
    ) -> list[tuple[Name, Array]]:
        """What arrives at the targets: events, or, in a pool, what they add to each state."""
        target, port = self.link.target, self.link.target_port
        if self.pool is None:
            return [((target, port), self.sums(come))]
        mine = amounts[self.number]
        amount = come.astype(float)
        return [((target, f"{port}.{name}"), self.sums(amount * mine[name])) for name in mine]

    def amounts(self, params: Params, plan: Plan) -> dict[str, Any]:
        """What one event of each connection adds to the states of a pool."""
        if self.pool is None:
            return {}
        values = Values(plan, params, {}, 0.0)
        found = {}
        for name, formula in self.pool.increments.get(self.link.target_port, {}).items():
            amount = jnp.asarray(values.formula(self.link.target, formula), float)
            found[name] = amount if amount.ndim == 0 else amount[self.link.synapses]
        return found


class Sums:
    """Sums over connections by target: padded gathers where the targets have alike many."""

    def __init__(self, targets: np.ndarray, size: int):
        self.size, self.targets = size, targets
        self.plain = len(targets) == size and _is_range(targets)
        self.rows: np.ndarray | None = None
        degrees = np.bincount(targets, minlength=size) if len(targets) else np.zeros(size, int)
        widest = int(degrees.max(initial=0))
        if not self.plain and widest * size <= 3 * len(targets) + 64:
            order = np.argsort(targets, kind="stable")
            rows = np.full((size, widest), len(targets), np.int32)
            within = np.arange(len(targets)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
            rows[targets[order], within] = order
            self.rows = rows

    def __call__(self, value: Array) -> Array:
        """(connection,) to (target,)."""
        if self.plain:
            return value
        if self.rows is not None:
            padded = jnp.concatenate([value, jnp.zeros(1, value.dtype)])
            return padded[self.rows].sum(axis=1).astype(value.dtype)
        return jnp.zeros(self.size, value.dtype).at[self.targets].add(value)


def _is_range(index: np.ndarray) -> bool:
    return np.array_equal(index, np.arange(len(index)))
