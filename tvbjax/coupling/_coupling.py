"""Coupling functions: what a region hears of the others.

Every coupling is said in two pure functions, so that the engine only ever sums weighted channels:

    c_i = target( sum_j w_ij source(x_j(t - d_ij)),  x_i(t) )

`source` is evaluated once, where the signal starts, and its channels are what the history keeps.
Rules of two regions are split into such products: `x_j - x_i` needs one channel and the
in-strength, `sin(x_j - x_i) = sin x_j cos x_i - cos x_j sin x_i` needs two. What cannot be split is
evaluated for every connection. Knows no delays.
"""

import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractCoupling(eqx.Module):
    """A rule for one coupling input; the simulator applies it to each input of the model.

    `arity` is how many of a region's state variables the rule reads: the first of those that the
    model names for the input.
    Parameters are scalars, or `(node,)` for one value per receiving region (`source` parameters:
    per sending region).
    """

    @property
    @abc.abstractmethod
    def arity(self) -> int:
        """How many variables of a region the rule reads; a class variable will do."""

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


class AbstractPairwise(AbstractCoupling):
    """A rule of two regions that is no sum of products: evaluated for every connection.

    `c_i = target( sum_j w_ij pair(x_j(t - d_ij), x_i(t)),  x_i(t) )`. Slower than channels: it
    costs an evaluation a connection and step, and the history keeps the variables themselves.
    """

    @abc.abstractmethod
    def pair(
        self, sent: Float[Array, "arity node degree"], own: Float[Array, "arity node 1"]
    ) -> Float[Array, "channel node degree"]:
        """What region i hears of region j over one connection, before it is weighted."""
