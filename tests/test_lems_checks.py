"""The checks of a network's types and components: paths, children, references, structure."""

import json
from pathlib import Path

import pytest

from tvbjax import lems
from tvbjax_lems.errors import FINDING_LIMIT, Code
from tvbjax_lems.includes import INCLUDE_LIMIT
from tvbjax_lems.xml import ATTRIBUTE_LIMIT

GOOD = (Path(__file__).parent / "models" / "network.xml").read_text()

# What to replace, by what, the code, and words of the message; the line is that of the change.
MUTATIONS = [
    # types and what stands for them
    ('name="forward" type="Rate"', 'name="forward" type="Raet"', "LEMS031", "did you mean 'Rate'"),
    ('name="gates" type="Gate"', 'name="gates" type="Gat"', "LEMS031", "unknown type 'Gat'"),
    ('name="synapses" type="Synapse"', 'name="synapses" type="Syn"', "LEMS031", "Attachments"),
    ('target="net"', 'target="nets"', "LEMS051", "did you mean 'net'"),
    ('component="clock"', 'component="clok"', "LEMS051", "no component 'clok'; did you mean"),
    ("<forward rate", "<forwad rate", "LEMS050",
     "no place for a child 'forwad'; did you mean 'forward'"),
    ("<reverse rate", '<forward rate', "LEMS050", "there is a 'forward' already"),
    ('<Clock id="clock" period="1 ms"', '<Clock id="clock" period="1 mV"', "LEMS020", "is a volt"),
    ('<Clock id="clock" period="1 ms"', '<Clock id="clock"', "LEMS033", "'period' has no value"),
    ('<Clock id="clock"', '<Clock id="cell"', "LEMS030", "declared before"),
    # paths
    ("forward/r", "forwrd/r", "LEMS052", "'forwrd' in type 'Gate'; did you mean 'forward'"),
    ("forward/r", "forward/rr", "LEMS052", "no exposure or parameter 'rr' in type 'Rate'"),
    ("forward/r", "forward//r", "LEMS052", "'/' has no meaning in a path"),
    ("forward/r", "forward[r]/r", "LEMS052", "'[r]' selects nothing"),
    ("forward/r", "", "LEMS052", "the path is empty"),
    ("forward/r", "//Rat[id='a']/r", "LEMS031", "unknown type 'Rat'; did you mean 'Rate'"),
    ("forward/r", "forward/x", "LEMS052", "'x' in type 'Rate'"),  # a variable without exposure
    ("forward/r", "forward/midpoint", "LEMS020", "the path gives voltage, but per_time is needed"),
    ('/fcond" reduce="multiply"', '/fcond"', "LEMS052", 'write reduce="add" or "multiply"'),
    ('reduce="multiply"', 'reduce="mean"', "LEMS006", "reduce is 'mean'"),
    # events and regimes
    ('<OnEvent port="in">', '<OnEvent port="inn">', "LEMS038", "did you mean 'in'"),
    ('<EventOut port="spike"/>\n          <Tr', '<EventOut port="spik"/>\n          <Tr', "LEMS038",
     "no event port 'spik' of direction out; did you mean 'spike'"),
    ('regime="refractoriness"', 'regime="refractory"', "LEMS038", "no Regime 'refractory'"),
    ('initial="true"', 'initial="no"', "LEMS035", "no Regime is the initial one"),
    ('<EventOut port="spike"/>\n      </On', '<Transition regime="x"/>\n      </On', "LEMS038",
     "no Regime 'x'"),
    ('<OnStart><StateAssignment variable="next" value="period"/>',
     '<OnStart><EventOut port="spike"/>', "LEMS005", "EventOut does not belong here"),
    ('direction="in"', 'direction="inward"', "LEMS006", 'write direction="in" or "out"'),
    # structure
    ('instance="from"', 'instance="form"', "LEMS053", "called 'form'; did you mean 'from'"),
    ('instance="to" as="b"', 'instance="to" as="a"', "LEMS030", "'a' is the name of another"),
    ('from="a" to="b"', 'from="a" to="c"', "LEMS053", "to: nothing here is called 'c'"),
    ('receiver="synapse" ', 'receiver="synaps" ', "LEMS051", "did you mean 'synapse'"),
    ('Container="destination"', 'Container="dest"', "LEMS053", "nothing is called 'dest'"),
    ('delay="delay"', 'delay="weight"', "LEMS020", "has dimension none, but time is needed"),
    ('property="weight" value', 'property="wait" value', "LEMS053", "no Property 'wait'"),
    ('number="size"', 'number="sise"', "LEMS011", "did you mean 'size'"),
    ('number="size" component="component"', 'number="size" component="comp"', "LEMS051",
     "did you mean 'component'"),
    # simulation
    ('increment="step"', 'increment="stap"', "LEMS054", "no Parameter 'stap'; did you mean 'step'"),
    ('<Run component="target"', '<Run component="tagret"', "LEMS054", "did you mean 'target'"),
    ('Record quantity="quantity"', 'Record quantity="scale"', "LEMS054", "no Path or Text 'scale'"),
    # dimensions, in a network, are warnings unless they are to be strict
    ('value="q^instances"', 'value="q^rate"', "LEMS011", "unknown name 'rate'"),
    ('value="g * (erev - v)"', 'value="g * (erev - tau)"', "LEMS020",
     "cannot subtract 'tau' (time) from 'erev' (voltage)"),
    ('matches="voltage * conductance"', 'matches="voltage"', "LEMS020", "'current' is not"),
]  # fmt: skip


def check(folder: Path, text: str, **options) -> list[lems.Diagnostic]:
    (folder / "model.xml").write_text(text)
    return lems.check(folder / "model.xml", **options)


@pytest.fixture
def strict() -> dict:
    return {"dimensions": lems.DimensionCheck.STRICT}


def test_the_network_that_the_mutations_start_from_is_good(tmp_path: Path, strict: dict):
    assert check(tmp_path, GOOD, **strict) == []


@pytest.mark.parametrize("old, new, code, words", MUTATIONS)
def test_each_mutation_is_reported_at_its_line(tmp_path, strict, old, new, code, words):
    assert old in GOOD
    line = GOOD[: GOOD.index(old)].count("\n") + 1
    found = [one for one in check(tmp_path, GOOD.replace(old, new, 1), **strict) if one.is_error]
    told = [one for one in found if one.code.value == code and words in str(one)]
    assert told and line <= told[0].place.line <= line + 7, "\n".join(map(str, found))


def test_a_transition_needs_a_regime_to_leave(tmp_path: Path):
    text = GOOD.replace(
        '<OnStart><StateAssignment variable="v"',
        '<OnCondition test="v .gt. rest"><Transition regime="free"/></OnCondition>\n'
        '      <OnStart><StateAssignment variable="v"',
    )
    (found,) = check(tmp_path, text)
    assert "LEMS035" in str(found) and "outside of a Regime" in found.message


def test_doubtful_things_are_warnings(tmp_path: Path):
    for old, new, words in (
        ('value="rate"/>', 'value="-2*-x^2*rate"/>', "read as"),
        ('<Case condition="x .eq. 0" value="rate"/>', "", "no default Case"),
        ('<Clock id="clock"', '<Clock color="red" id="clock"', "no parameter 'color'"),
        ("<Lems>", '<Lems foo="1">', "'foo' is unknown and has no effect"),
        ('weight="4"', 'weight="4" id="c1"', ""),
        ('select="forward/r"', 'select="forward/r" reduce="add"', "one value only"),
        ('"r" dimension="per_time"/>', '"r" dimension="none"/>', "but its Exposure"),
    ):
        assert old in GOOD, old
        text = GOOD.replace(old, new, 1) if words else GOOD.replace('id="c1"', 'id="c0"')
        found = check(tmp_path, text)
        assert found and not any(one.is_error for one in found), found
        assert any(words in str(one) for one in found)
    assert check(tmp_path, GOOD.replace('value="rate"/>', 'value="-2*(-(x^2))*rate"/>')) == []


def test_a_broken_part_hides_no_fault_elsewhere_and_makes_none(tmp_path: Path):
    text = GOOD.replace('<Parameter name="tau"', '<Paramter name="tau"')  # used, and given
    text = text.replace('<Include file="units.xml"/>', "")
    text = text.replace("next + period", "nxt + period").replace('size="3"', 'size="3 mV"')
    found = check(tmp_path, text)
    assert sorted(one.code.value for one in found) == ["LEMS005", "LEMS011", "LEMS020"]


def test_an_include_that_fails_hides_no_fault_and_makes_none(tmp_path: Path):
    head = '<Lems><Include file="types.xml"/><Include file="units.xml"/>'
    text = f"""{head}<ComponentType name="A" extends="Base">
      <Parameter name="p" dimension="unheard"/><Child name="c" type="Other"/>
      <Constant name="k" dimension="time" value="1 fortnight"/>
      <Dynamics><DerivedVariable name="y" value="q + k^k"/></Dynamics>
      </ComponentType><A id="a" p="2" z="1"/><Other id="o"/></Lems>"""
    found = check(tmp_path, text)
    assert [one.code.value for one in found] == ["LEMS008"] and found[0].place.line == 1
    (tmp_path / "types.xml").write_text("<Lems><ComponentType name='Base'></Lems>")
    codes = [one.code.value for one in check(tmp_path, text)]
    assert codes == ["LEMS008", "LEMS002"]  # the place of the Include, and of what is wrong


def test_a_neuroml_document_has_the_core_types_by_itself(tmp_path: Path):
    text = '<neuroml id="n"><include href="other.nml"/><aCell id="a"/><otherCell id="b"/></neuroml>'
    (tmp_path / "other.nml").write_text('<neuroml id="m"><aCell id="c"/></neuroml>')
    core = tmp_path / "types"
    core.mkdir()
    (core / "NeuroML2CoreTypes.xml").write_text("<Lems><ComponentType name='aCell'/></Lems>")
    (core / "PyNN.xml").write_text("<Lems><ComponentType name='otherCell'/></Lems>")
    assert check(tmp_path, text, include=[core]) == []


def test_include_folders_are_searched(tmp_path: Path):
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "t.xml").write_text("<Lems><ComponentType name='A'/></Lems>")
    text = '<Lems><Include file="t.xml"/><A id="a"/></Lems>'
    assert [one.code.value for one in check(tmp_path, text)] == ["LEMS008"]
    assert check(tmp_path, text, include=[tmp_path / "types"]) == []


def test_a_finding_is_data_for_an_editor(tmp_path: Path):
    found = check(tmp_path, GOOD.replace("next + period", "nxt + period"))
    (one,) = json.loads(json.dumps([diagnostic.as_dict() for diagnostic in found]))
    assert one.pop("file").endswith("model.xml") and one.pop("hint") == "did you mean 'next'?"
    line = GOOD[: GOOD.index("next + period")].count("\n") + 1
    column = GOOD.splitlines()[line - 1].index("next + period") + 1
    assert one == {
        "code": "LEMS011",
        "severity": "error",
        "line": line,
        "column": column,
        "context": "ComponentType 'Clock' > Dynamics > OnCondition > StateAssignment 'next'",
        "message": "unknown name 'nxt'",
    }


def variables(text: str, count: int) -> str:
    inside = "".join(text.format(i=i, before=i - 1) for i in range(count))
    return f"""<Lems><Include file="units.xml"/><ComponentType name="A">
      <Constant name="one" dimension="time" value="1 ms"/>
      <Dynamics><StateVariable name="x" dimension="none"/>{inside}
      <TimeDerivative variable="x" value="x / one"/></Dynamics></ComponentType>
      <A id="a"/></Lems>"""


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    "text, code",
    [
        ("<Lems " + " ".join(f"a{i}='1'" for i in range(50_000)) + "/>", "LEMS009"),
        ("<Lems>" + "<Foo/>" * 600_000 + "</Lems>", "LEMS009"),
        ("<Lems>" + "<a>" * 60 + "</a>" * 60 + "</Lems>", "LEMS009"),
        ("<Lems>" + "".join(f"<X{i}/>" for i in range(3_000)) + "</Lems>", "LEMS009"),
        (variables('<DerivedVariable name="d{i}" value="u{i}"/>', 3_000), "LEMS009"),
        (variables('<DerivedVariable name="d{i}" value="d{i} + x"/>', 3_000), "LEMS034"),
        (variables('<DerivedVariable name="d{i}" value="x * {i} + x^2 - 1"/>', 3_000), "LEMS009"),
        (variables('<DerivedVariable name="d{i}" value="one{i}^1000"/>', 3), "LEMS011"),
        (variables('<DerivedVariable name="e" value="one' + "^999" * 300 + '"/>', 1), "LEMS020"),
        ("<Lems>" + "".join(
            f'<ComponentType name="T{i}" extends="T{i + 1}"/>' for i in range(3_000)
        ) + '<ComponentType name="T3000"/></Lems>', "LEMS009"),
        ('<Lems><ComponentType name="B">' + "".join(
            f'<Parameter name="p{i}" dimension="none"/>' for i in range(1_000)
        ) + "</ComponentType>" + "".join(
            f'<ComponentType name="T{i}" extends="B"/>' for i in range(2_000)
        ) + "</Lems>", "LEMS009"),
    ],
    ids=lambda value: value[:4] if value.startswith("LEMS") else "",
)  # fmt: skip
def test_what_is_too_large_is_refused(tmp_path: Path, text: str, code: str):
    found = check(tmp_path, text)
    assert any(one.code.value == code for one in found) and len(found) <= FINDING_LIMIT + 1


def test_a_chain_of_a_thousand_variables_is_fine(tmp_path: Path):
    chain = variables('<DerivedVariable name="d{i}" value="d{before} + 1"/>', 1_000)
    assert check(tmp_path, chain.replace("d-1", "x")) == []


def test_includes_are_bounded(tmp_path: Path):
    for depth in range(INCLUDE_LIMIT + 5):
        text = f'<Lems><Include file="{depth + 1}.xml"/></Lems>'
        (tmp_path / f"{depth}.xml").write_text(text)
    found = lems.check(tmp_path / "0.xml")
    assert [one.code.value for one in found] == ["LEMS009"]
    (tmp_path / "loop.xml").write_text('<Lems><Include file="loop.xml"/></Lems>')
    assert [one.code.value for one in lems.check(tmp_path / "loop.xml")] == ["LEMS036"]
    assert ATTRIBUTE_LIMIT < 50_000


def test_every_code_is_documented():
    text = (Path(__file__).parents[1] / "docs" / "lems.md").read_text()
    assert [code for code in Code if f"LEMS{code.value[4:]}" not in text] == []
