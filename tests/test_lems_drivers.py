"""What the sweep scripts beside converted modules take, and refuse before anything is computed."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lems_text import network
from test_network_pools import TYPES as CELLS, synapse
from tvbjax import lems

Main = Callable[..., tuple]


class Computing(Exception):
    """Raised where a sweep would begin; its arguments are those of the sweep."""


@contextmanager
def driver(text: str, script: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Main]:
    """The script's main with arguments; it gives those that it would sweep with."""
    (folder / "swept.py").write_text(text)
    (folder / "swept_sweep.py").write_text(script)
    patch.syspath_prepend(folder)
    patch.chdir(folder)
    module = importlib.import_module("swept_sweep")

    def sweep(*arguments):
        raise Computing(*arguments)

    def main(*arguments: str) -> tuple:
        patch.setattr(sys, "argv", ["swept_sweep.py", *arguments])
        with pytest.raises(Computing) as found:
            module.main()
        return found.value.args

    patch.setattr(module, "sweep", sweep)
    yield main
    for name in ("swept", "swept_sweep"):
        del sys.modules[name]


def delayed(folder: Path, step: float = 0.1) -> lems.Network:
    """A driven cell that excites another 0.5 s later."""
    body = f"""{CELLS}{synapse("saturating")}<Target component="job"/>
      <Job id="job" increment="{step}s" total="20s" what="all"/><Whole id="all">
      <Ticks id="a" from="0.3s"/><Whole id="w"><Cells id="pop" of="cell"/>
      <Edge id="e" source="../../a" target="../pop[0]" w="1" delay="0.5s" synapse="saturating"/>
      </Whole></Whole>"""
    return network(folder, body)


def sources(model: lems.Network) -> tuple[str, str]:
    return lems.network_module(model).text, lems.network_sweep_driver(model, "swept")


@pytest.fixture(params=["rate", "network"])
def main(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Main]:
    if request.param == "rate":
        model = lems.load("Kuramoto")
        text, script = lems.python_module(model), lems.sweep_driver(model, "swept")
    else:
        text, script = sources(delayed(tmp_path))
    with driver(text, script, tmp_path, monkeypatch) as found:
        yield found


def check_refused(main: Main, capsys, arguments: str, message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(*arguments.split())
    assert stopped.value.code == 2
    *usage, last = capsys.readouterr().err.splitlines()
    assert usage[0].startswith("usage: ") and all(line[0] == " " for line in usage[1:])
    assert last.startswith("swept_sweep.py: error: ") and message in last


@pytest.mark.parametrize(
    "arguments, message",
    [
        *((f"--points {n}", f"--points: {n} is no finite number above 0") for n in (0, -2)),
        *((f"--duration {t}", f"--duration: {t} is no") for t in ("nan", "inf", "-5", "0")),
        ("--dt 0", "--dt: 0 is no finite number above 0"),
        ("--dt -inf", "--dt"),
        *((f"--every {n}", f"--every: {n} is no") for n in (0, -3)),
        ("--points 2.5", "--points: invalid number value: '2.5'"),
        ("--out nowhere/o.npz", "nowhere/o.npz cannot be written: its folder is not there"),
        ("--duration 1e300", "--duration 1e+300 is not a whole number of steps"),
        ("--duration 20.003", "of 0.1, up to 2e9; 20 is"),
        ("--duration 20 --every 7", "--every 7 does not divide the 200 steps"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(main: Main, capsys, arguments: str, message: str):
    default = "" if "--dt" in arguments else "--dt 0.1 "
    check_refused(main, capsys, default + arguments, message)


def test_the_duration_is_exact_whatever_is_kept(main: Main):
    for duration, rows in (("20", 200), ("300", 1000), ("1234.5", 1029)):
        points, steps, dt, every = main("--duration", duration, "--dt", "0.1", "--points", "2")
        assert (points, dt) == (2, 0.1) and steps * dt == pytest.approx(float(duration))
        assert steps % every == 0 and steps // every >= rows
    assert main("--duration", "20", "--dt", "0.1", "--every", "50")[1:] == (200, 0.1, 50)


def test_a_step_that_changes_the_delays_is_refused(tmp_path: Path, monkeypatch, capsys):
    with driver(*sources(delayed(tmp_path)), tmp_path, monkeypatch) as main:
        assert main("--dt", "0.5")[2] == 0.5
        check_refused(main, capsys, "--dt 30", "with dt = 30.0 other connections have a delay")


@pytest.mark.parametrize("step, steps", [(0.1, 200), (0.3, 66)])
def test_without_arguments_it_runs_as_long_as_the_file(tmp_path: Path, monkeypatch, step, steps):
    model = delayed(tmp_path, step)
    with driver(*sources(model), tmp_path, monkeypatch) as main:
        assert main()[1:3] == (steps, step)
    assert len(lems.run(model).t) == steps + 1


def test_it_says_which_file_and_how_long(tmp_path: Path, monkeypatch, capsys):
    with driver(*sources(delayed(tmp_path)), tmp_path, monkeypatch):
        module = sys.modules["swept_sweep"]
        results = [np.zeros(2)] * len(module.SWEEP), np.array([0.0, 20.0]), {}, {}
        monkeypatch.setattr(module, "sweep", lambda *_: results)
        monkeypatch.setattr(sys, "argv", ["swept_sweep.py", "--out", "kept.1"])
        module.main()
    assert capsys.readouterr().out == "kept.1.npz: 2 runs of 200 steps, 20 s\n"
    assert (tmp_path / "kept.1.npz").exists()
