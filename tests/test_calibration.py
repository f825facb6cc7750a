"""Calibration against exact posteriors, binomials, and simulated uniform ranks."""

import numpy as np
import pytest
import scipy.stats

from tvbjax_inference.bayes.calibration import (
    Calibration,
    coverage,
    ranks,
    shrinkage,
    thinned,
    z_score,
)
from tvbjax_inference.bayes.ecdf import uniformity

NOISE = 0.7
DRAWS = 99


def posteriors(count, seed, narrow=1.0, shift=0.0, draws=DRAWS):
    """Truths of N(0, 1), one datum each with noise; draws of the posterior, or of a wrong one."""
    random = np.random.default_rng(seed)
    truths = random.normal(size=(count, 2))
    data = truths + NOISE * random.normal(size=truths.shape)
    variance = 1 / (1 + NOISE**-2)
    means = variance * data / NOISE**2 + shift * np.sqrt(variance)
    own = random.normal(size=(count, draws, 2)) * np.sqrt(variance) * narrow
    return truths, means[:, None] + own


def test_ranks_count_the_draws_below():
    draws = np.array([[[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]])
    assert ranks(np.array([[2.5, 4.0]]), draws).tolist() == [[2, 0]]


def test_z_scores_and_shrinkages_of_known_posteriors():
    truths, draws = posteriors(400, 0, draws=2000)
    z = z_score(truths, draws)
    assert z.std() == pytest.approx(1.0, abs=0.08) and z.mean() == pytest.approx(0.0, abs=0.12)
    exact = 1 - 1 / (1 + NOISE**-2)
    np.testing.assert_allclose(shrinkage(draws, np.ones(2)).mean(axis=0), exact, atol=0.01)
    with pytest.raises(ValueError, match="prior variances"):
        shrinkage(draws, np.zeros(2))


@pytest.mark.parametrize("count, draws", [(50, 9), (200, 99), (300, 2)])
def test_p_values_of_uniform_ranks_are_uniform(count, draws):
    found = np.random.default_rng(1).integers(0, draws + 1, size=(count, 300))
    tested = uniformity(found, draws)
    for level in (0.01, 0.05, 0.2):
        # A p value of what is discrete is at most as often below a level as the level says.
        most = scipy.stats.binom.isf(1e-4, 300, level)
        assert (tested.ecdf <= level).sum() <= most
        assert (tested.chi_square <= level).sum() <= most * 1.5
    outside = (tested.paths < tested.low - 1e-12) | (tested.paths > tested.high + 1e-12)
    assert outside.any(axis=1).sum() <= scipy.stats.binom.isf(1e-4, 300, 0.05)
    if draws > 50:  # else steps of the band are large
        assert outside.any(axis=1).sum() >= scipy.stats.binom.ppf(1e-4, 300, 0.03)
        assert scipy.stats.kstest(tested.ecdf, "uniform").pvalue > 1e-3


def test_the_p_value_of_a_path_is_how_often_simulated_ones_are_as_unlikely():
    count, draws, several = 40, 19, 10_000
    random = np.random.default_rng(2)
    one = random.integers(0, draws - 2, size=(count, 1))  # the last ranks are missing
    points = np.arange(1, draws + 1) / (draws + 1)

    def least(found):
        below = (found[..., None] < np.arange(1, draws + 1)).sum(axis=-2)
        law = scipy.stats.binom(count, points)
        return 2 * np.minimum(law.cdf(below), law.sf(below - 1)).min(axis=-1)

    others = least(random.integers(0, draws + 1, size=(several, count)))
    share = (others <= least(one[:, 0]) * (1 + 1e-9)).mean()
    exact = uniformity(one, draws).ecdf[0]
    assert exact == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / several) + 1e-4)


def test_a_right_sampler_passes_and_a_wrong_one_fails():
    """Of 25 calibrations of 200 sets: alarms of a right sampler in 1 % at most, so 3 or fewer
    (binomial, 1e-4); power of 90 % and more for posteriors of 0.6 of their width, and for means
    that are half a standard deviation off."""
    right = [Calibration.of(*posteriors(200, seed)) for seed in range(25)]
    assert sum(bool(one.wrong) for one in right) <= 3
    narrow = [Calibration.of(*posteriors(200, seed, narrow=0.6)) for seed in range(25)]
    assert sum(one.wrong == one.names for one in narrow) >= 23
    assert all(one.verdict(n) == "too narrow" for one in narrow for n in one.wrong)
    shifted = [Calibration.of(*posteriors(200, seed, shift=0.5)) for seed in range(25)]
    assert sum(one.wrong == one.names for one in shifted) >= 23
    assert all(one.verdict(n) == "too high" for one in shifted for n in one.wrong)
    wide = Calibration.of(*posteriors(200, 1, narrow=2.0))
    assert wide.verdict(wide.names[0]) == "too wide"


def test_coverage_is_that_of_the_levels_also_with_few_draws():
    truths, draws = posteriors(4000, 3, draws=39)
    found = coverage(truths, draws, (0.5, 0.9, 0.95))
    for level, shares in zip(found.levels, found.shares, strict=True):
        low, high = scipy.stats.binom(len(truths), level).interval(1 - 1e-4)
        assert ((low / len(truths) <= shares) & (shares <= high / len(truths))).all()
    assert ((found.low <= found.shares) & (found.shares <= found.high)).all()


def test_intervals_of_shares_are_scipys():
    truths, draws = posteriors(50, 4)
    found = coverage(truths, draws, (0.01, 0.5, 0.97))
    for shares, low, high in zip(found.shares, found.low, found.high, strict=True):
        for share, one, other in zip(shares, low, high, strict=True):
            exact = scipy.stats.binomtest(round(share * 50), 50).proportion_ci(0.95, "exact")
            assert (one, other) == pytest.approx((exact.low, exact.high))
    # Intervals that hold nothing, and all.
    far = coverage(truths + 100.0, draws, (0.5,))
    assert far.low.max() == 0.0 and far.high.max() == pytest.approx(1 - 0.025 ** (1 / 50))


def test_thinning_keeps_what_is_independent():
    random = np.random.default_rng(5)
    kept = 0.9  # from one to the next: 1 of 19 draws is worth something
    chains = np.zeros((2, 20_000, 2))
    steps = random.normal(size=chains.shape) * np.sqrt(1 - kept**2)
    for i in range(1, chains.shape[1]):
        chains[:, i] = kept * chains[:, i - 1] + steps[:, i]
    few = thinned(chains, 1000)
    assert few.shape == (1000, 2)
    assert abs(np.corrcoef(few[:-1, 0], few[1:, 0])[0, 1]) < 0.1
    with pytest.raises(ValueError, match=r"worth (1|2)\d\d\d independent draws, and 5000"):
        thinned(chains, 5000)
    with pytest.raises(ValueError, match="do not move"):
        thinned(np.ones((1, 50, 1)), 5)


def test_a_calibration_is_told_in_words_and_as_a_dataset():
    failures = {7: "ValueError: it exploded"}
    found = Calibration.of(*posteriors(200, 6, narrow=0.5), names=("x0", "K"), failures=failures)
    text = found.summary()
    assert "x0" in text and "too narrow" in text and "in 95 %" in text
    assert "wrong for x0, K" in text and "1 of 201 data sets failed" in text and "exploded" in text
    assert "no deviation" in repr(Calibration.of(*posteriors(200, 6)))
    data = found.to_xarray()
    assert data["coverage"].sel(level=0.9, parameter="K").item() == found.coverage.shares[1, 1]
    assert data.attrs == {"draws": DRAWS, "failures": 1}
    with pytest.raises(KeyError, match="no 'y'"):
        found.verdict("y")


def test_what_cannot_be_calibrated_is_told():
    truths, draws = posteriors(20, 0)
    with pytest.raises(ValueError, match="level is 1.5"):
        uniformity(ranks(truths, draws), DRAWS, 1.5)
    with pytest.raises(ValueError, match="and of 5 draws"):
        uniformity(ranks(truths, draws), 5)
    with pytest.raises(ValueError, match="3 ranks among"):
        uniformity(ranks(truths[:3], draws[:3]), DRAWS)
    with pytest.raises(ValueError, match=r"levels are \(2.0,\)"):
        coverage(truths, draws, (2.0,))
    with pytest.raises(ValueError, match="give 199 or more"):
        coverage(truths, draws, (0.99,))
    draws[3, 5, 1] = np.nan
    with pytest.raises(ValueError, match=r"no finite number at \[3, 5, 1\]"):
        ranks(truths, draws)
    with pytest.raises(ValueError, match="1 names and 2"):
        Calibration.of(*posteriors(20, 0), names=("a",))
