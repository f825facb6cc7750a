"""The order in which derived values are computed: each after those that it uses."""

from collections.abc import Callable, Iterable, Mapping

from . import ir
from .errors import Code, Report
from .syntax import names

_CYCLES_SHOWN = 10


def ordered(item: ir.ComponentType, report: Report) -> tuple[ir.DerivedVariable, ...]:
    """The derived variables of a type, each after those that it uses; reports cycles."""
    derived = item.dynamics.derived if item.dynamics else ()
    uses = {d.name: _uses(_expressions(d)) for d in derived}
    order = _sorted(uses, lambda cycle: _report_cycle(item, derived, cycle, report))
    by_name = {d.name: d for d in derived}
    return tuple(by_name[name] for name in order)


def ordered_parameters(item: ir.ComponentType, report: Report) -> tuple[ir.DerivedParameter, ...]:
    """The derived parameters of a type, each after those that it uses; reports cycles."""
    derived = item.derived_parameters
    uses = {d.name: _uses((d.value,) if d.value else ()) for d in derived}
    order = _sorted(uses, lambda cycle: _report_cycle(item, derived, cycle, report))
    by_name = {d.name: d for d in derived}
    return tuple(by_name[name] for name in order)


def _uses(expressions: Iterable[ir.Expression]) -> set[str]:
    return {name.name for expression in expressions for name in names(expression.node)}


def _expressions(variable: ir.DerivedVariable) -> list[ir.Expression]:
    found = [case.value for case in variable.cases]
    return found + [case.condition for case in variable.cases if case.condition]


def _sorted(uses: Mapping[str, set[str]], on_cycle: Callable[[list[str]], None]) -> list[str]:
    """Names in order of use, otherwise as declared; what is in a cycle is left out."""
    order = _levels(uses)
    left = {name: used for name, used in uses.items() if name not in order}
    for _ in range(_CYCLES_SHOWN):
        if not left:
            break
        cycle = _cycle(left)
        on_cycle(cycle)
        broken = {name: left[name] for name in left if name not in cycle}
        done = _levels(broken)
        left = {name: used for name, used in broken.items() if name not in done}
    return list(order)


def _levels(uses: Mapping[str, set[str]]) -> dict[str, None]:
    """Names level by level, each level as declared: first what uses no other, and so on."""
    waits = {name: len(used & uses.keys()) for name, used in uses.items()}
    users: dict[str, list[str]] = {name: [] for name in uses}
    for name, used in uses.items():
        for other in used & uses.keys():
            users[other].append(name)
    place = {name: i for i, name in enumerate(uses)}
    order: dict[str, None] = {}
    ready = [name for name in uses if not waits[name]]
    while ready:
        order |= dict.fromkeys(ready)
        following = []
        for name in ready:
            for user in users[name]:
                waits[user] -= 1
                if not waits[user]:
                    following.append(user)
        ready = sorted(following, key=place.__getitem__)
    return order


def _cycle(uses: Mapping[str, set[str]]) -> list[str]:
    """A cycle among names each of which uses another of them, or is used by nothing but these."""
    place = {name: i for i, name in enumerate(uses)}
    path = {next(iter(uses)): None}
    at = next(iter(uses))
    while True:
        at = min(uses[at] & uses.keys(), key=place.__getitem__)
        if at in path:
            found = list(path)
            return [*found[found.index(at) :], at]
        path[at] = None


def _report_cycle(item: ir.ComponentType, derived, cycle: list[str], report: Report) -> None:
    first = next(d for d in derived if d.name == cycle[0])
    context = f"{item.context} > {first.element.tag} '{first.name}'"
    message = f"it depends on itself: {' > '.join(cycle)}"
    hint = "derived values must not need each other; make one of them a state variable"
    report.add(ir.finding(Code.VARIABLE_CYCLE, first.element, context, message, hint))
