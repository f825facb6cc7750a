"""Surrogate gradients: what stands for the slope of a spike, which is 0 or infinite.

Forward a threshold is what it is; backward it has the slope of a smooth function. Neftci, Mostafa &
Zenke (2019), IEEE Signal Process. Mag. 36, 51-63. Only the spike that is sent has it, not the
reset: Zenke & Vogels (2021), Neural Comput. 33, 899-925.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats
from tvbjax.spiking.known import check_scalars


class AbstractSurrogate(eqx.Module):
    """The slope of a spike as a function of how far the threshold is passed.

    `width`: how far from the threshold a cell still has a slope, in its unit, as mV.
    `passage`: ms. On its way to the threshold a cell is near it in many steps, of which each has a
    slope; they count dt / passage times, so that together they are about one spike's, whatever
    the dt. About half the time between two spikes of a cell; less makes gradients greater, and
    those of recurrent networks may then grow without bound.
    """

    width: eqx.AbstractVar[Float[Array, ""]]
    passage: eqx.AbstractVar[Float[Array, ""]]

    def __check_init__(self):
        check_scalars(self, ("width", "passage"), above=("width", "passage"))

    @abc.abstractmethod
    def slope(self, margin: Float[Array, " cell"]) -> Float[Array, " cell"]:
        """`margin`: the distance above the threshold, in its unit. The area below it is 1."""

    def in_steps_of(self, dt: float) -> Callable[[Array], Array]:
        """A function of the margin: 1 above the threshold, else 0, with the surrogate's slope."""

        def spike(margin: Array) -> Array:
            slope = jax.lax.stop_gradient(self.slope(margin) * dt / self.passage)
            zero = margin - jax.lax.stop_gradient(margin)  # but for its derivative
            return (margin >= 0).astype(margin.dtype) + slope * zero

        return spike


class FastSigmoid(AbstractSurrogate):
    """1 / (2 width (1 + |margin| / width)^2): Zenke & Ganguli (2018), Neural Comput. 30, 1514.

    `width` (1, in the threshold's unit) and `passage` (5 ms) as of `AbstractSurrogate`.
    """

    width: Float[Array, ""] = eqx.field(converter=as_floats, default=1.0)
    passage: Float[Array, ""] = eqx.field(converter=as_floats, default=5.0)

    def slope(self, margin):
        return 0.5 / (self.width * jnp.square(1.0 + jnp.abs(margin) / self.width))


class Triangle(AbstractSurrogate):
    """max(0, 1 - |margin| / width) / width: Bellec et al. (2018), NeurIPS 31.

    `width` (1, in the threshold's unit) and `passage` (5 ms) as of `AbstractSurrogate`.
    """

    width: Float[Array, ""] = eqx.field(converter=as_floats, default=1.0)
    passage: Float[Array, ""] = eqx.field(converter=as_floats, default=5.0)

    def slope(self, margin):
        return jnp.maximum(0.0, 1.0 - jnp.abs(margin) / self.width) / self.width
