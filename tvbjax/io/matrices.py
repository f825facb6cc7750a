"""Connectomes from matrices in files: .csv, .tsv, .txt, .npy, .mat, with or without labels."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.io.labelled import Labelled, read_labelled
from tvbjax.io.lengths import in_millimetres
from tvbjax.regions import hemispheres_from_labels


def read_connectome_matrices(
    weights: str | os.PathLike[str],
    lengths: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
    *,
    symmetric: bool | None = None,
    variable: str | None = None,
    lengths_variable: str | None = None,
    unit: float = 1.0,
    speed: float = 3.0,
    name: str | None = None,
) -> Connectome:
    """A connectome from a file of weights and, if there are any, one of tract lengths.

    Rows are targets. `labels`: by default those in the files' first row or column, else region_0,
    region_1, ...; `read_labels` reads lookup tables. `symmetric`: True fills the other half of
    tables of one triangle, as MRtrix's `tck2connectome` writes them without `-symmetric`; False
    takes them as directed connections; None, the default, refuses them. `variable` and
    `lengths_variable`: in .mat files with several matrices, which may be one file. `unit`: mm in
    the unit of the lengths. `speed`: mm/ms.

    Raises FileNotFoundError, and ValueError with the line and column, or the regions, of what is no
    number, NaN or negative; for tables that are not square, of different sizes or labels.
    """
    if isinstance(labels, (str, os.PathLike)):
        raise ValueError(
            f"read_connectome_matrices: labels is {os.fspath(labels)!r}; give a list of names, as "
            "read_labels gives it of a file."
        )
    path = Path(weights)
    table = read_labelled(path, variable)
    found = _labels(path, table)
    arrays: dict[str, Any] = {"weights": filled(table.values, str(path), symmetric)}
    if lengths is not None:
        tracts = read_labelled(lengths, lengths_variable)
        others = _labels(Path(lengths), tracts)
        if tracts.values.shape != table.values.shape:
            raise ValueError(
                f"{lengths} has {len(tracts.values)} rows and {path} {len(table.values)}; lengths "
                "and weights are of the same regions."
            )
        if found is not None and others is not None:
            _check_alike(found, others, f"{path} and {lengths}")
        found = found if found is not None else others
        arrays["tract_lengths"] = filled(tracts.values, str(lengths), symmetric)
    arrays = in_millimetres(arrays, unit, True, str(lengths))
    names = found if labels is None else tuple(labels)
    try:
        return Connectome(
            **arrays,
            speed=speed,
            labels=names,
            hemispheres=None if names is None else hemispheres_from_labels(names),
            name=name or path.name.split(".")[0],
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def filled(matrix: np.ndarray, where: str, symmetric: bool | None) -> np.ndarray:
    """A square matrix, of which one triangle is mirrored, taken or refused: see
    `read_connectome_matrices`. Raises ValueError."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"{where} has {matrix.shape[0]} rows and {matrix.shape[1]} columns of numbers; a "
            "connectome has one of each for every region."
        )
    above, below = np.triu(matrix, 1), np.tril(matrix, -1)
    one_sided = above.any() != below.any()
    if symmetric is None and one_sided:
        side = "above" if above.any() else "below"
        raise ValueError(
            f"{where} has connections {side} the diagonal only, as MRtrix's tck2connectome writes "
            "without -symmetric. Pass symmetric=True to fill in the other half, or symmetric=False "
            "if the connections are directed."
        )
    if not symmetric:
        return matrix
    if one_sided:
        return np.diag(np.diag(matrix)) + (above + below) + (above + below).T
    differing = np.argwhere(~np.isclose(matrix, matrix.T, rtol=1e-6, atol=0.0, equal_nan=True))
    if len(differing):
        row, column = (int(place) for place in differing[0])
        raise ValueError(
            f"{where} is not symmetric, and has both halves: [{row}, {column}] is "
            f"{matrix[row, column]:g} and [{column}, {row}] is {matrix[column, row]:g}; leave "
            "symmetric out."
        )
    return matrix


def _labels(path: Path, table: Labelled) -> tuple[str, ...] | None:
    if table.rows is not None and table.columns is not None:
        _check_alike(table.columns, table.rows, f"{path}: the first row and the first column")
    return table.columns if table.columns is not None else table.rows


def _check_alike(one: Sequence[str], other: Sequence[str], where: str) -> None:
    if len(one) != len(other):
        raise ValueError(f"{where} name {len(one)} and {len(other)} regions.")
    for place, (a, b) in enumerate(zip(one, other, strict=True)):
        if a != b:
            raise ValueError(
                f"{where} name region {place} differently: {a!r}, {b!r}; bring them in one order."
            )
