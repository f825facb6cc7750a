"""A patient in a folder: read, written, and checked file by file.

docs/epilepsy_patient.md says which files there are. What fits what is told by `problems_of`.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.forward import Gain, Sensors
from tvbjax.io.atomic import atomic_path
from tvbjax.io.table import decode
from tvbjax.io.tvb_zip import read_connectome_zip, write_connectome_zip
from tvbjax.kinds import check_kind, check_number
from tvbjax.near import near
from tvbjax_inference.bayes.epilepsy.electrodes import inverse_square_gain
from tvbjax_inference.bayes.epilepsy.patient import Patient, matched, problems_of, twice
from tvbjax_inference.bayes.epilepsy.recordings import (
    BY_MNE,
    Marks,
    Recording,
    read_events,
    read_recording,
    recordings_of,
)
from tvbjax_inference.bayes.epilepsy.seizure import Seizure, raise_all, some
from tvbjax_inference.bayes.epilepsy.tables import MISSING, is_there, read_table, write_table

_NEVER = "never"  # the onset of a region that a seizure was seen not to reach
_ABOUT, _BRAIN, _GAIN, _PLACES = "patient.json", "connectome.zip", "gain.tsv", "electrodes.tsv"
_ONSETS, _SEIZURES = "onsets.tsv", "seizures"
_SAFE = re.compile(r"[\w-][\w.-]*")


@dataclasses.dataclass(frozen=True)
class _About:
    """patient.json."""

    name: str
    hypothesis: tuple[str, ...] = ()
    lesions: tuple[str, ...] = ()
    reach: float = 20.0
    speed: float = 3.0


def read_patient(folder: str | os.PathLike[str], *, match: bool = False) -> Patient:
    """The patient in a folder, with the SHA-256 of every file in it.

    `match`: keep the channels that gain and recordings both have, instead of refusing others.
    Channels that a channels.tsv leaves out are left out of all.
    Raises FileNotFoundError without the folder, and one ValueError with all its problems.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"read_patient: there is no folder {folder}.")
    parts, problems = _gathered(folder, match)
    if problems:
        listed = "".join(f"\n- {problem}" for problem in problems)
        raise ValueError(f"read_patient: {folder} has {len(problems)} problems:{listed}")
    return Patient(**parts)


def validate_patient(folder: str | os.PathLike[str], *, match: bool = False) -> list[str]:
    """All that is wrong with a patient's folder: the file, what it is and how to mend it.

    Empty where `read_patient` reads it. A file that cannot be read hides what it does not fit.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return [f"there is no folder {folder}."]
    return _gathered(folder, match)[1]


def write_patient(patient: Patient, folder: str | os.PathLike[str]) -> None:
    """Write a folder that `read_patient` reads, with the same numbers, whole or not at all.

    What has no place in it: the connectome's name, the gain's unit, hashes. Raises FileExistsError
    where the folder is there and not empty, and ValueError for names that files cannot have.
    """
    check_kind("write_patient: patient", patient, Patient, "read_patient(folder)")
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"write_patient: {folder} is there and not empty; name another.")
    speed = np.asarray(patient.connectome.speed)
    if speed.ndim:
        raise ValueError(
            "write_patient: the connectome has a speed for each connection, for which the format "
            "has no place; give one: dataclasses.replace(connectome, speed=3.0)."
        )
    for seizure in patient.seizures:
        plain = seizure.name.removesuffix("_ieeg") == seizure.name
        companion = seizure.name.endswith(("_events", "_channels"))
        if not _SAFE.fullmatch(seizure.name) or not plain or companion:
            raise ValueError(
                f"write_patient: a seizure is called {seizure.name!r}, which is no name of a file "
                "of samples; give letters, digits, '_', '-' and '.', not ending in _ieeg, "
                "_events or _channels."
            )
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        _write_all(patient, temporary, float(speed))


def _write_all(patient: Patient, folder: Path, speed: float) -> None:
    about = _About(patient.name, patient.hypothesis, patient.lesions, patient.reach, speed)
    text = json.dumps(dataclasses.asdict(about), indent=2, ensure_ascii=False)
    (folder / _ABOUT).write_text(text + "\n", encoding="utf-8")
    write_connectome_zip(patient.connectome, folder / _BRAIN)
    rows = zip(patient.channels, np.asarray(patient.gain.matrix).tolist(), strict=True)
    heard = ([channel, *row] for channel, row in rows)
    write_table(folder / _GAIN, ["channel", *patient.regions], heard)
    if patient.sensors is not None:
        places = zip(patient.sensors.labels, patient.sensors.positions.tolist(), strict=True)
        rows = ([label, *place] for label, place in places)
        write_table(folder / _PLACES, ["name", "x", "y", "z"], rows)
    (folder / _SEIZURES).mkdir()
    marks = []
    for seizure in patient.seizures:
        table = np.column_stack([seizure.times, seizure.samples])
        path = folder / _SEIZURES / f"{seizure.name}.tsv"
        write_table(path, ["time", *seizure.channels], map(np.ndarray.tolist, table))
        whole = [MISSING if mark is None else mark for mark in (seizure.onset, seizure.end)]
        marks.append([seizure.name, MISSING, *whole])
        for region, time in (seizure.onsets or {}).items():
            shown = _NEVER if time == math.inf else float(time)
            marks.append([seizure.name, region, shown, MISSING])
    write_table(folder / _ONSETS, ["seizure", "region", "onset", "end"], marks)


def _gathered(folder: Path, match: bool) -> tuple[dict[str, Any], list[str]]:
    """Arguments of `Patient`, and all problems; the arguments are whole where there are none."""
    problems: list[str] = []

    def attempt(read: Callable, *arguments, instead: Any = None) -> Any:
        try:
            return read(*arguments)
        except (ValueError, TypeError, OSError, ImportError) as error:
            problems.extend(str(error).splitlines())
            return instead

    about = attempt(_about, folder, instead=_About(folder.name))
    brain = attempt(_connectome, folder, about.speed)
    sensors = attempt(_sensors, folder)
    gain = attempt(_gain, folder, brain, sensors)
    recordings = attempt(_recordings, folder, instead=[])
    marks = attempt(_onsets, folder, recordings, instead={})
    read = [(recording, attempt(read_recording, recording)) for recording in recordings]
    found = [(recording, *both) for recording, both in read if both is not None]
    left_out = {channel for _, _, channels in found for channel in channels}
    seizures = [
        marked
        for recording, seizure, _ in found
        if (marked := attempt(_marked, recording, seizure, marks)) is not None
    ]
    if left_out:
        gain, sensors = _without(gain, left_out), _without(sensors, left_out)
        seizures = [s for s in (_without(seizure, left_out) for seizure in seizures) if s]
    if gain is not None and seizures and (match or _in_another_order(gain, seizures, sensors)):
        gain, seizures, sensors = attempt(
            matched, gain, seizures, sensors, instead=(gain, seizures, sensors)
        )
    lists = {"hypothesis": about.hypothesis, "lesions": about.lesions, "reach": about.reach}
    files = _files(folder, found)
    for subject, text in problems_of(brain, gain, seizures, sensors, **lists):
        if subject != "seizures" or not problems:  # else they are there, and were not read
            problems.append(f"{files.get(subject, subject)}: {text}")
    parts = {"name": about.name, "connectome": brain, "gain": gain, "seizures": tuple(seizures)}
    return parts | {"sensors": sensors, "hashes": _hashes(folder), **lists}, problems


def _files(folder: Path, found: Sequence[tuple[Recording, Seizure, tuple]]) -> dict[str, str]:
    """Where each subject of a problem is written."""
    files = {"connectome": _BRAIN, "sensors": _PLACES, "hypothesis": _ABOUT, "lesions": _ABOUT}
    files["gain"] = _GAIN if (folder / _GAIN).is_file() else _PLACES
    for recording, seizure, _ in found:
        files[f"seizure {seizure.name!r}"] = recording.where
        files[f"onsets of {seizure.name!r}"] = _ONSETS
    return files


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _in_another_order(gain: Gain, seizures: Sequence[Seizure], sensors: Sensors | None) -> bool:
    named = [seizure.channels for seizure in seizures]
    named += [] if sensors is None else [sensors.labels]
    return all(set(names) == set(gain.channels) for names in named)


def _without(part: Any, channels: set[str]) -> Any:
    """Of a gain, sensors or a seizure what is left without these channels; None for nothing."""
    if part is None:
        return None
    names = part.labels if isinstance(part, Sensors) else part.channels
    kept = [name for name in names if name not in channels]
    return part.take(kept) if kept else None


def _about(folder: Path) -> _About:
    path = folder / _ABOUT
    if not is_there(path, _ABOUT):
        return _About(folder.name)
    try:
        found = json.loads(decode(path.read_bytes(), _ABOUT), object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise ValueError(f"{_ABOUT} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ValueError(f'{_ABOUT} holds {found!r:.40}; give an object, {{"name": ...}}.')
    raise_all(_ABOUT, list(_problems_of_keys(found)))
    made: Any = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
    return _About(**({"name": folder.name} | made))


def _problems_of_keys(found: dict[str, Any]) -> Iterator[str]:
    known = [field.name for field in dataclasses.fields(_About)]
    for key, value in found.items():
        if key not in known:
            hint = near(key, known) or f"there are {', '.join(known)}."
            yield f"there is no key {key!r}; {hint}"
        elif key == "name":
            if not (isinstance(value, str) and value):
                yield f"name is {value!r:.60}; give a text."
        elif key in ("reach", "speed"):
            try:
                check_number(key, value, above=0.0)
            except (TypeError, ValueError) as error:
                yield str(error)
        elif not (isinstance(value, list) and all(isinstance(label, str) for label in value)):
            yield f"{key} is {value!r:.60}; give a list of labels."


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{_ABOUT}: the key {key!r} is there twice; give it once.")
    return dict(pairs)


def _connectome(folder: Path, speed: float) -> Connectome:
    path = folder / _BRAIN
    if not is_there(path, _BRAIN):
        raise ValueError(f"{_BRAIN} is missing; give it, in TVB's format (write_connectome_zip).")
    return read_connectome_zip(path, speed=speed)


def _sensors(folder: Path) -> Sensors | None:
    path = folder / _PLACES
    if not is_there(path, _PLACES):
        return None
    table = read_table(path, _PLACES)
    try:
        names, places = table.column("name"), table.numbers(("x", "y", "z"))
        table.check_rows()
        return Sensors(names, places, name="electrodes")
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(_PLACES) else f"{_PLACES}: {text}") from error


def _gain(folder: Path, brain: Connectome | None, sensors: Sensors | None) -> Gain | None:
    """From gain.tsv, by the labels of its columns, or of distances."""
    path = folder / _GAIN
    if not is_there(path, _GAIN):
        if not (folder / _PLACES).is_file():
            raise ValueError(
                f"{_GAIN} is missing; give it (channel, regions' labels), or {_PLACES} (name, x, "
                "y, z in mm)."
            )
        if brain is None or sensors is None:
            return None
        return inverse_square_gain(brain, sensors)
    table = read_table(path, _GAIN)
    channels, labels = table.column("channel"), [c for c in table.columns if c != "channel"]
    if brain is not None:
        extra = [label for label in labels if label not in brain.labels]
        lost = [label for label in brain.labels if label not in labels]
        if extra or lost:
            what = f"the columns {some(extra)} are no regions" if extra else "columns are missing"
            rest = f"; there is none for {some(lost)}" if lost else ""
            recurring = [label for label in extra if twice(label, brain.labels)]
            if recurring:
                raise ValueError(f"{_BRAIN}: {twice(recurring[0], brain.labels)}")
            raise ValueError(f"{_GAIN}: {what} of {_BRAIN}{rest}; give one for each region.")
        labels = list(brain.labels)
    try:
        table.check_rows()
        return Gain(table.numbers(labels), channels)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(_GAIN) else f"{_GAIN}: {text}") from error


def _recordings(folder: Path) -> list[Recording]:
    place = folder / _SEIZURES
    if place.is_file():
        raise ValueError(f"{_SEIZURES} is a file; put recordings into a folder of that name.")
    found = recordings_of(place) if place.is_dir() else []
    if not found:
        raise ValueError(
            f"{_SEIZURES}: there are no recordings; put one file for each seizure into it, of "
            f"{', '.join(BY_MNE)} or .tsv."
        )
    return found


def _onsets(
    folder: Path, recordings: Sequence[Recording]
) -> dict[str, tuple[Marks, dict[str, float]]]:
    """By the seizure's name: its own marks, and those of regions."""
    path = folder / _ONSETS
    if not is_there(path, _ONSETS):
        return {}
    table = read_table(path, _ONSETS)
    ends = table.column("end") if "end" in table.columns else (MISSING,) * len(table.rows)
    names = [recording.name for recording in recordings]
    found: dict[str, tuple[Marks, dict[str, float]]] = {}
    rows = zip(table.column("seizure"), table.column("region"), table.column("onset"), strict=True)
    for (name, region, onset), end, line in zip(rows, ends, table.lines, strict=True):
        where = f"{_ONSETS}, line {line}"
        # Without recordings, that is what is wrong.
        if names and name not in names:
            hint = near(name, names) or f"there are {some(names)}."
            raise ValueError(f"{where}: there is no recording of {name!r}; {hint}")
        marks, onsets = found.setdefault(name, (Marks(), {}))
        if region == MISSING:
            if marks != Marks():
                raise ValueError(f"{where}: {name!r} is marked twice; keep one of the rows.")
            begin, stop = (
                None if cell == MISSING else table.number(cell, line, column)
                for cell, column in ((onset, "onset"), (end, "end"))
            )
            found[name] = Marks(begin, stop), onsets
        elif region in onsets:
            raise ValueError(f"{where}: {region!r} is there twice for {name!r}; keep one.")
        else:
            onsets[region] = math.inf if onset == _NEVER else table.number(onset, line, "onset")
    return found


def _marked(
    recording: Recording, seizure: Seizure, given: dict[str, tuple[Marks, dict[str, float]]]
) -> Seizure:
    """With the marks of onsets.tsv, or of its events."""
    events = read_events(recording)
    marks, onsets = given.get(recording.name, (Marks(), {}))
    if events != Marks() and marks != Marks() and marks != events:
        raise ValueError(
            f"{_ONSETS}: {recording.name!r} is marked from {marks.onset} to {marks.end} s, and in "
            f"{recording.companion('events')[1]} from {events.onset} to {events.end} s; keep one."
        )
    marks = events if marks == Marks() else marks
    try:
        return dataclasses.replace(seizure, onset=marks.onset, end=marks.end, onsets=onsets or None)
    except ValueError as error:
        lines = (f"{_ONSETS}: {line}" for line in str(error).splitlines())
        raise ValueError("\n".join(lines)) from error
