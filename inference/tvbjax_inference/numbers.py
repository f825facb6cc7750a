"""The numbers of a position in a row, each with a name; knows no fit and no simulation."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from tvbjax_inference.problem import AbstractProblem, Position


class Numbers(eqx.Module):
    """The order of a problem's numbers: that of its names, and within each that of its array."""

    names: tuple[str, ...] = eqx.field(static=True)
    shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    labels: tuple[str, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, problem: AbstractProblem) -> "Numbers":
        """Those of a problem."""
        start, coordinates = problem.start, problem.coordinates()
        labels = []
        for name, numbers in start.items():
            alone = numbers.ndim == 0
            labels += [name] if alone else [f"{name}[{one}]" for one in coordinates[name]]
        shapes = tuple(numbers.shape for numbers in start.values())
        return cls(tuple(start), shapes, tuple(labels))

    @property
    def _sizes(self) -> list[int]:
        return [int(np.prod(shape)) for shape in self.shapes]

    def __len__(self) -> int:
        return sum(self._sizes)

    def flat(self, position: Position) -> Float[Array, " number"]:
        """The numbers of a position in a row."""
        return jnp.concatenate([position[name].ravel() for name in self.names])

    def position(self, flat: Float[Array, " number"]) -> Position:
        """The position of numbers in a row."""
        ends = np.cumsum(self._sizes)[:-1]
        parts = jnp.split(flat, ends)
        return {
            name: part.reshape(shape)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def name_of(self, number: int) -> str:
        """The name to which a number belongs."""
        return self.names[int(np.searchsorted(np.cumsum(self._sizes), number, side="right"))]


def checked_position(who: str, problem: Any, position: Mapping[str, ArrayLike]) -> Position:
    """A position that fits a problem. Raises `TypeError` or `ValueError` for others."""
    if not isinstance(problem, AbstractProblem):
        raise TypeError(
            f"{who}: {problem!r:.60} is no problem; give tvbjax.inference.Problem(...), or "
            "fit.problem."
        )
    start = problem.start
    if not isinstance(position, Mapping) or set(position) != set(start):
        raise TypeError(
            f"{who}: position is {position!r:.60}; give unbounded numbers by name for each of "
            f"{', '.join(start)}, such as fit.position or problem.start."
        )
    found = {name: jnp.asarray(position[name], numbers.dtype) for name, numbers in start.items()}
    for name, numbers in start.items():
        if found[name].shape != numbers.shape:
            raise ValueError(
                f"{who}: the position's '{name}' has the shape {found[name].shape} and the "
                f"problem's {numbers.shape}; give one position, without an axis of starts."
            )
        if not np.isfinite(np.asarray(found[name])).all():
            raise ValueError(f"{who}: the position's '{name}' is no finite number somewhere.")
    return found
