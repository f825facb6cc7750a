"""Dimensions, units and quantities: `-60 mV` to a number in the units that a model works in.

A unit is SI = (x + offset) * scale * 10^power. Conversion is exact (in fractions) up to the last
rounding, so that `10 mV` is 10.0 where the system of units has mV.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction

from .errors import Code, suggestion

SYMBOLS = (
    "m",
    "l",
    "t",
    "i",
    "k",
    "n",
    "j",
)  # mass, length, time, current, temperature, amount, light
_QUANTITY = re.compile(
    r"\s*([-+]?\s*(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z_\u00b5\u03bc%]\w*)?\s*", re.ASCII
)
_INFINITY = re.compile(r"\s*([-+]?)\s*inf(?:inity)?\s*", re.IGNORECASE)


class DimensionCheck(Enum):
    """What a wrong dimension is: an error, a warning, or nobody's business."""

    STRICT = auto()
    WARN = auto()
    OFF = auto()


@dataclass(frozen=True)
class Dimension:
    """Exponents of mass, length, time, current, temperature, amount and light; None is LEMS's *."""

    exponents: tuple[Fraction, ...] | None

    @property
    def is_any(self) -> bool:
        return self.exponents is None

    @property
    def is_none(self) -> bool:
        return self.exponents is not None and not any(self.exponents)

    def agrees(self, other: "Dimension") -> bool:
        return self.is_any or other.is_any or self.exponents == other.exponents

    def __mul__(self, other: "Dimension") -> "Dimension":
        if self.exponents is None or other.exponents is None:
            return ANY
        return Dimension(tuple(a + b for a, b in zip(self.exponents, other.exponents, strict=True)))

    def __truediv__(self, other: "Dimension") -> "Dimension":
        return self * other**-1

    def __pow__(self, power: "Fraction | int") -> "Dimension":
        if self.exponents is None:
            return ANY
        return Dimension(tuple(a * power for a in self.exponents))


def dimension(**exponents: int | Fraction) -> Dimension:
    """`dimension(l=1, t=-1)` is a speed."""
    return Dimension(tuple(Fraction(exponents.get(s, 0)) for s in SYMBOLS))


ANY = Dimension(None)
NONE = dimension()
TIME = dimension(t=1)

_VOLTAGE = dimension(m=1, l=2, t=-3, i=-1)
_NAMED = {
    NONE: ("none", ""),
    TIME: ("time", "ms"),
    TIME**-1: ("per_time", "1/ms"),
    dimension(l=1): ("length", "mm"),
    dimension(l=1, t=-1): ("speed", "mm/ms"),
    _VOLTAGE: ("voltage", "mV"),
    dimension(i=1): ("current", "nA"),
    dimension(i=1) / _VOLTAGE: ("conductance", "uS"),
    _VOLTAGE / dimension(i=1): ("resistance", "MOhm"),
    dimension(i=1, t=1) / _VOLTAGE: ("capacitance", "nF"),
    dimension(i=1, t=1): ("charge", "pC"),
    dimension(k=1): ("temperature", "K"),
    dimension(n=1, l=-3): ("concentration", "mM"),
    dimension(n=1): ("substance", "nmol"),
}
_BASE = ("pg", "mm", "ms", "nA", "K", "nmol", "cd")
_BASE_SI = ("kg", "m", "s", "A", "K", "mol", "cd")


@dataclass(frozen=True)
class UnitSystem:
    """A coherent system: each base unit is a power of ten of the SI's.

    NEURAL has ms, mm, mV, nA (hence uS, nF, pC), K and mM, the units of everything in tvbjax.
    """

    name: str
    powers: tuple[int, ...]  # of mass, length, time, current, temperature, amount, light
    symbols: tuple[str, ...]
    named: bool  # whether the neural names (mV, uS, ...) hold

    def power(self, dimension: Dimension) -> Fraction:
        """The power of ten of the coherent unit of a dimension in SI."""
        exponents = dimension.exponents or NONE.exponents or ()
        return sum((a * p for a, p in zip(exponents, self.powers, strict=True)), Fraction(0))

    def unit(self, dimension: Dimension) -> str:
        """The text of the coherent unit: `mV`, `mV/ms`, "" where there is none."""
        if dimension.exponents is None:
            return ""
        if self.named:
            if dimension in _NAMED:
                return _NAMED[dimension][1]
            for order in (1, 2):
                top = dimension * TIME**order
                if top in _NAMED:
                    return f"{_NAMED[top][1]}/ms" + ("^2" if order == 2 else "")
            if dimension**-1 in _NAMED:
                return f"1/{_NAMED[dimension**-1][1]}"
        return " ".join(
            symbol if power == 1 else f"{symbol}^{power}"
            for symbol, power in zip(self.symbols, dimension.exponents, strict=True)
            if power
        )


NEURAL = UnitSystem("neural", (-15, -3, -3, -9, 0, -9, 0), _BASE, named=True)
SI = UnitSystem("SI", (0,) * 7, _BASE_SI, named=False)


@dataclass(frozen=True)
class Unit:
    """A LEMS Unit: SI = (x + offset) * scale * 10^power."""

    symbol: str
    dimension: Dimension
    power: int = 0
    scale: float = 1.0
    offset: float = 0.0


class QuantityError(Exception):
    """A quantity that cannot be read; callers add the place."""

    def __init__(self, code: Code, message: str, hint: str = ""):
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def describe(dimension: Dimension, names: Mapping[str, Dimension] | None = None) -> str:
    """A dimension's name: the file's own, else a common one, else its exponents."""
    if dimension.is_any:
        return "*"
    known = [name for name, other in (names or {}).items() if other == dimension]
    if known:
        return known[-1]
    if dimension in _NAMED:
        return _NAMED[dimension][0]
    pairs = zip(SYMBOLS, dimension.exponents or (), strict=False)
    return "(" + " ".join(f"{s}={p}" for s, p in pairs if p) + ")"


def quantity(
    text: str, wanted: Dimension, units: Mapping[str, Unit], system: UnitSystem = NEURAL
) -> float:
    """The number of a quantity such as `-60 mV` or `.5` in the units of `system`.

    Raises QuantityError where the text is no quantity, its unit is unknown or of another dimension.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise QuantityError(
            Code.QUANTITY, f"'{text[:60]}' is not a quantity", "write a number and a unit: 10 mV"
        )
    digits, symbol = match.group(1).replace(" ", ""), match.group(2)
    value = float(digits)
    if math.isinf(value):
        raise QuantityError(Code.QUANTITY, f"{digits[:40]} is too large for a number")
    if symbol is None:
        if not wanted.is_none and not wanted.is_any and value != 0.0:
            raise QuantityError(
                Code.QUANTITY,
                f"'{text.strip()}' has no unit, but a {describe(wanted)} is needed",
                suggest_unit(wanted, units),
            )
        return value
    if symbol not in units:
        raise QuantityError(Code.QUANTITY, f"unknown unit '{symbol}'", suggestion(symbol, units))
    unit = units[symbol]
    if not wanted.agrees(unit.dimension):
        raise QuantityError(
            Code.DIMENSION,
            f"'{text.strip()}' is a {describe(unit.dimension)}, but a {describe(wanted)} is needed",
            suggest_unit(wanted, units),
        )
    return _convert(digits, unit, system)


def endpoint(
    text: str, wanted: Dimension, units: Mapping[str, Unit], system: UnitSystem = NEURAL
) -> float:
    """As `quantity`, and inf and -inf."""
    infinite = _INFINITY.fullmatch(text)
    if infinite:
        return -math.inf if infinite.group(1) == "-" else math.inf
    return quantity(text, wanted, units, system)


def suggest_unit(wanted: Dimension, units: Mapping[str, Unit]) -> str:
    fitting = [unit.symbol for unit in units.values() if unit.dimension == wanted]
    return f"units of it: {', '.join(sorted(fitting)[:8])}" if fitting else ""


def _convert(digits: str, unit: Unit, system: UnitSystem) -> float:
    power = unit.power - system.power(unit.dimension)
    if power.denominator != 1:
        return (float(digits) + unit.offset) * unit.scale * 10.0 ** float(power)
    if float(digits) == 0.0 and not unit.offset:
        return 0.0
    number = Fraction(digits if float(digits) and len(digits) < 400 else float(digits))
    # A decimal fraction as it is written, not the float next to it: 0.1 is 1/10.
    exact = (number + Fraction(repr(unit.offset))) * Fraction(repr(unit.scale))
    try:
        return float(exact * Fraction(10) ** int(power))
    except OverflowError:
        raise QuantityError(Code.QUANTITY, f"{digits} {unit.symbol} is too large") from None
