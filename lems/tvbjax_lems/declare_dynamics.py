"""Dynamics elements to declarations: variables, handlers of events and conditions, regimes."""

from collections.abc import Iterable

from . import ir
from .declare_common import expression_of, parsed, required, select_of, unique
from .errors import Code, Report
from .xml import Element


def declare_dynamics(element: Element, context: str, report: Report) -> ir.Dynamics:
    """The declarations of a Dynamics element, those inside its regimes included."""
    regimes = element.named("Regime")
    scopes = [(element, context), *((one, _in_regime(one, context)) for one in regimes)]
    states = [s for scope, _ in scopes for s in _states(scope)]
    derived = [d for scope, where in scopes for d in _derived(scope, where, report)]
    schemes = tuple(_kinetic_scheme(child) for child in element.named("KineticScheme"))
    built = tuple(_regime(one, _in_regime(one, context), report) for one in regimes)
    unique(built, f"{context} > Regime", lambda one: one.name, report)
    _check_initial(element, built, context, report)
    return ir.Dynamics(
        tuple(states),
        tuple(_derivatives(element, context, report)),
        tuple(derived),
        tuple(_starts(element, context, report)),
        element,
        tuple(_on_conditions(element, context, report)),
        tuple(_on_events(element, context, report)),
        built,
        schemes,
        bool(element.named("Super")),
    )


def _in_regime(element: Element, context: str) -> str:
    return f"{context} > Regime '{element.get('name')}'"


def _check_initial(
    element: Element, regimes: tuple[ir.Regime, ...], context: str, report: Report
) -> None:
    initial = [regime for regime in regimes if regime.initial]
    if regimes and len(initial) != 1:
        what = "no" if not initial else "more than one"
        message = f"{what} Regime is the initial one"
        hint = 'write initial="true" on one of them'
        place = (initial or regimes)[-1].element
        report.add(ir.finding(Code.DYNAMICS, place, context, message, hint))


def _states(element: Element) -> Iterable[ir.StateVariable]:
    for child in element.named("StateVariable"):
        yield ir.StateVariable(
            child.get("name"),
            child.get("dimension"),
            child.get("exposure"),
            child.ours("bounds"),
            child.ours("initial"),
            child.ours("noise"),
            child,
        )


def _derivatives(element: Element, context: str, report: Report) -> Iterable[ir.TimeDerivative]:
    for child in element.named("TimeDerivative"):
        variable = child.get("variable")
        value = expression_of(child, f"{context} > TimeDerivative '{variable}'", report)
        if value is not None:
            yield ir.TimeDerivative(variable, value, child)


def _derived(element: Element, context: str, report: Report) -> Iterable[ir.DerivedVariable]:
    for child in element.named("DerivedVariable", "ConditionalDerivedVariable"):
        where = f"{context} > {child.tag} '{child.get('name')}'"
        select = select_of(child, where, report) if child.tag == "DerivedVariable" else None
        yield ir.DerivedVariable(
            child.get("name"),
            child.get("dimension") or None,
            child.get("exposure"),
            () if select else _cases(child, where, report),
            child,
            select,
        )


def _cases(element: Element, context: str, report: Report) -> tuple[ir.Case, ...]:
    if element.tag == "DerivedVariable":
        value = expression_of(element, context, report)
        return () if value is None else (ir.Case(None, value),)
    cases: list[ir.Case] = []
    for child in element.named("Case"):
        where = f"{context} > Case"
        if cases and cases[-1].condition is None:
            message = "a Case follows the default Case (the one without a condition)"
            report.add(ir.finding(Code.DYNAMICS, child, where, message, "put the default last"))
        written = child.attribute("condition")
        condition = None
        if written is not None and written.value.strip():
            condition = parsed(written, where, report, condition=True)
        value = expression_of(child, where, report)
        if value is not None:
            cases.append(ir.Case(condition, value))
    if not element.named("Case"):
        report.add(ir.finding(Code.DYNAMICS, element, context, "it has no Case"))
    return tuple(cases)


def _starts(element: Element, context: str, report: Report) -> Iterable[ir.StateAssignment]:
    for start in element.named("OnStart"):
        for action in _actions(start, f"{context} > OnStart", report):
            if isinstance(action, ir.StateAssignment):
                yield action


def _actions(element: Element, context: str, report: Report) -> tuple[ir.Action, ...]:
    """Assignments, events and transitions in document order."""
    found: list[ir.Action] = []
    for child in element.children:
        if child.tag == "StateAssignment":
            variable = child.get("variable")
            value = expression_of(child, f"{context} > StateAssignment '{variable}'", report)
            if value is not None:
                found.append(ir.StateAssignment(variable, value, child))
        elif child.tag == "EventOut":
            found.append(ir.EventOut(child.get("port"), child))
        elif child.tag == "Transition":
            found.append(ir.Transition(child.get("regime"), child))
    return tuple(found)


def _on_conditions(element: Element, context: str, report: Report) -> Iterable[ir.OnCondition]:
    for child in element.named("OnCondition"):
        where = f"{context} > OnCondition"
        test = parsed(required(child, "test"), where, report, condition=True)
        actions = _actions(child, where, report)
        if test is not None:
            yield ir.OnCondition(test, actions, child)


def _on_events(element: Element, context: str, report: Report) -> Iterable[ir.OnEvent]:
    for child in element.named("OnEvent"):
        where = f"{context} > OnEvent '{child.get('port')}'"
        yield ir.OnEvent(child.get("port"), _actions(child, where, report), child)


def _regime(element: Element, context: str, report: Report) -> ir.Regime:
    entries = [a for e in element.named("OnEntry") for a in _actions(e, context, report)]
    return ir.Regime(
        element.get("name"),
        element.get("initial") == "true",
        tuple(_derivatives(element, context, report)),
        tuple(entries),
        tuple(_on_conditions(element, context, report)),
        tuple(_on_events(element, context, report)),
        element,
    )


def _kinetic_scheme(element: Element) -> ir.KineticScheme:
    return ir.KineticScheme(
        element.get("name"),
        element.get("nodes"),
        element.get("edges"),
        element.get("stateVariable"),
        element.get("edgeSource"),
        element.get("edgeTarget"),
        element.get("forwardRate"),
        element.get("reverseRate"),
        element,
    )
