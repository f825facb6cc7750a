"""Amortised posteriors against analytic ones: of linear models with Gaussian noise, and of two
modes."""

import sys
import warnings
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax_inference.bayes._flows import Form, untrained
from tvbjax_inference.bayes._training import Trained
from tvbjax_inference.bayes.amortised import Amortised, _doubts, load_amortised, train
from tvbjax_inference.bayes.calibration import Calibration
from tvbjax_inference.bayes.standard import standardised

SIZE = 5
NOISE = 0.5
MIXING = np.random.default_rng(0).normal(size=(SIZE, SIZE)) / np.sqrt(SIZE)
NAMES = tuple("abcde")
SMALL = {"layers": 2, "width": 32, "progress": False}
# What takes the time is compiling, once where flows, simulations and draws are as many.
PAIR = SMALL | {"features": 3, "members": 2, "names": NAMES}
COUNT, DRAWS = 2000, 1000
COVARIANCE = np.linalg.inv(np.eye(SIZE) + MIXING.T @ MIXING / NOISE**2)


def linear(count, seed):
    """Truths of N(0, 1), mixed, with noise: posteriors are normal, and correlated."""
    random = np.random.default_rng(seed)
    truths = random.normal(size=(count, SIZE))
    return truths, truths @ MIXING.T + NOISE * random.normal(size=truths.shape)


def posterior_mean(observed):
    return COVARIANCE @ MIXING.T @ observed / NOISE**2


@cache
def of_linear() -> Amortised:
    # Which doubts there are is another test's subject.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(*linear(COUNT, 1), key=jr.key(0), epochs=10, **PAIR)


def test_the_posterior_of_a_linear_model_is_the_analytic_one():
    """Means within 0.2 of a standard deviation, standard deviations within 12 %, correlations
    within 0.1, for 5 data sets."""
    sds = np.sqrt(np.diag(COVARIANCE))
    exact = COVARIANCE / np.outer(sds, sds)
    assert np.abs(exact - np.eye(SIZE)).max() > 0.45  # it is correlated
    for observed in linear(5, 2)[1]:
        draws = np.asarray(of_linear().sample(observed, jr.key(1), DRAWS))
        assert draws.shape == (DRAWS, SIZE)
        np.testing.assert_allclose(
            (draws.mean(axis=0) - posterior_mean(observed)) / sds, 0, atol=0.2
        )
        np.testing.assert_allclose(draws.std(axis=0) / sds, 1, atol=0.12)
        np.testing.assert_allclose(np.corrcoef(draws.T), exact, atol=0.1)


def test_the_density_is_the_analytic_one():
    observed = linear(1, 3)[1][0]
    mean = posterior_mean(observed)
    where = np.random.default_rng(4).multivariate_normal(mean, COVARIANCE, DRAWS)
    away = np.linalg.solve(np.linalg.cholesky(COVARIANCE), (where - mean).T)
    exact = -0.5 * (away**2).sum(axis=0) - 0.5 * np.linalg.slogdet(2 * np.pi * COVARIANCE)[1]
    found = np.asarray(of_linear().log_density(where, observed))
    assert 0 <= (exact - found).mean() + 0.02 < 0.12  # Kullback's and Leibler's divergence
    one = of_linear().log_density(where[0], observed)
    assert one.shape == () and float(one) == pytest.approx(found[0])


@pytest.mark.slow
def test_amortised_posteriors_are_calibrated():
    truths, data = linear(150, 5)
    draws = [of_linear().sample(one, jr.key(i), DRAWS)[:99] for i, one in enumerate(data)]
    found = Calibration.of(truths, np.asarray(draws), names=NAMES, prior_variance=np.ones(SIZE))
    assert not found.wrong, found.summary()
    exact = 1 - np.diag(COVARIANCE)
    np.testing.assert_allclose(np.median(found.shrinkages, axis=0), exact, atol=0.1)


@pytest.mark.slow
def test_two_modes_are_found():
    """Of a square with noise: both roots have half of the draws, and nothing is between them."""
    random = np.random.default_rng(6)
    truths = random.normal(size=(5000, 1))
    data = truths**2 + 0.1 * random.normal(size=truths.shape)
    found = train(truths, data, key=jr.key(0), names=["x"], **SMALL)
    draws = np.asarray(found.sample(np.ones(1), jr.key(1), 4000))[:, 0]
    assert (draws > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert (np.abs(draws) < 0.6).mean() < 0.03
    grid = np.linspace(-4, 4, 4001)
    law = np.exp(-(grid**2) / 2 - ((1 - grid**2) / 0.1) ** 2 / 2)
    law /= law.sum()
    assert np.abs(draws).mean() == pytest.approx((np.abs(grid) * law).sum(), abs=0.03)
    spread = np.sqrt((law * (np.abs(grid) - (np.abs(grid) * law).sum()) ** 2).sum())
    assert np.abs(draws).std() == pytest.approx(spread, rel=0.5)


@pytest.mark.slow
def test_learned_features_of_many_summaries():
    random = np.random.default_rng(7)
    truths = random.normal(size=(4000, 2))
    series = truths[:, :1] * np.linspace(0, 1, 40) + np.exp(truths[:, 1:]) * 0.3
    series += 0.5 * random.normal(size=series.shape)
    found = train(truths, series, key=jr.key(0), names=["slope", "level"], features=4, **SMALL)
    draws = [found.sample(one, jr.key(i), 99) for i, one in enumerate(series[:200])]
    shrunk = Calibration.of(truths[:200], np.asarray(draws)).shrinkages
    assert (np.median(shrunk, axis=0) > 0.5).all()


def test_the_same_key_gives_the_same_numbers_and_a_file_keeps_them(tmp_path):
    observed = linear(1, 3)[1][0]
    with pytest.warns(UserWarning, match="had not ended"):
        one, other = (train(*linear(COUNT, 1), key=jr.key(2), epochs=2, **PAIR) for _ in range(2))
    draws = np.asarray(one.sample(observed, jr.key(1), DRAWS))
    np.testing.assert_array_equal(draws, other.sample(observed, jr.key(1), DRAWS))
    np.testing.assert_array_equal(one.validation, other.validation)
    assert one.training.shape == (2, 2)
    path = tmp_path / "posterior.npz"
    one.save(path)
    loaded = load_amortised(path)
    np.testing.assert_array_equal(loaded.sample(observed, jr.key(1), DRAWS), draws)
    np.testing.assert_array_equal(
        loaded.log_density(draws, observed), one.log_density(draws, observed)
    )
    assert (loaded.names, loaded.warnings) == (NAMES, one.warnings)
    refused(path, tmp_path)


def refused(path, folder):
    whole = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        load_amortised(path)
    np.savez(path, **(arrays | {"member_0": arrays["member_0"][:1]}))
    with pytest.raises(ValueError, match="an array has the shape"):
        load_amortised(path)
    np.savez(path, **(arrays | {"kept": arrays["kept"] + 1}))
    with pytest.raises(ValueError, match="do not belong together"):
        load_amortised(path)
    np.savez(path, about=np.array('{"format": "another"}'))
    with pytest.raises(ValueError, match="its format is 'another'"):
        load_amortised(path)
    with pytest.raises(ValueError, match="ends in .npz"):
        load_amortised(folder / "posterior.pkl")
    with pytest.raises(FileNotFoundError):
        load_amortised(folder / "absent.npz")


def test_data_unlike_the_simulations_are_told():
    observed = linear(1, 3)[1][0]
    assert of_linear().unusual(observed) == ()
    far = np.array(observed)
    far[2] = 50.0
    with pytest.warns(UserWarning, match="a guess: summary 2 is 50, in simulations from"):
        of_linear().sample(far, jr.key(0), DRAWS)
    # Each within its range, but not together: along the least direction of the summaries.
    covariance = MIXING @ MIXING.T + NOISE**2 * np.eye(SIZE)
    least = np.linalg.eigh(covariance)[1][:, 0]
    (said,) = of_linear().unusual(2.2 * least / np.abs(least).max())
    assert "together they are" in said
    with pytest.raises(ValueError, match=r"shape \(4,\); give the 5 summaries"):
        of_linear().sample(observed[:4], jr.key(0))
    far[2] = np.nan
    with pytest.raises(ValueError, match="summary 2 of the observation is nan"):
        of_linear().log_density(np.zeros(SIZE), far)
    with pytest.raises(ValueError, match=r"shape \(4,\); give \(5,\) or"):
        of_linear().log_density(np.zeros(4), observed)


def test_simulations_that_cannot_be_learned_from_are_told():
    truths, data = linear(200, 1)

    def refused(match, truths=truths, data=data, names=NAMES, **others):
        with pytest.raises(ValueError, match=match):
            train(truths, data, key=jr.key(0), names=names, **others)

    refused("give 5 different texts", names=["a", "a", "b", "c", "d"])
    refused(r"parameters have the shape \(200, 5\), summaries \(199, 5\)", data=data[1:])
    refused("there are 40 simulations", truths[:40], data[:40])
    refused("'b' is the same in all", truths * [1, 0, 1, 1, 1])
    refused("no summary varies", data=np.ones_like(data))
    bad = data.copy()
    bad[:12, 3] = np.nan
    refused("6.0 % of the simulations are not finite, most often summary 3", data=bad)
    bad[:, 1] = np.inf
    refused("summary 1 is never a finite number", data=bad)
    refused("share of at most 0.5", validation=0.9)
    refused("members is 0", members=0)


def test_what_is_left_out_is_told():
    truths, data = linear(COUNT + 1, 1)
    data[3, 0] = np.nan
    data = np.column_stack([data, np.full(COUNT + 1, 7.0)])
    with pytest.warns(UserWarning, match="train: ") as said:
        found = train(truths, data, key=jr.key(0), epochs=2, **PAIR)
    texts = [str(one.message) for one in said]
    assert texts[0] == "train: 0.05 % of the simulations are not finite and are left out."
    assert texts[1] == "train: summaries that do not vary are left out: summary 5."
    assert found.warnings == tuple(text.removeprefix("train: ") for text in texts)
    assert "3 warnings" in repr(found)
    (text,) = found.unusual(np.append(np.median(data[4:, :5], axis=0), 8.0))
    assert text.startswith("summary 5 is 8, in simulations from 7 to 7")


def test_a_flow_that_is_trained_by_heart_is_told():
    def doubts(unseen):
        fitted, curves = np.full((1, 900), 1.0), np.zeros((3, 1))
        some = np.random.default_rng(0).normal(size=(1, 100)) * 0.5
        found = Trained(of_linear().members, curves, curves, fitted, unseen + some, False)
        return _doubts(found, Form(5, 5, 1, 3, 32, None))

    assert doubts(1.3) == []
    (text,) = doubts(3.0)
    assert "others, by 2 nats (0.41 for each parameter): posteriors are too narrow" in text


def test_residuals_are_those_of_regression_on_all_others():
    truths, data = linear(60, 8)
    standard, residuals, context = standardised(truths, data)
    np.testing.assert_allclose(residuals.T @ residuals / 60, np.eye(SIZE), atol=1e-8)
    raw = residuals @ np.asarray(standard.factor).T
    keep = np.arange(60) != 7
    design = np.column_stack([np.ones(60), context])
    weights = np.linalg.lstsq(design[keep], truths[keep])[0]
    # The ridge is small where there are many more rows than columns.
    np.testing.assert_allclose(raw[7], truths[7] - design[7] @ weights, atol=0.15)
    there = standard.inward(jnp.asarray(truths[0]), jnp.asarray(context[0]))
    back = standard.outward(there, jnp.asarray(context[0]))
    np.testing.assert_allclose(back, truths[0], atol=1e-10)
    jacobian = jax.jacobian(standard.outward)(there, jnp.asarray(context[0]))
    assert float(standard.log_volume) == pytest.approx(np.linalg.slogdet(jacobian)[1])


def test_regression_alone_is_as_far_from_the_posterior_as_its_own_numbers_are_uncertain():
    """Of a linear model: half a nat for each of the numbers that are estimated, d (s + 1) of the
    means and d (d + 1) / 2 of the covariance, by simulation."""
    random, count, found = np.random.default_rng(10), 400, []
    root = np.linalg.cholesky(COVARIANCE)
    for seed in range(20):
        standard, _, _ = standardised(*linear(count, 100 + seed))
        for observed in linear(10, 200 + seed)[1]:
            away = random.normal(size=(100, SIZE))
            where = posterior_mean(observed) + away @ root.T
            context = standard.context(jnp.asarray(observed))
            inward = jax.vmap(standard.inward, (0, None))(jnp.asarray(where), context)
            exact = -0.5 * (away**2).sum(axis=1) - np.log(np.diag(root)).sum()
            guess = -0.5 * (np.asarray(inward) ** 2).sum(axis=1) - float(standard.log_volume)
            found.append((exact - guess).mean())
    numbers = SIZE * (SIZE + 1) + SIZE * (SIZE + 1) / 2
    assert np.mean(found) == pytest.approx(0.5 * numbers / count, rel=0.25)


@pytest.mark.parametrize("features", [None, 3])
def test_an_untrained_flow_is_the_standard_normal_distribution(features):
    members = untrained(Form(SIZE, SIZE, 1, 2, 8, features), jr.key(3))
    one = jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, members)
    where, context = np.random.default_rng(11).normal(size=(2, SIZE))
    expected = -0.5 * (where**2).sum() - 0.5 * SIZE * np.log(2 * np.pi)
    found = one.log_density(jnp.asarray(where), jnp.asarray(context))
    assert float(found) == pytest.approx(expected, rel=1e-10)


def test_a_missing_flowjax_is_told(monkeypatch, tmp_path):
    for name in ("flowjax", "flowjax.bijections", "flowjax.distributions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"flowjax: pip install 'tvbjax\[bayes\]'"):
        train(*linear(200, 1), key=jr.key(0), names=NAMES)
    with pytest.raises(ImportError, match=r"flowjax: pip install 'tvbjax\[bayes\]'"):
        load_amortised(tmp_path / "posterior.npz")


def test_outliers_do_not_set_the_scale_and_equal_values_have_one():
    random = np.random.default_rng(9)
    data = np.column_stack([random.normal(size=500), np.zeros(500)])
    data[0, 0] = 1e12
    data[:20, 1] = 1.0
    standard, _, context = standardised(random.normal(size=(500, 1)), data)
    assert float(standard.scale[0]) == pytest.approx(1.0, abs=0.15)
    assert np.isfinite(context).all() and np.abs(context).max() < 40
    np.testing.assert_allclose(standard.context(jnp.asarray(data[0])), context[0])
