"""Recordings of seizures in files: EDF, BrainVision and the like by MNE-Python, and text.

| file | content |
|---|---|
| NAME.edf, .bdf, .vhdr, .fif | samples, read by MNE (the extra `mne`), SEEG in V; or NAME_ieeg... |
| NAME.tsv | samples: a column `time` in s from 0, and one for each channel |
| NAME_channels.tsv | BIDS: name, status (`bad` is left out), type (only SEEG, ECOG and DBS stay) |
| NAME_events.tsv | BIDS: onset, duration, trial_type, of which one contains "seizure" |
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from tvbjax.near import near
from tvbjax_inference.bayes.epilepsy.seizure import Seizure
from tvbjax_inference.bayes.epilepsy.tables import (
    MISSING,
    Table,
    is_there,
    read_numbers,
    read_table,
)

BY_MNE = (".edf", ".bdf", ".vhdr", ".fif")
_COMPANIONS = ("_channels.tsv", "_events.tsv")
_INTRACRANIAL = ("SEEG", "ECOG", "DBS")
_EVEN = 0.25  # of a period: how far times of samples may be from even ones, by rounding


@dataclasses.dataclass(frozen=True)
class Recording:
    """Where the samples of a seizure are. `where`: the file's name, for messages."""

    name: str
    path: Path
    where: str

    def companion(self, kind: str) -> tuple[Path, str]:
        """NAME_channels.tsv or NAME_events.tsv, and its name for messages."""
        path = self.path.with_name(f"{self.name}_{kind}.tsv")
        return path, f"{self.path.parent.name}/{path.name}"


@dataclasses.dataclass(frozen=True)
class Marks:
    """Onset and end in s from the first sample, None where they are not marked."""

    onset: float | None = None
    end: float | None = None


def recordings_of(folder: Path) -> list[Recording]:
    """The recordings in a folder, by name. Raises ValueError for two of one name, and for a folder
    that is called as a recording is."""
    found: dict[str, Recording] = {}
    for path in sorted(folder.iterdir()):
        text = path.suffix.lower() == ".tsv" and not path.name.endswith(_COMPANIONS)
        if path.name.startswith(".") or not (text or path.suffix.lower() in BY_MNE):
            continue
        is_there(path, f"{folder.name}/{path.name}")
        name = path.stem.removesuffix("_ieeg")
        if name in found:
            raise ValueError(
                f"{folder.name}: {found[name].path.name} and {path.name} are both recordings of "
                f"{name!r}; keep one."
            )
        found[name] = Recording(name, path, f"{folder.name}/{path.name}")
    return list(found.values())


def read_recording(recording: Recording) -> tuple[Seizure, tuple[str, ...]]:
    """The seizure without marks, and the channels that were left out, as channels.tsv says.

    Raises ImportError without MNE where it is needed, and ValueError.
    """
    by_mne = recording.path.suffix.lower() in BY_MNE
    channels, samples, period = (_by_mne if by_mne else _text)(recording)
    left_out = _left_out(recording, channels)
    kept = [number for number, channel in enumerate(channels) if channel not in left_out]
    if not kept:
        raise ValueError(
            f"{recording.where}: all channels are left out, as {recording.companion('channels')[1]}"
            " says; mark those that are well as good, and of the type SEEG."
        )
    try:
        names = tuple(channels[number] for number in kept)
        return Seizure(recording.name, names, samples[:, kept], period), left_out
    except ValueError as error:
        lines = (f"{recording.where}: {line}" for line in str(error).splitlines())
        raise ValueError("\n".join(lines)) from error


def read_events(recording: Recording) -> Marks:
    """What NAME_events.tsv marks; nothing where there is no such file. Raises ValueError."""
    path, where = recording.companion("events")
    if not is_there(path, where):
        return Marks()
    table = read_table(path, where)
    rows = [n for n, kind in enumerate(table.column("trial_type")) if "seizure" in kind.lower()]
    if len(rows) > 1:
        raise ValueError(
            f"{where}, line {table.lines[rows[1]]}: a second seizure; cut the recording so that "
            "each file has one."
        )
    if not rows:
        return Marks()
    line = table.lines[rows[0]]
    onset = table.number(table.column("onset")[rows[0]], line, "onset")
    lasting = table.column("duration")[rows[0]]
    if lasting == MISSING:
        return Marks(onset)
    return Marks(onset, onset + table.number(lasting, line, "duration"))


def _left_out(recording: Recording, channels: tuple[str, ...]) -> tuple[str, ...]:
    path, where = recording.companion("channels")
    if not is_there(path, where):
        return ()
    table = read_table(path, where)
    names = table.column("name")
    kinds = table.column("type") if "type" in table.columns else [_INTRACRANIAL[0]] * len(names)
    states = table.column("status") if "status" in table.columns else ["good"] * len(names)
    _check_names(table, names, channels)
    return tuple(
        name
        for name, kind, state in zip(names, kinds, states, strict=True)
        if state.lower() == "bad" or kind.upper() not in (*_INTRACRANIAL, MISSING.upper())
    )


def _check_names(table: Table, names: tuple[str, ...], channels: tuple[str, ...]) -> None:
    for name, line in zip(names, table.lines, strict=True):
        if name not in channels:
            hint = near(name, channels) or f"there are {', '.join(channels[:6])}, ..."
            raise ValueError(
                f"{table.where}, line {line}: the recording has no channel {name!r}; {hint}"
            )


def _text(recording: Recording) -> tuple[tuple[str, ...], np.ndarray, float]:
    columns, numbers = read_numbers(recording.path, recording.where)
    times = numbers[:, 0]
    if columns[0] != "time" or len(times) < 2:
        raise ValueError(
            f"{recording.where}: the first column is {columns[0]!r}, of {len(times)} rows; give "
            "'time', in s, of two samples or more."
        )
    if not np.isfinite(times).all():
        line = int(np.argmin(np.isfinite(times))) + 2
        raise ValueError(f"{recording.where}, line {line}: time is not a finite number; give it.")
    period = float(times[1] - times[0])
    if not np.array_equal(times, np.arange(len(times)) * period):
        # Times that were rounded: their mean is better than the first.
        period = float(times[-1] - times[0]) / (len(times) - 1)
        off = np.abs(times - np.arange(len(times)) * period)
        if not (period > 0 and off.max() <= _EVEN * period):
            worst = int(np.argmax(~(off <= _EVEN * period)))
            raise ValueError(
                f"{recording.where}, line {worst + 2}: time is {times[worst]:.10g} s, and evenly "
                f"from 0 it would be {worst * period:.10g} s; give samples without gaps, the first "
                "at 0."
            )
    return columns[1:], numbers[:, 1:], period


def _by_mne(recording: Recording) -> tuple[tuple[str, ...], np.ndarray, float]:
    try:
        import mne
    except ImportError:
        raise ImportError(
            f"{recording.where}: {recording.path.suffix} files are read by MNE-Python: pip install "
            "'tvbjax[mne]'."
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = mne.io.read_raw(recording.path, preload=True, verbose="error")
            kinds = raw.get_channel_types()
            samples = raw.get_data()
    except Exception as error:
        raise ValueError(f"{recording.where} cannot be read by MNE ({error}).") from error
    kept = [number for number, kind in enumerate(kinds) if kind != "stim"]
    names = tuple(str(raw.ch_names[number]) for number in kept)
    return names, np.asarray(samples)[kept].T, 1.0 / float(raw.info["sfreq"])
