"""When steps have become too small to change a loss."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# So many times the spacing of numbers about 1.
_SPACINGS = 64.0


def collapsed(
    deviations: Float[Array, "*batch width"], first: Float[Array, " width"]
) -> Bool[Array, ""]:
    """Whether no deviation is above rounding, measured in the first ones, those of the space."""
    least = _SPACINGS * jnp.finfo(deviations.dtype).eps
    return jnp.all(deviations < jnp.broadcast_to(least * first, deviations.shape))
