"""Signals as sums of a few: principal components (JAX), independent ones (scikit-learn)."""

import warnings
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.analysis._extras import fast_ica
from tvbjax.analysis._signals import (
    Signals,
    as_finite_signals,
    as_signals,
    as_whole,
    centred,
    size_of,
)
from tvbjax.analysis.connectivity import covariance
from tvbjax.arrays import matmul


class PrincipalComponents(NamedTuple):
    """`scores @ loadings` are the signals without their means. Rows of `loadings` are orthonormal;
    `variance`: of each component, unit squared, the largest first; `share`: of the whole."""

    scores: Float[Array, "time component"]
    loadings: Float[Array, "component region"]
    variance: Float[Array, " component"]
    share: Float[Array, " component"]


class IndependentComponents(NamedTuple):
    """`sources @ mixing` are the signals without their means, as far as so many components give
    them. Sources have variance 1; that which moves the signals most is the first."""

    sources: Float[np.ndarray, "time component"]
    mixing: Float[np.ndarray, "component region"]


def principal_components(signals: Signals, count: int | None = None) -> PrincipalComponents:
    """The `count` (all) directions of most variance: eigenvectors of the covariance, each with its
    largest entry positive.

    Gradients take different variances: two equal ones, zeros of too few samples among them, leave
    their directions open, and the gradient is NaN. Raises `ValueError` for fewer than two samples,
    or a count that is not from 1 to the number of regions.
    """
    values = as_signals("principal_components", signals, samples=2)
    count = _checked_count("principal_components", count, values.shape[1])
    size = size_of(values)
    variance, directions = jnp.linalg.eigh(covariance(values / size))
    # A rounding may leave a variance below zero that is none.
    variance = jnp.maximum(variance[::-1], 0.0)
    loadings = directions.T[::-1][:count]
    largest = jnp.abs(loadings).argmax(axis=1, keepdims=True)
    loadings = loadings * jnp.sign(jnp.take_along_axis(loadings, largest, axis=1))
    shares = variance / variance.sum()
    variance = variance * size[0] ** 2
    return PrincipalComponents(
        matmul(centred(values), loadings.T), loadings, variance[:count], shares[:count]
    )


def independent_components(
    signals: Signals, count: int, seed: int, iterations: int = 1000, tolerance: float = 1e-4
) -> IndependentComponents:
    """`count` components that are as independent as can be, by FastICA with the log cosh contrast
    (Hyvärinen and Oja, Neural Networks 13:411, 2000). Needs the extra `analysis`.

    `seed`: of the first guess; equal seeds give equal components. Each has its largest mixing entry
    positive. Raises `ValueError` for a NaN or a count that is not from 1 to the number of regions,
    `RuntimeError` where the steps are not below `tolerance` after so many `iterations`.
    """
    values = as_finite_signals("independent_components", signals, samples=2)
    count = _checked_count("independent_components", count, min(values.shape))
    model, unfinished = fast_ica("independent_components")
    run = model(
        count, whiten="unit-variance", random_state=seed, max_iter=iterations, tol=tolerance
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", unfinished)
        try:
            sources = run.fit_transform(values)
        except unfinished as warning:
            raise RuntimeError(
                f"independent_components: {count} components did not settle in {iterations} "
                "iterations; give fewer components, more iterations=, or a larger tolerance=."
            ) from warning
    mixing = run.mixing_.T
    order = np.argsort(-(mixing**2).sum(axis=1))
    sources, mixing = sources[:, order], mixing[order]
    signs = np.sign(np.take_along_axis(mixing, np.abs(mixing).argmax(axis=1)[:, None], axis=1))
    return IndependentComponents(sources * signs[:, 0], mixing * signs)


def _checked_count(name: str, count: int | None, most: int) -> int:
    found = most if count is None else as_whole(name, "count", count)
    if not 1 <= found <= most:
        raise ValueError(f"{name}: count={count}; give 1 to {most}.")
    return found
