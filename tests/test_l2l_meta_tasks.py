"""Simulated subjects as a family of tasks, and searches as what is searched."""

import equinox as eqx
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
    FirstOrder,
    Inner,
    MetaStudy,
    Real,
    SeparableNes,
    Space,
    Unbounded,
    Unrolled,
    minimise,
    problem_loss,
    problems_as_tasks,
)
from tvbjax_inference.cohort import without_places

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


@pytest.mark.parametrize(
    "gradient", [FirstOrder(), pytest.param(Unrolled(), marks=pytest.mark.slow)]
)
def test_problems_are_tasks(gradient):
    problems = {"ann": subject(0), "bob": subject(1)}
    start, rate, steps = problems["ann"].start, 0.5, 2
    study = MetaStudy(
        problem_loss,
        problems_as_tasks(problems),
        start=start,
        inner=Inner(lambda h: optax.sgd(h["rate"]), steps, {"rate": rate}),
        outer=optax.sgd(0.2),
        gradient=gradient,
        together=1,
    )
    learned = study.run(2, key=KEY, progress=False)
    # The same by hand, subject by subject: what a problem's own loss and its gradient say.
    slope = eqx.filter_jit(lambda problem, x, key: jax.value_and_grad(problem.loss)(x, key))
    for number, problem in enumerate(problems.values()):
        problem = without_places(problem)
        key, _ = jr.split(jr.fold_in(jr.fold_in(KEY, 0), number))
        position = start
        for _ in range(steps):
            slopes = slope(problem, position, key)[1]
            position = jax.tree.map(lambda x, g: x - rate * g, position, slopes)
        # The outer loss has noise of its own.
        expected, _ = slope(problem, position, jr.fold_in(key, 2**31 - 1))
        assert learned.progress.losses[0, number] == pytest.approx(float(expected), rel=1e-9)
    assert np.isfinite(learned.progress.losses).all()


@pytest.mark.usefixtures("without_type_checks")
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
        space = Space(x=Unbounded((2.0, 2.0, 2.0)))
        return minimise(parabola, space, inner, key, generations=generations)[0].least

    return jnp.log(jax.vmap(one)(jr.split(key, 2))).mean()


def test_a_search_over_searches_by_three_loops():
    space = Space(rate=Real(0.02, 2.0, log=True))
    keys = jr.split(KEY, 2)

    @jax.jit
    @jax.vmap
    def found(key):
        outer = SeparableNes(size=8)
        return minimise(lambda v, k: least(v["rate"], KEY), space, outer, key, generations=6)[0]

    search = found(keys)
    rates = [float(search.space.decode(one)["rate"]) for one in search.best]
    # Each rate by itself, without the loops about it, and others from end to end.
    tried = np.concatenate([rates, np.geomspace(0.02, 2.0, 40)])
    alone = np.asarray(jax.jit(jax.vmap(lambda rate: least(rate, KEY)))(tried))
    np.testing.assert_allclose(search.least, alone[:2], rtol=1e-9)
    # As good as the best fifth of those, at least.
    assert (np.asarray(search.least) < np.quantile(alone[2:], 0.2)).all()
