"""The coordinate of excitability in which what electrodes see is nearly a straight line."""

import jax.numpy as jnp
from jax import lax

from tvbjax_inference.bayes.coordinates import AbstractCoordinate

# The current into x and the constant of its equation, in all Epileptors of TVB and of BVEP.
_CURRENT = 4.1


class Equilibrium(AbstractCoordinate):
    """The excitability of an Epileptor by the discharge x at which it would rest alone.

    In equilibrium z = 4 (x - excitability), and z = 4.1 - x^3 - 2 x^2 on the fast nullcline, so
    that excitability = x - (4.1 - x^3 - 2 x^2) / 4: one to one, since the derivative
    (3 x^2 + 4 x + 4) / 4 is never below 2/3. Sensors add up x: in this coordinate regions that make
    up for one another do so along a straight line, and in that of excitability along a curve, which
    is thousands of times longer than it is thick.
    """

    def value(self, coordinate):
        x = -2.0 + 0.4 * coordinate
        return x - (_CURRENT - x**3 - 2.0 * x**2) / 4.0

    def slope(self, coordinate):
        x = -2.0 + 0.4 * coordinate
        return 0.4 * (1.0 + (3.0 * x**2 + 4.0 * x) / 4.0)

    def coordinate(self, value):
        def nearer(_, found):
            return found - (self.value(found) - value) / self.slope(found)

        # The cubic's size where it is large, else the middle: Newton's steps then end in a few.
        begin = jnp.cbrt(4.0 * value) / 0.4 + 5.0
        begin = jnp.where(jnp.abs(value) > 20.0, begin, jnp.zeros_like(value))
        return lax.fori_loop(0, 60, nearer, lax.stop_gradient(begin))
