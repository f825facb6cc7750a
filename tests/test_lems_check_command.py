"""`tvbjax lems check`: what it prints, and its exit status."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tvbjax.cli._lems import app

MODELS = Path(__file__).parent / "models"
GOOD = (MODELS / "network.xml").read_text()
DOUBTFUL = GOOD.replace("<Clock id", '<Clock color="red" id')
WRONG = GOOD.replace("-g / tau", "-g / 3")  # of a wrong dimension
BAD = GOOD.replace("next + period", "nxt + period")


@pytest.mark.parametrize(
    "text, options, status",
    [
        (GOOD, [], 0),
        (GOOD, ["--strict"], 0),
        (DOUBTFUL, [], 0),
        (DOUBTFUL, ["--strict"], 1),
        (WRONG, [], 0),
        (WRONG, ["--strict"], 1),
        (WRONG, ["--dimensions", "strict"], 1),
        (WRONG, ["--strict", "--dimensions", "off"], 0),
        (WRONG, ["--strict", "--dimensions", "warn"], 1),
        (BAD, [], 1),
        (BAD, ["--json"], 1),
        (GOOD, ["--component", "nobody"], 1),
    ],
)
def test_the_exit_status_says_whether_there_are_errors(
    tmp_path: Path, text: str, options: list[str], status: int
):
    file = tmp_path / "model.xml"
    file.write_text(text)
    ran = CliRunner().invoke(app, ["check", *options, str(file)])
    assert ran.exit_code == status, ran.output


def test_findings_of_several_files_as_text_and_as_json(tmp_path: Path):
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_text(GOOD)
    bad.write_text(BAD)
    ran = CliRunner().invoke(app, ["check", str(good), str(bad)])
    assert "good.xml: no errors, no warnings" in ran.output
    assert "[LEMS011]" in ran.output and "bad.xml: 1 error, no warnings" in ran.output
    (found,) = json.loads(CliRunner().invoke(app, ["check", "--json", str(good), str(bad)]).output)
    assert (found["code"], found["severity"], found["file"]) == ("LEMS011", "error", str(bad))
    nothing = CliRunner().invoke(app, ["check", "--json", str(good)])
    assert nothing.output == "[]\n" and nothing.exit_code == 0


def test_folders_for_includes(tmp_path: Path):
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "t.xml").write_text("<Lems><ComponentType name='A'/></Lems>")
    file = tmp_path / "model.xml"
    file.write_text('<Lems><Include file="t.xml"/><A id="a"/></Lems>')
    assert CliRunner().invoke(app, ["check", str(file)]).exit_code == 1
    ran = CliRunner().invoke(app, ["check", "-I", str(tmp_path / "types"), str(file)])
    assert ran.exit_code == 0
