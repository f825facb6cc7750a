"""Checks of what a type declares itself: values of constants and defaults, Fixed, equal names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ir
from .errors import Code, Diagnostic, suggestion
from .units import ANY, QuantityError, quantity
from .xml import Attribute, Element, Lost

if TYPE_CHECKING:
    from .check_type import TypeCheck


def check_declared(check: TypeCheck) -> None:
    """Report values that are no quantities or of a wrong dimension, and names with two meanings."""
    item = check.item
    for constant in item.constants:
        check_quantity(check, constant.value, constant.dimension, f"Constant '{constant.name}'")
    for parameter in item.parameters:
        if parameter.default is not None:
            where = f"{parameter.element.tag} '{parameter.name}'"
            check_quantity(check, parameter.default, parameter.dimension, where)
    _check_fixed(check)
    _check_names(check)
    _check_overridden(check)


def check_quantity(check: TypeCheck, attribute: Attribute, dimension: str, where: str) -> None:
    """Report a quantity that cannot be read, or is not of the dimension of that name."""
    document = check.document
    try:
        quantity(attribute.value, document.dimensions.get(dimension, ANY), document.units)
    except QuantityError as error:
        if not is_lost(attribute, document.lost):
            context = f"{check.item.context} > {where}"
            check.report.add(
                Diagnostic(error.code, attribute.place, error.message, error.hint, context)
            )


def is_lost(attribute: Attribute, lost: Lost) -> bool:
    """Whether the unit of a quantity is one that could not be read."""
    return attribute.value.strip().lstrip("+-.0123456789eE ") in lost


def _check_fixed(check: TypeCheck) -> None:
    known = {parameter.name: parameter for parameter in check.item.parameters}
    for one in check.item.fixed:
        where = f"Fixed '{one.parameter}'"
        if one.parameter not in known:
            message = f"there is no parameter '{one.parameter}'"
            name = one.parameter
            check.unknown(Code.PARAMETER, one.element, where, message, name, known)
        else:
            check_quantity(check, one.value, known[one.parameter].dimension, where)


def _check_names(check: TypeCheck) -> None:
    """Report a name that a supertype and a subtype, or two kinds of declaration, both take."""
    item, dynamics = check.item, check.item.dynamics
    computed = {variable.name for variable in dynamics.derived} if dynamics else set()
    states = dynamics.states if dynamics else ()
    named = (
        *((one.name, one.element) for one in item.parameters),
        *((one.name, one.element) for one in item.constants),
        *((one.name, one.element) for one in item.derived_parameters),
        *((one.name, one.element) for one in item.requirements),
        *((one.name, one.element) for one in states if one.name not in computed),
        *((one.name, one.element) for one in (dynamics.derived if dynamics else ())),
    )
    seen: dict[str, Element] = {}
    for name, element in named:
        first = seen.setdefault(name, element)
        if first is not element and not {id(first), id(element)} <= _inside(item.element):
            context = f"{item.context} > {element.tag} '{name}'"
            message = f"the {first.tag} '{name}' at {first.place} has this name already"
            found = ir.finding(Code.DUPLICATE, element, context, message, "rename one of them")
            check.report.add(found)


def _inside(element: Element) -> set[int]:
    """The identities of all elements of a type: what clashes among them has been reported."""
    found = {id(element)}
    for child in element.children:
        found |= _inside(child)
    return found


def _check_overridden(check: TypeCheck) -> None:
    """Warn where a subtype declares a supertype's parameter or exposure with another dimension."""
    above = check.family.types.get(check.item.extends) if check.family else None
    if above is None:
        return
    for kind, own, theirs in (
        ("Parameter", check.item.parameters, above.parameters),
        ("Exposure", check.item.exposures, above.exposures),
        ("Requirement", check.item.requirements, above.requirements),
    ):
        before = {one.name: one for one in theirs}
        for one in own:
            other = before.get(one.name)
            known = check.document.dimensions
            if other is None or other.element is one.element:
                continue
            if not known.get(one.dimension, ANY).agrees(known.get(other.dimension, ANY)):
                context = f"{check.item.context} > {kind} '{one.name}'"
                message = f"it is {one.dimension} here, but {other.dimension} in '{above.name}'"
                check.wrong_dimension(one.element, context, message)


def unknown_type(check: TypeCheck, element: Element, where: str, name: str) -> None:
    """Report a type that the document does not have."""
    if name not in check.document.lost and check.family is not None:
        context = f"{check.item.context} > {where}"
        hint = suggestion(name, check.family.types)
        message = f"unknown type '{name}'"
        check.report.add(ir.finding(Code.UNKNOWN_TYPE, element, context, message, hint))
