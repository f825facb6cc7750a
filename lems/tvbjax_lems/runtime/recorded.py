"""What a recorded path names: a quantity or the events of one instance, or of several."""

import numpy as np

from ..errors import suggestion
from ..resolve import TIME_NAME
from .assemble import Assembler
from .paths import PathError, Place, follow, here, members, passed_through
from .plan import Part, Recorded
from .tree import Unit


def recorded(assembler: Assembler, root: Unit, path: str, port: str = "") -> Recorded:
    """What a recorded path names: a quantity, or the events of a port. Raises PathError."""
    steps = [step for step in path.split("/") if step]
    name = port or (steps.pop() if steps else "")
    star = next((i for i, step in enumerate(steps) if step.endswith("[*]")), None)
    if star is not None:
        above = follow(here(root), "/".join(steps[:star]), {}, assembler.binder)
        cells = _all_below(above, steps[star][:-3])
        rest = "/".join(steps[star + 1 :])
        places = [_inside(unit, instances, rest, assembler) for unit, instances in cells]
    else:
        at = follow(here(root), "/".join(steps), {}, assembler.binder)
        places = [(at.unit, (at.chosen or 0,))]
    parts = tuple(
        Part(assembler.number(unit), _recordable(assembler, unit, name, bool(port)), instances)
        for unit, instances in places
    )
    return Recorded("/".join(part for part in (path, port) if part), parts, star is not None)


def _inside(
    unit: Unit, instances: tuple[int, ...] | None, path: str, assembler: Assembler
) -> tuple[Unit, tuple[int, ...] | None]:
    """What a path leads to from each of the instances. Raises PathError."""
    if not path:
        return unit, instances
    found = follow(here(unit), path, {}, assembler.binder)
    places = found.instances()
    places = places if instances is None else places[list(instances)]
    whole = np.array_equal(places, np.arange(found.unit.size))
    return found.unit, None if whole else tuple(int(i) for i in places)


def _all_below(above: Place, name: str) -> list[tuple[Unit, tuple[int, ...] | None]]:
    """The cells of a population below one instance, or its listed children."""
    found = [c for c in above.unit.children if name in c.keys or c.slot == name]
    if not found:
        known = [key for child in above.unit.children for key in child.keys]
        context = above.unit.bound.context
        raise PathError(f"{context} has no '{name}'", suggestion(name, known))
    if len(found) == 1 and found[0].copies is None and members(found[0]):
        found = members(found[0])
    cells = [passed_through(Place(unit, None, unit)).unit for unit in found]
    return [(unit, _instances_below(unit, above)) for unit in cells]


def _recordable(assembler: Assembler, unit: Unit, name: str, is_port: bool) -> str:
    """The variable or port of that name. Raises PathError."""
    if is_port:
        ports = [p.name for p in unit.bound.type.ports if p.direction == "out"]
        if name not in ports:
            raise PathError(f"{unit.bound.context} sends no '{name}'", suggestion(name, ports))
        return name
    variable = assembler.look_up(unit, name)
    if variable is None:
        table = [n for n in assembler.table(unit) if n != TIME_NAME]
        raise PathError(f"{unit.bound.context} has no '{name}'", suggestion(name, table))
    return variable


def _instances_below(unit: Unit, above: Place) -> tuple[int, ...] | None:
    """The instances of a unit that lie below one instance of another; None is all."""
    index = np.arange(unit.size)
    at: Unit | None = unit
    while at is not None and at is not above.unit:
        step = at.index()
        index = index if step is None else step[index]
        at = at.parent
    chosen = above.chosen or 0
    return (
        None if (index == chosen).all() else tuple(int(i) for i in np.flatnonzero(index == chosen))
    )
