"""Standalone modules and their sweep drivers: imported, run, and compared with the model."""

import ast
import importlib.util
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from test_parity_rateml import MODELS as RATEML, loaded
from tvbjax import lems
from tvbjax.cli._lems_convert import Form, convert
from tvbjax_lems.module import python_module


def imported(text: str, folder: Path, name: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text)
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def random_point(model: lems.Model, seed: int, shape):
    random = np.random.default_rng(seed)
    low, high = np.array(model.initial_range).T.reshape(2, -1, *(1 for _ in shape))
    state = random.uniform(low, high + 0.1, (len(model.state_variables), *shape))
    return jnp.asarray(state), jnp.asarray(random.normal(size=(len(model.inputs), *shape)))


def check_same(model: lems.Model, module: ModuleType):
    state, inputs = random_point(model, 1, (7, 5))
    random = np.random.default_rng(2)
    varied = {n: jnp.asarray(float(v) * random.uniform(0.9, 1.1)) for n, v in model.params.items()}
    for params in (None, varied):
        given = () if params is None else (params,)
        expected = np.asarray(model.dfun(state, inputs, params, 3.0))
        got = module.dfun(state, inputs, *(given or (module.PARAMETERS,)), 3.0)
        scale = np.abs(expected).max(axis=(1, 2), keepdims=True) + 1e-300
        np.testing.assert_allclose(np.asarray(got) / scale, expected / scale, rtol=0, atol=1e-13)
        np.testing.assert_allclose(
            module.observe(state, *given), model.observe(state, params), rtol=1e-13
        )

    def slopes(dfun, params):
        return jax.grad(lambda s, p: jnp.sum(jnp.sin(dfun(s, inputs, p))), (0, 1))(state, params)

    ours = jax.tree.leaves(slopes(module.dfun, varied))
    for mine, theirs in zip(ours, jax.tree.leaves(slopes(model.dfun, varied)), strict=True):
        bound = 1e-11 * (np.abs(theirs).max() + 1e-300)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=bound)
    assert module.STATES == model.state_variables and module.INPUTS == model.inputs
    assert module.OBSERVABLES == model.variables_of_interest
    assert module.BOUNDS == model.bounds and module.INITIAL == model.initial_range
    assert module.PARAMETERS == {n: float(v) for n, v in model.params.items()}
    assert getattr(module, "NOISE", {}) == model.nsig


@pytest.mark.parametrize(
    "name",
    [
        # The longest equations of all, which take half a minute to compile.
        pytest.param(name, marks=pytest.mark.slow)
        if name == "ZerlautAdaptationSecondOrder"
        else name
        for name in lems.models()
    ],
)
def test_the_module_of_a_built_in_model_computes_the_same(name: str, tmp_path: Path):
    model = lems.load(name)
    text = python_module(model, f"{name}.xml")
    check_same(model, imported(text, tmp_path, name))
    for row in (*model.spec.states, *model.spec.parameters, *model.spec.inputs):
        (line,) = (line for line in text.splitlines() if line.startswith(f'    "{row.name}"'))
        assert row.description in line and (not row.unit or f"# {row.unit}; " in line)
    modules = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert modules <= {"jax", "jax.numpy", "math"}


@pytest.mark.parametrize("name", RATEML)
def test_the_module_of_a_rateml_model_computes_the_same(name: str, tmp_path: Path):
    model = loaded(name)
    check_same(model, imported(python_module(model), tmp_path, f"rateml_{name}"))


AWKWARD = """<Lems xmlns:tvbjax="urn:tvbjax:lems:1"><Include file="units.xml"/>
<ComponentType name="Awkward" description="Quotes &quot;&quot;&quot; and \\ and&#10;import os">
  <Parameter name="lambda" dimension="per_time" description="a keyword&#10;import os"/>
  <Parameter name="lambda_" dimension="none"/><Parameter name="params" dimension="none"/>
  <Parameter name="state" dimension="none"/><Parameter name="jnp" dimension="none"/>
  <Constant name="None" dimension="none" value="2"/>
  <Requirement name="inputs" dimension="none" tvbjax:source="x"/>
  <Dynamics>
    <StateVariable name="x" dimension="none" tvbjax:initial="-2, 2"/>
    <StateVariable name="class" dimension="none" tvbjax:initial="-1, 1" tvbjax:noise="0.25"/>
    <StateVariable name="still" dimension="none"/>
    <DerivedVariable name="u" dimension="none" value="1 / x"/>
    <DerivedVariable name="dx_dt" dimension="none" value="exp(-x^2 / None) * inputs - params"/>
    <DerivedVariable name="case_1" dimension="none" value="x / (1 - exp(-x)) + log(1 + exp(x))"/>
    <ConditionalDerivedVariable name="def" dimension="none">
      <Case condition="x .gt. 0 .and. class .lt. 0.5" value="sqrt(x) * u + lambda_"/>
      <Case condition="x .lt. -1 .or. class .geq. 0.5" value="abs(x)^state - max(class, x)"/>
      <Case value="H(class) * case_1 / 3 - dx_dt"/>
    </ConditionalDerivedVariable>
    <TimeDerivative variable="x"
      value="lambda * (def - x^3 / jnp + exp(-x^2 / None) * t * lambda)"/>
    <TimeDerivative variable="class" value="-lambda * (class + tanh(def) * 2^-x - case_1)"/>
  </Dynamics>
</ComponentType>
<Component id="awkward" type="Awkward" lambda="0.3 per_ms" lambda_="0.7" params="0.1" state="1.5"
  jnp="3"/></Lems>"""


@pytest.mark.filterwarnings("ignore::tvbjax_lems.LemsWarning")
def test_names_that_python_or_the_module_has_taken(tmp_path: Path):
    path = tmp_path / "awkward.xml"
    path.write_text(AWKWARD)
    model = lems.load(path)
    text = python_module(model, 'x"""\nimport os')
    assert "\nimport os" not in text
    module = imported(text, tmp_path, "awkward")
    check_same(model, module)
    state, inputs = jnp.asarray([[0.0], [-0.3], [0.0]]), jnp.ones((1, 1))
    slopes = jax.jacfwd(module.dfun)(state, inputs)
    assert bool(jnp.isfinite(slopes).all())  # the branch not taken has 1/x and sqrt(x) at 0
    np.testing.assert_allclose(slopes, jax.jacfwd(model.dfun)(state, inputs), rtol=1e-12)


def test_what_is_shared_is_worth_it():
    text = python_module(lems.load("Generic2dOscillator"))
    assert "shared_" not in text
    assert "linoid" not in text


def heun(model: lems.Model, params, dt: float, steps: int) -> np.ndarray:
    """Heun's method in a NumPy loop: (step, state)."""
    state = np.array(model.initial_range).mean(axis=1)
    inputs = jnp.zeros(len(model.inputs))
    low, high = np.array(model.bounds).T
    found = []
    change = jax.jit(lambda *arguments: model.dfun(*arguments))
    for _ in range(steps):
        first = np.asarray(change(jnp.asarray(state), inputs, params))
        second = np.asarray(change(jnp.asarray(state + dt * first), inputs, params))
        state = np.clip(state + dt / 2 * (first + second), low, high)
        found.append(state)
    return np.array(found)


@pytest.mark.parametrize("name", ["MontbrioPazoRoxin", "Kuramoto"])
def test_convert_writes_a_module_and_a_driver_that_runs(name: str, tmp_path: Path):
    command = [sys.executable, "-m", "tvbjax", "lems", "convert", name, "--to", "python"]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, "-o", "mine.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "mine.py" in done.stdout and "mine_sweep.py" in done.stdout
    options = ["--points", "3", "--duration", "6", "--dt", "0.1", "--every", "10", "--out", "o.npz"]
    ran = subprocess.run(
        [sys.executable, "mine_sweep.py", *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    got = np.load(tmp_path / "o.npz")
    model = lems.load(name)
    np.testing.assert_allclose(got["time"], np.arange(1, 7))
    assert tuple(got["observables"]) == model.variables_of_interest
    names = [key.removeprefix("parameter_") for key in got.files if key.startswith("parameter_")]
    assert len(names) == min(2, len(model.params))
    observed = got["observed"]
    assert observed.shape == (*(3 for _ in names), 6, len(model.variables_of_interest))
    for index in np.ndindex(observed.shape[: len(names)]):
        changed = {
            n: jnp.asarray(got[f"parameter_{n}"][i]) for n, i in zip(names, index, strict=True)
        }
        expected = heun(model, model.params | changed, 0.1, 60)[9::10]
        chosen = [model.state_variables.index(v) for v in model.variables_of_interest]
        np.testing.assert_allclose(observed[index], expected[:, chosen], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_convert_keeps_a_driver_that_is_there_and_refuses_odd_names(tmp_path: Path):
    command = [sys.executable, "-m", "tvbjax", "lems", "convert", "Kuramoto", "--to", "python"]

    def run(*arguments: str):
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )

    (tmp_path / "k_sweep.py").write_text("# mine\n")
    done = run("-o", "k.py")
    assert done.returncode == 0 and "kept" in done.stdout
    assert (tmp_path / "k_sweep.py").read_text() == "# mine\n"
    odd = run("-o", "my-model.py")
    assert odd.returncode == 1 and "import" in odd.stderr
    assert not (tmp_path / "my-model.py").exists()


def test_convert_to_lems_gives_a_file_that_loads_to_the_same_model(tmp_path: Path):
    with nullcontext():
        from test_parity_rateml import rateml_file

        source = rateml_file("oscillator")
    command = [sys.executable, "-m", "tvbjax", "lems", "convert", str(source)]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0 and shown.stdout.startswith("<")
    done = subprocess.run([*command, "-o", "o.xml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o.xml").read_text().strip() == shown.stdout.strip()
    assert lems.load(tmp_path / "o.xml").spec.dynamics == lems.load(source).spec.dynamics


@pytest.mark.parametrize("name", ["class", "None", "jax", "numpy", "argparse", "pathlib", "random"])
def test_convert_refuses_names_that_python_cannot_import_or_has_taken(name: str, tmp_path: Path):
    with pytest.raises(ValueError, match=rf"convert: .*{name}.* give -o"):
        convert("Kuramoto", Form.PYTHON, tmp_path / f"{name}.py")
    assert not list(tmp_path.iterdir())
