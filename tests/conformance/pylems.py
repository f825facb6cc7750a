"""Runs PyLEMS, the reference implementation in Python, in its own environment."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from conformance import corpora
from conformance.recorded import Recorded

SCRIPT = Path(__file__).parent / "pylems_run.py"


def run(path: Path, *, steps: int | None = None, timeout: float = 600.0) -> Recorded:
    """Every quantity that the file displays or writes. `steps`: no more than so many.

    PyLEMS's row n is the state after the step taken at t = n step: here it becomes row n + 1, and
    row 0, the initial state, which PyLEMS does not record, is not a number.
    """
    stored = _run(path, ["--steps", str(steps)] if steps else [], timeout)
    t = np.append(stored["t"], 2 * stored["t"][-1] - stored["t"][-2])
    values = np.pad(stored["values"], ((0, 0), (1, 0)), constant_values=np.nan)
    paths = [str(path) for path in stored["paths"]]
    return Recorded(t, dict(zip(paths, values, strict=True)), switched=stored["switched"])


def seconds_for(path: Path, steps: int, timeout: float = 600.0) -> tuple[int, float]:
    """Steps, and the seconds they took, without reading and building."""
    stored = _run(path, ["--steps", str(steps), "--unwatched"], timeout)
    return int(stored["steps"]), float(stored["seconds"])


def _run(path: Path, options: list[str], timeout: float) -> dict[str, np.ndarray]:
    with TemporaryDirectory() as scratch:
        out = Path(scratch) / "recorded.npz"
        command = [corpora.pylems_python(), SCRIPT, path.resolve(), out, *options]
        command += ["--include", corpora.core_types()]
        done = subprocess.run(
            command, cwd=path.parent, capture_output=True, text=True, timeout=timeout
        )
        if done.returncode or not out.exists():
            said = (done.stdout + done.stderr).strip().splitlines() or ["nothing said"]
            raise RuntimeError(f"PyLEMS failed on {path.name}: {said[-1]}")
        with np.load(out) as stored:
            return dict(stored)
