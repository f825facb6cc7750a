"""Stable forms: nodes that are right where the formula as written overflows or is 0/0.

Each rewriting is exact in real arithmetic. It costs one walk over the tree, from the leaves up.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from .algebra import as_written
from .functions import linoid, sigmoid, softplus

_RATIO_ERROR = 4e-15
_LONGEST_SUM = 8


def stable(expression: sympy.Basic, found: Counter[str] | None = None) -> sympy.Basic:
    """The same with exp(x) - 1 as expm1, log(1 + x) as log1p, and these nodes of our own:

    sigmoid for 1/(1 + exp(-x)), softplus for log(1 + exp(x)), linoid for x/(exp(x) - 1). A
    Case that only fills the gap at x = 0 of the last goes. `found` counts the rewritings by name.
    """
    if not expression.has(sympy.exp, sympy.log, linoid):
        return expression
    counter: Counter[str] = Counter() if found is None else found
    with as_written():
        return _rebuilt(expression, {}, counter)


def _rebuilt(node: Any, known: dict[Any, Any], found: Counter[str]) -> Any:
    if not node.args:
        return node
    if node not in known:
        arguments = [_rebuilt(argument, known, found) for argument in node.args]
        same = all(new is old for new, old in zip(arguments, node.args, strict=True))
        whole = node if same else node.func(*arguments)
        while better := _better(whole):  # a product may have several such factors
            name, whole = better
            found[name] += 1
        known[node] = whole
    return known[node]


def _better(node: Any) -> tuple[str, Any] | None:
    rule = _RULES.get(node.func)
    return rule(node) if rule else None


def _exponent(node: Any, sign: int) -> Any:
    """x where the node is sign * exp(x), else None."""
    if sign < 0:
        coefficient, node = node.as_coeff_Mul()
        if coefficient is not sympy.S.NegativeOne:
            return None
    return node.args[0] if isinstance(node, sympy.exp) else None


def _two_terms(node: Any) -> tuple[Any, Any] | None:
    """The number and the other term of a sum of two."""
    if isinstance(node, sympy.Add) and len(node.args) == 2 and node.args[0].is_Integer:
        return node.args  # pyright: ignore[reportReturnType]  # sympy puts numbers first
    return None


def _sum(node: Any) -> tuple[str, Any] | None:
    """exp(x) - 1 and 1 - exp(x)."""
    terms = _two_terms(node)
    for sign in (1, -1):
        if terms is not None and terms[0] == -sign:
            inner = _exponent(terms[1], sign)
            if inner is not None:
                whole: Any = expm1(inner)
                return "expm1", whole if sign > 0 else -whole
    return None


def _logarithm(node: Any) -> tuple[str, Any] | None:
    """log(1 + x), with softplus for log(1 + exp(x))."""
    whole = node.args[0]
    if not isinstance(whole, sympy.Add) or whole.args[0] is not sympy.S.One:
        return None
    rest = whole.func(*whole.args[1:])
    inner = _exponent(rest, 1)
    return ("log1p", log1p(rest)) if inner is None else ("softplus", softplus(inner))


def _power(node: Any) -> tuple[str, Any] | None:
    """(1 + exp(x))^-n."""
    if not (node.exp.is_Integer and node.exp.is_negative):
        return None
    terms = _two_terms(node.base)
    if terms is None or terms[0] != 1:
        return None
    inner = _exponent(terms[1], 1)
    return None if inner is None else ("sigmoid", sigmoid(-inner) ** -node.exp)


def _product(node: Any) -> tuple[str, Any] | None:
    """x/(exp(x) - 1), times what else there is, where x may differ by a constant factor."""
    for divisor in node.args:
        if not (isinstance(divisor, sympy.Pow) and isinstance(divisor.base, expm1)):
            continue
        if divisor.exp is not sympy.S.NegativeOne:
            continue
        inner = divisor.base.args[0]
        rest = node.func(*(factor for factor in node.args if factor is not divisor))
        factor = _over(rest, inner)
        if factor is not None:
            return "linoid", factor * linoid(inner)
    return None


def _over(rest: Any, inner: Any) -> Any:
    """rest / inner where a factor of `inner` that can be 0 cancels, else None."""
    factors = {f: f for f in sympy.Mul.make_args(inner) if not f.is_number}
    for factor in factors:
        for other in sympy.Mul.make_args(rest):
            if other is not factor and _is_sum(factor) and _is_sum(other):
                ratio = _ratio(factor, other)
                if ratio is not None:
                    factors[factor] = ratio * other
    above = [f for f in factors if not (isinstance(f, sympy.Pow) and f.exp.is_negative)]
    bases = {p.as_base_exp()[0] for p in sympy.Mul.make_args(rest) if _positive(p)}
    gone = [f for f in above if any(g in bases for g in sympy.Mul.make_args(factors[f]))]
    sums = [f for f in above if _is_sum(f)]
    if not gone or not set(sums) <= set(gone):
        return None
    number = inner.as_coeff_Mul()[0] if isinstance(inner, sympy.Mul) else sympy.S.One
    return rest / (number * sympy.Mul(*factors.values()))


def _positive(factor: Any) -> bool:
    exponent = factor.as_base_exp()[1]
    return bool(exponent.is_Integer and exponent.is_positive)


def _is_sum(node: Any) -> bool:
    return isinstance(node, sympy.Add) and len(node.args) <= _LONGEST_SUM


def _ratio(left: Any, right: Any) -> Any:
    """left / right for two sums whose terms are in one proportion, else None."""
    if len(left.args) != len(right.args):
        return None
    for first in left.args:
        ratio = first / right.args[0]
        scaled = [ratio * term for term in right.args]
        if all(any(_close(term, mine) for mine in left.args) for term in scaled):
            return ratio
    return None


def _close(left: Any, right: Any) -> bool:
    """Equal but for the rounding of a number in front."""
    (a, x), (b, y) = left.as_coeff_Mul(), right.as_coeff_Mul()
    return x == y and abs(float(a) - float(b)) <= _RATIO_ERROR * abs(float(b))


def _gap(node: Any) -> tuple[str, Any] | None:
    """The general Case alone, where the other only fills its gap at one point.

    As in: x .neq. 0 gives x/(1 - exp(-x)), x .eq. 0 gives 1.
    """
    if len(node.args) < 2:
        return None
    (first, condition), (second, otherwise) = (node.args[0].args, node.args[1].args)
    if isinstance(condition, sympy.Ne):
        general, special, equal = first, second, sympy.Eq(*condition.args)
    elif isinstance(condition, sympy.Eq):
        general, special, equal = second, first, condition
    else:
        return None
    opposite = sympy.Ne if condition is equal else sympy.Eq
    whole = otherwise == sympy.true or otherwise == opposite(*equal.args)
    if not whole or not general.has(linoid):
        return None
    for one, other in (equal.args, equal.args[::-1]):
        if one.is_Symbol and _close(general.xreplace({one: other}), special):
            return "filled gap", general
    return None


_RULES: dict[object, Callable[[Any], tuple[str, Any] | None]] = {
    sympy.Add: _sum,
    sympy.log: _logarithm,
    sympy.Pow: _power,
    sympy.Mul: _product,
    sympy.Piecewise: _gap,
}
