"""Whether ranks are uniform: by chi squared, and by a band about the empirical distribution.

Säilynoja, Bürkner and Vehtari (2022), Statistics and Computing 32:32. Their probability that a
whole path stays within a band is summed here from point to point (their algorithm 2), so that the
band and the p value are exact and need no random numbers.
"""

import dataclasses

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float, Int

_POINTS = 50  # at which a path is compared; more would tell of the same deviations
_BINS = 20
_EXPECTED = 5  # in a bin at least, so that chi squared holds
_SURE = 1e-9  # below it, Bonferroni's bound is the p value


@dataclasses.dataclass(frozen=True, eq=False)
class Uniformity:
    """How ranks of each parameter differ from uniform ones.

    `chi_square`, `ecdf`: p values. `deviation`: the greatest difference between the empirical
    distribution and the uniform one, of at most 1. `points`: shares of the ranks where the
    distributions are compared. `paths`: the empirical ones there; `low`, `high`: the band in which
    all of a path lies with the probability `level`, if ranks are uniform.
    """

    chi_square: Float[np.ndarray, " parameter"]
    ecdf: Float[np.ndarray, " parameter"]
    deviation: Float[np.ndarray, " parameter"]
    points: Float[np.ndarray, " point"]
    paths: Float[np.ndarray, "parameter point"]
    low: Float[np.ndarray, " point"]
    high: Float[np.ndarray, " point"]
    level: float


def uniformity(ranks: Int[np.ndarray, "n d"], draws: int, level: float = 0.95) -> Uniformity:
    """Compare ranks, each of 0 to `draws`, with uniform ones.

    `level`: the band's, between 0 and 1. Raises `ValueError` for fewer than 10 ranks, too few draws
    or ranks outside of their range.
    """
    count = len(ranks)
    if count < 2 * _EXPECTED or draws < 1:
        raise ValueError(
            f"uniformity: {count} ranks among {draws} draws tell nothing; give "
            f"{2 * _EXPECTED} or more, among one or more draws."
        )
    if ranks.min() < 0 or ranks.max() > draws:
        raise ValueError(
            f"uniformity: ranks go from {ranks.min()} to {ranks.max()}, and of {draws} draws they "
            "are 0 to that; give the number of draws that the ranks are among."
        )
    if not 0 < level < 1:
        raise ValueError(f"uniformity: the level is {level}; give one between 0 and 1.")
    last = np.unique(np.rint(np.linspace(0, draws - 1, min(_POINTS, draws))).astype(int))
    points = (last + 1) / (draws + 1)
    below = (ranks[:, :, None] <= last).sum(axis=0)
    low, high = _band(points, count, level)
    return Uniformity(
        np.array([_chi_square(column, draws) for column in ranks.T]),
        np.array([_p_value(counts, points, count) for counts in below]),
        np.abs(below / count - points).max(axis=1),
        points,
        below / count,
        low / count,
        high / count,
        level,
    )


def _chi_square(ranks: Int[np.ndarray, " n"], draws: int) -> float:
    """The p value of counts in bins, whose expected counts follow from how many ranks each has."""
    bins = min(draws + 1, len(ranks) // _EXPECTED, _BINS)
    edges = np.rint(np.linspace(0, draws + 1, bins + 1)).astype(int)
    found = np.histogram(ranks, edges)[0]
    expected = len(ranks) * np.diff(edges) / (draws + 1)
    return float(scipy.stats.chi2.sf(((found - expected) ** 2 / expected).sum(), bins - 1))


def _p_value(below: Int[np.ndarray, " point"], points: np.ndarray, count: int) -> float:
    """How often uniform ranks have a less likely point somewhere on their path."""
    binomial = scipy.stats.binom(count, points)
    tails = 2 * np.minimum(binomial.cdf(below), binomial.sf(below - 1))
    least = float(tails.min())
    if least >= 1:
        return 1.0
    if least < _SURE:
        return min(1.0, len(points) * least)
    # Just below, as a path as unlikely as this one is one of those that are counted.
    return float(np.clip(1 - _inside(*_intervals(points, count, least), points, count), 0, 1))


def _band(points: np.ndarray, count: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest counts at each point, such that a whole path lies within with `level`."""
    narrow, wide = 1.0, (1 - level) / len(points) / 2
    for _ in range(40):
        middle = (narrow * wide) ** 0.5
        inside = _inside(*_intervals(points, count, middle), points, count)
        narrow, wide = (narrow, middle) if inside >= level else (middle, wide)
        if narrow < 1.001 * wide:
            break
    return _intervals(points, count, wide)


def _intervals(points: np.ndarray, count: int, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest counts of which both of a point's tails, twice, are above `tail`."""
    binomial = scipy.stats.binom(count, points)
    # The tails at a count include it; a share of 1e-9 is for rounding.
    inner = tail / 2 * (1 + 1e-9)
    low = binomial.ppf(inner).astype(int)
    low = np.where(binomial.cdf(low) > inner, low, low + 1)
    high = binomial.isf(inner).astype(int)
    high = np.where(binomial.sf(high - 1) > inner, high, high - 1)
    return low, high


def _inside(low: np.ndarray, high: np.ndarray, points: np.ndarray, count: int) -> float:
    """The probability that the counts of uniform ranks are from `low` to `high` at all points."""
    if (low > high).any():
        return 0.0
    logs = scipy.special.gammaln(np.arange(count + 1) + 1.0)  # of factorials
    before, chances, start = np.array([0]), np.ones(1), 0.0
    for least, most, point in zip(low, high, points, strict=True):
        after = np.arange(least, most + 1)
        step = (point - start) / (1 - start)
        more, rest = after[None] - before[:, None], count - after
        # Of those that are not counted yet, a binomial number is below this point.
        likely = logs[count - before][:, None] - logs[np.maximum(more, 0)] - logs[rest]
        likely += more * np.log(step) + rest * np.log1p(-step)
        chances = chances @ np.exp(np.where(more < 0, -np.inf, likely))
        before, start = after, point
    return float(chances.sum())
