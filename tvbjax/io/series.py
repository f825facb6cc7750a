"""Series of regions from files, as the pipelines of functional images write them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.io.labelled import Labelled, read_labelled
from tvbjax.kinds import check_number

if TYPE_CHECKING:
    import xarray as xr


def read_regional_series(
    path: str | os.PathLike[str],
    labels: Sequence[str] | None = None,
    *,
    repetition_time: float,
    variable: str | None = None,
    transposed: bool = False,
) -> "xr.DataArray":
    """Series (time, region) from .tsv, .csv, .txt, .npy or .mat, one row per sample, as they are.

    Time is in ms, at the end of each repetition, as of `imaging.regional_series`.
    `repetition_time`: ms. `labels`: by default those of the first row, else region_0, ... A first
    column of numbered samples, as pandas writes it under an empty corner, is left out.
    `variable`: of a .mat file with several matrices. `transposed`: rows are regions, as often in
    MATLAB. Raises FileNotFoundError, and ValueError for NaN and other numbers of labels.
    """
    check_number("read_regional_series: repetition_time (ms)", repetition_time, above=0.0)
    if isinstance(labels, (str, os.PathLike)):
        raise ValueError(
            f"read_regional_series: labels is {os.fspath(labels)!r}; give a list of names, as "
            "read_labels gives it of a file."
        )
    table = read_labelled(path, variable)
    if transposed:
        table = Labelled(table.values.T, table.columns, table.rows)
    if table.rows is not None and table.columns is None:
        raise ValueError(
            f"{path}: its rows have labels ({table.rows[0]!r}, ...), so that they seem to be "
            "regions; pass transposed=True."
        )
    size = table.values.shape[1]
    names = table.columns if labels is None else tuple(labels)
    if names is None:
        names = tuple(f"region_{i}" for i in range(size))
    if len(names) != size:
        raise ValueError(
            f"{path}: {len(names)} labels for {size} regions in {len(table.values)} samples; where "
            "rows are regions, pass transposed=True."
        )
    return series_of(table.values, names, repetition_time, str(Path(path)))


def series_of(
    values: np.ndarray,
    labels: Sequence[str],
    repetition_time: float,
    where: str,
    start: float = 0.0,
) -> "xr.DataArray":
    """The array of samples (time, region) at the ends of repetitions, from `start` (ms) on.

    Raises ValueError for NaN, infinity and repeated labels.
    """
    import xarray as xr

    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        sample, region = (int(place) for place in wrong[0])
        raise ValueError(
            f"{where}: sample {sample} of region '{labels[region]}' is {values[sample, region]}; "
            "leave the region out, or fill it in."
        )
    for place, label in enumerate(labels):
        if label in labels[:place]:
            raise ValueError(f"{where}: two regions are labelled '{label}'; name each differently.")
    time = start + repetition_time * (1.0 + np.arange(len(values)))
    coords: dict[str, Any] = {
        "time": ("time", time, {"units": "ms", "long_name": "time"}),
        "region": list(labels),
    }
    return xr.DataArray(values, coords, ("time", "region"), name="bold")
