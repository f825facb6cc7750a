"""Amplitudes of oscillations and how they go together: filter, envelope, correlation. JAX."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from tvbjax.analysis._signals import (
    Signals,
    as_period,
    as_signals,
    as_whole,
    centred,
    check_band,
    size_of,
)
from tvbjax.analysis.connectivity import functional_connectivity
from tvbjax.analysis.phases import analytic_signal
from tvbjax.arrays import matmul


def band_pass(
    signals: Signals, period: float, low: float, high: float, order: int = 3
) -> Float[Array, "time region"]:
    """The signals' part from `low` to `high` Hz, without a shift in time.

    A Butterworth filter of the given order, forward and back: by FFT, with the gain |H(f)|^2 of
    the digital filter, over signals that go on mirrored in their ends (odd) on both sides. At `low`
    and `high` half of the amplitude is left. `period`: ms between samples. Near the ends, about a
    cycle of the band's width, the outcome depends on how the signals are taken to go on: mirrored,
    the first and last sample come out as 0. Raises `ValueError` for a band beyond half the sampling
    rate.
    """
    values = as_signals("band_pass", signals, samples=2)
    period, order = as_period("band_pass", period), as_whole("band_pass", "order", order)
    check_band("band_pass", low, high, period)
    if order < 1:
        raise ValueError(f"band_pass: order={order}; give 1 or more.")
    samples = len(values)
    before = 2 * values[:1] - values[:0:-1]
    after = 2 * values[-1:] - values[-2::-1]
    longer = jnp.concatenate([before, values, after])
    gain = _butterworth(np.fft.rfftfreq(len(longer), period / 1000.0), period, low, high, order)
    spectrum = jnp.fft.rfft(longer, axis=0)
    filtered = spectrum * jnp.asarray(gain[:, None], spectrum.dtype)
    return jnp.fft.irfft(filtered, n=len(longer), axis=0)[samples - 1 : 2 * samples - 1]


def amplitude_envelope(signals: Signals) -> Float[Array, "time region"]:
    """Magnitudes of the `analytic_signal` of signals of a narrow band (`band_pass`)."""
    return jnp.abs(analytic_signal(as_signals("amplitude_envelope", signals)))


def envelope_correlation(signals: Signals) -> Float[Array, "region region"]:
    """Pearson's correlations of the amplitude envelopes of signals of a narrow band.

    Where sensors or beamformers mix the regions' signals, see `orthogonal_envelope_correlation`.
    """
    values = as_signals("envelope_correlation", signals)
    return functional_connectivity(amplitude_envelope(values / size_of(values, axis=0)))


def orthogonal_envelope_correlation(signals: Signals) -> Float[Array, "region region"]:
    """Correlations of log power envelopes of signals of a narrow band, of each two of which one is
    freed from what it shares with the other at once (Hipp et al., Nature Neuroscience 15:884, 2012,
    Methods): y_perp(t) = Im(y(t) x*(t) / |x(t)|), x and y analytic. The mean of both directions.

    0 on the diagonal: no part of a signal is orthogonal to itself. NaN where a signal is zero, or
    two differ by a factor alone.
    """
    values = as_signals("orthogonal_envelope_correlation", signals)
    return _orthogonal(analytic_signal(values / size_of(values, axis=0)))


@jax.jit
def _orthogonal(analytic: Complex[Array, "time region"]) -> Float[Array, "region region"]:
    amplitude = jnp.abs(analytic)
    least = jnp.finfo(amplitude.dtype).eps
    smallest = least * jax.lax.stop_gradient(amplitude.max(axis=0))
    logs = jnp.log(jnp.maximum(amplitude, smallest[None, :]))
    regions = analytic.shape[1]

    def against(region):
        seed = analytic[:, region] / amplitude[:, region].astype(analytic.dtype)
        part = jnp.abs((analytic * jnp.conj(seed)[:, None]).imag)
        # What rounding leaves of a signal in line with the seed is no signal.
        there = part.max(axis=0) > 1e3 * smallest
        # Something finite in its place: the gradients of the others must not become NaN.
        pair = jnp.where(there[None, :], jnp.log(jnp.maximum(part, smallest[None, :])), logs)
        return jnp.where(there, _correlations(logs[:, region], pair), jnp.nan)

    # One seed region at a time: all pairs at once would take time x region x region.
    found = jax.lax.map(against, jnp.arange(regions))
    return jnp.where(jnp.eye(regions, dtype=bool), 0.0, (found + found.T) / 2)


def _correlations(
    seed: Float[Array, " time"], others: Float[Array, "time region"]
) -> Float[Array, " region"]:
    one, rest = centred(seed), centred(others)
    scale = jnp.sqrt((one**2).sum()) * jnp.sqrt((rest**2).sum(axis=0))
    return matmul(one, rest) / scale


def _butterworth(
    frequency: np.ndarray, period: float, low: float, high: float, order: int
) -> np.ndarray:
    """|H(f)|^2 of the digital band-pass that the bilinear transform gives."""
    bent, first, last = (np.tan(np.pi * f * period / 1000.0) for f in (frequency, low, high))
    with np.errstate(divide="ignore", over="ignore"):
        detuning = (bent**2 - first * last) / (bent * (last - first))
        return 1.0 / (1.0 + detuning ** (2 * order))
