"""Paths to instances: `hhpop[0]/naChans/na/m`, `pop/0/iaf`, `../x`, `synapses:syn1:0`.

A place is a unit and which of its instances: a number, or, where the path starts from all instances
of a unit at once, the instances that go with them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import suggestion
from .bind import Binder
from .tree import Unit

_STEP = re.compile(r"(.*?)(?:\[(\d+)\])?")


class PathError(Exception):
    """A path that leads nowhere; callers add the place. `steps`: how far it led."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint, self.steps = message, hint, 0


@dataclass(frozen=True)
class Place:
    """`chosen`: the instance; None where each instance of `origin` has its own."""

    unit: Unit
    chosen: int | None
    origin: Unit

    def instances(self) -> np.ndarray:
        """The instance of the unit for each instance of the origin."""
        size = self.origin.size
        if self.chosen is not None:
            return np.full(size, self.chosen, np.int32)
        index = np.arange(size, dtype=np.int32)
        at: Unit | None = self.origin
        passed = index
        while at is not None:
            if at is self.unit.axis_root:
                return passed
            step = at.index()
            passed = passed if step is None else step[passed]
            at = at.parent
        if self.unit.size != self.origin.size:
            raise PathError(f"'{self.unit.path}' does not go with '{self.origin.path}'")
        return index  # a peer, which goes with the origin one to one


def here(unit: Unit) -> Place:
    """All instances of a unit; its only one where it has just one."""
    return Place(unit, 0 if unit.axis_root.parent is None else None, unit)


def follow(place: Place, path: str, names: Mapping[str, Place], binder: Binder) -> Place:
    """The place at the end of a path. Raises PathError."""
    steps = [step for step in path.split("/") if step not in ("", ".")]
    if steps and steps[0] in names:
        place, steps = names[steps[0]], steps[1:]
    for number, step in enumerate(steps):
        try:
            place = _step(place, step, binder)
        except PathError as error:
            error.steps += number
            raise
    return place


def _step(place: Place, step: str, binder: Binder) -> Place:
    unit = place.unit
    if step == "this":
        return place
    if step in ("..", "parent"):
        return above(place)
    if ":" in step:
        return _attachment(place, step)
    match = _STEP.fullmatch(step)
    name, number = (match.group(1), match.group(2)) if match else (step, None)
    found = unit.by_key.get(name, [])
    if not found and name == unit.bound.id and unit.keys and name in unit.keys:
        return place  # pop/0/cell, where pop/0 is the cell already
    if not found and name.isdigit() and number is None and _is_population(unit):
        return member(place, int(name))
    if found:
        return _into(place, found[0], name, number)
    left = -1 if number is None else int(number)
    for child in unit.by_slot.get(name, []) if left >= 0 else ():
        copies = 1 if child.copies is None else child.copies
        if left < copies:
            chosen = place.chosen
            if child.copies is not None:
                chosen = (place.chosen or 0) * copies + left
            return Place(child, chosen, place.origin)
        left -= copies
    if name in unit.peers:
        return Place(unit.peers[name], place.chosen, place.origin)
    wanted = unit.bound.texts.get(name)
    if wanted:
        return located(unit, place, wanted, {}, binder)
    known = [key for child in unit.children for key in child.keys]
    if name.isdigit() and "morphology" in unit.by_slot:
        raise PathError(
            f"{unit.bound.context} is simulated as one compartment, so it has no segment {name}",
            "cells of several compartments are not supported",
        )
    raise PathError(f"{unit.bound.context} has no '{name}'", suggestion(name, known))


def _into(place: Place, child: Unit, name: str, number: str | None) -> Place:
    if child.copies is None:
        if number is not None and child.attached is None:
            listed = members(child)
            if listed:
                return member(Place(child, place.chosen, place.origin), int(number))
        if number is not None and int(number) != 0:
            raise PathError(f"'{name}' is one instance, so it has no [{number}]")
        if child.attached is not None:
            return _attached(place, [child], name, 0)
        return Place(child, place.chosen, place.origin)
    if child.slot and child.bound.parent is place.unit.bound:
        # Children merged to one axis: each is reached by its own id.
        number = str(child.numbers[name]) if number is None else number
    if number is None:
        if child.copies == 1:
            number = "0"
        else:
            raise PathError(f"'{name}' has {child.copies} instances; write {name}[0]")
    if int(number) >= child.copies:
        raise PathError(f"'{name}' has {child.copies} instances, so there is no [{number}]")
    if place.chosen is None:
        raise PathError(f"'{name}' is chosen for one instance out of many")
    return Place(child, place.chosen * child.copies + int(number), place.origin)


def _is_population(unit: Unit) -> bool:
    return any(child.copies is not None and not child.slot for child in unit.children)


def members(unit: Unit) -> list[Unit]:
    """What a population holds: the instances of its component, or its own listed children."""
    arrays = [c for c in unit.children if c.copies is not None and not c.slot]
    if arrays:
        return arrays
    return [child for child in unit.children if child.slot]


def member(listed: Place, number: int) -> Place:
    """Instance `number` of a population. Raises PathError."""
    unit, left = listed.unit, number
    for child in members(unit):
        copies = 1 if child.copies is None else child.copies
        if left < copies:
            chosen = listed.chosen if child.copies is None else (listed.chosen or 0) * copies + left
            return passed_through(Place(child, chosen, listed.origin))
        left -= copies
    raise PathError(f"{unit.bound.context} has no instance {number}")


def passed_through(place: Place) -> Place:
    """The cell inside a populationList's `instance`, which itself has neither ports nor v."""
    kind = place.unit.bound.type
    inside = [child for child in place.unit.children if not child.slot]
    plain = not (kind.ports or kind.attachments or kind.exposures)
    if plain and len(inside) == 1 and inside[0].copies is None:
        return Place(inside[0], place.chosen, place.origin)
    return place


def above(place: Place) -> Place:
    """The place of the parent instance."""
    unit = place.unit
    if unit.parent is None:
        raise PathError(f"{unit.bound.context} has no parent in the network")
    if place.chosen is None:
        return Place(unit.parent, None, place.origin)
    index = unit.index()
    chosen = place.chosen if index is None else int(index[place.chosen])
    return Place(unit.parent, chosen, place.origin)


def _attachment(place: Place, step: str) -> Place:
    """`synapses:syn1:0` is the first syn1 that is attached to the instance under `synapses`."""
    container, name, number = (step.split(":") + ["0", "0"])[:3]
    attached = [c for c in place.unit.children if c.attached is not None and c.slot == container]
    fitting = [child for child in attached if name in child.keys]
    if not fitting:
        known = [key for child in attached for key in child.keys]
        raise PathError(f"no '{name}' is attached under '{container}'", suggestion(name, known))
    if not number.isdigit():
        raise PathError(f"'{number}' in '{step}' is not a number")
    return _attached(place, fitting, name, int(number))


def _attached(place: Place, units: list[Unit], name: str, number: int) -> Place:
    """Number `number` of what is attached to an instance."""
    if place.chosen is None:
        raise PathError(f"'{name}' is chosen for one instance out of many")
    count = 0
    for unit in units:
        mine = [i for i, at in enumerate(unit.attached or ()) if at == place.chosen]
        if number - count < len(mine):
            return Place(unit, mine[number - count], place.origin)
        count += len(mine)
    raise PathError(f"{count} '{name}' are attached there, so there is no number {number}")


def located(
    unit: Unit, place: Place, path: str, names: Mapping[str, Place], binder: Binder
) -> Place:
    """Where a path that a component of `unit` gives leads: first from its parent, then from it.

    NeuroML writes the cells of a connection from the connection's parent, but `./syn` from itself.
    """
    starts = [place]
    if path.split("/")[0] not in (".", "this", "parent"):
        outer = place
        while outer.unit.parent is not None:
            outer = above(outer)
            starts.append(outer)
        if len(starts) > 1:
            starts[:2] = starts[1::-1]
    errors: list[PathError] = []
    for start in starts:
        try:
            return follow(start, path, names, binder)
        except PathError as error:
            errors.append(error)
    raise max(errors, key=lambda error: error.steps)
