"""The symbolic Jacobian of a rate model: a matrix to read, and a function to evaluate."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import sympy
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .algebra import as_written, symbol
from .emit import Model
from .flat import Equation, Program
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
        constants are numbers, in the model's units (per ms in the default ones). Raises ValueError
        where the condition of a Case depends on other Cases, which sympy cannot write in one.
        """
        spec = self.model.spec
        inserted: dict[sympy.Basic, sympy.Basic] = {}
        with as_written():
            for equation in spec.derived:
                _check_conditions(self.model, equation, inserted)
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


def _check_conditions(
    model: Model, equation: Equation, inserted: Mapping[sympy.Basic, sympy.Basic]
) -> None:
    """Raise ValueError for a condition in what has Cases itself: sympy would multiply them out."""
    for piecewise in equation.expression.atoms(sympy.Piecewise):
        for _, condition in (pair.args for pair in piecewise.args):
            for name in condition.free_symbols & inserted.keys():
                if inserted[name].has(sympy.Piecewise):
                    raise ValueError(
                        f"jacobian: a Case of '{equation.name}' of {model.name} depends on the "
                        f"Cases of '{name}', so its matrix cannot be written out; evaluate the "
                        "Jacobian as a function instead."
                    )


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
