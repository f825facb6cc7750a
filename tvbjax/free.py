"""What may vary: which leaf of a simulator, and which values it may take.

Said once, and used by sweeps, fits, learning to learn and priors alike.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from tvbjax.arrays import check_unlabelled
from tvbjax.supports import AbstractSupport, Real
from tvbjax.ties import AbstractTie, Each


@dataclasses.dataclass(frozen=True)
class Free:
    """A leaf of a simulator that may vary.

    `where`: a function from the simulator to the leaf, `lambda s: s.model.params["eta"]`.
    `support`: the values that it may take, in the leaf's unit. `name`: for labels; by default the
    leaf's own name. `tie`: for fits, how many numbers make up its values: one for each element as
    it is (`ties.Each`), each region (`Regional`), all (`Shared`), each group (`Grouped`), or a line
    in maps of the brain (`Linear`).
    """

    where: Callable[[Any], Any]
    support: AbstractSupport = Real()
    name: str | None = None
    tie: AbstractTie = Each()

    def __post_init__(self):
        if not callable(self.where):
            raise TypeError(
                f"Free: where is {self.where!r:.60}; give a function such as "
                "lambda s: s.model.params['eta']."
            )
        if not isinstance(self.support, AbstractSupport):
            raise TypeError(
                f"Free: the support is {self.support!r:.60}; give e.g. tvbjax.Interval(0.0, 1.0)."
            )
        if not isinstance(self.tie, AbstractTie):
            raise TypeError(f"Free: the tie is {self.tie!r:.60}; give e.g. tvbjax.ties.Regional().")
        if not self.support.elementwise and not isinstance(self.tie, Each):
            raise ValueError(
                f"Free: values in {self.support} depend on one another already; leave out the tie."
            )

    def path(self, simulator) -> tuple[Any, ...]:
        """The place of the leaf in the simulator's tree; an error where `where` selects no leaf."""
        marked = jax.tree_util.tree_map_with_path(lambda path, _: _Place(path), simulator)
        try:
            place = self.where(marked)
        except _Part:
            raise ValueError(
                "Free: where selects a part of an array; give the whole array, and a tie of "
                "tvbjax.ties for fewer numbers than it has."
            ) from None
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"Free: where finds nothing in the simulator ({type(error).__name__}: {error}); "
                "give e.g. lambda s: s.model.params['eta'] or lambda s: s.coupling.a."
            ) from error
        if not isinstance(place, _Place):
            fixed = isinstance(place, bool | int | float | str)
            why = (
                f"{place!r}, which shapes the computation and is fixed when the Simulator is built"
                if fixed
                else f"a {type(place).__name__}, not one array of the simulator"
            )
            raise ValueError(
                f"Free: where selects {why}; give e.g. lambda s: s.model.params['eta'] or "
                "lambda s: s.coupling.a."
            )
        return place.path

    def label(self, simulator) -> str:
        """The given name, or the leaf's own."""
        last = self.path(simulator)[-1]
        return self.name or str(getattr(last, "name", getattr(last, "key", last)))

    def checked(self, simulator, values: ArrayLike | Sequence) -> np.ndarray:
        """Values, one leaf each along the first axis, as an array that fits leaf and support."""
        label, leaf = self.label(simulator), self.leaf(simulator)
        if not isinstance(self.tie, Each):
            raise ValueError(
                f"Free '{label}': a sweep gives the leaf's values themselves; leave out the tie."
            )
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

    def leaf(self, simulator) -> Array:
        """The leaf as it is; an error where it is no array of floating-point numbers."""
        leaf = leaf_at(simulator, self.path(simulator))
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise ValueError(
                f"Free '{self.label(simulator)}': where selects an array of "
                f"{jnp.result_type(leaf)}; only floating-point numbers may vary."
            )
        return leaf

    def start(self, simulator) -> Array:
        """The unbounded numbers that belong to the leaf's present values, or come nearest to them.

        Raises `ValueError` where those are outside of the support.
        """
        leaf, label = self.leaf(simulator), self.label(simulator)
        try:
            shape = self.tie.shape(leaf.shape, simulator.regions)
        except ValueError as error:
            raise ValueError(f"Free '{label}': {error}") from None
        values = np.broadcast_to(np.asarray(leaf), shape)
        try:
            allowed = self.support.contains(values)
        except ValueError:
            raise ValueError(
                f"Free '{label}': values of the shape {shape} do not fit {self.support}."
            ) from None
        bad = np.argwhere(~np.broadcast_to(allowed, shape))
        if len(bad):
            place = tuple(int(i) for i in bad[0])
            where = f" at {list(place)}" if place else ""
            raise ValueError(
                f"Free '{label}': the simulator has {values[place]:g}{where}, which is outside of "
                f"{self.support}; start within it, or give a wider support."
            )
        return self.tie.gathered(self.support.unconstrain(jnp.asarray(values, leaf.dtype)))

    def values(self, simulator, numbers: Array) -> Array:
        """The leaf's values for unbounded numbers."""
        leaf = self.leaf(simulator)
        shape = self.tie.shape(leaf.shape, simulator.regions)
        found = self.support.constrain(self.tie.spread(numbers.astype(leaf.dtype), shape))
        return found.astype(leaf.dtype)

    def put(self, simulator, numbers: Array):
        """The simulator with the leaf's values for unbounded numbers."""
        path, values = self.path(simulator), self.values(simulator, numbers)
        return eqx.tree_at(lambda tree: leaf_at(tree, path), simulator, values)

    def replace(self, simulator, value: ArrayLike):
        """The simulator with this leaf set: to one number, or to an array of the shape that the tie
        gives it, such as one value for each region. Raises `ValueError` for another shape."""
        path, leaf = self.path(simulator), self.leaf(simulator)
        check_unlabelled(f"Free '{self.label(simulator)}': the value", value)
        shape = self.tie.shape(leaf.shape, simulator.regions)
        if jnp.shape(value) not in ((), shape):
            raise ValueError(
                f"Free '{self.label(simulator)}': the value has the shape {jnp.shape(value)} and "
                f"the leaf {shape}; give a number, or an array of that shape."
            )
        filled = jnp.broadcast_to(jnp.asarray(value, leaf.dtype), shape)
        return eqx.tree_at(lambda tree: leaf_at(tree, path), simulator, filled)


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


class _Part(Exception):
    """What `_Place` raises where `where` has an index."""


@dataclasses.dataclass(frozen=True)
class _Place:
    path: tuple[Any, ...]

    def __getitem__(self, index):
        raise _Part
