"""Statements for what happens in a step: events, assignments, conditions and regimes.

The counterpart of the engine's `Moment`, in text and in the same order.
"""

from collections.abc import Callable, Mapping, Sequence

from .engine import UNROLLED
from .module_names import Inner, Shared
from .module_values import Text, Writer, listed
from .plan import Action, Assign, Emit, Enter, OnEvent, Phase
from .values import Name
from .wires import Wire


class MomentWriter:
    """A step in the making, in text: values, regimes and events as they change within it."""

    def __init__(self, shared: Shared, values: Writer):
        self.shared, self.plan, self.values = shared, shared.plan, values
        self.regimes: dict[int, str] = {}
        self.pending: dict[Name, str | None] = {name: None for name in sorted(self.ports)}
        self.emitted: dict[Name, str] = {}
        self.entering: dict[int, str] = {}
        self.turned: set[int] = set()
        self.outgoing: dict[str, str] | None = None  # what is sent while events act in turn

    @property
    def ports(self) -> Mapping[Name, object]:
        return self.shared.machine.ports

    # Events.

    def take(self, unit: int) -> dict[str, str]:
        """The events that have arrived at a unit, by port; they wait no longer."""
        self.turned.add(unit)
        found = {port: name for (i, port), name in self.pending.items() if i == unit and name}
        for port in found:
            self.pending[unit, port] = None
        return found

    def send(self, unit: int, port: str, count: str) -> None:
        """Events leave a port; those without delay arrive at once."""
        if self.outgoing is not None:
            self.values.put(self.outgoing[port], f"{self.outgoing[port]} + {count}")
            return
        key = (unit, port)
        mine = self.shared.inner(unit, Inner.OUT, port)
        if key in self.emitted:
            here = self.values.names.numbered(f"{mine}_more")
            self.values.put(here, count)
            self.values.put(mine, f"{mine} + {here}")
        else:
            here = mine
            self.values.put(mine, count)
        self.emitted[key] = mine
        for wire in self.shared.machine.instant.get(key, ()):
            come = here
            if not wire.is_plain(self.plan.units[unit].size):
                places = self.shared.array(f"{mine}_sources", wire.sources)
                come = f"{here}[{places}]"
            self.arrive(wire, come)

    def arrive(self, wire: Wire, come: str) -> None:
        """Add what comes along connections to what waits at their targets."""
        target, port = wire.link.target, wire.link.target_port
        pool = self.plan.units[target].pool
        if pool is None:
            self.wait(target, port, self.summed(wire, come))
            return
        for name, formula in pool.increments.get(port, {}).items():
            amount = self.values.formula(target, formula).source
            prefix = self.shared.prefixes[target]
            if formula.reads:
                target_name = self.values.names.numbered(f"{prefix}_{name}_adds")
                self.values.put(target_name, amount)
                amount = target_name
                if wire.link.synapses is not None:
                    places = self.shared.array(f"{prefix}_synapses", wire.link.synapses)
                    amount = f"at({amount}, {places})"
            added = f"{come}.astype(float) * {amount}"
            self.wait(target, f"{port}.{name}", self.summed(wire, added))

    def summed(self, wire: Wire, value: str) -> str:
        """A value per connection as one per target."""
        if wire.sums.plain:
            return value
        prefix = self.shared.prefixes[wire.link.target]
        return f"summed({value}, {self.shared.array(f'{prefix}_targets', wire.link.targets)}, " + (
            f"{wire.size})"
        )

    def wait(self, unit: int, port: str, come: str) -> None:
        when = Inner.WAITING if unit in self.turned else Inner.COME
        name = self.shared.inner(unit, when, port)
        before = self.pending[unit, port]
        self.values.put(name, come if before is None else f"{before} + {come}")
        self.pending[unit, port] = name

    def hear(self, unit: int, come: Mapping[str, str]) -> None:
        """Act on the events that have come."""
        mine = self.plan.units[unit]
        if mine.pool is not None:
            for port, increments in mine.pool.increments.items():
                for name in increments:
                    if (key := f"{port}.{name}") in come:
                        old = self.values.get(unit, name)
                        self.set(unit, name, f"{old.source} + {come[key]}")
            return
        if mine.regimes:
            for port in mine.in_ports:
                if port in come:
                    self.hear_in_turn(unit, port, come[port])
            return
        for one in mine.base.on_events:
            if one.port in come:
                self.act_on_events(unit, one, come[one.port])

    def hear_in_turn(self, unit: int, port: str, count: str) -> None:
        """Act on the events of a port one after the other, since each may change the regime."""
        mine, prefix = self.plan.units[unit], self.shared.prefixes[unit]
        phases = ((None, mine.base), *enumerate(mine.regimes))
        handlers = [(k, one) for k, phase in phases for one in phase.on_events if one.port == port]
        entries = [action for regime in mine.regimes for action in regime.on_entry]
        actions = [action for _, one in handlers for action in one.actions] + entries
        ports = dict.fromkeys(action.port for action in actions if isinstance(action, Emit))
        if not handlers:
            return
        sent = {}
        for name in ports:
            sent[name] = self.values.names.numbered(f"{prefix}_{name}_in_turn")
            self.values.put(sent[name], f"jnp.zeros_like({count})")

        def once(acts: str) -> None:
            self.outgoing = sent
            for k, one in handlers:
                where = acts
                if k is not None:
                    where = self.values.names.numbered(f"{prefix}_hears")
                    said = mine.regime_names[k]
                    self.values.put(where, f"{acts} & ({self.regimes[unit]} == {k})", said)
                self.act(unit, one.actions, where)
            self.entered(unit)
            self.outgoing = None

        assigns = [action for action in actions if isinstance(action, Assign)]
        bound = self.shared.machine.most.get((unit, port))
        carried = [self.regimes[unit], *sent.values()]
        self.repeat(unit, assigns, count, bound, once, carried)
        for name, total in sent.items():
            self.send(unit, name, total)

    def act_on_events(self, unit: int, one: OnEvent, count: str) -> None:
        """n events act n times."""
        assigns = [action for action in one.actions if isinstance(action, Assign)]
        bound = self.shared.machine.most.get((unit, one.port))

        def once(acts: str) -> None:
            for assign in assigns:
                self.assign(unit, assign, acts)

        if assigns:
            self.repeat(unit, assigns, count, bound, once, [])
        for action in one.actions:
            if isinstance(action, Emit):
                self.send(unit, action.port, count)
            elif isinstance(action, Enter):
                self.enter(unit, action.regime, f"{count} > 0")

    def repeat(
        self,
        unit: int,
        assigns: Sequence[Assign],
        count: str,
        bound: int | None,
        once: Callable[[str], None],
        carried: Sequence[str],
    ) -> None:
        """Write what `once` does for each event; in a loop where there may be several.

        `assigns`: all that may be assigned on the way; `carried`: what else changes.
        """
        values, prefix = self.values, self.shared.prefixes[unit]
        if bound == 0:
            return
        acts = values.names.numbered(f"{prefix}_acts")
        if bound == 1:
            values.put(acts, f"{count} > 0")
            once(acts)
            return
        for name in dict.fromkeys(name for assign in assigns for name in assign.value.reads):
            values.get(unit, name)
        turn, margin = values.names.numbered("turn"), values.margin
        hear, held = "", ""
        if bound is not None and bound <= UNROLLED:
            values.write(f"for {turn} in range({bound}):  # at most so many events in a step")
        else:
            names = dict.fromkeys(assign.variable for assign in assigns)
            held = listed([*(values.get(unit, name).source for name in names), *carried])
            hear = values.names.numbered(f"{prefix}_hear")
            values.write("", f"def {hear}({turn}, held):  # one more event, where there are more")
            values.write(f"    {held} = held")
        values.gathers, values.margin, values.turn = {}, margin + "    ", turn
        values.put(acts, f"{count} > {turn}")
        once(acts)
        if hear:
            values.write(f"return {held}", "")
        values.gathers, values.margin, values.turn = {}, margin, ""
        if hear:
            values.put(held, f"jax.lax.fori_loop(0, jnp.max({count}), {hear}, {held})")

    # Assignments and regimes.

    def set(self, unit: int, name: str, source: str) -> None:
        """Give a state variable a value, one number per instance."""
        target = self.shared.name(unit, name)
        self.values.put(target, source)
        self.values.known[unit, name] = Text(target, self.plan.units[unit].size)

    def assign(self, unit: int, assign: Assign, where: str | None) -> None:
        value = self.values.formula(unit, assign.value)
        if where is None:
            self.set(unit, assign.variable, self.values.full(unit, value))
            return
        old = self.values.get(unit, assign.variable)
        self.set(unit, assign.variable, f"jnp.where({where}, {value.source}, {old.source})")

    def act(self, unit: int, actions: Sequence[Action], where: str | None) -> None:
        """Actions in document order, on the instances where the condition holds; None is all."""
        size = self.plan.units[unit].size
        for action in actions:
            match action:
                case Assign():
                    self.assign(unit, action, where)
                case Emit() if where is None:
                    self.send(unit, action.port, f"jnp.ones({size}, jnp.int32)")
                case Emit():
                    self.send(unit, action.port, f"{where}.astype(jnp.int32)")
                case Enter():
                    self.enter(unit, action.regime, where or f"jnp.ones({size}, bool)")

    def enter(self, unit: int, regime: int, where: str) -> None:
        target = self.shared.inner(unit, Inner.NEXT_REGIME)
        otherwise = self.entering.get(unit, "-1")
        comment = f"{self.plan.units[unit].regime_names[regime]}"
        self.values.put(target, f"jnp.where({where}, {regime}, {otherwise})", comment)
        self.entering[unit] = target

    def entered(self, unit: int) -> None:
        """Make the transitions of this turn, with what is done on entry."""
        target = self.entering.pop(unit, None)
        if target is None:
            return
        mine = self.regimes[unit]
        self.values.put(mine, f"jnp.where({target} >= 0, {target}, {mine})")
        for k, regime in enumerate(self.plan.units[unit].regimes):
            if regime.on_entry:
                where = self.values.names.numbered(f"{self.shared.prefixes[unit]}_entered")
                self.values.put(where, f"{target} == {k}", self.plan.units[unit].regime_names[k])
                self.act(unit, regime.on_entry, where)

    def test(self, unit: int, phase: Phase, active: str | None) -> None:
        """Act where conditions hold, one condition after another."""
        for one in phase.on_conditions:
            where = self.values.condition(unit, one.test)
            if active is not None:
                self.values.put(where, f"{where} & {active}")
            self.act(unit, one.actions, where)
