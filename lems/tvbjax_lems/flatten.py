"""A component and its type to the flat model: values converted, names bound, equations in sympy.

Constants become numbers, parameters stay symbols. Raises LemsError with everything that is wrong.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping

import sympy

from . import ir
from .algebra import as_written, number, symbol, to_condition, to_expression
from .check_type import TIME_NAME
from .context import Context, expression, numbers
from .errors import Code, Diagnostic, Report, suggestion
from .flat import (
    Equation,
    FlatConstant,
    FlatCoupling,
    FlatInput,
    FlatModel,
    FlatParameter,
    FlatState,
    Interval,
    Observable,
)
from .flatten_coupling import flat_couplings, sweeps
from .optimise import program
from .order import ordered, ordered_parameters
from .partials import Partials
from .syntax import ExpressionError, size
from .units import NONE, TIME, Dimension, UnitSystem
from .xml import Element

PART_LIMIT = 10_000  # of a model's equations; sympy takes about a millisecond for each
EVERYWHERE: Interval = (-math.inf, math.inf)


def flatten(
    document: ir.Document,
    types: Mapping[str, ir.ComponentType],
    component: ir.Component,
    system: UnitSystem,
    report: Report,
) -> FlatModel:
    """The flat model of a component, whose types have passed their checks. Raises LemsError."""
    if component.type not in types:
        message = f"unknown type '{component.type}'"
        context = f"Component '{component.id}'"
        hint = suggestion(component.type, types)
        report.add(ir.finding(Code.UNKNOWN_TYPE, component.element, context, message, hint))
        report.stop()
    item = types[component.type]
    context = Context(document, item, system, report)
    if item.dynamics is None or not item.dynamics.states:
        report.add(
            ir.finding(
                Code.DYNAMICS,
                item.element,
                item.context,
                "it has no state variables, so there is nothing to simulate",
            )
        )
        report.stop()
    _check_rate_model(context)
    _check_size(context)
    constants = _constants(context)
    parameters = _parameters(context, component)
    report.stop()
    inputs = _inputs(context)
    partials = Partials(_dimensions(context), context.system)
    _derive(context, partials)
    states = _states(context)
    derivatives = tuple(partials.resolved(one) for one in _derivatives(context))
    derived = tuple(partials.equations)
    observables, voi = _observables(context, derived, states)
    report.stop()
    couplings = flat_couplings(context, types, inputs)
    sent = _sent(context, derived, states, inputs, couplings)
    ranges, speed = sweeps(context)
    report.stop()
    dynamics = program(derived, [equation.expression for equation in derivatives])
    observation = program(derived, [symbol(observable.variable) for observable in observables])
    return FlatModel(
        item.name,
        component.id,
        item.description or document.description,
        parameters,
        constants,
        states,
        inputs,
        derived,
        derivatives,
        observables,
        voi,
        couplings,
        ranges,
        speed,
        dynamics,
        observation,
        sent,
        program(derived, [symbol(name) for name in sent]),
    )


def is_rate_model(item: ir.ComponentType | None) -> bool:
    """Whether components of a type are models of a brain region, rather than parts of networks."""
    if item is None or item.dynamics is None or not item.dynamics.states:
        return False
    return item.run is None and not any(_beyond_rate_models(item))


def _beyond_rate_models(item: ir.ComponentType) -> Iterator[Element]:
    """What only a network has: events, regimes, children, paths to other components."""
    dynamics = item.dynamics
    assert dynamics is not None
    computed = (*item.derived_parameters, *dynamics.derived)
    for one in (
        *dynamics.on_conditions,
        *dynamics.on_events,
        *dynamics.regimes,
        *dynamics.kinetic_schemes,
        *item.attachments,
        *(one for one in computed if one.select),
        *item.structure,
    ):
        yield one.element


def _check_rate_model(context: Context) -> None:
    item = context.item
    assert item.dynamics is not None
    for element in _beyond_rate_models(item):
        message = f"a rate model of a brain region cannot have this {element.tag}"
        hint = "run networks of such components with lems.load_network"
        where = f"{item.context} > {element.tag}"
        context.report.add(ir.finding(Code.NOT_SUPPORTED, element, where, message, hint))
    for variable in (*item.dynamics.states, *item.dynamics.derived):
        if variable.name == TIME_NAME:
            where = f"{item.context} > {variable.element.tag} '{variable.name}'"
            message = f"the name '{TIME_NAME}' is taken: it is time"
            context.report.add(ir.finding(Code.DUPLICATE, variable.element, where, message))
    context.report.stop()


def _check_size(context: Context) -> None:
    item = context.item
    assert item.dynamics is not None
    cases = [case for one in item.dynamics.derived for case in one.cases]
    expressions = [
        *(one.value for one in item.derived_parameters if one.value),
        *(one.value for one in item.dynamics.derivatives),
        *(case.value for case in cases),
        *(case.condition for case in cases if case.condition),
    ]
    parts = sum(size(expression.node) for expression in expressions)
    if parts > PART_LIMIT:
        message = f"its equations have {parts} numbers, names and operators; at most {PART_LIMIT}"
        message += " are compiled"
        context.report.add(ir.finding(Code.TOO_LARGE, item.element, item.context, message))
        context.report.stop()


def _constants(context: Context) -> tuple[FlatConstant, ...]:
    found = []
    for constant in (*context.document.constants, *context.item.constants):
        dimension = context.dimension(constant.dimension)
        where = f"Constant '{constant.name}'"
        value = context.quantity(constant.value, dimension, where)
        if value is not None:
            found.append(FlatConstant(constant.name, value, context.system.unit(dimension)))
            _bind_constant(context, constant.name, value)
    return tuple(found)


def _bind_constant(context: Context, name: str, value: float) -> None:
    context.default[name] = value
    context.scope[name] = number(value)
    context.written[name] = symbol(name)


def _parameters(context: Context, component: ir.Component) -> tuple[FlatParameter, ...]:
    item = context.item
    given = {a.name: a for a in component.values}
    fixed = {f.parameter: f.value for f in item.fixed}
    known = {p.name for p in item.parameters}
    _check_given(context, component, known)
    for one in item.fixed:
        if one.parameter not in known:
            where = f"{item.context} > Fixed '{one.parameter}'"
            message = f"there is no parameter '{one.parameter}'"
            hint = suggestion(one.parameter, known)
            context.report.add(ir.finding(Code.PARAMETER, one.element, where, message, hint))
    found = []
    for parameter in item.parameters:
        where = f"{parameter.element.tag} '{parameter.name}'"
        name, dimension = parameter.name, context.dimension(parameter.dimension)
        attribute = fixed.get(name) or given.get(name) or parameter.default
        if attribute is None:
            message = f"the parameter '{name}' has no value"
            hint = f'write {name}="..." on the component'
            place = f"Component '{component.id}' of type '{item.name}'"
            context.report.add(ir.finding(Code.PARAMETER, component.element, place, message, hint))
            continue
        value = context.quantity(attribute, dimension, where)
        domain = None
        if parameter.domain is not None:
            domain = context.interval(parameter.domain, dimension, where)
        if value is None:
            continue
        if name in fixed:
            _bind_constant(context, name, value)
            continue
        context.default[name] = value
        context.scope[name] = context.written[name] = symbol(name)
        unit, text = context.system.unit(dimension), parameter.element.get("description")
        found.append(FlatParameter(name, value, unit, domain, _prose(text)))
    return tuple(found)


def _check_given(context: Context, component: ir.Component, known: Iterable[str]) -> None:
    texts = {text.name for text in context.item.texts}
    place = f"Component '{component.id}' of type '{context.item.name}'"
    for attribute in component.values:
        if attribute.name not in {*known, *texts}:
            message = f"the type has no parameter '{attribute.name}'"
            hint = suggestion(attribute.name, known)
            context.report.add(Diagnostic(Code.PARAMETER, attribute.place, message, hint, place))


def _prose(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _inputs(context: Context) -> tuple[FlatInput, ...]:
    dynamics = context.item.dynamics
    assert dynamics is not None
    known = [one.name for one in (*dynamics.states, *dynamics.derived)]
    found = []
    for requirement in context.item.requirements:
        where = f"Requirement '{requirement.name}'"
        context.scope[requirement.name] = context.written[requirement.name] = symbol(
            requirement.name
        )
        if requirement.name in context.default:
            continue
        if requirement.sources is None:
            context.report.add(
                ir.finding(
                    Code.NOT_SUPPORTED,
                    requirement.element,
                    f"{context.item.context} > {where}",
                    "a Requirement that an enclosing component meets is not supported yet",
                    'if the network gives it, name the states it comes from: tvbjax:source="x"',
                )
            )
            continue
        names = [name.strip() for name in requirement.sources.value.split(",")]
        for name in names:
            if name not in known:
                message = f"tvbjax:source names '{name[:60]}', no state or derived variable"
                context.fail(
                    Code.UNKNOWN_NAME,
                    requirement.sources,
                    where,
                    message,
                    suggestion(name, known),
                )
        if len(set(names)) < len(names):
            message = f"tvbjax:source names '{max(names, key=names.count)[:60]}' twice"
            context.fail(Code.DUPLICATE, requirement.sources, where, message)
        if set(names) <= set(known):
            text = _prose(requirement.element.get("description"))
            unit = context.unit(requirement.dimension)
            found.append(FlatInput(requirement.name, unit, tuple(names), text))
    return tuple(found)


def _sent(
    context: Context,
    derived: Iterable[Equation],
    states: Iterable[FlatState],
    inputs: Iterable[FlatInput],
    couplings: Iterable[FlatCoupling],
) -> tuple[str, ...]:
    """The derived values that are transmitted; reports those that the past does not hold."""
    named = dict.fromkeys(name for one in (*inputs, *couplings) for name in one.sources)
    found = tuple(name for name in named if name not in {state.name for state in states})
    reach = _reach(context, derived)
    for name in found:
        if outside := reach.get(name):
            element = next(
                (
                    one.element
                    for one in context.item.requirements
                    if one.sources and name in one.sources.value
                ),
                context.item.element,
            )
            message = (
                f"'{name}' is transmitted, but depends on {', '.join(sorted(outside))}, "
                "and what is sent may depend on states and parameters alone"
            )
            found_here = ir.finding(Code.NOT_SUPPORTED, element, context.item.context, message)
            context.report.add(found_here)
    context.report.stop()
    return found


def _dimensions(context: Context) -> dict[str, Dimension]:
    """The dimensions of the names that are declared with one."""
    item, dynamics = context.item, context.item.dynamics
    assert dynamics is not None
    declared = (*item.parameters, *item.requirements, *item.constants, *item.derived_parameters)
    known = (*declared, *dynamics.states, *dynamics.derived)
    return {one.name: context.dimension(one.dimension) for one in known if one.dimension}


def _derive(context: Context, partials: Partials) -> None:
    """The derived parameters and variables, each after those that it uses."""
    dynamics = context.item.dynamics
    context.scope[TIME_NAME] = context.written[TIME_NAME] = symbol(TIME_NAME)
    for state in dynamics.states if dynamics else ():
        context.scope[state.name] = context.written[state.name] = symbol(state.name)
    for one in ordered_parameters(context.item, context.report):
        if one.value is None:
            continue
        value = expression(context, one.value, context.scope)
        written = expression(context, one.value, context.written)
        at_default = expression(context, one.value, numbers(context.default))
        context.scope[one.name] = context.written[one.name] = symbol(one.name)
        if value is None or written is None or at_default is None:
            continue
        context.default[one.name] = float(at_default)
        partials.add(Equation(one.name, value, written, context.unit(one.dimension)))
    for one in ordered(context.item, context.report):
        value = _cases(context, one, context.scope)
        written = _cases(context, one, context.written)
        context.scope[one.name] = context.written[one.name] = symbol(one.name)
        if value is not None and written is not None:
            partials.add(Equation(one.name, value, written, context.unit(one.dimension)))


def _cases(
    context: Context, variable: ir.DerivedVariable, scope: Mapping[str, sympy.Expr]
) -> sympy.Basic | None:
    pairs = []
    for case in variable.cases:
        value = expression(context, case.value, scope)
        condition = sympy.true
        if case.condition is not None:
            try:
                condition = to_condition(case.condition.node, scope)
            except ExpressionError as error:
                context.report.add(case.condition.finding(error))
                continue
        if value is not None:
            pairs.append((value, condition))
    if len(pairs) < len(variable.cases):
        return None
    if variable.cases[-1].condition is not None:
        pairs.append((sympy.Integer(0), sympy.true))
    with as_written():
        return pairs[0][0] if len(pairs) == 1 else sympy.Piecewise(*pairs)


def _states(context: Context) -> tuple[FlatState, ...]:
    dynamics = context.item.dynamics
    assert dynamics is not None
    starts = {start.variable: start for start in dynamics.on_start}
    found = []
    for state in dynamics.states:
        where = f"Dynamics > StateVariable '{state.name}'"
        dimension = context.dimension(state.dimension)
        bounds, initial = EVERYWHERE, (0.0, 0.0)
        if state.bounds is not None:
            bounds = context.interval(state.bounds, dimension, where) or EVERYWHERE
        if state.initial is not None:
            initial = context.interval(state.initial, dimension, where) or initial
            if not all(math.isfinite(end) and bounds[0] <= end <= bounds[1] for end in initial):
                message = f"the initial range '{state.initial.value}' is not within the bounds"
                context.fail(Code.RANGE, state.initial, where, message)
        elif state.name in starts:
            value = _start(context, starts[state.name])
            initial = (value, value)
        nsig = _noise(context, state, where)
        text = _prose(state.element.get("description"))
        unit = context.system.unit(dimension)
        found.append(FlatState(state.name, unit, bounds, initial, nsig, text))
    return tuple(found)


def _start(context: Context, start: ir.StateAssignment) -> float:
    try:
        return float(to_expression(start.value.node, numbers(context.default)))
    except ExpressionError as error:
        if error.code is Code.UNKNOWN_NAME:
            error = ExpressionError(
                Code.NOT_SUPPORTED,
                error.offset,
                "only parameters and constants can make an initial value yet",
            )
        context.report.add(start.value.finding(error))
        return 0.0


def _noise(context: Context, state: ir.StateVariable, where: str) -> float:
    if state.noise is None:
        return 0.0
    dimension = context.dimension(state.dimension)
    # D in dx = ... + sqrt(2 D) dW has the square of x's dimension per time; plain numbers pass too.
    text = state.noise.value
    plain = re.fullmatch(r"\s*[-+0-9.eE]+\s*", text) is not None
    value = context.quantity(state.noise, NONE if plain else dimension**2 / TIME, where)
    if value is not None and value < 0.0:
        context.fail(Code.RANGE, state.noise, where, f"the noise intensity {text} is negative")
    return value or 0.0


def _derivatives(context: Context) -> tuple[Equation, ...]:
    dynamics = context.item.dynamics
    assert dynamics is not None
    by_name = {one.variable: one for one in dynamics.derivatives}
    found = []
    for state in dynamics.states:
        unit = context.system.unit(context.dimension(state.dimension) / TIME)
        if state.name not in by_name:
            where = f"{context.item.context} > Dynamics > StateVariable '{state.name}'"
            message = "it has no TimeDerivative, so it keeps its initial value"
            context.report.add(
                ir.finding(Code.DYNAMICS, state.element, where, message, warning=True)
            )
            found.append(Equation(state.name, sympy.S.Zero, sympy.S.Zero, unit))
            continue
        source = by_name[state.name].value
        value = expression(context, source, context.scope)
        written = expression(context, source, context.written)
        if value is not None and written is not None:
            found.append(Equation(state.name, value, written, unit))
    return tuple(found)


def _observables(
    context: Context, derived: Iterable[Equation], states: Iterable[FlatState]
) -> tuple[tuple[Observable, ...], tuple[str, ...]]:
    """What can be observed - exposures, and states without one - and the variables of interest."""
    dynamics = context.item.dynamics
    assert dynamics is not None
    variables = {v.exposure: v for v in (*dynamics.states, *dynamics.derived) if v.exposure}
    reach = _reach(context, derived)
    found, marked = [], []
    for exposure in context.item.exposures:
        where = f"{context.item.context} > Exposure '{exposure.name}'"
        variable = variables.get(exposure.name)
        if variable is None:
            message = "no state or derived variable has this exposure"
            hint = f'write exposure="{exposure.name}" on the variable'
            context.report.add(ir.finding(Code.EXPOSURE, exposure.element, where, message, hint))
            continue
        outside = reach.get(variable.name, set())
        if not outside:
            unit = context.unit(exposure.dimension)
            text = _prose(exposure.element.get("description"))
            found.append(Observable(exposure.name, variable.name, unit, text))
        if not exposure.voi:
            continue
        marked.append(exposure.name)
        if outside:
            message = (
                f"a variable of interest depends on {', '.join(sorted(outside))}, which only the "
                "running network knows; this is not supported yet"
            )
            context.report.add(ir.finding(Code.NOT_SUPPORTED, exposure.element, where, message))
    named = {observable.name for observable in found}
    found += [
        Observable(s.name, s.name, s.unit, s.description) for s in states if s.name not in named
    ]
    return tuple(found), tuple(marked) or tuple(state.name for state in dynamics.states)


def _reach(context: Context, derived: Iterable[Equation]) -> dict[str, set[str]]:
    """Per derived variable, the coupling inputs (and time) on which it depends."""
    outside = {r.name for r in context.item.requirements} | {TIME_NAME}
    reach: dict[str, set[str]] = {}
    for equation in derived:
        reach[equation.name] = set()
        for used in equation.expression.free_symbols:
            reach[equation.name] |= reach.get(str(used), set()) | ({str(used)} & outside)
    return reach
