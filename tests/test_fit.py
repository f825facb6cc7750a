"""Fits: the loop, by a bowl whose minimum is known."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tvbjax
from tvbjax import Real
from tvbjax.inference import AbstractProblem, fit, gradients, starts
from tvbjax_inference.problem import Compared, Evaluation

STRETCH = np.array([1.0, 4.0, 0.25])


class Bowl(AbstractProblem):
    """A paraboloid about (1, -2, 3) and the minimum 0.5, and ripples of some height on it."""

    begin: jax.Array
    edge: float = eqx.field(default=np.inf, static=True)
    ripples: float = eqx.field(default=0.0, static=True)
    noise: float = eqx.field(default=0.0, static=True)

    @property
    def start(self):
        return {"x": self.begin, "unseen": jnp.zeros(())} if self.edge < 0 else {"x": self.begin}

    def values(self, position):
        return position

    def evaluate(self, positions, key, derivatives=tvbjax.Reverse(), carries=None):
        away = positions["x"] - jnp.asarray([[1.0, -2.0, 3.0]])
        losses = 0.5 + (jnp.asarray(STRETCH)[None] * away**2).sum(axis=1)
        losses = losses + self.ripples * jnp.sin(300.0 * away).sum(axis=1)
        if key is not None:
            losses = losses + self.noise * jax.random.normal(key)
        losses = jnp.where(positions["x"][:, 0] > self.edge, jnp.nan, losses)
        return Evaluation(losses, {"double": 2 * losses}, None)

    def check(self, position, key):
        raise ValueError("the bowl is broken at region 7")

    def coordinates(self):
        return {"x": ("a", "b", "c")}

    def supports(self):
        return {"x": Real()}

    def compared(self, positions, key, derivatives=None):
        return Compared({"x": positions["x"]})

    def begun(self, positions):
        return None

    def description(self):
        return (self.begin, self.edge)


def bowl(**options):
    return Bowl(jnp.asarray([0.0, 0.0, 0.0]), **options)


@pytest.mark.parametrize("gradient", [gradients.Reverse(), gradients.Forward()])
def test_adam_and_lbfgs_find_the_bottom(gradient):
    found = fit(bowl(), optimiser=optax.adam(0.3), steps=150, gradient=gradient)
    np.testing.assert_allclose(found.values["x"], [1, -2, 3], atol=0.02)
    assert found.loss == pytest.approx(0.5, abs=1e-3)
    quick = fit(bowl(), optimiser=optax.lbfgs(), steps=10, gradient=gradient)
    np.testing.assert_allclose(quick.values["x"], [1, -2, 3], atol=1e-4)


def test_the_path_is_that_of_optax_itself():
    problem, rule = bowl(), optax.sgd(0.05, momentum=0.9)
    found = fit(problem, optimiser=rule, steps=5, gradient=gradients.Reverse())
    position: Any = problem.start
    memory = rule.init(position)
    for step in range(5):
        np.testing.assert_allclose(found.history.positions[step]["x"][0], position["x"])
        slopes = jax.grad(problem.loss)(position)
        np.testing.assert_allclose(
            found.history.norms[step][0], np.linalg.norm(slopes["x"]), rtol=1e-12
        )
        with jax.numpy_dtype_promotion("standard"):
            changes, memory = rule.update(slopes, memory, position)
            position = optax.apply_updates(position, changes)


def test_several_starts_go_their_own_ways():
    given = {"x": jnp.asarray([[0.0, 0, 0], [1, -2, 3], [5, 5, 5]])}
    together = fit(bowl(), starts=given, steps=12)
    assert together.losses[1] == 0.5 and together.loss == 0.5
    alone = fit(Bowl(given["x"][2]), steps=12)
    np.testing.assert_allclose(together.losses[2], alone.loss, rtol=1e-12)
    drawn = fit(bowl(), starts=3, steps=2)
    assert drawn.losses.shape == (3,)
    np.testing.assert_array_equal(drawn.history.positions[0]["x"][0], [0, 0, 0])


def test_the_best_of_many_are_refined():
    problem = bowl()
    swept = starts.Swept(tried=50, best=3, spread=2.0)
    tried = starts.Drawn(50, 2.0).positions(problem, None)
    losses = problem.evaluate(tried, None).losses
    chosen = swept.positions(problem, None)["x"]
    np.testing.assert_array_equal(chosen, tried["x"][np.argsort(losses)[:3]])
    assert fit(problem, starts=swept, steps=3).losses.shape == (3,)


def test_it_stops_when_nothing_falls_any_more():
    found = fit(bowl(), optimiser=optax.adam(0.3), steps=500, patience=20)
    assert found.steps < 300 and "no start's loss fell in 20 steps" in found.stopped


def test_the_history_is_a_dataset():
    found = fit(bowl(), starts=2, steps=4)
    dataset = found.to_xarray()
    assert dict(dataset.sizes) == {"step": 4, "start": 2, "x_0": 3}
    assert list(dataset["x_0"].values) == ["a", "b", "c"]
    np.testing.assert_allclose(dataset["term_double"], 2 * dataset["loss"])
    assert float(dataset["loss"].min()) == found.loss == pytest.approx(min(found.losses))
    assert "loss" in repr(found) and "x = (3,) values" in repr(found)


@pytest.mark.parametrize("rule", [optax.adam(0.1), optax.lbfgs()], ids=["adam", "lbfgs"])
def test_a_fit_goes_on_from_its_checkpoint_with_the_same_numbers(tmp_path, rule):
    path, key = tmp_path / "fit.npz", jax.random.key(3)
    options: dict[str, Any] = dict(key=key, optimiser=rule, starts=2, resample=True)
    whole = fit(bowl(noise=0.1), steps=9, **options)
    fit(bowl(noise=0.1), steps=4, checkpoint=path, **options)
    resumed = fit(bowl(noise=0.1), steps=9, checkpoint=path, **options)
    assert resumed.steps == 9
    np.testing.assert_array_equal(np.stack(resumed.history.losses), np.stack(whole.history.losses))
    np.testing.assert_array_equal(resumed.position["x"], whole.position["x"])


def test_a_fit_that_is_over_stays_so(tmp_path):
    options: dict[str, Any] = dict(patience=3, tolerance=1.0, checkpoint=tmp_path / "fit.npz")
    first, again = (fit(bowl(), steps=50, **options) for _ in range(2))
    assert again.steps == first.steps < 6 and again.stopped == first.stopped


def test_the_checkpoint_of_another_fit_is_refused(tmp_path):
    path = tmp_path / "fit.npz"
    fit(bowl(), steps=2, optimiser=optax.adam(0.1), checkpoint=path)
    others: list[dict[str, Any]] = [
        dict(optimiser=optax.adam(0.2)),
        dict(optimiser=optax.adam(0.1), key=jax.random.key(0)),
        dict(optimiser=optax.adam(0.1), starts=2),
    ]
    for other in others:
        with pytest.raises(ValueError, match="is the checkpoint of another fit"):
            fit(bowl(), steps=2, checkpoint=path, **other)
    with pytest.raises(ValueError, match="no folder .*missing for the checkpoint fit.npz"):
        fit(bowl(), checkpoint=tmp_path / "missing" / "fit.npz")
    whole = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{name: x for name, x in arrays.items() if name != "state_0"})  # type: ignore
    with pytest.raises(ValueError, match="is a damaged checkpoint, it lacks 'state_0'"):
        fit(bowl(), steps=2, optimiser=optax.adam(0.1), checkpoint=path)
    for broken in (b"no checkpoint", b"", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="is no checkpoint of a fit"):
            fit(bowl(), steps=2, checkpoint=path)
    with pytest.raises(ValueError, match="must end in .npz"):
        fit(bowl(), steps=2, checkpoint=tmp_path / "fit.pickle")


def test_an_interrupted_fit_keeps_what_it_found(tmp_path, monkeypatch):
    from tvbjax_inference import fitted

    added = fitted.History.add

    def stop(self, *arguments):
        added(self, *arguments)
        if len(self.losses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitted.History, "add", stop)
    with pytest.warns(UserWarning, match="goes on from the checkpoint"):
        found = fit(bowl(), steps=9, checkpoint=tmp_path / "fit.npz")
    assert found.stopped == "interrupted" and np.isfinite(found.loss)
    monkeypatch.undo()
    resumed = fit(bowl(), steps=9, checkpoint=tmp_path / "fit.npz")
    np.testing.assert_array_equal(resumed.losses, fit(bowl(), steps=9).losses)


def test_a_start_that_becomes_nan_ends_and_the_others_go_on():
    given = {"x": jnp.asarray([[0.0, 0, 0], [0.0, -2, 3]])}
    with pytest.warns(UserWarning, match="the loss or the gradient of every start became NaN"):
        found = fit(bowl(edge=0.5), optimiser=optax.sgd(0.1), starts=given, steps=30)
    assert "became NaN" in found.stopped
    assert np.isfinite(found.losses).all() and found.values["x"][0] <= 0.5


def test_a_loss_that_is_nan_at_the_start_is_explained():
    with pytest.raises(ValueError, match="the bowl is broken at region 7"):
        fit(bowl(edge=-1.0), steps=3)


def test_what_is_not_seen_is_told():
    class Blind(Bowl):
        @property
        def start(self):
            return {"x": self.begin, "unseen": jnp.zeros(2)}

    with pytest.warns(UserWarning, match="does not depend on 'unseen' here: its gradient is 0"):
        fit(Blind(jnp.zeros(3)), steps=2)


def test_a_start_without_a_loss_is_left_aside():
    given = {"x": jnp.asarray([[5.0, 0.0, 0.0], [0.0, 0.0, 0.0]])}
    found = fit(bowl(edge=3.0), optimiser=optax.sgd(0.01), starts=given, steps=3)
    assert np.isinf(found.losses[0]) and found.loss == found.losses[1] < 15.5


def test_a_fit_that_only_climbs_is_told():
    with pytest.warns(UserWarning, match="no step's loss was below that of its start, .*Lower the"):
        found = fit(bowl(), steps=4, optimiser=optax.sgd(-0.01))
    assert found.loss == pytest.approx(bowl().loss(bowl().start))


@pytest.mark.filterwarnings("ignore:fit. the loss does not depend")
def test_a_loss_that_does_not_move_is_told():
    class Flat(Bowl):
        def evaluate(self, positions, key, derivatives=tvbjax.Reverse(), carries=None):
            losses = 2.0 + 0.0 * positions["x"].sum(axis=1)
            return Evaluation(losses, {}, None)

    with pytest.warns(UserWarning, match="the loss did not move from 2 in 8 steps"):
        fit(Flat(jnp.zeros(3)), steps=8)


def test_gradients_that_explode_are_told():
    class Steep(Bowl):
        def evaluate(self, positions, key, derivatives=tvbjax.Reverse(), carries=None):
            x = positions["x"].sum(axis=1)
            return Evaluation(1.0 + 1e-3 * jnp.sin(1e12 * x), {}, None)

    with pytest.warns(UserWarning, match="it explodes.*gradients.EvolutionStrategy"):
        fit(Steep(jnp.zeros(3)), steps=2)


def test_evolution_finds_the_slope_of_a_rippled_bowl():
    """Of a paraboloid the smoothed gradient is the gradient; fast ripples are smoothed away."""
    way = gradients.EvolutionStrategy(pairs=4000, spread=0.1)
    position = {"x": jnp.zeros((2, 3))}
    slope, _ = jax.jit(
        lambda p: way(bowl(ripples=0.5), p, None, jax.random.key(0), ())  # type: ignore
    )(position)
    exact = 2 * STRETCH * -np.array([1.0, -2.0, 3.0])
    # The error of the mean: about the loss's spread over the step, divided by the square root.
    np.testing.assert_allclose(slope.gradients["x"], np.stack([exact, exact]), atol=0.75)
    rough = jax.grad(bowl(ripples=0.5).loss)({"x": jnp.zeros(3)})["x"]
    assert np.abs(rough - exact).max() > 50


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (dict(steps=0), ValueError, "steps is 0; give a whole number of 1 or more"),
        (dict(patience=0), ValueError, "patience is 0"),
        (dict(tolerance=-1.0), ValueError, "tolerance is -1.0"),
        (dict(key=3), TypeError, "key is 3; give a key of JAX"),
        (dict(gradient="reverse"), TypeError, "gradient is 'reverse'"),
        (dict(starts=0), ValueError, "starts is 0; give a whole number"),
        (dict(starts={"y": [1.0]}), TypeError, "numbers by name for each of x"),
        (dict(starts={"x": np.zeros(3)}), ValueError, r"have the shape \(3,\); give"),
        (dict(starts={"x": [[0.0, np.nan, 0.0]]}), ValueError, "start 0 of 'x' has nan"),
        (dict(optimiser="adam"), TypeError, "the optimiser is 'adam'; give one of optax"),
        (dict(optimiser=optax.adam), TypeError, "give one of optax, made"),
        (
            dict(optimiser=optax.MultiSteps(optax.adam(0.1), 2)),
            TypeError,
            r"give its .gradient_transformation\(\)",
        ),
        (dict(checkpoint=3), TypeError, "checkpoint is 3; give a path"),
        (dict(steps=2.5), ValueError, "steps is 2.5; give a whole number"),
        (dict(tolerance=None), TypeError, "tolerance is None; give a number of 0 or more"),
        (dict(resample="no"), TypeError, "resample is 'no'; give True or False"),
        (dict(key=jax.random.split(jax.random.key(0), 3)), TypeError, "key is 3 keys"),
        (dict(starts={"x": np.zeros((0, 3))}), ValueError, "give an axis of one or more starts"),
    ],
)
def test_bad_arguments(arguments, error, match, without_type_checks):
    with pytest.raises(error, match=match):
        fit(bowl(), **(dict(steps=2) | arguments))


def test_bad_ways(without_type_checks):
    with pytest.raises(ValueError, match="EvolutionStrategy: pairs is 0"):
        gradients.EvolutionStrategy(0)
    with pytest.raises(ValueError, match="spread is 0"):
        gradients.PersistentEvolutionStrategy(spread=0.0)
    with pytest.raises(ValueError, match="spread is inf; give a number above 0"):
        gradients.EvolutionStrategy(spread=np.inf)
    with pytest.raises(ValueError, match="restart is 1.5; give a whole number"):
        gradients.PersistentEvolutionStrategy(restart=1.5)  # type: ignore
    with pytest.raises(ValueError, match="horizon, in ms, is -1.0; give a number above 0"):
        gradients.Reverse(-1.0)
    with pytest.raises(TypeError, match="horizon, in ms, is 'x'"):
        tvbjax.Reverse("x")  # type: ignore
    with pytest.raises(ValueError, match="Swept: spread is nan; give a number of 0 or more"):
        starts.Swept(spread=np.nan)
    with pytest.raises(ValueError, match="the best 4 of 2"):
        starts.Swept(2, 4)
