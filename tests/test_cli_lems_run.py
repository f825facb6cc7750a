"""`tvbjax lems run`: it writes what the library computes; mistakes are told before the run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr

from tvbjax import cli, lems
from tvbjax.cli import _lems_parts as parts, _lems_run as command

PAGE = Path(__file__).parents[1] / "docs" / "networks.md"
TYPES = """<Include file="units.xml"/>
  <ComponentType name="Cell">
    <Parameter name="tau" dimension="time"/>
    <Parameter name="gain" dimension="none"/>
    <Exposure name="v" dimension="voltage"/>
    <Constant name="mV" dimension="voltage" value="1 mV"/>
    <Dynamics>
      <StateVariable name="v" dimension="voltage" exposure="v"/>
      <TimeDerivative variable="v" value="GROWTH"/>
      <OnStart><StateAssignment variable="v" value="8 * mV"/></OnStart>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Sim">
    <ComponentReference name="cell" type="Cell"/>
    <Parameter name="step" dimension="time"/>
    <Parameter name="length" dimension="time"/>
    <Text name="seed"/>
    <Children name="files" type="File"/>
    <Dynamics><StateVariable name="t" dimension="time"/></Dynamics>
    <Simulation><Run component="cell" variable="t" increment="step" total="length"/></Simulation>
  </ComponentType>
  <ComponentType name="File">
    <Text name="path"/><Text name="name"/><Children name="columns" type="Column"/>
    <Simulation><DataWriter path="path" fileName="name"/></Simulation>
  </ComponentType>
  <ComponentType name="Column">
    <Path name="quantity"/><Simulation><Record quantity="quantity"/></Simulation>
  </ComponentType>
  <Cell id="cell" tau="10 ms" gain="1"/>"""


def model(folder: Path, growth: str = "-v / tau", name: str = "v.dat", more: str = "") -> Path:
    """A cell, v of which is written to a file; by default it decays from 8 mV with 10 ms."""
    path = folder / "model.xml"
    path.write_text(
        f"""<Lems>
  {TYPES.replace("GROWTH", growth)}
  <Sim id="sim" cell="cell" step="0.1 ms" length="30 ms" {more}>
    <File id="f" name="{name}"><Column id="v" quantity="v"/></File>
  </Sim>
  <Target component="sim"/>
</Lems>"""
    )
    return path


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, tmp_path):
    """In this process, for speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setattr(command, "tune_cpu", lambda: None)


def lems_run(monkeypatch, capsys, *arguments: str | Path) -> tuple[int, str, str]:
    """Status, output and messages of the command."""
    monkeypatch.setattr(sys, "argv", ["tvbjax", "lems", "run", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_the_files_hold_the_solution_in_si(tmp_path, monkeypatch, capsys):
    """Of v' = -v/tau, whatever the system of units that it was computed in."""
    for units in ("neural", "si"):
        arguments = (model(tmp_path), "--method", "rk4", "--units", units, "--out", units)
        status, said, wrong = lems_run(monkeypatch, capsys, *arguments)
        assert status == 0, wrong
        assert "300 steps" in said and "301 rows" in said
        t, v = np.loadtxt(tmp_path / units / "v.dat").T
        np.testing.assert_allclose(t, np.arange(301) * 1e-4, rtol=1e-9)
        np.testing.assert_allclose(v, 8e-3 * np.exp(-t / 0.01), rtol=1e-8)
    with xr.open_dataset(tmp_path / "neural" / "model.nc") as data:
        assert data["v"].attrs["units"] == "mV" and data["time"].attrs["units"] == "ms"
        np.testing.assert_allclose(data["v"], 8 * np.exp(-data["time"] / 10.0), rtol=1e-8)
        assert data.attrs["method"] == "rk4" and data.attrs["step"] == 0.1
    with xr.open_dataset(tmp_path / "si" / "model.nc") as data:
        assert data["time"].attrs["units"] == "s" and float(data["v"][0]) == 0.008


def test_a_network_is_written_and_drawn(tmp_path, monkeypatch, capsys):
    """The network of docs/networks.md."""
    file = tmp_path / "pair.xml"
    file.write_text(re.findall(r"```xml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0])
    arguments = (file, "--record", "second[*]/v", "--record", "second[*]/spike")
    status, said, wrong = lems_run(monkeypatch, capsys, *arguments, "--duration", "0.1 s")
    assert status == 0, wrong
    folder = tmp_path / "pair"
    assert sorted(path.name for path in folder.iterdir()) == [
        "A_bursting_cell_drives_two_others.png",
        "pair.nc",
        "pair.spikes",
        "pair.spikes.png",
        "recorded.png",
        "recorded_events.png",
    ]
    whole = lems.run(lems.load_network(file), duration=100.0, record=arguments[2::2])
    times = whole.events["first[0]/spike"]
    assert f"{len(times)} events" in said and len(times) > 5
    rows = [line.split("\t") for line in (folder / "pair.spikes").read_text().splitlines()]
    first = [float(t) for t, name in rows if name == "first"]
    np.testing.assert_allclose(first, times / 1000, rtol=1e-9)
    with xr.open_dataset(folder / "pair.nc") as data:
        # Computed in parts, and in one piece.
        np.testing.assert_array_equal(data["second[*].v"], whole["second[*]/v"])
        np.testing.assert_array_equal(data["first[0].spike"], times)
        found = np.stack([data["second[*].spike"], data["second[*].spike.instance"]], axis=1)
        np.testing.assert_array_equal(found, whole.events["second[*]/spike"])
        assert data["second[*].v"].attrs["path"] == "second[*]/v"
        assert data["second[*].v"].dims == ("time", "second.regular.instance")


def test_what_is_random_needs_a_seed_and_gives_the_same_twice(tmp_path, monkeypatch, capsys):
    noisy = model(tmp_path, "-v / tau + (random(2) - 1) * mV / tau")
    status, _, wrong = lems_run(monkeypatch, capsys, noisy)
    assert status == 1 and "'cell' draws random numbers and the file has no seed" in wrong
    assert "--seed" in wrong and not (tmp_path / "model").exists()
    ends = {}
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        arguments = (noisy, "--seed", seed, "--no-plot", "--out", name)
        assert lems_run(monkeypatch, capsys, *arguments)[0] == 0
        ends[name] = (tmp_path / name / "v.dat").read_text()
    assert ends["a"] == ends["b"] != ends["c"]
    seeded = model(tmp_path, "-v / tau + (random(2) - 1) * mV / tau", more='seed="1"')
    assert lems_run(monkeypatch, capsys, seeded, "--no-plot", "--out", "d")[0] == 0
    assert (tmp_path / "d" / "v.dat").read_text() == ends["a"]


@pytest.mark.parametrize("rows", [300, 97, 1])
def test_parts_give_the_numbers_of_one_piece(rows, tmp_path):
    network = lems.load_network(model(tmp_path, "-v / tau + (random(2) - 1) * mV / tau"))
    key = jax.random.key(3)
    asked = parts.Asked(network, lems.Heun(), 0.1, rows * 0.2, key, (), 2)
    monkeyed = parts._WORK
    try:
        parts._WORK = 10  # as if the model were large: as many parts as there may be
        done = parts.run_in_parts(asked)
    finally:
        parts._WORK = monkeyed
    assert done.complete and sum(done.steps) == 2 * rows
    assert (len(done.steps) > 3) == (rows > 1)
    whole = lems.run(network, method=lems.Heun(), step=0.1, duration=rows * 0.2, key=key, every=2)
    assert done.recording is not None
    np.testing.assert_array_equal(done.recording["v"], whole["v"])
    np.testing.assert_allclose(done.recording.t, whole.t, rtol=1e-14)


def test_an_interrupted_run_keeps_what_it_has(tmp_path, monkeypatch, capsys):
    calls = []
    part = parts._part

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return part(*arguments)

    monkeypatch.setattr(parts, "_part", interrupted)
    status, said, _ = lems_run(monkeypatch, capsys, model(tmp_path), "--no-plot")
    assert status == 130 and "interrupted at t = 15 ms" in said
    assert len(np.loadtxt(tmp_path / "model" / "v.dat")) == 151


def test_a_run_that_diverges_says_so_and_keeps_what_it_has(tmp_path, monkeypatch, capsys):
    diverging = model(tmp_path, "v^2 / (mV * tau)")  # infinite after tau / 8
    status, _, wrong = lems_run(monkeypatch, capsys, diverging)
    assert status == 1 and "not finite by t = " in wrong and "Traceback" not in wrong
    v = np.loadtxt(tmp_path / "model" / "v.dat")[:, 1]
    assert v[0] == 0.008 and np.isfinite(v[5]) and not np.isfinite(v[-1])
    assert (tmp_path / "model" / "model.nc").exists()


def test_files_are_replaced_whole(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "v.dat").write_text("what was there before")
    arguments = (model(tmp_path), "--out", "results", "--no-plot")
    assert lems_run(monkeypatch, capsys, *arguments)[0] == 0
    assert np.loadtxt(folder / "v.dat").shape == (301, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["model.nc", "v.dat"]


def test_without_matplotlib_all_but_the_figures_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    arguments = (model(tmp_path), "--record", "v")
    status, said, wrong = lems_run(monkeypatch, capsys, *arguments)
    assert status == 0, wrong
    assert "no figures: matplotlib is not installed" in said
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.nc", "v.dat"]


def test_warnings_are_summarised(tmp_path, monkeypatch, capsys):
    (tmp_path / "odd.xml").write_text(
        "<Lems>"
        + "".join(
            f'<ComponentType name="Odd{i}"><Parameter name="p" dimension="voltage"/><Dynamics>'
            '<StateVariable name="x" dimension="none"/>'
            '<TimeDerivative variable="x" value="p"/></Dynamics></ComponentType>'
            for i in range(7)
        )
        + "</Lems>"
    )
    file = model(tmp_path)
    file.write_text(file.read_text().replace("<Lems>", '<Lems><Include file="odd.xml"/>', 1))
    status, _, wrong = lems_run(monkeypatch, capsys, file, "--no-plot")
    assert status == 0
    assert wrong.strip() == f"7 warnings in included files; tvbjax lems check {file} lists them"
    status, _, wrong = lems_run(monkeypatch, capsys, file, "--no-plot", "--dimensions", "strict")
    assert status == 1 and wrong.count("LEMS020") == 7
    assert lems_run(monkeypatch, capsys, file, "--no-plot", "--dimensions", "off")[2] == ""


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--step", "0.1"], "--step: '0.1' has no unit"),
        (["--step", "1 mV"], "--step: unknown unit 'mV'"),
        (["--duration", "-3 ms"], "--duration: '-3 ms' is not a positive time"),
        (["--duration", "0.01 ms"], "holds no 1 steps"),
        (["--every", "400"], "holds no 400 steps"),
        (["--step", "1e-9 us"], "do not fit into memory; record fewer rows with --every"),
        (["--method", "eular"], "there is no 'eular'; did you mean 'euler'?"),
        (["--method", "diffrax:Tsit6"], "did you mean 'Tsit5'?"),
        (["--method", "diffrax:ItoMilstein"], "there is no 'ItoMilstein'"),
        (["--record", "w"], "cannot record 'w'"),
        (["--target", "sam"], "sam"),
        (["--target", "cell"], "does not say its step; give --step"),
        (["--target", "cell", "--step", "1 ms", "--duration", "9 ms"], "records nothing"),
        (["--out", "model.xml"], "model.xml is a file; name a folder"),
        (["--out", "model.xml/deeper"], "model.xml is a file; name a folder"),
        (["--out", "/proc/1/none"], "nothing can be written to /proc/1"),
    ],
)
def test_a_mistake_is_told_before_the_run(arguments, message, tmp_path, monkeypatch, capsys):
    if "diffrax" in str(arguments):
        pytest.importorskip("diffrax")
    status, _, wrong = lems_run(monkeypatch, capsys, model(tmp_path), *arguments)
    assert status == 1
    assert message in wrong and wrong.startswith("error: ") and "Traceback" not in wrong
    assert [path.name for path in tmp_path.iterdir()] == ["model.xml"]


def test_what_is_wrong_in_the_file_is_listed(tmp_path, monkeypatch, capsys):
    wrong_name = model(tmp_path, "-v / tua")
    status, _, wrong = lems_run(monkeypatch, capsys, wrong_name)
    assert status == 1 and "model.xml:10" in wrong and "did you mean 'tau'?" in wrong
    for name in ("../v.dat", "/tmp/v.dat"):
        status, _, wrong = lems_run(monkeypatch, capsys, model(tmp_path, name=name))
        assert status == 1 and "is outside of model; change its fileName" in wrong
    (tmp_path / "model" / "v.dat").mkdir(parents=True)
    status, _, wrong = lems_run(monkeypatch, capsys, model(tmp_path))
    assert status == 1 and "in model that is a folder" in wrong
    assert lems_run(monkeypatch, capsys, "none.xml")[0] == 1


def test_synapses_that_are_kept_as_one_are_recorded_apart(tmp_path, monkeypatch, capsys):
    page = re.findall(r"```xml\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    both = page.replace('to="second[1]"', 'to="second[0]"')
    file = tmp_path / "both.xml"
    file.write_text(both)
    paths = [f"second[0]/synapses:excitation:{i}/i" for i in (0, 1)]
    arguments = (
        file,
        "--no-plot",
        "--duration",
        "50 ms",
        "--record",
        paths[0],
        "--record",
        paths[1],
    )
    status, _, wrong = lems_run(monkeypatch, capsys, *arguments)
    assert status == 0, wrong
    with xr.open_dataset(tmp_path / "both" / "both.nc") as data:
        strong, weak = (data[path.replace("/", ".")].values for path in paths)
    assert strong.max() > 0
    np.testing.assert_allclose(weak, 0.4 * strong, rtol=1e-12)  # the weights are 1 and 0.4


@pytest.mark.parametrize("name", ["Tsit5", "Kvaerno3"])
def test_solvers_of_diffrax(name, tmp_path, monkeypatch, capsys):
    pytest.importorskip("diffrax")
    arguments = (model(tmp_path), "--method", f"diffrax:{name}", "--no-plot")
    status, _, wrong = lems_run(monkeypatch, capsys, *arguments)
    assert status == 0, wrong
    t, v = np.loadtxt(tmp_path / "model" / "v.dat").T
    np.testing.assert_allclose(v, 8e-3 * np.exp(-t / 0.01), rtol=1e-6)


def test_as_a_user_runs_it(tmp_path):
    """In a process of its own, in which JAX has not started."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {"COLUMNS": "80"}
    ran = subprocess.run(
        [sys.executable, "-m", "tvbjax", "lems", "run", str(model(tmp_path)), "--image", "svg"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0 and ran.stderr == ""
    assert "steps/s" in ran.stdout and "v.dat" in ran.stdout
    assert (tmp_path / "model" / "model.nc").exists()


def two_targets(folder: Path) -> Path:
    """A cell that decays from 8 mV with 10 ms, and one with 20 ms, each with its simulation."""
    path = folder / "two.xml"
    path.write_text(
        f"""<Lems>
  {TYPES.replace("GROWTH", "-v / tau")}
  <Cell id="slow" tau="20 ms" gain="1"/>
  <Sim id="one" cell="cell" step="0.1 ms" length="3 ms">
    <File id="f" name="v.dat"><Column id="v" quantity="v"/></File>
  </Sim>
  <Sim id="two" cell="slow" step="0.1 ms" length="6 ms">
    <File id="f" name="v.dat"><Column id="v" quantity="v"/></File>
  </Sim>
  <Target component="one"/>
  <Target component="two"/>
</Lems>"""
    )
    return path


def test_every_target_runs_in_a_folder_of_its_own(tmp_path, monkeypatch, capsys):
    file = two_targets(tmp_path)
    status, _, wrong = lems_run(monkeypatch, capsys, file, "--method", "rk4", "--no-plot")
    assert status == 0, wrong
    for name, tau, rows in (("one", 0.01, 31), ("two", 0.02, 61)):
        t, v = np.loadtxt(tmp_path / "two" / name / "v.dat").T
        assert len(t) == rows
        np.testing.assert_allclose(v, 8e-3 * np.exp(-t / tau), rtol=1e-7)
    chosen = (file, "--target", "two", "--no-plot", "--out", "alone")
    assert lems_run(monkeypatch, capsys, *chosen)[0] == 0
    assert len(np.loadtxt(tmp_path / "alone" / "v.dat")) == 61


def test_the_library_loads_every_target_or_wants_one_named(tmp_path):
    file = two_targets(tmp_path)
    networks = lems.load_networks(file)
    assert [network.target for network in networks] == ["one", "two"]
    assert [network.duration for network in networks] == [3.0, 6.0]
    assert lems.load_network(file, "two").duration == 6.0
    with pytest.raises(lems.LemsError, match="two.xml:.*several Targets.*'one' or 'two'"):
        lems.load_network(file)


def test_a_target_that_fails_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    file = two_targets(tmp_path)
    file.write_text(file.read_text().replace('length="3 ms"', 'length="0.01 ms"'))
    status, _, wrong = lems_run(monkeypatch, capsys, file, "--no-plot")
    assert status == 1 and "no" in wrong
    assert len(np.loadtxt(tmp_path / "two" / "two" / "v.dat")) == 61


def test_targets_write_below_the_folder_whatever_they_are_called(tmp_path, monkeypatch, capsys):
    file = two_targets(tmp_path)
    text = file.read_text().replace('"one"', '"../../evil"').replace('"two"', '".. /two"')
    file.write_text(text)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    status, _, wrong = lems_run(monkeypatch, capsys, file, "--no-plot", "--out", "deep/out")
    assert status == 0, wrong
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out"]
    assert len(list((tmp_path / "deep" / "out").iterdir())) == 2
    assert not list(tmp_path.parent.glob("evil*"))
