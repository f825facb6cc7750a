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
from jaxtyping import Array, ArrayLike, Float


def _parameter(value: ArrayLike) -> Array:
    """A leaf in the working float type: a Python float field would recompile at every new value."""
    return jnp.asarray(value, dtype=jnp.result_type(float))


class AbstractCoupling(eqx.Module):
    """A rule for one coupling input; the simulator applies it to each input of the model.

    `arity` is how many of a region's state variables the rule reads.
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
    a: Array = eqx.field(default=0.00390625, converter=_parameter)
    b: Array = eqx.field(default=0.0, converter=_parameter)

    def source(self, x):
        return x

    def target(self, sums, x, strength):
        return self.a * sums[0] + self.b


class Scaling(AbstractCoupling):
    """`a * sum_j w_ij x_j`, as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=0.00390625, converter=_parameter)

    def source(self, x):
        return x

    def target(self, sums, x, strength):
        return self.a * sums[0]


class Difference(AbstractCoupling):
    """`a * sum_j w_ij (x_j - x_i)`, diffusive coupling as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=0.1, converter=_parameter)

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
    a: Array = eqx.field(default=1.0, converter=_parameter)

    def source(self, x):
        return jnp.stack([jnp.sin(x[0]), jnp.cos(x[0])])

    def target(self, sums, x, strength):
        sines, cosines = sums
        return self.a / sums.shape[-1] * (sines * jnp.cos(x[0]) - cosines * jnp.sin(x[0]))


class HyperbolicTangent(AbstractCoupling):
    """`sum_j w_ij a (1 + tanh((b x_j - midpoint) / sigma))`, as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=1.0, converter=_parameter)
    b: Array = eqx.field(default=1.0, converter=_parameter)
    midpoint: Array = eqx.field(default=0.0, converter=_parameter)
    sigma: Array = eqx.field(default=1.0, converter=_parameter)

    def source(self, x):
        return self.a * (1.0 + jnp.tanh((self.b * x - self.midpoint) / self.sigma))

    def target(self, sums, x, strength):
        return sums[0]


class Sigmoidal(AbstractCoupling):
    """`cmin + (cmax - cmin) / (1 + exp(-a (sum_j w_ij x_j - midpoint) / sigma))`, as in TVB."""

    arity: ClassVar[int] = 1
    cmin: Array = eqx.field(default=-1.0, converter=_parameter)
    cmax: Array = eqx.field(default=1.0, converter=_parameter)
    midpoint: Array = eqx.field(default=0.0, converter=_parameter)
    a: Array = eqx.field(default=1.0, converter=_parameter)
    sigma: Array = eqx.field(default=230.0, converter=_parameter)

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
    cmin: Array = eqx.field(default=0.0, converter=_parameter)
    cmax: Array = eqx.field(default=0.005, converter=_parameter)
    midpoint: Array = eqx.field(default=6.0, converter=_parameter)
    r: Array = eqx.field(default=0.56, converter=_parameter)
    a: Array = eqx.field(default=1.0, converter=_parameter)

    def source(self, x):
        excitation, inhibition = x
        gate = jax.nn.sigmoid(self.r * (excitation - inhibition - self.midpoint))
        return (self.cmin + (self.cmax - self.cmin) * gate)[None]

    def target(self, sums, x, strength):
        return self.a * sums[0]
