"""Means of the neural signal over a few ms: what haemodynamics, which are slow, are driven by."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tvbjax.monitors._monitor import Chunk, steps_of_period

_LONGEST = 4.0  # ms: TVB's sampling of the neural signal, far below the time scales of blood


def interim_steps(period: int, interim: float | None, dt: float, who: str) -> int:
    """Steps in one mean: what is asked for, or the period's largest divisor up to 4 ms.

    Raises `ValueError` where the period, in steps, is no multiple of it.
    """
    if interim is None:
        longest = max(1, min(period, math.floor(_LONGEST / dt + 1e-9)))
        return next(n for n in range(longest, 0, -1) if period % n == 0)
    steps = steps_of_period(interim, dt, f"{who}: interim")
    if period % steps:
        says = "is shorter than" if period < steps else "is no multiple of"
        raise ValueError(
            f"{who}: the period of {period * dt:.10g} ms {says} the interim step of "
            f"{interim:.10g} ms; give an interim step that fits into it, or leave it out."
        )
    return steps


def means_of_past(past: Float[Array, "step voi node"], interim: int) -> Float[Array, "mean voi *n"]:
    """The means over the steps up to t = 0, oldest first; the oldest step is held before."""
    missing = -len(past) % interim
    oldest = jnp.broadcast_to(past[:1], (missing, *past.shape[1:]))
    whole = jnp.concatenate([oldest, past])
    return whole.reshape(-1, interim, *past.shape[1:]).mean(axis=1)


def sample_ends(chunk: Chunk, interim: int, per_sample: int, rows: int) -> Int[Array, " sample"]:
    """How many of a chunk's means have passed when each of its samples is due."""
    before = chunk.first // interim % per_sample
    most = (rows + per_sample - 1) // per_sample
    return per_sample * jnp.arange(1, most + 1, dtype=jnp.int32) - before
