"""Relations of regions in BIDS's folders: written as relation matrices, read in the dialects that
there are.

| dialect | weights, lengths | functional connectivity |
|---|---|---|
| BEP017, draft; written here | `*_meas-<measure>_relmat.dense.tsv`, `.json`, `_nodeindices.tsv` | so, too |
| BEP034 of pull request 967, old BEP017 | `connectivity/*_conndata-network_connectivity.tsv` | |
| BEP034 of 2021 to 2023, TVB's importer | `net/*weights.tsv`, `net/*distances.tsv` | `spatial/*_fc.tsv` |
| BEP034 of tvbo | `net/*_net-weights_id-*.tsv`, `net/*_net-distances_id-*.tsv` | |

Rows are targets, columns senders, as in TVB. None of it is part of BIDS 1.11 yet.
"""  # noqa: E501 - a table

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.io._bids import (
    checked_names,
    describe,
    fitting,
    found_place,
    is_number,
    labels_of,
    matrix,
    place_of,
    sidecar_of,
    sidecar_path,
    software,
    texts,
    within,
    write_indices,
    write_json,
    write_table,
)
from tvbjax.regions import hemispheres_from_labels

if TYPE_CHECKING:
    import xarray as xr

WEIGHTS, LENGTHS = "streamlineWeight", "tractLength"
PEARSON = "pearsonCorrelation"
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
_FUNCTIONAL = ("func/*_relmat.dense.tsv", "spatial/*_fc*.tsv", "spatial/*-fc*.tsv")
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
        _write_relation(place / "dwi", start, kind, np.asarray(values), indices, senders | about)
        for kind, values, about in (
            (measure, connectome.weights, strength),
            (LENGTHS, connectome.tract_lengths, length | {"Units": "mm"}),
        )
    ]
    return (*tables, indices)


def write_bids_connectivity(
    connectivity: np.ndarray,
    labels: Sequence[str],
    folder: Folder,
    subject: str,
    *,
    atlas: str,
    desc: str | None = None,
    session: str | None = None,
    measure: str = PEARSON,
) -> Path:
    """Write functional connectivity, (region, region), into `func` of a BIDS derivative.

    `desc`: of what, for example a simulation; names as in `write_bids_connectome`. Returns the
    table. Raises ValueError for other names or shapes, or values that are not finite.
    """
    given = {"subject": subject, "session": session, "atlas": atlas, "desc": desc}
    checked_names("write_bids_connectivity", **given, measure=measure)
    values = np.asarray(connectivity, float)
    if values.shape != (len(labels), len(labels)) or not np.isfinite(values).all():
        raise ValueError(
            f"write_bids_connectivity: the matrix has the shape {values.shape} for {len(labels)} "
            "labels, or values that are not finite; give one finite number for each two regions."
        )
    root = Path(folder)
    place, stem = place_of(root, subject, session)
    root.mkdir(parents=True, exist_ok=True)
    indices = write_indices(root, atlas, labels)
    describe(root)
    start = f"{stem}_atlas-{atlas}" + (f"_desc-{desc}" if desc else "")
    about = {"Description": "functional connectivity of regions"}
    return _write_relation(place / "func", start, measure, values, indices, about)


def read_bids_connectome(
    folder: Folder,
    subject: str,
    *,
    session: str | None = None,
    atlas: str | None = None,
    speed: float = 3.0,
) -> Connectome:
    """A subject's connectome from a BIDS folder, in any of the dialects of this module.

    `atlas`: which one, where there are several. Labels are those that the folder gives, else
    region_0, region_1, ... Without lengths there are no delays.

    Raises FileNotFoundError for a folder without that subject, and ValueError for one without a
    connectome, with several, or with tables that do not fit.
    """
    root, place = Path(folder), found_place(folder, subject, session)
    found = sorted({path for pattern in _PATTERNS for path in place.glob(pattern)})
    found = [path for path in found if path.parent.name != "func"]
    if atlas is not None:
        found = [path for path in found if f"atlas-{atlas}_" in path.name]
    tables = {kind: _of_kind(found, kind, place) for kind in _WORDS}
    weights = tables["weights"]
    if weights is None:
        known = ", ".join(path.name for path in found[:6]) or "no table of connections"
        raise ValueError(
            f"{place}: no table of weights; there is {known}. Known are {', '.join(_PATTERNS)}."
        )
    values, header = matrix(weights)
    arrays: dict[str, Any] = {"weights": values}
    if (lengths := tables["tract_lengths"]) is not None:
        arrays["tract_lengths"] = matrix(lengths)[0]
    labels, centres = _nodes(root, weights, header, len(values))
    try:
        return Connectome(
            **arrays,
            speed=speed,
            labels=labels,
            centres=centres,
            hemispheres=None if labels is None else hemispheres_from_labels(labels),
            name=f"sub-{subject}",
        )
    except ValueError as error:
        raise ValueError(f"{weights}: {error}") from error


def read_bids_connectivity(
    folder: Folder,
    subject: str,
    *,
    session: str | None = None,
    atlas: str | None = None,
    desc: str | None = None,
) -> "xr.DataArray":
    """A subject's functional connectivity, dims (region, other_region), its sidecar in `attrs`.

    `atlas`, `desc`: which one, where there are several; in TVB's folders `desc` is a part of the
    file's name, such as `sim_fc`. Raises FileNotFoundError and ValueError as
    `read_bids_connectome`.
    """
    import xarray as xr

    root, place = Path(folder), found_place(folder, subject, session)
    found = sorted({path for pattern in _FUNCTIONAL for path in place.glob(pattern)})
    if atlas is not None:
        found = [path for path in found if f"atlas-{atlas}_" in path.name]
    if desc is not None:
        found = [path for path in found if f"desc-{desc}_" in path.name or desc in path.stem]
    if len(found) != 1:
        there = ", ".join(path.name for path in found[:6]) or f"none of {', '.join(_FUNCTIONAL)}"
        raise ValueError(
            f"{place}: it takes one table of functional connectivity, and there is {there}; "
            "give atlas=, desc= or session=."
        )
    values, header = matrix(found[0])
    labels = _nodes(root, found[0], header, len(values))[0]
    labels = labels or tuple(f"region_{i}" for i in range(len(values)))
    names = np.asarray(labels, dtype=object)
    return xr.DataArray(
        values,
        dims=("region", "other_region"),
        coords={"region": names, "other_region": names},
        attrs=sidecar_of(found[0]),
        name="functional_connectivity",
    )


def _write_relation(
    place: Path,
    start: str,
    measure: str,
    array: np.ndarray,
    indices: Path,
    about: Mapping[str, Any],
) -> Path:
    """A matrix and its sidecar, as BEP017 says. Returns the table."""
    place.mkdir(parents=True, exist_ok=True)
    table = place / f"{start}_meas-{measure}_relmat.dense.tsv"
    write_table(table, array)
    sidecar = {
        "RelationshipMeasure": measure,
        # Correlations differ from their transposed ones in the last bit.
        "Directed": not np.allclose(array, array.T, rtol=1e-9, atol=0.0),
        "Weighted": True,
        "ValidDiagonal": bool(np.diag(array).any()),
        "NonNegative": bool((array >= 0).all()),
        "NodeFiles": [indices.name],
        "Software": [software()],
    }
    write_json(sidecar_path(table), {**about, **sidecar})
    return table


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


def _nodes(
    root: Path, table: Path, header: tuple[str, ...] | None, size: int
) -> tuple[tuple[str, ...] | None, np.ndarray | None]:
    """Labels and centres: of the header, or of the files that the sidecar names."""
    sidecar = sidecar_of(table)
    labels = labels_of(root, table, texts(sidecar.get("NodeFiles", [])), size)
    if labels is not None:
        return labels, None
    centres = None
    for name in texts(sidecar.get("CoordsRows", [])):
        path = within(root, table, name)
        if path is None:
            continue
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
        if len(lines) == size and all(
            len(line) == 3 and all(map(is_number, line)) for line in lines
        ):
            centres = np.array(lines, float)
        else:
            labels = fitting(path, [line[0] for line in lines], size)
    return labels if labels is not None else header, centres
