"""Connectomes in BIDS's folders: written as relation matrices, read in the dialects that there are.

| dialect | weights, lengths |
|---|---|
| BEP017, draft; written here | `*_meas-<measure>_relmat.dense.tsv`, `.json`, `_nodeindices.tsv` |
| BEP034 of pull request 967, old BEP017 | `connectivity/*_conndata-network_connectivity.tsv` |
| TVB's pipeline converter | the same, regions in `anat/*_desc-centroid_morph.tsv` |
| BEP034 of 2021 to 2023, TVB's importer | `net/*weights.tsv`, `net/*distances.tsv` |
| BEP034 of tvbo | `net/*_net-weights_id-*.tsv`, `net/*_net-distances_id-*.tsv` |

Rows are targets, columns senders, as in TVB. None of it is part of BIDS 1.11 yet.
"""

import importlib.metadata
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.io.atomic import atomic_path
from tvbjax.io.table import decode, labelled_numbers_from_text
from tvbjax.regions import hemispheres_from_labels

WEIGHTS, LENGTHS = "streamlineWeight", "tractLength"
_WORDS = {
    "weights": ("weight", "count", "strength"),
    "tract_lengths": ("length", "distance"),
}
_PATTERNS = (
    "**/*_relmat.dense.tsv",
    "**/*_conndata-network_connectivity.tsv",
    "**/net/*weights*.tsv",
    "**/net/*distances*.tsv",
)
_NAME = re.compile(r"[A-Za-z0-9]+")
_IGNORED = ("**/*_relmat*", "**/*_nodeindices.tsv", "sub-*/net", "sub-*/ts", "model")


def write_bids_connectome(
    connectome: Connectome,
    folder: str | os.PathLike[str],
    subject: str,
    *,
    atlas: str,
    session: str | None = None,
    measure: str = WEIGHTS,
) -> tuple[Path, ...]:
    """Write a connectome into a BIDS derivative, which is made where it is not there yet.

    `subject`, `session`, `atlas`, `measure`: letters and digits, as in `sub-01`, `atlas-DK`,
    `meas-streamlineWeight`. Files of the same names are replaced. Returns the tables that were
    written: weights, lengths, indices of the regions. Raises ValueError for other names.
    """
    given = {"subject": subject, "atlas": atlas, "measure": measure}
    given |= {} if session is None else {"session": session}
    for what, name in given.items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"write_bids_connectome: {what} is {name!r}; BIDS's names are letters and digits."
            )
    root = Path(folder)
    place = root / f"sub-{subject}"
    stem = f"sub-{subject}"
    if session is not None:
        place, stem = place / f"ses-{session}", f"{stem}_ses-{session}"
    place = place / "dwi"
    place.mkdir(parents=True, exist_ok=True)
    _describe(root)
    indices = root / f"atlas-{atlas}_nodeindices.tsv"
    rows = [f"{i}\t{label}" for i, label in enumerate(connectome.labels)]
    _write(indices, "\n".join(["index\tname", *rows]) + "\n")
    written = []
    for kind, values, unit, what in (
        (measure, connectome.weights, "", "strength of connections"),
        (LENGTHS, connectome.tract_lengths, "mm", "mean length of tracts"),
    ):
        table = place / f"{stem}_atlas-{atlas}_meas-{kind}_relmat.dense.tsv"
        array = np.asarray(values, float)
        text = "".join("\t".join(map(repr, row)) + "\n" for row in array.tolist())
        _write(table, text)
        sidecar = {
            "Description": f"{what}, from column (sender) to row (target)",
            "RelationshipMeasure": kind,
            "Directed": not np.array_equal(array, array.T),
            "Weighted": True,
            "ValidDiagonal": bool(np.diag(array).any()),
            "NonNegative": bool((array >= 0).all()),
            "Axes": ["target", "sender"],
            "NodeFiles": [indices.name],
            "Software": [{"Name": "tvbjax", "Version": importlib.metadata.version("tvbjax")}],
        } | ({"Units": unit} if unit else {})
        _write(table.with_name(table.name.replace(".dense.tsv", ".json")), _json(sidecar))
        written.append(table)
    return (*written, indices)


def read_bids_connectome(
    folder: str | os.PathLike[str],
    subject: str,
    *,
    session: str | None = None,
    atlas: str | None = None,
    centres: bool = True,
    speed: float = 3.0,
) -> Connectome:
    """A subject's connectome from a BIDS folder, in any of the dialects of this module.

    `atlas`: which one, where there are several. Labels are those that the folder gives, else
    region_0, region_1, ... Without lengths there are no delays. `centres`: False leaves them out,
    as where TVB's converter wrote NaN for a region that the person's parcellation lacks.

    Raises FileNotFoundError for a folder without that subject, and ValueError for one without a
    connectome, with several, or with tables that do not fit.
    """
    root = Path(folder)
    people = sorted(one.name for one in root.glob("sub-*") if one.is_dir())
    place = root / f"sub-{subject}"
    if not place.is_dir():
        there = ", ".join(people[:6]) or "no folder sub-*"
        raise FileNotFoundError(f"{root}: there is no sub-{subject}; there is {there}.")
    if session is not None:
        place = place / f"ses-{session}"
    found = sorted({path for pattern in _PATTERNS for path in place.glob(pattern)})
    if atlas is not None:
        found = [path for path in found if f"atlas-{atlas}_" in path.name]
    tables = {kind: _of_kind(found, kind, place) for kind in _WORDS}
    weights = tables["weights"]
    if weights is None:
        known = ", ".join(path.name for path in found[:6]) or "no table of connections"
        raise ValueError(
            f"{place}: no table of weights; there is {known}. Known are {', '.join(_PATTERNS)}."
        )
    matrix, header = _table(weights)
    arrays: dict[str, Any] = {"weights": matrix}
    if (lengths := tables["tract_lengths"]) is not None:
        arrays["tract_lengths"] = _table(lengths)[0]
    size = len(matrix)
    labels, places = _nodes(root, weights, header, size)
    try:
        return Connectome(
            **arrays,
            speed=speed,
            labels=labels,
            centres=places if centres else None,
            hemispheres=None if labels is None else hemispheres_from_labels(labels),
            name=f"sub-{subject}",
        )
    except ValueError as error:
        raise ValueError(f"{weights}: {error}") from error


def _of_kind(found: Sequence[Path], kind: str, place: Path) -> Path | None:
    """The one table of that kind; others may say nothing of theirs, and are weights."""
    words = _WORDS[kind]
    named = [path for path in found if any(word in path.name.lower() for word in words)]
    if kind == "weights" and not named:
        lengths = _WORDS["tract_lengths"]
        named = [path for path in found if not any(word in path.name.lower() for word in lengths)]
    if len(named) > 1:
        raise ValueError(
            f"{place}: several tables of {kind.replace('_', ' ')}: "
            f"{', '.join(path.name for path in named[:6])}; give atlas= or session=."
        )
    return named[0] if named else None


def _table(path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """A square matrix, and the labels of its first row, if there are any."""
    where = str(path)
    rows = [line.split("\t") for line in decode(path.read_bytes(), where).splitlines() if line]
    rows = [line[0].split() if len(line) == 1 else line for line in rows]
    header = None
    if rows and not all(map(_is_number, rows[0])):
        header, rows = tuple(rows[0]), rows[1:]
    numbers = []
    for number, row in enumerate(rows, start=1 if header is None else 2):
        wrong = [text for text in row if not _is_number(text)]
        if wrong:
            raise ValueError(f"{where}, line {number}: {wrong[0]!r} is not a number.")
        if len(row) != len(rows):
            raise ValueError(
                f"{where}, line {number}: {len(row)} numbers in a table of {len(rows)} rows; a row "
                "has one for each region."
            )
        numbers.append([float(text) for text in row])
    if not numbers:
        raise ValueError(f"{where} is empty; it should hold a matrix.")
    return np.array(numbers), header


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _nodes(
    root: Path, table: Path, header: tuple[str, ...] | None, size: int
) -> tuple[tuple[str, ...] | None, np.ndarray | None]:
    """Labels and centres: of the header, or of the files that the sidecar names."""
    sidecar = _sidecar(table)
    for name in sidecar.get("NodeFiles", ()):
        path = _within(root, table, str(name))
        if path is not None:
            lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
            column = lines[0].index("name") if "name" in lines[0] else -1
            return _fitting(path, [line[column] for line in lines[1:]], size), None
    places = sidecar.get("CoordsRows", ())
    files = [_within(root, table, str(name)) for name in places if isinstance(name, str)]
    labels, centres = _centroids(table, size)
    for path in files:
        if path is None:
            continue
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
        if len(lines) == size and all(
            len(line) == 3 and all(map(_is_number, line)) for line in lines
        ):
            centres = np.array(lines, float)
        else:
            labels = _fitting(path, [line[0] for line in lines], size)
    return labels if labels is not None else header, centres


def _centroids(table: Path, size: int) -> tuple[tuple[str, ...] | None, np.ndarray | None]:
    """Labels and centres that TVB's pipeline converter keeps with the anatomy, if any."""
    for path in table.parent.parent.glob("anat/*_desc-centroid_morph.tsv"):
        rows = "\n".join(path.read_text().splitlines()[1:])  # the first one names the columns
        labels, centres = labelled_numbers_from_text(rows.encode(), f"{path} (no header)", 3)
        return _fitting(path, labels, size), centres
    return None, None


def _fitting(path: Path, labels: Sequence[str], size: int) -> tuple[str, ...]:
    if len(labels) != size:
        raise ValueError(f"{path}: {len(labels)} labels for {size} regions.")
    return tuple(labels)


def _sidecar(table: Path) -> dict[str, Any]:
    path = table.with_name(re.sub(r"(\.dense)?\.tsv$", ".json", table.name))
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: no readable JSON ({error}).") from error
    return found if isinstance(found, dict) else {}


def _within(root: Path, table: Path, name: str) -> Path | None:
    """A file that a sidecar names, relative to the table or the folder; none outside of it."""
    for base in (table.parent, root):
        path = (base / name.removeprefix("bids::").lstrip("/")).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path
    return None


def _describe(root: Path) -> None:
    """What makes a folder a derivative of BIDS, where it is not there."""
    description = root / "dataset_description.json"
    if not description.is_file():
        made = {"Name": "tvbjax", "Version": importlib.metadata.version("tvbjax")}
        _write(
            description,
            _json(
                {
                    "Name": "Connectomes",
                    "BIDSVersion": "1.10.0",
                    "DatasetType": "derivative",
                    "GeneratedBy": [made],
                }
            ),
        )
    ignored = root / ".bidsignore"
    lines = ignored.read_text().splitlines() if ignored.is_file() else []
    missing = [line for line in _IGNORED if line not in lines]
    if missing:
        _write(ignored, "\n".join([*lines, *missing]) + "\n")


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text)
