"""Functional connectivity: how the regions' signals go together, how that changes over time, and
how far two such changes are apart. JAX: differentiable, for use under `jit` and `vmap`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.analysis._signals import Signals, as_floating, as_signals, as_whole, centred, size_of
from tvbjax.arrays import matmul

# Where a smooth distance is evaluated: as fine as a distribution need be to find its largest gap.
_PLACES = 256


def functional_connectivity(signals: Signals) -> Float[Array, "region region"]:
    """Pearson's correlations of the regions' signals; NaN where a signal is constant.

    A NaN in a signal makes its row and column NaN. Raises `ValueError` for fewer than two samples.
    """
    return _correlated(as_signals("functional_connectivity", signals, samples=2))


def _correlated(values: Float[Array, "time region"]) -> Float[Array, "region region"]:
    scaled = _standardised(values)
    return jnp.clip(matmul(scaled.T, scaled), -1.0, 1.0)


def covariance(signals: Signals) -> Float[Array, "region region"]:
    """Covariances of the regions' signals, unit squared, over samples less one.

    Raises `ValueError` for fewer than two samples.
    """
    values = as_signals("covariance", signals, samples=2)
    rest = centred(values)
    return matmul(rest.T, rest) / (len(values) - 1)


def partial_correlation(signals: Signals) -> Float[Array, "region region"]:
    """Correlations of every two regions' signals without what all other regions explain of them
    linearly: -P_ij / sqrt(P_ii P_jj), P the inverse covariance (Whittaker 1990, Graphical Models
    in Applied Multivariate Statistics, 5.8).

    All NaN where a signal is constant. Raises `ValueError` where there are not at least two samples
    more than regions: the covariance has no inverse.
    """
    values = as_signals("partial_correlation", signals)
    samples, regions = values.shape
    if samples < regions + 2:
        raise ValueError(
            f"partial_correlation: {samples} samples of {regions} regions; give {regions + 2} "
            "samples or more, or fewer regions."
        )
    # The inverse of the correlations, not of the covariances: the same ratio, better conditioned.
    precision = jnp.linalg.inv(functional_connectivity(values))
    scale = jnp.sqrt(jnp.diagonal(precision))
    partial = -precision / (scale[:, None] * scale[None, :])
    return jnp.where(jnp.eye(regions, dtype=bool), -partial, partial)


def cross_correlation(signals: Signals, longest: int) -> Float[Array, "lag region region"]:
    """Correlations of signals at lags of -`longest` to `longest` samples: [longest + l, i, j] is
    sum_t x_i(t + l) x_j(t) / (T s_i s_j) with means taken off and s the standard deviations.

    A peak at a positive lag: region i follows region j. Samples beyond the ends are zeros, so that
    correlations at long lags are small. NaN where a signal is constant. Raises `ValueError` where
    the longest lag is not less than the number of samples.
    """
    values = as_signals("cross_correlation", signals)
    longest = as_whole("cross_correlation", "longest", longest)
    samples = len(values)
    if not 0 <= longest < samples:
        raise ValueError(
            f"cross_correlation: longest={longest} of {samples} samples; give 0 to {samples - 1}."
        )
    return _at_lags(_standardised(values), longest)


def functional_connectivity_dynamics(
    signals: Signals, window: int, step: int = 1
) -> Float[Array, "window window"]:
    """Correlations between the functional connectivities of sliding windows of `window` samples,
    each `step` samples after the one before (Hansen et al., NeuroImage 105, 2015).

    NaN for a window in which a signal is constant. Raises `ValueError` where there are fewer
    samples than two windows take, or fewer than three regions.
    """
    values = as_signals("functional_connectivity_dynamics", signals)
    window = as_whole("functional_connectivity_dynamics", "window", window)
    step = as_whole("functional_connectivity_dynamics", "step", step)
    samples, regions = values.shape
    if window < 2 or step < 1 or samples < window + step:
        raise ValueError(
            f"functional_connectivity_dynamics: {samples} samples, window={window} and step={step};"
            " give a window of two samples or more, and samples for two windows."
        )
    if regions < 3:
        raise ValueError(
            f"functional_connectivity_dynamics: {regions} regions; it takes three to correlate "
            "their connectivities."
        )
    return _correlated(_in_windows(values, window, step).T)


def fcd_distance(
    first: Float[Array | np.ndarray, "window window"],
    second: Float[Array | np.ndarray, "other other"],
    apart: int = 1,
    width: float | None = None,
) -> Float[Array, ""]:
    """How far the values of two functional connectivity dynamics are apart: `ks_distance` of those
    above the diagonal (Hansen et al. 2015; Deco et al., Scientific Reports 7:3095, 2017).

    `apart`: windows that are closer than this many steps are left out; `window / step` of them and
    more do not overlap. `width`: see `ks_distance`. Raises `ValueError` where nothing is left.
    """
    values, apart = [], as_whole("fcd_distance", "apart", apart)
    for name, matrix in (("first", first), ("second", second)):
        shape = np.shape(matrix)
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"fcd_distance: {name} has the shape {shape}; give a square matrix.")
        if not 1 <= apart < shape[0]:
            raise ValueError(
                f"fcd_distance: apart={apart} of {shape[0]} windows in {name}; give 1 to "
                f"{shape[0] - 1}."
            )
        values.append(jnp.asarray(matrix)[np.triu_indices(shape[0], k=apart)])
    return ks_distance(*values, width=width)


def ks_distance(
    first: Float[Array | np.ndarray, " sample"],
    second: Float[Array | np.ndarray, " other"],
    width: float | None = None,
) -> Float[Array, ""]:
    """Kolmogorov's and Smirnov's distance of two samples: the largest gap between their cumulative
    distributions, 0 to 1. NaN where a value is NaN.

    It depends on nothing but the order of the values: its gradient is zero wherever there is one.
    To fit by it, give a `width` (> 0, in the unit of the values): every step of the distributions
    is then a logistic function exp(v/w) / (1 + exp(v/w)) of this width, and the gap is the largest
    at 256 places from the least to the greatest value. Raises `ValueError` for empty samples.
    """
    one, other = as_floating(first), as_floating(second)
    if one.ndim != 1 or other.ndim != 1 or not one.size or not other.size:
        raise ValueError(
            f"ks_distance: samples of the shapes {one.shape} and {other.shape}; give one value or "
            "more in both, in one dimension."
        )
    if width is not None and not width > 0:
        raise ValueError(f"ks_distance: width={width}; give a positive one, or None.")
    return _largest_gap(one, other, None if width is None else float(width))


def _standardised(values: Float[Array, "time region"]) -> Float[Array, "time region"]:
    """Without their means and with squares that sum to 1; NaN where a signal is constant."""
    rest = centred(values / size_of(values, axis=0))
    rest = rest / size_of(rest, axis=0)
    norms = jnp.sqrt(jnp.sum(rest**2, axis=0, keepdims=True))
    # The mean of equal values may differ from them by a rounding, which is no variance.
    constant = values.max(axis=0, keepdims=True) == values.min(axis=0, keepdims=True)
    return rest / jnp.where(constant, jnp.nan, norms)


# Loops are compiled as functions of the module: a closure would be compiled anew at every call.
@functools.partial(jax.jit, static_argnames=("longest",))
def _at_lags(
    scaled: Float[Array, "time region"], longest: int
) -> Float[Array, "lag region region"]:
    padded = jnp.pad(scaled, ((longest, longest), (0, 0)))

    def at(start):
        return matmul(jax.lax.dynamic_slice_in_dim(padded, start, len(scaled)).T, scaled)

    return jax.lax.map(at, jnp.arange(2 * longest + 1))


@functools.partial(jax.jit, static_argnames=("window", "step"))
def _in_windows(
    values: Float[Array, "time region"], window: int, step: int
) -> Float[Array, "window pair"]:
    """The functional connectivities of the windows, those above the diagonal."""
    samples, regions = values.shape
    pairs = np.triu_indices(regions, k=1)

    def connectivities(start):
        within = jax.lax.dynamic_slice_in_dim(values, start, window)
        return _correlated(within)[pairs]

    return jax.lax.map(connectivities, step * jnp.arange((samples - window) // step + 1))


@functools.partial(jax.jit, static_argnames=("width",))
def _largest_gap(
    one: Float[Array, " sample"], other: Float[Array, " other"], width: float | None
) -> Float[Array, ""]:
    pooled = jnp.concatenate([one, other])
    if width is None:
        gaps = _distribution(one, pooled) - _distribution(other, pooled)
    else:
        ends = jax.lax.stop_gradient((pooled.min(), pooled.max()))
        places = jnp.linspace(*ends, _PLACES)
        gaps = _smooth(one, places, width) - _smooth(other, places, width)
    # Not max(): its derivative looks for what equals it, and a gap that XLA computes twice, rounded
    # otherwise, equals nothing.
    largest = jnp.abs(gaps[jnp.argmax(jnp.abs(gaps))])
    return jnp.where(jnp.isnan(pooled).any(), jnp.nan, largest)


def _distribution(sample: Array, places: Array) -> Array:
    below = jnp.searchsorted(jnp.sort(sample), places, side="right")
    return below.astype(sample.dtype) / len(sample)


def _smooth(sample: Array, places: Array, width: float) -> Array:
    return jax.nn.sigmoid((places[:, None] - sample[None, :]) / width).mean(axis=1)
