"""Structure statements to connections: who hears whose events, and what is attached where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import ir
from ..errors import Code, Diagnostic, Report, suggestion
from .bind import Binder, Bound
from .paths import PathError, Place, follow, here, located, member, members, passed_through
from .tree import Builder, Unit

CONNECTION_LIMIT = 2_000_000


@dataclass(eq=False)
class Link:
    """Events of a port of one unit reach a port of another; parts are joined when all is built."""

    source: Unit
    source_port: str
    target: Unit
    target_port: str
    parts: list[tuple[Place, Place, float]] = field(default_factory=list)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Source instances, target instances and delays of the connections."""
        sources = [part[0].instances() for part in self.parts]
        targets = [part[1].instances() for part in self.parts]
        delays = [np.full(len(s), part[2]) for s, part in zip(sources, self.parts, strict=True)]
        return np.concatenate(sources), np.concatenate(targets), np.concatenate(delays)


class Wiring:
    """Carries out the Structure of every unit, once the units are there."""

    def __init__(self, builder: Builder, binder: Binder, report: Report):
        self.builder, self.binder, self.report = builder, binder, report
        self.links: dict[tuple[Unit, str, Unit, str], Link] = {}
        self.groups: dict[tuple[Unit, Bound, str, object], Unit] = {}
        self.count = 0

    def wire(self, root: Unit) -> None:
        """All units below `root`, those that are attached on the way included."""
        for unit in list(root.walk()):
            if not unit.wired:
                unit.wired = True
                self.statements(unit, unit.bound.type.structure, {})

    def statements(
        self, unit: Unit, items: Iterable[ir.StructureItem], names: Mapping[str, Place]
    ) -> None:
        known = dict(names)
        for item in items:
            try:
                match item:
                    case ir.With():
                        known[item.name] = self.named(unit, item, known)
                    case ir.ForEach():
                        for place in self.each(unit, item.instances, known):
                            self.statements(unit, item.items, known | {item.name: place})
                    case ir.EventConnection():
                        self.connect(unit, item, known)
                    case ir.Tunnel():
                        self.tunnel(unit, item, known)
            except PathError as error:
                place = unit.bound.component.element.place
                context = f"{unit.bound.context} > {item.element.tag}"
                found = Diagnostic(Code.PATH, place, error.message, error.hint, context)
                self.report.add(found)
                if isinstance(item, ir.With):
                    return  # what follows needs the name

    def named(self, unit: Unit, item: ir.With, names: Mapping[str, Place]) -> Place:
        if item.instance:
            return self.place(unit, item.instance, names)
        text = unit.bound.texts.get(item.index, item.index)
        if not text.isdigit():
            raise PathError(f"the index '{item.index}' is '{text[:40]}', not a whole number")
        listed = self.place(unit, item.list, names, whole=True)
        return member(listed, int(text))

    def place(
        self, unit: Unit, name: str, names: Mapping[str, Place], whole: bool = False
    ) -> Place:
        """Where a With-name, the path in a text of the component, or a path itself leads."""
        start = here(unit)
        if name.split("/")[0] in names:
            return follow(start, name, names, self.binder)
        at: Unit | None = unit
        while at is not None:
            given = at.bound.texts.get(name)
            if given:
                found = located(at, self.up(start, at), given, {}, self.binder)
                return found if whole else passed_through(found)
            at = at.parent
        if any(text.name == name for text in unit.bound.type.texts):
            raise PathError(f"'{name}' is not given", f'write {name}="..." on the component')
        try:
            return follow(start, name, names, self.binder)
        except PathError:
            found = located(unit, start, name, names, self.binder)
        return found if whole else passed_through(found)

    def up(self, place: Place, ancestor: Unit) -> Place:
        while place.unit is not ancestor:
            place = follow(place, "..", {}, self.binder)
        return place

    def each(self, unit: Unit, path: str, names: Mapping[str, Place]) -> list[Place]:
        listed = self.place(unit, path, names, whole=True)
        count = sum(1 if c.copies is None else c.copies for c in members(listed.unit))
        return [member(listed, i) for i in range(count)]

    def connect(self, unit: Unit, item: ir.EventConnection, names: Mapping[str, Place]) -> None:
        source = self.place(unit, item.source, names)
        target = self.place(unit, item.target, names)
        delay = 0.0
        if item.delay is not None:
            delay = self.builder.number(unit, item.delay) or 0.0
            if delay < 0.0:
                raise PathError(f"the delay is {delay:g}", "a delay is 0 or more")
        source_port = self.given(unit, item.source_port)
        target_port = self.given(unit, item.target_port)
        ports = _ports(source.unit, "out")
        chosen = source_port if source_port in ports else ports[0] if len(ports) == 1 else ""
        if source_port and source_port not in ports and item.source_port in unit.bound.texts:
            hint = suggestion(source_port, ports)
            raise PathError(f"{source.unit.bound.context} sends no '{source_port}'", hint)
        if item.receiver:
            target = self.received(unit, item, target, chosen)
        wanted = _ports(target.unit, "in")
        port = target_port if target_port in wanted else wanted[0] if len(wanted) == 1 else ""
        if target_port and target_port not in wanted and item.target_port in unit.bound.texts:
            hint = suggestion(target_port, wanted)
            raise PathError(f"{target.unit.bound.context} hears no '{target_port}'", hint)
        if not (chosen and port):
            if item.receiver:
                return  # an input that is attached and hears no events
            lacking, kind = (source, "out") if not chosen else (target, "in")
            known = _ports(lacking.unit, kind)
            what = f"has no event port of direction {kind}" if not known else "has several ports"
            raise PathError(f"{lacking.unit.bound.context} {what}", suggestion("", known))
        self.count += 1
        if self.count > CONNECTION_LIMIT:
            message = f"more than {CONNECTION_LIMIT} connections are made"
            self.builder.fail(unit, item.element, message, "", Code.TOO_LARGE)
            self.report.stop()
        key = (source.unit, chosen, target.unit, port)
        link = self.links.setdefault(key, Link(*key))
        link.parts.append((source, target, delay))

    def given(self, unit: Unit, name: str) -> str:
        """The text that a name of the component holds, or the name itself."""
        return unit.bound.texts.get(name, "" if self.is_text(unit, name) else name)

    def is_text(self, unit: Unit, name: str) -> bool:
        return any(text.name == name for text in unit.bound.type.texts)

    def received(
        self, unit: Unit, item: ir.EventConnection, target: Place, source_port: str
    ) -> Place:
        """Attach a new instance of the receiver to the target."""
        component = self.builder.component_named(unit, item.receiver, item.element)
        if component is None:
            raise PathError(f"the receiver '{item.receiver}' is not there")
        container = self.given(unit, item.container)
        values = self.assigned(unit, item.assigns, component)
        return self.attach(target, component, container, values)

    def assigned(
        self, unit: Unit, assigns: Iterable[ir.Assign], component: Bound
    ) -> dict[str, float]:
        found = {}
        known = {one.name for one in component.type.parameters}
        for one in assigns:
            value = self.builder.number(unit, one.value)
            if one.property not in known:
                hint = suggestion(one.property, known)
                raise PathError(f"{component.context} has no property '{one.property}'", hint)
            if value is not None:
                found[one.property] = value
        return found

    def attach(
        self,
        target: Place,
        component: Bound,
        container: str,
        values: Mapping[str, float],
        group: object = None,
    ) -> Place:
        """The place of a new instance of a component under an instance of another."""
        kinds = target.unit.bound.type.attachments
        fitting = [
            one.name
            for one in kinds
            if one.name == container
            or (not container and self.binder.is_a(component.type.name, one.type))
        ]
        if not fitting:
            raise PathError(
                f"{target.unit.bound.context} takes no {component.type.name}"
                + (f" under '{container}'" if container else ""),
                suggestion(container, [one.name for one in kinds]),
            )
        wanted = next(one.type for one in kinds if one.name == fitting[0])
        if not self.binder.is_a(component.type.name, wanted):
            self.unlike(target.unit, component, fitting[0], wanted)
        if target.chosen is None:
            raise PathError("a component is attached to one instance out of many")
        key = (target.unit, component, fitting[0], group)
        unit = self.groups.get(key)
        if unit is None:
            unit = self.builder.build(
                component, target.unit, (component.id,), fitting[0], attached=[]
            )
            self.groups[key] = unit
            self.wire(unit)
        assert unit.attached is not None
        number = len(unit.attached)
        unit.attached.append(target.chosen)
        for name, value in values.items():
            column = unit.values.setdefault(name, [component.values.get(name, 0.0)] * number)
            column.append(value)
        for name, column in unit.values.items():
            if len(column) <= number:
                column.append(component.values.get(name, 0.0))
        return Place(unit, number, target.origin)

    def unlike(self, unit: Unit, component: Bound, container: str, wanted: str) -> None:
        """Warn of a component that is not of the container's type, as some of NeuroML's are."""
        message = f"it is attached under '{container}', which is for a {wanted}"
        element = component.component.element
        found = ir.finding(Code.STRUCTURE, element, component.context, message, warning=True)
        self.report.add(found)

    def tunnel(self, unit: Unit, item: ir.Tunnel, names: Mapping[str, Place]) -> None:
        ends = [self.place(unit, name, names) for name in (item.end_a, item.end_b)]
        parts = []
        for reference in (item.component_a, item.component_b):
            component = self.builder.component_named(unit, reference, item.element)
            if component is None:
                raise PathError(f"the component '{reference}' is not there")
            parts.append(component)
        made = []
        for i, (end, component) in enumerate(zip(ends, parts, strict=True)):
            other, with_component = ends[1 - i], parts[1 - i]
            group = (i, other.unit, with_component, item.name)
            values = self.assigned(unit, item.assigns, component)
            made.append(self.attach(end, component, "", values, group))
        made[0].unit.peers[item.name] = made[1].unit
        made[1].unit.peers[item.name] = made[0].unit


def _ports(unit: Unit, direction: str) -> list[str]:
    return [port.name for port in unit.bound.type.ports if port.direction == direction]
