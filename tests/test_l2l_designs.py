"""Designs: exact counts, strata, and SciPy's measure of evenness."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import norm, qmc

from tvbjax_inference.l2l import (
    Categorical,
    Evaluations,
    Grid,
    Halton,
    Integer,
    LatinHypercube,
    Random,
    Real,
    Sobol,
    Space,
    Unbounded,
    minimise,
)

MIXED = Space(
    G=Real(0.0, 4.0),
    rate=Real(1.0, 100.0, log=True),
    steps=Integer(1, 3),
    model=Categorical(("a", "b")),
)
UNIT = Space(x=Real(0.0, 1.0, shape=(4,)))


def all_points(design, space=UNIT, seed=0):
    """All tiles, told one after the other until it ends."""
    search = design.init(space, jr.key(seed))
    tiles = []

    @jax.jit
    def step(search):
        candidates, search = design.ask(search)
        told = design.tell(search, candidates, Evaluations(jnp.zeros(len(candidates))))
        return candidates, told, design.should_stop(told)

    over = False
    while not over:
        candidates, search, over = step(search)
        tiles.append(np.asarray(candidates))
    return np.concatenate(tiles), len(tiles)


def test_a_grid_has_all_combinations_once():
    design = Grid({"G": 5, "rate": 3})
    points, generations = all_points(design, MIXED)
    assert generations == 1 and len(points) == 5 * 3 * 3 * 2
    values = MIXED.decode(jnp.asarray(points))
    found = list(zip(*(np.asarray(values[name]).tolist() for name in MIXED.names), strict=True))
    wanted = itertools.product((0.0, 1.0, 2.0, 3.0, 4.0), (1.0, 10.0, 100.0), (1, 2, 3), (0, 1))
    np.testing.assert_allclose(np.array(found), np.array(list(wanted)), rtol=1e-12)


def test_a_grid_has_more_axes_than_arrays_have():
    space = Space(x=Real(-1.0, 1.0, shape=(99,)), y=Real(0.0, 1.0), z=Real(0.0, 1.0))
    points, _ = all_points(Grid({"x": 1, "y": 2, "z": 3}), space)
    ends = [[y, z] for y in (0.0, 1.0) for z in (0.0, 0.5, 1.0)]
    np.testing.assert_array_equal(points, np.c_[np.full((6, 99), 0.5), ends])


@pytest.mark.parametrize(
    "dimension, count, wanted",
    [
        (Real(2.0, 4.0), 1, [3.0]),
        (Integer(0, 100), 5, [0, 25, 50, 75, 100]),
        (Integer(1, 1000, log=True), 4, [1, 10, 100, 1000]),
        (Integer(1, 3), 9, [1, 2, 3]),
        (Categorical((True, None, "c")), 2, [0, 1, 2]),
        (Unbounded(1.0, 2.0), 3, 1.0 + 2.0 * norm.ppf([1 / 6, 0.5, 5 / 6])),
    ],
    ids=str,
)
def test_levels_of_each_kind(dimension, count, wanted):
    space = Space(x=dimension)
    values = space.decode(jnp.asarray(all_points(Grid(count), space)[0]))["x"]
    np.testing.assert_allclose(values, wanted, rtol=1e-12)


def test_arrays_vary_each_element():
    space = Space(x=Real(0.0, 1.0, shape=(3,)))
    points, _ = all_points(Grid(2), space)
    assert sorted(map(tuple, points.tolist())) == sorted(itertools.product((0.0, 1.0), repeat=3))


@pytest.mark.parametrize("kind", [Random, Sobol, Halton, LatinHypercube])
def test_counts_are_exact_and_tiles_are_the_whole(kind):
    whole, one = all_points(kind(24))
    tiled, four = all_points(kind(24, size=6))
    assert (len(whole), one, four) == (24, 1, 4)
    np.testing.assert_array_equal(whole, tiled)
    np.testing.assert_array_equal(whole, all_points(kind(24))[0])
    assert (whole != all_points(kind(24), seed=1)[0]).all()
    assert ((whole >= 0) & (whole <= 1)).all()


def test_a_hypercube_has_a_point_in_every_stratum():
    points, _ = all_points(LatinHypercube(50))
    assert (np.sort(np.floor(points * 50), axis=0) == np.arange(50)[:, None]).all()
    # Options and whole numbers have their shares to the last one.
    values = MIXED.decode(jnp.asarray(all_points(LatinHypercube(12), MIXED)[0]))
    assert np.bincount(values["steps"], minlength=4)[1:].tolist() == [4, 4, 4]
    assert np.bincount(values["model"]).tolist() == [6, 6]


def test_sobol_is_a_net():
    """Of 64 points one in every elementary interval of 8 x 8, in each pair of the first two."""
    points, _ = all_points(Sobol(64))
    cells = np.floor(points[:, :2] * 8).astype(int)
    assert len({tuple(cell) for cell in cells.tolist()}) == 64


def test_even_designs_have_less_discrepancy_than_random_ones():
    def discrepancy(kind):
        points = [np.asarray(kind(128).init(UNIT, jr.key(seed)).inner.points) for seed in range(4)]
        return np.mean([qmc.discrepancy(one) for one in points])

    drawn = jax.vmap(lambda key: Random(128).init(UNIT, key).inner.points)(jr.split(jr.key(0), 100))
    random = np.mean([qmc.discrepancy(np.asarray(one)) for one in drawn])
    hypercube, halton, sobol = map(discrepancy, (LatinHypercube, Halton, Sobol))
    assert sobol < halton < hypercube < random
    # Of n random points the mean is (E k(x, x) - E k(x, y)) / n; Hickernell's kernel has 5/4 and
    # 13/12 a dimension. One design is within 40 %.
    wanted = ((5.0 / 4.0) ** 4 - (13.0 / 12.0) ** 4) / 128
    assert random == pytest.approx(wanted, rel=0.15)


def test_random_is_pure():
    keys = jr.split(jr.key(0), 3)
    found = jax.jit(jax.vmap(lambda key: Random(8).init(UNIT, key).inner.points))(keys)
    np.testing.assert_array_equal(found[1], Random(8).init(UNIT, keys[1]).inner.points)
    assert np.unique(found).size == found.size


@pytest.mark.parametrize("kind", [Sobol, Halton, LatinHypercube])
def test_a_traced_key_is_refused(kind):
    with pytest.raises(ValueError, match=rf"{kind.__name__}: .*outside of jit.*Random"):
        jax.vmap(lambda key: kind(8).init(UNIT, key).inner.points)(jr.split(jr.key(0), 2))


def test_a_search_ends_with_the_design():
    def loss(values, key):
        return ((values["x"] - 0.5) ** 2).sum()

    search, trace = minimise(loss, UNIT, Grid(3, size=9), jr.key(0), generations=11)
    assert search.generation == 9 and search.least == 0.0
    assert np.isnan(trace.losses[9:]).all() and np.isfinite(trace.losses[:9]).all()


def test_what_is_no_design_is_said():
    with pytest.raises(ValueError, match="24 points are no multiple of size 7; give e.g. 6"):
        Sobol(24, size=7).init(UNIT, jr.key(0))
    with pytest.raises(ValueError, match="'G' has no number of levels"):
        Grid().init(MIXED, jr.key(0))
    with pytest.raises(ValueError, match="no 'H'; the space has G, rate"):
        Grid({"H": 2}).init(MIXED, jr.key(0))
    with pytest.raises(ValueError, match="fewer levels, or use Sobol"):
        Grid(10).init(Space(x=Real(0.0, 1.0, shape=(9,))), jr.key(0))
    with pytest.raises(ValueError, match="Grid: levels is 0"):
        Grid(0)
