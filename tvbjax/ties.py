"""How many numbers a free leaf has, and how they make up its values: one for each, one for all, one
for each group, or a line in a map of the brain.

Numbers are unbounded here; the support makes allowed values of them.
"""

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from tvbjax.arrays import as_floats, check_unlabelled, matmul


class AbstractTie(abc.ABC):
    """Between the numbers that may vary and those of every region."""

    @abc.abstractmethod
    def shape(self, leaf: tuple[int, ...], regions: int) -> tuple[int, ...]:
        """Of the values that the leaf then has. Raises `ValueError` where that does not go."""

    @abc.abstractmethod
    def spread(self, numbers: Array, shape: tuple[int, ...]) -> Array:
        """The numbers of every element of the leaf."""

    @abc.abstractmethod
    def gathered(self, numbers: Array) -> Array:
        """The numbers that come nearest to those of every element: a start for a fit."""

    @abc.abstractmethod
    def names(self, shape: tuple[int, ...]) -> tuple[str, ...] | None:
        """What the numbers are called; None where they are those of the leaf's elements."""


class _AbstractFree(AbstractTie):
    """A number for each value."""

    def spread(self, numbers, shape):
        return numbers

    def gathered(self, numbers):
        return numbers

    def names(self, shape):
        return None


@dataclasses.dataclass(frozen=True)
class Each(_AbstractFree):
    """A number for each element of the leaf as it is."""

    def shape(self, leaf, regions):
        return leaf


@dataclasses.dataclass(frozen=True)
class Regional(_AbstractFree):
    """A number for each region, also where the leaf is one number for all of them."""

    def shape(self, leaf, regions):
        if leaf not in ((), (regions,)):
            raise ValueError(
                f"Regional: the leaf has the shape {leaf}, which is not one number or one for each "
                f"of {regions} regions."
            )
        return (regions,)


@dataclasses.dataclass(frozen=True)
class Shared(AbstractTie):
    """One number for all elements."""

    def shape(self, leaf, regions):
        return leaf

    def spread(self, numbers, shape):
        return jnp.broadcast_to(numbers, shape)

    def gathered(self, numbers):
        return numbers.mean()

    def names(self, shape):
        return ("all",)


@dataclasses.dataclass(frozen=True, eq=False)
class Grouped(AbstractTie):
    """A number for each group of regions. `groups`: the group of every region, e.g. the resting
    network that it belongs to."""

    groups: Sequence[str | int]

    def __post_init__(self):
        if isinstance(self.groups, str) or not isinstance(self.groups, Iterable):
            raise TypeError(
                f"Grouped: groups is {self.groups!r:.60}; give the group of every region, e.g. "
                "['visual', 'motor', 'visual']."
            )
        groups = tuple(str(group) for group in self.groups)
        object.__setattr__(self, "groups", groups)

    def shape(self, leaf, regions):
        if len(self.groups) != regions or leaf not in ((), (regions,)):
            raise ValueError(
                f"Grouped: {len(self.groups)} groups are given for {regions} regions and a leaf of "
                f"the shape {leaf}; give the group of every region."
            )
        return (regions,)

    @property
    def _members(self) -> tuple[tuple[str, ...], np.ndarray]:
        names = tuple(dict.fromkeys(str(group) for group in self.groups))
        return names, np.array([names.index(str(group)) for group in self.groups])

    def spread(self, numbers, shape):
        return numbers[self._members[1]]

    def gathered(self, numbers):
        names, member = self._members
        numbers = jnp.broadcast_to(numbers, member.shape)
        return jnp.stack([numbers[member == i].mean() for i in range(len(names))])

    def names(self, shape):
        return self._members[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Linear(AbstractTie):
    """A line in maps of the brain, such as T1w/T2w or the density of a receptor: a number for where
    it begins, and one for its slope in each map.

    `maps`: by name, a value for every region. In a support other than `Real` the line is that of
    the unbounded numbers, so that values stay allowed: logarithms in `Positive`, log-odds in
    `Interval`. Maps are taken as they are; standardise them to compare slopes. Demirtaş et al.
    (2019), Neuron 101:1181; Deco et al. (2021), Science Advances 7:eabf4752.
    """

    maps: Mapping[str, ArrayLike | Sequence]

    def __post_init__(self):
        if not isinstance(self.maps, Mapping) or not self.maps:
            raise ValueError("Linear: give maps by name, e.g. Linear({'T1w/T2w': values}).")
        for name, values in self.maps.items():
            check_unlabelled(f"Linear: the map '{name}'", values)
        found = {str(name): np.asarray(as_floats(values)) for name, values in self.maps.items()}
        for name, values in found.items():
            bad = np.flatnonzero(~np.isfinite(values)) if values.ndim == 1 else []
            if values.ndim != 1 or not values.size or len(bad) or values.std() == 0:
                why = (
                    f"has the shape {values.shape}; give a value for each region"
                    if values.ndim != 1 or not values.size
                    else f"is {values[bad[0]]} in region {bad[0]}; fill in what is missing"
                    if len(bad)
                    else "is the same in all regions, and so has no slope; leave it out"
                )
                raise ValueError(f"Linear: the map '{name}' {why}.")
        object.__setattr__(self, "maps", found)
        if len({values.shape for values in found.values()}) == 1:
            matrix = self._matrix
            if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
                raise ValueError(
                    f"Linear: of the maps {', '.join(found)} one is a line in the others, so that "
                    "slopes are not determined; leave one out."
                )

    def shape(self, leaf, regions):
        for name, values in self.maps.items():
            if np.shape(values) != (regions,):
                raise ValueError(
                    f"Linear: the map '{name}' has {np.size(values)} values, and there are "
                    f"{regions} regions."
                )
        if leaf not in ((), (regions,)):
            raise ValueError(
                f"Linear: the leaf has the shape {leaf}, which is not one number or one for each "
                f"of {regions} regions."
            )
        return (regions,)

    @property
    def _matrix(self) -> np.ndarray:
        columns = [np.asarray(values) for values in self.maps.values()]
        return np.stack([np.ones_like(columns[0]), *columns], axis=1)

    def spread(self, numbers, shape):
        return matmul(jnp.asarray(self._matrix, numbers.dtype), numbers)

    def gathered(self, numbers):
        matrix = jnp.asarray(self._matrix, numbers.dtype)
        return jnp.linalg.lstsq(matrix, jnp.broadcast_to(numbers, matrix.shape[:1]))[0]

    def names(self, shape):
        return ("intercept", *self.maps)
