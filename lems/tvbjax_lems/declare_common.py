"""What every kind of declaration needs: attributes, quantities as written, parsed expressions."""

from . import ir
from .errors import Code, Report
from .syntax import ExpressionError, is_condition, parse, parse_condition
from .xml import Attribute, Element


def unique(items, what: str, key, report: Report) -> None:
    seen: dict[str, Element] = {}
    for item in items:
        name = key(item)
        if name in seen:
            report.add(
                ir.finding(
                    Code.DUPLICATE,
                    item.element,
                    f"{what} '{name}'",
                    f"declared before at {seen[name].place}",
                    "rename one of them",
                )
            )
        seen.setdefault(name, item.element)


def required(element: Element, name: str) -> Attribute:
    found = element.attribute(name)
    assert found is not None  # the schema check has seen to it
    return found


def constant(element: Element) -> ir.Constant:
    value = required(element, "value")
    name = element.get("symbol") or element.get("name")
    return ir.Constant(name, element.get("dimension", "none"), value, element)


def expression_of(
    element: Element, context: str, report: Report, name: str = "value"
) -> ir.Expression | None:
    """The expression in an attribute, None where it is missing or wrong, which is reported."""
    value = element.attribute(name)
    if value is None:
        message = f"the attribute '{name}' is missing"
        report.add(ir.finding(Code.ATTRIBUTE, element, context, message))
        return None
    return parsed(value, context, report)


def parsed(
    attribute: Attribute, context: str, report: Report, condition: bool = False
) -> ir.Expression | None:
    try:
        node = (parse_condition if condition else parse)(attribute.value)
    except ExpressionError as error:
        report.add(ir.expression_finding(attribute, context, error))
        return None
    assert is_condition(node) is condition
    return ir.Expression(node, attribute, context)


def select_of(element: Element, context: str, report: Report) -> ir.Select | None:
    """The path of an element with `select`, None where there is none."""
    path = element.attribute("select")
    if path is None:
        return None
    reduce = element.get("reduce")
    if reduce not in ("", "add", "multiply"):
        message = f"reduce is '{reduce[:40]}'"
        hint = 'write reduce="add" or "multiply"'
        report.add(ir.finding(Code.ATTRIBUTE, element, context, message, hint))
    if element.attribute("value") is not None:
        message = "it has both a value and a select"
        report.add(ir.finding(Code.ATTRIBUTE, element, context, message, "remove one of them"))
    return ir.Select(path, reduce, element.get("required") != "false", context)
