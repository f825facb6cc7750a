"""A model in words for the terminal: its equations as text, and what depends on what."""

from typing import Any

import sympy
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from .emit import Model
from .flat import Equation, FlatModel

_RELATIONS = {"==": "=", "!=": "!="}
_KINDS = ("state", "derived", "input", "parameter", "constant", "time")


class _Text(StrPrinter):
    """Expressions as one writes them: ^ for powers, conditions in words."""

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:  # noqa: N802
        base, exponent = expr.args
        if exponent.is_number and float(exponent) == 0.5:
            return f"sqrt({self._print(base)})"
        if exponent.is_number and exponent.is_negative:
            return f"1/{self.parenthesize(base**-exponent, PRECEDENCE['Mul'])}"
        left = self.parenthesize(base, PRECEDENCE["Pow"])
        return f"{left}^{self.parenthesize(exponent, PRECEDENCE['Pow'])}"

    def _print_Float(self, expr: Any) -> str:  # noqa: N802
        return f"{float(expr):.15g}"

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        left, right = (self._print(side) for side in expr.args)
        return f"{left} {_RELATIONS.get(expr.rel_op, expr.rel_op)} {right}"

    def _print_And(self, expr: Any) -> str:  # noqa: N802
        return " and ".join(self.parenthesize(a, PRECEDENCE["And"]) for a in expr.args)

    def _print_Or(self, expr: Any) -> str:  # noqa: N802
        return " or ".join(self.parenthesize(a, PRECEDENCE["Or"]) for a in expr.args)

    def _print_Heaviside(self, expr: Any) -> str:  # noqa: N802
        return f"H({self._print(expr.args[0])})"

    def _print_Abs(self, expr: Any) -> str:  # noqa: N802
        return f"abs({self._print(expr.args[0])})"

    def _print_greater(self, expr: Any) -> str:
        return f"max({', '.join(self._print(a) for a in expr.args)})"

    def _print_lesser(self, expr: Any) -> str:
        return f"min({', '.join(self._print(a) for a in expr.args)})"

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        return "{" + "; ".join(" ".join(case) for case in _cases(self, expr)) + "}"


def expression_text(expression: sympy.Basic) -> str:
    """An expression as plain text, as one writes it."""
    return _Text().doprint(expression)


def _cases(printer: _Text, expression: Any) -> list[tuple[str, str]]:
    return [
        (
            printer.doprint(pair.args[0]),
            "otherwise" if pair.args[1] == sympy.true else f"if {printer.doprint(pair.args[1])}",
        )
        for pair in expression.args
    ]


def equations_text(model: Model) -> str:
    """The equations as plain text: derivatives, then what they use, then the constants.

    One equation a line with its unit in brackets; a conditional one has a line per case.
    """
    spec = model.spec
    lines = []
    for equation in spec.derivatives:
        lines += _equation(f"d{equation.name}/dt", equation)
    if spec.derived:
        lines += ["", "where"]
        for equation in spec.derived:
            lines += _equation(equation.name, equation)
    if used := _used_constants(spec):
        lines += ["", "with"]
        lines += [f"  {c.name} = {c.value:.15g} {c.unit}".rstrip() for c in used]
    return "\n".join(lines) + "\n"


def _used_constants(spec: FlatModel) -> list[Any]:
    used = {str(s) for e in (*spec.derived, *spec.derivatives) for s in e.written.free_symbols}
    return [constant for constant in spec.constants if constant.name in used]


def _equation(left: str, equation: Equation) -> list[str]:
    printer = _Text()
    unit = f"   [{equation.unit}]" if equation.unit else ""
    if not isinstance(equation.written, sympy.Piecewise):
        return [f"  {left} = {printer.doprint(equation.written)}{unit}"]
    cases = _cases(printer, equation.written)
    width = max(len(value) for value, _ in cases)
    margins = [f"  {left} = ", *(" " * (len(left) + 5) for _ in cases[1:])]
    lines = [
        f"{margin}{value:{width}}  {when}"
        for margin, (value, when) in zip(margins, cases, strict=True)
    ]
    return [lines[0] + unit, *lines[1:]]


def dependencies(model: Model) -> dict[str, tuple[str, ...]]:
    """What each time derivative (by its state's name) and derived name depends on, directly.

    States first, then derived names, inputs, parameters, constants and the time t.
    """
    spec = model.spec
    kinds = _kinds(spec)
    order = {name: (_KINDS.index(kind), i) for i, (name, kind) in enumerate(kinds.items())}
    return {
        equation.name: tuple(
            sorted((str(s) for s in equation.written.free_symbols), key=order.__getitem__)
        )
        for equation in (*spec.derivatives, *spec.derived)
    }


def _kinds(spec: FlatModel) -> dict[str, str]:
    groups = (spec.states, spec.derived, spec.inputs, spec.parameters, spec.constants)
    kinds = {row.name: kind for kind, rows in zip(_KINDS, groups, strict=False) for row in rows}
    return kinds | {"t": "time"}


def dependency_text(model: Model) -> str:
    """What depends on what, one line each, and what nothing depends on."""
    spec, found = model.spec, dependencies(model)
    states = set(model.state_variables)
    lefts = {name: f"d{name}/dt" if name in states else name for name in found}
    width = max(len(left) for left in lefts.values())
    lines = [
        f"  {lefts[name]:{width}}  <-  {', '.join(used) if used else 'nothing'}"
        for name, used in found.items()
    ]
    everything = {name for used in found.values() for name in used}
    unused = [row.name for row in (*spec.parameters, *spec.inputs) if row.name not in everything]
    if unused:
        lines.append(f"  not used: {', '.join(unused)}")
    return "\n".join(lines) + "\n"


_SHAPES = {
    "state": "shape=ellipse, style=filled, fillcolor=lightblue",
    "derived": "shape=box",
    "input": "shape=invhouse, style=filled, fillcolor=lightyellow",
    "parameter": "shape=plaintext",
    "constant": "shape=plaintext, fontcolor=gray40",
    "time": "shape=diamond",
}


def dependency_dot(model: Model) -> str:
    """The dependencies as a Graphviz graph; an arrow goes from what is used to what uses it.

    An arrow into a state variable is a term of its time derivative. `dot -Tsvg` draws it.
    """
    found = dependencies(model)
    used = {name for names in found.values() for name in names}
    lines = [f'digraph "{model.name}" {{', "  rankdir=LR;", "  node [fontname=Helvetica];"]
    for name, kind in _kinds(model.spec).items():
        if name in used or name in found:
            unit = model.units.get(name, "")
            label = f"{name}\\n{unit}" if unit else name
            lines.append(f'  "{name}" [label="{label}", {_SHAPES[kind]}];')
    for name, names in found.items():
        lines += [f'  "{other}" -> "{name}";' for other in names]
    return "\n".join([*lines, "}"]) + "\n"
