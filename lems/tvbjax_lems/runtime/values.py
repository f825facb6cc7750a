"""The values of a network's names at one moment, computed when they are asked for."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from ..algebra import symbol
from ..evaluate import value_of
from .formulas import Formula
from .plan import Computed, Elsewhere, Parameter, Plan, Selected, Source, State, Time

Name = tuple[int, str]
Params = Mapping[str, Mapping[str, Any]]


class Values:
    """A memo of values. `known`: states and whatever else is given; `draws`: where random is."""

    def __init__(
        self,
        plan: Plan,
        params: Params,
        known: Mapping[Name, Any],
        t: ArrayLike,
        key: Array | None = None,
    ):
        self.plan, self.params, self.t, self.key = plan, params, t, key
        self.known: dict[Name, Any] = dict(known)
        self.turn: Any = 0  # which of a step's events acts, so that each draws its own numbers

    def get(self, unit: int, name: str) -> Any:
        """The value of a name, () or (instance,)."""
        if (unit, name) in self.known:
            return self.known[unit, name]
        value = self.compute(unit, name)
        # Within a step of Euler's what is elsewhere may change, so it is looked up each time.
        if not isinstance(self.plan.units[unit].variables[name], Elsewhere):
            self.known[unit, name] = value
        return value

    def compute(self, unit: int, name: str) -> Any:
        """The value of a name, computed anew from what it needs."""
        mine = self.plan.units[unit]
        variable = mine.variables[name]
        match variable:
            case Parameter():
                given = self.params.get(mine.path, {})
                return given[name] if name in given else jnp.asarray(variable.value, float)
            case Time():
                return self.t
            case Computed():
                return self.formula(unit, variable.formula)
            case Elsewhere():
                return gathered(self.get(variable.unit, variable.name), variable.index)
            case Selected():
                return gathered(self.reduced(variable), variable.index)
            case State():
                raise KeyError(f"{mine.path}/{name} has no value yet")

    def formula(self, unit: int, formula: Formula) -> Any:
        """The value of a formula in the names of a unit; a float where it has none."""
        environment = {symbol(name): self.get(unit, name) for name in formula.reads}
        for name in formula.draws:
            environment[symbol(name)] = self.uniform(unit, name)
        return value_of(formula.expression, environment)

    def full(self, unit: int, value: ArrayLike) -> Array:
        """A value as one number per instance."""
        return jnp.broadcast_to(jnp.asarray(value, float), (self.plan.units[unit].size,))

    def uniform(self, unit: int, name: str) -> Array:
        """Uniform random numbers in (0, 1), one per instance, the same for the same key."""
        if self.key is None:
            raise ValueError(
                f"{self.plan.name} draws random numbers, so run needs a key: "
                "run(network, key=jax.random.key(0))."
            )
        site = int(name.rpartition(".")[2])
        key = jax.random.fold_in(jax.random.fold_in(self.key, unit), site)
        if not (isinstance(self.turn, int) and self.turn == 0):
            key = jax.random.fold_in(key, self.turn)
        tiny = float(np.finfo(np.result_type(jnp.zeros(()).dtype)).tiny)
        size = self.plan.units[unit].size
        return jax.random.uniform(key, (size,), jnp.zeros(()).dtype, minval=tiny)

    def reduced(self, selected: Selected) -> Any:
        """The sum or product of the sources, () or one per instance of where the path starts."""
        multiply = selected.reduce == "multiply"
        total: Any = None
        for source in selected.sources:
            value = self.collected(source, selected.size, multiply)
            total = value if total is None else total * value if multiply else total + value
        return (1.0 if multiply else 0.0) if total is None else total

    def collected(self, source: Source, size: int, multiply: bool) -> Any:
        value = self.get(source.unit, source.name)
        if source.index is None:
            return value
        value = self.full(source.unit, value)
        if size == 1:
            return (jnp.prod if multiply else jnp.sum)(value, keepdims=True)
        segment = jax.ops.segment_prod if multiply else jax.ops.segment_sum
        return segment(value, source.index, num_segments=size)


def gathered(value: Any, index: np.ndarray | None) -> Any:
    """A value for each instance of a unit further down."""
    if index is None or jnp.ndim(value) == 0 or value.shape[0] == 1:
        return value
    return value[index]
