"""A brain with a region in NEST, in a process of its own: agreement with our own network, and what
happens when NEST fails."""

import importlib.metadata
import importlib.util

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiking_brains import brain, column, outputs
from tvbjax import lems, spiking
from tvbjax.spiking.nest import worker
from tvbjax.spiking.nest.session import check_version

pytest.importorskip("nest")
KEY = jax.random.key(7)


def run(network, duration=20.0, **options):
    region = spiking.SpikingRegion(network, outputs())
    cosimulator = spiking.CoSimulator(brain(), {"spiking": region}, **options)
    return spiking.cosimulate(cosimulator, duration, key=KEY)


@pytest.mark.slow
def test_nest_and_our_own_network_agree():
    """Statistically: random spikes are each simulator's own."""
    found = {}
    for name, network in {"ours": column(), "nest": spiking.nest.Nest(column())}.items():
        result = run(network, 1500.0)
        rates = result.regions["spiking"]["rates"].values[200:]
        region = result.brain["subsample"].sel(region="spiking").values[300:]
        others = result.brain["subsample"].sel(region="left", variable="S_e").values[300:]
        found[name] = rates, region, others
    for ours, theirs in zip(*found.values(), strict=True):
        ours, theirs = np.atleast_2d(ours.T), np.atleast_2d(theirs.T)
        # Means over 100 ms are about independent.
        error = np.hypot(*(x.std(axis=1) / np.sqrt(13) for x in (ours, theirs)))
        assert (abs(ours.mean(axis=1) - theirs.mean(axis=1)) < 0.05 * ours.mean(axis=1)).all()
        assert (error < 0.5 * abs(ours.mean(axis=1)) + 1e-3).all()


def test_given_spikes_give_the_same_in_both():
    """Without random numbers NEST gives what we give, spike for spike."""
    rng = np.random.default_rng(1)
    cell = lems.load_cell("LifDelta")
    times, cells = rng.uniform(1.0, 40.0, 600), rng.integers(0, 20, 600)
    network = spiking.Network(
        {"E": spiking.Population(cell, 20, method=lems.Exact())},
        {
            "E to E": spiking.Projection(
                "E",
                "E",
                spiking.FixedInDegree(3),
                weight=2.0,
                delay=lambda r, n: r.uniform(1, 3, n),
            )
        },
        {"given": spiking.SpikeTimes("E", times, cells, weight=3.0)},
        dt=0.1,
        key=jax.random.key(0),
        monitors=[spiking.Spikes("E"), spiking.Means("E", ("v",))],
    )
    trains, means = [], []
    for one in (spiking.InJax(network), spiking.nest.Nest(network)):
        with one.open(KEY) as session:
            for _ in range(4):
                session.begin({}, 100)
                session.finish()
            result = session.result()
        trains.append(result.spikes["E"])
        means.append(result["means of E"].values)
    assert len(trains[0]) > 40
    np.testing.assert_allclose(trains[0].times, trains[1].times, atol=1e-9)
    np.testing.assert_array_equal(trains[0].cells, trains[1].cells)
    np.testing.assert_allclose(*means, rtol=1e-9, atol=1e-9)


def giants(excitatory=0.5, inhibitory=-0.2, kind="alpha_current"):
    """Hodgkin and Huxley's cells with given spikes, from -60 mV."""
    rng = np.random.default_rng(2)
    cell = lems.load_cell("HodgkinHuxley", synapses={"exc": kind, "inh": kind})
    cell = cell.with_params(I_e=np.linspace(0.3, 0.9, 5), v0=-60.0).with_params("exc", tau=1.0)
    times = {name: rng.uniform(1.0, 40.0, 60).round(2) for name in ("exc", "inh")}
    cells = rng.integers(0, 5, 60)
    weights = {"exc": excitatory, "inh": inhibitory}
    drives = {
        name: spiking.SpikeTimes("E", times[name], cells, weights[name], name) for name in weights
    }
    population = spiking.Population(cell, 5, method=lems.RungeKutta4())
    watch = [spiking.Spikes("E"), spiking.Means("E", ("v", "m", "h", "n"))]
    return spiking.Network({"E": population}, {}, drives, dt=0.01, monitors=watch)


def test_hodgkin_and_huxleys_cells_are_the_same_in_both_but_spike_at_their_peak_in_nest():
    found = []
    for one in (spiking.InJax(giants()), spiking.nest.Nest(giants())):
        with one.open(None) as session:
            session.begin({}, 4000)
            session.finish()
            found.append(session.result())
    ours, theirs = found
    np.testing.assert_allclose(ours["means of E"], theirs["means of E"], rtol=0, atol=1e-3)
    mine, nests = (
        np.array(sorted(zip(one.cells, one.times, strict=True)))
        for one in (ours.spikes["E"], theirs.spikes["E"])
    )
    assert len(mine) > 10
    np.testing.assert_array_equal(mine[:, 0], nests[:, 0])
    later = nests[:, 1] - mine[:, 1]
    assert (later > 0.0).all() and (later < 0.6).all()


def test_interleaved_is_what_one_after_the_other_is():
    results = [run(spiking.nest.Nest(column()), window=1.0, interleaved=i) for i in (False, True)]
    trains = [one.regions["spiking"].spikes["E"] for one in results]
    assert len(trains[0]) > 10
    np.testing.assert_array_equal(trains[0].times, trains[1].times)
    np.testing.assert_array_equal(results[0].brain["subsample"], results[1].brain["subsample"])


@pytest.mark.parametrize(
    "fault, patience, message",
    [
        ("die", 60.0, r"ended \(exit status 3\)"),
        ("raise", 60.0, "RuntimeError: as asked for"),
        ("hang", 2.0, "did not answer for 2 s"),
    ],
)
def test_a_nest_that_fails_is_told_and_nothing_hangs(monkeypatch, fault, patience, message):
    monkeypatch.setenv(worker.FAULT, fault)
    session = spiking.nest.Nest(column(), patience=60.0).open(KEY)
    session._patience = patience
    session.begin({"c_0": np.zeros(10)}, 10)
    with pytest.raises(RuntimeError, match=message):
        session.finish()
    session.close()
    session.close()
    assert session._process.poll() is not None


def stuck(folder, monkeypatch, text):
    """A module `nest` before the real one."""
    (folder / "nest.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def large():
    """A description that fills a pipe."""
    cell = lems.load_cell("LifDelta")
    pairs = spiking.Projection("E", "E", spiking.FixedInDegree(100), weight=0.1, delay=1.0)
    cells = {"E": spiking.Population(cell, 1000)}
    return spiking.Network(cells, {"a": pairs}, dt=0.1, key=KEY)


def test_a_nest_that_does_not_read_is_given_up(monkeypatch, tmp_path):
    stuck(tmp_path, monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(RuntimeError, match="did not take what it was sent for 2 s"):
        spiking.nest.Nest(large(), patience=2.0).open(KEY)


def test_a_nest_that_cannot_be_imported_says_why(monkeypatch, tmp_path):
    stuck(tmp_path, monkeypatch, "raise ImportError('libgsl.so.27: cannot open')")
    with pytest.raises(RuntimeError, match="cannot be imported: libgsl.so.27"):
        spiking.nest.Nest(large()).open(KEY)


def test_nan_does_not_reach_nest():
    network = column()
    holes = eqx.tree_at(
        lambda n: [one.weight for one in n.projections.values()][0], network, jnp.asarray(jnp.nan)
    )
    with pytest.raises(ValueError, match="nest.Nest: projections.*weight is NaN"):
        spiking.nest.Nest(holes)
    with spiking.nest.Nest(network).open(KEY) as session:
        with pytest.raises(ValueError, match="'c_0', which drives hear, is not finite"):
            session.begin({"c_0": np.full(10, np.nan)}, 10)


@pytest.mark.parametrize("version", ["3.10rc1", "4.0.0", "master@abc"])
def test_versions_that_are_new_enough(version):
    check_version(version)


def test_a_missing_or_old_nest_is_told(monkeypatch):
    network = column()
    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "version", lambda name: "2.20.2")
        with pytest.raises(ImportError, match="NEST 2.20.2 is installed, and at least"):
            spiking.nest.Nest(network)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tvbjax\[nest\]'"):
        spiking.nest.Nest(network)


def test_windows_are_begun_and_finished_in_turn():
    with spiking.nest.Nest(column()).open(KEY) as session:
        with pytest.raises(RuntimeError, match="no window was begun"):
            session.finish()
        session.begin({"c_0": np.zeros(10)}, 10)
        with pytest.raises(RuntimeError, match="not finished"):
            session.begin({"c_0": np.zeros(10)}, 10)


def quadratic():
    cell = lems.load_cell("QuadraticIf")
    return spiking.Network({"Q": spiking.Population(cell, 3)}, dt=0.1)


def watching(*monitors):
    return column(monitors=list(monitors))


def plastic():
    cell = lems.load_cell("LifCurrent", synapses={"learning": "stdp_current"})
    learning = spiking.Projection("E", "E", spiking.AllToAll(), weight=0.1, delay=1.0)
    return spiking.Network({"E": spiking.Population(cell, 3)}, {"learning": learning}, dt=0.1)


@pytest.mark.parametrize(
    "network, message",
    [
        (quadratic, "'Q' is of QuadraticIf, which is not translated"),
        (lambda: watching(spiking.States("E", ("v",))), "States of 'E' is not read from NEST"),
        (lambda: watching(spiking.Means("E", ("left",))), "'left' of 'E' is not recorded by NEST"),
        (plastic, "has synapses of StdpCurrent"),
        (lambda: giants(kind="exponential_current"), "hh_psc_alpha has two of AlphaCurrent"),
        (lambda: giants(inhibitory=0.2), "'inh' has a weight of 0.2; hh_psc_alpha tells receptors"),
    ],
)
def test_what_nest_has_no_counterpart_of_is_refused(network, message):
    with pytest.raises(ValueError, match=message):
        spiking.nest.Nest(network())
