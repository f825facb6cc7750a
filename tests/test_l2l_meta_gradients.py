"""Gradients of outer losses against closed forms, and differences of NumPy's loops."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.optimize

from tvbjax import Positive, Real
from tvbjax.l2l import (
    FirstOrder,
    Hyper,
    Implicit,
    Inner,
    MetaStudy,
    PersistentEs,
    Proximal,
    Reptile,
    Truncated,
    Unrolled,
    each_by,
)

KEY = jr.key(5)
DRAW = np.random.default_rng(3)
X, XV = DRAW.normal(size=(2, 12, 3))
Y, YV = np.tanh(X @ [0.5, -1.0, 0.3]) + 0.1, np.tanh(XV @ [0.6, -0.8, 0.2])
TASK = {"x": X, "y": Y, "xv": XV, "yv": YV}
START = np.array([0.2, 0.4, -0.3])


def slope_of(study: MetaStudy):
    """The slope of the family's first task."""
    task = study.family.task(0)
    return jax.jit(lambda meta: study.gradient(study.levels, meta, task, KEY, KEY, ())[0])(
        study.meta
    )


def curved(params, task, key):
    return ((jnp.tanh(task["x"] @ params) - task["y"]) ** 2).mean()


def held_out(params, task, key):
    return ((jnp.tanh(task["xv"] @ params) - task["yv"]) ** 2).mean()


def curved_by_numpy(params, x=X, y=Y):
    """The loss and its gradient."""
    away = np.tanh(x @ params) - y
    return (away**2).mean(), 2 * (away * (1 - np.tanh(x @ params) ** 2)) @ x / len(x)


def unrolled_by_numpy(start, log_rate, steps, along):
    """The outer loss after steps with momentum 0.8."""
    params, trace, seen = start.copy(), np.zeros(3), []
    for _ in range(steps):
        trace = curved_by_numpy(params)[1] + 0.8 * trace
        params = params - np.exp(log_rate) * trace
        seen.append(curved_by_numpy(params, XV, YV)[0])
    return np.mean(seen) if along else seen[-1]


def differences(function, at, step=1e-5):
    """Central differences of fourth order."""
    at = np.atleast_1d(np.asarray(at, float))
    found = []
    for unit in np.eye(len(at)) * step:
        near, far = (function(at + k * unit) - function(at - k * unit) for k in (1, 2))
        found.append((8 * near - far) / (12 * step))
    return np.array(found)


@pytest.mark.parametrize("along", [False, True])
@pytest.mark.parametrize("gradient", [Unrolled(), Unrolled(recompute=True), Truncated(9)])
def test_exact_gradients_are_differences_of_a_loop_of_numpy(gradient, along):
    rule = Inner(lambda h: optax.sgd(h["rate"], 0.8), 5, {"rate": 0.3})
    study = MetaStudy(
        curved, [TASK], start=START, inner=rule, validation=held_out, gradient=gradient, along=along
    )
    slope = slope_of(study)
    loss = unrolled_by_numpy(START, np.log(0.3), 5, along)
    assert float(slope.loss) == pytest.approx(loss, rel=1e-12)
    by_start = differences(lambda p: unrolled_by_numpy(p, np.log(0.3), 5, along), START, 1e-3)
    by_rate = differences(lambda r: unrolled_by_numpy(START, r[0], 5, along), np.log(0.3), 1e-3)
    np.testing.assert_allclose(slope.gradient.start, by_start, rtol=1e-6)
    np.testing.assert_allclose(slope.gradient.hyper["rate"], by_rate[0], rtol=1e-6)


# Of one step down a parabola with the Hessian A about a middle, all is known.
A = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 0.7]])
B = np.diag([1.0, 3.0, 0.5])
MIDDLE, AIM = np.array([1.0, -1.0, 0.5]), np.array([0.3, 0.1, -0.6])
PARABOLA = {"a": A, "middle": MIDDLE, "b": B, "aim": AIM}


def parabola(params, task, key):
    return (params - task["middle"]) @ task["a"] @ (params - task["middle"]) / 2


def aimed(params, task, key):
    return (params - task["aim"]) @ task["b"] @ (params - task["aim"]) / 2


def sgd(h):
    return optax.sgd(h["rate"])


@pytest.mark.parametrize("gradient, exact", [(Unrolled(), True), (FirstOrder(), False)])
def test_one_step_down_a_parabola_has_a_closed_form(gradient, exact):
    rate = 0.3
    study = MetaStudy(
        parabola,
        [PARABOLA],
        start=START,
        inner=Inner(sgd, 1, {"rate": rate}),
        validation=aimed,
        gradient=gradient,
    )
    slope = slope_of(study)
    inner = A @ (START - MIDDLE)
    outer = B @ (START - rate * inner - AIM)
    expected = (np.eye(3) - rate * A) @ outer if exact else outer
    np.testing.assert_allclose(slope.gradient.start, expected, rtol=1e-12)
    np.testing.assert_allclose(slope.gradient.hyper["rate"], -rate * inner @ outer, rtol=1e-12)


def test_first_order_is_exact_where_the_inner_loss_is_not_curved():
    def straight(params, task, key):
        return task["middle"] @ params

    inner = Inner(lambda h: optax.sgd(h["rate"], 0.5), 4, {"rate": 0.2})
    found = [
        slope_of(
            MetaStudy(
                straight, [PARABOLA], start=START, inner=inner, validation=aimed, gradient=gradient
            )
        ).gradient
        for gradient in (Unrolled(), FirstOrder())
    ]
    np.testing.assert_allclose(found[0].start, found[1].start, rtol=1e-14)
    np.testing.assert_allclose(found[0].hyper["rate"], found[1].hyper["rate"], rtol=1e-14)


def test_a_rate_for_each_param_has_a_closed_form():
    rates = np.array([0.1, 0.3, 0.2])
    inner = Inner(lambda h: each_by(h["rates"]), 1, {"rates": rates})
    study = MetaStudy(parabola, [PARABOLA], start=START, inner=inner, validation=aimed)
    slope = slope_of(study)
    down = A @ (START - MIDDLE)
    outer = B @ (START - rates * down - AIM)
    np.testing.assert_allclose(slope.gradient.hyper["rates"], -rates * down * outer, rtol=1e-12)
    np.testing.assert_allclose(
        slope.gradient.start, (np.eye(3) - A @ np.diag(rates)) @ outer, rtol=1e-12
    )


def test_reptile_goes_to_where_steps_down_a_parabola_end():
    inner = Inner(lambda h: optax.sgd(0.3), 4)
    study = MetaStudy(parabola, [PARABOLA], start=START, inner=inner, gradient=Reptile())
    slope = slope_of(study)
    left = np.linalg.matrix_power(np.eye(3) - 0.3 * A, 4) @ (START - MIDDLE)
    np.testing.assert_allclose(slope.gradient.start, START - (MIDDLE + left), rtol=1e-12)
    assert float(slope.loss) == pytest.approx(left @ A @ left / 2, rel=1e-12)


def ridge(params, task, key):
    return ((task["x"] @ params - task["y"]) ** 2).sum() / 2


def ridge_held_out(params, task, key):
    return ((task["xv"] @ params - task["yv"]) ** 2).sum() / 2


@pytest.mark.parametrize("learned", [True, False])
def test_implicit_is_the_closed_form_of_ridge_regression(learned):
    strength = 2.0
    inner = Inner(lambda h: optax.lbfgs(), 25, {"strength": strength}, penalty=Proximal("strength"))
    study = MetaStudy(
        ridge,
        [TASK],
        start=START,
        inner=inner,
        validation=ridge_held_out,
        gradient=Implicit(tolerance=1e-12),
        learned=learned,
    )
    slope = slope_of(study)
    inverse = np.linalg.inv(X.T @ X + strength * np.eye(3))
    end = inverse @ (X.T @ Y + strength * START)
    outer = XV.T @ (XV @ end - YV)
    by_strength = outer @ inverse @ (START - end)
    np.testing.assert_allclose(slope.gradient.hyper["strength"], strength * by_strength, rtol=1e-6)
    assert float(slope.residual) < 1e-6
    if learned:
        np.testing.assert_allclose(slope.gradient.start, strength * inverse @ outer, rtol=1e-6)
    else:
        assert slope.gradient.start is None


def test_implicit_is_differences_of_a_fit_of_scipy():
    def end(strength):
        def whole(params):
            loss, slope = curved_by_numpy(params)
            away = params - START
            return loss + strength / 2 * away @ away, slope + strength * away

        found = scipy.optimize.minimize(
            whole, START, jac=True, method="BFGS", options={"gtol": 1e-12}
        )
        return curved_by_numpy(found.x, XV, YV)[0]

    inner = Inner(lambda h: optax.lbfgs(), 40, {"s": 0.05}, penalty=Proximal("s"))
    study = MetaStudy(
        curved, [TASK], start=START, inner=inner, validation=held_out, gradient=Implicit()
    )
    slope = slope_of(study)
    expected = differences(lambda s: end(np.exp(s[0])), np.log(0.05), 1e-2)
    assert float(slope.gradient.hyper["s"]) == pytest.approx(expected[0], rel=1e-6)


def test_implicit_warns_of_a_fit_that_has_not_converged():
    inner = Inner(lambda h: optax.sgd(1e-3), 2, {"s": 0.1}, penalty=Proximal("s"))
    study = MetaStudy(ridge, [TASK], start=START, inner=inner, gradient=Implicit())
    with pytest.warns(UserWarning, match="'0' has not converged: the residual is"):
        learned = study.run(2, key=KEY, progress=False)
    assert learned.progress.residuals.min() > 0.5


# An inner loop that is linear in the pull on it: p' = p - 0.2 (p - middle - pull).
PULL, STEPS = 0.7, 12


def pulled(params, task, key):
    return (params - task["middle"]) ** 2 / 2


def pull(params, start, hyper):
    return -hyper["pull"] * params


def pull_slopes(window: int) -> tuple[float, float]:
    """The slope of the mean of p^2 / 2 along the way by the pull and by the start, blind to what
    was before each window, counted from the last step."""
    p, by_pull, by_start, found = 0.5, 0.0, 1.0, np.zeros(2)
    for step in range(STEPS):
        if step and (STEPS - step) % window == 0:
            by_pull = by_start = 0.0
        p = p - 0.2 * (p - 2.0 - PULL)
        by_pull, by_start = 0.8 * by_pull + 0.2, 0.8 * by_start
        found += p * np.array([by_pull, by_start]) / STEPS
    return found[0], found[1]


def pull_study(gradient, **more) -> MetaStudy:
    inner = Inner(lambda h: optax.sgd(0.2), STEPS, {"pull": Hyper(PULL, Real())}, penalty=pull)
    return MetaStudy(
        pulled,
        [{"middle": 2.0}],
        start=0.5,
        inner=inner,
        validation=lambda params, task, key: params**2 / 2,
        gradient=gradient,
        along=True,
        **more,
    )


@pytest.mark.parametrize("window", [STEPS, 5, 3])
def test_truncation_loses_what_was_before_windows(window):
    slope = slope_of(pull_study(Truncated(window)))
    np.testing.assert_allclose(
        [slope.gradient.hyper["pull"], slope.gradient.start], pull_slopes(window), rtol=1e-12
    )
    exact = pull_slopes(STEPS)[0]
    assert (float(slope.gradient.hyper["pull"]) < 0.9 * exact) == (window < STEPS)


def test_truncation_is_blind_to_the_start_from_the_last_step():
    inner = Inner(sgd, 4, {"rate": 0.1})
    study = MetaStudy(
        parabola, [PARABOLA], start=START, inner=inner, validation=aimed, gradient=Truncated(1)
    )
    slope = slope_of(study)
    p = MIDDLE + np.linalg.matrix_power(np.eye(3) - 0.1 * A, 3) @ (START - MIDDLE)
    down = A @ (p - MIDDLE)
    outer = B @ (p - 0.1 * down - AIM)
    assert not np.asarray(slope.gradient.start).any()
    assert float(slope.gradient.hyper["rate"]) == pytest.approx(-0.1 * outer @ down, rel=1e-12)


def test_persistent_strategy_is_unbiased_where_truncation_is_not():
    study = pull_study(PersistentEs(deviation=0.3, pairs=2, window=3))
    task, count = study.family.task(0), 3000

    @jax.jit
    @jax.vmap
    def episode(key):
        def window(state, noise):
            slope, state = study.gradient(study.levels, study.meta, task, KEY, noise, state)
            return state, jnp.stack([slope.gradient.hyper["pull"], slope.gradient.start])

        begun = study.gradient.init(study.levels, study.meta)
        state, found = jax.lax.scan(window, begun, jr.split(key, 4))
        return found.mean(axis=0), state.number

    samples, numbers = episode(jr.split(jr.key(0), count))
    assert (np.asarray(numbers) == 4).all()
    mean, error = np.mean(samples, axis=0), np.std(samples, axis=0) / np.sqrt(count)
    exact = np.array(pull_slopes(STEPS))
    assert (np.abs(mean - exact) < 4 * error).all()
    assert error[0] < 0.05 * exact[0]
    assert abs(mean[0] - pull_slopes(3)[0]) > 20 * error[0]


def test_persistent_strategy_begins_anew_after_the_last_window():
    still = optax.sgd(0.0)
    study = pull_study(PersistentEs(deviation=1e-3, pairs=1, window=4), outer=still)
    losses = study.run(6, key=KEY, progress=False).progress.loss
    p, seen = 0.5, []
    for _ in range(STEPS):
        p = p - 0.2 * (p - 2.0 - PULL)
        seen.append(p**2 / 2)
    expected = np.reshape(seen, (3, 4)).mean(axis=1)
    np.testing.assert_allclose(losses, [*expected, *expected], rtol=1e-4)


def test_supports_are_those_of_the_values():
    study = MetaStudy(
        parabola,
        [PARABOLA],
        start=START,
        inner=Inner(sgd, 1, {"rate": Hyper(0.25, Positive())}),
        validation=aimed,
    )
    assert float(study.levels.hyper(study.meta)["rate"]) == pytest.approx(0.25, rel=1e-12)
    assert float(study.meta.hyper["rate"]) == pytest.approx(np.log(0.25), rel=1e-12)
