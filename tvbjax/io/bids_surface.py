"""Surfaces in BIDS's folders, as TVB's importer takes them: `coord/*vertices.tsv`, `*faces.tsv`.

That dialect, BEP034 of 2021 to 2023, counts vertices from 1. GIFTI is what to write: `gifti`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tvbjax.io._bids import found_place, numbers
from tvbjax.surface import Surface


def read_bids_surface(
    folder: str | os.PathLike[str],
    subject: str,
    *,
    session: str | None = None,
    desc: str | None = None,
    closed: bool = True,
) -> Surface:
    """A subject's surface, or the one of all, `coord/` in the folder itself; mm as in the file.

    `desc`: a part of the files' names, where there are several. `closed`: whether it must be
    without holes. Faces may count from 0 or 1. Raises FileNotFoundError, and ValueError for tables
    that are no surface.
    """
    place = found_place(folder, subject, session)
    vertices_file = _one("vertices", (place, Path(folder)), desc)
    faces_file = _one("faces", (place, Path(folder)), desc)
    vertices, faces = numbers(vertices_file)[0], numbers(faces_file)[0]
    first = faces.min()
    if first not in (0.0, 1.0) or (faces != np.rint(faces)).any():
        raise ValueError(
            f"{faces_file}: the least number is {first:g}; faces are whole numbers of vertices, "
            "counted from 1, or from 0."
        )
    try:
        triangles = faces.astype(np.int64) - int(first)
        return Surface(vertices, triangles, closed=closed, name=f"sub-{subject}")
    except ValueError as error:
        raise ValueError(f"{faces_file}: {error}") from error


def _one(kind: str, places: Sequence[Path], desc: str | None) -> Path:
    """The only table of that kind, a person's before that of all."""
    for place in places:
        found = sorted((place / "coord").glob(f"*{kind}*.tsv"))
        found = [path for path in found if desc is None or desc in path.name]
        if len(found) > 1:
            there = ", ".join(path.name for path in found[:6])
            raise ValueError(f"{place}: several tables of {kind}: {there}; give desc=.")
        if found:
            return found[0]
    raise ValueError(f"{places[0]}: no table coord/*{kind}*.tsv, which a surface takes.")
