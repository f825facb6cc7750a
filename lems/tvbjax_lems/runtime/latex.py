r"""A network's equations as LaTeX: for each type an align* environment, which needs amsmath.

What is done on a condition or an event is a row of its own, `condition: & state \leftarrow value`.
Every name of the file is escaped.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

from ..source import latex_name
from .formulas import Formula
from .network import Network
from .plan import (
    Action,
    Assign,
    Computed,
    Elsewhere,
    Emit,
    Enter,
    Phase,
    Plan,
    Selected,
    Source,
    UnitPlan,
    Variable,
)
from .summary import in_order

# Each in every font encoding: OT1 has no \textquotedbl, and its " are closing quotes but in tt.
_ESCAPED = {
    **{character: f"\\{character}" for character in "{}$&#_%"},
    **{"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"},
    **{
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\texttt{\symbol{34}}",
    },
}
_PREAMBLE = r"% needs \usepackage{amsmath}; \allowdisplaybreaks lets pages break within equations"
_ONE_ROW = 2  # terms of a sum over components


def network_latex(network: Network) -> str:
    """The equations of each type in the network as LaTeX, and what happens on events.

    One align* environment for each type, under a heading with the type, and the path of the
    component whose equations they are: of its type the first that reads most of others.
    """
    plan = network.plan
    alike: dict[str, list[UnitPlan]] = {}
    for unit in in_order(plan):
        alike.setdefault(unit.type, []).append(unit)
    blocks = [_PREAMBLE]
    for units in alike.values():
        unit = max(units, key=_sources)
        rows = list(_Rows(plan, unit).all())
        if rows:
            joined = " \\\\\n".join(f"    {row}" for row in rows)
            heading = _heading(unit, len(units))
            blocks.append(f"{heading}\n\\begin{{align*}}\n{joined}\n\\end{{align*}}")
    return "\n\n".join(blocks) + "\n"


def _sources(unit: UnitPlan) -> int:
    return sum(len(v.sources) for v in unit.variables.values() if isinstance(v, Selected))


def _heading(unit: UnitPlan, alike: int) -> str:
    more = f" and {alike - 1} more" if alike > 1 else ""
    comment = " ".join(f"{unit.type}, as of {unit.path}".split())
    where = rf"\textnormal{{as of {_path(unit.path)}{more}}}"
    return f"% {comment}\n\\subsection*{{{escaped(unit.type)}, {where}}}"


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_ESCAPED.get(character, character) for character in " ".join(text.split()))


def _path(text: str) -> str:
    return rf"\texttt{{{escaped(text)}}}"


def _name(name: str) -> str:
    """A name of the file as a symbol."""
    plain = re.fullmatch(r"\w+", name, re.ASCII) and name.strip("_")
    return latex_name(name) if plain else rf"\text{{{escaped(name)}}}"


class _Latex(LatexPrinter):
    """Formulas as one writes them: stable forms spelled out, what is subtracted last."""

    def __init__(self, names: dict[sympy.Basic, str]):
        super().__init__({"symbol_names": names, "mul_symbol": r" \; "})

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
        terms = super()._as_ordered_terms(expr, order)
        return sorted(terms, key=lambda term: term.could_extract_minus_sign())

    def _print_Float(self, expr: Any) -> str:  # noqa: N802
        digits, _, power = f"{float(expr):.15g}".partition("e")
        return rf"{digits} \cdot 10^{{{int(power)}}}" if power else digits

    def _print_Heaviside(self, expr: Any, exp: Any = None) -> str:  # noqa: N802
        return self._powered(rf"H\left({self._print(expr.args[0])}\right)", exp)

    def _print_expm1(self, expr: Any, exp: Any = None) -> str:
        return self._powered(rf"\left(e^{{{self._print(expr.args[0])}}} - 1\right)", exp)

    def _print_log1p(self, expr: Any, exp: Any = None) -> str:
        return self._powered(rf"\log\left(1 + {self._print(expr.args[0])}\right)", exp)

    def _powered(self, text: str, power: Any) -> str:
        return text if power is None else f"{text}^{{{power}}}"


class _Rows:
    """The rows of one type's equations, as they are in one of its components."""

    def __init__(self, plan: Plan, unit: UnitPlan):
        self.plan, self.unit = plan, unit

    def all(self) -> Iterator[str]:
        yield from self.derivatives(self.unit.base)
        for name, variable in self.unit.variables.items():
            yield from self.variable(name, variable)
        for scheme in self.unit.schemes:
            state = rf"\boldsymbol{{{_name(scheme.state)}}}"
            size = f"{len(scheme.nodes)} states, {len(scheme.edges)} transitions"
            chain = rf"\text{{(a Markov chain: {size})}}"
            yield rf"\frac{{d {state}}}{{d t}} &= A \, {state} \quad {chain}"
        if self.unit.on_start:
            yield from self.actions(r"\text{at the start}", self.unit.on_start)
        yield from self.handlers(self.unit.base)
        for name, regime in zip(self.unit.regime_names, self.unit.regimes, strict=True):
            yield rf"\text{{in the regime {_path(name)}:}} &"
            yield from self.derivatives(regime)
            yield from self.handlers(regime)

    def derivatives(self, phase: Phase) -> Iterator[str]:
        for name, formula in phase.derivatives:
            yield rf"\frac{{d {_name(name)}}}{{d t}} &= {_formula(formula)}"

    def handlers(self, phase: Phase) -> Iterator[str]:
        if phase.on_entry:
            yield from self.actions(r"\text{on entry}", phase.on_entry)
        for one in phase.on_conditions:
            yield from self.actions(rf"\text{{when }} {_formula(one.test)}", one.actions)
        for one in phase.on_events:
            yield from self.actions(rf"\text{{on {_path(one.port)}}}", one.actions)

    def actions(self, when: str, actions: Sequence[Action]) -> Iterator[str]:
        said = [self.action(action) for action in actions] or [r"\text{nothing}"]
        yield rf"{when} \colon\quad & {said[0]}"
        yield from (f"& {one}" for one in said[1:])

    def action(self, action: Action) -> str:
        match action:
            case Assign(variable=name, value=value):
                return rf"{_name(name)} \leftarrow {_formula(value)}"
            case Emit(port=port):
                return rf"\text{{send {_path(port)}}}"
            case Enter(regime=regime):
                return rf"\text{{go to {_path(self.unit.regime_names[regime])}}}"

    def variable(self, name: str, variable: Variable) -> Iterator[str]:
        match variable:
            case Computed(formula=formula):
                yield f"{_name(name)} &= {_formula(formula)}"
            case Elsewhere(unit=i, name=other):
                yield f"{_name(name)} &= {self.of(i, other)}"
            case Selected():
                yield from self.selected(name, variable)

    def selected(self, name: str, variable: Selected) -> Iterator[str]:
        """A sum or product over components; one row each where there are many."""
        multiply = variable.reduce == "multiply"
        terms = [self.term(source, multiply) for source in variable.sources]
        sign = r"\cdot" if multiply else "+"
        if len(terms) <= _ONE_ROW:
            yield f"{_name(name)} &= {f' {sign} '.join(terms) or str(int(multiply))}"
            return
        yield f"{_name(name)} &= {terms[0]}"
        yield from (rf"&\quad {{}} {sign} {term}" for term in terms[1:])

    def term(self, source: Source, multiply: bool) -> str:
        pool = self.plan.units[source.unit].pool
        many = source.index is not None and self.plan.units[source.unit].size > 1
        if not many and pool is None:
            return self.of(source.unit, source.name)
        symbol = r"\prod" if multiply else r"\sum"
        return rf"{symbol}_{{\text{{{self.place(source.unit)}}}}} {_name(source.name)}"

    def of(self, unit: int, name: str) -> str:
        return rf"{_name(name)} \text{{ of {self.place(unit)}}}"

    def place(self, unit: int) -> str:
        """The path of another component, from here where it is below."""
        path, here = self.plan.units[unit].path, f"{self.unit.path}/"
        return _path(path.removeprefix(here))


def _formula(formula: Formula) -> str:
    names: dict[sympy.Basic, str] = {}
    for one in formula.expression.free_symbols:
        drawn = str(one) in formula.draws
        names[one] = r"\operatorname{random}(1)" if drawn else _name(str(one))
    return _Latex(names).doprint(formula.expression)
