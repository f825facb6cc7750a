"""Measured series of regions in BIDS's folders: `func/*_timeseries.tsv`, as XCP-D writes them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tvbjax.io._bids import (
    checked_names,
    describe,
    place_of,
    sidecar_path,
    software,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    import xarray as xr


def write_bids_regional_series(
    series: "xr.DataArray",
    folder: str | os.PathLike[str],
    subject: str,
    *,
    task: str,
    atlas: str,
    session: str | None = None,
    run: str | None = None,
) -> Path:
    """Write series (time, region) into `func` of a BIDS derivative: regions in columns, their names
    in the first row, and the repetition time in the sidecar.

    `series`: of `imaging.regional_series` or `read_regional_series`. Names are letters and digits.
    Returns the table, which `read_regional_series` reads. Raises ValueError for other names, for
    names of regions with tabs, and for times that are not even.
    """
    given = {"subject": subject, "session": session, "task": task, "run": run, "atlas": atlas}
    checked_names("write_bids_regional_series", **given)
    labels = [str(label) for label in series["region"].values]
    if any("\t" in label or "\n" in label for label in labels):
        raise ValueError("write_bids_regional_series: a name of a region has a tab or a new line.")
    steps = np.diff(series["time"].values)
    if not len(steps) or not np.allclose(steps, steps[0], rtol=1e-6):
        raise ValueError(
            "write_bids_regional_series: times are not even; give samples one repetition apart."
        )
    root = Path(folder)
    place, stem = place_of(root, subject, session)
    (place / "func").mkdir(parents=True, exist_ok=True)
    describe(root)
    of_run = "" if run is None else f"_run-{run}"
    table = place / "func" / f"{stem}_task-{task}{of_run}_atlas-{atlas}_timeseries.tsv"
    values = np.asarray(series.transpose("time", "region").values, float)
    rows = ["\t".join(labels), *("\t".join(map(repr, row)) for row in values.tolist())]
    write_text(table, "\n".join(rows) + "\n")
    about = {
        "Description": "series of regions, one column each",
        "RepetitionTime": float(steps[0]) / 1000.0,
        "Software": [software()],
    }
    write_json(sidecar_path(table), about)
    return table
