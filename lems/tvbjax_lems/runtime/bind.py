"""Components bound to their types: values in working units, children in their roles.

Knows nothing of instances: a component is bound once, wherever and however often it is used.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from .. import ir
from ..algebra import to_expression
from ..context import numbers
from ..errors import Code, Diagnostic, Report, suggestion
from ..family import ANY_TYPE, Family
from ..resolve import ordered_parameters
from ..syntax import ExpressionError
from ..units import ANY, Dimension, QuantityError, UnitSystem, quantity
from ..xml import Attribute

_GLOBAL = re.compile(r"//(\w+)\[(\w+)\s*=\s*([\w./']+)\]/(\w+)")
_FREE = ("id", "name", "metaid", "xmlns")


@dataclass(eq=False)
class Bound:
    """A component with its type. `values`: parameters; `slot`: the Child or Children it fills."""

    id: str
    type: ir.ComponentType
    component: ir.Component
    parent: "Bound | None"
    slot: str = ""
    values: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    children: "list[Bound]" = field(default_factory=list)

    @property
    def context(self) -> str:
        return f"Component '{self.id}' of type '{self.type.name}'"

    @cached_property
    def by_id(self) -> "dict[str, Bound]":
        """The children by their ids; asked for only when all are there."""
        return {child.id: child for child in self.children}

    def walk(self) -> "Iterator[Bound]":
        yield self
        for child in self.children:
            yield from child.walk()


class Binder:
    """Binds components; what is wrong goes to the report."""

    def __init__(
        self,
        document: ir.Document,
        types: Mapping[str, ir.ComponentType],
        system: UnitSystem,
        report: Report,
    ):
        self.document, self.types = document, types
        self.system, self.report = system, report
        self.declared = {component.id: component for component in document.components}
        self.bound: dict[str, Bound] = {}
        self._constants: dict[str, dict[str, float]] = {}
        self.family = Family(types)

    def is_a(self, name: str, ancestor: str) -> bool:
        """Whether a type is another, or extends it."""
        return ancestor in (name, ANY_TYPE) or self.family.is_a(name, ancestor)

    def dimension(self, name: str | None) -> Dimension:
        return self.document.dimensions.get(name, ANY) if name else ANY

    def component(self, name: str) -> Bound | None:
        """The component of that id at the top level of the document, bound on first use."""
        if name not in self.bound and name in self.declared:
            bound = self.bind(self.declared[name], None, "")
            if bound is not None:
                self.bound[name] = bound
        return self.bound.get(name)

    def bind(
        self, component: ir.Component, parent: Bound | None, slot_type: str, slot: str = ""
    ) -> Bound | None:
        """A component and all below it; None where it has no known type."""
        prototype = self._prototype(component)
        name = component.type or _type_along(component, self.declared) or slot_type
        kind = self.types.get(name)
        context = f"Component '{component.id}'"
        if kind is None:
            message = f"unknown type '{name}'" if name else f"'{component.role}' has no type"
            hint = suggestion(name or component.role, self.types)
            self._report(Code.UNKNOWN_TYPE, component, context, message, hint)
            return None
        if slot_type and slot_type in self.types and not self.is_a(kind.name, slot_type):
            message = f"'{slot}' wants a {slot_type}, but this is a {kind.name}"
            self._report(Code.CHILD, component, context, message)
        bound = Bound(component.id, kind, component, parent, slot)
        given = {a.name: a for a in prototype.values} if prototype else {}
        given |= {a.name: a for a in component.values}
        self._values(bound, given)
        for child in (*(prototype.children if prototype else ()), *component.children):
            self._child(bound, child)
        return bound

    def _prototype(self, component: ir.Component) -> ir.Component | None:
        if not component.extends:
            return None
        found = self.declared.get(component.extends)
        if found is None or found is component:
            context = f"Component '{component.id}'"
            message = f"it extends the unknown component '{component.extends}'"
            hint = suggestion(component.extends, self.declared)
            self._report(Code.COMPONENT, component, context, message, hint)
            return None
        return found

    def _child(self, bound: Bound, child: ir.Component) -> None:
        slots = bound.type.slots
        fitting = [slot for slot in slots if slot.name == child.role]
        if not fitting and child.type:
            fitting = [slot for slot in slots if self.is_a(child.type, slot.type)]
        if not fitting:
            known = [slot.name for slot in slots] + [slot.type for slot in slots]
            message = f"{bound.context} has no place for a child '{child.role}'"
            hint = suggestion(child.role, known)
            self._report(Code.CHILD, child, f"Component '{child.id}'", message, hint)
            return
        slot = fitting[0]
        if not slot.many and any(other.slot == slot.name for other in bound.children):
            message = f"{bound.context} has a '{slot.name}' already"
            self._report(Code.CHILD, child, f"Component '{child.id}'", message)
            return
        if child.role == slot.name and child.type == child.role:
            child = replace(child, type="")  # the tag names the slot, not the type of that name
        made = self.bind(child, bound, slot.type if not child.type else "", slot.name)
        if made is not None:
            bound.children.append(made)

    def _values(self, bound: Bound, given: Mapping[str, Attribute]) -> None:
        kind = bound.type
        fixed = {one.parameter: one.value for one in kind.fixed}
        for parameter in kind.parameters:
            name = parameter.name
            attribute = fixed.get(name) or given.get(name) or parameter.default
            if attribute is not None:
                value = self.quantity(attribute, parameter.dimension, bound.context)
                if value is not None:
                    bound.values[name] = value
        names = [text.name for text in kind.texts] + [one.name for one in kind.references]
        for name in names:
            if name in given:
                bound.texts[name] = given[name].value.strip()
        for reference in kind.references:
            if reference.default:
                bound.texts.setdefault(reference.name, reference.default)
        known = {*names, *(parameter.name for parameter in kind.parameters), *_FREE}
        known |= {requirement.name for requirement in kind.instance_requirements}
        for name, attribute in given.items():
            if name not in known:
                message = f"the type has no parameter '{name}'"
                diagnostic = Diagnostic(
                    Code.PARAMETER,
                    attribute.place,
                    message,
                    suggestion(name, known - set(_FREE)),
                    bound.context,
                    warning=True,
                )
                self.report.add(diagnostic)

    def require_values(self, bound: Bound) -> None:
        """Report the parameters of a component that have no value."""
        for parameter in bound.type.parameters:
            if parameter.name not in bound.values and not parameter.is_property:
                message = f"the parameter '{parameter.name}' has no value"
                hint = f'write {parameter.name}="..." on the component'
                self._report(Code.PARAMETER, bound.component, bound.context, message, hint)

    def quantity(self, attribute: Attribute, dimension: str | None, context: str) -> float | None:
        """The number of an attribute in working units; None, reported, where there is none."""
        wanted = self.dimension(dimension)
        try:
            return quantity(attribute.value, wanted, self.document.units, self.system)
        except QuantityError as error:
            place = attribute.place
            self.report.add(Diagnostic(error.code, place, error.message, error.hint, context))
            return None

    def constants(self, kind: ir.ComponentType) -> dict[str, float]:
        """The constants that expressions of a type see, in working units."""
        if kind.name in self._constants:
            return self._constants[kind.name]
        found = self._constants[kind.name] = {}
        for one in (*self.document.constants, *kind.constants):
            value = self.quantity(one.value, one.dimension, f"{kind.context} > Constant")
            if value is not None:
                found[one.name] = value
        return found

    def number(self, bound: Bound, name: str) -> float | None:
        """The number of a parameter, constant or derived parameter of a component."""
        known = self.constants(bound.type) | bound.values
        if name in known:
            return known[name]
        for one in ordered_parameters(bound.type, self.report):
            if one.value is None:
                value = self.selected(bound, one)
            else:
                try:
                    value = float(to_expression(one.value.node, numbers(known)))
                except ExpressionError as error:
                    self.report.add(one.value.finding(error))
                    return None
            if value is None:
                return None
            known[one.name] = value
        return known.get(name)

    def selected(self, bound: Bound, one: ir.DerivedParameter) -> float | None:
        """The value of a DerivedParameter with a path: another component's parameter."""
        assert one.select is not None
        text = one.select.path.value.strip()
        match = _GLOBAL.fullmatch(text)
        found = self._searched(bound, *match.groups()) if match else self._along(bound, text)
        if found is None:
            message = f"the path '{text[:80]}' leads to no parameter"
            place = one.select.path.place
            self.report.add(Diagnostic(Code.PATH, place, message, "", one.select.context))
        return found

    def _searched(self, bound: Bound, kind: str, key: str, wanted: str, name: str) -> float | None:
        text = wanted.strip("'") if wanted.startswith("'") else self._text_along(bound, wanted)
        for component in self.declared:
            top = self.component(component)
            for one in top.walk() if top else ():
                mine = one.id if key == "id" else self._text_along(one, key)
                if self.is_a(one.type.name, kind) and mine == text:
                    return self.number(one, name)
        return None

    def _text_along(self, bound: Bound, path: str) -> str | None:
        *steps, last = path.split("/")
        at = self._walk(bound, steps)
        return at.texts.get(last) if at else None

    def _along(self, bound: Bound, path: str) -> float | None:
        *steps, last = path.split("/")
        at = self._walk(bound, steps)
        return self.number(at, last) if at else None

    def _walk(self, bound: Bound, steps: list[str]) -> Bound | None:
        at: Bound | None = bound
        for step in steps:
            if at is None or step in ("", "."):
                continue
            if step == "..":
                at = at.parent
                continue
            inside = [c for c in at.children if step in (c.id, c.slot)]
            at = inside[0] if inside else self.referenced(at, step)
        return at

    def referenced(self, bound: Bound, name: str) -> Bound | None:
        """The component that a reference of a component names: a sibling's, or a global one."""
        wanted = bound.texts.get(name)
        if not wanted:
            return None
        local = any(one.name == name and one.local for one in bound.type.references)
        found = None if local else self.component(wanted)
        at = bound.parent
        while found is None and at is not None:
            found = at.by_id.get(wanted)
            at = at.parent
        return found or self.component(wanted)

    def _report(
        self, code: Code, component: ir.Component, context: str, message: str, hint: str = ""
    ) -> None:
        self.report.add(ir.finding(code, component.element, context, message, hint))


def _type_along(component: ir.Component, declared: Mapping[str, ir.Component]) -> str:
    """The type of the first prototype that says its own."""
    seen: set[str] = set()
    at: ir.Component | None = component
    while at is not None and not at.type and at.extends not in seen:
        seen.add(at.extends)
        at = declared.get(at.extends)
    return at.type if at else ""
