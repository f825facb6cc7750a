"""A relation matrix in a BIDS folder, as BEP017 says, and what is known of its regions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.io._bids import (
    fitting,
    is_number,
    labels_of,
    sidecar_of,
    sidecar_path,
    software,
    texts,
    within,
    write_json,
    write_table,
)
from tvbjax.io.table import labelled_numbers_from_text


def write_relation(
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
        # Correlations differ from their transposed ones in the last bits.
        "Directed": not np.allclose(array, array.T, rtol=1e-6, atol=0.0),
        "Weighted": True,
        "ValidDiagonal": bool(np.diag(array).any()),
        "NonNegative": bool((array >= 0).all()),
        "NodeFiles": [indices.name],
        "Software": [software()],
    }
    write_json(sidecar_path(table), {**about, **sidecar})
    return table


def nodes_of(
    root: Path, table: Path, header: tuple[str, ...] | None, size: int
) -> tuple[tuple[str, ...] | None, np.ndarray | None]:
    """Labels and centres: of the files that the sidecar names, or those of TVB's converter, or of
    the header."""
    sidecar = sidecar_of(table)
    labels = labels_of(root, table, texts(sidecar.get("NodeFiles", [])), size)
    if labels is not None:
        return labels, None
    labels, centres = _centroids(table, size)
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


def _centroids(table: Path, size: int) -> tuple[tuple[str, ...] | None, np.ndarray | None]:
    """Labels and centres that TVB's pipeline converter keeps with the anatomy, if any."""
    for path in table.parent.parent.glob("anat/*_desc-centroid_morph.tsv"):
        rows = "\n".join(path.read_text().splitlines()[1:])  # the first one names the columns
        labels, centres = labelled_numbers_from_text(rows.encode(), f"{path} (no header)", 3)
        return fitting(path, labels, size), centres
    return None, None
