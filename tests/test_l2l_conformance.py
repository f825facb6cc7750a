"""What every optimiser must do, whatever it is: one table of optimisers, and the gates they pass.

An optimiser is added by a line in `CASES`. A search is run by hand, several losses side by side in
one program that is compiled once: they are the rows of `RUNS`.
"""

import dataclasses
import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from tvbjax.l2l import (
    AbstractOptimiser,
    Annealing,
    Bipop,
    Categorical,
    Cma,
    CrossEntropy,
    Differential,
    EnsembleKalman,
    Evaluated,
    ExponentialNes,
    Face,
    FiniteDifferences,
    Fixed,
    FixedSteps,
    FullNormal,
    Genetic,
    GradientDescent,
    Integer,
    Ipop,
    NormalMixture,
    OpenAiEs,
    ParallelTempering,
    Pgpe,
    PolynomialMutation,
    RandomOne,
    Real,
    SeparableNes,
    SimulatedBinary,
    Space,
    Spsa,
    Swarm,
    Unbounded,
    ladder,
)
from tvbjax_inference.l2l.minimising import candidate_keys, evaluate


@dataclasses.dataclass(frozen=True)
class Case:
    """An optimiser, and what is asked of it.

    `reached`: the loss on the bowl after so many `generations`; `failing`: that where a tenth of
    the candidates fails. `by_rank`: whether only the order of losses counts. `ends`: whether the
    bowl brings it to its end. `hyper`: names of numbers that may be tuned. `mixed`: of three
    searches of a space of all kinds, how many must find the best.
    """

    optimiser: AbstractOptimiser
    generations: int
    reached: float
    failing: float
    by_rank: bool = True
    ends: bool = True
    hyper: str = "sigma"
    mixed: int = 3


CASES = {
    "Cma": Case(Cma(), 150, 1e-10, 1e-10, mixed=2),
    "Cma, Ipop": Case(Cma(size=6, restarts=Ipop(1)), 600, 1e-10, 1e-10),
    "Cma, Bipop": Case(Cma(size=6, restarts=Bipop(1)), 250, 1e-10, 1e-10, ends=False),
    "SeparableNes": Case(SeparableNes(size=20), 300, 1e-10, 1e-8),
    "ExponentialNes": Case(ExponentialNes(size=20), 400, 1e-10, 1e-8),
    "OpenAiEs": Case(OpenAiEs(size=20, decay=0.9), 320, 1e-10, 1e-3),
    "Pgpe": Case(Pgpe(size=20), 500, 1e-10, 1e-8),
    "Differential": Case(Differential(size=20), 300, 1e-10, 1e-10),
    "Differential, RandomOne": Case(
        Differential(size=20, donors=RandomOne(), control=Fixed()), 300, 1e-10, 1e-10
    ),
    "Genetic": Case(Genetic(size=30), 150, 1e-6, 1e-6, ends=False),
    "Genetic, SimulatedBinary": Case(
        Genetic(size=30, crossover=SimulatedBinary(), mutation=PolynomialMutation()),
        150,
        1e-3,
        1e-3,
        ends=False,
    ),
    "Swarm": Case(Swarm(size=20), 450, 1e-10, 1e-10),
    "CrossEntropy": Case(CrossEntropy(size=40), 650, 1e-10, 1e-10),
    "CrossEntropy, FullNormal": Case(
        CrossEntropy(size=60, distribution=FullNormal()), 650, 1e-10, 1e-10
    ),
    "CrossEntropy, NormalMixture": Case(
        CrossEntropy(size=100, distribution=NormalMixture()), 150, 1e-4, 1e-4, ends=False, mixed=2
    ),
    "Face": Case(Face(least=30), 1000, 1e-10, 1e-10),
    "Annealing": Case(Annealing(size=20), 300, 1e-4, 1e-3, by_rank=False, ends=False, hyper="step"),
    "ParallelTempering": Case(
        ParallelTempering(ladder(1e-3, 1.0, 6)),
        300,
        1e-2,
        1e-2,
        by_rank=False,
        ends=False,
        hyper="step",
        mixed=2,
    ),
    "EnsembleKalman": Case(
        EnsembleKalman(np.zeros(3), np.full(3, 1e-10), size=20, steps=FixedSteps(1.0)),
        60,
        1e-8,
        1e-8,
        by_rank=False,
        ends=False,
    ),
    "GradientDescent": Case(
        GradientDescent(optax.sgd(8e-3, momentum=0.5), starts=2),
        300,
        1e-10,
        1e-10,
        by_rank=False,
        hyper="",
    ),
    "FiniteDifferences": Case(
        FiniteDifferences(optax.sgd(8e-3, momentum=0.5), starts=2),
        200,
        1e-10,
        1e-8,
        by_rank=False,
        ends=False,
        hyper="step",
    ),
    # It asks for points at a step's distance all about where it is, so that none is nearer.
    "Spsa": Case(
        Spsa(optax.sgd(1e-3, momentum=0.8), pairs=4),
        300,
        2e-2,
        2e-2,
        by_rank=False,
        ends=False,
        hyper="step",
    ),
    "Swarm, ring": Case(Swarm(size=20, reach=2), 250, 1e-10, 1e-10, ends=False),
}

SPACE = Space(x=Real(-5.0, 5.0, shape=(2,)), y=Unbounded(0.0, 2.0))
MIXED = Space(
    rate=Real(1e-3, 10.0, log=True), count=Integer(1, 9), kind=Categorical(("a", "b", "c"))
)


def bowl(values, key):
    return jnp.concatenate([values["x"] - jnp.asarray([1.0, -2.0]), values["y"][None] - 1.0])


def loss_of_residuals(residuals):
    return Evaluated(jnp.sum(residuals**2), outputs=residuals)


def plain(values, key):
    return loss_of_residuals(bowl(values, key))


def monotone(values, key):
    found = plain(values, key)
    return Evaluated(jnp.exp(0.1 * found.loss), outputs=found.outputs)


def failing(values, key):
    found = plain(values, key)
    fails = jr.uniform(key) < 0.1
    return Evaluated(
        jnp.where(fails, jnp.nan, found.loss), outputs=jnp.where(fails, jnp.nan, found.outputs)
    )


def at_an_end(values, key):
    residuals = jnp.concatenate([values["x"] + jnp.asarray([5.0, -5.0]), values["y"][None]])
    return Evaluated(values["x"][0] - values["x"][1] + values["y"] ** 2, outputs=residuals)


def slope(values, key):
    return Evaluated(values["y"], outputs=bowl(values, key))


def nothing(values, key):
    return Evaluated(jnp.nan, outputs=jnp.full(3, jnp.nan))


LOSSES = (plain, monotone, failing, at_an_end, slope, nothing)
# Name: the loss's place in LOSSES, and the seed.
RUNS = {
    "bowl": (0, 0),
    "monotone": (1, 0),
    "failing": (2, 0),
    "at an end": (3, 0),
    "slope": (4, 0),
    "nothing": (5, 0),
    "another seed": (0, 1),
    "tuned": (0, 0),
}


def with_numbers(optimiser: AbstractOptimiser, name: str, factor) -> AbstractOptimiser:
    if not name:  # it has none of its own
        return optimiser
    return eqx.tree_at(lambda o: getattr(o, name), optimiser, getattr(optimiser, name) * factor)


@dataclasses.dataclass
class Done:
    """Every run of one optimiser. `candidates[generation, run, candidate, width]`."""

    first: Any
    middle: Any
    last: Any
    candidates: np.ndarray
    stopped: np.ndarray
    least: np.ndarray
    step: Any

    def of(self, run: str, what: str) -> np.ndarray:
        return getattr(self, what)[:, list(RUNS).index(run)]


@functools.cache
def done(name: str) -> Done:
    case = CASES[name]
    which, seeds = (jnp.asarray(column) for column in zip(*RUNS.values(), strict=True))
    factors = jnp.where(jnp.arange(len(RUNS)) == len(RUNS) - 1, 0.7, 1.0)

    def begun(seed, factor):
        return with_numbers(case.optimiser, case.hyper, factor).init(SPACE, jr.key(seed))

    def step(search, which, factor):
        optimiser = with_numbers(case.optimiser, case.hyper, factor)
        candidates, asked = optimiser.ask(search)
        keys = candidate_keys(jr.key(7), search.generation, len(candidates))

        def loss(values, key):
            return jax.lax.switch(which, LOSSES, values, key)

        found = evaluate(loss, SPACE, candidates, keys, gradients=optimiser.needs_gradients)[0]
        told = optimiser.tell(asked, candidates, found)
        return told, (candidates, optimiser.should_stop(told), told.least)

    compiled = jax.jit(jax.vmap(step))
    first = search = jax.jit(jax.vmap(begun))(seeds, factors)
    noted, middle = [], None
    for generation in range(case.generations):
        if generation == 10:
            middle = search
        search, seen = compiled(search, which, factors)
        noted.append(seen)
    candidates, stopped, least = (np.stack(column) for column in zip(*noted, strict=True))

    def again(search):
        return compiled(search, which, factors)

    return Done(first, middle, search, candidates, stopped, least, again)


# Each is compiled once, which takes its time; variants of others are for the long tests.
every = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if "," in n else n for n in CASES],
)


@every
def test_it_reaches_its_gate(name):
    for run in ("bowl", "another seed", "tuned"):
        assert done(name).of(run, "least")[-1] <= CASES[name].reached, run


@every
def test_its_best_is_what_it_says(name):
    case, found = CASES[name], jax.tree.map(lambda leaf: leaf[0], done(name).last)
    values = case.optimiser.best(found)
    assert float(plain(values, None).loss) == pytest.approx(float(found.least), rel=1e-12)


@every
def test_a_key_gives_the_same_again_and_another_key_others(name):
    found = done(name)
    once = found.step(found.first)[1][0]
    np.testing.assert_array_equal(once, found.candidates[0])
    search = found.first
    for generation in range(3):
        search, seen = found.step(search)
        np.testing.assert_array_equal(seen[0], found.candidates[generation])
    assert not np.array_equal(
        found.of("bowl", "candidates"), found.of("another seed", "candidates")
    )


@every
def test_its_numbers_may_be_tuned_side_by_side(name):
    same = np.array_equal(done(name).of("bowl", "candidates"), done(name).of("tuned", "candidates"))
    assert same == (not CASES[name].hyper)


@every
def test_values_are_always_allowed(name):
    values = SPACE.decode(jnp.asarray(done(name).candidates))
    assert values["x"].min() >= -5.0 and values["x"].max() <= 5.0


@every
def test_a_best_value_at_an_end_is_found(name):
    found = jax.tree.map(lambda leaf: leaf[list(RUNS).index("at an end")], done(name).last)
    values = SPACE.decode(found.best)
    np.testing.assert_allclose(values["x"], [-5.0, 5.0], atol=0.02)


@every
def test_a_tenth_of_failures_does_not_matter(name):
    assert done(name).of("failing", "least")[-1] <= CASES[name].failing


@every
def test_going_on_after_the_end_gives_no_nan(name):
    # Down a slope without end, where all fails, and long after the bowl's bottom.
    assert np.isfinite(done(name).candidates).all()


@every
def test_it_comes_to_its_end(name):
    if CASES[name].ends:
        assert done(name).of("bowl", "stopped")[-1]
    assert not done(name).of("bowl", "stopped")[0]


@every
def test_only_the_order_of_losses_counts(name):
    if CASES[name].by_rank:
        once, other = (done(name).of(run, "candidates")[:10] for run in ("bowl", "monotone"))
        np.testing.assert_allclose(other, once, rtol=1e-12)


@every
def test_a_state_on_disk_goes_on_with_the_same_numbers(name):
    found = done(name)

    def resumed(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jr.wrap_key_data(jnp.asarray(np.asarray(jr.key_data(leaf))))
        return jnp.asarray(np.asarray(leaf))

    search = jax.tree.map(resumed, found.middle)
    for generation in range(10, 15):
        search, seen = found.step(search)
        np.testing.assert_array_equal(seen[0], found.candidates[generation])


@pytest.mark.parametrize(
    "name", [n if n == "Genetic" else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_it_searches_numbers_and_options_at_once(name):
    case = CASES[name]
    if case.optimiser.needs_continuous:
        with pytest.raises(ValueError, match="moves along real numbers only"):
            case.optimiser.init(MIXED, jr.key(0))
        return

    def residuals(values, key):
        exact = jnp.stack([values["count"] == 7, values["kind"] == 1])
        misses = jnp.where(exact, 0.0, 1.0)
        far = 0.25 * (values["count"] - 7).astype(float)
        rate = jnp.log(values["rate"] / 0.1)
        return loss_of_residuals(jnp.concatenate([misses[1:], jnp.stack([far, rate])]))

    def step(search):
        optimiser = case.optimiser
        candidates, asked = optimiser.ask(search)
        keys = candidate_keys(jr.key(7), search.generation, len(candidates))
        found = evaluate(residuals, MIXED, candidates, keys)[0]
        return optimiser.tell(asked, candidates, found)

    compiled = jax.jit(jax.vmap(step))
    begun = jax.jit(jax.vmap(lambda key: case.optimiser.init(MIXED, key)))
    search = begun(jr.split(jr.key(2), 3))
    for _ in range(150):
        search = compiled(search)
    values = MIXED.decode(search.best)
    found = (values["count"] == 7) & (values["kind"] == 1)
    found = found & (jnp.abs(jnp.log(values["rate"] / 0.1)) < math.log(1.1))
    assert int(found.sum()) >= case.mixed
