"""Parallel tempering against what statistical mechanics says of its rungs and swaps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import gamma

from tvbjax_inference.l2l import (
    Evaluations,
    ParallelTempering,
    Real,
    Space,
    Unbounded,
    ladder,
    minimise,
)


def sampled(optimiser, space, loss, generations, burn, key, replicas=32):
    """Losses and first coordinates of all rungs after each generation, of many ladders."""

    def step(search, _):
        candidates, asked = optimiser.ask(search)
        told = optimiser.tell(asked, candidates, Evaluations(jax.vmap(loss)(candidates)))
        return told, (told.inner.losses, told.inner.positions[:, 0])

    def one(key):
        search = optimiser.init(space, key)
        search, (losses, places) = jax.lax.scan(step, search, length=generations)
        return optimiser.swap_rates(search), losses[burn:], places[burn:]

    return jax.jit(jax.vmap(one))(jr.split(key, replicas))


WIDTH = 4


@pytest.fixture(scope="module")
def well():
    """x^2/2 in 4 dimensions: energies are Gamma(2, T) at every rung."""
    optimiser = ParallelTempering(ladder(0.05, 2.0, 5), step=1.0, adaptation=0.3)
    space = Space(x=Unbounded(shape=(WIDTH,)))
    rates, losses, _ = sampled(optimiser, space, lambda x: (x**2).sum() / 2, 1500, 300, jr.key(0))
    return np.asarray(optimiser.temperatures), np.asarray(rates), np.asarray(losses)


def test_mean_energies_are_half_a_temperature_a_dimension(well):
    """To 3 %: 32 ladders of 1200 generations, of which some 30 are one independent draw."""
    temperatures, _, losses = well
    np.testing.assert_allclose(losses.mean(axis=(0, 1)), temperatures * WIDTH / 2, rtol=0.03)
    np.testing.assert_allclose(losses.var(axis=(0, 1)), temperatures**2 * WIDTH / 2, rtol=0.1)


def test_swaps_are_as_frequent_as_predicted(well):
    """E[min(1, exp((1/T - 1/T') (E - E')))] of independent energies, by quadrature."""
    temperatures, rates, _ = well
    levels = (np.arange(400) + 0.5) / 400
    for pair in range(len(temperatures) - 1):
        cold, hot = temperatures[pair : pair + 2]
        one = gamma.ppf(levels, WIDTH / 2, scale=cold)[:, None]
        other = gamma.ppf(levels, WIDTH / 2, scale=hot)[None]
        wanted = np.minimum(1.0, np.exp((1 / cold - 1 / hot) * (one - other))).mean()
        assert rates[:, pair].mean() == pytest.approx(wanted, abs=0.02)


def test_the_coldest_rung_is_in_each_of_two_wells_as_long_as_it_should_be():
    """Wells 12 temperatures deep, which a chain by itself would not leave; to 0.03 of all."""

    def loss(x):
        return 3.0 * (x[0] ** 2 - 1.0) ** 2 + 0.15 * x[0]

    optimiser = ParallelTempering(ladder(0.25, 3.0, 5), step=0.6, adaptation=0.3)
    space = Space(x=Unbounded())
    _, losses, places = sampled(optimiser, space, loss, 2500, 500, jr.key(1))
    grid = np.linspace(-3.0, 3.0, 4001)[:, None]
    energy = np.asarray(jax.vmap(loss)(jnp.asarray(grid)))
    for rung, temperature in enumerate(np.asarray(optimiser.temperatures)):
        weights = np.exp(-energy / temperature)
        weights /= weights.sum()
        left = weights[grid[:, 0] < 0].sum()
        assert (np.asarray(places)[:, :, rung] < 0).mean() == pytest.approx(left, abs=0.03)
        assert losses[:, :, rung].mean() == pytest.approx((weights * energy).sum(), abs=0.03)


def test_swaps_exchange_places_and_nothing_else():
    """A cold rung that is worse always swaps; even and odd pairs take turns."""
    optimiser = ParallelTempering((1e-6, 2e-6, 3e-6, 4e-6), step=1e-3, adaptation=0.0)
    search = optimiser.init(Space(x=Unbounded()), jr.key(0))
    ask, tell = eqx.filter_jit(optimiser.ask), eqx.filter_jit(optimiser.tell)
    for generation in range(3):
        candidates, search = ask(search)
        before = search.inner.positions
        # The first candidates are always taken; later ones are worse, and are not.
        losses = jnp.array([4.0, 3.0, 2.0, 1.0]) if generation == 0 else jnp.full(4, 9.0)
        search = tell(search, candidates, Evaluations(losses))
        if generation:
            order = [0, 2, 1, 3] if generation == 1 else [1, 0, 3, 2]
            np.testing.assert_array_equal(search.inner.positions, before[jnp.array(order)])
        wanted = ([3, 4, 1, 2], [3, 1, 4, 2], [1, 3, 2, 4])[generation]
        np.testing.assert_array_equal(search.inner.losses, wanted)
    np.testing.assert_array_equal(search.inner.tried, [2, 1, 2])
    np.testing.assert_array_equal(optimiser.swap_rates(search), [1.0, 1.0, 1.0])


def test_it_finds_the_deepest_of_many_valleys():
    """100 of them; the coldest rung has the mean loss 0.02, and the best of many is below."""

    def loss(values, key):
        apart = values["x"] - 0.7
        return 20.0 + (apart**2 - 10.0 * jnp.cos(2.0 * jnp.pi * apart)).sum()

    space = Space(x=Real(-5.0, 5.0, shape=(2,)))
    optimiser = ParallelTempering(ladder(0.02, 20.0, 10))
    found = jax.jit(
        jax.vmap(lambda key: minimise(loss, space, optimiser, key, generations=800)[0].least)
    )(jr.split(jr.key(0), 5))
    assert (np.asarray(found) < 0.1).sum() >= 4


def test_ladders_are_geometric_and_checked():
    np.testing.assert_allclose(ladder(0.1, 1.6, 5), [0.1, 0.2, 0.4, 0.8, 1.6], rtol=1e-12)
    with pytest.raises(ValueError, match="hottest is 0.1; give a number above 0.2"):
        ladder(0.2, 0.1, 3)
    with pytest.raises(ValueError, match=r"shape \(1,\); give two or more"):
        ParallelTempering((1.0,))
    for wrong in ((1.0, 0.5), (0.0, 1.0), (1.0, np.nan), (1.0, np.inf)):
        with pytest.raises(ValueError, match=r"temperatures are \[.*above 0 that rise"):
            ParallelTempering(wrong)
    # Where they are computed there is nothing to look at until they are known.
    with pytest.raises(Exception, match="above 0 that rise"):
        jax.vmap(lambda t: ParallelTempering(t).init(Space(x=Unbounded()), jr.key(0)))(
            np.array([[0.1, 1.0], [1.0, 0.1]])
        )
