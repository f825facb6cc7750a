"""When steps have become too small to change a loss."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# So many times the spacing of numbers about 1.
_SPACINGS = 64.0


def rounding(dtype: Any) -> float:
    """The least share of the space that a step may be: below it losses are rounding's."""
    return _SPACINGS * float(jnp.finfo(dtype).eps)


def collapsed(deviations: Float[Array, "..."], first: Float[Array, "..."]) -> Bool[Array, ""]:
    """Whether no deviation is above rounding, measured in the first ones, those of the space."""
    least = rounding(deviations.dtype) * first
    return jnp.all(deviations < jnp.broadcast_to(least, deviations.shape))
