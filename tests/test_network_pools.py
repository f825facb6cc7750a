"""Synapses of a cell that are kept as one: the same as synapses that are kept apart.

The second is compared with plain loops elsewhere (test_network_methods, test_network_jax).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from lems_text import network, run

SYNAPSES = {
    "plain": ("", "g", "-g / tau", '<StateAssignment variable="g" value="g + weight"/>'),
    "twice": (
        "", "g", "-g / tau",
        '<StateAssignment variable="g" value="weight + g"/>'
        '<StateAssignment variable="g" value="g + 2 * weight * scale"/>',
    ),
    "two_states": (
        '<StateVariable name="h" dimension="none"/>'
        '<TimeDerivative variable="h" value="(g - h) / tau"/>', "h * (2 - v)", "-g / tau",
        '<StateAssignment variable="g" value="g + weight"/>'
        '<StateAssignment variable="h" value="h - scale"/>',
    ),
    "saturating": ("", "g", "-g / tau", '<StateAssignment variable="g" value="g + weight*(1-g)"/>'),
    "squared": ("", "g^2", "-g / tau", '<StateAssignment variable="g" value="g + weight"/>'),
    "offset": ("", "g + 1", "-g / tau", '<StateAssignment variable="g" value="g + weight"/>'),
    "driven": ("", "g", "(1 - g) / tau", '<StateAssignment variable="g" value="g + weight"/>'),
    "of_v": ("", "g", "-g * v / tau", '<StateAssignment variable="g" value="g + weight + v"/>'),
    "handlers": (
        '<OnEvent port="in"><StateAssignment variable="g" value="g + 10 * weight"/></OnEvent>',
        "g", "-g / tau", '<StateAssignment variable="g" value="g + weight"/>',
    ),
    "apart": ("", "g * own", "-g / tau", '<StateAssignment variable="g" value="g + weight"/>'),
    "decays": ("", "g", "-g * own / tau", '<StateAssignment variable="g" value="g + weight"/>'),
    "capped": (
        '<OnCondition test="g .gt. 1"><StateAssignment variable="g" value="1"/></OnCondition>',
        "g", "-g / tau", '<StateAssignment variable="g" value="g + weight"/>',
    ),
    "begun": (
        '<OnStart><StateAssignment variable="g" value="0.25"/></OnStart>', "g", "-g / tau",
        '<StateAssignment variable="g" value="g + weight"/>',
    ),
}  # fmt: skip
POOLED = {"plain", "twice", "two_states", "handlers"}


def synapse(name: str) -> str:
    more, current, slope, handler = SYNAPSES[name]
    return f"""
      <ComponentType name="Syn_{name}" extends="Base">
        <Dynamics>
          <StateVariable name="g" dimension="none"/>{more}
          <DerivedVariable name="i" exposure="i" value="{current}"/>
          <TimeDerivative variable="g" value="{slope}"/>
          <OnEvent port="in">{handler}</OnEvent>
        </Dynamics>
      </ComponentType>
      <Syn_{name} id="{name}" tau="0.5s" scale="0.5"/>"""


TYPES = """
  <ComponentType name="Base">
    <Parameter name="tau" dimension="time"/>
    <Parameter name="scale" dimension="none"/>
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Property name="own" dimension="none" defaultValue="1"/>
    <Requirement name="v" dimension="none"/>
    <Exposure name="i" dimension="none"/>
    <EventPort name="in" direction="in"/>
  </ComponentType>
  <ComponentType name="Cell">
    <Attachments name="synapses" type="Base"/>
    <Exposure name="v" dimension="none"/>
    <Dynamics>
      <StateVariable name="v" dimension="none" exposure="v"/>
      <DerivedVariable name="i" select="synapses[*]/i" reduce="add"/>
      <TimeDerivative variable="v" value="i - v"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Ticks" extends="Part">
    <Parameter name="from" dimension="time"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="n" dimension="none"/>
      <OnCondition test="t .gt. from .and. n .lt. 3">
        <EventOut port="out"/><EventOut port="out"/>
        <StateAssignment variable="n" value="n + 1"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Cells" extends="Part">
    <ComponentReference name="of" type="Cell"/>
    <Structure><MultiInstantiate number="3" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="Edge" extends="Part">
    <Path name="source"/><Path name="target"/>
    <Parameter name="w" dimension="none"/>
    <Parameter name="delay" dimension="time"/>
    <ComponentReference name="synapse" type="Base"/>
    <Structure>
      <With instance="source" as="a"/><With instance="target" as="b"/>
      <EventConnection from="a" to="b" receiver="synapse" receiverContainer="synapses"
          delay="delay">
        <Assign property="weight" value="w"/><Assign property="own" value="1 + w"/>
      </EventConnection>
    </Structure>
  </ComponentType>
  <Cell id="cell"/>
"""
EDGES = [("a", 0, 0.5, 0.0), ("b", 0, 0.25, 0.25), ("a", 0, 1.0, 0.5), ("b", 2, 2.0, 0.0)]


def group(name: str) -> str:
    """Three cells: one with three synapses, one without, one with one."""
    edges = "".join(
        f'<Edge id="e{i}" source="../../{s}" target="../pop[{k}]" w="{w}" delay="{d}s" '
        f'synapse="{name}"/>'
        for i, (s, k, w, d) in enumerate(EDGES)
    )
    return f'<Whole id="{name}"><Cells id="pop" of="cell"/>{edges}</Whole>'


def model_of(folder, names, pool: bool):
    body = TYPES + "".join(synapse(name) for name in names)
    body += '<Whole id="all"><Ticks id="a" from="0.3s"/><Ticks id="b" from="0.7s"/>'
    return network(folder, f"{body}{''.join(group(n) for n in names)}</Whole>", "all", pool=pool)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    return {pool: model_of(folder, SYNAPSES, pool) for pool in (True, False)}


@pytest.fixture(scope="module")
def found(models):
    paths = [f"{name}/pop[*]/v" for name in SYNAPSES]
    return {
        pool: run(models[pool], step=0.125, duration=3.0, record=paths) for pool in (True, False)
    }


@pytest.mark.parametrize("name", list(SYNAPSES))
def test_pooled_synapses_do_what_separate_ones_do(models, found, name: str):
    apart = np.asarray(found[False][f"{name}/pop[*]/v"])
    assert np.abs(apart).max() > 0.1
    np.testing.assert_allclose(found[True][f"{name}/pop[*]/v"], apart, rtol=1e-12, atol=1e-13)
    pooled = {u.type for u in models[True].plan.units if u.pool}
    assert (f"Syn_{name}" in pooled) == (name in POOLED)


def test_weights_of_pooled_synapses_are_parameters(models, found):
    """Twice the weights make twice the answer of a linear cell."""

    def doubled(pool: bool):
        model = models[pool]
        (path,) = (
            p for p in model.params if p.startswith("plain/") and "weight" in model.params[p]
        )
        weights = model.params[path]["weight"]
        assert weights.shape == (len(EDGES),)
        changed = eqx.tree_at(lambda n: n.params[path]["weight"], model, 2.0 * weights)
        return run(changed, step=0.125, duration=3.0, record=["plain/pop[*]/v"])["plain/pop[*]/v"]

    twice = 2.0 * jnp.asarray(found[False]["plain/pop[*]/v"])
    np.testing.assert_allclose(doubled(True), twice, rtol=1e-12)
