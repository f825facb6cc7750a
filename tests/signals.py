"""Monitors fed with signals that are known, without a simulation."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from tvbjax.monitors import AbstractMonitor, Chunk


def observed(
    monitor: AbstractMonitor,
    signal: np.ndarray,
    dt: float,
    *,
    past: np.ndarray | None = None,
    chunks: Sequence[int] | None = None,
    block: int = 8,
) -> np.ndarray:
    """What a monitor gives of a signal `(step, voi, node)` that comes in chunks and blocks.

    `past`: what was before, oldest first, by default the signal's first row.
    """
    carried = monitor.start(jnp.asarray(signal[:1] if past is None else past), dt)
    window, found, first = monitor.window_steps(dt), [], 0
    for steps in chunks or [len(signal)]:
        phase = first % window
        phase = jnp.asarray(phase, jnp.int32) if phase else 0
        chunk = Chunk(phase, jnp.asarray(first, jnp.int32), steps, block, dt)
        buffer = monitor.open(carried, chunk)
        for offset in range(0, steps, block):
            part = signal[first + offset : first + min(offset + block, steps)]
            buffer = monitor.update(
                buffer, jnp.asarray(part), jnp.asarray(offset, jnp.int32), chunk
            )
        carried, samples = monitor.close(carried, buffer, chunk)
        found.append(np.asarray(samples)[: len(monitor.times(first, steps, dt))])
        first += steps
    return np.concatenate(found)
