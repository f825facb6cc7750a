"""Step a number of a cell's instances: move, hear what arrives, then spike.

A spike that ends its way at the end of a step is heard before thresholds are tested there, as in
NEST, so that one that lifts a cell above its threshold makes it spike at that very time.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from .cell import CellPlan, resized
from .engine import Machine, Moment, Surrogate
from .methods import AbstractFlatMethod, Field, Given
from .plan import Phase
from .state import NetworkState
from .values import Name, Params, Values


class CellSteps:
    """The steps of `size` instances of a cell. `surrogate`: the slope of spikes, None for none."""

    def __init__(
        self,
        cell: CellPlan,
        size: int,
        dt: float,
        method: AbstractFlatMethod,
        surrogate: Surrogate | None = None,
    ):
        self.cell, self.size, self.dt, self.method = cell, size, dt, method
        self.plan = resized(cell.plan, size)
        self.machine = Machine(self.plan, dt, surrogate=surrogate)

    def ready(self, params: Params) -> tuple[AbstractFlatMethod, Given]:
        """What need not be computed anew in every step."""
        given = Given(params, self.machine.constants(params), {})
        return self.method.prepared(self.machine, given), given

    def start(self, params: Params, given: Given, key: Array | None) -> NetworkState:
        """The state at t = 0."""
        return self.machine.start(params, given.constants, key)

    def step(
        self,
        ready: tuple[AbstractFlatMethod, Given],
        state: NetworkState,
        arriving: Mapping[Name, Array],
        key: Array | None,
    ) -> tuple[NetworkState, Array]:
        """The state a step later, and who spikes at its end: 1 or 0.

        `arriving`: what is added to states of the cell and its synapses, (instance,).
        """
        method, given = ready
        moved, later = self.moved(ready, state, key)
        values = Values(self.plan, given.params, {**given.constants, **moved}, later, key)
        moment = Moment(self.machine, values, state, {})
        self._hear(moment, arriving)
        for i in self.machine.order:
            moment.test(i, self.plan.units[i].base, None)
            for regime, mask in self._active(moment, i):
                moment.test(i, regime, mask)
            moment.entered(i)
        spikes = moment.emitted.get((self.cell.root, self.cell.spikes))
        if spikes is None:
            spikes = jnp.zeros(self.size, bool)
        after = replace(
            state,
            states={name: values.known[name] for name in state.states},
            regimes=moment.regimes,
            steps=state.steps + 1,
            t=jnp.asarray(later, state.t.dtype),
        )
        return after, spikes

    def moved(
        self, ready: tuple[AbstractFlatMethod, Given], state: NetworkState, key: Array | None
    ) -> tuple[dict[Name, Array], Array]:
        """The states at the end of a step without events, and its time."""
        method, given = ready
        field = Field(self.machine, given, state.regimes, key)
        t = state.steps.astype(float) * self.dt
        moved = method.move(field, dict(state.states), t, self.dt)
        return moved, (state.steps + 1).astype(float) * self.dt

    def amounts(
        self, ready: tuple[AbstractFlatMethod, Given], receptor: str, weight: Array
    ) -> dict[str, Array]:
        """What a spike adds to each state of a receptor. `weight`: one, or one per connection."""
        _, given = ready
        one = self.cell.receptors[receptor]
        known = {**given.constants, (one.unit, one.weight): weight}
        values = Values(self.plan, given.params, known, 0.0)
        return {
            name: jnp.asarray(values.formula(one.unit, formula), float)
            for name, formula in one.added.items()
        }

    def observe(
        self, ready: tuple[AbstractFlatMethod, Given], state: NetworkState, names: list[Name]
    ) -> list[Array]:
        """Quantities of all instances, (instance,) each."""
        _, given = ready
        known = {**given.constants, **state.states}
        values = Values(self.plan, given.params, known, state.t)
        return [values.full(i, values.get(i, name)) for i, name in names]

    def _hear(self, moment: Moment, arriving: Mapping[Name, Array]) -> None:
        regimes = {r.unit: r.regime for r in self.cell.receptors.values() if r.regime is not None}
        for (i, name), amount in arriving.items():
            if i in regimes:
                amount = jnp.where(moment.active(i, regimes[i]), amount, 0.0)
            moment.values.known[i, name] = moment.values.get(i, name) + amount

    def _active(self, moment: Moment, i: int) -> list[tuple[Phase, Any]]:
        regimes = self.plan.units[i].regimes
        return [(regime, moment.active(i, k)) for k, regime in enumerate(regimes)]
