"""What LEMS elements mean: units, inheritance, includes, cases, initial values, extensions."""

import math
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax import lems
from tvbjax_lems.dimensions import Scope, dimension_of
from tvbjax_lems.syntax import ExpressionError, parse
from tvbjax_lems.units import (
    ANY,
    NEURAL,
    NONE,
    SI,
    TIME,
    QuantityError,
    Unit,
    dimension,
    endpoint,
    quantity,
)

VOLTAGE = dimension(m=1, l=2, t=-3, i=-1)
CONDUCTANCE = dimension(i=1) / VOLTAGE
CAPACITANCE = dimension(i=1, t=1) / VOLTAGE
UNITS = {
    "s": Unit("s", TIME),
    "ms": Unit("ms", TIME, -3),
    "hour": Unit("hour", TIME, 0, 3600.0),
    "mV": Unit("mV", VOLTAGE, -3),
    "V": Unit("V", VOLTAGE),
    "pA": Unit("pA", dimension(i=1), -12),
    "nS": Unit("nS", CONDUCTANCE, -9),
    "pF": Unit("pF", CAPACITANCE, -12),
    "uM": Unit("uM", dimension(n=1, l=-3), -3),
    "K": Unit("K", dimension(k=1)),
    "degC": Unit("degC", dimension(k=1), 0, 1.0, 273.15),
    "degF": Unit("degF", dimension(k=1), 0, 5 / 9, 459.67),
    "uA_per_cm2": Unit("uA_per_cm2", dimension(i=1, l=-2), -2),
}


@pytest.mark.parametrize(
    "text, neural, si",
    [
        ("10 mV", 10.0, 0.01),
        ("-60mV", -60.0, -0.06),
        (".05 V", 50.0, 0.05),
        ("0.1 ms", 0.1, 1e-4),
        ("2 hour", 7.2e6, 7200.0),
        ("120 pA", 0.12, 1.2e-10),
        ("10 nS", 0.01, 1e-8),  # in uS
        ("250 pF", 0.25, 2.5e-10),  # in nF
        ("3 uM", 0.003, 0.003),  # mM is mol/m3
        ("37 degC", 310.15, 310.15),
        ("32 degF", 273.15, 273.15),
        ("5 uA_per_cm2", 5e-2 * 1e9 * 1e-6, 0.05),  # nA/mm2
        ("1.5E+2", 150.0, 150.0),
        ("- 7", -7.0, -7.0),
    ],
)
def test_quantities_in_both_systems(text: str, neural: float, si: float):
    symbol = text.lstrip("-+0123456789.eE ")
    wanted = UNITS[symbol].dimension if symbol in UNITS else NONE
    assert quantity(text, wanted, UNITS, NEURAL) == pytest.approx(neural, rel=1e-15)
    assert quantity(text, wanted, UNITS, SI) == pytest.approx(si, rel=1e-15)


def test_decimal_quantities_are_exact():
    assert quantity("0.1 ms", TIME, UNITS) == 0.1
    assert quantity("1e-400 ms", TIME, UNITS) == 0.0
    assert endpoint("-inf", VOLTAGE, UNITS) == -math.inf
    assert quantity("0", VOLTAGE, UNITS) == 0.0


@pytest.mark.parametrize(
    "text", ["", "mV", "1 2 mV", "1 mv", "1e999 mV", "nan", "0x10", "1_0", "٣"]
)
def test_bad_quantities_are_refused(text: str):
    with pytest.raises(QuantityError):
        quantity(text, VOLTAGE, UNITS)


def test_unit_texts_are_of_the_coherent_system():
    texts = {NEURAL.unit(d) for d in (VOLTAGE, CONDUCTANCE, CAPACITANCE, TIME, TIME**-1, NONE)}
    assert texts == {"mV", "uS", "nF", "ms", "1/ms", ""}
    assert NEURAL.unit(VOLTAGE / TIME) == "mV/ms" and NEURAL.unit(VOLTAGE**-1) == "1/mV"
    assert SI.unit(VOLTAGE) == "kg m^2 s^-3 A^-1"
    # Ohm's law and the charge of a capacitor hold without factors.
    amp, power = dimension(i=1), NEURAL.power
    assert power(CONDUCTANCE) + power(VOLTAGE) == power(amp)
    assert power(CAPACITANCE) + power(VOLTAGE) == power(amp) + power(TIME)


SCOPE = Scope({"v": VOLTAGE, "tau": TIME, "g": CONDUCTANCE, "n": NONE, "any": ANY}, {})


@pytest.mark.parametrize(
    "text, expected",
    [
        ("v + v - 2 * v", VOLTAGE),
        ("v + 0", VOLTAGE),
        ("v / tau", VOLTAGE / TIME),
        ("g * v", dimension(i=1)),
        ("v^2", VOLTAGE**2),
        ("v^-1", VOLTAGE**-1),
        ("v^(1/2)", VOLTAGE ** Fraction(1, 2)),
        ("sqrt(v^2)", VOLTAGE),
        ("exp(v / v) + n^n", NONE),
        ("n^n", NONE),
        ("abs(-v)", VOLTAGE),
        ("max(v, 0)", VOLTAGE),
        ("any * v", ANY),
        ("pi * n + 1", NONE),
        ("v + any", VOLTAGE),
    ],
)
def test_dimensions_of_expressions(text: str, expected):
    assert dimension_of(parse(text), SCOPE) == expected


@pytest.mark.parametrize(
    "text",
    ["v + 1", "v + tau", "exp(v)", "v^n", "n^v", "v - n * tau", "max(v, tau)", "sin(tau) + 1"],
)
def test_wrong_dimensions_are_refused(text: str):
    with pytest.raises(
        ExpressionError,
        match=r"cannot (add|subtract|compare)|pure number|constant number|max cannot",
    ):
        dimension_of(parse(text), SCOPE)


HEAD = '<Lems xmlns:tvbjax="urn:tvbjax:lems:1"><Include file="units.xml"/>'


def load(tmp_path: Path, body: str, **options) -> lems.Model:
    file = tmp_path / "model.xml"
    file.write_text(f"{HEAD}{body}</Lems>")
    return lems.load(file, **options)


def derivative(model: lems.Model, state, inputs=()) -> np.ndarray:
    rows = jnp.asarray(inputs, float).reshape(len(model.inputs), *np.shape(state)[1:])
    return np.asarray(model.dfun(jnp.asarray(state, float), rows))


BASE = """
<Constant name="GLOBAL" dimension="none" value="2"/>
<ComponentType name="base">
  <Parameter name="a" dimension="none"/><Parameter name="b" dimension="none"/>
  <Constant name="k" dimension="none" value="3"/>
  <Constant name="step" dimension="time" value="1 ms"/>
  <Exposure name="x" dimension="none"/>
  <Dynamics>
    <StateVariable name="x" dimension="none" exposure="x"/>
    <TimeDerivative variable="x" value="(a + 10 * b + k * x) * GLOBAL / step"/>
    <OnStart><StateAssignment variable="x" value="2 * a + k"/></OnStart>
  </Dynamics>
</ComponentType>
"""


def test_a_subtype_inherits_and_fixes(tmp_path: Path):
    body = (
        BASE
        + """
    <ComponentType name="sub" extends="base"><Fixed parameter="b" value="5"/></ComponentType>
    <Component id="one" type="sub" a="1"/>"""
    )
    model = load(tmp_path, body)
    assert set(model.params) == {"a"}
    assert derivative(model, [1.0]) == pytest.approx([2 * (1 + 50 + 3)])
    assert model.initial_range == ((5.0, 5.0),)  # the supertype's OnStart holds too


def test_a_subtypes_declarations_and_dynamics_replace_the_supertypes(tmp_path: Path):
    body = (
        BASE
        + """
    <ComponentType name="sub" extends="base">
      <Constant name="k" dimension="none" value="7"/>
      <Dynamics><StateVariable name="y" dimension="none" exposure="x"/>
        <TimeDerivative variable="y" value="k * y / step"/></Dynamics>
    </ComponentType><sub id="shorthand" a="1" b="2"/>"""
    )
    model = load(tmp_path, body)
    assert model.state_variables == ("y",) and model.initial_range == ((0.0, 0.0),)
    assert derivative(model, [1.0]) == pytest.approx([7.0])


def test_components_are_chosen_by_name_target_or_being_the_only_one(tmp_path: Path):
    two = BASE + '<Component id="p" type="base" a="1" b="0"/><base id="q" a="2" b="0"/>'
    assert float(load(tmp_path, two, component="q").params["a"]) == 2.0
    with pytest.raises(lems.LemsError, match="several components and no Target: 'p', 'q'"):
        load(tmp_path, two)
    with pytest.raises(lems.LemsError, match="no component 'r'"):
        load(tmp_path, two, component="r")
    assert float(load(tmp_path, two + '<Target component="q"/>').params["a"]) == 2.0


def test_includes_are_relative_once_and_may_be_circular(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    back = '<Lems><Include file="../deep/types.xml"/><Include file="units.xml"/>'
    (tmp_path / "deep" / "types.xml").write_text(f"{back}{BASE}</Lems>")
    body = '<Include file="deep/types.xml"/><Include file="deep/../deep/types.xml"/>'
    model = load(tmp_path, body + '<base id="one" a="1" b="0"/>')
    assert derivative(model, [0.0]) == pytest.approx([2.0])


def test_namespaces_are_stripped_and_metadata_ignored(tmp_path: Path):
    file = tmp_path / "model.xml"
    extra = "<notes>by hand</notes><annotation><x:y xmlns:x='urn:z'/></annotation>"
    file.write_text(
        '<Lems xmlns="http://www.neuroml.org/lems/0.7.6" xmlns:xsi="urn:i"'
        ' xsi:schemaLocation="a b">'
        f'<Include file="units.xml"/>{extra}{BASE}<base id="one" a="1" b="0"/></Lems>'
    )
    assert lems.load(file).name == "base"


def test_derived_values_are_sorted_over_both_kinds(tmp_path: Path):
    body = """<ComponentType name="c"><Parameter name="p" dimension="time"/>
      <DerivedParameter name="rate" dimension="per_time" value="half / p"/>
      <DerivedParameter name="half" dimension="none" value="0.5"/>
      <Dynamics><StateVariable name="x" dimension="none"/>
        <DerivedVariable name="last" value="2 * middle"/>
        <ConditionalDerivedVariable name="middle">
          <Case condition="first .gt. 1" value="first"/>
          <Case condition="first .lt. -1" value="-first"/>
          <Case value="10"/>
        </ConditionalDerivedVariable>
        <DerivedVariable name="first" dimension="none" value="x + 1"/>
        <TimeDerivative variable="x" value="last * rate"/></Dynamics>
    </ComponentType><c id="one" p="4 ms"/>"""
    model = load(tmp_path, body)
    x = np.array([[0.5, -0.5, -3.0, 0.0]])
    first = x[0] + 1
    middle = np.where(first > 1, first, np.where(first < -1, -first, 10.0))
    assert derivative(model, x) == pytest.approx(np.array([2 * middle * 0.5 / 4]))


def test_time_and_cycles_of_parameters(tmp_path: Path):
    clock = """<ComponentType name="c"><Constant name="ms" dimension="time" value="1 ms"/>
      <Dynamics><StateVariable name="x" dimension="none"/>
      <TimeDerivative variable="x" value="t / ms^2"/></Dynamics></ComponentType><c id="one"/>"""
    model = load(tmp_path, clock)
    got = model.dfun(jnp.zeros((1, 2)), jnp.zeros((0, 2)), t=3.0)
    assert np.asarray(got) == pytest.approx(np.full((1, 2), 3.0))
    cycle = clock.replace(
        "<Dynamics>",
        '<DerivedParameter name="p" value="q"/><DerivedParameter name="q" value="p"/><Dynamics>',
    )
    with pytest.raises(lems.LemsError, match="LEMS034.*p > q > p"):
        load(tmp_path, cycle)


REMOVABLE = """<ComponentType name="c"><Constant name="ms" dimension="time" value="1 ms"/>
  <Parameter name="scale" dimension="none"/>
  <Dynamics><StateVariable name="x" dimension="none"/>
    <DerivedVariable name="z" value="x / scale"/>{derived}
    <ConditionalDerivedVariable name="rate">
      <Case condition="z .eq. 0" value="1 + z / 2"/><Case value="{value}"/>
    </ConditionalDerivedVariable>
    <TimeDerivative variable="x" value="rate / ms"/></Dynamics>
</ComponentType><c id="one" scale="2"/>"""


@pytest.mark.parametrize(
    "derived, value",
    [
        ("", "z / (1 - exp(-z))"),
        ('<DerivedVariable name="inverse" value="1 / (1 - exp(-z))"/>', "z * inverse"),
    ],
)
def test_gradients_of_a_branch_not_taken_are_finite(tmp_path: Path, derived: str, value: str):
    model = load(tmp_path, REMOVABLE.format(derived=derived, value=value))

    def rate(x, scale):
        return model.dfun(x[None], jnp.zeros((0,)), {"scale": scale})[0]

    for x in (0.0, 0.7, -3.0):
        z = x / 2
        expected = z / (1 - math.exp(-z)) if z else 1.0
        slope = (1 - (1 + z) * math.exp(-z)) / (1 - math.exp(-z)) ** 2 if z else 0.5
        at = jnp.asarray(x), jnp.asarray(2.0)
        assert float(rate(*at)) == pytest.approx(expected, rel=1e-14)
        by_x, by_scale = jax.grad(rate, argnums=(0, 1))(*at)
        assert float(by_x) == pytest.approx(slope / 2, rel=1e-9)
        assert float(by_scale) == pytest.approx(-slope * x / 4, rel=1e-9)


def test_an_exponential_in_a_branch_not_taken_may_overflow(tmp_path: Path):
    body = REMOVABLE.format(derived="", value="exp(z)").replace("z .eq. 0", "z .gt. 1")
    model = load(tmp_path, body)

    def rate(x):
        return model.dfun(x[None], jnp.zeros((0,)))[0]

    assert float(jax.grad(rate)(jnp.asarray(1e5))) == 0.25


def test_extensions_reach_the_model(tmp_path: Path):
    body = """<ComponentType name="c"><Constant name="ms" dimension="time" value="1 ms"/>
      <Property name="p" dimension="voltage" defaultValue="3 mV" tvbjax:domain="-1 V, inf"/>
      <Requirement name="c_in" dimension="none" tvbjax:source="y, x"/>
      <Exposure name="sum" dimension="none" tvbjax:voi="true"/><Exposure name="x" dimension="none"/>
      <Dynamics>
        <StateVariable name="x" dimension="none" exposure="x" tvbjax:noise="0.25"
                       tvbjax:bounds="-inf, 4" tvbjax:initial="1, 2"/>
        <StateVariable name="y" dimension="voltage" tvbjax:noise="2 mV2_per_ms"/>
        <DerivedVariable name="total" dimension="none" exposure="sum" value="x + y / p"/>
        <TimeDerivative variable="x" value="c_in / ms"/>
        <TimeDerivative variable="y" value="-y / ms"/></Dynamics></ComponentType>
      <Dimension name="d" m="2" l="4" t="-7" i="-2"/>
      <Unit symbol="mV2_per_ms" dimension="d" power="-3"/>
      <c id="one"/>"""
    model = load(tmp_path, body)
    assert model.sources == (("y", "x"),) and model.variables_of_interest == ("sum",)
    assert model.domains == {"p": (-1000.0, math.inf)} and model.units["p"] == "mV"
    assert model.bounds[0] == (-math.inf, 4.0) and model.initial_range[0] == (1.0, 2.0)
    assert model.nsig == {"x": 0.25, "y": 2.0}
    seen = model.observe(jnp.asarray([[1.0, 2.0], [3.0, 6.0]]))
    assert np.asarray(seen) == pytest.approx(np.array([[2.0, 4.0]]))
    moved = model.observe(jnp.asarray([[1.0], [3.0]]), {"p": jnp.asarray(1.0)})
    assert float(moved[0, 0]) == 4.0
    with pytest.raises(lems.LemsError, match="LEMS007.*depends on c_in"):
        load(tmp_path, body.replace("x + y / p", "x + c_in"))


def test_a_file_may_declare_coupling_functions(tmp_path: Path):
    body = (
        BASE.replace(
            "<Exposure", '<Requirement name="c" dimension="*" tvbjax:source="x"/><Exposure'
        ).replace("a + 10", "c + a + 10")
        + """
    <ComponentType name="link" tvbjax:coupling="c" tvbjax:scale="g / n_node">
      <Property name="g" dimension="none" defaultValue="0.5" tvbjax:domain="0, 1"/>
      <Requirement name="x_j" dimension="none" tvbjax:source="x"/>
      <Requirement name="x" dimension="none"/>
      <Dynamics><DerivedVariable name="gap" value="x_j - x"/>
        <DerivedVariable name="pre" value="sin(gap)"/><DerivedVariable name="post" value="1"/>
      </Dynamics></ComponentType><Component id="one" type="base" a="1" b="0"/>"""
    )
    (link,) = load(tmp_path, body).couplings
    assert (link.input, link.sources) == ("c", ("x",))
    assert str(link.pre) in ("sin(-x + x_j)", "-sin(x - x_j)") and str(link.scale) == "g/n_node"
    assert [str(s) for s in (*link.source_symbols, *link.target_symbols)] == ["x_j", "x"]
    assert link.parameters[0].domain == (0.0, 1.0)
    with pytest.raises(lems.LemsError, match="no input of the model; known: c"):
        load(tmp_path, body.replace('coupling="c"', 'coupling="k"'))


def test_assertions_about_dimensions_are_checked(tmp_path: Path):
    body = BASE + '<base id="one" a="1" b="0"/><Assertion dimension="charge" matches="{}"/>'
    load(tmp_path, body.format("current * time"))
    for wrong in ("current", "current * tmie", "current + time", "current *"):
        with pytest.raises(lems.LemsError, match="in Assertion"):
            load(tmp_path, body.format(wrong))


def test_si_is_an_option(tmp_path: Path):
    body = BASE + '<Component id="one" type="base" a="1" b="0"/>'
    model = load(tmp_path, body, units=lems.SI)
    assert derivative(model, [0.0]) == pytest.approx([2 * 1000.0])


PARTIAL = """
  <ComponentType name="Bent"><Parameter name="k" dimension="none"/>
    <Constant name="ms" dimension="time" value="1 ms"/>
    <Requirement name="c" dimension="none" tvbjax:source="x"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/><StateVariable name="y" dimension="none"/>
      <DerivedVariable name="g" dimension="none" value="k * x^2 * y + c + abs(y)"/>
      <DerivedVariable name="F" dimension="none" value="exp(-g) * erfc(x) + atan2(y, x) * g"/>
      <DerivedVariable name="Fx" dimension="none" value="derivative(F, x)"/>
      <TimeDerivative variable="x" value="Fx / ms"/>
      <TimeDerivative variable="y"
        value="(derivative(Fx, y) + 10 * derivative(F, k) + 100 * derivative(F, c)) / ms"/>
    </Dynamics></ComponentType>
  <Bent id="one" k="0.7"/>"""


def test_partial_derivatives_go_through_derived_variables(tmp_path):
    """Against JAX's derivatives of the same function, written once more."""
    model = load(tmp_path, PARTIAL)

    def function(x, y, k, c):
        g = k * x**2 * y + c + jnp.abs(y)
        return jnp.exp(-g) * jax.scipy.special.erfc(x) + jnp.arctan2(y, x) * g

    for x, y, c in ((0.3, -0.8, 0.2), (-1.2, 0.5, 0.0), (-0.4, -0.1, -2.0)):
        at = (x, y, 0.7, c)
        mixed = jax.grad(jax.grad(function), 1)(*at)
        by_k, by_c = (jax.grad(function, i)(*at) for i in (2, 3))
        found = model.dfun(jnp.asarray([x, y]), jnp.asarray([c]))
        wanted = [jax.grad(function)(*at), mixed + 10 * by_k + 100 * by_c]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "value, said",
    [
        ("derivative(F, 2 * x)", "derivative takes two names"),
        ("derivative(F)", "derivative takes 2 arguments, not 1"),
        ("derivative(F, z)", "unknown name 'z'"),
        ("derivative(F, pi)", "'pi' is no state variable, parameter or input"),
        ("derivative(F, ms)", "'ms' is no state variable, parameter or input"),
        ("derivative(F, g)", "'g' is no state variable, parameter or input"),
        ("derivative(x, x)", "'x' is no DerivedVariable; did you mean|'x' is no DerivedVariable"),
        ("derivative(F, x) + ms", "cannot add 'ms' \\(time\\)"),
    ],
)
def test_a_wrong_partial_derivative_is_refused_with_its_place(tmp_path, value, said):
    with pytest.raises(lems.LemsError, match=rf"model.xml:\d+:\d+:.*{said}"):
        load(tmp_path, PARTIAL.replace("derivative(F, x)", value, 1))
