"""The symbolic Jacobian of a rate model: a matrix to read, and a function to evaluate."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import sympy
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .algebra import as_written, symbol
from .emit import Model
from .flat import Program
from .optimise import prepared, shared
from .slopes import slope, with_slopes


class Jacobian(eqx.Module):
    """The derivatives of a model's `dfun` by its state; a function like `dfun` itself."""

    model: Model
    program: Program = eqx.field(static=True)

    @property
    def matrix(self) -> sympy.ImmutableMatrix:
        """Row i, column j: the derivative of state i's time derivative by state j.

        In the symbols of states, inputs, parameters and t; derived variables are inserted and
        constants are numbers, in the model's units (per ms in the default ones).
        """
        spec = self.model.spec
        inserted: dict[sympy.Basic, sympy.Basic] = {}
        with as_written():
            for equation in spec.derived:
                inserted[symbol(equation.name)] = equation.expression.xreplace(inserted)
            rows = [equation.expression.xreplace(inserted) for equation in spec.derivatives]
        states = [symbol(state.name) for state in spec.states]
        return sympy.ImmutableMatrix([[slope(row, state) for state in states] for row in rows])

    def __call__(
        self,
        state: Float[Array, "state *shape"],
        inputs: Float[Array, "input *shape"],
        params: Mapping[str, Any] | None = None,
        t: ArrayLike = 0.0,
    ) -> Float[Array, "state state *shape"]:
        """[i, j]: the derivative of state i's time derivative by state j, per ms, elementwise.

        The arguments are those of `dfun`; so are the errors. At a jump (`H`, `floor`, a Case's
        edge) the slope is that of the piece that holds there.
        """
        size = len(self.model.spec.states)
        flat = self.model.compute(self.program, state, inputs, params, t)
        return flat.reshape(size, size, *state.shape[1:])


def jacobian(model: Model) -> Jacobian:
    """The symbolic Jacobian of a model: `.matrix` in sympy, and itself a JAX function.

    Example: `lems.jacobian(model)(state, inputs)` is what `jax.jacfwd(model.dfun)(state, inputs)`
    is at one node.
    """
    spec = model.spec
    assignments, outputs = prepared(
        [(symbol(e.name), e.expression) for e in spec.derived],
        [e.expression for e in spec.derivatives],
    )
    states = [symbol(state.name) for state in spec.states]
    assignments, rows = with_slopes(assignments, outputs, states)
    final = [entry for row in rows for entry in row]
    return Jacobian(model, shared(*prepared(assignments, final)))
