"""How a network is laid out for its run: which connections are read a block of steps at a time.

A connection whose delay is no shorter than a block can be summed for all steps of the block at
once, from contiguous slices of the past: that is what makes the engine fast. Most are longer still
and are summed for several blocks at once; the few that are shorter are read step by step. What a
layout costs is predicted from a few measured numbers.
"""

import dataclasses
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from tvbjax.engine._edges import Bundle, Bundles, Edges, bundled, bundled_by_sender, slots_of

# Multiples of what a vector register holds run best, and so do powers of two.
BLOCKS = (1, 2, 4, 8, 16, 32)

# Slices of as many steps keep a processor's vector units busy when they are added up in turn.
WIDE = 32


class Layout(eqx.Module):
    """Where every connection goes.

    `block`: steps that are taken together, `reach`: those of one or several blocks. `far`:
    connections whose delays are no shorter than `reach`; `long`: than a block. `short`: the others,
    but for `alone`: which connection, if any, leads from a region to itself at once, or -1. `past`:
    steps before a block that short connections look back. `far_on`, `long_on`, `short_on`: the
    connections by their senders, for derivatives. `dense`: sums over a matrix of weights, in a
    network without delays. Where a connection has several taps, all that is said of connections
    here is said of taps. `still`: taps that are not read, of connections without delay.
    """

    far: Bundles
    long: Bundles
    short: Bundles
    alone: Int[Array, " node"] | None
    far_on: tuple[Bundle, ...]
    long_on: tuple[Bundle, ...]
    short_on: tuple[Bundle, ...]
    still: Int[Array, " tap"] | None
    block: int = eqx.field(static=True)
    reach: int = eqx.field(static=True)
    past: int = eqx.field(static=True)
    dense: bool = eqx.field(static=True)

    def holds(self, delays: np.ndarray, ahead: int) -> bool:
        """Whether connections with these delays are where they should be."""
        far, long, short = self.far.chosen, self.long.chosen, self.short.chosen
        alone = () if self.alone is None else np.asarray(self.alone)[np.asarray(self.alone) >= 0]
        still = () if self.still is None else self.still
        return bool(
            (delays[far] >= self.reach + ahead).all()
            and (delays[long] >= self.block + ahead).all()
            and (delays[short] <= self.past).all()
            and (delays[np.asarray(alone, int)] == 0).all()
            and (delays[np.asarray(still, int)] == 0).all()
        )


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a simulator asks of a layout.

    `least`, `greatest`: the range of every tap's delay, in steps, over all that will be run.
    `taps`: how many a connection has. `horizon`: steps of the past that are kept. `ahead`: steps
    beyond the present for which the integrator wants the coupling, 0 or 1. `pairwise`: whether
    rules of two regions are evaluated for each connection. `windows`: the monitors' windows in
    steps. `channels`: what a region sends.
    """

    least: np.ndarray
    greatest: np.ndarray
    taps: int
    horizon: int
    ahead: int
    pairwise: bool
    windows: tuple[int, ...]
    channels: int

    @property
    def still(self) -> np.ndarray:
        """Which taps belong to connections that never have a delay."""
        most = self.greatest.reshape(-1, self.taps).max(axis=1, initial=0)
        return np.repeat(most == 0, self.taps)

    @property
    def read(self) -> np.ndarray:
        """Which taps are read: of a connection that never has a delay, the first alone."""
        return ~self.still | (np.arange(len(self.greatest)) % self.taps == 0)


@dataclasses.dataclass(frozen=True)
class Costs:
    """Nanoseconds, measured on one core of a CPU in float32.

    `slice_start`, `slice_step`: of a slice of the past in a product of matrices, and of each step
    in it; `wide_step`: of a step in slices that are wide enough to be added up in turn. `read`: of
    one value that is read alone. `window`: of keeping the steps of a block at hand, a step.
    `block`: of starting a block, `level`: a block, where there are far connections apart from the
    long ones. `product`: of one entry of a matrix of weights. `scatter`: a step, where a monitor's
    windows and the blocks do not fit.
    """

    slice_start: float
    slice_step: float
    wide_step: float
    read: float
    window: float = 60.0
    block: float = 800.0
    level: float = 3000.0
    product: float = 0.035
    scatter: float = 400.0

    def slice(self, steps: int) -> float:
        """Of one slice of as many steps, a step."""
        return self.wide_step if steps >= WIDE else self.slice_start / steps + self.slice_step


# Where the past is in a core's cache (76 regions), and where it is not (998 regions).
AT_HAND = Costs(slice_start=2.2, slice_step=0.165, wide_step=0.21, read=1.9)
FAR_OFF = Costs(slice_start=3.4, slice_step=0.19, wide_step=0.23, read=5.0)

_CACHE = 1 << 20  # bytes


def costs_of(edges: Edges, needs: Needs) -> Costs:
    """The costs of a network of this size."""
    width = jnp.dtype(jnp.result_type(float)).itemsize
    past = 2 * width * edges.nodes * needs.horizon * needs.channels
    return AT_HAND if past <= _CACHE else FAR_OFF


def laid_out(edges: Edges, needs: Needs) -> Layout:
    """The layout of least predicted cost."""
    predicted = predictions(edges, needs)
    return layout_of(edges, needs, *min(predicted, key=lambda both: predicted[both]))


def layout_of(edges: Edges, needs: Needs, block: int, reach: int) -> Layout:
    """The layout with blocks and a reach of so many steps."""
    none = bundled(edges, np.zeros(len(needs.least), bool), whole=False)
    if needs.channels == 0:  # nothing travels by the connectome
        return Layout(none, none, none, None, (), (), (), None, block, block, 0, False)
    still = None if needs.read.all() else _listed(~needs.read)
    if needs.horizon == 1:
        count = int(needs.read.sum())
        if not needs.pairwise and _dense_is_cheaper(edges, count, costs_of(edges, needs)):
            return Layout(none, none, none, None, (), (), (), still, block, block, 0, True)
        every = bundled(edges, needs.read, whole=needs.pairwise)
        on = () if needs.pairwise else bundled_by_sender(edges, needs.read, whole=True)
        return Layout(none, none, every, None, (), (), on, still, block, block, 0, False)
    far, long, short, alone = kinds(edges, needs, block, reach)
    return Layout(
        bundled(edges, far, whole=needs.pairwise),
        bundled(edges, long, whole=needs.pairwise),
        bundled(edges, short, whole=needs.pairwise),
        _numbers(edges, alone),
        () if needs.pairwise else bundled_by_sender(edges, far, whole=False),
        () if needs.pairwise else bundled_by_sender(edges, long, whole=False),
        () if needs.pairwise else bundled_by_sender(edges, short, whole=True),
        still,
        block,
        reach,
        int(needs.greatest[short].max(initial=0)),
        False,
    )


def kinds(edges: Edges, needs: Needs, block: int, reach: int) -> tuple[np.ndarray, ...]:
    """Which connections are far, long, short and alone; taps, where they have several."""
    far = needs.least >= reach + needs.ahead
    long = ~far & (needs.least >= block + needs.ahead)
    own = np.asarray(edges.targets) == np.asarray(edges.sources)
    near = needs.read & ~far & ~long
    alone = own & needs.still & near & ~np.bool_(needs.pairwise)
    return far, long, near & ~alone, alone


def _dense_is_cheaper(edges: Edges, connections: int, costs: Costs) -> bool:
    """Whether a matrix of weights costs less than reading each connection's sender."""
    return edges.nodes**2 * costs.product <= connections * costs.read


def _listed(chosen: np.ndarray) -> Array:
    return jax.device_put(np.flatnonzero(chosen).astype(np.int32))


def _numbers(edges: Edges, chosen: np.ndarray) -> Array | None:
    if not chosen.any():
        return None
    numbers = np.full(edges.nodes, -1)
    which = np.flatnonzero(chosen)
    numbers[np.asarray(edges.targets)[which]] = which
    return jax.device_put(numbers.astype(np.int32))


def predictions(edges: Edges, needs: Needs) -> dict[tuple[int, int], float]:
    """Nanoseconds a step that the coupling and the monitors' windows are predicted to cost, by
    block and reach."""
    reaches = [(block, block) for block in BLOCKS]
    if needs.horizon > 1:
        reaches += [(block, WIDE) for block in BLOCKS[1:] if block < WIDE]
    return {both: _predicted(edges, needs, *both) for both in reaches}


def _predicted(edges: Edges, needs: Needs, block: int, reach: int) -> float:
    span, costs = span_of(reach, needs.windows), costs_of(edges, needs)
    total = costs.block / block + (0.0 if fits(span, needs.windows) else costs.scatter)
    if needs.horizon == 1:
        return total
    far, long, short, _ = (slots_of(edges, kind) for kind in kinds(edges, needs, block, reach))
    slices = far * costs.slice(reach) + long * costs.slice(block)
    total += slices * needs.channels + (costs.level / block if reach > block else 0.0)
    return total + short * costs.read * needs.channels + (costs.window if short else 0.0)


# Steps whose states are handed to the monitors together, at most.
_LONGEST_SPAN = 128


def span_of(reach: int, windows: Sequence[int]) -> int:
    """How many steps go to the monitors at a time: as many as are reached over, or several times
    that, and whole windows if that goes."""
    spans = range(reach, max(reach, _LONGEST_SPAN) + 1, reach)
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
