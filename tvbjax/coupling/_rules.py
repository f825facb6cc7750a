"""The Virtual Brain's coupling functions."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from tvbjax.arrays import as_floats
from tvbjax.coupling._coupling import AbstractCoupling


class Linear(AbstractCoupling):
    """`a * sum_j w_ij x_j + b`, as in TVB."""

    arity: ClassVar[int] = 1
    a: Array = eqx.field(default=0.00390625, converter=as_floats)
    b: Array = eqx.field(default=0.0, converter=as_floats)

    def source(self, x):
        return x

    def target(self, sums, x, strength):
        return self.a * sums[0] + self.b


class Silent(AbstractCoupling):
    """0: an input that hears nothing. Nothing is sent for it, so that it costs nothing."""

    arity: ClassVar[int] = 1

    def source(self, x):
        return x[:0]

    def target(self, sums, x, strength):
        return jnp.zeros_like(x[0])


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


class PreSigmoidal(AbstractCoupling):
    """`sum_j w_ij H (Q + tanh(G (P x_j - theta)))`, as in TVB with a static threshold."""

    arity: ClassVar[int] = 1
    H: Array = eqx.field(default=0.5, converter=as_floats)
    Q: Array = eqx.field(default=1.0, converter=as_floats)
    G: Array = eqx.field(default=60.0, converter=as_floats)
    P: Array = eqx.field(default=1.0, converter=as_floats)
    theta: Array = eqx.field(default=0.5, converter=as_floats)

    def source(self, x):
        return self.H * (self.Q + jnp.tanh(self.G * (self.P * x - self.theta)))

    def target(self, sums, x, strength):
        return sums[0]


class DynamicPreSigmoidal(AbstractCoupling):
    """`sum_j w_ij H (Q + tanh(G (P x_j - theta_j)))`, with the threshold a second variable.

    Reads two variables of a region, activity and threshold. TVB's dynamic PreSigmoidal sums with
    the weights transposed; this does not. Its second output, a region's own sigmoid, is
    `Own(DynamicPreSigmoidal())`.
    """

    arity: ClassVar[int] = 2
    H: Array = eqx.field(default=0.5, converter=as_floats)
    Q: Array = eqx.field(default=1.0, converter=as_floats)
    G: Array = eqx.field(default=60.0, converter=as_floats)
    P: Array = eqx.field(default=1.0, converter=as_floats)

    def source(self, x):
        activity, threshold = x
        return (self.H * (self.Q + jnp.tanh(self.G * (self.P * activity - threshold))))[None]

    def target(self, sums, x, strength):
        return sums[0]
