"""The numbers of a position in a row, each with a name; knows no fit and no simulation."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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
