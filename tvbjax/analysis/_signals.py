"""What the functions of signals ask of them: two dimensions, enough samples, for some no NaN."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Signals = Float[Array | np.ndarray, "time region"]


def as_signals(name: str, signals: Signals, samples: int = 1) -> Float[Array, "time region"]:
    """The signals as a JAX array; `name`: of the function that asks, for the error."""
    _check_shape(name, signals, samples)
    found = jnp.asarray(signals)
    return found if jnp.issubdtype(found.dtype, jnp.floating) else found.astype(float)


def as_finite_signals(
    name: str, signals: Signals, samples: int = 1
) -> Float[np.ndarray, "time region"]:
    """The signals as a NumPy array without NaN or infinity."""
    _check_shape(name, signals, samples)
    found = np.asarray(signals, float)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        time, region = bad[0]
        raise ValueError(
            f"{name}: signals[{time}, {region}] is {found[time, region]}; leave out or fill in "
            f"what is missing ({len(bad)} of {found.size} values)."
        )
    return found


def check_period(name: str, period: float) -> None:
    """Raises `ValueError` where the time between samples, ms, is not positive and finite."""
    if not 0 < period < np.inf:
        raise ValueError(f"{name}: the period is {period!r} ms; give a positive time.")


def check_band(name: str, low: float, high: float, period: float) -> None:
    """Raises `ValueError` where a band is not between 0 and half the sampling rate, Hz."""
    nyquist = 500.0 / period
    if not 0 < low < high < nyquist:
        raise ValueError(
            f"{name}: the band is {low} to {high} Hz of signals sampled every {period} ms; give "
            f"0 < low < high < {nyquist:g} Hz, half the sampling rate."
        )


def _check_shape(name: str, signals: Signals, samples: int) -> None:
    shape = np.shape(signals)
    if len(shape) != 2:
        raise ValueError(
            f"{name}: signals have the shape {shape}; give (time, region): signals[:, None] of "
            "one region, values[:, 0] of a result's (time, variable, region)."
        )
    if shape[0] < samples or shape[1] < 1:
        raise ValueError(
            f"{name}: signals have the shape {shape} (time, region); give {samples} samples or "
            "more of a region or more."
        )
