"""The coordinate of excitability in which what electrodes see is nearly a straight line."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from tvbjax_inference.bayes.coordinates import AbstractCoordinate

# The current into x and the constant of its equation, in all Epileptors of TVB and of BVEP.
_CURRENT = 4.1


# The fold, at which a region alone begins to have seizures, and about it a stretch in which the
# coordinate is wider than x: a sampler's steps are shorter where a region is at the edge.
_FOLD = -4.0 / 3.0
_WIDTH = 0.4
_SLOWER = 0.7


class Equilibrium(AbstractCoordinate):
    """The excitability of an Epileptor by the discharge x at which it would rest alone.

    In equilibrium z = 4 (x - excitability), and z = 4.1 - x^3 - 2 x^2 on the fast nullcline, so
    that excitability = x - (4.1 - x^3 - 2 x^2) / 4: one to one, since the derivative
    (3 x^2 + 4 x + 4) / 4 is never below 2/3. Sensors add up x: in this coordinate regions that make
    up for one another do so along a straight line, and in that of excitability along a curve, which
    is thousands of times longer than it is thick.

    About the fold, where seizures begin, the coordinate is three times as wide as x.
    """

    def value(self, coordinate):
        x = _rest(coordinate)
        return x - (_CURRENT - x**3 - 2.0 * x**2) / 4.0

    def slope(self, coordinate):
        x = _rest(coordinate)
        narrow = 1.0 - _SLOWER * jnp.exp(-((coordinate / _WIDTH) ** 2))
        return narrow * (1.0 + (3.0 * x**2 + 4.0 * x) / 4.0)

    def coordinate(self, value):
        # Both maps rise, so that halving finds the place.
        low, high = jnp.full_like(value, -50.0), jnp.full_like(value, 50.0)

        def halved(_, ends):
            low, high = ends
            middle = (low + high) / 2.0
            below = self.value(middle) < value
            return jnp.where(below, middle, low), jnp.where(below, high, middle)

        low, high = lax.fori_loop(0, 60, halved, (low, high))
        return (low + high) / 2.0


def _rest(coordinate: Array) -> Array:
    """x of a coordinate: its slope is 1 far from the fold, and least there."""
    slower = _SLOWER * _WIDTH * np.sqrt(np.pi) / 2.0
    return _FOLD + coordinate - slower * jax.scipy.special.erf(coordinate / _WIDTH)
