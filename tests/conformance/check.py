"""One file: parsed, compiled, run, and compared with all there is to compare it with."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from conformance import compare, corpora, jlems, lems_files, ours, pylems
from conformance.cases import NEAR, PYLEMS_IS_RIGHT, Case
from conformance.compare import Outcome
from conformance.make_jlems import FINER
from conformance.recorded import Recorded
from tvbjax import lems

PYLEMS_STEPS = 20_000
LIVE_STEPS = 150_000  # jLEMS's waveforms of longer files are not asked for: minutes


@dataclass
class Row:
    """A row of the table. `seconds`: to compile, and to run."""

    case: Case
    parsed: bool = False
    compiled: bool = False
    ran: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    compile_seconds: float = 0.0
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
    except Exception as error:  # the table has a row for every file, whatever one of them does
        row.error = f"{type(error).__name__}: {error}"
    return row


def _run(row: Row, path: Path, live: bool) -> None:
    begun = time.perf_counter()
    network = ours.load(path)
    row.parsed = row.compiled = True
    row.compile_seconds = time.perf_counter() - begun

    begun = time.perf_counter()
    recorded = ours.recorded(network, lems_files.simulation(path).quantities)
    row.run_seconds = time.perf_counter() - begun
    row.ran = True
    _finite(row, recorded)

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


def _with_pylems(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    if live and row.case.name in PYLEMS_IS_RIGHT:
        theirs = pylems.run(path, steps=PYLEMS_STEPS)
        rule = compare.events if row.case.name in NEAR else compare.exact
        row.outcomes.append(rule(recorded, theirs, "PyLEMS"))


def _with_stored_waveforms(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    for entry in row.case.waveforms():
        stored = np.load(corpora.shared() / "waveforms" / entry["npz"])
        late = entry["engine"].startswith("PyLEMS")
        rows = np.rint(stored["t"] / entry["dt"]).astype(int) + late
        rows = rows[rows < len(recorded.t)]
        paths = {quantity["path"]: quantity["key"] for quantity in entry["quantities"]}
        ours_there = Recorded(
            recorded.t[rows], {path: recorded.values[path][rows] for path in paths}
        )
        theirs = Recorded(
            recorded.t[rows], {path: stored[key][: len(rows)] for path, key in paths.items()}
        )
        difference = compare.waveforms(ours_there, theirs)
        row.notes.append(f"stored waveforms of {entry['engine'].split()[0]}: {difference}")


def _with_published(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    test = row.case.spike_test()
    if test is None:
        return
    with TemporaryDirectory() as scratch:
        ours.write(ours.load(path, lems.NEURAL), Path(scratch))
        written = next(Path(scratch).rglob(next(iter(test["experiments"].values()))["file"]))
        row.outcomes.append(compare.published(written.parent, test))


def _with_jlems(row: Row, path: Path, network, recorded: Recorded, live: bool) -> None:
    stored = row.case.jlems()
    if stored is None:
        return
    outcome = compare.jlems_events(recorded, stored, "jLEMS")
    levels = [level for each in stored["quantities"].values() for level in each["levels"]]
    if not outcome.passed and levels and "finer" in levels[0]:
        quantities = lems_files.simulation(path).quantities
        finer = ours.recorded(network, quantities, step=stored["step"] / FINER)
        against = f"jLEMS, both at a step {FINER} times smaller"
        outcome = compare.jlems_events(finer, stored, against, "finer")
    if not stored["quantities"]:
        outcome = Outcome("jLEMS", True, "all of it random: nothing to compare")
    row.outcomes.append(outcome)
    if live and lems_files.simulation(path).steps <= LIVE_STEPS:
        theirs = jlems.run(path)
        same = {name: theirs.values[name] for name in stored["quantities"]}
        if same:
            difference = compare.waveforms(recorded, Recorded(theirs.t, same))
            row.notes.append(f"jLEMS's waveforms: {difference}")
