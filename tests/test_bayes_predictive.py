"""Predictive checks: what the model makes beside what was recorded."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from tvbjax_inference.bayes.predictive import posterior_check, prior_check


def checked_tree(data, replicates, group="posterior_predictive"):
    """Data (time, channel) and replicates of them, of one chain."""
    labels = [f"B{i + 1}" for i in range(data.shape[1])]
    dims = ("chain", "draw", "sample", "channel")
    return xr.DataTree.from_dict(
        {
            "observed_data": xr.Dataset({"seeg": (dims[2:], data)}, {"channel": labels}),
            group: xr.Dataset({"seeg": (dims, replicates[None])}, {"channel": labels}),
        }
    )


def walks(generator, *shape):
    return np.cumsum(generator.normal(size=shape), axis=-2) + 2.0 * generator.normal(size=shape)


def test_p_values_of_a_right_prior_are_uniform():
    generator = np.random.default_rng(6)
    found = prior_check(
        checked_tree(walks(generator, 30, 500), walks(generator, 399, 30, 500), "prior_predictive")
    )
    assert found.trusted, str(found)
    assert "500 channels look like" in str(found)
    for name in ("mean", "deviation", "range"):
        p = found.table["p"].sel(statistic=name).values
        assert stats.kstest(p, "uniform").pvalue > 0.01
    # An integer may be equal to many replicates': p is then too large, never too small.
    late = found.table["p"].sel(statistic="time of the maximum").values
    assert (late < 0.1).mean() < 0.15
    assert float(found.table["covered"].mean()) == pytest.approx(0.9, abs=0.02)


def test_statistics_are_those_of_the_data():
    data = np.array([[0.0, 1.0], [4.0, 1.5], [-2.0, 7.0]])
    made = data + np.random.default_rng(0).normal(size=(250, 3, 2))
    table = posterior_check(checked_tree(data, made)).table
    of_first = table["observed"].sel(channel="B1")
    assert of_first.values == pytest.approx([2 / 3, np.sqrt(56 / 9), 1.0, 6.0])
    means = made[:, :, 1].mean(axis=1)
    shown = table["replicated"].sel(channel="B2", statistic="mean")
    np.testing.assert_allclose(shown, np.quantile(means, [0.05, 0.5, 0.95]))
    assert float(table["covered"].sel(channel="B2")) == 1.0


def test_what_a_wrong_model_does_not_make_is_named():
    generator = np.random.default_rng(7)
    data = generator.normal(size=(60, 4))
    data[:, 2] *= 3.0
    found = posterior_check(checked_tree(data, generator.normal(size=(300, 60, 4))))
    p = found.table["p"]
    assert float(p.sel(channel="B3", statistic="deviation")) == pytest.approx(2 / 301)
    assert float(p.sel(channel="B1", statistic="deviation")) > 0.01
    assert not found.trusted
    said = str(found)
    assert "The deviation of 1 of 4 channels" in said and "B3 (" in said and "B1 (" not in said


def test_a_prior_that_never_covers_the_data_is_told():
    generator = np.random.default_rng(8)
    data = generator.normal(size=(20, 2)) + [0.0, 100.0]
    made = generator.normal(size=(300, 20, 2))
    made[0, 3, 1] = np.inf
    found = prior_check(checked_tree(data, made, "prior_predictive"))
    assert "never covers the data of B2:" in str(found)
    assert "1 of 300 replicates of 'seeg' are no finite numbers" in str(found)


def test_too_few_replicates_are_told():
    generator = np.random.default_rng(9)
    data, made = generator.normal(size=(20, 2)), generator.normal(size=(50, 20, 2))
    assert "no p value is below 0.039" in str(posterior_check(checked_tree(data, made)))
    with pytest.raises(ValueError, match="no group 'prior_predictive'"):
        prior_check(checked_tree(data, made))
    with pytest.raises(ValueError, match="fewer than two replicates"):
        posterior_check(checked_tree(data, np.nan * made))
