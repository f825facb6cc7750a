"""Checks of what a type says of other types: children, references, paths, Markov chains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import ir
from .check_declared import unknown_type
from .check_structure import check_simulation, check_structure
from .errors import Code
from .family import ANY_TYPE, Family
from .selects import Found, SelectPath, follow, parse_select
from .syntax import ExpressionError
from .units import NONE, DimensionCheck

if TYPE_CHECKING:
    from .check_type import TypeCheck


def check_others(check: TypeCheck, family: Family) -> None:
    """Report names of types, and of what other types have, that nothing declares."""
    item = check.item
    for one in (*item.slots, *item.references, *item.attachments, *item.instance_requirements):
        if one.type and one.type != ANY_TYPE and one.type not in family.types:
            unknown_type(check, one.element, f"{one.element.tag} '{one.name}'", one.type)
    for one in item.derived_parameters:
        if one.select is not None:
            _check_select(check, family, one, one.select)
    if item.dynamics is not None:
        for one in item.dynamics.derived:
            if one.select is not None:
                _check_select(check, family, one, one.select)
        for scheme in item.dynamics.kinetic_schemes:
            _check_scheme(check, family, scheme)
    check_structure(check, family)
    check_simulation(check)


def _check_select(
    check: TypeCheck,
    family: Family,
    one: ir.DerivedParameter | ir.DerivedVariable,
    select: ir.Select,
) -> None:
    try:
        path = parse_select(select.path.value)
        found = follow(path, check.item, family)
    except ExpressionError as error:
        check.report.add(ir.expression_finding(select.path, select.context, error))
        return
    _check_reduce(check, select, path)
    if found is not None:
        _check_dimension(check, one, select, path, found)


def _check_reduce(check: TypeCheck, select: ir.Select, path: SelectPath) -> None:
    if path.is_list and not select.reduce:
        message = "the path leads to many values where one is needed"
        error = ExpressionError(Code.PATH, 0, message, 'write reduce="add" or "multiply"')
        check.report.add(ir.expression_finding(select.path, select.context, error))
    single = not (path.is_list or path.filters)
    names = {slot.name for slot in check.item.slots if slot.many}
    names |= {one.name for one in check.item.attachments}
    if select.reduce and single and not any(step.name in names for step in path.steps[:-1]):
        message = f'reduce="{select.reduce}" has one value only'
        error = ExpressionError(Code.PATH, 0, message, "write [*] after the name of the list")
        check.report.add(ir.expression_finding(select.path, select.context, error, True))


def _check_dimension(
    check: TypeCheck,
    one: ir.DerivedParameter | ir.DerivedVariable,
    select: ir.Select,
    path: SelectPath,
    found: Found,
) -> None:
    """What is at the end of the path must have the dimension of the variable."""
    known = check.document.dimensions
    wanted = check.known.get(one.name)
    given = {name: known.get(name) for item in found.items if (name := item.dimension)}
    if wanted is None or not given or any(d is None or d.agrees(wanted) for d in given.values()):
        return
    if select.reduce == "multiply" and not (wanted.is_none and NONE in given.values()):
        return
    shown = " or ".join(sorted(given))
    message = f"the path gives {shown}, but {check.scope.describe(wanted)} is needed"
    error = ExpressionError(Code.DIMENSION, path.steps[-1].offset, message)
    if check.check is not DimensionCheck.OFF:
        warning = check.check is DimensionCheck.WARN
        check.report.add(ir.expression_finding(select.path, select.context, error, warning))


def _check_scheme(check: TypeCheck, family: Family, scheme: ir.KineticScheme) -> None:
    where = f"Dynamics > KineticScheme '{scheme.name}'"
    slots = {slot.name: slot.type for slot in check.item.slots if slot.many}
    for name in (scheme.nodes, scheme.edges):
        if name not in slots:
            message = f"there is no Children '{name}'"
            check.unknown(Code.CHILD, scheme.element, where, message, name, slots)
    nodes, edges = (family.below(slots.get(name, "")) for name in (scheme.nodes, scheme.edges))
    states = {s.name for kind in nodes if kind.dynamics for s in kind.dynamics.states}
    ends = {one.name for kind in edges for one in (*kind.references, *kind.texts)}
    rates = {name for kind in edges for name in _computed(kind)}
    for types, attribute, name, known, what in (
        (nodes, "stateVariable", scheme.state_variable, states, "state variable"),
        (edges, "edgeSource", scheme.edge_source, ends, "Link or reference"),
        (edges, "edgeTarget", scheme.edge_target, ends, "Link or reference"),
        (edges, "forwardRate", scheme.forward_rate, rates, "exposure or variable"),
        (edges, "reverseRate", scheme.reverse_rate, rates, "exposure or variable"),
    ):
        if types and name not in known:
            message = f"{attribute}: '{types[0].name}' has no {what} '{name}'"
            check.unknown(Code.CHILD, scheme.element, where, message, name, known)


def _computed(kind: ir.ComponentType) -> Iterable[str]:
    yield from (one.name for one in (*kind.exposures, *kind.parameters, *kind.derived_parameters))
    if kind.dynamics is not None:
        yield from (one.name for one in (*kind.dynamics.states, *kind.dynamics.derived))
