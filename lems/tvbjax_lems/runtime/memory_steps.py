"""Step what connections remember: plastic weights, traces, resources; one number per connection."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from .cell import CellPlan, resized
from .cell_parts import CellError, Receptor
from .engine import Machine
from .methods import ExponentialEuler, Field, Given
from .plan import Assign, Elsewhere, Plan, State
from .state import NetworkState
from .values import Values


class MemorySteps:
    """The steps of the memory of `size` connections to a receptor.

    Moves by exponential Euler, which is exact for traces that decay. Raises CellError where the
    synapse has none, or one that reads the cell.
    """

    def __init__(self, cell: CellPlan, receptor: Receptor, size: int, dt: float):
        if receptor.memory is None:
            raise CellError(f"'{receptor.name}' remembers nothing")
        unit = receptor.memory.unit
        for name, variable in unit.variables.items():
            if isinstance(variable, Elsewhere) and name in _used(receptor):
                raise CellError(f"what a connection remembers depends on the cell's '{name}'")
        self.receptor, self.memory = receptor, receptor.memory
        own = frozenset((0, name) for i, name in cell.plan.constant if i == receptor.unit)
        alone = replace(cell.plan, units=(unit,), order=(0,), constant=own)
        self.plan: Plan = resized(alone, size)
        self.machine = Machine(self.plan, dt)

    @property
    def states(self) -> tuple[str, ...]:
        """What is remembered."""
        variables = self.plan.units[0].variables
        return tuple(name for name, variable in variables.items() if isinstance(variable, State))

    def ready(self, params: Mapping[str, Mapping[str, Any]], weight: Array) -> Given:
        """`params`: the cell's; `weight`: one, or one per connection."""
        path = self.plan.units[0].path
        own = dict(params.get(path, {}))
        if self.receptor.weight:
            own[self.receptor.weight] = weight
        given = {path: own}
        return Given(given, self.machine.constants(given), {})

    def start(self, given: Given) -> NetworkState:
        """At t = 0."""
        return self.machine.start(given.params, given.constants, None)

    def arrived(
        self, given: Given, state: NetworkState, spikes: Array
    ) -> tuple[NetworkState, dict[str, Array]]:
        """A step later, when the spikes of some senders have arrived: the memory, and what they add
        to each state of the receiver's synapse, (connection,)."""
        field = Field(self.machine, given, {}, None)
        t = state.steps.astype(float) * self.machine.dt
        moved = ExponentialEuler().move(field, dict(state.states), t, self.machine.dt)
        later = replace(state, states=moved, steps=state.steps + 1)
        return self._acted(given, later, self.memory.arriving, spikes)

    def returned(self, given: Given, state: NetworkState, spikes: Array) -> NetworkState:
        """When the receivers of some connections have spiked."""
        return self._acted(given, state, self.memory.returning, spikes)[0]

    def _acted(
        self, given: Given, state: NetworkState, assigns: Iterable[Assign], spikes: Array
    ) -> tuple[NetworkState, dict[str, Array]]:
        t = state.steps.astype(float) * self.machine.dt
        values = Values(self.plan, given.params, {**given.constants, **state.states}, t)
        added: dict[str, Array] = {}
        where = spikes > 0
        for assign in assigns:
            value = values.full(0, values.formula(0, assign.value))
            if assign.variable in self.states:
                old = values.known[0, assign.variable]
                values.known[0, assign.variable] = jnp.where(where, value, old)
                _forget(values, state)
            else:
                amount = jnp.where(where, value, 0.0)
                added[assign.variable] = added.get(assign.variable, 0.0) + amount
        states = {name: values.known[name] for name in state.states}
        return replace(state, states=states), added


def _forget(values: Values, state: NetworkState) -> None:
    """Drop what was computed from a state that has changed."""
    for key in list(values.known):
        if key not in state.states and key not in values.plan.constant:
            del values.known[key]


def _used(receptor: Receptor) -> set[str]:
    memory = receptor.memory
    assert memory is not None
    read = {n for a in (*memory.arriving, *memory.returning) for n in a.value.reads}
    return read | {n for _, f in memory.unit.base.derivatives for n in f.reads}
