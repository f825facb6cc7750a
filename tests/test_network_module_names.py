"""Names in networks' modules: what Python, JAX and the module itself have taken, and nesting."""

from pathlib import Path

import numpy as np

from lems_text import network, run
from network_modules import check_same, converted

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
