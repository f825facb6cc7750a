"""The types of a document as a family: who extends whom, and where the names in a type lead."""

from collections.abc import Mapping

from . import ir

ANY_TYPE = "Component"  # LEMS's name for whatever type


class Family:
    """Inherited types with their lines of descent."""

    def __init__(self, types: Mapping[str, ir.ComponentType]):
        self.types = types
        self._below: dict[str, list[ir.ComponentType]] = {name: [] for name in types}
        self._above = {kind.name: self._line(kind) for kind in types.values()}
        for kind in types.values():
            for name in self._above[kind.name]:
                self._below[name].append(kind)
        self._leads: dict[str, dict[str, str]] = {}

    def _line(self, kind: ir.ComponentType) -> tuple[str, ...]:
        line = [kind.name]
        while (name := self.types[line[-1]].extends) in self.types and name not in line:
            line.append(name)
        return tuple(line)

    def is_known(self, name: str) -> bool:
        """Whether a name is a particular type's."""
        return name in self.types

    def is_a(self, name: str, ancestor: str) -> bool:
        """Whether a type is another, or extends it."""
        return name in self._above and ancestor in self._above[name]

    def below(self, name: str) -> tuple[ir.ComponentType, ...]:
        """A type and all its subtypes."""
        return tuple(self._below.get(name, ()))

    def leads(self, kind: ir.ComponentType) -> Mapping[str, str]:
        """The names by which a path can leave an instance of a type, and the types there."""
        if kind.name not in self._leads:
            named = (
                *kind.slots,
                *kind.references,
                *kind.attachments,
                *kind.instance_requirements,
            )
            found = {text.name: "" for text in kind.texts} | {one.name: one.type for one in named}
            for name in _created(kind.structure):
                found.setdefault(name, "")
            self._leads[kind.name] = found
        return self._leads[kind.name]


def _created(items: tuple[ir.StructureItem, ...]) -> list[str]:
    """The names under which Structure puts instances into an instance."""
    found = []
    for item in items:
        match item:
            case ir.ChildInstance(component=component) | ir.MultiInstantiate(component=component):
                found.append(component.rpartition("/")[2])
            case ir.Tunnel(name=name):
                found.append(name)
            case ir.ForEach(items=inner):
                found += _created(inner)
    return found
