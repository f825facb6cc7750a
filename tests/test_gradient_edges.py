"""Gradients where a derivative could be no number: at bounds, in branches that are not taken, of
noise that is none."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import tvbjax
from differences import KEY, built, check, objective, quick
from tvbjax import coupling, noise

EDGES = """
<Lems xmlns:tvbjax="urn:tvbjax:lems:1">
  <Include file="units.xml"/>
  <ComponentType name="Edges">
    <Parameter name="k" dimension="none"/>
    <Constant name="ms" dimension="time" value="1 ms"/>
    <Requirement name="c" dimension="none" tvbjax:source="x"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x" tvbjax:initial="0.2, 0.8"{bounds}/>
      <ConditionalDerivedVariable name="root" dimension="none">
        <Case condition="x .gt. 0" value="sqrt(x)"/>
        <Case value="0"/>
      </ConditionalDerivedVariable>
      <TimeDerivative variable="x" value="({slope}) / ms"/>
    </Dynamics>
  </ComponentType>
  <Component id="edges" type="Edges" k="0.5"/>
</Lems>"""


def edges(folder, slope: str, bounds: str = "", **changes):
    path = folder / "edges.xml"
    path.write_text(EDGES.format(slope=slope, bounds=bounds))
    return built(tvbjax.lems.load(path), coupling.Linear(a=0.05), **(dict(block=4) | changes))


def test_a_state_at_its_bound_has_no_derivative_and_the_others_have_theirs(tmp_path):
    """Region 0 is driven below 0, where it is held; so nothing of it depends on anything."""
    simulator = edges(
        tmp_path,
        "c - k",
        ' tvbjax:bounds="0, 1000"',
        connectome=tvbjax.Connectome(
            np.array([[0, 0], [1.0, 0]]), np.full((2, 2), 0.13), speed=1.0
        ),
    )
    model = eqx.tree_at(lambda m: m.params["k"], simulator.model, jnp.asarray([0.5, -0.2]))
    simulator = eqx.tree_at(lambda s: s.model, simulator, model)
    check(simulator, 2.0, np.array([[0.0, 0.4]]) + 0.03)
    loss, free = objective(simulator, 2.0, jnp.asarray([[0.0, 0.4]]))
    (own, initial), _ = quick(jax.grad(loss))(free), None
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(own))
    assert float(own.model.params["k"][0]) == 0.0 and abs(float(initial[0, 1])) > 0.0


def test_a_branch_that_is_not_taken_does_not_spoil_a_gradient(tmp_path):
    """sqrt(x) where x > 0, and some regions begin below; no slope is infinite where it is taken."""
    simulator = edges(tmp_path, "c - k * (x + 0.3) * root - 0.1")
    check(simulator, 2.0, np.array([[-0.5, 0.6, 0.9, -0.2]]))


def test_noise_of_some_regions_leaves_the_others_without(tmp_path):
    intensity = np.array([[1e-3, 0.0, 2e-3, 0.0]])
    simulator = edges(tmp_path, "c - k * x", noise=noise.Additive(intensity))
    check(simulator, 2.0, key=KEY)
    loss, free = objective(simulator, 2.0, key=KEY)
    slope = quick(jax.grad(loss))(free)[0].noise.nsig
    np.testing.assert_array_equal(np.asarray(slope)[intensity == 0.0], 0.0)
