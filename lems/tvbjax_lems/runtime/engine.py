"""One step of a network, as a pure function of its state.

The parts of a step: events that arrive, derived values, derivatives, conditions, regimes. `Euler`
walks the units one after another, as PyLEMS does; the other methods take the whole network's
derivatives at once, between the events and the conditions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .plan import Action, Assign, Emit, Enter, LinkPlan, OnEvent, Phase, Plan, State
from .values import Name, Params, Values

UNROLLED = 4  # events of one port and step that are written out rather than looped over


class NetworkState(eqx.Module):
    """All that changes. Arrays have one number per instance.

    `regimes`: the active regime; `pending`: events that arrived and were not heard yet; `sent`:
    rings of the events sent in the last steps, (step, instance); `early`: derived values of the
    last step that the next one reads; `steps`: steps taken; `t`: the time.
    """

    states: dict[Name, Array]
    regimes: dict[int, Array]
    pending: dict[Name, Array]
    sent: dict[Name, Array]
    early: dict[Name, Array]
    steps: Int[Array, ""]
    t: Array


class Moment:
    """A step in the making: values, regimes and events as they change within it."""

    def __init__(
        self,
        machine: "Machine",
        values: Values,
        state: NetworkState,
        amounts: "Sequence[dict[str, Any]]",
    ):
        self.machine, self.values, self.amounts = machine, values, amounts
        self.regimes = dict(state.regimes)
        self.pending = dict(state.pending)
        self.emitted: dict[Name, Array] = {}
        self.entering: dict[int, Array] = {}

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
        key = (unit, port)
        self.emitted[key] = self.emitted[key] + count if key in self.emitted else count
        for link in self.machine.instant.get(key, ()):
            come = link.from_sources(count)
            for target, arriving in link.arriving(come, self.amounts):
                self.pending[target] = self.pending[target] + arriving

    def hear(
        self, unit: int, phase: Phase, come: Mapping[str, Array], active: Array | None
    ) -> None:
        """Act on the events that have come."""
        pool = self.machine.plan.units[unit].pool
        if pool is not None:
            for port, increments in pool.increments.items():
                for name, _ in increments:
                    if (key := f"{port}.{name}") in come:
                        self.values.known[unit, name] = self.values.get(unit, name) + come[key]
            return
        for one in phase.on_events:
            if one.port not in come:
                continue
            count = come[one.port]
            if active is not None:
                count = jnp.where(active, count, 0)
            self.act_on_events(unit, one, count)

    def act_on_events(self, unit: int, one: OnEvent, count: Array) -> None:
        """n events act n times."""
        assigns = [action for action in one.actions if isinstance(action, Assign)]
        bound = self.machine.most.get((unit, one.port))
        if assigns and bound is not None and bound <= UNROLLED:
            for i in range(bound):
                self.assign_all(unit, assigns, count > i)
        elif assigns:
            self.assign_repeatedly(unit, assigns, count)
        for action in one.actions:
            if isinstance(action, Emit):
                self.send(unit, action.port, count)
            elif isinstance(action, Enter):
                self.enter(unit, action.regime, count > 0)

    def assign_repeatedly(self, unit: int, assigns: Sequence[Assign], count: Array) -> None:
        names = list(dict.fromkeys(assign.variable for assign in assigns))
        held = {name: self.values.full(unit, self.values.get(unit, name)) for name in names}
        reads = {name for assign in assigns for name in assign.value.reads}
        for name in reads:
            self.values.get(unit, name)  # outside of the loop, so that it is not traced into it
        before = dict(self.values.known)

        def again(i: Array, now: dict[str, Array]) -> dict[str, Array]:
            for name, value in now.items():
                self.values.known[unit, name] = value
            self.assign_all(unit, assigns, count > i)
            found = {name: self.values.known[unit, name] for name in names}
            self.values.known = dict(before)
            return found

        after = jax.lax.fori_loop(0, jnp.max(count), again, held)
        self.values.known = before
        for name, value in after.items():
            self.values.known[unit, name] = value

    # Assignments and regimes.

    def assign_all(self, unit: int, assigns: Sequence[Assign], where: Array | None) -> None:
        for assign in assigns:
            self.assign(unit, assign, where)

    def assign(self, unit: int, assign: Assign, where: Array | None) -> None:
        value = self.values.full(unit, self.values.formula(unit, assign.value))
        if where is not None:
            value = jnp.where(where, value, self.values.get(unit, assign.variable))
        self.values.known[unit, assign.variable] = value

    def act(self, unit: int, actions: Sequence[Action], where: Array) -> None:
        """Actions in document order, on the instances where the condition holds."""
        for action in actions:
            match action:
                case Assign():
                    self.assign(unit, action, where)
                case Emit():
                    self.send(unit, action.port, where.astype(jnp.int32))
                case Enter():
                    self.enter(unit, action.regime, where)

    def enter(self, unit: int, regime: int, where: Array) -> None:
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
            where = jnp.broadcast_to(self.values.formula(unit, one.test), (size,))
            self.act(unit, one.actions, where if active is None else where & active)

    def active(self, unit: int, regime: int) -> Array:
        return self.regimes[unit] == regime


class Wire:
    """A link made ready for a time step: `steps` of delay, all 0 or none."""

    def __init__(self, plan: Plan, link: LinkPlan, steps: np.ndarray, number: int):
        self.link, self.steps, self.number = link, steps, number
        self.source = (link.source, link.source_port)
        self.sources = link.sources
        self.size = plan.units[link.target].size
        self.pool = plan.units[link.target].pool
        self.sums = Sums(link.targets, self.size)

    def from_sources(self, count: Array) -> Array:
        """The events of the sources, one number per connection."""
        if len(self.sources) == count.shape[0] and _is_range(self.sources):
            return count
        return count[self.sources]

    def delayed(self, state: NetworkState) -> Array:
        """The events whose delay is over now, one number per connection."""
        ring = state.sent[self.source]
        slots = (state.steps - self.steps) % ring.shape[0]
        return ring[slots, self.sources] * (state.steps >= self.steps)

    def arriving(
        self, come: Array, amounts: "Sequence[dict[str, Any]]"
    ) -> list[tuple[Name, Array]]:
        """What arrives at the targets: events, or, in a pool, what they add to each state."""
        target, port = self.link.target, self.link.target_port
        if self.pool is None:
            return [((target, port), self.sums(come))]
        mine = amounts[self.number]
        return [((target, f"{port}.{name}"), self.sums(come * mine[name])) for name in mine]

    def amounts(self, params: Params, plan: Plan) -> dict[str, Any]:
        """What one event of each connection adds to the states of a pool."""
        if self.pool is None:
            return {}
        values = Values(plan, params, {}, 0.0)
        found = {}
        for name, formula in self.pool.increments.get(self.link.target_port, ()):
            amount = jnp.asarray(values.formula(self.link.target, formula), float)
            amount = amount if amount.ndim == 0 else amount[self.link.synapses]
            found[name] = found[name] + amount if name in found else amount
        return found


class Sums:
    """Sums over connections by target: padded gathers where the targets have alike many."""

    def __init__(self, targets: np.ndarray, size: int):
        self.size, self.targets = size, targets
        self.plain = len(targets) == size and _is_range(targets)
        self.rows: np.ndarray | None = None
        degrees = np.bincount(targets, minlength=size) if len(targets) else np.zeros(size, int)
        widest = int(degrees.max(initial=0))
        if not self.plain and widest * size <= 3 * len(targets) + 64:
            order = np.argsort(targets, kind="stable")
            rows = np.full((size, widest), len(targets), np.int32)
            within = np.arange(len(targets)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
            rows[targets[order], within] = order
            self.rows = rows

    def __call__(self, value: Array) -> Array:
        """(connection,) to (target,)."""
        if self.plain:
            return value
        if self.rows is not None:
            padded = jnp.concatenate([value, jnp.zeros(1, value.dtype)])
            return padded[self.rows].sum(axis=1).astype(value.dtype)
        return jnp.zeros(self.size, value.dtype).at[self.targets].add(value)


def _is_range(index: np.ndarray) -> bool:
    return np.array_equal(index, np.arange(len(index)))


class Machine:
    """A plan made ready for a time step: delays in steps, the ports' most events in a step."""

    def __init__(self, plan: Plan, dt: float):
        self.plan, self.dt = plan, dt
        self.wires: list[Wire] = []
        self.instant: dict[Name, list[Wire]] = {}
        self.delayed: list[Wire] = []
        self.horizon: dict[Name, int] = {}
        self.ports: dict[Name, Any] = {}
        for link in plan.links:
            if not _hears(plan, link):
                continue
            steps = np.rint(link.delays / dt).astype(np.int32)
            late = steps > 0
            for where in (late, ~late):
                if where.any():
                    self._wire(_part(link, where), steps[where])
            self._open(link)
        self.most = {port: self._most(port, ()) for port in self.ports}

    def _wire(self, link: LinkPlan, steps: np.ndarray) -> None:
        wire = Wire(self.plan, link, steps, len(self.wires))
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
            for name, _ in pool.increments[link.target_port]:
                self.ports[link.target, f"{link.target_port}.{name}"] = float

    def amounts(self, params: Params) -> list[dict[str, Any]]:
        """What an event adds to pools, per wire."""
        return [wire.amounts(params, self.plan) for wire in self.wires]

    def _most(self, port: Name, path: tuple[Name, ...]) -> int | None:
        """The most events that one instance can hear in one step; None where it is not known."""
        if port in path:
            return None
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

    def arrivals(self, state: NetworkState, amounts: Sequence[dict[str, Any]]) -> dict[Name, Array]:
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
        return eqx.tree_at(lambda s: s.states, state, states)


class _Start(Values):
    """Values in which a state is what OnStart says, 0 where it says nothing or needs itself."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.asked: set[Name] = set()

    def compute(self, unit: int, name: str) -> Any:
        variable = self.plan.units[unit].variables[name]
        if not isinstance(variable, State):
            return super().compute(unit, name)
        if variable.start is None or (unit, name) in self.asked:
            return 0.0
        self.asked.add((unit, name))
        return self.formula(unit, variable.start)


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
