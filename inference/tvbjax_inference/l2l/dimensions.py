"""What one name of a space may be: a real or a whole number, an option, or an array of them.

Optimisers move through coordinates: numbers that are 0 to 1 from end to end of a dimension that has
ends, and about 1 in size where it has none. A coordinate beyond an end is mirrored at it, so that
every real number is an allowed value and volumes stay what they are.
"""

import abc
import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.kinds import check_count, check_number

# The standard deviation of what is spread evenly from 0 to 1, nearly.
_EVEN = 0.3


class AbstractDimension(abc.ABC):
    """What one name may be. `shape`: of an array whose elements vary each by itself.

    `bounded`: whether coordinates are 0 to 1; else they are any number, of a size of about 1.
    `continuous`: whether values change smoothly with coordinates, so that losses may have
    gradients.
    """

    shape: Any
    bounded: ClassVar[bool] = True
    continuous: ClassVar[bool] = False

    @property
    def each(self) -> int:
        """How many coordinates an element has."""
        return 1

    @property
    def size(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    @property
    def width(self) -> int:
        """How many coordinates there are."""
        return self.each * self.size

    @property
    def deviation(self) -> float:
        """How far coordinates go at first, as a standard deviation."""
        return _EVEN if self.bounded else 1.0

    @property
    def middle(self) -> float:
        """The coordinate to start from."""
        return 0.5 if self.bounded else 0.0

    @property
    def levels(self) -> int | None:
        """How many values an element may have; None where they are not counted."""
        return None

    @abc.abstractmethod
    def decode(self, coordinates: Float[Array, "*batch width"]) -> Array:
        """The values that belong to coordinates, with the shape after the batch's."""

    @abc.abstractmethod
    def encode(self, value: Any) -> np.ndarray:
        """Coordinates of one allowed value, in a row."""

    @abc.abstractmethod
    def spread(self, units: Float[np.ndarray, "*batch size"]) -> np.ndarray:
        """Coordinates for one number from 0 to 1 an element, each value with an equal share."""

    @abc.abstractmethod
    def plain(self, value: np.ndarray) -> Any:
        """A decoded value as Python has it: a number, an option, or an array or lists of them."""

    @abc.abstractmethod
    def fault(self, value: Any) -> str | None:
        """What is wrong with a value, if anything is."""

    def described(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {"type": type(self).__name__} | dataclasses.asdict(self)  # type: ignore[call-overload]


@dataclasses.dataclass(frozen=True)
class Real(AbstractDimension):
    """Numbers from `low` to `high`. `log`: steps are equal in the logarithm, for what may differ by
    orders of magnitude. `shape`: of an array of them."""

    low: int | float
    high: int | float
    log: bool = False
    shape: Any = ()

    continuous = True

    def __post_init__(self):
        _check_ends(self, "Real", 0.0)

    def decode(self, coordinates):
        share = mirrored(coordinates)
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            values = jnp.exp(low + (high - low) * share)
        else:
            values = self.low + (self.high - self.low) * share
        return _shaped(jnp.clip(values, self.low, self.high), self.shape)

    def encode(self, value):
        values = np.ravel(np.broadcast_to(np.asarray(value, float), self.shape))
        if self.log:
            return np.log(values / self.low) / math.log(self.high / self.low)
        return (values - self.low) / (self.high - self.low)

    def spread(self, units):
        return units

    def plain(self, value):
        return float(value) if self.shape == () else np.asarray(value)

    def fault(self, value):
        return _number_fault(value, self.shape, self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Unbounded(AbstractDimension):
    """Any numbers, first about `centre` with the standard deviation `scale`.

    `log`: numbers above zero, first about `centre` by factors of about exp(`scale`). `centre`: one
    number, or one for each element.
    """

    centre: float | tuple
    scale: float = 1.0
    log: bool = False
    shape: Any = ()

    bounded = False
    continuous = True

    def __init__(
        self,
        centre: Any = 0.0,
        scale: int | float = 1.0,
        log: bool = False,
        shape: Sequence[int] | None = None,
    ):
        try:
            given = np.asarray(centre, float)
        except (TypeError, ValueError):
            raise TypeError(
                f"Unbounded: centre is {centre!r:.60}; give a number or an array of numbers."
            ) from None
        shape = _checked_shape("Unbounded", given.shape if shape is None else shape)
        if given.shape not in ((), shape):
            raise ValueError(
                f"Unbounded: centre has the shape {given.shape} and the dimension {shape}; give "
                "one number, or one for each element."
            )
        if not np.isfinite(given).all() or (log and (given <= 0).any()):
            what = "above zero, of which there are logarithms" if log else "that are finite"
            raise ValueError(f"Unbounded: centre is {centre!r:.60}; give numbers {what}.")
        check_number("Unbounded: scale", scale, above=0.0)
        _check_log("Unbounded", log)
        object.__setattr__(self, "centre", _nested(given.tolist()))
        object.__setattr__(self, "scale", float(scale))
        object.__setattr__(self, "log", log)
        object.__setattr__(self, "shape", shape)

    def decode(self, coordinates):
        centre = jnp.asarray(self.centre, coordinates.dtype)
        moved = self.scale * _shaped(coordinates, self.shape)
        lifted = jnp.reshape(centre, (1,) * (moved.ndim - centre.ndim) + centre.shape)
        return lifted * jnp.exp(moved) if self.log else lifted + moved

    def encode(self, value):
        centre = np.asarray(self.centre, float)
        values = np.broadcast_to(np.asarray(value, float), self.shape)
        moved = np.log(values / centre) if self.log else values - centre
        return np.ravel(moved) / self.scale

    def spread(self, units):
        from scipy.stats import norm

        # No draw is beyond what one number in 2^53 is.
        return norm.ppf(np.clip(units, 2.0**-53, 1.0 - 2.0**-53))

    def plain(self, value):
        return float(value) if self.shape == () else np.asarray(value)

    def fault(self, value):
        fault = _number_fault(value, self.shape, -np.inf, np.inf)
        if fault is None and self.log and (np.asarray(value) <= 0).any():
            return f"is {_short(value)}; give numbers above zero"
        return fault


@dataclasses.dataclass(frozen=True)
class Integer(AbstractDimension):
    """Whole numbers from `low` to `high`, both included. `log`: as in `Real`, from 1 on."""

    low: Any
    high: Any
    log: bool = False
    shape: Any = ()

    def __post_init__(self):
        for name, value in (("low", self.low), ("high", self.high)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise TypeError(f"Integer: {name} is {value!r:.60}; give a whole number.")
            object.__setattr__(self, name, int(value))
        _check_ends(self, "Integer", 0.0)
        if max(abs(self.low), abs(self.high)) >= 2**31:
            raise ValueError(
                f"Integer: {self.low} to {self.high} is more than whole numbers of 32 bits hold; "
                "give a Real."
            )
        limits = jnp.finfo(jnp.result_type(float))
        if max(abs(self.low), abs(self.high) + 1, self.levels) > 2**limits.nmant:
            raise ValueError(
                f"Integer: {self.low} to {self.high} are more whole numbers than coordinates of "
                f"{limits.dtype} tell apart (2^{limits.nmant}); give fewer, a Real, or use "
                "jax_enable_x64."
            )

    @property
    def levels(self) -> int:
        return self.high - self.low + 1

    def decode(self, coordinates):
        share = mirrored(coordinates)
        if self.log:  # the cell of a whole number reaches to the next one
            low, high = math.log(self.low), math.log(self.high + 1)
            values = jnp.exp(low + (high - low) * share)
        else:
            values = self.low + self.levels * share
        # Rounding may fall short of a cell's lower end, where a whole number was encoded at it;
        # `encode` gives middles, so that this cannot be.
        whole = jnp.clip(jnp.floor(values), self.low, self.high)
        return _shaped(whole.astype(jnp.int32), self.shape)

    def encode(self, value):
        middles = np.ravel(np.broadcast_to(np.asarray(value), self.shape)) + 0.5
        if self.log:
            return np.log(middles / self.low) / math.log((self.high + 1) / self.low)
        return (middles - self.low) / self.levels

    def spread(self, units):
        return units

    def plain(self, value):
        return int(value) if self.shape == () else np.asarray(value)

    def fault(self, value):
        fault = _number_fault(value, self.shape, self.low, self.high)
        if fault is None and (np.asarray(value) % 1 != 0).any():
            return f"is {_short(value)}; give whole numbers"
        return fault


@dataclasses.dataclass(frozen=True)
class Categorical(AbstractDimension):
    """One of several options, which have no order. JAX functions get the option's place, Python
    functions and commands the option itself.

    Each option has a coordinate, and the greatest of them decides.
    """

    options: Sequence[Any]
    shape: Any = ()

    def __post_init__(self):
        options = self.options
        if isinstance(options, str) or not isinstance(options, Sequence):
            raise TypeError(
                f"Categorical: options are {options!r:.60}; give a list, ['rk4', 'heun']."
            )
        for place, option in enumerate(options):
            if not (option is None or isinstance(option, str | bool | int | float)):
                raise TypeError(
                    f"Categorical: option {place} is {option!r:.60}; options are texts, numbers, "
                    "True, False or None, which a journal can hold; give names, and choose by them."
                )
            if any(option is other or option == other for other in options[:place]):
                raise ValueError(f"Categorical: the option {option!r} is there twice.")
        if len(options) < 2:
            raise ValueError(f"Categorical: there are {len(options)} options; give two or more.")
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "shape", _checked_shape("Categorical", self.shape))

    @property
    def each(self) -> int:
        return len(self.options)

    @property
    def levels(self) -> int:
        return len(self.options)

    def decode(self, coordinates):
        scores = mirrored(coordinates)
        scores = scores.reshape(*scores.shape[:-1], self.size, self.each)
        return _shaped(jnp.argmax(scores, axis=-1).astype(jnp.int32), self.shape)

    def encode(self, value):
        places = np.ravel(np.broadcast_to(self._places(value), self.shape))
        return np.ravel(np.eye(self.each)[places])

    def spread(self, units):
        places = np.minimum((units * self.each).astype(int), self.each - 1)
        marked = np.eye(self.each)[places]
        return marked.reshape(*units.shape[:-1], self.width)

    def plain(self, value):
        if self.shape == ():
            return self.options[int(value)]
        return _chosen(tuple(self.options), np.asarray(value).tolist())

    def fault(self, value):
        try:
            places = self._places(value)
        except ValueError as error:
            return str(error)
        if places.shape not in ((), self.shape):
            return f"has the shape {places.shape}, not {self.shape}"
        return None

    def _places(self, value: Any) -> np.ndarray:
        """The options' places. Raises `ValueError` for what is none of them."""

        def place(one):
            if isinstance(one, list | tuple):
                return [place(part) for part in one]
            for number, option in enumerate(self.options):
                if type(one) is type(option) and one == option:
                    return number
            raise ValueError(f"is {one!r:.60}, which is none of {json.dumps(self.options)}")

        return np.asarray(place(value.tolist() if isinstance(value, np.ndarray) else value))


def mirrored(coordinates: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Coordinates mirrored at 0 and 1 as often as it takes; those within stay to the last bit."""
    within = (coordinates >= 0.0) & (coordinates <= 1.0)
    return jnp.where(within, coordinates, jnp.abs((coordinates + 1.0) % 2.0 - 1.0))


def _shaped(values: Array, shape: tuple[int, ...]) -> Array:
    return values.reshape(*values.shape[:-1], *shape)


def _nested(value: Any) -> Any:
    return tuple(_nested(part) for part in value) if isinstance(value, list) else value


def _chosen(options: tuple[Any, ...], places: Any) -> Any:
    if isinstance(places, list):
        return [_chosen(options, part) for part in places]
    return options[places]


def _short(value: Any) -> str:
    return f"{jax.device_get(value)!r:.60}"


def _number_fault(
    value: Any, shape: tuple[int, ...], low: int | float, high: int | float
) -> str | None:
    try:
        values = np.asarray(value)
        numbers = values.astype(float)
    except (TypeError, ValueError):
        return f"is {_short(value)}; give numbers"
    if values.dtype == bool or values.dtype.kind not in "fiu":
        return f"is {_short(value)}; give numbers"
    if values.shape not in ((), shape):
        return f"has the shape {values.shape}, not {shape}"
    if not np.isfinite(numbers).all():
        return f"is {_short(value)}; give finite numbers"
    if (numbers < low).any() or (numbers > high).any():
        return f"is {_short(value)}, which is not from {low} to {high}"
    return None


def _checked_shape(who: str, shape: Any) -> tuple[int, ...]:
    if isinstance(shape, int):
        shape = (shape,)
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise TypeError(f"{who}: shape is {shape!r:.60}; give a tuple of whole numbers, (76,).")
    for length in shape:
        check_count(f"{who}: shape", length)
    return tuple(int(length) for length in shape)


def _check_log(who: str, log: Any) -> None:
    if not isinstance(log, bool):
        raise TypeError(f"{who}: log is {log!r:.60}; give True or False.")


def _check_ends(dimension: Any, who: str, above: float) -> None:
    for name in ("low", "high"):
        check_number(f"{who}: {name}", getattr(dimension, name))
    low, high = dimension.low, dimension.high
    if not low < high:
        raise ValueError(f"{who}: low {low} is not below high {high}.")
    _check_log(who, dimension.log)
    if dimension.log and low <= above:
        raise ValueError(f"{who}: low is {low}; with log=True give one above zero.")
    limits = jnp.finfo(jnp.result_type(float))
    least, most = float(limits.tiny), float(limits.max)
    if max(abs(low), abs(high)) > most / 4 or (dimension.log and low < least):
        raise ValueError(
            f"{who}: {low} to {high} is beyond what {limits.dtype} holds ({least:.2g} to "
            f"{most:.2g}); give other ends, or use jax_enable_x64."
        )
    object.__setattr__(dimension, "shape", _checked_shape(who, dimension.shape))
    if who == "Real":
        object.__setattr__(dimension, "low", float(low))
        object.__setattr__(dimension, "high", float(high))
