"""The delay buffer: write the newest channels, read each connection's delayed ones.

A ring of past steps, a power of two long, so that the slot of step n is a bit mask of n. Rows are
(slot, node), columns are channels: an edge reads one contiguous row. Knows no coupling rule.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

Ring = Float[Array, "row channel"]


def slots_for(horizon: int) -> int:
    """The least power of two that holds `horizon` steps."""
    return 1 << max(0, horizon - 1).bit_length()


def fill(past: Float[Array, "horizon node channel"], slots: int) -> Ring:
    """A ring at step 0 that holds `past`, oldest first, its last row being step 0."""
    horizon, nodes, channels = past.shape
    oldest = jnp.broadcast_to(past[:1], (slots - horizon, nodes, channels))
    in_order = jnp.concatenate([oldest, past])
    return jnp.roll(in_order, 1, axis=0).reshape(slots * nodes, channels)


def write(ring: Ring, now: Float[Array, "node channel"], step: Int[Array, ""]) -> Ring:
    """The ring with the channels of step `step`."""
    nodes = now.shape[0]
    slots = ring.shape[0] // nodes
    return lax.dynamic_update_slice(ring, now, ((step & (slots - 1)) * nodes, jnp.zeros_like(step)))


def delayed(
    ring: Ring,
    step: Int[Array, ""],
    sources: Int[Array, "node degree"],
    delays: Int[Array, "node degree"],
) -> Float[Array, "node degree channel"]:
    """`h_j(step - d_ij)` of every channel, for every connection."""
    nodes = sources.shape[0]
    slots = ring.shape[0] // nodes
    rows = ((step - delays) & (slots - 1)) * nodes + sources
    return ring.at[rows].get(mode="promise_in_bounds")


def weighted(
    weights: Float[Array, "node degree"], sent: Float[Array, "node degree channel"]
) -> Float[Array, "channel node"]:
    """`sum_j w_ij sent_ij` of every channel."""
    return jnp.einsum("nd,ndc->cn", weights, sent, precision=lax.Precision.HIGHEST)
