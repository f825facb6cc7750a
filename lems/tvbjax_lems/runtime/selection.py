"""Paths of `select` to quantities of other units: whose values, in which order, added or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .. import ir
from ..errors import Code, Diagnostic, suggestion
from ..selects import Step, parse_select
from ..units import ANY
from .plan import Elsewhere, Index, Selected, Source, Variable
from .tree import Unit

if TYPE_CHECKING:
    from .assemble import Assembler

_PREDICATE = re.compile(r"(\w+)\s*=\s*'([^']*)'")


@dataclass(frozen=True)
class _Reached:
    """A unit at the end of a path, with its instances' places among those of the start.

    `picked`: where only one of its instances is meant, that of each instance of the start.
    """

    unit: Unit
    index: Index
    picked: Index = None


class Selection:
    """Finds what paths select; what they read gets a number from the assembler."""

    def __init__(self, assembler: Assembler):
        self.assembler = assembler

    def select(self, unit: Unit, variable: str, select: ir.Select) -> Variable | None:
        """The values that the path of a unit's variable selects."""
        *steps, final = [s for s in parse_select(select.path.value).steps if s.name != "."]
        last = final.name
        origin, gather = unit, None
        while steps and steps[0].name in ("..", "parent"):
            gather = through(gather, origin.index())
            steps = steps[1:]
            if origin.parent is None:
                self.lost(select, "it leads out of the network")
                return None
            origin = origin.parent
        if steps and steps[0].name in origin.peers:
            origin, steps = origin.peers[steps[0].name], steps[1:]
        reached = [_Reached(origin, None)]
        for step in steps:
            reached = [found for one in reached for found in self.inside(one, step, select)]
        sources = []
        if len(reached) == 1 and reached[0].picked is not None:
            gather = through(gather, reached[0].picked)
            reached = [_Reached(reached[0].unit, None)]
            select = replace(select, reduce="")
        for one in reached:
            name = self.reading(one.unit, last)
            if name is None:
                known = [e.name for e in one.unit.bound.type.exposures]
                self.lost(select, f"{one.unit.bound.context} has no '{last}'", known)
                continue
            self.compare(unit, variable, select, one.unit, name)
            sources.append(Source(self.assembler.number(one.unit), name, one.index))
        return self.selected(unit, origin, select, tuple(sources), gather)

    def compare(self, unit: Unit, variable: str, select: ir.Select, other: Unit, name: str) -> None:
        """Report a path to another dimension: its number would be another in other units."""
        scope = self.assembler.of_type(unit).dimensions
        wanted = scope.names.get(variable, ANY)
        given = self.assembler.of_type(other).dimensions.names.get(name, ANY)
        if self.assembler.is_si:
            return
        message = ""
        if select.reduce == "multiply" and self.assembler.system.power(given):
            message = f"it multiplies values of {scope.describe(given)}"
        elif select.reduce != "multiply" and not wanted.agrees(given):
            message = f"it gives {scope.describe(given)}, but '{variable}' is "
            message += scope.describe(wanted)
        elif self.is_free(unit, variable) and self.assembler.system.power(given):
            message = f"it gives {scope.describe(given)}, but '{variable}' has the dimension *"
        if message:
            hint = "mend the dimensions, or load the file with units=SI"
            message += f", so in units of {self.assembler.system.name} it has no meaning"
            self.lost(select, message, hint=hint, code=Code.DIMENSION)

    def is_free(self, unit: Unit, variable: str) -> bool:
        """Whether a variable is declared to have any dimension."""
        dynamics = unit.bound.type.dynamics
        declared = (*unit.bound.type.derived_parameters, *(dynamics.derived if dynamics else ()))
        return any(one.name == variable and one.dimension == "*" for one in declared)

    def reading(self, unit: Unit, name: str) -> str | None:
        """A name that a path may end in: also what the unit itself requires, as peer/v."""
        found = self.assembler.look_up(unit, name)
        return name if found is None and self.assembler.variable(unit, name) is not None else found

    def selected(
        self,
        unit: Unit,
        origin: Unit,
        select: ir.Select,
        sources: tuple[Source, ...],
        gather: Index,
    ) -> Variable | None:
        self.assembler.number(origin)
        size = self.assembler.sizes[origin]
        if select.reduce:
            return Selected(sources, select.reduce, size, gather)  # pyright: ignore[reportArgumentType]
        if len(sources) == 1 and sources[0].index is None:
            if sources[0].unit == self.assembler.ids.get(unit):
                self.lost(select, "it leads to the component itself")
                return None
            return Elsewhere(sources[0].unit, sources[0].name, gather)
        if not sources:
            if select.required:
                message = "nothing is there, so it is 0"
                self.lost(select, message, hint='say required="false"', warning=True)
            return Selected((), "add", size, gather)
        self.lost(select, f"it leads to {len(sources)} places", hint='write reduce="add"')
        return None

    def inside(self, at: _Reached, step: Step, select: ir.Select) -> Iterable[_Reached]:
        name, predicate = step.name, step.inside
        group = at.unit.by_slot.get(name, []) if predicate else []
        found = group or at.unit.by_key.get(name, []) or self.linked(at.unit, name)
        if not found and not self.is_place(at.unit, name):
            known = [s.name for s in at.unit.bound.type.slots]
            self.lost(select, f"{at.unit.bound.context} has no '{name}'", known)
        if predicate and predicate.isdigit():
            yield from self.numbered(at, found, int(predicate))
            return
        if predicate and predicate != "*":
            wanted = _PREDICATE.fullmatch(predicate)
            if wanted is None:
                hint = "write [*], [0] or [name='text']"
                self.lost(select, f"'[{predicate}]' is not understood", hint=hint)
                return
            key, text = wanted.groups()
            if found and not any(_has(c, key) for c in found):
                self.lost(select, f"no '{name}' has a text '{key}' to choose by")
            found = [c for c in found if _text(c, key) == text]
        for child in found:
            yield _Reached(child, _above(at.index, child.index()))

    def linked(self, unit: Unit, name: str) -> list[Unit]:
        """The sibling that a Link of a component names."""
        link = any(one.link and one.name == name for one in unit.bound.type.references)
        if not link or unit.parent is None or unit.index() is not None:
            return []
        found = unit.parent.by_key.get(unit.bound.texts.get(name, ""), [])
        return [child for child in found if child.index() is None]

    def numbered(self, at: _Reached, units: Sequence[Unit], number: int) -> Iterable[_Reached]:
        """Child `number`, where alike children may have been merged to one unit."""
        for unit in units:
            copies = unit.copies or 1
            if number < copies:
                picked = None
                if unit.copies is not None:
                    picked = np.arange(at.unit.size, dtype=np.int32) * copies + number
                yield _Reached(unit, at.index, picked)
                return
            number -= copies

    def is_place(self, unit: Unit, name: str) -> bool:
        kind = unit.bound.type
        places = (*kind.slots, *kind.attachments, *kind.references)
        return any(one.name == name for one in places)

    def lost(
        self,
        select: ir.Select,
        message: str,
        known: Sequence[str] = (),
        hint: str = "",
        warning: bool = False,
        code: Code = Code.PATH,
    ) -> None:
        text = select.path.value.strip()
        self.assembler.report.add(
            Diagnostic(
                code,
                select.path.place,
                f"the path '{text[:80]}': {message}",
                hint or suggestion(text.split("/")[-1], known),
                select.context,
                warning=warning,
            )
        )


def _has(unit: Unit, key: str) -> bool:
    return key == "id" or any(text.name == key for text in unit.bound.type.texts)


def _text(unit: Unit, key: str) -> str:
    return unit.bound.id if key == "id" else unit.bound.texts.get(key, "")


def through(index: Index, step: Index) -> Index:
    """Places two levels up, from those one level up."""
    if index is None or step is None:
        return step if index is None else index
    return step[index]


def _above(index: Index, step: Index) -> Index:
    """The start's instance of each instance one level further down."""
    if index is None or step is None:
        return step if index is None else index
    return index[step]
