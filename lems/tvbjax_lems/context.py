"""What the passes over one type share: its document, its report, and the names bound so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy

from . import ir
from .algebra import number, to_expression
from .errors import Code, Diagnostic, Report
from .flat import Interval
from .syntax import ExpressionError
from .units import ANY, Dimension, QuantityError, Unit, UnitSystem, endpoint, quantity
from .xml import Attribute


@dataclass
class Context:
    """What flattening one type needs at every turn."""

    document: ir.Document
    item: ir.ComponentType
    system: UnitSystem
    report: Report
    default: dict[str, float] = field(default_factory=dict)  # values of constants and parameters
    scope: dict[str, sympy.Expr] = field(default_factory=dict)  # constants as numbers
    written: dict[str, sympy.Expr] = field(default_factory=dict)  # constants as symbols

    @property
    def units(self) -> Mapping[str, Unit]:
        return self.document.units

    def dimension(self, name: str) -> Dimension:
        return self.document.dimensions.get(name, ANY)

    def unit(self, dimension: str | None) -> str:
        return self.system.unit(self.dimension(dimension)) if dimension else ""

    def fail(self, code: Code, attribute: Attribute, where: str, message: str, hint="") -> None:
        context = f"{self.item.context} > {where}" if where else self.item.context
        self.report.add(Diagnostic(code, attribute.place, message, hint, context))

    def quantity(self, attribute: Attribute, dimension: Dimension, where: str) -> float | None:
        try:
            return quantity(attribute.value, dimension, self.units, self.system)
        except QuantityError as error:
            self.fail(error.code, attribute, where, error.message, error.hint)
            return None

    def interval(self, attribute: Attribute, dimension: Dimension, where: str) -> Interval | None:
        """The two quantities of `lo, hi`, lo <= hi."""
        parts = attribute.value.split(",")
        if len(parts) != 2:
            message = f"'{attribute.value[:60]}' is not a range"
            self.fail(Code.RANGE, attribute, where, message, 'write "low, high"')
            return None
        try:
            low, high = (endpoint(p, dimension, self.units, self.system) for p in parts)
        except QuantityError as error:
            self.fail(error.code, attribute, where, error.message, error.hint)
            return None
        if low > high:
            message = f"the range '{attribute.value}' runs backwards"
            self.fail(Code.RANGE, attribute, where, message, "write the lower end first")
            return None
        return low, high


def numbers(values: Mapping[str, float]) -> dict[str, sympy.Expr]:
    return {name: number(value) for name, value in values.items()}


def expression(
    context: Context, source: ir.Expression, scope: Mapping[str, sympy.Expr]
) -> sympy.Expr | None:
    """The expression in sympy, None where its numbers fail (which is then reported)."""
    try:
        return to_expression(source.node, scope)
    except ExpressionError as error:
        context.report.add(source.finding(error))
        return None
