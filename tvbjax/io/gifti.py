"""GIFTI: surfaces, regions of vertices with names, and values of vertices. `read_surface` reads
the first.

| file | content |
|---|---|
| `.surf.gii` | points (mm, float32 as the format has it) and triangles |
| `.label.gii` | one key for each vertex, and a table of names and colours |
| `.func.gii`, `.shape.gii` | one map or more of a number for each vertex, float32 |
"""

import colorsys
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from tvbjax.io.atomic import atomic_path
from tvbjax.surface import Surface

Values = np.ndarray | Sequence[Any]

_NO_REGION = "???"  # FreeSurfer's and Workbench's name of key 0
_NAMES_OF_NONE = ("", "???", "unknown")
_STRUCTURE = "AnatomicalStructurePrimary"


def write_surface_gifti(
    surface: Surface, path: str | os.PathLike[str], *, structure: str | None = None
) -> Path:
    """Write points and triangles to a `.gii`, e.g. `lh.surf.gii`; points are rounded to float32.

    `structure`: what it is in GIFTI's words, such as `CortexLeft`; Workbench asks for it. Raises
    ValueError for another ending.
    """
    points = _array(surface.vertices.astype(np.float32), "NIFTI_INTENT_POINTSET")
    if structure is not None:
        points.meta[_STRUCTURE] = structure
    triangles = _array(surface.triangles.astype(np.int32), "NIFTI_INTENT_TRIANGLE")
    return _write([points, triangles], path)


def write_region_mapping_gifti(
    mapping: Values,
    labels: Sequence[str],
    path: str | os.PathLike[str],
    *,
    structure: str | None = None,
) -> Path:
    """Write the region of every vertex to a `.gii`, e.g. `lh.label.gii`.

    `mapping`: (vertex,), indices of `labels` from 0, -1 for no region. Keys in the file are the
    indices + 1, and 0 is `???`. Raises ValueError for other indices.
    """
    from nibabel.gifti import gifti

    regions = np.asarray(mapping)
    if regions.ndim != 1 or regions.dtype.kind not in "iu" or not regions.size:
        raise ValueError(
            f"write_region_mapping_gifti: mapping is {regions.dtype} of the shape {regions.shape}; "
            "give one whole number for each vertex."
        )
    wrong = (regions < -1) | (regions >= len(labels))
    if wrong.any():
        vertex = int(wrong.argmax())
        raise ValueError(
            f"write_region_mapping_gifti: vertex {vertex} has the region {regions[vertex]}; there "
            f"are labels for 0 to {len(labels) - 1}, and -1 is none."
        )
    table: Any = gifti.GiftiLabelTable()
    table.labels.append(_label(0, _NO_REGION, (0.0, 0.0, 0.0, 0.0)))
    for i, name in enumerate(labels):
        # Steps of the golden ratio: neighbours in the table differ in colour.
        colour = colorsys.hsv_to_rgb(i * 0.618034 % 1.0, 0.6, 0.9)
        table.labels.append(_label(i + 1, name, (*colour, 1.0)))
    keys = _array((regions + 1).astype(np.int32), "NIFTI_INTENT_LABEL")
    return _write([keys], path, table, structure)


def read_region_mapping_gifti(
    path: str | os.PathLike[str],
) -> tuple[Int[np.ndarray, " vertex"], tuple[str, ...]]:
    """The region of every vertex, from 0, and the regions' names, in the order of the keys.

    Key 0 is no region, -1, where the table calls it `???`, `unknown` or nothing. Names that no
    vertex has are kept. Raises FileNotFoundError, and ValueError for a file of something else or a
    key that the table lacks.
    """
    image = _opened(path)
    arrays = image.get_arrays_from_intent("NIFTI_INTENT_LABEL")
    if len(arrays) != 1 or arrays[0].data.ndim != 1:
        raise ValueError(
            f"{path}: {len(arrays)} maps of labels; a region mapping is one, with one key for each "
            "vertex."
        )
    names = {int(one.key): one.label or "" for one in image.labeltable.labels}
    if names.get(0, "-").strip().lower() in _NAMES_OF_NONE:
        del names[0]
    order = {key: i for i, key in enumerate(sorted(names))} | ({} if 0 in names else {0: -1})
    keys = np.asarray(arrays[0].data).astype(np.int64)
    for key in np.unique(keys).tolist():
        if key not in order:
            vertex = int((keys == key).argmax())
            raise ValueError(f"{path}: vertex {vertex} has the key {key}, which has no name.")
    found, inverse = np.unique(keys, return_inverse=True)
    regions = np.array([order[key] for key in found.tolist()], np.int64)
    return regions[inverse], tuple(names[key] for key in sorted(names))


def write_maps_gifti(
    values: Values,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    structure: str | None = None,
) -> Path:
    """Write values of vertices, rounded to float32: maps or anatomy to `.shape.gii`, series to
    `.func.gii`.

    `values`: (vertex,) or (map, vertex), the maps may be times. `names`: of the maps. NaN is kept:
    no value. Raises ValueError for other shapes.
    """
    maps = np.atleast_2d(np.asarray(values, np.float32))
    if maps.ndim != 2 or not maps.size:
        raise ValueError(
            f"write_maps_gifti: values have the shape {np.shape(values)}; give (vertex,) or "
            "(map, vertex)."
        )
    if names is not None and len(names) != len(maps):
        raise ValueError(f"write_maps_gifti: {len(names)} names for {len(maps)} maps.")
    series = Path(path).name.endswith(".func.gii") and names is None and len(maps) > 1
    intent = "NIFTI_INTENT_TIME_SERIES" if series else "NIFTI_INTENT_NONE"
    arrays = [_array(one, intent) for one in maps]
    for array, name in zip(arrays, names or (), strict=False):
        array.meta["Name"] = name
    return _write(arrays, path, structure=structure)


def read_maps_gifti(path: str | os.PathLike[str]) -> Float[np.ndarray, "map vertex"]:
    """The values of every vertex, of one map or more, as float64. NaN is kept: no value.

    Raises FileNotFoundError, and ValueError for a surface, labels, or maps of different sizes.
    """
    arrays = _opened(path).darrays
    kinds = {_intent(one) for one in arrays}
    sizes = {one.data.shape for one in arrays}
    others = kinds & {"NIFTI_INTENT_POINTSET", "NIFTI_INTENT_TRIANGLE", "NIFTI_INTENT_LABEL"}
    if others or len(sizes) != 1 or len(next(iter(sizes))) != 1:
        raise ValueError(
            f"{path}: it holds {', '.join(sorted(kinds)) or 'nothing'} of the shapes "
            f"{sorted(sizes)}; maps have one number for each vertex."
        )
    return np.stack([one.data for one in arrays]).astype(np.float64)


def _array(data: Num[np.ndarray, "..."], intent: str) -> Any:
    from nibabel.gifti import gifti

    kind = {"f": "NIFTI_TYPE_FLOAT32", "i": "NIFTI_TYPE_INT32"}[data.dtype.kind]
    return gifti.GiftiDataArray(data, intent=intent, datatype=kind)  # type: ignore


def _label(key: int, name: str, colour: Sequence[float]) -> Any:
    from nibabel.gifti import gifti

    label: Any = gifti.GiftiLabel(key, *colour)
    label.label = name
    return label


def _intent(array: Any) -> str:
    from nibabel.nifti1 import intent_codes

    return str(intent_codes.niistring[array.intent])


def _write(
    arrays: Sequence[Any],
    path: str | os.PathLike[str],
    table: Any = None,
    structure: str | None = None,
) -> Path:
    from nibabel.gifti import gifti

    path = Path(path)
    if path.suffix != ".gii":
        raise ValueError(f"cannot write {path.name}: the name of a GIFTI file ends in .gii.")
    image: Any = gifti.GiftiImage(darrays=list(arrays), labeltable=table)
    if structure is not None:
        image.meta[_STRUCTURE] = structure
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.to_bytes())
    return path


def _opened(path: str | os.PathLike[str]) -> Any:
    from nibabel.gifti import gifti

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        return gifti.GiftiImage.from_filename(os.fspath(path))
    except Exception as error:
        raise ValueError(f"{path} is no readable GIFTI file: {error}") from error
