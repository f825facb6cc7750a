"""Elements to declarations: one pass over a checked tree that parses every expression."""

import math
from collections.abc import Iterable

from . import ir
from .declare_common import constant, parsed, required, unique
from .declare_type import declare_type
from .dimensions import Scope, dimension_of
from .errors import Code, Report, suggestion
from .schema import METADATA, check_root
from .syntax import ExpressionError, names
from .units import ANY, NONE, SYMBOLS, Dimension, Unit, describe, dimension
from .xml import Element


def declare(
    root: Element, children: Iterable[Element], file: str, report: Report | None = None
) -> ir.Document:
    """Everything declared below the root; `children` has the includes replaced by their content.

    Raises LemsError with every finding of this pass; with a `report` the findings are added to it
    and the document has what could be read (`lost` says what else there may be).
    """
    own = Report() if report is None else report
    checked = check_root(root, children, own, complete=not own.errors)
    document = _document(checked, file, own)
    if report is None:
        own.stop()
    return document


def _document(root: Element, file: str, report: Report) -> ir.Document:
    children = root.children
    dimensions = _dimensions(children, report)
    units = _units(root, dimensions, report)
    _check_assertions(root, dimensions, report)
    types = tuple(declare_type(child, report) for child in children if child.tag == "ComponentType")
    unique(types, "ComponentType", lambda item: item.name, report)
    type_names = {item.name for item in types}
    components = tuple(
        _component(child, type_names)
        for child in children
        if child.tag == "Component" or child.tag in type_names
    )
    unique(components, "Component", lambda item: item.id, report)
    constants = tuple(constant(child) for child in children if child.tag == "Constant")
    unique(constants, "Constant", lambda item: item.name, report)
    targets = tuple(
        ir.Target(child.get("component"), child) for child in children if child.tag == "Target"
    )
    return ir.Document(
        file,
        root.get("description"),
        dimensions,
        units,
        constants,
        types,
        components,
        targets,
        root.lost,
    )


def _dimensions(children: tuple[Element, ...], report: Report) -> dict[str, Dimension]:
    known: dict[str, Dimension] = {"none": NONE, "*": ANY}
    for child in children:
        if child.tag != "Dimension":
            continue
        exponents = {s: _integer(child, s, report) for s in SYMBOLS if child.get(s)}
        found, name = dimension(**exponents), child.get("name")
        if name in known and known[name] != found:
            report.add(
                ir.finding(
                    Code.DUPLICATE,
                    child,
                    f"Dimension '{name}'",
                    "declared before with other exponents",
                )
            )
        known[name] = found
    return known


def _units(root: Element, dimensions: dict[str, Dimension], report: Report) -> dict[str, Unit]:
    known: dict[str, Unit] = {}
    for child in root.named("Unit"):
        symbol, name = child.get("symbol"), child.get("dimension")
        context = f"Unit '{symbol}'"
        if name not in dimensions:
            if name not in root.lost:
                unknown_dimension(name, child, context, dimensions, report)
            known.setdefault(symbol, Unit(symbol, ANY))
            continue
        unit = Unit(
            symbol,
            dimensions[name],
            _integer(child, "power", report) if child.get("power") else 0,
            _float(child, "scale", 1.0, report),
            _float(child, "offset", 0.0, report),
        )
        if symbol in known and known[symbol] != unit:
            report.add(
                ir.finding(Code.DUPLICATE, child, context, "declared before with another meaning")
            )
        known[symbol] = unit
    return known


def _check_assertions(root: Element, dimensions: dict[str, Dimension], report: Report) -> None:
    """Report assertions such as dimension="power" matches="voltage*current" that do not hold."""
    for child in root.named("Assertion"):
        name, context = child.get("dimension"), "Assertion"
        matches = parsed(required(child, "matches"), context, report)
        if matches is None:
            continue
        used = [name, *(n.name for n in names(matches.node))]
        unknown = [n for n in used if n not in dimensions]
        for one in (n for n in unknown if n not in root.lost):
            unknown_dimension(one, child, context, dimensions, report)
        try:
            found = dimension_of(matches.node, Scope(dimensions, dimensions))
        except ExpressionError as error:
            report.add(matches.finding(error))
            continue
        if not unknown and not found.agrees(dimensions[name]):
            message = f"'{name}' is not '{child.get('matches')}', but {describe(found)}"
            report.add(ir.finding(Code.DIMENSION, child, context, message))


def unknown_dimension(
    name: str, element: Element, context: str, known: Iterable[str], report: Report
) -> None:
    report.add(
        ir.finding(
            Code.UNKNOWN_DIMENSION,
            element,
            context,
            f"unknown dimension '{name}'",
            suggestion(name, known),
        )
    )


def _integer(element: Element, name: str, report: Report) -> int:
    text = element.get(name)
    try:
        value = int(text) if len(text) < 10 else 1000
    except ValueError:
        value = 1000
    if abs(value) > 100:
        report.add(
            ir.finding(
                Code.QUANTITY,
                element,
                element.tag,
                f"'{name}' is '{text[:40]}', not a whole number from -100 to 100",
            )
        )
        return 0
    return value


def _float(element: Element, name: str, default: float, report: Report) -> float:
    text = element.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        message = f"'{name}' is '{text[:40]}', not a number"
        report.add(ir.finding(Code.QUANTITY, element, element.tag, message))
        return default
    return value


def _component(element: Element, types: set[str]) -> ir.Component:
    """A component with its children; a tag that is no type is the name of a Child or Children."""
    given = element.get("type")
    kind = given if given in types or element.tag == "Component" else ""
    skip = ("id", "extends") if not kind else ("id", "type", "extends")
    values = tuple(
        a for a in element.attributes if not a.namespace and a.name not in (*skip, "description")
    )
    if not kind and element.tag in types:
        kind = element.tag
    children = tuple(
        _component(child, types) for child in element.children if child.tag not in METADATA
    )
    name = element.get("id") or element.get("name") or element.tag
    extends = element.get("extends")
    return ir.Component(name, kind, values, element, extends, element.tag, children)
