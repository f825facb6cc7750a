"""Gradients against differences of values."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_slope(
    loss: Callable[[Any], Any], at: np.ndarray, *, step: float = 1e-6, rel: float = 1e-6
) -> None:
    """The gradient along three directions is that of central differences, of fourth order."""
    both = jax.jit(jax.value_and_grad(loss))
    gradient = np.asarray(both(jnp.asarray(at))[1])
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    rng = np.random.default_rng(5)
    for _ in range(3):
        way = rng.normal(size=at.shape)
        one, two = (
            float(both(jnp.asarray(at + h * way))[0] - both(jnp.asarray(at - h * way))[0]) / (2 * h)
            for h in (step, 2 * step)
        )
        along = float((gradient * way).sum())
        scale = float(np.linalg.norm(gradient) * np.linalg.norm(way)) / np.sqrt(at.size)
        assert abs((4 * one - two) / 3 - along) < rel * max(abs(along), scale)
