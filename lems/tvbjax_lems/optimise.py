"""Equations to programs: only what the outputs need, stable forms, common subexpressions shared.

Nothing is simplified: every step keeps the numbers within a few units in the last place.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sympy

from .algebra import as_written, symbol
from .flat import Equation, Program

Assignment = tuple[sympy.Symbol, sympy.Basic]


class sigmoid(sympy.Function):  # noqa: N801  (sympy's functions are lower case)
    """1 / (1 + exp(-x)): a node of its own, since its gradient must not overflow where exp does."""

    nargs = (1,)

    def _eval_evalf(self, prec: int) -> Any:
        argument: Any = self.args[0]
        return (1 / (1 + sympy.exp(-argument)))._eval_evalf(prec)


def program(derived: Iterable[Equation], outputs: Sequence[sympy.Basic]) -> Program:
    """The program that computes `outputs` by way of the derived equations, in their order."""
    needed = _needed(tuple(derived), outputs)
    with as_written():
        assignments = [(symbol(e.name), stable(e.expression)) for e in needed]
        return _shared(assignments, [stable(output) for output in outputs])


def stable(expression: sympy.Basic) -> sympy.Basic:
    """The same with 1/(1 + exp(x)) as sigmoid(-x)."""

    def logistic(node: sympy.Basic) -> bool:
        return (
            isinstance(node, sympy.Pow)
            and node.exp.is_Integer is True
            and node.exp.is_negative is True
            and isinstance(node.base, sympy.Add)
            and len(node.base.args) == 2
            and node.base.args[0] == sympy.S.One
            and isinstance(node.base.args[1], sympy.exp)
        )

    def replaced(node: sympy.Basic) -> sympy.Basic:
        inner = -node.args[0].args[1].args[0]  # pyright: ignore[reportOperatorIssue]
        return sigmoid(inner) ** -node.args[1]  # pyright: ignore[reportOperatorIssue]

    return expression.replace(logistic, replaced)


def _needed(derived: tuple[Equation, ...], outputs: Iterable[sympy.Basic]) -> list[Equation]:
    wanted = {str(s) for output in outputs for s in output.free_symbols}
    kept: list[Equation] = []
    for equation in reversed(derived):
        if equation.name in wanted:
            kept.append(equation)
            wanted |= {str(s) for s in equation.expression.free_symbols}
    return kept[::-1]


def _shared(assignments: list[Assignment], outputs: list[sympy.Basic]) -> Program:
    """Common subexpressions, but none out of a Piecewise: its branches are evaluated guarded."""
    plain = [(s, e) for s, e in assignments if not e.has(sympy.Piecewise)]
    pieces = [(s, e) for s, e in assignments if e.has(sympy.Piecewise)]
    # LEMS names have no full stop, so these meet no name of the model.
    fresh = (symbol(f"shared.{i}") for i in _count())
    whole: Any = sympy.cse([*(e for _, e in plain), *outputs], symbols=fresh)
    found, reduced = whole
    named = [(s, e) for (s, _), e in zip(plain, reduced, strict=False)]
    ordered = _in_order([*found, *named, *pieces])
    return Program(tuple(ordered), tuple(reduced[len(plain) :]))


def _count() -> Iterator[int]:
    i = 0
    while True:
        yield i
        i += 1


def _in_order(assignments: list[Assignment]) -> list[Assignment]:
    """Each assignment after those whose symbols it uses; there are no cycles here."""
    ordered: list[Assignment] = []
    waiting = list(assignments)
    while waiting:
        open_symbols = {s for s, _ in waiting}
        ready = [item for item in waiting if not item[1].free_symbols & open_symbols]
        ordered += ready
        done = {s for s, _ in ready}
        waiting = [item for item in waiting if item[0] not in done]
    return ordered
