"""The command line as a user runs it: in a process of its own, looking at status and text."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import tvbjax
from tvbjax.cli._main import app

MODEL = "Generic2dOscillator"
# The command line, which meets a Ctrl-C when the first chunk of its run is done.
INTERRUPTED_AFTER_A_CHUNK = """
import contextlib, os, signal
import tvbjax.cli, tvbjax.simulation

@contextlib.contextmanager
def interrupting(label, total, shown):
    yield lambda length: os.kill(os.getpid(), signal.SIGINT)

tvbjax.simulation.progress_bar = interrupting
tvbjax.cli.main()
"""


def tvbjax_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tvbjax", *arguments]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=300
    )


def test_help_is_there_for_every_command():
    for command in ([], ["demo"], ["simulate"], ["sweep"], ["models"], ["lems"], ["lems", "show"]):
        shown = CliRunner().invoke(app, [*command, "--help"])
        assert shown.exit_code == 0 and "Usage" in shown.output


def test_simulate_writes_what_the_library_computes(tmp_path):
    run = tvbjax_command(
        *("simulate", MODEL, "--duration", "40", "--noise", "V=0.001", "--seed", "3"),
        *("--set", "a=-1.5", "--coupling", "Difference:a=0.02", "--monitor", "SubSample:2"),
        *("--monitor", "GlobalAverage:2", "--monitor", "AfferentCoupling:2"),
        *("--out", "run.nc"),
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    read = tvbjax.load_result(tmp_path / "run.nc")
    assert read["subsample"].dtype == np.float32
    assert read["subsample"].sizes["time"] == 20
    mean = read["subsample"].mean("region").values
    np.testing.assert_allclose(read["global_average"].values[..., 0], mean, rtol=1e-5, atol=1e-6)
    assert read["afferent_coupling"].sizes["time"] == 20
    assert '"a": -1.5' in read.attributes["parameters"]
    assert '"Difference"' in read.attributes["coupling"]


@pytest.mark.slow
def test_an_interrupted_run_is_resumed_with_the_same_numbers(tmp_path):
    arguments = ["simulate", MODEL, "--noise", "V=0.001", "--monitor", "TemporalAverage:1"]
    arguments += ["--duration", "100000"]
    whole = tvbjax_command(*arguments, "--out", "whole.nc", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    cut = [*arguments, "--out", "cut.nc"]
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AFTER_A_CHUNK, *cut],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert stopped.returncode == 130 and "stopping" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    begun = tvbjax.load_result(tmp_path / "cut.nc")
    assert not begun.complete and 0 < begun.last < 1_000_000
    other = tvbjax_command(*cut, "--set", "a=-1", "--resume", cwd=tmp_path)
    assert other.returncode == 1 and "was begun with another parameters" in other.stderr
    resumed = tvbjax_command(*cut, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    expected, got = (tvbjax.load_result(tmp_path / f) for f in ("whole.nc", "cut.nc"))
    assert got.complete
    np.testing.assert_allclose(got["temporal_average"], expected["temporal_average"], rtol=1e-6)
    np.testing.assert_array_equal(got.final.state, expected.final.state)


def test_sweep_writes_a_grid(tmp_path):
    run = tvbjax_command(
        *("sweep", MODEL, "--over", "coupling.a=0:0.02:3", "--over", "a=-2,-1"),
        *("--duration", "20", "--out", "grid.zarr"),
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    with xr.open_dataset(tmp_path / "grid.zarr", engine="zarr") as grid:
        assert grid["temporal_average"].sizes["coupling.a"] == 3
        assert grid["a"].values.tolist() == [-2.0, -1.0]
        assert not grid["diverged"].any()


def test_a_sweep_to_a_store_goes_on_where_it_was(tmp_path):
    command = ("sweep", MODEL, "--over", "a=-2:0:5", "--duration", "5", "--store", "grid.zarr")
    for _ in range(2):
        run = tvbjax_command(*command, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        assert "written to grid.zarr" in run.stdout and not (tmp_path / "sweep.nc").exists()
    found = tvbjax.open_sweep(tmp_path / "grid.zarr")
    assert found["finished"].all() and found["a"].values.tolist() == [-2, -1.5, -1, -0.5, 0]
    other = tvbjax_command(*command[:4], "--duration", "9", "--store", "grid.zarr", cwd=tmp_path)
    assert other.returncode != 0 and "another sweep" in other.stderr.replace("\n", " ")


@pytest.mark.slow
def test_a_sweep_of_the_speed_has_history_enough(tmp_path):
    run = tvbjax_command(
        *("sweep", MODEL, "--over", "speed=6,2", "--duration", "5", "--out", "speed.nc"),
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    with xr.open_dataset(tmp_path / "speed.nc") as grid:
        assert grid["speed"].values.tolist() == [6.0, 2.0]


def test_models_and_lems_show(tmp_path):
    listed = tvbjax_command("models", cwd=tmp_path)
    assert listed.returncode == 0 and "MontbrioPazoRoxin" in listed.stdout
    one = tvbjax_command("models", "show", "JansenRit", cwd=tmp_path)
    assert one.returncode == 0 and "dy4/dt" in one.stdout and "Biol. Cybern. 73" in one.stdout
    for more, expected in (((), "omega"), (("--latex",), r"\theta"), (("--source",), "def ")):
        shown = CliRunner().invoke(app, ["lems", "show", "Kuramoto", *more])
        assert shown.exit_code == 0 and expected in shown.stdout
    compile(shown.stdout, "kuramoto", "exec")


def test_lems_check(tmp_path):
    (tmp_path / "bad.xml").write_text(
        '<Lems><ComponentType name="A"><Dynamics><StateVariable name="x" dimension="none"/>\n'
        '<TimeDerivative variable="x" value="-tua * x"/></Dynamics></ComponentType></Lems>'
    )
    checked = tvbjax_command("lems", "check", "bad.xml", cwd=tmp_path)
    assert checked.returncode == 1
    assert "bad.xml:2" in checked.stdout and "tua" in checked.stdout
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["simulate", "MontbrioPazoRoxim"], "MontbrioPazoRoxin"),
        (["simulate", MODEL, "--connectome", "tvb77"], "tvb76"),
        (["simulate", MODEL, "--connectome", "none.zip"], "none.zip"),
        (["simulate", MODEL, "--dt", "0"], "give a positive step"),
        (["simulate", MODEL, "--dt", "-0.1"], "give a positive step"),
        (["simulate", MODEL, "--speed", "0"], "speed"),
        (["simulate", MODEL, "--duration", "-5"], "give a positive time"),
        (["simulate", MODEL, "--monitor", "TemporalAverage:0.25"], "the nearest are 0.2 or 0.3 ms"),
        (["simulate", MODEL, "--monitor", "Bold"], "needs a period"),
        (["simulate", MODEL, "--monitor", "Bald:1"], "did you mean 'Bold'"),
        (["simulate", MODEL, "--set", "q=1"], "no parameter 'q'"),
        (["simulate", MODEL, "--set", "a"], "must be NAME=NUMBER"),
        (["simulate", MODEL, "--coupling", "Linear:q=1"], "no parameter 'q'"),
        (["simulate", MODEL, "--coupling", "Lineer"], "did you mean 'Linear'"),
        (["simulate", MODEL, "--noise", "V=x"], "'x' is no number"),
        (["simulate", MODEL, "--noise", "Q=0.1"], "nsig names 'Q'"),
        (["simulate", MODEL, "--out", "no/such/run.nc"], "there is no folder"),
        (["simulate", MODEL, "--out", "run.csv"], "must end in .nc or .zarr"),
        (["simulate", MODEL, "--monitor", "Raw:5"], "has no period"),
        (["simulate", MODEL, "--set", "a=nan"], "is no finite number"),
        (["simulate", MODEL, "--connectome", "/dev/zero"], "not a file"),
        (["sweep", MODEL, "--over", "a=0:1:1e12"], "no whole number from 1"),
        (["sweep", MODEL, "--over", "speed=0,3"], "speed"),
        (["simulate", MODEL, "--resume"], "there is no"),
        (["simulate", MODEL, "--coupling", "Linear:a=1e9"], "no finite number at"),
        (["sweep", MODEL, "--over", "a"], "has no values"),
        (["sweep", MODEL, "--over", "a=1:2"], "from:to:count"),
        (["sweep", MODEL, "--over", "coupling.q=1,2"], "where finds nothing"),
        (["lems", "show", "none.xml"], "none.xml"),
        (["demo", "--duration", "100"], "too short"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, message, tmp_path, capsys, monkeypatch):
    """In this process, for speed: the entry point itself, its exit status and what it prints."""
    from tvbjax import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setattr(sys, "argv", ["tvbjax", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert stopped.value.code == 1
    assert message in said.err and said.err.startswith("error: ")
    assert not [p for p in tmp_path.iterdir() if p.name != "demo"], "something was half-written"
