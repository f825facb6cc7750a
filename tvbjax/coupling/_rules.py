"""Coupling functions: what a region hears of the others.

Every coupling is said in two pure functions, so that the engine only ever sums weighted channels:

    c_i = target( sum_j w_ij source(x_j(t - d_ij)),  x_i(t) )

`source` is evaluated once, where the signal starts, and its channels are what the history keeps.
Rules of two regions are split into such products: `x_j - x_i` needs one channel and the
in-strength, `sin(x_j - x_i) = sin x_j cos x_i - cos x_j sin x_i` needs two. Knows no delays.
"""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import sympy
from jaxtyping import Array, ArrayLike, Float

from tvbjax.arrays import as_floats
from tvbjax_lems import FlatCoupling, Model, evaluate
from tvbjax_lems.algebra import symbol
from tvbjax_lems.optimise import separate


class AbstractCoupling(eqx.Module):
    """A rule for one coupling input; the simulator applies it to each input of the model.

    `arity` is how many of a region's state variables the rule reads: the first of those that the
    model names for the input.
    Parameters are scalars, or `(node,)` for one value per receiving region (`source` parameters:
    per sending region).
    """

    arity: eqx.AbstractClassVar[int]

    @abc.abstractmethod
    def source(self, x: Float[Array, "arity node"]) -> Float[Array, "channel node"]:
        """The channels that region j sends."""

    @abc.abstractmethod
    def target(
        self,
        sums: Float[Array, "channel node"],
        x: Float[Array, "arity node"],
        strength: Float[Array, " node"],
    ) -> Float[Array, " node"]:
        """The input of region i from its weighted sums, its own present state, and its in-strength
        `sum_j w_ij`."""


class Linear(AbstractCoupling):
    """`a * sum_j w_ij x_j + b`, as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=0.00390625, converter=as_floats)
    b: Array = eqx.field(default=0.0, converter=as_floats)

    def source(self, x):
        return x

    def target(self, sums, x, strength):
        return self.a * sums[0] + self.b


class Scaling(AbstractCoupling):
    """`a * sum_j w_ij x_j`, as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=0.00390625, converter=as_floats)

    def source(self, x):
        return x

    def target(self, sums, x, strength):
        return self.a * sums[0]


class Difference(AbstractCoupling):
    """`a * sum_j w_ij (x_j - x_i)`, diffusive coupling as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=0.1, converter=as_floats)

    def source(self, x):
        return x

    def target(self, sums, x, strength):
        return self.a * (sums[0] - strength * x[0])


class Kuramoto(AbstractCoupling):
    """`a / N * sum_j w_ij sin(x_j - x_i)`, with N the number of regions.

    Kuramoto (1975). TVB documents the same rule but divides by its number of coupling variables,
    which is 1 for its Kuramoto model: give `a * N` here to have TVB's numbers.
    """

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=1.0, converter=as_floats)

    def source(self, x):
        return jnp.stack([jnp.sin(x[0]), jnp.cos(x[0])])

    def target(self, sums, x, strength):
        sines, cosines = sums
        return self.a / sums.shape[-1] * (sines * jnp.cos(x[0]) - cosines * jnp.sin(x[0]))


class HyperbolicTangent(AbstractCoupling):
    """`sum_j w_ij a (1 + tanh((b x_j - midpoint) / sigma))`, as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=1.0, converter=as_floats)
    b: Array = eqx.field(default=1.0, converter=as_floats)
    midpoint: Array = eqx.field(default=0.0, converter=as_floats)
    sigma: Array = eqx.field(default=1.0, converter=as_floats)

    def source(self, x):
        return self.a * (1.0 + jnp.tanh((self.b * x - self.midpoint) / self.sigma))

    def target(self, sums, x, strength):
        return sums[0]


class Sigmoidal(AbstractCoupling):
    """`cmin + (cmax - cmin) / (1 + exp(-a (sum_j w_ij x_j - midpoint) / sigma))`, as in TVB."""

    arity: ClassVar[int] = 1
    cmin: Array = eqx.field(default=-1.0, converter=as_floats)
    cmax: Array = eqx.field(default=1.0, converter=as_floats)
    midpoint: Array = eqx.field(default=0.0, converter=as_floats)
    a: Array = eqx.field(default=1.0, converter=as_floats)
    sigma: Array = eqx.field(default=230.0, converter=as_floats)

    def source(self, x):
        return x

    def target(self, sums, x, strength):
        drive = self.a * (sums[0] - self.midpoint) / self.sigma
        return self.cmin + (self.cmax - self.cmin) * jax.nn.sigmoid(drive)


class SigmoidalJansenRit(AbstractCoupling):
    """`a * sum_j w_ij (cmin + (cmax - cmin) / (1 + exp(r (midpoint - (y1_j - y2_j)))))`.

    The pyramidal firing rate of the sending region, as in TVB. Reads two state variables: the
    excitatory and the inhibitory postsynaptic potential, in mV.
    """

    arity: ClassVar[int] = 2
    cmin: Array = eqx.field(default=0.0, converter=as_floats)
    cmax: Array = eqx.field(default=0.005, converter=as_floats)
    midpoint: Array = eqx.field(default=6.0, converter=as_floats)
    r: Array = eqx.field(default=0.56, converter=as_floats)
    a: Array = eqx.field(default=1.0, converter=as_floats)

    def source(self, x):
        excitation, inhibition = x
        gate = jax.nn.sigmoid(self.r * (excitation - inhibition - self.midpoint))
        return (self.cmin + (self.cmax - self.cmin) * gate)[None]

    def target(self, sums, x, strength):
        return self.a * sums[0]


class Declared(AbstractCoupling):
    """A coupling function that a model's file declares: `scale * sum_j w_ij post * pre`.

    Made by `declared`. `params`: the function's own parameters. `reads`: the state variables that
    it reads, of the sending and then of the receiving region. `terms`: the products, target factor
    and source factor, into which the compiler has split it.
    """

    arity: ClassVar[int] = 0
    params: dict[str, Array]
    spec: FlatCoupling = eqx.field(static=True)
    reads: tuple[int, ...] = eqx.field(static=True)
    terms: tuple[tuple[sympy.Expr, sympy.Expr], ...] = eqx.field(static=True)

    def source(self, x):
        sent = dict(zip(self.spec.source_symbols, x, strict=False)) | self._parameters(x)
        factors = [factor for _, factor in self.terms if factor.free_symbols]
        rows = [jnp.broadcast_to(v, x.shape[1:]) for v in evaluate((), factors, sent)]
        return jnp.stack(rows) if rows else jnp.zeros((0, *x.shape[1:]), x.dtype)

    def target(self, sums, x, strength):
        own = dict(zip(self.spec.target_symbols, x[len(self.spec.sources) :], strict=True))
        own |= self._parameters(x)
        waiting, total = list(sums), jnp.zeros_like(strength)
        for factor, sent in self.terms:
            summed = waiting.pop(0) if sent.free_symbols else strength * float(sent)
            total = total + evaluate((), (factor,), own)[0] * summed
        scale = self.spec.scale
        return total if scale is None else total * evaluate((), (scale,), own)[0]

    def _parameters(self, x: Array) -> dict[sympy.Symbol, ArrayLike]:
        given: dict[sympy.Symbol, ArrayLike] = {symbol(n): v for n, v in self.params.items()}
        return given | {symbol("n_node"): float(x.shape[-1])}


def declared(model: Model) -> dict[str, AbstractCoupling]:
    """The coupling functions that a model's LEMS or RateML file declares, by coupling input.

    Functions without a sum (`pre`) are left out: say what their inputs get.
    Raises `ValueError` where a function is not a sum of products of sender and receiver.
    """
    found = {}
    for spec in model.couplings:
        if not isinstance(spec.pre, sympy.Expr):
            continue
        whole = spec.pre * spec.post if isinstance(spec.post, sympy.Expr) else spec.pre
        terms = separate(whole, spec.source_symbols, spec.target_symbols)
        if terms is None:
            raise ValueError(
                f"coupling function '{spec.name}' of {model.name}: {whole} is no sum of products "
                "of functions of the sending and of the receiving region; this is not supported."
            )
        targets = tuple(model.state_variables.index(s.name) for s in spec.target_symbols)
        params = {p.name: as_floats(p.value) for p in spec.parameters}
        found[spec.input] = Declared(params, spec, spec.sources + targets, terms)
    return found
