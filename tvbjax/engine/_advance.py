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
from tvbjax.engine._network import Network, network_of
from tvbjax.monitors import Chunk

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator

_BLOCK = 32


class Carry(eqx.Module):
    """Everything that a run needs to go on: data in, data out.

    `step`: the number of steps taken. `ring`: the delay buffer. `noise`: what coloured noise
    remembers. `monitors`: what each monitor carries over a chunk's border. `trouble`: step, state
    variable and region of the first value that was not finite, or -1.
    """

    step: Int[Array, ""]
    state: Float[Array, "state node"]
    ring: Float[Array, "row channel"]
    noise: Float[Array, "remembered node"]
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
    rows = 0 if simulator.noise is None else simulator.noise.remembers(past.shape[1])
    memory = jnp.zeros((rows, past.shape[2]), past.dtype)
    return Carry(jnp.zeros((), jnp.int32), past[-1], ring, memory, carried, none)


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
        state, ring, memory, trouble, buffers = loop
        first = carry.step + offset
        kicks, memory = _kicks(simulator, key, first, length, state, memory)
        state, ring, states = _steps(simulator, network, state, ring, kicks, first, length)
        trouble = jnp.where(trouble[0] < 0, _first_trouble(states, first), trouble)
        buffers = _observe(simulator, buffers, states, offset, chunks)
        return (state, ring, memory, trouble, buffers), None

    loop = (carry.state, carry.ring, carry.noise, carry.trouble, buffers)
    whole, rest = divmod(steps, block)
    offsets = block * jnp.arange(whole, dtype=jnp.int32)
    loop, _ = lax.scan(lambda c, offset: run_block(c, offset, block), loop, offsets)
    if rest:
        loop, _ = run_block(loop, jnp.asarray(whole * block, jnp.int32), rest)

    state, ring, memory, trouble, buffers = loop
    closed = [
        monitor.close(carried, buffer, chunk)
        for monitor, carried, buffer, chunk in zip(
            monitors, carry.monitors, buffers, chunks, strict=True
        )
    ]
    carried = tuple(c for c, _ in closed)
    final = Carry(carry.step + steps, state, ring, memory, carried, trouble)
    return final, tuple(samples for _, samples in closed)


def _kicks(simulator, key, first, length, state, memory):
    """The random increments of `length` steps, None without noise, and the noise's memory."""
    noise, dt = simulator.noise, simulator.integrator.dt
    if noise is None:
        return None, memory
    kicks, memory = noise.increments(key, first, length, state.shape, dt, memory)
    return kicks.astype(state.dtype), memory.astype(state.dtype)


class _Drift(eqx.Module):
    """The time derivative of the network in one step."""

    simulator: "Simulator"
    network: Network
    inputs: Float[Array, "input node"]
    ring: Float[Array, "row channel"]
    step: Int[Array, ""]

    def __call__(self, x: Float[Array, "state node"]) -> Float[Array, "state node"]:
        return self._with(x, self.inputs, 0)

    def recoupled(self, x: Float[Array, "state node"], ahead: int) -> Float[Array, "state node"]:
        later = self.step + ahead
        inputs, _ = _afferent.inputs(self.simulator, self.network, x, self.ring, later)
        return self._with(x, inputs, ahead)

    def _with(self, x, inputs, ahead):
        time = self.simulator.integrator.dt * (self.step + ahead).astype(x.dtype)
        return self.simulator.model.dfun(x, inputs, t=time)


def _steps(simulator, network, state, ring, kicks, first, length):
    """`length` steps; also gives their states, `(length, state, node)`."""

    def one(loop, scanned):
        state, ring = loop
        step, increment = scanned
        inputs, ring = _afferent.inputs(simulator, network, state, ring, step)
        drift = _Drift(simulator, network, inputs, ring, step)

        def bound(x):
            x = jnp.clip(x, network.lower, network.upper) if simulator.bounded else x
            return x if network.members is None else jnp.where(network.members, x, 0.0)

        def kick(x):
            gain = simulator.noise.gain(x)
            return increment if gain is None else gain * increment

        noisy = None if increment is None else kick
        state = simulator.integrator.step(drift, bound, state, noisy)
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
