"""Leave-one-out by the draws, and models compared by it."""

import sys

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_models import DATA, DESIGN, NOISE, exact_posterior, regression_tree
from tvbjax import bayes
from tvbjax_inference.bayes.loo import compare_models, loo


def exact_left_out(design=DESIGN, data=DATA):
    """The log density of every datum given all others."""
    found = []
    for i in range(len(data)):
        kept = np.arange(len(data)) != i
        mean, covariance = exact_posterior(design[kept], data[kept])
        deviation = np.sqrt(design[i] @ covariance @ design[i] + NOISE**2)
        found.append(stats.norm.logpdf(data[i], design[i] @ mean, deviation))
    return np.array(found)


def test_left_out_densities_are_the_exact_ones():
    found = loo(regression_tree())
    expected = exact_left_out()
    good = found.table["pareto_k"].values < 0.5
    assert good.sum() >= 6
    np.testing.assert_allclose(found.table["elpd"].values[good], expected[good], atol=0.05)
    assert found.elpd == pytest.approx(expected.sum(), abs=0.5)
    assert found.se == pytest.approx(np.sqrt(12) * expected.std(), rel=0.1)
    assert list(found.table["contact"].values[:2]) == ["A1", "A2"]
    assert "12 contacts" in str(found)


def test_effective_parameters_of_many_data_are_the_slopes():
    generator = np.random.default_rng(4)
    design = generator.normal(size=(200, 3))
    data = design @ np.array([0.5, -1.0, 2.0]) + NOISE * generator.normal(size=200)
    found = loo(regression_tree(design, data))
    assert found.trusted
    assert found.p_loo == pytest.approx(3.0, abs=0.7)
    assert found.elpd == pytest.approx(exact_left_out(design, data).sum(), abs=0.05)


def test_a_contact_that_pulls_the_posterior_is_named():
    data = DATA.copy()
    data[4] += 5.0
    found = loo(regression_tree(data=data))
    assert not found.trusted
    assert "A5 (" in str(found) and "Pareto k is above 0.7" in str(found)
    assert "refit without it" in found.problems[0]


def test_densities_that_span_thousands_are_told():
    """A tail of weights of which all but one are 0 has no shape that could be fitted."""
    tree = regression_tree()
    density = np.asarray(tree["log_likelihood"]["data"])
    density[..., 2] = 3000.0 * np.random.default_rng(0).normal(size=density.shape[:2])
    found = loo(tree)
    assert found.table["pareto_k"].values[2] == np.inf and not found.trusted
    assert "A3 (inf)" in found.problems[0]


def test_draws_of_modes_with_other_densities_are_told():
    tree = regression_tree()
    density = np.asarray(tree["log_likelihood"]["data"])
    density[2:] -= 50.0
    found = loo(tree)
    assert any("there are 12 contacts: draws are of several modes" in x for x in found.problems)
    density[1] = density[1, 0]
    with pytest.raises(ValueError, match="chain 1 never moved"):
        loo(tree)


def two_models():
    generator = np.random.default_rng(5)
    design = generator.normal(size=(150, 3))
    data = design @ np.array([0.5, -1.0, 0.3]) + NOISE * generator.normal(size=150)
    return {"two slopes": (design[:, :2], data), "three": (design, data)}


def test_models_are_compared_by_exact_differences():
    models = two_models()
    trees = {name: regression_tree(*one) for name, one in models.items()}
    found = compare_models(trees)
    assert list(found.table["model"].values) == ["three", "two slopes"]
    away = exact_left_out(*models["two slopes"]) - exact_left_out(*models["three"])
    worse = found.table.sel(model="two slopes")
    assert float(worse["difference"]) == pytest.approx(away.sum(), abs=0.3)
    assert float(worse["difference_se"]) == pytest.approx(np.sqrt(150) * away.std(), rel=0.02)
    assert not found.problems and "'three' predicts contacts better" in str(found)


def test_models_that_are_alike_are_not_told_apart():
    design, data = two_models()["three"]
    short = {name: regression_tree(design[:60], data[:60]) for name in ("one", "same")}
    found = compare_models(short)
    assert "less than 4 is too little to tell them apart, whatever it is" in str(found)
    assert "There are 60 contacts" in found.problems[0]


def other_contacts():
    tree = regression_tree()
    groups = {name: one.to_dataset() for name, one in tree.children.items()}
    groups["log_likelihood"] = groups["log_likelihood"].isel(channel=slice(1, None))
    return xr.DataTree.from_dict(groups)


def not_finite():
    tree = regression_tree()
    np.asarray(tree["log_likelihood"]["data"])[0, 3, 1] = np.nan
    return tree


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: loo(xr.DataTree()), "no group 'log_likelihood'"),
        (lambda: loo(not_finite()), "log density of A2 is no finite number"),
        (lambda: compare_models({"one": regression_tree()}), "give two or more"),
        (
            lambda: compare_models({"a": regression_tree(), "b": other_contacts()}),
            "other contacts .A1 only in one",
        ),
        (
            lambda: compare_models({"a": regression_tree(), "b": regression_tree(data=-DATA)}),
            "the data of 'a' and 'b' differ",
        ),
    ],
)
def test_what_cannot_be_left_out_is_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_what_arviz_is_missing_for_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz_stats", None)
    for call in (bayes.diagnose, loo):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'tvbjax\[bayes\]'"):
            call(regression_tree(draws=10))


def test_likelihoods_of_one_program_count_together():
    tree = regression_tree()
    group = tree["log_likelihood"].to_dataset()
    other = xr.DataArray(np.full((4, 2000), -1.5), dims=("chain", "draw"))
    tree["log_likelihood"] = group.assign(
        onset=other + 1e-3 * group["data"][..., 0].drop_vars("channel")
    )
    found = loo(tree).table
    assert list(found["contact"].values[[0, -1]]) == ["data of A1", "onset of onset"]
