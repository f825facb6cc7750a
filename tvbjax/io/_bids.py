"""What is common to files in BIDS's folders: names, tables, sidecars, the derivative's description.

Knows no connectome and no series.
"""

import importlib.metadata
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.io.atomic import atomic_path
from tvbjax.io.table import decode

_NAME = re.compile(r"[A-Za-z0-9]+")
# No slash at the end: the validator takes `model/` for nothing.
_IGNORED = (
    *("**/*_relmat*", "**/*_nodeindices.tsv", "**/net", "**/ts", "model"),
    "**/*_timeseries.tsv",
    "**/*_timeseries.json",
    *("ro-crate-metadata.json", "*_quality.png", "*_connectome.zip", "steps", "*.nc", "*.zarr"),
)


def checked_names(function: str, **names: str | None) -> None:
    """Raise ValueError for a name that is none in BIDS; None is left out."""
    for what, name in names.items():
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(
                f"{function}: {what} is {name!r}; BIDS's names are letters and digits."
            )


def place_of(root: Path, subject: str, session: str | None) -> tuple[Path, str]:
    """The folder of a person or a session, and how its files' names begin."""
    place, stem = root / f"sub-{subject}", f"sub-{subject}"
    if session is None:
        return place, stem
    return place / f"ses-{session}", f"{stem}_ses-{session}"


def found_place(folder: str | os.PathLike[str], subject: str, session: str | None) -> Path:
    """The folder of a person or a session that is there. Raises FileNotFoundError."""
    root = Path(folder)
    place = place_of(root, subject, session)[0]
    if not place.is_dir():
        parent, kind = (root, "sub-*") if session is None else (place.parent, "ses-*")
        people = sorted(one.name for one in parent.glob(kind) if one.is_dir())
        there = ", ".join(people[:6]) or f"no folder {kind}"
        raise FileNotFoundError(f"{parent}: there is no {place.name}; there is {there}.")
    return place


def numbers(path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """A table, and the labels of its first row, if there are any. Raises ValueError.

    Columns are between tabs, or between white space. A first column without a name numbers or
    names the rows, as pandas writes it, and is left out.
    """
    where = str(path)
    rows = [line.split("\t") for line in decode(path.read_bytes(), where).splitlines() if line]
    rows = [line[0].split() if len(line) == 1 else line for line in rows]
    header = None
    if rows and not all(map(is_number, rows[0])):
        header, rows = tuple(rows[0]), rows[1:]
        if not header[0].strip() and len(header) > 1:
            header, rows = header[1:], [row[1:] for row in rows]
    found = []
    for number, row in enumerate(rows, start=1 if header is None else 2):
        wrong = [text for text in row if not is_number(text)]
        if wrong:
            raise ValueError(f"{where}, line {number}: {wrong[0]!r} is not a number.")
        width = len(header or rows[0])
        if len(row) != width:
            raise ValueError(
                f"{where}, line {number}: {len(row)} numbers, where the line before has {width}."
            )
        found.append([float(text) for text in row])
    if not found:
        raise ValueError(f"{where} is empty; it should hold rows of numbers.")
    return np.array(found), header


def check_finite(path: Path, values: np.ndarray) -> None:
    """Raise ValueError for infinity and NaN, where nothing later would say so."""
    if not np.isfinite(values).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(
            f"{path}: {values[first]} at {first}, counted from 0; give what is finite."
        )


def matrix(path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """A square table, and the labels of its first row, if there are any. Raises ValueError."""
    found, header = numbers(path)
    if found.shape[0] != found.shape[1]:
        raise ValueError(
            f"{path}, line {1 if header is None else 2}: {found.shape[1]} numbers in a table of "
            f"{found.shape[0]} rows; a row has one for each region."
        )
    return found, header


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def write_table(path: Path, rows: np.ndarray) -> None:
    """Numbers between tabs, as many digits as they have."""
    text = "".join("\t".join(map(repr, row)) + "\n" for row in np.asarray(rows, float).tolist())
    write_text(path, text)


def labels_of(root: Path, table: Path, names: Iterable[Any], size: int) -> tuple[str, ...] | None:
    """Labels of the first file of indices (`NodeFiles`) that is there."""
    for name in names:
        path = within(root, table, str(name))
        if path is not None:
            lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
            column = lines[0].index("name") if "name" in lines[0] else -1
            return fitting(path, [line[column] for line in lines[1:]], size)
    return None


def fitting(path: Path, labels: Sequence[str], size: int) -> tuple[str, ...]:
    if len(labels) != size:
        raise ValueError(f"{path}: {len(labels)} labels for {size} regions.")
    return tuple(labels)


def sidecar_of(table: Path) -> dict[str, Any]:
    """What the JSON file beside a table says, nothing where there is none. Raises ValueError."""
    path = sidecar_path(table)
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: no readable JSON ({error}).") from error
    return found if isinstance(found, dict) else {}


def sidecar_path(table: Path) -> Path:
    name = re.sub(r"((\.dense)?\.tsv|(\.ptseries)?\.nii(\.gz)?|\.h5)$", ".json", table.name)
    return table.with_name(name)


def texts(value: Any) -> tuple[str, ...]:
    """The names of a sidecar's entry: one, or a list of some."""
    values = value if isinstance(value, list) else [value]
    return tuple(one for one in values if isinstance(one, str))


def within(root: Path, table: Path, name: str) -> Path | None:
    """A file that a sidecar names, relative to the table or the folder; none outside of it."""
    for base in (table.parent, root):
        path = (base / name.removeprefix("bids::").lstrip("/")).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path
    return None


def write_indices(root: Path, atlas: str, labels: Sequence[str]) -> Path:
    """The names of an atlas's regions, `atlas-*_nodeindices.tsv`. Raises ValueError where there is
    such a file of other regions."""
    wrong = [label for label in labels if not label.strip() or set(label) & set("\t\n\r")]
    if wrong:
        raise ValueError(
            f"the region {wrong[0]!r} has a tab, a new line or nothing in its name; tables of BIDS "
            "cannot hold it."
        )
    path = root / f"atlas-{atlas}_nodeindices.tsv"
    rows = [f"{i}\t{label}" for i, label in enumerate(labels)]
    text = "\n".join(["index\tname", *rows]) + "\n"
    if path.is_file() and path.read_text() != text:
        raise ValueError(
            f"{path} has other regions than these {len(labels)}, {', '.join(labels[:3])}, ...; "
            "give another atlas, or another folder."
        )
    write_text(path, text)
    return path


def describe(root: Path) -> None:
    """What makes a folder a derivative of BIDS, where it is not there."""
    description = root / "dataset_description.json"
    if not description.is_file():
        made = {
            "Name": "Connectomes and simulations",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [software()],
        }
        write_json(description, made)
    ignored = root / ".bidsignore"
    lines = ignored.read_text().splitlines() if ignored.is_file() else []
    missing = [line for line in _IGNORED if line not in lines]
    if missing:
        write_text(ignored, "\n".join([*lines, *missing]) + "\n")


def software() -> dict[str, str]:
    return {"Name": "tvbjax", "Version": importlib.metadata.version("tvbjax")}


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text)
