"""Statements that compute a network's values, written when a value is asked for.

The counterpart of `Values`, in text: what that computes, these statements compute.
"""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from ..module import number_source, one_line
from ..printing import JaxSource
from .formulas import Formula
from .module_names import Shared, quoted
from .plan import Computed, Elsewhere, Index, Parameter, Selected, Source, State, Time
from .values import Name

_LONG = 93


@dataclass(frozen=True)
class Text:
    """The source of a value. `size`: how many numbers it has; None: one, or one per instance."""

    source: str
    size: int | None = None


class Writer:
    """The statements of one function. `known`: where values are, as in `Values`."""

    def __init__(self, shared: Shared, known: Mapping[Name, Text], time: str, key: str):
        self.shared, self.plan = shared, shared.plan
        self.known = dict(known)
        self.time, self.key, self.turn = time, key, ""
        self.names = shared.local_names()
        self.lines: list[str] = []
        self.ahead: list[str] = []  # what does not change in time: it may stand before the rest
        self.margin = "    "
        self.gathers: dict[Name, tuple[str, Text]] = {}

    def put(self, name: str, source: str, comment: str = "") -> None:
        """Write an assignment."""
        said = f"  # {one_line(comment)}" if comment else ""
        if len(name) + len(source) > _LONG and '"' not in source:
            call, inner = _called(source)
            parts = textwrap.wrap(inner, 88, break_long_words=False, break_on_hyphens=False)
            self.write(f"{name} = {call}({said}", *(f"    {part}" for part in parts), ")")
        else:
            self.write(f"{name} = {source}{said}")
        stale = [key for key, (read, _) in self.gathers.items() if read == name]
        for key in stale:
            del self.gathers[key]

    def write(self, *lines: str) -> None:
        self.lines += [self.margin + line if line else "" for line in lines]

    # Values.

    def get(self, unit: int, name: str) -> Text:
        """The value of a name."""
        if (unit, name) in self.known:
            return self.known[unit, name]
        variable = self.plan.units[unit].variables[name]
        if isinstance(variable, Parameter) or (unit, name) in self.plan.constant:
            value = self.computed_ahead(unit, name)
        else:
            value = self.compute(unit, name)
        if not isinstance(variable, Elsewhere):
            self.known[unit, name] = value
        return value

    def computed_ahead(self, unit: int, name: str) -> Text:
        """Write what computes a constant before the statements that are written just now."""
        before = self.lines, self.margin, self.gathers
        self.lines, self.margin, self.gathers = self.ahead, "    ", {}
        value = self.compute(unit, name)
        self.lines, self.margin, self.gathers = before
        return value

    def go_ahead(self, place: int) -> None:
        """Insert what was written ahead into the statements."""
        self.lines[place:place] = self.ahead
        self.ahead = []

    def compute(self, unit: int, name: str) -> Text:
        """Write what computes a name's value."""
        variable = self.plan.units[unit].variables[name]
        match variable:
            case Parameter():
                return self.parameter(unit, name, variable)
            case Time():
                return Text(self.time)
            case Computed():
                return self.kept(unit, name, self.formula(unit, variable.formula))
            case Elsewhere():
                return self.elsewhere(unit, name, variable)
            case Selected():
                whole = self.reduced(unit, name, variable)
                return self.kept(unit, name, self.gathered(unit, name, whole, variable.index))
            case State():
                raise KeyError(f"{self.plan.units[unit].path}/{name} has no value yet")

    def kept(self, unit: int, name: str, value: Text) -> Text:
        """Give a value its name."""
        target = self.target(unit, name)
        self.put(target, value.source, self.shared.unit_of(unit, name))
        return Text(target, value.size)

    def target(self, unit: int, name: str) -> str:
        return self.shared.name(unit, name)

    def parameter(self, unit: int, name: str, variable: Parameter) -> Text:
        path = self.plan.units[unit].path
        if name in self.shared.network.params.get(path, {}):
            source = f"params[{quoted(path)}][{quoted(name)}]"
        elif variable.value.ndim:
            source = f"jnp.asarray({self.array(unit, name, variable.value)}, float)"
        else:
            source = f"jnp.asarray({number_source(float(variable.value))}, float)"
        return self.kept(unit, name, Text(source))

    def elsewhere(self, unit: int, name: str, variable: Elsewhere) -> Text:
        value = self.get(variable.unit, variable.name)
        if (unit, name) in self.gathers and self.gathers[unit, name][0] == value.source:
            return self.gathers[unit, name][1]
        found = self.gathered(unit, name, value, variable.index)
        if found is not value:
            found = self.kept(unit, name, found)
            self.gathers[unit, name] = (value.source, found)
        return found

    def gathered(self, unit: int, name: str, value: Text, index: Index) -> Text:
        """A value for each instance of a unit further down."""
        if index is None or value.size == 1:
            return value
        places = self.array(unit, f"of {name}", index)
        if value.size is None:
            return Text(f"at({value.source}, {places})")
        return Text(f"{value.source}[{places}]", len(index))

    def array(self, unit: int, word: str, value: np.ndarray) -> str:
        return self.shared.array(f"{self.shared.prefixes[unit]}_{word}", value)

    def reduced(self, unit: int, name: str, selected: Selected) -> Text:
        multiply = selected.reduce == "multiply"
        if not selected.sources:
            return Text("jnp.ones(())" if multiply else "jnp.zeros(())")
        terms = [self.collected(unit, name, s, selected.size, multiply) for s in selected.sources]
        size = max((one.size or 0 for one in terms), default=0) or None
        return Text((" * " if multiply else " + ").join(one.source for one in terms), size)

    def collected(self, unit: int, name: str, source: Source, size: int, multiply: bool) -> Text:
        value = self.get(source.unit, source.name)
        if source.index is None:
            return value
        whole = self.full(source.unit, value)
        if size == 1:
            return Text(f"jnp.{'prod' if multiply else 'sum'}({whole}, keepdims=True)", 1)
        places = self.array(source.unit, f"to {self.shared.prefixes[unit]}", source.index)
        return Text(f"{'multiplied' if multiply else 'summed'}({whole}, {places}, {size})", size)

    def formula(self, unit: int, formula: Formula) -> Text:
        """The source of a formula in the names of a unit."""
        size = self.plan.units[unit].size
        own = {name: self.get(unit, name) for name in formula.reads}
        for name in formula.draws:
            own[name] = self.uniform(unit, name)
        expression: Any = formula.expression
        if not own and isinstance(expression, sympy.Expr) and expression.is_number:
            return Text(number_source(float(expression)))
        printer = JaxSource(self.names, {name: text.source for name, text in own.items()})
        try:
            source = _source(printer, expression)
        except NotImplementedError as error:
            raise NotImplementedError(
                f"network_module: a formula of '{self.plan.units[unit].path}' cannot be written in "
                f"JAX ({error}); write it in other functions, or run the file with tvbjax itself."
            ) from None
        self.write(*printer.taken_lines())
        if _is_whole(expression):
            source = f"jnp.asarray({source}, float)"
        return Text(source, size if any(one.size == size for one in own.values()) else None)

    def full(self, unit: int, value: Text) -> str:
        """A value as one number per instance."""
        size = self.plan.units[unit].size
        return value.source if value.size == size else f"full({value.source}, {size})"

    def uniform(self, unit: int, name: str) -> Text:
        site, size = int(name.rpartition(".")[2]), self.plan.units[unit].size
        target = self.names.numbered(f"{self.shared.prefixes[unit]}_random")
        more = f", {self.turn}" if self.turn else ""
        self.put(target, f"uniform({self.key}, {unit}, {site}, {size}{more})")
        return Text(target, size)

    def condition(self, unit: int, test: Formula) -> str:
        """The name of where a condition holds."""
        size = self.plan.units[unit].size
        found = self.formula(unit, test)
        target = self.names.numbered(f"{self.shared.prefixes[unit]}_when")
        whole = found.size == size
        self.put(target, found.source if whole else f"jnp.broadcast_to({found.source}, ({size},))")
        return target


class StartWriter(Writer):
    """Values in which a state is what OnStart says; the counterpart of `_Start`."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.written: set[str] = set()

    def target(self, unit: int, name: str) -> str:
        """A name of its own at each time, since values are computed anew as states change."""
        wanted = self.shared.name(unit, name)
        found = self.names.numbered(f"{wanted}_then") if wanted in self.written else wanted
        self.written.add(wanted)
        return found

    def compute(self, unit: int, name: str) -> Text:
        if not isinstance(self.plan.units[unit].variables[name], State):
            return super().compute(unit, name)
        self.begin(unit)
        return self.known[unit, name]

    def begin(self, unit: int) -> None:
        """Write a unit's OnStart."""
        mine = self.plan.units[unit]
        for name, variable in mine.variables.items():
            if isinstance(variable, State):
                self.known[unit, name] = Text(f"jnp.zeros({mine.size})", mine.size)
        for assign in mine.on_start:
            self.forget()
            value = self.full(unit, self.formula(unit, assign.value))
            kept = self.kept(unit, assign.variable, Text(value, mine.size))
            self.known[unit, assign.variable] = kept

    def forget(self) -> None:
        """Drop what was computed from states that have changed since."""
        for i, name in list(self.known):
            variable = self.plan.units[i].variables[name]
            changing = isinstance(variable, Computed | Selected | Elsewhere)
            if changing and (i, name) not in self.plan.constant:
                del self.known[i, name]
        self.gathers = {}


def _source(printer: JaxSource, expression: Any) -> str:
    if isinstance(expression, sympy.Expr):
        return printer.text(expression)
    text = printer._print(expression)
    wrapped = isinstance(expression, sympy.core.relational.Relational | sympy.And | sympy.Or)
    return text[1:-1] if wrapped else text


def _called(source: str) -> tuple[str, str]:
    """The function and the arguments where the whole is a call; else "" and the whole."""
    head, _, rest = source.partition("(")
    depth = 1
    for place, character in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            whole = place == len(rest) - 1 and re.fullmatch(r"[\w.]+", head)
            return (head, rest[:-1]) if whole else ("", source)
    return "", source


def _is_whole(expression: sympy.Basic) -> bool:
    """Whether its values are written as whole numbers, which Python would not make floats."""
    if isinstance(expression, sympy.Piecewise):
        return all(_is_whole(pair.args[0]) for pair in expression.args)
    return isinstance(expression, sympy.Integer)


def listed(sources: Iterable[str]) -> str:
    """`(a, b)`, and `(a,)` for one."""
    found: Sequence[str] = list(sources)
    return f"({', '.join(found)}{',' if len(found) == 1 else ''})"
