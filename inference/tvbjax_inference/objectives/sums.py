"""Several objectives as one: a weighted sum."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import Result
from tvbjax.arrays import as_floats, is_traced
from tvbjax.axes import Axis
from tvbjax_inference.objectives._objective import (
    AbstractObjective,
    Comparison,
    Kind,
    as_objective,
)


class Sum(AbstractObjective):
    """sum over terms of weight * objective, by name; weights >= 0, 1 where none is given.

        Sum({"fc": FunctionalConnectivity(fc), "rate": Feature(...)}, weights={"rate": 0.1})

    Terms may be functions of a `Result`. Its gradient is the weighted sum of theirs: terms have
    units and ranges of their own, so that weights should make them alike in size where the fit
    ends, not where it begins. A weight of 0 keeps a term in the history and out of the fit, unless
    it is NaN.
    """

    objectives: dict[str, AbstractObjective]
    weights: dict[str, Float[Array, ""]]
    name: str = eqx.field(static=True)

    def __init__(
        self,
        objectives: Mapping[str, AbstractObjective | Callable[[Result], Any]],
        weights: Mapping[str, Any] | None = None,
        name: str = "sum",
    ):
        if not isinstance(objectives, Mapping) or not objectives:
            raise TypeError(
                f"{name}: objectives is {objectives!r:.60}; give a dict of one or more by name."
            )
        weights = {} if weights is None else weights
        unknown = [term for term in weights if term not in objectives]
        if unknown:
            raise ValueError(
                f"{name}: there is a weight of '{unknown[0]}' and no such objective; there are "
                f"{', '.join(objectives)}."
            )
        self.objectives = {term: as_objective(one) for term, one in objectives.items()}
        self.weights = {term: as_floats(weights.get(term, 1.0)) for term in objectives}
        self.name = name

    def __check_init__(self):
        for term, weight in self.weights.items():
            if weight.shape != () or not is_traced(weight) and not 0 <= weight < np.inf:
                raise ValueError(
                    f"{self.name}: the weight of '{term}' is {weight}; give a number, 0 or more."
                )

        if not is_traced(self.weights) and not any(self.weights.values()):
            raise ValueError(f"{self.name}: all weights are 0; give one that is above.")

    def terms(self, result: Result) -> dict[str, Float[Array, ""]]:
        """The loss of each objective, without its weight."""
        return {term: one(result) for term, one in self.objectives.items()}

    def weighted(self, terms: Mapping[str, Float[Array, ""]]) -> Float[Array, ""]:
        """The loss by the terms."""
        return sum((self.weights[term] * terms[term] for term in terms), start=jnp.zeros(()))

    def __call__(self, result):
        return self.weighted(self.terms(result))

    def check(self, simulator, duration):
        for term, one in self.objectives.items():
            try:
                one.check(simulator, duration)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{self.name}: of '{term}': {error}") from error

    def compared(self, result):
        """Each term against 0; of what each compares, see `comparisons`."""
        terms = self.terms(result)
        values = jnp.stack(list(terms.values()))
        axes = (Axis("term", tuple(terms)),)
        return Comparison(self.name, values, jnp.zeros_like(values), axes, Kind.VALUES)


def comparisons(
    objective: AbstractObjective | Callable[[Result], Any], result: Result
) -> dict[str, Comparison]:
    """All that is compared with data, by name: what an objective compares, or each of a sum's, as
    `fc` or `sum.fc` of a sum in a sum; nothing of functions, which have no data."""
    one = as_objective(objective)
    if not isinstance(one, Sum):
        compared = one.compared(result)
        return {} if compared is None else {one.name: compared}
    found = {}
    for term, part in one.objectives.items():
        inner = comparisons(part, result)
        several = isinstance(part, Sum)
        for name, made in inner.items():
            counts = jnp.ones(made.simulated.shape, bool) if made.counts is None else made.counts
            made = made._replace(counts=counts & (one.weights[term] > 0))
            found[f"{term}.{name}" if several else term] = made
    return found
