"""What arrives in a step at once: over connections shorter than a block, without delay, alone.

It depends on the present state, or on states of the same block, and so is found step by step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.engine._history import weighted
from tvbjax.engine._layout import Layout
from tvbjax.engine._network import Network, Wires

Sent = Float[Array, "region channel *member"]


class Arrivals(NamedTuple):
    """What arrives in a step, or in several along a first axis.

    `sums`: weighted and summed, `(node, channel, member)`. `theirs`: what pairs read over each
    connection, bundle by bundle, `(node, slot, channel, member)`.
    """

    sums: Array
    theirs: tuple[Array, ...]


def with_near(
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
    signals = sent[:, :summed]
    sums, theirs = with_alone(network, far.sums, signals), far.theirs
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


def with_alone(network: Network, sums: Array, signals: Sent) -> Array:
    """With what regions hear of themselves without delay."""
    if network.alone is None:
        return sums
    return sums + network.alone.reshape(_shape_beside(network.alone, signals)) * signals


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


def _vector_product(signals: Array, weights: Array) -> Array:
    return jnp.matmul(signals, weights, precision=lax.Precision.HIGHEST)


def has_near(layout: Layout) -> bool:
    """Whether regions hear others that are in the same block, or of this very step."""
    return bool(layout.short.parts) or layout.dense
