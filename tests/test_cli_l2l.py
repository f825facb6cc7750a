"""`tvbjax l2l`, as it is typed."""

import pytest
from typer.testing import CliRunner

from tvbjax.cli import app

STUDY = """
import jax.numpy as jnp
import jax.random as jr
from tvbjax import l2l

space = l2l.Space(x=l2l.Real(-2.0, 2.0), kind=l2l.Categorical(["a", "b"]))
kinds = jnp.array([0.0, 0.1])
bowl = l2l.Function(lambda values, key: values["x"] ** 2 + kinds[values["kind"]], space)
stop = l2l.MaxGenerations({generations})
study = l2l.Study(bowl, l2l.SeparableNes(8), jr.key(0), stop)
other = 3
"""


def run(*arguments):
    return CliRunner().invoke(app, ["l2l", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a study of three generations that was run, and gone on with."""
    folder = tmp_path_factory.mktemp("l2l")
    (folder / "study.py").write_text(STUDY.format(generations=2))
    first = run("run", folder / "study.py", folder / "kept")
    assert first.exit_code == 0 and "2 generations were told" in first.output, first.output
    (folder / "study.py").write_text(STUDY.format(generations=3))
    again = run("resume", f"{folder / 'study.py'}:study", folder / "kept")
    assert again.exit_code == 0 and "3 generations were told" in again.output, again.output
    return folder


def test_a_store_is_shown(folder):
    shown = run("show", folder / "kept", "--csv", folder / "all.csv", "--plot", folder / "all.png")
    assert shown.exit_code == 0, shown.output
    assert "least loss" in shown.output and "kind" in shown.output
    lines = (folder / "all.csv").read_text().splitlines()
    assert len(lines) == 25 and lines[0].startswith("generation,candidate,status,loss")
    assert (folder / "all.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("run", "{f}/study.py", "{f}/kept"), "is not empty"),
        (("run", "{f}/study.py:other", "{f}/new"), "it has study"),
        (("run", "{f}/no.py", "{f}/new"), "there is no"),
        (("run", "{f}/all.csv", "{f}/new"), "no Python file"),
        (("resume", "{f}/study.py", "{f}/new"), "no study at"),
        (("show", "{f}"), "no study at"),
    ],
)
def test_mistakes_are_told(folder, arguments, words):
    told = run(*(part.format(f=folder) for part in arguments))
    assert told.exit_code != 0 and words in str(told.exception)
