"""Phases of oscillating signals, and how regions' phases go together. JAX throughout.

The signals should be of a narrow band (`band_pass`): only there does a phase mean something.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from tvbjax.analysis._signals import Signals, as_signals, centred
from tvbjax.arrays import matmul

Phases = Float[Array | np.ndarray, "time region"]


def analytic_signal(signals: Signals) -> Complex[Array, "time region"]:
    """The signals with their Hilbert transforms as imaginary parts (Gabor 1946), by FFT: as if
    they went on periodically. Means are kept; take them off first where phases are wanted."""
    values = as_signals("analytic_signal", signals)
    samples = len(values)
    spectrum = jnp.fft.fft(values, axis=0)
    # Twice the positive frequencies; mean and Nyquist's frequency have no partner.
    gain = np.zeros((samples, 1))
    gain[0] = 1.0
    gain[1 : (samples + 1) // 2] = 2.0
    if samples % 2 == 0:
        gain[samples // 2] = 1.0
    return jnp.fft.ifft(spectrum * jnp.asarray(gain, spectrum.dtype), axis=0)


def instantaneous_phase(signals: Signals) -> Float[Array, "time region"]:
    """Phases of the signals without their means, rad, in (-pi, pi]: 0 at a maximum.

    A constant signal has no phase: what comes out for it means nothing.
    """
    values = as_signals("instantaneous_phase", signals)
    return jnp.angle(analytic_signal(centred(values)))


def kuramoto_order(phases: Phases) -> Float[Array, " time"]:
    """Kuramoto's order parameter over time, |mean over regions of exp(i phase)|: 1 where all
    phases are equal, about 1/sqrt(regions) where they are independent.

    Phases in rad: `instantaneous_phase`, or those of the model, arctan2(y, x) of two variables.
    """
    return _order("kuramoto_order", phases)


def synchrony(phases: Phases) -> Float[Array, ""]:
    """Kuramoto's order parameter, its mean over time (Shanahan, Chaos 20:013108, 2010)."""
    return _order("synchrony", phases).mean()


def metastability(phases: Phases) -> Float[Array, ""]:
    """Kuramoto's order parameter, its standard deviation over time (Deco et al., Scientific
    Reports 7:3095, 2017); its square is Shanahan's (2010) index.

    Where the order is the same all the time there is no gradient: NaN.
    """
    return _order("metastability", phases).std()


def phase_locking_value(phases: Phases) -> Float[Array, "region region"]:
    """|mean over time of exp(i (phase_i - phase_j))|: 1 where two phases keep their difference
    (Lachaux et al., Human Brain Mapping 8:194, 1999)."""
    around = _on_the_circle("phase_locking_value", phases)
    return jnp.abs(matmul(around.T, jnp.conj(around))) / len(around)


def phase_lag_index(phases: Phases) -> Float[Array, "region region"]:
    """|mean over time of sign(sin(phase_i - phase_j))|: 1 where one of two regions is always ahead,
    0 where none is, as with all that reaches both at once (Stam et al., Human Brain Mapping
    28:1178, 2007). It depends on signs alone: its gradient is zero."""
    return _lag_index(as_signals("phase_lag_index", phases, what="phases"))


@jax.jit
def _lag_index(values: Float[Array, "time region"]) -> Float[Array, "region region"]:
    def row(phase):
        return jnp.abs(jnp.sign(jnp.sin(phase[:, None] - values)).mean(axis=0))

    # A row at a time: all differences at once would take time x region x region.
    return jax.lax.map(row, values.T)


def _order(name: str, phases: Phases) -> Float[Array, " time"]:
    return jnp.abs(_on_the_circle(name, phases).mean(axis=1))


def _on_the_circle(name: str, phases: Phases) -> Complex[Array, "time region"]:
    values = as_signals(name, phases, what="phases")
    return jax.lax.complex(jnp.cos(values), jnp.sin(values))
