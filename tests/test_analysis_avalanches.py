"""Avalanches of recordings written by hand, and of branching processes whose laws are known."""

import numpy as np
import pytest
import scipy.stats

from tvbjax import analysis
from tvbjax.analysis import Avalanches


def branching(ratio, trees, seed):
    """Events of trees of Poisson's offspring one after the other, with an empty bin between."""
    rng = np.random.default_rng(seed)
    activity = [0]
    for _ in range(trees):
        alive = 1
        while alive and len(activity) < 10**6:
            activity.append(alive)
            alive = int(rng.poisson(ratio * alive))
        activity.append(0)
    return np.array(activity)[:, None]


def zipf(exponent, size, rng):
    """Whole numbers of which x is drawn with chance x^-exponent / zeta(exponent), by SciPy."""
    return np.asarray(scipy.stats.zipf.rvs(exponent, size=size, random_state=rng))


def test_avalanches_by_hand():
    activity = np.array([2, 0, 1, 3, 0, 0, 1, 0, 5, 5])  # the first and last are cut off
    events = np.stack([activity, np.zeros_like(activity)], axis=1)
    found = analysis.find_avalanches(events)
    np.testing.assert_array_equal(found.sizes, [4, 1])
    np.testing.assert_array_equal(found.durations, [2, 1])
    np.testing.assert_array_equal(found.starts, [2, 6])
    np.testing.assert_array_equal(found.activity, activity)
    assert analysis.branching_ratio(found) == pytest.approx((3 / 1 + 0 / 1) / 2)

    wider = analysis.find_avalanches(events[:9], width=2)  # bins 2, 4, 0, 1
    assert (wider.activity.tolist(), len(wider.sizes)) == ([2, 4, 0, 1], 0)
    with pytest.raises(ValueError, match="no avalanches; lower the threshold"):
        analysis.branching_ratio(wider)


@pytest.mark.parametrize("activity", [[0, 0, 0], [1, 1, 1], [1, 0, 1], [1]])
def test_where_no_avalanche_is_whole_there_is_none(activity):
    found = analysis.find_avalanches(np.array(activity, bool)[:, None])
    assert len(found.sizes) == len(found.durations) == len(found.starts) == 0


def test_events_are_the_furthest_of_each_excursion():
    signal = np.zeros(100)
    signal[[10, 11, 12]] = [5.0, 6.0, 5.5]  # one excursion
    signal[[30, 31]] = [5.0, -7.0]  # two, one each way
    signal[99] = 8.0
    both = np.stack([signal + 50.0, np.full(100, 0.1)], axis=1)  # and a constant one
    events = analysis.find_events(both, threshold=2.0)
    np.testing.assert_array_equal(np.argwhere(events), [[11, 0], [30, 0], [31, 0], [99, 0]])


def test_events_of_noise_are_as_many_as_its_distribution_says():
    noise = np.random.default_rng(0).normal(size=(100000, 2))
    # A run of white noise beyond the threshold begins with chance p (1 - p) either way.
    beyond = scipy.stats.norm.sf(2.0)
    rate = 2 * beyond * (1 - beyond)
    found = analysis.find_events(noise, threshold=2.0).mean(axis=0)
    np.testing.assert_allclose(found, rate, rtol=0.05)


@pytest.mark.parametrize("ratio", [0.5, 0.8, 1.0])
def test_branching_ratio_is_that_of_the_process(ratio):
    found = analysis.find_avalanches(branching(ratio, 20000, seed=1))
    # One ancestor, Poisson's descendants: four standard errors.
    assert analysis.branching_ratio(found) == pytest.approx(
        ratio, abs=4 * np.sqrt(ratio / len(found.sizes))
    )
    if ratio < 1:  # the mean of a tree's size (Harris 1963)
        assert found.sizes.mean() == pytest.approx(1 / (1 - ratio), rel=0.05)


def test_a_critical_branching_process_has_the_exponent_of_three_halves():
    """Sizes follow Borel's law, s^(s-1) exp(-s) / s!, which is s^-3/2 from some ten on (Otter)."""
    trees = analysis.find_avalanches(branching(1.0, 20000, seed=2))
    law = analysis.fit_power_law(trees.sizes, smallest=10)
    assert law.exponent == pytest.approx(1.5, abs=0.04)
    assert law.distance < 0.02
    found = analysis.fit_power_law(trees.sizes[:3000])
    assert found.exponent == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(("exponent", "smallest"), [(1.7, 1), (2.5, 1), (2.5, 6), (3.5, 2)])
def test_exponents_of_draws_from_the_law(exponent, smallest):
    """Zipf's numbers, drawn by SciPy: within three of the stated standard errors."""
    rng = np.random.default_rng(3)
    draws = zipf(exponent, 40000, rng)
    law = analysis.fit_power_law(draws, smallest)
    assert abs(law.exponent - exponent) < 3 * law.error
    assert law.count == (draws >= smallest).sum() and law.smallest == smallest
    assert law.distance < 1.7 / np.sqrt(law.count)  # Kolmogorov's 99 percent


def test_the_standard_error_is_that_of_repeated_draws():
    rng = np.random.default_rng(4)
    laws = [analysis.fit_power_law(zipf(2.2, 500, rng), 1) for _ in range(300)]
    spread = np.std([law.exponent for law in laws])
    assert np.mean([law.error for law in laws]) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("exponent", [0.8, 1.5, 3.0])
def test_a_law_that_ends(exponent):
    """At the number of regions, say: then exponents below 1 are laws too."""
    numbers = np.arange(3, 101)
    chances = numbers**-exponent / (numbers**-exponent).sum()
    draws = np.random.default_rng(5).choice(numbers, size=20000, p=chances)
    law = analysis.fit_power_law(np.concatenate([draws, [500, 1, 2]]), 3, 100)
    assert abs(law.exponent - exponent) < 3 * law.error and law.count == 20000
    exact = np.sum(chances * np.log(numbers) ** 2) - np.sum(chances * np.log(numbers)) ** 2
    assert law.error == pytest.approx(1 / np.sqrt(20000 * exact), rel=0.03)  # Fisher's


def test_where_a_law_begins_is_found():
    """Flat below 10, a power law from there."""
    rng = np.random.default_rng(6)
    tail = zipf(2.5, 400000, rng)
    tail = tail[tail >= 10][:2000]
    law = analysis.fit_power_law(np.concatenate([rng.integers(1, 10, size=3000), tail]))
    assert 8 <= law.smallest <= 14
    assert law.exponent == pytest.approx(2.5, abs=0.15)


def test_distance_is_that_of_the_distributions():
    values = np.array([1, 1, 2, 5, 9])
    law = analysis.fit_power_law(values, 1)
    every = np.arange(1, 400)
    sample = np.searchsorted(values, every, side="right") / 5
    gap = np.abs(sample - scipy.stats.zipf.cdf(every, law.exponent)).max()
    assert law.distance == pytest.approx(gap, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: analysis.find_events(np.ones((4, 2)), 0.0), "threshold=0.0; give a positive"),
        (lambda: analysis.find_events(np.full((4, 2), np.nan)), r"signals\[0, 0\] is nan"),
        (lambda: analysis.find_avalanches(np.ones((4, 2)), 5), "width=5; give"),
        (lambda: analysis.find_avalanches(np.full((4, 2), 0.5)), "not true or false, or counts"),
        (lambda: analysis.fit_power_law(np.array([0, 1])), "give whole numbers from 1"),
        (lambda: analysis.fit_power_law(np.array([1, 2]), 0), "smallest=0; give 1 or more"),
        (lambda: analysis.fit_power_law(np.array([3, 3, 9]), 2, 8), "2 values from 2 to 8, not"),
        (lambda: analysis.fit_power_law(np.array([1, 2, 3])), "3 values, 3 different ones; to"),
    ],
)
def test_what_has_no_avalanches_is_an_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_measured_counts_are_no_whole_numbers(without_type_checks):
    with pytest.raises(ValueError, match="values of type float64"):
        analysis.fit_power_law(np.array([1.5, 2.0]))


def test_avalanches_can_be_made_by_hand():
    made = Avalanches(np.array([3]), np.array([2]), np.array([1]), np.array([0, 1, 2, 0]))
    assert analysis.branching_ratio(made) == 2.0


def test_signals_are_no_avalanches(without_type_checks):
    with pytest.raises(TypeError, match=r"give find_avalanches\(find_events\(signals\)\)"):
        analysis.branching_ratio(np.ones((9, 2)))  # type: ignore
