"""What is wrong with a network is said with its place, once, and with what would mend it."""

import re

import pytest

from lems_text import network, written
from tvbjax import lems

TYPES = """
  <ComponentType name="Inner">
    <Parameter name="p" dimension="none"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics><DerivedVariable name="x" exposure="x" value="p"/></Dynamics>
  </ComponentType>
  <ComponentType name="Needy">
    <Requirement name="absent" dimension="none"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics><DerivedVariable name="x" exposure="x" value="2 * absent"/></Dynamics>
  </ComponentType>
  <ComponentType name="Host" extends="Part">
    <Children name="inners" type="Inner"/>
    <Children name="needies" type="Needy"/>
    <ComponentReference name="friend" type="Inner"/>
    <Attachments name="inputs" type="Synapse"/>
    <EventPort name="in" direction="in"/>
    <EventPort name="out" direction="out"/>
    <Exposure name="n" dimension="none"/>
    <Dynamics>
      <StateVariable name="n" dimension="none" exposure="n"/>
      <OnEvent port="in"><StateAssignment variable="n" value="n + 1"/></OnEvent>
    </Dynamics>
    <Structure><ChildInstance component="friend"/></Structure>
  </ComponentType>
  <ComponentType name="Mute" extends="Part">
    <Exposure name="n" dimension="none"/>
    <Dynamics><StateVariable name="n" dimension="none" exposure="n"/></Dynamics>
  </ComponentType>
  <ComponentType name="Synapse">
    <EventPort name="in" direction="in"/>
    <Property name="weight" dimension="none"/>
    <Dynamics>
      <StateVariable name="g" dimension="none"/>
      <OnEvent port="in"><StateAssignment variable="g" value="g + weight"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Many" extends="Part">
    <Parameter name="size" dimension="none"/>
    <ComponentReference name="of" type="Component"/>
    <Structure><MultiInstantiate number="size" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="Edge" extends="Part">
    <Path name="source"/><Path name="target"/><Text name="out"/><Text name="in"/>
    <Parameter name="delay" dimension="time"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" sourcePort="out" targetPort="in" delay="delay"/>
    </Structure>
  </ComponentType>
  <ComponentType name="ByIndex" extends="Part">
    <Path name="list"/><IndexParameter name="index"/><Path name="target"/>
    <Structure>
      <With list="list" index="index" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b"/>
    </Structure>
  </ComponentType>
  <ComponentType name="Onto" extends="Part">
    <Path name="source"/><Path name="target"/>
    <ComponentReference name="synapse" type="Component"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="synapse" receiverContainer="inputs"/>
    </Structure>
  </ComponentType>
  <ComponentType name="Below">
    <Requirement name="b" dimension="none"/>
    <Exposure name="a" dimension="none"/>
    <Dynamics><DerivedVariable name="a" exposure="a" value="b + 1"/></Dynamics>
  </ComponentType>
  <ComponentType name="Circle" extends="Part">
    <Child name="below" type="Below"/>
    <Exposure name="b" dimension="none"/>
    <Dynamics><DerivedVariable name="b" exposure="b" select="below/a"/></Dynamics>
  </ComponentType>
  <ComponentType name="Lonely">
    <InstanceRequirement name="peer" type="Lonely"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <DerivedVariable name="other" select="peer/x"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Holder" extends="Part"><Child name="one" type="Lonely"/></ComponentType>
  <ComponentType name="Up" extends="Part">
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <DerivedVariable name="above" select="../../../x"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Scheme" extends="Part">
    <Children name="nodes" type="Mute"/><Children name="edges" type="Way"/>
    <Dynamics>
      <KineticScheme name="k" nodes="nodes" edges="edges" stateVariable="n" edgeSource="from"
        edgeTarget="to" forwardRate="f" reverseRate="f"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Way">
    <Text name="from"/><Text name="to"/><Parameter name="f" dimension="per_time"/>
  </ComponentType>
  <Inner id="pal" p="1"/>
  <Host id="cell" friend="pal"/>
  <Synapse id="synapse"/>
"""
HOST = '<Host id="h" friend="pal"/>\n'
POP = HOST + '<Many id="pop" size="3" of="cell"/>\n'
MUTE = HOST + '<Mute id="m"/>\n'


def edge(source: str, target: str, more: str = "", delay: str = "0s") -> str:
    return f'<Edge id="wrong" source="{source}" target="{target}" {more} delay="{delay}"/>'


def whole(parts: str) -> str:
    return f'{TYPES}\n<Whole id="whole">\n{parts}\n</Whole>'


# Parts, code, what is said, and a text of the line that is to be named.
SAID = {
    "unknown child": (
        '<Host id="h" friend="pal"><Strange id="s"/></Host>', "LEMS050",
        "'Host' has no place for a child 'Strange'", "<Strange",
    ),
    "child in a misspelt role": (
        '<Host id="h" friend="pal"><inner id="s" p="1"/></Host>', "LEMS050",
        "no place for a child 'inner'; did you mean 'inners'", "<inner ",
    ),
    "unknown reference": (
        '<Host id="h" friend="lap"/>', "LEMS051", "no component 'lap'.*(known|mean).*pal", '"lap"',
    ),
    "missing reference": ('<Host id="h"/>', "LEMS053", "'friend' is not given", None),
    "missing parameter": (
        '<Host id="h" friend="pal"><Inner id="i"/></Host>', "LEMS033",
        "the parameter 'p' has no value; write p=", '<Inner id="i"/>',
    ),
    "unmet requirement": (
        '<Host id="h" friend="pal"><Needy id="i"/></Host>', "LEMS055",
        "requires 'absent', which nothing around 'h/i' has", '<Requirement name="absent"',
    ),
    "no port out": (
        MUTE + edge("../m", "../h"), "LEMS052", "'m'.*no event port of direction out", '"wrong"',
    ),
    "no port in": (
        MUTE + edge("../h", "../m"), "LEMS052", "'m'.*no event port of direction in", '"wrong"',
    ),
    "misspelt port out": (
        HOST + edge("../h", "../h", 'out="outt"'), "LEMS052", "'outt'; did you mean 'out'",
        '"wrong"',
    ),
    "path not given": (
        HOST + '<Edge id="wrong" target="../h" delay="0s"/>', "LEMS052",
        "'source' is not given; write source=", '"wrong"',
    ),
    "index that is no number": (
        POP + '<ByIndex id="wrong" list="../pop" index="x" target="../h"/>', "LEMS052",
        "the index 'index' is 'x', not a whole number", '"wrong"',
    ),
    "a whole population as an end": (
        POP + edge("../pop", "../h"), "LEMS052", "'pop'.*no event port", '"wrong"',
    ),
    "negative delay": (
        HOST + edge("../h", "../h", delay="-1s"), "LEMS052", "delay is -1; a delay is 0 or more",
        '"wrong"',
    ),
    "delay in volts": (
        HOST + edge("../h", "../h", delay="1mV"), "LEMS020",
        "'1mV' is a voltage, but a time is needed", '"wrong"',
    ),
    "huge population": (
        '<Many id="pop" size="1e12" of="cell"/>', "LEMS053",
        r"number of instances is 1e\+12; give a whole number up to", None,
    ),
    "half a cell": (
        '<Many id="pop" size="2.5" of="cell"/>', "LEMS053", "instances is 2.5; give a whole", None,
    ),
    "population of itself": (
        '</Whole><Many id="self" size="2" of="self"/><Whole id="more"><Many id="p" size="1" '
        'of="self"/>', "LEMS053", "nest over 40 deep", None,
    ),
    "cycle of derived values": (
        '<Circle id="c"><Below id="b"/></Circle>', "LEMS034",
        "need each other: .*c/below/a.*c/b.*; make one of them a state variable", None,
    ),
    "unknown receiver": (
        HOST + '<Onto id="o" source="../h" target="../h" synapse="synaps"/>', "LEMS051",
        "no component 'synaps'; did you mean 'synapse'", "<Onto ",
    ),
    "receiver where there is no room": (
        MUTE + '<Onto id="o" source="../h" target="../m" synapse="synapse"/>', "LEMS052",
        "'m' of type 'Mute' takes no Synapse under 'inputs'", '<Onto id="o"',
    ),
    "no dynamics": ("", "LEMS035", "nothing to simulate", None),
    "no peer": (
        '<Holder id="h"><Lonely id="one"/></Holder>', "LEMS052", "has no 'peer'", '"peer/x"',
    ),
    "a path out of the network": (
        '<Up id="up"/>', "LEMS052", "leads out of the network", '"../../../x"',
    ),
    "an edge to nowhere": (
        '<Scheme id="s"><Mute id="c"/><Way id="e" from="c" to="q" f="1per_s"/></Scheme>',
        "LEMS051", "unknown node 'q'; known: c", "<Way ",
    ),
}  # fmt: skip


def refused(folder, parts: str) -> lems.LemsError:
    target = "more" if 'id="more"' in parts else "whole"
    with pytest.raises(lems.LemsError) as caught:
        network(folder, whole(parts), target)
    return caught.value


@pytest.mark.parametrize("name", SAID)
def test_what_is_wrong_is_said_with_its_place(tmp_path, name: str):
    parts, code, said, line = SAID[name]
    first = refused(tmp_path, parts).diagnostics[0]
    assert first.code == code and re.search(said, str(first)), str(first)
    if line is not None:
        lines = written(tmp_path, whole(parts)).read_text().splitlines()
        (wanted,) = [i for i, text in enumerate(lines, 1) if line in text]
        assert first.place.line == wanted, str(first)
    assert first.place.file.endswith("model.xml")


POOR = {
    "path to nowhere": (HOST + edge("../hh", "../h"), "no 'hh'.*(known|mean).*h"),
    "path that goes on into nothing": (HOST + edge("../h/foo", "../h"), "no 'foo'"),
    "number out of range in a path": (POP + edge("../pop[3]", "../h"), r"no \[3\]|no instance 3"),
    "number out of range": (
        POP + '<ByIndex id="wrong" list="../pop" index="3" target="../h"/>', "no instance 3",
    ),
    "misspelt port in": (HOST + edge("../h", "../h", 'in="inn"'), "'inn'; did you mean 'in'"),
    "populations of populations that are huge": (
        '</Whole><Many id="big" size="10000" of="cell"/><Whole id="more"><Many id="pop" '
        'size="10000" of="big"/>', "number of instances",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POOR)
def test_what_is_wrong_is_said_well(tmp_path, name: str):
    parts, said = POOR[name]
    first = refused(tmp_path, parts).diagnostics[0]
    assert re.search(said, str(first)), str(first)


def test_one_fault_is_one_finding(tmp_path):
    parts, *_ = SAID["path not given"]
    assert len(refused(tmp_path, parts).diagnostics) == 1


def test_several_faults_are_said_in_one_pass(tmp_path):
    parts = HOST + edge("../h", "../h", 'out="outt"').replace("wrong", "one")
    parts += "\n" + edge("../h", "../h", delay="-1s")
    assert len(refused(tmp_path, parts).diagnostics) == 2


def test_a_child_that_is_missing_is_warned_of(tmp_path):
    with pytest.warns(lems.LemsWarning, match="nothing is there, so it is 0"):
        network(tmp_path, whole('<Circle id="c"/>'), "whole")


def test_a_long_chain_of_derived_values_is_refused(tmp_path):
    chain = "".join(
        f'<DerivedVariable name="d{i}" dimension="none" value="{f"d{i - 1}" if i else "x"} + 1"/>'
        for i in range(250)
    )
    body = f"""<ComponentType name="Chained" extends="Part"><Dynamics>
      <StateVariable name="x" dimension="none"/>{chain}
      <TimeDerivative variable="x" value="d249"/></Dynamics></ComponentType>
      <Whole id="all"><Chained id="c"/></Whole>"""
    with pytest.raises(lems.LemsError, match=r"model.xml.*LEMS009.*'c/d200' needs a chain"):
        network(tmp_path, body, "all")


SELECTED = """
  <ComponentType name="Inner"><Exposure name="v" dimension="voltage"/><Dynamics>
    <StateVariable name="v" dimension="voltage" exposure="v"/>
    <OnStart><StateAssignment variable="v" value="1"/></OnStart></Dynamics></ComponentType>
  <ComponentType name="Outer" extends="Part"><Child name="inner" type="Inner"/><Dynamics>
    <StateVariable name="x" dimension="none"/>
    <DerivedVariable name="y" dimension="none" select="inner/v"/>
    <TimeDerivative variable="x" value="y"/></Dynamics></ComponentType>
  <Whole id="all"><Outer id="o"><inner/></Outer></Whole>"""


def test_a_path_to_another_dimension_is_refused_unless_in_si(tmp_path):
    """In mV its number would be another, so only SI has a meaning for it."""
    said = r"model.xml:\d+:\d+: \[LEMS020\].*'inner/v': it gives voltage, but 'y' is none.*units=SI"
    with pytest.raises(lems.LemsError, match=said):
        network(tmp_path, SELECTED, "all", units=lems.NEURAL)
    assert network(tmp_path, SELECTED, "all", units=lems.SI).plan.units


FREE = """
  <ComponentType name="Free" extends="Part"><Parameter name="p" dimension="*"/><Dynamics>
    <StateVariable name="x" dimension="none"/><TimeDerivative variable="x" value="p"/></Dynamics>
  </ComponentType>
  <Whole id="all"><Free id="f" p="3 mV"/></Whole>"""
MULTIPLIED = (
    SELECTED.replace('select="inner/v"', 'select="inners[*]/v" reduce="multiply"')
    .replace(
        '<DerivedVariable name="y" dimension="none"',
        '<DerivedVariable name="y" dimension="voltage"',
    )
    .replace('<Child name="inner" type="Inner"/>', '<Children name="inners" type="Inner"/>')
    .replace("<inner/>", '<Inner id="a"/><Inner id="b"/>')
)


@pytest.mark.parametrize(
    "body, said",
    [
        (MULTIPLIED, "it multiplies values of voltage, so in units of neural it has no meaning"),
        (FREE, "'p' may be of any dimension, so in units of neural 3 mV has no meaning"),
        (SELECTED.replace('"y" dimension="none"', '"y" dimension="*"'), "has the dimension *"),
    ],
)
def test_what_only_si_can_count_is_refused_in_other_units(tmp_path, body, said):
    with pytest.raises(lems.LemsError, match=rf"model.xml:\d+:\d+: .LEMS020.*{re.escape(said)}"):
        network(tmp_path, body, "all", units=lems.NEURAL)
    assert network(tmp_path, body, "all", units=lems.SI).plan.units
