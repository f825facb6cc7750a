"""Spiking networks beside NEST: spike for spike where all is given, in the mean where it is drawn.

Of NEST's `iaf_psc_delta` and `LifDelta`, in double precision.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nest_networks
from apart import apart
from tvbjax import lems, spiking
from tvbjax.spiking import statistics

DT, DELAY = 0.1, 1.5
# Brunel (2000), fig. 8: what inhibition is to excitation, and the drive, by the one that alone
# brings a cell to its threshold.
REGIMES = {
    "synchronous regular": (3.0, 2.0),
    "fast oscillation": (6.0, 4.0),
    "asynchronous irregular": (5.0, 2.0),
    "slow oscillation": (4.5, 0.9),
}


@pytest.fixture(scope="module")
def nest(tmp_path_factory):
    """A function of a network and what else `nest_networks.spikes` takes, to spikes by population."""
    pytest.importorskip("nest", reason="needs pip install 'tvbjax[nest]'")
    path = str(tmp_path_factory.mktemp("nest") / "spikes.npz")

    with apart() as call:

        def run(network, duration, **given):
            sizes = [one.size for one in network.populations.values()]
            made = nest_networks.connections(network)
            call(_spikes, path, sum(sizes), made, duration, given)
            found = np.load(path)
            times, cells, trains = found["times"], found["cells"], {}
            for name, first in nest_networks.offsets(network).items():
                size = network.populations[name].size
                own = (cells >= first) & (cells < first + size)
                trains[name] = spiking.SpikeTrains(
                    times[own], (cells[own] - first).astype(np.int32), size, duration
                )
            return trains

        yield run


def _spikes(path, size, made, duration, given):
    return nest_networks.spikes(path, size, made, duration, dt=0.1, **given)


@functools.cache
def lif():
    """One, so that networks of one form are compiled once."""
    return lems.load_cell("LifDelta")


def network(sizes, degrees, weights, drives, delay=DELAY, initial=None):
    """Excitatory and inhibitory cells, of which each hears so many of both."""
    cell, initial = lif(), initial or {name: 0.0 for name in sizes}
    made = {
        name: spiking.Population(cell, size, initial={"v": initial[name]}, method=lems.Exact())
        for name, size in sizes.items()
    }
    projections = {
        source + target: spiking.Projection(
            source,
            target,
            spiking.FixedInDegree(degrees[source]),
            weight=weights[source],
            delay=delay,
        )
        for source in sizes
        for target in sizes
    }
    watch = [spiking.Spikes(name) for name in sizes]
    key = jax.random.key(0)
    return spiking.Network(made, projections, drives, dt=DT, key=key, monitors=watch)


def raster(trains):
    """Step and cell of every spike, sorted."""
    found = np.stack([np.rint(trains.times / DT).astype(int), trains.cells], axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def poisson_spikes(rng, rate, duration, cells, kept):
    """Times and cells of Poisson trains; so many in all, of which the rest come too late."""
    counts = rng.poisson(rate * DT, (round(duration / DT) - 1, cells))
    steps, own = np.nonzero(counts)
    often = counts[steps, own]
    times, own = np.repeat((steps + 2) * DT, often), np.repeat(own, often)
    late = kept - len(times)
    return np.append(times, np.full(late, 2.0 * duration)), np.append(own, np.zeros(late, int))


SIZES, JUMP, GIVEN_FOR = {"E": 320, "I": 80}, 1.2, 500.0


def given_network(balance, drive, weights=float, **more):
    """Without anything random: all spikes from outside, and all potentials at first, are given."""
    rng = np.random.default_rng(1)
    initial = {name: rng.uniform(0.0, 20.0, size) for name, size in SIZES.items()}
    drives = {}
    for name, size in SIZES.items():
        # Numbers of spikes that suit all regimes, so that one program is compiled.
        trains = poisson_spikes(rng, drive / JUMP, GIVEN_FOR, size, 1700 * size)
        drives[name] = spiking.SpikeTimes(name, *trains, JUMP)
    by_source = {"E": weights(JUMP), "I": weights(-balance * JUMP)}
    return network(SIZES, {"E": 80, "I": 20}, by_source, drives, initial=initial, **more)


def given_to_nest(made):
    """What NEST is given for the same."""
    first = nest_networks.offsets(made)
    drives = made.drives.values()
    return {
        "initial": np.concatenate([one.initial["v"] for one in made.populations.values()]),
        "given": {
            "times": np.concatenate([one.times for one in drives]),
            "cells": np.concatenate([one.cells + first[one.target] for one in drives]),
            "weight": JUMP,
        },
    }


@pytest.mark.parametrize("regime", REGIMES)
def test_networks_of_which_all_is_given_spike_at_the_same_steps(nest, regime):
    """Sixteen thousand spikes and more, of which each one is heard by a hundred cells."""
    made = given_network(*REGIMES[regime])
    ours = spiking.simulate(made, GIVEN_FOR, progress=False).spikes
    theirs = nest(made, GIVEN_FOR, **given_to_nest(made))
    for name in SIZES:
        np.testing.assert_array_equal(raster(ours[name]), raster(theirs[name]))
    print(regime, len(ours["E"]), ours["E"].rate)


def test_a_spike_that_comes_a_step_later_changes_all_that_follow():
    """So that agreement tells that all spikes are where they should be: such networks are chaotic.
    One to each cell, since one may come to a cell that does not listen."""
    made = given_network(*REGIMES["asynchronous irregular"])
    drive = made.drives["E"]
    from_there = drive.times > 100.0
    first = [np.argmax(from_there & (drive.cells == cell)) for cell in range(SIZES["E"])]
    times = drive.times.copy()
    times[first] += DT
    later = spiking.SpikeTimes("E", times, drive.cells, JUMP)
    other = eqx.tree_at(lambda n: n.drives["E"], made, later)
    found = [spiking.simulate(n, GIVEN_FOR, progress=False).spikes["E"] for n in (made, other)]
    early = [raster(one.between(0.0, 100.0)) for one in found]
    np.testing.assert_array_equal(*early)
    before, after = ({tuple(x) for x in raster(one.between(300.0, GIVEN_FOR))} for one in found)
    assert len(before & after) < 0.1 * len(before)


def test_weights_and_delays_of_each_connection_are_those_of_nest(nest):
    def weights(mean):
        return lambda rng, count: rng.normal(mean, 0.3, count)

    def delays(rng, count):
        return rng.uniform(0.1, 4.0, count).round(1)

    made = given_network(5.0, 2.0, weights=weights, delay=delays)
    ours = spiking.simulate(made, 200.0, progress=False).spikes
    theirs = nest(made, 200.0, **given_to_nest(made))
    assert len(ours["E"]) > 1000
    for name in SIZES:
        np.testing.assert_array_equal(raster(ours[name]), raster(theirs[name]))
