"""One step after another: the coupling, once, held through the stages of the integrator; then the
local step, as in TVB."""

from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from tvbjax.engine import _afferent
from tvbjax.engine._members import Members
from tvbjax.engine._near import Arrivals, with_near
from tvbjax.engine._network import Network
from tvbjax.engine._stream import Stream
from tvbjax.stimulus import spread

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator

State = Float[Array, "state node member"]

# Steps that are written out one after another: fewer copies of the state, fewer kernels to start.
_UNROLLED_ON_GPU = 4


class Taken(NamedTuple):
    """What is known of steps that were taken, along a first axis: the states before them, what the
    regions sent, and the coupling inputs that they had, None where no monitor wants them."""

    states: Float[Array, "step state node member"]
    sent: Float[Array, "step region channel member"]
    inputs: Float[Array, "step input node member"] | None


class Outside(NamedTuple):
    """What somebody else says of the states, along a first axis of steps: what they are after a
    step, where `told`, and what is added to their time derivatives, the same in all stages."""

    told: Bool[Array, "state node"]
    values: Float[Array, "step state node"]
    pushed: Float[Array, "step state node"]

    def rows(self, first: Int[Array, ""], steps: int) -> "Outside":
        """That of so many steps."""
        parts = (lax.dynamic_slice_in_dim(x, first, steps) for x in (self.values, self.pushed))
        return Outside(self.told, *parts)


class Given(NamedTuple):
    """What a block of steps is given, along a first axis of steps.

    `arrived`: over connections longer than the block; a step more where the integrator looks ahead.
    `drawn`: random numbers. `pushed`: the stimuli's values. `outside`: what is said of the states.
    """

    arrived: Arrivals
    drawn: Array | None
    pushed: Float[Array, "step stimulus member"] | None
    outside: Outside | None = None


class Loop(NamedTuple):
    """What goes from step to step. `recent`: what was sent in the last steps, for short
    connections. `memory`: of noise that remembers."""

    state: State
    recent: Float[Array, "step region channel member"] | None
    memory: Float[Array, "remembered node member"]


def steps_in_turn(
    members: Members,
    network: Network,
    stream: Stream,
    loop: Loop,
    given: Given,
    first: Int[Array, ""],
) -> tuple[Loop, Taken]:
    """The steps of a block one by one: what goes on, and what is known of them."""
    simulator = members.simulator
    layout, ahead = simulator.layout, simulator.integrator.ahead
    summed, _ = _afferent.channels(simulator)
    length = len(given.arrived.sums) - ahead
    now, soon = (_rows(given.arrived, begin, length) for begin in (0, ahead))

    def one(loop, scanned):
        state, window, memory = loop
        number, now, soon, drawn, push, (told, added) = scanned
        sent = members.over(_afferent.sent, state)
        column = layout.past + number
        if window is not None:
            window = lax.dynamic_update_slice_in_dim(window, sent[None], column, 0)
        arrived = with_near(layout, network, now, sent, window, column, summed)
        normal = None if drawn is None else stream.of_step(drawn)
        step = LocalStep(first + number, column)
        later, memory, inputs = members.over(
            *(step, network, state, arrived, soon, window, normal, stream.before, memory, push),
            added,
            axes=(network.axes(members), *(-1,) * 8, None),
        )
        if outside is not None:
            later = jnp.where(outside.told[..., None], told[..., None], later)
        inputs = inputs if simulator.watches_inputs else None
        # The state before the step is at hand: to give that after it would compute it twice.
        return (later, window, memory), Taken(state, sent, inputs)

    numbers = jnp.arange(length, dtype=jnp.int32)
    outside = given.outside
    said = (None, None) if outside is None else (outside.values, outside.pushed)
    scanned = (numbers, now, soon, given.drawn, given.pushed, said)
    unroll = 1 if jax.default_backend() == "cpu" else _UNROLLED_ON_GPU
    window = room_for(loop.recent, length + ahead)
    begin = (loop.state, window, loop.memory)
    (state, window, memory), taken = lax.scan(one, begin, scanned, unroll=unroll)
    recent = None if window is None else window[length : length + layout.past]
    return Loop(state, recent, memory), taken


def _rows(arrived: Arrivals, begin: int, length: int) -> Arrivals:
    return jax.tree.map(lambda x: x[begin : begin + length], arrived)


def room_for(recent: Array | None, steps: int) -> Array | None:
    """What short connections look back to, and room for the steps to come."""
    if recent is None:
        return None
    return jnp.concatenate([recent, jnp.zeros((steps, *recent.shape[1:]), recent.dtype)])


@jax.custom_jvp
def clipped(x: Array, lower: Array, upper: Array) -> Array:
    """Within bounds; at them, too, it goes with x, and beyond them it does not."""
    return jnp.clip(x, lower, upper)


@clipped.defjvp
def _clipped_jvp(primals, tangents):
    # That of clip has four divisions, for what is at both bounds at once.
    x, lower, upper = primals
    within = (x >= lower) & (x <= upper)
    return clipped(x, lower, upper), jnp.where(within, tangents[0], 0.0)


class LocalStep(NamedTuple):
    """One step of one simulation. `number`: the step, `column`: its place in the window."""

    number: Int[Array, ""]
    column: Int[Array, ""]

    def __call__(
        self,
        simulator,
        network,
        state,
        arrived,
        soon,
        window,
        normal,
        before,
        memory,
        push,
        added=None,
    ):
        inputs = _afferent.received(simulator, network, state, *arrived)
        push = None if push is None else spread(simulator, push)
        if added is not None:
            push = added if push is None else push + added
        drift = _Drift(simulator, network, inputs, push, soon, window, self.number, self.column)

        def bound(x):
            x = clipped(x, network.lower, network.upper) if simulator.bounded else x
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
        arrived = with_near(simulator.layout, network, self.soon, sent, window, column, summed)
        return self._with(x, _afferent.received(simulator, network, x, *arrived), ahead)

    def _with(self, x, inputs, ahead):
        time = self.simulator.integrator.dt * (self.step + ahead).astype(x.dtype)
        inputs = _afferent.near(self.simulator, inputs, x)
        slope = self.simulator.model.dfun(x, inputs, t=time)
        return slope if self.push is None else slope + self.push
