"""Methods of integration and kinetic schemes, against closed forms, SciPy and plain loops."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from lems_cells import HODGKIN_HUXLEY, driven_by_hand, hodgkin_huxley
from lems_text import network, run
from tvbjax import lems

TYPES = """
  <ComponentType name="Spring">
    <Parameter name="k" dimension="per_time"/>
    <Requirement name="x" dimension="none"/>
    <Exposure name="pull" dimension="per_time"/>
    <Dynamics>
      <StateVariable name="y" dimension="none"/>
      <DerivedVariable name="pull" exposure="pull" value="-k * y * (1 + y^2)"/>
      <TimeDerivative variable="y" value="x * sin(3 * t) - y"/>
      <OnStart><StateAssignment variable="y" value="1"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Body" extends="Part">
    <Child name="spring" type="Spring"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <DerivedVariable name="pull" select="spring/pull"/>
      <TimeDerivative variable="x" value="cos(t) + pull - x^3"/>
      <OnStart><StateAssignment variable="x" value="0.5"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Gates" extends="Part">
    <Parameter name="a" dimension="none"/>
    <Parameter name="b" dimension="time"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <StateVariable name="y" dimension="none"/>
      <StateVariable name="z" dimension="none"/>
      <DerivedVariable name="steady" value="a / 2"/>
      <TimeDerivative variable="x" value="(a - x) / b"/>
      <TimeDerivative variable="y" value="2 * (1 - y) - 5 * y"/>
      <TimeDerivative variable="z" value="(steady - z) / b"/>
      <OnStart><StateAssignment variable="z" value="-1"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Node">
    <Exposure name="occupancy" dimension="none"/>
    <Dynamics><StateVariable name="occupancy" exposure="occupancy" dimension="none"/></Dynamics>
  </ComponentType>
  <ComponentType name="Edge">
    <Text name="from"/><Text name="to"/>
    <Parameter name="forward" dimension="per_time"/>
    <Parameter name="reverse" dimension="per_time"/>
    <Exposure name="rf" dimension="per_time"/>
    <Exposure name="rr" dimension="per_time"/>
    <Dynamics>
      <DerivedVariable name="rf" exposure="rf" dimension="per_time" value="forward"/>
      <DerivedVariable name="rr" exposure="rr" dimension="per_time" value="reverse"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Scheme" extends="Part">
    <Children name="nodes" type="Node"/>
    <Children name="edges" type="Edge"/>
    <Exposure name="whole" dimension="none"/>
    <Dynamics>
      <DerivedVariable name="whole" exposure="whole" select="nodes[*]/occupancy" reduce="add"/>
      <KineticScheme name="ks" nodes="nodes" edges="edges" stateVariable="occupancy"
          edgeSource="from" edgeTarget="to" forwardRate="rf" reverseRate="rr"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Gap">
    <Property name="weight" dimension="none" defaultValue="1"/>
    <Parameter name="g" dimension="per_time"/>
    <InstanceRequirement name="peer" type="Gap"/>
    <Requirement name="u" dimension="none"/>
    <Exposure name="i" dimension="per_time"/>
    <Dynamics>
      <DerivedVariable name="other" dimension="none" select="peer/u"/>
      <DerivedVariable name="i" exposure="i" dimension="per_time" value="weight * g * (other - u)"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Leaky" extends="Part">
    <Parameter name="u0" dimension="none"/>
    <Attachments name="gaps" type="Gap"/>
    <Exposure name="u" dimension="none"/>
    <Dynamics>
      <StateVariable name="u" dimension="none" exposure="u"/>
      <DerivedVariable name="flow" dimension="per_time" select="gaps[*]/i" reduce="add"/>
      <TimeDerivative variable="u" value="flow - 0.5 * u"/>
      <OnStart><StateAssignment variable="u" value="u0"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Junction" extends="Part">
    <Path name="one"/><Path name="other"/>
    <Parameter name="weight" dimension="none"/>
    <ComponentReference name="gap" type="Gap"/>
    <Structure>
      <With instance="one" as="a"/><With instance="other" as="b"/>
      <Tunnel name="peer" endA="a" endB="b" componentA="gap" componentB="gap">
        <Assign property="weight" value="weight"/>
      </Tunnel>
    </Structure>
  </ComponentType>
  <Gap id="gap" g="2per_s"/>
"""
RATES = {("c", "o"): (3.0, 1.0), ("o", "d"): (2.0, 0.5), ("c", "d"): (0.25, 0.75)}
SCHEMES = (
    '<Scheme id="two"><Node id="c"/><Node id="o"/>'
    '<Edge id="e" from="c" to="o" forward="12per_s" reverse="4per_s"/></Scheme>'
    '<Scheme id="three"><Node id="c"/><Node id="o"/><Node id="d"/>'
    + "".join(
        f'<Edge id="{a}{b}" from="{a}" to="{b}" forward="{f}per_s" reverse="{r}per_s"/>'
        for (a, b), (f, r) in RATES.items()
    )
    + "</Scheme>"
)
STARTS, WEIGHTS = (1.0, -2.0, 0.5, 3.0), {(0, 1): 1.0, (1, 2): 0.25, (3, 1): 2.0}
GAPS = "".join(f'<Leaky id="l{i}" u0="{u}"/>' for i, u in enumerate(STARTS)) + "".join(
    f'<Junction id="j{a}{b}" one="../l{a}" other="../l{b}" weight="{w}" gap="gap"/>'
    for (a, b), w in WEIGHTS.items()
)
WHOLE = f"""
  <Whole id="whole">
    <Body id="body"><Spring id="s" k="2per_s"/></Body>
    <Gates id="gates" a="3" b="0.7s"/>
    {SCHEMES}{GAPS}
  </Whole>
  <Whole id="small"><Body id="body"><Spring id="s" k="2per_s"/></Body></Whole>
"""
BODY = ["body/x", "body/spring/y"]
NODES = [f"three/{n}/occupancy" for n in "cod"] + [f"two/{n}/occupancy" for n in "co"]
RECORDED = [
    *BODY, *NODES, "three/whole", *(f"l{i}/u" for i in range(4)), *(f"gates/{n}" for n in "xyz"),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return network(tmp_path_factory.mktemp("methods"), TYPES + WHOLE, "whole")


def at_one(whole, method, step: float):
    return run(whole, method=method, step=step, duration=1.0, record=RECORDED)


@pytest.fixture(scope="module")
def runs(whole):
    """By method and steps to t = 1."""
    methods = {"Euler": lems.Euler(), "Heun": lems.Heun(), "RK4": lems.RungeKutta4()}
    found = {(n, k): at_one(whole, m, 1.0 / k) for n, m in methods.items() for k in (20, 40)}
    found["Exponential", 20] = at_one(whole, lems.ExponentialEuler(), 0.05)
    return found


def body(t: float, s: np.ndarray) -> list[float]:
    x, y = s
    return [math.cos(t) - 2.0 * y * (1.0 + y**2) - x**3, x * math.sin(3.0 * t) - y]


def ends(found, paths) -> np.ndarray:
    return np.array([float(found[path][-1]) for path in paths])


@pytest.mark.parametrize(("name", "order"), [("Euler", 1), ("Heun", 2), ("RK4", 4)])
def test_the_error_falls_with_the_order_of_the_method(runs, name: str, order: int):
    """A parent and a child that need each other, driven in time."""
    exact = solve_ivp(body, (0.0, 1.0), [0.5, 1.0], rtol=1e-13, atol=1e-14).y[:, -1]
    errors = [np.abs(ends(runs[name, steps], BODY) - exact).max() for steps in (20, 40)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def generator() -> np.ndarray:
    matrix = np.zeros((3, 3))
    for (a, b), (forward, reverse) in RATES.items():
        i, j = "cod".index(a), "cod".index(b)
        matrix[j, i] += forward
        matrix[i, i] -= forward
        matrix[i, j] += reverse
        matrix[j, j] -= reverse
    return matrix


@pytest.mark.parametrize(("name", "steps"), [("Euler", 20), ("Euler", 40), ("Exponential", 20)])
def test_kinetic_schemes_move_exactly_whatever_the_step(runs, name: str, steps: int):
    """From all in the first node, against the matrix exponential and the two-state closed form."""
    t = np.arange(steps + 1) / steps
    p = np.stack([expm(generator() * one)[:, 0] for one in t])
    found = runs[name, steps]
    for i, path in enumerate(NODES[:3]):
        np.testing.assert_allclose(found[path], p[:, i], rtol=1e-10)
    np.testing.assert_allclose(found[NODES[4]], 0.75 * (1.0 - np.exp(-16.0 * t)), atol=1e-12)
    np.testing.assert_allclose(found[NODES[3]][-1], 4.0 / 16.0, rtol=1e-6)  # the steady state


@pytest.mark.parametrize(("name", "order"), [("Heun", 2), ("RK4", 4)])
def test_kinetic_schemes_in_methods_of_several_stages(runs, name: str, order: int):
    exact = expm(generator())[:, 0]
    errors = [np.abs(ends(runs[name, k], NODES[:3]) - exact).max() for k in (20, 40)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)
    np.testing.assert_allclose(runs[name, 20]["three/whole"], 1.0, rtol=1e-14)


def test_exponential_euler_is_exact_for_gates(runs):
    found, t = runs["Exponential", 20], np.arange(21) * 0.05
    np.testing.assert_allclose(found["gates/x"], 3.0 * (1.0 - np.exp(-t / 0.7)), rtol=1e-12)
    np.testing.assert_allclose(found["gates/y"], 2.0 / 7.0 * (1.0 - np.exp(-7.0 * t)), rtol=1e-12)
    z = 1.5 - 2.5 * np.exp(-t / 0.7)
    np.testing.assert_allclose(found["gates/z"], z, rtol=1e-12, atol=1e-14)


def laplacian() -> np.ndarray:
    matrix = -0.5 * np.eye(4)
    for (a, b), w in WEIGHTS.items():
        for i, j in ((a, b), (b, a)):
            matrix[i, j] += 2.0 * w
            matrix[i, i] -= 2.0 * w
    return matrix


def test_gap_junctions_couple_cells(runs):
    """Four leaky cells, three junctions of different weight, against the matrix exponential."""
    exact = expm(laplacian()) @ STARTS
    found = ends(runs["RK4", 40], [f"l{i}/u" for i in range(4)])
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    coarse = ends(runs["RK4", 20], [f"l{i}/u" for i in range(4)])
    ratio = np.abs(coarse - exact).max() / np.abs(found - exact).max()
    assert math.log2(ratio) == pytest.approx(4, abs=0.4)


def check_diffrax(folder, solver, rtol: float) -> None:
    small = network(folder, TYPES + WHOLE, "small")
    found = run(small, method=lems.Diffrax(solver), step=0.05, duration=1.0, record=BODY)
    exact = solve_ivp(body, (0.0, 1.0), [0.5, 1.0], rtol=1e-13, atol=1e-14).y[:, -1]
    np.testing.assert_allclose(ends(found, BODY), exact, rtol=rtol)


def test_explicit_solvers_of_diffrax_step_networks(tmp_path):
    diffrax = pytest.importorskip("diffrax")
    check_diffrax(tmp_path, diffrax.Tsit5(), 1e-7)


def test_implicit_solvers_of_diffrax_step_networks(tmp_path):
    diffrax = pytest.importorskip("diffrax")
    finder = diffrax.VeryChord(rtol=1e-10, atol=1e-10)
    check_diffrax(tmp_path, diffrax.Kvaerno3(root_finder=finder), 1e-3)


def test_implicit_solvers_of_diffrax_need_no_tolerances(tmp_path):
    diffrax = pytest.importorskip("diffrax")
    check_diffrax(tmp_path, diffrax.Kvaerno3(), 1e-3)


def test_diffrax_wants_a_solver():
    pytest.importorskip("diffrax")
    with pytest.raises(TypeError, match=r"Tsit5\(\)"):
        lems.Diffrax("Tsit5")


DRIVEN = f"""
  <Whole id="whole">
    <Metronome id="train" period="7ms"/>
    {hodgkin_huxley()}
    <Onto id="a" source="../train" target="../cell" synapse="synapse" weight="2"/>
    <Onto id="b" source="../train" target="../cell" synapse="synapse" weight="1.2"/>
  </Whole>
"""


@pytest.mark.parametrize("pool", [True, False])
def test_euler_is_the_plain_loop_in_the_order_of_pylems(tmp_path, pool: bool):
    """A Hodgkin-Huxley cell of three levels of components, driven through two synapses."""
    model = network(
        tmp_path, HODGKIN_HUXLEY + DRIVEN, "whole", lems.NEURAL, lems.DimensionCheck.STRICT, pool
    )
    found = run(model, step=0.01, duration=60.0, record=["cell/v", "cell/na/m/q", "cell/spike"])
    v, m, spikes = driven_by_hand(0.01, 6000, 7.0, (2.0, 1.2))
    assert len(spikes) >= 3
    np.testing.assert_allclose(found["cell/v"], v, rtol=0, atol=1e-7)
    np.testing.assert_allclose(found["cell/na/m/q"], m, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.events["cell/spike"], spikes, rtol=1e-12)
