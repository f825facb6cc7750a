"""Outer loops: what they learn against what is optimal, failures, files, and what is refused."""

import warnings
from functools import cache

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from tvbjax import Interval, Positive
from tvbjax.l2l import (
    Family,
    FirstOrder,
    Hyper,
    Implicit,
    Inner,
    MetaStudy,
    PersistentEs,
    Proximal,
    Reptile,
    Unrolled,
)
from tvbjax_inference.l2l.meta import running

KEY = jr.key(8)
START = np.zeros(3)


def regressions(count: int) -> dict[str, np.ndarray]:
    """Linear regressions whose weights are normal about the prior's mean."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(count, 15, 3))
    weights = [1.0, -2.0, 0.5] + 0.4 * draw.normal(size=(count, 3))
    return {"x": x, "y": np.einsum("tij,tj->ti", x, weights), "weights": weights}


def loss(params, task, key):
    return ((task["x"] @ params - task["y"]) ** 2).mean() / 2


def rule(h):
    return optax.sgd(h["rate"])


@cache
def small(gradient, batch=None, **more) -> MetaStudy:
    return MetaStudy(
        loss,
        Family(regressions(5), ["ann", "bob", "cyd", "dan", "eve"]),
        start=START,
        inner=Inner(rule, 2, {"rate": 0.2}),
        outer=optax.adam(0.1),
        gradient=gradient,
        batch=batch,
        **more,
    )


@pytest.mark.parametrize("gradient", [Unrolled(), FirstOrder(), Reptile()])
def test_the_start_of_regressions_is_the_optimum_and_near_the_prior(gradient):
    count, rate, steps = 60, 0.3, 2
    tasks = regressions(count)
    study = MetaStudy(
        loss,
        tasks,
        start=START,
        inner=Inner(lambda h: optax.sgd(rate), steps),
        outer=optax.sgd(0.5),
        gradient=gradient,
    )
    learned = study.run(400, key=KEY, progress=False)
    # The outer loss is a sum of parabolas about the tasks' weights, with these matrices; the other
    # gradients' fixed points are weighted means, too.
    hessians = np.einsum("tij,tik->tjk", tasks["x"], tasks["x"]) / 15
    left = np.stack([np.linalg.matrix_power(np.eye(3) - rate * h, steps) for h in hessians])
    matrices = {
        Unrolled: left @ hessians @ left,
        FirstOrder: hessians @ left,
        Reptile: np.eye(3) - left,
    }[type(gradient)]
    optimum = np.linalg.solve(
        matrices.sum(axis=0), np.einsum("tij,tj->i", matrices, tasks["weights"])
    )
    start = np.asarray(learned.start)
    np.testing.assert_allclose(start, optimum, atol=1e-6)
    assert (np.abs(start - [1.0, -2.0, 0.5]) < 4 * 0.4 / np.sqrt(count)).all()
    away = start - tasks["weights"]
    best = 0.5 * np.einsum("ti,tij,tj->t", away, left @ hessians @ left, away)
    np.testing.assert_allclose(learned.progress.losses[-1], best, rtol=1e-6)


def wave(params, x):
    hidden = jnp.tanh(x[:, None] * params["in"] + params["shift"])
    return jnp.tanh(hidden @ params["across"]) @ params["out"]


def waves(count: int, seed: int) -> dict[str, np.ndarray]:
    """Sines of all phases, of which the mean is 0. Finn et al. (2017), section 5.1."""
    draw = np.random.default_rng(seed)
    x = draw.uniform(-3, 3, (2, count, 20))
    height, phase = draw.uniform(0.5, 2.0, (count, 1)), draw.uniform(0, np.pi, (count, 1))
    y = height * np.sin(x + phase)
    return {"x": x[0], "y": y[0], "xv": x[1], "yv": y[1]}


def wave_loss(params, task, key):
    return ((wave(params, task["x"]) - task["y"]) ** 2).mean()


def wave_held_out(params, task, key):
    return ((wave(params, task["xv"]) - task["yv"]) ** 2).mean()


def test_a_learned_start_adapts_to_waves_as_the_mean_of_waves_does_not():
    draw = np.random.default_rng(0)
    start = {
        "in": draw.normal(size=(1, 16)),
        "shift": draw.normal(size=(1, 16)),
        "across": draw.normal(size=(16, 16)) / 4,
        "out": draw.normal(size=16) / 4,
    }
    seen, unseen = waves(16, 1), waves(20, 2)
    study = MetaStudy(
        wave_loss,
        seen,
        start=start,
        inner=Inner(rule, 3, {"rate": 0.05}),
        outer=optax.adam(0.01),
        validation=wave_held_out,
    )
    learned = study.run(200, key=KEY, progress=False)

    def joint(params):
        return jax.vmap(wave_loss, (None, 0, None))(params, seen, KEY).mean()

    optimiser = optax.adam(0.01)

    @jax.jit
    def descended(params):
        def step(state, _):
            params, memory = state
            changes, memory = optimiser.update(jax.grad(joint)(params), memory)
            return (optax.apply_updates(params, changes), memory), None

        with jax.numpy_dtype_promotion("standard"):
            begun = (params, optimiser.init(params))
            return jax.lax.scan(step, begun, length=200)[0][0]

    @jax.jit
    @jax.vmap
    def adapted(rate):
        """Of the joint start after 3 steps: the mean loss that is held out."""

        def one(task):
            params = mean
            for _ in range(3):
                slopes = jax.grad(wave_loss)(params, task, KEY)
                params = jax.tree.map(lambda x, g: x - rate * g, params, slopes)
            return wave_held_out(params, task, KEY)

        return jax.vmap(one)(unseen).mean()

    mean = descended(jax.tree.map(jnp.asarray, start))
    of_mean = float(adapted(jnp.array([0.01, 0.03, 0.1, 0.3])).min())
    ends = jax.vmap(lambda task: learned.adapt(task, KEY).params)(unseen)
    of_learned = float(jax.vmap(wave_held_out, (0, 0, None))(ends, unseen, KEY).mean())
    assert of_learned < 0.5 * of_mean, (of_learned, of_mean)


@pytest.mark.parametrize(
    "gradient, batch, along", [(Unrolled(), 2, False), (PersistentEs(0.01, 2, 1), None, True)]
)
def test_a_run_goes_on_from_its_file_bit_for_bit(tmp_path, monkeypatch, gradient, batch, along):
    study = small(gradient, batch, along=along)
    path = tmp_path / "meta.npz"
    whole = study.run(24, key=KEY, progress=False)
    step, taken = running.outer_step, []

    def interrupted(*given):
        taken.append(None)
        if len(taken) > 13:
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(running, "outer_step", interrupted)
    with pytest.warns(UserWarning, match="interrupted after 13 steps.*goes on from the checkpoint"):
        part = study.run(24, key=KEY, checkpoint=path, progress=False)
    assert part.stopped == "interrupted" and len(part.progress.length) == 13
    monkeypatch.setattr(running, "outer_step", step)
    again = study.run(24, key=KEY, checkpoint=str(path), progress=False)
    np.testing.assert_array_equal(again.start, whole.start)
    np.testing.assert_array_equal(again.hyper["rate"], whole.hyper["rate"])
    for name, values in whole.to_xarray().items():
        np.testing.assert_array_equal(again.to_xarray()[name], values)
    # What is over stays as it is.
    over = study.run(24, key=KEY, checkpoint=path, progress=False)
    np.testing.assert_array_equal(over.start, whole.start)
    with pytest.raises(ValueError, match="checkpoint of another meta-study"):
        study.run(30, key=jr.key(1), checkpoint=path, progress=False)
    path.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match="is no checkpoint of a meta-study"):
        study.run(30, key=KEY, checkpoint=path, progress=False)


def broken(params, task, key):
    """The root of what is negative, in some tasks."""
    return loss(params, task, key) * jnp.sqrt(task["sign"])


def test_a_task_that_fails_is_told_and_leaves_the_others_alone():
    tasks = regressions(4) | {"sign": np.array([1.0, 1.0, -1.0, 1.0])}
    good = {name: x[[0, 1, 3]] for name, x in tasks.items()}
    more = {"start": START, "inner": Inner(rule, 2, {"rate": 0.2}), "outer": optax.sgd(0.1)}
    study = MetaStudy(broken, Family(tasks, ["a", "b", "c", "d"]), **more)
    with pytest.warns(UserWarning, match="at outer step 0 .* for 'c'; what is NaN is left out"):
        learned = study.run(20, key=KEY, progress=False)
    others = MetaStudy(broken, good, **more).run(20, key=KEY, progress=False)
    np.testing.assert_allclose(learned.start, others.start, rtol=1e-12)
    np.testing.assert_allclose(learned.progress.loss, others.progress.loss, rtol=1e-12)
    assert np.isnan(learned.progress.losses[:, 2]).all()
    assert "20 steps" in repr(learned) and "rate" in repr(learned)


@pytest.mark.parametrize(
    "rate, sign, outer, message",
    [
        (0.1, -1.0, 1.0, "of the task '0' the inner loss is nan at the start"),
        (1e200, 1.0, 1.0, "the inner loss is inf after 1 of 4 inner steps; it was"),
        (0.1, 1.0, -1.0, "the inner losses are finite and the outer loss is nan"),
    ],
)
def test_where_all_fail_it_is_said_where(rate, sign, outer, message):
    tasks = regressions(2) | {"sign": np.full(2, sign), "outer": np.full(2, outer)}

    def validation(params, task, key):
        return loss(params, task, key) * jnp.sqrt(task["outer"])

    study = MetaStudy(
        broken,
        tasks,
        start=START,
        inner=Inner(lambda h: optax.sgd(rate), 4),
        validation=validation,
    )
    with pytest.raises(ValueError, match=message):
        study.run(3, key=KEY, progress=False)


def test_batches_draw_all_tasks_in_time_and_say_which():
    learned = small(Unrolled(), 2).run(24, key=KEY, progress=False)
    drawn = learned.progress.drawn
    assert (drawn.sum(axis=1) == 2).all() and drawn.any(axis=0).all()
    assert (np.isfinite(learned.progress.losses) == drawn).all()
    assert (np.isfinite(learned.progress.lengths) == drawn).all()
    assert learned.to_xarray().task.values.tolist() == ["ann", "bob", "cyd", "dan", "eve"]


def test_tasks_one_after_another_are_as_side_by_side():
    one, all_of = (small(Unrolled(), together=count) for count in (2, None))
    found = [study.run(3, key=KEY, progress=False) for study in (one, all_of)]
    np.testing.assert_allclose(found[0].start, found[1].start, rtol=1e-12)


def test_outer_loops_side_by_side_are_those_that_run_one_by_one():
    study, keys = small(Unrolled(), 2), jr.split(KEY, 3)

    @jax.jit
    @jax.vmap
    def learned(key):
        def step(state, _):
            state, row = study.step(state, key)
            return state, row.losses

        state, losses = jax.lax.scan(step, study.begin(), length=5)
        return study.start(state), losses

    starts, losses = learned(keys)
    for key, start, of_one in zip(keys, starts, losses, strict=True):
        alone = study.run(5, key=key, progress=False)
        np.testing.assert_allclose(start, alone.start, rtol=1e-12)
        np.testing.assert_allclose(of_one, alone.progress.losses, rtol=1e-12)


def test_adapting_is_the_inner_loop_from_the_learned_start():
    study = small(Unrolled())
    learned = study.run(5, key=KEY, progress=False)
    task = study.family.task("cyd")
    found = learned.adapt(task, KEY, steps=4)
    x, y = np.asarray(task["x"]), np.asarray(task["y"])
    params, losses = np.asarray(learned.start), []
    for _ in range(5):
        losses.append(((x @ params - y) ** 2).mean() / 2)
        if len(losses) < 5:
            params = params - float(learned.hyper["rate"]) * x.T @ (x @ params - y) / 15
    np.testing.assert_allclose(found.params, params, rtol=1e-12)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-12)
    assert len(learned.adapt(task, KEY).losses) == 3
    with pytest.raises(ValueError, match=r"no \['y'\], which.* it has \['weights'\], \['x'\]"):
        learned.adapt({name: task[name] for name in ("x", "weights")}, KEY)


def test_a_part_of_the_start_may_stay():
    def moved(params, task, key):
        return loss(jnp.append(params["free"], params["fixed"]), task, key)

    study = MetaStudy(
        moved,
        regressions(3),
        start={"free": np.zeros(2), "fixed": 0.3},
        inner=Inner(lambda h: optax.sgd(0.1), 2),
        learned={"free": True, "fixed": False},
    )
    learned = study.run(3, key=KEY, progress=False)
    assert float(learned.start["fixed"]) == 0.3 and np.all(learned.start["free"])
    # The inner loop adapts it all the same.
    assert float(learned.adapt(study.family.task(0), KEY).params["fixed"]) != 0.3


def test_noise_is_each_tasks_and_steps_own():
    def noisy(params, task, key):
        return (params - jr.normal(key)) ** 2 * task

    def ends(resample):
        inner = Inner(lambda h: optax.sgd(0.25), 2, resample=resample)
        study = MetaStudy(noisy, jnp.ones(2), start=0.0, inner=inner)
        return study, study.run(2, key=KEY, progress=False)

    study, learned = ends(False)
    # Every step goes half of the way that is left to the noise.
    task = study.family.task(0)
    found = learned.adapt(task, jr.key(3)).params
    first, second = float(jr.normal(jr.fold_in(jr.key(3), 0))), jr.normal(jr.fold_in(jr.key(3), 1))
    begun = float(learned.start)
    assert float(found) == pytest.approx(0.75 * float(jr.normal(jr.key(3))) + 0.25 * begun)
    assert len(set(learned.progress.losses.ravel().tolist())) == 4
    _, anew = ends(True)
    expected = 0.5 * float(second) + 0.25 * first + 0.25 * float(anew.start)
    assert float(anew.adapt(task, jr.key(3)).params) == pytest.approx(expected)


def vector(params, task, key):
    return task["x"] @ params


def unmoved(params, task, key):
    return jnp.sum(task["y"] ** 2)


SGD = Inner(lambda h: optax.sgd(0.1), 2)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"loss": vector}, TypeError, r"loss gives ShapeDtypeStruct\(shape=\(15,\).*one number"),
        ({"loss": unmoved}, ValueError, "loss does not depend on the params"),
        ({"validation": unmoved}, ValueError, "validation does not depend on the params"),
        ({"loss": "mse"}, TypeError, "loss is 'mse'; give a function"),
        ({"batch": 4}, ValueError, "a batch of 4 tasks, and the family has 3"),
        ({"batch": 0}, ValueError, "batch is 0; give a whole number of 1 or more"),
        ({"start": {"w": [1, 2, 3]}}, TypeError, r"start\['w'\]\[0\] is 1; give floating-point"),
        ({"start": np.array([0.0, np.nan, 0.0])}, ValueError, r"start is nan at \[1\]"),
        ({"start": {}}, TypeError, "give a tree of arrays"),
        ({"learned": False}, ValueError, "nothing is learned"),
        ({"learned": "all"}, TypeError, "learned is 'all'; give True, False"),
        ({"inner": "sgd"}, TypeError, "inner is 'sgd'"),
        ({"outer": "adam"}, TypeError, "outer is 'adam'"),
        ({"gradient": "maml"}, TypeError, "gradient is 'maml'"),
        ({"gradient": Unrolled}, TypeError, r"give an instance: Unrolled\(...\)"),
        ({"gradient": Implicit()}, ValueError, "there is none; give Inner"),
        ({"gradient": PersistentEs(0.1, 2, 1)}, ValueError, r"give MetaStudy\(along=True\)"),
        ({"gradient": PersistentEs(0.1, 2, 3), "along": True}, ValueError, "do not fill 2 inner"),
        (
            {"gradient": Reptile(), "inner": Inner(rule, 2, {"rate": 0.1})},
            ValueError,
            "learns the start alone, and not 'rate'",
        ),
        (
            {
                "gradient": Implicit(),
                "inner": Inner(rule, 2, {"rate": 0.1}, penalty=Proximal("rate")),
                "along": True,
            },
            ValueError,
            "leave along out",
        ),
        ({"tasks": [{"y": np.ones(2)}, {"y": np.ones(3)}]}, ValueError, r"\['y'\] has the shape"),
        ({"tasks": []}, ValueError, "there are no tasks"),
        ({"tasks": {"n": 3}}, TypeError, "has no arrays"),
        ({"tasks": {"x": np.ones((2, 3)), "y": np.ones(3)}}, ValueError, "2 tasks .* 3"),
        ({"tasks": {"x": np.array(1.0)}}, ValueError, "without an axis of tasks"),
        ({"tasks": {"x": np.array([[1.0], [np.nan]])}}, ValueError, r"task '1' is NaN at \[0\]"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_what_cannot_be_studied_is_refused(change, error, message):
    given = {"loss": loss, "tasks": regressions(3), "start": START, "inner": SGD} | change
    with pytest.raises(error, match=message):
        MetaStudy(given.pop("loss"), given.pop("tasks"), **given)


@pytest.mark.parametrize(
    "made, error, message",
    [
        (lambda: Inner(rule, 0, {"rate": 0.1}), ValueError, "steps is 0; give a whole number"),
        (lambda: Inner(rule, 2), ValueError, "asks for the hyper-parameter 'rate'"),
        (lambda: Inner(lambda h: 0.1, 2), TypeError, "rule gives 0.1"),  # type: ignore[arg-type]
        (lambda: Inner(rule, 2, {"rate": -0.1}), ValueError, r"is -0.1, .* outside of Positive"),
        (lambda: Hyper(2.0, Interval(0.0, 1.0)), ValueError, "is 2, which is outside of Interval"),
        (lambda: Hyper({"a": np.array([1.0, 0.0])}), ValueError, r"at \['a'\]\[1\] is 0"),
        (lambda: Hyper({}), TypeError, "has no numbers"),
        (lambda: Hyper(1.0, Positive), TypeError, "give an instance"),  # type: ignore[arg-type]
        (lambda: Family(np.ones(2), ["a"]), ValueError, "1 labels for 2 tasks"),
        (lambda: Family(np.ones(2), ["a", "a"]), ValueError, "names 'a' twice"),
        (lambda: Family(np.ones(2)).task("c"), KeyError, "there is no task 'c'"),
        (lambda: Family.of([{"a": np.ones(1)}, {"b": np.ones(1)}]), ValueError, "has none"),
        (lambda: Family.of({"p": (1, np.ones(1)), "q": (2, np.ones(1))}), ValueError, "differ in"),
        (lambda: small(Unrolled()).run(0, key=KEY), ValueError, "steps is 0"),
        (lambda: small(Unrolled()).run(1, key=3), TypeError, "give a key of JAX"),  # type: ignore[arg-type]
        (lambda: small(Unrolled()).run(1, key=KEY, checkpoint="a.txt"), ValueError, "end in .npz"),
        (lambda: small(Unrolled()).run(1, key=KEY, checkpoint=3), TypeError, "give a path"),  # type: ignore[arg-type]
        (lambda: small(Unrolled()).run(1, key=KEY, checkpoint="no/a.npz"), ValueError, "no folder"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_what_makes_no_sense_is_refused(made, error, message):
    with pytest.raises(error, match=message):
        made()


def test_what_the_outer_loss_does_not_depend_on_is_told():
    inner = Inner(lambda h: optax.sgd(0.1), 1, {"unused": 0.5})
    study = MetaStudy(loss, regressions(2), start=START, inner=inner)
    with pytest.warns(UserWarning, match="does not depend on 'unused' here"):
        study.run(1, key=KEY, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(Unrolled()).run(1, key=KEY, progress=False)


def test_floats_of_tasks_are_data():
    family = Family.of({"p": {"x": 1.5, "n": 3}, "q": {"x": 2.5, "n": 3}})
    assert family.task("q")["x"] == 2.5 and family.task(0)["n"] == 3 and len(family) == 2
