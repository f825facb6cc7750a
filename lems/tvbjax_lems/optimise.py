"""Equations to programs: only what the outputs need, stable forms, common subexpressions shared.

Nothing is simplified: every step keeps the numbers within a few units in the last place.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sympy

from .algebra import as_written, symbol
from .flat import Equation, Program
from .harmless import is_tame
from .stable_forms import stable

INLINE_LIMIT = 300  # operations
TERM_LIMIT = 8
Assignment = tuple[sympy.Symbol, sympy.Basic]


def program(derived: Iterable[Equation], outputs: Sequence[sympy.Basic]) -> Program:
    """The program that computes `outputs` by way of the derived equations, in their order."""
    return shared(*prepared([(symbol(e.name), e.expression) for e in derived], outputs))


def prepared(
    assignments: Iterable[Assignment],
    outputs: Iterable[sympy.Basic],
    found: Counter[str] | None = None,
) -> tuple[list[Assignment], list[sympy.Basic]]:
    """Assignments and outputs in stable forms, guarded, without what no output needs.

    `found` counts the stable forms by name.
    """
    with as_written():
        final = [stable(output, found) for output in outputs]
        given = list(assignments)
        wanted = {name for name, _ in _needed(given, final)}
        rewritten = [(s, stable(e, found)) for s, e in given if s in wanted]
        return _needed(_guarded(rewritten), final), final


def _guarded(assignments: list[Assignment]) -> list[Assignment]:
    """Put what can be singular into the Piecewise branches that use it.

    `u = 1/x` and then `u * sin(x)` where x is not 0: outside, u would spoil the gradient at x = 0.
    """
    singular: dict[sympy.Symbol, sympy.Basic] = {}
    guarded = []
    for name, expression in assignments:
        inner = expression.xreplace(singular)
        if expression.has(sympy.Piecewise) and inner.count_ops() < INLINE_LIMIT:
            expression = inner
        elif not expression.has(sympy.Piecewise) and not is_tame(expression):
            if inner.count_ops() < INLINE_LIMIT:
                singular[name] = inner
        guarded.append((name, expression))
    return guarded


def _needed(assignments: Sequence[Assignment], outputs: Iterable[sympy.Basic]) -> list[Assignment]:
    wanted = {s for output in outputs for s in output.free_symbols}
    kept: list[Assignment] = []
    for name, expression in reversed(assignments):
        if name in wanted:
            kept.append((name, expression))
            wanted |= expression.free_symbols
    return kept[::-1]


def shared(assignments: Sequence[Assignment], outputs: Sequence[sympy.Basic]) -> Program:
    """Common subexpressions, but none out of a Piecewise: its branches are evaluated guarded."""
    with as_written():
        return _shared(assignments, outputs)


def _shared(assignments: Sequence[Assignment], outputs: Sequence[sympy.Basic]) -> Program:
    plain = [(s, e) for s, e in assignments if not e.has(sympy.Piecewise)]
    pieces = [(s, e) for s, e in assignments if e.has(sympy.Piecewise)]
    # LEMS names have no full stop, so these meet no name of the model.
    fresh = (symbol(f"shared.{i}") for i in _count())
    whole: Any = sympy.cse([*(e for _, e in plain), *outputs], symbols=fresh)
    found, reduced = whole
    named = [(s, e) for (s, _), e in zip(plain, reduced, strict=False)]
    ordered = in_order([*found, *named, *pieces])
    return Program(tuple(ordered), tuple(reduced[len(plain) :]))


def _count() -> Iterator[int]:
    i = 0
    while True:
        yield i
        i += 1


def in_order(assignments: list[Assignment]) -> list[Assignment]:
    """Each assignment after those whose symbols it uses; there are no cycles here."""
    given = {name for name, _ in assignments}
    waits = {name: len(expression.free_symbols & given) for name, expression in assignments}
    users: dict[sympy.Basic, list[Assignment]] = {name: [] for name in given}
    for item in assignments:
        for used in item[1].free_symbols & given:
            users[used].append(item)
    ordered = [item for item in assignments if not waits[item[0]]]
    for name, _ in ordered:  # grows as it is walked
        for item in users[name]:
            waits[item[0]] -= 1
            if not waits[item[0]]:
                ordered.append(item)
    return ordered


def separate(
    pre: sympy.Basic,
    source_symbols: Iterable[sympy.Symbol],
    target_symbols: Iterable[sympy.Symbol],
) -> tuple[tuple[sympy.Expr, sympy.Expr], ...] | None:
    """`pre` as a sum of products (target factor, source factor); None where it cannot be split.

    sin(x_j - x_i) gives (cos(x_i), sin(x_j)) and (-sin(x_i), cos(x_j)): then the network only sums
    what its sources send. Parameters go into the target factor. Exponentials are not split, since
    their factors could overflow where the whole does not.
    """
    sources, targets = set(source_symbols), set(target_symbols)
    whole: Any = pre
    if not whole.free_symbols & targets:
        return ((sympy.S.One, whole),)
    if not whole.free_symbols & sources:
        return ((whole, sympy.S.One),)
    if whole.has(sympy.Piecewise) or whole.count_ops() > INLINE_LIMIT:
        return None
    if any(p.exp.is_number and abs(p.exp) > TERM_LIMIT for p in whole.atoms(sympy.Pow)):
        return None
    expanded = sympy.expand(
        sympy.expand_trig(whole), power_base=False, power_exp=False, log=False, basic=False
    )
    factors: dict[sympy.Expr, sympy.Expr] = {}
    for term in sympy.Add.make_args(expanded):
        target, source = sympy.S.One, sympy.S.One
        for factor in sympy.Mul.make_args(term):
            if not factor.free_symbols & sources:
                target *= factor
            elif not factor.free_symbols & targets:
                source *= factor
            else:
                return None
        factors[source] = factors.get(source, sympy.S.Zero) + target
    if len(factors) > TERM_LIMIT:
        return None
    return tuple((target, source) for source, target in factors.items())
