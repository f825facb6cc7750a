"""Small LEMS files for the tests: dimensions, units, recording types of our own, and a loader."""

from pathlib import Path

from tvbjax import lems
from tvbjax.lems import DimensionCheck, Network

HEADER = """
  <Dimension name="time" t="1"/>
  <Dimension name="per_time" t="-1"/>
  <Dimension name="voltage" m="1" l="2" t="-3" i="-1"/>
  <Dimension name="per_voltage" m="-1" l="-2" t="3" i="1"/>
  <Dimension name="conductance" m="-1" l="-2" t="3" i="2"/>
  <Dimension name="capacitance" m="-1" l="-2" t="4" i="2"/>
  <Dimension name="current" i="1"/>
  <Dimension name="temperature" k="1"/>
  <Unit symbol="s" dimension="time"/>
  <Unit symbol="ms" dimension="time" power="-3"/>
  <Unit symbol="per_s" dimension="per_time"/>
  <Unit symbol="per_ms" dimension="per_time" power="3"/>
  <Unit symbol="Hz" dimension="per_time"/>
  <Unit symbol="V" dimension="voltage"/>
  <Unit symbol="mV" dimension="voltage" power="-3"/>
  <Unit symbol="per_mV" dimension="per_voltage" power="3"/>
  <Unit symbol="uS" dimension="conductance" power="-6"/>
  <Unit symbol="nS" dimension="conductance" power="-9"/>
  <Unit symbol="nF" dimension="capacitance" power="-9"/>
  <Unit symbol="pF" dimension="capacitance" power="-12"/>
  <Unit symbol="nA" dimension="current" power="-9"/>
  <Unit symbol="pA" dimension="current" power="-12"/>
  <Unit symbol="K" dimension="temperature"/>
  <Unit symbol="degC" dimension="temperature" offset="273.15"/>
  <Unit symbol="degF" dimension="temperature" scale="0.5555555555555556" offset="459.67"/>

  <ComponentType name="Job">
    <Parameter name="increment" dimension="time"/>
    <Parameter name="total" dimension="time"/>
    <ComponentReference name="what" type="Component"/>
    <Text name="seed"/>
    <Children name="files" type="Table"/>
    <Children name="trains" type="Trains"/>
    <Dynamics><StateVariable name="clock" dimension="time"/></Dynamics>
    <Simulation>
      <Run component="what" variable="clock" increment="increment" total="total"/>
    </Simulation>
  </ComponentType>
  <ComponentType name="Table">
    <Text name="folder"/>
    <Text name="file"/>
    <Children name="columns" type="Entry"/>
    <Simulation><DataWriter path="folder" fileName="file"/></Simulation>
  </ComponentType>
  <ComponentType name="Entry">
    <Path name="of"/>
    <Simulation><Record quantity="of"/></Simulation>
  </ComponentType>
  <ComponentType name="Trains">
    <Text name="folder"/>
    <Text name="file"/>
    <Text name="format"/>
    <Children name="trains" type="Train"/>
    <Simulation><EventWriter path="folder" fileName="file" format="format"/></Simulation>
  </ComponentType>
  <ComponentType name="Train">
    <Path name="of"/>
    <Text name="port"/>
    <Simulation><EventRecord quantity="of" eventPort="port"/></Simulation>
  </ComponentType>

  <ComponentType name="Part"/>
  <ComponentType name="Whole" extends="Part">
    <Children name="parts" type="Part"/>
  </ComponentType>
  <ComponentType name="Wire" extends="Part">
    <Path name="source"/>
    <Path name="target"/>
    <Structure>
      <With instance="source" as="a"/>
      <With instance="target" as="b"/>
      <EventConnection from="a" to="b"/>
    </Structure>
  </ComponentType>
  <ComponentType name="Pulse" extends="Part" description="One event in the first step from `at` on">
    <Parameter name="at" dimension="time"/>
    <Exposure name="sent" dimension="none"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="sent" dimension="none" exposure="sent"/>
      <OnCondition test="t .geq. at .and. sent .lt. 1">
        <EventOut port="out"/>
        <StateAssignment variable="sent" value="1"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
"""


def written(folder: Path, body: str, name: str = "model.xml") -> Path:
    """A file of the header and the given elements."""
    path = folder / name
    path.write_text(f"<Lems>{HEADER}{body}\n</Lems>")
    return path


def network(
    folder: Path,
    body: str,
    target: str | None = None,
    units: lems.UnitSystem = lems.SI,
    dimensions: DimensionCheck = DimensionCheck.OFF,
    pool: bool = True,
) -> Network:
    """The network of the header and the given elements. Dimensions go unchecked in toys in SI."""
    path = written(folder, body)
    return lems.load_network(path, target, units=units, dimensions=dimensions, pool=pool)


run = lems.run
