"""Neuronal avalanches: events, cascades of them, their power laws and branching ratio. NumPy."""

from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Bool, Float, Int, Shaped

from tvbjax.analysis._signals import Signals, as_finite_signals, as_whole

Events = Shaped[np.ndarray, "time region"]
# With fewer values a power law's exponent and beginning are worth little (Clauset et al. 2009).
_FEWEST = 50
_STEEPEST = 12.0


class Avalanches(NamedTuple):
    """`sizes`: events; `durations`: bins; `starts`: the first bin. `activity`: events in each bin
    of the whole recording."""

    sizes: Int[np.ndarray, " avalanche"]
    durations: Int[np.ndarray, " avalanche"]
    starts: Int[np.ndarray, " avalanche"]
    activity: Int[np.ndarray, " bin"]


class PowerLaw(NamedTuple):
    """P(x) ~ x^-exponent from `smallest` on. `error`: the exponent's standard error; `distance`:
    Kolmogorov's and Smirnov's, of the values from the law; `count`: of values in its range."""

    exponent: float
    smallest: int
    error: float
    distance: float
    count: int


def find_events(signals: Signals, threshold: float = 3.0) -> Bool[np.ndarray, "time region"]:
    """Where a signal is at its furthest while `threshold` standard deviations or more above its
    mean, or below: one event an excursion (Shriki et al., Journal of Neuroscience 33:7079, 2013).

    A constant signal has none. Raises `ValueError` for a NaN or a threshold that is not positive.
    """
    values = as_finite_signals("find_events", signals)
    if not threshold > 0:
        raise ValueError(f"find_events: threshold={threshold}; give a positive one.")
    centred = values - values.mean(axis=0)
    spread = np.where(np.ptp(values, axis=0) == 0, np.inf, values.std(axis=0))
    events = np.zeros(values.shape, bool)
    sides = np.where(np.abs(centred) >= threshold * spread, np.sign(centred), 0.0)
    for region, side in enumerate(sides.T):
        edges = np.flatnonzero(np.diff(side, prepend=0.0, append=0.0))
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            if side[first]:
                furthest = np.argmax(np.abs(centred[first:last, region]))
                events[first + furthest, region] = True
    return events


def find_avalanches(events: Events, width: int = 1) -> Avalanches:
    """Runs of bins with events between bins without any (Beggs and Plenz, Journal of Neuroscience
    23:11167, 2003).

    `events`: true, or how many. `width`: samples in a bin; those over at the end are left out. A
    run that the recording's beginning or end cuts off is no avalanche. Raises `ValueError` for
    events that are not whole numbers from 0, or no bin.
    """
    counts, width = np.asarray(events), as_whole("find_avalanches", "width", width)
    if counts.ndim != 2 or not 1 <= width <= len(counts):
        raise ValueError(
            f"find_avalanches: events of shape {counts.shape}, width={width}; give (time, region), "
            "and a width of 1 to the number of samples."
        )
    whole = counts.astype(int)
    if (whole != counts).any() or (whole < 0).any():
        raise ValueError(
            "find_avalanches: events are not true or false, or counts; find_events makes them of "
            "signals."
        )
    bins = len(whole) // width
    activity = whole[: bins * width].reshape(bins, -1).sum(axis=1)
    changes = np.diff((activity > 0).astype(int))
    starts, ends = np.flatnonzero(changes == 1) + 1, np.flatnonzero(changes == -1) + 1
    # An end before the first start is that of a run the beginning cuts off.
    ends = ends[ends > starts[0]] if len(starts) else ends[:0]
    starts = starts[: len(ends)]
    total = np.concatenate([[0], np.cumsum(activity)])
    return Avalanches(total[ends] - total[starts], ends - starts, starts, activity)


def branching_ratio(avalanches: Avalanches) -> float:
    """Events in an avalanche's second bin for one in its first, the mean over avalanches (Beggs and
    Plenz 2003): below 1 activity dies out, at 1 it is critical.

    Raises `ValueError` where there is no avalanche.
    """
    if not isinstance(avalanches, Avalanches):
        raise TypeError(
            f"branching_ratio: avalanches are of the type {type(avalanches).__name__}; give "
            "find_avalanches(find_events(signals))."
        )
    if not len(avalanches.starts):
        raise ValueError(
            "branching_ratio: no avalanches; lower the threshold of the events or the bins' width."
        )
    starts = avalanches.starts
    return float((avalanches.activity[starts + 1] / avalanches.activity[starts]).mean())


def fit_power_law(
    values: Int[np.ndarray, " value"], smallest: int | None = None, largest: int | None = None
) -> PowerLaw:
    """The exponent of a power law over whole numbers, by maximum likelihood: that of
    x^-a / zeta(a, smallest) (Clauset, Shalizi and Newman, SIAM Review 51:661, 2009, eq. 3.5).

    `smallest`: where the law begins; None: where the values are nearest to one (section 3.3), with
    at least 50 in it. `largest`: where it ends, such as the number of regions; None: nowhere.
    That values are best described by a power law is not said by this. Raises `ValueError` for
    values that are not whole numbers from 1, or fewer than two different ones in the range.
    """
    found = np.sort(np.asarray(values))
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer) or (found < 1).any():
        raise ValueError(
            f"fit_power_law: values of type {found.dtype} and shape {found.shape}; give whole "
            "numbers from 1, such as the sizes of avalanches."
        )
    if smallest is not None and smallest < 1:
        raise ValueError(f"fit_power_law: smallest={smallest}; give 1 or more.")
    if largest is not None:
        found = found[found <= largest]
    if smallest is not None:
        return _fit(found, smallest, largest)
    beginnings = np.unique(found)
    enough = len(found) - np.searchsorted(found, beginnings) >= _FEWEST
    laws = [_fit(found, int(x), largest) for x in beginnings[:-1] if enough[beginnings == x]]
    if not laws:
        raise ValueError(
            f"fit_power_law: {len(found)} values, {len(beginnings)} different ones; to find where "
            f"a law begins takes {_FEWEST} and two. Give more values, or smallest=."
        )
    return min(laws, key=lambda law: law.distance)


def _fit(found: np.ndarray, smallest: int, largest: int | None) -> PowerLaw:
    inside = found[found >= smallest]
    if not len(inside) or inside[0] == inside[-1]:
        raise ValueError(
            f"fit_power_law: {len(inside)} values from {smallest} to "
            f"{'any' if largest is None else largest}, not two different ones; lower smallest=, or "
            "give more values."
        )
    mean_log = np.log(inside).mean()

    def cost(exponent):
        return _log_sum(exponent, smallest, largest) + exponent * mean_log

    # Without an end the sum over all numbers is finite above 1 only.
    gentlest = 1.0 + 1e-6 if largest is None else -_STEEPEST
    best: Any = scipy.optimize.minimize_scalar(
        cost, bounds=(gentlest, _STEEPEST), method="bounded", options={"xatol": 1e-8}
    )
    exponent = float(best.x)
    step = 1e-3 * max(exponent - 1.0, 1e-3)
    curvature = (cost(exponent + step) - 2 * cost(exponent) + cost(exponent - step)) / step**2
    error = 1.0 / np.sqrt(len(inside) * curvature) if curvature > 0 else np.nan
    numbers, counts = np.unique(inside, return_counts=True)
    empirical = np.cumsum(counts) / len(inside)
    law = _cumulative(exponent, numbers, smallest, largest)
    # Between two values the law goes on rising while the sample does not.
    before = _cumulative(exponent, numbers - 1, smallest, largest)
    gaps = np.abs(empirical - law), np.abs(np.concatenate([[0.0], empirical[:-1]]) - before)
    return PowerLaw(exponent, smallest, float(error), float(np.max(gaps)), len(inside))


def _log_sum(exponent: float, smallest: int, largest: int | None) -> float:
    """ln of the sum of x^-exponent over the law's range."""
    if largest is None:
        return float(np.log(scipy.special.zeta(exponent, smallest)))
    numbers = np.arange(smallest, largest + 1)
    return float(scipy.special.logsumexp(-exponent * np.log(numbers)))


def _cumulative(
    exponent: float, numbers: np.ndarray, smallest: int, largest: int | None
) -> Float[np.ndarray, " number"]:
    if largest is None:
        zeta = scipy.special.zeta
        return 1.0 - zeta(exponent, numbers + 1) / zeta(exponent, smallest)
    weights = np.arange(smallest, largest + 1) ** -exponent
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    return sums[numbers - smallest + 1] / sums[-1]
