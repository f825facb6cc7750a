"""The state of a network in time, in parts and whole."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array, Int

from .plan import Elsewhere, Parameter, Plan, Recorded, Selected
from .values import Name


class NetworkState(eqx.Module):
    """All that changes. Arrays have one number per instance.

    `regimes`: the active regime; `pending`: events that arrived and were not heard yet; `sent`:
    rings of the events sent in the last steps, (step, instance); `early`: derived values of the
    last step that the next one reads; `steps`: steps taken; `t`: the time; `step`: of each.
    """

    states: dict[Name, Array]
    regimes: dict[int, Array]
    pending: dict[Name, Array]
    sent: dict[Name, Array]
    early: dict[Name, Array]
    steps: Int[Array, ""]
    t: Array
    step: float = eqx.field(static=True)


def part_of(state: NetworkState, members: Collection[int]) -> NetworkState:
    """What of a state is that of some units."""

    def mine(values: Mapping[Any, Array]) -> dict[Any, Array]:
        def unit(key: Any) -> int:
            return key[0] if isinstance(key, tuple) else key

        return {key: value for key, value in values.items() if unit(key) in members}

    return NetworkState(
        mine(state.states),
        mine(state.regimes),
        mine(state.pending),
        mine(state.sent),
        mine(state.early),
        state.steps,
        state.t,
        state.step,
    )


def joined(states: Sequence[NetworkState]) -> NetworkState:
    """The state of the whole of the parts'."""
    first = states[0]
    if len(states) == 1:
        return first
    names = ("states", "regimes", "pending", "sent", "early")
    whole = {name: {k: v for s in states for k, v in getattr(s, name).items()} for name in names}
    return NetworkState(**whole, steps=first.steps, t=first.t, step=first.step)


def unconnected(plan: Plan, recorded: Iterable[Recorded]) -> list[list[int]]:
    """The units in groups that exchange neither values that change nor events."""
    group = list(range(len(plan.units)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    def join(i: int, j: int) -> None:
        group[root(i)] = root(j)

    for i, unit in enumerate(plan.units):
        for name, variable in unit.variables.items():
            if (i, name) in plan.constant:
                continue
            if isinstance(variable, Elsewhere):
                if _changes(plan, variable.unit, variable.name):
                    join(i, variable.unit)
            elif isinstance(variable, Selected):
                for source in variable.sources:
                    join(i, source.unit)
        for scheme in unit.schemes:
            for other in (*scheme.nodes, *(edge for _, _, edge in scheme.edges)):
                join(i, other)
    for link in plan.links:
        join(link.source, link.target)
    for one in recorded:
        for part in one.parts:
            join(one.parts[0].unit, part.unit)
    found: dict[int, list[int]] = {}
    for i in range(len(plan.units)):
        found.setdefault(root(i), []).append(i)
    return list(found.values())


def _changes(plan: Plan, unit: int, name: str) -> bool:
    """Whether a name of a unit changes in time."""
    variable = plan.units[unit].variables.get(name)
    if isinstance(variable, Elsewhere):
        return _changes(plan, variable.unit, variable.name)
    return (unit, name) not in plan.constant and not isinstance(variable, Parameter)
