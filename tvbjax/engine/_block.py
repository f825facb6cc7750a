"""A block of steps: what comes from far is summed for all of them at once, or for several blocks;
the rest step by step.

Per step, as in TVB: the coupling from the delayed channels, once, held through the stages of the
integrator; then the local step. What the regions send goes into the ring when the block is done.
"""

from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.engine import _afferent
from tvbjax.engine._edges import Bundles
from tvbjax.engine._history import AbstractRing, weighted
from tvbjax.engine._layout import Layout
from tvbjax.engine._members import Members
from tvbjax.engine._network import Network, Wires
from tvbjax.engine._stream import Stream
from tvbjax.stimulus import applied, spread

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator

State = Float[Array, "state node member"]
Sent = Float[Array, "region channel *member"]


class Arrivals(NamedTuple):
    """What arrives in a step, or in several along a first axis.

    `sums`: weighted and summed, `(node, channel, member)`. `theirs`: what pairs read over each
    connection, bundle by bundle, `(node, slot, channel, member)`.
    """

    sums: Array
    theirs: tuple[Array, ...]


class Taken(NamedTuple):
    """What is known of steps that were taken, along a first axis: the states before them, and the
    coupling inputs that they had, None where no monitor wants them."""

    states: Float[Array, "step state node member"]
    inputs: Float[Array, "step input node member"] | None


class Running(NamedTuple):
    """What goes from block to block. `memory`: of noise that remembers."""

    state: State
    ring: AbstractRing | None
    memory: Float[Array, "remembered node member"]


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
    return _arrivals(layout.far, wires, running.ring, position, length, blank)


def steps_of_block(
    members: Members,
    network: Network,
    running: Running,
    stream: Stream,
    first: Int[Array, ""],
    position: Int[Array, ""],
    length: int,
    far: Arrivals,
) -> tuple[Running, Taken]:
    """`length` steps from step `first` on, and what is known of them.

    `position`: of step `first` in the ring. `far`: what arrives over the far connections in these
    steps, and in those that the integrator looks ahead.
    """
    simulator = members.simulator
    state, ring, memory = running
    layout, ahead = simulator.layout, simulator.integrator.ahead
    summed, _ = _afferent.channels(simulator)
    size = layout.block + ahead
    blank = _blank(members, summed, state)
    long = _arrivals(layout.long, network.long, ring, position, size, blank)
    long = Arrivals(*jax.tree.map(lambda x: x[: length + ahead], tuple(long)))
    sums = far.sums + long.sums if network.long else far.sums
    theirs = (*far.theirs, *long.theirs)
    now = Arrivals(sums[:length], tuple(v[:length] for v in theirs))
    soon = Arrivals(sums[ahead:], tuple(v[ahead:] for v in theirs))
    window = _window(layout, ring, position, length + ahead)

    def one(loop, scanned):
        state, window, memory = loop
        number, now, soon, drawn, push = scanned
        sent = members.over(_afferent.sent, state)
        column = layout.past + number
        if window is not None:
            window = lax.dynamic_update_slice_in_dim(window, sent[None], column, 0)
        arrived = _with_near(layout, network, now, sent, window, column, summed)
        normal = None if drawn is None else stream.of_step(drawn)
        step = _LocalStep(first + number, column)
        later, memory, inputs = members.over(
            *(step, network, state, arrived, soon, window, normal, stream.before, memory, push),
            axes=(network.axes(members), *(-1,) * 8),
        )
        inputs = inputs if simulator.watches_inputs else None
        # The state before the step is at hand: to give that after it would compute it twice.
        return (later, window, memory), (Taken(state, inputs), sent)

    numbers = jnp.arange(length, dtype=jnp.int32)
    pushed = _stimuli(members, state, first + numbers)
    scanned = (numbers, now, soon, stream.drawn(first, length), pushed)
    unroll = 1 if jax.default_backend() == "cpu" else _UNROLLED_ON_GPU
    loop = (state, window, memory)
    (state, _, memory), (taken, sent) = lax.scan(one, loop, scanned, unroll=unroll)
    ring = None if ring is None else ring.written(sent, position)
    return Running(state, ring, memory), taken


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


def _window(layout: Layout, ring: AbstractRing | None, position, steps: int) -> Array | None:
    """What short connections look back to, and room for the steps to come."""
    if not layout.past:
        return None
    assert ring is not None
    before = ring.recent(position, layout.past)
    return jnp.concatenate([before, jnp.zeros((steps, *before.shape[1:]), before.dtype)])


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
) -> Arrivals:
    """What arrives over connections in `length` steps, none of which they look into."""
    summed = blank.shape[1]
    if ring is None or not wires:
        return Arrivals(jnp.zeros((length, *blank.shape), blank.dtype), ())
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


def _with_near(
    layout: Layout,
    network: Network,
    far: Arrivals,
    sent: Sent,
    window: Float[Array, "step region channel *member"] | None,
    column: Int[Array, ""],
    summed: int,
) -> Arrivals:
    """With what arrives over the short connections. `sent`: what the regions send in this step,
    which is in column `column` of the window; of its channels the first `summed` are summed."""
    sums, theirs = far
    signals = sent[:, :summed]
    if network.alone is not None:
        sums = sums + network.alone.reshape(_shape_beside(network.alone, signals)) * signals
    if layout.dense:
        assert network.product is not None
        sums = sums + _product(network.product, signals)
    rows = []
    for part in network.short:
        values = _near(part, sent, window, column)
        rows.append(weighted(part.weights, values[:, :, :summed]))
        if summed < sent.shape[1]:
            theirs = (*theirs, values[:, :, summed:])
    if rows:
        sums = sums + layout.short.together(rows, jnp.zeros((1, *rows[0].shape[1:]), sums.dtype))
    return Arrivals(sums, theirs)


def _near(part: Wires, sent: Sent, window: Array | None, column: Int[Array, ""]) -> Array:
    """What arrives over connections shorter than the block, `(row, slot, channel, member)`."""
    if window is None:
        return sent[part.sources]
    steps = column - part.delays
    if part.delays.ndim == 2:
        flat = window.reshape(-1, *window.shape[2:])
        return flat[steps * window.shape[1] + part.sources]
    members = jnp.arange(window.shape[3], dtype=jnp.int32)[None, None]
    return jnp.moveaxis(window[steps, part.sources[:, :, None], :, members], 3, 2)


def _shape_beside(per_node: Array, values: Array) -> tuple[int, ...]:
    """The shape `(node, 1, ...)` in which values of each region meet `(node, channel, member)`."""
    nodes, *members = per_node.shape
    return (nodes, 1, *(members or (1,) * (values.ndim - 2)))


def _product(weights: Array, signals: Sent) -> Array:
    """Weighted sums of what the regions send now."""
    nodes, *rest = signals.shape
    if weights.ndim == 3 and signals.ndim == 3:
        sums = jnp.einsum("jim,jcm->icm", weights, signals, precision=lax.Precision.HIGHEST)
        return sums[:nodes]
    columns = signals.reshape(nodes, -1).T
    if jax.default_backend() != "cpu":
        return _vector_product(columns, weights).T[:nodes].reshape(nodes, *rest)
    # One by one is six times as quick on a CPU as a product with a matrix of few columns.
    if len(columns) <= _UNROLLED:
        sums = jnp.stack([_vector_product(column, weights) for column in columns], axis=-1)
    else:
        sums = lax.map(lambda column: _vector_product(column, weights), columns).T
    return sums[:nodes].reshape(nodes, *rest)


_UNROLLED = 64

# Steps that are written out one after another: fewer copies of the state, fewer kernels to start.
_UNROLLED_ON_GPU = 4


def _vector_product(signals: Array, weights: Array) -> Array:
    return jnp.matmul(signals, weights, precision=lax.Precision.HIGHEST)


class _LocalStep(NamedTuple):
    """One step of one simulation. `number`: the step, `column`: its place in the window."""

    number: Int[Array, ""]
    column: Int[Array, ""]

    def __call__(
        self, simulator, network, state, arrived, soon, window, normal, before, memory, push
    ):
        inputs = _afferent.received(simulator, network, state, *arrived)
        push = None if push is None else spread(simulator, push)
        drift = _Drift(simulator, network, inputs, push, soon, window, self.number, self.column)

        def bound(x):
            x = jnp.clip(x, network.lower, network.upper) if simulator.bounded else x
            return x if network.owners is None else jnp.where(network.owners, x, 0.0)

        noise, dt = simulator.noise, simulator.integrator.dt
        if noise is None:
            return simulator.integrator.step(drift, bound, state, None), memory, inputs
        kick, memory = noise.increment(normal, before, self.number, dt, memory)
        kick, memory = kick.astype(state.dtype), memory.astype(state.dtype)

        def kicked(x):
            gain = noise.gain(x)
            return kick if gain is None else gain * kick

        return simulator.integrator.step(drift, bound, state, kicked), memory, inputs


class _Drift(eqx.Module):
    """The time derivative of one simulation's network in one step."""

    simulator: "Simulator"
    network: Network
    inputs: Float[Array, "input node"]
    push: Float[Array, "state node"] | None
    soon: Arrivals
    window: Float[Array, "step region channel"] | None
    step: Int[Array, ""]
    column: Int[Array, ""]

    def __call__(self, x: Float[Array, "state node"]) -> Float[Array, "state node"]:
        return self._with(x, self.inputs, 0)

    def recoupled(self, x: Float[Array, "state node"], ahead: int) -> Float[Array, "state node"]:
        simulator, network, window = self.simulator, self.network, self.window
        summed, _ = _afferent.channels(simulator)
        sent, column = _afferent.sent(simulator, x), self.column + ahead
        if window is not None:
            window = lax.dynamic_update_slice_in_dim(window, sent[None], column, 0)
        arrived = _with_near(simulator.layout, network, self.soon, sent, window, column, summed)
        return self._with(x, _afferent.received(simulator, network, x, *arrived), ahead)

    def _with(self, x, inputs, ahead):
        time = self.simulator.integrator.dt * (self.step + ahead).astype(x.dtype)
        inputs = _afferent.near(self.simulator, inputs, x)
        slope = self.simulator.model.dfun(x, inputs, t=time)
        return slope if self.push is None else slope + self.push
