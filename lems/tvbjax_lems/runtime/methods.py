"""Methods of integration: what a step of dt does to the states of a network."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import sympy
from jax.typing import ArrayLike
from jaxtyping import Array

from ..algebra import as_written, symbol
from ..evaluate import value_of
from .engine import Machine, Moment
from .kinetics import advance, derivative
from .plan import Phase
from .state import NetworkState
from .values import Name, Params, Values

States = Mapping[Name, Array]


@dataclass(frozen=True)
class Given:
    """What does not change in time: parameters, constant values, what an event adds to pools."""

    params: Params
    constants: Mapping[Name, Any]
    amounts: Mapping[int, dict[str, Any]]


class AbstractMethod(eqx.Module):
    """A method of integration."""

    @abc.abstractmethod
    def step(
        self, machine: Machine, given: Given, state: NetworkState, key: Any
    ) -> tuple[NetworkState, Values, Moment]:
        """The state a step later, the values at its end, and the events on the way."""


class Euler(AbstractMethod):
    """Forward Euler in the order of PyLEMS: unit after unit, children before parents.

    A unit hears its events, computes its derived values, moves its states, and tests its
    conditions on the new states and the old derived values; then its active regime moves and tests.
    So a parent sees its children's new states. In float64 the time is summed up, as PyLEMS does.
    Kinetic schemes move by expm(A dt).
    """

    def step(
        self, machine: Machine, given: Given, state: NetworkState, key: Any
    ) -> tuple[NetworkState, Values, Moment]:
        plan, dt = machine.plan, machine.dt
        known = {**given.constants, **state.states, **state.early}
        values = Values(plan, given.params, known, state.t, key)
        moment = Moment(machine, values, state, given.amounts)
        moment.pending = machine.arrivals(state, given.amounts)
        for i in machine.order:
            _turn(machine, moment, i, dt)
        exact = state.t.dtype == jnp.float64
        later = state.t + dt if exact else (state.steps + 1).astype(float) * dt
        return _finished(machine, moment, state, later), values, moment


def _turn(machine: Machine, moment: Moment, i: int, dt: float) -> None:
    """All that a unit does in a step."""
    plan, values = machine.plan, moment.values
    unit = plan.units[i]
    come = moment.take(i)
    for scheme in unit.schemes:
        values.known |= advance(scheme, values, unit.size, dt)
    moment.hear(i, come)
    for name in unit.derived:
        if (i, name) not in plan.constant:
            values.known.pop((i, name), None)
    for name in unit.derived:
        values.get(i, name)
    _move(values, i, unit.base, None, dt)
    moment.test(i, unit.base, None)
    if not unit.regimes:
        return
    active = _active(moment, i)
    for regime, mask in active:
        _move(values, i, regime, mask, dt)
    for regime, mask in active:
        moment.test(i, regime, mask)
    moment.entered(i)


def _move(values: Values, i: int, phase: Phase, mask: Array | None, dt: float) -> None:
    """x += dt f, all derivatives from the old states."""
    slopes = {name: values.formula(i, formula) for name, formula in phase.derivatives}
    for name, slope in slopes.items():
        old = values.get(i, name)
        new = values.full(i, old + dt * slope)
        values.known[i, name] = new if mask is None else jnp.where(mask, new, old)


class AbstractFlatMethod(AbstractMethod):
    """A method that moves all states of the network at once.

    At the end of the step conditions are tested on the new states, and then the events are heard:
    those just sent, and those whose delay is over.
    """

    @abc.abstractmethod
    def prepared(self, machine: Machine, given: Given) -> "AbstractFlatMethod":
        """The method with what is the same in all steps computed beforehand."""

    @abc.abstractmethod
    def move(self, field: "Field", states: dict[Name, Array], t: Array, dt: float) -> Any:
        """The states at t + dt."""

    def step(
        self, machine: Machine, given: Given, state: NetworkState, key: Any
    ) -> tuple[NetworkState, Values, Moment]:
        plan, dt = machine.plan, machine.dt
        field = Field(machine, given, state.regimes, key)
        moved = self.move(field, dict(state.states), state.steps.astype(float) * dt, dt)
        later = (state.steps + 1).astype(float) * dt
        values = Values(plan, given.params, {**given.constants, **moved}, later, key)
        for i in machine.order:
            for name in plan.units[i].derived:
                values.get(i, name)
        moment = Moment(machine, values, state, given.amounts)
        moment.pending = machine.arrivals(state, given.amounts)
        for i in machine.order:
            moment.test(i, plan.units[i].base, None)
            for regime, mask in _active(moment, i):
                moment.test(i, regime, mask)
            moment.entered(i)
        for i in machine.order:
            moment.hear(i, moment.take(i))
        return _finished(machine, moment, state, later), values, moment


def _active(moment: Moment, i: int) -> list[tuple[Phase, Array]]:
    """The regimes of a unit, and where each is active just now."""
    regimes = moment.machine.plan.units[i].regimes
    return [(regime, moment.active(i, k)) for k, regime in enumerate(regimes)]


class Field:
    """The derivatives of all states, with the regimes and random numbers of a step."""

    def __init__(
        self,
        machine: Machine,
        given: Given,
        regimes: Mapping[int, Array],
        key: Any,
    ):
        self.machine, self.given = machine, given
        self.regimes, self.key = regimes, key

    def values(self, states: States, t: ArrayLike) -> Values:
        known = {**self.given.constants, **states}
        return Values(self.machine.plan, self.given.params, known, t, self.key)

    def __call__(self, states: States, t: ArrayLike) -> dict[Name, Array]:
        """The derivative of each state, 0 where it has none."""
        values = self.values(states, t)
        found = {name: jnp.zeros_like(value) for name, value in states.items()}
        for i in self.machine.order:
            unit = self.machine.plan.units[i]
            for scheme in unit.schemes:
                found |= derivative(scheme, values, unit.size)
            for phase, mask in self.phases(i):
                for name, formula in phase.derivatives:
                    slope = values.full(i, values.formula(i, formula))
                    found[i, name] += slope if mask is None else jnp.where(mask, slope, 0.0)
        return found

    def phases(self, i: int) -> list[tuple[Phase, Array | None]]:
        unit = self.machine.plan.units[i]
        regimes = [(regime, self.regimes[i] == k) for k, regime in enumerate(unit.regimes)]
        return [(unit.base, None), *regimes]


def _along(states: States, slopes: States, dt: ArrayLike) -> dict[Name, Array]:
    return {name: value + dt * slopes[name] for name, value in states.items()}


class Heun(AbstractFlatMethod):
    """Heun's method, second order between events."""

    def prepared(self, machine: Machine, given: Given) -> AbstractFlatMethod:
        return self

    def move(self, field: Field, states: dict[Name, Array], t: Array, dt: float) -> Any:
        first = field(states, t)
        second = field(_along(states, first, dt), t + dt)
        return {n: x + 0.5 * dt * (first[n] + second[n]) for n, x in states.items()}


class RungeKutta4(AbstractFlatMethod):
    """The classical Runge-Kutta method, fourth order between events."""

    def prepared(self, machine: Machine, given: Given) -> AbstractFlatMethod:
        return self

    def move(self, field: Field, states: dict[Name, Array], t: Array, dt: float) -> Any:
        a = field(states, t)
        b = field(_along(states, a, 0.5 * dt), t + 0.5 * dt)
        c = field(_along(states, b, 0.5 * dt), t + 0.5 * dt)
        d = field(_along(states, c, dt), t + dt)
        return {
            n: x + dt / 6.0 * (a[n] + 2.0 * b[n] + 2.0 * c[n] + d[n]) for n, x in states.items()
        }


class ExponentialEuler(AbstractFlatMethod):
    """Exact for x' = (a - x)/b with a and b held over the step, as of gating variables.

    Used where a derivative is linear in its own variable; forward Euler elsewhere. Kinetic schemes
    move by expm(A dt). Rush & Larsen (1978), IEEE Trans. Biomed. Eng. 25, 389-392.
    """

    def prepared(self, machine: Machine, given: Given) -> AbstractFlatMethod:
        return self

    def move(self, field: Field, states: dict[Name, Array], t: Array, dt: float) -> Any:
        values = field.values(states, t)
        moved = dict(states)
        for i in field.machine.order:
            unit = field.machine.plan.units[i]
            for scheme in unit.schemes:
                moved |= advance(scheme, values, unit.size, dt)
            for phase, mask in field.phases(i):
                for name, formula in phase.derivatives:
                    old = states[i, name]
                    slope = values.full(i, values.formula(i, formula))
                    rate = linear_rate(formula.expression, name)
                    if rate is not None:
                        environment = {symbol(n): values.get(i, n) for n in formula.reads}
                        z = dt * values.full(i, value_of(rate, environment))
                        slope = slope * _mean_growth(z)
                    new = old + dt * slope
                    moved[i, name] = new if mask is None else jnp.where(mask, new, moved[i, name])
        return moved


def linear_rate(expression: sympy.Basic, name: str) -> sympy.Basic | None:
    """The factor of a variable in its own derivative, None where it is 0 or not constant in it."""
    own = symbol(name)
    if own not in expression.free_symbols or expression.has(sympy.Piecewise):
        return None
    with as_written():
        rate = sympy.diff(expression, own)
        if own in rate.free_symbols:
            rate = sympy.simplify(rate) if rate.count_ops() < 100 else rate
        return None if own in rate.free_symbols else rate


def _mean_growth(z: Array) -> Array:
    """(exp(z) - 1)/z, 1 at 0."""
    safe = jnp.where(jnp.abs(z) < 1e-12, 1.0, z)
    return jnp.where(jnp.abs(z) < 1e-12, 1.0, jnp.expm1(safe) / safe)


class Diffrax(AbstractFlatMethod):
    """One step of a solver of diffrax per time step, as Diffrax(diffrax.Kvaerno3()).

    `rtol`, `atol`: of an implicit solver's root finder, where it does not have its own. Needs the
    diffrax package.
    """

    solver: Any
    rtol: float = eqx.field(static=True, default=1e-8)
    atol: float = eqx.field(static=True, default=1e-10)

    def __check_init__(self):
        try:
            import diffrax
        except ImportError:
            raise ImportError("Diffrax needs the package diffrax: pip install diffrax.") from None
        if not isinstance(self.solver, diffrax.AbstractSolver):
            raise TypeError(
                f"Diffrax: the solver is a {type(self.solver).__name__}; pass one of diffrax's, "
                "such as diffrax.Tsit5()."
            )

    def with_tolerances(self) -> Any:
        """The solver, its root finder's tolerances filled in, as diffeqsolve does."""
        finder = getattr(self.solver, "root_finder", None)
        if finder is None or isinstance(finder.rtol, float | int):
            return self.solver
        import optimistix

        return eqx.tree_at(
            lambda s: (s.root_finder.rtol, s.root_finder.atol, s.root_finder.norm),
            self.solver,
            (self.rtol, self.atol, optimistix.rms_norm),
            is_leaf=lambda x: x is finder.rtol or x is finder.atol or x is finder.norm,
        )

    def prepared(self, machine: Machine, given: Given) -> AbstractFlatMethod:
        return self

    def move(self, field: Field, states: dict[Name, Array], t: Array, dt: float) -> Any:
        import diffrax

        names = list(states)

        def slopes(at: Any, y: tuple[Array, ...], args: Any) -> tuple[Array, ...]:
            found = field(dict(zip(names, y, strict=True)), at)
            return tuple(found[name] for name in names)

        term = diffrax.ODETerm(slopes)
        start = tuple(states.values())
        end = t + dt
        solver = self.with_tolerances()
        inner = solver.init(term, t, end, start, None)
        made = solver.step(term, t, end, start, None, inner, False)[0]
        return dict(zip(names, made, strict=True))


def _finished(machine: Machine, moment: Moment, state: NetworkState, t: ArrayLike) -> NetworkState:
    known = moment.values.known
    return NetworkState(
        {name: known[name] for name in state.states},
        moment.regimes,
        moment.pending,
        machine.pushed(state, moment.emitted),
        {name: moment.values.full(name[0], known[name]) for name in state.early},
        state.steps + 1,
        jnp.asarray(t, state.t.dtype),
        state.step,
    )
