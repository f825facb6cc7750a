"""Ten faults put into one good model of twenty lines: the whole message of each.

The reference tools let half of them pass, and neither says where one is.
"""

import textwrap
from pathlib import Path

import pytest

from tvbjax import lems

SIMULATION = """<Lems>
  <ComponentType name="Line">
    <Path name="quantity"/>
    <Simulation><Record quantity="quantity"/></Simulation>
  </ComponentType>
  <ComponentType name="Simulation">
    <Parameter name="length" dimension="time"/>
    <Parameter name="step" dimension="time"/>
    <ComponentReference name="target" type="Component"/>
    <Children name="lines" type="Line"/>
    <Dynamics><StateVariable name="t" dimension="time"/></Dynamics>
    <Simulation><Run component="target" variable="t" increment="step" total="length"/></Simulation>
  </ComponentType>
</Lems>
"""
GOOD = """<Lems>
  <Include file="units.xml"/>
  <Include file="simulation.xml"/>
  <Target component="sim"/>
  <ComponentType name="Cell">
    <Parameter name="tau" dimension="time"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x"/>
      <OnStart><StateAssignment variable="x" value="1"/></OnStart>
      <TimeDerivative variable="x" value="(2 - x) / tau"/>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Fast" extends="Cell"/>
  <Fast id="cell" tau="10 ms"/>
  <Simulation id="sim" length="20 ms" step="0.1 ms" target="cell">
    <Line id="line" quantity="x"/>
  </Simulation>
</Lems>
"""
EQUATION = "ComponentType 'Cell' > Dynamics > TimeDerivative 'x'"

MUTATIONS = {
    "undefined variable": (
        "(2 - x)",
        "(2 - xs)",
        f"""\
        model.xml:11:48: [LEMS011] in {EQUATION}: unknown name 'xs'; did you mean 'x'?
            (2 - xs) / tau
                 ^""",
    ),
    "wrong dimension": (
        "(2 - x) / tau",
        "x + tau",
        f"""\
        model.xml:11:45: [LEMS020] in {EQUATION}: cannot add 'tau' (time) to 'x' (none)
            x + tau
              ^""",
    ),
    "wrong dimension behind a minus": (
        "(2 - x) / tau",
        "-x",
        f"""\
        model.xml:11:43: [LEMS020] in {EQUATION}: the expression has dimension none, but per_time \
is needed; a TimeDerivative has the dimension of its variable per time
            -x
            ^""",
    ),
    "unknown unit": (
        "10 ms",
        "10 msec",
        "model.xml:15:24: [LEMS022] in Component 'cell' of type 'Fast': "
        "unknown unit 'msec'; did you mean 'ms'?",
    ),
    "unknown supertype": (
        'extends="Cell"',
        'extends="Cel"',
        "model.xml:14:3: [LEMS031] in ComponentType 'Fast': "
        "it extends the unknown type 'Cel'; did you mean 'Cell'?",
    ),
    "unknown target": (
        '<Target component="sim"/>',
        '<Target component="smi"/>',
        "model.xml:4:3: [LEMS036] the Target names the unknown component 'smi'; "
        "did you mean 'sim'?",
    ),
    "unknown recorded quantity": (
        'quantity="x"',
        'quantity="xx"',
        "model.xml:17:31: [LEMS052] cannot record 'xx': Component 'cell' of type 'Fast' "
        "has no 'xx'; did you mean 'x'?",
    ),
    "misspelt attribute": (
        'TimeDerivative variable="x"',
        'TimeDerivative varaible="x"',
        "model.xml:11:7: [LEMS006] in ComponentType 'Cell' > Dynamics > TimeDerivative: "
        "the attribute 'variable' is missing; 'varaible' is unknown",
    ),
    "misspelt element": (
        "OnStart>",
        "OnStat>",
        "model.xml:10:7: [LEMS005] in ComponentType 'Cell' > Dynamics: "
        "the element OnStat is unknown; did you mean 'OnStart'?",
    ),
    "unbalanced parenthesis": (
        "(2 - x) / tau",
        "(2 - x / tau",
        f"""\
        model.xml:11:43: [LEMS010] in {EQUATION}: '(' is never closed
            (2 - x / tau
            ^""",
    ),
    "comparison of C": (
        "(2 - x) / tau",
        "(2 - x) / (x>tau)",
        f"""\
        model.xml:11:55: [LEMS010] in {EQUATION}: '>' is not a LEMS operator; write .gt.
            (2 - x) / (x>tau)
                        ^""",
    ),
}


def findings(folder: Path, text: str, **options) -> str:
    (folder / "simulation.xml").write_text(SIMULATION)
    (folder / "model.xml").write_text(text)
    found = lems.check(folder / "model.xml", dimensions=lems.DimensionCheck.STRICT, **options)
    return "\n".join(str(one) for one in found).replace(f"{folder}/", "")


def test_the_model_before_its_mutation_is_good(tmp_path: Path):
    assert findings(tmp_path, GOOD) == ""


@pytest.mark.parametrize("old, new, message", MUTATIONS.values(), ids=MUTATIONS.keys())
def test_a_mutation_gives_one_message_that_says_what_where_and_how_to_mend_it(
    tmp_path: Path, old: str, new: str, message: str
):
    assert old in GOOD
    assert findings(tmp_path, GOOD.replace(old, new)) == textwrap.dedent(message)


def test_all_mutations_at_once_hide_none_but_what_only_compiling_finds(tmp_path: Path):
    text = GOOD
    for name in ("unknown unit", "unknown target", "misspelt element", "undefined variable"):
        text = text.replace(*MUTATIONS[name][:2])
    lines = [line for line in findings(tmp_path, text).splitlines() if "[LEMS" in line]
    assert [line.split(":")[1] for line in lines] == ["4", "10", "11", "15"]
