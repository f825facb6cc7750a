"""What the compiler made of a network, in numbers: sizes, and operations of the equations."""

from collections import Counter
from collections.abc import Iterable

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from ..counts import guarded_branches, operations
from ..functions import linoid, sigmoid, softplus
from .network import Network
from .plan import Computed, Plan, Selected, State, UnitPlan, formulas_of

_STABLE = (expm1, linoid, log1p, sigmoid, softplus)


def network_statistics(network: Network) -> dict[str, int]:
    """What the compiler made of a network, in numbers.

    Operations are those of one instance of each component, with constants as numbers. What is
    found more than once in a component's equations XLA computes once, but for what is inside a
    conditional, which has guarded arguments.
    """
    plan = network.plan
    variables = [v for unit in plan.units for v in unit.variables.values()]
    pools = [unit for unit in plan.units if unit.pool is not None]
    counts = _counts(plan)
    return {
        "components": len(plan.units),
        "instances": sum(unit.size for unit in plan.units),
        "state variables": sum(isinstance(v, State) for v in variables),
        "derived values": sum(isinstance(v, Computed | Selected) for v in variables),
        "  constant in time, evaluated once": len(plan.constant),
        "  carried from step to step": len(plan.early),
        "parameters": sum(len(values) for values in network.params.values()),
        "exponents compiled in as numbers": sum(len(unit.exponents) for unit in plan.units),
        "operations in the equations, constants folded": counts["once"] + counts["looped"],
        "  constant in time or at the start, out of the loop": counts["once"],
        "  in the loop": counts["looped"],
        "  in the loop, common subexpressions once": counts["shared"],
        "common subexpressions": counts["common"],
        "stable forms": sum(counts[one.__name__] for one in _STABLE),
        **{f"  {one.__name__}": counts[one.__name__] for one in _STABLE if counts[one.__name__]},
        "branches guarded for gradients": counts["guarded"],
        "connections that carry events": sum(len(link.sources) for link in plan.links),
        "linear synapses": sum(unit.pool.size for unit in pools if unit.pool),
        "  kept as": sum(unit.size for unit in pools),
    }


def _counts(plan: Plan) -> Counter[str]:
    """The counts of all components; those of alike ones are taken once."""
    known: dict[tuple[tuple[sympy.Basic, ...], tuple[sympy.Basic, ...]], Counter[str]] = {}
    total: Counter[str] = Counter()
    constant: dict[int, set[str]] = {}
    for i, name in plan.constant:
        constant.setdefault(i, set()).add(name)
    for i, unit in enumerate(plan.units):
        key = _equations(unit, constant.get(i, set()))
        if key not in known:
            known[key] = _counted(*key)
        total += known[key]
    return total


def _equations(
    unit: UnitPlan, constant: set[str]
) -> tuple[tuple[sympy.Basic, ...], tuple[sympy.Basic, ...]]:
    """The formulas of a component that are evaluated once, and those of every step."""
    still = {name: v for name, v in unit.variables.items() if name in constant}
    moving = {name: v for name, v in unit.variables.items() if name not in constant}
    once = formulas_of(still, (), unit.on_start)
    phases = (unit.base, *unit.regimes)
    looped = formulas_of(moving, phases, ())
    if unit.pool is not None:
        looped = formulas_of(moving, (), ()) + [f for _, f in unit.base.derivatives]
        once += [f for port in unit.pool.increments.values() for f in port.values()]
    return tuple(f.expression for f in once), tuple(f.expression for f in looped)


def _counted(once: tuple[sympy.Basic, ...], looped: tuple[sympy.Basic, ...]) -> Counter[str]:
    shared, common = _shared(looped)
    found = Counter(
        once=operations(once),
        looped=operations(looped),
        shared=shared,
        common=common,
        guarded=sum(guarded_branches(expression) for expression in (*once, *looped)),
    )
    for expression in (*once, *looped):
        for one in _STABLE:
            found[one.__name__] += len(expression.atoms(one))
    return found


def _shared(expressions: Iterable[sympy.Basic]) -> tuple[int, int]:
    """The operations with each subexpression once, and how many are there more than once."""
    seen: set[sympy.Basic] = set()
    again: set[sympy.Basic] = set()
    total = 0
    stack = [one for one in expressions if one.args]
    while stack:
        node = stack.pop()
        if node in seen:
            again.add(node)
            continue
        seen.add(node)
        total += operations([node])
        if not isinstance(node, sympy.Piecewise):
            inner = [argument for argument in node.args if argument.args]
            total -= operations(inner)
            stack += inner
    return total, len(again)
