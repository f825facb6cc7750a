"""Connectomes in The Virtual Brain's zip format: text files in one archive, known by their names.

| member | content | needed |
|---|---|---|
| weights | (region, region), from column to row | yes |
| tract_lengths | (region, region), mm | yes |
| centres or centers | per region: label, x, y, z in mm | yes |
| average_orientations | (region, 3) | no |
| cortical | 0 or 1 per region | no |
| hemispheres | 1 on the right, 0 on the left | no |
| areas | mm² per region | no |

Members are `.txt`, `.txt.bz2` or `.npy` (never pickled; centres is text). The conduction speed is
not part of the format.
"""

import os
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.io.archive import Archive, open_archive
from tvbjax.io.atomic import atomic_path
from tvbjax.io.lengths import in_millimetres
from tvbjax.io.table import labelled_numbers_from_text, numbers_from_npy, numbers_from_text
from tvbjax.regions import hemispheres_from_labels

_SUFFIXES = (".txt", ".txt.bz2", ".npy")
# Per subject: its own file names, and what a file name of that subject contains.
_SUBJECTS = {
    "weights": (("weights",), ("weight",)),
    "tract_lengths": (("tract_lengths",), ("tract",)),
    "centres": (("centres", "centers"), ("centres", "centers")),
    "orientations": (("average_orientations",), ("orientation",)),
    "cortical": (("cortical",), ("cortical",)),
    "hemispheres": (("hemispheres",), ("hemisphere",)),
    "areas": (("areas",), ("area",)),
}
_NEEDED = {
    "weights": "weights.txt (connection strengths, one row per target region)",
    "tract_lengths": "tract_lengths.txt (mm, one row per target region; zeros mean no delays)",
    "centres": "centres.txt (per region: label x y z, in mm)",
}
# Zip's earliest date on every member: equal connectomes give equal bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def read_connectome_zip(
    path: str | os.PathLike[str],
    *,
    speed: float = 3.0,
    unit: float = 1.0,
    lengths: bool = True,
    limit_bytes: int = 1 << 29,
) -> Connectome:
    """A connectome from a TVB zip; weights exactly as in the file, never normalised.

    `speed`: conduction speed in mm/ms, which the format does not hold. `unit`: mm in the file's
    unit of length, 0.1 for TVB's Allen mouse. `lengths`: False leaves out centres and tract lengths
    (then there are no delays). `limit_bytes`: how much the archive may unpack to (512 MiB). A
    member belongs to a subject if its file name is the subject's own, else if it contains the
    subject's word (weight, tract, centres or centers, orientation, cortical, hemisphere, area), in
    upper or lower case; other members are ignored. Labels that recur are numbered (rLOF, rLOF
    become rLOF_0, rLOF_1), since a label means one region. Hemispheres that the archive lacks are
    guessed by `hemispheres_from_labels`, or None.

    Raises FileNotFoundError, and ValueError for an archive that is not safe, not complete or not
    consistent, or whose lengths are placeholders.
    """
    with open_archive(path, limit_bytes) as archive:
        members = _members_by_subject(archive)
        centres_name = members["centres"]
        if centres_name.lower().endswith(".npy"):
            raise ValueError(
                f"{archive.path}: {centres_name} holds no labels; save it as text: label x y z."
            )
        labels, centres = labelled_numbers_from_text(
            archive.read(centres_name), f"{archive.path}: {centres_name}", columns=3
        )
        size = len(labels)
        shapes = {
            "weights": (size, size),
            "tract_lengths": (size, size),
            "orientations": (size, 3),
            "cortical": (size,),
            "hemispheres": (size,),
            "areas": (size,),
        }
        arrays: dict[str, Any] = {
            subject: _array(archive, members[subject], shape, centres_name)
            for subject, shape in shapes.items()
            if subject in members
        }
    labels = _numbered(labels)
    arrays |= {"centres": centres}
    arrays = in_millimetres(arrays, unit, lengths, str(path))
    arrays.setdefault("hemispheres", hemispheres_from_labels(labels))
    try:
        return Connectome(**arrays, speed=speed, labels=labels, name=_stem(Path(path).name))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_connectome_zip(connectome: Connectome, path: str | os.PathLike[str]) -> None:
    """Write a TVB zip, which TVB and `read_connectome_zip` read; an existing file is replaced.

    Numbers are written so that they read back bit for bit. The file appears whole or not at all.
    The format has no place for the conduction speed and the name. Raises ValueError if the
    connectome has no centres, or labels that the format cannot hold; FileNotFoundError without the
    folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"write_connectome_zip: {path} is a folder; name a file in it.")
    texts = _texts(connectome)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "x") as file:
        for name, text in texts.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            file.writestr(info, text.encode())


def _members_by_subject(archive: Archive) -> dict[str, str]:
    """Which member holds which subject; an unclear or missing one is an error."""
    stems = {name: _stem(PurePosixPath(name).name).lower() for name in archive.names}
    readable = {name: stem for name, stem in stems.items() if name.lower().endswith(_SUFFIXES)}
    found: dict[str, str] = {}
    for subject, (own, words) in _SUBJECTS.items():
        exact = [name for name, stem in readable.items() if stem in own]
        taken = {name for name, stem in readable.items() if _is_own_name(stem)}
        matching = exact or [
            name
            for name, stem in readable.items()
            if name not in taken and any(word in stem for word in words)
        ]
        if len(matching) > 1:
            raise ValueError(
                f"{archive.path}: several members could be the {subject}: {', '.join(matching)}; "
                "keep one of them."
            )
        if matching:
            found[subject] = matching[0]
    for name, count in Counter(found.values()).items():
        if count > 1:
            subjects = [subject for subject, member in found.items() if member == name]
            raise ValueError(
                f"{archive.path}: {name} could be the {' or the '.join(subjects)}; rename it."
            )
    missing = [text for subject, text in _NEEDED.items() if subject not in found]
    if missing:
        there = ", ".join(archive.names[:20]) or "nothing"
        raise ValueError(
            f"{archive.path}: there is no {' and no '.join(missing)}. "
            f"The archive holds: {there}. Members are read as {', '.join(_SUFFIXES)}."
        )
    return found


def _is_own_name(stem: str) -> bool:
    return any(stem in own for own, _ in _SUBJECTS.values())


def _stem(filename: str) -> str:
    for suffix in (".bz2", ".txt", ".npy", ".zip"):
        if filename.lower().endswith(suffix):
            filename = filename[: -len(suffix)]
    return filename


def _array(archive: Archive, name: str, shape: tuple[int, ...], centres_name: str) -> np.ndarray:
    """A member's numbers in this shape; a vector may be a row or a column."""
    where = f"{archive.path}: {name}"
    read = numbers_from_npy if name.lower().endswith(".npy") else numbers_from_text
    array = read(archive.read(name), where)
    if len(shape) == 1 and array.shape in ((shape[0], 1), (1, shape[0])):
        array = array.reshape(shape)
    if array.shape != shape:
        raise ValueError(
            f"{where} has the shape {array.shape}, but {centres_name} lists {shape[0]} regions, "
            f"for which {shape} fits; make the two agree."
        )
    return array


def _numbered(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels, with those that recur numbered from 0 in order of appearance."""
    labels = tuple(labels)
    counts = Counter(labels)
    used: Counter[str] = Counter()
    result = []
    for label in labels:
        if counts[label] > 1:
            result.append(f"{label}_{used[label]}")
            used[label] += 1
        else:
            result.append(label)
    return tuple(result)


def _texts(connectome: Connectome) -> dict[str, str]:
    """Content of every member by its name."""
    regions = connectome.regions
    if regions.centres is None:
        raise ValueError(
            f"write_connectome_zip: {connectome.name!r} has no centres, which the format needs; "
            "pass centres (mm, one row per region) to Connectome."
        )
    for i, label in enumerate(regions.labels):
        if any(c.isspace() or c in '#"' for c in label):
            raise ValueError(
                f"write_connectome_zip: labels[{i}] is {label!r}, but a label in this format holds "
                "no white space, no '#' and no '\"'; replace them, e.g. by '_'."
            )
    texts = {
        "weights.txt": _matrix(connectome.weights),
        "tract_lengths.txt": _matrix(connectome.tract_lengths),
        "centres.txt": "".join(
            f"{label} {row}\n"
            for label, row in zip(
                regions.labels, _matrix(regions.centres).splitlines(), strict=True
            )
        ),
        "info.txt": 'weights_unit = "au"\nlength_unit = "mm"\narea_unit = "mm^2"\n',
    }
    optional = {
        "average_orientations.txt": regions.orientations,
        "cortical.txt": regions.cortical,
        "hemispheres.txt": regions.hemispheres,
        "areas.txt": regions.areas,
    }
    for name, array in optional.items():
        if array is not None:
            texts[name] = _matrix(array)
    return texts


def _matrix(values: Any) -> str:
    """One line per row; the shortest text of each number that reads back as the same float64."""
    array = np.asarray(values)
    text = (lambda x: str(int(x))) if array.dtype == bool else (lambda x: repr(float(x)))
    rows = array[:, None] if array.ndim == 1 else array
    return "".join(" ".join(map(text, row.tolist())) + "\n" for row in rows)
