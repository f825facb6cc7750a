"""Functional connectivity in BIDS's folders: `func/*_relmat.dense.tsv` as the draft BEP017 says,
and, to read, `spatial/*_fc.tsv` of BEP034 of 2021 to 2023, TVB's importer's.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tvbjax.io._bids import (
    check_finite,
    checked_names,
    describe,
    found_place,
    matrix,
    place_of,
    sidecar_of,
    write_indices,
)
from tvbjax.io._bids_relation import nodes_of, write_relation

if TYPE_CHECKING:
    import xarray as xr

PEARSON = "pearsonCorrelation"
_PATTERNS = ("func/*_relmat.dense.tsv", "spatial/*_fc*.tsv", "spatial/*-fc*.tsv")
Folder = str | os.PathLike[str]


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
    return write_relation(place / "func", start, measure, values, indices, about)


def read_bids_connectivity(
    folder: Folder,
    subject: str,
    *,
    session: str | None = None,
    atlas: str | None = None,
    desc: str | None = None,
    measure: str | None = None,
) -> "xr.DataArray":
    """A subject's functional connectivity, dims (region, other_region), its sidecar in `attrs`.

    `atlas`, `desc`, `measure`: which one, where there are several; in TVB's folders `desc` is a
    part of the file's name, such as `sim_fc`. Raises FileNotFoundError and ValueError as
    `read_bids_connectome`.
    """
    import xarray as xr

    root, place = Path(folder), found_place(folder, subject, session)
    found = sorted({path for pattern in _PATTERNS for path in place.glob(pattern)})
    if atlas is not None:
        found = [path for path in found if f"atlas-{atlas}_" in path.name]
    if desc is not None:
        found = [path for path in found if f"desc-{desc}_" in path.name or desc in path.stem]
    if measure is not None:
        found = [path for path in found if f"meas-{measure}_" in path.name]
    if len(found) != 1:
        there = ", ".join(path.name for path in found[:6]) or f"none of {', '.join(_PATTERNS)}"
        raise ValueError(
            f"{place}: it takes one table of functional connectivity, and there is {there}; "
            "give atlas=, desc=, measure= or session=."
        )
    values, header = matrix(found[0])
    check_finite(found[0], values)
    labels = nodes_of(root, found[0], header, len(values))[0]
    labels = labels or tuple(f"region_{i}" for i in range(len(values)))
    names = np.asarray(labels, dtype=object)
    return xr.DataArray(
        values,
        dims=("region", "other_region"),
        coords={"region": names, "other_region": names},
        attrs=sidecar_of(found[0]),
        name="functional_connectivity",
    )
