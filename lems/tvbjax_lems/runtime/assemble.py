"""Units and connections to a plan: every name of every unit is resolved, once and for all."""

from collections.abc import Iterable, Sequence

import numpy as np

from .. import ir
from ..errors import Code, Diagnostic, Report, suggestion
from ..resolve import TIME_NAME
from ..units import ANY, SI, TIME, UnitSystem, quantity
from .bind import Binder
from .formulas import Formula, TypeFormulas, baked, exponents
from .plan import (
    Action,
    Assign,
    Computed,
    Elsewhere,
    Emit,
    Enter,
    LinkPlan,
    OnCondition,
    OnEvent,
    Parameter,
    Phase,
    Scheme,
    State,
    Time,
    UnitPlan,
    Variable,
    formulas_of,
)
from .selection import Selection, through
from .tree import INSTANCE_LIMIT, Unit
from .wiring import Link


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
        self.selection = Selection(self)

    def number(self, unit: Unit) -> int:
        """The id of a unit, which gets a plan from now on."""
        if unit not in self.ids:
            self.ids[unit] = len(self.units)
            self.units.append(unit)
            self.sizes[unit] = self.size(unit)
            if unit.size > INSTANCE_LIMIT:
                message = f"the number of instances is {unit.size}"
                hint = f"at most {INSTANCE_LIMIT} are built"
                element, context = unit.bound.component.element, unit.bound.context
                self.report.add(ir.finding(Code.STRUCTURE, element, context, message, hint))
        return self.ids[unit]

    def size(self, unit: Unit) -> int:
        """The number of instances, 0 where they are too many, which `number` reports."""
        return unit.size if unit.size <= INSTANCE_LIMIT else 0

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
            tuple(p.name for p in kind.parameters if p.is_property),
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
            table[name] = Parameter(self.column(unit, name, value))
        for one in kind.parameters:
            if one.is_property and one.name not in table:
                table[one.name] = Parameter(self.column(unit, one.name, 0.0))
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
        if unit.index_name and unit.copies and unit.index_name not in table:
            numbers = np.arange(self.size(unit)) % unit.copies
            table[unit.index_name] = Parameter(numbers.astype(float))
        self.bake(unit, table)
        return table

    def column(self, unit: Unit, name: str, default: float) -> np.ndarray:
        """A parameter's value, () where all instances share it."""
        given = unit.values.get(name)
        if given is None:
            return np.asarray(default, float)
        many = self.size(unit) // len(given) if given else 1
        return np.tile(np.asarray(given, float), many)

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
            return self.selection.select(unit, one.name, one.select)
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
            index = through(index, at.index())
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
        self.check_free(unit, {name for formula in formulas for name in formula.reads})
        for name in sorted({name for formula in formulas for name in formula.reads}):
            if self.variable(unit, name) is None:
                kind = unit.bound.type
                needed = next((r for r in kind.requirements if r.name == name), None)
                element = needed.element if needed else kind.element
                message = f"it requires '{name}', which nothing around '{unit.path}' has"
                where = f"{kind.context} > Requirement '{name}'"
                self.report.add(ir.finding(Code.REQUIREMENT, element, where, message))

    def check_free(self, unit: Unit, read: set[str]) -> None:
        """Report parameters of any dimension that are given with a unit: only SI counts them."""
        if self.is_si:
            return
        free = {p.name for p in unit.bound.type.parameters if p.dimension == "*"} & read
        for attribute in unit.bound.component.values:
            if attribute.name in free:
                units = self.binder.document.units
                numbers = (quantity(attribute.value, ANY, units, s) for s in (self.system, SI))
                if len(set(numbers)) > 1:
                    message = (
                        f"'{attribute.name}' may be of any dimension, so in units of "
                        f"{self.system.name} {attribute.value.strip()} has no meaning"
                    )
                    hint = "give the Parameter its dimension, or load the file with units=SI"
                    place, context = attribute.place, unit.bound.context
                    found = Diagnostic(Code.DIMENSION, place, message, hint, context)
                    self.report.add(found)

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


def _shadows_time(unit: Unit, name: str) -> bool:
    dynamics = unit.bound.type.dynamics
    names = (*dynamics.states, *dynamics.derived) if dynamics else ()
    return name == TIME_NAME and any(one.name == name for one in names)
