"""What an optimisee gives back, in one form, whatever it is."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp


class Evaluated(eqx.Module):
    """What an optimisee may return in place of a loss.

    `loss`: one number, or a row of objectives. `outputs`: what was simulated, a row that ensemble
    Kalman inversion compares with data. `more`: numbers and arrays by name, kept with the study.
    """

    loss: Any
    outputs: Any = None
    more: dict[str, Any] = eqx.field(default_factory=dict)


def evaluated(value: Any, *, batched: bool = False) -> Evaluated:
    """A loss, or an `Evaluated`, as an `Evaluated` of arrays. `batched`: of several candidates,
    with a first axis. Raises `TypeError` for a loss of another form than a number or a row."""
    if not isinstance(value, Evaluated):
        value = Evaluated(value)
    dtype = jnp.result_type(float)
    try:
        kind = jnp.asarray(value.loss).dtype.kind
    except (TypeError, ValueError):
        kind = ""
    if not kind or kind not in "fiu":
        raise TypeError(
            f"l2l: the function returned {value.loss!r:.60} for a loss; return a real number, a "
            "row of objectives, or Evaluated(loss, outputs, more)."
        )
    loss, first = jnp.asarray(value.loss, dtype), int(batched)
    if loss.ndim not in (first, first + 1):
        raise TypeError(
            f"l2l: the loss has the shape {loss.shape}; return a number, or a row of objectives"
            + (", of each candidate." if batched else ".")
        )
    outputs = value.outputs
    if outputs is not None:
        outputs = jnp.asarray(outputs, dtype)
        outputs = outputs.reshape(*outputs.shape[:first], -1)
    more = {name: jnp.asarray(part) for name, part in value.more.items()}
    return Evaluated(loss, outputs, more)
