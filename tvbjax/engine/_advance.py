"""Advance networks by a number of steps: the scan over spans of blocks of steps.

Per block the noise is drawn and the steps are taken; per span of blocks the monitors reduce the
states, and the first value that is not finite is noted. Nothing of the trajectory outlives its span
unless a monitor keeps it.
"""

from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.engine import _afferent, _history
from tvbjax.engine._block import Running, from_far, place_in, sends_on, steps_of_block
from tvbjax.engine._derivatives import Derivatives, Forward, Reverse, spans_together
from tvbjax.engine._layout import slots_for, span_of
from tvbjax.engine._members import Members, one_member
from tvbjax.engine._network import Network, network_of, own_delays
from tvbjax.engine._onward import later_of, sent_on
from tvbjax.engine._step import Outside
from tvbjax.engine._stream import Stream
from tvbjax.engine._watching import observed, watchers
from tvbjax.monitors import Chunk

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


class Carry(eqx.Module):
    """Everything that a run needs to go on: data in, data out.

    `step`: the number of steps taken. `past`: what the regions sent in the steps before the present
    state, oldest first. `noise`: what coloured noise remembers. `monitors`: what each monitor
    carries over a chunk's border. `trouble`: step, state variable and region of the first value
    that was not finite, or -1.

    With members, they are the last axis of state, past and noise, and the first of the others.
    """

    step: Int[Array, ""]
    state: Float[Array, "state node *member"]
    past: Float[Array, "step region channel *member"]
    noise: Float[Array, "remembered node *member"]
    monitors: tuple[tuple[Array, ...], ...]
    trouble: Int[Array, "*member 3"]


def axes_of(carry: Carry) -> Carry:
    """Where the members are in each array of a carry."""
    last = {"state", "past", "noise"}

    def axis(path, _):
        name = path[0].name
        return None if name == "step" else -1 if name in last else 0

    return jax.tree_util.tree_map_with_path(axis, carry)


def start(simulator: "Simulator", past: Float[Array, "step state node"]) -> Carry:
    """The carry at t = 0 of a network with the given history, oldest first, last row t = 0.

    Monitors see all of it, and the coupling as much as the delays need.
    """
    sent = jax.vmap(lambda x: _afferent.sent(simulator, x))(past[-simulator.horizon : -1])
    missing = simulator.horizon - 1 - len(sent)
    if missing > 0:  # one state that is held
        oldest = _afferent.sent(simulator, past[0])[None]
        sent = jnp.concatenate([jnp.repeat(oldest, missing, axis=0), sent])
    inputs = jnp.zeros((len(past), len(simulator.model.inputs), past.shape[2]), past.dtype)
    carried = tuple(
        monitor.start(observed(simulator, number, past, inputs), simulator.integrator.dt)
        for number, monitor in enumerate(simulator.monitors)
    )
    none = jnp.full(3, -1, dtype=jnp.int32)
    rows = 0 if simulator.noise is None else simulator.noise.remembers(past.shape[1])
    memory = jnp.zeros((rows, past.shape[2]), past.dtype)
    return Carry(jnp.zeros((), jnp.int32), past[-1], sent, memory, carried, none)


def advance(
    simulator: "Simulator",
    carry: Carry,
    key: Array | None,
    steps: int,
    phases: tuple[int | Int[Array, ""], ...],
    derivatives: Derivatives = Forward(),
    outside: Outside | None = None,
) -> tuple[Carry, tuple[Float[Array, "sample voi *place"], ...]]:
    """Take `steps` steps; give the new carry and every monitor's samples of that time.

    `phases`: per monitor, how many steps of its window had passed before: the number 0, or traced,
    so that chunks of one length share one compilation, or two. Samples may have rows too many.
    `derivatives`: those that will be taken of it; they are right whatever is said here.
    `outside`: what somebody else says of states in these steps.
    """
    axes = axes_of(carry)
    together = jax.vmap(lambda c: c, in_axes=None, out_axes=axes, axis_size=1)(carry)
    keys = None if key is None else key[None]
    members = one_member(simulator)
    together, samples = advance_members(
        members, together, keys, steps, phases, derivatives, outside
    )
    alone = jax.tree.map(lambda part: part[0], jax.vmap(lambda c: c, in_axes=(axes,))(together))
    return alone, tuple(part[0] for part in samples)


def advance_members(
    members: Members,
    carry: Carry,
    keys: Array | None,
    steps: int,
    phases: tuple[int | Int[Array, ""], ...],
    derivatives: Derivatives = Forward(),
    outside: Outside | None = None,
) -> tuple[Carry, tuple[Float[Array, "member sample voi *place"], ...]]:
    """The same for many simulations side by side, each with its key."""
    simulator = members.simulator
    layout, dt = simulator.layout, simulator.integrator.dt
    network = network_of(members)
    span = min(steps, span_of(layout.reach, windows_of(simulator)))
    chunks = tuple(Chunk(phase, carry.step, steps, span, dt) for phase in phases)
    watching = watchers(members, chunks)
    stream = Stream.of(members, keys, carry.state)

    def run_reach(loop, offset, length):
        far = from_far(members, network, loop, place_in(loop.ring, offset))

        def run_block(loop, start, length):
            size = length + simulator.integrator.ahead
            part = jax.tree.map(lambda x: _from(x, start - offset, size), far)
            first = carry.step + start
            return steps_of_block(
                *(members, network, loop, stream, first, start, length, part, derivatives),
                outside,
            )

        loop, taken = _in_parts(run_block, loop, offset, length, layout.block)
        if loop.later is not None:
            place = place_in(loop.later, offset)
            loop = loop._replace(later=sent_on(loop.later, taken.sent, network.far_on, place))
        return loop, taken

    def run_span(loop, offset, length):
        inner, trouble, buffers = loop
        inner, taken = _in_parts(run_reach, inner, offset, length, layout.reach)
        states = jnp.concatenate([taken.states[1:], inner.state[None]])
        trouble = _noted(trouble, taken.states, carry.step + offset)
        buffers = tuple(
            one.update(members, buffer, states, taken.inputs, offset)
            for one, buffer in zip(watching, buffers, strict=True)
        )
        return (inner, trouble, buffers), None

    opened = tuple(
        one.open(members, part) for one, part in zip(watching, carry.monitors, strict=True)
    )
    loop = (_running(members, network, carry, derivatives), carry.trouble, opened)
    whole, rest = divmod(steps, span)
    group, cut = whole, None
    if isinstance(derivatives, Reverse):
        group = derivatives.spans(span, dt)
        cut = None if group is None else _cut_off
        group = group or spans_together(whole, span * _kept_bytes(members, carry))
    offsets = span * jnp.arange(whole, dtype=jnp.int32)
    loop = _in_groups(lambda loop, offset: run_span(loop, offset, span), loop, offsets, group, cut)
    if rest:
        loop, _ = run_span(loop, jnp.asarray(whole * span, jnp.int32), rest)

    inner, trouble, buffers = loop
    state, ring = inner.state, inner.ring
    trouble = _noted(trouble, state[None], carry.step + steps)
    closed = [
        one.close(members, part, buffer)
        for one, part, buffer in zip(watching, carry.monitors, buffers, strict=True)
    ]
    past = carry.past
    if ring is not None:
        past = ring.recent(steps % ring.slots, simulator.horizon - 1)
    carried = tuple(part for part, _ in closed)
    final = Carry(carry.step + steps, state, past, inner.memory, carried, trouble)
    return final, tuple(samples for _, samples in closed)


def _in_groups(run, loop, offsets: Int[Array, " span"], group: int, cut):
    """Over all spans. Of a group of them reverse mode keeps the beginning alone, and runs it again
    when it comes to it; where all are one group it keeps what it needs of each. `cut`: of what goes
    into a group after the first."""
    whole, rest = divmod(len(offsets), max(group, 1))
    if whole < 1 or (whole == 1 and not rest):
        return lax.scan(run, loop, offsets)[0]

    @eqx.filter_checkpoint
    def run_group(loop, offsets):
        return lax.scan(run, loop if cut is None else cut(loop), offsets)[0]

    grouped = offsets[: whole * group].reshape(whole, group)
    if cut is not None:
        loop, grouped = lax.scan(run, loop, grouped[0])[0], grouped[1:]
    loop, _ = lax.scan(lambda loop, some: (run_group(loop, some), None), loop, grouped)
    return run_group(loop, offsets[whole * group :]) if rest else loop


def _cut_off(loop):
    """With a network that is not followed back further."""
    inner, trouble, buffers = loop
    return lax.stop_gradient(inner), trouble, buffers


def _kept_bytes(members: Members, carry: Carry) -> int:
    """About what reverse mode keeps of a step: the states, what arrived, and the noise."""
    states, sent = carry.state.size, carry.past.size // max(len(carry.past), 1)
    drawn = 0 if members.simulator.noise is None else states
    return (states + sent + drawn) * carry.state.dtype.itemsize


def _running(members: Members, network: Network, carry: Carry, derivatives: Derivatives) -> Running:
    """What goes from block to block, at the beginning."""
    layout, horizon = members.simulator.layout, members.simulator.horizon
    ring = recent = later = None
    if carry.past.shape[0] and carry.past.shape[2]:
        slots = slots_for(horizon, layout.block)
        ring = _history.ring_of(carry.past, slots, own_delays=own_delays(members))
        if layout.past:
            recent = carry.past[len(carry.past) - layout.past :]
        if isinstance(derivatives, Reverse) and sends_on(members):
            wires = (*network.far_on, *network.long_on)
            later = later_of(carry.past, wires, slots_for(horizon, layout.reach))
    return Running(carry.state, ring, carry.noise, recent, later)


def windows_of(simulator: "Simulator") -> tuple[int, ...]:
    """The monitors' windows in steps, but for those of one step."""
    windows = [monitor.window_steps(simulator.integrator.dt) for monitor in simulator.monitors]
    return tuple(window for window in windows if window > 1)


def _in_parts(run, loop, offset, length: int, part: int):
    """So many steps, part by part, and what is known of them."""
    whole, rest = divmod(length, part)
    if not whole or length == part:
        return run(loop, offset, length)
    offsets = offset + part * jnp.arange(whole, dtype=jnp.int32)
    loop, taken = lax.scan(lambda c, o: run(c, o, part), loop, offsets)
    taken = jax.tree.map(lambda x: x.reshape(whole * part, *x.shape[2:]), taken)
    if rest:
        loop, last = run(loop, offset + whole * part, rest)
        taken = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), taken, last)
    return loop, taken


def _from(array: Array, first: Int[Array, ""], size: int) -> Array:
    """So many rows; no copy where they are all."""
    return array if len(array) == size else lax.dynamic_slice_in_dim(array, first, size)


def _noted(trouble: Int[Array, "member 3"], states: Array, first: Int[Array, ""]) -> Array:
    """Step, state variable and region of each member's first value that was not finite.

    `states`: those at step `first` and after.
    """
    steps = states.shape[0]
    states = lax.stop_gradient(states)
    # A sum is finite where all is, or nearly so; as a product of matrices it costs next to nothing.
    sums = jnp.ones((1, steps), states.dtype) @ states.reshape(steps, -1)
    fine = jnp.isfinite(sums).reshape(states.shape[1:]).all(axis=(0, 1))
    new = ~fine & (trouble[:, 0] < 0)

    def located():
        found = jax.vmap(_first_trouble, in_axes=(-1, None))(states, first)
        return jnp.where(new[:, None], found, trouble)

    return lax.cond(new.any(), located, lambda: trouble)


def _first_trouble(states: Float[Array, "steps state node"], first: Int[Array, ""]):
    bad = ~jnp.isfinite(states)
    index = jnp.argmax(bad).astype(jnp.int32)
    where = jnp.stack(jnp.unravel_index(index, states.shape)).astype(jnp.int32)
    return jnp.where(bad.any(), where.at[0].add(first), -1)
