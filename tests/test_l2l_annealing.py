"""Simulated annealing: schedules by their formulas, Metropolis' rule by its distribution."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax_inference.l2l import (
    Annealing,
    Evaluations,
    ExponentialAdditiveCooling,
    ExponentialCooling,
    LinearAdditiveCooling,
    LinearCooling,
    LogarithmicCooling,
    QuadraticAdditiveCooling,
    QuadraticCooling,
    Real,
    Space,
    StretchedCooling,
    TrigonometricAdditiveCooling,
    Unbounded,
    minimise,
)

ADDITIVE = [
    LinearAdditiveCooling,
    QuadraticAdditiveCooling,
    ExponentialAdditiveCooling,
    TrigonometricAdditiveCooling,
]
SCHEDULES = [
    (ExponentialCooling(2.0, 0.9), lambda k: 2.0 * 0.9**k),
    (LogarithmicCooling(2.0, 1.5), lambda k: 2.0 / (1 + 1.5 * math.log(1 + k))),
    (LinearCooling(2.0, 0.5), lambda k: 2.0 / (1 + 0.5 * k)),
    (QuadraticCooling(2.0, 0.5), lambda k: 2.0 / (1 + 0.5 * k**2)),
    (StretchedCooling(2.0, 0.7, 0.25), lambda k: 2.0 * math.exp(-0.7 * k**0.25)),
    (LinearAdditiveCooling(20, 2.0, 0.5), lambda k: 0.5 + 1.5 * (20 - k) / 20),
    (QuadraticAdditiveCooling(20, 2.0, 0.5), lambda k: 0.5 + 1.5 * ((20 - k) / 20) ** 2),
    (
        TrigonometricAdditiveCooling(20, 2.0, 0.5),
        lambda k: 0.5 + 0.75 * (1 + math.cos(math.pi * k / 20)),
    ),
]


@pytest.mark.parametrize("cooling, formula", SCHEDULES, ids=lambda x: type(x).__name__)
def test_schedules_are_their_formulas(cooling, formula):
    for k in (0, 1, 7, 20):
        assert float(cooling.temperature(jnp.asarray(k))) == pytest.approx(formula(k), rel=1e-12)


def test_the_logistic_schedule_is_one_between_its_ends():
    cooling = ExponentialAdditiveCooling(20, 2.0, 0.5, steepness=4.0)
    found = np.array([float(cooling.temperature(jnp.asarray(k))) for k in range(21)])
    assert found[0] == pytest.approx(2.0) and found[-1] == pytest.approx(0.5, abs=1e-12)
    # Luke's form, with another steepness; a line through the ends makes it ours.
    logistic = 1.0 / (1.0 + np.exp(2.0 * 4.0 / 20 * (np.arange(21) - 10.0)))
    inner = (logistic - logistic[-1]) / (logistic[0] - logistic[-1])
    np.testing.assert_allclose(found, 0.5 + 1.5 * inner, rtol=1e-12)
    flat = ExponentialAdditiveCooling(20, 2.0, 0.5, steepness=0.0)
    assert float(flat.temperature(jnp.asarray(5))) == pytest.approx(0.5 + 1.5 * 0.75, rel=1e-5)


@pytest.mark.parametrize("kind", ADDITIVE)
def test_none_divides_by_nothing(kind):
    """To the temperature 0, of a fall of 1, beyond the end, and of no generations at all."""
    for generations in (0, 1, 10):
        found = [
            float(kind(generations, 1.0, 0.0).temperature(jnp.asarray(k))) for k in (0, 10, 99)
        ]
        assert np.isfinite(found).all() and found[-1] == pytest.approx(0.0, abs=1e-12)
        assert found[0] == pytest.approx(1.0)
    same = kind(10, 2.0, 2.0)
    assert float(same.temperature(jnp.asarray(3))) == pytest.approx(2.0)


def chain(optimiser, space, loss, generations, key):
    """Losses of where the chains are, after every generation."""

    def step(search, _):
        candidates, asked = optimiser.ask(search)
        told = optimiser.tell(asked, candidates, Evaluations(jax.vmap(loss)(candidates)))
        return told, told.inner.losses

    return jax.lax.scan(step, optimiser.init(space, key), length=generations)


def test_without_heat_it_is_hill_climbing():
    """Step by step what a climber does that goes wherever it is no worse."""
    space = Space(x=Unbounded(shape=(2,)))

    def loss(x):
        return jnp.round(4.0 * (x**2).sum()) + jnp.cos(3.0 * x[0])

    cooling = LinearAdditiveCooling(1, 0.0, 0.0)
    optimiser = Annealing(size=3, cooling=cooling, step=0.7, adaptation=0.0)
    search = optimiser.init(space, jr.key(4))
    places, losses = np.zeros((3, 2)), np.full(3, np.inf)
    ask, tell = eqx.filter_jit(optimiser.ask), eqx.filter_jit(optimiser.tell)
    for _ in range(60):
        candidates, search = ask(search)
        new = jax.vmap(loss)(candidates)
        search = tell(search, candidates, Evaluations(new))
        better = np.asarray(new) <= losses
        places[better], losses[better] = np.asarray(candidates)[better], np.asarray(new)[better]
        np.testing.assert_array_equal(search.inner.positions, places)
        np.testing.assert_array_equal(search.inner.losses, losses)
    assert float(search.least) == losses.min()


def test_at_one_temperature_chains_have_boltzmanns_distribution():
    """Of x^2/2 in 3 dimensions: the energy is Gamma(3/2, T); of 200 chains, correlated over time,
    the mean is known to about 1 %."""
    space = Space(x=Unbounded(shape=(3,)))
    temperature = 0.4
    optimiser = Annealing(
        size=200,
        cooling=LinearAdditiveCooling(1, temperature, temperature),
        step=0.9,
        adaptation=0.0,
    )
    losses = jax.jit(lambda key: chain(optimiser, space, lambda x: (x**2).sum() / 2, 600, key)[1])(
        jr.key(0)
    )[100:]
    assert float(losses.mean()) == pytest.approx(1.5 * temperature, rel=0.03)
    assert float(losses.var()) == pytest.approx(1.5 * temperature**2, rel=0.06)


def test_between_ends_chains_are_even_where_losses_are():
    """Steps that are mirrored go both ways alike: no heap at an end."""
    space = Space(x=Real(0.0, 1.0))
    optimiser = Annealing(size=200, step=1.0, adaptation=0.0)
    search, _ = jax.jit(lambda key: chain(optimiser, space, lambda x: 0.0 * x[0], 200, key))(
        jr.key(1)
    )
    places = np.asarray(search.inner.positions)[:, 0]
    assert ((places >= 0) & (places <= 1)).all()
    counts = np.bincount((places * 5).astype(int), minlength=5)
    assert ((counts - 40) ** 2 / 40).sum() < 18.5  # chi-square of 4, one in a thousand


def test_steps_come_to_the_acceptance_that_is_wanted():
    space = Space(x=Unbounded(shape=(3,)))
    cooling = LinearAdditiveCooling(1, 1.0, 1.0)
    optimiser = Annealing(size=50, cooling=cooling, step=0.01, adaptation=0.05, acceptance=0.3)

    losses = jax.jit(lambda key: chain(optimiser, space, lambda x: (x**2).sum(), 800, key)[1])(
        jr.key(0)
    )
    moved = np.diff(np.asarray(losses)[400:], axis=0) != 0
    assert moved.mean() == pytest.approx(0.3, abs=0.02)


def test_it_finds_the_deepest_of_many_valleys():
    def loss(values, key):
        apart = values["x"] - 0.7
        return 20.0 + (apart**2 - 10.0 * jnp.cos(2.0 * jnp.pi * apart)).sum()

    space = Space(x=Real(-5.0, 5.0, shape=(2,)))
    optimiser = Annealing(size=8, cooling=ExponentialCooling(10.0, 0.97))
    found = jax.jit(
        jax.vmap(lambda key: minimise(loss, space, optimiser, key, generations=400)[0].least)
    )(jr.split(jr.key(0), 5))
    assert (np.asarray(found) < 1e-3).sum() >= 4


def test_failures_are_left_and_steps_end():
    space = Space(x=Real(0.0, 1.0, shape=(2,)))

    def loss(values, key):
        x = values["x"]
        return jnp.where(x[0] < 0.6, jnp.nan, (x**2).sum())

    optimiser = Annealing(size=4, cooling=LinearCooling(0.1), adaptation=0.3)
    search, _ = jax.jit(lambda key: minimise(loss, space, optimiser, key, generations=900))(
        jr.key(0)
    )
    assert float(search.least) == pytest.approx(0.36, abs=1e-4)
    assert np.isfinite(search.inner.losses).all() and np.isfinite(search.inner.positions).all()
