"""Cohorts against their subjects' own problems: losses, information, fits, and what they refuse."""

from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import tvbjax
from quadratic import MIDDLE, Quadratic
from tvbjax import coupling, features, integrators, monitors, noise
from tvbjax.inference import (
    Cohort,
    Fit,
    Problem,
    fit,
    gradients,
    hessian,
    identifiability,
    objectives,
)
from tvbjax_inference.cohort import without_places

KEY = jr.key(3)
MODEL = tvbjax.lems.load("OrnsteinUhlenbeck")
MEANS = monitors.TemporalAverage(5.0)
FREE = {
    "G": tvbjax.Free(lambda s: s.coupling.a, tvbjax.Interval(0.0, 1.0)),
    "mu": tvbjax.Free(lambda s: s.model.params["mu"]),
}


def simulator(seed: int, regions: int = 3, speed: float = 1e6) -> tvbjax.Simulator:
    """Regions of which some hear much and some little: that tells the coupling from mu."""
    draw = np.random.default_rng(seed)
    weights = draw.uniform(0.5, 1.0, (regions, regions)) * np.linspace(0.1, 0.7, regions)[:, None]
    np.fill_diagonal(weights, 0.0)
    return tvbjax.Simulator(
        MODEL,
        tvbjax.Connectome(
            weights,
            np.where(weights > 0, 10.0, 0.0),
            speed,
            centres=draw.normal(size=(regions, 3)),
            name=f"subject {seed}",
        ),
        coupling.Linear(a=0.3),
        integrators.Heun(dt=1.0),
        noise.Additive(1e-8),
        MEANS,
    )


def subject(seed: int, **changes) -> Problem:
    """G is 0.6 in all, and mu 0.5 + 0.3 seed. Data without delays, by small steps of Euler's."""
    own = simulator(seed, **changes)
    weights, step = np.asarray(own.connectome.weights), 0.05
    x, total = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(round(60.0 / step)):
        x = x + step / 20.0 * (0.5 + 0.3 * seed - x + 0.6 * weights @ x)
        total += x * step / 60.0
    objective = objectives.Feature(features.Mean(), total, scale=0.1)
    initial = np.zeros((1, len(weights)))
    return Problem(own, FREE, objective, 60.0, initial=initial)


@cache
def subjects() -> dict[str, Problem]:
    """Two that differ in arrays alone, and one whose delays ask for another layout."""
    return {"bob": subject(1), "alice": subject(0), "eve": subject(2, regions=4, speed=2.0)}


def tilted(seed: int) -> Quadratic:
    draw = np.random.default_rng(seed).normal(size=(4, 4))
    return Quadratic(draw @ draw.T + np.eye(4), MIDDLE + 0.1 * seed)


def test_names_values_and_coordinates():
    cohort = Cohort(subjects(), shared=["G"])
    assert list(cohort.start) == ["G", "bob.mu", "alice.mu", "eve.mu"] and cohort.count == 4
    assert cohort.coordinates() == {name: (name.split(".")[-1],) for name in cohort.start}
    position = cohort.start | {"alice.mu": jnp.asarray(0.7), "G": jnp.asarray(0.0)}
    values = cohort.values(position)
    assert values["G"] == 0.5 and values["alice.mu"] == 0.7 and values["bob.mu"] == 0.0
    assert cohort.of_subject("alice", position) == {"G": 0.0, "mu": 0.7}
    drawn = cohort.draw(KEY, 5)
    assert drawn["G"].shape == drawn["eve.mu"].shape == (5,)
    assert cohort.supports()["G"] == tvbjax.Interval(0.0, 1.0)
    assert list(Cohort(subjects()).start)[:2] == ["bob.G", "bob.mu"]
    starts = {"one": Quadratic(), "two": tilted(1)}
    assert list(Cohort(starts, ["a"]).coordinates()["one.b"]) == ["left", "middle", "right"]


def test_the_loss_is_the_weighted_mean_of_the_subjects():
    weights = {"bob": 2.0, "eve": 0.5}
    cohort = Cohort(subjects(), shared=["G"], weights=weights)
    positions = cohort.draw(jr.key(9), 2, 0.3)

    @eqx.filter_jit
    def evaluated(problem, positions, key):
        return problem.evaluate(positions, key)

    found = evaluated(cohort, positions, KEY)
    total = np.zeros(2)
    for name, problem in subjects().items():
        own, problem = cohort.of_subject(name, positions), without_places(problem)
        alone = evaluated(problem, own, cohort.key_of(name, KEY)).losses
        np.testing.assert_allclose(found.terms[name], alone, rtol=1e-10)
        total += weights.get(name, 1.0) * np.asarray(alone)
    np.testing.assert_allclose(found.losses, total / 3.5, rtol=1e-10)
    keys: list[Any] = [cohort.key_of(name, KEY) for name in subjects()]
    assert len({tuple(jr.key_data(key).tolist()) for key in keys}) == 3


def test_subjects_that_differ_in_arrays_alone_are_compiled_once():
    def text(problems) -> str:
        cohort = Cohort(problems, shared=["G"])
        several = jax.tree.map(lambda x: x[None], cohort.start)
        arrays, rest = eqx.partition(cohort, eqx.is_array)
        made = jax.make_jaxpr(lambda a: eqx.combine(a, rest).evaluate(several, KEY).losses)(arrays)
        return str(made)

    three = subjects()
    alike = {n: three[n] for n in ("bob", "alice")}
    unlike = {n: three[n] for n in ("bob", "eve")}
    assert len(text(alike)) < 0.75 * len(text(unlike))


@cache
def found() -> Fit:
    cohort = Cohort({n: subjects()[n] for n in ("bob", "alice")}, shared=["G"])
    return fit(cohort, key=KEY, optimiser=optax.adam(0.2), steps=200, starts=2)


def test_a_fit_finds_what_is_shared_and_what_is_each_ones_own():
    best = found()
    assert best.loss < 0.02
    assert best.values["G"] == pytest.approx(0.6, abs=0.1)
    assert best.values["bob.mu"] == pytest.approx(0.8, abs=0.15)
    assert best.values["alice.mu"] == pytest.approx(0.5, abs=0.15)
    history = best.to_xarray()
    assert history["alice.mu"].shape == (200, 2) and "term_bob" in history


def test_a_subjects_part_of_a_fit():
    best = found()
    parts = {name: best.subject(name) for name in ("bob", "alice")}
    assert np.mean([part.loss for part in parts.values()]) == pytest.approx(best.loss, rel=1e-9)
    for name, part in parts.items():
        assert part.values["mu"] == best.values[f"{name}.mu"]
        rule: Any = part.simulator.coupling
        assert rule.a == pytest.approx(float(best.values["G"]))
        series = part.to_xarray()
        assert series["mu"].values == pytest.approx(best.to_xarray()[f"{name}.mu"].values)
    cohort: Any = best.problem
    run = parts["bob"].simulate(cohort.key_of("bob", KEY))
    assert subjects()["bob"].objective(run) == pytest.approx(parts["bob"].loss, rel=1e-6)
    with pytest.raises(TypeError, match=r"fit\.subject\('bob'\)"):
        best.simulate(KEY)
    with pytest.raises(TypeError, match="of one subject"):
        parts["bob"].subject("bob")
    with pytest.raises(KeyError, match="no subject 'carol'; there are bob, alice"):
        best.subject("carol")


def test_losses_that_go_on_from_states_go_on_in_every_subject():
    cohort = Cohort({n: subjects()[n] for n in ("bob", "alice")}, shared=["G"])
    way = gradients.PersistentEvolutionStrategy(pairs=2)
    best = fit(cohort, key=KEY, steps=3, gradient=way, progress=False)
    assert np.isfinite(best.loss)


def test_information_of_what_is_shared_adds_up():
    """In the numbers (a, b of one, b of two) that of each subject has its place, and they add."""
    one, two = tilted(1), tilted(2)
    cohort = Cohort({"one": one, "two": two}, shared=["a"])
    position = {n: jnp.zeros_like(x) for n, x in cohort.start.items()}
    joint = identifiability(cohort, position, noise={"one.all": 0.5, "two.all": 0.25})
    assert joint.labels[:2] == ("a", "one.b[left]") and len(joint.labels) == 7
    assert joint.matrix[0, 0] == pytest.approx(1 / 0.5**2 + 1 / 0.25**2)
    np.testing.assert_allclose(np.diag(joint.matrix)[1:], [4.0] * 3 + [16.0] * 3)


def test_the_minimum_of_parabolas_that_share_a_number():
    """Minus log likelihoods add: where b is free, that of a is a parabola about its own middle of
    the variance (M^-1)_aa."""
    parts = {"one": tilted(1), "two": tilted(2)}
    cohort = Cohort(parts, ["a"])
    start = cohort.start
    slope = jax.grad(cohort.loss)(start)
    flat = np.concatenate([np.ravel(slope[name]) for name in start])
    found = -np.linalg.solve(hessian(cohort, start), flat)  # the start is 0
    precise = [1 / np.linalg.inv(np.asarray(part.matrix))[0, 0] for part in parts.values()]
    middles = [float(part.middle[0]) for part in parts.values()]
    exact = np.average(middles, weights=precise)
    assert found[0] == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    "problems, options, message",
    [
        ({}, {}, "problems is {}"),
        ({"one": 3}, {}, "of 'one' there is 3"),
        ({"one.two": Quadratic()}, {}, "a name without a dot"),
        ({"one": Quadratic()}, {"shared": "a"}, r"give a list of names, such as \['b'\]"),
        ({"one": Quadratic()}, {"shared": None}, "shared is None; give a list of names"),
        ({"one": Quadratic()}, {"shared": ["c"]}, "'c' is shared, and is not free .* 'one'"),
        ({"one": Quadratic()}, {"weights": {"two": 1.0}}, "a weight of 'two' and no such subject"),
        ({"one": Quadratic()}, {"weights": {"one": -1.0}}, "0 or more, not all 0"),
        ({"one": Quadratic()}, {"weights": {"one": np.ones(2)}}, "no single number"),
    ],
)
def test_what_does_not_fit_is_told(problems, options, message, without_type_checks):
    with pytest.raises((ValueError, TypeError), match=message):
        Cohort(problems, **options)


def test_shared_names_are_the_same_everywhere():
    def of(regions: int, support: tvbjax.supports.AbstractSupport) -> Problem:
        free = {
            "mu": tvbjax.Free(lambda s: s.model.params["mu"], support, tie=tvbjax.ties.Regional())
        }
        mean = objectives.Feature(features.Mean(), 0.0)
        return Problem(simulator(0, regions), free, mean, 20.0)

    with pytest.raises(ValueError, match=r"shape \(3,\) in 'one' and \(4,\) in 'two'"):
        Cohort({"one": of(3, tvbjax.Real()), "two": of(4, tvbjax.Real())}, ["mu"])
    with pytest.raises(ValueError, match=r"Real\(.* in 'one' and Interval\(.*give both the same"):
        Cohort({"one": of(3, tvbjax.Real()), "two": of(3, tvbjax.Interval(-1.0, 1.0))}, ["mu"])


def test_a_shared_name_is_the_same_leaf_everywhere():
    def of(leaf: str) -> Problem:
        free = {"x": tvbjax.Free(lambda s: s.model.params[leaf])}
        return Problem(simulator(0, 3), free, objectives.Feature(features.Mean(), 0.0), 20.0)

    with pytest.raises(ValueError, match=r"'x' is shared, and is .*'mu'.* in 'one' and .*'tau'"):
        Cohort({"one": of("mu"), "two": of("tau")}, ["x"])


def test_what_goes_wrong_in_a_subject_is_told_with_its_name():
    broken = subject(0)
    broken = eqx.tree_at(lambda p: p.objective.scale, broken, jnp.asarray(jnp.nan))
    cohort = Cohort({"bob": subjects()["bob"], "alice": broken}, ["G"])
    with pytest.raises(ValueError, match="the loss 'mean' is nan") as caught:
        cohort.check(cohort.start, KEY)
    assert "subject 'alice'" in caught.value.__notes__[0]
