"""How regular signals are: entropies. NumPy and SciPy, but for the spectral entropy, which is
differentiable; the others count."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import scipy.spatial
from jaxtyping import Array, Float

from tvbjax.analysis._signals import Signals, as_finite_signals, as_floating, as_whole, size_of


def sample_entropy(
    signals: Signals, length: int = 2, tolerance: float = 0.2
) -> Float[np.ndarray, " region"]:
    """-ln(A / B): of the pairs of pieces of `length` samples that are alike (B), how many still are
    with one sample more (A) (Richman and Moorman, American Journal of Physiology 278:H2039, 2000).

    Alike: no two samples are more than `tolerance` standard deviations of the signal apart. Small
    for a regular signal, 2.2 for white noise by these defaults. Infinite where no longer pieces
    are alike, NaN where no pieces are: lengthen the signal or raise the tolerance. Raises
    `ValueError` for a NaN, or fewer than length + 2 samples.
    """
    values = _checked("sample_entropy", signals, length, tolerance, 1)
    within = tolerance * values.std(axis=0)
    return np.array([_sample_entropy(*one, length) for one in zip(values.T, within, strict=True)])


def multiscale_entropy(
    signals: Signals, scales: Sequence[int], length: int = 2, tolerance: float = 0.2
) -> Float[np.ndarray, "scale region"]:
    """`sample_entropy` of the signals' means over 1, 2, ... samples side by side, with the
    tolerance of the signal itself (Costa, Goldberger and Peng, Physical Review Letters 89:068102,
    2002).

    `scales`: samples in a mean; what is left at the end is left out. Raises `ValueError` for a NaN,
    or where a scale leaves fewer than length + 2 means.
    """
    scales = [as_whole("multiscale_entropy", "scales", scale) for scale in scales]
    if not scales or min(scales) < 1:
        raise ValueError(f"multiscale_entropy: scales={scales}; give whole numbers from 1.")
    values = _checked("multiscale_entropy", signals, length, tolerance, max(scales))
    within = tolerance * values.std(axis=0)
    rows = []
    for scale in scales:
        means = len(values) // scale
        coarse = values[: means * scale].reshape(means, scale, -1).mean(axis=1)
        pairs = zip(coarse.T, within, strict=True)
        rows.append([_sample_entropy(*one, length) for one in pairs])
    return np.array(rows)


def permutation_entropy(
    signals: Signals, order: int = 3, lag: int = 1
) -> Float[np.ndarray, " region"]:
    """Entropy of the orders in which `order` samples, `lag` apart, come by size (Bandt and Pompe,
    Physical Review Letters 88:174102, 2002), as a share of its largest, ln(order!).

    0 for a signal that only rises, 1 for white noise. Of equal samples the earlier counts as the
    smaller. Raises `ValueError` for a NaN, an order not from 2 to 10, or too few samples.
    """
    order, lag = (
        as_whole("permutation_entropy", what, value)
        for what, value in (("order", order), ("lag", lag))
    )
    if not 2 <= order <= 10 or lag < 1:
        raise ValueError(
            f"permutation_entropy: order={order}, lag={lag}; give 2 to 10, and 1 or more."
        )
    span = (order - 1) * lag
    values = as_finite_signals("permutation_entropy", signals, samples=span + 2)
    picks = np.arange(len(values) - span)[:, None] + lag * np.arange(order)
    orders = np.argsort(values[picks], axis=1, kind="stable")
    codes = np.tensordot(orders, order ** np.arange(order), axes=(1, 0))
    return np.array([_entropy_of_counts(one) for one in codes.T]) / math.log(math.factorial(order))


def spectral_entropy(
    density: Float[Array | np.ndarray, "frequency region"],
) -> Float[Array, " region"]:
    """Shannon's entropy of a power spectrum taken as a distribution, as a share of its largest,
    ln(frequencies) (Inouye et al., Electroencephalography and Clinical Neurophysiology 79:204,
    1991): 0 for a single frequency, 1 for equal power at all. JAX.

    `density`: a `power_spectrum`, or the part of its frequencies that counts. NaN where there is no
    power. Raises `ValueError` for fewer than two frequencies.
    """
    values = as_floating(density)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(
            f"spectral_entropy: a density of shape {values.shape}; give (frequency, region) with "
            "two frequencies or more."
        )
    scaled = values / size_of(values, axis=0)
    shares = scaled / scaled.sum(axis=0, keepdims=True)
    # x ln x is 0 at 0; the inner choice keeps its gradient from being NaN there.
    logs = jnp.log(jnp.where(shares == 0, 1.0, shares))
    return -(shares * logs).sum(axis=0) / math.log(len(values))


def _checked(name: str, signals: Signals, length: int, tolerance: float, scale: int) -> np.ndarray:
    if as_whole(name, "length", length) < 1 or not tolerance >= 0:
        raise ValueError(
            f"{name}: length={length}, tolerance={tolerance}; give a length of 1 or more and a "
            "tolerance that is not negative."
        )
    return as_finite_signals(name, signals, samples=(length + 2) * scale)


def _sample_entropy(signal: np.ndarray, within: float, length: int) -> float:
    pieces = np.lib.stride_tricks.sliding_window_view(signal, length + 1)
    alike = _pairs(pieces[:, :length], within)
    longer = _pairs(pieces, within)
    if not alike:
        return math.nan
    return math.log(alike / longer) if longer else math.inf


def _pairs(pieces: np.ndarray, within: float) -> int:
    tree = scipy.spatial.KDTree(pieces)
    # Every pair counts twice, and every piece is alike to itself.
    return (int(tree.count_neighbors(tree, within, p=np.inf)) - len(pieces)) // 2


def _entropy_of_counts(codes: np.ndarray) -> float:
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(-(shares * np.log(shares)).sum())
