"""Surrogate gradients: what stands for the slope of a spike, which is 0 or infinite.

Forward a threshold is what it is; backward it has the slope of a smooth function. Neftci, Mostafa &
Zenke (2019), IEEE Signal Process. Mag. 36, 51-63.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats


class AbstractSurrogate(eqx.Module):
    """The slope of a spike as a function of how far the threshold is passed."""

    @abc.abstractmethod
    def slope(self, margin: Float[Array, " cell"]) -> Float[Array, " cell"]:
        """`margin`: the distance above the threshold, in its unit."""

    def __call__(self, margin: Float[Array, " cell"]) -> Float[Array, " cell"]:
        """1 above the threshold, else 0, with the surrogate's slope."""

        @jax.custom_jvp
        def spike(x):
            return (x >= 0).astype(x.dtype)

        @spike.defjvp
        def _spike_jvp(primals, tangents):
            return spike(*primals), self.slope(primals[0]) * tangents[0]

        return spike(margin)


class FastSigmoid(AbstractSurrogate):
    """1 / (width (1 + |margin| / width)^2): Zenke & Ganguli (2018), Neural Comput. 30, 1514.

    `width`: in the unit of the threshold, as mV.
    """

    width: Float[Array, ""] = eqx.field(converter=as_floats, default=1.0)

    def slope(self, margin):
        return 1.0 / (self.width * jnp.square(1.0 + jnp.abs(margin) / self.width))


class Triangle(AbstractSurrogate):
    """max(0, 1 - |margin| / width) / width: Bellec et al. (2018), NeurIPS 31."""

    width: Float[Array, ""] = eqx.field(converter=as_floats, default=1.0)

    def slope(self, margin):
        return jnp.maximum(0.0, 1.0 - jnp.abs(margin) / self.width) / self.width
