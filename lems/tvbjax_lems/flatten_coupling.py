"""Coupling functions that a file declares, and the ranges of its global parameters.

A ComponentType with tvbjax:coupling="c" is a coupling function of the input c. Its DerivedVariables
pre and post are summed over the network; Requirements with tvbjax:source are states of the sending
node, other Requirements states of the receiving one.
"""

from collections.abc import Mapping
from dataclasses import replace

import sympy

from . import ir
from .algebra import as_written, number, symbol
from .context import Context, expression
from .errors import Code, suggestion
from .flat import FlatCoupling, FlatInput, FlatParameter, Interval
from .functions import derivative
from .order import ordered
from .syntax import ExpressionError
from .units import NONE

LATE = "n_node"  # the number of nodes: only the simulation knows it


def flat_couplings(
    context: Context, types: Mapping[str, ir.ComponentType], inputs: tuple[FlatInput, ...]
) -> tuple[FlatCoupling, ...]:
    """The coupling functions of the document, for the inputs of the model in the context."""
    known = [one.name for one in inputs]
    found = []
    for item in types.values():
        attribute = item.role.coupling
        if attribute is None:
            continue
        own = replace(context, item=item, scope={}, written={}, default={})
        name = attribute.value.strip()
        if name not in known:
            message = f"tvbjax:coupling names '{name[:60]}', which is no input of the model"
            own.fail(Code.UNKNOWN_NAME, attribute, "", message, suggestion(name, known))
            continue
        found.append(_coupling(own, context, name))
    return tuple(found)


def _coupling(own: Context, model: Context, name: str) -> FlatCoupling:
    dynamics = model.item.dynamics
    states = [state.name for state in dynamics.states] if dynamics else []
    known = [*states, *(one.name for one in dynamics.derived)] if dynamics else []
    for constant in (*own.document.constants, *own.item.constants):
        value = own.quantity(constant.value, own.dimension(constant.dimension), constant.name)
        own.scope[constant.name] = number(value or 0.0)
    parameters = _parameters(own)
    own.scope |= {parameter.name: symbol(parameter.name) for parameter in parameters}
    sources: dict[str, str] = {}
    targets = []
    for requirement in own.item.requirements:
        given = requirement.sources.value.strip() if requirement.sources else requirement.name
        if given not in (known if requirement.sources else states):
            where = f"{own.item.context} > Requirement '{requirement.name}'"
            message = f"'{given[:60]}' is not a state variable of '{model.item.name}'"
            hint = suggestion(given, states)
            own.report.add(ir.finding(Code.UNKNOWN_NAME, requirement.element, where, message, hint))
            continue
        own.scope[requirement.name] = symbol(requirement.name)
        if requirement.sources is None:
            targets.append(symbol(requirement.name))
        else:
            sources[requirement.name] = given
    own.scope.setdefault(LATE, symbol(LATE))
    equations = _equations(own)
    scale = own.item.role.scale
    return FlatCoupling(
        own.item.name,
        name,
        tuple(sources.values()),
        tuple(symbol(source) for source in sources),
        tuple(targets),
        equations.get("pre"),
        equations.get("post"),
        None if scale is None else expression(own, scale, own.scope),
        parameters,
    )


def _parameters(own: Context) -> tuple[FlatParameter, ...]:
    found = []
    for parameter in own.item.parameters:
        where = f"{parameter.element.tag} '{parameter.name}'"
        dimension = own.dimension(parameter.dimension)
        if parameter.default is None:
            message = f"the parameter '{parameter.name}' has no value"
            hint = "in a coupling function declare it as a Property with a defaultValue"
            context = f"{own.item.context} > {where}"
            own.report.add(ir.finding(Code.PARAMETER, parameter.element, context, message, hint))
            continue
        value = own.quantity(parameter.default, dimension, where)
        domain = own.interval(parameter.domain, dimension, where) if parameter.domain else None
        text = parameter.element.get("description")
        unit = own.system.unit(dimension)
        found.append(FlatParameter(parameter.name, value or 0.0, unit, domain, text))
    return tuple(found)


def _equations(own: Context) -> dict[str, sympy.Basic]:
    """pre and post without the other derived variables of the type."""
    found: dict[str, sympy.Basic] = {}
    for variable in ordered(own.item, own.report):
        values = {symbol(name): value for name, value in found.items()}
        own.scope |= {name: symbol(name) for name in found}
        if len(variable.cases) != 1:
            where = f"{own.item.context} > {variable.element.tag} '{variable.name}'"
            message = "a coupling function with several Cases is not supported yet"
            own.report.add(ir.finding(Code.NOT_SUPPORTED, variable.element, where, message))
            continue
        source = variable.cases[0].value
        value = expression(own, source, own.scope)
        if value is not None and value.has(derivative):
            message = "derivative is not for coupling functions"
            own.report.add(source.finding(ExpressionError(Code.NOT_SUPPORTED, 0, message)))
        elif value is not None:
            with as_written():
                found[variable.name] = value.xreplace(values)
    return found


def sweeps(context: Context) -> tuple[tuple[tuple[str, Interval], ...], str]:
    """The ranges in tvbjax:sweep="name: lo, hi; ..." and the text of tvbjax:speed."""
    role = context.item.role
    found = []
    pieces = (
        [replace(role.sweep, value=p) for p in role.sweep.value.split(";")] if role.sweep else []
    )
    for piece in pieces:
        name, _, ends = piece.value.partition(":")
        interval = context.interval(replace(piece, value=ends), NONE, "tvbjax:sweep")
        if interval is not None:
            found.append((name.strip(), interval))
    return tuple(found), role.speed.value.strip() if role.speed else ""
