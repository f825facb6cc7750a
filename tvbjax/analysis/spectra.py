"""Spectra of signals by Welch's method: power, power in bands, coherence. JAX throughout.

Everywhere Hann windows of `segment` samples that overlap by half, each without its mean;
frequencies in Hz, times in ms.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from tvbjax.analysis._signals import (
    Signals,
    as_floating,
    as_period,
    as_signals,
    as_whole,
    centred,
    size_of,
)


def power_spectrum(
    signals: Signals, period: float, segment: int
) -> Float[Array, "frequency region"]:
    """Welch's estimate of the power spectral density, unit squared per Hz, at `frequencies`.

    Hann windows of `segment` samples that overlap by half, each without its mean. `period`: ms
    between samples. Raises `ValueError` where a segment is longer than the signal.
    """
    values = as_signals("power_spectrum", signals)
    period = as_period("power_spectrum", period)
    segment = _as_segment("power_spectrum", segment, len(values))
    return _welch(values, period, segment)


def frequencies(period: float, segment: int) -> Float[np.ndarray, " frequency"]:
    """The frequencies of a power spectrum, Hz. `period`: ms between samples; `segment`: samples."""
    segment = _as_segment("frequencies", segment)
    return np.fft.rfftfreq(segment, as_period("frequencies", period) / 1000.0)


def band_power(
    density: Float[Array | np.ndarray, "frequency region"],
    frequency: Float[np.ndarray, " frequency"],
    low: float,
    high: float,
) -> Float[Array, " region"]:
    """Power of the frequencies low <= f < high, unit squared: the density's sum times its spacing.

    `density`, `frequency`: of `power_spectrum` and `frequencies`. Bands that follow one another add
    up to the whole, which is about the variance. Divide by the power of a wider band for the
    relative power. Raises `ValueError` where no frequency lies in the band.
    """
    frequency, values = np.asarray(frequency), as_floating(density)
    if frequency.ndim != 1 or values.shape[:1] != frequency.shape or len(frequency) < 2:
        raise ValueError(
            f"band_power: a density of shape {values.shape} and {frequency.size} frequencies; "
            "give those of one spectrum, frequencies(period, segment)."
        )
    inside = np.flatnonzero((low <= frequency) & (frequency < high))
    if not len(inside):
        raise ValueError(
            f"band_power: no frequency f of the spectrum has {low} <= f < {high} Hz; it goes from "
            f"{frequency[0]:g} to {frequency[-1]:g} Hz in steps of {frequency[1] - frequency[0]:g} "
            "(longer segments give finer steps)."
        )
    return values[inside].sum(axis=0) * float(frequency[1] - frequency[0])


def cross_spectrum(
    signals: Signals, period: float, segment: int
) -> Complex[Array, "frequency region region"]:
    """Welch's estimate of the cross spectral density <X_i(f) X_j(f)*>, unit squared per Hz, at
    `frequencies`. A positive imaginary part: region i is ahead of j.

    `period`: ms between samples; `segment`: samples of a window. Raises `ValueError` where a
    segment is longer than the signal.
    """
    values = as_signals("cross_spectrum", signals)
    period = as_period("cross_spectrum", period)
    segment = _as_segment("cross_spectrum", segment, len(values))
    return _welch_across(values, period, segment)


def complex_coherence(
    signals: Signals, period: float, segment: int
) -> Complex[Array, "frequency region region"]:
    """Coherency C_ij = S_ij / sqrt(S_ii S_jj) of the `cross_spectrum` S.

    NaN where a signal has no power. `period`: ms between samples; `segment`: samples of a window.
    Raises `ValueError` where there are not two windows: of a single one any coherency is 1.
    """
    return _coherency("complex_coherence", signals, period, segment)


def coherence(
    signals: Signals, period: float, segment: int
) -> Float[Array, "frequency region region"]:
    """|C_ij|^2 of the `complex_coherence` C, 0 to 1: magnitude-squared coherence.

    Independent signals have about 1 / windows. Raises `ValueError` as `complex_coherence` does.
    """
    found = _coherency("coherence", signals, period, segment)
    return found.real**2 + found.imag**2


def imaginary_coherence(
    signals: Signals, period: float, segment: int
) -> Float[Array, "frequency region region"]:
    """The imaginary part of the `complex_coherence`, -1 to 1: what no mixture of the signals
    without delay can bring about (Nolte et al., Clinical Neurophysiology 115:2292, 2004).

    Positive: region i is ahead of j. Raises `ValueError` as `complex_coherence` does.
    """
    return _coherency("imaginary_coherence", signals, period, segment).imag


# Compiled whole: operation by operation the first call takes several times as long.
@functools.partial(jax.jit, static_argnames=("period", "segment"))
def _welch(
    values: Float[Array, "time region"], period: float, segment: int
) -> Float[Array, "frequency region"]:
    rate = 1000.0 / period
    _, density = jax.scipy.signal.welch(centred(values), fs=rate, nperseg=segment, axis=0)
    return density


@functools.partial(jax.jit, static_argnames=("period", "segment"))
def _welch_across(
    values: Float[Array, "time region"], period: float, segment: int
) -> Complex[Array, "frequency region region"]:
    starts = np.arange(0, len(values) - segment + 1, segment - segment // 2)
    pieces = values[starts[:, None] + np.arange(segment)]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(segment) / segment)
    scale = np.full((segment // 2 + 1, 1, 1), 2.0)  # one side stands for both,
    scale[0] = 1.0  # where there are two
    if segment % 2 == 0:
        scale[-1] = 1.0
    scale = scale * period / 1000.0 / (window**2).sum() / len(starts)
    spectra = jnp.fft.rfft(
        centred(pieces, axis=1) * jnp.asarray(window[None, :, None], values.dtype), axis=1
    )
    products = jnp.einsum("sfi,sfj->fij", spectra, jnp.conj(spectra), precision="highest")
    return products * jnp.asarray(scale, products.dtype)


def _coherency(name: str, signals: Signals, period: float, segment: int) -> Array:
    values = as_signals(name, signals)
    samples, period = len(values), as_period(name, period)
    segment = _as_segment(name, segment, samples)
    if samples < 2 * segment - segment // 2:
        raise ValueError(
            f"{name}: one window of {segment} samples in {samples}, of which any two signals are "
            "coherent; give shorter windows (segment=), or longer signals."
        )
    spectrum = _welch_across(values / size_of(values, axis=0), period, segment)
    power = jnp.diagonal(spectrum, axis1=1, axis2=2).real
    # Each root by itself: the product of two small powers may be too small a number.
    root = jnp.sqrt(power)
    scale = root[:, :, None] * root[:, None, :]
    return spectrum / scale.astype(spectrum.dtype)


def _as_segment(name: str, segment: int, samples: int | None = None) -> int:
    found = as_whole(name, "segment", segment)
    if found < 2 or samples is not None and found > samples:
        of = "" if samples is None else f" of {samples} samples"
        raise ValueError(f"{name}: segment={segment}{of}; give two samples or more, at most all.")
    return found
