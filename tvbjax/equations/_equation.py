"""What an equation is: a function of one variable, time or distance, with parameters as leaves."""

import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractEquation(eqx.Module):
    """A function of time (ms) or of distance (mm)."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The values at `x`."""

    def support(self) -> tuple[float, float]:
        """Outside of this range of `x` it is 0. Its parameters must be known numbers."""
        return (-float("inf"), float("inf"))
