"""Exact steps of linear equations: x(t + dt) = exp(A dt) x + q, with A and q from the equations.

Rotter & Diesmann (1999), Biol. Cybern. 81, 381-402, as in NEST. Between events it has no error but
rounding, so a step of any length is as good as another.
"""

from collections.abc import Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
import sympy
from jax import lax
from jaxtyping import Array, Float

from ..algebra import symbol
from .engine import Machine
from .methods import AbstractFlatMethod, Field, Given, States
from .plan import Computed, Elsewhere, Parameter, Plan, Selected, State, Time
from .values import Name

_HALVINGS = 24.0


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
        slopes = [_slopes(machine, given, names, unit, kind, alike) for kind in kinds]
        square = jnp.stack([jnp.concatenate([a, jnp.zeros_like(a[:1])]) for a in slopes], axis=-1)
        flat = square.reshape(*square.shape[:2], -1)
        whole = jax.vmap(_exponential, in_axes=-1, out_axes=-1)(flat * machine.dt)
        found = jnp.moveaxis(whole.reshape(square.shape)[:-1], -1, 0)
        return _Propagating(found, names, unit)

    def move(self, field: Field, states: dict[Name, Array], t: Array, dt: float):
        return self.prepared(field.machine, field.given).move(field, states, t, dt)


class _Propagating(AbstractFlatMethod):
    """`propagators`: per regime exp(A dt) with a last column for what is constant."""

    propagators: Float[Array, "regime state column instance"]
    names: tuple[Name, ...] = eqx.field(static=True)
    unit: int | None = eqx.field(static=True)

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


def _exponential(matrix: Float[Array, "row row"]) -> Float[Array, "row row"]:
    """exp of a small matrix: a series of it halved until it is below 1/2, squared as often. JAX's
    own takes a second to compile, several times as long as this.

    Every squaring doubles what rounding did. So what does not change, a current that is held or the
    constant, is measured in units that make it small: how strong it is says not how fast anything
    is, and a nA lifts a pF by a V in a ms.
    """
    still = ~(matrix != 0.0).any(axis=1)
    reach = jnp.ceil(jnp.log2(jnp.maximum(jnp.abs(matrix).max(axis=0), 0.1)))
    units = lax.stop_gradient(jnp.where(still, 2.0 ** -(reach + 4.0), 1.0))
    ratios = units[:, None] / units[None]
    matrix = matrix / ratios
    norm = jnp.max(jnp.abs(matrix).sum(axis=0))
    halvings = jnp.clip(jnp.ceil(jnp.log2(jnp.maximum(norm, 1e-30))) + 1.0, 0.0, _HALVINGS)
    halvings = lax.stop_gradient(halvings)
    small, one = matrix * 2.0**-halvings, jnp.eye(len(matrix))

    def product(left: Array, right: Array) -> Array:
        return (left[:, :, None] * right[None]).sum(axis=1)

    def longer(series: Array, number: Array):
        return one + product(small, series) / number, None

    def squared(power: Array, number: Array):
        return jnp.where(number < halvings, product(power, power), power), None

    series, _ = lax.scan(longer, one, jnp.arange(16.0, 0.0, -1.0))
    return ratios * lax.scan(squared, series, jnp.arange(_HALVINGS))[0]


def _slopes(
    machine: Machine,
    given: Given,
    names: tuple[Name, ...],
    unit: int | None,
    kind: int,
    alike: bool,
) -> Float[Array, "state column instance"]:
    """Per regime what the derivatives are of each state, and last of 1."""
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
    return matrix[..., :1] if alike else matrix


def _check_linear(plan: Plan) -> None:
    """Raise ValueError where a derivative is not linear in what changes in time."""
    moving = _moving(plan)
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
            if isinstance(v, Computed) and symbol(name) in changing and (i, name) in moving
        ]
        bad = [
            name
            for name, v in unit.variables.items()
            if isinstance(v, Selected) and v.reduce == "multiply" and symbol(name) in changing
        ]
        for name, formula in formulas:
            timed = any(isinstance(unit.variables[n], Time) for n in formula.reads)
            if formula.draws or timed or not _linear(formula.expression, changing):
                bad.append(name)
        if bad:
            raise ValueError(
                f"Exact: '{bad[0]}' of {unit.component} is not linear in the states with "
                "constant factors; use RungeKutta4() or ExponentialEuler()."
            )
        if unit.schemes:
            raise ValueError(f"Exact: {unit.component} has kinetic schemes; use RungeKutta4().")


def _moving(plan: Plan) -> set[Name]:
    """All that derivatives read, at once or by way of others."""
    rest = [
        (i, name)
        for i, unit in enumerate(plan.units)
        for phase in (unit.base, *unit.regimes)
        for _, formula in phase.derivatives
        for name in formula.reads
    ]
    found: set[Name] = set()
    while rest:
        unit, name = one = rest.pop()
        if one in found:
            continue
        found.add(one)
        match plan.units[unit].variables.get(name):
            case Computed(formula=formula):
                rest += [(unit, read) for read in formula.reads]
            case Elsewhere(unit=other, name=read):
                rest.append((other, read))
            case Selected(sources=sources):
                rest += [(source.unit, source.name) for source in sources]
    return found


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
