"""The tree of instances: one unit for all instances of a component that stand in the same place.

A unit has an axis of instances. Most units share their parent's axis; a population has an axis of
its own (`copies` of a component per instance of the parent), and so have the synapses and inputs
that connections attach to its cells (`attached`: the parent's instance of each).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import ir
from ..algebra import to_expression
from ..context import numbers
from ..errors import Code, Report, suggestion
from ..resolve import ordered_parameters
from ..syntax import ExpressionError, Name, calls, names
from .bind import Binder, Bound

INSTANCE_LIMIT = 50_000_000
DEPTH_LIMIT = 40
UNIT_LIMIT = 100_000


@dataclass(eq=False)
class Unit:
    """`keys`: the names by which a path reaches it from its parent.

    `values`: one for each of the instances attached, or for each of the copies that every instance
    of the parent has. `index_name`: under which an instance of a population knows its number.
    """

    bound: Bound
    parent: "Unit | None"
    keys: tuple[str, ...]
    slot: str = ""
    copies: int | None = None
    attached: list[int] | None = None
    values: dict[str, list[float]] = field(default_factory=dict)
    index_name: str = ""
    children: "list[Unit]" = field(default_factory=list)
    by_key: "dict[str, list[Unit]]" = field(default_factory=dict)
    by_slot: "dict[str, list[Unit]]" = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)  # of merged children, by their ids
    peers: "dict[str, Unit]" = field(default_factory=dict)
    wired: bool = False

    def adopt(self, child: "Unit") -> None:
        """Add a child; its first key is made unlike the others', since components may lack ids."""
        key = child.keys[0]
        count = self.used.get(key, 0)
        self.used[key] = count + 1
        first = f"{key}#{count}" if count else key
        child.keys = tuple(dict.fromkeys((first, *child.keys)))
        self.children.append(child)
        for key in child.keys:
            self.by_key.setdefault(key, []).append(child)
        self.by_slot.setdefault(child.slot, []).append(child)

    @property
    def axis_root(self) -> "Unit":
        """The unit highest up that shares this unit's axis."""
        at = self
        while at.copies is None and at.attached is None and at.parent is not None:
            at = at.parent
        return at

    @property
    def size(self) -> int:
        """The number of instances; final once the whole network is built."""
        if self.attached is not None:
            return len(self.attached)
        if self.parent is None:
            return 1
        return self.parent.size * (1 if self.copies is None else self.copies)

    def index(self) -> np.ndarray | None:
        """The parent's instance of each instance, None where they share an axis."""
        if self.attached is not None:
            return np.asarray(self.attached, np.int32)
        if self.copies is not None and self.parent is not None:
            return np.repeat(np.arange(self.parent.size, dtype=np.int32), self.copies)
        return None

    @property
    def path(self) -> str:
        above = self.parent.path if self.parent else ""
        return f"{above}/{self.keys[0]}" if above else self.keys[0] if self.parent else ""

    def walk(self) -> "Iterator[Unit]":
        """The unit and all below it, children before parents, in order of creation."""
        for child in self.children:
            yield from child.walk()
        yield self


class Builder:
    """Builds the units of components and of what their Structure instantiates."""

    def __init__(self, binder: Binder, report: Report, merge_from: int = 16):
        self.binder, self.report, self.merge_from = binder, report, merge_from
        self.built = 0

    def build(
        self,
        bound: Bound,
        parent: Unit | None,
        keys: Sequence[str],
        slot: str = "",
        copies: int | None = None,
        attached: list[int] | None = None,
    ) -> Unit:
        """The unit of a component with its children, and ChildInstances and populations."""
        self.binder.require_values(bound)
        unit = Unit(bound, parent, tuple(dict.fromkeys(keys)), slot, copies, attached)
        depth, at = 0, unit.parent
        while at is not None:
            depth, at = depth + 1, at.parent
        if depth > DEPTH_LIMIT:
            self.fail(unit, bound.component.element, f"components nest over {DEPTH_LIMIT} deep")
            return unit
        self.built += 1
        if self.built > UNIT_LIMIT:
            message = f"more than {UNIT_LIMIT} components are built"
            self.fail(unit, bound.component.element, message, "", Code.TOO_LARGE)
            self.report.stop()
        if parent is not None:
            parent.adopt(unit)
        self._children(unit)
        self._instances(unit)
        return unit

    def _children(self, unit: Unit) -> None:
        slots = {slot.name: slot for slot in unit.bound.type.slots}
        schemes = unit.bound.type.dynamics.kinetic_schemes if unit.bound.type.dynamics else ()
        kept_apart = {name for one in schemes for name in (one.nodes, one.edges)}
        for slot_name, group in _groups(unit.bound.children):
            if not _is_runnable(group[0]):
                continue
            many = slots[slot_name].many if slot_name in slots else False
            if len(group) >= self.merge_from and slot_name not in kept_apart and many:
                for alike in self._alike(group):
                    self._merged(unit, alike, slot_name)
                continue
            for child in group:
                keys = (child.id,) if many else (slot_name, child.id)
                self.build(child, unit, keys, slot_name)

    def _alike(self, group: list[Bound]) -> list[list[Bound]]:
        """The group in runs of components that differ in nothing but numbers."""
        found: list[list[Bound]] = []
        last: object = None
        for child in group:
            signature = self.signature(child)
            if found and signature == last:
                found[-1].append(child)
            else:
                found.append([child])
            last = signature
        return found

    def signature(self, bound: Bound) -> object:
        texts = tuple(sorted(bound.texts.items()))
        inside = tuple(
            (child.slot, child.id, self.signature(child))
            for child in bound.children
            if _is_runnable(child)
        )
        return bound.type.name, texts, tuple(sorted(bound.values)), inside

    def may_merge(self, bound: Bound) -> bool:
        """Whether nothing but a component's numbers tells it from others of its signature."""
        kind = bound.type
        dynamics = kind.dynamics
        own = (
            all(_is_alike(item) for item in kind.structure)
            and not any(one.select for one in kind.derived_parameters)
            and not any(one.link for one in kind.references)
            and not (dynamics and dynamics.kinetic_schemes)
            and all(len(group) < self.merge_from for _, group in _groups(bound.children))
        )
        return own and all(self.may_merge(child) for child in bound.children)

    def _merged(self, unit: Unit, group: list[Bound], slot: str) -> None:
        if len(group) < self.merge_from or not self.may_merge(group[0]):
            for child in group:
                self.build(child, unit, (child.id,), slot)
            return
        made = self.build(group[0], unit, [child.id for child in group], slot, len(group))
        made.numbers = {child.id: i for i, child in enumerate(group)}
        _spread(made, group)

    def _instances(self, unit: Unit) -> None:
        for item in unit.bound.type.structure:
            if isinstance(item, ir.ChildInstance):
                found = self.component_named(unit, item.component, item.element)
                if found is not None:
                    self.build(found, unit, (found.id, item.component.split("/")[-1]))
            elif isinstance(item, ir.MultiInstantiate):
                self._population(unit, item)

    def _population(self, unit: Unit, item: ir.MultiInstantiate) -> None:
        number = self.number(unit, item.number)
        name = item.component or item.component_type
        found = (
            self.component_named(unit, name, item.element)
            if item.component
            else self.plain(unit, name, item.element)
        )
        if number is None or found is None:
            return
        if number != int(number) or not 0 <= number <= INSTANCE_LIMIT:
            message = f"the number of instances is {number:g}"
            self.fail(unit, item.element, message, f"give a whole number up to {INSTANCE_LIMIT}")
            return
        made = self.build(found, unit, (found.id, name), copies=int(number))
        made.index_name = item.index
        for assign in item.assigns:
            self._assign(unit, made, assign, item.index)
        if any(one.name == item.index for one in found.type.parameters if one.is_property):
            made.values.setdefault(item.index, [float(i) for i in range(int(number))])

    def plain(self, unit: Unit, name: str, element: ir.Element) -> Bound | None:
        """A component of a type that needs no values, named by the type or a text that holds it."""
        kind = unit.bound.texts.get(name, name)
        return self.binder.bind(ir.Component(kind, kind, (), element), None, "")

    def _assign(self, unit: Unit, made: Unit, assign: ir.Assign, index: str) -> None:
        """Give each instance of a population a Property of its own, an expression in its number."""
        properties = [p for p in made.bound.type.parameters if p.is_property]
        if not any(one.name == assign.property for one in properties):
            message = f"{made.bound.context} has no Property '{assign.property}'"
            hint = suggestion(assign.property, [one.name for one in properties])
            self.fail(unit, assign.element, message, hint)
            return
        used = self._used_in_structure(made.bound.type)
        if assign.property in used:
            message = f"{made.bound.context} uses '{assign.property}' in its Structure, which is "
            message += "the same for all instances"
            hint = "assign in that Structure, or use a Parameter there"
            self.fail(unit, assign.element, message, hint, Code.NOT_SUPPORTED)
            return
        for call in calls(assign.value.node, "random"):
            error = ExpressionError(
                Code.NOT_SUPPORTED, call.offset, "an Assign cannot be random", "draw in OnStart"
            )
            self.report.add(assign.value.finding(error))
            return
        known = self._known(unit.bound)
        column = []
        for i in range(made.copies or 0):
            value = self._evaluated(assign.value, known | {index: float(i)})
            if value is None:
                return
            column.append(value)
        made.values[assign.property] = column

    def _used_in_structure(self, kind: ir.ComponentType) -> set[str]:
        """The names that a type's Structure reads, by way of derived parameters, too."""
        found = {name.name for one in _structural(kind.structure) for name in names(one.node)}
        for one in reversed(ordered_parameters(kind, self.report)):
            if one.name in found and one.value is not None:
                found |= {name.name for name in names(one.value.node)}
        return found

    def component_named(self, unit: Unit, name: str, element: ir.Element) -> Bound | None:
        """The component that a reference, `../reference` or id names. Reports where none does."""
        at: Unit | None = unit
        *steps, last = name.split("/")
        for step in steps:
            if step == ".." and at is not None:
                at = at.parent
        while at is not None:
            found = self.binder.referenced(at.bound, last)
            if found is not None:
                return found
            if any(one.name == last for one in at.bound.type.references):
                wanted = at.bound.texts.get(last)
                if wanted is None:
                    self.fail(unit, element, f"the reference '{last}' is not given")
                else:
                    message = f"'{last}' names the unknown component '{wanted}'"
                    hint = suggestion(wanted, self.binder.declared)
                    self.fail(unit, at.bound.component.element, message, hint, Code.REFERENCE)
                return None
            at = at.parent
        direct = self.binder.component(last)
        if direct is None:
            self.fail(unit, element, f"there is no component '{name}'", "", Code.REFERENCE)
        return direct

    def number(self, unit: Unit, expression: ir.Expression) -> float | None:
        """The number of an expression in the parameters of a unit's component."""
        bound = unit.bound
        if isinstance(expression.node, Name) and expression.node.name in bound.values:
            return bound.values[expression.node.name]
        return self._evaluated(expression, self._known(bound))

    def _known(self, bound: Bound) -> dict[str, float]:
        known = self.binder.constants(bound.type) | bound.values
        for one in bound.type.derived_parameters:
            value = self.binder.number(bound, one.name)
            if value is not None:
                known[one.name] = value
        return known

    def _evaluated(self, expression: ir.Expression, known: dict[str, float]) -> float | None:
        try:
            return float(to_expression(expression.node, numbers(known)))
        except ExpressionError as error:
            self.report.add(expression.finding(error))
            return None

    def fail(
        self,
        unit: Unit,
        element: ir.Element,
        message: str,
        hint: str = "",
        code: Code = Code.STRUCTURE,
    ) -> None:
        self.report.add(ir.finding(code, element, unit.bound.context, message, hint))


def _groups(children: list[Bound]) -> list[tuple[str, list[Bound]]]:
    """Children of one slot that follow each other in the document."""
    found: list[tuple[str, list[Bound]]] = []
    for child in children:
        if found and found[-1][0] == child.slot:
            found[-1][1].append(child)
        else:
            found.append((child.slot, [child]))
    return found


def _structural(items: Sequence[ir.StructureItem]) -> Iterator[ir.Expression]:
    """The expressions in Structure statements."""
    for item in items:
        match item:
            case ir.MultiInstantiate():
                yield item.number
                yield from (one.value for one in item.assigns)
            case ir.EventConnection():
                yield from (one.value for one in item.assigns)
                if item.delay is not None:
                    yield item.delay
            case ir.Tunnel():
                yield from (one.value for one in item.assigns)
            case ir.ForEach():
                yield from _structural(item.items)


def _is_alike(item: ir.StructureItem) -> bool:
    """Whether a statement does the same for all components of a signature."""
    if isinstance(item, ir.EventConnection):
        return not (item.receiver or item.delay or item.assigns)
    return isinstance(item, ir.ChildInstance | ir.With)


def _is_runnable(bound: Bound) -> bool:
    """Whether a component, or what is in it, has values, dynamics or structure."""
    kind = bound.type
    has = kind.dynamics or kind.structure or kind.parameters or kind.exposures or kind.attachments
    return bool(has) or any(_is_runnable(child) for child in bound.children)


def _spread(unit: Unit, group: list[Bound]) -> None:
    """Give each instance of a merged unit the values of its own component, all the way down."""
    for name in unit.bound.values:
        column = [one.values[name] for one in group]
        if len(set(column)) > 1:
            unit.values[name] = column
    runnable = [[c for c in one.children if _is_runnable(c)] for one in group]
    static = [child for child in unit.children if child.bound.parent is unit.bound]
    for child, *column in zip(static, *runnable, strict=True):
        _spread(child, column)
