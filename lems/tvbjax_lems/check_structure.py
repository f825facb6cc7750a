"""Checks of a type's Structure and Simulation: every name in them is one that the type has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from . import ir
from .check_declared import unknown_type
from .errors import Code
from .family import Family
from .syntax import PI, TIME_NAME
from .units import NONE, TIME
from .xml import Element

if TYPE_CHECKING:
    from .check_type import TypeCheck

_HERE = ("this", "parent")


def check_structure(check: TypeCheck, family: Family) -> None:
    """Report what Structure names and the type does not have."""
    _Structure(check, family).items(check.item.structure, {}, "Structure")


class _Structure:
    """`names`, where it is an argument: With-names in sight, and the instance that each is."""

    def __init__(self, check: TypeCheck, family: Family):
        self.check, self.family = check, family
        self.texts = {text.name for text in check.item.texts}
        self.leads = family.leads(check.item)
        self.references = {one.name: one.type for one in check.item.references}
        item = check.item
        others = (*item.slots, *item.attachments, *item.instance_requirements)
        self.others = {one.name for one in others}
        self.ports = {port.direction for port in check.item.ports}

    def items(
        self, items: Iterable[ir.StructureItem], names: Mapping[str, str], where: str
    ) -> None:
        names = dict(names)
        for item in items:
            here = f"{where} > {item.element.tag}"
            match item:
                case ir.ChildInstance(component=component):
                    self.reference("component", component, item.element, here)
                case ir.MultiInstantiate():
                    self.multi(item, here)
                case ir.With():
                    self.named(item, names, here)
                case ir.ForEach(instances=instances, name=name):
                    self.place("instances", instances, names, item.element, here)
                    self.items(item.items, names | {name: ""}, here)
                case ir.EventConnection():
                    self.connection(item, names, here)
                case ir.Tunnel():
                    self.tunnel(item, names, here)

    def place(
        self, what: str, name: str, names: Mapping[str, str], element: Element, where: str
    ) -> None:
        """A place is this, parent, a With-name, a text with a path, a child, or a path."""
        known = {*_HERE, *names, *self.texts, *self.leads}
        first = name.split("/")[0].split("[")[0].strip()
        if first not in known and first not in ("..", "."):
            message = f"{what}: nothing here is called '{name[:60]}'"
            self.check.unknown(Code.STRUCTURE, element, where, message, first, known)

    def reference(self, what: str, name: str, element: Element, where: str) -> str:
        """The type of the component that a reference names, "" where it cannot be known."""
        known = {**self.references, **dict.fromkeys(self.texts, "")}
        if name in known:
            return known[name]
        if "/" not in name and name not in self.others:
            message = f"{what}: there is no ComponentReference '{name[:60]}'"
            self.check.unknown(Code.REFERENCE, element, where, message, name, known)
        return ""

    def multi(self, item: ir.MultiInstantiate, where: str) -> None:
        self.check.expression(item.number, NONE)
        kind = item.component_type
        if item.component:
            kind = self.reference("component", item.component, item.element, where)
        elif kind and kind not in self.family.types and kind not in self.texts:
            unknown_type(self.check, item.element, where, kind)
        if item.index in (TIME_NAME, PI) or item.index in self.check.known and item.names_index:
            message = f"indexVariable: '{item.index[:60]}' is the name of something else here"
            context = f"{self.check.item.context} > {where}"
            self.check.report.add(ir.finding(Code.DUPLICATE, item.element, context, message))
        self.assigns(item.assigns, (kind,), where, (item.index,))

    def named(self, item: ir.With, names: dict[str, str], where: str) -> None:
        if item.instance:
            self.place("instance", item.instance, names, item.element, where)
        if item.list:
            self.place("list", item.list, names, item.element, where)
            known = {*self.texts, *(one.name for one in self.check.item.parameters)}
            if item.index not in known and not item.index.isdigit():
                message = f"index: there is no IndexParameter '{item.index[:60]}'"
                self.check.unknown(Code.STRUCTURE, item.element, where, message, item.index, known)
        if item.name in names:
            context = f"{self.check.item.context} > {where}"
            message = f"'{item.name}' is the name of another instance already"
            self.check.report.add(ir.finding(Code.DUPLICATE, item.element, context, message))
        names[item.name] = item.instance

    def connection(self, item: ir.EventConnection, names: Mapping[str, str], where: str) -> None:
        self.place("from", item.source, names, item.element, where)
        self.place("to", item.target, names, item.element, where)
        self.own_port(item.source, names, "out", item.element, where)
        if not item.receiver:
            self.own_port(item.target, names, "in", item.element, where)
        receiver = ""
        if item.receiver:
            receiver = self.reference("receiver", item.receiver, item.element, where)
        if item.container and item.container not in self.texts:
            known = {a.name for kind in self.family.types.values() for a in kind.attachments}
            if item.container not in known:
                message = f"receiverContainer: nothing is called '{item.container[:60]}'"
                known |= self.texts
                self.check.unknown(
                    Code.STRUCTURE, item.element, where, message, item.container, known
                )
        if item.delay is not None:
            self.check.expression(item.delay, TIME)
        self.assigns(item.assigns, (receiver,), where)

    def own_port(
        self, name: str, names: Mapping[str, str], direction: str, element: Element, where: str
    ) -> None:
        is_own = (names.get(name) or name) == "this"
        if is_own and direction not in self.ports and direction not in self.check.lost:
            context = f"{self.check.item.context} > {where}"
            message = f"'{name}' is this component, which has no EventPort of direction {direction}"
            self.check.report.add(ir.finding(Code.EVENT, element, context, message))

    def tunnel(self, item: ir.Tunnel, names: Mapping[str, str], where: str) -> None:
        self.place("endA", item.end_a, names, item.element, where)
        self.place("endB", item.end_b, names, item.element, where)
        a = self.reference("componentA", item.component_a, item.element, where)
        b = self.reference("componentB", item.component_b, item.element, where)
        self.assigns(item.assigns, (a, b), where)

    def assigns(
        self,
        assigns: Sequence[ir.Assign],
        receivers: tuple[str, ...],
        where: str,
        names: tuple[str, ...] = (),
    ) -> None:
        """What is assigned must be a Property of what receives it, where that is known."""
        given = [one.property for one in assigns]
        for one in assigns:
            if given.count(one.property) > 1:
                here = f"{self.check.item.context} > {where} > Assign '{one.property}'"
                message = f"'{one.property[:60]}' is assigned twice"
                self.check.report.add(ir.finding(Code.DUPLICATE, one.element, here, message))
                break
        kinds = [kind for name in receivers for kind in self.family.below(name)]
        known = {one.name for kind in kinds for one in kind.parameters}
        for one in assigns:
            self.check.expression(one.value, self.check.scope.dimensions["*"], names)
            sure = kinds and all(self.family.is_known(name) for name in receivers)
            if sure and one.property not in known:
                here = f"{where} > Assign '{one.property}'"
                message = f"'{kinds[0].name}' has no Property '{one.property}'"
                self.check.unknown(Code.STRUCTURE, one.element, here, message, one.property, known)


def check_simulation(check: TypeCheck) -> None:
    """Report what Run, Record and the writers name and the type does not have."""
    item = check.item
    texts = {text.name for text in item.texts}
    parameters = {one.name for one in item.parameters}
    references = {one.name for one in item.references}
    states = {one.name for one in item.dynamics.states} if item.dynamics else set()
    named: list[tuple[Element, str, str, set[str], str]] = []
    if item.run is not None:
        run = item.run
        named += [
            (run.element, "component", run.component, references, "ComponentReference"),
            (run.element, "variable", run.variable, states, "state variable"),
            (run.element, "increment", run.increment, parameters, "Parameter"),
            (run.element, "total", run.total, parameters, "Parameter"),
        ]
    if item.record is not None:
        record = item.record
        named += [
            (record.element, "quantity", record.quantity, texts, "Path or Text"),
            (record.element, "scale", record.scale, parameters, "Parameter"),
            (record.element, "timeScale", record.time_scale, parameters, "Parameter"),
            (record.element, "color", record.color, texts, "Text"),
            (record.element, "eventPort", record.port, texts, "Text"),
        ]
    if item.writer is not None:
        writer = item.writer
        region = writer.element.get("dataRegion")
        named += [
            (writer.element, "title", writer.title, texts, "Text"),
            (writer.element, "path", writer.path, texts, "Text"),
            (writer.element, "fileName", writer.file_name, texts, "Text"),
            (writer.element, "format", writer.format, texts, "Text"),
            *(
                (writer.element, "dataRegion", one.strip(), parameters, "Parameter")
                for one in (region.split(",") if region else ())
            ),
        ]
    for element, attribute, name, known, what in named:
        if name and name not in known:
            message = f"{attribute}: there is no {what} '{name[:60]}'"
            where = f"Simulation > {element.tag}"
            check.unknown(Code.SIMULATION, element, where, message, name, known)
    _check_times(check)


def _check_times(check: TypeCheck) -> None:
    """The step and the length of a Run are times."""
    run = check.item.run
    for name in (run.increment, run.total) if run is not None else ():
        own = check.known.get(name)
        if own is not None and not own.agrees(TIME):
            context = f"{check.item.context} > Simulation > Run"
            message = f"'{name}' is {check.scope.describe(own)}, but a time is needed"
            check.wrong_dimension(run.element if run else check.item.element, context, message)
