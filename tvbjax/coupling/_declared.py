"""Coupling functions that a model's file declares."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import sympy
from jaxtyping import Array, ArrayLike

from tvbjax.arrays import as_floats
from tvbjax.coupling._coupling import AbstractCoupling, AbstractPairwise
from tvbjax_lems import FlatCoupling, Model, evaluate
from tvbjax_lems.algebra import symbol
from tvbjax_lems.optimise import separate


class Declared(AbstractCoupling):
    """A coupling function that a model's file declares: `scale * sum_j w_ij post * pre`.

    Made by `declared`. `params`: the function's own parameters. `reads`: what it reads of the
    sending and then of the receiving region, by name. `terms`: the products, target factor
    and source factor, into which the compiler has split it.
    """

    arity: ClassVar[int] = 0
    params: dict[str, Array]
    spec: FlatCoupling = eqx.field(static=True)
    reads: tuple[str, ...] = eqx.field(static=True)
    terms: tuple[tuple[sympy.Expr, sympy.Expr], ...] = eqx.field(static=True)

    def source(self, x):
        sent = dict(zip(self.spec.source_symbols, x, strict=False)) | self._parameters(x)
        factors = [factor for _, factor in self.terms if factor.free_symbols]
        rows = [jnp.broadcast_to(v, x.shape[1:]) for v in evaluate((), factors, sent)]
        return jnp.stack(rows) if rows else jnp.zeros((0, *x.shape[1:]), x.dtype)

    def target(self, sums, x, strength):
        own = _own(self.spec, x) | self._parameters(x)
        waiting, total = list(sums), jnp.zeros_like(strength)
        for factor, sent in self.terms:
            summed = waiting.pop(0) if sent.free_symbols else strength * float(sent)
            total = total + evaluate((), (factor,), own)[0] * summed
        scale = self.spec.scale
        return total if scale is None else total * evaluate((), (scale,), own)[0]

    def _parameters(self, x: Array) -> dict[sympy.Symbol, ArrayLike]:
        return _parameters(self.params, x.shape[1])


class DeclaredPairwise(AbstractPairwise):
    """A declared coupling function that is no sum of products: `scale * sum_j w_ij post * pre`.

    `product` is `post * pre`; the other fields are those of `Declared`.
    """

    arity: ClassVar[int] = 0
    params: dict[str, Array]
    spec: FlatCoupling = eqx.field(static=True)
    reads: tuple[str, ...] = eqx.field(static=True)
    product: sympy.Expr = eqx.field(static=True)

    def source(self, x):
        return x

    def pair(self, sent, own):
        known = dict(zip(self.spec.source_symbols, sent, strict=False)) | _own(self.spec, own)
        known |= _parameters(_of_targets(self.params), own.shape[1])
        return jnp.broadcast_to(evaluate((), (self.product,), known)[0], sent.shape[1:])[None]

    def target(self, sums, x, strength):
        scale = self.spec.scale
        known = _own(self.spec, x) | _parameters(self.params, x.shape[1])
        return sums[0] if scale is None else sums[0] * evaluate((), (scale,), known)[0]


Known = dict[sympy.Symbol, ArrayLike]


def _own(spec: FlatCoupling, x: Array) -> Known:
    """The receiving region's variables, which come after what is sent."""
    return dict(zip(spec.target_symbols, x[len(spec.sources) :], strict=True))


def _parameters(params: dict[str, Array], nodes: int) -> Known:
    given: Known = {symbol(name): value for name, value in params.items()}
    return given | {symbol("n_node"): float(nodes)}


def _of_targets(params: dict[str, Array]) -> dict[str, Array]:
    """Parameters as they meet arrays (node, degree): one value for each receiving region."""
    return {name: value[:, None] if value.ndim else value for name, value in params.items()}


def declared(model: Model) -> dict[str, AbstractCoupling]:
    """The coupling functions that a model's LEMS or RateML file declares, by coupling input.

    Functions without a sum (`pre`) are left out: say what their inputs get. One that is a sum of
    products of functions of the sender and of the receiver is split into channels; any other is
    evaluated for every connection.
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
    terms = separate(product, spec.source_symbols, spec.target_symbols)
    if terms is None:
        return DeclaredPairwise(params, spec, reads, product)
    return Declared(params, spec, reads, terms)
