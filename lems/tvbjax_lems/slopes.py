"""Derivatives of expressions as JAX takes them: finite wherever JAX's are, no delta functions."""

from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from .algebra import as_written, symbol

Assignment = tuple[sympy.Symbol, sympy.Basic]
# Constant but for their jumps.
_STEPS = (sympy.floor, sympy.ceiling, sympy.Heaviside, sympy.sign)


class _absolute(sympy.Function):  # noqa: N801
    """|x|; sympy's derivative of it is a formula for complex numbers unless it can prove x real."""

    nargs = (1,)
    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.sign(self.args[0])


class _power(sympy.Function):  # noqa: N801
    """x^y; sympy's derivative of it is x^y * y / x, which is 0/0 at x = 0."""

    nargs = (2,)
    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        arguments: Any = self.args
        base, exponent = arguments
        if argindex == 1:
            return exponent * base ** (exponent - 1)
        return sympy.Piecewise((0, sympy.Eq(base, 0)), (base**exponent * sympy.log(base), True))


def slope(expression: sympy.Basic, variable: sympy.Symbol) -> Any:
    """The derivative of an expression by one of its symbols, 0 at steps."""
    if variable not in expression.free_symbols:
        return sympy.S.Zero
    with as_written():
        steps = {node: sympy.Dummy(real=True) for node in expression.atoms(*_STEPS)}
        flat: Any = expression.xreplace(steps)
        flat = flat.replace(sympy.Abs, _absolute)
        flat = flat.replace(
            lambda node: isinstance(node, sympy.Pow) and not node.exp.is_number,
            lambda node: _power(*node.args),
        )
        whole = sympy.diff(flat, variable)
        whole = whole.replace(_absolute, sympy.Abs).replace(_power, sympy.Pow)
        return whole.xreplace({dummy: node for node, dummy in steps.items()})


def with_slopes(
    assignments: Sequence[Assignment],
    outputs: Sequence[sympy.Basic],
    variables: Iterable[sympy.Symbol],
) -> tuple[list[Assignment], list[list[sympy.Basic]]]:
    """The assignments with those of their slopes; per output, its slope by each variable.

    By the chain rule, forwards: an expression is differentiated once by each symbol in it.
    """
    variables = tuple(variables)
    known: dict[tuple[sympy.Symbol, sympy.Symbol], sympy.Symbol] = {}
    extended: list[Assignment] = []
    for name, expression in assignments:
        extended.append((name, expression))
        for variable in variables:
            total = _total(expression, variable, known)
            if total != 0:
                # LEMS names have no full stop, so this meets no name of the model.
                known[name, variable] = symbol(f"slope.{name}.{variable}")
                extended.append((known[name, variable], total))
    rows = [[_total(output, variable, known) for variable in variables] for output in outputs]
    return extended, rows


def _total(expression: sympy.Basic, variable: sympy.Symbol, known: dict) -> sympy.Basic:
    with as_written():
        total = slope(expression, variable)
        for name in sorted(expression.free_symbols, key=str):
            if (name, variable) in known:
                total += slope(expression, name) * known[name, variable]  # pyright: ignore[reportArgumentType]
        return total
