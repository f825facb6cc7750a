"""Bad model files: each gives a LemsError that names the place, the fault and the way out."""

import os
import random
import re
from pathlib import Path

import pytest

from tvbjax import lems
from tvbjax_lems.includes import LIBRARY

GOOD = """<?xml version="1.0" encoding="UTF-8"?>
<Lems xmlns:tvbjax="urn:tvbjax:lems:1">
  <Dimension name="time" t="1"/>
  <Dimension name="per_time" t="-1"/>
  <Dimension name="voltage" m="1" l="2" t="-3" i="-1"/>
  <Unit symbol="ms" dimension="time" power="-3"/>
  <Unit symbol="mV" dimension="voltage" power="-3"/>
  <Target component="cell"/>
  <ComponentType name="Cell">
    <Parameter name="tau" dimension="time"/>
    <Parameter name="rest" dimension="voltage"/>
    <Constant name="scale" dimension="voltage" value="10 mV"/>
    <Requirement name="c" dimension="none" tvbjax:source="v"/>
    <Exposure name="v" dimension="voltage" tvbjax:voi="true"/>
    <Dynamics>
      <StateVariable name="v" dimension="voltage" exposure="v" tvbjax:initial="-70 mV, -60 mV"/>
      <StateVariable name="w" dimension="none" tvbjax:bounds="0, inf"/>
      <DerivedVariable name="drive" dimension="none" value="(v - rest) / scale + c"/>
      <DerivedVariable name="gain" dimension="none" value="tanh(drive) + w"/>
      <ConditionalDerivedVariable name="leak" dimension="none">
        <Case condition="v .gt. rest .and. w .lt. 1" value="gain"/>
        <Case value="0"/>
      </ConditionalDerivedVariable>
      <TimeDerivative variable="v" value="(rest - v + scale * leak) / tau"/>
      <TimeDerivative variable="w" value="(gain - w) / tau"/>
    </Dynamics>
  </ComponentType>
  <Component id="cell" type="Cell" tau="10 ms" rest="-65 mV"/>
</Lems>
"""

# What to replace, by what, the code, the line of the message and words that it has.
MUTATIONS = [
    # unknown names, with a suggestion
    ("(rest - v +", "(rset - v +", "LEMS011", 24, "unknown name 'rset'; did you mean 'rest'"),
    ("tanh(drive)", "tanhh(drive)", "LEMS011", 19, "did you mean 'tanh'"),
    ("v .gt. rest", "v .gt. rets", "LEMS011", 21, "did you mean 'rest'"),
    ('source="v"', 'source="vv"', "LEMS011", 13, "no state or derived variable; did you mean 'v'"),
    # dimensions
    ("(gain - w) / tau", "gain + tau", "LEMS020", 25, "cannot add 'tau' (time) to 'gain' (none)"),
    ("(gain - w) / tau", "-w", "LEMS020", 25, "has dimension none, but per_time is needed"),
    ("tanh(drive)", "tanh(v)", "LEMS020", 19, "tanh needs a pure number, but 'v' is voltage"),
    ("v .gt. rest", "v .gt. tau", "LEMS020", 21, "cannot compare 'v' (voltage) with 'tau' (time)"),
    ("(v - rest) / scale + c", "(v - rest) / tau", "LEMS020", 18,
     "dimension (m=1 l=2 t=-4 i=-1), but none is needed"),
    ("(v - rest) / scale + c", "2^v", "LEMS020", 18, "the exponent 'v' is voltage"),
    ('exposure="v" tv', 'exposure="u" tv', "LEMS037", 16, "'u' is not declared; known: v"),
    ('<Exposure name="v" dimension="voltage"', '<Exposure name="v" dimension="time"',
     "LEMS020", 16, "'v' is voltage, but its Exposure 'v' is time"),
    ('tau="10 ms"', 'tau="10 mV"', "LEMS020", 28, "'10 mV' is a voltage, but a time is needed"),
    ('dimension="time"/>\n    <P', 'dimension="tmie"/>\n    <P', "LEMS021", 10,
     "unknown dimension 'tmie'; did you mean 'time'"),
    ('"ms" dimension="time"', '"ms" dimension="tiem"', "LEMS021", 6, "did you mean 'time'"),
    # quantities
    ('tau="10 ms"', 'tau="10 msec"', "LEMS022", 28, "unknown unit 'msec'; did you mean 'ms'"),
    ('tau="10 ms"', 'tau="10"', "LEMS022", 28, "has no unit, but a time is needed"),
    ('tau="10 ms"', 'tau="ten ms"', "LEMS022", 28, "'ten ms' is not a quantity"),
    ('tau="10 ms"', 'tau="1e999 ms"', "LEMS022", 28, "too large"),
    ('value="10 mV"', 'value="1/2 mV"', "LEMS022", 12, "not a quantity"),
    ('"mV" dimension="voltage" power="-3"', '"mV" dimension="voltage" power="x"', "LEMS022", 7,
     "'power' is 'x'"),
    ('bounds="0, inf"', 'bounds="2, 1"', "LEMS023", 17, "runs backwards"),
    ('bounds="0, inf"', 'bounds="0"', "LEMS023", 17, "not a range"),
    ('bounds="0, inf"', 'bounds="1, inf" tvbjax:initial="0, 2"', "LEMS023", 17, "not within"),
    ('initial="-70 mV, -60 mV"', 'initial="-70, -60"', "LEMS022", 16, "has no unit"),
    ('bounds="0, inf"', 'noise="-1"', "LEMS023", 17, "negative"),
    # expressions
    ("(gain - w) / tau", "(gain - w / tau", "LEMS010", 25, "'(' is never closed"),
    ("(gain - w) / tau", "gain - w) / tau", "LEMS010", 25, "')' closes nothing"),
    ("(gain - w) / tau", "(gain - w) / 0", "LEMS012", 25, "division by zero"),
    ("w .lt. 1", "w &lt; 1", "LEMS010", 21, "'<' is not a LEMS operator; write .lt."),
    ("v .gt. rest .and. w .lt. 1", "v", "LEMS010", 21, "a condition is needed"),
    ("tanh(drive) + w", "tanh(drive) w", "LEMS010", 19, "an operator is missing"),
    # cycles
    ("(v - rest) / scale + c", "gain", "LEMS034", 18, "depends on itself: drive > gain > drive"),
    ("tanh(drive) + w", "leak", "LEMS034", 19, "depends on itself"),
    # elements and attributes
    ("<Target component", "<Taregt component", "LEMS005", 8, "did you mean 'Target'"),
    ("<Case value", "<Caes value", "LEMS005", 22, "did you mean 'Case'"),
    ("<DerivedVariable name=\"gain\"", "<DerivdVariable name=\"gain\"", "LEMS005", 19,
     "did you mean 'DerivedVariable'"),
    ("<Constant name=\"scale\"", "<Constant naem=\"scale\"", "LEMS006", 12, "'name' is missing"),
    ('dimension="time"/>\n    <P', 'dimensoin="time"/>\n    <P', "LEMS006", 10,
     "'dimension' is missing; 'dimensoin' is unknown"),
    ("tvbjax:bounds", "tvbjax:bound", "LEMS006", 17, "did you mean 'bounds'"),
    ("urn:tvbjax:lems:1", "urn:tvbjax:lems:2", "LEMS006", 13, "did you mean 'urn:tvbjax:lems:1'"),
    ('tvbjax:voi="true"', 'tvbjax:voi="yes"', "LEMS006", 14, "not true or false"),
    ('name="drive"', 'name="dr ive"', "LEMS006", 18, "is not a name"),
    ('name="scale" dim', 'name="t" dim', "LEMS030", 12, "it is time"),
    ('name="w" dimension', 'name="v" dimension', "LEMS030", 17, "declared before"),
    # types and components
    ('name="Cell">', 'name="Cell" extends="Base">', "LEMS031", 9, "unknown type 'Base'"),
    ('name="Cell">', 'name="Cell" extends="Cell">', "LEMS032", 9, "Cell > Cell"),
    ('type="Cell"', 'type="Sell"', "LEMS031", 28, "unknown type 'Sell'; did you mean 'Cell'"),
    ('component="cell"', 'component="sell"', "LEMS036", 8, "did you mean 'cell'"),
    (' rest="-65 mV"', "", "LEMS033", 28, "'rest' has no value"),
    ('rest="-65 mV"', 'rest="-65 mV" rset="1 mV"', "LEMS033", 28, "did you mean 'rest'"),
    ('<TimeDerivative variable="w"', '<TimeDerivative variable="u"', "LEMS035", 25,
     "'u' is not a state variable"),
    ('<TimeDerivative variable="w"', '<TimeDerivative variable="v"', "LEMS030", 25, "already"),
    # not in a rate model
    ("tanh(drive)", "random(1)", "LEMS007", 19, "not supported yet in rate models"),
    (' tvbjax:source="v"', "", "LEMS007", 13, "tvbjax:source="),
    ('value="tanh(drive) + w"', 'value="tanh(drive) + w" exposure="v"', "LEMS037", 19, "already"),
]  # fmt: skip


def load(tmp_path: Path, text: str | bytes, name: str = "model.xml") -> lems.Model:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return lems.load(file)


def test_the_model_that_the_mutations_start_from_is_good(tmp_path: Path):
    model = load(tmp_path, GOOD)
    assert model.state_variables == ("v", "w") and model.variables_of_interest == ("v",)
    assert model.initial_range == ((-70.0, -60.0), (0.0, 0.0))
    assert lems.check(tmp_path / "model.xml") == []


@pytest.mark.parametrize("old, new, code, line, words", MUTATIONS)
def test_each_mutation_is_reported_at_its_line(tmp_path, old, new, code, line, words):
    assert GOOD.count(old) == 1, old
    with pytest.raises(lems.LemsError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    first = str(caught.value.diagnostics[0])
    assert f"model.xml:{line}:" in first, first
    text = str(caught.value)
    assert f"[{code}]" in text
    assert words in text or re.search(words, text)
    found = lems.check(tmp_path / "model.xml")
    assert tuple(d for d in found if d.is_error) == caught.value.diagnostics


def test_an_expression_error_shows_a_caret_and_the_column(tmp_path: Path):
    with pytest.raises(lems.LemsError) as caught:
        load(tmp_path, GOOD.replace("w .lt. 1", "w .lt. 1 .and. gian .gt. 0"))
    diagnostic = caught.value.diagnostics[0]
    line = GOOD.replace("w .lt. 1", "w .lt. 1 .and. gian .gt. 0").splitlines()[20]
    assert diagnostic.place.line == 21
    assert line[diagnostic.place.column - 1 :].startswith("gian")
    shown, caret = str(diagnostic).splitlines()[-2:]
    assert shown[caret.index("^") :].startswith("gian")
    assert "ComponentType 'Cell' > Dynamics > ConditionalDerivedVariable 'leak' > Case" in str(
        diagnostic
    )


def test_places_hold_over_lines_and_references(tmp_path: Path):
    text = GOOD.replace('value="(gain - w) / tau"', 'value="\n  gain &#45;\n    w / ta&#117;u"')
    with pytest.raises(lems.LemsError) as caught:
        load(tmp_path, text)
    place = caught.value.diagnostics[0].place
    assert (place.line, place.column) == (27, 9)


def test_all_errors_of_a_pass_come_at_once(tmp_path: Path):
    text = GOOD.replace("(rest - v +", "(rset - v +").replace("tanh(drive)", "tanh(v)")
    with pytest.raises(lems.LemsError) as caught:
        load(tmp_path, text.replace("v .gt. rest", "v .gt. tau"))
    assert [d.place.line for d in caught.value.diagnostics] == [19, 21, 24]


def test_a_rate_model_has_no_events_nor_a_variable_of_the_name_of_time(tmp_path: Path):
    """Networks may have both; `check` says what is wrong with a file for any use."""
    text = GOOD.replace("</Dynamics>", '<OnCondition test="v .gt. rest"/></Dynamics>')
    with pytest.raises(
        lems.LemsError, match=r"LEMS007.*cannot have this OnCondition; run networks"
    ):
        load(tmp_path, text)
    text = GOOD.replace('value="tanh(drive) + w"', 'select="a/b"')
    with pytest.raises(lems.LemsError, match=r"LEMS052.*no child, reference or attachments 'a'"):
        load(tmp_path, text)
    text = GOOD.replace('name="gain"', 'name="t"').replace("gain", "t")
    with pytest.raises(lems.LemsError, match=r"LEMS030.*'t' is taken: it is time"):
        load(tmp_path, text)


def test_a_missing_default_case_is_a_warning(tmp_path: Path):
    text = GOOD.replace('        <Case value="0"/>\n', "")
    with pytest.warns(lems.LemsWarning, match="no default Case"):
        model = load(tmp_path, text)
    assert model.state_variables == ("v", "w")


def test_dimensions_may_be_warnings_or_off(tmp_path: Path):
    file = tmp_path / "model.xml"
    file.write_text(GOOD.replace("(gain - w) / tau", "-w"))
    with pytest.warns(lems.LemsWarning, match="per_time is needed"):
        lems.load(file, dimensions=lems.DimensionCheck.WARN)
    lems.load(file, dimensions=lems.DimensionCheck.OFF)


BOMB = """<?xml version="1.0"?>
<!-- a comment first -->
<!DOCTYPE Lems [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>
<Lems description="&d;"/>"""
EXTERNAL = """<?xml version="1.0"?><!DOCTYPE Lems [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<Lems>&x;</Lems>"""


@pytest.mark.parametrize(
    "data, code",
    [
        (b"", "LEMS001"),
        (b"  \n ", "LEMS001"),
        (b"\x00\xff\xfe\x01binary\x80\x81", "LEMS001"),
        (bytes(range(256)) * 10, "LEMS001"),
        (b'<?xml version="1.0" encoding="x-unknown"?><Lems/>', "LEMS001"),
        (b'<?xml version="1.0" encoding="UTF-7"?><Lems/>', "LEMS001"),
        (b"not XML at all", "LEMS002"),
        (b"<Lems>", "LEMS002"),
        (b"<Lems><a></b></Lems>", "LEMS002"),
        (b"<Lems a='1' a='2'/>", "LEMS002"),
        (b"<Lems>&undefined;</Lems>", "LEMS002"),
        (b"<Lems>\x00</Lems>", "LEMS002"),
        (("<a>" * 5000).encode(), "LEMS002"),
        (b"<Lems>" + b"<notes>" * 200 + b"</notes>" * 200 + b"</Lems>", "LEMS009"),
        (BOMB.encode(), "LEMS003"),
        (EXTERNAL.encode(), "LEMS003"),
        (BOMB.encode("utf-16"), "LEMS003"),
        (EXTERNAL.encode("utf-16-le"), "LEMS003"),
        (EXTERNAL.encode("utf-32"), "LEMS003"),
        (b"<html><body/></html>", "LEMS004"),
        (b"<Lems/>", "LEMS036"),
    ],
)
def test_what_is_not_a_lems_file_is_refused(tmp_path: Path, data: bytes, code: str):
    with pytest.raises(lems.LemsError, match=rf"\[{code}\]"):
        load(tmp_path, data)


def test_paths_that_are_no_files_are_refused(tmp_path: Path):
    for path in (tmp_path, tmp_path / "absent.xml", "absent\0.xml", ""):
        with pytest.raises(lems.LemsError, match="LEMS001"):
            lems.load(path)
    with pytest.raises(lems.LemsError, match="did you mean 'JansenRit'"):
        lems.load("JansenRitt")
    pipe = tmp_path / "pipe.xml"
    os.mkfifo(pipe)
    with pytest.raises(lems.LemsError, match="not a regular file"):
        lems.load(pipe)


def test_text_in_other_encodings_is_read(tmp_path: Path):
    for encoding in ("utf-8-sig", "utf-16", "utf-32", "iso-8859-1"):
        declared = GOOD.replace("UTF-8", encoding.removesuffix("-sig"))
        assert load(tmp_path, declared.encode(encoding)).name == "Cell"
    assert load(tmp_path, GOOD.replace("\n", "\r\n")).name == "Cell"


def test_included_files_are_named_in_errors(tmp_path: Path):
    bad = "<Lems><ComponentType name='A'><Parameter name='p'/></ComponentType></Lems>"
    (tmp_path / "part.xml").write_text(bad)
    with pytest.raises(lems.LemsError, match=r"part\.xml:1:31: \[LEMS006\]"):
        load(tmp_path, GOOD.replace("<Target", '<Include file="part.xml"/><Target'))
    with pytest.raises(lems.LemsError, match=r"model\.xml:8:3: \[LEMS008\].*'nowhere\.xml'"):
        load(tmp_path, GOOD.replace("<Target", '<Include file="nowhere.xml"/><Target'))
    with pytest.raises(lems.LemsError, match=r"LEMS001"):
        load(tmp_path, GOOD.replace("<Target", '<Include file="."/><Target'))
    for depth in range(60):
        text = f'<Lems><Include file="{depth + 1}.xml"/></Lems>'
        (tmp_path / f"{depth}.xml").write_text(text)
    with pytest.raises(lems.LemsError, match="nested more than"):
        lems.load(tmp_path / "0.xml")


CORPUS = [(LIBRARY / f"{name}.xml").read_bytes() for name in lems.models()] + [GOOD.encode()]


@pytest.mark.parametrize("seed", range(6))
def test_random_damage_never_gives_anything_but_a_lems_error(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    file = tmp_path / "damaged.xml"
    for _ in range(25):
        data = bytearray(chance.choice(CORPUS))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            kind = chance.randrange(4)
            if kind == 0:
                data[at] = chance.randrange(256)
            elif kind == 1:
                del data[at : at + chance.randint(1, 30)]
            elif kind == 2:
                data[at:at] = chance.choice(
                    [b"(", b")", b"^", b"1e9", b"*", b'"', b"<", b"&lt;", b"-"]
                )
            else:
                other = chance.randrange(len(data))
                data[at:at] = data[other : other + chance.randint(1, 40)]
        file.write_bytes(bytes(data))
        found = lems.check(file)  # raises nothing, whatever the damage
        assert all(str(d) for d in found)
