"""Signals in time and frequency at once, by Morlet's complex wavelets. JAX."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from tvbjax.analysis._signals import Signals, as_period, as_signals


def wavelet_transform(
    signals: Signals,
    period: float,
    frequency: Float[np.ndarray, " frequency"],
    cycles: float = 7.0,
) -> Complex[Array, "frequency time region"]:
    """Convolution with Morlet's complex wavelets (Tallon-Baudry et al., Journal of Neuroscience
    17:722, 1997): exp(2 pi i f t) exp(-t^2 / (2 s^2)), s = cycles / (2 pi f).

    Scaled so that an oscillation A cos(2 pi f t + p) gives A exp(i (2 pi f t + p)): magnitudes are
    amplitudes, angles phases. `period`: ms between samples; `frequency`: Hz. More `cycles`: finer
    in frequency, coarser in time; The Virtual Brain's q_ratio. Outside the signals there are zeros:
    at less than about 2 s from an end magnitudes are too small. Raises `ValueError` for frequencies
    not between 0 and half the sampling rate, or fewer than three cycles, with which the wavelet
    is not of one sign in frequency.
    """
    values = as_signals("wavelet_transform", signals)
    period = as_period("wavelet_transform", period)
    centres = np.atleast_1d(np.asarray(frequency, float))
    nyquist = 500.0 / period
    bad = centres[~((centres > 0) & (centres < nyquist))]
    if len(bad) or not len(centres):
        raise ValueError(
            f"wavelet_transform: a frequency of {bad[0]:g} Hz; give frequencies between 0 and "
            f"{nyquist:g} Hz, half the sampling rate."
            if len(bad)
            else "wavelet_transform: no frequencies; give one or more, Hz."
        )
    if not cycles >= 3:
        raise ValueError(f"wavelet_transform: cycles={cycles}; give three or more.")
    samples = len(values)
    # Twice as long, with zeros: what leaves at one end must not come in at the other.
    grid = np.fft.fftfreq(2 * samples, period / 1000.0)
    spectrum = jnp.fft.fft(values, n=2 * samples, axis=0)
    width = centres[:, None] / cycles
    gains = np.where(grid > 0, 2.0 * np.exp(-0.5 * ((grid - centres[:, None]) / width) ** 2), 0.0)
    return _back(spectrum, jnp.asarray(gains, spectrum.dtype))


@jax.jit
def _back(
    spectrum: Complex[Array, "both region"], gains: Complex[Array, "frequency both"]
) -> Complex[Array, "frequency time region"]:
    """From frequency to time without the zeros, a gain at a time: all at once take several times
    the memory."""
    samples = len(spectrum) // 2

    def one(gain):
        return jnp.fft.ifft(spectrum * gain[:, None], axis=0)[:samples]

    return jax.lax.map(one, gains)
