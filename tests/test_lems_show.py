"""What `tvbjax lems show` says: text, dependencies and counts against the model's own equations."""

import re
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from test_parity_rateml import MODELS as RATEML, loaded
from tvbjax import lems
from tvbjax.cli._lems import app
from tvbjax_lems.algebra import symbol, to_condition, to_expression
from tvbjax_lems.evaluate import value_of
from tvbjax_lems.syntax import Dialect, parse, parse_condition

CASES = """<Lems xmlns:tvbjax="urn:tvbjax:lems:1"><Include file="units.xml"/>
<ComponentType name="Cases" description="Reads [/bold] as it is">
  <Parameter name="rate" dimension="per_time"/><Parameter name="spare" dimension="none"/>
  <Constant name="half" dimension="none" value="0.5"/>
  <Constant name="unused" dimension="none" value="3"/>
  <Requirement name="c" dimension="none" tvbjax:source="x"/>
  <Dynamics>
    <StateVariable name="x" dimension="none" tvbjax:initial="-2, 2"/>
    <StateVariable name="y" dimension="none" tvbjax:initial="-1, 1"/>
    <DerivedVariable name="idle" dimension="none" value="x + 1"/>
    <DerivedVariable name="u" dimension="none" value="half^2 * (1 + half) * x"/>
    <ConditionalDerivedVariable name="alpha" dimension="none">
      <Case condition="x .neq. 0" value="x / (1 - exp(0 - x))"/><Case value="1"/>
    </ConditionalDerivedVariable>
    <ConditionalDerivedVariable name="gate" dimension="none">
      <Case condition="x .gt. 0 .and. y .lt. half" value="sqrt(x) * u"/>
      <Case value="max(x, y) / (2 * (1 + exp(-x)))"/>
    </ConditionalDerivedVariable>
    <TimeDerivative variable="x" value="rate * (gate - x^-2 - H(y) + c)"/>
    <TimeDerivative variable="y" value="rate * (alpha - abs(y)^1.5 + t * rate)"/>
  </Dynamics>
</ComponentType>
<Component id="cases" type="Cases" rate="1 per_ms" spare="0"/></Lems>"""


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.xml"
    path.write_text(CASES)
    return path


def read_back(
    text: str, model: lems.Model, known: dict[str, jnp.ndarray]
) -> dict[str, jnp.ndarray]:
    """The values of the equations in the text, read as equations again, in the text's own order."""
    first, _, rest = text.partition("\nwhere\n")
    derived, _, constants = rest.partition("\nwith\n") if rest else first.partition("\nwith\n")
    if not rest:
        first, derived = derived, ""
    for line in constants.splitlines():
        name, value = line.strip().split(" = ")
        known[name] = jnp.asarray(float(value.split(" ")[0]))
    lines = [*derived.splitlines(), *first.splitlines()]
    groups: list[list[str]] = []
    for line in filter(None, (re.sub(r"   \[.*\]$", "", line) for line in lines)):
        if re.match(r"  \S+ = ", line):
            groups.append([])
        groups[-1].append(line.strip())
    for head, *others in groups:
        name, _, value = head.partition(" = ")
        total: Any = None
        for row in reversed([value, *others]):
            row, _, condition = row.partition("  if ") if "  if " in row else (row, "", "")
            scope = {n: symbol(n) for n in known}
            environment = {scope[n]: v for n, v in known.items()}
            here = row.replace("otherwise", "").strip()
            got = value_of(to_expression(parse(here), scope), environment)
            if condition:
                for word, sign in ((" and ", " && "), (" or ", " || "), (" = ", " == ")):
                    condition = condition.replace(word, sign)
                node = parse_condition(condition, Dialect.RATEML)
                holds = value_of(to_condition(node, scope), environment)
                got = jnp.where(holds, got, total)
            total = got
        known[name] = jnp.asarray(total)
    return known


def check_text(model: lems.Model):
    random = np.random.default_rng(0)
    low, high = np.array(model.initial_range).T[:, :, None]
    state = jnp.asarray(random.uniform(low, high + 0.1, (len(low), 20)))
    inputs = jnp.asarray(random.normal(size=(len(model.inputs), 20)))
    known = {n: jnp.asarray(v) for n, v in model.params.items()} | {"t": jnp.asarray(2.0)}
    known |= dict(zip(model.state_variables, state, strict=True))
    known |= dict(zip(model.inputs, inputs, strict=True))
    found = read_back(lems.equations_text(model), model, known)
    expected = model.dfun(state, inputs, t=2.0)
    for name, row in zip(model.state_variables, expected, strict=True):
        got = jnp.broadcast_to(found[f"d{name}/dt"], row.shape)
        np.testing.assert_allclose(got, row, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", lems.models())
def test_the_text_of_built_in_models_reads_back_as_their_equations(name: str):
    check_text(lems.load(name))


@pytest.mark.parametrize("name", RATEML)
def test_the_text_of_rateml_models_reads_back_as_their_equations(name: str):
    check_text(loaded(name))


def test_the_text_of_cases_reads_back_as_their_equations(cases: Path):
    model = lems.load(cases)
    text = lems.equations_text(model)
    assert "u*sqrt(x)  " in text and "if half > y and x > 0" in text and "otherwise" in text
    assert "half = 0.5" in text and "unused" not in text
    check_text(model)


def test_dependencies(cases: Path):
    model = lems.load(cases)
    assert lems.dependencies(model) == {
        "x": ("x", "y", "gate", "c", "rate"),
        "y": ("y", "alpha", "rate", "t"),
        "idle": ("x",),
        "u": ("x", "half"),
        "alpha": ("x",),
        "gate": ("x", "y", "u", "half"),
    }
    text = lems.dependency_text(model)
    assert "dx/dt  <-  x, y, gate, c, rate" in text and "not used: spare" in text


@pytest.mark.parametrize("name", lems.models())
def test_the_graph_has_the_edges_of_the_dependencies(name: str):
    model = lems.load(name)
    dot = lems.dependency_dot(model)
    assert dot.startswith(f'digraph "{name}" {{') and dot.endswith("}\n")
    edges = set(re.findall(r'^  "(\w+)" -> "(\w+)";$', dot, re.MULTILINE))
    found = lems.dependencies(model)
    assert edges == {(used, name) for name, names in found.items() for used in names}
    nodes = set(re.findall(r'^  "(\w+)" \[label=', dot, re.MULTILINE))
    assert nodes == {end for edge in edges for end in edge}


def test_the_statistics_count(cases: Path):
    found = lems.statistics(lems.load(cases))
    # half^2 * (1 + half) * x: power, product, sum, product; folded: one product.
    assert found.written - found.folded == 3
    assert found.folded - found.needed == 1  # idle
    assert dict(found.stable_forms) == {"expm1": 1, "linoid": 1, "filled gap": 1, "sigmoid": 1}
    assert found.guarded_branches == 1  # sqrt(x)
    assert found.couplings == ()
    jansen = lems.statistics(lems.load("JansenRit"))
    assert dict(jansen.stable_forms) == {"sigmoid": 3}
    assert jansen.shared < jansen.needed and jansen.shared_subexpressions >= 2


def test_the_statistics_of_a_declared_coupling():
    found = lems.statistics(loaded("kuramoto"))
    assert [(one.input, one.terms) for one in found.couplings] == [("c_pop0", 2)]


def test_show_on_the_command_line(cases: Path):
    runner = CliRunner(env={"COLUMNS": "200"})

    def shown(*arguments: str) -> str:
        result = runner.invoke(app, ["show", str(cases), *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    whole = shown()
    model = lems.load(cases)
    for part in (lems.equations_text(model), lems.dependency_text(model), "Reads [/bold] as it is"):
        assert part in whole
    assert shown("--graph").strip() == lems.dependency_dot(model).strip()
    assert r"\begin{align}" in shown("--latex") and r"\begin{cases}" in shown("--latex")
    stats = shown("--stats")
    for row in (r"linoid +│ 1", r"after constant folding +│ \d+", r"guarded for gradients +│ 1"):
        assert re.search(row, stats), row
    failed = runner.invoke(app, ["show", str(cases), "--graph", "--stats"])
    assert failed.exit_code == 1 and "at most one" in str(failed.exception)
