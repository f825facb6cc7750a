"""RateML files to LEMS: the tree of a file as RateML means it, written as LEMS means it.

RateML keeps LEMS's element names and gives its attributes other meanings: a Constant is a model
parameter, `dimension` a range, `exposure` a pair of bounds, the last Case a default. The result is
a LEMS tree with tvbjax's own attributes, which the other passes read like any file.
"""

import re
from dataclasses import dataclass, field

from ..errors import Code, Report
from ..ir import finding
from ..syntax import Name, Node, names, to_text
from ..xml import Element
from .rateml_coupling import coupling_types
from .rateml_noise import conduction_speed, intensity
from .rateml_values import (
    Reader,
    check_dialect,
    make,
    written_range,
)

DERIVATIVES = "derivatives"
_INPUT = re.compile(r"c_pop(\d+)")
_WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over"}


def is_rateml(root: Element) -> bool:
    """Whether the file is RateML: a ComponentType named derivatives, and no Target."""
    types = {child.get("name") for child in root.named("ComponentType")}
    return DERIVATIVES in types and not root.named("Target")


def desugar(root: Element, stem: str, report: Report) -> Element:
    """The LEMS form of a RateML tree. `stem` (the file's name) becomes the model's name.

    Raises LemsError with everything that RateML would not understand; warnings go to the report.
    """
    check_dialect(root, report)
    report.stop()
    main = next(c for c in root.named("ComponentType") if c.get("name") == DERIVATIVES)
    couplings = [c for c in root.named("ComponentType") if "coupling" in c.get("name")]
    noisy = any(c.get("name") == "noise" for c in root.named("ComponentType"))
    model = _read(root, main, Reader(report))
    report.stop()
    name = re.sub(r"\W", "_", stem, flags=re.ASCII)
    name = name if re.match(r"[A-Za-z]", name) else f"model_{name}"
    types, sources = coupling_types(couplings, model, report)
    report.stop()
    body = _component_type(model, name, sources, noisy)
    values = [(constant, repr(value)) for constant, value in model.constants.items()]
    values += [(n, repr(sweep[0])) for n, sweep in model.sweeps.items() if n in model.swept]
    component = make("Component", main.place, [("id", name), ("type", name), *values])
    target = make("Target", main.place, [("component", name)])
    report.stop()
    description = [("description", root.get("description"))]
    return make("Lems", root.place, description, children=(target, body, *types, component))


@dataclass
class RateModel:
    """What the `derivatives` type says, read but not yet written as LEMS."""

    main: Element
    read: Reader
    constants: dict[str, float] = field(default_factory=dict)
    constant_elements: dict[str, Element] = field(default_factory=dict)
    sweeps: dict[str, tuple[float, float]] = field(default_factory=dict)
    derived_parameters: dict[str, tuple[Node, Element]] = field(default_factory=dict)
    states: list[Element] = field(default_factory=list)
    derived: list[tuple[Element, list[tuple[Node | None, Node]]]] = field(default_factory=list)
    derivatives: list[tuple[Node, Element]] = field(default_factory=list)

    @property
    def state_names(self) -> list[str]:
        return [state.get("name") for state in self.states]

    @property
    def used(self) -> list[str]:
        """The names in the equations and in the derived parameters that they need."""
        nodes = [node for node, _ in self.derivatives]
        for _, cases in self.derived:
            nodes += [node for case in cases for node in case if node is not None]
        found = [name.name for node in nodes for name in names(node)]
        for name, (node, _) in reversed(self.derived_parameters.items()):
            if name in found:
                found += [inner.name for inner in names(node)]
        return list(dict.fromkeys(found))

    @property
    def swept(self) -> list[str]:
        """Swept parameters that the equations use and that have no constant for a default."""
        return [n for n in self.sweeps if n in self.used and n not in self.constants]


def _read(root: Element, main: Element, read: Reader) -> RateModel:
    model = RateModel(main, read)
    for child in main.named("Constant"):
        _constant(model, child)
    for child in main.named("Parameter"):
        found = read.interval(child, "dimension", "a swept Parameter")
        if found is not None:
            model.sweeps[child.get("name")] = found
    for child in main.named("DerivedParameter"):
        node = read.node(child, "value")
        if node is not None:
            model.derived_parameters[child.get("name")] = (node, child)
    dynamics = main.named("Dynamics")
    if not dynamics:
        message = "the derivatives have no Dynamics"
        read.report.add(finding(Code.DYNAMICS, main, "ComponentType 'derivatives'", message))
        return model
    model.states = list(dynamics[0].named("StateVariable"))
    for child in dynamics[0].named("DerivedVariable", "ConditionalDerivedVariable"):
        model.derived.append((child, _cases(child, read)))
    for child in dynamics[0].named("TimeDerivative"):
        node = read.node(child, "value")
        if node is not None:
            model.derivatives.append((node, child))
    _check_positions(model, dynamics[0])
    return model


def _constant(model: RateModel, element: Element) -> None:
    name, report = element.get("name"), model.read.report
    value = model.read.number(element, "value", model.constants)
    if value is None:
        return
    if name in model.constants and model.constants[name] != value:
        report.add(
            finding(
                Code.DUPLICATE,
                element,
                f"ComponentType 'derivatives' > Constant '{name}'",
                f"declared before as {model.constants[name]:g}, now as {value:g}; the last holds",
                warning=True,
            )
        )
    model.constants[name] = value
    model.constant_elements[name] = element


def _cases(element: Element, read: Reader) -> list[tuple[Node | None, Node]]:
    if element.tag == "DerivedVariable":
        node = read.node(element, "value")
        return [] if node is None else [(None, node)]
    found: list[tuple[Node | None, Node]] = []
    cases = element.named("Case")
    for case in cases:
        node, last = read.node(case, "value"), case is cases[-1]
        condition = None if last else read.condition(case, "condition")
        if last and read.is_condition(case.get("condition")):
            read.report.add(
                finding(
                    Code.RATEML,
                    case,
                    f"ConditionalDerivedVariable '{element.get('name')}' > Case",
                    "the last Case is the default, whatever its condition",
                    "leave its condition empty",
                    warning=True,
                )
            )
        if node is not None and (last or condition is not None):
            found.append((condition, node))
    return found


def _check_positions(model: RateModel, dynamics: Element) -> None:
    report, states = model.read.report, model.state_names
    written = [child.get("variable") for _, child in model.derivatives]
    if not states or len(dynamics.named("TimeDerivative")) != len(states):
        report.add(
            finding(
                Code.DYNAMICS,
                dynamics,
                "ComponentType 'derivatives' > Dynamics",
                f"{len(states)} state variables have {len(dynamics.named('TimeDerivative'))} "
                "time derivatives",
                "RateML pairs them by their order",
            )
        )
        return
    for name, (variable, (_, child)) in zip(
        states, zip(written, model.derivatives, strict=True), strict=False
    ):
        if variable not in (name, f"d{name}"):
            report.add(
                finding(
                    Code.RATEML,
                    child,
                    f"ComponentType 'derivatives' > TimeDerivative '{variable}'",
                    f"it is taken for the derivative of '{name}', the state variable at its place",
                    f"name it d{name}, or put it where its state variable is",
                    warning=True,
                )
            )


def _component_type(
    model: RateModel, name: str, sources: dict[str, list[str]], noisy: bool
) -> Element:
    main, place = model.main, model.main.place
    exposures, extra = _exposures(model)
    children = [*_parameters(model), *_derived_parameters(model)]
    if "local_coupling" in model.used and "local_coupling" not in model.derived_parameters:
        local = [("name", "local_coupling"), ("dimension", "*"), ("value", "0")]
        children.append(make("Constant", place, local))
    children += _inputs(model, sources)
    children += [
        make("Exposure", place, [("name", e), ("dimension", "*")], ours=[("voi", "true")])
        for e in exposures
    ]
    children.append(_dynamics(model, exposures, extra, noisy))
    ours = []
    if model.sweeps:
        written = "; ".join(f"{n}: {low!r}, {high!r}" for n, (low, high) in model.sweeps.items())
        ours.append(("sweep", written))
    speed = conduction_speed(model)
    if speed:
        ours.append(("speed", speed))
    text = [("name", name), ("description", main.get("description"))]
    return make("ComponentType", place, text, ours=ours, children=tuple(children))


def _parameters(model: RateModel) -> list[Element]:
    found = []
    for name, element in model.constant_elements.items():
        domain = model.read.domain(element)
        ours = [] if domain is None else [("domain", written_range(domain))]
        attributes = [("name", name), ("dimension", "*")]
        attributes.append(("description", element.get("description")))
        found.append(make("Parameter", element.place, attributes, ours=ours))
    for name in model.swept:
        ours = [("domain", written_range(model.sweeps[name]))]
        attributes = [("name", name), ("dimension", "*")]
        found.append(make("Parameter", model.main.place, attributes, ours=ours))
    return found


def _derived_parameters(model: RateModel) -> list[Element]:
    found = []
    for name, (node, element) in model.derived_parameters.items():
        if name not in model.used or name in model.constants:
            continue
        timing = [n.name for n in names(node) if n.name in ("dt", "n_node")]
        if timing:
            message = f"the equations use it, but it depends on {timing[0]}, which no model knows"
            context = f"ComponentType 'derivatives' > DerivedParameter '{name}'"
            model.read.report.add(finding(Code.RATEML, element, context, message))
            continue
        text = [("name", name), ("dimension", "*"), ("value", to_text(node))]
        found.append(make("DerivedParameter", element.place, text))
    return found


def _inputs(model: RateModel, sources: dict[str, list[str]]) -> list[Element]:
    """Requirements for c_pop0, c_pop1, ... and for other sums of coupling functions in use.

    Without a coupling function that says otherwise c_pop<k> comes from state variable k, as in
    RateML's Python models.
    """
    states, found = model.state_names, []
    numbered = sorted((n for n in model.used if _INPUT.fullmatch(n)), key=lambda n: int(n[5:9]))
    for name in (*numbered, *(n for n in sources if n in model.used and n not in numbered)):
        if name in model.constants or name in states:
            continue
        transmitted = sources.get(name)
        if not transmitted:
            match = _INPUT.fullmatch(name)
            index = int(match.group(1)[:4]) if match else 0
            if index >= len(states):
                message = f"'{name}' is the input of state variable {index}, which does not exist"
                context = "ComponentType 'derivatives' > Dynamics"
                model.read.report.add(finding(Code.RATEML, model.main, context, message))
                continue
            transmitted = [states[index]]
        text = [("name", name), ("dimension", "*")]
        ours = [("source", ", ".join(transmitted))]
        found.append(make("Requirement", model.main.place, text, ours=ours))
    return found


def _exposures(model: RateModel) -> tuple[list[str], list[Element]]:
    """The names of the exposures, and derived variables for those that are expressions."""
    known = [*model.state_names, *(element.get("name") for element, _ in model.derived)]
    found, extra = [], []
    for element in model.main.named("Exposure"):
        written = element.get("name")
        if written not in known:
            node = model.read.node(element, "name")
            if node is None:
                continue
            if isinstance(node, Name):
                message = f"the Exposure '{written}' is neither a state nor a derived variable"
                context = "ComponentType 'derivatives'"
                model.read.report.add(finding(Code.EXPOSURE, element, context, message))
                continue
            parts = re.findall(r"\w+|[-+*/]", written)
            written = "_".join(_WORDS[part] if part in _WORDS else part for part in parts)
            text = [("name", written), ("dimension", "*"), ("exposure", written)]
            extra.append(make("DerivedVariable", element.place, [*text, ("value", to_text(node))]))
        if written not in found:
            found.append(written)
    return found, extra


def _dynamics(model: RateModel, exposures: list[str], extra: list[Element], noisy: bool) -> Element:
    children = []
    noise = intensity(model) if noisy else None
    for state in model.states:
        bounds, initial = model.read.bounds(state), model.read.initial(state)
        ours = [] if bounds is None else [("bounds", written_range(bounds))]
        ours.append(("initial", written_range(initial)))
        if noise:
            ours.append(("noise", repr(noise)))
        children.append(make("StateVariable", state.place, _variable(state, exposures), ours=ours))
    for element, cases in model.derived:
        children.append(_derived(element, cases, exposures))
    children += extra
    for state, (node, element) in zip(model.states, model.derivatives, strict=False):
        text = [("variable", state.get("name")), ("value", to_text(node))]
        children.append(make("TimeDerivative", element.place, text))
    return make("Dynamics", model.main.place, [], children=tuple(children))


def _variable(element: Element, exposures: list[str]) -> list[tuple[str, str]]:
    name = element.get("name")
    exposure = [("exposure", name)] if name in exposures else []
    return [("name", name), ("dimension", "*"), *exposure]


def _derived(
    element: Element, cases: list[tuple[Node | None, Node]], exposures: list[str]
) -> Element:
    variable = _variable(element, exposures)
    if element.tag == "DerivedVariable":
        value = [("value", to_text(cases[0][1]))]
        return make("DerivedVariable", element.place, [*variable, *value])
    places = [case.place for case in element.named("Case")]
    children = []
    for place, (condition, value) in zip(places, cases, strict=True):
        test = [] if condition is None else [("condition", to_text(condition))]
        children.append(make("Case", place, [*test, ("value", to_text(value))]))
    return make(element.tag, element.place, variable, children=tuple(children))
