"""Descent by exact, differenced and perturbed gradients against hand-run optax and closed forms."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from tvbjax_inference.l2l import (
    Categorical,
    Evaluations,
    FiniteDifferences,
    GradientDescent,
    Real,
    Space,
    Spsa,
    Unbounded,
    minimise,
    spall_rule,
)

FREE = Space(x=Unbounded(shape=(3,)))
BOX = Space(x=Real(-2.0, 2.0, shape=(2,)))
CURVATURE = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 3.0]])
CENTRE = np.array([0.3, -0.2, 0.1])


def quadratic(values, key):
    apart = values["x"] - CENTRE
    return 0.5 * apart @ jnp.asarray(CURVATURE) @ apart


def rosenbrock(values, key):
    x, y = values["x"]
    return (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2


RULES = {
    "adam": optax.adam(0.05),
    "rmsprop": optax.rmsprop(0.02, momentum=0.5),
    "adamax": optax.adamax(0.05),
    "sgd": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "scheduled": optax.sgd(optax.exponential_decay(0.1, 5, 0.7)),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rules_are_those_of_optax(rule):
    trace = jax.jit(
        lambda key: minimise(quadratic, FREE, GradientDescent(rule), key, generations=12)[1]
    )(jr.key(0))
    position = jnp.zeros(3)
    memory, losses = rule.init(position), []
    for _ in range(12):
        losses.append(0.5 * (position - CENTRE) @ CURVATURE @ (position - CENTRE))
        with jax.numpy_dtype_promotion("standard"):
            slope = jnp.asarray(CURVATURE @ (position - CENTRE))
            change, memory = rule.update(slope, memory, position)
            position = optax.apply_updates(position, change)
    np.testing.assert_allclose(trace.losses[:, 0], losses, rtol=1e-12)


@pytest.mark.parametrize("central, tolerance", [(True, 1e-9), (False, 2e-3)])
def test_differences_come_close_to_exact_gradients(central, tolerance):
    rule = optax.sgd(0.1)
    exact = minimise(quadratic, FREE, GradientDescent(rule), jr.key(0), generations=8)[1]
    estimated = minimise(
        quadratic, FREE, FiniteDifferences(rule, central=central), jr.key(0), generations=8
    )[1]
    assert estimated.losses.shape[1] == (7 if central else 4)
    difference = np.abs(estimated.losses[:, 0] - exact.losses[:, 0]).max()
    assert difference < tolerance
    assert central or difference > 1e-6  # of the first order, not of the second


@pytest.mark.parametrize("central", [True, False])
def test_differences_at_an_end_are_within_it(central):
    optimiser = FiniteDifferences(optax.sgd(0.0), central=central, step=0.01)
    search = optimiser.init(BOX, jr.key(0), {"x": np.array([2.0, -2.0])})
    candidates, search = optimiser.ask(search)
    assert ((candidates >= 0.0) & (candidates <= 1.0)).all()
    # A slope of (3, -5) by coordinates: were points mirrored, differences would be 0.
    moving = FiniteDifferences(optax.sgd(1e-3), central=central, step=0.01)
    told = moving.tell(search, candidates, Evaluations(candidates @ jnp.array([3.0, -5.0])))
    step = moving.ask(told)[0][0] - candidates[0]
    np.testing.assert_allclose(step, [-3e-3, 5e-3], rtol=1e-9)


def test_perturbed_gradients_are_right_in_the_mean():
    """For a quadratic the estimate is unbiased whatever the step (Spall 1992, lemma 1)."""
    optimiser = Spsa(optax.sgd(1.0), pairs=4, step=0.3)
    start = {"x": np.array([1.0, -1.0, 0.5])}

    @jax.vmap
    def estimates(key):
        search = optimiser.init(FREE, key, start)
        candidates, search = optimiser.ask(search)
        losses = jax.vmap(lambda x: quadratic({"x": x}, key))(candidates)
        told = optimiser.tell(search, candidates, Evaluations(losses))
        return jnp.asarray(start["x"]) - told.inner.descent.positions[0]

    drawn = np.asarray(estimates(jr.split(jr.key(1), 4000)))
    wanted = CURVATURE @ (start["x"] - CENTRE)
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(axis=0) - wanted) < 4.0 * error).all()
    assert (error < 0.05).all()


def test_gains_are_those_of_the_paper():
    rule = spall_rule(rate=0.2, stability=7.0)
    memory = rule.init(jnp.zeros(1))
    for k in range(4):
        with jax.numpy_dtype_promotion("standard"):
            change, memory = rule.update(jnp.ones(1), memory)
        wanted = -0.2 / (7.0 + k + 1.0) ** 0.602
        assert float(np.asarray(change)[0]) == pytest.approx(wanted, rel=1e-6)
    optimiser = Spsa(rule, step=0.1)
    search = optimiser.init(FREE, jr.key(0))
    for k in range(3):
        candidates, search = optimiser.ask(search)
        half = np.abs(candidates[0] - candidates[1]) / 2.0
        np.testing.assert_allclose(half, 0.1 / (k + 1.0) ** 0.101, rtol=1e-12)
        search = optimiser.tell(search, candidates, Evaluations(jnp.zeros(2)))


@pytest.mark.parametrize(
    "optimiser, generations, gate",
    [
        (GradientDescent(optax.adam(0.1), starts=4), 1000, 1e-8),
        (FiniteDifferences(optax.adam(0.1)), 1000, 1e-6),
        (Spsa(optax.adam(0.01), pairs=4, step=0.01), 1500, 1e-2),
    ],
    ids=lambda x: type(x).__name__,
)
def test_rosenbrock_is_descended(optimiser, generations, gate):
    search = jax.jit(
        lambda key: minimise(
            rosenbrock, BOX, optimiser, key, generations=generations, start={"x": [-1.2, 1.0]}
        )[0]
    )(jr.key(3))
    assert search.least < gate


def test_ends_hold_and_the_search_stops_there():
    search, trace = minimise(
        lambda values, key: values["x"].sum(),
        BOX,
        GradientDescent(optax.sgd(0.1)),
        jr.key(0),
        generations=30,
    )
    assert search.least == -4.0
    assert GradientDescent(optax.sgd(0.1)).should_stop(search)
    assert search.generation < 30 and np.isnan(trace.losses[-1]).all()


def test_a_rate_is_searched_by_vmap():
    def least(rate):
        optimiser = GradientDescent(optax.sgd(rate))
        return minimise(quadratic, FREE, optimiser, jr.key(0), generations=10)[0].least

    rates = jnp.array([0.01, 0.1, 0.3])
    found = jax.vmap(least)(rates)
    assert (jnp.diff(found) < 0).all()
    # And has a gradient itself: the last loss falls with the rate.
    step = 1e-5
    slope = float(jax.grad(least)(0.1))
    difference = float(least(0.1 + step) - least(0.1 - step)) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-5)


def test_failures_lead_half_the_way_back():
    """sqrt(-x) is no number above 0, where a great step leads."""

    def loss(values, key):
        x = values["x"][0]
        return jnp.where(x > 0.0, jnp.nan, -jnp.sqrt(jnp.where(x < 0.0, -x, 1.0)))

    space = Space(x=Unbounded(shape=(1,)))
    optimiser = GradientDescent(optax.sgd(-4.0))
    search = optimiser.init(space, jr.key(0), {"x": [-1.0]})
    seen = []
    for _ in range(3):
        candidates, search = optimiser.ask(search)
        seen.append(float(candidates[0, 0]))
        value, slope = jax.value_and_grad(lambda c: loss({"x": c}, None))(candidates[0])
        search = optimiser.tell(search, candidates, Evaluations(value[None], slope[None]))
    assert seen[0] == -1.0 and seen[1] == pytest.approx(1.0) and seen[2] == pytest.approx(0.0)


@pytest.mark.parametrize("kind", [GradientDescent, FiniteDifferences, Spsa])
def test_what_gradients_cannot_do_is_refused(kind):
    with pytest.raises(ValueError, match=r"line search.*tvbjax\.inference\.fit"):
        kind(optax.lbfgs()).init(FREE, jr.key(0))
    with pytest.raises(ValueError, match="real numbers only, and 'm'"):
        kind(optax.sgd(0.1)).init(Space(m=Categorical(("a", "b"))), jr.key(0))
    with pytest.raises(TypeError, match="rule is 0.1"):
        kind(0.1)
    kind(optax.lbfgs(linesearch=None)).init(FREE, jr.key(0))


def test_gradients_must_be_told():
    optimiser = GradientDescent(optax.sgd(0.1))
    candidates, search = optimiser.ask(optimiser.init(FREE, jr.key(0)))
    with pytest.raises(ValueError, match="FiniteDifferences or Spsa"):
        optimiser.tell(search, candidates, Evaluations(jnp.zeros(1)))
