"""What the functions of signals ask of them: two dimensions, enough samples, for some no NaN; and
of their other arguments."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Signals = Float[Array | np.ndarray, "time region"]


def as_signals(
    name: str, signals: Signals, samples: int = 1, what: str = "signals"
) -> Float[Array, "time region"]:
    """The signals as a JAX array; `name`: of the function that asks, and `what` they are there, for
    the error."""
    _check(name, signals, samples, what)
    return as_floating(signals)


def as_floating(values: Any) -> Array:
    """A JAX array of floats: whole numbers in the default type, floats in their own."""
    found = jnp.asarray(values)
    return found if jnp.issubdtype(found.dtype, jnp.floating) else found.astype(float)


def as_finite_signals(
    name: str, signals: Signals, samples: int = 1
) -> Float[np.ndarray, "time region"]:
    """The signals as a NumPy array without NaN or infinity."""
    _check(name, signals, samples)
    found = np.asarray(signals, float)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        time, region = bad[0]
        raise ValueError(
            f"{name}: signals[{time}, {region}] is {found[time, region]}; leave out or fill in "
            f"what is missing ({len(bad)} of {found.size} values)."
        )
    return found


def size_of(values: Array, axis: int | None = None) -> Array:
    """The power of two below the largest magnitude, its axis kept, 1 where there is none: to divide
    by it rounds nothing. To gradients a constant.

    Squares of 1e-23 or 1e20 are 0 or infinite in single precision: what is computed by squares and
    does not depend on scale, or only as its unit does, is computed of `values / size_of(values)`.
    """
    largest = jax.lax.stop_gradient(jnp.abs(values).max(axis=axis, keepdims=True))
    one = jnp.ones_like(largest)
    size = jnp.ldexp(one, jnp.frexp(largest)[1] - 1)
    return jnp.where((largest > 0) & jnp.isfinite(largest), size, one)


def centred(values: Array, axis: int = 0) -> Array:
    """Without their means along an axis. Twice: the mean of large values is rounded as they are."""
    rest = values - values.mean(axis=axis, keepdims=True)
    return rest - rest.mean(axis=axis, keepdims=True)


def as_whole(name: str, what: str, value: Any) -> int:
    """A whole number of Python's, of NumPy's or JAX's as well. Raises `TypeError` for others."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {what}={value!r:.60}; give a whole number.") from None


def as_period(name: str, period: Any) -> float:
    """Time between samples, ms. Raises `ValueError` where it is not one positive finite number."""
    if np.shape(period) != () or not 0 < period < np.inf:
        raise ValueError(f"{name}: the period is {period!r:.60} ms; give a positive time.")
    return float(period)


def check_band(name: str, low: float, high: float, period: float) -> None:
    """Raises `ValueError` where a band is not between 0 and half the sampling rate, Hz."""
    nyquist = 500.0 / period
    if not 0 < low < high < nyquist:
        raise ValueError(
            f"{name}: the band is {low} to {high} Hz of signals sampled every {period} ms; give "
            f"0 < low < high < {nyquist:g} Hz, half the sampling rate."
        )


def _check(name: str, signals: Signals, samples: int, what: str = "signals") -> None:
    kind = getattr(signals, "dtype", None) or np.asarray(signals).dtype
    if not any(jnp.issubdtype(kind, real) for real in (jnp.floating, jnp.integer, jnp.bool_)):
        raise TypeError(
            f"{name}: {what} are of the type {kind}; give real numbers (of complex ones abs(...) "
            f"or {what}.real)."
        )
    shape = np.shape(signals)
    if len(shape) != 2:
        raise ValueError(
            f"{name}: {what} have the shape {shape}; give (time, region): {what}[:, None] of "
            "one region, values[:, 0] of a result's (time, variable, region)."
        )
    if shape[0] < samples or shape[1] < 1:
        raise ValueError(
            f"{name}: {what} have the shape {shape} (time, region); give {samples} samples or "
            "more of a region or more."
        )
