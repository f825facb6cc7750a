"""What the compiler made of a model's equations, in numbers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import sympy

from .algebra import symbol
from .emit import Model
from .flat import FlatCoupling
from .harmless import harmless_point
from .optimise import prepared, separate


@dataclass(frozen=True)
class CouplingTerms:
    """A coupling function of the file, `terms` products of a sender's and a receiver's factor.

    `terms` is None where it cannot be split, 0 where it has no sum.
    """

    name: str
    input: str
    terms: int | None


@dataclass(frozen=True)
class Statistics:
    """Operations (sums, products, powers, calls, comparisons) at each stage; what was done.

    `written`: of all equations as the file has them; `folded`: with constants as numbers;
    `needed`: without what no time derivative uses; `shared`: of one evaluation of `dfun`, with
    common subexpressions once. `stable_forms`: by name, how often an unstable formula was replaced;
    `guarded_branches`: branches of conditions that get harmless arguments where they do not hold.
    """

    written: int
    folded: int
    needed: int
    shared: int
    shared_subexpressions: int
    stable_forms: tuple[tuple[str, int], ...]
    guarded_branches: int
    couplings: tuple[CouplingTerms, ...]


def statistics(model: Model) -> Statistics:
    """What the optimiser did to a model."""
    spec = model.spec
    equations = (*spec.derived, *spec.derivatives)
    found: Counter[str] = Counter()
    outputs = [equation.expression for equation in spec.derivatives]
    assignments, _ = prepared(
        [(symbol(e.name), e.expression) for e in spec.derived], outputs, found
    )
    wanted = {name.name for name, _ in assignments}
    needed = [e.expression for e in spec.derived if e.name in wanted]
    final = [*(e for _, e in spec.dynamics.assignments), *spec.dynamics.outputs]
    return Statistics(
        operations(equation.written for equation in equations),
        operations(equation.expression for equation in equations),
        operations([*needed, *outputs]),
        operations(final),
        sum("." in name.name for name, _ in spec.dynamics.assignments),
        tuple(sorted(found.items())),
        sum(guarded_branches(expression) for expression in final),
        tuple(_terms(coupling) for coupling in spec.couplings),
    )


def operations(expressions: Iterable[sympy.Basic]) -> int:
    """Sums, products, powers, calls and comparisons."""
    return sum(int(sympy.count_ops(expression)) for expression in expressions)


def guarded_branches(expression: sympy.Basic) -> int:
    """Branches of conditionals that get harmless arguments where they do not hold."""
    branches = (pair.args[0] for whole in expression.atoms(sympy.Piecewise) for pair in whole.args)
    return sum(bool(harmless_point(branch)) for branch in branches)


def _terms(coupling: FlatCoupling) -> CouplingTerms:
    if not isinstance(coupling.pre, sympy.Expr):
        return CouplingTerms(coupling.name, coupling.input, 0)
    post = coupling.post
    whole = coupling.pre * post if isinstance(post, sympy.Expr) else coupling.pre
    split = separate(whole, coupling.source_symbols, coupling.target_symbols)
    return CouplingTerms(coupling.name, coupling.input, None if split is None else len(split))
