"""The Virtual Brain's HDF5 files: connectomes and time series, as its framework stores them.

| dataset of a connectome | content | needed |
|---|---|---|
| weights | (region, region), from column to row | yes |
| tract_lengths | (region, region), mm | yes |
| region_labels | text, one per region | yes |
| centres | (region, 3), mm | no |
| hemispheres | True on the right | no |
| cortical, areas (mm²), orientations (region, 3) | | no |

A time series has `data`, (time, state variable, region, mode), and `time` or the attributes
`TVB_Start_time` and `TVB_Sample_period`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.io.atomic import atomic_path
from tvbjax.io.lengths import in_millimetres
from tvbjax.regions import hemispheres_from_labels

if TYPE_CHECKING:
    import xarray as xr

_FIELDS = (
    "weights",
    "tract_lengths",
    "centres",
    "hemispheres",
    "cortical",
    "areas",
    "orientations",
)
_VERSIONS = range(1, 6)  # of TVB's data; the attribute TVB_Data_version
_WRITTEN_AS = 5
_DIMS = ("time", "variable", "region", "mode")
_MILLISECONDS = {"ms": 1.0, "msec": 1.0, "s": 1e3, "sec": 1e3}


def read_connectome_h5(
    path: str | os.PathLike[str], *, speed: float = 3.0, unit: float = 1.0, lengths: bool = True
) -> Connectome:
    """A connectome from TVB's HDF5; weights exactly as in the file, never normalised.

    `speed`: conduction speed in mm/ms, which the format does not hold. `unit`: mm in the file's
    unit of length, 0.1 for TVB's Allen mouse. `lengths`: False leaves out centres and tract lengths
    (then there are no delays). Hemispheres that the file lacks are guessed by
    `hemispheres_from_labels`, or None.

    Raises FileNotFoundError, and ValueError for a file that is no HDF5, of a version that is not
    known, not complete or not consistent, or whose lengths are placeholders.
    """
    with _opened(path) as file:
        missing = [n for n in ("weights", "tract_lengths", "region_labels") if n not in file]
        if missing:
            raise ValueError(
                f"{path}: there is no dataset {' and no '.join(missing)}; it holds "
                f"{', '.join(file) or 'nothing'}. A connectome's file has weights, tract_lengths "
                "and region_labels."
            )
        labels = _labels(file, "region_labels")
        arrays: dict[str, Any] = {name: _numbers(file, name) for name in _FIELDS if name in file}
    arrays = {name: value for name, value in arrays.items() if value.size}
    for name in ("hemispheres", "cortical", "areas"):
        if name in arrays:
            arrays[name] = arrays[name].reshape(-1)
    arrays = in_millimetres(arrays, unit, lengths, str(path))
    arrays.setdefault("hemispheres", hemispheres_from_labels(labels))
    try:
        return Connectome(**arrays, speed=speed, labels=labels, name=Path(path).stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_connectome_h5(connectome: Connectome, path: str | os.PathLike[str]) -> None:
    """Write TVB's HDF5, which tvb-library's `Connectivity.from_file` and `read_connectome_h5` read.

    An existing file is replaced; the file appears whole or not at all. The format has no place for
    the conduction speed and the name. Raises ValueError without centres or hemispheres, which
    tvb-library needs, and for labels that are not ASCII; FileNotFoundError without the folder.
    """
    regions = connectome.regions
    for name in ("centres", "hemispheres"):
        if getattr(regions, name) is None:
            raise ValueError(
                f"write_connectome_h5: {connectome.name!r} has no {name}, which tvb-library needs; "
                f"pass {name} to Connectome."
            )
    for i, label in enumerate(regions.labels):
        if not label.isascii():
            raise ValueError(
                f"write_connectome_h5: labels[{i}] is {label!r}, and tvb-library reads ASCII only; "
                "write it in ASCII."
            )
    arrays = {
        "weights": np.asarray(connectome.weights, np.float64),
        "tract_lengths": np.asarray(connectome.tract_lengths, np.float64),
        "region_labels": np.array([label.encode() for label in regions.labels]),
        **{
            name: getattr(regions, name)
            for name in _FIELDS[2:]
            if getattr(regions, name) is not None
        },
    }
    joined = np.count_nonzero(arrays["weights"])
    undirected = np.array_equal(arrays["weights"], arrays["weights"].T)
    attributes = {
        "Type": "Connectivity",
        "Module": "tvb.datatypes.connectivity",
        "Number_of_regions": str(len(regions.labels)),
        "Number_of_connections": str(joined),
        "Undirected": str(int(undirected)),
        "Subject": json.dumps(connectome.name),
    }
    _write(path, arrays, attributes)


def read_time_series_h5(path: str | os.PathLike[str]) -> "xr.DataArray":
    """A time series from TVB's HDF5: dims (time, variable, region, mode), time in ms.

    Variables are named as in the file; regions are numbers, since the labels are in the connectome
    that `attrs["connectivity"]` names. Raises as `read_connectome_h5`.
    """
    import xarray as xr

    with _opened(path) as file:
        if "data" not in file:
            raise ValueError(
                f"{path}: there is no dataset data; it holds {', '.join(file) or 'nothing'}. A "
                "time series' file has data and time."
            )
        data = _numbers(file, "data")
        if data.ndim != 4:
            raise ValueError(
                f"{path}: data has the shape {data.shape}; a time series has 4 axes: time, state "
                "variable, region, mode."
            )
        attributes = {key.removeprefix("TVB_"): value for key, value in file.attrs.items()}
        factor = _milliseconds(path, attributes)
        if "time" in file:
            time = factor * _numbers(file, "time").reshape(-1)
        else:
            time = factor * _times(path, attributes, len(data))
    if len(time) != len(data):
        raise ValueError(f"{path}: {len(time)} times for {len(data)} samples.")
    title = _text(attributes.get("Title", "time series"))
    found = xr.DataArray(data, dims=_DIMS, name=title)
    found = found.assign_coords(time=("time", time, {"units": "ms", "long_name": "time"}))
    ordering, named = (
        _json(attributes.get(key), kind)
        for key, kind in (("Labels_ordering", list), ("Labels_dimensions", dict))
    )
    variables = named.get(ordering[1]) if len(ordering) > 1 else None
    if isinstance(variables, list) and len(variables) == data.shape[1]:
        found = found.assign_coords(variable=[str(one) for one in variables])
    connectivity = _text(attributes.get("Connectivity", ""))
    return found.assign_attrs(connectivity=connectivity) if connectivity else found


def write_time_series_h5(series: "xr.DataArray", path: str | os.PathLike[str]) -> None:
    """Write a time series with equal steps of time, dims (time, variable, region) and mode, if any,
    as TVB's HDF5. Raises ValueError for other dims or steps."""
    wanted = _DIMS if "mode" in series.dims else _DIMS[:3]
    if set(series.dims) != set(wanted):
        raise ValueError(
            f"write_time_series_h5: the dims are {series.dims}; give time, variable, region and, "
            "if there are any, mode."
        )
    data = series.transpose(*wanted).values
    time = np.asarray(series["time"].values, float)
    steps = np.diff(time)
    if not len(steps) or np.ptp(steps) > 1e-6 * steps[0]:
        raise ValueError(
            "write_time_series_h5: the format has one sampling period, and this has "
            + ("one sample." if not len(steps) else f"{steps.min():g} to {steps.max():g} ms.")
        )
    variables = (
        [str(one) for one in series["variable"].values] if "variable" in series.coords else []
    )
    ordering = ["Time", "State Variable", "Region", "Mode"]
    attributes = {
        "Type": "TimeSeriesRegion",
        "Module": "tvb.datatypes.time_series",
        "Title": json.dumps(str(series.name or "time series")),
        "Nr_dimensions": "4",
        "Sample_period": repr(float(steps[0])),
        "Sample_period_unit": '"ms"',
        "Sample_rate": repr(1000.0 / float(steps[0])),
        "Start_time": repr(float(time[0])),
        "Labels_ordering": json.dumps(ordering),
        "Labels_dimensions": json.dumps({"State Variable": variables}),
    }
    full = data if data.ndim == 4 else data[..., None]
    _write(path, {"data": full, "time": time}, attributes)


def _write(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], attributes: Mapping[str, str]
) -> None:
    with atomic_path(Path(path)) as temporary, h5py.File(temporary, "x") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False)
        file.attrs["TVB_Data_version"] = _WRITTEN_AS
        for name, value in attributes.items():
            file.attrs[f"TVB_{name}"] = value


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file, or a damaged one ({error}).") from error
    with file:
        version = file.attrs.get("TVB_Data_version")
        if version is not None and _whole(version) not in _VERSIONS:
            raise ValueError(
                f"{path}: TVB_Data_version is {_text(version)}; known are {_VERSIONS[0]} to "
                f"{_VERSIONS[-1]}. Export it from TVB as a zip, or convert it to one of these."
            )
        yield file


def _numbers(file: h5py.File, name: str) -> np.ndarray:
    values = _values(file, name, "biuf", "real numbers")
    return values if values.dtype == bool else np.asarray(values, np.float64)


def _labels(file: h5py.File, name: str) -> tuple[str, ...]:
    return tuple(_text(value) for value in np.ravel(_values(file, name, "SO", "text")))


def _values(file: h5py.File, name: str, kinds: str, wanted: str) -> np.ndarray:
    node = file[name]
    if not isinstance(node, h5py.Dataset) or node.dtype.kind not in kinds:
        kind = node.dtype if isinstance(node, h5py.Dataset) else "a group"
        raise ValueError(f"{file.filename}: {name} is {kind}; it should hold {wanted}.")
    try:
        return np.asarray(node[()])
    except OSError as error:
        raise ValueError(f"{file.filename}: {name} is damaged ({error}).") from error


def _text(value: Any) -> str:
    """Text of an attribute: bytes or text, as TVB stores it or in JSON's quotes."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _whole(value: Any) -> int | None:
    try:
        return int(_text(value))
    except ValueError:
        return None


def _json(value: Any, kind: type) -> Any:
    """What JSON in an attribute says, or an empty one of the kind where it says nothing."""
    try:
        found = json.loads(value.decode() if isinstance(value, bytes) else str(value))
    except ValueError:
        return kind()
    return found if isinstance(found, kind) else kind()


def _milliseconds(path: Any, attributes: Mapping[str, Any]) -> float:
    unit = _text(attributes.get("Sample_period_unit", "ms"))
    if unit not in _MILLISECONDS:
        raise ValueError(
            f"{path}: TVB_Sample_period_unit is {unit!r}; known are {', '.join(_MILLISECONDS)}."
        )
    return _MILLISECONDS[unit]


def _times(path: Any, attributes: Mapping[str, Any], count: int) -> np.ndarray:
    """Times by the attributes, in the file's unit."""
    try:
        start = float(_text(attributes.get("Start_time", 0.0)))
        period = float(_text(attributes["Sample_period"]))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path}: there is neither a dataset time nor a number as TVB_Sample_period."
        ) from error
    return start + period * np.arange(count)
