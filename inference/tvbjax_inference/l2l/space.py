"""What is searched: names, what each may be, and the coordinates that optimisers move through."""

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from tvbjax_inference.l2l.dimensions import (
    AbstractDimension,
    Categorical,
    Integer,
    Real,
    Unbounded,
)

Values = dict[str, Array]  # by name; of several candidates with a first axis


@dataclasses.dataclass(frozen=True)
class Space:
    """Names, and what each may be: `Space(G=Real(0.0, 5.0), delay=Integer(1, 7, shape=(250,)))`.

    Names that are no words of Python are given as a mapping, `Space({"e/i": Real(0.0, 1.0)})`.
    A space is compared and hashed by what it holds.
    """

    dimensions: tuple[tuple[str, AbstractDimension], ...]

    def __init__(
        self,
        dimensions: Mapping[str, Any] | None = None,
        /,
        **more: Any,
    ):
        if dimensions is not None and not isinstance(dimensions, Mapping):
            raise TypeError(f"Space: {dimensions!r:.60} is no mapping; give Space(G=Real(0, 5)).")
        twice = sorted((dimensions or {}).keys() & more.keys())
        if twice:
            raise ValueError(f"Space: '{twice[0]}' is there twice.")
        given = dict(dimensions or {}) | more
        if not given:
            raise ValueError("Space: it has no dimension; give e.g. Space(G=Real(0.0, 5.0)).")
        for name, dimension in given.items():
            if not isinstance(name, str) or not name:
                raise TypeError(f"Space: the name {name!r:.60} is no text; give one.")
            if not isinstance(dimension, AbstractDimension):
                raise TypeError(
                    f"Space: '{name}' is {dimension!r:.60}; give Real(low, high), Unbounded(), "
                    "Integer(low, high) or Categorical(options)."
                )
        object.__setattr__(self, "dimensions", tuple(given.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(name for name, _ in self.dimensions)

    @property
    def width(self) -> int:
        """How many coordinates there are."""
        return sum(dimension.width for _, dimension in self.dimensions)

    @property
    def size(self) -> int:
        """How many numbers and options there are."""
        return sum(dimension.size for _, dimension in self.dimensions)

    @property
    def continuous(self) -> bool:
        """Whether everything is a real number, so that losses may have gradients."""
        return all(dimension.continuous for _, dimension in self.dimensions)

    @property
    def bounded(self) -> Float[np.ndarray, " width"]:
        """1 for coordinates that are 0 to 1, and 0 for those that may be any number."""
        return self._each(lambda dimension: float(dimension.bounded))

    @property
    def deviations(self) -> Float[np.ndarray, " width"]:
        """How far each coordinate goes at first, as a standard deviation."""
        return self._each(lambda dimension: dimension.deviation)

    @property
    def middle(self) -> Float[np.ndarray, " width"]:
        """The coordinates to start from, where no others are given."""
        return self._each(lambda dimension: dimension.middle)

    def decode(self, coordinates: Float[Array, "*batch width"]) -> Values:
        """Values by name; each has the batch's shape and then its own. Options are their places."""
        found, first = {}, 0
        for name, dimension in self.dimensions:
            found[name] = dimension.decode(coordinates[..., first : first + dimension.width])
            first += dimension.width
        return found

    def encode(self, values: Mapping[str, Any]) -> Float[np.ndarray, " width"]:
        """Coordinates of one candidate, options as they are named. Raises what `check` does."""
        self.check(values)
        return np.concatenate([part.encode(values[name]) for name, part in self.dimensions])

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises `ValueError` for values that are not all there, unknown, or not allowed."""
        if not isinstance(values, Mapping):
            raise TypeError(f"Space: {values!r:.60} is no mapping of values by name.")
        for name in values:
            if name not in self.names:
                close = get_close_matches(str(name), self.names, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                raise ValueError(f"Space: there is no '{name}'; {hint}it has {self._listed}.")
        for name, dimension in self.dimensions:
            if name not in values:
                raise ValueError(f"Space: '{name}' is missing; give {self._listed}.")
            fault = dimension.fault(values[name])
            if fault:
                raise ValueError(f"Space: '{name}' {fault}.")

    def plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Decoded values of one candidate as Python has them; options are themselves."""
        return {
            name: dimension.plain(np.asarray(values[name])) for name, dimension in self.dimensions
        }

    def draw(self, key: Array, count: int) -> Float[Array, "count width"]:
        """Coordinates at random: evenly from end to end, and normal where there is no end."""
        even, normal = jr.split(key)
        dtype = jnp.result_type(float)
        return jnp.where(
            jnp.asarray(self.bounded, bool)[None, :],
            jr.uniform(even, (count, self.width), dtype),
            jr.normal(normal, (count, self.width), dtype),
        )

    def spread(self, units: Float[np.ndarray, "count size"]) -> Float[np.ndarray, "count width"]:
        """Coordinates for designs: one number from 0 to 1 for every number and option."""
        found, first = [], 0
        for _, dimension in self.dimensions:
            found.append(dimension.spread(units[..., first : first + dimension.size]))
            first += dimension.size
        return np.concatenate(found, axis=-1)

    def described(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {name: dimension.described() for name, dimension in self.dimensions}

    @staticmethod
    def from_description(described: Mapping[str, Any]) -> "Space":
        """The space that `described` tells of. Raises `ValueError` for what tells of none."""
        kinds = {kind.__name__: kind for kind in (Real, Unbounded, Integer, Categorical)}
        found = {}
        for name, part in described.items():
            settings: dict[str, Any] = {k: tuple(v) if k == "shape" else v for k, v in part.items()}
            kind: Any = kinds.get(str(settings.pop("type", None)))
            try:
                if kind is None:
                    raise ValueError("of no known type")
                found[name] = kind(**settings)
            except (TypeError, ValueError) as error:
                raise ValueError(f"Space: '{name}' is described as {part}: {error}") from None
        return Space(found)

    @property
    def _listed(self) -> str:
        return ", ".join(self.names)

    def _each(self, number) -> np.ndarray:
        return np.concatenate([np.full(part.width, number(part)) for _, part in self.dimensions])

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{name}={part!r}' for name, part in self.dimensions)})"
