"""JAX forms of functions whose plain formula fails at a point: right everywhere, slopes too."""

import math

import jax
import jax.numpy as jnp

# Within it the series is exact to the last place; outside x / expm1(x) is.
_RADIUS = 1e-2
_SLOPE_RADIUS = 0.5
# linoid(x) = 1 - x/2 + sum of these times x^2, x^4, ...: Bernoulli numbers B_2k / (2k)!.
_SERIES = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
)


@jax.custom_jvp
def linoid(x):
    """x / (exp(x) - 1), elementwise; 1 at x = 0. Any float dtype."""
    near = jnp.abs(x) < _RADIUS
    small = jnp.where(near, x, 0.0)
    away = jnp.where(near, 1.0, x)
    square = small * small
    series = 1.0 - 0.5 * small + square * (_SERIES[0] + square * _SERIES[1])
    return jnp.where(near, series, away / jnp.expm1(away))


@linoid.defjvp
def _linoid_jvp(primals, tangents):
    (x,), (tangent,) = primals, tangents
    return linoid(x), linoid_slope(x) * tangent


def linoid_slope(x):
    """The derivative of linoid, elementwise; -1/2 at x = 0, from -1 to 0."""
    near = jnp.abs(x) < _SLOPE_RADIUS
    small = jnp.where(near, x, 0.0)
    # Beyond the upper end the slope is 0 in every digit that the dtype has, and expm1 overflows.
    end = 0.98 * math.log(float(jnp.finfo(jnp.result_type(x)).max))
    away = jnp.where(near, 1.0, jnp.minimum(x, end))
    square = small * small
    series = 0.0
    for order, coefficient in zip(range(2 * len(_SERIES), 0, -2), _SERIES[::-1], strict=True):
        series = series * square + order * coefficient
    far = (1.0 - linoid(-away)) / jnp.expm1(away)
    return jnp.where(near, small * series - 0.5, far)
