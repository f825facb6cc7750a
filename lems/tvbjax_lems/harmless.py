"""Arguments at which an expression and its slopes are finite: what a branch not taken is given."""

import math

import sympy

from .functions import greater, lesser, linoid, linoid_slope, sigmoid, softplus
from .slopes import slope

# In these orders nothing overflows and nothing is singular, whatever their argument.
_TAME = (
    sympy.sin,
    sympy.cos,
    sympy.tanh,
    sympy.atan,
    sympy.erf,
    sympy.erfc,
    sympy.Abs,
    sympy.Heaviside,
    sympy.sign,
    sigmoid,
    softplus,
    linoid,
    linoid_slope,
    greater,
    lesser,
)
_CANDIDATES = (1.0, 0.5, 2.0, -1.0, 0.25, -0.5, 3.0, 0.0)


def harmless_point(expression: sympy.Basic) -> dict[sympy.Symbol, float]:
    """Values for the symbols in what can be singular; {} where none are needed or were found."""
    names = sorted(expression.free_symbols, key=str)
    wild = _wild_symbols(expression)
    if not wild:
        return {}
    slopes = [slope(expression, name) for name in names]  # pyright: ignore[reportArgumentType]
    for candidate in _points(len(names)):
        point = dict(zip(names, candidate, strict=True))
        if all(_finite(part, point) for part in (expression, *slopes)):
            return {name: at for name, at in point.items() if name in wild}  # pyright: ignore[reportReturnType]
    return {}


def is_tame(expression: sympy.Basic) -> bool:
    """Whether the expression and its gradient are finite at every finite argument."""
    return not _is_wild(expression) and all(is_tame(argument) for argument in expression.args)


def _is_wild(expression: sympy.Basic) -> bool:
    """Whether the operation itself can be singular or overflow at finite arguments."""
    if isinstance(expression, sympy.Pow):
        exponent = expression.exp
        return not (exponent.is_number and exponent.is_integer and exponent.is_nonnegative)
    return isinstance(expression, sympy.Function) and not isinstance(expression, _TAME)


def _wild_symbols(expression: sympy.Basic) -> set[sympy.Basic]:
    if _is_wild(expression):
        return expression.free_symbols
    return set().union(*(_wild_symbols(argument) for argument in expression.args))


def _points(count: int) -> list[list[float]]:
    equal = [[candidate] * count for candidate in _CANDIDATES]
    # Unequal ones for differences in a denominator.
    spread = [[scale * math.sqrt(2.0 + i) for i in range(count)] for scale in (0.3, -0.3, 1.0)]
    return equal + spread


def _finite(expression: sympy.Basic, point: dict) -> bool:
    try:
        value = expression.xreplace({name: sympy.Float(at) for name, at in point.items()})
        return math.isfinite(float(value))  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        return False
