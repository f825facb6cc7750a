"""RateML's coupling types to LEMS types that tvbjax reads as coupling functions.

RateML sums wij * post * pre over the sending nodes into the name of each DerivedParameter, and then
multiplies by the DerivedParameter's value.
"""

import re
from typing import TYPE_CHECKING

from ..errors import Code, Report
from ..ir import finding
from ..syntax import Node, Number, names, substituted, to_text
from ..xml import Element
from .rateml_values import is_none, make, written_range

if TYPE_CHECKING:
    from .rateml import RateModel


def coupling_types(
    elements: list[Element], model: "RateModel", report: Report
) -> tuple[list[Element], dict[str, list[str]]]:
    """The LEMS types, and per input the states that its coupling function transmits."""
    types: list[Element] = []
    sources: dict[str, list[str]] = {}
    for element in elements:
        read = _Coupling(element, model, report)
        for sum_ in element.named("DerivedParameter"):
            name = sum_.get("name")
            if name not in model.used:
                message = f"no equation uses the sum '{name}', so the coupling is left out"
                report.add(finding(Code.RATEML, sum_, read.context, message, warning=True))
                continue
            if name in sources:
                message = f"another coupling function gives '{name}' already"
                report.add(finding(Code.DUPLICATE, sum_, read.context, message))
                continue
            sources[name] = list(read.sources.values())
            types.append(read.written(sum_, len(types)))
    return types, sources


class _Coupling:
    """One coupling type, read; problems are reported."""

    def __init__(self, element: Element, model: "RateModel", report: Report):
        self.element, self.model, self.report = element, model, report
        self.context = f"ComponentType '{element.get('name')}'"
        self.sources = {
            p.get("name"): s for p in element.named("Parameter") if (s := self._state(p))
        }
        self.constants: dict[str, float] = {}
        for child in element.named("Constant"):
            value = model.read.number(child, "value", model.constants)
            if value is not None:
                self.constants[child.get("name")] = value
        dynamics = element.named("Dynamics")
        self.derived = {
            d.get("name"): node
            for d in (dynamics[0].named("DerivedVariable") if dynamics else ())
            if not is_none(d.get("value")) and (node := model.read.node(d, "value")) is not None
        }

    def _state(self, parameter: Element) -> str | None:
        """The state whose index stands in `dimension`."""
        written, states = parameter.get("dimension"), self.model.state_names
        if re.fullmatch(r"\d{1,6}", written) and int(written) < len(states):
            return states[int(written)]
        message = f"dimension is '{written[:40]}', but the index of a state variable stands there"
        hint = f"write 0 to {len(states) - 1}"
        where = f"{self.context} > Parameter '{parameter.get('name')}'"
        self.report.add(finding(Code.RATEML, parameter, where, message, hint))
        return None

    def written(self, sum_: Element, index: int) -> Element:
        """The LEMS type of one sum."""
        equations = {k: self._reduced(v) for k, v in self.derived.items()}
        if "pre" in equations or "post" in equations:
            equations.setdefault("pre", Number("1", 0))
            equations.setdefault("post", Number("1", 0))
        else:
            message = (
                "it has neither pre nor post, so there is nothing to sum; "
                f"'{sum_.get('name')}' comes from the network, as in RateML's Python models"
            )
            self.report.add(finding(Code.RATEML, sum_, self.context, message, warning=True))
        scale = None if is_none(sum_.get("value")) else self.model.read.node(sum_, "value")
        scale = None if scale is None else self._reduced(scale)
        used = [n.name for node in (*equations.values(), scale) if node for n in names(node)]
        place = self.element.place
        ours = [("coupling", sum_.get("name"))]
        if scale is not None:
            ours.append(("scale", to_text(scale)))
        children = self._declarations(list(dict.fromkeys(used)))
        derived = [
            make(
                "DerivedVariable",
                place,
                [("name", name), ("dimension", "*"), ("value", to_text(node))],
            )
            for name, node in equations.items()
        ]
        if derived:
            children.append(make("Dynamics", place, [], children=tuple(derived)))
        name = self.element.get("name") + (f"_{index}" if index and self._several else "")
        return make("ComponentType", place, [("name", name)], ours=ours, children=tuple(children))

    @property
    def _several(self) -> bool:
        return len(self.element.named("DerivedParameter")) > 1

    def _reduced(self, node: Node) -> Node:
        """The expression without the derived parameters of the model, such as rec_n."""
        for name, (value, _) in reversed(self.model.derived_parameters.items()):
            if any(n.name == name for n in names(node)):
                node = substituted(node, {name: value})
        return node

    def _declarations(self, used: list[str]) -> list[Element]:
        model, place, found = self.model, self.element.place, []
        values = {k: (v, None) for k, v in model.constants.items()}
        values |= {k: (ends[0], ends) for k, ends in model.sweeps.items() if k not in values}
        values |= {k: (v, None) for k, v in self.constants.items()}
        for name in used:
            text = [("name", name), ("dimension", "*")]
            if name in self.sources:
                ours = [("source", self.sources[name])]
                found.append(make("Requirement", place, text, ours=ours))
            elif name in values:
                value, domain = values[name]
                ours = [] if domain is None else [("domain", written_range(domain))]
                text.append(("defaultValue", repr(value)))
                found.append(make("Property", place, text, ours=ours))
            elif name in model.state_names:
                found.append(make("Requirement", place, text))
        order = {"Property": 0, "Requirement": 1}
        return sorted(found, key=lambda element: order[element.tag])
