"""ArviZ's statistics, which are an extra."""

import importlib
from typing import Any

import numpy as np
from jaxtyping import Float

# Draws with fewer have a tail of less than five.
FEWEST_WEIGHED = 25

# In nats. ArviZ fits a tail of weights, not of their logarithms: what is farther below the greatest
# is 0 to it, and a tail of zeros has a shape that looks harmless.
_WIDEST_TAIL = 600.0
_EQUAL = 1e-9


def arviz_stats() -> Any:
    """The package, or an error that says how to get it."""
    try:
        return importlib.import_module("arviz_stats")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "statistics of draws need ArviZ's: pip install 'tvbjax[bayes]'."
        ) from error


def pareto_shape(log_weights: Float[np.ndarray, " draw"]) -> float:
    """The shape k of the tail of importance weights: Vehtari et al. (2024), JMLR 25:72. Infinite
    where the tail is too long for a floating-point number, and 0 where weights are equal. There are
    25 draws or more, and no NaN."""
    found = arviz_stats().base.array_stats
    weights, count = np.sort(log_weights), len(log_weights)
    greatest, tail = weights[-1], int(3 * count**0.5 if count > 225 else count / 5)  # as ArviZ's
    span = greatest - weights[-tail - 1] if np.isfinite(greatest) else np.inf
    if span > _WIDEST_TAIL:
        return float("inf")
    if span < _EQUAL:
        return 0.0
    # It takes log likelihoods, whose negatives are the logarithms of weights that leave one out.
    _, shape = found.psislw(np.minimum(greatest - weights, _WIDEST_TAIL))
    return float(shape)
