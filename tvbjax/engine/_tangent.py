"""Derivatives of a block of steps, found for all of its steps at once.

Step by step, autodiff computes a step's many small derivatives one after another, which costs ten
times the step itself. Where regions meet in their coupling alone, a step's Jacobian is one small
matrix for each region: those of all steps are computed side by side from the states that the block
went through, and what is left to do in turn is to multiply by them,

    dx[k + 1] = J[k] dx[k] + B[k] du[k] + c[k],

J and B the derivatives of a step by the region's state and by what arrives, c what the parameters
and the rest contribute. The transpose of that is reverse mode. Nothing is kept of a block but its
states and what arrived: the rest is computed again.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from tvbjax.coupling import AbstractPairwise, Instant, Own
from tvbjax.engine import _afferent
from tvbjax.engine._members import Members
from tvbjax.engine._near import Arrivals, has_near, with_alone, with_near
from tvbjax.engine._network import Network, own_delays
from tvbjax.engine._onward import Onward
from tvbjax.engine._step import Given, LocalStep, Loop, Taken, room_for, steps_in_turn
from tvbjax.engine._stream import Stream


def is_smooth(members: Members) -> bool:
    """Whether regions meet in their coupling alone, so that a step's Jacobian is one for each."""
    simulator = members.simulator
    rules = [link.rule for link in _afferent.links_of(simulator)]
    rules += [rule.rule for rule in rules if isinstance(rule, Own)]
    parts = (simulator.model, simulator.integrator, simulator.noise, *rules)
    return (
        all(_is_ours(part) for part in parts)
        and not any(isinstance(rule, Instant | AbstractPairwise) for rule in rules)
        and not simulator.integrator.ahead
        and not simulator.integrator.needs_no_delays
        and simulator.cortex is None
        and not own_delays(members)
        and not simulator.watches_inputs
        and (simulator.noise is None or not simulator.noise.remembers(1))
    )


def _is_ours(part: Any) -> bool:
    """Whether it is known to compute every region by itself: a user's own part may not."""
    return part is None or type(part).__module__.split(".")[0] in ("tvbjax", "tvbjax_lems")


@eqx.filter_custom_jvp
def smooth_steps(
    members: Members, network: Network, stream: Stream, loop: Loop, given: Given, first: Array
) -> tuple[Loop, Taken]:
    """`steps_in_turn`, where regions meet in their coupling alone."""
    return steps_in_turn(members, network, stream, loop, given, first)


@smooth_steps.def_jvp
def _smooth_steps_jvp(primals, tangents):
    members, network, stream, loop, given, first = primals
    found, taken = smooth_steps(*primals)
    block = _Block(members, network, stream, loop.recent, given, taken.states, taken.sent, first)
    dots = (tangents[0], tangents[1], tangents[3], tangents[4])
    state, recent, states, sent = eqx.filter_checkpoint(_tangents)(block, dots)
    return (found, taken), (Loop(state, recent, None), Taken(states, sent, None))  # type: ignore


class _Block(NamedTuple):
    """A block of steps that were taken."""

    members: Members
    network: Network
    stream: Stream
    recent: Array | None
    given: Given
    states: Array
    sent: Array
    first: Array


def _tangents(block: _Block, dots) -> tuple:
    """The derivatives of the last state, of what was sent last, of all states and all sent."""
    if has_near(block.members.simulator.layout):
        return _tangents_together(block, dots)
    members, network, given = block.members, block.network, block.given
    members_dot, network_dot, loop_dot, given_dot = dots
    states, sums, pushed = _rows(block.states, 1), given.arrived.sums, given.pushed
    moved = _jvp(
        lambda m, n, u, p: _stepped(block, m, n, states, u, p),
        (members, network, sums, pushed),
        (members_dot, network_dot, given_dot.arrived.sums, given_dot.pushed),
    )
    jacobian = _columns(lambda x: _stepped(block, members, network, x, sums, pushed), states)

    def one(state, scanned):
        matrix, rest = scanned
        return _added(_times(matrix, state), rest), state

    last, states_dot = lax.scan(one, _rows(_start(block, loop_dot), 0), (jacobian, moved))
    states_dot = jnp.stack(states_dot, axis=1)
    sent_dot = _jvp(_sent, (members, block.states), (members_dot, states_dot))
    return jnp.stack(last), None, states_dot, sent_dot


def _tangents_together(block: _Block, dots) -> tuple:
    """The same where regions hear others within the block."""
    members, network, given = block.members, block.network, block.given
    members_dot, network_dot, loop_dot, given_dot = dots
    layout, pushed = members.simulator.layout, given.pushed
    numbers = jnp.arange(len(block.states), dtype=jnp.int32)
    window = None
    if block.recent is not None:
        window = jnp.concatenate([block.recent, block.sent])

    def near(network, now, sent, window, number):
        """What arrives in a step; linear in what is sent, and in the weights."""
        column, summed = layout.past + number, sent.shape[1]
        return with_near(layout, network, Arrivals(now, ()), sent, window, column, summed).sums

    def all_near(network):
        return jax.vmap(near, in_axes=(None, 0, 0, None, 0))(
            network, given.arrived.sums, block.sent, window, numbers
        )

    others, others_dot = (
        eqx.tree_at(lambda n: n.alone, one, None, is_leaf=lambda x: x is None)
        for one in (network, network_dot)
    )
    sums, now_dot = all_near(others), given_dot.arrived.sums
    by_weights = _jvp(all_near, (others,), (others_dot,))
    now_dot = by_weights if now_dot is None else now_dot + by_weights
    states, heard = _rows(block.states, 1), _rows(sums, 2)
    moved = _jvp(
        lambda m, n, p: _stepped(block, m, n, states, sums, p),
        (members, network, pushed),
        (members_dot, network_dot, given_dot.pushed),
    )
    by_state = _columns(lambda x: _stepped(block, members, network, x, sums, pushed), states)
    by_sums = _columns(
        lambda u: _stepped(block, members, network, states, jnp.stack(u, axis=2), pushed), heard
    )

    def said_by(members, states):
        return _rows(_sent(members, jnp.stack(states, axis=1)), 2)

    said = _columns(lambda x: said_by(members, x), states)
    said_besides = _jvp(lambda m: said_by(m, states), (members,), (members_dot,))

    recent = loop_dot.recent
    if block.recent is not None:
        recent = jnp.zeros_like(block.recent) if recent is None else recent
        now_dot = now_dot + _recalled(near, others, recent, block.sent)

    def one(loop, scanned):
        state, coming = loop
        by_state, by_sums, said, said_besides, now, rest = scanned
        sent = jnp.stack(_added(_times(said, state), said_besides), axis=1)
        if layout.dense:
            now = near(others, now, sent, None, numbers[0])
        coming = _sent_on(coming, sent, others.short_on)
        arrived = _rows(now + coming[0], 1)
        later = _added(_added(_times(by_state, state), _times(by_sums, arrived)), rest)
        # The sums of the next step come first then, so that all places stay the same.
        coming = jnp.concatenate([coming[1:], jnp.zeros_like(coming[:1])])
        return (later, coming), (state, sent)

    coming = jnp.zeros((layout.past + 1, *block.sent.shape[1:]), block.sent.dtype)
    start = (_rows(_start(block, loop_dot), 0), coming)
    scanned = (by_state, by_sums, said, said_besides, now_dot, moved)
    (last, _), (states_dot, sent_dot) = lax.scan(one, start, scanned)
    if window is not None:
        recent = jnp.concatenate([recent, sent_dot])[-layout.past :]
    return jnp.stack(last), recent, jnp.stack(states_dot, axis=1), sent_dot


def _recalled(near, network: Network, recent: Array, sent: Array) -> Array:
    """What arrives in each step of a block of what was sent before it."""
    nothing, window = jnp.zeros_like(sent[0]), room_for(recent, len(sent))
    numbers = jnp.arange(len(sent), dtype=jnp.int32)
    return jax.vmap(lambda number: near(network, nothing, nothing, window, number))(numbers)


def _sent_on(coming: Array, sent: Array, wires: tuple[Onward, ...]) -> Array:
    """With what a step's signals will add to the sums of this step and the next ones."""
    steps, regions, *rest = coming.shape
    flat = coming.reshape(steps * regions, *rest)
    for part in wires:
        weights = part.weights
        assert weights is not None
        if weights.ndim == 3:
            products = jnp.einsum("rsm,rcm->rscm", weights, sent, precision=lax.Precision.HIGHEST)
        else:
            flat_sent = sent.reshape(regions, -1)
            products = jnp.einsum("rs,rk->rsk", weights, flat_sent, precision=lax.Precision.HIGHEST)
            products = products.reshape(*weights.shape, *rest)
        flat = flat.at[part.delays * regions + part.targets].add(products)
    return flat.reshape(coming.shape)


# State variables, and channels, are arrays of their own here: put together and taken apart again,
# they would keep a compiler from running through them in whole registers.
Rows = tuple[Array, ...]


def _rows(array: Array, axis: int) -> Rows:
    return tuple(lax.index_in_dim(array, i, axis, keepdims=False) for i in range(array.shape[axis]))


def _start(block: _Block, loop_dot) -> Array:
    return jnp.zeros_like(block.states[0]) if loop_dot.state is None else loop_dot.state


def _added(some: Rows, others: Rows) -> Rows:
    return tuple(one + other for one, other in zip(some, others, strict=True))


def _times(matrix: tuple[Rows, ...], vector: Rows) -> Rows:
    """A small matrix, column by column, times a vector, in every region."""
    columns = [[x * factor for x in column] for column, factor in zip(matrix, vector, strict=True)]
    return tuple(functools.reduce(jnp.add, row) for row in zip(*columns, strict=True))


def _stepped(block: _Block, members, network, states: Rows, sums, pushed) -> Rows:
    """The states after each of the steps, from the states before them."""
    stream, drawn = block.stream, block.given.drawn
    axes = (network.axes(members), *(-1,) * 8)

    def one(number, states, sums, drawn, push):
        state = jnp.stack(states)
        normal = None if drawn is None else stream.of_step(drawn)
        sums = with_alone(network, sums, members.over(_afferent.sent, state))
        arrived, step = Arrivals(sums, ()), LocalStep(block.first + number, number)
        memory = jnp.zeros((0, *state.shape[1:]), state.dtype)
        later, _, _ = members.over(
            *(step, network, state, arrived, arrived, None, normal, stream.before, memory, push),
            axes=axes,
        )
        return tuple(later)

    numbers = jnp.arange(len(states[0]), dtype=jnp.int32)
    return jax.vmap(one)(numbers, states, sums, drawn, pushed)


def _sent(members: Members, states: Array) -> Array:
    return jax.vmap(lambda state: members.over(_afferent.sent, state))(states)


def _columns(function, at: Rows) -> tuple[Rows, ...]:
    """The derivatives by each row, region by region."""
    _, push = jax.linearize(function, at)
    zero, one = jnp.zeros_like(at[0]), jnp.ones_like(at[0])
    return tuple(
        push(tuple(one if j == i else zero for j in range(len(at)))) for i in range(len(at))
    )


def _jvp(function, primals, tangents):
    """The derivative; zero where nothing varies."""
    found = eqx.filter_jvp(function, primals, tangents)[1] if jax.tree.leaves(tangents) else None
    shapes = eqx.filter_eval_shape(function, *primals)
    if found is None:
        return jax.tree.map(jnp.zeros_like, shapes)
    return jax.tree.map(
        lambda shape, dot: jnp.zeros_like(shape) if dot is None else dot, shapes, found
    )
