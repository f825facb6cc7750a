"""Sums over windows of a period, filled block by block: what sampling and averaging share.

Windows are counted from t = 0: window k holds steps k p + 1 to (k + 1) p. A buffer holds the
windows of one chunk, the first preloaded with what an earlier chunk left unfinished.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.monitors._monitor import Chunk

Windows = Float[Array, "window voi node"]


def open_windows(unfinished: Float[Array, "voi node"], period: int, chunk: Chunk) -> Windows:
    """Empty windows for a chunk, and what was left unfinished before it.

    One row more than can be filled, so that there always is an unfinished one.
    """
    longest_phase = 0 if _in_phase(chunk) else period - 1
    count = (longest_phase + chunk.steps) // period + 1
    windows = jnp.zeros((count, *unfinished.shape), unfinished.dtype)
    return windows.at[0].set(unfinished)


def add_block(
    windows: Windows,
    values: Float[Array, "steps voi node"],
    offset: Int[Array, ""],
    period: int,
    chunk: Chunk,
) -> Windows:
    """Add a block's values to their windows.

    Blocks begin at multiples of `chunk.block`: where that, the period and the chunk fit, a block
    goes to one window or to whole windows. Otherwise each window's part of the block is summed
    first: a long sum of single steps would round more.
    """
    length = values.shape[0]
    first = (chunk.phase + offset) // period
    if _in_phase(chunk) and period % chunk.block == 0:
        return windows.at[first].add(_sums(values[None])[0])
    if _in_phase(chunk) and chunk.block % period == 0 and length % period == 0:
        sums = _sums(values.reshape(length // period, period, *values.shape[1:]))
        return put_rows(windows, sums, first)
    own = (chunk.phase + offset + jnp.arange(length, dtype=jnp.int32)) // period - first
    touched = (length - 1) // period + 2
    sums = jax.ops.segment_sum(values, own, num_segments=touched, indices_are_sorted=True)
    rows = first + jnp.arange(touched, dtype=jnp.int32)
    return windows.at[rows].add(sums, mode="drop")


@eqx.filter_custom_jvp
def put_rows(
    buffer: Float[Array, "row *rest"], rows: Float[Array, "some *rest"], first: Int[Array, ""]
) -> Float[Array, "row *rest"]:
    """With rows from the first on, which were zeros until now."""
    return lax.dynamic_update_slice_in_dim(buffer, rows, first, axis=0)


@put_rows.def_jvp
def _put_rows_jvp(primals, tangents):
    # Zeros have no derivative: these are added, so that reverse mode need not clear whole buffers.
    buffer, rows, first = primals
    buffer_dot, rows_dot, _ = tangents
    dot = jnp.zeros_like(buffer) if buffer_dot is None else buffer_dot
    if rows_dot is not None:
        dimensions = lax.ScatterDimensionNumbers(
            update_window_dims=tuple(range(rows.ndim)),
            inserted_window_dims=(),
            scatter_dims_to_operand_dims=(0,),
        )
        place = jnp.asarray(first, jnp.int32)[None]
        mode = lax.GatherScatterMode.CLIP
        dot = lax.scatter_add(dot, place, rows_dot, dimensions, mode=mode)
    return put_rows(buffer, rows, first), dot


def close_windows(
    windows: Windows, period: int, chunk: Chunk
) -> tuple[Float[Array, "voi node"], Float[Array, "finished voi node"], Int[Array, ""]]:
    """The unfinished window, the others, and how many of them are finished."""
    finished = jnp.asarray((chunk.phase + chunk.steps) // period, jnp.int32)
    unfinished = lax.dynamic_index_in_dim(windows, finished, keepdims=False)
    return unfinished, windows[:-1], finished


def _sums(parts: Float[Array, "part steps voi node"]) -> Float[Array, "part voi node"]:
    """The sum of each part: as a product of matrices, which on a CPU is many times as fast."""
    count, steps, *rest = parts.shape
    flat = parts.reshape(count, steps, math.prod(rest))
    ones = jnp.ones((count, steps), parts.dtype)
    sums = jnp.einsum("ps,psk->pk", ones, flat, precision=lax.Precision.HIGHEST)
    return sums.reshape(count, *rest)


def _in_phase(chunk: Chunk) -> bool:
    return isinstance(chunk.phase, int) and chunk.phase == 0
