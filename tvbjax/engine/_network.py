"""What stays the same over a run: weights, delays, bounds, gathered once outside the loop."""

from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tvbjax.coupling import Instant
from tvbjax.mixed import Mixed

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


class Network(eqx.Module):
    """`dense`: the weights as a matrix, where something is summed without delay. `members`: which
    region has which state variable, where the models are mixed."""

    weights: Float[Array, "node degree"]
    dense: Float[Array, "node node"] | None
    delays: Int[Array, "node degree"]
    strength: Float[Array, " node"]
    lower: Float[Array, "state 1"]
    upper: Float[Array, "state 1"]
    members: Bool[Array, "state node"] | None


def network_of(simulator: "Simulator") -> Network:
    """The network of a simulator; an error where its leaves no longer fit its edges."""
    connectome, edges = simulator.connectome, simulator.edges
    weights = edges.weights(connectome.weights)
    dt = simulator.integrator.dt
    delays = edges.delay_steps(connectome.tract_lengths, connectome.speed, dt)
    weights = eqx.error_if(
        weights,
        (delays >= simulator.horizon) | (delays < 0),
        f"simulate: a delay exceeds the history of {simulator.horizon} steps; build the Simulator "
        "with the slowest speed or the longest tracts, or give it horizon=.",
    )
    weights = eqx.error_if(
        weights,
        jnp.count_nonzero(connectome.weights) > jnp.count_nonzero(weights),
        "simulate: the weights have connections that the Simulator was not built with; build it "
        "anew from a connectome in which every connection that may vary is not zero.",
    )
    dtype = weights.dtype
    lower, upper = (jnp.asarray(b, dtype)[:, None] for b in zip(*simulator.bounds, strict=True))
    rules = [rule for rules in simulator.rules for rule in rules]
    at_once = any(isinstance(rule, Instant) and rule.weights is None for rule in rules)
    dense = edges.matrix(weights) if simulator.horizon == 1 or at_once else None
    model = simulator.model
    members = jnp.asarray(model.members) if isinstance(model, Mixed) else None
    return Network(weights, dense, delays, weights.sum(axis=1), lower, upper, members)
