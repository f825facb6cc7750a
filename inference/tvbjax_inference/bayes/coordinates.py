"""In which coordinates a sampler moves through a value: those in which the data see it as straight
a line as can be. The prior, and so the posterior, stay what they are: only the density's form in
the sampler's numbers changes, by the Jacobian.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions import constraints
from numpyro.distributions.transforms import Transform


class AbstractCoordinate(eqx.Module):
    """A smooth one-to-one map of every real number to another, increasing, elementwise."""

    @abc.abstractmethod
    def value(self, coordinate: Array) -> Array:
        """The value that belongs to a coordinate."""

    @abc.abstractmethod
    def slope(self, coordinate: Array) -> Array:
        """The derivative of `value`, above 0."""

    @abc.abstractmethod
    def coordinate(self, value: Array) -> Array:
        """The coordinate that belongs to a value."""

    def prior(self, prior: dist.Distribution) -> dist.Distribution:
        """The distribution of the coordinates of a value with this prior."""
        return dist.TransformedDistribution(prior, _ToCoordinate(self))


class _ToCoordinate(Transform):
    """From values to coordinates, for numpyro."""

    domain = constraints.real  # type: ignore[assignment]
    codomain = constraints.real  # type: ignore[assignment]

    def __init__(self, of: AbstractCoordinate):
        self.of = of

    def __call__(self, x):
        return self.of.coordinate(x)

    def _inverse(self, y):
        return self.of.value(y)

    def log_abs_det_jacobian(self, x, y, intermediates=None):
        return -jnp.log(self.of.slope(y))

    def tree_flatten(self):
        return (self.of,), (("of",), {})
