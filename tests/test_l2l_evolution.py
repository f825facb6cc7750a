"""Genetic, differential and swarm search and evolution strategies: the laws of their papers."""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from scipy import linalg, stats

from tvbjax.l2l import (
    Adaptive,
    Blend,
    Cma,
    Differential,
    Evaluations,
    ExponentialNes,
    Fixed,
    Genetic,
    NormalMutation,
    OpenAiEs,
    Pgpe,
    PolynomialMutation,
    RandomOne,
    Real,
    SeparableNes,
    SimulatedBinary,
    Space,
    Swarm,
    ToBest,
    Unbounded,
)
from tvbjax_inference.l2l.optimisers import differential_rules, shaping

FREE = Space(x=Unbounded(0.0, 1.0, shape=(3,)))
MANY = 20_000
# A right law fails such a test once in a thousand draws; keys are fixed.
LEAST_CHANCE = 1e-3


def told(optimiser, losses_of, generations=1, space=FREE, seed=0):
    """The states of a search, and what was asked for."""
    search, states, asked_for = optimiser.init(space, jr.key(seed)), [], []
    step = jax.jit(lambda s: _step(optimiser, s, losses_of))
    for _ in range(generations):
        search, candidates = step(search)
        states.append(search)
        asked_for.append(np.asarray(candidates))
    return states, asked_for


def _step(optimiser, search, losses_of):
    candidates, asked = optimiser.ask(search)
    return optimiser.tell(asked, candidates, Evaluations(losses_of(candidates))), candidates


def bowl(x):
    return jnp.sum((x - 1.0) ** 2, axis=1)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_blends_are_even_from_end_to_end(alpha):
    first, second = jnp.full((MANY, 1), 2.0), jnp.full((MANY, 1), 4.0)
    for child in Blend(alpha).cross(jr.key(0), first, second):
        law = stats.uniform(2.0 - 2.0 * alpha, 2.0 + 4.0 * alpha)
        assert stats.kstest(child[:, 0], law.cdf).pvalue > LEAST_CHANCE
        assert child.min() >= 2.0 - 2.0 * alpha and child.max() <= 4.0 + 2.0 * alpha


@pytest.mark.parametrize("index", [2.0, 15.0])
def test_spread_of_simulated_binary_crossover(index):
    first, second = jnp.full((MANY, 1), 2.0), jnp.full((MANY, 1), 4.0)
    one, other = SimulatedBinary(index, share=1.0).cross(jr.key(1), first, second)
    np.testing.assert_allclose(one + other, 6.0, rtol=1e-12)
    spread = np.abs(other - one)[:, 0] / 2.0
    # Deb & Agrawal's density 0.5 (n + 1) b^n below 1 and 0.5 (n + 1) b^-(n + 2) above, summed up.
    power = index + 1.0
    law = lambda b: np.where(b < 1.0, 0.5 * b**power, 1.0 - 0.5 * np.maximum(b, 1.0) ** -power)  # noqa: E731
    assert stats.kstest(spread, law).pvalue > LEAST_CHANCE


def test_a_share_of_coordinates_is_crossed():
    first, second = jnp.zeros((MANY, 1)), jnp.ones((MANY, 1))
    one, _ = SimulatedBinary(share=0.25).cross(jr.key(0), first, second)
    kept = int((np.asarray(one) == 0.0).sum())
    assert stats.binomtest(kept, MANY, 0.75).pvalue > LEAST_CHANCE


def test_normal_steps_are_as_wide_as_the_members_are_spread():
    members = jnp.concatenate([jnp.full((MANY // 2, 2), -1.0), jnp.full((MANY // 2, 2), 1.0)])
    members = members * jnp.asarray([[3.0, 0.01]])
    steps = NormalMutation(0.5).steps(jr.key(0), members, jnp.ones(2))
    for column, width in zip(np.asarray(steps).T, (1.5, 0.005), strict=True):
        assert stats.kstest(column, stats.norm(0.0, width).cdf).pvalue > LEAST_CHANCE


def test_polynomial_steps_have_their_law_and_their_ends():
    steps = PolynomialMutation(20.0).steps(jr.key(0), jnp.zeros((MANY, 1)), jnp.full(1, 0.3))
    # Density 0.5 (n + 1) (1 - |d|)^n of Deb & Goyal from -1 to 1, summed up.
    law = lambda d: np.where(d < 0, 0.5 * (1 + d) ** 21, 1 - 0.5 * (1 - d) ** 21)  # noqa: E731
    assert stats.kstest(np.asarray(steps)[:, 0], law).pvalue > LEAST_CHANCE
    assert np.abs(steps).max() <= 1.0


def test_the_elite_lives_and_the_hall_has_the_best_of_all():
    states, asked_for = told(Genetic(size=12, elite=2, famous=5), bowl, generations=8)
    everything = np.concatenate(asked_for)
    losses = np.sort(((everything - 1.0) ** 2).sum(axis=1))
    np.testing.assert_allclose(states[-1].inner.hall_losses, losses[:5], rtol=1e-12)
    found = [float(state.inner.losses[0]) for state in states]
    assert found == sorted(found, reverse=True)
    assert float(states[-1].inner.losses[1]) <= max(losses[:2].max(), found[-2])


def test_winners_of_tournaments_are_as_likely_as_reckoned():
    # Without crossover and mutation children are the winners: of two entrants the best of n members
    # wins with the chance 1 - (1 - 1/n)^2.
    optimiser = Genetic(size=2000, crossing=0.0, mutating=0.0, elite=0)
    states, _ = told(optimiser, lambda x: x[:, 0])
    inner = states[0].inner
    better = np.asarray(inner.members)[:1000, 0].max()
    share = int((np.asarray(inner.children)[:, 0] <= better).sum())
    # Of the better half: 1 - (1/2)^2.
    assert stats.binomtest(share, 2000, 0.75).pvalue > LEAST_CHANCE


def test_others_are_evenly_drawn_and_never_oneself():
    found = np.stack(differential_rules._others(jr.key(0), 500, 3))
    assert (found != np.arange(500)).all()
    assert all(len(set(column)) == 3 for column in found.T)
    drawn = jax.jit(jax.vmap(lambda key: differential_rules._others(key, 6, 2)[1][0]))
    draws = drawn(jr.split(jr.key(1), 600))
    counts = np.bincount(draws, minlength=6)
    assert counts[0] == 0 and stats.chisquare(counts[1:]).pvalue > LEAST_CHANCE


def test_a_trial_of_rand_one_is_made_of_three_others():
    members = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)))
    factors = jnp.full(5, 0.7)
    donors = np.asarray(RandomOne().donors(jr.key(0), members, jnp.arange(5.0), factors))
    every = np.asarray(members)
    for own, donor in enumerate(donors):
        rest = [i for i in range(5) if i != own]
        made = [
            every[i] + 0.7 * (every[j] - every[k])
            for i in rest
            for j in rest
            for k in rest
            if len({i, j, k}) == 3
        ]
        assert min(np.abs(donor - one).max() for one in made) < 1e-12


def test_a_trial_of_current_to_best_is_made_of_the_best_and_two_others():
    every = np.random.default_rng(0).normal(size=(10, 2))
    losses = jnp.asarray([5.0, 3.0, 9.0, 1.0, 2.0, 8.0, 7.0, 6.0, 4.0, 10.0])
    donors = ToBest(0.2).donors(jr.key(0), jnp.asarray(every), losses, jnp.full(10, 0.5))
    for own, donor in enumerate(np.asarray(donors)):
        made = [
            every[own] + 0.5 * (every[best] - every[own] + every[j] - every[k])
            for best in (3, 4)
            for j in range(10)
            for k in range(10)
            if len({own, j, k}) == 3
        ]
        assert min(np.abs(donor - one).max() for one in made) < 1e-12


def test_adaptive_control_learns_the_means_of_what_won():
    control = Adaptive(rate=0.1).begin(jnp.float64)
    factors, crossings = jnp.asarray([0.2, 0.9, 0.6]), jnp.asarray([0.1, 0.8, 0.4])
    won = jnp.asarray([True, False, True])
    found = Adaptive(rate=0.1).learnt(control, factors, crossings, won)
    # Lehmer's mean of 0.2 and 0.6 is 0.4 / 0.8; the plain one of 0.1 and 0.4 is 0.25.
    assert float(found.factor) == pytest.approx(0.9 * 0.5 + 0.1 * 0.5)
    assert float(found.crossing) == pytest.approx(0.9 * 0.5 + 0.1 * 0.25)
    same = Adaptive(rate=0.1).learnt(control, factors, crossings, jnp.zeros(3, bool))
    assert float(same.factor) == 0.5 and float(same.crossing) == 0.5


def test_adaptive_factors_are_cauchy_above_zero():
    control = Adaptive(factor=0.3).begin(jnp.float64)
    factors, crossings = Adaptive().drawn(control, jr.key(0), MANY)
    whole = stats.cauchy(0.3, 0.1)
    below = np.asarray(factors)[np.asarray(factors) < 1.0]
    law = lambda f: (whole.cdf(f) - whole.cdf(0.0)) / (whole.cdf(1.0) - whole.cdf(0.0))  # noqa: E731
    # The least are lifted to 0.001, which is less than the law tells apart.
    assert stats.kstest(below, law).pvalue > LEAST_CHANCE
    assert factors.max() == 1.0 and factors.min() >= 1e-3
    assert float(crossings.mean()) == pytest.approx(0.5, abs=4 * 0.1 / math.sqrt(MANY))


def test_a_member_is_replaced_by_no_worse_a_trial_only():
    states, asked_for = told(Differential(size=10, control=Fixed()), bowl, generations=6)
    for before, after, trials in zip(states, states[1:], asked_for[1:], strict=False):
        old, new = np.asarray(before.inner.losses), np.asarray(after.inner.losses)
        tried = ((trials - 1.0) ** 2).sum(axis=1)
        np.testing.assert_allclose(new, np.minimum(old, tried), rtol=1e-12)


def test_a_swarm_without_noise_in_its_draws_is_the_difference_equation():
    # Alone with its best place, a particle at x with velocity v moves by w v; no draw matters.
    optimiser = Swarm(size=4, own=0.0, others=0.0)
    states, asked_for = told(optimiser, bowl, generations=6)
    places = np.stack(asked_for)
    moves = places[1:] - places[:-1]
    np.testing.assert_allclose(moves[1:], 0.7298437881283576 * moves[:-1], rtol=1e-9)


def test_constriction_is_clerc_and_kennedys():
    # chi = 2 / |2 - phi - sqrt(phi^2 - 4 phi)| for phi = 4.1, and phi chi / 2 for each draw.
    chi = 2.0 / abs(2.0 - 4.1 - math.sqrt(4.1**2 - 4.0 * 4.1))
    assert float(Swarm().inertia) == pytest.approx(chi, rel=1e-12)
    assert float(Swarm().own) == pytest.approx(4.1 * chi / 2.0, rel=1e-12)


def test_the_leader_on_a_ring_is_the_best_neighbour():
    losses = jnp.asarray([5.0, 1.0, 4.0, 3.0, 2.0, 6.0])
    np.testing.assert_array_equal(Swarm(size=6, reach=1)._leaders(losses), [1, 1, 1, 4, 4, 4])
    np.testing.assert_array_equal(Swarm(size=6)._leaders(losses), [1] * 6)


def test_a_particle_turns_back_at_an_end():
    space = Space(x=Real(0.0, 1.0))
    states, asked_for = told(Swarm(size=20), lambda x: x[:, 0], 20, space)
    assert np.concatenate(asked_for).min() >= 0.0
    assert float(states[-1].best[0]) < 1e-3


def test_centred_ranks_share_what_is_equal():
    found = shaping.centred_ranks(jnp.asarray([3.0, 1.0, 3.0, 9.0, jnp.inf]))
    np.testing.assert_allclose(found, [-0.125, -0.5, -0.125, 0.25, 0.5])


def test_utilities_are_wierstras_numbers():
    # For four: max(0, ln 3 - ln i) over their sum, less a quarter.
    raw = np.array([math.log(3.0), math.log(1.5), 0.0, 0.0])
    np.testing.assert_allclose(shaping.utilities(4), raw / raw.sum() - 0.25, rtol=1e-12)


@pytest.mark.parametrize("optimiser", [OpenAiEs(size=10), Pgpe(size=10)], ids=["OpenAiEs", "Pgpe"])
def test_candidates_are_mirrored_pairs(optimiser):
    _, asked_for = told(optimiser, bowl, generations=3)
    for candidates in asked_for:
        middle = 0.5 * (candidates[:5] + candidates[5:])
        np.testing.assert_allclose(middle - middle[:1], 0.0, atol=1e-12)


def test_openai_follows_its_rule():
    # Adam's first step is its rate in every coordinate, against the slope.
    optimiser = OpenAiEs(size=400, rule=optax.adam(0.3), decay=1.0)
    states, _ = told(optimiser, lambda x: jnp.sum(x * jnp.asarray([[1.0, -2.0, 3.0]]), axis=1))
    np.testing.assert_allclose(states[0].inner.mean, [-0.3, 0.3, -0.3], rtol=1e-5)
    assert float(states[0].inner.sigma) == 1.0


def test_openai_finds_the_slope_of_a_smoothed_loss():
    # Of a linear loss ranks are its distribution: E[(F(z) - 1/2) z] = 1 / (2 sqrt(pi)) along it.
    states, _ = told(OpenAiEs(size=2000), lambda x: x[:, 0])
    wanted = np.array([-0.5 / math.sqrt(math.pi), 0.0, 0.0])
    np.testing.assert_allclose(states[0].inner.mean, wanted, atol=4 * 0.6 / math.sqrt(1000))


def test_deviations_of_pgpe_grow_along_a_valley_and_shrink_across():
    states, _ = told(Pgpe(size=400), lambda x: x[:, 0] ** 2 - x[:, 1] ** 2)
    first, second, third = np.asarray(states[0].inner.deviations)
    assert first < 0.95 < 1.05 < second and abs(third - 1.0) < 0.05


def test_a_step_of_xnes_is_the_natural_gradient():
    """Wierstra et al.'s algorithm 5, with SciPy's exponential of a matrix."""
    size, width = 12, 3
    optimiser = ExponentialNes(size=size, mean_rate=0.8, sigma_rate=0.3, shape_rate=0.2)
    states, asked_for = told(optimiser, bowl, generations=3)
    before, after = states[1].inner, states[2].inner
    candidates = asked_for[2]
    raw = np.maximum(0.0, math.log(size / 2 + 1) - np.log(np.arange(1, size + 1)))
    order = np.argsort(((candidates - 1.0) ** 2).sum(axis=1))
    shape, sigma = np.asarray(before.shape), float(before.sigma)
    mean_slope, slope = np.zeros(width), np.zeros((width, width))
    for utility, place in zip(raw / raw.sum() - 1.0 / size, order, strict=True):
        z = np.linalg.solve(sigma * shape, candidates[place] - np.asarray(before.mean))
        mean_slope += utility * z
        slope += utility * (np.outer(z, z) - np.eye(width))
    wider = np.trace(slope) / width
    np.testing.assert_allclose(after.mean, before.mean + 0.8 * sigma * shape @ mean_slope)
    assert float(after.sigma) == pytest.approx(sigma * math.exp(0.15 * wider), rel=1e-12)
    bent = shape @ linalg.expm(0.1 * (slope - wider * np.eye(width)))
    np.testing.assert_allclose(after.shape, bent, rtol=1e-9, atol=1e-12)
    assert float(jnp.linalg.det(after.shape)) == pytest.approx(1.0, rel=1e-9)


def test_the_shape_of_xnes_becomes_that_of_a_quadratic():
    # The covariance of the best distribution on x' H x is a multiple of the inverse of H.
    hessian = jnp.asarray([[20.0, 6.0, 0.0], [6.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    states, _ = told(
        ExponentialNes(size=60), lambda x: jnp.sum((x @ hessian) * x, axis=1), generations=120
    )
    shape = np.asarray(states[-1].inner.shape)
    found = shape @ shape.T @ np.asarray(hessian)
    spread = np.linalg.eigvals(found / np.linalg.det(found) ** (1 / 3)).real
    assert np.linalg.cond(hessian) > 20 and spread.max() / spread.min() < 3.0


MADE_WRONG = [
    (lambda: Genetic(size=1), "Genetic: size is 1"),
    (lambda: Genetic(size=4, elite=5), "Genetic: the elite of 5 is more than its 4 members"),
    (lambda: Differential(size=3), "Differential: size is 3"),
    (lambda: ToBest(0.0), "ToBest: share is 0.0"),
    (lambda: Swarm(size=1), "Swarm: size is 1"),
    (lambda: Swarm(reach=0), "Swarm: reach is 0"),
    (lambda: OpenAiEs(size=7), "OpenAiEs: size is 7; candidates are pairs"),
    (lambda: Pgpe(size=5), "Pgpe: size is 5; candidates are pairs"),
    (lambda: ExponentialNes(size=1), "ExponentialNes: size is 1"),
    (lambda: SeparableNes(size=1), "SeparableNes: size is 1"),
]


@pytest.mark.parametrize("make, words", MADE_WRONG)
def test_what_cannot_be_is_told(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("optimiser", [Cma(), Genetic(size=8), Differential(size=8), Swarm(size=8)])
def test_a_search_begins_about_its_start(optimiser):
    search = optimiser.init(FREE, jr.key(0), {"x": np.array([100.0, -50.0, 7.0])})
    candidates, _ = optimiser.ask(search)
    away = np.asarray(candidates) - np.array([[100.0, -50.0, 7.0]])
    assert np.abs(away).max() < 6.0
