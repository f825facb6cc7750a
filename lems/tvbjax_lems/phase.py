"""A plane of two state variables of a model, the others held: its vector field and nullclines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from .contours import zero_contours
from .emit import Model
from .equilibria import Range, node_inputs, node_params, search_box


@dataclass(frozen=True, eq=False)
class Plane:
    """Two state variables `x` and `y` of a model, each over a range, everything else held.

    `at`: the values of all other state variables. `inputs`: (input,). All in the model's units.
    """

    model: Model
    x: str
    y: str
    x_range: Range
    y_range: Range
    at: dict[str, float]
    inputs: np.ndarray
    params: dict[str, Any]

    def states(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The whole states at points of the plane: (state, *shape)."""
        known = {self.x: x, self.y: y}
        rows = [
            known.get(name, np.full(np.shape(x), self.at.get(name, 0.0)))
            for name in self.model.state_variables
        ]
        return np.stack(rows)

    def field(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The time derivatives of both variables, per ms, elementwise, in float64."""
        with jax.enable_x64(True):
            states = self.states(np.asarray(x, float), np.asarray(y, float))
            shape = (len(self.inputs), *(1 for _ in states.shape[1:]))
            inputs = np.broadcast_to(
                self.inputs.reshape(shape), (len(self.inputs), *states.shape[1:])
            )
            change = np.asarray(_derivatives(self.model, states, inputs, self.params))
        names = self.model.state_variables
        return change[names.index(self.x)], change[names.index(self.y)]


@jax.jit
def _derivatives(model: Model, states, inputs, params):
    return model.dfun(jax.numpy.asarray(states), jax.numpy.asarray(inputs), params)


def plane(
    model: Model,
    x: str | None = None,
    y: str | None = None,
    *,
    x_range: Range | None = None,
    y_range: Range | None = None,
    at: Mapping[str, float | int] | None = None,
    inputs: ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
) -> Plane:
    """The plane of two state variables; by default the first two over twice their initial ranges.

    `at` must give every other state variable. Raises ValueError for what does not fit.
    """
    names = model.state_variables
    if len(names) < 2:
        raise ValueError(f"plane: {model.name} has one state variable; a plane needs two.")
    x, y = x or names[0], y or next(name for name in names if name != (x or names[0]))
    if x == y:
        raise ValueError(f"plane: x and y are both '{x}'; pass two state variables.")
    given = {n: r for n, r in ((x, x_range), (y, y_range)) if r is not None}
    low, high = search_box(model, given, "plane")
    for name in (x, y):
        if name not in names:
            raise ValueError(f"plane: '{name}' is no state variable; there are {list(names)}.")
    others = [name for name in names if name not in (x, y)]
    held = {name: float(value) for name, value in (at or {}).items()}
    if set(held) != set(others):
        raise ValueError(
            f"plane: at gives {sorted(held)}; pass one value for each of {others}, the state "
            "variables outside the plane."
        )
    for name, value in held.items():
        if not np.isfinite(value):
            raise ValueError(f"plane: at gives {name} = {value}; pass finite numbers.")
    across, up = ((float(low[names.index(n)]), float(high[names.index(n)])) for n in (x, y))
    return Plane(
        model,
        x,
        y,
        across,
        up,
        held,
        node_inputs(model, inputs, "plane"),
        node_params(model, params, "plane"),
    )


def nullclines(
    model: Model,
    x: str | None = None,
    y: str | None = None,
    *,
    x_range: Range | None = None,
    y_range: Range | None = None,
    at: Mapping[str, float | int] | None = None,
    inputs: ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
    cells: int = 200,
) -> dict[str, tuple[np.ndarray, ...]]:
    """Where in a phase plane one of its two variables does not change.

    Per variable its curves, each (point, 2): the values of `x` and `y`, exact to rounding at every
    point. `x`, `y`: two state variables, by default the first two; `at`: values of all others.
    Ranges are twice the initial ones unless given. `inputs`: (input,), 0 by default. `cells`: how
    finely each range is divided. Raises ValueError for what does not fit.
    """
    chosen = plane(
        model, x, y, x_range=x_range, y_range=y_range, at=at, inputs=inputs, params=params
    )
    return plane_nullclines(chosen, cells)


def plane_nullclines(chosen: Plane, cells: int = 200) -> dict[str, tuple[np.ndarray, ...]]:
    """The nullclines of a plane, as `nullclines` gives them."""
    if isinstance(cells, bool) or not isinstance(cells, int) or cells < 1:
        raise ValueError(f"nullclines: cells is {cells!r}; give a number of 1 or more.")
    lines = [np.linspace(*ends, cells + 1) for ends in (chosen.x_range, chosen.y_range)]
    return {
        name: zero_contours(lambda x, y, row=row: chosen.field(x, y)[row], *lines)
        for row, name in enumerate((chosen.x, chosen.y))
    }
