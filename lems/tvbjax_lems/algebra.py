"""Expression trees to sympy, guarded: no number may explode, vanish by zero or become complex.

What is constant is folded here in Python floats; sympy only ever sees numbers of modest size.
Symbols are real and are given by the caller: text never reaches sympy's own parser.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sympy
from sympy.core.parameters import distribute
from sympy.logic.boolalg import Boolean

from .errors import Code, suggestion
from .functions import derivative, greater, lesser
from .syntax import PI, Binary, Call, ExpressionError, Name, Negative, Node, Number, spine

EXPONENT_LIMIT = 1_000
_EXACT = 2.0**31


def _pairwise(function: Any) -> Callable[..., Any]:
    def balanced(*values: sympy.Basic) -> Any:
        level: list[Any] = list(values)
        while len(level) > 1:
            pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
            level = [function(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        return level[0]

    return balanced


_FLOAT_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp, "log": math.log, "ln": math.log, "sqrt": math.sqrt,
    "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "atan": math.atan,
    "abs": abs, "ceil": math.ceil, "floor": math.floor, "erf": math.erf, "erfc": math.erfc,
    "H": lambda x: 0.5 if x == 0 else float(x > 0),
}  # fmt: skip
_SYMBOLIC: dict[str, Callable[..., sympy.Basic]] = {
    "exp": sympy.exp, "log": sympy.log, "ln": sympy.log, "sqrt": sympy.sqrt,
    "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan,
    "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "atan": sympy.atan,
    "abs": sympy.Abs, "ceil": sympy.ceiling, "floor": sympy.floor, "erf": sympy.erf,
    "erfc": sympy.erfc, "atan2": sympy.atan2,
    "H": lambda x: sympy.Heaviside(x, sympy.S.Half),
    "factorial": sympy.factorial, "max": _pairwise(greater), "min": _pairwise(lesser),
}  # fmt: skip
_COMPARE: dict[str, Callable[[sympy.Expr, sympy.Expr], sympy.Basic]] = {
    ".gt.": sympy.Gt, ".geq.": sympy.Ge, ".lt.": sympy.Lt,
    ".leq.": sympy.Le, ".eq.": sympy.Eq, ".neq.": sympy.Ne,
}  # fmt: skip

_JOIN: dict[str, Callable[..., sympy.Basic]] = {".and.": sympy.And, ".or.": sympy.Or}


@contextmanager
def as_written() -> Iterator[None]:
    """Keep 2*(x + y) a product: distributing would cost digits where x + y is near 0."""
    with distribute(False):
        yield


def symbol(name: str) -> sympy.Symbol:
    """The symbol of a model's name: real."""
    return sympy.Symbol(name, real=True)


def number(value: float) -> sympy.Expr:
    """An exact integer where the value is a small one, else a float of 53 bits."""
    if value == int(value) and abs(value) < _EXACT:
        return sympy.Integer(int(value))
    return sympy.Float(value)


def to_expression(node: Node, scope: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """The sympy form of a number-valued tree. Raises ExpressionError."""
    with as_written():
        return _expression(node, scope)


def to_condition(node: Node, scope: Mapping[str, sympy.Expr]) -> Boolean:
    """The sympy form of a condition. Raises ExpressionError."""
    with as_written():
        return _condition(node, scope)


def _condition(node: Node, scope: Mapping[str, sympy.Expr]) -> Boolean:
    chain: list[Binary] = []
    while isinstance(node, Binary) and node.operator in _JOIN:
        chain.append(node)
        node = node.left
    assert isinstance(node, Binary)  # what parse_condition gives
    left, right = _expression(node.left, scope), _expression(node.right, scope)
    value = _COMPARE[node.operator](left, right)
    for link in reversed(chain):
        value = _JOIN[link.operator](value, _condition(link.right, scope))
    return value  # pyright: ignore[reportReturnType]


def _expression(node: Node, scope: Mapping[str, sympy.Expr]) -> sympy.Expr:
    first, chain = spine(node)
    value = _leaf(first, scope)
    for link in chain:
        value = _checked(_operate(link, value, _expression(link.right, scope)), link.offset)
    return value


def _leaf(node: Node, scope: Mapping[str, sympy.Expr]) -> sympy.Expr:
    match node:
        case Number(text=text):
            return _literal(text, node.offset)
        case Name(name=name):
            if name in scope:
                return scope[name]
            if name == PI:
                return sympy.pi
            raise ExpressionError(
                Code.UNKNOWN_NAME,
                node.offset,
                f"unknown name '{name}'",
                suggestion(name, scope),
            )
        case Negative(operand=operand):
            return -_expression(operand, scope)
        case Call(function=function, arguments=arguments):
            values = [_expression(argument, scope) for argument in arguments]
            return _checked(_call(function, values, node.offset), node.offset)
        case Binary():
            raise AssertionError(node)


def _literal(text: str, offset: int) -> sympy.Expr:
    value = float(text)
    if math.isinf(value):
        raise _arithmetic(offset, f"{text[:40]} is too large for a number")
    return number(value)


def _operate(link: Binary, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
    match link.operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            if right.is_zero:
                raise _arithmetic(link.offset, "division by zero")
            return left / right
        case _:
            return _power(left, right, link.offset)


def _power(base: sympy.Expr, exponent: sympy.Expr, offset: int) -> sympy.Expr:
    if exponent.is_number and abs(float(exponent)) > EXPONENT_LIMIT:
        raise _arithmetic(
            offset, f"the exponent is {float(exponent):g}; at most {EXPONENT_LIMIT} is allowed"
        )
    if not (base.is_number and exponent.is_number):
        return base**exponent  # pyright: ignore[reportReturnType]
    if base.is_zero and float(exponent) < 0:
        raise _arithmetic(offset, "division by zero: a negative power of zero")
    if float(base) < 0.0 and not float(exponent).is_integer():
        raise _arithmetic(offset, "a fractional power of a negative number is not real")
    value = _float(lambda: float(base) ** float(exponent), offset, "the power")
    if base is sympy.pi and exponent.is_Integer:
        return base**exponent  # pyright: ignore[reportReturnType]
    return number(value)


def _call(function: str, values: list[sympy.Expr], offset: int) -> sympy.Expr:
    if function == "random":
        raise ExpressionError(
            Code.NOT_SUPPORTED,
            offset,
            "random is not supported yet in rate models",
            'for noise give the state variable tvbjax:noise="..."',
        )
    if function == "derivative":
        return _derivative(values, offset)
    if not all(value.is_number for value in values):
        return _SYMBOLIC[function](*values)  # pyright: ignore[reportReturnType]
    floats = [float(value) for value in values]
    if function in ("max", "min"):
        return number((max if function == "max" else min)(floats))
    if function == "factorial":
        return number(_float(lambda: _factorial(floats[0]), offset, "the factorial"))
    if function == "atan2":
        return number(math.atan2(*floats))
    return number(_float(lambda: _FLOAT_FUNCTIONS[function](floats[0]), offset, function))


def _derivative(values: list[sympy.Expr], offset: int) -> sympy.Expr:
    if not all(isinstance(value, sympy.Symbol) for value in values):
        raise ExpressionError(
            Code.ARITHMETIC,
            offset,
            "derivative of, or by, a constant",
            "name a derived variable, and a state variable, parameter or input",
        )
    return derivative(*values)  # pyright: ignore[reportReturnType]


def _factorial(value: float) -> float:
    if value > 170:
        raise OverflowError
    return float(math.factorial(int(value))) if value == int(value) else math.gamma(value + 1.0)


def _float(compute: Callable[[], float], offset: int, what: str) -> float:
    try:
        return float(compute())
    except OverflowError:
        raise _arithmetic(offset, f"{what} is too large for a number") from None
    except ValueError:
        raise _arithmetic(offset, f"{what} of this value is not a real number") from None


def _checked(value: sympy.Expr, offset: int) -> sympy.Expr:
    """The value itself, unless it is or carries a number that no float can hold."""
    if value in (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise _arithmetic(offset, "the result is not a finite number")
    if value.is_number and not value.is_real:
        raise _arithmetic(offset, "the result is not a real number")
    factor = value.as_coeff_Mul()[0]
    try:
        if math.isinf(float(factor)):
            raise OverflowError
    except OverflowError:
        raise _arithmetic(offset, "the result is too large for a number") from None
    return value


def _arithmetic(offset: int, message: str) -> ExpressionError:
    return ExpressionError(Code.ARITHMETIC, offset, message)
