"""Modes in which chains sit, weighed by what they predict."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy import stats

from bayes_models import regression_tree
from tvbjax import bayes
from tvbjax_inference.bayes.stacking import stacked, stacking_weights


def test_weights_are_those_of_the_mixture_that_made_the_data():
    generator = np.random.default_rng(10)
    data = np.where(generator.uniform(size=4000) < 0.3, -1.0, 1.0) + generator.normal(size=4000)
    density = stats.norm.logpdf(data[:, None], [-1.0, 1.0, 30.0], 1.0)
    found = stacking_weights(density)
    # The deviation of the greatest likelihood's weight is 0.012.
    assert found == pytest.approx([0.3, 0.7, 0.0], abs=0.04)
    likelihood = np.logaddexp.reduce(density + np.log(found), axis=1).sum()
    for weight in np.linspace(0.01, 0.99, 99):
        other = np.logaddexp(density[:, 0] + np.log(weight), density[:, 1] + np.log1p(-weight))
        assert other.sum() <= likelihood + 1e-3
    assert stacking_weights(density[:, [0, 0]]) == pytest.approx([0.5, 0.5])
    assert stacking_weights(density[:, [2, 1]] * 10.0) == pytest.approx([0.0, 1.0], abs=1e-3)


Y = 0.6 + np.random.default_rng(11).normal(size=40)


def humps_that_predict():
    """Equal humps at -3 and 3 of the prior; that at 3 has the mean of the data."""
    x = numpyro.sample("x", dist.Normal(0.0, 10.0))
    hump = jnp.logaddexp(-0.5 * ((x + 3.0) / 0.2) ** 2, -0.5 * ((x - 3.0) / 0.2) ** 2)
    numpyro.factor("humps", hump)
    of_data = dist.Normal(0.3 + 0.1 * x, 1.0).expand((40,))
    numpyro.deterministic("data_log_likelihood", of_data.log_prob(jnp.asarray(Y)))
    numpyro.deterministic("never_moves", jnp.zeros(2))
    numpyro.sample("data", of_data.to_event(), obs=Y)


def test_the_mode_that_predicts_better_has_the_weight():
    tree = bayes.sample(
        humps_that_predict,
        key=jax.random.key(1),
        method=bayes.Nuts(chains=4, warmup=100, draws=200, jumps=0),
        starts=8,
        progress=False,
    )
    assert tree["modes"].sizes["mode"] == 2
    found = stacked(tree, key=jax.random.key(0))
    better = int(np.argmax(np.asarray(tree["modes"]["position"])[:, 0]))
    assert found.weights[better] > 0.9 and found.weights.sum() == pytest.approx(1.0)
    assert found.chains == ((0, 2), (1, 3))
    # By hand: within a mode x is nearly known.
    alone = stats.norm.logpdf(Y, 0.6, 1.0).sum()
    assert found.modes[better].elpd == pytest.approx(alone, abs=1.0)
    drawn = np.asarray(found.tree["posterior"]["x"])
    assert drawn.shape == (1, 800)
    assert (drawn > 0).mean() == pytest.approx(found.weights[better], abs=2 / 800)
    # Groups still belong together, draw by draw.
    expected = stats.norm.logpdf(Y, 0.3 + 0.1 * drawn[..., None], 1.0)
    np.testing.assert_allclose(found.tree["log_likelihood"]["data"], expected)
    few = found.tree["posterior_predictive"]
    np.testing.assert_array_equal(few["draw"], np.unique(few["draw"]))
    assert "no masses of the posterior" in str(found) and "chains 0, 2" in str(found)
    one_chain = tree.filter(lambda node: node.name != "prior").isel(
        chain=[0], missing_dims="ignore"
    )
    with pytest.raises(ValueError, match="2 modes and 1 chains"):
        stacked(one_chain, key=jax.random.key(0))


def test_what_cannot_be_stacked_is_named():
    with pytest.raises(ValueError, match="no group 'modes'"):
        stacked(regression_tree(), key=jax.random.key(0))
    tree = regression_tree()
    tree["modes"] = xr.Dataset({"log_density": ("mode", [0.0])})
    with pytest.raises(ValueError, match="has one mode"):
        stacked(tree, key=jax.random.key(0))
    tree["modes"] = xr.Dataset({"log_density": ("mode", [0.0, 0.0])})
    tree["sample_stats"] = xr.Dataset({"jumped": (("chain", "draw"), np.ones((2, 3)))})
    with pytest.raises(ValueError, match="jump between modes"):
        stacked(tree, key=jax.random.key(0))
