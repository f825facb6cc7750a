"""Coupling inputs of the steps to come, as far as they are known: those over connections that are
longer. What runs beside the network, such as a spiking region, is told them beforehand."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tvbjax.engine import _afferent
from tvbjax.engine._members import one_member
from tvbjax.engine._network import network_of
from tvbjax.engine._taps import of_taps, taps_of

if TYPE_CHECKING:
    from tvbjax.engine._advance import Carry
    from tvbjax.simulator import Simulator


def inputs_ahead(
    simulator: "Simulator",
    carry: "Carry",
    taps: Int[Array, " tap"],
    ahead: int,
    steps: int,
) -> Float[Array, "step input node"]:
    """The coupling inputs in `steps` steps, the first of which is `ahead` steps from now.

    `taps`: the taps of the connections that are looked at, all of which reach at least
    `ahead + steps - 1` steps back; inputs of regions that have others are of no account.
    """
    network = network_of(one_member(simulator))
    past = _past(simulator, carry)
    sums = jax.vmap(lambda step: _sums(simulator, past, taps, step))(
        ahead + jnp.arange(steps, dtype=jnp.int32)
    )
    return jax.vmap(
        lambda arrived: _afferent.received(simulator, network, carry.state, arrived, ())
    )(sums)


def signals_ahead(
    simulator: "Simulator", carry: "Carry", taps: Int[Array, " tap"], ahead: int, steps: int
) -> Float[Array, "step tap channel"]:
    """What arrives by each of the taps, before it is weighted."""
    past = _past(simulator, carry)
    return jax.vmap(lambda step: _read(simulator, past, taps, step))(
        ahead + jnp.arange(steps, dtype=jnp.int32)
    )


def weights_of(simulator: "Simulator", taps: Int[Array, " tap"]) -> Float[Array, " tap"]:
    """The weights of some taps."""
    connectome, edges = simulator.connectome, simulator.edges
    _, shares = taps_of(simulator, connectome.tract_lengths, connectome.speed)
    return of_taps(edges.weights(connectome.weights), shares)[taps]


def _past(simulator: "Simulator", carry: "Carry") -> Float[Array, "step region channel"]:
    """What was sent, up to now."""
    now = _afferent.sent(simulator, carry.state)
    return jnp.concatenate([carry.past, now[None]])


def _read(simulator: "Simulator", past: Array, taps: Array, step: Array):
    connectome, edges = simulator.connectome, simulator.edges
    delays, _ = taps_of(simulator, connectome.tract_lengths, connectome.speed)
    rows = len(past) - 1 + step - jnp.asarray(delays)[taps]
    return past[rows, edges.sources[taps // simulator.delays.taps]]


def _sums(simulator: "Simulator", past: Array, taps: Array, step: Array):
    edges = simulator.edges
    values = weights_of(simulator, taps)[:, None] * _read(simulator, past, taps, step)
    targets = edges.targets[taps // simulator.delays.taps]
    return jax.ops.segment_sum(values, targets, edges.nodes)
