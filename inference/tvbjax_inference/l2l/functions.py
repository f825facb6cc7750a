"""Functions on which optimisers are tried: pure, of one array, and less is better.

The least value is 0, at the origin, where nothing else is said. Shifts, rotations and noise are
functions of functions. BBOB is Hansen, Finck, Ros & Auger (2009), INRIA research report RR-6829;
of its functions these are without its random shift and rotation.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count

Function = Callable[[Array], Array]


def sphere(x: Float[Array, " width"]) -> Float[Array, ""]:
    """The sum of squares."""
    return jnp.sum(x**2)


def ellipsoid(x: Float[Array, " width"]) -> Float[Array, ""]:
    """Squares, each coordinate steeper than the one before; condition 1e6 (BBOB f2)."""
    return jnp.sum(10.0 ** (6.0 * _steps(x)) * x**2)


def discus(x: Float[Array, " width"]) -> Float[Array, ""]:
    """One coordinate steeper than all others by 1e6 (BBOB f11)."""
    return jnp.sum(x**2) + (1e6 - 1.0) * x[0] ** 2


def bent_cigar(x: Float[Array, " width"]) -> Float[Array, ""]:
    """One coordinate flatter than all others by 1e6 (BBOB f12, unbent)."""
    return 1e6 * jnp.sum(x**2) - (1e6 - 1.0) * x[0] ** 2


def rosenbrock(x: Float[Array, " width"]) -> Float[Array, ""]:
    """A bent valley. 0 where all coordinates are 1. Rosenbrock (1960), Comput. J. 3:175."""
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rastrigin(x: Float[Array, " width"]) -> Float[Array, ""]:
    """A sphere with a grid of minima, one at every whole number (BBOB f3)."""
    return jnp.sum(x**2 + 10.0 * (1.0 - jnp.cos(2.0 * math.pi * x)))


def ackley(x: Float[Array, " width"]) -> Float[Array, ""]:
    """A funnel in a plain of small minima. Ackley (1987), A Connectionist Machine for Genetic
    Hillclimbing, Kluwer."""
    funnel = -20.0 * jnp.exp(-0.2 * jnp.sqrt(jnp.mean(x**2)))
    return funnel - jnp.exp(jnp.mean(jnp.cos(2.0 * math.pi * x))) + 20.0 + math.e


def schwefel(x: Float[Array, " width"]) -> Float[Array, ""]:
    """Far apart minima from -500 to 500; 0 at 420.968746. Schwefel (1981), Numerical Optimization
    of Computer Models, Wiley, problem 2.26."""
    return jnp.sum(418.98288727243374 - x * jnp.sin(jnp.sqrt(jnp.abs(x))))


def step_ellipsoid(x: Float[Array, " width"]) -> Float[Array, ""]:
    """An ellipsoid of plateaus, condition about 100 (BBOB f7); 0 within a plateau's first
    coordinate, which alone is told apart there."""
    z = 10.0 ** (0.5 * _steps(x)) * x
    plateaus = jnp.where(jnp.abs(z) > 0.5, jnp.floor(0.5 + z), jnp.floor(0.5 + 10.0 * z) / 10.0)
    stepped = jnp.sum(10.0 ** (2.0 * _steps(x)) * plateaus**2)
    return 0.1 * jnp.maximum(jnp.abs(z[0]) / 1e4, stepped)


def lunacek(x: Float[Array, " width"]) -> Float[Array, ""]:
    """Two funnels full of minima, of which the wider one leads astray (BBOB f24). Lunacek, Whitley
    & Sutton (2008), PPSN X, LNCS 5199:41."""
    width = len(x)
    near = 2.5
    steepness = 1.0 - 1.0 / (2.0 * math.sqrt(width + 20.0) - 8.2)
    apart = near + math.sqrt((near**2 - 1.0) / steepness)
    funnels = jnp.minimum(jnp.sum(x**2), width + steepness * jnp.sum((x + apart) ** 2))
    return funnels + 10.0 * jnp.sum(1.0 - jnp.cos(2.0 * math.pi * x))


def gallagher(width: int, key: Array, *, peaks: int = 101, alpha: float = 1e3) -> Function:
    """A function of so many narrow Gaussian holes at random places from -5 to 5, of which the
    deepest, of the condition `alpha`^(1/2), is at the origin (BBOB f21; f22 is `peaks=21,
    alpha=1e6`). Gallagher & Yuan (2006), IEEE Trans. Evol. Comput. 10:590."""
    check_count("gallagher: width", width)
    check_count("gallagher: peaks", peaks, 3)
    turned, placed, drawn, mixed = jr.split(key, 4)
    dtype = jnp.result_type(float)
    rotation = jr.orthogonal(turned, width).astype(dtype)
    centres = jr.uniform(placed, (peaks, width), dtype, -5.0, 5.0).at[0].set(0.0)
    others = 1e3 ** (2.0 * jr.permutation(drawn, jnp.linspace(0.0, 1.0, peaks - 1)))
    conditions = jnp.concatenate([jnp.full((1,), alpha), others]).astype(dtype)
    exponents = jnp.linspace(-0.25, 0.25, width) if width > 1 else jnp.zeros(1)
    powers = jr.permutation(mixed, jnp.tile(exponents, (peaks, 1)), axis=1, independent=True)
    # Eigenvalues: alpha^(0 to 1/2) over alpha^(1/4).
    steepness = conditions[:, None] ** powers.astype(dtype)
    depths = jnp.concatenate([jnp.full((1,), 10.0), jnp.linspace(1.1, 9.1, peaks - 1)])

    def of(x):
        away = matmul(x[None].astype(dtype) - centres, rotation.T)
        holes = depths.astype(dtype) * jnp.exp(-0.5 / width * jnp.sum(steepness * away**2, axis=1))
        return _wavy(10.0 - jnp.max(holes)).astype(x.dtype) ** 2

    return of


def shekel(x: Float[Array, " 4"], holes: int = 10) -> Float[Array, ""]:
    """Up to ten holes from 0 to 10; -10.5364 near 4 with ten, -10.4029 with seven, -10.1532 with
    five. Dixon & Szego (1978), Towards Global Optimisation 2, North-Holland, p. 1."""
    centres = jnp.asarray(_SHEKEL_CENTRES[:holes], x.dtype)
    widths = jnp.asarray(_SHEKEL_WIDTHS[:holes], x.dtype)
    return -jnp.sum(1.0 / (jnp.sum((x[None] - centres) ** 2, axis=1) + widths))


def michalewicz(x: Float[Array, " width"], steepness: int = 10) -> Float[Array, ""]:
    """Valleys from 0 to pi, each width's own; -1.8013 in 2, -4.687658 in 5 and -9.66015 in 10
    dimensions. Michalewicz (1992), Genetic Algorithms + Data Structures, Springer."""
    places = jnp.arange(1, len(x) + 1, dtype=x.dtype)
    return -jnp.sum(jnp.sin(x) * jnp.sin(places * x**2 / math.pi) ** (2 * steepness))


def langermann(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """Ripples about five places, from 0 to 10; -5.1621259 at (2.00299219, 1.006096). Molga &
    Smutnicki (2005), Test functions for optimization needs."""
    centres = jnp.asarray([[3.0, 5.0], [5.0, 2.0], [2.0, 1.0], [1.0, 4.0], [7.0, 9.0]], x.dtype)
    heights = jnp.asarray([1.0, 2.0, 5.0, 2.0, 3.0], x.dtype)
    squares = jnp.sum((x[None] - centres) ** 2, axis=1)
    return -jnp.sum(heights * jnp.exp(-squares / math.pi) * jnp.cos(math.pi * squares))


def easom(x: Float[Array, " width"]) -> Float[Array, ""]:
    """One hole in a plain; -1 where all coordinates are pi (for two of them; of more, the product's
    sign alternates). Easom (1990), thesis, University of Louisville."""
    sign = -1.0 if len(x) % 2 == 0 else 1.0
    return sign * jnp.prod(jnp.cos(x)) * jnp.exp(-jnp.sum((x - math.pi) ** 2))


def permutation(x: Float[Array, " width"], beta: float = 0.5) -> Float[Array, ""]:
    """Power sums in balance; 0 where coordinate j is j, from -width to width. Neumaier's perm
    (2003), Global and local optimization test problems."""
    places = jnp.arange(1, len(x) + 1, dtype=x.dtype)
    # One power a row.
    powers = jnp.cumprod(jnp.broadcast_to(places, (len(x), len(x))), axis=0)
    shares = jnp.cumprod(jnp.broadcast_to(x / places, (len(x), len(x))), axis=0)
    return jnp.sum(jnp.sum((powers + beta) * (shares - 1.0), axis=1) ** 2)


def gaussian_sums(
    x: Float[Array, " width"],
    centres: Float[Array, "hole width"],
    deviations: Float[Array, " hole"],
    depths: Float[Array, " hole"],
) -> Float[Array, ""]:
    """Round Gaussian holes in a plain: minus their sum, each `depths` deep at its centre. The least
    value is near the deepest one's, and not known in general."""
    squares = jnp.sum((x[None] - centres) ** 2, axis=1)
    return -jnp.sum(depths * jnp.exp(-0.5 * squares / deviations**2))


def chasm(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """A narrow chasm, along which the ground falls a hundredth: |1000 a| / (1 + |1000 a|) +
    |b| / 100; of two coordinates."""
    across = 1e3 * jnp.abs(x[0])
    return across / (1.0 + across) + 0.01 * jnp.abs(x[1])


def branin(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """0.397887 at (-pi, 12.275), (pi, 2.275) and (9.42478, 2.475); -5 to 10 by 0 to 15. Branin
    (1972), IBM J. Res. Dev. 16:504."""
    bent = x[1] - 5.1 / (4.0 * math.pi**2) * x[0] ** 2 + 5.0 / math.pi * x[0] - 6.0
    return bent**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * jnp.cos(x[0]) + 10.0


def hartmann6(x: Float[Array, " 6"]) -> Float[Array, ""]:
    """-3.32237 at (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573); from 0 to 1. Hartman
    (1973), in Dixon & Szego (1978), as `shekel`."""
    steepness = jnp.asarray(_HARTMANN_STEEPNESS, x.dtype)
    centres = jnp.asarray(_HARTMANN_CENTRES, x.dtype)
    heights = jnp.asarray([1.0, 1.2, 3.0, 3.2], x.dtype)
    return -jnp.sum(heights * jnp.exp(-jnp.sum(steepness * (x[None] - centres) ** 2, axis=1)))


def zdt1(x: Float[Array, " width"]) -> Float[Array, "2"]:
    """Two objectives, from 0 to 1; best where all but the first coordinate are 0, a convex front
    f2 = 1 - sqrt(f1). Zitzler, Deb & Thiele (2000), Evol. Comput. 8:173."""
    rest = _zdt_rest(x)
    return jnp.stack([x[0], rest * (1.0 - jnp.sqrt(x[0] / rest))])


def zdt2(x: Float[Array, " width"]) -> Float[Array, "2"]:
    """As `zdt1`, with a concave front f2 = 1 - f1^2."""
    rest = _zdt_rest(x)
    return jnp.stack([x[0], rest * (1.0 - (x[0] / rest) ** 2)])


def zdt3(x: Float[Array, " width"]) -> Float[Array, "2"]:
    """As `zdt1`, with a front in five pieces of f2 = 1 - sqrt(f1) - f1 sin(10 pi f1)."""
    rest = _zdt_rest(x)
    share = x[0] / rest
    waves = share * jnp.sin(10.0 * math.pi * x[0])
    return jnp.stack([x[0], rest * (1.0 - jnp.sqrt(share) - waves)])


def dtlz2(x: Float[Array, " width"], objectives: int = 3) -> Float[Array, " objectives"]:
    """So many objectives, from 0 to 1; best where the last coordinates, from place objectives - 1
    on, are 1/2, a front on the unit sphere. Deb, Thiele, Laumanns & Zitzler (2002), CEC, p. 825."""
    angles, rest = 0.5 * math.pi * x[: objectives - 1], x[objectives - 1 :]
    one = jnp.ones(1, x.dtype)
    cosines = jnp.concatenate([one, jnp.cumprod(jnp.cos(angles))])[::-1]
    sines = jnp.concatenate([one, jnp.sin(angles)[::-1]])
    return (1.0 + jnp.sum((rest - 0.5) ** 2)) * cosines * sines


def shifted(function: Function, offset: Float[np.ndarray | Array, "*width"]) -> Function:
    """The function with its origin at `offset`."""
    return lambda x: function(x - jnp.asarray(offset, x.dtype))


def rotated(function: Function, key: Array) -> Function:
    """The function turned about its origin, at random."""
    return lambda x: function(matmul(jr.orthogonal(key, len(x)).astype(x.dtype), x))


def noisy(function: Function, deviation: float | Array) -> Callable[[Array, Array], Array]:
    """A function of a point and a key, with normal noise of this standard deviation."""

    def of(x, key):
        value = function(x)
        noise = jr.normal(key, value.shape, value.dtype)
        return value + jnp.asarray(deviation, value.dtype) * noise

    return of


def _steps(x: Array) -> Array:
    """From 0 at the first coordinate to 1 at the last."""
    return jnp.arange(len(x), dtype=x.dtype) / max(len(x) - 1, 1)


def _wavy(value: Array) -> Array:
    """BBOB's T_osz of one number that is not below 0; 0 stays."""
    logarithm = jnp.log(jnp.where(value > 0.0, value, 1.0))
    waves = 0.049 * (jnp.sin(10.0 * logarithm) + jnp.sin(7.9 * logarithm))
    return jnp.where(value > 0.0, jnp.exp(logarithm + waves), 0.0)


def _zdt_rest(x: Array) -> Array:
    return 1.0 + 9.0 * jnp.mean(x[1:])


_SHEKEL_CENTRES = np.asarray(
    [
        [4.0, 4.0, 4.0, 4.0],
        [1.0, 1.0, 1.0, 1.0],
        [8.0, 8.0, 8.0, 8.0],
        [6.0, 6.0, 6.0, 6.0],
        [3.0, 7.0, 3.0, 7.0],
        [2.0, 9.0, 2.0, 9.0],
        [5.0, 5.0, 3.0, 3.0],
        [8.0, 1.0, 8.0, 1.0],
        [6.0, 2.0, 6.0, 2.0],
        [7.0, 3.6, 7.0, 3.6],
    ]
)
_SHEKEL_WIDTHS = np.asarray([0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5])
_HARTMANN_STEEPNESS = np.asarray(
    [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ]
)
_HARTMANN_CENTRES = np.asarray(
    [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ]
)
