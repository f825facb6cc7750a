"""Values over time of regions or vertices, checked and packed into few bits for a page."""

import base64
import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array

from tvbjax.connectome import Connectome
from tvbjax.plot.given import check_data
from tvbjax.plot.ranges import colour_limits
from tvbjax.regions import Regions
from tvbjax.surface import Surface, checked_mapping

if TYPE_CHECKING:
    import xarray as xr

_MISSING = {np.uint16: 65_535, np.uint8: 255}
_MOST_BYTES = 24_000_000


@dataclasses.dataclass(frozen=True)
class Variable:
    """One variable: `regions` (time, region), `vertices` (time, vertex) or None; NaN is missing."""

    name: str
    unit: str
    regions: np.ndarray
    vertices: np.ndarray | None
    limits: tuple[float, float]
    clipped: tuple[bool, bool]
    diverging: bool

    def payload(self) -> dict:
        levels, low, step = _levels(self.regions, np.uint16)
        packed = {
            "name": self.name,
            "unit": self.unit,
            "limits": self.limits,
            "clipped": self.clipped,
            "diverging": self.diverging,
            "missing": bool(np.isnan(self._coloured).any()),
            "regions": encoded(levels),
            "low": low,
            "step": step,
        }
        if self.vertices is not None:
            levels, low, step = _levels(self.vertices, np.uint8)
            packed |= {"vertices": encoded(levels), "vertex_low": low, "vertex_step": step}
        return packed

    @property
    def _coloured(self) -> np.ndarray:
        return self.regions if self.vertices is None else self.vertices


@dataclasses.dataclass(frozen=True)
class Activity:
    """All variables over the same times, and what regions there are."""

    name: str
    time: np.ndarray
    unit: str
    variables: tuple[Variable, ...]
    regions: Regions
    mapping: np.ndarray
    note: str

    def payload(self) -> dict:
        return {
            "labels": self.regions.labels,
            "time": {"values": encoded(self.time.astype("<f8")), "unit": self.unit},
            "variables": [variable.payload() for variable in self.variables],
            "note": self.note,
        }


def encoded(array: np.ndarray) -> str:
    """Its bytes, little end first, in base64."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode("ascii")


def activity_of(
    data: "xr.DataArray | Array | np.ndarray",
    surface: Surface,
    mapping: np.ndarray,
    connectome: Connectome | None,
    time: np.ndarray | None,
    limits: tuple[float | int, float | int] | None,
    points: int,
) -> Activity:
    """Data as `brain` takes them; raises ValueError for what does not fit."""
    values, times, unit, variables, labels, name = _parts(data, time)
    if values.size == 0:
        raise ValueError(f"brain: data is empty, its shape {values.shape}; simulate for longer.")
    if points < 1:
        raise ValueError(f"brain: points is {points}; show one time or more.")
    size = values.shape[2]
    of_vertices = size == len(surface)
    regions = _regions(connectome, mapping, None if of_vertices else (size, labels))
    if not of_vertices and size != len(regions):
        raise ValueError(
            f"brain: data has {size} regions, the connectome {len(regions)} and the surface "
            f"{len(surface)} vertices; pass values of all regions or of all vertices."
        )
    if not of_vertices and labels is not None and labels != list(regions.labels):
        first = next(i for i, label in enumerate(labels) if label != regions.labels[i])
        raise ValueError(
            f"brain: region {first} of data is {labels[first]!r}, of the connectome "
            f"{regions.labels[first]!r}; pass the connectome of the simulation, or data.sel("
            "region=list(connectome.labels))."
        )
    mapping = checked_mapping(mapping, regions, len(surface))
    every = -(-len(times) // points)
    shown = slice(None, None, every)
    _check_size(values[shown], of_vertices)
    return Activity(
        name,
        times[shown],
        unit,
        tuple(
            _variable(*about, values[shown, i], mapping, len(regions), of_vertices, limits)
            for i, about in enumerate(variables)
        ),
        regions,
        mapping,
        f"Every {_ordinal(every)} of {len(times):,} samples is shown." if every > 1 else "",
    )


def _parts(data: "xr.DataArray | Array | np.ndarray", time: np.ndarray | None):
    """Values (time, variable, node), times and their unit, names and units, labels, a title."""
    import xarray as xr

    check_data("brain", data, arrays=True)
    if isinstance(data, xr.DataArray):
        return _named_parts(data)
    values = np.asarray(data, dtype=float)
    if values.ndim != 2:
        raise ValueError(
            f"brain: data has the shape {values.shape}; pass (time, region) or (time, vertex), or "
            "an xarray.DataArray (time, variable, region) such as result['temporal_average']."
        )
    times = np.arange(len(values), dtype=float) if time is None else np.asarray(time, dtype=float)
    if times.shape != values.shape[:1]:
        raise ValueError(
            f"brain: time has the shape {times.shape} and data {len(values)} rows; pass one time "
            "in ms for each."
        )
    _check_times(times)
    return values[:, None], times, "" if time is None else "ms", [("value", "")], None, "Activity"


def _named_parts(data: "xr.DataArray"):
    if "variable" not in data.dims:
        data = data.expand_dims(variable=[str(data.name or "value")], axis=1)
    place = next((dim for dim in ("region", "vertex") if dim in data.dims), "region")
    if set(data.dims) != {"time", "variable", place}:
        raise ValueError(
            f"brain: data has the dims {data.dims}; pass (time, variable, region), (time, region), "
            "or the same with vertex for region; choose of other dims by .sel()."
        )
    data = data.transpose("time", "variable", place)
    times, unit = np.arange(data.sizes["time"], dtype=float), ""
    if "time" in data.coords:
        times, unit = data["time"].values.astype(float), data["time"].attrs.get("units", "ms")
    _check_times(times)
    count = data.sizes["variable"]
    numbered = [f"variable {i}" for i in range(count)]
    names = data["variable"].values if "variable" in data.coords else numbered
    units = data["unit"].values if "unit" in data.coords else [data.attrs.get("units", "")] * count
    units = np.broadcast_to(np.asarray(units, dtype=object), (count,))
    described = [
        (str(n), "" if u in ("", "1") else str(u)) for n, u in zip(names, units, strict=True)
    ]
    named = place == "region" and "region" in data.coords
    # Numbers are no labels: some selection left them.
    named = named and data["region"].dtype.kind in "OUT"
    labels = [str(label) for label in data["region"].values] if named else None
    title = str(data.name or "activity").replace("_", " ").capitalize()
    return data.values.astype(float), times, unit, described, labels, title


def _check_times(times: np.ndarray) -> None:
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError("brain: times are not finite and increasing; sort data by them.")


def _regions(connectome: Connectome | None, mapping, of_regions) -> Regions:
    """The connectome's, or of the data's labels, or numbered."""
    if connectome is not None:
        return connectome.regions
    if of_regions is not None:
        size, labels = of_regions
        return Regions([f"region {i}" for i in range(size)] if labels is None else labels)
    numbers = np.asarray(mapping)
    size = int(numbers.max()) + 1 if numbers.size and numbers.dtype.kind in "iuf" else 1
    return Regions([f"region {i}" for i in range(max(size, 1))])


def _check_size(values: np.ndarray, of_vertices: bool) -> None:
    size = values.size * (1 if of_vertices else 2)
    if size > _MOST_BYTES:
        times, variables, nodes = values.shape
        raise ValueError(
            f"brain: {times} times of {variables} variables at {nodes} "
            f"{'vertices' if of_vertices else 'regions'} take {size / 1e6:.0f} MB, and a page has "
            f"room for {_MOST_BYTES / 1e6:.0f}; pass points={int(times * _MOST_BYTES / size)} or "
            "less, or one variable of data."
        )


def _variable(name, unit, values, mapping, regions, of_vertices, limits) -> Variable:
    values = np.where(np.isfinite(values), values, np.nan)
    low, high, diverging = colour_limits(values, limits, "brain")
    finite = values[~np.isnan(values)]
    clipped = (bool((finite < low).any()), bool((finite > high).any()))
    means = _means(values, mapping, regions) if of_vertices else values
    vertices = values if of_vertices else None
    return Variable(name, unit, means, vertices, (low, high), clipped, diverging)


def _means(values: np.ndarray, mapping: np.ndarray, regions: int) -> np.ndarray:
    """Of every region's vertices that have a value; NaN where none has, or the region none."""
    import scipy.sparse

    vertices = len(mapping)
    sums = scipy.sparse.csr_array(
        (np.ones(vertices), (mapping, np.arange(vertices))), shape=(regions, vertices)
    )
    known = ~np.isnan(values)
    total, count = (sums @ part.T for part in (np.where(known, values, 0.0), known.astype(float)))
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan).T


def _levels(values: np.ndarray, kind: type) -> tuple[np.ndarray, float, float]:
    """Values as low + level * step, levels from 0; where there is none, the type's largest."""
    missing = _MISSING[kind]
    known = ~np.isnan(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    step = (high / (missing - 1) - low / (missing - 1)) or 1.0
    levels = np.rint((np.where(known, values, low) - low) / step).clip(0, missing - 1)
    return np.where(known, levels, missing).astype(kind), float(low), float(step)


def _ordinal(number: int) -> str:
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
