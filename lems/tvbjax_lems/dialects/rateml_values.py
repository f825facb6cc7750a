"""The attributes of RateML files: which there are, and how their numbers and ranges are written."""

import math
import re
from collections.abc import Mapping, Sequence

from ..algebra import number, to_expression
from ..errors import Code, Place, Report
from ..ir import expression_finding, finding
from ..schema import METADATA, Rule, check
from ..syntax import (
    Dialect,
    ExpressionError,
    Node,
    is_condition as _is_condition,
    parse,
    parse_condition,
)
from ..xml import NAMESPACE, Attribute, Element

Interval = tuple[float, float]

_DYNAMICS = ("StateVariable", "DerivedVariable", "ConditionalDerivedVariable", "TimeDerivative")
RULES: dict[str, Rule] = {
    "ComponentType": Rule(
        ("name",),
        (),
        (),
        ("Parameter", "DerivedParameter", "Constant", "Exposure", "Requirement", "Dynamics"),
    ),
    "Parameter": Rule(("name", "dimension")),
    "DerivedParameter": Rule(("name", "value")),
    "Constant": Rule(("name", "value"), ("dimension",)),
    "Exposure": Rule(("name",), ("dimension",), named=False),
    "Requirement": Rule(("name",), ("dimension",)),
    "Dynamics": Rule((), (), (), _DYNAMICS),
    "StateVariable": Rule(("name",), ("dimension", "exposure")),
    "DerivedVariable": Rule(("name", "value")),
    "ConditionalDerivedVariable": Rule(("name",), (), (), ("Case",)),
    "Case": Rule(("value",), ("condition",)),
    "TimeDerivative": Rule(("variable", "value")),
}
_BOUND = re.compile(r"\b(lo|hi)\s*=\s*([^,]+)")


def check_dialect(root: Element, report: Report) -> None:
    """Report elements and attributes that RateML does not have."""
    seen: list[str] = []
    for child in root.children:
        if child.tag in METADATA:
            continue
        name = child.get("name")
        if child.tag != "ComponentType":
            message = f"the element {child.tag} is not RateML"
            hint = "a RateML file has a ComponentType 'derivatives', couplings and noise"
            report.add(finding(Code.RATEML, child, root.tag, message, hint))
        elif name not in ("derivatives", "noise") and "coupling" not in name:
            message = f"the ComponentType '{name}' means nothing in RateML"
            hint = "it is 'derivatives', 'noise', or has 'coupling' in its name"
            report.add(finding(Code.RATEML, child, root.tag, message, hint))
        elif name in seen:
            message = "declared before"
            report.add(finding(Code.DUPLICATE, child, f"ComponentType '{name}'", message))
        else:
            check(child, child.tag, report, RULES)
        seen.append(name)


def is_none(text: str) -> bool:
    return text.strip().lower() in ("", "none")


def written_range(interval: Interval) -> str:
    return f"{interval[0]!r}, {interval[1]!r}"


def make(
    tag: str,
    place: Place,
    attributes: Sequence[tuple[str, str]],
    ours: Sequence[tuple[str, str]] = (),
    children: tuple[Element, ...] = (),
) -> Element:
    """A LEMS element at the place of the RateML one that it stands for; "" is left out."""
    own = [Attribute(name, "", value, place) for name, value in attributes if value]
    extra = [Attribute(name, NAMESPACE, value, place) for name, value in ours]
    return Element(tag, "", (*own, *extra), children, place)


class Reader:
    """Reads attributes of RateML elements; what cannot be read is reported and None."""

    def __init__(self, report: Report):
        self.report = report

    def node(self, element: Element, name: str) -> Node | None:
        """The expression of an attribute."""
        attribute = element.attribute(name)
        if attribute is None:
            return None
        return self._parsed(parse, attribute, element)

    def condition(self, element: Element, name: str) -> Node | None:
        attribute = element.attribute(name)
        if attribute is None:
            message = f"the attribute '{name}' is missing"
            self.report.add(finding(Code.ATTRIBUTE, element, element.tag, message))
            return None
        return self._parsed(parse_condition, attribute, element)

    def is_condition(self, text: str) -> bool:
        """Whether the text is a comparison, not `else` or nothing."""
        try:
            return (
                _is_condition(parse_condition(text, Dialect.RATEML))
                and re.search("[<>=!]", text) is not None
            )
        except ExpressionError:
            return False

    def number(
        self, element: Element, name: str, known: Mapping[str, float] | None = None
    ) -> float | None:
        """The value of an attribute that is made of numbers and of `known` names."""
        attribute, node = element.attribute(name), self.node(element, name)
        if attribute is None or node is None:
            return None
        scope = {key: number(value) for key, value in (known or {}).items()}
        try:
            return float(to_expression(node, scope))
        except ExpressionError as error:
            self._add(attribute, element, error)
            return None

    def interval(self, element: Element, name: str, what: str) -> Interval | None:
        """`lo, hi` in either order; one number is a range of no width."""
        attribute = element.attribute(name)
        parts = (attribute.value if attribute else "").split(",")
        ends = [self._end(part) for part in parts]
        if attribute is None or len(parts) > 2 or None in ends:
            written = attribute.value if attribute else ""
            message = f"{name} is '{written[:60]}', but {what} has a range there"
            context = f"{element.tag} '{element.get('name')}'"
            hint = 'write "low, high"'
            self.report.add(finding(Code.RANGE, element, context, message, hint))
            return None
        known = [end for end in ends if end is not None]
        return min(known), max(known)

    def domain(self, element: Element) -> Interval | None:
        """`lo=0, hi=1, step=0.1` of a Constant; None where it is empty."""
        text = element.get("dimension")
        if is_none(text):
            return None
        found = {key: self._end(value) for key, value in _BOUND.findall(text)}
        low, high = found.get("lo"), found.get("hi")
        if low is None or high is None or low > high:
            message = f"dimension is '{text[:60]}', but a Constant has a range there"
            context = f"Constant '{element.get('name')}'"
            hint = 'write "lo=0, hi=1, step=0.1"'
            self.report.add(finding(Code.RANGE, element, context, message, hint))
            return None
        return low, high

    def bounds(self, state: Element) -> Interval | None:
        """The clamp of a state variable, in its attribute `exposure`; None where there is none."""
        text = state.get("exposure")
        if is_none(text) or text.lower() == "inf":
            return None
        parts = text.split(",")
        ends = [self._end(p, side) for p, side in zip(parts, (-math.inf, math.inf), strict=False)]
        if len(parts) != 2 or None in ends:
            message = f"exposure is '{text[:60]}', but a state variable has its bounds there"
            context = f"StateVariable '{state.get('name')}'"
            hint = 'write "low, high", with None where there is no bound, or None alone'
            self.report.add(finding(Code.RANGE, state, context, message, hint))
            return None
        low, high = (end for end in ends if end is not None)
        if low > high:
            message = f"the bounds '{text[:60]}' run backwards"
            context = f"StateVariable '{state.get('name')}'"
            self.report.add(finding(Code.RANGE, state, context, message))
            return None
        return None if math.isinf(low) and math.isinf(high) else (low, high)

    def initial(self, state: Element) -> Interval:
        """The range to start in, in the attribute `dimension`, within the bounds."""
        if is_none(state.get("dimension")):
            return 0.0, 0.0
        low, high = self.interval(state, "dimension", "a state variable") or (0.0, 0.0)
        least, most = self.bounds(state) or (-math.inf, math.inf)
        return min(max(low, least), most), min(max(high, least), most)

    def _end(self, text: str, absent: float | None = None) -> float | None:
        text = text.strip()
        if is_none(text) and absent is not None:
            return absent
        if text.lower().lstrip("+-") == "inf":
            return -math.inf if text.startswith("-") else math.inf
        try:
            return float(to_expression(parse(text, Dialect.RATEML), {}))
        except ExpressionError:
            return None

    def _parsed(self, parser, attribute: Attribute, element: Element) -> Node | None:
        try:
            return parser(attribute.value, Dialect.RATEML)
        except ExpressionError as error:
            self._add(attribute, element, error)
            return None

    def _add(self, attribute: Attribute, element: Element, error: ExpressionError) -> None:
        name = element.get("name") or element.get("variable")
        context = f"{element.tag} '{name}'" if name else element.tag
        self.report.add(expression_finding(attribute, context, error))
