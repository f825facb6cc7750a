"""Stable forms: against 50-digit arithmetic, near the gap of 0/0 and far away, and their slopes."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy

from tvbjax import lems
from tvbjax_lems.algebra import symbol, to_expression
from tvbjax_lems.evaluate import evaluate, value_of
from tvbjax_lems.functions import linoid, linoid_slope, sigmoid, softplus
from tvbjax_lems.stable_forms import stable
from tvbjax_lems.syntax import parse

VALUES = {"a": 0.7, "v0": -31.0, "s": 4.5, "off": 2.0, "rate": 1.5, "y": 0.3}
SCOPE = {name: symbol(name) for name in (*VALUES, "x", "v")}
NEAR = [0.0, 1e-300, 1e-12, 1e-7, 1e-4, 0.0099, 0.0101, 0.1, 0.499, 0.501, 1.0, 3.0, 20.0, 80.0]
FAR = [150.0, 340.0, 600.0, 705.0, 720.0, 1e4]
POINTS = np.array([sign * at for at in NEAR + FAR for sign in (-1.0, 1.0)])

# Expression, its variable, the variable's value at which it is 0/0, and how steep its argument is.
RATES = [
    ("x/(exp(x) - 1)", "x", 0.0, 1.0),
    ("x/(1 - exp(-x))", "x", 0.0, 1.0),
    ("rate*x/(1 - exp(0 - x))", "x", 0.0, 1.0),
    ("a*(v - v0)/(exp((v - v0)/s) - 1)", "v", -31.0, 4.5),
    ("a*(v - v0)/(1 - exp((v0 - v)/s))", "v", -31.0, 4.5),
    ("(13 - v + off)/(exp((13 - v + off)/4) - 1)", "v", 15.0, 4.0),
    ("0.01*(v + 55)/(1 - exp(-(v + 55)/10))", "v", -55.0, 10.0),
    ("(0.1 - 0.01*v)/(exp(1 - 0.1*v) - 1)", "v", 10.0, 10.0),
    ("-0.32*(v - 13)/(exp(-(v - 13)/4) - 1)", "v", 13.0, 4.0),
    ("(v - v0)/s/(exp(v/s - v0/s) - 1)", "v", -31.0, 4.5),
    ("v*(a - rate*exp(-v/s))/(2*(1 - exp(-v/s)))", "v", 0.0, 4.5),
    ("x/(1 - exp(-x*y))", "x", 0.0, 1.0 / 0.3),
]


def compiled(text: str) -> tuple[Any, Any]:
    """The function of one variable that an expression becomes; the others have their values."""
    expression = stable(to_expression(parse(text), SCOPE))

    def function(name: str, at):
        environment = {SCOPE[n]: jnp.asarray(v, at.dtype) for n, v in VALUES.items()}
        return evaluate((), [expression], environment | {SCOPE[name]: at})[0]

    return expression, function


def exactly(text: str, name: str, points, order: int) -> list[float]:
    """Values or derivatives with 700 digits; at the gap, just beside it."""
    plain = to_expression(parse(text), SCOPE).xreplace(
        {SCOPE[n]: sympy.Rational(repr(v)) for n, v in VALUES.items()}
    )
    plain = sympy.diff(sympy.nsimplify(plain, rational=True), SCOPE[name], order)
    function = sympy.lambdify(SCOPE[name], plain, "mpmath")
    found = []
    with mpmath.workdps(700):
        for at in points:
            try:
                found.append(float(function(mpmath.mpf(float(at)))))
            except ZeroDivisionError:
                found.append(float(function(mpmath.mpf(float(at)) + mpmath.mpf(10) ** -200)))
    return found


@pytest.mark.parametrize("text, name, gap, scale", RATES)
def test_a_rate_and_its_slope_are_right_at_the_gap_and_beside_it(text, name, gap, scale):
    expression, function = compiled(text)
    assert expression.has(linoid) and not expression.has(sympy.log)
    value = jax.vmap(lambda at: function(name, at))
    slope = jax.vmap(jax.grad(lambda at: function(name, at)))
    points = gap + scale * POINTS[np.abs(POINTS) <= 80.0]
    expected, steep = exactly(text, name, points, 0), exactly(text, name, points, 1)
    # A rounded argument alone costs |v/s| units in the last place.
    np.testing.assert_allclose(value(jnp.asarray(points)), expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(slope(jnp.asarray(points)), steep, rtol=1e-12, atol=1e-13)


def in_digits(function, at: float) -> float:
    with mpmath.workdps(700):
        return float(function(mpmath.mpf(at)))


def exact_linoid(x):
    return x / mpmath.expm1(x) if x else mpmath.mpf(1)


def exact_slope(x):
    if not x:
        return mpmath.mpf(-0.5)
    return (mpmath.expm1(x) - x * mpmath.exp(x)) / mpmath.expm1(x) ** 2


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_linoid_and_its_slope_in_both_precisions(dtype):
    points = POINTS.astype(dtype)
    epsilon, tiny = float(jnp.finfo(dtype).eps), float(jnp.finfo(dtype).tiny)
    x = symbol("x")
    itself: Any = linoid(x)
    its_slope: Any = linoid_slope(x)

    def function(at):
        return value_of(itself, {x: at})

    def slope_node(at):
        return value_of(its_slope, {x: at})

    value, slope = jax.vmap(jax.value_and_grad(function))(jnp.asarray(points))
    assert value.dtype == slope.dtype == dtype
    expected = np.array([in_digits(exact_linoid, float(at)) for at in points])
    steep = np.array([in_digits(exact_slope, float(at)) for at in points])
    np.testing.assert_allclose(value, expected, rtol=4 * epsilon, atol=4 * tiny)
    # The slope past 98 % of where exp overflows is given as that at this point, under 1e-34.
    below = 1000.0 * float(jnp.finfo(dtype).max) ** -0.98
    np.testing.assert_allclose(slope, steep, rtol=10 * epsilon, atol=below)
    np.testing.assert_array_equal(jax.vmap(slope_node)(jnp.asarray(points)), slope)
    assert bool(jnp.isfinite(jax.vmap(jax.grad(jax.grad(function)))(jnp.asarray(points))).all())


def test_the_second_derivative_of_linoid():
    x = symbol("x")
    itself: Any = linoid(x)
    curve = jax.grad(jax.grad(lambda at: value_of(itself, {x: at})))
    symbolic = sympy.diff(linoid(x), x, 2)
    with mpmath.workdps(60):
        for at in (-30.0, -2.0, -0.3, 0.4, 0.51, 7.0):
            expected = float(mpmath.diff(exact_linoid, at, 2))
            assert float(curve(at)) == pytest.approx(expected, rel=1e-11)
            assert float(value_of(symbolic, {x: jnp.asarray(at)})) == pytest.approx(expected, 1e-10)
        assert float(curve(0.0)) == pytest.approx(1 / 6, rel=1e-15)


@pytest.mark.parametrize(
    "text, exact, node",
    [
        ("log(1 + x)", mpmath.log1p, "log1p"),
        ("log(x^2 + 1)", lambda x: mpmath.log1p(x**2), "log1p"),
        ("exp(x) - 1", mpmath.expm1, "expm1"),
        ("y*(1 - exp(-x))", lambda x: -mpmath.mpf(0.3) * mpmath.expm1(-x), "expm1"),
        ("log(1 + exp(x))", lambda x: mpmath.log1p(mpmath.exp(x)), "softplus"),
        ("a/(1 + exp(x))^2", lambda x: mpmath.mpf(0.7) / (1 + mpmath.exp(x)) ** 2, "sigmoid"),
    ],
)
def test_small_differences_keep_their_digits(text, exact, node):
    found: Counter[str] = Counter()
    expression = stable(to_expression(parse(text), SCOPE), found)
    assert found == {node: 1}
    for at in (
        1e-300,
        1e-16,
        -1e-9,
        1e-3,
        0.5,
        30.0,
        *([800.0, -800.0] if "+ exp" in text else []),
    ):
        environment = {SCOPE["x"]: jnp.asarray(at), SCOPE["y"]: 0.3, SCOPE["a"]: 0.7}

        def function(x, environment=environment):
            return evaluate((), [expression], environment | {SCOPE["x"]: x})[0]

        if at > -0.99 or "log(1 + x)" not in text:
            expected = in_digits(exact, at)
            assert float(function(jnp.asarray(at))) == pytest.approx(
                expected, rel=1e-14, abs=1e-300
            )
            assert np.isfinite(jax.grad(function)(jnp.asarray(at)))


@pytest.mark.parametrize(
    "text",
    ["x/(exp(y) - 1)", "rate/(exp(x) - 1)", "(v - v0)/(exp((v - off)/s) - 1)", "x + exp(y) - 1"],
)
def test_what_is_no_gap_is_no_linoid(text):
    assert not stable(to_expression(parse(text), SCOPE)).has(linoid)


def test_several_rates_in_one_product():
    text = "x/(exp(x) - 1) * y/(exp(y) - 1) * (v - v0)/(1 - exp((v0 - v)/s))"
    found: Counter[str] = Counter()
    expression = stable(to_expression(parse(text), SCOPE), found)
    assert found["linoid"] == 3
    at_gap = {SCOPE["x"]: 0.0, SCOPE["y"]: 0.0, SCOPE["v"]: -31.0, SCOPE["v0"]: -31.0}
    environment = {name: jnp.asarray(value) for name, value in at_gap.items()}
    assert float(value_of(expression, environment | {SCOPE["s"]: jnp.asarray(4.5)})) == 4.5


GATE = """<Lems xmlns:tvbjax="urn:tvbjax:lems:1"><Include file="units.xml"/>
<ComponentType name="Gate">
  <Parameter name="rate" dimension="per_time"/><Parameter name="mid" dimension="voltage"/>
  <Parameter name="scale" dimension="voltage"/>
  <Constant name="speed" dimension="per_time" value="1 per_ms"/>
  <Exposure name="v" dimension="voltage"/><Exposure name="q" dimension="none"/>
  <Dynamics>
    <StateVariable name="v" dimension="voltage" exposure="v"/>
    <StateVariable name="q" dimension="none" exposure="q"/>
    <DerivedVariable name="x" dimension="none" value="(v - mid) / scale"/>
    <ConditionalDerivedVariable name="r" dimension="per_time">{cases}</ConditionalDerivedVariable>
    <TimeDerivative variable="v" value="-v * speed"/>
    <TimeDerivative variable="q" value="r * (1 - q)"/>
  </Dynamics>
</ComponentType>
<Component id="gate" type="Gate" rate="1 per_ms" mid="-40 mV" scale="10 mV"/></Lems>"""
GENERAL, SPECIAL = 'value="rate * x / (1 - exp(0 - x))"', 'value="rate"'


@pytest.mark.parametrize(
    "cases",
    [
        f'<Case condition="x .neq. 0" {GENERAL}/><Case condition="x .eq. 0" {SPECIAL}/>',
        f'<Case condition="x .eq. 0" {SPECIAL}/><Case {GENERAL}/>',
        f'<Case condition="x .neq. 0" {GENERAL}/><Case {SPECIAL}/>',
    ],
)
@pytest.mark.filterwarnings("ignore::tvbjax_lems.LemsWarning")
def test_the_gradient_of_a_gate_at_its_gap(cases, tmp_path):
    """v = mid: the value is rate, and the slope is rate / (2 scale), not the 0 of the Case."""
    path = tmp_path / "gate.xml"
    path.write_text(GATE.format(cases=cases))
    model = lems.load(path)

    def opening(v, params):
        return model.dfun(jnp.stack([v, 0.0 * v]), jnp.zeros(0), params)[1]

    for distance in (0.0, 1e-9, -1e-5, 0.3, -25.0):
        v = jnp.asarray(-40.0 + distance)
        slope, by_params = jax.grad(opening, argnums=(0, 1))(v, model.params)
        x = (float(v) + 40.0) / 10.0
        assert float(opening(v, model.params)) == pytest.approx(in_digits(exact_linoid, -x), 1e-14)
        steep = -in_digits(exact_slope, -x) / 10.0
        assert float(slope) == pytest.approx(steep, rel=1e-12)
        assert float(by_params["mid"]) == pytest.approx(-steep, rel=1e-12)
        assert all(bool(jnp.isfinite(g)) for g in by_params.values())


@pytest.mark.filterwarnings("ignore::tvbjax_lems.LemsWarning")
def test_the_gradient_through_a_case_that_stays(tmp_path):
    """A Case that does not fill the gap keeps its meaning; the branch not taken gives no NaN."""
    path = tmp_path / "gate.xml"
    cases = '<Case condition="x .gt. 0" value="rate * sqrt(x) / x"/><Case value="rate * 2"/>'
    path.write_text(GATE.format(cases=cases))
    model = lems.load(path)
    for v, expected, steep in ((-40.0, 2.0, 0.0), (-45.0, 2.0, 0.0), (0.0, 0.5, -0.00625)):
        value, slope = jax.value_and_grad(
            lambda v: model.dfun(jnp.stack([v, 0.0 * v]), jnp.zeros(0))[1]
        )(jnp.asarray(v))
        assert float(value) == pytest.approx(expected, rel=1e-14)
        assert float(slope) == pytest.approx(steep, rel=1e-13)


def test_the_nodes_print_for_numpy_and_latex():
    from sympy.printing.numpy import SciPyPrinter

    x = symbol("x")
    points = np.array([-3.0, 0.2, 0.7])
    forms: list[tuple[Any, str]] = [
        (linoid(x), r"\frac{x}{e^{x} - 1}"),
        (sigmoid(x), r"\frac{1}{1 + e^{- x}}"),
        (softplus(x), r"\log\left(1 + e^{x}\right)"),
    ]
    for node, text in forms:
        assert sympy.latex(node) == text
        function = sympy.lambdify(x, node, "scipy")
        expected = value_of(node, {x: jnp.asarray(points)})
        np.testing.assert_allclose(function(points), expected, rtol=1e-14)
        assert "scipy" in SciPyPrinter().doprint(node) or "numpy" in SciPyPrinter().doprint(node)
