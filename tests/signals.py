"""Monitors fed with signals that are known, and results made of them, without a simulation."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tvbjax.axes import Axis
from tvbjax.engine import Carry
from tvbjax.monitors import AbstractMonitor, Chunk
from tvbjax.result import Note, Result, Samples


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


def result_of(
    values: np.ndarray | Array,
    period: float = 1.0,
    *,
    monitor: str = "bold",
    axes: tuple[Axis, ...] | None = None,
    absent: tuple[tuple[int, ...], ...] = (),
) -> Result:
    """A result that holds values `(time, *place)` as one variable x of one monitor."""
    shape = values.shape
    regions = Axis("region", tuple(f"r{i}" for i in range(shape[1])))
    samples = Samples(
        period * np.arange(1, shape[0] + 1),
        values[:, None],
        ("x",),
        ("",),
        (regions,) if axes is None else axes,
        absent,
    )
    none = jnp.zeros((0, 0))
    count, last = jnp.zeros((), jnp.int32), shape[0]
    final = Carry(count, none, jnp.zeros((0, 0, 0)), none, (), jnp.full(3, -1, jnp.int32))
    labels = tuple(str(label) for label in regions.coordinate)
    return Result({monitor: samples}, final, labels, 0, last, True, Note("{}"))
