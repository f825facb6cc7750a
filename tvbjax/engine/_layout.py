"""How a network is laid out for its run: which connections are read a block of steps at a time.

A connection whose delay is no shorter than a block can be summed for all steps of the block at
once, from contiguous slices of the past: that is what makes the engine fast. The few that are
shorter are read step by step. What a layout costs is predicted from a few measured numbers.
"""

import dataclasses
import math
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from tvbjax.engine._edges import Bundles, Edges, bundled, slots_of

# Multiples of what a vector register holds run best, and so do powers of two.
BLOCKS = (1, 2, 4, 8, 16, 32)


class Layout(eqx.Module):
    """Where every connection goes.

    `block`: steps that are taken together. `long`: connections whose delays reach over a block.
    `short`: the others, but for `alone`: which connection, if any, leads from a region to itself at
    once, or -1. `past`: steps before a block that short connections look back. `dense`: sums over
    a matrix of weights, in a network without delays.
    """

    long: Bundles
    short: Bundles
    alone: Int[Array, " node"] | None
    block: int = eqx.field(static=True)
    past: int = eqx.field(static=True)
    dense: bool = eqx.field(static=True)

    def holds(self, delays: np.ndarray, ahead: int) -> bool:
        """Whether connections with these delays are where they should be."""
        long, short = self.long.chosen, self.short.chosen
        alone = () if self.alone is None else np.asarray(self.alone)[np.asarray(self.alone) >= 0]
        return bool(
            (delays[long] >= self.block + ahead).all()
            and (delays[short] <= self.past).all()
            and (delays[np.asarray(alone, int)] == 0).all()
        )


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a simulator asks of a layout.

    `least`, `greatest`: the range of every connection's delay, in steps, over all that will be run.
    `horizon`: steps of the past that are kept. `ahead`: steps beyond the present for which the
    integrator wants the coupling, 0 or 1. `pairwise`: whether rules of two regions are evaluated
    for each connection. `windows`: the monitors' windows in steps. `channels`: what a region sends.
    """

    least: np.ndarray
    greatest: np.ndarray
    horizon: int
    ahead: int
    pairwise: bool
    windows: tuple[int, ...]
    channels: int


@dataclasses.dataclass(frozen=True)
class Costs:
    """Nanoseconds, measured on one core of a CPU in float32.

    `slice_start`, `slice_step`: of a slice of the past, and of each step in it. `read`: of one
    value that is read alone. `window`: of keeping the steps of a block at hand, a step. `block`:
    of starting a block. `product`: of one entry of a matrix of weights. `scatter`: a step, where a
    monitor's windows and the blocks do not fit.
    """

    slice_start: float
    slice_step: float
    read: float
    window: float = 60.0
    block: float = 800.0
    product: float = 0.06
    scatter: float = 400.0


# Where the past is in a core's cache (76 regions), and where it is not (998 regions).
AT_HAND = Costs(slice_start=5.0, slice_step=0.13, read=1.9)
FAR_OFF = Costs(slice_start=1.0, slice_step=0.5, read=5.0)

_CACHE = 1 << 20  # bytes


def costs_of(edges: Edges, needs: Needs) -> Costs:
    """The costs of a network of this size."""
    width = jnp.dtype(jnp.result_type(float)).itemsize
    past = 2 * width * edges.nodes * needs.horizon * needs.channels
    return AT_HAND if past <= _CACHE else FAR_OFF


def laid_out(edges: Edges, needs: Needs, block: int | None = None) -> Layout:
    """The layout of least predicted cost, or that of the given block."""
    chosen = cheapest(edges, needs) if block is None else block
    if needs.channels == 0:  # nothing travels by the connectome
        none = bundled(edges, np.zeros(len(needs.least), bool), whole=False)
        return Layout(none, none, None, chosen, 0, False)
    if needs.horizon == 1:
        return _without_delays(edges, needs, chosen)
    long = needs.least >= chosen + needs.ahead
    alone = _alone(edges, needs) & ~long & ~np.bool_(needs.pairwise)
    short = ~long & ~alone
    past = int(needs.greatest[short].max(initial=0))
    return Layout(
        bundled(edges, long, whole=needs.pairwise),
        bundled(edges, short, whole=needs.pairwise),
        _numbers(edges, alone),
        chosen,
        past,
        False,
    )


def _without_delays(edges: Edges, needs: Needs, block: int) -> Layout:
    dense = not needs.pairwise and _dense_is_cheaper(edges, costs_of(edges, needs))
    none = np.zeros(len(needs.least), bool)
    short = bundled(edges, none if dense else ~none, whole=needs.pairwise)
    return Layout(bundled(edges, none, whole=False), short, None, block, 0, dense)


def _dense_is_cheaper(edges: Edges, costs: Costs) -> bool:
    """Whether a matrix of weights costs less than reading each connection's sender."""
    return edges.nodes**2 * costs.product <= len(edges.targets) * costs.read


def _alone(edges: Edges, needs: Needs) -> np.ndarray:
    own = np.asarray(edges.targets) == np.asarray(edges.sources)
    return own & (needs.greatest == 0)


def _numbers(edges: Edges, chosen: np.ndarray) -> Array | None:
    if not chosen.any():
        return None
    numbers = np.full(edges.nodes, -1)
    which = np.flatnonzero(chosen)
    numbers[np.asarray(edges.targets)[which]] = which
    return jnp.asarray(numbers, jnp.int32)


def cheapest(edges: Edges, needs: Needs) -> int:
    """The block of least predicted cost."""
    predicted = [predicted_cost(edges, needs, block) for block in BLOCKS]
    return BLOCKS[int(np.argmin(predicted))]


def predicted_cost(edges: Edges, needs: Needs, block: int) -> float:
    """Nanoseconds a step that the coupling and the monitors' windows are predicted to cost."""
    span, costs = span_of(block, needs.windows), costs_of(edges, needs)
    total = costs.block / block + (0.0 if fits(span, needs.windows) else costs.scatter)
    if needs.horizon == 1:
        return total
    long = needs.least >= block + needs.ahead
    alone = _alone(edges, needs) & ~long & ~np.bool_(needs.pairwise)
    far, near = slots_of(edges, long), slots_of(edges, ~long & ~alone)
    slices = far * (costs.slice_start / block + costs.slice_step * needs.channels)
    reads = near * costs.read * needs.channels + (costs.window if near else 0.0)
    return total + slices + reads


# Steps whose states are handed to the monitors together, at most.
_LONGEST_SPAN = 128


def span_of(block: int, windows: Sequence[int]) -> int:
    """How many steps go to the monitors at a time: whole blocks, and whole windows if that goes."""
    spans = range(block, max(block, _LONGEST_SPAN) + 1, block)
    fitting = [span for span in spans if fits(span, windows)]
    if fitting:
        return min(fitting, key=lambda span: abs(span - BLOCKS[-1]))
    return min(spans, key=lambda span: abs(span - BLOCKS[-1]))


def fits(span: int, windows: Sequence[int]) -> bool:
    """Whether each window is whole spans or each span whole windows."""
    return all(span % window == 0 or window % span == 0 for window in windows)


def slots_for(horizon: int, block: int) -> int:
    """The slots of a ring: whole blocks, and the whole horizon but the present."""
    return block * max(1, math.ceil((horizon - 1) / block))
