"""Cells and plain loops for the tests of spiking networks."""

from pathlib import Path

import numpy as np

from tvbjax import lems

# A leaky integrator without refractory time, of no capacitance to speak of where it is large:
# spikes come by a port of its own, which lifts v, and by synapses; `I_in` is for currents.
PROBE = """<Lems>
  <Include file="units.xml"/>
  <Include file="synapses.xml"/>
  <ComponentType name="Probe">
    <Parameter name="tau" dimension="time"/>
    <Parameter name="C" dimension="capacitance"/>
    <Parameter name="V_th" dimension="voltage"/>
    <Property name="weight" dimension="voltage" defaultValue="0 mV"/>
    <Attachments name="currents" type="CurrentSynapse"/>
    <EventPort name="in" direction="in"/>
    <EventPort name="spike" direction="out"/>
    <Exposure name="v" dimension="voltage"/>
    <Dynamics>
      <StateVariable name="v" dimension="voltage" exposure="v"/>
      <StateVariable name="I_in" dimension="current"/>
      <DerivedVariable name="I_syn" dimension="current" select="currents[*]/i" reduce="add"/>
      <TimeDerivative variable="v" value="-v / tau + (I_in + I_syn) / C"/>
      <OnEvent port="in"><StateAssignment variable="v" value="v + weight"/></OnEvent>
      <OnCondition test="v .geq. V_th">
        <StateAssignment variable="v" value="0 * V_th"/>
        <EventOut port="spike"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <Probe id="Probe" tau="10 ms" C="1 nF" V_th="20 mV"/>
</Lems>
"""


def probe(folder: Path, synapses=()) -> lems.Cell:
    """The cell above, with synapses of the library."""
    path = folder / "Probe.xml"
    path.write_text(PROBE)
    return lems.load_cell(path, synapses=synapses)


def plain_spikes(sizes, drive, start, connections, steps, dt):
    """The spikes of LifDelta's cells, (step, cell), neuron by neuron and spike by spike.

    `drive`: the potential that a cell's constant current leads to. `connections`: (sender,
    receiver, weight, steps) of cells numbered through all populations.
    """
    tau, threshold, reset, refractory = 20.0, 20.0, 10.0, round(2.0 / dt)
    kept, size = np.exp(-dt / tau), sum(sizes)
    v, waits = np.array(start, float), np.zeros(size, int)
    spikes = np.zeros((steps, size), bool)
    leaving = [[one for one in connections if one[0] == cell] for cell in range(size)]
    coming = np.zeros((steps + 1 + max((one[3] for one in connections), default=0), size))
    for step in range(steps):
        free = waits == 0
        v = np.where(free, drive + (v - drive) * kept + coming[step], v)
        waits = np.maximum(waits - 1, 0)
        spikes[step] = free & (v >= threshold)
        v[spikes[step]], waits[spikes[step]] = reset, refractory
        for cell in np.flatnonzero(spikes[step]):
            for _, receiver, weight, delay in leaving[cell]:
                if step + delay < steps:
                    coming[step + delay, receiver] += weight
    return spikes
