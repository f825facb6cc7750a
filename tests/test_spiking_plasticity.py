"""Plastic synapses: windows and recursions in closed form, plain loops, and NEST."""

import importlib.util
import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from spiking_cells import probe
from tvbjax import lems, spiking as sp

DT = 0.1
RELAY = lems.load_cell("LifDelta").with_params(t_ref=0.0)
STDP = dict(tau_plus=17.0, tau_minus=34.0, a_plus=0.01, a_minus=0.012, w_max=1.0)


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """No current that its synapses bring moves it: it spikes when it is told to."""
    made = probe(tmp_path_factory.mktemp("cells"), ["stdp_current", "short_term_current"])
    return made.with_params(C=1e12).with_params("stdp_current", **STDP)


def network(cell, before, after, connectivity, receptor, weight, delay, monitors=None):
    """Senders and receivers that spike at given times, (times, cells) each."""
    senders, receivers = (int(max(cells, default=0)) + 1 for _, cells in (before, after))
    drives = {"before": sp.SpikeTimes("pre", *before, weight=50.0)}
    if len(after[0]):
        drives["after"] = sp.SpikeTimes("post", *after, weight=50.0, receptor="in")
    return sp.Network(
        {"pre": sp.Population(RELAY, senders), "post": sp.Population(cell, receivers)},
        {"plastic": sp.Projection(
            "pre", "post", connectivity, weight=weight, delay=delay, receptor=receptor
        )},
        drives,
        dt=DT,
        key=jax.random.key(0),
        monitors=[sp.Spikes("pre"), sp.Spikes("post"), *(monitors or [])],
    )  # fmt: skip


def pairs(cell, lags, delay, **changed):
    """Weights after a spike of each sender, and one of its receiver `lags` after that has come."""
    lags = np.asarray(lags)
    count = len(lags)
    arrival = 60.0
    before = (arrival - np.broadcast_to(delay, count), np.arange(count))
    after = (arrival + lags, np.arange(count))
    one = cell.with_params("stdp_current", **changed)
    net = network(one, before, after, sp.OneToOne(), "stdp_current", 0.5, delay)
    result = sp.simulate(net, 120.0)
    np.testing.assert_allclose(np.sort(result.spikes["post"].times), np.sort(after[0]))
    return result.memory("plastic")["w"]


LAGS = [-50.0, -10.0, -1.0, -0.1, 0.1, 1.0, 10.0, 50.0]


@pytest.mark.parametrize("delay", [0.1, np.linspace(0.1, 9.0, len(LAGS)).round(1)])
def test_a_pair_of_spikes_changes_the_weight_by_the_exponential_window(cell, delay):
    lag = np.array(LAGS)
    window = np.where(
        lag > 0,
        STDP["a_plus"] * np.exp(-lag / STDP["tau_plus"]),
        -STDP["a_minus"] * np.exp(lag / STDP["tau_minus"]),
    )
    np.testing.assert_allclose(pairs(cell, LAGS, delay), 0.5 + window, rtol=1e-12)


def test_a_spike_that_comes_at_that_of_the_receiver_is_before_it(cell):
    assert pairs(cell, [0.0], 1.0)[0] == pytest.approx(0.5 + STDP["a_plus"])


def test_weights_stay_within_their_bounds(cell):
    assert pairs(cell, [-1.0, 1.0], 1.0, a_plus=0.7, a_minus=0.7).tolist() == [0.0, 1.0]


def test_parameters_of_each_receiver(cell):
    found = pairs(cell, [1.0, 1.0], 1.0, a_plus=np.array([0.01, 0.02]))
    np.testing.assert_allclose(found - 0.5, np.array([0.01, 0.02]) * np.exp(-1.0 / 17.0))


def trains(rng, cells, duration, step=0.5, gap=4):
    """Random spikes of some cells in whole multiples of `step`: (times, cells)."""
    times, owners = [], []
    for one in range(cells):
        found = np.cumsum(rng.integers(gap, 40, 400)) * step
        found = found[found < duration]
        times.append(found)
        owners.append(np.full(len(found), one))
    return np.concatenate(times), np.concatenate(owners)


def test_each_connection_remembers_its_own(cell):
    """All to all, with delays of each, against a loop over the events of one connection."""
    rng = np.random.default_rng(4)
    before, after = trains(rng, 5, 200.0), trains(rng, 3, 200.0)
    after = (after[0] + 0.2, after[1])
    delays, weights = rng.integers(1, 60, 15) * DT, rng.uniform(0.2, 0.8, 15)
    rule = sp.Explicit(*(x.ravel() for x in np.indices((5, 3))))
    net = network(cell, before, after, rule, "stdp_current", weights, delays)
    found = sp.simulate(net, 200.0).memory("plastic")["w"]
    p = STDP
    for number, (sender, receiver) in enumerate(np.ndindex(5, 3)):
        come = np.rint((before[0][before[1] == sender] + delays[number]) / DT)
        back = np.rint(after[0][after[1] == receiver] / DT)
        w = weights[number]
        for step, kind in sorted([(s, 0) for s in come] + [(s, 1) for s in back]):
            if step > 2000:
                continue
            if kind == 0:  # the receiver's spikes before, not at the time
                lags = (step - back[back < step]) * DT
                w = max(0.0, w - p["a_minus"] * np.exp(-lags / p["tau_minus"]).sum())
            else:  # and what has come, also just now
                lags = (step - come[come <= step]) * DT
                w = min(p["w_max"], w + p["a_plus"] * np.exp(-lags / p["tau_plus"]).sum())
        assert found[number] == pytest.approx(w, rel=1e-9)


def test_the_current_of_a_spike_is_the_weight_of_then(cell):
    """After one before the receiver's spike and one after it."""
    net = network(
        cell, ([10.0, 40.0], [0, 0]), ([20.0], [0]), sp.OneToOne(), "stdp_current", 0.5, 1.0,
        [sp.States("post", ["stdp_current/i"])],
    )  # fmt: skip
    result = sp.simulate(net, 50.0)
    current = result["post"].sel(cell=0, variable="stdp_current/i")
    first, second = (float(current.sel(time=t, method="nearest")) for t in (11.0, 41.0))
    assert first == pytest.approx(0.5)
    grown = 0.5 + STDP["a_plus"] * np.exp(-9.0 / STDP["tau_plus"])
    left = 0.5 * np.exp(-30.0 / 2.0)
    fallen = grown - STDP["a_minus"] * np.exp(-21.0 / STDP["tau_minus"])
    assert second - left == pytest.approx(fallen)


def test_weights_go_on_where_a_run_is_continued(cell):
    rng = np.random.default_rng(6)
    before, after = trains(rng, 2, 80.0), trains(rng, 2, 80.0)
    net = network(cell, before, after, sp.AllToAll(), "stdp_current", 0.5, 1.5)
    whole = sp.simulate(net, 80.0)
    cut = sp.simulate(net, 40.0, initial=sp.simulate(net, 40.0))
    np.testing.assert_array_equal(cut.memory("plastic")["w"], whole.memory("plastic")["w"])
    with pytest.raises(KeyError, match="'other' remembers nothing; projections that do: plastic"):
        whole.memory("other")


def jumps(result, times):
    """By how much the current rises at these times."""
    current = result["post"].sel(cell=0, variable="short_term_current/i").values
    at = np.rint(np.asarray(times) / DT).astype(int) - 1
    return current[at] - current[at - 1] * np.exp(-DT / 2.0)


def short_term(cell, times, delay=1.0, **params):
    one = cell.with_params("short_term_current", **params)
    watched = [sp.States("post", ["short_term_current/i"])]
    net = network(
        one, (times, np.zeros(len(times), int)), ([], []), sp.OneToOne(), "short_term_current",
        2.0, delay, watched,
    )  # fmt: skip
    return jumps(sp.simulate(net, float(np.ceil(times[-1] + 5.0))), np.asarray(times) + delay)


DEPRESSING = dict(U=0.5, tau_rec=800.0, tau_fac=0.1)
FACILITATING = dict(U=0.15, tau_rec=130.0, tau_fac=530.0)


@pytest.mark.parametrize("params", [DEPRESSING, FACILITATING], ids=["depressing", "facilitating"])
def test_short_term_plasticity_of_a_regular_train(cell, params):
    """Tsodyks, Pawelzik & Markram (1998), equations 2.1 to 2.4, between spikes in closed form."""
    times = 10.0 + 20.0 * np.arange(12)
    found = short_term(cell, times, **params)
    recovered = np.exp(-20.0 / params["tau_rec"])
    forgotten = np.exp(-20.0 / params["tau_fac"])
    u, x, expected = params["U"], 1.0, []
    for _ in times:
        expected.append(2.0 * u * x)
        x = 1.0 + (x * (1.0 - u) - 1.0) * recovered
        u = params["U"] + u * (1.0 - params["U"]) * forgotten
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    # Where it ends, had it gone on.
    u = params["U"] / (1.0 - (1.0 - params["U"]) * forgotten)
    x = (1.0 - recovered) / (1.0 - (1.0 - u) * recovered)
    assert found[-1] == pytest.approx(2.0 * u * x, rel=0.05)


# NEST, in a process of its own: its weights, and those that it sends.

NEST = """
import json, sys
import nest
nest.set_verbosity("M_ERROR")
given = json.load(sys.stdin)
nest.resolution = 0.1
before, after = (nest.Create("spike_generator", params={"spike_times": given[name]})
                 for name in ("before", "after"))
pre = nest.Create("parrot_neuron")
post = nest.Create("parrot_neuron", params={"tau_minus": given["tau_minus"]})
nest.Connect(before, pre, syn_spec={"delay": 0.1})
nest.Connect(after, post, syn_spec={"delay": 0.1})
weights = nest.Create("weight_recorder")
nest.CopyModel(given["model"], "plastic", {"weight_recorder": weights})
# Spikes at port 1 of a parrot are not repeated.
nest.Connect(pre, post, syn_spec={"synapse_model": "plastic", "receptor_type": 1,
                                  **given["synapse"]})
nest.Simulate(given["duration"])
print(json.dumps(list(weights.get("events", "weights"))))
"""
needs_nest = pytest.mark.skipif(
    importlib.util.find_spec("nest") is None, reason="needs pip install 'tvbjax[nest]'"
)


def nest_weights(model, before, after, duration, **synapse):
    """The weights that NEST sends, spike after spike; its parrots spike 0.1 ms late."""
    given = {
        "model": model,
        "before": (np.asarray(before) - 0.1).round(1).tolist(),
        "after": (np.asarray(after) - 0.1).round(1).tolist(),
        "duration": duration,
        "tau_minus": STDP["tau_minus"],
        "synapse": synapse,
    }
    ran = subprocess.run(
        [sys.executable, "-c", NEST], input=json.dumps(given), capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return np.array(json.loads(ran.stdout.splitlines()[-1]))


@needs_nest
@pytest.mark.parametrize("params", [DEPRESSING, FACILITATING], ids=["depressing", "facilitating"])
def test_short_term_plasticity_is_that_of_nest(cell, params):
    """tsodyks2_synapse, whose u is ours after the first spike."""
    times, _ = trains(np.random.default_rng(2), 1, 250.0)
    synapse = dict(weight=2.0, delay=1.0, u=params["U"], **params)
    sent = nest_weights("tsodyks2_synapse", times, [500.0], 400.0, **synapse)
    np.testing.assert_allclose(short_term(cell, times, **params), sent, rtol=1e-9)


@needs_nest
def test_spike_timing_dependent_plasticity_is_that_of_nest(cell):
    """stdp_synapse with additive changes. Its delay is one of the dendrite: the receiver's spikes
    take it to the synapse, and ours, of the axon, the sender's; so the receiver is told to spike
    the sum of both sooner there. Spikes at the very same time, of which NEST takes no note, do not
    occur."""
    rng = np.random.default_rng(9)
    before, _ = trains(rng, 1, 300.0)
    after, _ = trains(rng, 1, 250.0)
    after = after + 20.2
    before = before[before > 20.0]
    axon, dendrite = 1.5, 1.0
    sent = nest_weights(
        "stdp_synapse", before, after - axon - dendrite, 400.0,
        weight=0.5, delay=dendrite, Wmax=STDP["w_max"], mu_plus=0.0, mu_minus=0.0,
        tau_plus=STDP["tau_plus"], **{"lambda": STDP["a_plus"]},
        alpha=STDP["a_minus"] / STDP["a_plus"],
    )  # fmt: skip
    zeros = np.zeros_like(before, int), np.zeros_like(after, int)
    net = network(
        cell, (before, zeros[0]), (after, zeros[1]), sp.OneToOne(), "stdp_current", 0.5, axon,
        [sp.States("post", ["stdp_current/i"])],
    )  # fmt: skip
    result = sp.simulate(net, 400.0)
    current = result["post"].sel(cell=0, variable="stdp_current/i").values
    at = np.rint((before + axon) / DT).astype(int) - 1
    found = current[at] - current[at - 1] * np.exp(-DT / 2.0)
    np.testing.assert_allclose(found, sent, rtol=1e-9)
