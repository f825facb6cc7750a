"""Checks of components, run or not: types, values, places of children, references, ids."""

from collections import ChainMap
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from . import ir
from .check_declared import is_lost
from .errors import Code, Diagnostic, Report, suggestion
from .family import ANY_TYPE, Family
from .units import ANY, QuantityError, quantity
from .xml import Attribute

_FREE = ("id", "name", "metaid", "xmlns", "comment", "notes")


def check_components(
    document: ir.Document, family: Family, report: Report, rate_models: Container[str] = ()
) -> None:
    """Report what is wrong with the components of a document and the components inside them.

    An attribute that a type does not have is a warning, as NeuroML's files have such, but an error
    for the top components named in `rate_models`.
    """
    check = _Check(document, family, report)
    for constant in document.constants:
        context = f"Constant '{constant.name}'"
        check.quantity(constant.value, constant.dimension, context)
    for component in document.components:
        check.component(component, "", (), component.id in rate_models)


@dataclass
class _Check:
    document: ir.Document
    family: Family
    report: Report

    def __post_init__(self) -> None:
        self.inside: dict[int, dict[str, ir.Component]] = {}
        self.top = {component.id: component for component in self.document.components}

    def component(
        self, one: ir.Component, slot_type: str, above: tuple[ir.Component, ...], strict: bool
    ) -> None:
        """`slot_type`: the type of the slot that it fills; `above`: the components it is in."""
        prototype = self.prototype(one)
        name = one.type or (prototype.type if prototype else "") or slot_type
        given = {a.name: a for a in (*(prototype.values if prototype else ()), *one.values)}
        kind = self.family.types.get(name)
        if kind is None:
            message = f"unknown type '{name[:60]}'"
            self.unknown(Code.UNKNOWN_TYPE, one, message, name, self.family.types)
            return
        context = f"Component '{one.id}' of type '{kind.name}'"
        self.values(one, kind, given, context, strict)
        self.references(one, kind, given, above)
        self.children(one, kind, above, prototype is not None)

    def prototype(self, one: ir.Component) -> ir.Component | None:
        if not one.extends:
            return None
        found = self.top.get(one.extends)
        if found is None or found is one:
            message = f"it extends the unknown component '{one.extends[:60]}'"
            self.unknown(Code.COMPONENT, one, message, one.extends, self.top)
            return None
        return found

    def values(
        self,
        one: ir.Component,
        kind: ir.ComponentType,
        given: Mapping[str, Attribute],
        context: str,
        strict: bool,
    ) -> None:
        fixed = {item.parameter for item in kind.fixed}
        for parameter in kind.parameters:
            name = parameter.name
            if name in given:
                self.quantity(given[name], parameter.dimension, context)
            elif (
                parameter.default is None
                and name not in fixed
                and parameter.element.tag == "Parameter"
            ):
                message = f"the parameter '{name}' has no value"
                hint = f'write {name}="..." on the component'
                self.report.add(ir.finding(Code.PARAMETER, one.element, context, message, hint))
        parameters = {parameter.name for parameter in kind.parameters}
        others = {
            item.name for item in (*kind.texts, *kind.references, *kind.instance_requirements)
        }
        for name, attribute in given.items():
            if name in parameters or name in others or name in _FREE or name in kind.lost:
                continue
            if name == "type":
                message = f"unknown type '{attribute.value[:60]}'"
                hint = suggestion(attribute.value, self.family.types)
                self.add(Code.UNKNOWN_TYPE, attribute, context, message, hint)
                continue
            message = f"the type has no parameter '{name[:60]}'"
            hint = suggestion(name, parameters | others)
            self.add(Code.PARAMETER, attribute, context, message, hint, not strict)

    def quantity(self, attribute: Attribute, dimension: str, context: str) -> None:
        document = self.document
        try:
            quantity(attribute.value, document.dimensions.get(dimension, ANY), document.units)
        except QuantityError as error:
            if not is_lost(attribute, document.lost):
                self.add(error.code, attribute, context, error.message, error.hint)

    def references(
        self,
        one: ir.Component,
        kind: ir.ComponentType,
        given: Mapping[str, Attribute],
        above: tuple[ir.Component, ...],
    ) -> None:
        """Each reference names a component beside it, beside those it is in, or at the top."""
        for reference in kind.references:
            attribute = given.get(reference.name)
            name = attribute.value.strip() if attribute else ""
            if attribute is None or reference.link or not name:
                continue
            near = self.near(above)
            found = [known[name] for known in (near, self.top) if name in known]
            context = f"Component '{one.id}' of type '{kind.name}'"
            if not found and name in self.document.lost:
                continue
            if not found:
                message = f"{reference.name}: there is no component '{name[:60]}'"
                hint = suggestion(name, {**self.top, **near})
                self.add(Code.REFERENCE, attribute, context, message, hint)
                continue
            lacks = [self.lacks(other.type, reference.type) for other in found]
            if all(lacks):
                message = (
                    f"{reference.name}: '{name[:60]}' is a {found[0].type}, not a "
                    f"{reference.type}, and has no exposure '{lacks[0]}'"
                )
                self.add(Code.REFERENCE, attribute, context, message, warning=True)

    def near(self, above: tuple[ir.Component, ...]) -> Mapping[str, ir.Component]:
        """The components beside one, and beside those it is in, by id."""
        if not above:
            return {}
        for outer in above:
            if id(outer) not in self.inside:
                self.inside[id(outer)] = {child.id: child for child in outer.children}
        return ChainMap(*(self.inside[id(outer)] for outer in reversed(above)))

    def lacks(self, name: str, wanted: str) -> str:
        """An exposure that a type lacks to stand for another; "" where it does or may.

        NeuroML's own files put spike generators where cells are asked for: what counts is what a
        type exposes, not what it extends.
        """
        types = self.family.types
        if self.is_a(name, wanted) or types[name].lost.everything:
            return ""
        has = {exposure.name for exposure in types[name].exposures}
        return next((one.name for one in types[wanted].exposures if one.name not in has), "")

    def is_a(self, name: str, wanted: str) -> bool:
        types = self.family.types
        if wanted in ("", ANY_TYPE) or wanted not in types or name not in types:
            return True
        return self.family.is_a(name, wanted)

    def children(
        self, one: ir.Component, kind: ir.ComponentType, above: tuple[ir.Component, ...],
        has_prototype: bool,
    ) -> None:  # fmt: skip
        filled: dict[str, list[ir.Component]] = {}
        inside = (*above, one)
        for child in one.children:
            slot = self.slot(kind, child)
            if slot is None:
                self.no_place(kind, child)
                continue
            filled.setdefault(slot.name, []).append(child)
            # A tag is the slot's name first, also where there is a type of that name.
            by_tag = child.role == slot.name and not child.element.get("type")
            fits = not child.type or self.is_a(child.type, slot.type)
            if by_tag and not fits:
                child = replace(child, type=slot.type)
            elif not fits:
                message = f"'{slot.name}' needs a {slot.type}, but this is a {child.type}"
                self.finding(Code.CHILD, child, message)
            self.component(child, slot.type, inside, False)
        for slot in kind.slots:
            self.count(one, slot, filled.get(slot.name, []), has_prototype)

    def slot(self, kind: ir.ComponentType, child: ir.Component) -> ir.ChildSlot | None:
        by_name = [slot for slot in kind.slots if slot.name == child.role]
        if by_name or not child.type:
            return by_name[0] if by_name else None
        known = child.type in self.family.types
        fitting = [slot for slot in kind.slots if known and self.is_a(child.type, slot.type)]
        return fitting[0] if fitting else None

    def no_place(self, kind: ir.ComponentType, child: ir.Component) -> None:
        if child.role in kind.lost:
            return
        known = [name for slot in kind.slots for name in (slot.name, slot.type)]
        message = f"type '{kind.name}' has no place for a child '{child.role[:60]}'"
        self.unknown(Code.CHILD, child, message, child.role, known)

    def count(
        self, one: ir.Component, slot: ir.ChildSlot, found: list[ir.Component], extended: bool
    ) -> None:
        if not slot.many and len(found) > 1:
            self.finding(Code.CHILD, found[1], f"there is a '{slot.name}' already")
        seen: set[str] = set()
        for child in found:
            name = child.element.get("id")
            if name and name in seen:
                message = f"the id '{name[:60]}' is another's among '{slot.name}' already"
                context = f"Component '{child.id}'"
                found_twice = ir.finding(Code.DUPLICATE, child.element, context, message, "", True)
                self.report.add(found_twice)
            seen.add(name)
        least, most = (slot.element.get(name) for name in ("min", "max"))
        if least.isdigit() and len(found) < int(least[:9]) and not extended:
            message = f"it has {len(found)} '{slot.name}', but needs at least {least[:9]}"
            self.finding(Code.CHILD, one, message)
        if most.isdigit() and len(found) > int(most[:9]):
            message = f"it has {len(found)} '{slot.name}', but may have at most {most[:9]}"
            self.finding(Code.CHILD, one, message)

    def unknown(
        self, code: Code, one: ir.Component, message: str, name: str, known: Iterable[str]
    ) -> None:
        if name not in self.document.lost and not self.report.is_full:
            self.finding(code, one, message, suggestion(name, known))

    def finding(self, code: Code, one: ir.Component, message: str, hint: str = "") -> None:
        self.report.add(ir.finding(code, one.element, f"Component '{one.id}'", message, hint))

    def add(
        self,
        code: Code,
        attribute: Attribute,
        context: str,
        message: str,
        hint: str = "",
        warning: bool = False,
    ) -> None:
        found = Diagnostic(code, attribute.place, message, hint, context, warning=warning)
        self.report.add(found)
