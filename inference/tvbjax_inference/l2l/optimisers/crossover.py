"""How two parents make two children: by blending or by simulated binary crossover."""

import abc

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax_inference.l2l.optimiser import as_hyper

Parents = Float[Array, "pair width"]


class AbstractCrossover(eqx.Module):
    """Makes of pairs of parents as many pairs of children."""

    @abc.abstractmethod
    def cross(self, key: Array, first: Parents, second: Parents) -> tuple[Parents, Parents]:
        """The children, which may be beyond the ends of a space."""


class Blend(AbstractCrossover):
    """BLX-alpha: each coordinate evenly from between the parents', and `alpha` of their distance
    beyond. Eshelman & Schaffer (1993), Foundations of Genetic Algorithms 2:187."""

    alpha: Array = eqx.field(converter=as_hyper, default=0.5)

    def cross(self, key, first, second):
        shares = jr.uniform(key, (2, *first.shape), first.dtype)
        shares = (1.0 + 2.0 * self.alpha) * shares - self.alpha
        return first + shares[0] * (second - first), first + shares[1] * (second - first)


class SimulatedBinary(AbstractCrossover):
    """SBX: children apart by a random multiple of the parents' distance, with their middle.

    `index`: the greater, the nearer to parents; `share`: of coordinates that are crossed. Deb &
    Agrawal (1995), Complex Systems 9:115, equations 5 to 9, where it is a half.
    """

    index: Array = eqx.field(converter=as_hyper, default=2.0)
    share: Array = eqx.field(converter=as_hyper, default=1.0)

    def cross(self, key, first, second):
        of_spread, of_share = jr.split(key)
        even = jr.uniform(of_spread, first.shape, first.dtype)
        # Above a half the inverse; 1 - even is never 0.
        base = jnp.where(even <= 0.5, 2.0 * even, 0.5 / (1.0 - even))
        spread = base ** (1.0 / (self.index + 1.0))
        crossed = jr.uniform(of_share, first.shape, first.dtype) < self.share
        spread = jnp.where(crossed, spread, 1.0)
        middle, half = 0.5 * (first + second), 0.5 * (second - first)
        return middle - spread * half, middle + spread * half
