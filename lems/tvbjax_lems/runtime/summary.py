"""A network in words: what it is made of, and the equations of each type in it."""

from collections.abc import Iterable, Sequence

import sympy

from ..describe import expression_text
from .formulas import Formula
from .network import Network
from .plan import (
    Action,
    Assign,
    Computed,
    Elsewhere,
    Emit,
    Enter,
    Parameter,
    Phase,
    Plan,
    Selected,
    State,
    UnitPlan,
)

Row = tuple[str, ...]


def network_components(network: Network) -> list[Row]:
    """Path, type, number of instances, states and parameters of each component."""
    rows = []
    for unit in in_order(network.plan):
        states = [name for name, v in unit.variables.items() if isinstance(v, State)]
        params = network.params.get(unit.path, {})
        shown = [_value(name, params[name], unit) for name in params]
        size = str(unit.size) if unit.pool is None else f"{unit.pool.size} kept as {unit.size}"
        rows.append((unit.path, unit.type, size, ", ".join(states), ", ".join(shown)))
    return rows


def network_connections(network: Network) -> list[Row]:
    """Source, target, number and delays of the connections that carry events."""
    plan = network.plan
    rows = []
    for link in plan.links:
        source, target = plan.units[link.source], plan.units[link.target]
        low, high = float(link.delays.min()), float(link.delays.max())
        delays = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        rows.append(
            (
                f"{source.path}/{link.source_port}",
                f"{target.path}/{link.target_port}",
                str(len(link.sources)),
                delays,
            )
        )
    return rows


def network_equations(network: Network) -> str:
    """The equations of each type in the network as text, and what happens on events."""
    lines: list[str] = []
    seen: set[str] = set()
    for unit in in_order(network.plan):
        if unit.type not in seen:
            seen.add(unit.type)
            body = list(_equations(network.plan, unit))
            if body:
                lines += [f"{unit.type}  (as of {unit.path})", *(f"  {line}" for line in body), ""]
    return "\n".join(lines)


def in_order(plan: Plan) -> list[UnitPlan]:
    """Components, each before those that it is made of."""
    return [plan.units[i] for i in reversed(plan.order)]


def _value(name: str, value, unit: UnitPlan) -> str:
    suffix = unit.units.get(name, "")
    if value.ndim:
        return f"{name} = {float(value.min()):g} to {float(value.max()):g} {suffix}".rstrip()
    return f"{name} = {float(value):g} {suffix}".rstrip()


def _equations(plan: Plan, unit: UnitPlan) -> Iterable[str]:
    for name, variable in unit.variables.items():
        text = _variable(plan, name, variable)
        if text and (name in unit.derived or not isinstance(variable, Parameter)):
            yield text + _unit(unit, name)
    if unit.on_start:
        yield f"at the start: {_actions(unit, unit.on_start)}"
    yield from _phase(unit, unit.base, "")
    for name, regime in zip(unit.regime_names, unit.regimes, strict=True):
        yield f"in {name}:"
        yield from _phase(unit, regime, "  ")
    for scheme in unit.schemes:
        yield f"{len(scheme.nodes)} states of a Markov chain with {len(scheme.edges)} transitions"


def _variable(plan: Plan, name: str, variable: object) -> str:
    match variable:
        case Computed(formula=formula):
            return f"{name} = {_text(formula)}"
        case Elsewhere(unit=i, name=other):
            return f"{name} = {other} of {plan.units[i].path}"
        case Selected(sources=sources, reduce=reduce):
            kinds = [f"{plan.units[s.unit].path}/{s.name}" for s in sources]
            what = "product" if reduce == "multiply" else "sum"
            if not kinds:
                return f"{name} = {1 if reduce == 'multiply' else 0}"
            return f"{name} = {what} of {_listed(kinds)}"
        case _:
            return ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _phase(unit: UnitPlan, phase: Phase, margin: str) -> Iterable[str]:
    for name, formula in phase.derivatives:
        yield f"{margin}d{name}/dt = {_text(formula)}"
    if phase.on_entry:
        yield f"{margin}on entry: {_actions(unit, phase.on_entry)}"
    for one in phase.on_conditions:
        yield f"{margin}when {_text(one.test)}: {_actions(unit, one.actions)}"
    for one in phase.on_events:
        yield f"{margin}on {one.port}: {_actions(unit, one.actions)}"


def _actions(unit: UnitPlan, actions: Sequence[Action]) -> str:
    said = []
    for action in actions:
        match action:
            case Assign(variable=name, value=value):
                said.append(f"{name} := {_text(value)}")
            case Emit(port=port):
                said.append(f"send {port}")
            case Enter(regime=regime):
                said.append(f"go to {unit.regime_names[regime]}")
    return "; ".join(said) or "nothing"


def _unit(unit: UnitPlan, name: str) -> str:
    text = unit.units.get(name, "")
    return f"   [{text}]" if text else ""


def _text(formula: Formula) -> str:
    drawn = {
        s: sympy.Symbol("random(1)")
        for s in formula.expression.free_symbols
        if str(s) in formula.draws
    }
    return expression_text(formula.expression.xreplace(drawn))
