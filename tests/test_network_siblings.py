"""Many alike components must do what few do: what is merged, and what may not be."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax import lems

TYPES = """
  <Dimension name="time" t="1"/><Unit symbol="s" dimension="time"/>
  <ComponentType name="Part"><Exposure name="x" dimension="none"/></ComponentType>
  <ComponentType name="Whole"><Children name="parts" type="Part"/>
    <Children name="wires" type="Wire"/></ComponentType>
  <ComponentType name="Cell" extends="Part">
    <Property name="gain" dimension="none"/>
    <Attachments name="synapses" type="Synapse"/>
    <EventPort name="out" direction="out"/>
    <Constant name="rate" dimension="time" value="1 s"/>
    <Dynamics><StateVariable name="x" dimension="none" exposure="x"/>
      <DerivedVariable name="i" dimension="none" select="synapses[*]/g" reduce="add"/>
      <TimeDerivative variable="x" value="i / rate"/>
      <OnCondition test="t .geq. 0"><EventOut port="out"/></OnCondition></Dynamics>
  </ComponentType>
  <ComponentType name="Synapse">
    <Property name="weight" dimension="none"/>
    <EventPort name="in" direction="in"/><Exposure name="g" dimension="none"/>
    <Dynamics><StateVariable name="g" dimension="none" exposure="g"/>
      <OnEvent port="in"><StateAssignment variable="g" value="g + weight"/></OnEvent></Dynamics>
  </ComponentType>
  <ComponentType name="Wire"><Parameter name="w" dimension="none"/>
    <Parameter name="wait" dimension="time"/><ComponentReference name="kind" type="Synapse"/>
    <Path name="source"/><Path name="target"/>
    <Structure><With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="kind" delay="wait">
        <Assign property="weight" value="w"/></EventConnection></Structure>
  </ComponentType>
  <ComponentType name="Pop" extends="Part"><Parameter name="size" dimension="none"/>
    <ComponentReference name="of" type="Part"/>
    <Structure><MultiInstantiate number="size" component="of"/></Structure></ComponentType>
  <ComponentType name="Number" extends="Part"><Parameter name="value" dimension="none"/>
    <DerivedParameter name="twice" dimension="none" value="2 * value"/>
    <Dynamics><DerivedVariable name="x" dimension="none" exposure="x" value="twice"/></Dynamics>
  </ComponentType>
  <Synapse id="ampa"/><Cell id="cell"/>"""


def network(folder, body: str, target: str, **options) -> lems.Network:
    path = folder / "model.xml"
    path.write_text(f"<Lems>{body}</Lems>")
    return lems.load_network(path, target, **options)


def whole(tmp_path, body: str, **options):
    return network(tmp_path, f'{TYPES}<Whole id="whole">{body}</Whole>', "whole", **options)


@pytest.mark.parametrize("count", [15, 16, 40])
def test_each_connection_keeps_its_weight_and_delay(tmp_path, count: int):
    """Between the same two cells, alike but for numbers."""
    wires = "".join(
        f'<Wire id="w{i}" kind="ampa" source="a" target="b" w="{i}" wait="{i % 3} s"/>'
        for i in range(count)
    )
    body = f'<Cell id="a"/><Cell id="b"/>{wires}'
    for pool in (True, False):
        model = whole(tmp_path, body, units=lems.SI, pool=pool)
        found = lems.run(model, step=1.0, duration=6.0, record=["b/i"])["b/i"]
        # An event leaves every second; those of a delay d act from step d on.
        sums = [sum(i for i in range(count) if i % 3 == d) for d in range(3)]
        expected, total = [0.0], 0.0
        for n in range(6):
            total += sum(sums[d] for d in range(3) if n >= d)
            expected.append(total)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("count", [15, 16, 40])
def test_each_population_keeps_its_size(tmp_path, count: int):
    body = "".join(f'<Pop id="p{i}" of="cell" size="{i + 1}"/>' for i in range(count))
    sizes = whole(tmp_path, body).sizes
    assert sum(sizes.values()) == count * (count + 1) // 2


@pytest.mark.parametrize("count", [15, 16, 40])
def test_each_sibling_keeps_its_numbers(tmp_path, count: int):
    body = "".join(f'<Number id="n{i}" value="{i}"/>' for i in range(count))
    paths = [f"n{i}/x" for i in range(count)] + [f"parts[{count - 1}]/x"]
    found = lems.run(whole(tmp_path, body), step=1.0, duration=1.0, record=paths)
    values = [float(found[path][0]) for path in paths]
    assert values == [*(2.0 * i for i in range(count)), 2.0 * (count - 1)]


def test_integers_are_parameters_too(tmp_path):
    model = whole(tmp_path, '<Number id="n" value="15.7"/>')
    for value in (15, jnp.asarray(15), np.float32(15.0)):
        changed = eqx.tree_at(lambda n: n.params["n"]["value"], model, value)
        assert float(lems.run(changed, step=1.0, duration=1.0, record=["n/x"])["n/x"][0]) == 30.0


@pytest.mark.parametrize("shape", [(2,), (3, 1), (0,)])
def test_a_parameter_is_one_number_or_one_per_instance(tmp_path, shape: tuple[int, ...]):
    body = '<Cell id="a"/><Cell id="b"/>' + "".join(
        f'<Wire id="w{i}" kind="ampa" source="a" target="b" w="1" wait="0 s"/>' for i in range(3)
    )
    model = whole(tmp_path, body)
    (path,) = (p for p in model.params if "weight" in model.params[p])
    changed = eqx.tree_at(lambda n: n.params[path]["weight"], model, jnp.ones(shape))
    with pytest.raises(ValueError, match=r"'weight' of 'b/ampa' has the shape .*\(3,\)"):
        lems.run(changed, step=1.0, duration=1.0, record=["b/x"])


def test_names_of_statements_do_not_hide_components(tmp_path):
    """A population called as a With-name of the type that connects it."""
    body = """<Cell id="b"/><Cell id="a"/>
      <Wire id="w" kind="ampa" source="b" target="a" w="1" wait="0 s"/>"""
    found = lems.run(whole(tmp_path, body), step=1.0, duration=3.0, record=["a/i", "b/i"])
    assert float(found["a/i"][-1]) > 0.0 and float(found["b/i"][-1]) == 0.0


def test_a_delay_that_no_memory_holds_is_refused(tmp_path):
    body = """<Cell id="a"/><Cell id="b"/>
      <Wire id="w" kind="ampa" source="a" target="b" w="1" wait="1e12 s"/>"""
    with pytest.raises(ValueError, match=r"a delay of 1e\+15 to 'b/ampa'.*too long a past"):
        lems.run(whole(tmp_path, body), step=1.0, duration=1.0, record=["b/x"])


@pytest.mark.slow
def test_components_that_multiply_are_bounded(tmp_path):
    tree = """<ComponentType name="Fork"><ComponentReference name="l" type="Component"/>
      <ComponentReference name="r" type="Component"/>
      <Structure><ChildInstance component="l"/><ChildInstance component="r"/></Structure>
      </ComponentType><Fork id="f0" l="cell" r="cell"/>"""
    tree += "".join(f'<Fork id="f{i}" l="f{i - 1}" r="f{i - 1}"/>' for i in range(1, 30))
    with pytest.raises(lems.LemsError, match=r"LEMS009.*more than 100000 components"):
        network(tmp_path, TYPES + tree, "f29")
