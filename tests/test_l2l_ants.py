"""Ant colonies: rules against plain ones, JAX against mesa, and a search that feeds them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from apart import apart
from tvbjax import l2l
from tvbjax.l2l import examples

ant_colony, ant_colony_mesa = examples.ant_colony, examples.ant_colony_mesa
SMALL = ant_colony.World(radius=20, ants=40, ticks=300)
COLONIES = 32


def arrays(values):
    return {name: jnp.asarray(value) for name, value in values.items()}


@pytest.fixture(scope="module")
def colonies():
    """Of values, the collected food of many colonies side by side, (colony, tick)."""
    colony = ant_colony.AntColony(SMALL)
    run = jax.jit(jax.vmap(colony.collected, in_axes=(None, 0)))
    keys = jax.random.split(jax.random.key(0), COLONIES)
    return lambda values: np.asarray(run(arrays(values), keys))


def test_food_comes_home_piece_by_piece(colonies):
    collected = colonies(ant_colony.NETLOGO)
    assert (np.diff(collected, axis=1) >= 0).all()
    assert (collected[:, 0] == 0).all() and collected.max() <= SMALL.food.sum()
    # An ant that left at the first tick is home with food no sooner than there and back.
    nearest = SMALL.away(0.0, 0.0)[SMALL.food > 0].min() - 1
    assert (collected[:, : int(2 * nearest) - 4] == 0).all()


def test_without_trails_less_food_comes_home(colonies):
    """What the chemical is for: all of it is gone at once."""
    good = {"diffusion": 0.2, "evaporation": 0.02, "wiggle": 20.0}
    led, blind = colonies(good)[:, -1], colonies(good | {"evaporation": 1.0})[:, -1]
    error = np.sqrt(led.var() / COLONIES + blind.var() / COLONIES)
    assert led.mean() - blind.mean() > 5.0 * error


def test_the_chemical_spreads_to_the_neighbours_that_there_are():
    colony = ant_colony.AntColony(ant_colony.World(radius=7))
    start = np.random.default_rng(0).random((15, 15))
    found = np.asarray(colony._spread(jnp.asarray(start), jnp.asarray(0.6)))
    expected = np.zeros((15, 15))
    for i in range(15):
        for j in range(15):
            expected[i, j] += start[i, j]
            for k in range(max(0, i - 1), min(15, i + 2)):
                for m in range(max(0, j - 1), min(15, j + 2)):
                    if (k, m) != (i, j):
                        expected[k, m] += 0.6 / 8.0 * start[i, j]
                        expected[i, j] -= 0.6 / 8.0 * start[i, j]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.sum() == pytest.approx(start.sum())


def test_ants_in_one_cell_share_what_is_there():
    here = jnp.array([0, 0, 0, 1, 2, 0]), jnp.array([1, 1, 1, 1, 0, 1])
    wants = jnp.array([True, False, True, True, True, True])
    food = jnp.array([[0, 2, 0], [0, 0, 0], [1, 0, 0]])
    served = ant_colony._served(here, wants, food)
    assert served.tolist() == [True, False, True, False, True, False]


@pytest.mark.parametrize(
    "values", [ant_colony.NETLOGO, {"diffusion": 0.2, "evaporation": 0.02, "wiggle": 20.0}]
)
def test_jax_and_mesa_collect_alike(colonies, values):
    """Means of the food after 150 and 300 ticks agree within four standard errors."""
    pytest.importorskip("mesa", reason="needs pip install 'tvbjax[agents]'")
    collected = colonies(values)[:, [149, 299]]
    with apart() as call:
        other = np.array([call(_mesa, values, seed) for seed in range(10)])
    error = np.sqrt(collected.var(axis=0) / COLONIES + other.var(axis=0, ddof=1) / len(other))
    assert (error < 0.12 * collected.mean(axis=0)).all()
    assert (np.abs(collected.mean(axis=0) - other.mean(axis=0)) < 4.0 * error).all()


def _mesa(values, seed):
    found = ant_colony_mesa.MesaColony(SMALL)(values, seed)["more"]["collected"]
    return found[[149, 299]].tolist()


@pytest.mark.slow
def test_a_search_feeds_the_colony(colonies):
    """Less of the food is out, as a mean over time, than with NetLogo's defaults."""
    colony = ant_colony.AntColony(SMALL)
    study = l2l.Study(
        l2l.Function(colony, colony.space),
        l2l.SeparableNes(10),
        jax.random.key(1),
        l2l.MaxGenerations(6),
        start=ant_colony.NETLOGO,
    )
    found = study.run(progress=False)
    total = SMALL.food.sum()
    before = np.mean(1.0 - colonies(ant_colony.NETLOGO) / total, axis=1)
    after = np.mean(1.0 - colonies(found.values) / total, axis=1)
    error = np.sqrt(before.var() / COLONIES + after.var() / COLONIES)
    assert before.mean() - after.mean() > 5.0 * error  # of colonies that were not searched
    assert not found.failures
