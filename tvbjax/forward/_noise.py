"""Observation noise: what instruments add, where and only where it is asked for."""

import dataclasses
from typing import TYPE_CHECKING, TypeVar

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tvbjax.arrays import as_floats, check_one_key, is_traced, matmul

if TYPE_CHECKING:  # importing it takes half a second, and arrays need none
    import xarray

    import tvbjax.result

Samples = TypeVar("Samples", "xarray.DataArray", "tvbjax.result.Samples", Array, np.ndarray)


def with_noise(
    samples: Samples,
    standard_deviation: float | Float[Array, "*channel"] | Float[np.ndarray, "*channel"] | None,
    key: PRNGKeyArray,
    *,
    covariance: Float[Array, "channel channel"]
    | Float[np.ndarray, "channel channel"]
    | None = None,
) -> Samples:
    """The samples and Gaussian noise, independent from sample to sample; nothing else is changed.

    `samples`: an array with the channels last, a DataArray with the dimension `channel` (else the
    last one is meant), or a monitor's samples, `result.samples["eeg"]`. `standard_deviation`: of
    each sample, whatever the time between samples, in the samples' unit; one for all or one for
    each channel. `covariance`: between channels, instead of it (then None), symmetric and not
    negative; it may be singular, as that of a common reference is. Equal keys give equal noise.

    TVB adds noise of the standard deviation sqrt(dt) to every EEG, MEG and SEEG, whatever is asked.

    Raises ValueError for both or none of the two, for shapes that do not fit, and for negative
    numbers.
    """
    check_one_key("with_noise", key)
    if hasattr(samples, "axes") and hasattr(samples, "variables"):  # a monitor's
        noisy = with_noise(
            samples.values,  # type: ignore
            standard_deviation,
            key,
            covariance=covariance,
        )
        return dataclasses.replace(samples, values=noisy)  # type: ignore
    values, axis = _values_and_channel(samples)
    channels = values.shape[axis]
    if (standard_deviation is None) == (covariance is None):
        raise ValueError(
            "with_noise: give a standard deviation, or None and covariance=...; one of the two."
        )
    white = jr.normal(key, (*np.delete(values.shape, axis), channels), values.dtype)
    if covariance is None:
        spread = _deviations(standard_deviation, channels).astype(values.dtype)
        noise = white * spread.reshape((1,) * (white.ndim - 1) + (-1,))
    else:
        noise = matmul(white, _root(covariance, channels).astype(values.dtype))
    noisy = values + jnp.moveaxis(noise, -1, axis)
    if hasattr(samples, "dims"):
        return samples.copy(data=np.asarray(noisy))  # type: ignore
    return noisy  # type: ignore


def _values_and_channel(samples) -> tuple[Array, int]:
    dims = getattr(samples, "dims", ())
    if not dims and not hasattr(samples, "dtype"):
        raise TypeError(
            f"with_noise: samples are {samples!r:.60}; give an array, or what a monitor measured: "
            'result["eeg"].'
        )
    values = jnp.asarray(samples.values if dims else samples)
    if not values.ndim or not jnp.issubdtype(values.dtype, jnp.floating):
        raise ValueError(
            f"with_noise: the samples have the shape {values.shape} and the type {values.dtype}; "
            "give an array of floats, (..., channel)."
        )
    return values, dims.index("channel") if "channel" in dims else values.ndim - 1


def _deviations(given, channels: int) -> Array:
    spread = as_floats(given)
    if spread.shape not in ((), (1,), (channels,)):
        raise ValueError(
            f"with_noise: standard_deviation has the shape {spread.shape} and there are {channels} "
            "channels; give one number, or one for each."
        )
    if not is_traced(spread) and not bool((spread >= 0).all()):
        raise ValueError("with_noise: standard_deviation is negative or NaN; give numbers >= 0.")
    return spread


def _root(covariance, channels: int) -> Array:
    """The symmetric root: unlike Cholesky's factor it exists for singular matrices, too."""
    matrix = as_floats(covariance)
    if matrix.shape != (channels, channels):
        raise ValueError(
            f"with_noise: covariance has the shape {matrix.shape} and there are {channels} "
            "channels; give (channel, channel)."
        )
    values, vectors = jnp.linalg.eigh(matrix)
    if not is_traced(matrix):
        size = float(jnp.abs(matrix).max())
        tolerance = 1e3 * size * float(jnp.finfo(matrix.dtype).eps)
        if not bool(jnp.abs(matrix - matrix.T).max() <= tolerance):
            raise ValueError("with_noise: covariance is not symmetric, or NaN; give (C + C.T) / 2.")
        if float(values[0]) < -channels * tolerance:
            raise ValueError(
                f"with_noise: covariance has the negative eigenvalue {float(values[0]):.3g}, so it "
                "is the covariance of nothing."
            )
    return matmul(vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None], vectors.T)
