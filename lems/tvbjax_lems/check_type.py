"""The checks of a type, used or not: names, dimensions, cycles, derivatives, events, exposures."""

from collections.abc import Iterable
from dataclasses import replace

from . import ir
from .check_declared import check_declared
from .check_others import check_others
from .declarations import unknown_dimension
from .dimensions import Scope, check_condition, dimension_of
from .errors import Code, Report, suggestion
from .family import Family
from .order import ordered, ordered_parameters
from .syntax import (
    PI,
    TIME_NAME as TIME_NAME,
    ExpressionError,
    Name,
    ambiguous_powers,
    calls,
    names,
    opposite,
    to_text,
)
from .units import ANY, TIME, Dimension, DimensionCheck
from .xml import Element

_Declared = ir.Constant | ir.Parameter | ir.Requirement | ir.StateVariable
_RATE = "a TimeDerivative has the dimension of its variable per time"
_NAMES_SHOWN = 10  # unknown ones of one expression


class TypeCheck:
    """The checks of one type; findings go to the report.

    With a `family`, what the type says of others is checked too: children, references, paths,
    structure. Names that a part which could not be read may have declared are not called unknown.
    """

    def __init__(
        self,
        document: ir.Document,
        item: ir.ComponentType,
        check: DimensionCheck,
        report: Report,
        family: Family | None = None,
    ):
        self.document, self.item, self.check, self.report = document, item, check, report
        self.family = family
        self.lost = item.lost | document.lost
        labels = document.dimension_names
        self.scope = Scope({TIME_NAME: TIME}, document.dimensions, labels)
        self.known: dict[str, Dimension] = {TIME_NAME: TIME}

    def run(self) -> None:
        item = self.item
        dynamics = item.dynamics
        derived = dynamics.derived if dynamics else ()
        computed = {d.name for d in derived}
        states = [s for s in (dynamics.states if dynamics else ()) if s.name not in computed]
        self.declare(self.document.constants)
        self.declare((*item.constants, *item.parameters, *item.requirements, *states))
        for exposure in item.exposures:
            self.dimension(exposure.dimension, exposure.element)
        for one in (*item.derived_parameters, *derived):
            if one.name not in self.known or one.name == TIME_NAME:
                self.known[one.name] = self.declared(one)
        self.scope = replace(self.scope, names=self.known)
        in_order = (*ordered_parameters(item, self.report), *ordered(item, self.report))
        for one in in_order:
            self.derive(one)
        if dynamics:
            self.dynamics(dynamics)
        if item.role.scale is not None:
            self.expression(item.role.scale, ANY, extra=("n_node",))
        if self.family is not None:
            check_declared(self)
            check_others(self, self.family)

    def declared(self, one: ir.DerivedParameter | ir.DerivedVariable) -> Dimension:
        known = self.document.dimensions
        return known.get(one.dimension, ANY) if one.dimension else ANY

    def declare(self, declared: Iterable[_Declared]) -> None:
        """Names and their dimensions; the first of a name counts, a later call's more."""
        own: dict[str, Dimension] = {}
        for one in declared:
            found = self.dimension(one.dimension, one.element)
            own.setdefault(one.name, ANY if found is None else found)
        self.known |= own

    def dimension(self, name: str, element: Element) -> Dimension | None:
        known = self.document.dimensions
        if self.check is DimensionCheck.OFF and name not in known:
            return ANY
        if name not in known and name not in self.document.lost and not self.report.is_full:
            context = f"{self.item.context} > {element.tag} '{element.get('name')}'"
            unknown_dimension(name, element, context, known, self.report)
        return known.get(name)

    def unknown(
        self, code: Code, element: Element, where: str, message: str, name: str, known: Iterable
    ) -> None:
        """Report a name that nothing declares, unless what declares it may not have been read."""
        if name not in self.lost and not self.report.is_full:
            context = f"{self.item.context} > {where}"
            hint = suggestion(name, known)
            self.report.add(ir.finding(code, element, context, message, hint))

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
        if self.family is not None and cases and not _is_complete(cases):
            message = "it has no default Case (one without a condition): it is 0 where none holds"
            where = f"{self.item.context} > {one.element.tag} '{one.name}'"
            self.report.add(ir.finding(Code.DYNAMICS, one.element, where, message, warning=True))

    def expression(
        self,
        expression: ir.Expression,
        wanted: Dimension,
        extra: tuple[str, ...] = (),
        hint: str = "",
    ) -> Dimension | None:
        """Check names and dimensions; the dimension found, None where there was an error."""
        if self.report.is_full or not self.names(expression, extra):
            return None
        try:
            found = dimension_of(expression.node, self.scope)
        except ExpressionError as error:
            self.dimension_finding(expression, error)
            return None
        if not found.agrees(wanted):
            self.mismatch(expression, found, wanted, hint)
            return None
        return found

    def condition(self, expression: ir.Expression) -> None:
        if not self.names(expression, ()):
            return
        try:
            check_condition(expression.node, self.scope)
        except ExpressionError as error:
            self.dimension_finding(expression, error)

    def names(self, expression: ir.Expression, extra: tuple[str, ...]) -> bool:
        good = True
        told: set[str] = set()
        for name in names(expression.node):
            if name.name in self.known or name.name == PI or name.name in extra:
                continue
            good = False
            if name.name in told or len(told) >= _NAMES_SHOWN or name.name in self.lost:
                continue
            told.add(name.name)
            error = ExpressionError(
                Code.UNKNOWN_NAME,
                name.offset,
                f"unknown name '{name.name[:60]}'",
                suggestion(name.name, (*self.known, PI, *extra)),
            )
            self.report.add(expression.finding(error))
        good = good and self.partials(expression)
        if self.family is not None:
            for offset in ambiguous_powers(expression.node, expression.attribute.value):
                self.report.add(expression.finding(_ambiguous(offset), warning=True))
        return good

    def partials(self, expression: ir.Expression) -> bool:
        """Whether each derivative(F, x) is of a derived variable, by what nothing computes."""
        dynamics = self.item.dynamics
        computed = {one.name for one in (dynamics.derived if dynamics else ())}
        parameters = {one.name for one in self.item.derived_parameters}
        constants = {one.name for one in (*self.document.constants, *self.item.constants)}
        for call in calls(expression.node, "derivative"):
            of, by = call.arguments
            assert isinstance(of, Name) and isinstance(by, Name)
            if of.name not in computed:
                message = f"derivative: '{of.name[:60]}' is no DerivedVariable"
                at, known = of, computed
            elif by.name in computed | parameters | constants | {PI}:
                message = (
                    f"derivative: '{by.name[:60]}' is no state variable, parameter or input, on "
                    f"which '{of.name[:60]}' could depend by itself"
                )
                at, known = by, set(self.known) - computed - parameters - constants
            else:
                continue
            hint = suggestion(at.name, known)
            error = ExpressionError(Code.UNKNOWN_NAME, at.offset, message, hint)
            self.report.add(expression.finding(error))
            return False
        return True

    def mismatch(
        self, expression: ir.Expression, found: Dimension, wanted: Dimension, hint: str = ""
    ) -> None:
        one, other = self.scope.describe(found), self.scope.describe(wanted)
        offset = len(expression.attribute.value) - len(expression.attribute.value.lstrip())
        message = f"the expression has dimension {one}, but {other} is needed"
        self.dimension_finding(expression, ExpressionError(Code.DIMENSION, offset, message, hint))

    def dimension_finding(self, expression: ir.Expression, error: ExpressionError) -> None:
        if self.check is not DimensionCheck.OFF:
            warning = self.check is DimensionCheck.WARN
            self.report.add(expression.finding(error, warning))

    def dynamics(self, dynamics: ir.Dynamics) -> None:
        self.derivatives(dynamics.derivatives, dynamics, "Dynamics")
        self.actions(dynamics.on_start, dynamics, "Dynamics > OnStart")
        self.handlers(dynamics, dynamics, "Dynamics")
        always = {one.variable for one in dynamics.derivatives}
        for regime in dynamics.regimes:
            where = f"Dynamics > Regime '{regime.name}'"
            self.derivatives(regime.derivatives, dynamics, where, always)
            self.actions(regime.on_entry, dynamics, f"{where} > OnEntry", regime)
            self.handlers(regime, dynamics, where)
        self.exposures(dynamics)

    def derivatives(
        self,
        derivatives: tuple[ir.TimeDerivative, ...],
        dynamics: ir.Dynamics,
        where: str,
        always: Iterable[str] = (),
    ) -> None:
        states = {state.name for state in dynamics.states}
        seen = set(always)
        for one in derivatives:
            here = f"{where} > TimeDerivative '{one.variable}'"
            if not self.is_state(one.variable, states, one.element, here):
                continue
            if one.variable in seen:
                message = "the variable has a TimeDerivative already"
                context = f"{self.item.context} > {here}"
                self.report.add(ir.finding(Code.DUPLICATE, one.element, context, message))
            seen.add(one.variable)
            if one.variable in self.known:
                self.expression(one.value, self.known[one.variable] / TIME, hint=_RATE)

    def is_state(self, name: str, states: set[str], element: Element, where: str) -> bool:
        if name not in states:
            message = f"'{name}' is not a state variable"
            self.unknown(Code.DYNAMICS, element, where, message, name, states)
        return name in states

    def handlers(self, source: ir.Dynamics | ir.Regime, dynamics: ir.Dynamics, where: str) -> None:
        regime = source if isinstance(source, ir.Regime) else None
        for one in source.on_conditions:
            self.condition(one.test)
            self.actions(one.actions, dynamics, f"{where} > OnCondition", regime)
        ports = {port.name for port in self.item.ports if port.direction == "in"}
        for one in source.on_events:
            here = f"{where} > OnEvent '{one.port}'"
            if one.port not in ports:
                message = f"there is no event port '{one.port}' of direction in"
                self.unknown(Code.EVENT, one.element, here, message, one.port, ports)
            self.actions(one.actions, dynamics, here, regime)

    def actions(
        self,
        actions: Iterable[ir.Action],
        dynamics: ir.Dynamics,
        where: str,
        regime: ir.Regime | None = None,
    ) -> None:
        states = {state.name for state in dynamics.states}
        ports = {port.name for port in self.item.ports if port.direction == "out"}
        for one in actions:
            here = f"{where} > {one.element.tag}"
            match one:
                case ir.StateAssignment(variable=variable):
                    here = f"{here} '{variable}'"
                    is_state = self.is_state(variable, states, one.element, here)
                    if is_state and variable in self.known:
                        self.expression(one.value, self.known[variable])
                case ir.EventOut(port=port) if port not in ports:
                    message = f"there is no event port '{port}' of direction out"
                    self.unknown(Code.EVENT, one.element, here, message, port, ports)
                case ir.Transition():
                    self.transition(one, dynamics, here, regime)

    def transition(
        self, one: ir.Transition, dynamics: ir.Dynamics, where: str, regime: ir.Regime | None
    ) -> None:
        regimes = {other.name for other in dynamics.regimes}
        if one.regime not in regimes:
            message = f"there is no Regime '{one.regime}'"
            self.unknown(Code.EVENT, one.element, where, message, one.regime, regimes)
        elif regime is None:
            context = f"{self.item.context} > {where}"
            message = "a Transition stands outside of a Regime"
            hint = "put its condition or event into the Regime that it leaves"
            self.report.add(ir.finding(Code.DYNAMICS, one.element, context, message, hint))

    def exposures(self, dynamics: ir.Dynamics) -> None:
        declared = {exposure.name: exposure for exposure in self.item.exposures}
        bound: set[str] = set()
        computed = {variable.name for variable in dynamics.derived}
        states = [state for state in dynamics.states if state.name not in computed]
        for variable in (*states, *dynamics.derived):
            name = variable.exposure
            if not name:
                continue
            where = f"Dynamics > {variable.element.tag} '{variable.name}'"
            context = f"{self.item.context} > {where}"
            if name not in declared:
                message = f"the Exposure '{name}' is not declared"
                self.unknown(Code.EXPOSURE, variable.element, where, message, name, declared)
                continue
            if name in bound:
                message = f"the Exposure '{name}' has another variable already"
                self.report.add(ir.finding(Code.EXPOSURE, variable.element, context, message))
            bound.add(name)
            shown = self.document.dimensions.get(declared[name].dimension, ANY)
            own = self.known.get(variable.name, ANY)
            if not own.agrees(shown):
                one, other = self.scope.describe(own), self.scope.describe(shown)
                message = f"'{variable.name}' is {one}, but its Exposure '{name}' is {other}"
                self.wrong_dimension(variable.element, context, message)

    def wrong_dimension(self, element: Element, context: str, message: str) -> None:
        if self.check is not DimensionCheck.OFF:
            warning = self.check is DimensionCheck.WARN
            self.report.add(ir.finding(Code.DIMENSION, element, context, message, warning=warning))


def _is_complete(cases: tuple[ir.Case, ...]) -> bool:
    """Whether there is a default, or two Cases of which one holds, as x .eq. 0 and x .neq. 0."""
    tests = [case.condition.node for case in cases if case.condition is not None]
    if len(tests) < len(cases):
        return True
    written = {to_text(test) for test in tests}
    return any(to_text(opposite(test)) in written for test in tests)


def _ambiguous(offset: int) -> ExpressionError:
    message = "a*-x^2 is read as a*(-(x^2)); PyLEMS and jLEMS read a*(-x)^2"
    return ExpressionError(Code.SYNTAX, offset, message, "write the parentheses that you mean")
