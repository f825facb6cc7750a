"""Measures of classification against scikit-learn, by hand, and over many seeds."""

import math

import numpy as np
import pytest
from sklearn import metrics

from tvbjax.forward import Gain
from tvbjax_inference.bayes.epilepsy import classification as c


def a_case(seed: int, *, regions: int = 40, separation: float = 1.0, decimals: int = 1) -> c.Case:
    """Scores 0 to 1, rounded, so that many are equal."""
    generator = np.random.default_rng(seed)
    true = np.zeros(regions, bool)
    true[generator.choice(regions, 3, replace=False)] = True
    raw = generator.normal(size=regions) + separation * true
    scores = np.round(1 / (1 + np.exp(-raw)), decimals)
    return c.Case(scores, true, generator.normal(size=(regions, 3)) * 40)


@pytest.mark.parametrize("seed", range(8))
def test_measures_are_scikit_learns(seed):
    case = a_case(seed)
    scores, true = case.scores, case.true
    found = scores > 0.5
    assert c.precision(scores, true) == pytest.approx(metrics.precision_score(true, found))
    assert c.recall(scores, true) == pytest.approx(metrics.recall_score(true, found))
    assert c.f1(scores, true) == pytest.approx(metrics.f1_score(true, found))
    assert c.roc_auc(scores, true) == pytest.approx(metrics.roc_auc_score(true, scores))
    expected = metrics.average_precision_score(true, scores)
    assert c.pr_auc(scores, true) == pytest.approx(expected)


def test_equal_scores_are_no_skill():
    """As of the prior alone: 2 of 5 are true, so one of any 2 is with 1 - C(3,2) / C(5,2) = 0.7."""
    scores, true = np.full(5, 0.3), np.array([True, False, True, False, False])
    assert c.roc_auc(scores, true) == 0.5 and c.pr_auc(scores, true) == 0.4
    assert c.hit(scores, true, 2) == pytest.approx(0.7)
    assert math.isnan(c.precision(scores, true)) and c.recall(scores, true) == 0
    assert c.f1(scores, true) == 0


def test_a_hit_is_one_of_the_highest():
    scores, true = np.array([0.9, 0.8, 0.7, 0.7]), np.array([False, False, True, False])
    assert [c.hit(scores, true, k) for k in (1, 2, 3, 4, 9)] == [0, 0, 0.5, 1, 1]


def test_distances_of_false_positives_by_hand():
    centres = np.array([[0.0, 0, 0], [3, 4, 0], [100, 0, 0], [100, 0, 12], [50, 0, 0]])
    true = np.array([True, False, True, False, False])
    case = c.Case(np.array([0.9, 0.8, 0.1, 0.6, 0.2]), true, centres)
    np.testing.assert_allclose(c.false_distances(case), [5.0, 12.0])


def test_averages_by_hand():
    """Patient 1: 1 found, right. Patient 2: 3 found, one right; both have one true region."""
    first = c.Case(np.array([0.9, 0.1, 0.1, 0.1]), np.array([True, False, False, False]))
    second = c.Case(np.array([0.9, 0.8, 0.7, 0.1]), np.array([False, True, False, False]))
    found = c.compare({"posterior": [first, second]}, generator=np.random.default_rng(0), k=1)
    estimate = found.sel(by="posterior", bound="estimate")
    assert estimate["precision"].values.tolist() == [2 / 4, (1 + 1 / 3) / 2]
    assert estimate["recall"].values.tolist() == [1.0, 1.0]
    np.testing.assert_allclose(estimate["f1"], [4 / 6, (1 + 0.5) / 2])
    assert estimate["hit"].values.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(estimate["roc_auc"][1], (1 + 2 / 3) / 2)
    assert np.isnan(estimate["distance"]).all()


def test_a_better_method_is_better_by_every_measure():
    """Over 20 patients: scores that tell, equal ones, and the truth itself."""
    good = [a_case(seed, separation=3.0, decimals=6) for seed in range(20)]
    flat = [c.Case(np.full(len(one.scores), 0.1), one.true, one.centres) for one in good]
    exact = [c.Case(one.true.astype(float), one.true, one.centres) for one in good]
    methods = {"posterior": good, "prior": flat, "truth": exact}
    found = c.compare(methods, generator=np.random.default_rng(1), resamples=100)
    low, high = found.sel(bound="low"), found.sel(bound="high")
    for measure in ("roc_auc", "pr_auc", "hit"):
        assert (low[measure].sel(by="posterior") > high[measure].sel(by="prior")).all()
        assert (found[measure].sel(by="truth") == 1).all()
    assert np.isnan(found["precision"].sel(by="prior")).all()
    estimate = found.sel(bound="estimate")
    for measure in ("recall", "f1", "roc_auc", "pr_auc"):
        assert (low[measure] <= estimate[measure]).all(), measure
        assert (estimate[measure] <= high[measure]).all(), measure
    # Pooled means of distances are over regions, the others over patients.
    away = np.concatenate([c.false_distances(one) for one in good])
    assert estimate["distance"].sel(by="posterior", average="micro") == away.mean()


def test_intervals_cover_what_patients_vary_by():
    """The mean over patients of a share p has the deviation sqrt(p (1 - p) / patients)."""
    generator = np.random.default_rng(2)
    true = np.array([True, False])
    right = generator.random(60) < 0.7
    cases = [c.Case(np.array([0.9, 0.1] if one else [0.1, 0.9]), true) for one in right]
    found = c.compare({"m": cases}, generator=generator, resamples=10)["hit"]
    one = c.compare({"m": cases}, generator=generator, level=0.9, resamples=500, k=1)["hit"]
    assert (found == 1).all()  # of two regions one of three is always true
    low, high = one.sel(by="m", average="macro", bound=["low", "high"]).values
    deviation = math.sqrt(right.mean() * (1 - right.mean()) / 60)
    assert high - low == pytest.approx(2 * 1.645 * deviation, rel=0.15)


def test_results_are_those_of_their_generator():
    methods = {"m": [a_case(seed) for seed in range(5)]}
    found = [
        c.compare(methods, generator=np.random.default_rng(seed), resamples=50) for seed in (1, 1)
    ]
    assert found[0].equals(found[1])


def test_the_largest_amplitude_goes_to_the_region_a_contact_sees_most():
    gain = Gain(np.array([[1.0, 0.2, 0.0], [0.9, -0.1, 0.3], [0.1, -2.0, 0.5]]), ("A", "B", "C"))
    time = np.arange(100)
    data = np.stack([np.sin(time), 3 * np.sin(time) + 100, 2 * np.sin(time)], axis=1)
    found = c.largest_amplitude(data, gain)
    np.testing.assert_allclose(found, [1.0, 2 / 3, 0.0])


def test_what_does_not_fit_is_told(without_type_checks):
    good = a_case(0)
    with pytest.raises(ValueError, match="all regions or none are truly epileptogenic"):
        c.Case(good.scores, np.zeros(40, bool))
    with pytest.raises(ValueError, match=r"there are 40 scores and true has the shape \(3,\)"):
        c.Case(good.scores, good.true[:3])
    with pytest.raises(ValueError, match="the score of region 2 is not finite"):
        c.Case(np.where(np.arange(40) == 2, np.nan, good.scores), good.true)
    with pytest.raises(ValueError, match="the patients of 'b' are not those of 'a'"):
        c.compare({"a": [good], "b": [a_case(1)]}, generator=np.random.default_rng(0))
    with pytest.raises(ValueError, match="the data have 2 channels and the gain 1"):
        c.largest_amplitude(np.ones((5, 2)), Gain(np.ones((1, 3)), ("A",)))
