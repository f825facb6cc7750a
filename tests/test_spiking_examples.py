"""The ready networks are in the regimes that their docstrings say."""

import jax
import pytest

import tvbjax
from spiking_brains import brain
from tvbjax import spiking
from tvbjax.spiking import examples, statistics

SPIKES = tuple(map(spiking.Spikes, ("STN", "GPe", "GPi", "thalamus")))
STATES = {"healthy": (1.0, 0.0), "without dopamine": (0.0, 0.0), "stimulated": (0.0, 0.03)}


def test_the_column_is_slow_and_irregular_in_a_brain():
    region = examples.column_region(examples.cortical_column())
    weak = brain(coupling=tvbjax.coupling.Linear(a=0.01))
    cosimulator = spiking.CoSimulator(weak, {"spiking": region})
    result = spiking.cosimulate(cosimulator, 1000.0, key=jax.random.key(1))
    trains = result.regions["spiking"].spikes
    assert 4.0 < 1000 * trains["E"].rate < 15.0 and 5.0 < 1000 * trains["I"].rate < 25.0
    assert statistics.cv(trains["E"], fewest=5) > 0.6
    gating = result.brain["subsample"].sel(region="spiking", variable="S_e").values[-300:]
    rate = trains["E"].between(400.0, 1000.0).rate
    # At rest S is where what opens and what closes balance.
    expected = 0.641 * rate / (0.641 * rate + 0.01)
    assert gating.mean() == pytest.approx(expected, rel=0.15)


def in_all_states(seed, duration):
    """The trains of each state, without how they begin."""
    found = {}
    for name, (dopamine, amplitude) in STATES.items():
        course = examples.suppressing_pulses(amplitude=amplitude)
        network = examples.basal_ganglia(
            dopamine, course, key=jax.random.key(seed), monitors=SPIKES
        )
        result = spiking.simulate(network, 300.0 + duration, key=jax.random.key(10 + seed))
        found[name] = {
            nucleus: trains.between(300.0, 300.0 + duration)
            for nucleus, trains in result.spikes.items()
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_stimulation_brings_rates_without_dopamine_back(seed):
    found = in_all_states(seed, 5000.0)
    healthy, without, stimulated = (
        {nucleus: 1000 * trains.rate for nucleus, trains in found[name].items()} for name in STATES
    )
    ranges = {"STN": (15, 30), "GPe": (45, 70), "GPi": (55, 80), "thalamus": (10, 25)}
    for nucleus, (low, high) in ranges.items():
        assert low < healthy[nucleus] < high
    assert without["GPe"] < 0.75 * healthy["GPe"]
    assert without["STN"] > 1.25 * healthy["STN"]
    assert without["GPi"] > 1.08 * healthy["GPi"]
    assert without["thalamus"] < 0.9 * healthy["thalamus"]
    for nucleus, least, most in (("STN", 1.0, 1.6), ("GPi", 0.7, 1.3), ("thalamus", 0.5, 1.3)):
        lost = without[nucleus] - healthy[nucleus]
        assert least < (without[nucleus] - stimulated[nucleus]) / lost < most
    for nucleus in ("STN", "GPi"):
        synchrony = {
            name: statistics.population_fano_factor(trains[nucleus], 20.0)
            for name, trains in found.items()
        }
        assert synchrony["without dopamine"] > 1.3 * synchrony["healthy"]
        assert synchrony["stimulated"] < synchrony["without dopamine"]


def test_what_the_brain_says_drives_the_subthalamic_nucleus():
    rates = []
    for gain in (0.0, 10.0):
        heard = spiking.Heard("c_0", gain=gain, unit="1/ms")
        network = examples.basal_ganglia(heard=heard, cells=20)
        cosimulator = spiking.CoSimulator(brain(), {"spiking": examples.ganglia_region(network)})
        result = spiking.cosimulate(cosimulator, 200.0, key=jax.random.key(1))
        rates.append(result.regions["spiking"].spikes["STN"].rate)
        gating = result.brain["subsample"].sel(region="spiking", variable="S_e").values
        assert 0.0 < gating[-1] < 1.0
    assert rates[1] > 1.2 * rates[0]


@pytest.mark.parametrize("wrong", [{"dopamine": -0.1}, {"dopamine": 1.1}, {"cells": 1}])
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ValueError, match="basal_ganglia: "):
        examples.basal_ganglia(**wrong)
