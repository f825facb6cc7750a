"""Declarations to whole types: inheritance, the chosen component, and the checks of each type.

Checks every type of the file, used or not: names, dimensions, cycles, derivatives and exposures.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import TypeVar

from . import ir
from .declarations import unknown_dimension
from .dimensions import Scope, check_condition, dimension_of
from .errors import Code, Report, failure, suggestion
from .syntax import ExpressionError, names
from .units import ANY, TIME, Dimension, DimensionCheck

TIME_NAME = "t"
_Declaration = TypeVar("_Declaration")


def inherit(document: ir.Document) -> dict[str, ir.ComponentType]:
    """Every type with its supertypes' declarations. Raises LemsError."""
    declared = {item.name: item for item in document.types}
    report = Report()
    for item in document.types:
        if item.extends and item.extends not in declared:
            message = f"it extends the unknown type '{item.extends}'"
            hint = suggestion(item.extends, declared)
            report.add(ir.finding(Code.UNKNOWN_TYPE, item.element, item.context, message, hint))
    report.stop()
    lines = {item.name: _ancestry(item, declared, report) for item in document.types}
    report.stop()
    whole: dict[str, ir.ComponentType] = {}
    for name, line in lines.items():
        merged = line[0]
        for item in line[1:]:
            merged = _merge(merged, item)
        whole[name] = merged
    return whole


def _ancestry(
    item: ir.ComponentType, declared: Mapping[str, ir.ComponentType], report: Report
) -> list[ir.ComponentType]:
    """The type's line, the eldest first."""
    line = [item]
    while line[-1].extends:
        following = declared[line[-1].extends]
        if following in line:
            path = " > ".join(t.name for t in [*line, following])
            message = f"it extends itself: {path}"
            report.add(ir.finding(Code.TYPE_CYCLE, item.element, item.context, message))
            break
        line.append(following)
    return line[::-1]


def _merge(above: ir.ComponentType, below: ir.ComponentType) -> ir.ComponentType:
    """The subtype with the supertype's declarations; Dynamics and Structure replace the others."""

    def both(name: str, key: str = "name") -> tuple:
        get = attrgetter(key)
        return _by_name(getattr(above, name), getattr(below, name), get)

    dynamics = below.dynamics or above.dynamics
    if below.dynamics and below.dynamics.inherits and above.dynamics:
        dynamics = _merge_dynamics(above.dynamics, below.dynamics)
    return replace(
        below,
        parameters=both("parameters"),
        constants=_without(both("constants"), below.parameters),
        derived_parameters=both("derived_parameters"),
        requirements=both("requirements"),
        exposures=both("exposures"),
        fixed=both("fixed", "parameter"),
        texts=_without(both("texts"), below.parameters),
        slots=both("slots"),
        references=both("references"),
        ports=both("ports"),
        attachments=both("attachments"),
        instance_requirements=both("instance_requirements"),
        dynamics=dynamics,
        structure=below.structure or above.structure,
        run=below.run or above.run,
        record=below.record or above.record,
        writer=below.writer or above.writer,
    )


def _merge_dynamics(above: ir.Dynamics, below: ir.Dynamics) -> ir.Dynamics:
    """The supertype's dynamics with the subtype's added, as Super asks; equal names replace."""
    return replace(
        below,
        states=_by_name(above.states, below.states, lambda s: s.name),
        derivatives=_by_name(above.derivatives, below.derivatives, lambda d: d.variable),
        derived=_by_name(above.derived, below.derived, lambda d: d.name),
        on_start=(*above.on_start, *below.on_start),
        on_conditions=(*above.on_conditions, *below.on_conditions),
        on_events=(*above.on_events, *below.on_events),
        regimes=_by_name(above.regimes, below.regimes, lambda r: r.name),
        kinetic_schemes=_by_name(above.kinetic_schemes, below.kinetic_schemes, lambda k: k.name),
    )


def _without(found: tuple, replaced: Iterable[ir.Parameter]) -> tuple:
    """What a subtype has not made a parameter of."""
    names = {parameter.name for parameter in replaced}
    return tuple(one for one in found if one.name not in names)


def _by_name(
    above: Iterable[_Declaration],
    below: Iterable[_Declaration],
    name: Callable[[_Declaration], str],
) -> tuple[_Declaration, ...]:
    return tuple(({name(d): d for d in above} | {name(d): d for d in below}).values())


def choose(document: ir.Document, name: str | None) -> ir.Component:
    """The component of that id, else the Target's, else the only one. Raises LemsError."""
    known = {component.id: component for component in document.components}
    listing = ", ".join(f"'{n}'" for n in known) or "none"
    if name is not None:
        if name in known:
            return known[name]
        message = f"there is no component '{name}'"
        raise failure(Code.COMPONENT, document.place, message, suggestion(name, known))
    if document.targets:
        target = document.targets[0]
        if len(document.targets) > 1:
            raise failure(
                Code.COMPONENT,
                document.targets[1].element.place,
                "the file has several Targets",
                f"name a component; the file has {listing}",
            )
        if target.component not in known:
            raise failure(
                Code.COMPONENT,
                target.element.place,
                f"the Target names the unknown component '{target.component}'",
                suggestion(target.component, known),
            )
        return known[target.component]
    if len(known) == 1:
        return next(iter(known.values()))
    if not known:
        raise failure(
            Code.COMPONENT,
            document.place,
            "the file has no Component, so its parameters have no values",
            'add <Component id="..." type="..." .../>',
        )
    raise failure(
        Code.COMPONENT,
        document.place,
        f"the file has several components and no Target: {listing}",
        'name one: load(path, component="...")',
    )


def ordered(item: ir.ComponentType, report: Report) -> tuple[ir.DerivedVariable, ...]:
    """The derived variables of a type, each after those that it uses; reports cycles."""
    derived = item.dynamics.derived if item.dynamics else ()
    uses = {d.name: _uses(_expressions(d)) for d in derived}
    order = _sorted(uses, lambda cycle: _report_cycle(item, derived, cycle, report))
    by_name = {d.name: d for d in derived}
    return tuple(by_name[name] for name in order)


def ordered_parameters(item: ir.ComponentType, report: Report) -> tuple[ir.DerivedParameter, ...]:
    """The derived parameters of a type, each after those that it uses; reports cycles."""
    derived = item.derived_parameters
    uses = {d.name: _uses((d.value,) if d.value else ()) for d in derived}
    order = _sorted(uses, lambda cycle: _report_cycle(item, derived, cycle, report))
    by_name = {d.name: d for d in derived}
    return tuple(by_name[name] for name in order)


def _uses(expressions: Iterable[ir.Expression]) -> set[str]:
    return {name.name for expression in expressions for name in names(expression.node)}


def _expressions(variable: ir.DerivedVariable) -> list[ir.Expression]:
    found = [case.value for case in variable.cases]
    return found + [case.condition for case in variable.cases if case.condition]


def _sorted(uses: Mapping[str, set[str]], on_cycle: Callable[[list[str]], None]) -> list[str]:
    """Names in order of use, otherwise as declared; what is in a cycle is left out."""
    order: list[str] = []
    left = dict(uses)
    while left:
        ready = [name for name in left if not (left[name] & left.keys())]
        if not ready:
            on_cycle(_cycle(left))
            break
        order += ready
        for name in ready:
            del left[name]
    return order


def _cycle(uses: Mapping[str, set[str]]) -> list[str]:
    path = [next(iter(uses))]
    while True:
        following = next(name for name in uses if name in uses[path[-1]])
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)


def _report_cycle(item: ir.ComponentType, derived, cycle: list[str], report: Report) -> None:
    first = next(d for d in derived if d.name == cycle[0])
    context = f"{item.context} > {first.element.tag} '{first.name}'"
    message = f"it depends on itself: {' > '.join(cycle)}"
    hint = "derived values must not need each other; make one of them a state variable"
    report.add(ir.finding(Code.VARIABLE_CYCLE, first.element, context, message, hint))


class TypeCheck:
    """The checks of one type; findings go to the report."""

    def __init__(
        self, document: ir.Document, item: ir.ComponentType, check: DimensionCheck, report: Report
    ):
        self.document, self.item, self.check, self.report = document, item, check, report
        self.scope = Scope({TIME_NAME: TIME}, document.dimensions)
        self.known: dict[str, Dimension] = {TIME_NAME: TIME}

    def run(self) -> None:
        item = self.item
        constants = (*self.document.constants, *item.constants)
        for declared in (*constants, *item.parameters, *item.requirements):
            self.declare(declared.name, declared.dimension, declared.element)
        dynamics = item.dynamics
        derived = dynamics.derived if dynamics else ()
        computed = {d.name for d in derived}
        for state in dynamics.states if dynamics else ():
            if state.name not in computed:
                self.declare(state.name, state.dimension, state.element)
        for exposure in item.exposures:
            self.dimension(exposure.dimension, exposure.element)
        for one in (*item.derived_parameters, *derived):
            if one.name not in self.known or one.name == TIME_NAME:
                self.known[one.name] = self.declared(one)
        in_order = (*ordered_parameters(item, self.report), *ordered(item, self.report))
        for one in in_order:
            self.derive(one)
        if dynamics:
            self.dynamics(dynamics)
        if item.role.scale is not None:
            self.expression(item.role.scale, ANY, extra=("n_node",))

    def declared(self, one: ir.DerivedParameter | ir.DerivedVariable) -> Dimension:
        known = self.document.dimensions
        return known.get(one.dimension, ANY) if one.dimension else ANY

    def declare(self, name: str, dimension: str, element) -> None:
        found = self.dimension(dimension, element)
        self.known[name] = ANY if found is None else found

    def dimension(self, name: str, element) -> Dimension | None:
        known = self.document.dimensions
        if self.check is DimensionCheck.OFF and name not in known:
            return ANY
        if name not in known:
            context = f"{self.item.context} > {element.tag} '{element.get('name')}'"
            unknown_dimension(name, element, context, known, self.report)
        return known.get(name)

    def derive(self, one: ir.DerivedParameter | ir.DerivedVariable) -> None:
        wanted = self.dimension(one.dimension, one.element) if one.dimension else None
        if isinstance(one, ir.DerivedParameter):
            cases = (ir.Case(None, one.value),) if one.value else ()
        else:
            cases = one.cases
        found = [self.expression(case.value, wanted or ANY) for case in cases]
        for case in cases:
            if case.condition is not None:
                self.condition(case.condition)
        certain = [d for d in found if d is not None and not d.is_any]
        if wanted is None and certain:
            for case, other in zip(cases, found, strict=True):
                if other is not None and not other.agrees(certain[0]):
                    self.mismatch(case.value, other, certain[0])
        self.known[one.name] = wanted or (certain[0] if certain else ANY)

    def expression(
        self, expression: ir.Expression, wanted: Dimension, extra: tuple[str, ...] = ()
    ) -> Dimension | None:
        """Check names and dimensions; the dimension found, None where there was an error."""
        if not self.names(expression, extra):
            return None
        scope = replace(self.scope, names=self.known)
        try:
            found = dimension_of(expression.node, scope)
        except ExpressionError as error:
            self.dimension_finding(expression, error)
            return None
        if not found.agrees(wanted):
            self.mismatch(expression, found, wanted)
            return None
        return found

    def condition(self, expression: ir.Expression) -> None:
        if not self.names(expression, ()):
            return
        try:
            check_condition(expression.node, replace(self.scope, names=self.known))
        except ExpressionError as error:
            self.dimension_finding(expression, error)

    def names(self, expression: ir.Expression, extra: tuple[str, ...]) -> bool:
        known = {*self.known, "pi", *extra}
        good = True
        for name in names(expression.node):
            if name.name not in known:
                good = False
                error = ExpressionError(
                    Code.UNKNOWN_NAME,
                    name.offset,
                    f"unknown name '{name.name}'",
                    suggestion(name.name, known),
                )
                self.report.add(expression.finding(error))
        return good

    def mismatch(self, expression: ir.Expression, found: Dimension, wanted: Dimension) -> None:
        message = (
            f"the expression is a {self.scope.describe(found)}, "
            f"but a {self.scope.describe(wanted)} is needed"
        )
        self.dimension_finding(expression, ExpressionError(Code.DIMENSION, 0, message))

    def dimension_finding(self, expression: ir.Expression, error: ExpressionError) -> None:
        if self.check is not DimensionCheck.OFF:
            warning = self.check is DimensionCheck.WARN
            self.report.add(expression.finding(error, warning))

    def dynamics(self, dynamics: ir.Dynamics) -> None:
        self.derivatives(dynamics.derivatives, dynamics, "Dynamics")
        self.actions(dynamics.on_start, dynamics, "OnStart")
        self.handlers(dynamics.on_conditions, dynamics.on_events, dynamics)
        for regime in dynamics.regimes:
            self.derivatives(regime.derivatives, dynamics, f"Dynamics > Regime '{regime.name}'")
            self.actions(regime.on_entry, dynamics, "OnEntry")
            self.handlers(regime.on_conditions, regime.on_events, dynamics)
        self.exposures(dynamics)

    def derivatives(
        self, derivatives: tuple[ir.TimeDerivative, ...], dynamics: ir.Dynamics, where: str
    ) -> None:
        states = {state.name for state in dynamics.states}
        seen: set[str] = set()
        for one in derivatives:
            context = f"{self.item.context} > {where} > TimeDerivative '{one.variable}'"
            if not self.is_state(one.variable, states, one.element, context):
                continue
            if one.variable in seen:
                message = "the variable has a TimeDerivative already"
                self.report.add(ir.finding(Code.DUPLICATE, one.element, context, message))
            seen.add(one.variable)
            self.expression(one.value, self.known[one.variable] / TIME)

    def is_state(self, name: str, states: set[str], element, context: str) -> bool:
        if name not in states:
            message = f"'{name}' is not a state variable"
            hint = suggestion(name, states)
            self.report.add(ir.finding(Code.DYNAMICS, element, context, message, hint))
        return name in states

    def handlers(
        self,
        on_conditions: tuple[ir.OnCondition, ...],
        on_events: tuple[ir.OnEvent, ...],
        dynamics: ir.Dynamics,
    ) -> None:
        for one in on_conditions:
            self.condition(one.test)
            self.actions(one.actions, dynamics, "OnCondition")
        ports = {port.name for port in self.item.ports if port.direction == "in"}
        for one in on_events:
            context = f"{self.item.context} > Dynamics > OnEvent '{one.port}'"
            if one.port not in ports:
                message = f"there is no event port '{one.port}' of direction in"
                hint = suggestion(one.port, ports)
                self.report.add(ir.finding(Code.EVENT, one.element, context, message, hint))
            self.actions(one.actions, dynamics, "OnEvent")

    def actions(self, actions: Iterable[ir.Action], dynamics: ir.Dynamics, where: str) -> None:
        states = {state.name for state in dynamics.states}
        ports = {port.name for port in self.item.ports if port.direction == "out"}
        regimes = {regime.name for regime in dynamics.regimes}
        for one in actions:
            context = f"{self.item.context} > Dynamics > {where} > {one.element.tag}"
            match one:
                case ir.StateAssignment():
                    context = f"{context} '{one.variable}'"
                    if self.is_state(one.variable, states, one.element, context):
                        self.expression(one.value, self.known[one.variable])
                case ir.EventOut(port=port) if port not in ports:
                    message = f"there is no event port '{port}' of direction out"
                    hint = suggestion(port, ports)
                    self.report.add(ir.finding(Code.EVENT, one.element, context, message, hint))
                case ir.Transition(regime=regime) if regime not in regimes:
                    message = f"there is no Regime '{regime}'"
                    hint = suggestion(regime, regimes)
                    self.report.add(ir.finding(Code.EVENT, one.element, context, message, hint))

    def exposures(self, dynamics: ir.Dynamics) -> None:
        declared = {exposure.name: exposure for exposure in self.item.exposures}
        bound: set[str] = set()
        for variable in (*dynamics.states, *dynamics.derived):
            if not variable.exposure:
                continue
            context = f"{self.item.context} > Dynamics > {variable.element.tag} '{variable.name}'"
            exposure = declared.get(variable.exposure)
            if exposure is None:
                message = f"the Exposure '{variable.exposure}' is not declared"
                hint = suggestion(variable.exposure, declared)
                self.report.add(ir.finding(Code.EXPOSURE, variable.element, context, message, hint))
                continue
            if exposure.name in bound:
                message = f"the Exposure '{exposure.name}' has another variable already"
                self.report.add(ir.finding(Code.EXPOSURE, variable.element, context, message))
            bound.add(exposure.name)
            shown = self.document.dimensions.get(exposure.dimension, ANY)
            own = self.known.get(variable.name, ANY)
            if self.check is not DimensionCheck.OFF and not own.agrees(shown):
                message = (
                    f"it is a {self.scope.describe(own)}, but its Exposure "
                    f"is a {self.scope.describe(shown)}"
                )
                self.report.add(
                    ir.finding(
                        Code.DIMENSION,
                        variable.element,
                        context,
                        message,
                        warning=self.check is DimensionCheck.WARN,
                    )
                )
