"""Names of regions, in the order of their numbers, from the tables in which tools keep them.

| rows | written by |
|---|---|
| name | anyone |
| number, name | MRtrix's basic tables |
| number, name, R, G, B, A | FreeSurfer |
| number, short name, name, R, G, B, A | MRtrix (`labelconvert`) |
| short name, name, number | AAL |
| number, R, G, B, A, shown, mesh, "name" | ITK-SNAP |
| tabs or commas, a header with `index` and `name` or `label` | BIDS's `_dseg.tsv`, QSIRecon |
| a list of text in a .mat file | MATLAB |
"""

import os
from pathlib import Path

from tvbjax.io.archive import read_packed
from tvbjax.io.matlab import texts_of
from tvbjax.io.table import decode, fields_of

# By the number of fields in a row: where the number is, and where the name.
_PLACES = {2: (0, 1), 3: (2, 1), 6: (0, 1), 7: (0, 2), 8: (0, 7)}
_KNOWN = "'name', 'number name', or a lookup table of MRtrix, FreeSurfer, AAL, ITK-SNAP or BIDS"


def read_labels(path: str | os.PathLike[str], variable: str | None = None) -> tuple[str, ...]:
    """Names of regions 1, 2, ... from any of the tables of this module, without number 0, none.

    Arguments as of `read_numbered_labels`. Raises FileNotFoundError, and ValueError for other rows
    and for numbers that are missing.
    """
    names = read_numbered_labels(path, variable)
    missing = [n for n in range(1, len(names) + 1) if n not in names]
    if missing:
        raise ValueError(
            f"{path}: there is no region {missing[0]}, but {max(names)}; the matrices that MRtrix "
            "writes are of regions numbered from 1 without gaps. Give the table after labelconvert."
        )
    return tuple(names[n] for n in sorted(names))


def read_numbered_labels(
    path: str | os.PathLike[str], variable: str | None = None
) -> dict[int, str]:
    """Names of regions by their numbers in a parcellation, from any of the tables of this module,
    in its order and without number 0, none. A list of names alone counts from 1.

    Of several names for one number, which MRtrix's tables have where FreeSurfer's versions differ,
    it is the last. `variable`: of a .mat file with several lists of text. Raises FileNotFoundError,
    and ValueError for other rows.
    """
    path = Path(path)
    content = read_packed(path)
    if path.suffix.lower() == ".mat":
        return dict(enumerate(texts_of(content, str(path), variable), start=1))
    lines = [
        (number, line)
        for number, line in enumerate(decode(content, str(path)).splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ValueError(f"{path} is empty; it should hold names of regions.")
    delimiter = "\t" if "\t" in lines[0][1] else ","
    header = [field.strip() for field in lines[0][1].split(delimiter)]
    if "index" in header and ("name" in header or "label" in header):
        places = header.index("index"), header.index("name" if "name" in header else "label")
        rows = [(number, line.split(delimiter)) for number, line in lines[1:]]
        width = len(header)
    else:
        rows = [(number, fields_of(line)) for number, line in lines]
        width = len(rows[0][1])
        if width == 1:
            names = tuple(row[0] for row in _of_width(path, rows, 1))
            if any("," in name for name in names):
                raise ValueError(f"{path} has commas; put tabs or spaces in their place.")
            return dict(enumerate(names, start=1))
        if width not in _PLACES:
            raise ValueError(
                f"{path}, line {rows[0][0]}: {width} fields; known are {_KNOWN}. Names with spaces "
                "stand in double quotes."
            )
        places = _PLACES[width]
    return _by_number(path, rows, width, places)


def _by_number(
    path: Path, rows: list[tuple[int, list[str]]], width: int, places: tuple[int, int]
) -> dict[int, str]:
    names: dict[int, str] = {}
    for (number, _), row in zip(rows, _of_width(path, rows, width), strict=True):
        index, name = (row[place].strip() for place in places)
        if not index.isdecimal():
            raise ValueError(f"{path}, line {number}: {index!r} is no number of a region.")
        if not name:
            raise ValueError(f"{path}, line {number}: region {index} has no name.")
        names[int(index)] = name  # the last of several
    names.pop(0, None)
    if not names:
        raise ValueError(f"{path} names no region but 0, which is none.")
    return names


def _of_width(path: Path, rows: list[tuple[int, list[str]]], width: int) -> list[list[str]]:
    for number, row in rows:
        if len(row) != width:
            raise ValueError(
                f"{path}, line {number}: {len(row)} fields, but the rows before have {width}."
            )
    return [row for _, row in rows]
