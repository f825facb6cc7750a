"""What an equation is: a function of one variable, time or distance, with parameters as leaves."""

import abc
import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.arrays import is_traced

# No run has a block of so many steps, no matrix so many entries: a shape that fits by chance is
# found out.
_PLACES = 7


class AbstractEquation(eqx.Module):
    """A function of time (ms) or of distance (mm)."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The values at `x`."""

    def support(self) -> tuple[float, float]:
        """Outside of this range of `x` it is 0. Its parameters must be known numbers."""
        return (-float("inf"), float("inf"))


class AbstractParametric(AbstractEquation):
    """An equation each of whose fields is a finite number.

    `positive`: the fields that are above 0. `fits`: (n, part, whole): n parts last no longer than
    the whole. Raises `ValueError` where they are not so.
    """

    positive: ClassVar[tuple[str, ...]] = ()
    fits: ClassVar[tuple[tuple[int, str, str], ...]] = ()

    def __check_init__(self):
        for field in dataclasses.fields(self):
            what = f"{type(self).__name__}: {field.name}"
            check_number(what, getattr(self, field.name), field.name in self.positive)
        for count, part, whole in self.fits:
            length, period = getattr(self, part), getattr(self, whole)
            # What fills its period may be longer by a rounding.
            if not is_traced((length, period)) and count * length > (1.0 + 1e-6) * period:
                most = whole if count == 1 else f"{whole} / {count}"
                raise ValueError(
                    f"{type(self).__name__}: {part} is {float(length):g} and {whole} "
                    f"{float(period):g}; give {part} <= {most}."
                )


def check_number(what: str, value: Array | float, positive: bool = False) -> None:
    """Raises `ValueError` for what is not one finite number, or, if it must be, not above 0, and
    `TypeError` for what is no number."""
    if not isinstance(value, jax.Array | np.ndarray | np.number | float | int):
        raise TypeError(f"{what} is {value!r:.60}; give a number.")
    if jnp.shape(value) != ():
        raise ValueError(
            f"{what} has the shape {jnp.shape(value)}; give one number (a stimulus for each of "
            "several courses, or a sweep over values)."
        )
    if not is_traced(value) and not (np.isfinite(value) and (value > 0 or not positive)):
        raise ValueError(
            f"{what} is {float(value):g}; give a finite number{' above 0' if positive else ''}."
        )


def check_equation(what: str, equation: AbstractEquation) -> None:
    """Raises `ValueError` for an equation that fails on arrays of JAX, or gives other shapes."""
    places = jax.ShapeDtypeStruct((_PLACES,), jnp.result_type(float))
    try:
        found = jax.eval_shape(equation, places)
    except Exception as error:
        first = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"{what} fails on an array of {_PLACES} times or distances: {first} (It must be a "
            "function of jax.numpy, a value for every entry, with jnp.where(...) for a choice.)"
        ) from error
    if getattr(found, "shape", None) != places.shape:
        raise ValueError(
            f"{what} gives {found} at {_PLACES} times or distances; it must give an array with a "
            "value for each."
        )
