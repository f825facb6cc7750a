"""Elements to declarations: one pass over a checked tree that parses every expression."""

import math
from collections.abc import Iterable
from pathlib import Path

from . import ir
from .dimensions import Scope, dimension_of
from .errors import Code, Place, Report, failure, suggestion
from .schema import check_root
from .syntax import ExpressionError, is_condition, names, parse, parse_condition
from .units import ANY, NONE, SYMBOLS, Dimension, Unit, describe, dimension
from .xml import Attribute, Element, read

INCLUDE_LIMIT = 50
LIBRARY = Path(__file__).parent / "models"
_RESERVED = {"t": "time", "pi": "the number pi"}


def declare(root: Element, children: Iterable[Element], file: str) -> ir.Document:
    """Everything declared below the root; `children` has the includes replaced by their content.

    Raises LemsError with every finding of this pass.
    """
    children = tuple(children)
    report = Report()
    check_root(root, children, report)
    report.stop()
    dimensions = _dimensions(children, report)
    units = _units(children, dimensions, report)
    _check_assertions(children, dimensions, report)
    types = tuple(_type(child, report) for child in children if child.tag == "ComponentType")
    _unique(types, "ComponentType", lambda item: item.name, report)
    type_names = {item.name for item in types}
    components = tuple(
        _component(child) for child in children if child.tag in ("Component", *type_names)
    )
    _unique(components, "Component", lambda item: item.id, report)
    constants = tuple(_constant(child) for child in children if child.tag == "Constant")
    targets = tuple(
        ir.Target(child.get("component"), child) for child in children if child.tag == "Target"
    )
    report.stop()
    return ir.Document(
        file,
        root.get("description"),
        dimensions,
        units,
        constants,
        types,
        components,
        targets,
    )


def with_includes(root: Element, path: Path) -> tuple[Element, ...]:
    """The root's children with each Include replaced by the named file's, each file once."""
    return tuple(_included(root, path, {_identity(path)}, 0))


def check_is_lems(root: Element) -> None:
    """Raise LemsError where the root is not LEMS's."""
    if root.tag not in ("Lems", "neuroml"):
        raise failure(
            Code.NOT_LEMS,
            root.place,
            f"this is not LEMS: the root element is {root.tag[:60]}",
            "a LEMS file starts with <Lems>",
        )


def _included(root: Element, path: Path, seen: set[str], depth: int) -> Iterable[Element]:
    check_is_lems(root)
    for child in root.children:
        if child.tag != "Include":
            yield child
            continue
        name = child.get("file") or child.get("href")
        if not name:
            raise failure(Code.INCLUDE, child.place, "an Include names no file", 'write file="..."')
        if depth >= INCLUDE_LIMIT:
            raise failure(
                Code.INCLUDE, child.place, f"includes are nested more than {INCLUDE_LIMIT} deep"
            )
        found = _search(name, path, child.place)
        if _identity(found) not in seen:
            seen.add(_identity(found))
            yield from _included(read(found), found, seen, depth + 1)


def _search(name: str, path: Path, place: Place) -> Path:
    folders = (path.parent, LIBRARY)
    try:
        for folder in folders:
            if (folder / name).exists():
                return folder / name
    except (OSError, ValueError):
        pass
    raise failure(
        Code.INCLUDE,
        place,
        f"the included file '{name[:200]}' does not exist",
        f"it is looked for in {path.parent} and in tvbjax's model library",
    )


def _identity(path: Path) -> str:
    return str(path.resolve())


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


def _units(
    children: tuple[Element, ...], dimensions: dict[str, Dimension], report: Report
) -> dict[str, Unit]:
    known: dict[str, Unit] = {}
    for child in children:
        if child.tag != "Unit":
            continue
        symbol, name = child.get("symbol"), child.get("dimension")
        context = f"Unit '{symbol}'"
        if name not in dimensions:
            unknown_dimension(name, child, context, dimensions, report)
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


def _check_assertions(
    children: tuple[Element, ...], dimensions: dict[str, Dimension], report: Report
) -> None:
    """Report assertions such as dimension="power" matches="voltage*current" that do not hold."""
    for child in children:
        if child.tag != "Assertion":
            continue
        name, context = child.get("dimension"), "Assertion"
        matches = _expression(_required(child, "matches"), context, report)
        if matches is None:
            continue
        used = [name, *(n.name for n in names(matches.node))]
        unknown = [n for n in used if n not in dimensions]
        for one in unknown:
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


def _unique(items, what: str, key, report: Report) -> None:
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


def _component(element: Element) -> ir.Component:
    shorthand = element.tag != "Component"
    skip = ("id", "type") if not shorthand else ("id",)
    values = tuple(
        a for a in element.attributes if not a.namespace and a.name not in (*skip, "description")
    )
    kind = element.tag if shorthand else element.get("type")
    return ir.Component(element.get("id") or element.tag, kind, values, element)


def _required(element: Element, name: str) -> Attribute:
    found = element.attribute(name)
    assert found is not None  # the schema check has seen to it
    return found


def _constant(element: Element) -> ir.Constant:
    value = _required(element, "value")
    name = element.get("symbol") or element.get("name")
    return ir.Constant(name, element.get("dimension", "none"), value, element)


def _type(element: Element, report: Report) -> ir.ComponentType:
    name = element.get("name")
    context = f"ComponentType '{name}'"
    found = element.named("Dynamics")
    for extra in found[1:]:
        report.add(ir.finding(Code.DUPLICATE, extra, context, "a second Dynamics"))
    constants = tuple(_constant(child) for child in element.named("Constant"))
    parameters = tuple(
        ir.Parameter(
            child.get("name"),
            child.get("dimension"),
            child,
            child.attribute("defaultValue"),
            child.ours("domain"),
        )
        for child in element.named("Parameter", "Property")
    )
    derived = tuple(
        _derived_parameter(child, context, report) for child in element.named("DerivedParameter")
    )
    requirements = tuple(
        ir.Requirement(child.get("name"), child.get("dimension"), child.ours("source"), child)
        for child in element.named("Requirement")
    )
    exposures = tuple(_exposure(child, context, report) for child in element.named("Exposure"))
    fixed = tuple(
        ir.Fixed(child.get("parameter"), _required(child, "value"), child)
        for child in element.named("Fixed")
    )
    texts = tuple(ir.Text(child.get("name"), child) for child in element.named("Text"))
    dynamics = _dynamics(found[0], f"{context} > Dynamics", report) if found else None
    scale = element.ours("scale")
    role = ir.Role(
        element.ours("coupling"),
        None if scale is None else _expression(scale, context, report),
        element.ours("sweep"),
        element.ours("speed"),
    )
    built = ir.ComponentType(
        name,
        element.get("extends") or element.get("eXtends"),
        element.get("description"),
        element,
        parameters,
        constants,
        tuple(d for d in derived if d is not None),
        requirements,
        exposures,
        fixed,
        texts,
        dynamics,
        role,
    )
    _check_names(built, report)
    return built


def _check_names(built: ir.ComponentType, report: Report) -> None:
    dynamics = built.dynamics
    declared = [
        *built.parameters,
        *built.constants,
        *built.derived_parameters,
        *built.requirements,
        *built.texts,
        *(dynamics.states if dynamics else ()),
        *(dynamics.derived if dynamics else ()),
    ]
    _unique(declared, f"{built.context} >", lambda item: item.name, report)
    _unique(built.exposures, f"{built.context} > Exposure", lambda item: item.name, report)
    for item in declared:
        if item.name in _RESERVED and not (item.name == "pi" and isinstance(item, ir.Constant)):
            report.add(
                ir.finding(
                    Code.DUPLICATE,
                    item.element,
                    f"{built.context} > {item.element.tag} '{item.name}'",
                    f"the name '{item.name}' is taken: it is {_RESERVED[item.name]}",
                )
            )


def _exposure(element: Element, context: str, report: Report) -> ir.Exposure:
    voi = element.ours("voi")
    if voi is not None and voi.value.strip() not in ("true", "false"):
        message = f"tvbjax:voi is '{voi.value}', not true or false"
        report.add(ir.finding(Code.ATTRIBUTE, element, context, message))
    marked = voi is not None and voi.value.strip() == "true"
    return ir.Exposure(element.get("name"), element.get("dimension"), marked, element)


def _derived_parameter(
    element: Element, context: str, report: Report
) -> ir.DerivedParameter | None:
    name = element.get("name")
    value = _value(element, f"{context} > DerivedParameter '{name}'", report)
    if value is None:
        return None
    return ir.DerivedParameter(name, element.get("dimension") or None, value, element)


def _value(element: Element, context: str, report: Report) -> ir.Expression | None:
    value = element.attribute("value")
    if value is None:
        report.add(ir.finding(Code.ATTRIBUTE, element, context, "the attribute 'value' is missing"))
        return None
    return _expression(value, context, report)


def _expression(
    attribute: Attribute, context: str, report: Report, condition: bool = False
) -> ir.Expression | None:
    try:
        node = (parse_condition if condition else parse)(attribute.value)
    except ExpressionError as error:
        report.add(ir.expression_finding(attribute, context, error))
        return None
    assert is_condition(node) is condition
    return ir.Expression(node, attribute, context)


def _dynamics(element: Element, context: str, report: Report) -> ir.Dynamics:
    states = tuple(
        ir.StateVariable(
            child.get("name"),
            child.get("dimension"),
            child.get("exposure"),
            child.ours("bounds"),
            child.ours("initial"),
            child.ours("noise"),
            child,
        )
        for child in element.named("StateVariable")
    )
    derivatives = []
    for child in element.named("TimeDerivative"):
        variable = child.get("variable")
        value = _value(child, f"{context} > TimeDerivative '{variable}'", report)
        if value is not None:
            derivatives.append(ir.TimeDerivative(variable, value, child))
    derived = []
    for child in element.named("DerivedVariable", "ConditionalDerivedVariable"):
        cases = _cases(child, f"{context} > {child.tag} '{child.get('name')}'", report)
        dimension = child.get("dimension") or None
        derived.append(
            ir.DerivedVariable(child.get("name"), dimension, child.get("exposure"), cases, child)
        )
    starts = []
    for start in element.named("OnStart"):
        for child in start.named("StateAssignment"):
            variable = child.get("variable")
            where = f"{context} > OnStart > StateAssignment '{variable}'"
            value = _value(child, where, report)
            if value is not None:
                starts.append(ir.StateAssignment(variable, value, child))
    return ir.Dynamics(states, tuple(derivatives), tuple(derived), tuple(starts), element)


def _cases(element: Element, context: str, report: Report) -> tuple[ir.Case, ...]:
    if element.tag == "DerivedVariable":
        value = _value(element, context, report)
        return () if value is None else (ir.Case(None, value),)
    cases: list[ir.Case] = []
    for child in element.named("Case"):
        where = f"{context} > Case"
        if cases and cases[-1].condition is None:
            message = "a Case follows the default Case (the one without a condition)"
            report.add(ir.finding(Code.DYNAMICS, child, where, message, "put the default last"))
        written = child.attribute("condition")
        condition = None
        if written is not None and written.value.strip():
            condition = _expression(written, where, report, condition=True)
        value = _value(child, where, report)
        if value is not None:
            cases.append(ir.Case(condition, value))
    if not element.named("Case"):
        report.add(ir.finding(Code.DYNAMICS, element, context, "it has no Case"))
    return tuple(cases)
