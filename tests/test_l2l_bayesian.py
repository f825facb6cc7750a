"""Bayesian optimisation: NumPy's process, SciPy's quadrature, two functions of the literature."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erfcx
from scipy.stats import norm

from tvbjax_inference.l2l import (
    Bayesian,
    Categorical,
    Evaluations,
    Integer,
    Real,
    Space,
    Unbounded,
    minimise,
)
from tvbjax_inference.l2l.optimisers.bayesian import same_values
from tvbjax_inference.l2l.optimisers.expected_improvement import (
    log_expected_improvement,
    log_improvement,
)
from tvbjax_inference.l2l.optimisers.gaussian_process import (
    Hyper,
    conditioned,
    covariance,
    first_hyper,
    fitted,
    log_marginal,
    predicted,
)

HYPER = Hyper(jnp.log(jnp.array([0.3, 0.8])), jnp.asarray(0.4), jnp.asarray(-3.0))
RNG = np.random.default_rng(0)
POINTS, LOSSES, WHERE = RNG.uniform(size=(9, 2)), RNG.normal(size=9), RNG.uniform(size=(5, 2))


def matern(one, other):
    distance = np.sqrt(5.0) * np.linalg.norm((one[:, None] - other[None]) / [0.3, 0.8], axis=-1)
    return np.exp(0.4) * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)


def padded(count=4):
    """Buffers with rows that are not there, of numbers that must not count."""
    points = np.concatenate([POINTS, RNG.uniform(size=(count, 2))])
    losses = np.concatenate([LOSSES, np.full(count, 1e9)])
    return jnp.asarray(points), jnp.asarray(losses), jnp.arange(9 + count) < 9


def noisy():
    return matern(POINTS, POINTS) + np.eye(9) * (
        np.exp(-3.0) + np.sqrt(np.finfo(float).eps) * np.exp(0.4)
    )


def test_the_posterior_is_the_direct_formulas():
    mean, variance = predicted(conditioned(HYPER, *padded()), jnp.asarray(WHERE))
    across = matern(POINTS, WHERE)
    inverse = np.linalg.inv(noisy())
    np.testing.assert_allclose(mean, across.T @ inverse @ LOSSES, rtol=1e-9)
    wanted = np.exp(0.4) - np.einsum("ij,ik,kj->j", across, inverse, across)
    np.testing.assert_allclose(variance, wanted, rtol=1e-8)


def test_the_marginal_likelihood_is_that_of_the_joint_normal_distribution():
    from scipy.stats import multivariate_normal

    wanted = multivariate_normal.logpdf(LOSSES, np.zeros(9), noisy())
    assert float(log_marginal(HYPER, *padded())) == pytest.approx(wanted, rel=1e-10)


def test_the_covariance_has_a_slope_where_points_are_the_same():
    slope = jax.grad(lambda x: covariance(HYPER, x, x).sum())(jnp.asarray(POINTS))
    assert np.isfinite(slope).all()


def test_a_fit_finds_the_lengths_of_a_draw():
    """One coordinate matters and one does not; 60 losses with a noise of 0.1."""
    points = RNG.uniform(size=(60, 2))
    losses = np.sin(9.0 * points[:, 0]) + 0.1 * RNG.normal(size=60)
    losses = (losses - losses.mean()) / losses.std()
    arguments = (jnp.asarray(points), jnp.asarray(losses), jnp.ones(60, bool))
    found = jax.jit(fitted, static_argnums=4)(first_hyper(2), *arguments, 300)
    assert float(jnp.exp(found.lengths[1] - found.lengths[0])) > 5.0
    ratio = float(jnp.exp(0.5 * (found.noise))) * np.sin(9.0 * points[:, 0]).std()
    assert ratio == pytest.approx(0.1, rel=0.4)
    assert log_marginal(found, *arguments) > log_marginal(first_hyper(2), *arguments)


@pytest.mark.parametrize("z", [3.0, 0.5, -0.5, -0.99, -1.01, -3.0, -8.0, -20.0])
def test_the_logarithm_of_the_improvement_is_the_integrals(z):
    """E[max(z + x, 0)] of a normal x; below, of phi(-z) t exp(z t - t^2 / 2) t over t from 0."""
    value = quad(lambda t: t * np.exp(z * t - 0.5 * t * t), 0.0, np.inf, epsabs=0, epsrel=1e-12)[0]
    wanted = np.log(value) + norm.logpdf(z)
    assert float(log_improvement(jnp.array([z]))[0]) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("z", [-29.0, -31.0, -100.0])
def test_far_below_it_is_the_scaled_error_functions(z):
    """In 60 digits that NumPy has not: by the continued series of its own quadrature, scaled."""
    value = quad(lambda s: s * np.exp(-s - 0.5 * (s / z) ** 2), 0.0, 60.0, epsrel=1e-12)[0]
    wanted = np.log(value) - 2.0 * np.log(-z) + norm.logpdf(z)
    assert float(log_improvement(jnp.array([z]))[0]) == pytest.approx(wanted, rel=1e-9)
    assert np.isfinite(erfcx(-z))


def test_the_improvement_has_a_slope_everywhere():
    z = jnp.array([-1e12, -1e6, -1e3, -30.0, -2.0, 0.0, 5.0, 1e6])
    values, slopes = jax.vmap(jax.value_and_grad(lambda x: log_improvement(x[None])[0]))(z)
    assert np.isfinite(values).all() and (np.diff(values) > 0).all()
    assert np.isfinite(slopes).all() and (slopes > 0).all()
    small = log_improvement(z.astype(jnp.float32))
    np.testing.assert_allclose(small, values, rtol=2e-4)


def test_the_improvement_is_in_the_losses_units():
    def integral(mean, deviation, least):
        return quad(
            lambda x: (least - x) * norm.pdf(x, mean, deviation), mean - 10 * deviation, least
        )[0]

    mean, deviation, least = np.array([0.3, 2.0]), np.array([0.5, 1.5]), 0.1
    found = log_expected_improvement(jnp.asarray(mean), jnp.asarray(deviation), jnp.asarray(least))
    wanted = [np.log(integral(m, d, least)) for m, d in zip(mean, deviation, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-7)


def branin(values, key):
    x, y = values["x"], values["y"]
    curve = y - 5.1 / (4 * jnp.pi**2) * x**2 + 5 / jnp.pi * x - 6
    return curve**2 + 10 * (1 - 1 / (8 * jnp.pi)) * jnp.cos(x) + 10


BRANIN = Space(x=Real(-5.0, 10.0), y=Real(0.0, 15.0))
WIDTHS = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(values, key):
    apart = (WIDTHS * (values["x"][None] - CENTRES) ** 2).sum(axis=1)
    return -(jnp.array([1.0, 1.2, 3.0, 3.2]) * jnp.exp(-apart)).sum()


def test_branin_is_found_in_forty_evaluations():
    run = jax.jit(
        lambda key: minimise(branin, BRANIN, Bayesian(most=40), key, generations=40)[0].least
    )
    found = np.array([float(run(jr.key(seed))) for seed in range(3)])
    assert (found - 0.39788735772973816 < 1e-3).all()
    assert (found > 0.3978873).all()


@pytest.mark.slow
def test_hartmann_is_found_in_120_evaluations():
    space = Space(x=Real(0.0, 1.0, shape=(6,)))
    run = jax.jit(
        lambda key: minimise(hartmann, space, Bayesian(most=120), key, generations=120)[0].least
    )
    found = np.array([float(run(jr.key(seed))) for seed in range(3)])
    assert np.median(found) < -3.32237 + 0.05
    assert (found > -3.32237).all()


MIXED = Space(x=Real(0.0, 1.0), n=Integer(0, 9), m=Categorical(("a", "b", "c")))


def mixed_loss(values, key):
    return (
        (values["x"] - 0.3) ** 2
        + 0.05 * (values["n"].astype(float) - 6.0) ** 2
        + jnp.where(values["m"] == 1, 0.0, 0.5)
    )


@pytest.mark.slow
def test_batches_differ_and_find_whole_numbers_and_options():
    """Of 30 combinations and a number; in batches of 4, one of which fails now and then."""
    optimiser = Bayesian(most=60, size=4, first=12)

    def loss(values, key):
        bad = (values["n"] == 2) & (values["m"] == 0)
        return jnp.where(bad, jnp.nan, mixed_loss(values, key))

    search, trace = jax.jit(lambda key: minimise(loss, MIXED, optimiser, key, generations=15))(
        jr.key(0)
    )
    best = optimiser.best(search)
    assert (int(best["n"]), int(best["m"])) == (6, 1) and float(search.least) < 1e-3
    points = np.asarray(search.inner.points)[12:].reshape(-1, 4, MIXED.width)
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1) + np.eye(4)[None]
    assert (apart > 1e-9).all()


def test_one_place_stands_for_all_of_the_same_values():
    space = Space(
        n=Integer(1, 8, log=True), m=Categorical(("a", "b", "c")), x=Real(0.0, 1.0), y=Unbounded()
    )
    drawn = jr.uniform(jr.key(0), (200, space.width), minval=-1.0, maxval=2.0)
    snapped = same_values(space, drawn)
    values = space.decode(drawn)
    np.testing.assert_allclose(snapped[:, 0], np.log(values["n"]) / np.log(8), atol=1e-12)
    np.testing.assert_array_equal(snapped[:, 1:4], np.eye(3)[np.asarray(values["m"])])
    np.testing.assert_allclose(snapped[:, 4], values["x"], atol=1e-12)
    np.testing.assert_array_equal(snapped[:, 5], drawn[:, 5])


def test_it_ends_when_full_and_goes_on_whole():
    optimiser = Bayesian(most=6, first=3, sweeps=5)
    search = optimiser.init(BRANIN, jr.key(0))
    ask, tell = eqx.filter_jit(optimiser.ask), eqx.filter_jit(optimiser.tell)
    for told in range(9):
        assert bool(optimiser.should_stop(search)) == (told >= 6)
        candidates, search = ask(search)
        assert np.isfinite(candidates).all()
        # All failed at first, then all the same: no variance in either.
        loss = jnp.nan if told < 4 else 1.0
        search = tell(search, candidates, Evaluations(jnp.array([loss])))
    assert np.isfinite(search.inner.hyper.lengths).all()


def test_the_start_comes_first_and_strata_follow():
    optimiser = Bayesian(first=10, size=5)
    search = optimiser.init(BRANIN, jr.key(0), {"x": 1.0, "y": 3.0})
    design = np.asarray(search.inner.design)
    np.testing.assert_allclose(design[0], [0.4, 0.2])
    # Nine of ten strata of each coordinate: the start took one point's place.
    assert all(len(set(np.floor(column * 10))) >= 9 for column in design[1:].T)
    candidates, _ = optimiser.ask(search)
    np.testing.assert_array_equal(candidates, design[:5])
