"""Pools: the synapses of one kind on a cell kept as one, where their sum obeys the same equations.

That is so where the derivatives and what others read are linear in the states, and an event adds to
the states an amount that does not depend on them. Then a million synapses cost what their cells do,
and an event costs one addition.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy

from ..algebra import as_written, symbol
from .formulas import Formula
from .plan import (
    Assign,
    Computed,
    Elsewhere,
    Index,
    LinkPlan,
    Parameter,
    Pool,
    Recorded,
    Selected,
    Source,
    State,
    UnitPlan,
    Variable,
)


@dataclass(frozen=True)
class Attached:
    """Where the instances of a unit are attached: the parent's id and instance of each."""

    parent: int
    index: np.ndarray


def pooled(
    units: Sequence[UnitPlan],
    links: Sequence[LinkPlan],
    attached: Mapping[int, Attached],
    recorded: Iterable[Recorded],
) -> tuple[tuple[UnitPlan, ...], tuple[LinkPlan, ...]]:
    """The units and links with all that can be pooled pooled."""
    readers = _readers(units)
    shown = {part.unit for one in recorded for part in one.parts}
    shown |= {link.source for link in links}
    chosen: dict[int, Attached] = {}
    changed = list(units)
    for i, place in attached.items():
        crowded = len(place.index) > len(np.unique(place.index))
        if i in shown or not crowded or not _sums_only(units, readers.get(i, ()), place):
            continue
        read = {name for _, source in readers.get(i, ()) for name in [source.name]}
        pool = _pool(units[i], read)
        if pool is None:
            continue
        chosen[i] = place
        changed[i] = _resized(units[i], pool, place, units[place.parent].size)
    final = [_reading(unit, chosen) for unit in changed]
    return tuple(final), tuple(_into_pool(link, chosen) for link in links)


def _readers(units: Sequence[UnitPlan]) -> dict[int, list[tuple[Variable, Source]]]:
    """Who reads each unit, other than itself."""
    found: dict[int, list[tuple[Variable, Source]]] = {}
    for unit in units:
        for variable in unit.variables.values():
            if isinstance(variable, Elsewhere):
                source = Source(variable.unit, variable.name, variable.index)
                found.setdefault(variable.unit, []).append((variable, source))
            elif isinstance(variable, Selected):
                for source in variable.sources:
                    found.setdefault(source.unit, []).append((variable, source))
    return found


def _sums_only(
    units: Sequence[UnitPlan], readers: Iterable[tuple[Variable, Source]], place: Attached
) -> bool:
    """Whether all that reads a unit is its cells' sums."""
    for variable, source in readers:
        if not (isinstance(variable, Selected) and variable.reduce == "add"):
            return False
        same = source.index is not None and np.array_equal(source.index, place.index)
        if not same or variable.size != units[place.parent].size:
            return False
    return True


def _pool(unit: UnitPlan, read: set[str]) -> Pool | None:
    """The pool of a unit whose names `read` are summed; None where its states do not add up."""
    phase = unit.base
    names = unit.variables
    states = {name for name, variable in names.items() if isinstance(variable, State)}
    plain = not (unit.regimes or unit.schemes or phase.on_conditions)
    if not (plain and states and phase.on_events):
        return None
    if any(isinstance(variable, Selected) for variable in names.values()):
        return None
    if any(isinstance(v, Elsewhere) and v.index is None for v in names.values()):
        return None  # of a child or peer, one for each synapse
    if any(assign.value.expression != 0 for assign in unit.on_start):
        return None
    private = {n for n, v in names.items() if isinstance(v, Parameter) and v.value.ndim}
    symbols = {symbol(name) for name in states}
    outputs = [formula for _, formula in phase.derivatives]
    outputs += [Formula(symbol(name), (name,)) for name in read]
    for formula in outputs:
        whole = written_out(formula, names)
        if whole is None or not is_linear(whole, symbols, {symbol(n) for n in private}):
            return None
    increments: dict[str, dict[str, Formula]] = {}
    for one in phase.on_events:
        mine = increments.setdefault(one.port, {})
        for action in one.actions:
            amount = _increment(action, names, symbols) if isinstance(action, Assign) else None
            if amount is None or not isinstance(action, Assign):
                return None
            before = mine.get(action.variable)
            mine[action.variable] = _sum(before, amount) if before else amount
    return Pool(unit.size, increments)


def _sum(one: Formula, other: Formula) -> Formula:
    with as_written():
        whole: sympy.Basic = one.expression + other.expression  # pyright: ignore[reportOperatorIssue]
    return Formula(whole, tuple(sorted({*one.reads, *other.reads})))


def written_out(formula: Formula, names: Mapping[str, Variable]) -> sympy.Basic | None:
    """The formula with derived variables replaced by their own; None where it draws or is long."""
    whole, drawn = formula.expression, bool(formula.draws)
    for _ in range(50):
        inner = {}
        for one in whole.free_symbols:
            variable = names.get(str(one))
            if isinstance(variable, Computed):
                inner[one] = variable.formula.expression
                drawn = drawn or bool(variable.formula.draws)
        if drawn or whole.count_ops() > 500:
            return None
        if not inner:
            return whole
        with as_written():
            whole = whole.xreplace(inner)
    return None


def is_linear(whole: sympy.Basic, states: set[sympy.Symbol], private: set[sympy.Symbol]) -> bool:
    """Whether it is a sum of states times what is the same for all synapses of a cell."""
    if whole.has(sympy.Piecewise) or private & whole.free_symbols:
        return False
    slopes = [sympy.diff(whole, one) for one in states & whole.free_symbols]
    if any(sympy.expand(slope).free_symbols & states for slope in slopes):
        return False
    return sympy.expand(whole.xreplace({one: sympy.Integer(0) for one in states})) == 0


def _increment(
    action: Assign, names: Mapping[str, Variable], states: set[sympy.Symbol]
) -> Formula | None:
    """What an assignment adds to its state, in parameters alone; None where it cannot be said."""
    whole = written_out(action.value, names)
    if whole is None or whole.has(sympy.Piecewise):
        return None
    with as_written():
        amount: sympy.Basic = whole - symbol(action.variable)  # pyright: ignore[reportOperatorIssue]
    if amount.free_symbols & states:
        amount = sympy.expand(amount)
    reads = tuple(sorted(str(one) for one in amount.free_symbols))
    if any(not isinstance(names.get(name), Parameter) for name in reads):
        return None
    return Formula(amount, reads)


def _resized(unit: UnitPlan, pool: Pool, place: Attached, size: int) -> UnitPlan:
    variables: dict[str, Variable] = {}
    for name, variable in unit.variables.items():
        if isinstance(variable, Elsewhere) and variable.index is not None:
            variable = replace(variable, index=_per_cell(variable.index, place, size))
        variables[name] = variable
    return replace(unit, size=size, variables=variables, pool=pool)


def _per_cell(index: np.ndarray, place: Attached, size: int) -> Index:
    """A synapse's place further up, as its cell's; cells without synapses may have any."""
    if np.array_equal(index, place.index):
        return None
    found = np.zeros(size, index.dtype)
    found[place.index] = index
    return found


def _reading(unit: UnitPlan, chosen: Mapping[int, Attached]) -> UnitPlan:
    variables = dict(unit.variables)
    for name, variable in variables.items():
        if isinstance(variable, Selected) and any(s.unit in chosen for s in variable.sources):
            sources = tuple(
                replace(source, index=None) if source.unit in chosen else source
                for source in variable.sources
            )
            variables[name] = replace(variable, sources=sources)
    return replace(unit, variables=variables)


def _into_pool(link: LinkPlan, chosen: Mapping[int, Attached]) -> LinkPlan:
    place = chosen.get(link.target)
    if place is None:
        return link
    return replace(link, targets=place.index[link.targets], synapses=link.targets)
