"""The ready networks are in the regimes that their docstrings say."""

import jax
import pytest

import tvbjax
from spiking_brains import brain
from tvbjax import spiking
from tvbjax.spiking import examples, statistics


def rates_of(network, duration, seed):
    result = spiking.simulate(network, duration, key=jax.random.key(seed))
    late = result["rates"].sel(time=slice(500.0, None)).mean("time")
    return {name: 1000 * float(late.sel(population=name)) for name in late.population.values}


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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_stimulation_brings_rates_without_dopamine_back(seed):
    key = jax.random.key(seed)
    healthy, without, stimulated = (
        rates_of(examples.basal_ganglia(dopamine, course, key=key), 2500.0, 10 + seed)
        for dopamine, course in ((1.0, None), (0.0, None), (0.0, examples.suppressing_pulses()))
    )
    assert without["GPe"] < 0.9 * healthy["GPe"]
    assert without["STN"] > healthy["STN"]
    assert without["GPi"] > 1.08 * healthy["GPi"]
    assert without["thalamus"] < 0.95 * healthy["thalamus"]
    for name in ("GPi", "thalamus"):
        back = (stimulated[name] - without[name]) / (healthy[name] - without[name])
        assert 0.25 < back < 1.2


def test_the_basal_ganglia_are_a_region_of_a_brain():
    network = examples.basal_ganglia(
        heard=spiking.Heard("c_0", gain=5.0, unit="1/ms"), cells=20, monitors=()
    )
    cosimulator = spiking.CoSimulator(brain(), {"spiking": examples.ganglia_region(network)})
    result = spiking.cosimulate(cosimulator, 100.0, key=jax.random.key(1))
    gating = result.brain["subsample"].sel(region="spiking", variable="S_e").values
    assert 0.0 < gating[-1] < 1.0


def test_examples_are_made_without_starting_jax():
    assert tvbjax.spiking.examples is examples
