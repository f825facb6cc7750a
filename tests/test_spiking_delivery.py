"""Delivery of spikes: every form against a plain loop, for any delays, blocks, pieces of time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiking_cells import plain_spikes
from tvbjax import lems, spiking as sp

CELL = lems.load_cell("LifDelta")
DT, STEPS = 0.1, 399
SIZES = {"E": 30, "I": 12}
FORMS = {
    "chosen": None,
    "events": lambda pairs, delays, sizes, block: sp.Events.of(pairs, delays, sizes, block),
    "in-edges": lambda pairs, delays, sizes, block: sp.InEdges.of(pairs, delays, sizes),
    "dense": lambda pairs, delays, sizes, block: sp.Dense.of(pairs, delays, sizes, block),
}


def some_delays(rng, count):
    return rng.choice([0.3, 0.7, 1.1, 6.4], count)


def projections():
    return {
        "EE": sp.Projection(
            "E",
            "E",
            sp.FixedInDegree(6),
            weight=lambda rng, count: rng.normal(0.5, 1.0, count),
            delay=some_delays,
        ),
        "EI": sp.Projection("E", "I", sp.Bernoulli(0.3), weight=0.8, delay=0.5),
        # Few of the senders are heard, by few: rows of one width would be mostly empty.
        "IE": sp.Projection(
            "I",
            "E",
            sp.Explicit([3, 3, 3, 0, 3], [0, 1, 2, 2, 0]),
            weight=[-1.0, -2.0, 0.5, -0.5, -0.25],
            delay=[0.3, 0.4, 0.5, 9.0, 0.3],
        ),
        "none": sp.Projection("I", "I", sp.Bernoulli(0.0), weight=1.0, delay=0.1),
    }


def network(form, block=None, start=None, surrogate=None, monitors=None):
    """Cells with constant currents of their own. `block`: fewer steps than may be taken at once."""
    rng = np.random.default_rng(5)
    populations = {}
    for name, size in SIZES.items():
        cell = CELL.with_params(I_e=rng.uniform(1.5, 6.0, size) * 0.001)
        first = rng.uniform(0.0, 19.0, size) if start is None else np.full(size, start)
        populations[name] = sp.Population(cell, size, method=lems.Exact(), initial={"v": first})
    made = sp.Network(
        populations,
        projections(),
        dt=DT,
        key=jax.random.key(2),
        form=form,
        surrogate=surrogate,
        monitors=[sp.Spikes("E"), sp.Spikes("I"), sp.States("E", ("v",))]
        if monitors is None
        else monitors,
    )
    if block is not None:
        object.__setattr__(made, "block", block)
    return made


def spikes_of(result, steps=STEPS):
    found = []
    for name, size in SIZES.items():
        trains, one = result.spikes[name], np.zeros((steps, size), bool)
        one[np.rint(trains.times / DT).astype(int) - 1, trains.cells] = True
        found.append(one)
    return np.concatenate(found, axis=1)


def plain(net):
    first = {"E": 0, "I": SIZES["E"]}
    edges = []
    for one in net.projections.values():
        count = len(one)
        weight, delays = (np.broadcast_to(np.asarray(x), count) for x in (one.weight, one.delays))
        edges += zip(
            np.asarray(one.sources) + first[one.source],
            np.asarray(one.targets) + first[one.target],
            weight,
            delays,
            strict=True,
        )
    whole = net.populations.values()
    currents = [np.asarray(p.cell.params["LifDelta"]["I_e"]) for p in whole]
    drive = 20.0 * np.concatenate(currents) / 0.001
    start = np.concatenate([np.asarray(p.initial["v"]) for p in whole])
    return plain_spikes(SIZES.values(), drive, start, edges, STEPS, DT)


@pytest.fixture(scope="module")
def reference():
    return plain(network(None))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_spikes_of_a_plain_loop(form, reference):
    net = network(FORMS[form])
    result = sp.simulate(net, STEPS * DT)
    assert net.block == 3
    assert 300 < reference.sum() < 3000
    np.testing.assert_array_equal(spikes_of(result), reference)


@pytest.mark.parametrize("form", FORMS)
def test_volleys_of_all_cells_at_once(form):
    """More spikes in a step than are looked at together."""
    net = network(FORMS[form], start=25.0)
    np.testing.assert_array_equal(spikes_of(sp.simulate(net, STEPS * DT)), plain(net))


@pytest.mark.parametrize("form", [name for name in FORMS if name != "chosen"])
def test_neither_blocks_nor_pieces_of_time_change_a_bit(form):
    whole = sp.simulate(network(FORMS[form]), STEPS * DT)
    single = sp.simulate(network(FORMS[form], 1), STEPS * DT)
    np.testing.assert_array_equal(single["E"], whole["E"])
    net, pieces = network(FORMS[form]), []
    for _ in range(3):  # of 133 steps, which blocks do not divide
        pieces.append(sp.simulate(net, 13.3, initial=pieces[-1] if pieces else None))
    np.testing.assert_array_equal(np.concatenate([one["E"] for one in pieces]), whole["E"])
    np.testing.assert_allclose(np.concatenate([one["E"].time for one in pieces]), whole["E"].time)
    for name in SIZES:
        times = np.concatenate([one.spikes[name].times for one in pieces])
        np.testing.assert_allclose(times, whole.spikes[name].times)


def test_the_chosen_forms():
    """On CPUs events, where most senders have about as many connections; with gradients others."""
    assert {type(one.form) for one in network(None).projections.values()} <= {
        sp.Events,
        sp.Dense,
        sp.InEdges,
    }
    soft = network(None, surrogate=sp.FastSigmoid())
    kinds = {name: type(one.form) for name, one in soft.projections.items()}
    assert kinds["EE"] is kinds["EI"] is sp.Dense
    assert kinds["IE"] is sp.Dense or kinds["IE"] is sp.InEdges
    many = sp.Network(
        {"E": sp.Population(CELL, 30)},
        {
            "a": sp.Projection(
                "E", "E", sp.FixedInDegree(5), weight=1.0, delay=np.linspace(1, 9, 150)
            )
        },
        dt=DT,
        key=jax.random.key(0),
        surrogate=sp.FastSigmoid(),
    )
    assert type(many.projections["a"].form) is sp.InEdges


@pytest.mark.parametrize("autapses", [False, True])
def test_cells_that_are_all_connected_alike(autapses):
    """Without a list of their connections, and with."""

    def run(form):
        cell = CELL.with_params(I_e=np.linspace(1.05, 1.5, 20) * 0.001)
        net = sp.Network(
            {"E": sp.Population(cell, 20, method=lems.Exact())},
            {"a": sp.Projection("E", "E", sp.AllToAll(autapses), weight=0.3, delay=0.7)},
            dt=DT,
            form=form,
            monitors=sp.Spikes("E"),
        )
        return type(net.projections["a"].form), sp.simulate(net, 60.0).spikes["E"]

    (_, one), (_, other) = run(None), run(FORMS["events"])
    assert len(one) > 40
    np.testing.assert_array_equal(one.times, other.times)
    np.testing.assert_array_equal(one.cells, other.cells)


def test_a_spike_arrives_after_its_delay_before_thresholds_are_tested():
    """It is sent at 1.0 ms, and one that lifts above the threshold makes a spike at once."""
    net = sp.Network(
        {"E": sp.Population(CELL, 3, method=lems.Exact())},
        {"a": sp.Projection("E", "E", sp.Explicit([0, 1], [1, 2]), weight=30.0, delay=[1.5, 0.1])},
        {"first": sp.SpikeTimes("E", [1.0], [0], weight=30.0)},
        dt=DT,
        monitors=[sp.Spikes("E"), sp.States("E", ("v",))],
    )
    result = sp.simulate(net, 5.0)
    spikes = result.spikes["E"]
    np.testing.assert_allclose(spikes.times, [1.0, 2.5, 2.6])
    assert spikes.cells.tolist() == [0, 1, 2]
    v = result["E"].sel(variable="v")
    assert v.sel(time=1.0, cell=0, method="nearest") == 10.0


def test_the_same_key_gives_the_same_run_and_another_one_another():
    net = sp.Network(
        {"E": sp.Population(CELL, 20, method=lems.Exact())},
        {"a": sp.Projection("E", "E", sp.FixedInDegree(4), weight=0.3, delay=some_delays)},
        {"in": sp.Poisson("E", 12.0, weight=0.3)},
        dt=DT,
        key=jax.random.key(0),
    )
    one, again, other = (
        np.asarray(sp.rates(net, 50.0, key=jax.random.key(n))["E"]) for n in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    begun = sp.simulate(net, 20.0, key=jax.random.key(1))
    cut = sp.simulate(net, 30.0, key=jax.random.key(1), initial=begun)
    both = np.concatenate([begun["rates"], cut["rates"]])[:, 0]
    np.testing.assert_allclose(both, one, rtol=1e-12)
    assert jnp.mean(one) > 0.01
