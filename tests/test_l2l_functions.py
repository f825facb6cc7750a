"""Functions to try optimisers on, against published minima, closed forms and slow sums."""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax.l2l import functions

GALLAGHER = functions.gallagher(4, jr.key(3))

# The least value and its place, as the literature has them.
MINIMA = [
    (functions.sphere, np.zeros(10), 0.0),
    (functions.ellipsoid, np.zeros(10), 0.0),
    (functions.discus, np.zeros(10), 0.0),
    (functions.bent_cigar, np.zeros(10), 0.0),
    (functions.rosenbrock, np.ones(10), 0.0),
    (functions.rastrigin, np.zeros(10), 0.0),
    (functions.ackley, np.zeros(10), 0.0),
    (functions.schwefel, np.full(10, 420.968746), 0.0),
    (functions.step_ellipsoid, np.zeros(10), 0.0),
    (functions.lunacek, np.zeros(10), 0.0),
    (GALLAGHER, np.zeros(4), 0.0),
    (functions.shekel, np.array([4.00075, 4.00059, 3.99966, 3.99951]), -10.5364),
    (lambda x: functions.shekel(x, 7), np.array([4.000573, 3.99978, 3.99949, 3.9996]), -10.4029),
    (lambda x: functions.shekel(x, 5), np.array([4.000037, 4.00013, 4.00004, 4.00013]), -10.1532),
    (functions.michalewicz, np.array([2.202906, 1.570796]), -1.8013),
    (
        functions.michalewicz,
        np.array([2.202906, 1.570796, 1.284992, 1.923058, 1.720470]),
        -4.687658,
    ),
    (functions.langermann, np.array([2.00299219, 1.006096]), -5.1621259),
    (functions.easom, np.full(2, np.pi), -1.0),
    (functions.easom, np.full(3, np.pi), -1.0),
    (functions.permutation, np.arange(1.0, 5.0), 0.0),
    (functions.chasm, np.zeros(2), 0.0),
    (functions.branin, np.array([-np.pi, 12.275]), 0.397887),
    (functions.branin, np.array([np.pi, 2.275]), 0.397887),
    (functions.branin, np.array([9.42478, 2.475]), 0.397887),
    (
        functions.hartmann6,
        np.array([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]),
        -3.32237,
    ),
]


@pytest.mark.parametrize("function, place, least", MINIMA)
def test_the_least_value_is_the_published_one_and_nothing_near_is_less(function, place, least):
    found = float(function(jnp.asarray(place)))
    assert found == pytest.approx(least, abs=6e-5)
    near = jnp.asarray(place)[None] + 0.05 * jr.normal(jr.key(0), (200, len(place)))
    assert jax.vmap(function)(near).min() > found - 1e-5


@pytest.mark.parametrize("function, place, least", MINIMA[:11])
def test_in_single_precision_too(function, place, least):
    found = function(jnp.asarray(place, jnp.float32))
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(least, abs=1e-3)


# Values at a point of three coordinates, reckoned by hand from the formulas of the papers.
X = [1.0, 2.0, -1.0]
KNOWN = [
    (functions.sphere, 6.0),
    (functions.ellipsoid, 1.0 + 4e3 + 1e6),
    (functions.discus, 1e6 + 5.0),
    (functions.bent_cigar, 1.0 + 5e6),
    (functions.rosenbrock, 100.0 + 0.0 + 100.0 * 25.0 + 1.0),
    (functions.rastrigin, 6.0),
    (functions.ackley, 20.0 * (1.0 - math.exp(-0.2 * math.sqrt(2.0)))),
    # z = (1, 2 * 10^0.25, -10^0.5), rounded to (1, 4, -3); weights 1, 10, 100.
    (functions.step_ellipsoid, 0.1 * (1.0 + 10.0 * 16.0 + 100.0 * 9.0)),
]


@pytest.mark.parametrize("function, value", KNOWN)
def test_a_value_is_that_of_the_formula(function, value):
    assert float(function(jnp.asarray(X))) == pytest.approx(value, rel=1e-12)


def test_steps_are_flat_and_smaller_near_the_middle():
    points = jnp.zeros((4, 2)).at[:, 1].set(jnp.asarray([0.01, 0.012, 0.018, 0.019]))
    values = jax.vmap(functions.step_ellipsoid)(points)
    assert values[0] == values[1] and values[2] == values[3] and values[3] > values[0]
    far = jnp.asarray([[0.0, 1.0], [0.0, 1.1]])
    assert len(set(jax.vmap(functions.step_ellipsoid)(far).tolist())) == 1


def test_permutation_is_its_double_sum():
    x, beta = [0.7, -1.2, 2.5, 3.1], 0.5
    total = 0.0
    for power in range(1, 5):
        inner = sum((j**power + beta) * ((x[j - 1] / j) ** power - 1.0) for j in range(1, 5))
        total += inner**2
    assert float(functions.permutation(jnp.asarray(x), beta)) == pytest.approx(total, rel=1e-12)


def test_gaussian_sums_are_as_deep_as_said_where_holes_are_far_apart():
    centres = jnp.asarray([[0.0, 0.0], [50.0, 0.0]])
    of = functions.gaussian_sums
    deviations, depths = jnp.asarray([1.0, 2.0]), jnp.asarray([3.0, 1.5])
    assert float(of(centres[0], centres, deviations, depths)) == pytest.approx(-3.0)
    aside = centres[1] + jnp.asarray([0.0, 2.0])
    assert float(of(aside, centres, deviations, depths)) == pytest.approx(-1.5 * math.exp(-0.5))


def test_the_chasm_is_narrow_and_falls_slowly_along():
    assert float(functions.chasm(jnp.asarray([1e-3, 0.0]))) == pytest.approx(0.5)
    assert float(functions.chasm(jnp.asarray([0.0, -5.0]))) == pytest.approx(0.05)


def test_the_other_funnel_of_lunacek_is_wider_and_ends_higher():
    # Its bottom, and d D above nothing where waves are at their lowest (BBOB f24, d = 1).
    width = 10
    steepness = 1.0 - 1.0 / (2.0 * math.sqrt(width + 20.0) - 8.2)
    apart = 2.5 + math.sqrt((2.5**2 - 1.0) / steepness)
    x = jnp.full(width, -apart)
    waves = 10.0 * width * (1.0 - math.cos(2.0 * math.pi * apart))
    assert float(functions.lunacek(x)) == pytest.approx(width + waves, rel=1e-12)


@pytest.mark.parametrize("peaks, alpha", [(101, 1e3), (21, 1e6)])
def test_gallagher_has_a_hole_of_its_depth_at_each_place(peaks, alpha):
    # Far from all holes the value is that of depth 0, T_osz(10)^2.
    of = functions.gallagher(3, jr.key(0), peaks=peaks, alpha=alpha)
    logarithm = math.log(10.0)
    waves = 0.049 * (math.sin(10.0 * logarithm) + math.sin(7.9 * logarithm))
    assert float(of(jnp.full(3, 1e3))) == pytest.approx(math.exp(logarithm + waves) ** 2, rel=1e-9)
    values = jax.vmap(of)(jr.uniform(jr.key(1), (2000, 3), minval=-5.0, maxval=5.0))
    assert values.min() > 0.0 and values.max() < 101.0


def test_rotation_keeps_lengths_and_turns_axes():
    turned = functions.rotated(functions.ellipsoid, jr.key(0))
    x = jr.normal(jr.key(1), (5,))
    spun = functions.rotated(functions.sphere, jr.key(0))(x)
    assert float(spun) == pytest.approx(float(jnp.sum(x**2)), rel=1e-12)
    curvatures = jnp.linalg.eigvalsh(jax.hessian(turned)(x)) / 2.0
    np.testing.assert_allclose(curvatures, 10.0 ** np.linspace(0.0, 6.0, 5), rtol=1e-6)
    assert abs(float(jax.hessian(turned)(x)[0, 1])) > 1.0


def test_shift_and_noise():
    moved = functions.shifted(functions.sphere, np.array([1.0, -2.0]))
    assert float(moved(jnp.asarray([1.0, -2.0]))) == 0.0
    values = jax.vmap(functions.noisy(moved, 0.5), (None, 0))(
        jnp.asarray([2.0, -2.0]), jr.split(jr.key(0), 10_000)
    )
    # Means and deviations of 10,000 draws, within four of their standard errors.
    assert float(values.mean()) == pytest.approx(1.0, abs=4 * 0.5 / 100)
    assert float(values.std()) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(20_000))


FRONTS = [
    (functions.zdt1, lambda f: 1.0 - math.sqrt(f)),
    (functions.zdt2, lambda f: 1.0 - f**2),
    (functions.zdt3, lambda f: 1.0 - math.sqrt(f) - f * math.sin(10.0 * math.pi * f)),
]


@pytest.mark.parametrize("function, front", FRONTS)
@pytest.mark.parametrize("share", [0.0, 0.25, 0.8])
def test_two_objectives_lie_on_their_front_where_the_rest_is_zero(function, front, share):
    found = function(jnp.zeros(30).at[0].set(share))
    np.testing.assert_allclose(found, [share, front(share)], atol=1e-12)
    assert function(jnp.full(30, 0.1).at[0].set(share))[1] > found[1]


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_dtlz2_is_a_sphere_as_far_out_as_the_rest_says(objectives, seed):
    x = jr.uniform(jr.key(seed), (objectives + 9,))
    best = x.at[objectives - 1 :].set(0.5)
    np.testing.assert_allclose(jnp.linalg.norm(functions.dtlz2(best, objectives)), 1.0, rtol=1e-12)
    rest = float(jnp.sum((x[objectives - 1 :] - 0.5) ** 2))
    found = functions.dtlz2(x, objectives)
    np.testing.assert_allclose(jnp.linalg.norm(found), 1.0 + rest, rtol=1e-12)
    # The first objective is alone where all angles are 0.
    alone = functions.dtlz2(best.at[: objectives - 1].set(0.0), objectives)
    np.testing.assert_allclose(alone, np.eye(objectives)[0], atol=1e-12)
