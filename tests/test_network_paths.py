"""What paths lead to: select with reduce, requirements, derived parameters, recorded paths.

All values here are constant in time, so one step is enough to read them.
"""

import numpy as np
import pytest

from lems_text import network, run

SELECTS = """
  <ComponentType name="Core">
    <Parameter name="p" dimension="none"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics><DerivedVariable name="x" exposure="x" value="p"/></Dynamics>
  </ComponentType>
  <ComponentType name="Item">
    <Parameter name="value" dimension="none"/>
    <Text name="kind"/>
    <Child name="core" type="Core"/>
    <Requirement name="scale" dimension="none"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <DerivedVariable name="x" exposure="x" value="value * scale"/>
      <DerivedVariable name="above" select="../level"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Special" extends="Item">
    <Dynamics><DerivedVariable name="x" exposure="x" value="-value"/></Dynamics>
  </ComponentType>
  <ComponentType name="Hub" extends="Part">
    <Parameter name="scale" dimension="none"/>
    <Child name="main" type="Core"/>
    <Child name="maybe" type="Core"/>
    <Children name="items" type="Item"/>
    <Children name="others" type="Core"/>
    <Exposure name="level" dimension="none"/>
    <Dynamics>
      <StateVariable name="level" dimension="none" exposure="level"/>
      <OnStart><StateAssignment variable="level" value="42"/></OnStart>
      <DerivedVariable name="child" select="main/x"/>
      <DerivedVariable name="sum" select="items[*]/x" reduce="add"/>
      <DerivedVariable name="product" select="items[*]/x" reduce="multiply"/>
      <DerivedVariable name="none" select="others[*]/x" reduce="add"/>
      <DerivedVariable name="one" select="others[*]/x" reduce="multiply"/>
      <DerivedVariable name="some" select="items[kind='a']/x" reduce="add"/>
      <DerivedVariable name="few" select="items[kind='zzz']/x" reduce="multiply"/>
      <DerivedVariable name="deep" select="items[*]/core/x" reduce="add"/>
      <DerivedVariable name="absent" select="maybe/x" required="false"/>
      <DerivedVariable name="derived" value="sum + 100 * child"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Indexed" extends="Hub">
    <Dynamics><DerivedVariable name="second" select="items[1]/x"/>
      <StateVariable name="level" dimension="none" exposure="level"/></Dynamics>
  </ComponentType>
"""


def items(count: int) -> tuple[str, np.ndarray]:
    """So many items, every third of kind a, every fifth a Special; and what each exposes."""
    text, x = "", []
    for i in range(count):
        kind, special = "a" if i % 3 == 0 else "b", i % 5 == 4
        type_name, value = "Special" if special else "Item", 1.0 + 0.25 * i
        text += f'<{type_name} id="i{i}" kind="{kind}" value="{value}">'
        text += f'<Core id="c{i}" p="{10 + i}"/></{type_name}>'
        x.append(-value if special else 2.0 * value)
    return text, np.array(x)


def hub(name: str, count: int, kind: str = "Hub") -> str:
    return f'<{kind} id="{name}" scale="2"><Core id="main" p="5"/>{items(count)[0]}</{kind}>'


SCOPES = """
  <ComponentType name="Bottom">
    <Requirement name="v" dimension="none"/>
    <Requirement name="w" dimension="none"/>
    <Requirement name="p" dimension="none"/>
    <Exposure name="seen" dimension="none"/>
    <Dynamics>
      <DerivedVariable name="seen" exposure="seen" value="v + 10 * w + 100 * p"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Middle">
    <Child name="bottom" type="Bottom"/>
  </ComponentType>
  <ComponentType name="Nearer" extends="Middle">
    <Exposure name="v" dimension="none"/>
    <Dynamics>
      <StateVariable name="hidden" dimension="none" exposure="v"/>
      <OnStart><StateAssignment variable="hidden" value="7"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Top" extends="Part">
    <Parameter name="p" dimension="none"/>
    <Children name="middles" type="Middle"/>
    <Exposure name="v" dimension="none"/>
    <Exposure name="w" dimension="none"/>
    <Dynamics>
      <StateVariable name="v" dimension="none" exposure="v"/>
      <DerivedVariable name="w" exposure="w" value="p + 1"/>
      <OnStart><StateAssignment variable="v" value="3"/></OnStart>
    </Dynamics>
  </ComponentType>
"""
TOP = """
  <Top id="top" p="2">
    <Middle id="far"><Bottom id="b"/></Middle>
    <Nearer id="near"><Bottom id="b"/></Nearer>
  </Top>
"""

PARAMETERS = """
  <ComponentType name="Species">
    <Text name="ion"/>
    <Parameter name="reversal" dimension="voltage"/>
    <DerivedParameter name="doubled" dimension="voltage" value="2 * reversal"/>
  </ComponentType>
  <ComponentType name="Channel"><Text name="ion"/><Parameter name="g" dimension="none"/>
  </ComponentType>
  <ComponentType name="Holder" extends="Part">
    <Parameter name="tau" dimension="time"/>
    <Parameter name="q" dimension="none"/>
    <Constant name="third" dimension="none" value="3"/>
    <Property name="weight" dimension="none" defaultValue="4"/>
    <ComponentReference name="channel" type="Channel"/>
    <Child name="inside" type="Channel"/>
    <DerivedParameter name="last" dimension="none" value="q * next"/>
    <DerivedParameter name="next" dimension="none" value="third + q"/>
    <DerivedParameter name="rate" dimension="per_time" value="1 / tau"/>
    <DerivedParameter name="E" dimension="voltage" select="//Species[ion=channel/ion]/reversal"/>
    <DerivedParameter name="E2" dimension="voltage" select="//Species[ion='k']/doubled"/>
    <DerivedParameter name="g" dimension="none" select="inside/g"/>
    <DerivedParameter name="of" dimension="none" select="channel/g"/>
    <Dynamics>
      <DerivedVariable name="shown" value="last"/>
      <DerivedVariable name="rates" dimension="per_time" value="rate"/>
      <DerivedVariable name="Es" dimension="voltage" value="E"/>
      <DerivedVariable name="E2s" dimension="voltage" value="E2"/>
      <DerivedVariable name="gs" value="g + 10 * of + 100 * weight"/>
    </Dynamics>
  </ComponentType>
  <Species id="sodium" ion="na" reversal="50 mV"/>
  <Species id="potassium" ion="k" reversal="-77 mV"/>
  <Channel id="k_channel" ion="k" g="2"/>
  <ComponentType name="Fast" extends="Holder"><Fixed parameter="tau" value="2 ms"/></ComponentType>
"""
HOLDERS = """
  <Holder id="holder" tau="10 ms" q="5" channel="k_channel"><Channel id="inside" ion="na" g="3"/>
  </Holder>
  <Fast id="fast" q="1" channel="k_channel"><Channel id="inside" ion="na" g="3"/></Fast>
"""

WHOLE = f"""{SELECTS}{SCOPES}{PARAMETERS}
  <Whole id="whole">
    {hub("small", 5)}{hub("large", 41)}{hub("indexed", 5, "Indexed")}{TOP}{HOLDERS}
  </Whole>
"""
SHORT = [
    "child", "sum", "product", "none", "one", "some", "few", "deep", "absent", "derived",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("paths")


@pytest.fixture(scope="module")
def whole(folder):
    model = network(folder, WHOLE, "whole")
    paths = [f"{h}/{name}" for h in ("small", "large") for name in SHORT]
    paths += ["indexed/second", "small/items[1]/above", "small/i3/x", "large/i33/x"]
    paths += [f"holder/{name}" for name in ("shown", "rates", "Es", "E2s", "gs")]
    return run(
        model,
        step=0.1,
        duration=0.1,
        record=[*paths, "fast/rates", "top/far/bottom/seen", "top/near/bottom/seen"],
    )


@pytest.mark.parametrize(("name", "count"), [("small", 5), ("large", 41)])
def test_a_select_adds_and_multiplies_what_it_finds(whole, name: str, count: int):
    """Listed one by one, or kept as an axis where they are many: the same sums."""
    x = items(count)[1]
    expected = {
        "child": 5.0,
        "sum": x.sum(),
        "product": x.prod(),
        "none": 0.0,
        "one": 1.0,
        "some": x[::3].sum(),
        "few": 1.0,
        "deep": np.arange(10, 10 + count).sum(),
        "absent": 0.0,
        "derived": x.sum() + 500.0,
    }
    for path, value in expected.items():
        np.testing.assert_allclose(whole[f"{name}/{path}"], value, rtol=1e-13, err_msg=path)


def test_a_select_finds_one_of_several(whole):
    x = items(5)[1]
    np.testing.assert_array_equal(whole["indexed/second"], x[1])
    np.testing.assert_array_equal(whole["small/items[1]/above"], 42.0)


def test_recorded_paths_name_one_of_several(whole):
    np.testing.assert_array_equal(whole["small/i3/x"], items(5)[1][3])
    np.testing.assert_array_equal(whole["large/i33/x"], items(41)[1][33])


def test_a_select_takes_one_of_many_by_its_number(folder):
    many = f'{SELECTS}<Whole id="whole">{hub("indexed", 41, "Indexed")}</Whole>'
    found = run(network(folder, many, "whole"), step=0.1, duration=0.1, record=["indexed/second"])
    np.testing.assert_array_equal(found["indexed/second"], items(41)[1][1])


def test_requirements_are_found_through_several_levels_nearest_first(whole):
    far, near = whole["top/far/bottom/seen"], whole["top/near/bottom/seen"]
    np.testing.assert_array_equal(far, 3.0 + 10.0 * 3.0 + 100.0 * 2.0)
    np.testing.assert_array_equal(near, 7.0 + 10.0 * 3.0 + 100.0 * 2.0)


def test_derived_parameters_by_value_and_by_path(whole):
    np.testing.assert_array_equal(whole["holder/shown"], 5.0 * (3.0 + 5.0))
    np.testing.assert_allclose(whole["holder/rates"], 100.0, rtol=1e-15)
    np.testing.assert_allclose(whole["fast/rates"], 500.0, rtol=1e-15)  # tau is fixed
    np.testing.assert_allclose(whole["holder/Es"], -0.077, rtol=1e-15)
    np.testing.assert_allclose(whole["holder/E2s"], -0.154, rtol=1e-15)
    np.testing.assert_array_equal(whole["holder/gs"], 3.0 + 10.0 * 2.0 + 100.0 * 4.0)
