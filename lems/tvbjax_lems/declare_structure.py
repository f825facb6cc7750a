"""Structure and Simulation elements to declarations: what is built, connected, run, recorded."""

import re

from . import ir
from .declare_common import expression_of, parsed, required
from .errors import Code, Report
from .xml import Element

_INDEX = "index"  # what LEMS calls an instance's number where the file does not say
_WRITERS = ("DataDisplay", "DataWriter", "EventWriter")


def declare_structure(
    element: Element | None, context: str, report: Report
) -> tuple[ir.StructureItem, ...]:
    """The statements of a Structure element, () where there is none."""
    if element is None:
        return ()
    found = (_item(child, context, report) for child in element.children)
    return tuple(item for item in found if item is not None)


def declare_simulation(
    elements: tuple[Element, ...],
) -> tuple[ir.Run | None, ir.Record | None, ir.Writer | None]:
    """What a type's Simulation element says: what to run, to record, and to write."""
    run = record = writer = None
    for child in (child for element in elements for child in element.children):
        if child.tag == "Run":
            run = ir.Run(
                child.get("component"),
                child.get("variable"),
                child.get("increment"),
                child.get("total"),
                child,
            )
        elif child.tag in ("Record", "EventRecord"):
            record = ir.Record(
                child.get("quantity"),
                child.get("scale"),
                child.get("timeScale"),
                child.get("color"),
                child.get("eventPort"),
                child,
            )
        elif child.tag in _WRITERS:
            writer = ir.Writer(
                child.tag,
                child.get("title"),
                child.get("path"),
                child.get("fileName"),
                child.get("format"),
                child,
            )
    return run, record, writer


def _item(element: Element, context: str, report: Report) -> ir.StructureItem | None:
    where = f"{context} > {element.tag}"
    match element.tag:
        case "ChildInstance":
            return ir.ChildInstance(element.get("component"), element)
        case "MultiInstantiate":
            number = parsed(required(element, "number"), where, report)
            if bool(element.get("component")) == bool(element.get("componentType")):
                message = "it needs either a component or a componentType"
                report.add(ir.finding(Code.ATTRIBUTE, element, where, message))
            index = element.attribute("indexVariable")
            if index is not None and not re.fullmatch(r"[A-Za-z_]\w*", index.value):
                message = f"indexVariable: '{index.value[:60]}' is no name"
                report.add(ir.finding(Code.ATTRIBUTE, element, where, message))
            if number is None:
                return None
            return ir.MultiInstantiate(
                number,
                element.get("component"),
                element.get("componentType"),
                element.get("indexVariable") or _INDEX,
                element.attribute("indexVariable") is not None,
                _assigns(element, where, report),
                element,
            )
        case "With":
            return _with(element, where, report)
        case "ForEach":
            items = declare_structure(element, where, report)
            return ir.ForEach(element.get("instances"), element.get("as"), items, element)
        case "EventConnection":
            return ir.EventConnection(
                element.get("from"),
                element.get("to"),
                element.get("sourcePort"),
                element.get("targetPort"),
                element.get("receiver"),
                element.get("receiverContainer"),
                parsed(delay, where, report) if (delay := element.attribute("delay")) else None,
                _assigns(element, where, report),
                element,
            )
        case "Tunnel":
            return ir.Tunnel(
                element.get("name"),
                element.get("endA"),
                element.get("endB"),
                element.get("componentA"),
                element.get("componentB"),
                _assigns(element, where, report),
                element,
            )
        case _:
            return None


def _with(element: Element, context: str, report: Report) -> ir.With:
    instance, name = element.get("instance"), element.get("list")
    if bool(instance) == bool(name):
        message = "it needs either an instance or a list with an index"
        report.add(ir.finding(Code.ATTRIBUTE, element, context, message))
    return ir.With(instance, name, element.get("index"), element.get("as"), element)


def _assigns(element: Element, context: str, report: Report) -> tuple[ir.Assign, ...]:
    found = []
    for child in element.named("Assign"):
        where = f"{context} > Assign '{child.get('property')}'"
        value = expression_of(child, where, report)
        if value is not None:
            found.append(ir.Assign(child.get("property"), value, child))
    return tuple(found)
