"""Sums over windows of a period, filled block by block: what sampling and averaging share.

Windows are counted from t = 0: window k holds steps k p + 1 to (k + 1) p. A buffer holds the
windows of one chunk, the first preloaded with what an earlier chunk left unfinished.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.monitors._monitor import Chunk


def open_windows(
    unfinished: Float[Array, "voi node"], period: int, chunk: Chunk
) -> Float[Array, "window voi node"]:
    """Empty windows for a chunk, and what was left unfinished before it."""
    count = -(-(chunk.phase % period + chunk.steps) // period)
    windows = jnp.zeros((count, *unfinished.shape), unfinished.dtype)
    return windows.at[0].set(unfinished)


def add_block(
    windows: Float[Array, "window voi node"],
    values: Float[Array, "steps voi node"],
    offset: Int[Array, ""],
    period: int,
    chunk: Chunk,
) -> Float[Array, "window voi node"]:
    """Add a block's values to their windows.

    Blocks begin at multiples of `chunk.block`: where that and the period fit, a block goes to one
    window or to whole windows, and no scatter is needed.
    """
    phase, length = chunk.phase % period, values.shape[0]
    first = (phase + offset) // period
    if phase % chunk.block == 0 and period % chunk.block == 0:
        return windows.at[first].add(values.sum(axis=0))
    if phase == 0 and chunk.block % period == 0 and length % period == 0:
        sums = values.reshape(length // period, period, *values.shape[1:]).sum(axis=1)
        return lax.dynamic_update_slice_in_dim(windows, sums, first, axis=0)
    index = (phase + offset + jnp.arange(length, dtype=jnp.int32)) // period
    return windows.at[index].add(values)


def close_windows(
    windows: Float[Array, "window voi node"], period: int, chunk: Chunk
) -> tuple[Float[Array, "voi node"], Float[Array, "finished voi node"]]:
    """The unfinished window, and the finished ones."""
    finished = (chunk.phase % period + chunk.steps) // period
    last = windows[-1] if windows.shape[0] > finished else jnp.zeros_like(windows[0])
    return last, windows[:finished]
