"""The built-in models against the papers' equations in NumPy and against The Virtual Brain."""

import importlib.util
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax import lems

REFERENCE = Path(__file__).parent / "reference" / "lems_dfun.npz"
NAMES = ("Generic2dOscillator", "JansenRit", "Kuramoto", "MontbrioPazoRoxin")


def montbrio(s, c, tau, I, Delta, J, eta, Gamma, cr, cv):  # noqa: E741
    r, V = s
    dr = Delta / (np.pi * tau**2) + 2 * r * V / tau
    dV = (V**2 + eta + I + J * tau * r - (np.pi * tau * r) ** 2 + cr * c[0] + cv * c[1]) / tau
    return np.stack([dr, dV])


def jansen_rit(s, c, A, B, a, b, v0, nu_max, r, J, a_1, a_2, a_3, a_4, p_min, p_max, mu):
    def rate(v):
        return 2 * nu_max / (1 + np.exp(r * (v0 - v)))

    y0, y1, y2, y3, y4, y5 = s
    return np.stack(
        [
            y3,
            y4,
            y5,
            A * a * rate(y1 - y2) - 2 * a * y3 - a**2 * y0,
            A * a * (mu + c[0] + a_2 * J * rate(a_1 * J * y0)) - 2 * a * y4 - a**2 * y1,
            B * b * a_4 * J * rate(a_3 * J * y0) - 2 * b * y5 - b**2 * y2,
        ]
    )


def oscillator(s, c, tau, I, a, b, c_, d, e, f, g, alpha, beta, gamma):  # noqa: E741
    V, W = s
    dV = d * tau * (-f * V**3 + e * V**2 + g * V + alpha * W + gamma * (I + c[0]))
    return np.stack([dV, d / tau * (c_ * V**2 + b * V - beta * W + a)])


def kuramoto(s, c, omega):
    return omega + np.stack([c[0]])


PAPERS = {
    "MontbrioPazoRoxin": montbrio,
    "JansenRit": jansen_rit,
    "Generic2dOscillator": oscillator,
    "Kuramoto": kuramoto,
}


def random_point(model: lems.Model, seed: int, shape=(50,)):
    random = np.random.default_rng(seed)
    low, high = np.array(model.initial_range).T.reshape(2, -1, *(1 for _ in shape))
    state = random.uniform(low, high, (len(model.state_variables), *shape))
    return state, random.normal(size=(len(model.inputs), *shape))


def test_the_library_lists_its_models():
    assert set(NAMES) < set(lems.models())
    assert lems.models() == tuple(sorted(lems.models()))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_the_papers(name: str):
    model = lems.load(name)
    state, inputs = random_point(model, 1)
    random = np.random.default_rng(2)
    varied = {p: float(v) * random.uniform(0.8, 1.2) + 0.01 for p, v in model.params.items()}
    got = model.dfun(
        jnp.asarray(state), jnp.asarray(inputs), {p: jnp.asarray(v) for p, v in varied.items()}
    )
    expected = PAPERS[name](state, inputs, *varied.values())
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(got) / scale, expected / scale, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_defaults_and_ranges_are_those_of_the_virtual_brain(name: str):
    stored = np.load(REFERENCE)
    model = lems.load(name)
    parameters = [str(p) for p in stored[f"{name}/parameters"]]
    assert sorted(parameters) == sorted(model.params)
    for parameter, default in zip(parameters, stored[f"{name}/defaults"], strict=True):
        assert float(model.params[parameter]) == default
    np.testing.assert_allclose(model.initial_range, stored[f"{name}/ranges"], rtol=1e-15)
    values = dict(zip(parameters, jnp.asarray(stored[f"{name}/values"]), strict=True))
    state, inputs = (jnp.asarray(stored[f"{name}/{part}"]) for part in ("state", "inputs"))
    expected = stored[f"{name}/derivative"]
    scale = np.abs(expected).max(axis=1, keepdims=True)
    got = np.asarray(model.dfun(state, inputs, values))
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=1e-13)


def test_what_the_simulator_asks_of_the_models():
    model = lems.load("MontbrioPazoRoxin")
    assert model.name == "MontbrioPazoRoxin"
    assert model.inputs == ("c_r", "c_V") and model.sources == (("r",), ("V",))
    assert model.bounds == ((0.0, math.inf), (-math.inf, math.inf))
    assert model.variables_of_interest == ("r", "V")
    assert model.units["tau"] == "ms" and model.units["r"] == "1/ms"
    assert model.domains["tau"] == (0.001, 15.0)
    assert model.nsig == {} and model.couplings == ()
    jansen = lems.load("JansenRit")
    assert jansen.inputs == ("c_0",) and jansen.sources == (("y1", "y2"),)
    assert jansen.variables_of_interest == ("y0", "y1", "y2", "y3")
    assert (jansen.units["A"], jansen.units["r"], jansen.units["y3"]) == ("mV", "1/mV", "mV/ms")
    assert lems.load("Generic2dOscillator").variables_of_interest == ("V",)
    assert lems.load("Kuramoto").sources == (("theta",),)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_and_variable_is_described(name: str):
    spec = lems.load(name).spec
    assert spec.description
    for one in (*spec.parameters, *spec.states, *spec.inputs, *spec.observables):
        assert one.description, one.name
    for parameter in spec.parameters:
        low, high = parameter.domain or pytest.fail(parameter.name)
        assert low <= parameter.value <= high


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_and_those_of_differences(name: str):
    model = lems.load(name)
    state, inputs = random_point(model, 3, ())

    def total(params, state, inputs):
        return jnp.sum(jnp.sin(model.dfun(state, inputs, params)))

    arguments = (model.params, jnp.asarray(state), jnp.asarray(inputs))
    gradients = jax.grad(total, argnums=(0, 1, 2))(*arguments)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradients))
    for parameter, slope in gradients[0].items():
        step = 1e-6 * max(1.0, abs(float(model.params[parameter])))
        ends = [
            total(model.params | {parameter: model.params[parameter] + d}, *arguments[1:])
            for d in (-step, step)
        ]
        difference = (ends[1] - ends[0]) / (2 * step)
        assert float(slope) == pytest.approx(float(difference), rel=1e-4, abs=1e-5), parameter


def test_jansen_rits_gradient_holds_in_float32_where_its_exponential_overflows():
    model = lems.load("JansenRit")
    model = lems.Model(model.spec, {k: v.astype(jnp.float32) for k, v in model.params.items()})
    state = jnp.full((6, 2), -500.0, jnp.float32)
    inputs = jnp.zeros((1, 2), jnp.float32)
    out, pull = jax.vjp(lambda s, p: model.dfun(s, inputs, p), state, model.params)
    assert out.dtype == jnp.float32
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(pull(jnp.ones_like(out))))


def test_two_loads_of_one_model_share_compiled_code():
    first, second = lems.load("JansenRit"), lems.load("JansenRit")
    assert first.spec == second.spec and hash(first.spec) == hash(second.spec)
    assert first.spec is not second.spec
    traced = []

    @jax.jit
    def compiled(model, state, inputs):
        traced.append(model.name)
        return model.dfun(state, inputs)

    arguments = jnp.ones((6, 3)), jnp.ones((1, 3))
    compiled(first, *arguments)
    compiled(second, *arguments)
    assert traced == ["JansenRit"]
    assert lems.load("Kuramoto").spec != first.spec


def test_parameters_may_be_regional():
    model = lems.load("MontbrioPazoRoxin")
    eta = jnp.asarray([-5.0, -4.0, -3.0])
    regional = lems.Model(model.spec, model.params | {"eta": eta})
    state, inputs = jnp.ones((2, 3)), jnp.zeros((2, 3))
    got = regional.dfun(state, inputs)
    for region in range(3):
        alone = model.dfun(state[:, 0], inputs[:, 0], model.params | {"eta": eta[region]})
        np.testing.assert_allclose(got[:, region], alone, rtol=1e-15)
    batched = jax.vmap(model.dfun, in_axes=-1, out_axes=-1)(state, inputs)
    np.testing.assert_allclose(batched, model.dfun(state, inputs), rtol=1e-15)


def test_wrong_calls_say_what_is_wrong():
    model = lems.load("Kuramoto")
    with pytest.raises(ValueError, match="pass 1 .*theta.* and 1 .*c_0"):
        model.dfun(jnp.ones((2, 3)), jnp.ones((1, 3)))
    with pytest.raises(ValueError, match="lacks.*omega.*unknown.*omgea"):
        lems.Model(model.spec, {"omgea": jnp.asarray(1.0)})


@pytest.mark.parametrize("name", NAMES)
def test_the_python_source_computes_the_same(name: str, tmp_path: Path):
    model = lems.load(name)
    file = tmp_path / "generated.py"
    file.write_text(lems.python_source(model))
    found = importlib.util.spec_from_file_location("generated", file)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    state, inputs = random_point(model, 4)
    got = getattr(module, name)(*state, *inputs)
    np.testing.assert_allclose(
        got, model.dfun(jnp.asarray(state), jnp.asarray(inputs)), rtol=1e-11, atol=1e-11
    )


def test_latex_has_an_equation_per_state_and_derived_variable():
    text = lems.equations_latex(lems.load("JansenRit"))
    assert text.startswith(r"\begin{align}") and text.count("&=") == 9
    assert r"\nu_{\mathrm{max}}" in text and r"\frac{d y_{0}}{d t} &= y_{3}" in text


def test_the_examples_of_the_docs_load(tmp_path):
    """Every LEMS example of docs/lems.md, whole or as a ComponentType, compiles."""
    page = (Path(__file__).parents[1] / "docs" / "lems.md").read_text()
    examples = re.findall(r"```xml\n(.*?)```", page, re.DOTALL)
    assert len(examples) >= 2
    for number, text in enumerate(examples):
        path = tmp_path / f"example{number}.xml"
        if "<Lems" in text:
            path.write_text(text)
        elif "FitzHughNagumo" in text:
            component = '<Component id="fhn" type="FitzHughNagumo" a="0.7"/>'
            head = '<Lems xmlns:tvbjax="urn:tvbjax:lems:1"><Include file="units.xml"/>'
            path.write_text(f"{head}{text}{component}</Lems>")
        else:
            continue
        model = lems.load(path)
        assert model.state_variables
