"""The logarithm of the expected improvement, which has a slope where the improvement has none.

Ament, Daulton, Eriksson, Balandat & Bakshy (2023), Adv. Neural Inf. Process. Syst. 36, equation 9.
"""

import math

import jax.numpy as jnp
from jax.scipy.special import erfcx, ndtr
from jaxtyping import Array, Float

_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)


def log_expected_improvement(
    mean: Float[Array, " point"], deviation: Float[Array, " point"], least: Float[Array, ""]
) -> Float[Array, " point"]:
    """ln E[max(least - loss, 0)] of a normal loss, for `deviation` above 0."""
    return jnp.log(deviation) + log_improvement((least - mean) / deviation)


def log_improvement(z: Float[Array, " point"]) -> Float[Array, " point"]:
    """ln(phi(z) + z Phi(z)), of any z without overflow or cancellation.

    With -z = t, phi + z Phi = phi (1 - t R(t)) and R(t) = Mills' ratio, sqrt(pi / 2) erfcx(t /
    sqrt 2); from some t on, where little is left of the difference, by R's asymptotic series.
    """
    # Where the difference's rounding and the series' end err alike.
    far = 30.0 if z.dtype == jnp.dtype("float64") else 8.0
    near = jnp.where(z > -1.0, z, 0.0)
    upper = jnp.log(jnp.exp(-0.5 * near**2) / _ROOT_TWO_PI + near * ndtr(near))
    t = jnp.where(z > -1.0, 1.0, -z)
    middle = jnp.where(t < far, t, 1.0)
    ratio = math.sqrt(0.5 * math.pi) * erfcx(middle / math.sqrt(2.0))
    left = jnp.log1p(-middle * ratio)
    long = 1.0 / jnp.where(t < far, far, t) ** 2
    series = jnp.log(long) + jnp.log1p(-long * (3.0 - long * (15.0 - long * 105.0)))
    lower = -0.5 * t**2 - math.log(_ROOT_TWO_PI) + jnp.where(t < far, left, series)
    return jnp.where(z > -1.0, upper, lower)
