"""What a network's Python module records, and the paths that it calls it by: those of `run`."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from .asked import asked, named
from .module_names import LITERAL
from .paths import PathError
from .plan import Part, Plan, Recorded, State


def recorded(plan: Plan, record: Sequence[str]) -> tuple[list[Recorded], list[Recorded]]:
    """What is recorded, quantities and events: the file's and the paths'. Raises ValueError."""
    quantities, events = asked(plan, record, "network_module")
    return (quantities, events) if quantities or events else _all(plan)


def _all(plan: Plan) -> tuple[list[Recorded], list[Recorded]]:
    """Every state variable and port: what is recorded where nothing is asked for."""
    quantities, events = [], []
    for i, unit in enumerate(plan.units):
        states = [name for name, v in unit.variables.items() if isinstance(v, State)]
        for names, found in ((states, quantities), (unit.out_ports, events)):
            for name in () if unit.pool else names:
                found += _whole(plan, i, name, found is events)
    return quantities, events


def _whole(plan: Plan, i: int, name: str, is_event: bool) -> list[Recorded]:
    """A name of all instances of a unit, under a path that `run` takes, or one for each parent.

    Where there is no such path, or too many would be needed, under the unit's own path.
    """
    unit = plan.units[i]
    every = tuple(range(unit.size))

    def reached(path: str) -> Recorded | None:
        """What a path names where this is the name, of some of the instances."""
        found, kind = named(plan, path)
        (part, *others) = found.parts
        same = not others and (part.unit, part.name, kind) == (i, name, is_event)
        return found if same and part.instances != () else None

    steps = unit.path.split("/")
    for place in ([], steps, *_marked(steps, "[*]")):
        with suppress(PathError):
            found = reached("/".join([*place, name]))
            if found and found.parts[0].instances in (None, every):
                return [found]
    for place in _marked(steps, "[*]"):
        star = next(k for k, step in enumerate(place) if step.endswith("[*]"))
        for front in _marked(place[:star], "[\0]"):
            path = "/".join([*front, *place[star:], name])
            several = []
            with suppress(PathError):
                for number in range(LITERAL):
                    found = reached(path.replace("\0", str(number)))
                    several += [found] if found else []
            chosen = [k for one in several for k in one.parts[0].instances or every]
            if sorted(chosen) == list(every):
                return several
    return [Recorded(f"{unit.path}/{name}", (Part(i, name, None),), unit.size != 1)]


def _marked(steps: Sequence[str], mark: str) -> Iterator[list[str]]:
    """Places with a mark on one of the steps: pop[*]/cell, and pop[*] for short."""
    for k, step in enumerate(steps):
        for rest in (steps[k + 2 :], steps[k + 1 :]):
            yield [*steps[:k], step + mark, *rest]
