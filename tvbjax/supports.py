"""The values that a free leaf may take, and how unbounded numbers become such values.

An optimiser and a sampler move through all real numbers; `constrain` makes each of them an allowed
value, smoothly and one to one, and `unconstrain` is its inverse.
"""

import abc
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool

from tvbjax.arrays import check_unlabelled
from tvbjax.kinds import check_number


class AbstractSupport(abc.ABC):
    """The values that a free leaf may take."""

    @abc.abstractmethod
    def contains(self, values: np.ndarray) -> np.ndarray:
        """Elementwise, whether values are allowed."""

    @abc.abstractmethod
    def constrain(self, numbers: Array) -> Array:
        """The allowed values that belong to unbounded numbers."""

    @abc.abstractmethod
    def unconstrain(self, values: Array) -> Array:
        """The unbounded numbers that belong to allowed values."""

    @property
    def elementwise(self) -> bool:
        """Whether every number becomes a value by itself."""
        return True


@dataclasses.dataclass(frozen=True)
class Real(AbstractSupport):
    """Any finite number. `scale`: > 0, a step of about 1 for the optimiser, in the leaf's unit."""

    scale: float = 1.0

    def __post_init__(self):
        check_number("Real: scale", self.scale, above=0.0)

    def contains(self, values):
        return np.isfinite(values)

    def constrain(self, numbers):
        return self.scale * numbers

    def unconstrain(self, values):
        return values / self.scale


@dataclasses.dataclass(frozen=True)
class Positive(AbstractSupport):
    """Any finite number above zero; its logarithm is unbounded."""

    def contains(self, values):
        return np.isfinite(values) & (values > 0)

    def constrain(self, numbers):
        return jnp.exp(numbers)

    def unconstrain(self, values):
        return jnp.log(values)


# How near to an end of an interval an optimiser may start, as a share of it: at the end itself the
# unbounded number would be infinite.
_NEAREST = 1e-3


@dataclasses.dataclass(frozen=True)
class Interval(AbstractSupport):
    """Numbers from `low` to `high`, both included; by a logistic function of an unbounded number.

    A start at an end is moved into the interval by a thousandth of its width.
    """

    low: float
    high: float

    def __post_init__(self):
        for name, value in (("low", self.low), ("high", self.high)):
            if isinstance(value, float) and np.isinf(value):
                raise ValueError(
                    f"Interval: {name} is {value}; give finite ends, or Positive() for what is "
                    "only above 0, Real() for what has no bounds."
                )
            check_number(f"Interval: {name}", value)
        if not self.low < self.high:
            raise ValueError(f"Interval: low {self.low} is not below high {self.high}.")

    def contains(self, values):
        return (values >= self.low) & (values <= self.high)

    def constrain(self, numbers):
        return self.low + (self.high - self.low) * jax.nn.sigmoid(numbers)

    def unconstrain(self, values):
        share = jnp.clip((values - self.low) / (self.high - self.low), _NEAREST, 1.0 - _NEAREST)
        return jnp.log(share) - jnp.log1p(-share)


@dataclasses.dataclass(frozen=True)
class Simplex(AbstractSupport):
    """Shares above zero that sum to 1 along the last axis; by their logarithms relative to the
    last: one number less than there are shares. Aitchison (1982), J. R. Stat. Soc. B 44:139."""

    def contains(self, values):
        good = np.isclose(values.sum(axis=-1, keepdims=True), 1.0, rtol=1e-5, atol=0.0)
        return (values > 0) & np.broadcast_to(good, values.shape)

    def constrain(self, numbers):
        return jax.nn.softmax(jnp.pad(numbers, [(0, 0)] * (numbers.ndim - 1) + [(0, 1)]), axis=-1)

    def unconstrain(self, values):
        return jnp.log(values[..., :-1]) - jnp.log(values[..., -1:])

    @property
    def elementwise(self) -> bool:
        return False


@dataclasses.dataclass(frozen=True, eq=False)
class Weights(AbstractSupport):
    """Matrices of weights above zero where `mask` has a connection, and zero elsewhere.

    `mask`: `(region, region)`, e.g. `connectome.weights`; what is not zero is a connection.
    `symmetric`: a pair of regions has one weight for both directions. The logarithms of the
    weights are unbounded.
    """

    mask: Bool[np.ndarray, "region region"]
    symmetric: bool = True

    def __init__(self, mask: ArrayLike, symmetric: bool = True):
        check_unlabelled("Weights: the mask", mask)
        given = np.asarray(mask)
        if np.isnan(given).any():
            raise ValueError(
                f"Weights: the mask is nan at {np.argwhere(np.isnan(given))[0].tolist()}; give 0 "
                "where there is no connection."
            )
        found = given != 0
        if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.any():
            raise ValueError(
                f"Weights: the mask has the shape {found.shape} and {int(found.sum())} "
                "connections; give a square matrix, e.g. connectome.weights."
            )
        if symmetric and (found != found.T).any():
            i, j = (int(k) for k in np.argwhere(found != found.T)[0])
            raise ValueError(
                f"Weights: the mask is not symmetric at [{i}, {j}]; give symmetric=False, or a "
                "mask of the connections in both directions (mask | mask.T)."
            )
        object.__setattr__(self, "mask", found)
        object.__setattr__(self, "symmetric", symmetric)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the weights that are free."""
        rows, columns = np.nonzero(np.triu(self.mask) if self.symmetric else self.mask)
        return rows, columns

    def contains(self, values):
        good = np.where(self.mask, np.isfinite(values) & (values > 0), values == 0)
        if self.symmetric:
            good &= np.isclose(values, np.swapaxes(values, -1, -2), rtol=1e-6, atol=0.0)
        return good

    def constrain(self, numbers):
        rows, columns = self.places
        values = jnp.exp(numbers)
        empty = jnp.zeros((*numbers.shape[:-1], *self.mask.shape), values.dtype)
        filled = empty.at[..., rows, columns].set(values)
        return filled.at[..., columns, rows].set(values) if self.symmetric else filled

    def unconstrain(self, values):
        rows, columns = self.places
        return jnp.log(values[..., rows, columns])

    @property
    def elementwise(self) -> bool:
        return False

    def __repr__(self) -> str:
        kind = "symmetric " if self.symmetric else ""
        return f"Weights({len(self.places[0])} {kind}connections)"
