"""Advance a network by a number of steps: the scan over blocks of steps.

Per step, as in TVB: the coupling from the delayed channels, once, held through the stages of the
integrator; then the local step; the new channels go into the ring. Per block: the noise is drawn,
the monitors reduce the block's states, and the first value that is not finite is noted.
Nothing of the trajectory outlives its block unless a monitor keeps it.
"""

import math
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.engine import _afferent, _history
from tvbjax.engine._network import network_of
from tvbjax.monitors import Chunk

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator

_BLOCK = 32


class Carry(eqx.Module):
    """Everything that a run needs to go on: data in, data out.

    `step`: the number of steps taken. `ring`: the delay buffer. `monitors`: what each monitor
    carries over a chunk's border. `trouble`: step, state variable and region of the first value
    that was not finite, or -1.
    """

    step: Int[Array, ""]
    state: Float[Array, "state node"]
    ring: Float[Array, "row channel"]
    monitors: tuple[tuple[Array, ...], ...]
    trouble: Int[Array, "3"]


def start(simulator: "Simulator", past: Float[Array, "horizon state node"]) -> Carry:
    """The carry at t = 0 of a network with the given history, oldest first, last row t = 0."""
    channels = jax.vmap(lambda x: _afferent.channels(simulator, x))(past)
    ring = _history.fill(channels, _history.slots_for(simulator.horizon))
    carried = tuple(
        monitor.start(simulator.model.observe(past[-1], names=names), simulator.integrator.dt)
        for monitor, names in zip(simulator.monitors, simulator.observed, strict=True)
    )
    none = jnp.full(3, -1, dtype=jnp.int32)
    return Carry(jnp.zeros((), jnp.int32), past[-1], ring, carried, none)


def advance(
    simulator: "Simulator",
    carry: Carry,
    key: Array | None,
    steps: int,
    phases: tuple[int | Int[Array, ""], ...],
) -> tuple[Carry, tuple[Float[Array, "sample voi node"], ...]]:
    """Take `steps` steps; give the new carry and every monitor's samples of that time.

    `phases`: per monitor, how many steps of its window had passed before: the number 0, or traced,
    so that chunks of one length share one compilation, or two. Samples may have rows too many.
    """
    network = network_of(simulator)
    block = _block_length(simulator, steps)
    dt = simulator.integrator.dt
    chunks = tuple(Chunk(phase, carry.step, steps, block, dt) for phase in phases)
    monitors = simulator.monitors
    buffers = tuple(
        monitor.open(carried, chunk)
        for monitor, carried, chunk in zip(monitors, carry.monitors, chunks, strict=True)
    )

    def run_block(loop, offset, length):
        state, ring, trouble, buffers = loop
        first = carry.step + offset
        state, ring, states = _steps(simulator, network, state, ring, key, first, length)
        trouble = jnp.where(trouble[0] < 0, _first_trouble(states, first), trouble)
        buffers = _observe(simulator, buffers, states, offset, chunks)
        return (state, ring, trouble, buffers), None

    loop = (carry.state, carry.ring, carry.trouble, buffers)
    whole, rest = divmod(steps, block)
    offsets = block * jnp.arange(whole, dtype=jnp.int32)
    loop, _ = lax.scan(lambda c, offset: run_block(c, offset, block), loop, offsets)
    if rest:
        loop, _ = run_block(loop, jnp.asarray(whole * block, jnp.int32), rest)

    state, ring, trouble, buffers = loop
    closed = [
        monitor.close(carried, buffer, chunk)
        for monitor, carried, buffer, chunk in zip(
            monitors, carry.monitors, buffers, chunks, strict=True
        )
    ]
    carried = tuple(c for c, _ in closed)
    return Carry(carry.step + steps, state, ring, carried, trouble), tuple(s for _, s in closed)


def _steps(simulator, network, state, ring, key, first, length):
    """`length` steps; also gives their states, `(length, state, node)`."""
    dt = simulator.integrator.dt
    noise = simulator.noise
    kicks = None
    if noise is not None:
        kicks = noise.increments(key, first, length, state.shape, dt).astype(state.dtype)

    def one(loop, scanned):
        state, ring = loop
        step, kick = scanned
        inputs, ring = _afferent.inputs(simulator, network, state, ring, step)
        time = dt * step.astype(state.dtype)

        def drift(x):
            return simulator.model.dfun(x, inputs, t=time)

        def bound(x):
            return jnp.clip(x, network.lower, network.upper) if simulator.bounded else x

        state = simulator.integrator.step(drift, bound, state, kick)
        return (state, ring), state

    scanned = (first + jnp.arange(length, dtype=jnp.int32), kicks)
    (state, ring), states = lax.scan(one, (state, ring), scanned)
    return state, ring, states


def _observe(simulator, buffers, states, offset, chunks):
    """The monitors' buffers after a block of states."""

    def seen(names):
        return jax.vmap(lambda state: simulator.model.observe(state, names=names))(states)

    return tuple(
        monitor.update(buffer, seen(names), offset, chunk)
        for monitor, buffer, names, chunk in zip(
            simulator.monitors, buffers, simulator.observed, chunks, strict=True
        )
    )


def _first_trouble(states: Float[Array, "steps state node"], first: Int[Array, ""]):
    """Step, state variable and region of the first value that is not finite, or -1."""
    bad = ~jnp.isfinite(states)
    index = jnp.argmax(bad).astype(jnp.int32)
    where = jnp.stack(jnp.unravel_index(index, states.shape)).astype(jnp.int32)
    where = where.at[0].add(first + 1)
    return jnp.where(bad.any(), where, -1)


def _block_length(simulator: "Simulator", steps: int) -> int:
    """A block that fits the monitors' windows where one can: they then need no scattering."""
    windows = [monitor.window_steps(simulator.integrator.dt) for monitor in simulator.monitors]
    windows = [window for window in windows if window > 1] or [1]
    common, shared = math.lcm(*windows), math.gcd(*windows)
    if common <= 2 * _BLOCK:
        best = common * max(1, _BLOCK // common)
    else:
        divisor = max(d for d in range(1, 2 * _BLOCK + 1) if shared % d == 0)
        best = divisor if divisor >= _BLOCK // 4 else _BLOCK
    return max(1, min(best, steps))
