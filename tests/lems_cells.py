"""Cells from papers, written for the tests in LEMS and once more as plain loops in numpy.

Hodgkin & Huxley (1952), J. Physiol. 117, 500-544, in today's sign of the voltage, per nF.
"""

import numpy as np

HODGKIN_HUXLEY = """
  <ComponentType name="Rate">
    <Parameter name="rate" dimension="per_time"/>
    <Parameter name="middle" dimension="voltage"/>
    <Parameter name="scale" dimension="voltage"/>
    <Requirement name="v" dimension="voltage"/>
    <Exposure name="r" dimension="per_time"/>
  </ComponentType>
  <ComponentType name="Exponential" extends="Rate">
    <Dynamics>
      <DerivedVariable name="r" exposure="r" dimension="per_time"
          value="rate * exp((v - middle) / scale)"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Sigmoid" extends="Rate">
    <Dynamics>
      <DerivedVariable name="r" exposure="r" dimension="per_time"
          value="rate / (1 + exp(-(v - middle) / scale))"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Linoid" extends="Rate">
    <Dynamics>
      <DerivedVariable name="x" dimension="none" value="(v - middle) / scale"/>
      <ConditionalDerivedVariable name="r" exposure="r" dimension="per_time">
        <Case condition="x .neq. 0" value="rate * x / (1 - exp(-x))"/>
        <Case condition="x .eq. 0" value="rate"/>
      </ConditionalDerivedVariable>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Gate">
    <Parameter name="power" dimension="none"/>
    <Child name="forward" type="Rate"/>
    <Child name="reverse" type="Rate"/>
    <Exposure name="fraction" dimension="none"/>
    <Dynamics>
      <StateVariable name="q" dimension="none"/>
      <DerivedVariable name="rf" dimension="per_time" select="forward/r"/>
      <DerivedVariable name="rr" dimension="per_time" select="reverse/r"/>
      <DerivedVariable name="fraction" exposure="fraction" dimension="none" value="q^power"/>
      <TimeDerivative variable="q" value="rf * (1 - q) - rr * q"/>
      <OnStart><StateAssignment variable="q" value="rf / (rf + rr)"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Channel">
    <Parameter name="g" dimension="conductance"/>
    <Parameter name="E" dimension="voltage"/>
    <Children name="gates" type="Gate"/>
    <Requirement name="v" dimension="voltage"/>
    <Exposure name="i" dimension="current"/>
    <Dynamics>
      <DerivedVariable name="open" dimension="none" select="gates[*]/fraction" reduce="multiply"/>
      <DerivedVariable name="i" exposure="i" dimension="current" value="g * open * (E - v)"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Synapse">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Parameter name="g0" dimension="conductance"/>
    <Parameter name="E" dimension="voltage"/>
    <Parameter name="tau" dimension="time"/>
    <Requirement name="v" dimension="voltage"/>
    <Exposure name="i" dimension="current"/>
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="g" dimension="conductance"/>
      <DerivedVariable name="i" exposure="i" dimension="current" value="g * (E - v)"/>
      <TimeDerivative variable="g" value="-g / tau"/>
      <OnEvent port="in"><StateAssignment variable="g" value="g + weight * g0"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="HodgkinHuxley" extends="Part">
    <Parameter name="C" dimension="capacitance"/>
    <Parameter name="I" dimension="current"/>
    <Parameter name="v0" dimension="voltage"/>
    <Parameter name="threshold" dimension="voltage"/>
    <Children name="channels" type="Channel"/>
    <Attachments name="synapses" type="Synapse"/>
    <Exposure name="v" dimension="voltage"/>
    <EventPort name="spike" direction="out"/>
    <Dynamics>
      <StateVariable name="v" exposure="v" dimension="voltage"/>
      <StateVariable name="above" dimension="none"/>
      <DerivedVariable name="through" dimension="current" select="channels[*]/i" reduce="add"/>
      <DerivedVariable name="across" dimension="current" select="synapses[*]/i" reduce="add"/>
      <TimeDerivative variable="v" value="(I + through + across) / C"/>
      <OnStart><StateAssignment variable="v" value="v0"/></OnStart>
      <OnCondition test="v .gt. threshold .and. above .lt. 0.5">
        <StateAssignment variable="above" value="1"/>
        <EventOut port="spike"/>
      </OnCondition>
      <OnCondition test="v .lt. threshold"><StateAssignment variable="above" value="0"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Metronome" extends="Part">
    <Parameter name="period" dimension="time"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="since" dimension="time"/>
      <TimeDerivative variable="since" value="1"/>
      <OnCondition test="since .geq. period">
        <StateAssignment variable="since" value="0"/>
        <EventOut port="out"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Onto" extends="Part">
    <Path name="source"/><Path name="target"/>
    <Parameter name="weight" dimension="none"/>
    <ComponentReference name="synapse" type="Synapse"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="synapse" receiverContainer="synapses">
        <Assign property="weight" value="weight"/>
      </EventConnection>
    </Structure>
  </ComponentType>
  <Synapse id="synapse" g0="0.05uS" E="0mV" tau="3ms"/>
"""


def hodgkin_huxley(name: str = "cell", current: str = "4nA", area: float = 1e-3) -> str:
    """A cell of `area` times 1 uF and 120, 36, 0.3 mS: by default of 1 nF."""
    g_na, g_k, g_leak = (f"{area * g!r}uS" for g in (120e3, 36e3, 300.0))
    return f"""
      <HodgkinHuxley id="{name}" C="{area * 1e3!r}nF" I="{current}" v0="-65mV" threshold="0mV">
        <Channel id="na" g="{g_na}" E="50mV">
          <Gate id="m" power="3">
            <forward type="Linoid" rate="1per_ms" middle="-40mV" scale="10mV"/>
            <reverse type="Exponential" rate="4per_ms" middle="-65mV" scale="-18mV"/>
          </Gate>
          <Gate id="h" power="1">
            <forward type="Exponential" rate="0.07per_ms" middle="-65mV" scale="-20mV"/>
            <reverse type="Sigmoid" rate="1per_ms" middle="-35mV" scale="10mV"/>
          </Gate>
        </Channel>
        <Channel id="k" g="{g_k}" E="-77mV">
          <Gate id="n" power="4">
            <forward type="Linoid" rate="0.1per_ms" middle="-55mV" scale="10mV"/>
            <reverse type="Exponential" rate="0.125per_ms" middle="-65mV" scale="-80mV"/>
          </Gate>
        </Channel>
        <Channel id="leak" g="{g_leak}" E="-54.387mV"/>
      </HodgkinHuxley>"""


def gate_rates(v: float) -> np.ndarray:
    """alpha and beta of m, h and n in 1/ms; v in mV."""

    def linoid(x: float) -> float:
        return x / (1.0 - np.exp(-x)) if x != 0.0 else 1.0

    return np.array(
        [
            [linoid((v + 40.0) / 10.0), 4.0 * np.exp(-(v + 65.0) / 18.0)],
            [0.07 * np.exp(-(v + 65.0) / 20.0), 1.0 / (1.0 + np.exp(-(v + 35.0) / 10.0))],
            [0.1 * linoid((v + 55.0) / 10.0), 0.125 * np.exp(-(v + 65.0) / 80.0)],
        ]
    )


def driven_by_hand(
    dt: float, steps: int, period: float, weights: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """v, m and the times of spikes of a cell with synapses; ms, mV, nA, uS, nF; Euler.

    In the order of PyLEMS: the source, then the synapses (events, currents, decay), gates and
    channels with the old v, then the cell, then its conditions.
    """
    v, since, above = -65.0, 0.0, False
    alpha, beta = gate_rates(v).T
    gates = alpha / (alpha + beta)
    g = np.zeros(len(weights))
    trace, gate, spikes = [v], [gates[0]], []
    for step in range(steps):
        since += dt
        event = since >= period
        since = 0.0 if event else since
        alpha, beta = gate_rates(v).T
        m, h, n = gates
        current = 120.0 * m**3 * h * (50.0 - v) + 36.0 * n**4 * (-77.0 - v)
        current += 0.3 * (-54.387 - v)
        gates = gates + dt * (alpha * (1.0 - gates) - beta * gates)
        g = g + np.array(weights) * 0.05 * event
        current += float(np.sum(g * (0.0 - v)))
        g = g - dt * g / 3.0
        v = v + dt * (4.0 + current)
        if v > 0.0 and not above:
            above = True
            spikes.append((step + 1) * dt)
        if v < 0.0:
            above = False
        trace.append(v)
        gate.append(gates[0])
    return np.array(trace), np.array(gate), spikes
