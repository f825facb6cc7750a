"""Units and connections to a plan: every name of every unit is resolved, once and for all."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import ir
from ..errors import Code, Diagnostic, Report, suggestion
from ..resolve import TIME_NAME
from ..selects import Step, parse_select
from ..units import ANY, TIME, UnitSystem
from .bind import Binder
from .formulas import Formula, TypeFormulas, baked, exponents
from .plan import (
    Action,
    Assign,
    Computed,
    Elsewhere,
    Emit,
    Enter,
    Index,
    LinkPlan,
    OnCondition,
    OnEvent,
    Parameter,
    Phase,
    Scheme,
    Selected,
    Source,
    State,
    Time,
    UnitPlan,
    Variable,
    formulas_of,
)
from .tree import INSTANCE_LIMIT, Unit
from .wiring import Link

_PREDICATE = re.compile(r"(\w+)\s*=\s*'([^']*)'")


@dataclass(frozen=True)
class _Reached:
    """A unit at the end of a path, with its instances' places among those of the start.

    `picked`: where only one of its instances is meant, that of each instance of the start.
    """

    unit: Unit
    index: Index
    picked: Index = None


class Assembler:
    """Makes the plans of units; a unit that nothing reads and that does nothing gets none."""

    def __init__(self, binder: Binder, system: UnitSystem, report: Report):
        self.binder, self.system, self.report = binder, system, report
        self.formulas: dict[str, TypeFormulas] = {}
        self.ids: dict[Unit, int] = {}
        self.units: list[Unit] = []
        self.fixed: dict[Unit, dict[str, float]] = {}
        self.tables: dict[Unit, dict[str, Variable]] = {}
        self.sizes: dict[Unit, int] = {}

    def number(self, unit: Unit) -> int:
        """The id of a unit, which gets a plan from now on."""
        if unit not in self.ids:
            self.ids[unit] = len(self.units)
            self.units.append(unit)
            self.sizes[unit] = unit.size
            if unit.size > INSTANCE_LIMIT:
                message = f"the number of instances is {unit.size}"
                hint = f"at most {INSTANCE_LIMIT} are built"
                element, context = unit.bound.component.element, unit.bound.context
                self.report.add(ir.finding(Code.STRUCTURE, element, context, message, hint))
                self.sizes[unit] = 0
        return self.ids[unit]

    def of_type(self, unit: Unit) -> TypeFormulas:
        kind = unit.bound.type
        if kind.name not in self.formulas:
            constants = self.binder.constants(kind)
            self.formulas[kind.name] = TypeFormulas(
                self.binder.document, kind, constants, self.system, self.report
            )
        return self.formulas[kind.name]

    def plan(self, unit: Unit) -> UnitPlan:
        """The plan of a unit; the units that it reads get ids."""
        kind, dynamics = unit.bound.type, unit.bound.type.dynamics
        formulas = self.of_type(unit)
        base = self.phase(unit, dynamics) if dynamics else Phase((), (), ())
        declared = dynamics.regimes if dynamics else ()
        names = [regime.name for regime in declared]
        regimes = [self.phase(unit, one, names, one.on_entry) for one in declared]
        initial = [i for i, one in enumerate(declared) if one.initial]
        schemes = dynamics.kinetic_schemes if dynamics else ()
        built_schemes = tuple(self.scheme(unit, one) for one in schemes)
        table = self.table(unit)
        phases = (base, *regimes)
        derived = tuple(v.name for v in dynamics.derived) if dynamics else ()
        starts = self.actions(unit, dynamics.on_start, ()) if dynamics else ()
        on_start = tuple(one for one in starts if isinstance(one, Assign))
        self.check(unit, table, phases, on_start)
        named = {**formulas.dimensions.names}
        return UnitPlan(
            unit.path or unit.bound.id,
            unit.bound.id,
            kind.name,
            self.sizes[unit],
            table,
            {name: float(self.system.power(d)) for name, d in named.items()},
            {name: self.system.unit(d) for name, d in named.items()},
            derived,
            on_start,
            base,
            tuple(regimes),
            tuple(names),
            initial[0] if initial else 0,
            tuple(one for one in built_schemes if one is not None),
            tuple(p.name for p in kind.ports if p.direction == "in"),
            tuple(p.name for p in kind.ports if p.direction == "out"),
            frozenset(self.fixed[unit]),
        )

    # The names of a unit.

    def table(self, unit: Unit) -> dict[str, Variable]:
        """What each name of a unit is; requirements are added when they are read."""
        if unit in self.tables:
            return self.tables[unit]
        table: dict[str, Variable] = {}
        self.tables[unit] = table
        kind, formulas = unit.bound.type, self.of_type(unit)
        table[TIME_NAME] = Time()
        for name, value in unit.bound.values.items():
            column = unit.values.get(name)
            table[name] = Parameter(np.asarray(value if column is None else column, float))
        for one in kind.parameters:
            if one.element.tag == "Property" and one.name not in table:
                column = unit.values.get(one.name, 0.0)
                table[one.name] = Parameter(np.asarray(column, float))
        required = {one.name for one in kind.requirements}
        for name, value in self.binder.constants(kind).items():
            if name in required:
                continue
            table.setdefault(name, Parameter(np.asarray(value)))
        dynamics = kind.dynamics
        for state in dynamics.states if dynamics else ():
            dimension = formulas.dimension(state.dimension)
            table[state.name] = State(self.system.unit(dimension))
        derived = dynamics.derived if dynamics else ()
        for one in (*kind.derived_parameters, *derived):
            found = self.derived(unit, one)
            if found is not None:
                table[one.name] = found
        self.bake(unit, table)
        return table

    def derived(self, unit: Unit, one: ir.DerivedParameter | ir.DerivedVariable) -> Variable | None:
        formulas = self.of_type(unit)
        if isinstance(one, ir.DerivedParameter):
            if one.value is None:
                value = self.binder.selected(unit.bound, one)
                return None if value is None else Parameter(np.asarray(value))
            formula = formulas.value(one.value, formulas.dimension(one.dimension))
            if formula is not None and formula.draws:
                where = f"{unit.bound.type.context} > DerivedParameter '{one.name}'"
                message = "a DerivedParameter cannot be random"
                hint = "draw in OnStart"
                found = ir.finding(Code.NOT_SUPPORTED, one.element, where, message, hint)
                self.report.add(found)
        elif one.select is not None:
            return self.select(unit, one.select)
        else:
            formula = formulas.cases(one)
        return None if formula is None else Computed(formula)

    def bake(self, unit: Unit, table: dict[str, Variable]) -> None:
        """Make numbers of the parameters that are whole exponents: x^3 is x*x*x, and has a slope.

        They are then no longer leaves of the network.
        """
        used = [v.formula for v in table.values() if isinstance(v, Computed)]
        names = {name for formula in used for name in exponents(formula)}
        whole = {}
        for name in names:
            variable = table.get(name)
            if isinstance(variable, Parameter) and variable.value.ndim == 0:
                if float(variable.value).is_integer() and abs(float(variable.value)) < 100:
                    whole[name] = float(variable.value)
        self.fixed[unit] = whole
        for name, variable in table.items():
            if isinstance(variable, Computed):
                table[name] = Computed(baked(variable.formula, whole))

    def formula(self, unit: Unit, found: Formula | None) -> Formula | None:
        self.table(unit)
        return None if found is None else baked(found, self.fixed[unit])

    def look_up(self, unit: Unit, name: str) -> str | None:
        """The name of the variable behind an exposure, or a name itself, in a unit."""
        dynamics = unit.bound.type.dynamics
        for variable in (*dynamics.derived, *dynamics.states) if dynamics else ():
            if variable.exposure == name:
                return variable.name
        table = self.table(unit)
        if name in table and name != TIME_NAME or _shadows_time(unit, name):
            return name
        return None

    def variable(self, unit: Unit, name: str) -> Variable | None:
        """What a name in a formula of a unit is; a Requirement is looked for further up."""
        table = self.table(unit)
        if name in table:
            return table[name]
        if not any(one.name == name for one in unit.bound.type.requirements):
            return None
        at, index = unit, None
        while at.parent is not None:
            index = _through(index, at.index())
            at = at.parent
            found = self.look_up(at, name)
            if found is not None:
                self.compare(unit, name, at, found)
                table[name] = Elsewhere(self.number(at), found, index)
                return table[name]
        return None

    def compare(self, unit: Unit, name: str, other: Unit, found: str) -> None:
        """Report a Requirement that is bound to another dimension.

        Its number would be another in other units; in SI it is as LEMS means it, and a warning.
        """
        scope = self.of_type(unit).dimensions
        wanted = scope.names.get(name, ANY)
        given = self.of_type(other).dimensions.names.get(found, ANY)
        if not wanted.agrees(given):
            kind = unit.bound.type
            needed = next(one for one in kind.requirements if one.name == name)
            where = f"{kind.context} > Requirement '{name}'"
            message = (
                f"it is {scope.describe(wanted)}, but '{found}' of {other.bound.context} is "
                f"{scope.describe(given)}"
            )
            hint = "" if self.is_si else "mend the dimensions, or load the file with units=SI"
            self.report.add(
                ir.finding(Code.DIMENSION, needed.element, where, message, hint, self.is_si)
            )

    @property
    def is_si(self) -> bool:
        return not any(self.system.powers)

    # Paths to quantities of other units.

    def select(self, unit: Unit, select: ir.Select) -> Variable | None:
        """The values that a path selects."""
        *steps, final = [s for s in parse_select(select.path.value).steps if s.name != "."]
        last = final.name
        origin, gather = unit, None
        while steps and steps[0].name in ("..", "parent"):
            gather = _through(gather, origin.index())
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
            gather = _through(gather, reached[0].picked)
            reached = [_Reached(reached[0].unit, None)]
            select = replace(select, reduce="")
        for one in reached:
            name = self.reading(one.unit, last)
            if name is None:
                known = [e.name for e in one.unit.bound.type.exposures]
                self.lost(select, f"{one.unit.bound.context} has no '{last}'", known)
                continue
            sources.append(Source(self.number(one.unit), name, one.index))
        return self.selected(unit, origin, select, tuple(sources), gather)

    def reading(self, unit: Unit, name: str) -> str | None:
        """A name that a path may end in: also what the unit itself requires, as peer/v."""
        found = self.look_up(unit, name)
        return name if found is None and self.variable(unit, name) is not None else found

    def selected(
        self,
        unit: Unit,
        origin: Unit,
        select: ir.Select,
        sources: tuple[Source, ...],
        gather: Index,
    ) -> Variable | None:
        self.number(origin)
        size = self.sizes[origin]
        if select.reduce:
            return Selected(sources, select.reduce, size, gather)  # pyright: ignore[reportArgumentType]
        if len(sources) == 1 and sources[0].index is None:
            if sources[0].unit == self.ids.get(unit):
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
    ) -> None:
        text = select.path.value.strip()
        self.report.add(
            Diagnostic(
                Code.PATH,
                select.path.place,
                f"the path '{text[:80]}': {message}",
                hint or suggestion(text.split("/")[-1], known),
                select.context,
                warning=warning,
            )
        )

    # What happens in a step.

    def phase(
        self,
        unit: Unit,
        dynamics: ir.Dynamics | ir.Regime,
        regimes: Sequence[str] = (),
        on_entry: Sequence[ir.Action] = (),
    ) -> Phase:
        formulas = self.of_type(unit)
        if isinstance(dynamics, ir.Dynamics):
            regimes = [regime.name for regime in dynamics.regimes]
        derivatives = []
        for one in dynamics.derivatives:
            wanted = formulas.dimensions.names[one.variable] / TIME
            value = self.formula(unit, formulas.value(one.value, wanted))
            if value is not None:
                derivatives.append((one.variable, value))
        conditions = []
        for one in dynamics.on_conditions:
            test = self.formula(unit, formulas.condition(one.test))
            if test is not None:
                conditions.append(OnCondition(test, self.actions(unit, one.actions, regimes)))
        events = [
            OnEvent(one.port, self.actions(unit, one.actions, regimes))
            for one in dynamics.on_events
        ]
        entry = self.actions(unit, on_entry, regimes)
        return Phase(tuple(derivatives), tuple(conditions), tuple(events), entry)

    def actions(
        self, unit: Unit, actions: Iterable[ir.Action], regimes: Sequence[str]
    ) -> tuple[Action, ...]:
        formulas = self.of_type(unit)
        found: list[Action] = []
        for one in actions:
            match one:
                case ir.StateAssignment():
                    wanted = formulas.dimensions.names[one.variable]
                    value = self.formula(unit, formulas.value(one.value, wanted))
                    if value is not None:
                        found.append(Assign(one.variable, value))
                case ir.EventOut():
                    found.append(Emit(one.port))
                case ir.Transition():
                    found.append(Enter(list(regimes).index(one.regime)))
        return tuple(found)

    def scheme(self, unit: Unit, one: ir.KineticScheme) -> Scheme | None:
        nodes = [child for child in unit.children if child.slot == one.nodes]
        edges = []
        numbers = {key: i for i, node in enumerate(nodes) for key in node.keys}
        for child in (c for c in unit.children if c.slot == one.edges):
            ends = [child.bound.texts.get(name, "") for name in (one.edge_source, one.edge_target)]
            lost = [end for end in ends if end not in numbers]
            if lost:
                message = f"it links to the unknown node '{lost[0]}'"
                hint = suggestion(lost[0], numbers)
                element = child.bound.component.element
                context = child.bound.context
                self.report.add(ir.finding(Code.REFERENCE, element, context, message, hint))
                return None
            edges.append((numbers[ends[0]], numbers[ends[1]], self.number(child)))
        return Scheme(
            tuple(self.number(node) for node in nodes),
            one.state_variable,
            tuple(edges),
            one.forward_rate,
            one.reverse_rate,
        )

    def check(
        self,
        unit: Unit,
        table: dict[str, Variable],
        phases: Iterable[Phase],
        on_start: Iterable[Assign],
    ) -> None:
        """Resolve all that the formulas read; report what is required and not there."""
        formulas = formulas_of(table, phases, on_start)
        for name in sorted({name for formula in formulas for name in formula.reads}):
            if self.variable(unit, name) is None:
                kind = unit.bound.type
                needed = next((r for r in kind.requirements if r.name == name), None)
                element = needed.element if needed else kind.element
                message = f"it requires '{name}', which nothing around '{unit.path}' has"
                where = f"{kind.context} > Requirement '{name}'"
                self.report.add(ir.finding(Code.REQUIREMENT, element, where, message))

    def link(self, link: Link) -> LinkPlan:
        sources, targets, delays = link.arrays()
        return LinkPlan(
            self.number(link.source),
            link.source_port,
            self.number(link.target),
            link.target_port,
            sources,
            targets,
            delays,
        )


def _has(unit: Unit, key: str) -> bool:
    return key == "id" or any(text.name == key for text in unit.bound.type.texts)


def _text(unit: Unit, key: str) -> str:
    return unit.bound.id if key == "id" else unit.bound.texts.get(key, "")


def _shadows_time(unit: Unit, name: str) -> bool:
    dynamics = unit.bound.type.dynamics
    names = (*dynamics.states, *dynamics.derived) if dynamics else ()
    return name == TIME_NAME and any(one.name == name for one in names)


def _through(index: Index, step: Index) -> Index:
    """Places two levels up, from those one level up."""
    if index is None or step is None:
        return step if index is None else index
    return step[index]


def _above(index: Index, step: Index) -> Index:
    """The start's instance of each instance one level further down."""
    if index is None or step is None:
        return step if index is None else index
    return index[step]
