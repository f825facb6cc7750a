"""How far simulated values are from empirical ones: one number of two arrays. JAX.

Any function `(simulated, empirical) -> number` serves as an objective's `distance`; these are the
common ones. All are finite, with gradients, where both are equal.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import analysis
from tvbjax.analysis._signals import size_of
from tvbjax.kinds import check_number
from tvbjax.monitors._arguments import as_time

Distance = Callable[[Array, Array], Float[Array, ""]]


def correlation_distance(
    simulated: Float[Array, "*place"], empirical: Float[Array, "*place"]
) -> Float[Array, ""]:
    """1 - r, Pearson's correlation of all values: 0 to 2, 0 where one is the other times a positive
    factor plus a constant, 1 where they have nothing to do with each other.

    Without unit. NaN where all values of one are equal. Its gradient has no direction of scale or
    offset, falls like 1 / spread of the simulated values, and is 0 at r = 1 and r = -1.
    """
    pair = jnp.stack([simulated.ravel(), empirical.ravel()], axis=1)
    return 1.0 - analysis.functional_connectivity(pair)[0, 1]


def mean_square(
    simulated: Float[Array, "*place"], empirical: Float[Array, "*place"]
) -> Float[Array, ""]:
    """The mean of squared differences, unit squared, >= 0. Smooth; its gradient is proportional to
    the difference: strong from afar, 0 at agreement."""
    return jnp.mean((simulated - empirical) ** 2)


def root_mean_square(
    simulated: Float[Array, "*place"], empirical: Float[Array, "*place"]
) -> Float[Array, ""]:
    """The root of `mean_square`, in the values' unit, >= 0. Its gradient has the same length near
    and far, and so no limit at agreement, where it is taken to be 0."""
    difference = simulated - empirical
    size = size_of(difference)
    square = jnp.mean((difference / size) ** 2)
    agree = square == 0  # a NaN is no agreement
    root = jnp.where(agree, 0.0, jnp.sqrt(jnp.where(agree, 1.0, square)))
    return root * size.reshape(())


def wasserstein_distance(
    simulated: Float[Array, "*place"], empirical: Float[Array, "*other"]
) -> Float[Array, ""]:
    """The 1-Wasserstein, or earth mover's, distance of two distributions: the mean distance of
    their quantiles, the integral of |F^-1(q) - G^-1(q)| over q from 0 to 1. In the values' unit,
    >= 0; numbers of values may differ (Vallender, Theory of Probability 18:784, 1974).

    Its gradient does not vanish however far the distributions are apart: every simulated value is
    drawn towards its quantile with the same force, 1 / count. It jumps where values change places
    or meet their quantile, and does not get smaller near agreement; at equality it is 0.
    """
    one, other = jnp.sort(simulated.ravel()), jnp.sort(empirical.ravel())
    many, others = one.size, other.size
    # Between these edges, in units of 1 / (many * others), both quantile functions are constant.
    edges = np.union1d(np.arange(many + 1) * others, np.arange(others + 1) * many)
    widths = jnp.asarray(np.diff(edges) / (many * others), one.dtype)
    return jnp.sum(widths * jnp.abs(one[edges[:-1] // others] - other[edges[:-1] // many]))


def as_distance(given: Any) -> Any:
    """A function of two arrays as it is. Raises `TypeError` for what is none."""
    if isinstance(given, type) or not callable(given):
        raise TypeError(
            f"objective: distance is {given!r:.60}; give a function, such as "
            "objectives.root_mean_square or objectives.KolmogorovSmirnov(width=0.1)."
        )
    return given


class KolmogorovSmirnov(eqx.Module):
    """`analysis.ks_distance` of two distributions with logistic steps of `width` > 0, in the
    values' unit: 0 to 1, the largest gap of the cumulative distributions.

    Numbers of values may differ. A gradient comes from values within a few widths of the largest
    gap alone (to it the ends of the range, between which the gap is looked for, are constants): it
    vanishes exponentially for distributions that do not overlap within `width`, and
    jumps where the gap moves. Wider: further reach, and a distance that is less than the exact one.
    """

    width: float = eqx.field(static=True, converter=as_time)

    def __check_init__(self):
        check_number("KolmogorovSmirnov: width", self.width, above=0.0)

    def __call__(
        self, simulated: Float[Array, "*place"], empirical: Float[Array, "*other"]
    ) -> Float[Array, ""]:
        """The distance of two distributions."""
        return analysis.ks_distance(simulated.ravel(), empirical.ravel(), width=self.width)
