"""One file: parsed, compiled, run, and compared with all there is to compare it with."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from conformance import compare, corpora, jlems, lems_files, ours, pylems
from conformance.cases import NEAR, PYLEMS_IS_RIGHT, PYLEMS_IS_WRONG, UNTIL, Case
from conformance.compare import Outcome
from conformance.recorded import Recorded
from tvbjax import lems

PYLEMS_STEPS = 20_000
LIVE_STEPS = 150_000  # jLEMS's waveforms of longer files are not asked for: minutes
READ_STEPS = 100_000  # nor are longer files read back


@dataclass
class Row:
    """A row of the table. `load_seconds`: from the file to a network. `run_seconds`: with JAX's
    compilation."""

    case: Case
    parsed: bool = False
    compiled: bool = False
    ran: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    load_seconds: float = 0.0
    run_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.ran and not self.error and all(outcome.passed for outcome in self.outcomes)


def check(case: Case, *, live: bool = True) -> Row:
    """Raises corpora.Absent where the file itself is not there. Where a reference to compare with
    is not, a note says so. `live`: run PyLEMS and jLEMS now, too."""
    row = Row(case)
    path = case.path()
    try:
        _run(row, path, live)
    except corpora.Absent:
        raise
    except lems.LemsError as error:
        errors = [finding for finding in error.diagnostics if finding.is_error]
        row.parsed = all(finding.code > lems.Code.SYNTAX for finding in errors)
        row.error = _first(errors)
    except Exception as error:  # the table has a row for every file, whatever one of them does
        row.error = f"{type(error).__name__}: {error}"
    return row


def _first(errors: list[lems.Diagnostic]) -> str:
    """The first error and the number of them; a file's name without its folder."""
    said = str(errors[0]).replace(errors[0].place.file, Path(errors[0].place.file).name)
    return said if len(errors) == 1 else f"{said} (the first of {len(errors)} errors)"


def _run(row: Row, path: Path, live: bool) -> None:
    begun = time.perf_counter()
    network = ours.load(path)
    row.parsed = row.compiled = True
    row.load_seconds = time.perf_counter() - begun

    begun = time.perf_counter()
    recording = ours.run(network)
    recorded = ours.recorded(recording, lems_files.simulation(path).quantities)
    row.run_seconds = time.perf_counter() - begun
    row.ran = True
    _finite(row, recorded)
    _files(row, path, recording, recorded)

    for comparison in (_with_pylems, _with_stored_waveforms, _with_published, _with_jlems):
        try:
            comparison(row, path, network, recorded, live)
        except corpora.Absent as absent:
            row.notes.append(str(absent))


def _finite(row: Row, recorded: Recorded) -> None:
    wrong = [name for name, values in recorded.values.items() if not np.isfinite(values).all()]
    if wrong:
        first = int(np.argmin(np.isfinite(recorded.values[wrong[0]])))
        raise FloatingPointError(f"{wrong[0]} is not finite from row {first} on")


def _files(row: Row, path: Path, recording, recorded: Recorded) -> None:
    """The files that are written hold what was recorded, in the order of their columns."""
    simulation = lems_files.simulation(path)
    if not simulation.files or simulation.steps > READ_STEPS:
        return
    wrong = []
    with TemporaryDirectory() as scratch:
        recording.write(Path(scratch))
        for name, columns in simulation.files.items():
            written = np.loadtxt(Path(scratch) / name, ndmin=2).T
            expected = np.stack([recorded.t, *(recorded.values[column] for column in columns)])
            scale = np.abs(expected).max(axis=1, keepdims=True)
            if written.shape != expected.shape or np.any(np.abs(written - expected) > 1e-5 * scale):
                wrong.append(name)
    said = f"{len(simulation.files)} files" if not wrong else "differ: " + ", ".join(wrong)
    row.outcomes.append(Outcome("written files", not wrong, said))


def _with_pylems(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    if live and row.case.name in PYLEMS_IS_RIGHT:
        theirs = pylems.run(path, steps=PYLEMS_STEPS)
        for name in PYLEMS_IS_WRONG.get(row.case.name, ()):
            del theirs.values[name]
        rule = compare.events if row.case.name in NEAR else compare.exact
        row.outcomes.append(rule(recorded, theirs, "PyLEMS"))


def _with_stored_waveforms(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    """PyLEMS's are compared; jLEMS's lag behind inside nested cells: what they differ is noted."""
    random = (row.case.jlems() or {}).get("random", [])
    for entry in row.case.waveforms():
        quantities = [each for each in entry["quantities"] if each["path"] not in random]
        engine = entry["engine"].split()[0]
        late = entry["dt"] if engine == "PyLEMS" else 0.0
        chosen = np.load(corpora.shared() / "waveforms" / entry["npz"])
        kept = chosen["t"] + late < recorded.t[-1] + entry["dt"] / 2
        values = {each["path"]: chosen[each["key"]][kept] for each in quantities}
        theirs = Recorded(chosen["t"][kept] + late, values)
        crossings = {
            each["path"]: (each["threshold"], np.asarray(each["up_crossings"]) + late)
            for each in quantities
        }
        outcome = compare.stored(recorded, theirs, crossings, f"{engine}, stored")
        if engine == "PyLEMS":
            row.outcomes.append(outcome)
        else:
            row.notes.append(f"{outcome.against}: {outcome.said}")


def _with_published(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    test = row.case.spike_test()
    if test is None:
        return
    outcome = _published(path, test, lems.Euler())
    if not outcome.passed:
        row.notes.append(f"{outcome.against}: {outcome.said}")
        outcome = _published(path, test, lems.ExponentialEuler())
    row.outcomes.append(outcome)


def _published(path: Path, test: dict, method: lems.AbstractMethod) -> Outcome:
    with TemporaryDirectory() as scratch:
        ours.run(ours.load(path, lems.NEURAL), method=method).write(Path(scratch))
        written = next(Path(scratch).rglob(next(iter(test["experiments"].values()))["file"]))
        return compare.published(written.parent, test, type(method).__name__)


def _with_jlems(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    stored = row.case.jlems()
    if stored is None:
        return
    until = UNTIL.get(row.case.name, np.inf)
    outcome = compare.jlems_events(recorded, stored, until)
    if not outcome.passed:
        quantities = lems_files.simulation(path).quantities
        other = ours.recorded(ours.run(network, stored["other_step"]), quantities)
        outcome = compare.jlems_events(recorded, stored, until, other)
    if not stored["quantities"]:
        outcome = Outcome("jLEMS", True, "all of it random: nothing to compare")
    row.outcomes.append(outcome)
    if live and lems_files.simulation(path).steps <= LIVE_STEPS:
        theirs = jlems.run(path)
        same = {name: theirs.values[name] for name in stored["quantities"]}
        if same:
            difference = compare.waveforms(recorded, Recorded(theirs.t, same))
            row.notes.append(f"jLEMS's waveforms: {difference}")
