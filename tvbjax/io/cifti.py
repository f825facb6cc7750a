"""CIFTI-2: series and matrices of parcels, and dense series as means over a parcellation's parcels.

| file | function |
|---|---|
| `.ptseries.nii` | `read_cifti_series(path)` |
| `.dtseries.nii` and `.dlabel.nii` | `read_cifti_series(path, parcellation)` |
| `.pconn.nii` | `read_cifti_matrix(path)` |
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int
from nibabel.cifti2.cifti2 import Cifti2Image
from nibabel.cifti2.cifti2_axes import BrainModelAxis, LabelAxis, ParcelsAxis, SeriesAxis

from tvbjax.io.series import series_of

if TYPE_CHECKING:
    import xarray as xr


def read_cifti_series(
    path: str | os.PathLike[str], parcellation: str | os.PathLike[str] | None = None
) -> "xr.DataArray":
    """Series (time, region) as they are in the file; time in ms, at the end of each repetition.

    `path`: `.ptseries.nii`, or `.dtseries.nii` with a `parcellation`, `.dlabel.nii`: then each
    series is the mean over the places of a parcel. To take out confounds, give
    `imaging.regional_series` the dense series and `cifti_parcels`. Raises FileNotFoundError, and
    ValueError for other kinds, no time in seconds, NaN, parcels without places.
    """

    image, (series, places) = _opened(path)
    step, start = _milliseconds(path, series)
    values = np.asarray(image.dataobj, np.float64)
    if isinstance(places, ParcelsAxis):
        if parcellation is not None:
            raise ValueError(f"{path} is of parcels already; leave parcellation out.")
        return series_of(values, [str(name) for name in places.name], step, str(path), start)
    if not isinstance(places, BrainModelAxis) or parcellation is None:
        raise ValueError(
            f"{path} is of {_kind(places)}, no parcels; give a parcellation (.dlabel.nii) for a "
            "dense series."
        )
    numbers, labels = cifti_parcels(parcellation, path)
    means = np.stack([values[:, numbers == number].mean(axis=1) for number in labels], axis=1)
    return series_of(means, list(labels.values()), step, str(path), start)


def read_cifti_matrix(path: str | os.PathLike[str]) -> "xr.DataArray":
    """A matrix of parcels, `.pconn.nii`: (region, other_region), as it is in the file.

    Raises FileNotFoundError and ValueError.
    """
    import xarray as xr

    image, axes = _opened(path)
    names = []
    for axis in axes:
        if not isinstance(axis, ParcelsAxis):
            raise ValueError(f"{path} is of {_kind(axis)}; a .pconn.nii is of parcels and parcels.")
        names.append([str(name) for name in axis.name])
    if names[0] != names[1]:
        raise ValueError(f"{path}: rows and columns are of different parcels.")
    return xr.DataArray(
        np.asarray(image.dataobj, np.float64),
        {"region": names[0], "other_region": names[1]},
        ("region", "other_region"),
        name="connectivity",
    )


def cifti_parcels(
    parcellation: str | os.PathLike[str], series: str | os.PathLike[str]
) -> tuple[Int[np.ndarray, " place"], dict[int, str]]:
    """The parcel of each place of a dense series, 0 for none, and the parcels' names by number.

    `parcellation`: `.dlabel.nii` with one map. Places are matched by structure and vertex or voxel,
    so that one with the medial wall fits a series without it. Raises FileNotFoundError, and
    ValueError where the places of the series lack, or a parcel has none.
    """

    image, (table, places) = _opened(parcellation)
    _, (_, wanted) = _opened(series)
    if not isinstance(table, LabelAxis) or not isinstance(places, BrainModelAxis):
        raise ValueError(f"{parcellation} is no dense parcellation (.dlabel.nii).")
    if len(table) != 1:
        raise ValueError(f"{parcellation} has {len(table)} maps; give a file with one.")
    if not isinstance(wanted, BrainModelAxis):
        raise ValueError(f"{series} is of {_kind(wanted)}; give a dense series (.dtseries.nii).")
    keys = np.asarray(image.dataobj)[0].astype(int)
    by_place = dict(zip(_places(places), keys.tolist(), strict=True))
    # A parcellation of the cortex says nothing of subcortical places: they are of no parcel.
    numbers = np.array([by_place.get(place, 0) for place in _places(wanted)])
    names = {key: name for key, (name, _) in table.label[0].items() if key != 0}
    labels = {key: str(names[key]) for key in sorted(names) if (keys == key).any()}
    empty = [name for key, name in labels.items() if not (numbers == key).any()]
    if empty or not labels:
        raise ValueError(
            f"{parcellation}: {series} has no places of {', '.join(empty[:5]) or 'any parcel'}; "
            "give the parcellation in the space and density of the series."
        )
    return numbers, labels


def _places(axis: Any) -> list[tuple]:
    """What tells places apart: the structure, and the vertex or the voxel."""
    return [
        (str(structure), int(vertex), *map(int, voxel))
        for structure, vertex, voxel in zip(axis.name, axis.vertex, axis.voxel, strict=True)
    ]


def _opened(path: str | os.PathLike[str]) -> tuple[Any, tuple[Any, Any]]:
    import nibabel

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        image = nibabel.load(path)
        axes = (
            tuple(image.header.get_axis(i) for i in range(image.ndim))  # type: ignore
            if isinstance(image, Cifti2Image)
            else ()
        )
    except Exception as error:
        raise ValueError(f"{path} is no readable CIFTI-2 file: {error}") from error
    if len(axes) != 2:
        raise ValueError(f"{path} is no CIFTI-2 file of two axes, e.g. sub-01_bold.ptseries.nii.")
    return image, axes


def _milliseconds(path: str | os.PathLike[str], axis: Any) -> tuple[float, float]:

    if not isinstance(axis, SeriesAxis):
        raise ValueError(f"{path} is of {_kind(axis)}, no series.")
    if axis.unit != "SECOND" or not axis.step > 0:
        raise ValueError(
            f"{path} has steps of {axis.step:g} {str(axis.unit).lower()}; a series in time has "
            "seconds."
        )
    return 1000.0 * axis.step, 1000.0 * axis.start


def _kind(axis: Any) -> str:
    return {
        "BrainModelAxis": "vertices and voxels",
        "ParcelsAxis": "parcels",
        "SeriesAxis": "samples",
        "ScalarAxis": "maps",
        "LabelAxis": "maps of labels",
    }.get(type(axis).__name__, type(axis).__name__)
