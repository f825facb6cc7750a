"""What an optimisee gives back, in one form, whatever it is."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array


class Evaluated(eqx.Module):
    """What an optimisee may return in place of a loss.

    `loss`: one number, or a row of objectives. `outputs`: what was simulated, a row that ensemble
    Kalman inversion compares with data. `more`: numbers and arrays by name, kept with the study.
    """

    loss: Any
    outputs: Any = None
    more: dict[str, Any] = eqx.field(default_factory=dict)


def evaluated(value: Any) -> Evaluated:
    """A loss, or an `Evaluated`, as an `Evaluated` of arrays."""
    if not isinstance(value, Evaluated):
        value = Evaluated(value)
    dtype = jnp.result_type(float)
    outputs = None if value.outputs is None else jnp.ravel(jnp.asarray(value.outputs, dtype))
    more = {name: jnp.asarray(part) for name, part in value.more.items()}
    return Evaluated(jnp.asarray(value.loss, dtype), outputs, more)


def loss_of(found: Evaluated) -> Array:
    """Raises `TypeError` for a loss of another form than a number or a row."""
    if found.loss.ndim > 1:
        raise TypeError(
            f"the loss has the shape {found.loss.shape}; return a number, or a row of objectives."
        )
    return found.loss
