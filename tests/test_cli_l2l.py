"""`tvbjax l2l`, as it is typed."""

import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tvbjax.cli import _main, app

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

# The command line, of which a finaliser gets the first Ctrl-C, and loses it, as finalisers do.
LOST = """
import os, signal, sys
import tvbjax.cli
import tvbjax.cli._l2l as l2l

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

looks, shown = [], l2l._view

def view(found):
    looks.append(found)
    Finalised() if len(looks) == 1 else os.kill(os.getpid(), signal.SIGINT)
    return shown(found)

l2l._view, l2l._STEP = view, 0.01
sys.argv = ["tvbjax", "l2l", "show", sys.argv[1], "--watch"]
tvbjax.cli.main()
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


def test_a_view_ends_by_ctrl_c_though_one_was_lost(folder):
    command = [sys.executable, "-c", LOST, str(folder / "kept")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "KeyboardInterrupt" in ended.stderr and "least loss" in ended.stdout


def test_a_hurried_ctrl_c_costs_nothing_and_a_later_one_counts(monkeypatch):
    clock = iter([100.0, 101.0, 109.0, 111.0])
    monkeypatch.setattr(_main.time, "monotonic", lambda: next(clock))
    stop = _main._Stop()
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGINT, None)
    stop(signal.SIGINT, None)
    stop(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGINT, None)
