"""Networks as Python modules: imported, run, and compared with what lems.run gives."""

import ast
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import test_network_cells as cells
import test_network_methods as methods
import test_network_pools as pools
import test_network_random as dice
from conformance import corpora
from lems_cells import HODGKIN_HUXLEY, hodgkin_huxley
from lems_text import network, run
from lems_toys import PATHS, PORTS, TYPES, WHOLE
from network_modules import check_same, converted, crowd, written_pair
from tvbjax import lems

DRIVEN = f"""
  <Whole id="whole">
    <Metronome id="train" period="7ms"/>
    {hodgkin_huxley()}
    <Onto id="a" source="../train" target="../cell" synapse="synapse" weight="2"/>
    <Onto id="b" source="../train" target="../cell" synapse="synapse" weight="1.2"/>
  </Whole>
"""


@pytest.mark.parametrize("pool", [True, False])
def test_a_hodgkin_huxley_cell_with_gates_and_synapses(tmp_path: Path, pool: bool):
    model = network(tmp_path, HODGKIN_HUXLEY + DRIVEN, "whole", lems.NEURAL, pool=pool)
    record = ["cell/v", "cell/na/m/q", "cell/na/i", "cell/spike", "train/out"]
    module = check_same(model, tmp_path, step=0.01, duration=60.0, record=record)
    assert module.PARAMETERS["cell/na"]["g"] == 120.0
    assert module.PARAMETERS["cell/synapse"]["weight"].tolist() == [2.0, 1.2]


def test_the_text_is_plain_python_of_jax_and_numpy_with_units(tmp_path: Path):
    model = network(tmp_path, HODGKIN_HUXLEY + DRIVEN, "whole", lems.NEURAL)
    text = lems.network_module(model, 'model"""\n.xml', record=["cell/v"]).text
    nodes = list(ast.walk(ast.parse(text)))
    modules = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert modules <= {"jax", "jax.numpy", "numpy", "math"}
    assert "cell_dv_dt = (cell_I + cell_across + cell_through)/cell_C  # mV/ms" in text
    assert '"I": 4.0,  # nA' in text and "# --- cell/na/m: Gate, 1 instance ---" in text


def test_events_starts_conditions_and_regimes_of_all_kinds(tmp_path: Path):
    """The toys have relays, several events of a step, transitions by events and on entry."""
    with pytest.warns(lems.LemsWarning):
        model = network(tmp_path, f'{TYPES}<Whole id="toys">{WHOLE}</Whole>', "toys")
    check_same(model, tmp_path, step=0.125, duration=2.0, record=[*PATHS, *PORTS])


REGIMES = """
  <ComponentType name="Latch" extends="Part">
    <EventPort name="in" direction="in"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="low" dimension="none"/>
      <StateVariable name="high" dimension="none"/>
      <Regime name="down" initial="true">
        <OnEntry><StateAssignment variable="low" value="low + 1"/></OnEntry>
        <OnEvent port="in"><Transition regime="up"/></OnEvent>
      </Regime>
      <Regime name="up">
        <OnEntry>
          <StateAssignment variable="high" value="2 * high + random(1)"/><EventOut port="out"/>
        </OnEntry>
        <OnEvent port="in"><Transition regime="down"/></OnEvent>
      </Regime>
    </Dynamics>
  </ComponentType>
"""


@pytest.mark.parametrize("pulses", [1, 3, 6])
def test_events_of_one_step_find_the_regime_that_those_before_made(tmp_path: Path, pulses: int):
    wires = "".join(
        f'<Pulse id="p{i}" at="0.5s"/><Wire id="w{i}" source="../p{i}" target="../latch"/>'
        for i in range(pulses)
    )
    body = f'{REGIMES}<Whole id="whole">{wires}<Latch id="latch"/></Whole>'
    model = network(tmp_path, body, "whole")
    record = ["latch/low", "latch/high", "latch/out"]
    key = jax.random.key(4)
    check_same(model, tmp_path, step=0.125, duration=2.0, record=record, key=key)


def test_what_an_initial_regime_sends_arrives(tmp_path: Path):
    body = """
      <ComponentType name="Herald" extends="Part">
        <EventPort name="out" direction="out"/>
        <Dynamics>
          <StateVariable name="x" dimension="none"/>
          <Regime name="only" initial="true">
            <OnEntry><EventOut port="out"/><StateAssignment variable="x" value="x + 2"/></OnEntry>
          </Regime>
        </Dynamics>
      </ComponentType>
      <ComponentType name="Ear" extends="Part">
        <EventPort name="in" direction="in"/>
        <Dynamics>
          <StateVariable name="heard" dimension="none"/>
          <OnEvent port="in"><StateAssignment variable="heard" value="heard + 1"/></OnEvent>
        </Dynamics>
      </ComponentType>
      <ComponentType name="Late" extends="Part">
        <Path name="source"/><Path name="target"/>
        <Constant name="half" dimension="time" value="0.5s"/>
        <Structure>
          <With instance="source" as="a"/><With instance="target" as="b"/>
          <EventConnection from="a" to="b" delay="half"/>
        </Structure>
      </ComponentType>
      <Whole id="all">
        <Herald id="h"/><Ear id="e"/><Ear id="f"/>
        <Late id="l" source="h" target="e"/><Wire id="w" source="../h" target="../f"/>
      </Whole>"""
    model = network(tmp_path, body, "all")
    module = check_same(
        model, tmp_path, step=0.125, duration=2.0, record=["e/heard", "f/heard", "h/x"]
    )
    heard = module.run(steps=8)[1]["e/heard"]
    np.testing.assert_array_equal(heard, [0, 0, 0, 0, 1, 1, 1, 1, 1])


def test_a_population_with_refractory_regimes_and_its_own_drives(tmp_path: Path):
    model = network(tmp_path, cells.MODEL, "whole", lems.NEURAL)
    record = ["crowd[*]/v", "crowd[*]/spike", "listener/g"]
    model = eqx.tree_at(lambda n: n.params["crowd/cell"]["drive"], model, jnp.asarray(cells.DRIVES))
    module = check_same(model, tmp_path, step=0.05, duration=60.0, record=record)
    np.testing.assert_array_equal(module.PARAMETERS["crowd/cell"]["drive"], cells.DRIVES)


@pytest.mark.parametrize("pool", [True, False])
def test_pools_and_synapses_apart(tmp_path: Path, pool: bool):
    model = pools.model_of(tmp_path, pools.SYNAPSES, pool)
    record = [f"{name}/pop[*]/v" for name in pools.SYNAPSES]
    check_same(model, tmp_path, step=0.125, duration=3.0, record=record)


def test_kinetic_schemes_gap_junctions_and_time(tmp_path: Path):
    model = network(tmp_path, methods.TYPES + methods.WHOLE, "whole")
    check_same(model, tmp_path, step=0.05, duration=1.0, record=methods.RECORDED)


def test_random_numbers_of_the_same_key_are_the_same(tmp_path: Path):
    model = network(tmp_path, dice.MODEL, "whole")
    record = [*dice.RECORDED, "second[*]/r"]
    key = jax.random.key(5)
    module = check_same(model, tmp_path, step=0.125, duration=1.0, record=record, key=key)
    with pytest.raises(ValueError, match=r"run: .* key=jax.random.key\(0\)"):
        module.run(steps=1)


def test_the_seed_of_the_file_is_that_of_the_module(tmp_path: Path):
    check_same(network(tmp_path, dice.SMALL, "job"), tmp_path, record=["x", "r"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    return written_pair(tmp_path_factory.mktemp("pair"))


def test_izhikevich_cells_with_delayed_weighted_synapses(pair: Path, tmp_path: Path):
    model = lems.load_network(pair)
    record = ["second[*]/v", "second[*]/input", "second[*]/spike"]
    module = check_same(model, tmp_path, duration=60.0, record=record)
    assert module.DT == 0.01 and module.STEPS == 20000
    # Another step, from one on which there would be no delay.
    other = run(model, step=0.02, duration=30.0)
    time, quantities, events, _ = module.run(steps=1500, dt=0.02)
    np.testing.assert_array_equal(time, other.t)
    np.testing.assert_allclose(
        quantities["second[0]/v"], other["second[0]/v"], rtol=1e-11, atol=1e-11
    )
    assert int(events["first[0]/spike"].sum()) == len(other.events["first[0]/spike"])
    with pytest.raises(ValueError, match="with dt = 25.0 other connections"):
        module.run(steps=10, dt=25.0)


def test_a_run_goes_on_from_a_state_and_keeps_some_rows(pair: Path, tmp_path: Path):
    module = converted(lems.load_network(pair), tmp_path)
    path = "second[0]/v"
    whole = module.run(steps=2000)
    time, first, _, middle = module.run(steps=1000)
    later, second, counts, _ = module.run(steps=1000, state=middle)
    np.testing.assert_array_equal(jnp.concatenate([time, later[1:]]), whole[0])
    np.testing.assert_array_equal(jnp.concatenate([first[path], second[path][1:]]), whole[1][path])
    time, rows, events, _ = module.run(steps=2000, every=10)
    np.testing.assert_array_equal(time, whole[0][::10])
    np.testing.assert_allclose(rows[path], whole[1][path][::10], rtol=1e-12)
    np.testing.assert_array_equal(events["first[0]/spike"], whole[2]["first[0]/spike"])
    assert counts["first[0]/spike"].shape == (1000,)


def test_parameters_vary_under_vmap_and_have_slopes(pair: Path, tmp_path: Path):
    model = lems.load_network(pair)
    module = converted(model, tmp_path)
    path, weights = "first[0]/v", "second/regular/excitation"

    def ours(drive):
        params = module.changed("first/bursting", "drive", drive)
        return module.run(params, steps=1000)[1]

    def theirs(drive):
        changed = eqx.tree_at(lambda n: n.params["first/bursting"]["drive"], model, drive)
        return run(changed, duration=10.0)

    drives = jnp.asarray([5.0, 10.0, 15.0])
    many = jax.jit(jax.vmap(ours))(drives)
    for i, drive in enumerate(drives):
        np.testing.assert_allclose(many[path][i], theirs(drive)[path], rtol=1e-11, atol=1e-11)
    slope = jax.grad(lambda drive: ours(drive)[path][200])(jnp.asarray(15.0))
    wanted = jax.grad(lambda drive: theirs(drive)[path][200])(jnp.asarray(15.0))
    assert float(slope) == pytest.approx(float(wanted), rel=1e-10) and abs(slope) > 1.0

    def driven(weight):
        params = module.changed(weights, "weight", weight)
        return module.run(params, steps=1500)[1]["second[1]/v"][-1]

    weight = jnp.asarray([1.0, 0.4])
    slopes = jax.grad(driven)(weight)
    bumped = [driven(weight.at[1].add(h)) for h in (1e-5, -1e-5)]
    difference = float(bumped[0] - bumped[1]) / 2e-5
    assert float(slopes[1]) == pytest.approx(difference, rel=1e-5)
    assert slopes[0] == 0.0 and slopes[1] != 0.0
    with pytest.raises(KeyError, match="no parameter 'drift' of 'first/bursting'"):
        module.changed("first/bursting", "drift", 1.0)


def test_long_arrays_lie_beside_the_module(tmp_path: Path):
    few, many = crowd(tmp_path, 10), crowd(tmp_path, 120)
    assert not lems.network_module(few).arrays
    source = lems.network_module(many, step=0.125)
    assert {value.size for value in source.arrays.values()} >= {120}
    assert all(value.dtype.kind in "if" for value in source.arrays.values())
    assert max(len(line) for line in source.text.splitlines()) < 150
    check_same(many, tmp_path, step=0.125, duration=4.0, record=["w/pop[*]/v"])


def test_without_recordings_all_states_and_without_a_step_it_is_asked_for(
    pair: Path, tmp_path: Path
):
    module = converted(lems.load_network(pair, "pair"), tmp_path)
    with pytest.raises(ValueError, match="give dt="):
        module.run(steps=10)
    _, quantities, events, _ = module.run(steps=10, dt=0.1)
    assert set(events) == {"first/bursting/spike", "second[*]/spike"}
    assert quantities["second[*]/v"].shape == (11, 3)
    assert quantities["first/bursting/v"].shape == (11,)


def test_what_cannot_be_converted_says_why(pair: Path):
    model = lems.load_network(pair)
    with pytest.raises(ValueError, match="cannot record 'nowhere/v'"):
        lems.network_module(model, record=["nowhere/v"])

    def traced(drive):
        changed = eqx.tree_at(lambda n: n.params["first/bursting"]["drive"], model, drive)
        lems.network_module(changed)
        return drive

    with pytest.raises(TypeError, match="'drive' of 'first/bursting' is being traced"):
        jax.jit(traced)(1.0)


@pytest.mark.filterwarnings("ignore::tvbjax_lems.LemsWarning")
@pytest.mark.parametrize("name", ["Ex1_HH", "Ex2_Izh", "Ex8_AdEx", "Ex10_Q10", "Ex12_Net2"])
def test_neuroml_examples(tmp_path: Path, name: str):
    try:
        path = corpora.neuroml_examples() / f"LEMS_NML2_{name}.xml"
        include = [corpora.core_types()]
    except corpora.Absent as absent:
        pytest.skip(str(absent))
    model = lems.load_network(path, include=include, dimensions=lems.DimensionCheck.OFF)
    assert model.step is not None
    check_same(model, tmp_path, duration=4000 * model.step, rtol=1e-11)
