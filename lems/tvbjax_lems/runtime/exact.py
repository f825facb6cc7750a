"""Exact steps of linear equations: x(t + dt) = exp(A dt) x + q, with A and q from the equations.

Rotter & Diesmann (1999), Biol. Cybern. 81, 381-402, as in NEST. Between events it has no error but
rounding, so a step of any length is as good as another.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import sympy
from jax.scipy.linalg import expm
from jaxtyping import Array, Float

from ..algebra import symbol
from .engine import Machine
from .methods import AbstractFlatMethod, Field, Given, States
from .plan import Computed, Elsewhere, Parameter, Plan, Selected, State, Time, UnitPlan
from .values import Name


class Exact(AbstractFlatMethod):
    """Exact between events, for instances with linear equations, as of leaky integrate-and-fire
    cells with exponential or alpha-shaped currents. Raises ValueError for other equations.

    While a regime is active its equations hold. Cells do not read each other's states.
    """

    def prepared(self, machine: Machine, given: Given) -> AbstractFlatMethod:
        plan = machine.plan
        _check_linear(plan)
        sizes = {unit.size for unit in plan.units}
        regimes = [i for i, unit in enumerate(plan.units) if unit.regimes]
        if len(sizes) > 1 or len(regimes) > 1:
            raise ValueError(
                f"Exact: '{plan.name}' has components of several sizes or with regimes; use "
                "ExponentialEuler() or RungeKutta4()."
            )
        names = tuple(
            (i, name)
            for i, unit in enumerate(plan.units)
            for name, variable in unit.variables.items()
            if isinstance(variable, State)
        )
        unit = regimes[0] if regimes else None
        alike = not any(jnp.ndim(v) for own in given.params.values() for v in own.values())
        kinds = range(len(plan.units[unit].regimes)) if unit is not None else range(1)
        propagators = tuple(_propagator(machine, given, names, unit, kind, alike) for kind in kinds)
        return _Propagating(propagators, names, unit)

    def move(self, field: Field, states: dict[Name, Array], t: Array, dt: float):
        return self.prepared(field.machine, field.given).move(field, states, t, dt)


class _Propagating(AbstractFlatMethod):
    """`propagators`: per regime exp(A dt) with a last column for what is constant."""

    propagators: tuple[Float[Array, "state column instance"], ...]
    names: tuple[Name, ...]
    unit: int | None

    def prepared(self, machine: Machine, given: Given) -> AbstractFlatMethod:
        return self

    def move(self, field: Field, states: dict[Name, Array], t: Array, dt: float):
        regime = None if self.unit is None else field.regimes[self.unit]
        moved = dict(states)
        for row, name in enumerate(self.names):
            for kind, propagator in enumerate(self.propagators):
                value = propagator[row, -1]
                for column, other in enumerate(self.names):
                    value = value + propagator[row, column] * states[other]
                value = jnp.broadcast_to(value, states[name].shape)
                first = regime is None or kind == 0
                moved[name] = value if first else jnp.where(regime == kind, value, moved[name])
        return moved


def _propagator(
    machine: Machine,
    given: Given,
    names: tuple[Name, ...],
    unit: int | None,
    kind: int,
    alike: bool,
) -> Float[Array, "state column instance"]:
    size = machine.plan.units[0].size
    regimes = {} if unit is None else {unit: jnp.full(size, kind, jnp.int32)}
    field = Field(machine, given, regimes, None)
    zero = {name: jnp.zeros(size) for name in names}

    def slopes(states: States) -> Float[Array, "state instance"]:
        found = field(states, jnp.zeros(()))
        return jnp.stack([found[name] for name in names])

    def column(name: Name) -> Float[Array, "state instance"]:
        tangent = {other: jnp.full(size, float(other == name)) for other in names}
        return jax.jvp(slopes, (zero,), (tangent,))[1]

    matrix = jnp.stack([*(column(name) for name in names), slopes(zero)], axis=1)
    matrix = matrix[..., :1] if alike else matrix
    square = jnp.concatenate([matrix, jnp.zeros_like(matrix[:1])])
    whole = jax.vmap(expm, in_axes=-1, out_axes=-1)(square * machine.dt)
    return whole[:-1]


def _check_linear(plan: Plan) -> None:
    """Raise ValueError where a derivative is not linear in what changes in time."""
    for i, unit in enumerate(plan.units):
        changing = {
            symbol(name)
            for name, variable in unit.variables.items()
            if not isinstance(variable, Parameter) and not _constant(plan, i, name)
        }
        formulas = [
            (name, f) for phase in (unit.base, *unit.regimes) for name, f in phase.derivatives
        ]
        formulas += [
            (name, v.formula)
            for name, v in unit.variables.items()
            if isinstance(v, Computed) and symbol(name) in changing and _moves(unit, name)
        ]
        for name, formula in formulas:
            timed = any(isinstance(unit.variables[n], Time) for n in formula.reads)
            if formula.draws or timed or not _linear(formula.expression, changing):
                raise ValueError(
                    f"Exact: '{name}' of {unit.component} is not linear in the states with "
                    "constant factors; use RungeKutta4() or ExponentialEuler()."
                )
        if unit.schemes:
            raise ValueError(f"Exact: {unit.component} has kinetic schemes; use RungeKutta4().")


def _moves(unit: UnitPlan, name: str) -> bool:
    """Whether a derivative reads a computed value, or others might."""
    read = {
        n for phase in (unit.base, *unit.regimes) for _, f in phase.derivatives for n in f.reads
    }
    rest = list(read)
    while rest:
        variable = unit.variables.get(rest.pop())
        if isinstance(variable, Computed):
            more = set(variable.formula.reads) - read
            read |= more
            rest += more
    return name in read


def _constant(plan: Plan, unit: int, name: str) -> bool:
    variable = plan.units[unit].variables.get(name)
    match variable:
        case Parameter():
            return True
        case State() | Time() | None:
            return False
        case Elsewhere():
            return _constant(plan, variable.unit, variable.name)
        case Computed() | Selected():
            return (unit, name) in plan.constant
    return False


def _linear(expression: sympy.Basic, changing: Iterable[sympy.Symbol]) -> bool:
    symbols = set(changing) & expression.free_symbols
    slopes = [sympy.diff(expression, one) for one in symbols]
    if any(sympy.expand(slope).free_symbols & symbols for slope in slopes):
        return False
    return not any(
        condition.free_symbols & symbols
        for piecewise in expression.atoms(sympy.Piecewise)
        for _, condition in (pair.args for pair in piecewise.args)
    )
