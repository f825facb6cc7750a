"""What Structure builds: instances, connections with delays and weights, gap junctions.

The toys run with a step of 1/8, so that delays in steps are exact. An event that is sent in the
step from row k to row k + 1 shows at row k + 1 where the target comes later in the document.
"""

import numpy as np
import pytest

from lems_text import network, run
from tvbjax import lems

DT = 0.125

TYPES = """
  <ComponentType name="Adder">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Parameter name="unit" dimension="none"/>
    <Exposure name="i" dimension="none"/>
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="g" dimension="none"/>
      <DerivedVariable name="i" dimension="none" exposure="i" value="g * unit"/>
      <OnEvent port="in"><StateAssignment variable="g" value="g + weight"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Cell" extends="Part">
    <Attachments name="synapses" type="Adder"/>
    <EventPort name="in" direction="in"/>
    <Exposure name="heard" dimension="none"/>
    <Dynamics>
      <StateVariable name="heard" dimension="none" exposure="heard"/>
      <DerivedVariable name="total" dimension="none" select="synapses[*]/i" reduce="add"/>
      <DerivedVariable name="product" dimension="none" select="synapses[*]/i" reduce="multiply"/>
      <OnEvent port="in"><StateAssignment variable="heard" value="heard + 1"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Many" extends="Part">
    <Parameter name="size" dimension="none"/>
    <ComponentReference name="of" type="Component"/>
    <Structure><MultiInstantiate number="size" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="ByPath" extends="Part">
    <Path name="source"/><Path name="target"/>
    <Parameter name="w" dimension="none"/>
    <Parameter name="delay" dimension="time"/>
    <ComponentReference name="synapse" type="Adder"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="synapse" receiverContainer="synapses"
          delay="delay"><Assign property="weight" value="2 * w"/></EventConnection>
    </Structure>
  </ComponentType>
  <ComponentType name="Late" extends="Part">
    <Path name="source"/><Path name="target"/>
    <Parameter name="delay" dimension="time"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" delay="delay"/>
    </Structure>
  </ComponentType>
  <ComponentType name="ByIndex" extends="Part">
    <Path name="sources"/><Path name="targets"/>
    <IndexParameter name="from"/><IndexParameter name="to"/>
    <Structure>
      <With list="sources" index="from" as="a"/><With list="targets" index="to" as="b"/>
      <EventConnection from="a" to="b"/>
    </Structure>
  </ComponentType>
  <ComponentType name="AllToAll" extends="Part">
    <Path name="sources"/><Path name="targets"/>
    <ComponentReference name="synapse" type="Adder"/>
    <Structure>
      <ForEach instances="sources" as="a"><ForEach instances="targets" as="b">
        <EventConnection from="a" to="b" receiver="synapse" receiverContainer="synapses">
          <Assign property="weight" value="0.5"/></EventConnection>
      </ForEach></ForEach>
    </Structure>
  </ComponentType>
  <Pulse id="pulse" at="0.5s"/>
  <Cell id="cell"/>
  <Adder id="one" unit="1"/>
  <Adder id="ten" unit="10"/>
"""


def wires(*pairs: str, kind: str = "ByPath") -> str:
    return "".join(f'<{kind} id="{kind}{i}" {text}/>' for i, text in enumerate(pairs))


EACH = """
  <Whole id="each">
    <Many id="src" size="3" of="pulse"/>
    <Many id="dst" size="4" of="cell"/>
    <AllToAll id="all" sources="../src" targets="../dst" synapse="one"/>
  </Whole>
"""
LISTED = f"""
  <Whole id="listed">
    <Many id="src" size="3" of="pulse"/>
    <Many id="dst" size="5" of="cell"/>
    {
    wires(
        'source="../src[0]" target="../dst[0]" synapse="one" w="1" delay="0s"',
        'source="../src[1]" target="../dst[0]" synapse="ten" w="1.5" delay="0s"',
        'source="../src[2]" target="../dst[3]" synapse="one" w="-2" delay="0s"',
        'source="../src[2]" target="../dst[3]" synapse="one" w="7" delay="0.25s"',
    )
}
    {
    wires(
        'sources="../src" targets="../dst" from="2" to="4"',
        'sources="../src" targets="../dst" from="0" to="4"',
        'sources="../src" targets="../dst" from="0" to="1"',
        kind="ByIndex",
    )
}
  </Whole>
"""
DELAYS = [0.0, 1.0, 3.0, 0.4, 0.5, 1.5, 2.5, 2.6, 7.0]
IN_STEPS = [0, 1, 3, 0, 0, 2, 2, 3, 7]  # to the nearest step, ties to even
LATE = (
    '<Whole id="late"><Cell id="before"/><Pulse id="p" at="0.5s"/>'
    + f'<Many id="dst" size="{len(DELAYS)}" of="cell"/>'
    + wires(
        *(f'source="../p" target="../dst[{i}]" delay="{d * DT}s"' for i, d in enumerate(DELAYS)),
        f'source="../p" target="../dst[8]" delay="{DT}s"',
        'source="../p" target="../before" delay="0s"',
        kind="Late",
    )
    + "</Whole>"
)
COLUMN = '<Many id="column" size="3" of="cell"/>'
NESTED_WHOLE = """
  <Whole id="nested">
    <Pulse id="p" at="0.5s"/>
    <Many id="columns" size="2" of="column"/>
    <Late id="in" source="../p" target="../columns[1]/of[2]" delay="0s"/>
    <Late id="in2" source="../p" target="../columns/column[1]/cell[0]" delay="0s"/>
  </Whole>
"""
PEOPLE = """
  <ComponentType name="Listed" extends="Part">
    <ComponentReference name="component" type="Cell"/>
    <Children name="instances" type="Instance"/>
  </ComponentType>
  <ComponentType name="Instance">
    <Text name="label"/>
    <Structure><ChildInstance component="../component"/></Structure>
  </ComponentType>
"""


def listed(name: str, count: int) -> str:
    inside = "".join(f'<Instance id="{i}" label="{"a" if i == 1 else "b"}"/>' for i in range(count))
    return f"""
      <Whole id="{name}">
        <Pulse id="p" at="0.5s"/>
        <Listed id="pop" component="cell">{inside}</Listed>
        <Many id="ps" size="1" of="pulse"/>
        <Late id="a" source="../p" target="../pop/2/cell" delay="0s"/>
        <ByIndex id="c" sources="../ps" targets="../pop" from="0" to="2"/>
        <Late id="d" source="../p" target="../pop[1]" delay="0s"/>
      </Whole>"""


SPREAD = [0.5, 1.0, 2.0, 4.0]


def crowd(name: str, count: int) -> str:
    """Cells with a leak and a drive of their own, some of another kind, driven by one source."""
    cells, ends = "", []
    for i in range(count):
        cells += f'<Leaky id="c{i}" kind="{"ab"[i % 7 == 3]}" drive="{1 + i}">'
        cells += f'<Leak id="l{i}" rate="{SPREAD[i % 4]}per_s"/></Leaky>'
        end = f'source="../../p" target="../../cells/c{i}" synapse="one"'
        ends.append(f'{end} w="{i}" delay="{(i % 3) * DT}s"')
    return f"""
      <Whole id="{name}">
        <Pulse id="p" at="0.5s"/>
        <Whole id="cells">{cells}</Whole>
        <Whole id="w1">{wires(*ends[:10])}</Whole>
        <Whole id="w2">{wires(*ends[10:])}</Whole>
      </Whole>"""


CROWD = """
  <ComponentType name="Leak">
    <Parameter name="rate" dimension="per_time"/>
    <Requirement name="x" dimension="none"/>
    <Exposure name="loss" dimension="per_time"/>
    <Dynamics><DerivedVariable name="loss" exposure="loss" dimension="per_time" value="rate * x"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Leaky" extends="Cell">
    <Text name="kind"/>
    <Parameter name="drive" dimension="none"/>
    <Child name="leak" type="Leak"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <DerivedVariable name="loss" dimension="per_time" select="leak/loss"/>
      <DerivedVariable name="input" dimension="none" select="synapses[*]/i" reduce="add"/>
      <TimeDerivative variable="x" value="drive + input - loss"/>
    </Dynamics>
  </ComponentType>
"""
RECORDED = [
    "each/dst[*]/total", "each/dst[2]/product", "each/dst[0]/synapses:one:2/g",
    "listed/dst[*]/total", "listed/dst[*]/product", "listed/dst[*]/heard",
    "late/dst[*]/heard", "late/before/heard", "few/pop[2]/heard",
    *(f"nested/columns[{i}]/of[{k}]/heard" for i in range(2) for k in range(3)),
    *(f"few/pop/{i}/cell/heard" for i in range(5)),
    *(f"apart/cells/c{i}/x" for i in range(5)),
    *(f"merged/cells/c{i}/x" for i in range(20)),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("structure")


@pytest.fixture(scope="module")
def built(folder):
    parts = EACH + LISTED + LATE + NESTED_WHOLE + listed("few", 5) + crowd("apart", 5)
    parts += crowd("merged", 20)
    model = network(folder, f'{TYPES}{COLUMN}{PEOPLE}{CROWD}<Whole id="all">{parts}</Whole>', "all")
    return run(model, step=DT, duration=2.0, record=RECORDED)


def steps(first: int, value: float = 1.0, rows: int = 17) -> np.ndarray:
    return np.where(np.arange(rows) >= first, value, 0.0)


def test_for_each_connects_all_to_all_with_a_synapse_each(built):
    np.testing.assert_array_equal(built["each/dst[*]/total"], np.tile(steps(5, 1.5), (4, 1)).T)
    np.testing.assert_array_equal(built["each/dst[2]/product"], steps(5, 0.125))
    np.testing.assert_array_equal(built["each/dst[0]/synapses:one:2/g"], steps(5, 0.5))


def test_connections_have_their_ends_weights_and_delays(built):
    """Weights are 2 w; the unit of the second synapse is 10; cells without synapses have none."""
    expected = np.zeros((17, 5))
    expected[:, 0] = steps(5, 2.0 + 10.0 * 3.0)
    expected[:, 3] = steps(5, -4.0) + steps(7, 14.0)
    np.testing.assert_array_equal(built["listed/dst[*]/total"], expected)
    product = np.ones((17, 5))
    product[:, 0] = steps(5, 2.0 * 30.0)
    product[:, 3] = steps(5, -4.0) * steps(7, 14.0)
    np.testing.assert_array_equal(built["listed/dst[*]/product"], product)


def test_a_list_and_an_index_name_the_ends(built):
    expected = np.zeros((17, 5))
    expected[:, 1], expected[:, 4] = steps(5), steps(5, 2.0)
    np.testing.assert_array_equal(built["listed/dst[*]/heard"], expected)


def test_delays_are_exact_numbers_of_steps(built):
    expected = np.stack([steps(5 + d) for d in IN_STEPS], axis=1)
    expected[:, 8] += steps(5 + 1)  # the last cell hears the source twice
    np.testing.assert_array_equal(built["late/dst[*]/heard"], expected)


def test_without_delay_a_target_further_up_hears_at_the_next_step(built):
    np.testing.assert_array_equal(built["late/before/heard"], steps(6))


def test_delays_are_the_same_where_all_states_move_at_once(folder):
    """The source's condition then holds at t = 0.5, row 4, and all hear at the end of a step."""
    model = network(folder, TYPES + LATE, "late")
    options = {"step": DT, "duration": 2.0, "record": ["dst[*]/heard", "before/heard"]}
    found = run(model, method=lems.Heun(), **options)
    expected = np.stack([steps(4 + d) for d in IN_STEPS], axis=1)
    expected[:, 8] += steps(4 + 1)
    np.testing.assert_array_equal(found["dst[*]/heard"], expected)
    np.testing.assert_array_equal(found["before/heard"], steps(4))


def test_populations_of_populations_are_reached_by_path(built):
    for i in range(2):
        for k in range(3):
            heard = steps(5) if (i, k) in ((1, 2), (1, 0)) else steps(99)
            np.testing.assert_array_equal(built[f"nested/columns[{i}]/of[{k}]/heard"], heard)


def test_a_population_of_listed_instances_is_reached_by_id_and_by_number(built):
    first, later = steps(5), steps(6)  # the second source comes after the population
    for i, heard in enumerate([steps(99), first, first + later, steps(99), steps(99)]):
        np.testing.assert_array_equal(built[f"few/pop/{i}/cell/heard"], heard)
    np.testing.assert_array_equal(built["few/pop[2]/heard"], first + later)


def test_listed_siblings_kept_as_one_axis_equal_those_kept_apart(built):
    for i in range(20):
        x, kick = np.zeros(17), steps(5 + i % 3, 2.0 * i)  # x' = drive + input - rate x
        for row in range(16):
            x[row + 1] = x[row] + DT * (1.0 + i + kick[row + 1] - SPREAD[i % 4] * x[row])
        merged = built[f"merged/cells/c{i}/x"]
        np.testing.assert_allclose(merged, x, rtol=1e-13)
        if i < 5:
            np.testing.assert_array_equal(merged, built[f"apart/cells/c{i}/x"])


def test_many_children_keep_the_order_of_the_document(folder):
    """An event reaches a target further down in the same step, however many siblings there are."""
    fillers = "".join(f'<Pulse id="f{i}" at="9s"/>' for i in range(12))
    body = f"""
      <Whole id="whole"><Cell id="first"/><Pulse id="p" at="0.5s"/>{fillers}<Cell id="last"/>
        <Late id="wire" source="../p" target="../last" delay="0s"/></Whole>"""
    found = run(
        network(folder, TYPES + body, "whole"), step=DT, duration=1.0, record=["last/heard"]
    )
    np.testing.assert_array_equal(found["last/heard"], steps(5, rows=9))


def test_many_listed_instances_of_different_kinds_keep_their_numbers(folder):
    model = network(folder, f"{TYPES}{PEOPLE}{listed('many', 20)}", "many")
    paths = [f"pop/{i}/cell/heard" for i in (1, 2, 3)]
    found = run(model, step=DT, duration=1.0, record=[*paths, "pop[2]/heard"])
    heard = [int(found[path][-1]) for path in (*paths, "pop[2]/heard")]
    assert heard == [1, 2, 0, 2]


def test_all_of_a_few_listed_children_are_recorded(folder):
    body = '<Whole id="whole"><Cell id="a"/><Cell id="b"/><Cell id="c"/></Whole>'
    found = run(
        network(folder, TYPES + body, "whole"), step=DT, duration=DT, record=["parts[*]/heard"]
    )
    assert found["parts[*]/heard"].shape == (2, 3)


def test_all_of_one_population_of_several_are_recorded(folder):
    model = network(folder, f"{TYPES}{COLUMN}{NESTED_WHOLE}", "nested")
    found = run(model, step=DT, duration=DT, record=["columns[1]/of[*]/heard"])
    assert found["columns[1]/of[*]/heard"].shape == (2, 3)


NUMBERED = """
  <ComponentType name="Ramp" extends="Part">
    <Requirement name="number" dimension="none"/>
    <Property name="slope" dimension="none" defaultValue="7"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <TimeDerivative variable="x" value="0"/>
      <OnStart><StateAssignment variable="x" value="100 * slope + number"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Holder" extends="Part">
    <Child name="inner" type="Ramp"/>
  </ComponentType>
  <ComponentType name="Ramps" extends="Part">
    <Parameter name="size" dimension="none"/>
    <Parameter name="steepness" dimension="none"/>
    <ComponentReference name="of" type="Component"/>
    <Structure>
      <MultiInstantiate number="size" component="of" indexVariable="number">
        {assign}
      </MultiInstantiate>
    </Structure>
  </ComponentType>
  <ComponentType name="RampsOfType" extends="Part">
    <Structure>
      <MultiInstantiate number="3" componentType="Ramp" indexVariable="number"/>
    </Structure>
  </ComponentType>
"""
SLOPES = '<Assign property="slope" value="steepness * number^2"/>'


def numbered(tmp_path, parts: str, assign: str = SLOPES) -> lems.Network:
    body = f'{NUMBERED.format(assign=assign)}<Whole id="all">{parts}</Whole>'
    return network(tmp_path, body + '<Ramp id="ramp"/><Target component="all"/>', "all")


def test_an_instance_knows_its_number_and_gets_properties_by_it(tmp_path):
    made = numbered(tmp_path, '<Ramps id="pop" of="ramp" size="4" steepness="0.5"/>')
    found = run(made, step=DT, duration=DT, record="pop[*]/x")["pop[*]/x"]
    assert np.asarray(found)[0].tolist() == [100 * 0.5 * i**2 + i for i in range(4)]


def test_without_an_assign_properties_keep_their_default(tmp_path):
    made = numbered(tmp_path, '<Ramps id="pop" of="ramp" size="2" steepness="1"/>', assign="")
    found = run(made, step=DT, duration=DT, record="pop[*]/x")["pop[*]/x"]
    assert np.asarray(found)[0].tolist() == [700.0, 701.0]


def test_a_component_inside_an_instance_sees_the_number(tmp_path):
    parts = '<Ramps id="pop" of="holder" size="3" steepness="1"/>'
    body = NUMBERED.format(assign="") + f'<Whole id="all">{parts}</Whole>'
    body += '<Holder id="holder"><inner id="i"/></Holder>'
    found = run(network(tmp_path, body, "all"), step=DT, duration=DT, record="pop[*]/inner/x")
    assert np.asarray(found["pop[*]/inner/x"])[0].tolist() == [700.0, 701.0, 702.0]


def test_a_population_of_a_type_needs_no_component(tmp_path):
    made = numbered(tmp_path, '<RampsOfType id="pop"/>')
    found = run(made, step=DT, duration=DT, record="pop[*]/x")["pop[*]/x"]
    assert np.asarray(found)[0].tolist() == [700.0, 701.0, 702.0]


def test_an_assign_to_no_property_is_an_error_with_its_place(tmp_path):
    with pytest.raises(lems.LemsError, match=r"model.xml:\d+:.*no Property 'slop'.*'slope'"):
        numbered(
            tmp_path,
            '<Ramps id="pop" of="ramp" size="2" steepness="1"/>',
            '<Assign property="slop" value="1"/>',
        )
    with pytest.raises(lems.LemsError, match=r"model.xml:\d+:\d+:.*unknown name 'nmber'"):
        numbered(
            tmp_path,
            '<Ramps id="pop" of="ramp" size="2" steepness="1"/>',
            '<Assign property="slope" value="nmber"/>',
        )


def test_many_alike_children_of_each_cell_of_a_population(tmp_path):
    inner = "".join(f'<Ramp id="r{i}" slope="{i}"/>' for i in range(20))
    body = f"""{NUMBERED.format(assign="")}
      <Whole id="cell">{inner}</Whole>
      <Whole id="all"><Ramps id="pop" of="cell" size="3" steepness="1"/></Whole>"""
    body = body.replace('<Property name="slope" dimension="none" defaultValue="7"/>',
                        '<Parameter name="slope" dimension="none"/>')  # fmt: skip
    made = network(tmp_path, body, "all")
    found = run(made, step=DT, duration=DT, record=("pop[1]/r4/x", "pop[2]/r19/x"))
    assert float(found["pop[1]/r4/x"][0]) == 401.0
    assert float(found["pop[2]/r19/x"][0]) == 1902.0


@pytest.mark.parametrize(
    "change, said",
    [
        (('indexVariable="number"', 'indexVariable="2 i"'), "'2 i' is no name"),
        (('indexVariable="number"', 'indexVariable="size"'), "'size' is the name of something"),
        (('indexVariable="number"', 'indexVariable="t"'), "'t' is the name of something else"),
        ((SLOPES, 2 * SLOPES), "'slope' is assigned twice"),
        (('component="of"', 'component="of" componentType="Ramp"'), "needs either a component or"),
        (("steepness * number^2", "random(1)"), "an Assign cannot be random"),
    ],
)
def test_what_is_wrong_with_an_index_or_assign_is_said(tmp_path, change, said):
    body = NUMBERED.format(assign=SLOPES).replace(*change)
    parts = '<Whole id="all"><Ramps id="pop" of="ramp" size="2" steepness="1"/></Whole>'
    with pytest.raises(lems.LemsError, match=rf"model.xml:\d+:\d+:.*{said}"):
        network(tmp_path, body + parts + '<Ramp id="ramp"/>', "all")


def test_a_property_that_differs_cannot_shape_a_structure(tmp_path):
    """The inner population's Assign would need the outer instance's value."""
    inner = NUMBERED.format(assign='<Assign property="slope" value="offset + number"/>').replace(
        '<Parameter name="steepness" dimension="none"/>',
        '<Parameter name="steepness" dimension="none"/><Property name="offset" dimension="none"/>',
    )
    outer = """
      <ComponentType name="Outer" extends="Part">
        <ComponentReference name="of" type="Component"/>
        <Structure><MultiInstantiate number="2" component="of" indexVariable="j">
          <Assign property="offset" value="10 * j"/></MultiInstantiate></Structure>
      </ComponentType>
      <Ramp id="ramp"/><Ramps id="pop" of="ramp" size="3" steepness="1"/>
      <Whole id="all"><Outer id="two" of="pop"/></Whole>"""
    with pytest.raises(lems.LemsError, match="uses 'offset' in its Structure, which is the same"):
        network(tmp_path, inner + outer, "all")
