"""What `tvbjax lems show` says of networks: LaTeX, graphs, counts; against the plan and by hand."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from typer.testing import CliRunner

from lems_cells import HODGKIN_HUXLEY, hodgkin_huxley
from lems_text import network, written
from tvbjax import lems
from tvbjax.cli._lems import app
from tvbjax_lems.runtime.graph import APART, INSIDE

HOSTILE = 'a"b\\N \\ {x}_$%&lt;#~^<i>|'
KINDS = f"""
  {HODGKIN_HUXLEY}
  <ComponentType name="Forms" extends="Part">
    <Parameter name="k_1" dimension="none"/>
    <Parameter name="power" dimension="none"/>
    <Constant name="rate" dimension="per_time" value="1per_ms"/>
    <Constant name="half" dimension="none" value="0.5"/>
    <DerivedParameter name="scaled" dimension="none" value="half * half * k_1"/>
    <EventPort name="in" direction="in"/>
    <EventPort name="out_port" direction="out"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <StateVariable name="alpha" dimension="none"/>
      <DerivedVariable name="grown" value="(exp(x) - 1) * log(1 + alpha) * H(x)"/>
      <ConditionalDerivedVariable name="root">
        <Case condition="x .gt. 0 .and. alpha .lt. 1" value="sqrt(x * k_1)"/>
        <Case value="k_1 * x^power"/>
      </ConditionalDerivedVariable>
      <TimeDerivative variable="x" value="rate * (sin(x * k_1) - sin(x * k_1)^2 + root)"/>
      <OnStart><StateAssignment variable="x" value="random(scaled) * 1e-9"/></OnStart>
      <OnEvent port="in"><StateAssignment variable="x" value="x + 1"/></OnEvent>
      <Regime name="slow_one" initial="true">
        <TimeDerivative variable="alpha" value="rate * (-alpha + grown)"/>
        <OnCondition test="alpha .gt. 2"><EventOut port="out_port"/><Transition regime="fast"/>
        </OnCondition>
      </Regime>
      <Regime name="fast">
        <OnEntry><StateAssignment variable="alpha" value="t * rate"/></OnEntry>
        <OnCondition test="alpha .lt. 1"><Transition regime="slow_one"/></OnCondition>
      </Regime>
    </Dynamics>
  </ComponentType>
"""
FORMS = '<Forms id="forms" k_1="2" power="3"/>'
CELLS = f"""
  {hodgkin_huxley("cell")}
  <Metronome id="clock" period="5ms"/>
  <Onto id="first" source="../clock" target="../cell" weight="1" synapse="synapse"/>
  <Onto id="second" source="../clock" target="../cell" weight="2" synapse="synapse"/>
"""
QUOTED = r'"(?:[^"\\]|\\.)*"'
NODE = re.compile(rf"({QUOTED}) \[(.*)\];")
EDGE = re.compile(rf"({QUOTED}) -> ({QUOTED})(?: \[(.*)\])?;")
OTHER = re.compile(
    rf"digraph {QUOTED} \{{|subgraph cluster_\d+ \{{|label={QUOTED}; fontsize=11;|\}}"
    r"|style=rounded;.*|rankdir=.*|node \[.*|edge \[.*"
)


def whole(folder: Path, parts: str, kinds: str = KINDS, pool: bool = True) -> lems.Network:
    body = f'{kinds}<Whole id="whole">{parts}</Whole>'
    return network(folder, body, "whole", units=lems.NEURAL, pool=pool)


def plain(quoted: str) -> str:
    r"""The text of one of Graphviz's quoted strings; \n separates lines."""
    inner = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], quoted[1:-1])
    return inner.replace("&amp;", "&")


def read(dot: str) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Nodes with their attributes, and edges; each line must be one that Graphviz understands."""
    nodes: dict[str, str] = {}
    edges = []
    for line in map(str.strip, dot.splitlines()):
        if edge := EDGE.fullmatch(line):
            edges.append((plain(edge[1]), plain(edge[2]), edge[3] or ""))
        elif node := NODE.fullmatch(line):
            assert plain(node[1]) not in nodes
            nodes[plain(node[1])] = node[2]
        else:
            assert OTHER.fullmatch(line), line
    assert dot.count("{\n") == len(re.findall(r"^ *\}$", dot, re.MULTILINE))
    assert all(end in nodes for source, target, _ in edges for end in (source, target))
    ends = [(source, target, "dashed" in style) for source, target, style in edges]
    assert len(ends) == len(set(ends)), "one arrow of a kind from one to another"
    return nodes, edges


def into(edges: list[tuple[str, str, str]], target: str) -> set[str]:
    return {source for source, other, _ in edges if other == target}


def label(style: str) -> str:
    found = re.search(rf"label=({QUOTED})", style)
    return plain(found[1]) if found else ""


def test_the_graph_of_a_cell_has_what_depends_on_what(tmp_path):
    found = lems.network_graph(whole(tmp_path, CELLS))
    nodes, edges = read(found)
    gate = "cell/na/m"
    assert into(edges, f"{gate}/q") == {f"{gate}/q", f"{gate}/rf", f"{gate}/rr"}
    assert into(edges, f"{gate}/fraction") == {f"{gate}/q"}, "its exponent is compiled in"
    assert into(edges, f"{gate}/rf") == {f"{gate}/forward/r"}
    assert into(edges, f"{gate}/forward/x") == {
        "cell/v",
        *(f"{gate}/forward/{name}" for name in ("middle", "scale")),
    }
    assert into(edges, "cell/na/open") == {"cell/na/m/fraction", "cell/na/h/fraction"}
    assert into(edges, "cell/through") == {f"cell/{name}/i" for name in ("na", "k", "leak")}
    assert into(edges, "cell/v") == {f"cell/{n}" for n in ("I", "C", "through", "across")}
    assert into(edges, "cell/above") == {"cell/v", "cell/above", "cell/threshold"}
    assert into(edges, "cell:spike") == {"cell/v", "cell/above", "cell/threshold"}
    assert into(edges, "cell/synapse/g") == {
        *(f"cell/synapse/{name}" for name in ("g", "tau", "weight", "g0")),
        "cell/synapse:in",
    }
    (link,) = [(s, style) for s, target, style in edges if target == "cell/synapse:in"]
    assert link[0] == "clock:out" and "dashed" in link[1] and label(link[1]) == "2 x"
    style = {(s, t): style for s, t, style in edges}
    assert "#1f6fb4" in style["cell/v", f"{gate}/forward/x"]
    assert not style[f"{gate}/rf", f"{gate}/q"]
    assert "ellipse" in nodes["cell/v"] and label(nodes["cell/v"]) == "v\nmV"
    assert label(nodes["cell/na/open"]) == "open = product"
    frames = [plain(text) for text in re.findall(rf"^ *label=({QUOTED}); ", found, re.MULTILINE)]
    assert "m\nGate" in frames and "synapse\nSynapse, 2 kept as 1" in frames


@pytest.mark.parametrize("parts", [FORMS, CELLS])
def test_every_name_that_changes_is_in_the_graph_and_so_is_what_it_needs(tmp_path, parts):
    made = whole(tmp_path, parts)
    nodes, edges = read(lems.network_graph(made))
    for unit in made.plan.units:
        for name in (
            *unit.derived,
            *(n for p in (unit.base, *unit.regimes) for n, _ in p.derivatives),
        ):
            assert f"{unit.path}/{name}" in nodes
        for phase in (unit.base, *unit.regimes):
            for name, formula in phase.derivatives:
                given = into(edges, f"{unit.path}/{name}")
                own = {one for one in formula.reads if one not in unit.exponents}
                assert {f"{unit.path}/{one}" for one in own} <= given


def chain(count: int) -> str:
    """Clocks of two types in turn, so that they are not built as one block, and a cell."""
    kinds = ("Metronome", "Other")
    clocks = [f'<{kinds[i % 2]} id="clock{i}" period="{i + 1}ms"/>' for i in range(count)]
    wires = [
        f'<Onto id="wire{i}" source="../clock{i}" target="../cell" weight="1" synapse="synapse"/>'
        for i in range(0, count, 2)
    ]
    return hodgkin_huxley("cell") + "".join(clocks + wires)


OTHER_CLOCK = '<ComponentType name="Other" extends="Metronome"/>'


def test_more_components_are_nodes_and_still_more_are_types(tmp_path):
    made = whole(tmp_path, chain(30), KINDS + OTHER_CLOCK)
    assert INSIDE < len(made.plan.units) <= APART
    nodes, edges = read(lems.network_graph(made))
    assert {
        label(style).replace("\n", "", label(style).count("\n") - 1) for style in nodes.values()
    } == {
        f"{u.path}\n{u.type}" + (f", {u.pool.size} kept as 1" if u.pool else "")
        for u in made.plan.units
    }
    assert set(nodes) == {unit.path for unit in made.plan.units}
    assert into(edges, "cell/synapse") == {"cell", *(f"clock{i}" for i in range(0, 30, 2))}
    assert ("cell", "cell/na/m/forward") in {(s, t) for s, t, style in edges if label(style) == "v"}

    many = whole(tmp_path, chain(APART), KINDS + OTHER_CLOCK)
    assert len(many.plan.units) > APART
    nodes, edges = read(lems.network_graph(many))
    assert set(nodes) == {unit.type for unit in many.plan.units}
    assert label(nodes["Gate"]) == "Gate\n3 components, 3 instances"
    assert label(nodes["Synapse"]) == f"Synapse\n1 component, {APART // 2} instances"
    (link,) = [style for source, _, style in edges if source == "Metronome"]
    assert label(link) == f"{APART // 2} x"


def test_very_many_connections_are_one_arrow_with_the_range_of_their_delays(tmp_path):
    made = whole(tmp_path, CELLS)
    (link,) = made.plan.links
    zeros = np.zeros(80_000, np.int32)
    many = dataclasses.replace(
        link, sources=zeros, targets=zeros, delays=np.linspace(1.5, 20.0, 80_000)
    )
    large = lems.Network(dataclasses.replace(made.plan, links=(many,)))
    nodes, edges = read(lems.network_graph(large))
    (style,) = [style for source, target, style in edges if target == "cell/synapse:in"]
    assert label(style) == "80,000 x\n1.5 to 20 ms"
    assert len(edges) == len(read(lems.network_graph(made))[1])


def test_a_kinetic_scheme_in_a_graph(tmp_path):
    from test_network_methods import SCHEMES, TYPES

    made = network(tmp_path, f'{TYPES}<Whole id="whole">{SCHEMES}</Whole>', "whole")
    _, edges = read(lems.network_graph(made))
    assert into(edges, "two/o/occupancy") == {"two/e/rf"}
    assert into(edges, "two/c/occupancy") == {"two/e/rr"}
    assert into(edges, "three/d/occupancy") == {"three/od/rf", "three/cd/rf"}
    assert "3 states, 3 transitions" in lems.network_latex(made)


def hostile(folder: Path) -> lems.Network:
    return whole(folder, f'<Metronome id={quoteattr(HOSTILE)} period="5ms"/>{FORMS}')


def test_hostile_names_are_escaped(tmp_path):
    made = hostile(tmp_path)
    assert HOSTILE in made.sizes
    nodes, _ = read(lems.network_graph(made))
    assert f"{HOSTILE}/since" in nodes
    text = lems.network_latex(made)
    check_latex(text)
    escaped = r"a\texttt{\symbol{34}}b\textbackslash{}N \textbackslash{} \{x\}\_\$\%\&lt;\#"
    assert (
        escaped + r"\textasciitilde{}\textasciicircum{}\textless{}i\textgreater{}\textbar{}" in text
    )


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("make", [hostile, lambda folder: whole(folder, CELLS)])
def test_graphviz_reads_the_same_nodes_and_edges(tmp_path, make):
    dot = lems.network_graph(make(tmp_path))
    drawn = subprocess.run(
        ["dot", "-Tplain"], input=dot, capture_output=True, text=True, check=True
    )
    assert not drawn.stderr
    nodes, edges = read(dot)
    kinds = [line.partition(" ")[0] for line in drawn.stdout.splitlines()]
    assert kinds.count("node") == len(nodes) and kinds.count("edge") == len(edges)


def check_latex(text: str) -> list[str]:
    """The rows; braces and environments must balance, and each row have one place to align."""
    bare = re.sub(r"\\[\\{}&%$#_]", "", re.sub(r"^%.*$", "", text, flags=re.MULTILINE))
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right")
    assert not re.search(r"[$#~%]", bare) and text.isascii()
    rows = []
    for environment in ("align*", "cases"):
        begun = text.count(rf"\begin{{{environment}}}")
        assert begun == text.count(rf"\end{{{environment}}}")
    blocks = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", text, re.DOTALL)
    for block in blocks:
        cased = re.sub(r"\\begin\{cases\}.*?\\end\{cases\}", "", block)
        for row in cased.split("\\\\\n"):
            assert len(re.findall(r"(?<!\\)&", row)) == 1, row
        rows += [row.strip() for row in block.split("\\\\\n")]
    assert len(blocks) == text.count(r"\subsection*")
    return rows


def symbol(name: str) -> str:
    return r"\alpha" if name == "alpha" else name if len(name) == 1 else rf"\mathrm{{{name}}}"


@pytest.mark.parametrize("parts", [FORMS, CELLS])
def test_the_latex_has_each_equation_of_each_type(tmp_path, parts):
    made = whole(tmp_path, parts)
    text = lems.network_latex(made)
    check_latex(text)
    types = {unit.type for unit in made.plan.units}
    headings = re.findall(r"^% (\S+), as of (\S+)\n\\subsection\*", text, re.MULTILINE)
    assert {kind for kind, _ in headings} == types and len(headings) == len(types)
    for kind, path in headings:
        (unit,) = [unit for unit in made.plan.units if unit.path == path]
        assert unit.type == kind
        start = text.index(f"% {kind}, as of")
        block = text[start : text.index(r"\end{align*}", start)]
        for phase in (unit.base, *unit.regimes):
            for name, _ in phase.derivatives:
                assert block.count(rf"\frac{{d {symbol(name)}}}{{d t}} &= ") == 1
        for name in unit.derived:
            left = re.escape(symbol(name))
            assert len(re.findall(rf"^ *{left} &= ", block, re.MULTILINE)) == 1, name


def test_the_latex_of_each_form(tmp_path):
    rows = check_latex(lems.network_latex(whole(tmp_path, FORMS)))
    assert r"\frac{d \alpha}{d t} &= \mathrm{grown} - \alpha" in rows
    assert (
        r"\mathrm{root} &= \begin{cases} \sqrt{k_{1} \; x} & \text{for}\: x > 0 \wedge \alpha < 1 "
        r"\\k_{1} \; x^{3} & \text{otherwise} \end{cases}"
    ) in rows
    (grown,) = [row for row in rows if row.startswith(r"\mathrm{grown}")]
    for part in (r"\left(e^{x} - 1\right)", r"\log\left(1 + \alpha\right)", r"H\left(x\right)"):
        assert part in grown
    (start,) = [row for row in rows if "at the start" in row]
    assert r"10^{-9}" in start and r"\operatorname{random}(1)" in start
    order = [
        r"\text{on \texttt{in}} \colon\quad & x \leftarrow x + 1",
        r"\text{in the regime \texttt{slow\_one}:} &",
        r"\text{when } \alpha > 2 \colon\quad & \text{send \texttt{out\_port}}",
        r"& \text{go to \texttt{fast}}",
        r"\text{in the regime \texttt{fast}:} &",
        r"\text{on entry} \colon\quad & \alpha \leftarrow t",
    ]
    places = [rows.index(row) for row in order]
    assert places == sorted(places)


def test_the_latex_of_what_is_read_elsewhere(tmp_path):
    rows = check_latex(lems.network_latex(whole(tmp_path, CELLS)))
    fraction = r"\mathrm{fraction} \text{ of \texttt"
    assert rf"\mathrm{{open}} &= {fraction}{{m}}}} \cdot {fraction}{{h}}}}" in rows
    assert r"\mathrm{across} &= \sum_{\text{\texttt{synapse}}} i" in rows
    place = rows.index(r"\mathrm{through} &= i \text{ of \texttt{na}}")
    assert rows[place + 1] == r"&\quad {} + i \text{ of \texttt{k}}"
    assert r"v &= v \text{ of \texttt{cell}}" in rows


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_compiles_it(tmp_path):
    text = "".join(
        lems.network_latex(made)
        for made in (whole(tmp_path, CELLS), whole(tmp_path, FORMS), hostile(tmp_path))
    )
    document = "\\documentclass{article}\\usepackage{amsmath}\n"
    document += f"\\begin{{document}}\n{text}\\end{{document}}\n"
    (tmp_path / "text.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "text.tex"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-3000:]


def test_the_statistics_count(tmp_path):
    found = lems.network_statistics(whole(tmp_path, FORMS))
    assert (found["components"], found["state variables"], found["derived values"]) == (1, 2, 3)
    assert found["  constant in time, evaluated once"] == 1  # scaled
    assert found["exponents compiled in as numbers"] == 1  # power
    # scaled: one product is left of two; OnStart: two.
    assert found["  constant in time or at the start, out of the loop"] == 3
    # sin(x k): a product and a call, of which there are two alike; and the square, a difference, a
    # sum. The rest has nothing alike.
    saved = found["  in the loop"] - found["  in the loop, common subexpressions once"]
    assert (saved, found["common subexpressions"]) == (2, 1)
    assert (found["stable forms"], found["  expm1"], found["  log1p"]) == (2, 1, 1)
    assert found["branches guarded for gradients"] == 1  # sqrt


def test_the_statistics_of_alike_components_add_up(tmp_path):
    one = lems.network_statistics(whole(tmp_path, FORMS))
    two = lems.network_statistics(whole(tmp_path, FORMS + FORMS.replace("forms", "other")))
    assert two == {name: 2 * number for name, number in one.items()}
    pooled = lems.network_statistics(whole(tmp_path, CELLS))
    apart = lems.network_statistics(whole(tmp_path, CELLS, pool=False))
    assert (pooled["linear synapses"], pooled["  kept as"]) == (2, 1)
    assert (apart["linear synapses"], apart["  kept as"]) == (0, 0)
    # A pool's event adds weight * g0, found once; without it each event computes and adds it.
    out = "  constant in time or at the start, out of the loop"
    assert pooled[out] - apart[out] == 1 and apart["  in the loop"] - pooled["  in the loop"] == 2


def test_show_on_the_command_line(tmp_path):
    runner = CliRunner(env={"COLUMNS": "200"})
    targets = '<Target component="whole"/><Target component="other"/>'
    body = f'{targets}{KINDS}<Whole id="whole">{FORMS}</Whole><Whole id="other">{CELLS}</Whole>'
    path = str(written(tmp_path, body))

    def shown(*arguments: str) -> str:
        result = runner.invoke(app, ["show", path, *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    one, other = (lems.load_network(path, name) for name in ("whole", "other"))
    assert shown("--component", "whole", "--latex").strip() == lems.network_latex(one).strip()
    assert shown("--component", "other", "--graph").strip() == lems.network_graph(other).strip()
    assert lems.network_equations(other).strip() in shown("--component", "other")
    stats = shown("--component", "whole", "--stats")
    assert re.search(r"expm1 +│ 1", stats) and re.search(r"guarded for gradients +│ 1", stats)
    failed = runner.invoke(app, ["show", path, "--component", "whole", "--source"])
    assert f"tvbjax lems convert {path} --component whole --to python" in str(failed.exception)
    assert "several Targets" in str(runner.invoke(app, ["show", path]).exception)
    unknown = runner.invoke(app, ["show", path, "--component", "whloe"])
    assert unknown.exit_code == 1 and "'whole'" in str(unknown.exception)


def test_show_takes_a_component_of_several_rate_models(tmp_path):
    path = tmp_path / "two.xml"
    path.write_text(
        """<Lems><Dimension name="per_time" t="-1"/><Unit symbol="per_s" dimension="per_time"/>
        <ComponentType name="Decay"><Parameter name="k" dimension="per_time"/>
        <Dynamics><StateVariable name="x" dimension="none"/>
        <TimeDerivative variable="x" value="-k * x"/></Dynamics></ComponentType>
        <Component id="slow" type="Decay" k="1 per_s"/>
        <Component id="fast" type="Decay" k="9 per_s"/>
        </Lems>"""
    )
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["show", str(path), "--component", "fast"]
    )
    assert result.exit_code == 0 and "0.009" in result.stdout
