"""Cross-entropy: updates in closed form, expectation maximisation against NumPy, adaptive sizes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import norm

from tvbjax_inference.l2l import (
    CrossEntropy,
    DiagonalNormal,
    Evaluations,
    Face,
    FullNormal,
    NormalMixture,
    Real,
    Space,
    Unbounded,
    minimise,
)

LINE = Space(x=Unbounded())
PLANE = Space(x=Unbounded(shape=(2,)))


def told(optimiser, space, loss, key=0, generations=1):
    """The search after so many generations, compiled as one program."""

    def step(search, _):
        candidates, search = optimiser.ask(search)
        return optimiser.tell(search, candidates, Evaluations(jax.vmap(loss)(candidates))), None

    def run(key):
        return jax.lax.scan(step, optimiser.init(space, key), length=generations)[0]

    return jax.jit(run)(jr.key(key))


def test_the_update_of_a_linear_loss_is_that_of_a_truncated_normal():
    """The best share rho of N(0, 1) has the mean -phi(z)/rho and the variance 1 - z phi(z)/rho -
    (phi(z)/rho)^2, with z its quantile; to 5 standard errors of 20 000 in the elite."""
    share = 0.2
    optimiser = CrossEntropy(size=100_000, elite=share, smoothing=1.0, noise=0.0)
    state = told(optimiser, LINE, lambda x: x[0]).inner.distribution
    z = norm.ppf(share)
    mean = -norm.pdf(z) / share
    variance = 1.0 - z * norm.pdf(z) / share - mean**2
    assert float(state.mean[0]) == pytest.approx(mean, abs=0.03)
    assert float(state.variances[0]) == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize("distribution", [DiagonalNormal(), FullNormal()])
def test_smoothing_and_noise_are_added_as_written(distribution):
    smoothing, noise = 0.6, 0.3
    optimiser = CrossEntropy(
        size=40, distribution=distribution, elite=0.25, smoothing=smoothing, noise=noise
    )
    search = optimiser.init(PLANE, jr.key(0))
    candidates, search = optimiser.ask(search)
    losses = np.asarray(candidates) @ [1.0, 2.0]
    state = optimiser.tell(search, candidates, Evaluations(jnp.asarray(losses))).inner.distribution
    best = np.asarray(candidates)[np.argsort(losses)[:10]]
    np.testing.assert_allclose(state.mean, smoothing * best.mean(axis=0), rtol=1e-12)
    fitted = np.cov(best.T, ddof=0) + noise * np.eye(2)
    wanted = smoothing * fitted + (1 - smoothing) * np.eye(2)
    if isinstance(distribution, FullNormal):
        np.testing.assert_allclose(state.covariance, wanted, rtol=1e-12)
    else:
        np.testing.assert_allclose(state.variances, np.diag(wanted), rtol=1e-12)


def test_expectation_maximisation_is_numpys():
    """One sweep from where the mixture begins, written out with SciPy's densities."""
    mixture = NormalMixture(components=2, sweeps=1, prior=0.5)
    state = mixture.begin(jnp.zeros(2), jnp.ones(2), jr.key(0))
    rng = np.random.default_rng(0)
    points, weights = rng.normal(size=(30, 2)), rng.uniform(size=30)
    weights /= weights.sum()
    found = mixture.fit(state, jnp.asarray(points), jnp.asarray(weights))
    means = np.asarray(state.means)
    density = 0.5 * np.stack([norm.pdf(points - m).prod(axis=1) for m in means], axis=1)
    duties = weights[:, None] * density / density.sum(axis=1, keepdims=True)
    whole = np.cov(points.T, aweights=weights, ddof=0)
    prior = 0.5 * (weights**2).sum()
    for c in range(2):
        total = duties[:, c].sum()
        mean = duties[:, c] @ points / total
        scatter = sum(
            d * np.outer(p - mean, p - mean) for d, p in zip(duties[:, c], points, strict=True)
        )
        np.testing.assert_allclose(found.shares[c], total, rtol=1e-9)
        np.testing.assert_allclose(found.means[c], mean, rtol=1e-9)
        np.testing.assert_allclose(
            found.covariances[c], (scatter + prior * whole) / (total + prior), rtol=1e-8
        )


def test_a_mixture_finds_what_it_was_drawn_from():
    rng = np.random.default_rng(1)
    which = rng.uniform(size=4000) < 0.3
    points = np.where(which[:, None], [-3.0, 0.0], [2.0, 1.0]) + rng.normal(size=(4000, 2)) * 0.5
    mixture = NormalMixture(components=2, sweeps=30)
    state = mixture.begin(jnp.zeros(2), jnp.full(2, 2.0), jr.key(3))
    found = mixture.fit(state, jnp.asarray(points), jnp.full(4000, 1 / 4000.0))
    order = np.argsort(found.means[:, 0])
    np.testing.assert_allclose(found.shares[order], [0.3, 0.7], atol=0.03)
    np.testing.assert_allclose(found.means[order], [[-3.0, 0.0], [2.0, 1.0]], atol=0.07)
    np.testing.assert_allclose(found.covariances, np.stack([np.eye(2) * 0.25] * 2), atol=0.03)
    drawn = np.asarray(mixture.draw(found, 20_000, jr.key(0)))
    np.testing.assert_allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.08)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(points.T), atol=0.15)


def sphere(values, key):
    return ((values["x"] - 0.7) ** 2).sum()


BOX = Space(x=Real(-5.0, 5.0, shape=(5,)))


@pytest.mark.parametrize(
    "optimiser, generations, gate",
    [
        (CrossEntropy(size=60), 300, 1e-10),
        (CrossEntropy(size=100, distribution=FullNormal()), 300, 1e-10),
        (CrossEntropy(size=200, distribution=NormalMixture()), 200, 1e-6),
        (Face(), 500, 1e-10),
    ],
    ids=["diagonal", "full", "mixture", "face"],
)
def test_a_sphere_is_found_and_the_search_ends_whole(optimiser, generations, gate):
    def one(key):
        return minimise(sphere, BOX, optimiser, key, generations=generations)[0]

    found = jax.jit(jax.vmap(one))(jr.split(jr.key(0), 5))
    assert (np.asarray(found.least) < gate).sum() >= 4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found.inner.distribution))


def test_noise_keeps_a_narrow_start_from_collapsing():
    """Szita & Lorincz's point: from 0.05 deviations too near, plain cross-entropy stops short."""

    def least(noise, key):
        optimiser = CrossEntropy(size=40, elite=0.1, smoothing=1.0, sigma=0.05, noise=noise)
        return minimise(sphere, BOX, optimiser, key, generations=120)[0].least

    found = jax.jit(jax.vmap(jax.vmap(least, (None, 0)), (0, None)))(
        jnp.array([0.0, 0.1]), jr.split(jr.key(1), 5)
    )
    plain, noisy = np.median(np.asarray(found), axis=1)
    assert plain > 1e-3 and noisy < 1e-4


def test_two_valleys_keep_a_component_each():
    def loss(x):
        return jnp.minimum(((x - 2.0) ** 2).sum(), ((x + 2.0) ** 2).sum())

    optimiser = CrossEntropy(size=400, distribution=NormalMixture(), elite=0.3, smoothing=0.7)
    space = Space(x=Unbounded(scale=2.0, shape=(2,)))
    means = told(optimiser, space, lambda c: loss(2.0 * c), key=2, generations=8).inner
    found = np.sort(2.0 * np.asarray(means.distribution.means)[:, 0])
    np.testing.assert_allclose(found, [-2.0, 2.0], atol=0.2)


def test_face_gathers_until_its_elite_improves():
    optimiser = Face(least=4, most=12, elite=2, smoothing=1.0, noise=0.0)
    search = optimiser.init(LINE, jr.key(0))
    ask, learn = eqx.filter_jit(optimiser.ask), eqx.filter_jit(optimiser.tell)
    seen = []

    def tell(search, losses):
        candidates, search = ask(search)
        seen.append(np.asarray(candidates)[:, 0])
        return learn(search, candidates, Evaluations(jnp.array(losses)))

    search = tell(search, [5.0, 4.0, 6.0, 7.0])  # anything is better than nothing
    assert int(search.inner.updates) == 1 and int(search.inner.filled) == 0
    np.testing.assert_allclose(search.inner.distribution.mean, seen[0][[0, 1]].mean(), rtol=1e-12)
    search = tell(search, [9.0, 9.0, 5.5, 9.0])
    search = tell(search, [9.0, 4.5, 9.0, jnp.nan])  # of both: 4.5 and 5.5 are no better
    assert int(search.inner.updates) == 1 and int(search.inner.filled) == 8
    assert not optimiser.should_stop(search)
    better = tell(search, [9.0, 9.0, 4.2, 9.0])  # the second of 4.2 and 4.5 is better than 5
    assert int(better.inner.updates) == 2 and not optimiser.should_stop(better)
    mean = np.mean([seen[2][1], seen[3][2]])
    np.testing.assert_allclose(better.inner.distribution.mean, mean, rtol=1e-12)
    worse = tell(search, [9.0, 9.0, 9.0, 9.0])
    assert int(worse.inner.updates) == 2 and optimiser.should_stop(worse)


def test_ranks_alone_count():
    """exp, and failures for the worst, change nothing."""
    keys = jr.key(5)

    def run(shape):
        def loss(values, key):
            return shape(((values["x"] - 0.7) ** 2).sum())

        return jax.jit(
            lambda key: minimise(loss, BOX, CrossEntropy(size=30), key, generations=15)[0].best
        )(keys)

    plain = run(lambda x: x)
    np.testing.assert_array_equal(plain, run(lambda x: jnp.exp(0.1 * x)))
    np.testing.assert_array_equal(plain, run(lambda x: jnp.where(x > 60.0, jnp.nan, x)))


def test_a_generation_of_failures_changes_nothing():
    optimiser = CrossEntropy(size=10, distribution=NormalMixture())
    before = optimiser.init(PLANE, jr.key(0))
    after = told(optimiser, PLANE, lambda x: jnp.nan * x[0])
    for one, other in zip(
        jax.tree.leaves(before.inner.distribution),
        jax.tree.leaves(after.inner.distribution),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="give a share, up to 1"):
        CrossEntropy(elite=1.5)
    with pytest.raises(ValueError, match="most 50 is no multiple of least 20; give e.g. 60"):
        Face(least=20, most=50)
    with pytest.raises(ValueError, match="elite 30 is above least 20"):
        Face(least=20, most=40, elite=30)
