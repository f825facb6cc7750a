"""From spikes to what they add: the connections of a projection in a form that suits their number.

`Events` touches only the connections of cells that spiked; `InEdges` and `Dense` read every
connection in every step, and have gradients. A time block is no longer than the least delay, so
that what arrives in it is known when it begins.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.arrays import matmul
from tvbjax.spiking.connectivity import Pairs

Amount = Float[Array, "*edge"]
Spikes = Array  # (step, source): bool, or numbers with a slope

_DENSE_PAIRS = 4_000_000
_DENSE_DELAYS = 4
_TOGETHER = 16_000_000  # connections times steps that are gathered at once


class AbstractForm(eqx.Module):
    """The connections of a projection. `block`: the greatest number of steps taken together."""

    @property
    @abc.abstractmethod
    def reads_past(self) -> bool:
        """Whether it reads the senders' past spikes; else it keeps what is to come."""

    @abc.abstractmethod
    def prepared(self, amount: Amount) -> Any:
        """What a spike adds by each connection, laid out; `amount`: one, or one per connection."""

    @abc.abstractmethod
    def begin(self, dtype: Any) -> Any:
        """What is kept, before anything was sent."""

    @abc.abstractmethod
    def arriving(
        self, amount: Any, kept: Any, past: Array | None, first: Int[Array, ""], length: int
    ) -> tuple[Float[Array, "step target"], Any]:
        """What is added at the ends of `length` steps from `first` on, and what is kept then.

        `past`: the senders' spikes of the last steps, step s in row s % rows.
        """

    @abc.abstractmethod
    def sent(self, amount: Any, kept: Any, spikes: Spikes, first: Int[Array, ""]) -> Any:
        """What is kept after a block of steps from `first` on, in which these cells spiked."""


class Events(AbstractForm):
    """Out-edges of each sender, in rows of one width; only those of spikes are looked at.

    What is to come is kept in a ring of steps, (step, target), as in NEST.
    """

    targets: Int[Array, "row width"]
    slots: Int[Array, "row width"]
    delays: Int[Array, "row width"] | None
    delay: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    chunk: int = eqx.field(static=True)

    @classmethod
    def of(cls, pairs: Pairs, delays: np.ndarray, sizes: tuple[int, int], block: int) -> "Events":
        sources, targets = sizes
        rows, padding = _rows(pairs.sources, sources), len(pairs)
        width = max(1, rows.shape[1])
        slots = np.full((sources + 1, width), padding, np.int32)
        slots[:sources, : rows.shape[1]] = rows
        heard = np.append(pairs.targets, targets)[slots]
        steps = np.broadcast_to(delays, len(pairs))
        single = len(pairs) == 0 or bool((steps == steps[0]).all())
        own = None if single else jnp.asarray(np.append(steps, 1)[slots], jnp.int32)
        # Of 50 Hz at 0.1 ms half a percent spike in a step; rows that are not needed cost, too.
        chunk = int(np.clip(sources * block // 100, 16, 4096))
        most = int(steps.max(initial=1))
        return cls(
            jnp.asarray(heard, jnp.int32),
            jnp.asarray(slots),
            own,
            int(steps[0]) if len(pairs) else 1,
            targets,
            most + block,
            chunk,
        )

    @property
    def reads_past(self) -> bool:
        return False

    def prepared(self, amount):
        if amount.ndim == 0:
            return amount
        return jnp.concatenate([amount, jnp.zeros(1, amount.dtype)])[self.slots]

    def begin(self, dtype):
        # One place more, for the connections that fill the rows.
        return jnp.zeros((self.depth, self.size + 1), dtype)

    def arriving(self, amount, kept, past, first, length):
        rows = (first + jnp.arange(length, dtype=jnp.int32)) % self.depth
        return kept[rows, : self.size], kept.at[rows].set(0.0)

    def sent(self, amount, kept, spikes, first):
        return sent_together([(self, amount, kept)], spikes, first)[0]

    def added(self, amount, ring, sender, step, first):
        """The ring with what spikes of some senders add, those of the last place nothing."""
        delay = self.delay if self.delays is None else self.delays[sender]
        row = (first + step[:, None] + delay) % self.depth
        heard = self.targets[sender]
        each = amount if amount.ndim == 0 else amount[sender]
        row, each = (jnp.broadcast_to(x, heard.shape) for x in (row, each))
        return ring.at[row, heard].add(each.astype(ring.dtype), mode="promise_in_bounds")


def sent_together(
    parts: list[tuple[Events, Any, Array]], spikes: Spikes, first: Int[Array, ""]
) -> list[Array]:
    """The rings of several projections of one population, (form, amount, ring) each, after a block
    in which these cells spiked: who did is found once for all."""
    steps, sources = spikes.shape
    total, chunk = steps * sources, parts[0][0].chunk
    places = jnp.arange(total, dtype=jnp.int32)

    def some(loop):
        left, rings = loop
        found = jnp.nonzero(left, size=chunk, fill_value=total)[0].astype(jnp.int32)
        sender = jnp.where(found < total, found % sources, sources)
        rings = [
            form.added(amount, ring, sender, found // sources, first)
            for (form, amount, _), ring in zip(parts, rings, strict=True)
        ]
        return left & (places > found[-1]), rings

    begin = ((spikes > 0).reshape(-1), [ring for _, _, ring in parts])
    return lax.while_loop(lambda loop: loop[0].any(), some, begin)[1]


class InEdges(AbstractForm):
    """In-edges of each receiver, in rows of one width, or a sum by receiver where these would be
    mostly empty; all are read in every step."""

    sources: Int[Array, "*edge"]
    delays: Int[Array, "*edge"]
    slots: Int[Array, "*edge"]
    targets: Int[Array, " edge"] | None
    size: int = eqx.field(static=True)
    edges: int = eqx.field(static=True)

    @classmethod
    def of(cls, pairs: Pairs, delays: np.ndarray, sizes: tuple[int, int]) -> "InEdges":
        steps = np.broadcast_to(delays, len(pairs)).astype(np.int32)
        every = np.arange(len(pairs), dtype=np.int32)
        rows = _rows(pairs.targets, sizes[1])
        if rows.size > 3 * len(pairs) + 64:
            sources, slots = jnp.asarray(pairs.sources), jnp.asarray(every)
            targets = jnp.asarray(pairs.targets)
            return cls(sources, jnp.asarray(steps), slots, targets, sizes[1], len(pairs))
        sources = jnp.asarray(np.append(pairs.sources, 0)[rows], jnp.int32)
        delayed = jnp.asarray(np.append(steps, 1)[rows], jnp.int32)
        slots = jnp.asarray(rows, jnp.int32)
        return cls(sources, delayed, slots, None, sizes[1], len(pairs))

    @property
    def reads_past(self) -> bool:
        return True

    def prepared(self, amount):
        if amount.ndim == 0:
            return jnp.where(self.slots < self.edges, amount, 0.0)
        return jnp.concatenate([amount, jnp.zeros(1, amount.dtype)])[self.slots]

    def begin(self, dtype):
        return None

    def arriving(self, amount, kept, past, first, length):
        assert past is not None

        def one(step):
            rows = (step - self.delays) % past.shape[0]
            values = amount * past[rows, self.sources]
            if self.targets is None:
                return values.sum(axis=1)
            return jnp.zeros(self.size, values.dtype).at[self.targets].add(values)

        steps = first + jnp.arange(length, dtype=jnp.int32)
        if length * self.sources.size <= _TOGETHER and jax.default_backend() != "cpu":
            return jax.vmap(one)(steps), None
        return lax.map(one, steps), None

    def sent(self, amount, kept, spikes, first):
        return None


class Dense(AbstractForm):
    """A matrix for each of a few delays; a block of steps is one product of matrices.

    Always one of so many `rows`: products of other shapes may be rounded otherwise.
    """

    sources: Int[Array, " edge"]
    targets: Int[Array, " edge"]
    which: Int[Array, " edge"]
    delays: tuple[int, ...] = eqx.field(static=True)
    sizes: tuple[int, int] = eqx.field(static=True)
    rows: int = eqx.field(static=True)

    @classmethod
    def of(cls, pairs: Pairs, delays: np.ndarray, sizes: tuple[int, int], block: int) -> "Dense":
        steps = np.broadcast_to(delays, len(pairs))
        values, which = np.unique(steps, return_inverse=True)
        sources, targets = jnp.asarray(pairs.sources), jnp.asarray(pairs.targets)
        kinds = jnp.asarray(which, jnp.int32)
        return cls(sources, targets, kinds, tuple(int(d) for d in values), sizes, block)

    @property
    def reads_past(self) -> bool:
        return True

    def prepared(self, amount):
        shape = (len(self.delays), *self.sizes)
        return jnp.zeros(shape, amount.dtype).at[self.which, self.sources, self.targets].add(amount)

    def begin(self, dtype):
        return None

    def arriving(self, amount, kept, past, first, length):
        assert past is not None
        rows = max(length, self.rows)
        total = jnp.zeros((rows, self.sizes[1]), amount.dtype)
        steps = first + jnp.arange(rows, dtype=jnp.int32)
        for number, delay in enumerate(self.delays):
            spikes = past[(steps - delay) % past.shape[0]]
            total = total + matmul(spikes, amount[number])
        return total[:length], None

    def sent(self, amount, kept, spikes, first):
        return None


class Uniform(AbstractForm):
    """Every sender reaches every receiver alike: the sum of the spikes is all there is to know.

    `apart`: a cell does not hear itself.
    """

    sizes: tuple[int, int] = eqx.field(static=True)
    delay: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    apart: bool = eqx.field(static=True)

    @property
    def reads_past(self) -> bool:
        return self.apart

    def prepared(self, amount):
        return amount

    def begin(self, dtype):
        return jnp.zeros(self.depth, dtype)

    def arriving(self, amount, kept, past, first, length):
        before = first + jnp.arange(length, dtype=jnp.int32) - self.delay
        sums = kept[before % self.depth][:, None]
        if self.apart:
            assert past is not None
            sums = sums - past[before % past.shape[0]]
        return jnp.broadcast_to(amount * sums, (length, self.sizes[1])), kept

    def sent(self, amount, kept, spikes, first):
        rows = (first + jnp.arange(len(spikes), dtype=jnp.int32)) % self.depth
        return kept.at[rows].set(spikes.sum(axis=1, dtype=kept.dtype))


def form_for(
    pairs: Pairs, delays: np.ndarray, sizes: tuple[int, int], block: int, differentiable: bool
) -> AbstractForm:
    """The form that is predicted to be the quickest."""
    if not differentiable and jax.default_backend() == "cpu":
        longest = int(np.bincount(pairs.sources, minlength=1).max(initial=1))
        if longest * sizes[0] <= 8 * len(pairs) + 4096:
            return Events.of(pairs, delays, sizes, block)
    kinds = len(np.unique(delays))
    if sizes[0] * sizes[1] <= _DENSE_PAIRS and kinds <= _DENSE_DELAYS:
        return Dense.of(pairs, delays, sizes, block)
    return InEdges.of(pairs, delays, sizes)


def _rows(ends: np.ndarray, size: int) -> np.ndarray:
    """The connections of each cell, in rows of one width; `len(ends)` fills them."""
    degrees = np.bincount(ends, minlength=size)
    width = int(degrees.max(initial=0))
    order = np.argsort(ends, kind="stable")
    rows = np.full((size, width), len(ends), np.int64)
    within = np.arange(len(ends)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    rows[ends[order], within] = order
    return rows
