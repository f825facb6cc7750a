"""Drives: laws of Poisson spikes alone and together, times, and currents."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare, norm, poisson

from spiking_cells import probe
from tvbjax import equations, lems, spiking as sp
from tvbjax.spiking.poisson import bits_of, lanes_of, poisson_counts

DT = 0.1
KEY = jax.random.key(8)
TOGETHER = [None, sp.SingleInteraction(0.3), sp.MultipleInteraction(0.3)]


@eqx.filter_jit
def counts(drive, first, steps, cells, key=KEY, signals=None, dt=DT):
    return drive.counts(key, signals or {}, jnp.asarray(0), jnp.asarray(first), steps, dt, cells)


def drawn(rate, steps=2000, cells=500, correlation=None):
    """Counts of which `rate` are expected in a step."""
    return np.asarray(counts(poisson_drive(rate / DT, correlation), 0, steps, cells))


def poisson_drive(rate, correlation=None):
    return sp.Poisson("E", rate, weight=1.0, correlation=correlation)


@pytest.mark.parametrize("rate", [1e-4, 0.02, 0.9, 5.0, 40.0])
@pytest.mark.parametrize("correlation", [None, sp.SingleInteraction(0.3)], ids=["alone", "single"])
def test_counts_obey_poissons_law(rate, correlation):
    """Those of one cell in different steps, and those of different cells."""
    found = drawn(rate, 20_000, 20 if correlation else 50, correlation)
    # Correlated cells count less than as many independent ones.
    alone = found.size / (1.0 + (0.0 if correlation is None else 0.3 * (found.shape[1] - 1)))
    assert found.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate / alone))
    spread = np.sqrt((rate + 2 * rate**2) / alone)
    assert found.var() == pytest.approx(rate, abs=5 * spread)
    one = found[:, 0] if correlation else found.ravel()
    low, high = poisson.ppf([1e-3, 1 - 1e-3], rate).astype(int)
    edges = np.arange(low, high + 1)
    shares = np.append(poisson.pmf(edges, rate), poisson.sf(high, rate))
    shares[0] = poisson.cdf(low, rate)
    seen = np.bincount(np.clip(one.astype(int), low, high + 1) - low, minlength=len(shares))
    enough = shares * one.size > 5
    seen = np.append(seen[enough], seen[~enough].sum())
    shares = np.append(shares[enough], shares[~enough].sum())
    if shares[-1] * one.size < 1:
        seen, shares = seen[:-1], shares[:-1] / shares[:-1].sum()
    if len(shares) > 1:
        assert chisquare(seen, shares / shares.sum() * seen.sum()).pvalue > 1e-5


def test_counts_of_single_precision():
    """Rare events are as frequent as they should be, and no number is out of the way."""
    with jax.enable_x64(False):
        for rate in (1e-3, 0.9, 40.0):
            found = drawn(rate, 20_000, 50)
            assert found.dtype == np.float32
            assert found.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate / found.size))
            assert found.max() < poisson.isf(1e-12, rate)
        many = drawn(8.0, 4000, 3, sp.MultipleInteraction(0.9))
        assert many.var() == pytest.approx(8.0, rel=0.1)


def test_cells_and_steps_and_keys_are_independent():
    found = drawn(0.7, 50_000, 2)
    other = np.asarray(counts(poisson_drive(7.0), 0, 50_000, 2, key=jax.random.key(9)))
    pairs = [
        (found[:, 0], found[:, 1]),
        (found[:-1, 0], found[1:, 0]),
        (found[:, 0], other[:, 0]),
    ]
    for one, two in pairs:
        assert abs(np.corrcoef(one, two)[0, 1]) < 4.5 / np.sqrt(50_000)


def test_rates_of_each_cell():
    rates = np.array([0.0, 1.0, 4.0, 9.0])
    found = np.asarray(counts(poisson_drive(rates), 0, 40_000, 4)).mean(axis=0)
    assert found[0] == 0
    np.testing.assert_allclose(found, rates * DT, atol=5 * np.sqrt(0.9 / 40_000))


def test_rates_that_follow_an_equation_of_time():
    wave = equations.Expression("2 + 3 * sin(0.06 * t)")  # below 0 at times
    found = np.asarray(counts(poisson_drive(wave), 250, 1000, 2000)).mean(axis=1)
    expected = np.maximum(np.asarray(wave(DT * (250 + jnp.arange(1000.0)))), 0) * DT
    assert (expected == 0).any() and not found[expected == 0].any()
    deviations = (found - expected) / np.sqrt(np.maximum(expected, 1e-4) / 2000)
    assert np.abs(deviations).max() < 5
    assert deviations[expected > 0.05].std() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("correlation", TOGETHER, ids=["alone", "single", "multiple"])
def test_counts_do_not_depend_on_how_time_is_cut(correlation):
    drive = poisson_drive(6.0, correlation)
    whole = np.asarray(counts(drive, 0, 300, 5))
    pieces = [counts(drive, first, 100, 5) for first in (0, 100, 200)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("kind", [sp.SingleInteraction, sp.MultipleInteraction])
@pytest.mark.parametrize("correlation", [0.05, 0.4, 0.8, 1.0])
@pytest.mark.parametrize("rate", [0.05, 1.5])
def test_correlated_trains_have_the_rate_and_the_correlation_of_any_two(kind, correlation, rate):
    cells, steps = 12, 40_000
    found = drawn(rate, steps, cells, kind(correlation))
    alone = steps * cells / (1.0 + (cells - 1) * correlation)
    assert found.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate / alone))
    assert found.var() == pytest.approx(rate, abs=5 * np.sqrt((rate + 2 * rate**2) / alone))
    each = np.corrcoef(found.T)[np.triu_indices(cells, 1)]
    if correlation == 1.0:
        np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], found.shape))
        return
    # Kurtosis of rare events makes the sample's correlation vary more than a normal one's.
    error = np.sqrt((1.0 + correlation / rate) / steps)
    assert each.mean() == pytest.approx(correlation, abs=5 * error)
    assert np.abs(each - correlation).max() < 8 * error


def test_multiple_interactions_are_of_fewer_trains_than_single_ones():
    """In a single interaction process all trains spike together, in a multiple one a part of
    them: with n trains the common spikes are of n, or of about c n."""
    single, multiple = (
        (drawn(0.02, 60_000, 40, kind(0.2)) > 0).sum(axis=1)
        for kind in (sp.SingleInteraction, sp.MultipleInteraction)
    )
    assert (single == 40).mean() == pytest.approx(0.2 * 0.02, rel=0.3)
    assert (multiple > 30).sum() == 0
    common = multiple[multiple > 0]
    assert common.mean() == pytest.approx(0.2 * 40, rel=0.1)


@pytest.mark.parametrize("correlation", TOGETHER, ids=["alone", "single", "multiple"])
def test_the_derivative_by_the_rate_is_that_of_the_mean(correlation):
    def total(rate):
        return counts(poisson_drive(rate, correlation), 0, 50, 4).sum()

    assert jax.grad(total)(2.0) == pytest.approx(50 * 4 * DT)
    assert jax.jvp(total, (2.0,), (1.0,))[1] == pytest.approx(50 * 4 * DT)


def test_the_derivative_of_counts_by_each_rate_is_one():
    bits = bits_of(lanes_of(KEY, 3), jnp.asarray(0), 4)
    slopes = jax.grad(lambda rates: poisson_counts(bits, rates).sum())(jnp.full((4, 3), 0.5))
    np.testing.assert_array_equal(slopes, 1.0)


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    return probe(tmp_path_factory.mktemp("cells"))


def states(cell, drives, duration, names=("v",), size=3, method=None, dt=DT):
    net = sp.Network(
        {"E": sp.Population(cell, size, method=lems.Exact() if method is None else method)},
        {},
        drives,
        dt=dt,
        monitors=sp.States("E", names),
    )
    return sp.simulate(net, duration, key=KEY)["E"]


def test_given_spikes_arrive_at_their_times_with_weights_of_each_cell(cell):
    times, cells = [0.02, 3.0, 1.0, 3.0, 3.04, 9.9], [0, 0, 1, 0, 2, 1]
    weights = np.array([1.0, 2.0, 4.0])
    found = states(cell, {"in": sp.SpikeTimes("E", times, cells, weight=weights)}, 10.0)
    expected = np.zeros((100, 3))
    now = found.time.values
    for time, one in zip([0.1, 3.0, 1.0, 3.0, 3.0, 9.9], cells, strict=True):
        late = now - time
        expected[:, one] += weights[one] * np.where(late > -1e-6, np.exp(-late / 10.0), 0.0)
    np.testing.assert_allclose(found.sel(variable="v"), expected, rtol=1e-9, atol=1e-12)


def test_poisson_spikes_are_weighted(cell):
    """The mean of v is tau rate weight."""
    drive = sp.Poisson("E", [1.0, 1.0, 2.0], weight=[0.1, 0.2, -0.1])
    found = states(cell, {"in": drive}, 3000.0).sel(variable="v").values[1000:]
    for column, mean in enumerate([1.0, 2.0, -2.0]):
        # Of tau rate w with the counts of 2900 ms, of which each cell has rate 2900.
        rate = [1.0, 1.0, 2.0][column]
        assert found[:, column].mean() == pytest.approx(mean, rel=5 / np.sqrt(rate * 2900))


def charged(value, times, tau=10.0, resistance=10.0):
    return value * resistance * (1 - np.exp(-times / tau))


def test_constant_currents_are_exact(cell):
    value = np.array([0.0, 1.0, -0.5])
    found = states(cell, {"in": sp.Current("E", value)}, 30.0, ("v", "I_in"))
    expected = charged(value, found.time.values[:, None])
    np.testing.assert_allclose(found.sel(variable="v"), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(found.sel(variable="I_in"), np.tile(value, (300, 1)))


@pytest.mark.parametrize("method", [lems.Exact(), lems.ExponentialEuler()])
def test_currents_that_follow_an_equation_are_held_through_a_step(cell, method):
    wave = equations.Expression("0.2 + sin(0.3 * t)")
    found = states(cell, {"in": sp.Current("E", wave)}, 40.0, method=method)
    v, expected = 0.0, []
    for step in range(400):
        v += (10.0 * float(wave(jnp.asarray(step * DT))) - v) * (1 - np.exp(-DT / 10.0))
        expected.append(v)
    np.testing.assert_allclose(found.sel(variable="v", cell=1), expected, rtol=1e-10, atol=1e-12)


def test_drives_of_one_receptor_add_up(cell):
    drives = {
        "a": sp.SpikeTimes("E", [1.0], [0], weight=1.0),
        "b": sp.SpikeTimes("E", [1.0, 2.0], [0, 1], weight=2.0),
    }
    found = states(cell, drives, 3.0).sel(variable="v").values
    assert found[9, 0] == pytest.approx(3.0)
    assert found[19, 1] == pytest.approx(2.0)


def test_a_drive_is_the_same_whatever_else_there_is(cell):
    """By its name, not by its place."""
    one = {"in": sp.Poisson("E", 1.0, weight=0.1)}
    more = {"none": sp.Poisson("E", 1.0, weight=0.0), **one}
    np.testing.assert_array_equal(states(cell, one, 20.0), states(cell, more, 20.0))


def test_normal_limit():
    """Rates near the greatest are still Poisson: mean and deviation of their sums are normal."""
    sums = drawn(59.0, 2000, 200).sum(axis=0)
    deviations = (sums - 59.0 * 2000) / np.sqrt(59.0 * 2000)
    assert abs(deviations.mean()) < 4.5 / np.sqrt(200)
    assert norm.sf(np.abs(deviations)).min() > 1e-6
