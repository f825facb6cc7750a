"""One step of a network, as a pure function of its state.

The parts of a step: events that arrive, derived values, derivatives, conditions, regimes. `Euler`
walks the units one after another, as PyLEMS does; the other methods take the whole network's
derivatives at once, between the events and the conditions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy
from jaxtyping import Array

from ..algebra import as_written
from .formulas import Formula
from .plan import (
    Action,
    Assign,
    Emit,
    Enter,
    LinkPlan,
    OnCondition,
    OnEvent,
    Phase,
    Plan,
    Recorded,
    State,
)
from .state import NetworkState, unconnected
from .values import Name, Params, Values
from .wires import Wire

Surrogate = Callable[[Array], Array]  # 1 above 0, else 0, with a slope of its own

PARTS = 16  # unconnected parts of a network that are stepped one by one
RING_LIMIT = 500_000_000  # numbers in a ring of sent events
UNROLLED = 4  # events of one port and step that are written out rather than looped over


class Moment:
    """A step in the making: values, regimes and events as they change within it."""

    def __init__(
        self,
        machine: "Machine",
        values: Values,
        state: NetworkState,
        amounts: "Mapping[int, dict[str, Any]]",
    ):
        self.machine, self.values, self.amounts = machine, values, amounts
        self.regimes = dict(state.regimes)
        self.pending = dict(state.pending)
        self.emitted: dict[Name, Array] = {}
        self.entering: dict[int, Array] = {}
        self.outgoing: dict[str, Array] | None = None  # what is sent while events act in turn

    # Events.

    def take(self, unit: int) -> dict[str, Array]:
        """The events that have arrived at a unit, by port; they wait no longer."""
        ports = [port for i, port in self.pending if i == unit]
        found = {port: self.pending[unit, port] for port in ports}
        for port, count in found.items():
            self.pending[unit, port] = jnp.zeros_like(count)
        return found

    def send(self, unit: int, port: str, count: Array) -> None:
        """Events leave a port; those without delay arrive at once."""
        if self.outgoing is not None:
            self.outgoing[port] = self.outgoing[port] + count
            return
        key = (unit, port)
        self.emitted[key] = self.emitted[key] + count if key in self.emitted else count
        for link in self.machine.instant.get(key, ()):
            come = link.from_sources(count)
            for target, arriving in link.arriving(come, self.amounts):
                self.pending[target] = self.pending[target] + arriving

    def hear(self, unit: int, come: Mapping[str, Array]) -> None:
        """Act on the events that have come."""
        mine = self.machine.plan.units[unit]
        pool = mine.pool
        if pool is not None:
            for port, increments in pool.increments.items():
                for name in increments:
                    if (key := f"{port}.{name}") in come:
                        self.values.known[unit, name] = self.values.get(unit, name) + come[key]
            return
        if mine.regimes:
            for port in mine.in_ports:
                if port in come:
                    self.hear_in_turn(unit, port, come[port])
            return
        for one in mine.base.on_events:
            if one.port in come:
                self.act_on_events(unit, one, come[one.port])

    def hear_in_turn(self, unit: int, port: str, count: Array) -> None:
        """Act on the events of a port one after the other, since each may change the regime."""
        mine = self.machine.plan.units[unit]
        phases = ((None, mine.base), *enumerate(mine.regimes))
        handlers = [(k, one) for k, phase in phases for one in phase.on_events if one.port == port]
        entries = [action for regime in mine.regimes for action in regime.on_entry]
        actions = [action for _, one in handlers for action in one.actions] + entries
        ports = dict.fromkeys(action.port for action in actions if isinstance(action, Emit))

        def once(i: Any, regimes: Array, sent: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
            self.regimes[unit], self.outgoing = regimes, dict(sent)
            for k, one in handlers:
                heard = count > i
                self.act(unit, one.actions, heard if k is None else heard & self.active(unit, k))
            self.entered(unit)
            sent, self.outgoing = self.outgoing, None
            return self.regimes[unit], sent

        if handlers:
            none = {name: jnp.zeros_like(count) for name in ports}
            bound = self.machine.most.get((unit, port))
            assigns = [action for action in actions if isinstance(action, Assign)]
            found = self.repeat(unit, assigns, count, bound, once, (self.regimes[unit], none))
            self.regimes[unit], sent = found
            for name, total in sent.items():
                self.send(unit, name, total)

    def act_on_events(self, unit: int, one: OnEvent, count: Array) -> None:
        """n events act n times."""
        assigns = [action for action in one.actions if isinstance(action, Assign)]
        bound = self.machine.most.get((unit, one.port))

        def once(i: Any) -> tuple[()]:
            for assign in assigns:
                self.assign(unit, assign, count > i)
            return ()

        if assigns:
            self.repeat(unit, assigns, count, bound, once, ())
        for action in one.actions:
            if isinstance(action, Emit):
                self.send(unit, action.port, count)
            elif isinstance(action, Enter):
                self.enter(unit, action.regime, count > 0)

    def repeat(
        self,
        unit: int,
        assigns: Sequence[Assign],
        count: Array,
        bound: int | None,
        once: Callable[..., tuple[Any, ...]],
        carry: tuple[Any, ...],
    ) -> tuple[Any, ...]:
        """Do `once(i, *carry)` for each event, written out where there are few.

        `assigns`: all that may be assigned on the way; `bound`: the most events there can be.
        """
        if bound is not None and bound <= UNROLLED:
            for i in range(bound):
                self.values.turn = i
                carry = once(i, *carry)
            self.values.turn = 0
            return carry
        names = list(dict.fromkeys(assign.variable for assign in assigns))
        held = {name: self.values.full(unit, self.values.get(unit, name)) for name in names}
        for name in {name for assign in assigns for name in assign.value.reads}:
            self.values.get(unit, name)  # outside of the loop, so that it is not traced into it
        before = dict(self.values.known)

        def again(i: Array, now: tuple[dict[str, Array], tuple[Any, ...]]) -> tuple[Any, ...]:
            for name, value in now[0].items():
                self.values.known[unit, name] = value
            self.values.turn = i
            after = once(i, *now[1])
            found = {name: self.values.known[unit, name] for name in names}
            self.values.known = dict(before)
            return found, after

        held, carry = jax.lax.fori_loop(0, jnp.max(count), again, (held, carry))
        self.values.known, self.values.turn = before, 0
        for name, value in held.items():
            self.values.known[unit, name] = value
        return carry

    # Assignments and regimes.

    def assign(self, unit: int, assign: Assign, where: Array | None) -> None:
        value = self.values.full(unit, self.values.formula(unit, assign.value))
        if where is not None:
            value = _chosen(where, value, self.values.get(unit, assign.variable))
        self.values.known[unit, assign.variable] = value

    def act(self, unit: int, actions: Sequence[Action], where: Array) -> None:
        """Actions in document order, on the instances where the condition holds."""
        for action in actions:
            match action:
                case Assign():
                    self.assign(unit, action, where)
                case Emit():
                    self.send(
                        unit, action.port, where if _is_soft(where) else where.astype(jnp.int32)
                    )
                case Enter():
                    self.enter(unit, action.regime, where)

    def enter(self, unit: int, regime: int, where: Array) -> None:
        where = where > 0.5 if _is_soft(where) else where
        self.entering[unit] = jnp.where(
            where, regime, self.entering.get(unit, jnp.full_like(self.regimes[unit], -1))
        )

    def entered(self, unit: int) -> None:
        """Make the transitions of this turn, with what is done on entry."""
        target = self.entering.pop(unit, None)
        if target is None:
            return
        self.regimes[unit] = jnp.where(target >= 0, target, self.regimes[unit])
        for k, regime in enumerate(self.machine.plan.units[unit].regimes):
            if regime.on_entry:
                self.act(unit, regime.on_entry, target == k)

    def test(self, unit: int, phase: Phase, active: Array | None) -> None:
        """Act where conditions hold, one condition after another."""
        for one in phase.on_conditions:
            size = self.machine.plan.units[unit].size
            where = jnp.broadcast_to(self.holds(unit, one), (size,))
            if active is not None:
                where = _and(where, active)
            self.act(unit, one.actions, where)

    def holds(self, unit: int, one: OnCondition) -> Array:
        """Whether a condition holds; of one that sends events a number with a slope, where the
        machine has a surrogate."""
        surrogate = self.machine.surrogate
        margin = _margin(one) if surrogate is not None else None
        if surrogate is None or margin is None:
            return self.values.formula(unit, one.test)
        return surrogate(self.values.formula(unit, margin))

    def active(self, unit: int, regime: int) -> Array:
        return self.regimes[unit] == regime


class Machine:
    """A plan made ready for a time step: delays in steps, the ports' most events in a step.

    `members`: the units that it steps; `order`: those, children before parents. `surrogate`: what
    stands for the jump of a condition that sends events, for gradients.
    """

    def __init__(
        self,
        plan: Plan,
        dt: float,
        members: Iterable[int] | None = None,
        surrogate: Surrogate | None = None,
    ):
        self.plan, self.dt, self.surrogate = plan, dt, surrogate
        self.members = frozenset(range(len(plan.units)) if members is None else members)
        self.order = [i for i in plan.order if i in self.members]
        self.wires: list[Wire] = []
        self.heard: dict[Name, int | None] = {}
        self.instant: dict[Name, list[Wire]] = {}
        self.delayed: list[Wire] = []
        self.horizon: dict[Name, int] = {}
        self.ports: dict[Name, Any] = {}
        for number, link in enumerate(plan.links):
            if not _hears(plan, link) or link.target not in self.members:
                continue
            exact = np.rint(link.delays / dt)
            if exact.max(initial=0.0) * plan.units[link.source].size > RING_LIMIT:
                name = plan.units[link.target].path
                raise ValueError(
                    f"run: a delay of {link.delays.max():g} to '{name}' is {exact.max():.3g} steps "
                    f"of {dt:g}: too long a past to keep; take a shorter delay or a larger step."
                )
            steps = exact.astype(np.int32)
            late = steps > 0
            for kind, where in enumerate((late, ~late)):
                if where.any():
                    self._wire(_part(link, where), steps[where], 2 * number + kind)
            self._open(link)
        self.most = {port: self._most(port, ()) for port in self.ports}

    def _wire(self, link: LinkPlan, steps: np.ndarray, number: int) -> None:
        wire = Wire(self.plan, link, steps, number)
        self.wires.append(wire)
        if not steps.any():
            self.instant.setdefault(wire.source, []).append(wire)
        else:
            self.delayed.append(wire)
            most = max(self.horizon.get(wire.source, 0), int(steps.max()))
            self.horizon[wire.source] = most

    def _open(self, link: LinkPlan) -> None:
        """Note what waits at the target of a link: numbers of events, or additions to a pool."""
        pool = self.plan.units[link.target].pool
        if pool is None:
            self.ports[link.target, link.target_port] = jnp.int32
        else:
            for name in pool.increments[link.target_port]:
                self.ports[link.target, f"{link.target_port}.{name}"] = float

    def amounts(self, params: Params) -> dict[int, dict[str, Any]]:
        """What an event adds to pools, by the wires' numbers."""
        return {wire.number: wire.amounts(params, self.plan) for wire in self.wires}

    def parts(self, recorded: Iterable[Recorded]) -> "list[Machine]":
        """Machines of the parts of the network that do not depend on each other.

        XLA runs a small loop several times faster, so unconnected cells had better be apart.
        """
        groups = unconnected(self.plan, recorded)
        if len(groups) == 1 or len(groups) > PARTS:
            return [self]
        return [Machine(self.plan, self.dt, group) for group in groups]

    def sends(self, unit: int, port: str) -> int | None:
        """The most events that an instance can send from a port in a step; None is unknown."""
        return self._sends(unit, port, ())

    def _most(self, port: Name, path: tuple[Name, ...]) -> int | None:
        """The most events that one instance can hear in one step; None where it is not known."""
        if port in path:
            return None
        if port not in self.heard:
            self.heard[port] = self._count_heard(port, path)
        return self.heard[port]

    def _count_heard(self, port: Name, path: tuple[Name, ...]) -> int | None:
        total = 0
        for link in self.plan.links:
            if (link.target, link.target_port) != port or not len(link.targets):
                continue
            degree = int(np.bincount(link.targets).max())
            each = self._sends(link.source, link.source_port, (*path, port))
            if each is None:
                return None
            total += degree * each
        return total

    def _sends(self, unit: int, port: str, path: tuple[Name, ...]) -> int | None:
        mine = self.plan.units[unit]
        total = 0
        for phase in (mine.base, *mine.regimes):
            handled = [a for one in phase.on_conditions for a in one.actions] + [*phase.on_entry]
            total += sum(isinstance(a, Emit) and a.port == port for a in handled)
            for one in phase.on_events:
                relays = sum(isinstance(a, Emit) and a.port == port for a in one.actions)
                heard = self._most((unit, one.port), path) if relays else 0
                if heard is None:
                    return None
                total += relays * heard
        return total

    def arrivals(
        self, state: NetworkState, amounts: Mapping[int, dict[str, Any]]
    ) -> dict[Name, Array]:
        """The events that wait, and those whose delay is over now."""
        pending = dict(state.pending)
        for wire in self.delayed:
            for target, arriving in wire.arriving(wire.delayed(state), amounts):
                pending[target] = pending[target] + arriving
        return pending

    def pushed(self, state: NetworkState, emitted: Mapping[Name, Array]) -> dict[Name, Array]:
        """The rings with the events of this step."""
        sent = {}
        for key, ring in state.sent.items():
            row = emitted.get(key, jnp.zeros(ring.shape[1], ring.dtype)).astype(ring.dtype)
            sent[key] = ring.at[state.steps % ring.shape[0]].set(row)
        return sent

    def constants(self, params: Params) -> dict[Name, Any]:
        """The derived values that do not change in time."""
        values = Values(self.plan, params, {}, 0.0)
        return {name: values.get(*name) for name in sorted(self.plan.constant)}

    def start(self, params: Params, constants: Mapping[Name, Any], key: Array | None):
        """The state at t = 0: OnStart, whatever the order in which its values need each other."""
        plan = self.plan
        values = _Start(plan, params, constants, jnp.zeros(()), key)
        states = {}
        for i, unit in enumerate(plan.units):
            for name, variable in unit.variables.items():
                if isinstance(variable, State):
                    states[i, name] = values.full(i, values.get(i, name))
        for unit in plan.units:
            for scheme in unit.schemes:
                for k, node in enumerate(scheme.nodes):
                    size = plan.units[node].size
                    states[node, scheme.state] = jnp.full((size,), 1.0 if k == 0 else 0.0)
        values = Values(plan, params, {**constants, **states}, jnp.zeros(()), key)
        pending = {
            name: jnp.zeros(plan.units[name[0]].size, self.ports[name])
            for name in sorted(self.ports)
        }
        state = NetworkState(
            states,
            {
                i: jnp.full(unit.size, unit.initial_regime, jnp.int32)
                for i, unit in enumerate(plan.units)
                if unit.regimes
            },
            pending,
            {
                n: jnp.zeros((steps + 1, plan.units[n[0]].size), jnp.int32)
                for n, steps in sorted(self.horizon.items())
            },
            {name: values.full(name[0], values.get(*name)) for name in plan.early},
            jnp.zeros((), jnp.int32),
            jnp.zeros(()),
            self.dt,
        )
        return self._entered_first(state, values)

    def _entered_first(self, state: NetworkState, values: Values) -> NetworkState:
        """The initial regimes' OnEntry."""
        moment = Moment(self, values, state, self.amounts(values.params))
        for i, unit in enumerate(self.plan.units):
            if unit.regimes and unit.regimes[unit.initial_regime].on_entry:
                everywhere = jnp.ones(unit.size, bool)
                moment.act(i, unit.regimes[unit.initial_regime].on_entry, everywhere)
        states = {name: values.known[name] for name in state.states}
        # What they send counts as sent in the step before the first.
        sent = self.pushed(replace(state, steps=state.steps - 1), moment.emitted)
        return eqx.tree_at(
            lambda s: (s.states, s.pending, s.sent), state, (states, moment.pending, sent)
        )


class _Start(Values):
    """Values in which a state is what OnStart says: assignments in document order, from 0.

    What an assignment needs from other components is asked for, whatever their order; what needs
    itself is 0.
    """

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.given = frozenset(self.known)

    def compute(self, unit: int, name: str) -> Any:
        if not isinstance(self.plan.units[unit].variables[name], State):
            return super().compute(unit, name)
        self.begin(unit)
        return self.known[unit, name]

    def forget(self) -> None:
        """Drop what was computed from states that have changed since."""
        for i, name in list(self.known):
            if (i, name) not in self.given:
                if not isinstance(self.plan.units[i].variables[name], State):
                    del self.known[i, name]

    def begin(self, unit: int) -> None:
        """Carry out a unit's OnStart."""
        mine = self.plan.units[unit]
        for name, variable in mine.variables.items():
            if isinstance(variable, State):
                self.known[unit, name] = self.full(unit, 0.0)
        for assign in mine.on_start:
            self.forget()
            self.known[unit, assign.variable] = self.full(unit, self.formula(unit, assign.value))


def _hears(plan: Plan, link: LinkPlan) -> bool:
    """Whether the target does anything with the events."""
    unit = plan.units[link.target]
    phases = (unit.base, *unit.regimes)
    return any(one.port == link.target_port and one.actions for p in phases for one in p.on_events)


def _part(link: LinkPlan, where: np.ndarray) -> LinkPlan:
    if where.all():
        return link
    return replace(
        link,
        sources=link.sources[where],
        targets=link.targets[where],
        delays=link.delays[where],
        synapses=None if link.synapses is None else link.synapses[where],
    )


def _is_soft(where: Array) -> bool:
    """Whether it is a number, 0 or 1, that has a slope."""
    return jnp.issubdtype(where.dtype, jnp.floating)


def _and(where: Array, active: Array) -> Array:
    return jnp.where(active, where, 0.0) if _is_soft(where) else where & active


def _chosen(where: Array, value: Array, other: Array) -> Array:
    """What is assigned where a condition holds. Only events that are sent have the slope: through
    the resets of step after step it would multiply to numbers without meaning."""
    return jnp.where(where > 0.5 if _is_soft(where) else where, value, other)


def _margin(one: OnCondition) -> Formula | None:
    """By how much a threshold is passed; None for other conditions, and those that send nothing."""
    test = one.test.expression
    if not any(isinstance(action, Emit) for action in one.actions):
        return None
    if isinstance(test, sympy.StrictGreaterThan | sympy.GreaterThan):
        high, low = test.args
    elif isinstance(test, sympy.StrictLessThan | sympy.LessThan):
        low, high = test.args
    else:
        return None
    with as_written():
        return Formula(high - low, one.test.reads)  # type: ignore[operator]
