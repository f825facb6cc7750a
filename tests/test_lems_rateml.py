"""RateML read as RateML means it. Its own files are compared in test_parity_rateml.py."""

import importlib.metadata
import math
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax import lems

RATEML = """<Lems description="A small model">
  <ComponentType name="derivatives">
    <Parameter name="global_speed" dimension="1.0, 5.0"/>
    <Parameter name="global_coupling" dimension='0.2, 0.8'/>
    <DerivedParameter name="rec_n" value="1.0f / n_node"/>
    <DerivedParameter name="rec_speed_dt" value="1.0f / global_speed / (dt)"/>
    <DerivedParameter name="nsig" value="sqrt(dt) * sqrt(2.0 * 1e-3)"/>
    <DerivedParameter name="twice" value="2.0f * a"/>
    <Constant name="a" dimension="lo=0., hi=10.0, step=0.1" value="3.0 / 2" description="Gain"/>
    <Constant name="b" dimension="" value="0.5"/>
    <Constant name="flag" dimension="None" value="0"/>
    <Constant name="b" dimension="" value="0.5"/>
    <Exposure name="x" dimension="x"/>
    <Exposure name="x - y" dimension=""/>
    <Dynamics>
      <StateVariable name="x" dimension="0.0, -2.0" exposure="-1.0, None"/>
      <StateVariable name="y" dimension="pi" exposure="None"/>
      <DerivedVariable name="shift" value="{x^2} - b * local_coupling"/>
      <ConditionalDerivedVariable name="h">
        <Case condition="x &lt; 0.0 &amp;&amp; !(y &gt;= 1)" value="-1"/>
        <Case condition="flag" value="100.0f"/>
        <Case condition="else" value="shift"/>
      </ConditionalDerivedVariable>
      <TimeDerivative variable="dx" value="twice * h + c_pop0"/>
      <TimeDerivative variable="dy" value="(x - y) / tau_y + c_pop1"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="coupling_function">
    <Parameter name="y_j" dimension="1"/>
    <DerivedParameter name="c_pop0" value="global_coupling * rec_n"/>
    <Constant name="k" value="4.0"/>
    <Dynamics>
      <DerivedVariable name="pre" value="sin(y_j - x)"/>
      <DerivedVariable name="post" value="k"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="noise"/>
</Lems>
""".replace("/ tau_y", "/ 10.0f")


def load(tmp_path: Path, text: str = RATEML) -> lems.Model:
    file = tmp_path / "small-model.xml"
    file.write_text(text)
    return lems.load(file)


def test_every_part_of_the_dialect_has_its_meaning(tmp_path: Path):
    model = load(tmp_path)
    assert (model.name, model.description) == ("small_model", "A small model")
    assert {k: float(v) for k, v in model.params.items()} == {"a": 1.5, "b": 0.5, "flag": 0.0}
    assert model.domains == {"a": (0.0, 10.0)}
    assert model.state_variables == ("x", "y")
    assert model.bounds == ((-1.0, math.inf), (-math.inf, math.inf))
    assert model.initial_range == ((-1.0, 0.0), (math.pi, math.pi))  # reversed, then clamped
    assert model.variables_of_interest == ("x", "x_minus_y")
    assert model.nsig == pytest.approx({"x": 1e-3, "y": 1e-3}, rel=1e-12)
    assert model.inputs == ("c_pop0", "c_pop1")
    assert model.sources == (("y",), ("y",))  # the coupling function's, and the second state's
    assert model.spec.sweeps == (("global_speed", (1.0, 5.0)), ("global_coupling", (0.2, 0.8)))
    assert model.spec.speed == "global_speed"


def test_the_equations_are_those_of_the_file(tmp_path: Path):
    model = load(tmp_path)
    x, y = np.array([-0.5, -0.5, 2.0]), np.array([0.0, 1.5, 0.3])
    c0, c1 = np.array([0.1, 0.2, 0.3]), np.array([-0.1, 0.0, 0.1])
    for flag in (0.0, 1.0):
        h = np.where((x < 0) & ~(y >= 1), -1.0, 100.0 if flag else x**2)
        expected = [3.0 * h + c0, (x - y) / 10 + c1]
        params = model.params | {"flag": jnp.asarray(flag)}
        got = model.dfun(jnp.asarray([x, y]), jnp.asarray([c0, c1]), params)
        np.testing.assert_allclose(got, expected, rtol=1e-14)
    np.testing.assert_allclose(model.observe(jnp.asarray([x, y])), [x, x - y], rtol=1e-15)


def test_coupling_functions_are_kept(tmp_path: Path):
    (link,) = load(tmp_path).couplings
    assert (link.input, link.sources) == ("c_pop0", ("y",))
    assert [str(s) for s in (*link.source_symbols, *link.target_symbols)] == ["y_j", "x"]
    assert str(link.pre) in ("sin(-x + y_j)", "-sin(x - y_j)") and str(link.post) == "k"
    assert str(link.scale) == "global_coupling/n_node"
    values = {p.name: (p.value, p.domain) for p in link.parameters}
    assert values == {"k": (4.0, None), "global_coupling": (0.2, (0.2, 0.8))}


def test_the_lems_form_loads_to_the_same_model(tmp_path: Path):
    model = load(tmp_path)
    text = lems.to_lems(tmp_path / "small-model.xml")
    other = tmp_path / "other.xml"
    other.write_text(text)
    assert lems.load(other).spec == model.spec
    assert lems.to_lems(other) == text


def test_noise_that_depends_on_the_time_step_is_no_default(tmp_path: Path):
    with pytest.warns(lems.LemsWarning, match=r"xml:7:.*depends on the time step"):
        model = load(tmp_path, RATEML.replace("sqrt(dt) * sqrt(2.0 * 1e-3)", "0.01"))
    assert model.nsig == {}
    silent = RATEML.replace("sqrt(dt) * sqrt(2.0 * 1e-3)", "0.01")
    assert load(tmp_path, silent.replace('<ComponentType name="noise"/>', "")).nsig == {}


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('<Constant name="b" dimension="" value="0.5"/>\n    <E',
         '<Constant name="b" dimension="" value="0.7"/>\n    <E',
         r":12:.*now as 0.7; the last holds"),
        ('variable="dx"', 'variable="dz"', r":24:.*taken for the derivative of 'x'"),
        ('condition="else"', 'condition="x &gt; 1"', r":22:.*last Case is the default"),
        ('name="c_pop0" value="g', 'name="c_pop7" value="g', r"no equation uses the sum 'c_pop7'"),
        ('<DerivedVariable name="pre" value="sin(y_j - x)"/>\n      '
         '<DerivedVariable name="post" value="k"/>', "", r"nothing to sum"),
    ],
)  # fmt: skip
def test_doubtful_files_give_warnings(tmp_path: Path, old: str, new: str, words: str):
    assert old in RATEML
    with pytest.warns(lems.LemsWarning, match=words):
        load(tmp_path, RATEML.replace(old, new))


@pytest.mark.parametrize(
    "old, new, code, line",
    [
        ("{x^2}", "{x^2", "LEMS010", 18),
        ("{x^2}", "powf(x, 2)", "LEMS011", 18),
        ("twice * h", "twcie * h", "LEMS011", 24),
        ("twice * h", "dt * h", "LEMS011", 24),
        ("2.0f * a", "dt * a", "LEMS040", 8),
        ("3.0 / 2", "[1, 2]", "LEMS010", 9),
        ("3.0 / 2", "3.0 / 0", "LEMS012", 9),
        ("lo=0., hi=10.0", "0 to 10", "LEMS023", 9),
        ('exposure="-1.0, None"', 'exposure="low, None"', "LEMS023", 16),
        ('exposure="-1.0, None"', 'exposure="1, -1"', "LEMS023", 16),
        ('"0.0, -2.0"', '"0.0, 1.0, 2.0"', "LEMS023", 16),
        ('<TimeDerivative variable="dy" value="(x - y) / 10.0f + c_pop1"/>', "", "LEMS035", 15),
        ("c_pop1", "c_pop5", "LEMS040", 2),
        ('<Exposure name="x" ', '<Exposure name="z" ', "LEMS037", 13),
        ('name="y_j" dimension="1"', 'name="y_j" dimension="9"', "LEMS040", 29),
        ('name="noise"', 'name="nosie"', "LEMS040", 37),
        ("<StateVariable", "<StateVaraible", "LEMS005", 16),
        ('value="2.0f * a"', 'expression="2.0f * a"', "LEMS006", 8),
        ("sin(y_j - x)", "sin(y_k - x)", "LEMS011", 28),
        ('<ComponentType name="noise"/>', "<Target/>", "LEMS006", 37),
    ],
)
def test_bad_files_are_refused_at_their_line(tmp_path, old: str, new: str, code: str, line: int):
    assert old in RATEML
    with pytest.raises(lems.LemsError) as caught:
        load(tmp_path, RATEML.replace(old, new, 1))
    text = str(caught.value)
    assert f"[{code}]" in text and f"small-model.xml:{line}:" in text, text


def test_own_models_of_rateml_survive_the_way_through_lems(tmp_path: Path):
    try:
        files = importlib.metadata.files("tvb-contrib") or ()
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("tvb-contrib is not installed: pip install --no-deps tvb-contrib==2.11.0")
    names = ("epileptor", "kuramoto", "montbrio", "oscillator", "rwongwang", "rwongwang_deco")
    for name in names:
        (file,) = [f for f in files if f.parts[-2:] == ("XMLmodels", f"{name}.xml")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", lems.LemsWarning)
            model, text = lems.load(Path(str(file.locate()))), lems.to_lems(str(file.locate()))
        other = tmp_path / "other.xml"
        other.write_text(text)
        assert lems.load(other).spec == model.spec, name
