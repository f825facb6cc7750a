"""Which elements and attributes a model file may have, and what each may hold.

The check comes first and reports by name what is unknown (with a suggestion) and what is LEMS but
not supported; the passes after it can rely on required attributes being there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from .errors import Code, Diagnostic, Report, suggestion
from .ir import finding
from .xml import NAMESPACE, Element, Lost

NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
METADATA = ("notes", "annotation", "Meta", "About", "text", "meta", "about")


@dataclass(frozen=True)
class Rule:
    """An element: attributes that it must and may have, those of our namespace, and children.

    `named`: whether its name stands in expressions; others name tags or attributes, as dc:title.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    named: bool = True


_DECLARATIONS = (
    "Parameter", "DerivedParameter", "Property", "Constant", "Requirement", "Exposure",
    "Fixed", "Text", "Path", "PathParameter", "IndexParameter", "Child", "Children",
    "ComponentReference", "Link", "ComponentRequirement", "InstanceRequirement", "EventPort",
    "Attachments", "Dynamics", "Structure", "Simulation",
)  # fmt: skip
_ROOT = ("Include", "Dimension", "Unit", "Constant", "Assertion", "ComponentType", "Component",
         "Target")  # fmt: skip
_IN_DYNAMICS = (
    "StateVariable", "TimeDerivative", "DerivedVariable", "ConditionalDerivedVariable",
    "OnStart", "OnCondition", "OnEvent", "Regime", "KineticScheme", "Super",
)  # fmt: skip
_ACTIONS = ("StateAssignment", "EventOut", "Transition")
_STRUCTURE = ("ChildInstance", "MultiInstantiate", "ForEach", "With", "EventConnection", "Tunnel")
_SIMULATION = ("Run", "Record", "EventRecord", "DataDisplay", "DataWriter", "EventWriter")

RULES: dict[str, Rule] = {
    "Include": Rule(optional=("file", "href")),
    "Dimension": Rule(("name",), ("m", "l", "t", "i", "k", "n", "j"), named=False),
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
    "Constant": Rule(("name", "value"), ("dimension", "symbol"), named=False),
    "Requirement": Rule(("name", "dimension"), (), ("source",)),
    "Exposure": Rule(("name", "dimension"), (), ("voi",)),
    "Fixed": Rule(("parameter", "value")),
    "Text": Rule(("name",), named=False),
    "Path": Rule(("name",), named=False),
    "PathParameter": Rule(("name",), named=False),
    "IndexParameter": Rule(("name",), named=False),
    "Child": Rule(("name", "type"), ("substitute", "required"), named=False),
    "Children": Rule(("name", "type"), ("min", "max"), named=False),
    "ComponentReference": Rule(
        ("name", "type"), ("local", "required", "defaultComponent", "isAny", "root")
    ),
    "Link": Rule(("name", "type"), ("required",)),
    "ComponentRequirement": Rule(("name",), ("type",)),
    "InstanceRequirement": Rule(("name", "type")),
    "EventPort": Rule(("name", "direction"), named=False),
    "Attachments": Rule(("name", "type")),
    "Dynamics": Rule((), ("simultaneous",), (), _IN_DYNAMICS),
    "StateVariable": Rule(("name", "dimension"), ("exposure",), ("bounds", "initial", "noise")),
    "TimeDerivative": Rule(("variable", "value")),
    "DerivedVariable": Rule(
        ("name",), ("dimension", "exposure", "value", "select", "reduce", "required")
    ),
    "ConditionalDerivedVariable": Rule(("name",), ("dimension", "exposure"), (), ("Case",)),
    "Case": Rule(("value",), ("condition",)),
    "OnStart": Rule(children=("StateAssignment",)),
    "OnCondition": Rule(("test",), children=_ACTIONS),
    "OnEvent": Rule(("port",), children=_ACTIONS),
    "OnEntry": Rule(children=("StateAssignment", "EventOut")),
    "StateAssignment": Rule(("variable", "value")),
    "EventOut": Rule(("port",)),
    "Transition": Rule(("regime",)),
    "Regime": Rule(
        ("name",),
        ("initial",),
        (),
        (
            "StateVariable",
            "TimeDerivative",
            "DerivedVariable",
            "ConditionalDerivedVariable",
            "OnEntry",
            "OnCondition",
            "OnEvent",
        ),
    ),  # fmt: skip
    "KineticScheme": Rule(
        (
            "name",
            "nodes",
            "edges",
            "stateVariable",
            "edgeSource",
            "edgeTarget",
            "forwardRate",
            "reverseRate",
        ),
        ("dependency", "step"),
    ),  # fmt: skip
    "Super": Rule(),
    "Structure": Rule(children=_STRUCTURE),
    "ChildInstance": Rule(("component",)),
    "MultiInstantiate": Rule(
        ("number",), ("component", "componentType", "indexVariable"), (), ("Assign",)
    ),
    "ForEach": Rule(("instances", "as"), children=_STRUCTURE),
    "With": Rule(("as",), ("instance", "list", "index")),
    "EventConnection": Rule(
        ("from", "to"),
        ("sourcePort", "targetPort", "receiver", "receiverContainer", "delay"),
        (),
        ("Assign",),
    ),
    "Tunnel": Rule(("name", "endA", "endB", "componentA", "componentB"), (), (), ("Assign",)),
    "Assign": Rule(("property", "value")),
    "Simulation": Rule(children=_SIMULATION),
    "Run": Rule(("component", "variable", "increment", "total")),
    "Record": Rule(("quantity",), ("scale", "timeScale", "color", "destination")),
    "EventRecord": Rule(("quantity", "eventPort")),
    "DataDisplay": Rule((), ("title", "dataRegion")),
    "DataWriter": Rule(("path", "fileName")),
    "EventWriter": Rule(("path", "fileName"), ("format",)),
}
UNSUPPORTED = frozenset(
    """Collection ComponentTypeReference Location PairCollection Procedure Geometry Equilibrate
    StateScalarField DerivedScalarField DerivedPunctateField CoInstantiate If Choose Apply Gather
    GatherPairs PairFilter PairsEventConnection IncludePair Function ForEachComponent Print
    Equilibrium Solid Skeleton Frustum Show""".split()
)
_ALWAYS = ("description", "name", "id", "comment", "metaid")
_STRAY_SHOWN = 10  # unknown attributes of an element
_ROOT_ATTRIBUTES = ("version", "notes")


def check_root(
    root: Element, children: Iterable[Element], report: Report, complete: bool = True
) -> Element:
    """The root with the checked elements below it; what is wrong is reported and left out.

    `complete`: whether all that the file includes is there, so that other names are unknown.
    """
    _check_root_attributes(root, report)
    children = tuple(child for child in children if child.tag not in METADATA)
    types = {child.get("name") for child in children if child.tag == "ComponentType"}
    kept: list[Element | None] = []
    for child in children:
        if child.tag == "Component" or child.tag in types:
            kept.append(_check_component(child, report))
        elif child.tag in _ROOT:
            kept.append(check(child, child.tag, report))
        else:
            kept.append(None)
    left_out = [child for child, one in zip(children, kept, strict=True) if one is None]
    lost = Lost(frozenset(_values(left_out)), everything=not complete)
    for child in left_out:
        known = child.tag in (*_ROOT, "Component") or child.tag in types
        if not known and (child.tag not in lost or child.tag in UNSUPPORTED):
            _unknown(child, root.tag, (*_ROOT, *types), report)
    return replace(root, children=tuple(child for child in kept if child), lost=lost)


def _values(elements: Iterable[Element]) -> Iterator[str]:
    """Every attribute's text: an element that cannot be read may have declared any of them."""
    for element in elements:
        yield from (attribute.value.strip() for attribute in element.attributes)
        yield from _values(element.children)


def _check_root_attributes(root: Element, report: Report) -> None:
    for attribute in root.attributes:
        if not attribute.namespace and attribute.name not in (*_ALWAYS, *_ROOT_ATTRIBUTES):
            message = f"the attribute '{attribute.name[:60]}' is unknown and has no effect"
            report.add(finding(Code.ATTRIBUTE, root, root.tag, message, warning=True))
        elif attribute.namespace:
            _check_namespace(root, attribute.name, attribute.namespace, (), root.tag, report)


def check(
    element: Element, context: str, report: Report, rules: Mapping[str, Rule] = RULES
) -> Element | None:
    """The element with those children that fit the rules; None where it does not itself.

    What does not fit is reported. An unknown attribute is, too, but hides nothing else.
    """
    rule = rules[element.tag]
    context = label(element, context)
    usable = _check_attributes(element, rule, context, report)
    kept: list[Element] = []
    lost: set[str] = set()
    for child in element.children:
        if child.tag in METADATA:
            continue
        one = None
        if child.tag in rule.children:
            one = check(child, f"{context} > {child.tag}", report, rules)
        else:
            _unknown(child, context, rule.children, report)
        if one is not None:
            kept.append(one)
        lost.update(_values([child]) if one is None else one.lost.names)
    if not usable:
        return None
    return replace(element, children=tuple(kept), lost=Lost(frozenset(lost)))


def label(element: Element, context: str) -> str:
    """The context with the element's name: `Dynamics > TimeDerivative 'x'`."""
    name = element.get("name") or element.get("variable") or element.get("parameter")
    return f"{context} '{name}'" if name and not context.endswith("'") else context


def _check_component(element: Element, report: Report) -> Element | None:
    context = f"Component '{element.get('id') or element.tag}'"
    for attribute in element.attributes:
        _check_namespace(element, attribute.name, attribute.namespace, (), context, report)
    if element.tag == "Component" and not (element.get("type") or element.get("extends")):
        report.add(finding(Code.ATTRIBUTE, element, context, "the attribute 'type' is missing"))
        return None
    return element


def _unknown(element: Element, context: str, known: Iterable[str], report: Report) -> None:
    if element.tag in UNSUPPORTED:
        message = f"the element {element.tag} is not supported"
        report.add(finding(Code.NOT_SUPPORTED, element, context, message))
        return
    if report.is_full:
        return
    elsewhere = element.tag in RULES
    tag = element.tag[:60]
    message = f"the element {tag} {'does not belong here' if elsewhere else 'is unknown'}"
    hint = suggestion(element.tag, known) if tuple(known) else "it takes no child elements"
    report.add(finding(Code.UNKNOWN_ELEMENT, element, context, message, hint))


def _check_attributes(element: Element, rule: Rule, context: str, report: Report) -> bool:
    """Whether the attributes that it needs are there, and names are names."""
    known = (*rule.required, *rule.optional)
    given = [a.name for a in element.attributes if not a.namespace]
    stray = [name for name in given if name not in (*known, *_ALWAYS)]
    missing = [name for name in rule.required if name not in given]
    for name in missing:
        hint = f"'{stray[0][:60]}' is unknown" if stray else ""
        message = f"the attribute '{name}' is missing"
        report.add(finding(Code.ATTRIBUTE, element, context, message, hint))
    told = stray[:1] if missing else []  # in the message above
    for attribute in element.attributes if not report.is_full else ():
        name = attribute.name
        if attribute.namespace or name not in stray or name in told or len(told) > _STRAY_SHOWN:
            continue
        told.append(name)
        message = f"the attribute '{name[:60]}' is unknown"
        hint = suggestion(name, known)
        report.add(Diagnostic(Code.ATTRIBUTE, attribute.place, message, hint, context))
    for attribute in element.attributes:
        if attribute.namespace:
            namespace = attribute.namespace
            _check_namespace(element, attribute.name, namespace, rule.ours, context, report)
    return _check_name(element, rule, given, context, report) and not missing


def _check_name(
    element: Element, rule: Rule, given: list[str], context: str, report: Report
) -> bool:
    if element.tag == "Constant":  # in expressions it goes by its symbol, if it has one
        checked = ["symbol" if element.get("symbol") else "name"]
    else:
        names = ("name", "variable", "parameter")
        checked = [name for name in names if rule.named and name in rule.required]
    for name in checked:
        value = element.get(name)
        if name in given and not NAME.fullmatch(value):
            message = f"'{value[:60]}' is not a name"
            hint = "a name has letters, digits and _, and starts with a letter"
            report.add(finding(Code.ATTRIBUTE, element, context, message, hint))
            return False
    return True


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
