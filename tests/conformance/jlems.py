"""Runs jLEMS, the reference implementation in Java, on one file and reads what it recorded."""

import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from conformance import corpora, lems_files
from conformance.recorded import Recorded

OUTPUT = "results/conformance.dat"
EVENTS = "results/conformance.spikes"


def run(
    path: Path, *, step: float | None = None, seed: int | None = None, timeout: float = 900.0
) -> Recorded:
    """Every quantity and event that the file displays or writes. `step`: s, other than the file's.

    Works on a copy of the whole folder beside which the file lies, since files include others.
    """
    with TemporaryDirectory() as scratch:
        copied = _copy(path, Path(scratch))
        lems_files.change(copied, output=OUTPUT, event_output=EVENTS, step=step, seed=seed)
        (copied.parent / "results").mkdir(exist_ok=True)
        said = _java(copied, timeout)
        output = copied.parent / OUTPUT
        if not output.exists():
            raise RuntimeError(f"jLEMS recorded nothing of {path.name}:\n{said[-2000:]}")
        columns = np.loadtxt(output, ndmin=2).T
        simulation = lems_files.simulation(path)
        values = dict(zip(simulation.quantities, columns[1:], strict=True))
        return Recorded(columns[0], values, _events(copied.parent / EVENTS, simulation.events))


def seconds_for(path: Path, timeout: float = 900.0) -> tuple[int, float]:
    """Steps, and the seconds they took by jLEMS's own clock: without starting Java and reading."""
    said = _java(path, timeout)
    matched = re.search(r"Finished (\d+) steps in ([\d.]+) seconds", said)
    if matched is None:
        raise RuntimeError(f"jLEMS did not say how long {path.name} took:\n{said[-2000:]}")
    return int(matched[1]), float(matched[2])


def _events(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """A file of lines `number time`, as times per event."""
    if not names:
        return {}
    rows = np.loadtxt(path, ndmin=2).reshape(-1, 2)
    return {name: rows[rows[:, 0] == number, 1] for number, name in enumerate(names)}


def _copy(path: Path, scratch: Path) -> Path:
    """The file's folder, and NeuroML's folder `examples` beside it."""
    shutil.copytree(path.parent, scratch / path.parent.name)
    beside = path.parent.parent / "examples"
    if beside.is_dir() and beside != path.parent:
        shutil.copytree(beside, scratch / "examples")
    return scratch / path.parent.name / path.name


def _java(path: Path, timeout: float) -> str:
    command = [corpora.java(), "-Xmx3g", "-jar", corpora.jar(), path.name, "-nogui"]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=timeout)
    return done.stdout + done.stderr
