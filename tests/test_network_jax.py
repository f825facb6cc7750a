"""Networks under JAX: transformations, gradients, compilation, single precision, many neurons."""

import logging
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lems_cells import HODGKIN_HUXLEY, hodgkin_huxley
from lems_text import network, run
from tvbjax import lems

DRIVEN = f"""
  <Whole id="whole">
    <Metronome id="train" period="1.5ms"/>
    {hodgkin_huxley(current="1nA")}
    <Onto id="a" source="../train" target="../cell" synapse="synapse" weight="0.3"/>
    <Onto id="b" source="../train" target="../cell" synapse="synapse" weight="0.2"/>
  </Whole>
"""
SHORT = {"step": 0.02, "duration": 4.0, "record": ["cell/v"]}


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driven")
    return network(folder, HODGKIN_HUXLEY + DRIVEN, "whole", lems.NEURAL)


def with_value(model, unit: str, name: str, value):
    return eqx.tree_at(lambda n: n.params[unit][name], model, value)


def end(model):
    return run(model, **SHORT)["cell/v"][-1]


@pytest.fixture(scope="module")
def final(driven):
    """The last voltage as a compiled function of some parameters."""

    def of(values):
        model = driven
        for (unit, name), value in values.items():
            model = with_value(model, unit, name, value)
        return end(model)

    return jax.jit(of)


def chosen(driven) -> dict:
    synapse = next(path for path in driven.params if "weight" in driven.params[path])
    names = [
        ("cell", "I"), ("cell/na", "g"), ("cell/na/m/forward", "middle"), ("cell", "C"),
        (synapse, "weight"), (synapse, "tau"),
    ]  # fmt: skip
    return {(unit, name): jnp.asarray(driven.params[unit][name]) for unit, name in names}


def test_gradients_are_those_of_central_differences(driven, final):
    """Through gates, a Piecewise, the weights of events and their decay."""
    values = chosen(driven)
    slopes = jax.jit(jax.grad(final))(values)
    for key, value in values.items():
        for i in range(value.size):
            h = 1e-5 * float(np.ravel(value)[i])
            bump = jnp.zeros(value.size).at[i].set(h).reshape(value.shape)
            difference = final(values | {key: value + bump}) - final(values | {key: value - bump})
            slope = float(np.ravel(slopes[key])[i])
            assert slope != 0.0
            assert slope == pytest.approx(float(difference) / (2.0 * h), rel=1e-5), key


def test_jit_and_vmap_equal_single_runs(driven, final):
    currents = jnp.array([0.5, 1.0, 2.0])
    single = [float(end(with_value(driven, "cell", "I", i))) for i in currents]
    assert len(set(single)) == 3
    many = jax.jit(jax.vmap(lambda i: end(with_value(driven, "cell", "I", i))))(currents)
    np.testing.assert_allclose(many, single, rtol=1e-12)
    values = chosen(driven)
    jitted = [float(final(values | {("cell", "I"): i})) for i in currents]
    np.testing.assert_allclose(jitted, single, rtol=1e-12)


def test_a_parameter_may_have_one_value_per_instance(tmp_path):
    body = """
      <ComponentType name="Decay">
        <Parameter name="k" dimension="per_time"/>
        <Dynamics>
          <StateVariable name="x" dimension="none"/><TimeDerivative variable="x" value="k"/>
        </Dynamics>
      </ComponentType>
      <ComponentType name="Many" extends="Part">
        <ComponentReference name="of" type="Decay"/>
        <Structure><MultiInstantiate number="3" component="of"/></Structure>
      </ComponentType>
      <Decay id="decay" k="1per_s"/><Whole id="whole"><Many id="pop" of="decay"/></Whole>"""
    model = network(tmp_path, body, "whole")
    (path,) = model.params
    model = with_value(model, path, "k", jnp.array([1.0, 2.0, 4.0]))
    found = run(model, step=0.125, duration=1.0, record=["pop[*]/x"])
    np.testing.assert_allclose(found["pop[*]/x"][-1], [1.0, 2.0, 4.0], rtol=1e-14)


def compilations(caplog, function) -> int:
    """How many programs of a whole run are compiled in a call."""
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        function()
    texts = [record.getMessage() for record in caplog.records]
    return sum("Finished XLA compilation" in text and "_run" in text for text in texts)


def test_other_values_of_parameters_need_no_compilation(driven, caplog):
    options = SHORT | {"duration": 1.0, "record": ["cell/v", "cell/na/m/q"]}

    def of(current: float):
        run(with_value(driven, "cell", "I", jnp.asarray(current)), **options)

    assert compilations(caplog, lambda: run(driven, **options)) == 1
    assert compilations(caplog, lambda: run(driven, **options)) == 0
    assert compilations(caplog, lambda: of(0.5)) == 1  # I is no longer a constant
    assert compilations(caplog, lambda: of(0.7)) == 0


PICO = HODGKIN_HUXLEY + f'<Whole id="whole">{hodgkin_huxley(current="0.01nA", area=1e-6)}</Whole>'


def test_neural_units_si_and_single_precision_agree_on_a_cell_of_a_picofarad(tmp_path):
    """Single precision rounds by 1e-7 of 100 mV per step, which shifts a spike by a step or two."""
    neural = network(tmp_path, PICO, "whole", lems.NEURAL)
    si = network(tmp_path, PICO, "whole", lems.SI)
    options: dict[str, Any] = {"record": ["cell/v", "cell/spike"]}
    a = run(neural, step=0.02, duration=40.0, **options)
    b = run(si, step=2e-5, duration=0.04, **options)
    assert len(a.events["cell/spike"]) >= 2
    np.testing.assert_allclose(a["cell/v"], np.asarray(b["cell/v"]) * 1e3, rtol=0, atol=1e-6)
    np.testing.assert_allclose(a.events["cell/spike"], b.events["cell/spike"] * 1e3, rtol=1e-9)
    with jax.enable_x64(False):
        single = run(network(tmp_path, PICO, "whole"), step=2e-5, duration=0.04, **options)
        working = run(
            network(tmp_path, PICO, "whole", lems.NEURAL), step=0.02, duration=40.0, **options
        )
    for found, scale in ((working, 1.0), (single, 1e3)):
        assert found["cell/v"].dtype == jnp.float32
        times = found.events["cell/spike"] * scale
        np.testing.assert_allclose(times, a.events["cell/spike"], rtol=0, atol=2.1 * 0.02)


IZHIKEVICH = """
  <ComponentType name="Izhikevich" description="Izhikevich (2003), IEEE Trans. Neural Netw. 14">
    <Parameter name="a" dimension="per_time"/>
    <Parameter name="I" dimension="none"/>
    <Attachments name="synapses" type="Kick"/>
    <Constant name="MS" dimension="time" value="1ms"/>
    <EventPort name="spike" direction="out"/>
    <Dynamics>
      <StateVariable name="v" dimension="none"/>
      <StateVariable name="u" dimension="none"/>
      <DerivedVariable name="input" select="synapses[*]/i" reduce="add"/>
      <TimeDerivative variable="v" value="(0.04 * v^2 + 5 * v + 140 - u + I + input) / MS"/>
      <TimeDerivative variable="u" value="a * (0.2 * v - u)"/>
      <OnStart>
        <StateAssignment variable="v" value="-65"/><StateAssignment variable="u" value="-13"/>
      </OnStart>
      <OnCondition test="v .gt. 30">
        <StateAssignment variable="v" value="-65"/>
        <StateAssignment variable="u" value="u + 8"/>
        <EventOut port="spike"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Kick">
    <Parameter name="tau" dimension="time"/>
    <Property name="weight" dimension="none" defaultValue="0"/>
    <Exposure name="i" dimension="none"/>
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="g" dimension="none"/>
      <DerivedVariable name="i" exposure="i" value="g"/>
      <TimeDerivative variable="g" value="-g / tau"/>
      <OnEvent port="in"><StateAssignment variable="g" value="g + weight"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Population" extends="Part">
    <Parameter name="size" dimension="none"/>
    <ComponentReference name="of" type="Izhikevich"/>
    <Structure><MultiInstantiate number="size" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="Edge" extends="Part">
    <Path name="source"/><Path name="target"/>
    <Parameter name="weight" dimension="none"/>
    <Parameter name="delay" dimension="time"/>
    <ComponentReference name="synapse" type="Kick"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="synapse" receiverContainer="synapses"
          delay="delay"><Assign property="weight" value="weight"/></EventConnection>
    </Structure>
  </ComponentType>
  <Izhikevich id="cell" a="0.02per_ms" I="0"/>
  <Kick id="kick" tau="2ms"/>
"""
CELLS, EDGES, STEPS, DT = 10_000, 1_000, 40, 0.5


def edges() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets, weights and delays in steps of a random network, some targets often."""
    random = np.random.default_rng(5)
    sources = random.integers(0, CELLS, EDGES)
    targets = random.integers(0, CELLS // 10, EDGES)
    return sources, targets, random.integers(1, 40, EDGES) / 4.0, random.integers(0, 6, EDGES)


def many_by_hand(currents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """v of all cells at all rows, and the spikes; synapses before cells, as children."""
    sources, targets, weights, delays = edges()
    v, u = np.full(CELLS, -65.0), np.full(CELLS, -13.0)
    g, rows, spikes = np.zeros(EDGES), [v], np.zeros((STEPS, CELLS), bool)
    for step in range(STEPS):
        # The synapses stand below the cells: without delay they hear in the next step.
        sent = step - np.maximum(delays, 1)
        g = g + weights * np.where(sent >= 0, spikes[sent, sources], False)
        current = np.bincount(targets, g, CELLS) + currents
        g = g - DT * g / 2.0
        slope = 0.04 * v**2 + 5.0 * v + 140.0 - u + current
        v, u = v + DT * slope, u + DT * 0.02 * (0.2 * v - u)
        spikes[step] = v > 30.0
        v, u = np.where(spikes[step], -65.0, v), np.where(spikes[step], u + 8.0, u)
        rows.append(v)
    return np.stack(rows), spikes


@pytest.mark.parametrize("pool", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_ten_thousand_izhikevich_neurons_are_the_plain_loop(tmp_path, pool: bool):
    wired = "".join(
        f'<Edge id="e{i}" source="../pop[{s}]" target="../pop[{t}]" weight="{w}" '
        f'delay="{d * DT}ms" synapse="kick"/>'
        for i, (s, t, w, d) in enumerate(zip(*edges(), strict=True))
    )
    body = f'<Whole id="all"><Population id="pop" size="{CELLS}" of="cell"/>{wired}</Whole>'
    model = network(tmp_path, IZHIKEVICH + body, "all", lems.NEURAL, pool=pool)
    currents = np.linspace(5.0, 40.0, CELLS)
    model = with_value(model, "pop/cell", "I", jnp.asarray(currents))
    found = run(model, step=DT, duration=STEPS * DT, record=["pop[*]/v", "pop[*]/spike"])
    v, spikes = many_by_hand(currents)
    assert spikes.sum() > CELLS and pool == any(unit.pool for unit in model.plan.units)
    np.testing.assert_allclose(found["pop[*]/v"], v, rtol=0, atol=1e-8)
    step, cell = np.nonzero(spikes)
    np.testing.assert_allclose(found.events["pop[*]/spike"][:, 0], (step + 1) * DT, rtol=1e-12)
    np.testing.assert_array_equal(found.events["pop[*]/spike"][:, 1], cell)


GAP = """
  <ComponentType name="Rate" extends="Part">
    <Parameter name="v" dimension="none"/>
    <Exposure name="r" dimension="none"/>
    <Dynamics>
      <StateVariable name="y" dimension="none"/>
      <ConditionalDerivedVariable name="r" dimension="none" exposure="r">
        <Case condition="v .neq. 0" value="3 * v / (1 - exp(-v))"/>
        <Case condition="v .eq. 0" value="3"/>
      </ConditionalDerivedVariable>
      <TimeDerivative variable="y" value="r"/>
    </Dynamics>
  </ComponentType>
  <Whole id="all"><Rate id="rate" v="0"/></Whole>"""


def test_the_gradient_of_a_rate_is_right_where_a_case_fills_its_gap(tmp_path):
    """3 v/(1 - exp(-v)) = 3 (1 + v/2 + v^2/12 - ...) has the slope 3/2 at v = 0."""
    model = network(tmp_path, GAP, "all")

    def rate(v):
        changed = with_value(model, "rate", "v", v)
        return run(changed, step=1.0, duration=1.0, record="rate/r")["rate/r"][-1]

    value, slope = jax.value_and_grad(rate)(jnp.zeros(()))
    assert float(value) == pytest.approx(3.0, rel=1e-12)
    assert float(slope) == pytest.approx(1.5, rel=1e-12)
