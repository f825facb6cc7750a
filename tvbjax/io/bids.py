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

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.io._bids import (
    checked_names,
    describe,
    found_place,
    matrix,
    place_of,
    write_indices,
)
from tvbjax.io._bids_relation import nodes_of, write_relation
from tvbjax.io.lengths import check_no_placeholders
from tvbjax.regions import hemispheres_from_labels

WEIGHTS, LENGTHS = "streamlineWeight", "tractLength"
_OF_LENGTHS = ("length", "distance")
_PATTERNS = (
    "**/*_relmat.dense.tsv",
    "**/*_conndata-network_connectivity.tsv",
    "**/net/*weights*.tsv",
    "**/net/*distances*.tsv",
)
Folder = str | os.PathLike[str]


def write_bids_connectome(
    connectome: Connectome,
    folder: Folder,
    subject: str,
    *,
    atlas: str,
    session: str | None = None,
    measure: str = WEIGHTS,
) -> tuple[Path, ...]:
    """Write a connectome into a BIDS derivative, which is made where it is not there yet.

    `subject`, `session`, `atlas`, `measure`: letters and digits, as in `sub-01`, `atlas-DK`,
    `meas-streamlineWeight`. Files of the same names are replaced. Returns the tables that were
    written: weights, lengths, indices of the regions. Raises ValueError for other names, or an
    atlas that has other regions in this folder.
    """
    checked_names(
        "write_bids_connectome", subject=subject, session=session, atlas=atlas, measure=measure
    )
    root = Path(folder)
    place, stem = place_of(root, subject, session)
    root.mkdir(parents=True, exist_ok=True)
    indices = write_indices(root, atlas, connectome.labels)
    describe(root)
    start = f"{stem}_atlas-{atlas}"
    senders = {"Axes": ["target", "sender"]}
    length = {"Description": "mean length of tracts in mm, from column (sender) to row (target)"}
    strength = {"Description": "strength of connections, from column (sender) to row (target)"}
    tables = [
        write_relation(place / "dwi", start, kind, np.asarray(values), indices, senders | about)
        for kind, values, about in (
            (measure, connectome.weights, strength),
            (LENGTHS, connectome.tract_lengths, length | {"Units": "mm"}),
        )
    ]
    return (*tables, indices)


def read_bids_connectome(
    folder: Folder,
    subject: str,
    *,
    session: str | None = None,
    atlas: str | None = None,
    measure: str | None = None,
    centres: bool = True,
    lengths: bool = True,
    speed: float = 3.0,
) -> Connectome:
    """A subject's connectome from a BIDS folder, in any of the dialects of this module.

    `atlas`, `measure`: which one, where there are several. Labels are those that the folder gives,
    else region_0, region_1, ... Without lengths there are no delays. `centres`: False leaves them
    out, as where TVB's converter wrote NaN for a region that the person's parcellation lacks;
    `lengths`: False leaves those out. What is written here has no centres.

    Raises FileNotFoundError for a folder without that subject, and ValueError for one without a
    connectome, with several, or with tables that do not fit.
    """
    root, place = Path(folder), found_place(folder, subject, session)
    found = sorted({path for pattern in _PATTERNS for path in place.glob(pattern)})
    found = [path for path in found if path.parent.name != "func"]
    if atlas is not None:
        found = [path for path in found if f"atlas-{atlas}_" in path.name]
    if measure is not None:
        found = [p for p in found if f"meas-{measure}_" in p.name or _is_of_lengths(p)]
    weights = _only([path for path in found if not _is_of_lengths(path)], "weights", place)
    tracts = _only([path for path in found if _is_of_lengths(path)], "tract lengths", place)
    if weights is None:
        known = ", ".join(path.name for path in found[:6]) or "no table of connections"
        raise ValueError(
            f"{place}: no table of weights; there is {known}. Known are {', '.join(_PATTERNS)}."
        )
    values, header = matrix(weights)
    arrays: dict[str, Any] = {"weights": values}
    if tracts is not None and lengths:
        arrays["tract_lengths"] = matrix(tracts)[0]
        check_no_placeholders(arrays, str(tracts))
    labels, places = nodes_of(root, weights, header, len(values))
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


def _is_of_lengths(path: Path) -> bool:
    """What says nothing of lengths is of weights, whatever these are called."""
    return any(word in path.name.lower() for word in _OF_LENGTHS)


def _only(tables: Sequence[Path], kind: str, place: Path) -> Path | None:
    if len(tables) > 1:
        raise ValueError(
            f"{place}: several tables of {kind}: {', '.join(path.name for path in tables[:6])}; "
            "give atlas=, measure= or session=."
        )
    return tables[0] if tables else None
