"""Ensemble Kalman inversion against Kalman's posterior in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax_inference.l2l import (
    EnsembleKalman,
    Evaluated,
    Evaluations,
    FixedSteps,
    MisfitSteps,
    Space,
    Unbounded,
    minimise,
)

SPACE = Space(x=Unbounded(shape=(3,)))
FORWARD = np.random.default_rng(0).normal(size=(5, 3))
NOISE = 0.3 * np.eye(5) + 0.1
DATA = FORWARD @ np.array([0.5, -1.0, 0.3]) + np.array([0.2, -0.3, 0.1, 0.4, -0.2])


def posterior(noise):
    """Of a standard normal prior: by precisions, which the ensemble does not use."""
    precision = np.eye(3) + FORWARD.T @ np.linalg.inv(noise) @ FORWARD
    return np.linalg.solve(precision, FORWARD.T @ np.linalg.inv(noise) @ DATA), np.linalg.inv(
        precision
    )


def ensemble(optimiser, generations, key=None, space=SPACE):
    """The search after so many generations, compiled as one program."""

    def step(search, _):
        candidates, search = optimiser.ask(search)
        outputs = candidates @ jnp.asarray(FORWARD).T
        losses = jax.vmap(optimiser.misfit)(outputs)
        return optimiser.tell(search, candidates, Evaluations(losses, None, outputs)), None

    def run(key):
        return jax.lax.scan(step, optimiser.init(space, key), length=generations)[0]

    return jax.jit(run)(jr.key(0) if key is None else key)


@pytest.mark.parametrize("square_root", [False, True])
@pytest.mark.parametrize("steps, count", [(1.0, 1), (0.25, 4)])
def test_the_ensemble_has_the_posterior(square_root, steps, count):
    """Within 4 standard errors of N members, which are a little more for perturbed data."""
    size = 20_000
    optimiser = EnsembleKalman(
        DATA, NOISE, size=size, steps=FixedSteps(steps), square_root=square_root
    )
    members = np.asarray(ensemble(optimiser, count).inner.members)
    mean, covariance = posterior(NOISE)
    error = np.abs(members.mean(axis=0) - mean) / np.sqrt(np.diag(covariance))
    assert error.max() < 6.0 / np.sqrt(size) * np.sqrt(1 + np.linalg.cond(covariance))
    relative = np.linalg.norm(np.cov(members.T) - covariance) / np.linalg.norm(covariance)
    assert relative < 0.05


def test_errors_fall_as_the_root_of_the_ensemble():
    mean, _ = posterior(NOISE)

    def error(size):
        optimiser = EnsembleKalman(DATA, NOISE, size=size, steps=FixedSteps(1.0))
        found = jax.vmap(lambda key: ensemble(optimiser, 1, key).inner.members.mean(axis=0))
        return np.sqrt(((np.asarray(found(jr.split(jr.key(1), 40))) - mean) ** 2).mean())

    assert error(100) / error(1600) == pytest.approx(4.0, rel=0.35)


def test_a_square_root_is_exact_in_the_ensembles_own_statistics():
    """One step moves the mean and covariance that the ensemble has by Kalman's equations."""
    optimiser = EnsembleKalman(DATA, NOISE, size=7, steps=FixedSteps(1.0), square_root=True)
    before = np.asarray(optimiser.init(SPACE, jr.key(2)).inner.members)
    after = np.asarray(ensemble(optimiser, 1, jr.key(2)).inner.members)
    prior = np.cov(before.T)
    gain = prior @ FORWARD.T @ np.linalg.inv(FORWARD @ prior @ FORWARD.T + NOISE)
    mean = before.mean(axis=0) + gain @ (DATA - FORWARD @ before.mean(axis=0))
    np.testing.assert_allclose(after.mean(axis=0), mean, rtol=1e-9)
    np.testing.assert_allclose(np.cov(after.T), (np.eye(3) - gain @ FORWARD) @ prior, atol=1e-10)


def test_variances_are_a_diagonal_covariance():
    one = ensemble(EnsembleKalman(DATA, np.full(5, 0.3), size=10), 1)
    other = ensemble(EnsembleKalman(DATA, np.diag(np.full(5, 0.3)), size=10), 1)
    np.testing.assert_allclose(one.inner.members, other.inner.members, rtol=1e-12)


def test_adaptive_steps_sum_to_one_and_stop():
    optimiser = EnsembleKalman(DATA, NOISE, size=2000)
    search = ensemble(optimiser, 1)
    # The first step by hand: Iglesias & Yang (2021), equation 36.
    members = np.asarray(optimiser.init(SPACE, jr.key(0)).inner.members)
    apart = DATA - members @ FORWARD.T
    misfits = 0.5 * np.einsum("ni,ij,nj->n", apart, np.linalg.inv(NOISE), apart)
    step = min(max(5 / (2 * misfits.mean()), np.sqrt(5 / (2 * misfits.var()))), 1.0)
    assert float(search.inner.time) == pytest.approx(step, rel=1e-9)
    assert step < 1.0 and not optimiser.should_stop(search)
    search = ensemble(optimiser, 12)
    assert optimiser.should_stop(search) and float(search.inner.time) == pytest.approx(1.0)
    mean, covariance = posterior(NOISE)
    members = np.asarray(search.inner.members)
    np.testing.assert_allclose(members.mean(axis=0), mean, atol=0.1)
    np.testing.assert_allclose(np.cov(members.T), covariance, atol=0.1 * np.trace(covariance))


def test_without_end_it_comes_to_the_least_misfit():
    """Of a curve that is not linear in its two numbers."""
    times = jnp.linspace(0.0, 3.0, 12)
    space = Space(rate=Unbounded(1.0, 0.5, log=True), size=Unbounded(1.0))

    def curve(values):
        return values["size"] * jnp.exp(-values["rate"] * times)

    data = 2.0 * jnp.exp(-0.6 * times)
    optimiser = EnsembleKalman(data, jnp.full(12, 1e-4), size=40, steps=FixedSteps(1.0))

    def loss(values, key):
        return Evaluated(optimiser.misfit(curve(values)), curve(values))

    search = jax.jit(lambda key: minimise(loss, space, optimiser, key, generations=60)[0])(
        jr.key(1)
    )
    found = optimiser.best(search)
    assert float(found["rate"]) == pytest.approx(0.6, abs=1e-3)
    assert float(found["size"]) == pytest.approx(2.0, abs=1e-3)


def test_members_that_fail_are_drawn_anew():
    optimiser = EnsembleKalman(DATA, NOISE, size=400, steps=FixedSteps(1.0))
    tell = eqx.filter_jit(optimiser.tell)
    candidates, search = optimiser.ask(optimiser.init(SPACE, jr.key(0)))
    outputs = candidates @ jnp.asarray(FORWARD).T
    failed = jnp.arange(400) % 4 == 0
    outputs = jnp.where(failed[:, None], jnp.nan, outputs)
    losses = jnp.where(failed, jnp.nan, 0.0)
    members = tell(search, candidates, Evaluations(losses, None, outputs)).inner.members
    assert np.isfinite(members).all()
    mean, covariance = posterior(NOISE)
    drawn = np.asarray(members)[np.asarray(failed)]
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.35)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.35 * np.trace(covariance))
    nothing = jnp.full_like(outputs, jnp.nan)
    same = tell(search, candidates, Evaluations(jnp.full(400, jnp.nan), None, nothing)).inner
    np.testing.assert_array_equal(same.members, candidates)
    assert same.time == 0.0


def test_what_it_cannot_do_is_said():
    with pytest.raises(ValueError, match=r"covariance \(4, 4\); give \(output,\)"):
        EnsembleKalman(DATA, np.eye(4))
    optimiser = EnsembleKalman(DATA, NOISE, size=3)
    candidates, search = optimiser.ask(optimiser.init(SPACE, jr.key(0)))
    with pytest.raises(ValueError, match="outputs="):
        optimiser.tell(search, candidates, Evaluations(jnp.zeros(3)))
    with pytest.raises(ValueError, match="4 outputs and there are 5 data"):
        optimiser.tell(search, candidates, Evaluations(jnp.zeros(3), None, jnp.zeros((3, 4))))


def test_total_may_be_searched():
    """By vmap over what the steps sum to: more of the data, less misfit."""

    def misfit(total):
        optimiser = EnsembleKalman(DATA, NOISE, size=50, steps=MisfitSteps(total))
        return jax.vmap(lambda x: optimiser.misfit(jnp.asarray(FORWARD) @ x))(
            ensemble(optimiser, 8).inner.members
        ).mean()

    found = jax.jit(jax.vmap(misfit))(jnp.array([0.1, 1.0, 10.0]))
    assert (jnp.diff(found) < 0).all()
