"""How a child differs from what its parents made: by normal or by polynomial steps."""

import abc

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax_inference.l2l.optimiser import as_hyper


class AbstractMutation(eqx.Module):
    """Draws steps for all coordinates; which take them is the algorithm's."""

    @abc.abstractmethod
    def steps(
        self,
        key: Array,
        members: Float[Array, "member width"],
        scale: Float[Array, " width"],
    ) -> Float[Array, "member width"]:
        """One for each coordinate of `members`, the parents. `scale`: the space's deviations."""


class NormalMutation(AbstractMutation):
    """Normal steps, `sigma` times as wide as the members are spread: as they draw together, steps
    become smaller. Schwefel (1981), Numerical Optimization of Computer Models, Wiley."""

    sigma: Array = eqx.field(converter=as_hyper, default=2.0)

    def steps(self, key, members, scale):
        spread = jnp.std(members, axis=0)
        return self.sigma * spread[None] * jr.normal(key, members.shape, members.dtype)


class PolynomialMutation(AbstractMutation):
    """Steps of up to the whole range (of what has no ends: 1 / 0.3 deviations), of which most are
    small, the smaller the greater the `index`; they stay as large as they are. Deb & Goyal (1996),
    Computer Science and Informatics 26(4):30."""

    index: Array = eqx.field(converter=as_hyper, default=20.0)

    def steps(self, key, members, scale):
        even = jr.uniform(key, members.shape, members.dtype)
        power = 1.0 / (self.index + 1.0)
        lower = (2.0 * even) ** power - 1.0
        upper = 1.0 - (2.0 * (1.0 - even)) ** power
        return jnp.where(even < 0.5, lower, upper) * (scale / 0.3)[None]
