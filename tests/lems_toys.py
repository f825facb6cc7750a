"""Toys of each feature of Dynamics, in groups, and what of them to record."""

STARTS = """
  <ComponentType name="Inner">
    <Parameter name="p" dimension="none"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <DerivedVariable name="d" value="2 * p"/>
      <OnStart><StateAssignment variable="x" value="d + 1"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Outer" extends="Part">
    <Child name="inner" type="Inner"/>
    <Exposure name="y" dimension="none"/>
    <Dynamics>
      <StateVariable name="y" dimension="none" exposure="y"/>
      <StateVariable name="z" dimension="none"/>
      <DerivedVariable name="below" select="inner/x"/>
      <OnStart>
        <StateAssignment variable="y" value="10 * below"/>
        <StateAssignment variable="z" value="y + 1"/>
      </OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Backwards" extends="Part">
    <Dynamics>
      <StateVariable name="a" dimension="none"/>
      <StateVariable name="b" dimension="none"/>
      <OnStart>
        <StateAssignment variable="b" value="a + 1"/>
        <StateAssignment variable="a" value="5"/>
      </OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Twice" extends="Part">
    <Dynamics>
      <StateVariable name="a" dimension="none"/>
      <OnStart>
        <StateAssignment variable="a" value="3"/>
        <StateAssignment variable="a" value="a * a"/>
      </OnStart>
    </Dynamics>
  </ComponentType>
"""
STARTED = """
    <Outer id="outer"><Inner id="i" type="Inner" p="3"/></Outer>
    <Backwards id="backwards"/>
    <Twice id="twice"/>
"""

CONDITIONS = """
  <ComponentType name="Levels" extends="Part">
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <StateVariable name="level" dimension="none"/>
      <StateVariable name="late" dimension="none"/>
      <DerivedVariable name="seen" value="x"/>
      <TimeDerivative variable="x" value="1"/>
      <OnCondition test="x .geq. 1"><StateAssignment variable="level" value="level + 1"/>
      </OnCondition>
      <OnCondition test="seen .geq. 1"><StateAssignment variable="late" value="late + 1"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Sequence" extends="Part">
    <Dynamics>
      <StateVariable name="a" dimension="none"/>
      <StateVariable name="b" dimension="none"/>
      <StateVariable name="c" dimension="none"/>
      <StateVariable name="seen" dimension="none"/>
      <StateVariable name="missed" dimension="none"/>
      <OnStart>
        <StateAssignment variable="a" value="1"/>
        <StateAssignment variable="b" value="2"/>
      </OnStart>
      <OnCondition test="c .eq. 1"><StateAssignment variable="missed" value="missed + 1"/>
      </OnCondition>
      <OnCondition test="t .geq. 1 .and. t .lt. 1.125">
        <StateAssignment variable="c" value="a"/>
        <StateAssignment variable="a" value="b"/>
        <StateAssignment variable="b" value="10 * a"/>
      </OnCondition>
      <OnCondition test="c .eq. 1">
        <StateAssignment variable="seen" value="seen + 1"/>
        <StateAssignment variable="c" value="0"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
"""
CONDITIONED = '<Levels id="levels"/><Sequence id="sequence"/>'

EVENTS = """
  <ComponentType name="Burst" extends="Part">
    <Parameter name="at" dimension="time"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="sent" dimension="none"/>
      <OnCondition test="t .geq. at .and. sent .lt. 1">
        <EventOut port="out"/><EventOut port="out"/><EventOut port="out"/>
        <StateAssignment variable="sent" value="1"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Depressing" extends="Part">
    <EventPort name="in" direction="in"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="R" dimension="none"/>
      <StateVariable name="g" dimension="none"/>
      <StateVariable name="heard" dimension="none"/>
      <OnStart><StateAssignment variable="R" value="1"/></OnStart>
      <OnEvent port="in">
        <StateAssignment variable="g" value="g + 0.5 * R"/>
        <StateAssignment variable="R" value="R * (1 - 0.5)"/>
        <StateAssignment variable="heard" value="heard + 1"/>
        <EventOut port="out"/>
      </OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Ports" extends="Part">
    <EventPort name="up" direction="in"/>
    <EventPort name="down" direction="in"/>
    <Dynamics>
      <StateVariable name="n" dimension="none"/>
      <OnEvent port="up"><StateAssignment variable="n" value="n + 1"/></OnEvent>
      <OnEvent port="down"><StateAssignment variable="n" value="n - 10"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="PortWire" extends="Part">
    <Path name="source"/><Path name="target"/><Text name="port"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" targetPort="port"/>
    </Structure>
  </ComponentType>
  <ComponentType name="Ticker">
    <Exposure name="ticks" dimension="none"/>
    <EventPort name="tick" direction="out"/>
    <Dynamics>
      <StateVariable name="ticks" dimension="none" exposure="ticks"/>
      <OnCondition test="t .geq. 1"><EventOut port="tick"/>
        <StateAssignment variable="ticks" value="ticks + 1"/></OnCondition>
    </Dynamics>
    <Structure>
      <With instance="this" as="a"/><With instance="parent" as="b"/>
      <EventConnection from="a" to="b"/>
    </Structure>
  </ComponentType>
  <ComponentType name="Relay" extends="Part">
    <Child name="ticker" type="Ticker"/>
    <EventPort name="in" direction="in"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="n" dimension="none"/>
      <OnEvent port="in">
        <StateAssignment variable="n" value="n + 1"/>
        <EventOut port="out"/>
      </OnEvent>
    </Dynamics>
  </ComponentType>
"""
WIRED = "".join(
    f'<Wire id="w{i}" source="../{a}" target="../{b}"/>'
    for i, (a, b) in enumerate(
        [("burst", "three"), ("burst", "six"), ("twin", "six"), ("three", "chain"), ("six", "end")]
    )
)
EVENTFUL = f"""
    <Burst id="burst" at="1s"/><Burst id="twin" at="1s"/>
    <Depressing id="three"/><Depressing id="six"/><Depressing id="chain"/><Depressing id="end"/>
    <Ports id="ports"/>
    <PortWire id="up" source="../burst" target="../ports" port="up"/>
    <PortWire id="down" source="../twin" target="../ports" port="down"/>
    {WIRED}
"""
RELAYED = """
    <Relay id="relay"><Ticker id="t" type="Ticker"/></Relay>
    <Depressing id="above"/>
    <Wire id="w8" source="../relay" target="../above"/>
"""

REGIMES = """
  <ComponentType name="Phases" extends="Part">
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <StateVariable name="y" dimension="none"/>
      <StateVariable name="entries" dimension="none"/>
      <StateVariable name="heard" dimension="none"/>
      <StateVariable name="always" dimension="none"/>
      <TimeDerivative variable="y" value="1"/>
      <OnEvent port="in"><StateAssignment variable="always" value="always + 1"/></OnEvent>
      <Regime name="falling">
        <TimeDerivative variable="x" value="-4"/>
        <OnEntry>
          <StateAssignment variable="entries" value="entries + 1"/>
          <StateAssignment variable="x" value="10 + x"/>
        </OnEntry>
        <OnEvent port="in"><StateAssignment variable="heard" value="heard + 1"/></OnEvent>
        <OnCondition test="x .leq. 10"><Transition regime="rising"/></OnCondition>
      </Regime>
      <Regime name="rising" initial="true">
        <TimeDerivative variable="x" value="1"/>
        <OnCondition test="x .geq. 0.5 .and. x .lt. 1"><Transition regime="falling"/>
        </OnCondition>
        <OnEvent port="in"><StateAssignment variable="heard" value="heard + 100"/></OnEvent>
      </Regime>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Called" extends="Part">
    <EventPort name="in" direction="in"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <StateVariable name="since" dimension="time"/>
      <Regime name="idle" initial="true">
        <OnEvent port="in"><Transition regime="busy"/></OnEvent>
      </Regime>
      <Regime name="busy">
        <OnEntry><StateAssignment variable="since" value="t"/><EventOut port="out"/></OnEntry>
        <TimeDerivative variable="x" value="1"/>
      </Regime>
    </Dynamics>
  </ComponentType>
"""
REGIMED = """
    <Phases id="phases"/>
    <Pulse id="first" at="0.25s"/><Pulse id="other" at="0.375s"/><Pulse id="second" at="0.625s"/>
    <Wire id="r1" source="../first" target="../phases"/>
    <Wire id="r2" source="../other" target="../phases"/>
    <Wire id="r5" source="../second" target="../phases"/>
    <Called id="called"/><Depressing id="answer"/>
    <Wire id="r3" source="../second" target="../called"/>
    <Wire id="r4" source="../called" target="../answer"/>
"""

INHERITED = """
  <ComponentType name="Base" extends="Part">
    <Parameter name="k" dimension="none"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <StateVariable name="n" dimension="none"/>
      <DerivedVariable name="slope" value="k"/>
      <TimeDerivative variable="x" value="slope"/>
      <OnStart><StateAssignment variable="x" value="7"/></OnStart>
      <OnCondition test="t .geq. 1"><StateAssignment variable="n" value="n + 1"/></OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Same" extends="Base"><Fixed parameter="k" value="3"/></ComponentType>
  <ComponentType name="Merged" extends="Base">
    <Dynamics>
      <Super/>
      <StateVariable name="y" dimension="none"/>
      <TimeDerivative variable="y" value="2 * slope"/>
      <DerivedVariable name="slope" value="-k"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Replaced" extends="Base">
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <TimeDerivative variable="x" value="10 * k"/>
    </Dynamics>
  </ComponentType>
"""
HEIRS = '<Same id="same"/><Merged id="merged" k="2"/><Replaced id="replaced" k="2"/>'

CASES = """
  <ComponentType name="Sorted" extends="Part">
    <Parameter name="p" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <DerivedVariable name="last" value="10 * second"/>
      <ConditionalDerivedVariable name="second">
        <Case condition="doubled .gt. 3" value="doubled + 100"/>
        <Case condition="doubled .gt. 1" value="doubled"/>
        <Case value="-1"/>
      </ConditionalDerivedVariable>
      <DerivedVariable name="doubled" value="2 * first"/>
      <ConditionalDerivedVariable name="first">
        <Case condition="x .lt. 1" value="x"/>
        <Case condition="x .lt. 1.5" value="2 * x"/>
      </ConditionalDerivedVariable>
      <TimeDerivative variable="x" value="1"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Grammar" extends="Part">
    <Parameter name="x" dimension="none"/>
    <Parameter name="y" dimension="none"/>
    <Parameter name="warm" dimension="temperature"/>
    <Parameter name="cold" dimension="temperature"/>
    <Dynamics>
      <StateVariable name="t" dimension="none"/>
      <TimeDerivative variable="t" value="3"/>
      <DerivedVariable name="edge" value="H(x - x)"/>
      <DerivedVariable name="above" value="H(x) + 10 * H(-x)"/>
      <DerivedVariable name="minus" value="-x^2"/>
      <DerivedVariable name="times" value="y * (-x^2)"/>
      <DerivedVariable name="tower" value="2^3^2"/>
      <DerivedVariable name="left" value="8 / 4 / 2 - 1 - 1"/>
      <ConditionalDerivedVariable name="logic">
        <Case condition="x .gt. 5 .and. y .gt. 5 .or. x .eq. 3" value="1"/>
        <Case value="2"/>
      </ConditionalDerivedVariable>
      <ConditionalDerivedVariable name="tight">
        <Case condition="x.geq.3.and.y.neq.x + 1" value="1"/>
        <Case value="2"/>
      </ConditionalDerivedVariable>
      <DerivedVariable name="functions"
        value="ln(x) + log(x) + abs(-x) + ceil(y / 4) + sqrt(x) + cosh(x) + tan(x) + factorial(x)"/>
      <DerivedVariable name="shadow" value="t"/>
      <DerivedVariable name="warmth" value="warm"/>
      <DerivedVariable name="coldness" value="cold"/>
    </Dynamics>
  </ComponentType>
"""
WRITTEN = '<Sorted id="sorted" p="0"/><Grammar id="g" x="3" y="5" warm="37 degC" cold="32 degF"/>'

TYPES = STARTS + CONDITIONS + EVENTS + REGIMES + INHERITED + CASES
GROUPS = {
    "starts": STARTED,
    "conditions": CONDITIONED,
    "events": EVENTFUL,
    "relays": RELAYED,
    "regimes": REGIMED,
    "heirs": HEIRS,
    "cases": WRITTEN,
}
WHOLE = "".join(
    f'<Whole id="{name}" type="Whole">{parts}</Whole>' for name, parts in GROUPS.items()
)
RECORDED = {
    "starts": "outer/inner/x outer/y outer/z backwards/b twice/a",
    "conditions": "levels/level levels/late sequence/a sequence/b sequence/seen sequence/missed",
    "events": "three/R three/g six/R six/g three/heard six/heard chain/heard end/heard ports/n",
    "relays": "above/heard relay/n relay/ticker/ticks",
    "regimes": "phases/x phases/y phases/entries phases/heard phases/always called/x called/since "
    "answer/heard",
    "heirs": "same/x same/n merged/x merged/n merged/y replaced/x",
    "cases": "sorted/first sorted/doubled sorted/second sorted/last g/edge g/above g/minus "
    "g/times g/tower g/left g/logic g/tight g/functions g/shadow g/warmth g/coldness",
}
PATHS = [f"{group}/{path}" for group, paths in RECORDED.items() for path in paths.split()]
PORTS = [f"events/{one}/out" for one in ("burst", "three", "six")]
PORTS += ["relays/relay/out", "regimes/called/out"]
