"""Series of regions in BIDS's folders, in the dialects that there are, as `xarray`.

| dialect | series |
|---|---|
| what `write_bids_simulation` writes | `ts/*_ts.tsv`, sidecars with `Variable`, `CoordsRows`, `CoordsColumns` |
| BEP034 of pull request 967 | `timeseries/*.tsv` |
| BEP034 of 2021 to 2023, TVB's importer | `ts/*.tsv`, whose sidecar's `CoordsRows` names the times |
| BEP034 of tvbo | `ts/*_ts-<variable>_*.tsv`, `.h5` or `.ptseries.nii` |
"""  # noqa: E501 - a table

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.io._bids import check_finite, found_place, labels_of, numbers, sidecar_of, texts, within
from tvbjax.io._bids_times import milliseconds_in, times_of

if TYPE_CHECKING:
    import xarray as xr

_PATTERNS = tuple(
    f"{folder}/*{ending}"
    for folder in ("ts", "timeseries")
    for ending in (".tsv", ".h5", ".ptseries.nii", ".ptseries.nii.gz")
)
_FILES = ("ModelEq", "ModelParam", "Connectivity", "SourceCode", "MachineCodeRepository")


@dataclass(frozen=True)
class _Series:
    """`values`: (time, variable, region). `times`: as the file has them, in ms where it says in
    which unit; None where they are in another file."""

    values: np.ndarray
    times: np.ndarray | None
    variables: tuple[str, ...]
    labels: tuple[str, ...] | None


def read_bids_series(
    folder: str | os.PathLike[str],
    subject: str,
    *,
    session: str | None = None,
    desc: str | None = None,
) -> "xr.DataArray":
    """A subject's simulated series, dims (time, variable, region), time in ms.

    `desc`: which one, where there are several. The sidecar is in `attrs`; files that it names, such
    as `ModelEq` and `ModelParam`, by their path from `folder`. Times are in ms unless the sidecar
    says otherwise: by `SamplingPeriodUnits`, or a `SamplingFrequency` (Hz) that only fits seconds.

    Raises FileNotFoundError for a folder without that subject, and ValueError for one without
    series, with several, or with files that do not fit.
    """
    import xarray as xr

    root, place = Path(folder), found_place(folder, subject, session)
    tables = _tables(root, place, desc)
    parts = [_read(root, path) for path in tables]
    for path, part in zip(tables, parts, strict=True):
        check_finite(path, part.values)
    first, sidecar = parts[0], sidecar_of(tables[0])
    times = times_of(root, tables[0], sidecar, first.times, len(first.values))
    labels = first.labels or tuple(f"region_{i}" for i in range(first.values.shape[2]))
    for path, part in zip(tables[1:], parts[1:], strict=True):
        same = part.values.shape[::2] == first.values.shape[::2] and part.labels == first.labels
        others = times_of(root, path, sidecar_of(path), part.times, len(part.values))
        if not same or not np.array_equal(others, times):
            raise ValueError(
                f"{place}: {path.name} and {tables[0].name} differ in times or regions, so they "
                "are no variables of one series; give desc= or session=."
            )
    variables = [name for part in parts for name in part.variables]
    if len(set(variables)) < len(variables):
        raise ValueError(
            f"{place}: several series of {variables[0]}: {', '.join(p.name for p in tables[:6])}; "
            "give desc= or session=."
        )
    units = [
        str(sidecar_of(path).get("Units") or "1")
        for path, part in zip(tables, parts, strict=True)
        for _ in part.variables
    ]
    return xr.DataArray(
        np.concatenate([part.values for part in parts], axis=1),
        dims=("time", "variable", "region"),
        coords={
            "time": ("time", times, {"units": "ms", "long_name": "time"}),
            "variable": ("variable", np.asarray(variables, dtype=object)),
            "region": ("region", np.asarray(labels, dtype=object)),
            "unit": ("variable", np.asarray(units, dtype=object)),
        },
        attrs=_attributes(root, tables[0], sidecar),
        name=desc or "series",
    )


def _tables(root: Path, place: Path, desc: str | None) -> list[Path]:
    found = sorted({path for pattern in _PATTERNS for path in place.glob(pattern)})
    # Times lie among the series, and other files say which they are.
    named = {
        within(root, path, name)
        for path in found
        for name in texts(sidecar_of(path).get("CoordsRows", []))
    }
    chosen = [
        path
        for path in found
        if path.resolve() not in named and not re.search(r"[_-]times?\.tsv$", path.name)
    ]
    if desc is not None:
        chosen = [path for path in chosen if re.search(f"desc-{re.escape(desc)}[_.]", path.name)]
    if not chosen:
        there = ", ".join(path.name for path in found[:6]) or "none"
        raise ValueError(
            f"{place}: no table of series{f' with desc-{desc}' if desc else ''}; there is {there}. "
            f"Known are {', '.join(_PATTERNS)}."
        )
    kinds = {path.name.split(".", 1)[1] for path in chosen}
    if len(kinds) > 1:
        raise ValueError(
            f"{place}: series in files of several kinds, {', '.join(sorted(kinds))}; give desc=."
        )
    return chosen


def _read(root: Path, path: Path) -> _Series:
    if path.suffix == ".h5":
        return _from_h5(path)
    return _from_tsv(root, path) if path.suffix == ".tsv" else _from_cifti(path)


def _from_tsv(root: Path, path: Path) -> _Series:
    values, header = numbers(path)
    sidecar, times = sidecar_of(path), None
    if header is not None and header[0].lower() == "time":
        times, values, header = values[:, 0], values[:, 1:], header[1:]
    names = texts(sidecar.get("CoordsColumns", [])) + texts(sidecar.get("NodeFiles", []))
    labels = header or _labels(root, path, names, values.shape[1])
    return _Series(values[:, None], times, (_variable(path, sidecar),), labels)


def _labels(root: Path, table: Path, names: Sequence[str], size: int) -> tuple[str, ...] | None:
    """Of a table of indices, with a heading, or a file with one label a line."""
    for name in names:
        path = within(root, table, name)
        if path is None or path.suffix not in (".tsv", ".txt"):
            continue
        lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
        if len(lines) == size and len({len(line) for line in lines}) == 1 == len(lines[0]):
            return tuple(line[0].strip() for line in lines)
        return labels_of(root, table, [name], size)
    return None


def _from_h5(path: Path) -> _Series:
    """tvbo's: `data` (time, variable, region, mode) or fewer, `time`, `labels`."""
    import h5py

    try:
        with h5py.File(path, "r") as opened:
            file: Any = opened
            data, times = np.asarray(file["data"], float), np.asarray(file["time"], float)
            unit = file["data"].attrs.get("sample_period_unit", "ms")
            group = file.get("labels", {})
            named = {
                str(name).lower(): tuple(
                    one.decode() if isinstance(one, bytes) else str(one) for one in group[name][:]
                )
                for name in group
            }
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: no series of BEP034 in HDF5 ({error}).") from error
    if data.ndim == 2:
        data = data[:, None]
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3 or times.shape != data.shape[:1]:
        raise ValueError(
            f"{path}: data has the shape {data.shape} and time {times.shape}; known are "
            "(time, variable, region) and one mode."
        )
    variables = next((named[one] for one in named if "variable" in one), ())
    if len(variables) != data.shape[1]:
        variables = (_variable(path, {}),) if data.shape[1] == 1 else ()
        variables = variables or tuple(f"variable_{i}" for i in range(data.shape[1]))
    labels = next((named[one] for one in named if one in ("region", "space", "node")), None)
    if labels is not None and len(labels) != data.shape[2]:
        raise ValueError(f"{path}: {len(labels)} labels for {data.shape[2]} regions.")
    return _Series(data, times * milliseconds_in(path, unit), variables, labels)


def _from_cifti(path: Path) -> _Series:
    import nibabel
    from nibabel.cifti2 import cifti2_axes

    try:
        image: Any = nibabel.load(path)  # type: ignore
        values = np.asarray(image.dataobj, float)
        time: Any
        parcels: Any
        time, parcels = (image.header.get_axis(i) for i in range(2))
    except Exception as error:
        raise ValueError(f"{path} is no readable CIFTI file: {error}") from error
    if not isinstance(time, cifti2_axes.SeriesAxis) or str(time.unit).lower() != "second":
        raise ValueError(f"{path}: its rows are no series in seconds.")
    if not isinstance(parcels, cifti2_axes.ParcelsAxis):
        raise ValueError(f"{path}: its columns are no parcels, which .ptseries.nii has.")
    labels = tuple(str(name) for name in parcels.name)
    return _Series(values[:, None], 1e3 * time.time, (_variable(path, {}),), labels)


def _variable(path: Path, sidecar: Mapping[str, Any]) -> str:
    said = sidecar.get("Variable")
    if isinstance(said, str) and said:
        return said
    name = re.search(r"_ts-([^_.]+)[_.]", path.name) or re.search(r"_var-([^_.]+)_", path.name)
    return name.group(1) if name else re.sub(r"^sub-[^_]+_", "", path.name.split(".")[0])


def _attributes(root: Path, table: Path, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """The sidecar, as files of xarray can keep it; files by their path from the folder."""
    attributes: dict[str, Any] = {}
    for name, value in sidecar.items():
        path = within(root, table, value) if name in _FILES and isinstance(value, str) else None
        if path is not None:
            value = path.relative_to(root.resolve()).as_posix()
        plain = isinstance(value, str | int | float) and not isinstance(value, bool)
        attributes[name] = value if plain else json.dumps(value)
    return attributes
