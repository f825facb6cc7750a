"""Partial derivatives that a file asks for, derivative(F, x), as equations of their own.

By the chain rule through the derived variables, each of which becomes one more derived variable:
so that of a long F every part is differentiated once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sympy

from .algebra import as_written, symbol
from .flat import Equation
from .functions import derivative
from .slopes import slope
from .units import ANY, Dimension, UnitSystem


class Partials:
    """Collects derived equations in order, with those of the partial derivatives in them.

    `dimensions`: of the model's names; `system`: in which the equations are.
    """

    def __init__(self, dimensions: Mapping[str, Dimension], system: UnitSystem):
        self.dimensions, self.system = dimensions, system
        self.equations: list[Equation] = []
        self._by_name: dict[str, Equation] = {}
        self._known: dict[tuple[str, str], Any] = {}

    def add(self, equation: Equation) -> None:
        """The next derived equation; what it uses has been added."""
        self._append(self.resolved(equation))

    def resolved(self, equation: Equation) -> Equation:
        """The equation with symbols in place of its partial derivatives."""
        wanted = sorted(equation.expression.atoms(derivative), key=str)
        wanted += sorted(equation.written.atoms(derivative) - {*wanted}, key=str)
        if not wanted:
            return equation
        found = {node: self._partial(*(str(argument) for argument in node.args)) for node in wanted}
        with as_written():
            return replace(
                equation,
                expression=equation.expression.xreplace(found),
                written=equation.written.xreplace(found),
            )

    def _append(self, equation: Equation) -> None:
        self.equations.append(equation)
        self._by_name[equation.name] = equation

    def _partial(self, function: str, variable: str) -> Any:
        """The symbol of a partial derivative, or the number that it is."""
        key = (function, variable)
        if key not in self._known:
            self._known[key] = self._defined(function, variable)
        return self._known[key]

    def _defined(self, function: str, variable: str) -> Any:
        if function == variable:
            return sympy.S.One
        equation = self._by_name.get(function)
        if equation is None:
            return sympy.S.Zero  # a state, a parameter or an input: independent of the others
        value, written = (
            self._total(one, variable) for one in (equation.expression, equation.written)
        )
        if value.is_number:
            return value
        name = f"d{function}_d{variable}"
        while name in self._by_name or name in self.dimensions:
            name += "_"
        self._append(Equation(name, value, written, self._unit(function, variable)))
        return symbol(name)

    def _total(self, expression: sympy.Basic, variable: str) -> Any:
        with as_written():
            total = slope(expression, symbol(variable))
            for name in _names(expression.free_symbols):
                if name in self._by_name:
                    inner = self._partial(name, variable)
                    if inner != 0:
                        total += slope(expression, symbol(name)) * inner
            return total

    def _unit(self, function: str, variable: str) -> str:
        above, below = (self.dimensions.get(name, ANY) for name in (function, variable))
        return "" if above.is_any or below.is_any else self.system.unit(above / below)


def _names(symbols: Iterable[sympy.Basic]) -> list[str]:
    return sorted(str(one) for one in symbols)
