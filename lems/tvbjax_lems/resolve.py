"""Declarations to whole types, which have their supertypes' declarations, and what to run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import TypeVar

from . import ir
from .check_type import TIME_NAME as TIME_NAME, TypeCheck as TypeCheck
from .errors import Code, LemsError, Place, Report, failure, suggestion
from .order import ordered as ordered, ordered_parameters as ordered_parameters
from .xml import Lost

DEPTH_LIMIT = 100  # supertypes of a type
DECLARATION_LIMIT = 300_000  # of all types together, inherited ones counted again
_Declaration = TypeVar("_Declaration")
_MERGED = (
    "parameters", "constants", "derived_parameters", "requirements", "exposures", "texts", "slots",
    "references", "ports", "attachments", "instance_requirements",
)  # fmt: skip


def inherit(document: ir.Document, report: Report | None = None) -> dict[str, ir.ComponentType]:
    """Every type with its supertypes' declarations.

    Raises LemsError; with a `report`, findings are added to it, and a type whose line is broken is
    there, but may have `lost` any name.
    """
    own = Report() if report is None else report
    declared = {item.name: item for item in document.types}
    whole: dict[str, ir.ComponentType] = {}
    depth: dict[str, int] = {}
    count = 0
    for item in document.types:
        for one in _line(item, declared, whole, document.lost, own):
            above = whole.get(one.extends)
            depth[one.name] = depth.get(one.extends, 0) + 1
            if depth[one.name] > DEPTH_LIMIT:
                message = f"it has more than {DEPTH_LIMIT} supertypes"
                own.add(ir.finding(Code.TOO_LARGE, one.element, one.context, message))
                raise LemsError(own.errors)
            broken = bool(one.extends) and above is None
            whole[one.name] = _merge(above, one) if above else _broken(one, broken)
            count += sum(len(getattr(whole[one.name], name)) for name in _MERGED)
            if count > DECLARATION_LIMIT:
                message = f"with this type there are more than {DECLARATION_LIMIT} declarations"
                own.add(ir.finding(Code.TOO_LARGE, one.element, one.context, message))
                raise LemsError(own.errors)
    if report is None:
        own.stop()
    return {item.name: whole[item.name] for item in document.types}


def _broken(item: ir.ComponentType, is_broken: bool) -> ir.ComponentType:
    return replace(item, lost=Lost(everything=True)) if is_broken else item


def _line(
    item: ir.ComponentType,
    declared: Mapping[str, ir.ComponentType],
    known: Mapping[str, ir.ComponentType],
    lost: Lost,
    report: Report,
) -> list[ir.ComponentType]:
    """The type and those of its supertypes that are not yet known, the eldest first."""
    line = {item.name: item} if item.name not in known else {}
    at = item
    while at.extends and line:
        following = declared.get(at.extends)
        message = hint = ""
        code = Code.TYPE_CYCLE
        if following is None:
            code = Code.UNKNOWN_TYPE
            message = (
                f"it extends the unknown type '{at.extends}'" if at.extends not in lost else ""
            )
            hint = suggestion(at.extends, declared)
        elif following.name in line:
            message = f"it extends itself: {' > '.join((*line, following.name))}"
        elif following.name not in known:
            line[following.name] = at = following
            continue
        if message:
            report.add(ir.finding(code, at.element, at.context, message, hint))
        break
    return list(line.values())[::-1]


def _merge(above: ir.ComponentType, below: ir.ComponentType) -> ir.ComponentType:
    """The subtype with the supertype's declarations; Dynamics and Structure replace the others."""

    def both(name: str, key: str = "name") -> tuple:
        get = attrgetter(key)
        return _by_name(getattr(above, name), getattr(below, name), get)

    dynamics = below.dynamics or above.dynamics
    if below.dynamics and below.dynamics.inherits and above.dynamics:
        dynamics = _merge_dynamics(above.dynamics, below.dynamics)
    return replace(
        below,
        lost=above.lost | below.lost,
        parameters=both("parameters"),
        constants=_without(both("constants"), below.parameters),
        derived_parameters=both("derived_parameters"),
        requirements=both("requirements"),
        exposures=both("exposures"),
        fixed=both("fixed", "parameter"),
        texts=_without(both("texts"), below.parameters),
        slots=both("slots"),
        references=both("references"),
        ports=both("ports"),
        attachments=both("attachments"),
        instance_requirements=both("instance_requirements"),
        dynamics=dynamics,
        structure=below.structure or above.structure,
        run=below.run or above.run,
        record=below.record or above.record,
        writer=below.writer or above.writer,
    )


def _merge_dynamics(above: ir.Dynamics, below: ir.Dynamics) -> ir.Dynamics:
    """The supertype's dynamics with the subtype's added, as Super asks; equal names replace."""
    return replace(
        below,
        states=_by_name(above.states, below.states, lambda s: s.name),
        derivatives=_by_name(above.derivatives, below.derivatives, lambda d: d.variable),
        derived=_by_name(above.derived, below.derived, lambda d: d.name),
        on_start=(*above.on_start, *below.on_start),
        on_conditions=(*above.on_conditions, *below.on_conditions),
        on_events=(*above.on_events, *below.on_events),
        regimes=_by_name(above.regimes, below.regimes, lambda r: r.name),
        kinetic_schemes=_by_name(above.kinetic_schemes, below.kinetic_schemes, lambda k: k.name),
    )


def _without(found: tuple, replaced: Iterable[ir.Parameter]) -> tuple:
    """What a subtype has not made a parameter of."""
    names = {parameter.name for parameter in replaced}
    return tuple(one for one in found if one.name not in names)


def _by_name(
    above: Iterable[_Declaration],
    below: Iterable[_Declaration],
    name: Callable[[_Declaration], str],
) -> tuple[_Declaration, ...]:
    return tuple(({name(d): d for d in above} | {name(d): d for d in below}).values())


def choose(document: ir.Document, name: str | None) -> ir.Component:
    """The component of that id, else the Target's, else the only one. Raises LemsError."""
    known = {component.id: component for component in document.components}
    listing = ", ".join(f"'{n}'" for n in known) or "none"
    if name is not None:
        if name in known:
            return known[name]
        raise unknown_component(name, document.place, known, False)
    if document.targets:
        target = document.targets[0]
        if len(document.targets) > 1:
            raise failure(
                Code.COMPONENT,
                document.targets[1].element.place,
                "the file has several Targets",
                "name one, such as "
                + " or ".join(f"'{target.component}'" for target in document.targets[:3])
                + ": load_network(path, NAME), --component NAME on the command line",
            )
        if target.component not in known:
            raise unknown_component(target.component, target.element.place, known, True)
        return known[target.component]
    if len(known) == 1:
        return next(iter(known.values()))
    if not known:
        raise failure(
            Code.COMPONENT,
            document.place,
            "the file has no Component, so its parameters have no values",
            'add <Component id="..." type="..." .../>',
        )
    raise failure(
        Code.COMPONENT,
        document.place,
        f"the file has several components and no Target: {listing}",
        'name one: load(path, component="..."), or --component on the command line',
    )


def unknown_component(name: str, place: Place, known: Iterable[str], is_target: bool) -> LemsError:
    """The error for a component that a Target, or else the caller, names and nobody declares."""
    what = "the Target names the unknown component" if is_target else "there is no component"
    return failure(Code.COMPONENT, place, f"{what} '{name[:60]}'", suggestion(name, known))
