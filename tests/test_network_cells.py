"""Cells and synapses from papers, against closed forms; references of every kind between them."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from lems_text import network, run
from tvbjax import lems

CELLS, DT = 20, 0.01

MODEL = f"""
  <Constant name="unit_drive" symbol="DRIVE" dimension="voltage" value="1 mV"/>
  <ComponentType name="Refractory" description="Leaky integrate and fire, Lapicque (1907)">
    <Parameter name="tau" dimension="time"/>
    <Parameter name="rest" dimension="voltage"/>
    <Parameter name="threshold" dimension="voltage"/>
    <Parameter name="dead" dimension="time"/>
    <Parameter name="drive" dimension="none"/>
    <EventPort name="spike" direction="out"/>
    <Dynamics>
      <StateVariable name="v" dimension="voltage"/>
      <StateVariable name="last" dimension="time"/>
      <OnStart><StateAssignment variable="v" value="rest"/></OnStart>
      <Regime name="integrating" initial="true">
        <TimeDerivative variable="v" value="(rest + drive * DRIVE - v) / tau"/>
        <OnCondition test="v .gt. threshold">
          <EventOut port="spike"/><Transition regime="refractory"/>
        </OnCondition>
      </Regime>
      <Regime name="refractory">
        <OnEntry>
          <StateAssignment variable="v" value="rest"/><StateAssignment variable="last" value="t"/>
        </OnEntry>
        <OnCondition test="t .geq. last + dead"><Transition regime="integrating"/></OnCondition>
      </Regime>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Crowd" extends="Part">
    <ComponentReference name="of" type="Refractory"/>
    <Structure><MultiInstantiate number="{CELLS}" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="Alpha" description="Rall (1967), J. Neurophysiol. 30, 1138-1168">
    <Parameter name="tau" dimension="time"/>
    <Exposure name="g" dimension="none"/>
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <StateVariable name="g" exposure="g" dimension="none"/>
      <TimeDerivative variable="x" value="-x / tau"/>
      <TimeDerivative variable="g" value="(2.718281828459045 * x - g) / tau"/>
      <OnEvent port="in"><StateAssignment variable="x" value="x + 1"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Listener" extends="Part">
    <Attachments name="inputs" type="Alpha"/>
    <Exposure name="g" dimension="none"/>
    <Dynamics>
      <DerivedVariable name="g" dimension="none" exposure="g" select="inputs[*]/g" reduce="add"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Onto" extends="Part">
    <Path name="source"/><Path name="target"/>
    <ComponentReference name="synapse" type="Alpha"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="synapse"/>
    </Structure>
  </ComponentType>
  <Refractory id="cell" tau="10ms" rest="-65mV" threshold="-55mV" dead="2ms" drive="12"/>
  <Alpha id="alpha" tau="5ms"/>
  <Whole id="whole">
    <Crowd id="crowd" of="cell"/>
    <Pulse id="one" at="1ms"/><Pulse id="two" at="4ms"/>
    <Listener id="listener"/>
    <Onto id="o1" source="../one" target="../listener" synapse="alpha"/>
    <Onto id="o2" source="../two" target="../listener" synapse="alpha"/>
  </Whole>
"""
DRIVES = np.linspace(8.0, 40.0, CELLS)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    model = network(folder, MODEL, "whole", lems.NEURAL, lems.DimensionCheck.STRICT)
    (path,) = (path for path in model.params if "drive" in model.params[path])
    model = eqx.tree_at(lambda n: n.params[path]["drive"], model, jnp.asarray(DRIVES))
    record = ["crowd[*]/spike", "listener/g"]
    return run(model, method=lems.RungeKutta4(), step=DT, duration=60.0, record=record)


def test_each_cell_of_a_population_is_in_a_regime_of_its_own(found):
    """The interval between spikes is dead + tau log(drive/(drive - 10 mV)), to three steps."""
    events = found.events["crowd[*]/spike"]
    for i, drive in enumerate(DRIVES):
        times = events[events[:, 1] == i, 0]
        if drive <= 10.0:
            assert len(times) == 0
            continue
        rise = 10.0 * math.log(drive / (drive - 10.0))
        assert times[0] == pytest.approx(rise, abs=2 * DT)
        np.testing.assert_allclose(np.diff(times), 2.0 + rise, rtol=0, atol=3 * DT)


def test_alpha_synapses_have_their_closed_form(found):
    """Each event makes (s/tau) exp(1 - s/tau), s the time since it was heard."""
    t = np.asarray(found.t)
    g = np.asarray(found["listener/g"])
    np.testing.assert_allclose(g[t < 0.99], 0.0)
    expected = np.zeros_like(t)
    for at in (1.0, 4.0):
        s = np.maximum(t - at, 0.0) / 5.0
        expected += s * np.exp(1.0 - s)
    np.testing.assert_allclose(g, expected, rtol=0, atol=1e-8)


REFERENCES = """
  <ComponentType name="Source">
    <Parameter name="p" dimension="none"/>
    <Parameter name="q" dimension="none"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics><DerivedVariable name="x" exposure="x" value="p + 10 * q"/></Dynamics>
  </ComponentType>
  <ComponentType name="Box" extends="Part">
    <Children name="sources" type="Source"/>
    <Children name="readers" type="Reader"/>
  </ComponentType>
  <ComponentType name="Reader">
    <ComponentReference name="of" type="Source" local="true"/>
    <DerivedParameter name="p" dimension="none" select="of/p"/>
    <Dynamics>
      <StateVariable name="y" dimension="none"/>
      <DerivedVariable name="seen" dimension="none" value="p"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Linked" extends="Reader">
    <Link name="to" type="Source"/>
    <Dynamics>
      <StateVariable name="y" dimension="none"/>
      <DerivedVariable name="seen" dimension="none" select="to/x"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Owner" extends="Part">
    <ComponentReference name="of" type="Source"/>
    <Dynamics>
      <StateVariable name="y" dimension="none"/>
      <DerivedVariable name="seen" dimension="none" select="of/x"/>
    </Dynamics>
    <Structure><ChildInstance component="of"/></Structure>
  </ComponentType>
  <Source id="near" p="1" q="2"/>
  <Component id="heir" extends="near" q="5"/>
  <Whole id="whole">
    <Box id="box">
      <Source id="near" p="3" q="4"/>
      <Reader id="reader" of="near"/>
    </Box>
    <Owner id="owner" of="near"/>
    <Owner id="other" of="heir"/>
  </Whole>
"""


def test_references_are_of_siblings_or_of_all_and_prototypes_are_extended(tmp_path):
    model = network(tmp_path, REFERENCES, "whole")
    paths = ["box/reader/seen", "owner/seen", "other/seen"]
    found = run(model, step=0.1, duration=0.1, record=paths)
    assert [float(found[path][0]) for path in paths] == [3.0, 21.0, 51.0]


def test_links_lead_to_siblings(tmp_path):
    linked = '<Linked id="linked" of="near" to="near"/></Box>'
    model = network(tmp_path, REFERENCES.replace("</Box>", linked), "whole")
    found = run(model, step=0.1, duration=0.1, record=["box/linked/seen"])
    assert float(found["box/linked/seen"][0]) == 43.0


def test_a_network_may_be_empty_in_places(tmp_path):
    body = MODEL.replace(f'number="{CELLS}"', 'number="0"')
    found = run(
        network(tmp_path, body, "whole", lems.NEURAL), step=DT, duration=1.0,
        record=["crowd[*]/v", "crowd[*]/spike"],
    )  # fmt: skip
    assert found["crowd[*]/v"].shape == (101, 0) and len(found.events["crowd[*]/spike"]) == 0
