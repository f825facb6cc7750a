"""Simulated subjects as a family of tasks, and searches as what is searched."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import tvbjax
from tvbjax import coupling, features, integrators, monitors, noise
from tvbjax.inference import Problem, objectives
from tvbjax.l2l import (
    Inner,
    MetaStudy,
    Real,
    SeparableNes,
    Space,
    Unbounded,
    minimise,
    problem_loss,
    problems_as_tasks,
)

KEY = jr.key(4)
MODEL = tvbjax.lems.load("ReducedWongWang")
MEANS = monitors.TemporalAverage(20.0)
FREE = {
    "G": tvbjax.Free(lambda s: s.coupling.a, tvbjax.Interval(0.0, 1.0)),
    "I_o": tvbjax.Free(
        lambda s: s.model.params["I_o"], tvbjax.Interval(0.25, 0.4), tie=tvbjax.ties.Regional()
    ),
}


def subject(seed: int, regions: int = 5) -> Problem:
    """A subject's own connections, and activity of its own."""
    draw = np.random.default_rng(seed)
    weights = draw.uniform(0.1, 1.0, (regions, regions)) * (1 - np.eye(regions))
    simulator = tvbjax.Simulator(
        MODEL,
        tvbjax.Connectome(weights, np.zeros((regions, regions)), 3.0, name=f"subject {seed}"),
        coupling.Linear(a=0.2),
        integrators.Heun(dt=5.0),
        noise.Additive(1e-6),
        MEANS,
    )
    measured = 0.2 + 0.1 * draw.uniform(size=regions)
    objective = objectives.Feature(features.Mean(), measured, scale=0.1)
    return Problem(simulator, FREE, objective, 100.0, initial=np.full((1, regions), 0.1))


def test_problems_are_tasks():
    problems = {"ann": subject(0), "bob": subject(1), "cyd": subject(2)}
    start, rate, steps = problems["ann"].start, 0.5, 2
    study = MetaStudy(
        problem_loss,
        problems_as_tasks(problems),
        start=start,
        inner=Inner(lambda h: optax.sgd(h["rate"]), steps, {"rate": rate}),
        outer=optax.sgd(0.2),
        together=1,
    )
    learned = study.run(2, key=KEY, progress=False)
    # The same by hand, subject by subject: what Problem.loss itself and its gradient say.
    for number, (name, problem) in enumerate(problems.items()):
        slope = jax.jit(jax.grad(problem.loss))
        key, _ = jr.split(jr.fold_in(jr.fold_in(KEY, 0), number))
        position = start
        for _ in range(steps):
            slopes = slope(position, key)
            position = jax.tree.map(lambda x, g: x - rate * g, position, slopes)
        # The outer loss has noise of its own.
        expected = problem.loss(position, jr.fold_in(key, 2**31 - 1))
        assert learned.progress.losses[0, number] == pytest.approx(float(expected), rel=1e-9), name
    assert np.isfinite(learned.progress.losses).all()
    task = study.family.task("bob")
    adapted = learned.adapt(task, KEY, steps=3)
    assert float(adapted.losses[-1]) < float(adapted.losses[0])
    assert float(adapted.losses[0]) == pytest.approx(
        float(problems["bob"].loss(learned.start, KEY)), rel=1e-9
    )


def test_problems_of_other_forms_are_refused():
    with pytest.raises(ValueError, match="has the shape .* in the task 'ann' and .* in 'bob'"):
        problems_as_tasks({"ann": subject(0), "bob": subject(1, regions=4)})
    with pytest.raises(TypeError, match="give problems by subject"):
        problems_as_tasks({})
    with pytest.raises(TypeError, match="of 'ann' there is 3"):
        problems_as_tasks({"ann": 3})  # type: ignore[dict-item]


# Three loops: a parabola is searched; a strategy for that, over its rate; and that search, by key.
FEW = {"size": 6, "sigma": 0.5}


def least(rate, key, generations=15):
    """The logarithm of the least loss that a search with this rate meets, in the mean of two."""

    def parabola(values, key):
        return jnp.sum(values["x"] ** 2)

    def one(key):
        inner = SeparableNes(deviation_rate=rate, **FEW)
        space = Space(x=Unbounded(jnp.full(3, 2.0).tolist()))
        return minimise(parabola, space, inner, key, generations=generations)[0].least

    return jnp.log(jax.vmap(one)(jr.split(key, 2))).mean()


def test_a_search_over_searches_by_three_loops():
    space = Space(rate=Real(0.02, 2.0, log=True))
    keys = jr.split(KEY, 3)

    @jax.jit
    @jax.vmap
    def found(key):
        outer = SeparableNes(size=8)
        return minimise(lambda v, k: least(v["rate"], KEY), space, outer, key, generations=6)[0]

    search = found(keys)
    rates = [float(search.space.decode(search.best[i])["rate"]) for i in range(3)]
    # Each rate by itself, without the loops about it.
    again = [float(least(jnp.asarray(rate), KEY)) for rate in rates]
    np.testing.assert_allclose(search.least, again, rtol=1e-9)
    grid = np.geomspace(0.02, 2.0, 40)
    of_grid = np.asarray(jax.jit(jax.vmap(lambda rate: least(rate, KEY)))(grid))
    # As good as the best fifth of the grid, at least.
    assert (search.least < np.quantile(of_grid, 0.2)).all()
