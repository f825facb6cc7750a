"""A block of steps: what comes from far is summed for all of them at once, or for several blocks;
the rest step by step.

Per step, as in TVB: the coupling from the delayed channels, once, held through the stages of the
integrator; then the local step. What the regions send goes into the ring when the block is done.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.engine import _afferent
from tvbjax.engine._derivatives import Derivatives, Reverse
from tvbjax.engine._edges import Bundles
from tvbjax.engine._history import AbstractRing, weighted
from tvbjax.engine._members import Members
from tvbjax.engine._near import Arrivals
from tvbjax.engine._network import Network, Wires, own_delays
from tvbjax.engine._onward import Later, received, sent_on
from tvbjax.engine._step import Given, Loop, Outside, Taken, steps_in_turn
from tvbjax.engine._stream import Stream
from tvbjax.engine._tangent import is_smooth, smooth_steps
from tvbjax.stimulus import applied

if TYPE_CHECKING:
    pass

State = Float[Array, "state node member"]
Sent = Float[Array, "region channel *member"]


class Running(NamedTuple):
    """What goes from block to block. `memory`: of noise that remembers. `recent`: what was sent in
    the last steps, for short connections. `later`: what was sent on, for derivatives."""

    state: State
    ring: AbstractRing | None
    memory: Float[Array, "remembered node member"]
    recent: Float[Array, "step region channel member"] | None
    later: Later | None


def sends_on(members: Members) -> bool:
    """Whether derivatives of delayed sums are found by sending on."""
    summed, paired = _afferent.channels(members.simulator)
    ahead = members.simulator.integrator.ahead
    return summed > 0 and not paired and not ahead and not own_delays(members)


def from_far(
    members: Members,
    network: Network,
    running: Running,
    position: Int[Array, ""],
) -> Arrivals:
    """What arrives over the far connections in the steps of a reach, from `position` on."""
    layout, ahead = members.simulator.layout, members.simulator.integrator.ahead
    summed, _ = _afferent.channels(members.simulator)
    length = layout.reach + ahead
    wires = network.far
    blank = _blank(members, summed, running.state)
    constant = running.later is not None
    return _arrivals(layout.far, wires, running.ring, position, length, blank, constant)


def steps_of_block(
    members: Members,
    network: Network,
    running: Running,
    stream: Stream,
    first: Int[Array, ""],
    offset: Int[Array, ""],
    length: int,
    far: Arrivals,
    derivatives: Derivatives,
    outside: Outside | None,
) -> tuple[Running, Taken]:
    """`length` steps from step `first` on, the `offset`-th of the chunk, and what is known of them.

    `far`: what arrives over the far connections in these steps, and in those that the integrator
    looks ahead. `outside`: what is said of the states, of the whole chunk.
    """
    simulator = members.simulator
    state, ring, memory, recent, later = running
    layout, ahead = simulator.layout, simulator.integrator.ahead
    summed, _ = _afferent.channels(simulator)
    size = layout.block + ahead
    blank = _blank(members, summed, state)
    position = place_in(ring, offset)
    long = _arrivals(layout.long, network.long, ring, position, size, blank, later is not None)
    long = Arrivals(*jax.tree.map(lambda x: x[: length + ahead], tuple(long)))
    sums = far.sums + long.sums if network.long else far.sums
    theirs = (*far.theirs, *long.theirs)
    if later is not None:
        sums, later = received(sums, later, place_in(later, offset))
    steps = jnp.arange(length, dtype=jnp.int32)
    given = Given(
        Arrivals(sums, theirs),
        stream.drawn(first, length),
        _stimuli(members, state, first + steps),
        None if outside is None else outside.rows(offset, length),
    )
    smooth = isinstance(derivatives, Reverse) and is_smooth(members) and outside is None
    take = smooth_steps if smooth else steps_in_turn
    loop = Loop(state, recent, memory)
    (state, recent, memory), taken = take(members, network, stream, loop, given, first)
    if later is not None:
        later = sent_on(later, taken.sent, network.long_on, place_in(later, offset))
    ring = None if ring is None else ring.written(taken.sent, position)
    return Running(state, ring, memory, recent, later), taken


def place_in(ring: AbstractRing | Later | None, offset: Int[Array, ""]) -> Int[Array, ""]:
    """The column of the `offset`-th step of a chunk."""
    return offset if ring is None else offset % ring.slots


def _stimuli(
    members: Members, state: State, steps: Int[Array, " step"]
) -> Float[Array, "step stimulus member"] | None:
    """The values of all stimuli at the beginning of each step."""
    simulator = members.simulator
    if not simulator.stimulus:
        return None

    def values(simulator, state):
        times = simulator.integrator.dt * steps.astype(state.dtype)
        return applied(simulator, times)

    return members.over(values, state)  # the state says how many members there are


def _blank(members: Members, summed: int, state: State) -> Float[Array, "region channel member"]:
    """What arrives where nothing does."""
    return jnp.zeros((members.simulator.regions, summed, state.shape[-1]), state.dtype)


def _arrivals(
    bundles: Bundles,
    wires: tuple[Wires, ...],
    ring: AbstractRing | None,
    position: Int[Array, ""],
    length: int,
    blank: Float[Array, "region channel member"],
    constant: bool,
) -> Arrivals:
    """What arrives over connections in `length` steps, none of which they look into. `constant`:
    without derivatives, which are found otherwise."""
    summed = blank.shape[1]
    if ring is None or not wires:
        return Arrivals(jnp.zeros((length, *blank.shape), blank.dtype), ())
    if constant:
        ring, wires = lax.stop_gradient((ring, wires))
    sums, theirs = [], []
    for part in wires:
        where = (position, part.sources, part.delays)
        if ring.channels == summed:
            found = ring.weighted(*where, part.weights, length)
        else:
            slices = ring.slices(*where, length)
            found = weighted(part.weights, slices[..., :summed, :])
            theirs.append(jnp.moveaxis(slices[..., summed:, :], 2, 0))
        sums.append(found)
    empty = jnp.zeros((1, *sums[0].shape[1:]), blank.dtype)
    together = jnp.moveaxis(bundles.together(sums, empty), 1, 0)
    return Arrivals(together, tuple(theirs))
