"""What may vary: which leaf of a simulator, and which values it may take.

Said once, and used by sweeps, fits, learning to learn and priors alike.
"""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike


class AbstractSupport(abc.ABC):
    """The values that a free leaf may take."""

    @abc.abstractmethod
    def contains(self, values: np.ndarray) -> np.ndarray:
        """Elementwise, whether values are allowed."""


@dataclasses.dataclass(frozen=True)
class Real(AbstractSupport):
    """Any finite number."""

    def contains(self, values):
        return np.isfinite(values)


@dataclasses.dataclass(frozen=True)
class Positive(AbstractSupport):
    """Any finite number above zero."""

    def contains(self, values):
        return np.isfinite(values) & (values > 0)


@dataclasses.dataclass(frozen=True)
class Interval(AbstractSupport):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(f"Interval: low {self.low} is not below high {self.high}.")

    def contains(self, values):
        return (values >= self.low) & (values <= self.high)


@dataclasses.dataclass(frozen=True)
class Free:
    """A leaf of a simulator that may vary.

    `where`: a function from the simulator to the leaf, `lambda s: s.model.params["eta"]`.
    `support`: the values that it may take. `name`: for labels; by default the leaf's own name.
    """

    where: Callable[[Any], Any]
    support: AbstractSupport = Real()
    name: str | None = None

    def path(self, simulator) -> tuple[Any, ...]:
        """The place of the leaf in the simulator's tree; an error where `where` selects no leaf."""
        marked = jax.tree_util.tree_map_with_path(lambda path, _: _Place(path), simulator)
        try:
            place = self.where(marked)
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"Free: where finds nothing in the simulator ({type(error).__name__}: {error}); "
                "give e.g. lambda s: s.model.params['eta'] or lambda s: s.coupling.a."
            ) from error
        if not isinstance(place, _Place):
            raise ValueError(
                f"Free: where selects a {type(place).__name__}, not one array of the simulator."
            )
        return place.path

    def label(self, simulator) -> str:
        """The given name, or the leaf's own."""
        last = self.path(simulator)[-1]
        return self.name or str(getattr(last, "name", getattr(last, "key", last)))

    def checked(self, simulator, values: ArrayLike | Sequence) -> np.ndarray:
        """Values, one leaf each along the first axis, as an array that fits leaf and support."""
        label, leaf = self.label(simulator), self.where(simulator)
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise ValueError(f"Free '{label}': the leaf is no array of floating-point numbers.")
        array = np.asarray(values, dtype=leaf.dtype)
        if array.ndim == 0 or array.size == 0:
            raise ValueError(f"Free '{label}': give a sequence of values, not {values!r}.")
        if array.shape[1:] not in ((), leaf.shape):
            raise ValueError(
                f"Free '{label}': each value has shape {array.shape[1:]} and the leaf has shape "
                f"{leaf.shape}; give numbers, or arrays of that shape."
            )
        bad = np.argwhere(~self.support.contains(array))
        if bad.size:
            raise ValueError(
                f"Free '{label}': value {array[tuple(bad[0])]} (number {bad[0][0]}) is outside of "
                f"{self.support}."
            )
        return array

    def replace(self, simulator, value: ArrayLike):
        """The simulator with this leaf set; a number fills an array."""
        return replace_leaf(simulator, self.path(simulator), value)


def leaf_at(tree: Any, path: tuple[Any, ...]) -> Any:
    """What is at a place of a tree."""
    for key in path:
        tree = getattr(tree, key.name) if hasattr(key, "name") else tree[_index(key)]
    return tree


def replace_leaf(simulator, path: tuple[Any, ...], value: ArrayLike):
    """The simulator with the leaf at a place of its tree set; a number fills an array."""
    leaf = leaf_at(simulator, path)
    filled = jnp.broadcast_to(jnp.asarray(value, leaf.dtype), leaf.shape)
    return eqx.tree_at(lambda tree: leaf_at(tree, path), simulator, filled)


def _index(key: Any) -> Any:
    return key.key if hasattr(key, "key") else key.idx


@dataclasses.dataclass(frozen=True)
class _Place:
    path: tuple[Any, ...]
