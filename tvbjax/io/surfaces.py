"""Surfaces and region mappings from files: TVB's, GIFTI, FreeSurfer's.

| file | content |
|---|---|
| `.zip` | TVB's: `vertices` (mm) and `triangles` (from 0), `.txt`, `.txt.bz2` or `.npy` |
| `.gii` | GIFTI: one point set and one triangle set |
| other | FreeSurfer's geometry, e.g. `lh.pial` |
"""

import os
import warnings
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from tvbjax.io.archive import open_archive, read_packed
from tvbjax.io.table import numbers_from_npy, numbers_from_text
from tvbjax.surface import Surface


def read_surface(
    path: str | os.PathLike[str],
    *,
    closed: bool = True,
    name: str | None = None,
    limit_bytes: int = 1 << 29,
) -> Surface:
    """A surface from a file of the kind that its suffix says, in the coordinates of the file (mm).

    `closed`: whether it must be without holes. `name`: by default the file's. `limit_bytes`: how
    much a zip may unpack to (512 MiB). Raises FileNotFoundError, and ValueError for a file that is
    none of these or a mesh that is no surface.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_surface: there is no file {path}.")
    read = {".zip": _from_zip, ".gii": _from_gifti}.get(path.suffix.lower(), _from_freesurfer)
    vertices, triangles = read(path, limit_bytes)
    try:
        return Surface(vertices, triangles, closed=closed, name=name or path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_region_mapping(path: str | os.PathLike[str]) -> Int[np.ndarray, " vertex"]:
    """The index of its region for every vertex, from 0: numbers in a text file (`.txt`, also
    packed, `.txt.bz2`), `.npy`, or the keys of a GIFTI file of labels (`.label.gii`), which are
    indices where TVB's converter wrote it. Raises FileNotFoundError and ValueError."""
    path = Path(path)
    content = read_packed(path)
    if path.suffix.lower() == ".gii":
        numbers = _gifti_labels(path)
    else:
        whole = path.suffix.lower() == ".npy"
        numbers = (numbers_from_npy if whole else numbers_from_text)(content, str(path)).ravel()
    wrong = numbers != np.rint(numbers)
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"{path}: vertex {first} has the region {numbers[first]:g}; give whole numbers."
        )
    return numbers.astype(np.int64)


def _from_zip(path: Path, limit_bytes: int):
    with open_archive(path, limit_bytes) as archive:
        found = {}
        for subject in ("vertices", "triangles"):
            names = [n for n in archive.names if PurePosixPath(n).name.split(".")[0] == subject]
            if len(names) != 1:
                there = ", ".join(archive.names[:20]) or "nothing"
                raise ValueError(
                    f"{path}: a surface needs one member {subject}.txt or {subject}.npy, and the "
                    f"archive holds: {there}."
                )
            where = f"{path}: {names[0]}"
            read = numbers_from_npy if names[0].lower().endswith(".npy") else numbers_from_text
            found[subject] = read(archive.read(names[0]), where)
    return found["vertices"], found["triangles"]


def _from_gifti(path: Path, limit_bytes: int):
    import nibabel

    try:
        image = nibabel.load(path)
        points = image.agg_data("NIFTI_INTENT_POINTSET")  # type: ignore
        triangles = image.agg_data("NIFTI_INTENT_TRIANGLE")  # type: ignore
    except Exception as error:
        raise ValueError(f"{path} is no readable GIFTI file: {error}") from error
    if not (isinstance(points, np.ndarray) and isinstance(triangles, np.ndarray)):
        raise ValueError(
            f"{path}: a GIFTI surface has one point set and one triangle set; this file has others."
        )
    return points, triangles


def _gifti_labels(path: Path) -> np.ndarray:
    import nibabel

    try:
        image = nibabel.load(path)
        labels = image.agg_data("NIFTI_INTENT_LABEL")  # type: ignore
    except Exception as error:
        raise ValueError(f"{path} is no readable GIFTI file: {error}") from error
    if not isinstance(labels, np.ndarray) or labels.ndim != 1:
        raise ValueError(f"{path}: a region mapping is one array of labels; this file has others.")
    return labels


def _from_freesurfer(path: Path, limit_bytes: int):
    from nibabel.freesurfer.io import read_geometry

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            vertices, triangles = read_geometry(path)[:2]
    except Exception as error:
        raise ValueError(
            f"{path} is no surface that can be read: name it .zip (TVB), .gii (GIFTI), or give "
            f"FreeSurfer's geometry, e.g. lh.pial ({error})."
        ) from error
    return vertices, triangles
