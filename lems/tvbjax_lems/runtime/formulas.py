"""Expressions of a type as sympy formulas, with what they read and the random numbers they draw.

Where an expression's dimension is not the one that is wanted (a file in SI that is careless of
units), its number is meant in SI: a power of ten then takes it to the working units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import sympy

from .. import ir
from ..algebra import as_written, number, symbol, to_condition, to_expression
from ..dimensions import Scope, check_condition, dimension_of
from ..errors import Code, Report
from ..optimise import stable
from ..resolve import TIME_NAME, TypeCheck
from ..syntax import Binary, Call, ExpressionError, Name, Negative, Node, spine
from ..units import ANY, Dimension, DimensionCheck, UnitSystem


@dataclass(frozen=True, eq=False)
class Formula:
    """`reads`: the unit's names in it; `draws`: its uniform random numbers, one name each."""

    expression: sympy.Basic
    reads: tuple[str, ...]
    draws: tuple[str, ...] = ()


class TypeFormulas:
    """Makes the formulas of one type for components with the given numbers baked in."""

    def __init__(
        self,
        document: ir.Document,
        kind: ir.ComponentType,
        constants: Mapping[str, float],
        system: UnitSystem,
        report: Report,
    ):
        check = TypeCheck(document, kind, DimensionCheck.OFF, Report())
        check.run()
        self.kind, self.system, self.report = kind, system, report
        self.dimensions = Scope(check.known, document.dimensions)
        self.scope: dict[str, sympy.Expr] = {name: symbol(name) for name in check.known}
        for name, value in constants.items():
            own = {TIME_NAME, *self._computed(), *(one.name for one in kind.requirements)}
            if name not in own:
                self.scope[name] = number(value)
        self.known: dict[object, Formula | None] = {}
        self.sites = count()

    def _computed(self) -> set[str]:
        dynamics = self.kind.dynamics
        names = (*dynamics.states, *dynamics.derived) if dynamics else ()
        return {one.name for one in names} | {p.name for p in self.kind.parameters}

    def dimension(self, name: str | None) -> Dimension:
        return self.dimensions.dimensions.get(name, ANY) if name else ANY

    def value(self, source: ir.Expression, wanted: Dimension) -> Formula | None:
        """The formula of an expression; None, reported, where its numbers fail."""
        key = (id(source), wanted)
        if key not in self.known:
            self.known[key] = self._formula(source, wanted)
        return self.known[key]

    def condition(self, source: ir.Expression) -> Formula | None:
        if id(source) not in self.known:
            self.known[id(source)] = self._condition(source)
        return self.known[id(source)]

    def cases(self, variable: ir.DerivedVariable) -> Formula | None:
        """A derived variable's cases as one formula, 0 where none holds."""
        wanted = self.dimension(variable.dimension)
        if wanted is ANY:
            wanted = self.dimensions.names.get(variable.name, ANY)
        values = [self.value(case.value, wanted) for case in variable.cases]
        conditions = [c.condition and self.condition(c.condition) for c in variable.cases]
        if not values or any(value is None for value in values):
            return None
        pairs: list = []
        for case, value, condition in zip(variable.cases, values, conditions, strict=True):
            assert value is not None
            if case.condition is not None and condition is None:
                return None
            test = sympy.true if condition is None else condition.expression
            pairs.append((value.expression, test))
        if pairs[-1][1] != sympy.true:
            pairs.append((sympy.Integer(0), sympy.true))
        with as_written():
            whole = pairs[0][0] if pairs[0][1] == sympy.true else sympy.Piecewise(*pairs)
            whole = stable(whole)
        found = [one for one in (*values, *conditions) if one is not None]
        return _formula(whole, [draw for one in found for draw in one.draws])

    def _formula(self, source: ir.Expression, wanted: Dimension) -> Formula | None:
        try:
            node, draws = self._drawn(source.node)
            scope = self.scope | {name: symbol(name) for name in draws}
            factor = self._factor(source, wanted)
            value = to_expression(node, scope)
        except ExpressionError as error:
            self.report.add(source.finding(error))
            return None
        with as_written():
            return _formula(stable(value * number(factor) if factor != 1.0 else value), draws)

    def _condition(self, source: ir.Expression) -> Formula | None:
        try:
            check_condition(source.node, self.dimensions)
        except ExpressionError as error:
            self._mixed(source, error)
        try:
            node, draws = self._drawn(source.node)
            value = to_condition(node, self.scope | {name: symbol(name) for name in draws})
        except ExpressionError as error:
            self.report.add(source.finding(error))
            return None
        return _formula(value, draws)

    def _factor(self, source: ir.Expression, wanted: Dimension) -> float:
        """What takes a number whose dimension is not the one wanted to working units."""
        try:
            found = dimension_of(source.node, self.dimensions)
        except ExpressionError as error:
            self._mixed(source, error)
            return 1.0
        if found.agrees(wanted):
            return 1.0
        return 10.0 ** float(self.system.power(found) - self.system.power(wanted))

    def _mixed(self, source: ir.Expression, error: ExpressionError) -> None:
        """Report a sum of different dimensions, which only has a meaning in SI units."""
        if any(self.system.powers):
            hint = "mend the units, or load the file with units=SI"
            message = f"in units of {self.system.name} this has no meaning: {error.message}"
            found = source.finding(ExpressionError(Code.DIMENSION, error.offset, message, hint))
            self.report.add(found)

    def _drawn(self, node: Node) -> tuple[Node, list[str]]:
        """The tree with each random(x) as x times a uniform number of its own."""
        draws: list[str] = []
        return self._redrawn(node, draws), draws

    def _redrawn(self, node: Node, draws: list[str]) -> Node:
        first, chain = spine(node)
        match first:
            case Negative(operand=operand):
                value: Node = replace(first, operand=self._redrawn(operand, draws))
            case Call(function="derivative", offset=offset):
                message = "derivative is not for networks"
                hint = "write the derivative out; it is known in rate models alone"
                raise ExpressionError(Code.NOT_SUPPORTED, offset, message, hint)
            case Call(function="random", arguments=(argument,), offset=offset):
                name = f"random.{next(self.sites)}"
                draws.append(name)
                value = Binary("*", self._redrawn(argument, draws), Name(name, offset), offset)
            case Call(arguments=arguments):
                changed = tuple(self._redrawn(argument, draws) for argument in arguments)
                value = replace(first, arguments=changed)
            case _:
                value = first
        for link in chain:
            value = replace(link, left=value, right=self._redrawn(link.right, draws))
        return value


def baked(formula: Formula, numbers: Mapping[str, float]) -> Formula:
    """The formula with parameters that are whole-number exponents replaced by their values."""
    named = {symbol(n): sympy.Integer(int(v)) for n, v in numbers.items() if n in formula.reads}
    if not named:
        return formula
    with as_written():
        return _formula(formula.expression.xreplace(named), formula.draws)


def exponents(formula: Formula) -> set[str]:
    """The names that stand alone as an exponent."""
    powers = formula.expression.atoms(sympy.Pow)
    return {str(power.exp) for power in powers if isinstance(power.exp, sympy.Symbol)}


def _formula(expression: sympy.Basic, draws: Sequence[str]) -> Formula:
    reads = sorted(str(one) for one in expression.free_symbols)
    return Formula(expression, tuple(name for name in reads if name not in draws), tuple(draws))
