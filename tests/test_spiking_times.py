"""Given spikes arrive when they are said to, each once, however time is cut into blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax import lems, spiking


def arrivals(drive, ends, dt, cells):
    """The counts of blocks that end at these steps."""

    some = jax.jit(
        lambda first, length: drive.counts(None, {}, first, first, length, dt, cells),
        static_argnums=1,
    )
    found, first = [], 0
    for end in ends:
        found.append(np.asarray(some(jnp.asarray(first, jnp.int32), end - first)))
        first = end
    return np.concatenate(found)


@pytest.mark.parametrize("ends", [(1000,), (1, 15, 16, 500, 1000)])
def test_counts_are_those_of_a_plain_loop(ends):
    """More than are looked at at once, several at a time, in no order, some after the end."""
    rng, dt = np.random.default_rng(0), 0.1
    steps, cells = rng.integers(1, 1100, 5000), rng.integers(0, 7, 5000)
    steps[:1500] = 321
    given = spiking.SpikeTimes("E", steps * dt, cells, 1.0)
    wanted = np.zeros((1100, 7))
    for step, cell in zip(steps, cells, strict=True):
        wanted[step - 1, cell] += 1
    np.testing.assert_array_equal(arrivals(given, ends, dt, 7), wanted[:1000])


@pytest.mark.parametrize("ends", [(8,), (2, 3, 8)])
def test_times_between_steps_go_to_the_nearest_once(ends):
    given = spiking.SpikeTimes("E", [0.06, 0.14, 0.25, 0.35, 0.449], [0] * 5, 1.0)
    found = arrivals(given, ends, 0.1, 1)[:, 0]
    assert found[0] == 2 and found.sum() == 5 and found[1:4].sum() == 3


def test_a_spike_lifts_the_potential_at_its_time():
    """And the potential decays from there: v = 3 exp(-(t - 2) / 20)."""
    population = spiking.Population(lems.load_cell("LifDelta"), 2, method=lems.Exact())
    given = spiking.SpikeTimes("E", [2.0], [1], 3.0)
    watch = spiking.States("E", ("v",))
    network = spiking.Network({"E": population}, {}, {"one": given}, dt=0.1, monitors=watch)
    found = spiking.simulate(network, 5.0)["E"].sel(variable="v")
    time = found.time.values
    wanted = np.where(time > 1.95, 3.0 * np.exp(-(time - 2.0) / 20.0), 0.0)
    np.testing.assert_allclose(found.sel(cell=1), wanted, rtol=1e-12)
    assert not found.sel(cell=0).any()


def test_no_spikes_are_none():
    given = spiking.SpikeTimes("E", [], [], 1.0)
    assert arrivals(given, (5,), 0.1, 3).tolist() == [[0.0] * 3] * 5


def test_a_network_of_given_spikes_has_slopes():
    """Of what is counted the times have none; the weight has: here that of a soft spike."""
    population = spiking.Population(lems.load_cell("LifDelta"), 1, method=lems.Exact())

    def rate(weight):
        given = spiking.SpikeTimes("E", [1.0, 1.5, 2.0], [0, 0, 0], weight)
        made = {"E": population}
        network = spiking.Network(made, {}, {"one": given}, dt=0.1, surrogate=spiking.FastSigmoid())
        return spiking.rates(network, 5.0)["E"].sum()

    assert jax.grad(rate)(jnp.asarray(6.0)) > 0.0


def test_what_does_not_fit_is_told():
    population = spiking.Population(lems.load_cell("LifDelta"), 2)

    def network(given):
        return spiking.Network({"E": population}, {}, {"one": given}, dt=0.1)

    with pytest.raises(ValueError, match=r"times of shape \(2,\) and cells of shape \(1,\)"):
        network(spiking.SpikeTimes("E", [1.0, 2.0], [0], 1.0))
    with pytest.raises(ValueError, match="a time is 0 ms; give times after 0"):
        network(spiking.SpikeTimes("E", [0.0, 2.0], [0, 1], 1.0))
    with pytest.raises(ValueError, match="there is no cell 2 among 2"):
        network(spiking.SpikeTimes("E", [1.0, 2.0], [0, 2], 1.0))
