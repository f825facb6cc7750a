"""Networks as Python modules: imported, run, and compared with what lems.run gives."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

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
from tvbjax import lems

ROOT = Path(__file__).parents[1]


def imported(source: lems.NetworkSource, folder: Path, name: str = "converted") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source.text)
    if source.arrays:
        np.savez(path.with_suffix(".npz"), **source.arrays)  # pyright: ignore[reportArgumentType]
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def converted(model: lems.Network, folder: Path, **options: Any) -> ModuleType:
    return imported(lems.network_module(model, "model.xml", **options), folder)


def check_same(
    model: lems.Network,
    folder: Path,
    *,
    step: float | None = None,
    duration: float | None = None,
    record=(),
    rtol: float = 1e-12,
    **options: Any,
) -> ModuleType:
    """Both runs give the same rows and the same events; the module."""
    expected = run(model, step=step, duration=duration, record=record, **options)
    module = converted(model, folder, record=record, step=step)
    length = model.duration if duration is None else duration
    assert length is not None
    steps = round(length / module.DT)
    time, quantities, events, _ = jax.jit(lambda: module.run(steps=steps, **options))()
    np.testing.assert_array_equal(time, expected.t)
    assert set(quantities) == set(expected.quantities) and set(events) == set(expected.events)
    for path, value in quantities.items():
        wanted = np.asarray(expected[path])
        scale = np.abs(wanted).max(initial=0.0)
        np.testing.assert_allclose(value, wanted, rtol=rtol, atol=rtol * scale, err_msg=path)
    every = options.get("every", 1)
    fine = np.arange(1, steps * every + 1) * module.DT
    for path, count in events.items():
        count, found = np.asarray(count), expected.events[path]
        rows, instances = np.nonzero(count.reshape(len(count), -1))
        many = count.reshape(len(count), -1)[rows, instances]
        assert len(found) == many.sum(), path
        times = found if count.ndim == 1 else found[:, 0]
        np.testing.assert_allclose(times, np.repeat(fine[rows], many), rtol=1e-12)
        if count.ndim > 1:
            np.testing.assert_array_equal(found[:, 1], np.repeat(instances, many))
    return module


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
    """The file of the documentation: Izhikevich cells, delays and weights."""
    page = (ROOT / "docs" / "networks.md").read_text()
    path = tmp_path_factory.mktemp("pair") / "izhikevich.xml"
    path.write_text(re.findall(r"```xml\n(.*?)```", page, re.DOTALL)[0])
    return path


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


def crowd(folder: Path, count: int) -> lems.Network:
    """A driven cell and `count` others, that it excites with weights of their own."""
    edges = "".join(
        f'<Edge id="e{i}" source="../../a" target="../pop[{i % 3}]" w="{i + 0.5}" '
        f'delay="{0.1 * i}s" synapse="saturating"/>'
        for i in range(count)
    )
    body = f"""{pools.TYPES}{pools.synapse("saturating")}<Whole id="all">
      <Ticks id="a" from="0.3s"/><Whole id="w"><Cells id="pop" of="cell"/>{edges}</Whole></Whole>"""
    return network(folder, body, "all")


def test_long_arrays_lie_beside_the_module(tmp_path: Path):
    few, many = crowd(tmp_path, 10), crowd(tmp_path, 120)
    assert not lems.network_module(few).arrays
    source = lems.network_module(many, step=0.125)
    assert {value.size for value in source.arrays.values()} >= {120}
    assert all(value.dtype.kind in "if" for value in source.arrays.values())
    assert max(len(line) for line in source.text.splitlines()) < 150
    check_same(many, tmp_path, step=0.125, duration=4.0, record=["w/pop[*]/v"])


AWKWARD = """
  <ComponentType name="Odd" extends="Part">
    <Parameter name="lambda" dimension="none"/><Parameter name="jnp" dimension="none"/>
    <Parameter name="params" dimension="none"/>
    <Attachments name="state" type="Odd"/>
    <EventPort name="class" direction="out"/>
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="dt" dimension="none"/><StateVariable name="dt_when_1" dimension="none"/>
      <DerivedVariable name="if" value="1 / dt + lambda"/>
      <ConditionalDerivedVariable name="case_1">
        <Case condition="dt .gt. 0.5 .and. lambda .lt. 3" value="sqrt(dt) * if"/>
        <Case condition="dt .lt. 0.1 .or. dt .neq. dt" value="7"/>
        <Case value="H(dt) / 3 + max(dt, jnp) - log(1 + exp(dt)) + dt / (1 - exp(-dt))"/>
      </ConditionalDerivedVariable>
      <TimeDerivative variable="dt" value="params - case_1 * dt^3"/>
      <OnStart><StateAssignment variable="dt" value="0.2"/></OnStart>
      <OnCondition test="dt .gt. 0.9">
        <StateAssignment variable="dt" value="0.05"/><EventOut port="class"/>
        <EventOut port="class"/>
      </OnCondition>
      <OnEvent port="in"><StateAssignment variable="dt_when_1" value="dt_when_1 + 1"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <Whole id="whole">
    <Odd id="a" lambda="1" jnp="2" params="3"/><Odd id="a_dt" lambda="2" jnp="2" params="30"/>
    <Odd id="step" lambda="0.5" jnp="2" params="4"/>
    <Wire id="w" source="../a" target="../step"/><Wire id="x" source="../a_dt" target="../step"/>
  </Whole>
"""


def test_names_that_python_or_the_module_has_taken(tmp_path: Path):
    model = network(tmp_path, AWKWARD, "whole")
    record = [f"{one}/{name}" for one in ("a", "a_dt", "step") for name in ("dt", "case_1", "if")]
    record += ["step/dt_when_1", "a_dt/class"]
    module = check_same(model, tmp_path, step=0.01, duration=2.0, record=record)
    assert float(module.run(steps=150)[1]["step/dt_when_1"][-1]) > 0.0


INNER = """
  <ComponentType name="Slopes" extends="Part">
    <Dynamics>
      <StateVariable name="x" dimension="none"/><StateVariable name="n" dimension="none"/>
      <StateVariable name="v" dimension="none"/><StateVariable name="dv_dt" dimension="none"/>
      <DerivedVariable name="dx_dt" value="2 - x"/>
      <TimeDerivative variable="x" value="0.5 * dx_dt"/>
      <TimeDerivative variable="v" value="1 - dv_dt"/><TimeDerivative variable="dv_dt" value="v"/>
      <OnCondition test="dx_dt .lt. 0.5">
        <StateAssignment variable="x" value="0"/><StateAssignment variable="n" value="n + 1"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Regimes" extends="Part">
    <Parameter name="regime" dimension="none"/>
    <EventPort name="in" direction="in"/><EventPort name="spike" direction="out"/>
    <Dynamics>
      <StateVariable name="next_regime" dimension="none"/>
      <StateVariable name="in_come" dimension="none"/>
      <StateVariable name="in_waiting" dimension="none"/>
      <StateVariable name="spike_out" dimension="none"/>
      <StateVariable name="spike_sent" dimension="none"/>
      <TimeDerivative variable="in_come" value="regime"/>
      <Regime name="come" initial="true">
        <TimeDerivative variable="spike_sent" value="regime - in_come"/>
        <OnEvent port="in">
          <StateAssignment variable="next_regime" value="next_regime + regime"/>
          <EventOut port="spike"/><Transition regime="waiting"/>
        </OnEvent>
      </Regime>
      <Regime name="waiting">
        <OnEntry><StateAssignment variable="in_waiting" value="in_waiting + in_come"/></OnEntry>
        <TimeDerivative variable="spike_out" value="next_regime"/>
        <OnCondition test="spike_out .gt. 0.5">
          <StateAssignment variable="spike_out" value="0"/><EventOut port="spike"/>
          <Transition regime="come"/>
        </OnCondition>
      </Regime>
    </Dynamics>
  </ComponentType>
  <Whole id="whole">
    <Slopes id="s"/><Regimes id="r" regime="2"/><Regimes id="q" regime="3"/>
    <Pulse id="p" at="0.5s"/><Pulse id="later" at="1.5s"/>
    <Wire id="w" source="../p" target="../r"/><Wire id="x" source="../later" target="../r"/>
    <Wire id="y" source="../r" target="../q"/>
  </Whole>
"""


def test_names_that_the_module_gives_to_slopes_regimes_and_events(tmp_path: Path):
    model = network(tmp_path, INNER, "whole")
    record = [f"s/{name}" for name in ("x", "n", "v", "dv_dt", "dx_dt")]
    own = ("next_regime", "in_come", "in_waiting", "spike_out", "spike_sent", "spike")
    record += [f"{one}/{name}" for one in ("r", "q") for name in own]
    module = check_same(model, tmp_path, step=0.0625, duration=10.0, record=record)
    last = {path: float(rows[-1]) for path, rows in module.run(steps=160)[1].items()}
    assert last["s/n"] >= 2.0 and last["q/next_regime"] >= 3.0


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


NESTED = """
  <ComponentType name="Cells" extends="Part">
    <ComponentReference name="of" type="Part"/><Parameter name="count" dimension="none"/>
    <Structure><MultiInstantiate number="count" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="Cell" extends="Part">
    <Child name="gate" type="Gate"/><Attachments name="inputs" type="Part"/>
    <EventPort name="spike" direction="out"/>
    <Dynamics>
      <StateVariable name="v" dimension="none"/><TimeDerivative variable="v" value="1"/>
      <OnCondition test="v .gt. 0.5">
        <StateAssignment variable="v" value="0"/><EventOut port="spike"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Gate">
    <Dynamics>
      <StateVariable name="q" dimension="none"/><TimeDerivative variable="q" value="2 - q"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Kick" extends="Part">
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="got" dimension="none"/>
      <OnEvent port="in"><StateAssignment variable="got" value="got * got + 1"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Tie" extends="Part">
    <Path name="source"/><Path name="target"/>
    <ComponentReference name="by" type="Part"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="by" receiverContainer="inputs"/>
    </Structure>
  </ComponentType>
  <Kick id="kick"/><Cell id="cell"><Gate id="g"/></Cell>
  <Cells id="inner" of="cell" count="2"/><Cells id="group" of="inner" count="3"/>
  <Whole id="whole">
    <Cells id="alone" of="cell" count="1"/><Cells id="many" of="cell" count="3"/>
    <Cells id="outer" of="inner" count="2"/><Cell id="one"><Gate id="g"/></Cell>
    <Tie id="t0" by="kick" source="../one" target="../many[0]"/>
    <Tie id="t1" by="kick" source="../many[1]" target="../many[2]"/>
    <Tie id="t2" by="kick" source="../many[1]" target="../many[2]"/>
    <Tie id="t3" by="kick" source="../many[1]" target="../one"/>
  </Whole>
"""


def test_without_recordings_it_calls_them_as_run_does(tmp_path: Path):
    model = network(tmp_path, NESTED, "whole")
    _, quantities, events, _ = converted(model, tmp_path, step=0.125).run(steps=8)
    expected = run(model, step=0.125, duration=1.0, record=(*quantities, *events))
    assert set(expected.quantities) == set(quantities) and set(expected.events) == set(events)
    for path, value in quantities.items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-12, err_msg=path)
    for path, count in events.items():
        assert int(count.sum()) == len(expected.events[path]) > 0, path
    states = sum(value[0].size for value in quantities.values())
    assert states == 2 * (1 + 3 + 4 + 1) + 4
    short = {"one/v", "one/gate/q", "many[*]/v", "many[*]/gate/q", "many[2]/kick[*]/got"}
    assert short <= set(quantities)


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


# The command line.


def convert(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tvbjax", "lems", "convert", *arguments]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_convert_writes_a_module_and_a_driver_that_runs(pair: Path, tmp_path: Path):
    done = convert(tmp_path, str(pair), "--to", "python", "-o", "mine.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["mine.py", "mine_sweep.py"]
    options = ["--points", "3", "--duration", "20", "--every", "100", "--out", "o.npz"]
    ran = subprocess.run(
        [sys.executable, "mine_sweep.py", *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "o.npz: 3 runs of 2000 steps" in ran.stdout
    found = np.load(tmp_path / "o.npz")
    (swept,) = (name for name in found.files if name.startswith("parameter "))
    _, path, name = swept.split()
    model = lems.load_network(pair)
    for i, value in enumerate(found[swept]):
        changed = eqx.tree_at(lambda n: n.params[path][name], model, jnp.asarray(value))
        expected = run(changed, duration=20.0, every=100)
        np.testing.assert_allclose(found["time"], expected.t, rtol=1e-15)
        got = found["quantity first[0]/v"][i]
        np.testing.assert_allclose(got, expected["first[0]/v"], rtol=1e-9)
        spikes = expected.events["first[0]/spike"]
        assert found["events first[0]/spike"][i] == len(spikes)


def test_convert_keeps_a_driver_takes_a_component_and_refuses_odd_names(pair: Path, tmp_path: Path):
    (tmp_path / "pair_sweep.py").write_text("# mine\n")
    done = convert(tmp_path, str(pair), "--to", "python", "--component", "pair")
    assert done.returncode == 0 and "pair_sweep.py was there and is kept" in done.stdout
    assert (tmp_path / "pair_sweep.py").read_text() == "# mine\n"
    assert "from izhikevich.xml" in (tmp_path / "pair.py").read_text()
    odd = convert(tmp_path, str(pair), "--to", "python", "-o", "my-pair.py")
    assert odd.returncode == 1 and "import" in odd.stderr
    assert not (tmp_path / "my-pair.py").exists()
    lost = convert(tmp_path, str(pair), "--to", "python", "--component", "pear")
    assert lost.returncode == 1 and "pear" in lost.stderr


def test_convert_finds_included_files_and_stores_long_arrays(tmp_path: Path):
    folder = tmp_path / "types"
    folder.mkdir()
    crowd(folder, 120)
    (tmp_path / "main.xml").write_text(
        '<Lems><Include file="model.xml"/><Target component="sim"/>'
        '<Job id="sim" increment="0.125s" total="1s" what="all"/></Lems>'
    )
    done = convert(tmp_path, "main.xml", "--to", "python", "-I", "types", "-o", "large.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["large.py", "large.npz", "large_sweep.py"]
    ran = subprocess.run(
        [sys.executable, "large_sweep.py", "--points", "2"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert len(np.load(tmp_path / "large_sweep.npz")["quantity w/pop[*]/v"]) == 2


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
