"""Candidates that are fixed before any loss is known: grids, random ones, and even coverings.

Sobol's (1967) and Halton's (1960) sequences and Latin hypercubes (McKay, Beckman & Conover 1979,
Technometrics 21:239) are those of `scipy.stats.qmc`, scrambled by the key.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.arrays import is_traced
from tvbjax.kinds import check_count
from tvbjax_inference.l2l.dimensions import AbstractDimension, Categorical, Integer, Unbounded
from tvbjax_inference.l2l.optimiser import AbstractOptimiser
from tvbjax_inference.l2l.space import Space

# More points than this are no grid that somebody means.
_MOST = 10_000_000


class _State(eqx.Module):
    points: Float[Array, "point width"]
    told: Int[Array, ""]


class AbstractDesign(AbstractOptimiser):
    """Points that are handed out in tiles, and the end when all were told (from the beginning again
    if it is asked further)."""

    stops_when = "all points of the design have been told"

    @abc.abstractmethod
    def points(self, space: Space, key: Array) -> Float[Array, "point width"]:
        """Coordinates of all of them."""

    @abc.abstractmethod
    def total(self, space: Space) -> int:
        """How many there are."""

    def check(self, space):
        self.possible(space)
        total, size, name = self.total(space), self.population(space), type(self).__name__
        if total % size:
            near = max(d for d in range(1, size + 1) if total % d == 0)
            raise ValueError(
                f"{name}: {total} points are no multiple of size {size}; give e.g. {near}."
            )

    def possible(self, space: Space) -> None:
        """Raises `ValueError` for a space that has no such design."""
        return None

    def begin(self, space, start, key):
        points = jnp.asarray(self.points(space, key), start.dtype)
        return _State(points, jnp.zeros((), jnp.int32))

    def propose(self, space, inner, key):
        first = (inner.told * self.population(space)) % len(inner.points)
        tile = jax.lax.dynamic_slice_in_dim(inner.points, first, self.population(space))
        return tile, inner

    def learn(self, space, inner, candidates, evaluations, key):
        return _State(inner.points, inner.told + 1)

    def exhausted(self, space, inner):
        return inner.told * self.population(space) >= len(inner.points)


class Grid(AbstractDesign):
    """All combinations of levels of every number.

    `levels`: how many, for all names or by name: `Grid({"G": 5, "speed": 3})`. Those of what has
    ends are at equal distances from end to end, and one alone is in the middle; those of what has
    none have equal shares of its first normal distribution. Whole numbers without a number of
    levels have them all, and so have options always. The last name's levels come first. `size`:
    candidates in a generation; by default all at once.
    """

    levels: tuple[tuple[str, int], ...] | int | None = eqx.field(static=True, default=None)
    size: int | None = eqx.field(static=True, default=None)

    def __init__(self, levels: Mapping[str, int] | int | None = None, size: int | None = None):
        self.levels = tuple(levels.items()) if isinstance(levels, Mapping) else levels
        self.size = size
        _check_size("Grid", size)
        given = [levels] if isinstance(levels, int) else list((levels or {}).values())
        for count in given:
            check_count("Grid: levels", count)

    def possible(self, space):
        if isinstance(self.levels, tuple):
            unknown = [name for name, _ in self.levels if name not in space.names]
            if unknown:
                raise ValueError(
                    f"Grid: there is no '{unknown[0]}'; the space has {', '.join(space.names)}."
                )

    def total(self, space):
        counts = [
            len(self._levels(name, dimension)) ** dimension.size
            for name, dimension in space.dimensions
        ]
        total = math.prod(counts)
        if total > _MOST:
            raise ValueError(
                f"Grid: there are {total:.3g} points; give fewer levels, or use Sobol."
            )
        return total

    def population(self, space):
        return self.size or self.total(space)

    def points(self, space, key):
        axes = []
        for name, dimension in space.dimensions:
            axes.extend([self._levels(name, dimension)] * dimension.size)
        columns, rest = [], np.arange(self.total(space))
        for axis in reversed(axes):
            rest, place = np.divmod(rest, len(axis))
            columns.insert(0, axis[place])
        return jnp.asarray(np.concatenate(columns, axis=1), jnp.result_type(float))

    def _levels(self, name: str, dimension: AbstractDimension) -> Float[np.ndarray, "level each"]:
        """Coordinates of one element's levels."""
        count = dict(self.levels).get(name) if isinstance(self.levels, tuple) else self.levels
        if count is None and dimension.levels is None:
            raise ValueError(
                f"Grid: '{name}' has no number of levels; give one, Grid({{'{name}': 5}})."
            )
        count = min(count or 10**9, dimension.levels or 10**9)
        if isinstance(dimension, Unbounded):
            return Unbounded().spread((np.arange(count)[:, None] + 0.5) / count)
        if isinstance(dimension, Categorical):
            return np.eye(dimension.each)
        if isinstance(dimension, Integer):
            one = dataclasses.replace(dimension, shape=())
            values = _even(math.log(one.low) if one.log else float(one.low), _high(one), count)
            whole = np.unique(np.rint(np.exp(values) if one.log else values).astype(int))
            return np.stack([one.encode(int(value)) for value in whole])
        return _even(0.0, 1.0, count)[:, None]


class Random(AbstractDesign):
    """`count` draws, even from end to end and normal where there are none. A pure function of the
    key: `jax.vmap` over keys works."""

    count: int = eqx.field(static=True)
    size: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_count("Random: count", self.count)
        _check_size("Random", self.size)

    def total(self, space):
        return self.count

    def population(self, space):
        return self.size or self.count

    def points(self, space, key):
        return space.draw(key, self.count)


class Sobol(AbstractDesign):
    """The first `count` of a scrambled Sobol sequence; powers of two are the most even."""

    count: int = eqx.field(static=True)
    size: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_count("Sobol: count", self.count)
        _check_size("Sobol", self.size)

    def possible(self, space):
        from scipy.stats import qmc

        if space.size > qmc.Sobol.MAXDIM:
            raise ValueError(
                f"Sobol: {space.size} numbers are more than the {qmc.Sobol.MAXDIM} there are "
                "sequences for; use LatinHypercube."
            )

    def total(self, space):
        return self.count

    def population(self, space):
        return self.size or self.count

    def points(self, space, key):
        from scipy.stats import qmc

        engine = qmc.Sobol(space.size, rng=_generator("Sobol", key))
        # As many as a power of two, which is what SciPy draws without a warning.
        return _placed(space, engine.random_base2((self.count - 1).bit_length())[: self.count])


class Halton(AbstractDesign):
    """The first `count` of a scrambled Halton sequence."""

    count: int = eqx.field(static=True)
    size: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_count("Halton: count", self.count)
        _check_size("Halton", self.size)

    def total(self, space):
        return self.count

    def population(self, space):
        return self.size or self.count

    def points(self, space, key):
        from scipy.stats import qmc

        engine = qmc.Halton(space.size, rng=_generator("Halton", key))
        return _placed(space, engine.random(self.count))


class LatinHypercube(AbstractDesign):
    """`count` points, one in each of as many strata of every number."""

    count: int = eqx.field(static=True)
    size: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_count("LatinHypercube: count", self.count)
        _check_size("LatinHypercube", self.size)

    def total(self, space):
        return self.count

    def population(self, space):
        return self.size or self.count

    def points(self, space, key):
        from scipy.stats import qmc

        engine = qmc.LatinHypercube(space.size, rng=_generator("LatinHypercube", key))
        return _placed(space, engine.random(self.count))


def _generator(who: str, key: Array) -> np.random.Generator:
    """NumPy's random numbers by a key of JAX. Raises `ValueError` for a traced one."""
    if is_traced(key):
        raise ValueError(
            f"{who}: its points are SciPy's, which cannot be traced; call init outside of jit and "
            "vmap, or use Random."
        )
    return np.random.default_rng(np.asarray(jr.bits(key, (4,), jnp.uint32)).tolist())


def _placed(space: Space, units: np.ndarray) -> Float[Array, "point width"]:
    return jnp.asarray(space.spread(units), jnp.result_type(float))


def _even(low: float, high: float, count: int) -> np.ndarray:
    return np.linspace(low, high, count) if count > 1 else np.array([0.5 * (low + high)])


def _high(dimension: Integer) -> float:
    return math.log(dimension.high) if dimension.log else float(dimension.high)


def _check_size(who: str, size: Any) -> None:
    if size is not None:
        check_count(f"{who}: size", size)
