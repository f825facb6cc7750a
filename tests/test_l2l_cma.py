"""CMA-ES: constants against pycma's, moves against slow sums, its ends, and its restarts."""

import functools
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax.l2l import Bipop, Cma, Evaluations, Ipop, Space, Unbounded, functions, minimise
from tvbjax_inference.l2l.optimisers import cma_distribution, cma_stopping
from tvbjax_inference.l2l.optimisers.cma_restarts import Run

# pycma 4.5.0: es.sp.weights, mueff, c1, cmu and cc of CMAEvolutionStrategy(width * [0], 1,
# {"popsize": population}).
PYCMA = {
    (10, 10): (
        [0.4562726469, 0.270753097, 0.1622311172, 0.0852335471, 0.0255095918]
        + [-0.0800126076, -0.221764161, -0.3445549418, -0.4528640864, -0.5497499177],
        (3.1672992814107017, 0.015283824524751714, 0.02355177665041747, 0.29499038303562225),
    ),
    (3, 7): (
        [0.5856451065, 0.2928225533, 0.1215323402, 0.0]
        + [-0.4241269418, -0.7706638857, -1.063656697],
        (2.2548150822016044, 0.09640963257927214, 0.0695884692329107, 0.5588013228860189),
    ),
}


@pytest.mark.parametrize("width, population", PYCMA)
@pytest.mark.parametrize("room", [0, 5])
def test_weights_and_rates_are_those_of_pycma(width, population, room):
    weights, numbers = PYCMA[width, population]
    found = cma_distribution.rates(population + room, jnp.asarray(float(population)), width)
    np.testing.assert_allclose(found.weights[:population], weights, rtol=1e-8, atol=1e-12)
    assert not found.weights[population:].any()
    np.testing.assert_allclose([found.mass, found.one, found.many, found.path], numbers, rtol=1e-12)


def test_rates_of_the_step_size_are_the_tutorials():
    # Table 1 for n = 10 and mu_eff = 3.16729928: c = (mu_eff + 2) / (n + mu_eff + 5).
    found = cma_distribution.rates(10, jnp.asarray(10.0), 10)
    assert float(found.conjugate) == pytest.approx(5.1672992814 / 18.1672992814, rel=1e-9)
    assert float(found.damping) == pytest.approx(1.0 + 5.1672992814 / 18.1672992814, rel=1e-9)
    # mu_eff = 34.79 of a large one: its root (33.79 / 11) is above 1.
    large = cma_distribution.rates(128, jnp.asarray(128.0), 10)
    more = 2.0 * (math.sqrt((float(large.mass) - 1.0) / 11.0) - 1.0)
    assert more > 0.0
    assert float(large.damping - large.conjugate) == pytest.approx(1.0 + more, rel=1e-12)


def test_one_generation_is_what_a_slow_loop_gives():
    """Every sum of the tutorial's equations 41 to 47 written out, number by number."""
    width, size = 3, 6
    draw = np.random.default_rng(0)
    scale, mean, sigma = np.array([1.0, 2.0, 0.5]), draw.normal(size=width), 0.7
    root = draw.normal(size=(width, width))
    covariance = root @ root.T + np.eye(width)
    lengths, basis = np.linalg.eigh(covariance)
    path, conjugate = draw.normal(size=width), 0.1 * draw.normal(size=width)
    normal = cma_distribution.Normal(
        jnp.asarray(mean),
        jnp.asarray(sigma),
        jnp.asarray(covariance),
        jnp.asarray(basis),
        jnp.asarray(np.sqrt(lengths)),
        jnp.asarray(path),
        jnp.asarray(conjugate),
        jnp.asarray(20, jnp.int32),
    )
    candidates, losses = draw.normal(size=(size, width)), draw.normal(size=size)
    found = cma_distribution.adapted(
        normal, *(jnp.asarray(x) for x in (scale, candidates, losses, float(size)))
    )

    rate = cma_distribution.rates(size, jnp.asarray(float(size)), width)
    weights = np.asarray(rate.weights)
    mass, one, many = float(rate.mass), float(rate.one), float(rate.many)
    c_sigma, c_path = float(rate.conjugate), float(rate.path)
    order = np.argsort(losses)
    steps = [(candidates[i] - mean) / (sigma * scale) for i in order]
    step = sum(w * y for w, y in zip(weights, steps, strict=True) if w > 0)
    inverse_root = basis @ np.diag(lengths**-0.5) @ basis.T
    conjugate = (1 - c_sigma) * conjugate + math.sqrt(c_sigma * (2 - c_sigma) * mass) * (
        inverse_root @ step
    )
    usual = math.sqrt(width) * (1 - 1 / (4 * width) + 1 / (21 * width**2))
    length = np.linalg.norm(conjugate)
    fast = length / math.sqrt(1 - (1 - c_sigma) ** (2 * 21)) >= (1.4 + 2 / (width + 1)) * usual
    path = (1 - c_path) * path + (not fast) * math.sqrt(c_path * (2 - c_path) * mass) * step
    lost = fast * c_path * (2 - c_path)
    new = (1 + one * lost - one - many * weights.sum()) * covariance + one * np.outer(path, path)
    for w, y in zip(weights, steps, strict=True):
        if w < 0:
            w = w * width / np.sum((inverse_root @ y) ** 2)
        new += many * w * np.outer(y, y)
    np.testing.assert_allclose(found.mean, mean + sigma * scale * step, rtol=1e-12)
    np.testing.assert_allclose(found.conjugate, conjugate, rtol=1e-10)
    np.testing.assert_allclose(found.path, path, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, new, rtol=1e-10)
    grown = sigma * math.exp(min(1.0, c_sigma / float(rate.damping) * (length / usual - 1)))
    assert float(found.sigma) == pytest.approx(grown, rel=1e-12)
    assert int(found.generation) == 21


def test_a_buffer_filled_in_part_counts_as_a_smaller_population():
    draw = np.random.default_rng(1)
    normal = cma_distribution.first_normal(jnp.zeros(4), jnp.asarray(1.0))
    candidates, losses = jnp.asarray(draw.normal(size=(8, 4))), jnp.asarray(draw.normal(size=8))
    adapted = jax.jit(cma_distribution.adapted)
    exact = adapted(normal, jnp.ones(4), candidates, losses, jnp.asarray(8.0))
    larger = adapted(
        normal,
        jnp.ones(4),
        jnp.concatenate([candidates, jnp.full((16, 4), 7.0)]),
        jnp.concatenate([losses, jnp.full(16, jnp.inf)]),
        jnp.asarray(8.0),
    )
    for one, other in zip(jax.tree.leaves(exact), jax.tree.leaves(larger), strict=True):
        np.testing.assert_allclose(np.abs(one), np.abs(other), rtol=1e-9, atol=1e-12)


def test_samples_have_the_covariance():
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    normal = cma_distribution.first_normal(jnp.asarray([1.0, -1.0]), jnp.asarray(0.5))
    basis, lengths = cma_distribution.decomposed(jnp.asarray(covariance))
    normal = cma_distribution.Normal(
        normal.mean, normal.sigma, jnp.asarray(covariance), basis, lengths, normal.path,
        normal.conjugate, normal.generation,
    )  # fmt: skip
    drawn = cma_distribution.sampled(normal, jnp.asarray([1.0, 3.0]), jr.key(0), 40_000)
    wanted = 0.25 * covariance * np.outer([1.0, 3.0], [1.0, 3.0])
    # Standard errors of covariances of 40,000 draws are below 1.5 % of the variances.
    np.testing.assert_allclose(np.cov(drawn.T), wanted, atol=0.015 * 4 * wanted.max())
    np.testing.assert_allclose(drawn.mean(axis=0), [1.0, -1.0], atol=4 * 1.5 / 200)


def _ends(normal=None, history=None, losses=None, tolerance=1e-12):
    start = cma_distribution.first_normal(jnp.asarray([1.0, 1.0]), jnp.asarray(1.0))
    fresh = cma_stopping.no_history(2, 6, start.mean.dtype)
    losses = jnp.arange(6.0) if losses is None else losses
    return bool(
        cma_stopping.stopped(
            start if normal is None else normal(start),
            fresh if history is None else history(fresh),
            losses,
            jnp.asarray(6.0),
            jnp.ones(2),
            jnp.asarray(1.0),
            jnp.asarray(tolerance),
        )
    )


def _with(**fields):
    def changed(normal):
        names = normal.__dataclass_fields__
        return type(normal)(*(jnp.asarray(fields.get(n, getattr(normal, n))) for n in names))

    return changed


ENDINGS = {
    "TolX": {"normal": _with(sigma=1e-13)},
    "TolXUp": {"normal": _with(sigma=1e5)},
    "ConditionCov": {"normal": _with(lengths=np.array([1e-7, 2.0]))},
    "NoEffectAxis": {"normal": _with(mean=np.array([1e9, 1e9]), sigma=1e-8)},
    "NoEffectCoord": {"normal": _with(mean=np.array([1e12, 0.0]), sigma=1e-5)},
    "EqualFunValues": {"history": _with(recent=np.full(20, 3e9))},
    "TolFun": {
        "history": _with(recent=np.linspace(0.0, 1e-13, 20)),
        "losses": jnp.linspace(0.0, 5e-13, 6),
    },
    "Stagnation": {"history": _with(bests=np.full(130, 2.0), medians=np.full(130, 3.0))},
    "no number": {"normal": _with(sigma=np.nan)},
}
GOINGS_ON = {
    "fresh": {},
    "improving": {"history": _with(bests=-np.arange(130.0), medians=np.full(130, 3.0))},
    "wide losses": {"history": _with(recent=np.linspace(0.0, 1e-13, 20))},
    "narrow but not yet": {"normal": _with(sigma=1e-11)},
    "condition of 1e13": {"normal": _with(lengths=np.array([1e-6, 3.0]))},
}


@pytest.mark.parametrize("name", ENDINGS)
def test_each_criterion_ends_a_run(name):
    assert _ends(**ENDINGS[name])


@pytest.mark.parametrize("name", GOINGS_ON)
def test_a_run_goes_on(name):
    assert not _ends(**GOINGS_ON[name])


def test_losses_are_noted_over_the_last_fifth_of_a_long_run():
    history = cma_stopping.no_history(2, 6, np.float64)

    def step(history, generation):
        losses = jnp.full(6, generation.astype(float))
        return cma_stopping.noted(history, losses, jnp.asarray(6.0), generation), None

    history, _ = jax.jit(lambda h: jax.lax.scan(step, h, jnp.arange(5000, dtype=jnp.int32)))(
        history
    )
    np.testing.assert_array_equal(history.recent, np.arange(4980.0, 5000.0))
    assert 0.1 < 1.0 - float(history.bests[0]) / 5000 < 0.25


def test_ipop_doubles_and_stays_at_its_last():
    rule = Ipop(3)
    run, memory = rule.first(np.float64)
    found = [int(run.batches)]
    for _ in range(4):
        over = bool(rule.over(memory))
        run, memory = rule.following(memory, jnp.asarray(10, jnp.int32), jr.key(0))
        found.append(int(run.batches))
    assert found == [1, 2, 4, 8, 8] and over and float(run.share) == 1.0


def test_bipop_gives_both_kinds_of_runs_as_much():
    rule = Bipop(5)
    following = jax.jit(rule.following)
    run, memory = rule.first(np.float64)
    used = {"small": 0, "large": 0}
    last_large = 0
    for number in range(60):
        # A run uses as much as its population is large, at the most its limit.
        spent = min(30 * int(run.batches), int(run.limit))
        if number:
            used["small" if memory.is_small else "large"] += spent
        last_large = last_large if memory.is_small else spent
        if bool(rule.over(memory)):
            break
        run, memory = following(memory, jnp.asarray(spent, jnp.int32), jr.key(number))
        if memory.is_small:
            assert 1 <= int(run.batches) <= 2 ** int(memory.doubled) / 2
            assert 0.01 <= float(run.share) <= 1.0
            assert int(run.limit) == last_large // 2
        else:
            assert int(run.batches) == 2 ** int(memory.doubled)
    assert int(run.batches) == 32
    # The last large run alone is more than half of what large ones used.
    assert used["small"] >= 0.8 * (used["large"] - 30 * 32)
    assert isinstance(run, Run)


@functools.cache
def _searched(restarts):
    space = Space(x=Unbounded(2.0, 2.0, shape=(2,)))
    optimiser = Cma(size=6, restarts=restarts)

    def one(key):
        return minimise(
            lambda values, _: functions.rastrigin(values["x"]),
            space,
            optimiser,
            key,
            generations=600,
        )

    return jax.jit(jax.vmap(one))(jr.split(jr.key(0), 8))[0]


def test_restarts_find_what_one_run_does_not():
    once, again = _searched(None), _searched(Ipop(3))
    # Starts differ by nothing but restarts, so that none may be worse.
    assert (np.asarray(again.least) <= np.asarray(once.least) + 1e-12).all()
    assert (np.asarray(once.least) < 1e-8).sum() < 8
    assert (np.asarray(again.least) < 1e-8).sum() >= 7


@pytest.mark.slow
def test_ipop_solves_rastrigin_in_ten_dimensions():
    space = Space(x=Unbounded(1.5, 2.0, shape=(10,)))
    search = jax.jit(
        lambda key: (
            minimise(
                lambda values, _: functions.rastrigin(values["x"]),
                space,
                Cma(size=10, restarts=Ipop(6)),
                key,
                generations=10_000,
            )[0].least
        )
    )
    assert sum(float(search(jr.key(seed))) < 1e-8 for seed in range(11)) >= 9


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Cma(size=2), "Cma: size is 2; give a whole number of 3 or more"),
        (lambda: Ipop(0), "Ipop: doublings is 0"),
        (lambda: Bipop(doublings=0), "Bipop: doublings is 0"),
    ],
)
def test_what_cannot_be_is_told(make, words, without_type_checks):
    with pytest.raises((ValueError, TypeError), match=words.split(";")[0]):
        make()


def test_a_class_of_restarts_is_no_rule(without_type_checks):
    with pytest.raises(TypeError, match="is the class Ipop; give an instance"):
        Cma(restarts=Ipop)  # type: ignore[arg-type]


def test_losses_of_one_batch_are_told_to_a_gathering_population():
    space = Space(x=Unbounded(0.0, 1.0, shape=(2,)))
    optimiser = Cma(size=4, restarts=Ipop(2))
    search = optimiser.init(space, jr.key(0))
    candidates, asked = optimiser.ask(search)
    assert candidates.shape == (4, 2)
    told = optimiser.tell(asked, candidates, Evaluations(jnp.sum(candidates**2, axis=1)))
    assert told.inner.candidates.shape == (16, 2)
    assert int(told.inner.state.normal.generation) == 1
