"""The symbolic Jacobian against automatic differentiation and against finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from test_parity_rateml import MODELS as RATEML, loaded
from tvbjax import lems
from tvbjax_lems.algebra import symbol, to_expression
from tvbjax_lems.evaluate import value_of
from tvbjax_lems.slopes import slope
from tvbjax_lems.stable_forms import stable
from tvbjax_lems.syntax import parse

NAMES = lems.models()


def random_point(model: lems.Model, seed: int, shape=()):
    random = np.random.default_rng(seed)
    low, high = np.array(model.initial_range).T.reshape(2, -1, *(1 for _ in shape))
    state = random.uniform(low, high, (len(model.state_variables), *shape))
    return jnp.asarray(state), jnp.asarray(random.normal(size=(len(model.inputs), *shape)))


def _marked(name: str):
    """Zerlaut's Jacobians take minutes to compile."""
    return pytest.param(name, marks=pytest.mark.slow) if name.startswith("Zerlaut") else name


@pytest.mark.parametrize("name", [_marked(name) for name in NAMES])
def test_the_jacobian_is_that_of_automatic_differentiation_and_of_differences(name: str):
    model = lems.load(name)
    slope = jax.jit(lambda state, inputs: model.dfun(state, inputs))
    whole, automatic = eqx.filter_jit(lems.jacobian(model)), jax.jit(jax.jacfwd(slope))
    for seed in range(5):
        state, inputs = random_point(model, seed)
        got = np.asarray(whole(state, inputs))
        expected = np.asarray(automatic(state, inputs))
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13 * np.abs(expected).max())
        step = 1e-6
        for column in range(len(state)):
            ends = [slope(state.at[column].add(d), inputs) for d in (-step, step)]
            difference = np.asarray(ends[1] - ends[0]) / (2 * step)
            np.testing.assert_allclose(got[:, column], difference, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", RATEML)
def test_the_jacobian_of_rateml_models_is_that_of_automatic_differentiation(name: str):
    model = loaded(name)
    whole = lems.jacobian(model)
    for seed in range(5):
        state, inputs = random_point(model, seed)
        got = np.asarray(whole(state, inputs))
        expected = np.asarray(jax.jacfwd(model.dfun)(state, inputs))
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


LONG = "ZerlautAdaptationSecondOrder"  # minutes to write out in one


@pytest.mark.parametrize("name", [_marked(name) for name in NAMES if name != LONG])
def test_the_matrix_has_the_numbers_of_the_function(name: str):
    model = lems.load(name)
    whole = lems.jacobian(model)
    state, inputs = random_point(model, 7)
    known = {**model.params}
    known |= dict(zip(model.state_variables, state, strict=True))
    known |= dict(zip(model.inputs, inputs, strict=True))
    values = {symbol(n): sympy.Float(float(v)) for n, v in known.items()}
    if name.startswith("EpileptorCodim3"):
        with pytest.raises(ValueError, match="a Case of .* depends on the Cases of"):
            whole.matrix  # noqa: B018
        return
    numbers = np.array(whole.matrix.xreplace(values).evalf(), dtype=float)
    np.testing.assert_allclose(numbers, whole(state, inputs), rtol=1e-12, atol=1e-14)


def test_it_works_elementwise_and_under_transformations():
    model = lems.load("JansenRit")
    whole = lems.jacobian(model)
    state, inputs = random_point(model, 1, (3, 4))
    got = jax.jit(lambda m, s, i: m(s, i))(whole, state, inputs)
    assert got.shape == (6, 6, 3, 4)
    alone = whole(state[:, 2, 1], inputs[:, 2, 1])
    np.testing.assert_allclose(got[:, :, 2, 1], alone, rtol=1e-13)
    varied = model.params | {"A": jnp.asarray(5.0)}
    given = jax.jacfwd(model.dfun)(state[:, 0, 0], inputs[:, 0, 0], varied)
    np.testing.assert_allclose(whole(state[:, 0, 0], inputs[:, 0, 0], varied), given, rtol=1e-12)
    with pytest.raises(ValueError, match="pass 6"):
        whole(state[:2], inputs)


def test_the_matrix_reads_as_one_would_write_it():
    V, a, b, beta, d, tau = (symbol(n) for n in ("V", "a", "b", "beta", "d", "tau"))
    matrix = lems.jacobian(lems.load("Generic2dOscillator")).matrix
    c = symbol("c")
    assert sympy.expand(matrix[1, 0] - d * (b + 2 * V * c) / tau) == 0
    assert sympy.expand(matrix[1, 1] + d * beta / tau) == 0 and a not in matrix.free_symbols


SCOPE = {name: symbol(name) for name in ("x", "y", "k")}


@pytest.mark.parametrize(
    "text",
    [
        *("abs(x)*y", "abs(sin(x) - 1/2)", "floor(x) * x", "ceil(x)^2 + x", "H(x) * x^2"),
        *("x^k", "abs(x)^k", "k^x", "x^2.5", "sqrt(x)", "max(x, y)*x", "min(x^2, k)"),
        *("factorial(x)", "x/(1 - exp(-x))", "log(1 + exp(x))", "1/(1 + exp(-x/k))", "erf(x)*y"),
        *("exp(x) - 1", "log(1 + x)", "tan(x) + sinh(x) - cosh(x) + tanh(x)", "atan(x/k)^3"),
    ],
)
def test_slopes_are_those_of_automatic_differentiation(text: str):
    """Also at corners and steps, and without a NaN at 0."""
    expression = stable(to_expression(parse(text), SCOPE))
    derivative = stable(slope(expression, SCOPE["x"]))
    points = [0.0, 0.7, 2.3, 1.0]
    points += [] if any(part in text for part in ("x^k", "2.5", "sqrt", "log(1 + x)")) else [-1.2]
    for at in points:
        if at == 0.0 and "sqrt" in text:
            continue

        def function(x, expression=expression):
            environment = {
                SCOPE["x"]: x,
                SCOPE["y"]: jnp.asarray(0.4),
                SCOPE["k"]: jnp.asarray(1.7),
            }
            return jnp.asarray(value_of(expression, environment))

        environment = {SCOPE["x"]: jnp.asarray(at), SCOPE["y"]: 0.4, SCOPE["k"]: 1.7}
        got, expected = value_of(derivative, environment), jax.grad(function)(jnp.asarray(at))
        if (text, at) == ("abs(x)*y", 0.0):  # at the corner JAX takes the right side, we the middle
            expected = 0.0
        assert float(got) == pytest.approx(float(expected), rel=1e-12, abs=1e-14), at


SINGULAR = """<Lems xmlns:tvbjax="urn:tvbjax:lems:1"><Include file="units.xml"/>
<ComponentType name="Wave">
  <Parameter name="k" dimension="per_time"/>
  <Dynamics>
    <StateVariable name="x" dimension="none"/><StateVariable name="y" dimension="none"/>
    <DerivedVariable name="u" dimension="none" value="1 / x"/>
    <ConditionalDerivedVariable name="wave" dimension="none">
      <Case condition="x .neq. 0" value="u * sin(x * y)"/><Case value="y"/>
    </ConditionalDerivedVariable>
    <TimeDerivative variable="x" value="k * (wave - x)"/>
    <TimeDerivative variable="y" value="k * (x - y)"/>
  </Dynamics>
</ComponentType>
<Component id="wave" type="Wave" k="1 per_ms"/></Lems>"""


def test_a_branch_not_taken_gives_no_nan(tmp_path):
    path = tmp_path / "wave.xml"
    path.write_text(SINGULAR)
    model = lems.load(path)
    state, inputs = jnp.asarray([[0.0, 0.8], [0.3, 0.3]]), jnp.zeros((0, 2))
    got = lems.jacobian(model)(state, inputs)
    np.testing.assert_allclose(got[:, :, 0], [[-1.0, 1.0], [1.0, -1.0]], rtol=1e-14)
    expected = jax.jacfwd(model.dfun)(state[:, 1], inputs[:, 1])
    np.testing.assert_allclose(got[:, :, 1], expected, rtol=1e-13)
