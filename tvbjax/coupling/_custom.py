"""Coupling functions of the user's: as JAX functions, or as formulas."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import sympy
from jaxtyping import Array, ArrayLike, Float

from tvbjax.arrays import as_floats
from tvbjax.coupling._coupling import AbstractCoupling, AbstractPairwise
from tvbjax_lems import evaluate
from tvbjax_lems.algebra import symbol
from tvbjax_lems.optimise import separate

TOTAL = "total"
Parameters = Mapping[str, Array]


def _leaves(params: Mapping[str, ArrayLike]) -> dict[str, Array]:
    return {name: as_floats(value) for name, value in params.items()}


class Pairwise(AbstractPairwise):
    """`post(sum_j w_ij pre(x_j, x_i, params), x_i, params)` with JAX functions of yours.

    `pre` gets what is sent `(arity, node, degree)` and the receiver's own `(arity, node, 1)`, and
    gives one array that broadcasts to `(node, degree)`; `post` gets the sum `(node,)` and the own
    variables `(arity, node)`; without it the sum is the input. `params`: numbers, which are leaves.
    """

    pre: Callable[[Array, Array, Parameters], Array] = eqx.field(static=True)
    post: Callable[[Array, Array, Parameters], Array] | None = eqx.field(static=True, default=None)
    params: dict[str, Array] = eqx.field(converter=_leaves, default_factory=dict)
    arity: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        for name, function in (("pre", self.pre), ("post", self.post)):
            if not callable(function) and not (name == "post" and function is None):
                raise TypeError(f"Pairwise: {name} is {function!r:.60}; give a function.")

    def source(self, x):
        return x

    def pair(self, sent, own):
        return jnp.broadcast_to(self.pre(sent, own, self.params), sent.shape[1:])[None]

    def target(self, sums, x, strength):
        return sums[0] if self.post is None else self.post(sums[0], x, self.params)


class Formula(AbstractCoupling):
    """A formula that the compiler has split into channels. Made by `formula`."""

    params: dict[str, Array]
    terms: tuple[tuple[sympy.Expr, sympy.Expr], ...] = eqx.field(static=True)
    post: sympy.Expr | None = eqx.field(static=True)
    arity: int = eqx.field(static=True, default=1)

    def source(self, x):
        factors = [sent for _, sent in self.terms if sent.free_symbols]
        known = _variables("x_j", x) | _symbols(self.params)
        rows = [jnp.broadcast_to(v, x.shape[1:]) for v in evaluate((), factors, known)]
        return jnp.stack(rows) if rows else jnp.zeros((0, *x.shape[1:]), x.dtype)

    def target(self, sums, x, strength):
        known = _variables("x_i", x) | _symbols(self.params)
        waiting, total = list(sums), jnp.zeros_like(strength)
        for factor, sent in self.terms:
            summed = waiting.pop(0) if sent.free_symbols else strength * float(sent)
            total = total + evaluate((), (factor,), known)[0] * summed
        return _finished(self.post, total, known)


class PairFormula(AbstractPairwise):
    """A formula that is no sum of products: evaluated for every connection. Made by `formula`."""

    params: dict[str, Array]
    pre: sympy.Expr = eqx.field(static=True)
    post: sympy.Expr | None = eqx.field(static=True)
    arity: int = eqx.field(static=True, default=1)

    def source(self, x):
        return x

    def pair(self, sent, own):
        params = {n: v[:, None] if v.ndim else v for n, v in self.params.items()}
        known = _variables("x_j", sent) | _variables("x_i", own) | _symbols(params)
        return jnp.broadcast_to(evaluate((), (self.pre,), known)[0], sent.shape[1:])[None]

    def target(self, sums, x, strength):
        known = _variables("x_i", x) | _symbols(self.params)
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
    given = _leaves(params or {})
    for name in given:
        if name == TOTAL or name[:3] in ("x_j", "x_i"):
            raise ValueError(
                f"formula: a parameter cannot be called '{name}'; choose another name."
            )
    pre = _real(pre)
    post = None if post is None else _real(post)
    arity = 1 + max((_number(name) for name in _names(pre, post)), default=0)
    sent = [symbol(_name("x_j", i)) for i in range(arity)]
    own = [symbol(_name("x_i", i)) for i in range(arity)]
    known = {str(s) for s in (*sent, *own)} | given.keys()
    unknown = _names(pre) - known | _names(post) - (known - {str(s) for s in sent} | {TOTAL})
    if unknown:
        raise ValueError(
            f"formula: '{min(unknown)}' has no value; pass it in params, or use x_j, x_i (x_j1 for "
            "the second variable), and total in post."
        )
    unused = given.keys() - _names(pre, post)
    if unused:
        raise ValueError(f"formula: '{min(unused)}' is in params, but in no formula; leave it out.")
    terms = separate(pre, sent, own)
    # What varies by region must not be applied where the signal starts.
    if terms is None or any(_names(factor) & given.keys() for _, factor in terms):
        return PairFormula(params=given, pre=pre, post=post, arity=arity)
    return Formula(params=given, terms=terms, post=post, arity=arity)


def _real(expression: Any) -> sympy.Expr:
    """The same with the symbols of the compiler, which are real."""
    found = sympy.Integer(expression) if isinstance(expression, int) else expression
    if not isinstance(found, sympy.Expr):
        raise TypeError(f"formula: {expression!r:.60} is no sympy expression.")
    renamed: Any = found.xreplace({s: symbol(str(s)) for s in found.free_symbols})
    return renamed


def _names(*expressions: sympy.Expr | None) -> set[str]:
    return {str(s) for one in expressions if one is not None for s in one.free_symbols}


def _name(base: str, number: int) -> str:
    return f"{base}{number}" if number else base


def _number(name: str) -> int:
    """Which variable of a region a symbol is; 0 for parameters."""
    rest = name[3:] if name[:3] in ("x_j", "x_i") else ""
    return int(rest) if rest.isdigit() else 0


def _variables(base: str, rows: Float[Array, "arity *shape"]) -> dict[sympy.Symbol, Array]:
    return {symbol(_name(base, i)): row for i, row in enumerate(rows)}


def _symbols(params: Parameters) -> dict[sympy.Symbol, Array]:
    return {symbol(name): value for name, value in params.items()}


def _finished(post: sympy.Expr | None, total: Array, known: dict[sympy.Symbol, Array]) -> Array:
    if post is None:
        return total
    value = evaluate((), (post,), known | {symbol(TOTAL): total})[0]
    return jnp.broadcast_to(value, total.shape)
