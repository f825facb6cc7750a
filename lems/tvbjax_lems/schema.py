"""Which elements and attributes a model file may have, and what each may hold.

The check comes first and reports by name what is unknown (with a suggestion) and what is LEMS but
not supported yet; the passes after it can rely on required attributes being there.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import Code, Report, suggestion
from .ir import finding
from .xml import NAMESPACE, Element

NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
METADATA = ("notes", "annotation", "Meta", "About", "text", "meta", "about")


@dataclass(frozen=True)
class Rule:
    """An element: attributes that it must and may have, those of our namespace, and children.

    `named`: whether its name is a name, and not an expression.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    named: bool = True


_DECLARATIONS = (
    "Parameter", "DerivedParameter", "Property", "Constant", "Requirement", "Exposure",
    "Fixed", "Text", "Dynamics",
)  # fmt: skip
_ROOT = ("Include", "Dimension", "Unit", "Constant", "Assertion", "ComponentType", "Component",
         "Target")  # fmt: skip
_IN_DYNAMICS = ("StateVariable", "TimeDerivative", "DerivedVariable", "ConditionalDerivedVariable",
                "OnStart")  # fmt: skip

RULES: dict[str, Rule] = {
    "Include": Rule(optional=("file", "href")),
    "Dimension": Rule(("name",), ("m", "l", "t", "i", "k", "n", "j")),
    "Unit": Rule(("symbol", "dimension"), ("power", "scale", "offset", "name")),
    "Assertion": Rule(("dimension", "matches")),
    "Target": Rule(("component",), ("reportFile", "timesFile")),
    "ComponentType": Rule(
        ("name",),
        ("extends", "eXtends"),
        ("coupling", "scale", "sweep", "speed"),
        _DECLARATIONS,
    ),
    "Parameter": Rule(("name", "dimension"), (), ("domain",)),
    "Property": Rule(("name", "dimension"), ("defaultValue",), ("domain",)),
    "DerivedParameter": Rule(("name",), ("dimension", "value", "select")),
    "Constant": Rule(("name", "value"), ("dimension", "symbol")),
    "Requirement": Rule(("name", "dimension"), (), ("source",)),
    "Exposure": Rule(("name", "dimension"), (), ("voi",)),
    "Fixed": Rule(("parameter", "value")),
    "Text": Rule(("name",)),
    "Dynamics": Rule((), ("simultaneous",), (), _IN_DYNAMICS),
    "StateVariable": Rule(("name", "dimension"), ("exposure",), ("bounds", "initial", "noise")),
    "TimeDerivative": Rule(("variable", "value")),
    "DerivedVariable": Rule(
        ("name",), ("dimension", "exposure", "value", "select", "reduce", "required")
    ),
    "ConditionalDerivedVariable": Rule(("name",), ("dimension", "exposure"), (), ("Case",)),
    "Case": Rule(("value",), ("condition",)),
    "OnStart": Rule(children=("StateAssignment",)),
    "StateAssignment": Rule(("variable", "value")),
}
NOT_YET = frozenset(
    """Attachments Child Children Collection ComponentReference ComponentRequirement
    ComponentTypeReference EventPort InstanceRequirement IndexParameter Link Location PairCollection
    Path PathParameter Procedure Simulation Structure Geometry OnCondition OnEvent OnEntry EventOut
    Regime Transition KineticScheme Super StateScalarField DerivedScalarField DerivedPunctateField
    ChildInstance MultiInstantiate ForEach With EventConnection Tunnel Assign CoInstantiate If
    Choose Apply Gather Run Record DataDisplay DataWriter EventRecord EventWriter""".split()
)
_ALWAYS = ("description", "name", "id", "comment", "metaid")


def check_root(root: Element, children: Iterable[Element], report: Report) -> None:
    """Report what is wrong with the elements below the root, all the way down."""
    children = tuple(children)
    types = {child.get("name") for child in children if child.tag == "ComponentType"}
    for child in children:
        if child.tag in METADATA:
            continue
        if child.tag == "Component" or child.tag in types:
            _check_component(child, report)
        elif child.tag in _ROOT:
            check(child, child.tag, report)
        else:
            _unknown(child, root.tag, (*_ROOT, *types), report)


def check(
    element: Element, context: str, report: Report, rules: Mapping[str, Rule] = RULES
) -> None:
    """Report what is wrong with an element and its children by the rules."""
    rule = rules[element.tag]
    context = label(element, context)
    _check_attributes(element, rule, context, report)
    for name in ("select", "reduce"):
        if element.attribute(name):
            report.add(
                finding(
                    Code.NOT_SUPPORTED,
                    element,
                    context,
                    f"{element.tag} with '{name}' is not supported yet",
                )
            )
    for child in element.children:
        if child.tag in METADATA:
            continue
        if child.tag in rule.children:
            check(child, f"{context} > {child.tag}", report, rules)
        else:
            _unknown(child, context, rule.children, report)


def label(element: Element, context: str) -> str:
    """The context with the element's name: `Dynamics > TimeDerivative 'x'`."""
    name = element.get("name") or element.get("variable") or element.get("parameter")
    return f"{context} '{name}'" if name and not context.endswith("'") else context


def _check_component(element: Element, report: Report) -> None:
    context = f"Component '{element.get('id') or element.tag}'"
    if element.tag == "Component" and not element.get("type"):
        hint = "" if not element.get("extends") else "a prototype (extends) is not supported yet"
        report.add(
            finding(Code.ATTRIBUTE, element, context, "the attribute 'type' is missing", hint)
        )
    for child in element.children:
        if child.tag not in METADATA:
            report.add(
                finding(
                    Code.NOT_SUPPORTED,
                    child,
                    context,
                    f"a child component ({child.tag}) is not supported yet",
                )
            )
    for attribute in element.attributes:
        _check_namespace(element, attribute.name, attribute.namespace, (), context, report)


def _unknown(element: Element, context: str, known: Iterable[str], report: Report) -> None:
    if element.tag in NOT_YET:
        report.add(
            finding(
                Code.NOT_SUPPORTED,
                element,
                context,
                f"the element {element.tag} is not supported yet",
                "rate models have Dynamics with state and derived variables",
            )
        )
        return
    elsewhere = element.tag in RULES
    message = f"the element {element.tag} {'does not belong here' if elsewhere else 'is unknown'}"
    hint = suggestion(element.tag, known) if tuple(known) else "it takes no child elements"
    report.add(finding(Code.UNKNOWN_ELEMENT, element, context, message, hint))


def _check_attributes(element: Element, rule: Rule, context: str, report: Report) -> None:
    known = (*rule.required, *rule.optional)
    given = [a.name for a in element.attributes if not a.namespace]
    for name in rule.required:
        if name not in given:
            stray = [other for other in given if other not in (*known, *_ALWAYS)]
            hint = f"'{stray[0]}' is unknown here" if stray else ""
            report.add(
                finding(
                    Code.ATTRIBUTE, element, context, f"the attribute '{name}' is missing", hint
                )
            )
    for attribute in element.attributes:
        if attribute.namespace:
            _check_namespace(
                element, attribute.name, attribute.namespace, rule.ours, context, report
            )
        elif attribute.name not in known and attribute.name not in _ALWAYS:
            report.add(
                finding(
                    Code.ATTRIBUTE,
                    element,
                    context,
                    f"the attribute '{attribute.name}' is unknown",
                    suggestion(attribute.name, known),
                )
            )
    for name in ("name", "variable", "parameter"):
        value = element.get(name)
        checked = rule.named and name in rule.required and name in given
        if checked and not NAME.fullmatch(value):
            report.add(
                finding(
                    Code.ATTRIBUTE,
                    element,
                    context,
                    f"'{value[:60]}' is not a name",
                    "a name has letters, digits and _, and starts with a letter",
                )
            )


def _check_namespace(
    element: Element,
    name: str,
    namespace: str,
    known: tuple[str, ...],
    context: str,
    report: Report,
) -> None:
    if namespace == NAMESPACE and name not in known:
        message = f"the attribute tvbjax:{name} is unknown on {element.tag}"
        hint = suggestion(name, known) if known else "it takes none of this namespace"
        report.add(finding(Code.ATTRIBUTE, element, context, message, hint))
    elif "tvbjax" in namespace.lower() and namespace != NAMESPACE:
        report.add(
            finding(
                Code.ATTRIBUTE,
                element,
                context,
                f"the namespace '{namespace}' is unknown",
                f"did you mean '{NAMESPACE}'?",
            )
        )
