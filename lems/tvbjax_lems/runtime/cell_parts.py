"""A synapse taken apart: what a cell's synapses have in common, and what each connection remembers.

States that a cell hears the sum of, linear and with spikes that add to them, are kept once per cell
(see `pool`). Others that nobody else reads - a plastic weight, a trace, how much transmitter is
left - are the connection's memory, and may decide how much a spike adds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy

from ..algebra import as_written, symbol
from .formulas import Formula
from .plan import Action, Assign, Computed, Elsewhere, OnEvent, Parameter, Selected, State, UnitPlan
from .pool import is_linear, written_out

POST = "post"  # the port at which a synapse hears the spikes of the cell that it is on


class CellError(Exception):
    """What keeps a component from being a cell's synapse, and a hint."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, eq=False)
class Memory:
    """What a connection remembers. `unit`: its states; what others read of it is not there.

    `arriving`, `returning`: what a spike of the sender's and one of the receiver's do, in order; an
    assignment to a state that is not the memory's is an amount that is added to the cell's.
    """

    unit: UnitPlan
    arriving: tuple[Assign, ...]
    returning: tuple[Assign, ...]


@dataclass(frozen=True, eq=False)
class Receptor:
    """Where spikes arrive: a port of a synapse of the cell's, or of the cell itself.

    `weight`: the Property that connections set, "" for none. `added`: what a spike adds to each
    state of the unit. `regime`: in which regime of the cell's it is heard, None always. `memory`:
    what each connection remembers; then `added` is in its states, too.
    """

    name: str
    unit: int
    port: str
    weight: str
    added: Mapping[str, Formula]
    regime: int | None = None
    memory: Memory | None = None


def parted(name: str, number: int, unit: UnitPlan, read: set[str]) -> tuple[UnitPlan, Receptor]:
    """A synapse's unit as kept once per cell, and how spikes act on it. Raises CellError."""
    phase = unit.base
    if unit.regimes or unit.schemes or phase.on_conditions:
        raise CellError("it has regimes, conditions or kinetic schemes of its own")
    for key, variable in unit.variables.items():
        inner = isinstance(variable, Elsewhere) and variable.index is None
        if inner or isinstance(variable, Selected):
            raise CellError(f"'{key}' is read in a component that is part of it")
    port = _arrival_port(unit)
    weight = _weight(unit)
    common = _common(unit, read)
    remembered = {n for n, v in unit.variables.items() if isinstance(v, State)} - common
    _check_common(unit, common, remembered | {weight}, read)
    arriving = _assigns(phase.on_events, port)
    added = {a.variable: _amount(a, unit, common) for a in arriving if a.variable in common}
    plain = _without(unit, remembered, common)
    if not remembered:
        return plain, Receptor(name, number, port, weight, added)
    returning = tuple(_assigns(phase.on_events, POST))
    if any(assign.variable in common for assign in returning):
        raise CellError(f"an event at '{POST}' changes what the cell reads")
    scoped = tuple(
        Assign(a.variable, _amount(a, unit, common)) if a.variable in common else a
        for a in arriving
    )
    for one in (*scoped, *returning, *(f for n, f in phase.derivatives if n in remembered)):
        formula = one.value if isinstance(one, Assign) else one
        whole = written_out(formula, unit.variables)
        if whole is None or {symbol(n) for n in common} & whole.free_symbols:
            raise CellError("what a connection remembers depends on what the cell hears the sum of")
    memory = Memory(_without(unit, common, remembered), scoped, returning)
    return plain, Receptor(name, number, port, weight, added, memory=memory)


def own_receptor(port: str, number: int, unit: UnitPlan) -> Receptor | None:
    """The receptor that a cell's own port is, None where nothing is done. Raises CellError."""
    phases = ((None, unit.base), *enumerate(unit.regimes))
    heard = [(k, one) for k, phase in phases for one in phase.on_events if one.port == port]
    if not heard:
        return None
    if len(heard) > 1:
        raise CellError(f"events at '{port}' are heard in more than one OnEvent")
    regime, one = heard[0]
    assigns = _assigns([one], port)
    states = {n for n, v in unit.variables.items() if isinstance(v, State)}
    added = {a.variable: _amount(a, unit, states) for a in assigns}
    return Receptor(port, number, port, _weight(unit), added, regime)


def _arrival_port(unit: UnitPlan) -> str:
    ports = [port for port in unit.in_ports if port != POST]
    if len(ports) != 1:
        found = ", ".join(f"'{port}'" for port in ports) or "none"
        raise CellError(
            f"it has the event ports {found}", f"one port for what arrives, and perhaps '{POST}'"
        )
    return ports[0]


def _weight(unit: UnitPlan) -> str:
    if len(unit.properties) > 1:
        names = ", ".join(unit.properties)
        raise CellError(f"it has more than one Property ({names})", "keep that of the weight")
    return unit.properties[0] if unit.properties else ""


def _assigns(handlers: Iterable[OnEvent], port: str) -> list[Assign]:
    actions: list[Action] = [a for one in handlers if one.port == port for a in one.actions]
    found = [action for action in actions if isinstance(action, Assign)]
    if len(found) < len(actions):
        raise CellError(f"an event at '{port}' does more than assign to states")
    return found


def _common(unit: UnitPlan, read: set[str]) -> set[str]:
    """The states that others read, at once or by what these depend on."""
    states = {n for n, v in unit.variables.items() if isinstance(v, State)}
    slopes = dict(unit.base.derivatives)
    found: set[str] = set()
    rest = [Formula(symbol(name), (name,)) for name in sorted(read)]
    while rest:
        whole = written_out(rest.pop(), unit.variables)
        if whole is None:
            raise CellError("what the cell reads of it draws random numbers, or is too long")
        new = {str(one) for one in whole.free_symbols} & states - found
        found |= new
        rest += [slopes[name] for name in sorted(new) if name in slopes]
    return found


def _check_common(unit: UnitPlan, common: set[str], private: set[str], read: set[str]) -> None:
    """Raise CellError unless the sum over synapses obeys the equations of each."""
    apart = {symbol(name) for name in private}
    symbols = {symbol(name) for name in common}
    formulas = [formula for name, formula in unit.base.derivatives if name in common]
    formulas += [Formula(symbol(name), (name,)) for name in sorted(read)]
    for formula in formulas:
        whole = written_out(formula, unit.variables)
        if whole is None or not is_linear(whole, symbols, apart):
            raise CellError(
                "what the cell reads of it is not linear in its states, or depends on the weight",
                "let spikes add weight * something to a state that decays",
            )
    for assign in unit.on_start:
        if assign.variable in common and assign.value.expression != 0:
            raise CellError(f"its state '{assign.variable}' does not start from 0")


def _amount(assign: Assign, unit: UnitPlan, common: set[str]) -> Formula:
    """What an assignment adds to its state."""
    whole = written_out(assign.value, unit.variables)
    if whole is None:
        raise CellError(f"what a spike does to '{assign.variable}' draws random numbers")
    with as_written():
        amount = sympy.expand(whole - symbol(assign.variable))  # type: ignore[operator]
    if {symbol(name) for name in common} & amount.free_symbols:
        raise CellError(
            f"a spike does not add to '{assign.variable}', it sets it, or depends on other states"
        )
    return Formula(amount, tuple(sorted(str(one) for one in amount.free_symbols)))


def _without(unit: UnitPlan, dropped: set[str], kept: set[str]) -> UnitPlan:
    """The unit without some of its states, and without what is computed from them."""
    gone = set(dropped)
    for _ in unit.variables:
        more = {
            name
            for name, variable in unit.variables.items()
            if isinstance(variable, Computed) and gone & set(variable.formula.reads)
        }
        gone |= more
    phase = replace(
        unit.base,
        derivatives=tuple((n, f) for n, f in unit.base.derivatives if n in kept),
        on_events=(),
    )
    return replace(
        unit,
        variables={n: v for n, v in unit.variables.items() if n not in gone},
        derived=tuple(name for name in unit.derived if name not in gone),
        on_start=tuple(assign for assign in unit.on_start if assign.variable in kept),
        base=phase,
    )


def parameters_of(units: Iterable[UnitPlan]) -> dict[str, dict[str, Parameter]]:
    """The parameters of units by path and name, those that are exponents left out."""
    found: dict[str, dict[str, Parameter]] = {}
    for unit in units:
        own = {
            name: variable
            for name, variable in unit.variables.items()
            if isinstance(variable, Parameter) and name not in unit.exponents
        }
        found.setdefault(unit.path, {}).update(own)
    return found
