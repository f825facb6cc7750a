"""Runs: what is recorded of them, randomness of cells, interruptions, numbers out of bounds."""

import jax
import numpy as np
import pytest

from spiking_cells import probe
from tvbjax import lems, spiking as sp
from tvbjax.spiking import running

DT = 0.1
KEY = jax.random.key(7)
CELL = lems.load_cell("LifDelta")


def network(monitors=None, surrogate=None, cell=CELL):
    cells = {"E": 12, "I": 9}
    return sp.Network(
        {name: sp.Population(cell, size, method=lems.Exact()) for name, size in cells.items()},
        {"EI": sp.Projection("E", "I", sp.FixedInDegree(4), weight=3.0, delay=1.5)},
        {"in": sp.Poisson("E", 12.0, weight=0.3)},
        dt=DT,
        key=jax.random.key(0),
        monitors=monitors,
        surrogate=surrogate,
    )


EVERYTHING = [
    sp.Rates(("I", "E"), 2.5),
    sp.Spikes("E"),
    sp.Spikes("I"),
    sp.States("E", ("v", "left"), cells=(3, 0), period=0.5),
    sp.States("I", ("v",)),
    sp.Means("E", ("v",)),
    sp.Means("I", ("v",), period=0.3),
]


@pytest.fixture(scope="module")
def result():
    return sp.simulate(network(EVERYTHING), 58.0, key=KEY)


def test_rates_are_counts_of_spikes_in_whole_windows(result):
    found = result["rates"]
    assert found.dims == ("time", "population")
    assert found.population.values.tolist() == ["I", "E"]
    assert (found.attrs["unit"], found.time.attrs["unit"]) == ("kHz", "ms")
    np.testing.assert_allclose(found.time, 1.25 + 2.5 * np.arange(23))  # 57.5 ms of 58
    edges = 0.05 + 2.5 * np.arange(24)
    for name, size in (("E", 12), ("I", 9)):
        spikes = result.spikes[name]
        counts, _ = np.histogram(spikes.times, edges)
        np.testing.assert_allclose(found.sel(population=name), counts / (2.5 * size))
        assert len(spikes) > 20
        assert spikes.rate == pytest.approx(len(spikes) / (size * 58.0))


def test_spikes_are_where_potentials_are_reset(result):
    v = result["I"].sel(variable="v")
    np.testing.assert_allclose(v.time, DT * np.arange(1, 581))
    trains = result.spikes["I"]
    assert (np.diff(trains.times) >= 0).all()
    for cell in range(9):
        times = trains.of(cell)
        at = np.rint(times / DT).astype(int) - 1
        assert (v.values[at, cell] == 10.0).all()
        assert (np.diff(times) > 2.0).all()


def test_states_of_some_cells_and_times(result):
    found = result["E"]
    assert found.dims == ("time", "variable", "cell")
    assert found.coords["variable"].values.tolist() == ["v", "left"]
    assert found.cell.values.tolist() == [3, 0]
    assert found.unit.values.tolist() == ["mV", "ms"]
    np.testing.assert_allclose(found.time, 0.5 * np.arange(1, 117))
    every = sp.simulate(network(sp.States("E", ("v",))), 58.0, key=KEY)["E"]
    np.testing.assert_allclose(found.sel(variable="v"), every.values[4::5, 0][:, [3, 0]])


def test_means_are_over_cells(result):
    whole, some = result["means of E"], result["means of I"]
    np.testing.assert_allclose(some.time, 0.3 * np.arange(1, 194))
    every = result["I"].sel(variable="v").mean("cell").values
    np.testing.assert_allclose(some.sel(variable="v"), every[2::3][:193])
    assert whole.unit.values.tolist() == ["mV"]
    assert whole.shape == (580, 1)


def test_what_was_not_recorded(result):
    with pytest.raises(KeyError, match="'lfp' was not recorded; recorded: rates, E"):
        result["lfp"]


def test_by_default_the_rates_of_all_populations_are_recorded():
    found = sp.simulate(network(), 3.0, key=KEY)["rates"]
    assert found.population.values.tolist() == ["E", "I"]
    np.testing.assert_allclose(found.time, [0.5, 1.5, 2.5])


def test_runs_in_single_precision(result):
    """Of the same random numbers: the same at first, and about as many spikes in all."""
    with jax.enable_x64(False):
        net = network(EVERYTHING, cell=lems.load_cell("LifDelta"))
        found = sp.simulate(net, 58.0, key=KEY)
    assert found["E"].dtype == found["rates"].dtype == np.float32
    np.testing.assert_allclose(found["E"][:10], result["E"][:10], rtol=1e-5, atol=1e-5)
    for name in "EI":
        assert len(found.spikes[name]) == pytest.approx(len(result.spikes[name]), rel=0.1)


def test_a_run_that_goes_on_counts_its_time_on():
    net = network([sp.Rates(("E",), 2.0), sp.Spikes("E"), sp.States("E", ("v",), period=1.0)])
    begun = sp.simulate(net, 5.0, key=KEY)
    rest = sp.simulate(net, 5.0, key=KEY, initial=begun)
    np.testing.assert_allclose(begun["rates"].time, [1.0, 3.0])
    np.testing.assert_allclose(rest["rates"].time, [6.0, 8.0])
    np.testing.assert_allclose(rest["E"].time, 5.0 + np.arange(1, 6))
    spikes = rest.spikes["E"]
    assert (spikes.start, spikes.duration) == (5.0, 5.0)
    assert not len(spikes) or spikes.times.min() > 5.0


def test_spikes_with_slopes_are_recorded_alike():
    monitors = [sp.Spikes("I"), sp.Rates(("E", "I"), 5.0)]
    hard, soft = (
        sp.simulate(network(monitors, surrogate), 58.0, key=KEY)
        for surrogate in (None, sp.FastSigmoid())
    )
    np.testing.assert_array_equal(hard.spikes["I"].times, soft.spikes["I"].times)
    np.testing.assert_array_equal(hard.spikes["I"].cells, soft.spikes["I"].cells)
    np.testing.assert_allclose(hard["rates"], soft["rates"])


def test_the_local_field_is_a_sum_of_currents(tmp_path):
    """Excitatory ones of some time ago, and inhibitory ones, which are negative."""
    cell = probe(tmp_path)
    cell = lems.load_cell(
        tmp_path / "Probe.xml", synapses={"exc": "exponential_current", "inh": "alpha_current"}
    )
    net = sp.Network(
        {"E": sp.Population(cell, 6, method=lems.Exact())},
        {},
        {
            "exc": sp.Poisson("E", 0.4, weight=0.1, receptor="exc"),
            "inh": sp.Poisson("E", 0.4, weight=-0.1, receptor="inh"),
        },
        dt=DT,
        monitors=[
            sp.States("E", ("exc/i", "inh/i")),
            sp.Means("E", ("v", "inh/i")),
            sp.LocalField("E", "exc/i", "inh/i", delay=1.2, balance=1.5),
        ],
    )
    result = sp.simulate(net, 20.0, key=KEY)
    field, means = result["lfp"], result["E"].mean("cell")
    late = means.sel(variable="exc/i").values[:-12]
    now = means.sel(variable="inh/i").values[12:]
    np.testing.assert_allclose(field, late + 1.5 * now, rtol=1e-12)
    np.testing.assert_allclose(field.time, DT * np.arange(13, 201))
    np.testing.assert_allclose(result["means of E"].sel(variable="inh/i")[12:], now, rtol=1e-12)
    assert (field.attrs["unit"], now.min() < 0 < late.max()) == ("nA", True)


RANDOM = """<Lems>
  <Include file="units.xml"/>
  <ComponentType name="Coin" description="It spikes by chance, and by chance it starts ready.">
    <Parameter name="chance" dimension="none"/>
    <Property name="weight" dimension="none" defaultValue="0"/>
    <EventPort name="in" direction="in"/>
    <EventPort name="spike" direction="out"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <OnStart><StateAssignment variable="x" value="random(1)"/></OnStart>
      <OnEvent port="in"><StateAssignment variable="x" value="x + weight"/></OnEvent>
      <OnCondition test="random(1) .lt. chance"><EventOut port="spike"/></OnCondition>
    </Dynamics>
  </ComponentType>
  <Coin id="Coin" chance="0.2"/>
</Lems>"""


@pytest.fixture(scope="module")
def coins(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "Coin.xml"
    path.write_text(RANDOM)
    cell = lems.load_cell(path)
    population = sp.Population(cell, 40)
    return sp.Network(
        {"A": population, "B": population},
        dt=DT,
        monitors=[*map(sp.Spikes, "AB"), *(sp.States(name, ("x",)) for name in "AB")],
    )


def test_cells_that_draw_random_numbers_need_a_key(coins):
    assert coins.random
    with pytest.raises(ValueError, match=r"simulate: the network draws .* key=jax.random.key\(0\)"):
        sp.simulate(coins, 1.0)


def test_random_cells_are_independent_and_the_same_however_time_is_cut(coins):
    whole = sp.simulate(coins, 60.0, key=KEY)
    rasters = {}
    for name in "AB":
        trains = whole.spikes[name]
        assert len(trains) == pytest.approx(0.2 * 600 * 40, abs=5 * np.sqrt(0.16 * 24_000))
        rasters[name] = np.zeros((600, 40))
        rasters[name][np.rint(trains.times / DT).astype(int) - 1, trains.cells] = 1
    starts = [whole[name].values[0, 0] for name in "AB"]
    for one, two in (
        (rasters["A"].ravel(), rasters["B"].ravel()),
        (rasters["A"][:-1].ravel(), rasters["A"][1:].ravel()),
        (rasters["A"][:, :-1].ravel(), rasters["A"][:, 1:].ravel()),
        (starts[0], starts[1]),
    ):
        assert abs(np.corrcoef(one, two)[0, 1]) < 4.5 / np.sqrt(len(one))
    begun = sp.simulate(coins, 20.0, key=KEY)
    rest = sp.simulate(coins, 40.0, key=KEY, initial=begun)
    times = np.concatenate([one.spikes["A"].times for one in (begun, rest)])
    np.testing.assert_allclose(times, whole.spikes["A"].times)


WILD = """<Lems>
  <Include file="units.xml"/>
  <ComponentType name="Wild" description="It becomes infinite at 1 ms mV / v(0).">
    <Constant name="scale" dimension="voltage" value="1 mV"/>
    <Constant name="time" dimension="time" value="1 ms"/>
    <EventPort name="spike" direction="out"/>
    <Exposure name="v" dimension="voltage"/>
    <Dynamics>
      <StateVariable name="v" dimension="voltage" exposure="v"/>
      <TimeDerivative variable="v" value="v * v / (scale * time)"/>
      <OnCondition test="v .gt. 1e308 * scale"><EventOut port="spike"/></OnCondition>
    </Dynamics>
  </ComponentType>
  <Wild id="Wild"/>
</Lems>"""


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "Wild.xml"
    path.write_text(WILD)
    cell = lems.load_cell(path)
    calm = sp.Population(cell, 2, method=lems.RungeKutta4())
    growing = sp.Population(cell, 2, method=lems.RungeKutta4(), initial={"v": np.array([0.0, 0.2])})
    return sp.Network({"calm": calm, "wild": growing}, dt=DT, monitors=sp.States("wild", ("v",)))


def test_what_is_no_finite_number_is_told_with_its_name_place_and_time(wild, monkeypatch):
    monkeypatch.setattr(running, "_CELL_STEPS_PER_CHUNK", 4 * 20)
    with pytest.raises(sp.DivergenceError, match="v of 'wild' was no finite .* by 6 ms") as caught:
        sp.simulate(wild, 10.0)
    found = caught.value.result["wild"].sel(variable="v", cell=1)
    assert len(found) == 60  # as far as it came
    early = found.sel(time=slice(0, 4.0))
    np.testing.assert_allclose(early, 0.2 / (1 - 0.2 * early.time), rtol=1e-4)
    assert np.isfinite(caught.value.result["wild"].sel(cell=0)).all()


def test_rates_of_what_is_no_finite_number_are_none(wild):
    assert np.isfinite(sp.rates(wild, 3.0)["wild"]).all()
    assert np.isnan(sp.rates(wild, 10.0)["calm"]).all()


def test_an_interrupted_run_comes_back_and_goes_on(monkeypatch):
    net = network([sp.Spikes("E"), sp.Rates(("E",))])
    whole = sp.simulate(net, 8.0, key=KEY)
    advance, calls = running._advance, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(running, "_CELL_STEPS_PER_CHUNK", 21 * 20)
    monkeypatch.setattr(running, "_advance", interrupted)
    with pytest.warns(UserWarning, match="interrupted at 4 ms; simulate.*initial=result"):
        part = sp.simulate(net, 8.0, key=KEY, progress=False)
    assert not part.complete
    np.testing.assert_allclose(part["rates"].time, [0.5, 1.5, 2.5, 3.5])
    rest = sp.simulate(net, 4.0, key=KEY, initial=part, progress=False)
    both = [np.concatenate([one.spikes["E"].times for one in (part, rest)])]
    np.testing.assert_allclose(both[0], whole.spikes["E"].times)
    assert rest.complete


def test_a_run_is_silent_where_it_is_told_to_be(capfd, monkeypatch):
    monkeypatch.setattr(running, "_CELL_STEPS_PER_CHUNK", 21 * 20)
    sp.simulate(network(), 8.0, key=KEY, progress=False)
    assert capfd.readouterr() == ("", "")
