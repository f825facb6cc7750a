"""What spike trains are like: rates, intervals, counts, synchrony, spectra. NumPy, for results.

Of `SpikeTrains`; `trains.between(200.0, 1200.0)` leaves out how a run begins, and `trains.rate` is
the mean rate. Nothing here is NaN: where spikes are too few for a number, a `ValueError` says so.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tvbjax.kinds import check_count, check_kind, check_number
from tvbjax.spiking.result import SpikeTrains

_COUNTS_AT_ONCE = 4_000_000


class Spectrum(NamedTuple):
    """`density`, Hz, at `frequencies`, Hz."""

    frequencies: Float[np.ndarray, " frequency"]
    density: Float[np.ndarray, " frequency"]


def cell_rates(trains: SpikeTrains) -> Float[np.ndarray, " cell"]:
    """The rate of each cell, kHz."""
    _check("cell_rates", trains)
    return np.bincount(trains.cells, minlength=trains.size) / trains.duration


def intervals(
    trains: SpikeTrains,
) -> tuple[Float[np.ndarray, " interval"], Int[np.ndarray, " interval"]]:
    """All intervals from one spike of a cell to its next, ms, and the cell of each.

    Those of a cell follow one another. None at all where no cell spikes twice. Raises `ValueError`
    where a cell spikes twice at once.
    """
    _check("intervals", trains)
    order = np.lexsort((trains.times, trains.cells))
    times, cells = trains.times[order], trains.cells[order]
    same = cells[1:] == cells[:-1]
    values, own = np.diff(times)[same], cells[1:][same]
    if (values <= 0).any():
        raise ValueError(
            f"intervals: cell {own[np.argmin(values)]} spikes twice at the same time; leave out "
            "one of such spikes."
        )
    return values, own


def cv(trains: SpikeTrains, fewest: int = 10) -> float:
    """The coefficient of variation of intervals, the mean over cells that have `fewest` or more.

    Standard deviation (of all n, not n - 1) over mean: 0 for a clock, 1 for a Poisson process,
    1 / sqrt(k) for a gamma process of shape k (Softky and Koch, Journal of Neuroscience 13:334,
    1993). Raises `ValueError` where no cell has so many.
    """
    values, cells = intervals(trains)
    number, enough = _enough("cv", trains, cells, fewest, 2)
    mean = _by_cell(cells, values, trains.size) / np.maximum(number, 1)
    variance = _by_cell(cells, (values - mean[cells]) ** 2, trains.size)[enough] / number[enough]
    return float(np.mean(np.sqrt(variance) / mean[enough]))


def local_variation(trains: SpikeTrains, fewest: int = 10) -> float:
    """The local variation LV of intervals, the mean over cells that have `fewest` or more.

    3 times the mean of ((I - J) / (I + J))^2 over intervals I and their successors J: 0 for a
    clock, 1 for a Poisson process, 3 / (2 k + 1) for a gamma process of shape k; unlike the CV it
    is not raised by slow changes of the rate (Shinomoto, Shima and Tanji, Neural Computation
    15:2823, 2003, eq. 2.2). Raises `ValueError` where no cell has so many.
    """
    values, cells = intervals(trains)
    number, enough = _enough("local_variation", trains, cells, fewest, 2)
    same = cells[1:] == cells[:-1]
    here, next_one = values[:-1][same], values[1:][same]
    terms = ((here - next_one) / (here + next_one)) ** 2
    sums = _by_cell(cells[1:][same], terms, trains.size)[enough]
    return float(np.mean(3.0 * sums / (number[enough] - 1)))


def counts(
    trains: SpikeTrains, width: float, cells: Sequence[int] | np.ndarray | None = None
) -> Int[np.ndarray, "bin cell"]:
    """How often each cell spikes in bins of `width` ms, a multiple of the step.

    A bin begins after its first moment and ends with its last, as steps do. What is over at the
    end is left out. `cells`: their numbers; None is all.
    """
    chosen, bins = _cells("counts", trains, cells), _bins("counts", trains, width)
    return _counts(trains, width, bins, chosen)


def fano_factor(
    trains: SpikeTrains, width: float = 100.0, cells: Sequence[int] | np.ndarray | None = None
) -> float:
    """The Fano factor of counts in bins of `width` ms, the mean over cells that spike.

    Variance (unbiased) over mean: 1 for a Poisson process, and in long bins the square of the CV
    for a renewal process (Nawrot et al., Journal of Neuroscience Methods 169:374, 2008). `cells`:
    their numbers; None is all. Raises `ValueError` where none of them spikes.
    """
    found = []
    for own in _in_parts("fano_factor", trains, width, cells):
        mean = own.mean(axis=0)
        found.append(own.var(axis=0, ddof=1)[mean > 0] / mean[mean > 0])
    factors = np.concatenate(found)
    if not len(factors):
        raise ValueError(
            f"fano_factor: none of the cells spikes in {trains.duration:g} ms; simulate longer, or "
            "choose others."
        )
    return float(factors.mean())


def correlation(
    trains: SpikeTrains, width: float = 5.0, cells: Sequence[int] | np.ndarray | None = None
) -> float:
    """Pearson's correlation of the counts of two cells in bins of `width` ms, the mean over all
    pairs of `cells`; None is all (Kumar, Schrader, Aertsen and Rotter, Neural Computation 20:1,
    2008).

    0 for independent cells, 1 for one train in all; c for Poisson trains that have the share c of
    their spikes in common. Cells whose counts never vary, as silent ones, have no correlation and
    are left out. Found without the pairs themselves, from the sum of the standardised counts, so
    that thousands of cells cost little. Raises `ValueError` where fewer than two cells vary.
    """
    total, number = 0.0, 0
    for own in _in_parts("correlation", trains, width, cells):
        spread = own.std(axis=0)
        varies = spread > 0
        total = total + ((own - own.mean(axis=0))[:, varies] / spread[varies]).sum(axis=1)
        number += int(varies.sum())
    if number < 2:
        raise ValueError(
            f"correlation: the counts of {number} cells vary over the bins, and it needs two; "
            "simulate longer, or choose other cells or bins."
        )
    return float((np.mean(np.square(total)) - number) / (number * (number - 1)))


def population_fano_factor(trains: SpikeTrains, width: float = 3.0) -> float:
    """Synchrony: the variance (unbiased) of the number of all cells' spikes in bins of `width` ms
    over its mean (Potjans and Diesmann, Cerebral Cortex 24:785, 2014).

    1 for independent Poisson processes; where cells are correlated it grows with their number:
    compare populations of one size. Raises `ValueError` where no cell spikes.
    """
    total = _population_counts("population_fano_factor", trains, width)
    return float(total.var(ddof=1) / total.mean())


def chi(values: Any) -> float:
    """Synchrony of potentials: the deviation over time of their mean over cells, over the root of
    the mean of their variances (Golomb and Rinzel, Physica D 72:259, 1994).

    0 to 1: 1 where all cells are the same, 1 / sqrt(cells) where they are independent; how it falls
    with the size of a network tells synchronous states from asynchronous ones. `values`: (time,
    cell), such as `result["E"].sel(variable="v")`. Raises `ValueError` for a NaN, or where nothing
    varies.
    """
    found = np.asarray(values, float)
    if found.ndim != 2 or 0 in found.shape:
        raise ValueError(f"chi: the values have the shape {found.shape}; give (time, cell).")
    if not np.isfinite(found).all():
        raise ValueError("chi: a value is NaN or infinite; leave out what is missing.")
    single = found.var(axis=0).mean()
    # Smaller is what comes of rounding alone.
    if not single > (1e-14 * np.abs(found).max()) ** 2:
        raise ValueError("chi: no value varies over time; give those of cells that are driven.")
    return float(np.sqrt(found.mean(axis=1).var() / single))


def power_spectrum(trains: SpikeTrains, segment: float = 500.0, width: float = 1.0) -> Spectrum:
    """The power spectral density of the population's rate per cell, times the number of cells.

    Two-sided, Hz: independent Poisson processes have their rate, at all frequencies; a peak is an
    oscillation of the population, whose cells may spike less often (Brunel, Journal of
    Computational Neuroscience 8:183, 2000, fig. 8). By Welch's method: Hann windows of `segment` ms
    that overlap by half, each without its mean; `width`: ms of a bin, so that frequencies go to
    500 / width Hz. Raises `ValueError` where no cell spikes, or a segment is longer than the run.
    """
    import scipy.signal

    total = _population_counts("power_spectrum", trains, width)
    check_number("power_spectrum: segment", segment, above=0.0)
    bins = round(segment / width)
    if not 2 <= bins <= len(total):
        raise ValueError(
            f"power_spectrum: a segment of {segment:g} ms in bins of {width:g} ms, of a run of "
            f"{trains.duration:g} ms; give one of two bins or more that fits into the run."
        )
    rate = total * (1000.0 / (width * trains.size))
    frequencies, density = scipy.signal.welch(rate, 1000.0 / width, nperseg=bins)
    # SciPy's is one-sided: twice the density but at the ends.
    doubled = np.full(len(density), 2.0)
    doubled[0] = 1.0
    if bins % 2 == 0:
        doubled[-1] = 1.0
    return Spectrum(frequencies, density / doubled * trains.size)


def _check(name: str, trains: Any) -> None:
    check_kind(f"{name}: trains", trains, SpikeTrains, "result.spikes['E']")


def _bins(name: str, trains: SpikeTrains, width: float) -> int:
    """How many whole bins there are, two or more."""
    check_number(f"{name}: width", width, above=0.0)
    bins = math.floor(trains.duration / width * (1.0 + 1e-9))
    if bins < 2:
        raise ValueError(
            f"{name}: {trains.duration:g} ms have {bins} bins of {width:g} ms, and it needs two; "
            "simulate longer, or give a smaller width."
        )
    return bins


def _cells(name: str, trains: SpikeTrains, cells: Any) -> Int[np.ndarray, " chosen"]:
    _check(name, trains)
    if cells is None:
        return np.arange(trains.size)
    chosen = np.asarray(cells)
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
        raise TypeError(f"{name}: cells are {cells!r:.60}; give their numbers, such as range(100).")
    wrong = chosen[(chosen < 0) | (chosen >= trains.size)]
    if len(wrong) or len(np.unique(chosen)) < len(chosen):
        raise ValueError(
            f"{name}: cells have {f'the number {wrong[0]}' if len(wrong) else 'one number twice'}; "
            f"give different ones from 0 to {trains.size - 1}."
        )
    return chosen


def _bin_of(trains: SpikeTrains, width: float) -> Int[np.ndarray, " spike"]:
    # Times are multiples of a step but for rounding, and a bin ends with its last step.
    found = np.ceil((trains.times - trains.start) / width - 1e-6).astype(int) - 1
    return np.maximum(found, 0)


def _counts(trains: SpikeTrains, width: float, bins: int, chosen: np.ndarray) -> np.ndarray:
    column = np.full(trains.size, -1)
    column[chosen] = np.arange(len(chosen))
    where, column = _bin_of(trains, width), column[trains.cells]
    kept = (column >= 0) & (where < bins)
    places = where[kept] * len(chosen) + column[kept]
    return np.bincount(places, minlength=bins * len(chosen)).reshape(bins, len(chosen))


def _in_parts(name: str, trains: SpikeTrains, width: float, cells: Any) -> Iterator[np.ndarray]:
    """The counts of some cells after others, so that few are in memory."""
    chosen, bins = _cells(name, trains, cells), _bins(name, trains, width)
    for some in np.array_split(chosen, math.ceil(len(chosen) * bins / _COUNTS_AT_ONCE) or 1):
        yield _counts(trains, width, bins, some)


def _population_counts(name: str, trains: SpikeTrains, width: float) -> Int[np.ndarray, " bin"]:
    _check(name, trains)
    bins = _bins(name, trains, width)
    where = _bin_of(trains, width)
    total = np.bincount(where[where < bins], minlength=bins)
    if not total.any():
        raise ValueError(
            f"{name}: no cell spikes in {trains.duration:g} ms; simulate longer, or drive it more."
        )
    return total


def _by_cell(cells: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(cells, weights=values, minlength=size)


def _enough(
    name: str, trains: SpikeTrains, cells: np.ndarray, fewest: int, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """How many intervals each cell has, and whether these are enough."""
    check_count(f"{name}: fewest", fewest, least)
    number = np.bincount(cells, minlength=trains.size)
    enough = number >= fewest
    if not enough.any():
        raise ValueError(
            f"{name}: no cell has {fewest} intervals in {trains.duration:g} ms, the most being "
            f"{number.max()}; simulate longer, or give fewest={least} or more."
        )
    return number, enough
