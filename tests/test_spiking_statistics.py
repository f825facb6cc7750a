"""Statistics of spike trains, against the laws of point processes and plain loops."""

import dataclasses
import itertools

import numpy as np
import pytest

from tvbjax.spiking import SpikeTrains, statistics


def trains_of(each, duration, start=0.0):
    """Of the times of each cell."""
    cells = np.repeat(np.arange(len(each)), [len(one) for one in each])
    times = np.concatenate([np.asarray(one, float) for one in each])
    order = np.argsort(times, kind="stable")
    return SpikeTrains(times[order], cells[order].astype(np.int32), len(each), duration, start)


def gamma_trains(shape, rate, cells, duration, seed=0):
    """Renewal processes in equilibrium: what comes before a long time is left out."""
    rng = np.random.default_rng(seed)
    more = int(1.3 * rate * (duration + 1000.0)) + 100
    times = np.cumsum(rng.gamma(shape, 1.0 / (shape * rate), (cells, more)), axis=1) - 1000.0
    assert times[:, -1].min() > duration
    return trains_of([one[(one > 0) & (one <= duration)] for one in times], duration)


def poisson_trains(rate, cells, duration, seed=0, shared=0.0):
    """Poisson processes that have a share of their spikes in common."""
    rng = np.random.default_rng(seed)

    def train(rate):
        return rng.uniform(0.0, duration, rng.poisson(rate * duration))

    common = train(shared * rate)
    own = [train((1.0 - shared) * rate) for _ in range(cells)]
    return trains_of([np.concatenate([common, one]) for one in own], duration)


def clocks(period, cells, duration, dt=0.1):
    """Regular trains, each a step later than the one before."""
    return trains_of(
        [np.arange(1 + i, duration / dt + 1e-9, period / dt) * dt for i in range(cells)], duration
    )


@pytest.fixture(scope="module")
def poisson():
    return poisson_trains(0.02, 200, 20_000.0)


@pytest.fixture(scope="module")
def small():
    """For plain loops; the last cell is silent."""
    made = gamma_trains(2.0, 0.02, 12, 1500.0, seed=3)
    return dataclasses.replace(made, size=13)


def counted(trains, width):
    """Counts by a loop, bin by bin."""
    bins = int(trains.duration / width + 1e-9)
    found = np.zeros((bins, trains.size), int)
    for cell in range(trains.size):
        for time in trains.of(cell):
            for i in range(bins):
                if trains.start + i * width < time <= trains.start + (i + 1) * width:
                    found[i, cell] += 1
    return found


def test_rates_of_cells(poisson):
    found = statistics.cell_rates(poisson)
    assert found[7] == len(poisson.of(7)) / 20_000.0
    assert found.mean() == pytest.approx(poisson.rate)
    assert found.mean() == pytest.approx(0.02, abs=4.0 * np.sqrt(0.02 / 200 / 20_000.0))


def test_intervals_are_those_of_each_cell(small):
    values, cells = statistics.intervals(small)
    each = [np.diff(small.of(cell)) for cell in range(13)]
    np.testing.assert_array_equal(values, np.concatenate(each))
    np.testing.assert_array_equal(cells, np.repeat(np.arange(13), [len(one) for one in each]))


@pytest.mark.parametrize("shape", [1.0, 2.0, 4.0, 16.0])
def test_variation_of_gamma_processes(shape):
    made = gamma_trains(shape, 0.02, 100, 40_000.0)
    assert statistics.cv(made) == pytest.approx(shape**-0.5, rel=0.01)
    assert statistics.local_variation(made) == pytest.approx(3.0 / (2.0 * shape + 1.0), rel=0.01)
    factor = statistics.fano_factor(made, width=2000.0)
    # In bins of finite length it is larger by (1 - CV^4) / (6 mean) (Cox 1962, chapter 4).
    assert factor == pytest.approx(1.0 / shape + (1.0 - shape**-2) / 240.0, rel=0.1)


def test_variation_by_plain_loops(small):
    ratios, local = [], []
    for cell in range(12):
        apart = np.diff(small.of(cell))
        if len(apart) >= 25:
            ratios.append(np.std(apart) / np.mean(apart))
            pairs = list(itertools.pairwise(apart))
            local.append(3.0 * np.mean([((a - b) / (a + b)) ** 2 for a, b in pairs]))
    assert 0 < len(ratios) < 12
    assert statistics.cv(small, fewest=25) == pytest.approx(np.mean(ratios), rel=1e-12)
    assert statistics.local_variation(small, fewest=25) == pytest.approx(np.mean(local), rel=1e-12)


def test_local_variation_does_not_see_a_slow_change_of_rate():
    made = gamma_trains(4.0, 0.05, 50, 10_000.0)
    # A tenth of the rate in the second half.
    times = np.where(made.times < 5000.0, made.times, 5000.0 + 10.0 * (made.times - 5000.0))
    changed = dataclasses.replace(made, times=times, duration=55_000.0)
    assert statistics.cv(changed) > 2.0 * statistics.cv(made)
    assert statistics.local_variation(changed) == pytest.approx(1.0 / 3.0, rel=0.05)


def test_clocks_do_not_vary():
    made = clocks(20.0, 30, 2000.0)
    assert statistics.cv(made) == pytest.approx(0.0, abs=1e-12)
    assert statistics.local_variation(made) == pytest.approx(0.0, abs=1e-20)
    assert statistics.fano_factor(made, width=100.0) == 0.0
    assert statistics.population_fano_factor(made, width=20.0) == 0.0


def test_counts_by_plain_loops(small):
    moved = dataclasses.replace(small, times=small.times + 500.0, start=500.0)
    for trains in (small, moved):
        for width in (7.0, 50.0, 400.0):
            np.testing.assert_array_equal(statistics.counts(trains, width), counted(trains, width))
    np.testing.assert_array_equal(
        statistics.counts(small, 50.0, [3, 12, 0]), counted(small, 50.0)[:, [3, 12, 0]]
    )


def test_a_bin_ends_with_its_last_step():
    """Times are multiples of a step in floating point, so that an edge is missed by rounding."""
    steps = np.arange(1, 10_001)
    found = statistics.counts(trains_of([steps * 0.1], 1000.0), 0.3)
    assert (found == 3).all() and len(found) == 3333


def test_poisson_counts(poisson):
    for width in (5.0, 100.0):
        assert statistics.fano_factor(poisson, width) == pytest.approx(1.0, abs=0.02)
        assert statistics.population_fano_factor(poisson, width) == pytest.approx(1.0, abs=0.3)
        assert statistics.correlation(poisson, width) == pytest.approx(0.0, abs=1e-3)
    assert statistics.population_fano_factor(poisson) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("shared", [0.1, 0.5, 1.0])
def test_shared_spikes_correlate_counts(shared):
    made = poisson_trains(0.02, 40, 50_000.0, shared=shared)
    assert statistics.correlation(made, width=10.0) == pytest.approx(shared, rel=0.05)
    factor = statistics.population_fano_factor(made, width=10.0)
    assert factor == pytest.approx(1.0 + 39.0 * shared, rel=0.1)


def test_correlation_is_the_mean_over_pairs(small, monkeypatch):
    matrix = np.corrcoef(counted(small, 20.0)[:, :12].T)
    wanted = matrix[np.triu_indices(12, k=1)].mean()
    assert statistics.correlation(small, 20.0) == pytest.approx(wanted, rel=1e-10)
    some = [5, 1, 8, 12]  # of which 12 is silent
    chosen = matrix[np.ix_(some[:3], some[:3])][np.triu_indices(3, k=1)].mean()
    assert statistics.correlation(small, 20.0, some) == pytest.approx(chosen, rel=1e-10)
    monkeypatch.setattr(statistics, "_COUNTS_AT_ONCE", 200)  # two cells at once
    assert statistics.correlation(small, 20.0) == pytest.approx(wanted, rel=1e-10)


def test_fano_factors_by_plain_loops(small, monkeypatch):
    own = counted(small, 50.0)
    factors = [np.var(x, ddof=1) / np.mean(x) for x in own.T if x.any()]
    assert len(factors) == 12
    assert statistics.fano_factor(small, 50.0) == pytest.approx(np.mean(factors), rel=1e-12)
    monkeypatch.setattr(statistics, "_COUNTS_AT_ONCE", 100)
    assert statistics.fano_factor(small, 50.0) == pytest.approx(np.mean(factors), rel=1e-12)
    total = own.sum(axis=1)
    wanted = np.var(total, ddof=1) / np.mean(total)
    assert statistics.population_fano_factor(small, 50.0) == pytest.approx(wanted, rel=1e-12)


def test_chi_of_equal_and_of_independent_cells():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(5000, 1))
    assert statistics.chi(np.repeat(one, 20, axis=1)) == pytest.approx(1.0, rel=1e-12)
    alone = statistics.chi(rng.normal(-60.0, 3.0, (5000, 100)))
    assert alone == pytest.approx(0.1, rel=0.05)
    # Half of the variance in common.
    mixed = statistics.chi(one + rng.normal(size=(5000, 400)))
    assert mixed == pytest.approx(np.sqrt(0.5), rel=0.02)


def test_the_spectrum_of_independent_trains_is_their_rate(poisson):
    found = statistics.power_spectrum(poisson, segment=200.0, width=1.0)
    assert found.frequencies[1] == 5.0 and found.frequencies[-1] == 500.0
    assert found.density[2:-1].mean() == pytest.approx(20.0, rel=0.03)


def test_the_spectrum_by_a_plain_periodogram(small):
    """And its sum is the variance of the population's rate."""
    found = statistics.power_spectrum(small, segment=1500.0, width=2.0)
    rate = counted(small, 2.0).sum(axis=1) / (0.002 * 13)
    window = np.sin(np.pi * np.arange(750) / 750) ** 2
    power = np.abs(np.fft.rfft(window * (rate - rate.mean()))) ** 2
    density = power / (500.0 * np.sum(window**2))
    np.testing.assert_allclose(found.density, 13 * density, rtol=1e-9, atol=1e-12)


def test_the_spectrum_shows_an_oscillation_that_no_cell_has():
    """Cells spike rarely, and only in phase with 40 Hz."""
    rng = np.random.default_rng(1)
    cycles = np.arange(400)
    each = [25.0 * cycles[rng.random(400) < 0.1] + rng.uniform(5.0, 9.0) for _ in range(200)]
    made = trains_of(each, 10_000.0)
    found = statistics.power_spectrum(made, segment=500.0)
    assert found.frequencies[np.argmax(found.density)] == 40.0
    assert 1000.0 * made.rate == pytest.approx(4.0, rel=0.1)
    assert found.density.max() > 50.0 * 4.0


def test_a_part_of_trains_has_the_spikes_of_its_time():
    made = clocks(10.0, 3, 1000.0)
    part = made.between(200.0, 500.0)
    assert (part.start, part.duration, part.size) == (200.0, 300.0, 3)
    assert part.times.min() > 200.0 and part.times.max() <= 500.0 + 1e-9
    parts = [made.between(a, a + 100.0) for a in np.arange(0.0, 1000.0, 100.0)]
    assert [len(one) for one in parts] == [30] * 10
    assert part.rate == pytest.approx(0.1)
    ends = trains_of([np.arange(1, 11) * 0.1], 1.0)
    np.testing.assert_allclose(ends.between(0.3, 0.7).times, [0.4, 0.5, 0.6, 0.7])
    for start, end in ((-1.0, 5.0), (5.0, 5.0), (900.0, 1001.0)):
        with pytest.raises(ValueError, match="within the recorded 0 to 1000 ms"):
            made.between(start, end)


_SILENT = SpikeTrains(np.zeros(0), np.zeros(0, np.int32), 5, 1000.0)


@pytest.mark.parametrize("function", [statistics.cv, statistics.local_variation])
def test_too_few_intervals_are_told(function):
    with pytest.raises(ValueError, match=r"no cell has 10 intervals in 1000 ms, the most being 0"):
        function(_SILENT)
    with pytest.raises(ValueError, match=r"no cell has 10 intervals .* the most being 9; simulate"):
        function(trains_of([10.0 * np.arange(1, 11)], 1000.0))
    assert np.isfinite(function(trains_of([10.0 * np.arange(1, 12)], 1000.0)))
    with pytest.raises(ValueError, match="fewest is 1; give a whole number of 2 or more"):
        function(_SILENT, fewest=1)


def test_silence_is_told():
    assert statistics.cell_rates(_SILENT).tolist() == [0.0] * 5
    assert statistics.counts(_SILENT, 100.0).shape == (10, 5)
    assert len(statistics.intervals(_SILENT)[0]) == 0
    with pytest.raises(ValueError, match="fano_factor: none of the cells spikes in 1000 ms"):
        statistics.fano_factor(_SILENT)
    with pytest.raises(ValueError, match="population_fano_factor: no cell spikes in 1000 ms"):
        statistics.population_fano_factor(_SILENT)
    with pytest.raises(ValueError, match="power_spectrum: no cell spikes"):
        statistics.power_spectrum(_SILENT)
    with pytest.raises(ValueError, match="the counts of 0 cells vary over the bins, and it needs"):
        statistics.correlation(_SILENT)


def test_wrong_arguments_are_told(small):
    with pytest.raises(ValueError, match="have 1 bins of 1000 ms, and it needs two"):
        statistics.counts(small, 1000.0)
    with pytest.raises(ValueError, match="width is 0.0; give a number above 0"):
        statistics.fano_factor(small, 0.0)
    with pytest.raises(ValueError, match="the number 13; give different ones from 0 to 12"):
        statistics.correlation(small, 5.0, [1, 13])
    with pytest.raises(ValueError, match="one number twice"):
        statistics.correlation(small, 5.0, [1, 1])
    with pytest.raises(TypeError, match="give their numbers"):
        statistics.counts(small, 5.0, np.array([0.5]))
    with pytest.raises(ValueError, match="a segment of 2000 ms .* a run of 1500 ms"):
        statistics.power_spectrum(small, segment=2000.0)
    with pytest.raises(ValueError, match=r"cell 1 spikes twice at the same time"):
        statistics.cv(trains_of([[1.0, 2.0], [3.0, 3.0]], 10.0))
    with pytest.raises(ValueError, match=r"shape \(3,\); give \(time, cell\)"):
        statistics.chi(np.zeros(3))
    with pytest.raises(ValueError, match="NaN or infinite"):
        statistics.chi(np.array([[1.0, np.nan], [2.0, 3.0]]))
    with pytest.raises(ValueError, match="no value varies over time"):
        statistics.chi(np.full((10, 3), -60.1))
