"""ComponentType elements to declarations."""

from . import ir
from .declare_common import constant, expression_of, parsed, required, select_of, unique
from .declare_dynamics import declare_dynamics
from .declare_structure import declare_simulation, declare_structure
from .errors import Code, Report
from .xml import Element

_RESERVED = {"t": "time", "pi": "the number pi"}


def declare_type(element: Element, report: Report) -> ir.ComponentType:
    """The declarations of a ComponentType element; what is wrong goes to the report."""
    name = element.get("name")
    context = f"ComponentType '{name}'"
    for tag in ("Dynamics", "Structure", "Simulation"):
        for extra in element.named(tag)[1:]:
            report.add(ir.finding(Code.DUPLICATE, extra, context, f"a second {tag}"))
    dynamics = next(iter(element.named("Dynamics")), None)
    structure = next(iter(element.named("Structure")), None)
    run, record, writer = declare_simulation(element.named("Simulation"))
    built = ir.ComponentType(
        name=name,
        extends=element.get("extends") or element.get("eXtends"),
        description=element.get("description"),
        element=element,
        **_declarations(element, context, report),
        dynamics=declare_dynamics(dynamics, f"{context} > Dynamics", report) if dynamics else None,
        structure=declare_structure(structure, f"{context} > Structure", report),
        run=run,
        record=record,
        writer=writer,
        role=_role(element, context, report),
        lost=element.lost,
    )
    _check_names(built, report)
    return built


def _declarations(element: Element, context: str, report: Report) -> dict[str, tuple]:
    def every(*tags: str) -> tuple[Element, ...]:
        return element.named(*tags)

    return {
        "parameters": tuple(_parameter(child) for child in every("Parameter", "Property")),
        "constants": tuple(constant(child) for child in every("Constant")),
        "derived_parameters": tuple(
            _derived_parameter(child, context, report) for child in every("DerivedParameter")
        ),
        "requirements": tuple(
            ir.Requirement(c.get("name"), c.get("dimension"), c.ours("source"), c)
            for c in every("Requirement")
        ),
        "exposures": tuple(_exposure(child, context, report) for child in every("Exposure")),
        "fixed": tuple(
            ir.Fixed(c.get("parameter"), required(c, "value"), c) for c in every("Fixed")
        ),
        "texts": tuple(
            ir.Text(c.get("name"), c)
            for c in every("Text", "Path", "PathParameter", "IndexParameter")
        ),
        "slots": tuple(
            ir.ChildSlot(c.get("name"), c.get("type"), c.tag == "Children", c)
            for c in every("Child", "Children")
        ),
        "references": tuple(_reference(child) for child in every("ComponentReference", "Link")),
        "ports": tuple(_port(child, context, report) for child in every("EventPort")),
        "attachments": tuple(
            ir.Attachments(c.get("name"), c.get("type"), c) for c in every("Attachments")
        ),
        "instance_requirements": tuple(
            ir.InstanceRequirement(c.get("name"), c.get("type"), c)
            for c in every("ComponentRequirement", "InstanceRequirement")
        ),
    }


def _parameter(element: Element) -> ir.Parameter:
    return ir.Parameter(
        element.get("name"),
        element.get("dimension"),
        element,
        element.attribute("defaultValue"),
        element.ours("domain"),
    )


def _reference(element: Element) -> ir.Reference:
    return ir.Reference(
        element.get("name"),
        element.get("type"),
        element.get("local") == "true",
        element.get("required") != "false",
        element.get("defaultComponent"),
        element.tag == "Link",
        element,
    )


def _port(element: Element, context: str, report: Report) -> ir.EventPort:
    direction = element.get("direction")
    if direction not in ("in", "out"):
        where = f"{context} > EventPort '{element.get('name')}'"
        message = f"the direction is '{direction[:40]}'"
        hint = 'write direction="in" or "out"'
        report.add(ir.finding(Code.ATTRIBUTE, element, where, message, hint))
    return ir.EventPort(element.get("name"), direction, element)


def _role(element: Element, context: str, report: Report) -> ir.Role:
    scale = element.ours("scale")
    return ir.Role(
        element.ours("coupling"),
        None if scale is None else parsed(scale, context, report),
        element.ours("sweep"),
        element.ours("speed"),
    )


def _check_names(built: ir.ComponentType, report: Report) -> None:
    dynamics = built.dynamics
    states = dynamics.states if dynamics else ()
    derived = dynamics.derived if dynamics else ()
    declared = [
        *built.parameters,
        *built.constants,
        *built.derived_parameters,
        *built.requirements,
        *built.texts,
    ]
    computed = {variable.name for variable in derived}
    for state in states:
        if state.name == "t" and built.run is None:
            where = f"{built.context} > StateVariable 't'"
            message = "it hides the time, which has this name too"
            hint = "give it another name"
            found = ir.finding(Code.DUPLICATE, state.element, where, message, hint, warning=True)
            report.add(found)
    for state in states:
        if state.name in computed:
            where = f"{built.context} > StateVariable '{state.name}'"
            message = "there is a derived variable of this name too, which wins"
            report.add(
                ir.finding(Code.DUPLICATE, state.element, where, message, "remove one", True)
            )
    own = [state for state in states if state.name not in computed]
    unique([*declared, *own, *derived], f"{built.context} >", lambda item: item.name, report)
    unique(built.exposures, f"{built.context} > Exposure", lambda item: item.name, report)
    for item in declared:
        if item.name in _RESERVED and not (item.name == "pi" and isinstance(item, ir.Constant)):
            where = f"{built.context} > {item.element.tag} '{item.name}'"
            message = f"the name '{item.name}' is taken: it is {_RESERVED[item.name]}"
            report.add(ir.finding(Code.DUPLICATE, item.element, where, message))


def _exposure(element: Element, context: str, report: Report) -> ir.Exposure:
    voi = element.ours("voi")
    if voi is not None and voi.value.strip() not in ("true", "false"):
        message = f"tvbjax:voi is '{voi.value}', not true or false"
        report.add(ir.finding(Code.ATTRIBUTE, element, context, message))
    marked = voi is not None and voi.value.strip() == "true"
    return ir.Exposure(element.get("name"), element.get("dimension"), marked, element)


def _derived_parameter(element: Element, context: str, report: Report) -> ir.DerivedParameter:
    name, dimension = element.get("name"), element.get("dimension") or None
    where = f"{context} > DerivedParameter '{name}'"
    select = select_of(element, where, report)
    # Where neither can be read, which is reported, the name is still declared.
    value = None if select else expression_of(element, where, report)
    return ir.DerivedParameter(name, dimension, value, element, select)
