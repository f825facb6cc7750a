"""Taps: the steps of the past that connections read, one after another, connection by connection.

A connection with several is as many in the layout: tap t belongs to connection `t // taps`. Their
weights are shares of the connection's.
"""

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tvbjax.delays import Taps, Values

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


def taps_of(
    simulator: "Simulator", lengths: Values, speed: Values, factor: float = 1.0
) -> tuple[Int[Values, " tap"], Float[Values, " tap"] | None]:
    """How far back every tap reads, -1 where there is no such delay, and its share of a weight,
    None where that is 1. `factor`: of the delays."""
    integrator = simulator.integrator
    delays = factor * simulator.edges.delays(lengths, speed, integrator.dt)
    held = not (integrator.ahead or integrator.needs_no_delays)
    steps, shares = Taps(*simulator.delays.read(delays, held))
    return steps.reshape(-1), None if shares is None else shares.reshape(-1)


def of_taps(
    weights: Float[Array, "edge *member"], shares: Float[Values, "tap *own"] | None
) -> Float[Array, "tap *some"]:
    """The weights of the taps."""
    if shares is None:
        return weights
    each = jnp.repeat(weights, len(shares) // max(len(weights), 1), axis=0)
    if each.ndim < shares.ndim:
        each = each[:, None]
    return each * (shares[:, None] if shares.ndim < each.ndim else shares)
