"""Coupling functions from formulas: the user's in sympy, and those that a model's file declares.

A formula that is a sum of products of functions of the sending and of the receiving region is split
into channels; any other is evaluated for every connection.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import sympy
from jaxtyping import Array, ArrayLike

from tvbjax.arrays import as_floats
from tvbjax.coupling._coupling import AbstractCoupling, AbstractPairwise
from tvbjax_lems import FlatCoupling, Model, evaluate
from tvbjax_lems.algebra import symbol
from tvbjax_lems.functions import greater, lesser
from tvbjax_lems.optimise import separate

TOTAL = "total"  # the weighted sum
NODES = "n_node"  # the number of regions

# Each symbol with the row of a region's variables that it is.
Rows = tuple[tuple[sympy.Symbol, int], ...]
Terms = tuple[tuple[sympy.Expr, sympy.Expr], ...]
Known = dict[sympy.Symbol, Any]


class Formula(AbstractCoupling):
    """A formula in channels: `post(sum over terms of target factor * sum_j w_ij source factor)`.

    Made by `formula` and `declared`. `params`: numbers, leaves. `terms`: target factor and source
    factor of each product. `sent`, `own`: which variables of the sending and of the receiving
    region the symbols are. `post`: in the symbol `total`, None is the sum itself. `reads`: what is
    read of a region by name, None for the first `arity` that the input names.
    """

    params: dict[str, Array]
    terms: Terms = eqx.field(static=True)
    post: sympy.Expr | None = eqx.field(static=True)
    sent: Rows = eqx.field(static=True)
    own: Rows = eqx.field(static=True)
    reads: tuple[str, ...] | None = eqx.field(static=True, default=None)
    arity: int = eqx.field(static=True, default=1)

    def source(self, x):
        factors = [sent for _, sent in self.terms if sent.free_symbols]
        known = _variables(self.sent, x) | _numbers(self.params, x.shape[1])
        rows = [jnp.broadcast_to(v, x.shape[1:]) for v in evaluate((), factors, known)]
        return jnp.stack(rows) if rows else jnp.zeros((0, *x.shape[1:]), x.dtype)

    def target(self, sums, x, strength):
        known = _variables(self.own, x) | _numbers(self.params, x.shape[1])
        waiting, total = list(sums), jnp.zeros_like(strength)
        for factor, sent in self.terms:
            summed = waiting.pop(0) if sent.free_symbols else strength * float(sent)
            total = total + evaluate((), (factor,), known)[0] * summed
        return _finished(self.post, total, known)


class PairFormula(AbstractPairwise):
    """A formula that is no sum of products: `post(sum_j w_ij pre)`; the fields are `Formula`'s."""

    params: dict[str, Array]
    pre: sympy.Expr = eqx.field(static=True)
    post: sympy.Expr | None = eqx.field(static=True)
    sent: Rows = eqx.field(static=True)
    own: Rows = eqx.field(static=True)
    reads: tuple[str, ...] | None = eqx.field(static=True, default=None)
    arity: int = eqx.field(static=True, default=1)

    def source(self, x):
        return x

    def pair(self, sent, own):
        # One value for each receiving region must meet arrays (node, degree).
        params = {n: v[:, None] if v.ndim else v for n, v in self.params.items()}
        known = _variables(self.sent, sent) | _variables(self.own, own)
        known |= _numbers(params, own.shape[1])
        return jnp.broadcast_to(evaluate((), (self.pre,), known)[0], sent.shape[1:])[None]

    def target(self, sums, x, strength):
        known = _variables(self.own, x) | _numbers(self.params, x.shape[1])
        return _finished(self.post, sums[0], known)


def formula(
    pre: sympy.Expr,
    post: sympy.Expr | None = None,
    params: Mapping[str, ArrayLike] | None = None,
) -> AbstractCoupling:
    """`post(sum_j w_ij pre(x_j, x_i), x_i)` from sympy expressions.

    In `pre` the symbols `x_j` and `x_i` are the first variable that region j sends and that region
    i has, `x_j1` and `x_i1` the second, and so on; in `post` `total` is the weighted sum.
    Other symbols are `params`. What can be split into functions of x_j and of x_i is:
    `sin(x_j - x_i)` costs two sums, and nothing a connection. Raises `ValueError` for a symbol
    without a value.
    """
    given = {name: as_floats(value) for name, value in (params or {}).items()}
    for name in given:
        if name in (TOTAL, NODES) or name[:3] in ("x_j", "x_i"):
            raise ValueError(
                f"formula: a parameter cannot be called '{name}'; choose another name."
            )
    pre = _real(pre)
    post = None if post is None else _real(post)
    arity = 1 + max((_number(name) for name in _names(pre, post)), default=0)
    sent, own = (
        tuple((symbol(f"{base}{i or ''}"), i) for i in range(arity)) for base in ("x_j", "x_i")
    )
    mine = {str(name) for name, _ in own} | given.keys()
    theirs = {str(name) for name, _ in sent}
    unknown = _names(pre) - mine - theirs | _names(post) - mine - {TOTAL}
    if unknown:
        raise ValueError(
            f"formula: '{min(unknown)}' has no value; pass it in params, or use x_j, x_i (x_j1 for "
            "the second variable), and total in post."
        )
    unused = given.keys() - _names(pre, post)
    if unused:
        raise ValueError(f"formula: '{min(unused)}' is in params, but in no formula; leave it out.")
    return _split(pre, post, given, sent, own, None, arity)


def declared(model: Model) -> dict[str, AbstractCoupling]:
    """The coupling functions that a model's LEMS or RateML file declares, by coupling input.

    The input is `scale * sum_j w_ij post * pre`. Functions without a sum (`pre`) are left out: say
    what their inputs get.
    """
    found = {}
    for spec in model.couplings:
        if not isinstance(spec.pre, sympy.Expr):
            continue
        whole = spec.pre * spec.post if isinstance(spec.post, sympy.Expr) else spec.pre
        found[spec.input] = _declared(spec, whole)
    return found


def _declared(spec: FlatCoupling, product: sympy.Expr) -> AbstractCoupling:
    params = {p.name: as_floats(p.value) for p in spec.parameters}
    reads = spec.sources + tuple(s.name for s in spec.target_symbols)
    sent = tuple((name, row) for row, name in enumerate(spec.source_symbols))
    own = tuple((name, len(sent) + row) for row, name in enumerate(spec.target_symbols))
    scale: Any = spec.scale
    post = None if scale is None else symbol(TOTAL) * scale
    return _split(product, post, params, sent, own, reads, len(reads))


def _split(
    pre: sympy.Expr,
    post: sympy.Expr | None,
    params: dict[str, Array],
    sent: Rows,
    own: Rows,
    reads: tuple[str, ...] | None,
    arity: int,
) -> AbstractCoupling:
    """In channels where that goes, else by pairs."""
    more: dict[str, Any] = dict(post=post, sent=sent, own=own, reads=reads, arity=arity)
    terms = separate(pre, [name for name, _ in sent], [name for name, _ in own])
    # A value for each receiving region must not be applied where the signal starts.
    regional = {name for name, value in params.items() if value.ndim}
    if terms is None or any(_names(factor) & regional for _, factor in terms):
        return PairFormula(params=params, pre=pre, **more)
    return Formula(params=params, terms=terms, **more)


def _real(expression: Any) -> sympy.Expr:
    """The same with the symbols of the compiler, which are real."""
    whole = isinstance(expression, int) and not isinstance(expression, bool)
    found = sympy.Integer(expression) if whole else expression
    if not isinstance(found, sympy.Expr):
        raise TypeError(f"formula: {expression!r:.60} is no sympy expression.")
    renamed: Any = found.xreplace({s: symbol(str(s)) for s in found.free_symbols})
    for theirs, ours in ((sympy.Max, greater), (sympy.Min, lesser)):
        renamed = renamed.replace(theirs, lambda *values, ours=ours: functools.reduce(ours, values))
    if renamed.is_number and renamed.is_finite is not True:
        raise ValueError(f"formula: {expression!r:.60} is no finite number.")
    return renamed


def _names(*expressions: sympy.Expr | None) -> set[str]:
    return {str(s) for one in expressions if one is not None for s in one.free_symbols}


def _number(name: str) -> int:
    """Which variable of a region a symbol is; 0 for parameters."""
    rest = name[3:] if name[:3] in ("x_j", "x_i") else ""
    return int(rest) if rest.isdigit() else 0


def _variables(rows: Rows, x: Sequence[Array] | Array) -> Known:
    return {name: x[row] for name, row in rows}


def _numbers(params: Mapping[str, Array], nodes: int) -> Known:
    return {symbol(name): value for name, value in params.items()} | {symbol(NODES): float(nodes)}


def _finished(post: sympy.Expr | None, total: Array, known: Known) -> Array:
    if post is None:
        return total
    value = evaluate((), (post,), known | {symbol(TOTAL): total})[0]
    return jnp.broadcast_to(value, total.shape)
