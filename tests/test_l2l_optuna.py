"""Optuna's samplers behind ask and tell: against Optuna's own loop, and from a state on disk."""

import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax_inference.l2l import (
    Categorical,
    Evaluations,
    Integer,
    Nsga2,
    Real,
    Space,
    Tpe,
    Unbounded,
    minimise,
)
from tvbjax_inference.l2l.optimisers.nsga2 import undominated

MIXED = Space(
    x=Real(0.01, 100.0, log=True),
    n=Integer(1, 9, shape=(2,)),
    m=Categorical(("a", "b", "c")),
    y=Unbounded(1.0, 2.0),
)
PLANE = Space(x=Real(0.0, 1.0, shape=(3,)))


def mixed_loss(values):
    return (
        jnp.log(values["x"]) ** 2
        + jnp.sum((values["n"].astype(float) - 4.0) ** 2, axis=-1)
        + jnp.where(values["m"] == 2, 0.0, 3.0)
        + (values["y"] - 2.0) ** 2
    )


def two_objectives(candidates):
    """ZDT1: the front is f2 = 1 - sqrt(f1), where all but the first number are 0."""
    first = candidates[:, 0]
    rest = 1.0 + 9.0 * candidates[:, 1:].mean(axis=1)
    return jnp.stack([first, rest * (1.0 - jnp.sqrt(first / rest))], axis=1)


def run(optimiser, space, losses, generations, search=None):
    optuna = pytest.importorskip("optuna")
    del optuna
    search = optimiser.init(space, jr.key(0)) if search is None else search
    for _ in range(generations):
        candidates, search = optimiser.ask(search)
        search = optimiser.tell(search, candidates, Evaluations(losses(space, candidates)))
    return search


def mixed(space, candidates):
    return mixed_loss(space.decode(candidates))


def zdt(space, candidates):
    return two_objectives(candidates)


@pytest.mark.slow
def test_tpe_finds_more_than_chance():
    """The best of as many random draws is 5 in the median, and below 1 in one of 50 times."""
    search = run(Tpe(), MIXED, mixed, 60)
    drawn = np.asarray(mixed(MIXED, MIXED.draw(jr.key(1), 3000))).reshape(50, 60).min(axis=1)
    assert np.median(drawn) > 3.0
    assert float(search.least) < 1.0 and int(Tpe().best(search)["m"]) == 2
    assert len(search.inner.losses) == 60


def test_nsga2_comes_to_the_front():
    optimiser = Nsga2(size=20)
    search = run(optimiser, PLANE, zdt, 25)
    values, losses = optimiser.front(search)

    def apart(losses):
        return np.asarray(losses[:, 1] - (1.0 - jnp.sqrt(losses[:, 0])))

    drawn = two_objectives(PLANE.draw(jr.key(1), 500))
    assert np.median(apart(losses)) < 0.5 * np.median(apart(drawn[undominated(drawn)]))
    assert (apart(losses) > -1e-12).all()
    assert len(losses) >= 15 and np.ptp(losses[:, 0]) > 0.6
    np.testing.assert_allclose(two_objectives(values["x"]), losses, rtol=1e-12)
    assert search.inner.generations.tolist() == sorted(list(range(25)) * 20)


def test_it_asks_what_optunas_own_study_asks():
    """A study that is never made anew, with a sampler that is as new at every generation."""
    optuna = pytest.importorskip("optuna")
    from tvbjax_inference.l2l.optimisers.optuna_history import seed

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optimiser = Nsga2(size=6)
    search = optimiser.init(PLANE, jr.key(3))
    study = optuna.create_study(directions=["minimize"] * 2)
    space = {f"x/{i}": optuna.distributions.FloatDistribution(0.0, 1.0) for i in range(3)}
    for generation in range(5):
        candidates, asked = optimiser.ask(search)
        key = jr.fold_in(search.key, 2 * generation)
        study.sampler = optuna.samplers.NSGAIISampler(population_size=6, seed=seed(key))
        trials = [study.ask(space) for _ in range(6)]
        wanted = [[trial.params[name] for name in space] for trial in trials]
        np.testing.assert_array_equal(candidates, wanted)
        losses = two_objectives(candidates)
        for trial, values in zip(trials, np.asarray(losses).tolist(), strict=True):
            study.tell(trial, values)
        search = optimiser.tell(asked, candidates, Evaluations(losses))


@pytest.mark.parametrize(
    "optimiser, space, losses", [(Tpe(size=3), MIXED, mixed), (Nsga2(size=6), PLANE, zdt)]
)
def test_a_state_on_disk_goes_on_with_the_same_numbers(optimiser, space, losses):
    whole = run(optimiser, space, losses, 6)
    half = run(optimiser, space, losses, 3)
    leaves, form = jax.tree.flatten(half)
    kept = [
        np.asarray(jr.key_data(leaf))
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else np.asarray(leaf)
        for leaf in leaves
    ]
    again = [
        jr.wrap_key_data(jnp.asarray(array))
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.asarray(array)
        for array, leaf in zip(kept, leaves, strict=True)
    ]
    resumed = run(optimiser, space, losses, 3, jax.tree.unflatten(form, again))
    np.testing.assert_array_equal(resumed.inner.coordinates, whole.inner.coordinates)
    np.testing.assert_array_equal(resumed.inner.losses, whole.inner.losses)


@pytest.mark.parametrize(
    "optimiser, space, losses", [(Tpe(size=5), MIXED, mixed), (Nsga2(size=6), PLANE, zdt)]
)
def test_failures_are_told_as_failures(optimiser, space, losses):
    def failing(space, candidates):
        found = losses(space, candidates)
        return found.at[0].set(jnp.nan)

    search = run(optimiser, space, failing, 5)
    assert np.isfinite(search.least) and np.isinf(search.inner.losses).any()
    nothing = run(optimiser, space, lambda s, c: losses(s, c) * jnp.nan, 3)
    assert np.isfinite(nothing.inner.coordinates).all()


def test_undominated_is_what_a_loop_finds():
    losses = np.random.default_rng(0).integers(0, 6, size=(40, 3)).astype(float)
    losses[3] = np.inf
    wanted = [
        np.isfinite(one).all()
        and not any((other <= one).all() and (other < one).any() for other in losses)
        for one in losses
    ]
    np.testing.assert_array_equal(undominated(jnp.asarray(losses)), wanted)


def test_what_it_cannot_do_is_said(monkeypatch):
    with pytest.raises(ValueError, match="cannot be compiled; use a Study"):
        minimise(lambda values, key: 0.0, PLANE, Tpe(), jr.key(0), generations=2)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "optuna", None)
        with pytest.raises(ImportError, match=r"Nsga2 needs optuna; .*tvbjax\[l2l\]"):
            Nsga2().init(PLANE, jr.key(0))
    pytest.importorskip("optuna")
    optimiser = Nsga2(size=2, objectives=3)
    candidates, search = optimiser.ask(optimiser.init(PLANE, jr.key(0)))
    with pytest.raises(ValueError, match=r"2 objectives and it was made for 3; .*objectives=2"):
        optimiser.tell(search, candidates, Evaluations(jnp.zeros((2, 2))))
