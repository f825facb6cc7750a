"""What `tvbjax lems run` writes: the files that the LEMS file names, a NetCDF file, the figures."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tvbjax import lems
from tvbjax.io.atomic import atomic_path
from tvbjax.io.xarray_files import write_dataset
from tvbjax_lems import Place
from tvbjax_lems.runtime.request import Column, Output

if TYPE_CHECKING:
    import xarray as xr

Written = tuple[str, str]  # a path below the folder, what is in it


def counted(count: int, what: str) -> str:
    """`1 event`, `2,000 events`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def check_names(network: lems.Network, folder: Path) -> None:
    """Refuse, before the run, what cannot be written after it."""
    for output in network.outputs:
        if output.kind == "DataDisplay" or not output.file:
            continue
        if "\0" in output.file or not (folder / output.file).resolve().is_relative_to(
            folder.resolve()
        ):
            raise ValueError(
                f"the file asks to write '{output.file}', which is outside of {folder}; "
                "change its fileName."
            )
        if (folder / output.file).is_dir():
            raise IsADirectoryError(
                f"the file asks to write '{output.file}', and in {folder} that is a folder; "
                "change its fileName, or give another --out."
            )


def write_texts(recording: lems.Recording, folder: Path) -> list[Written]:
    """The files of the DataWriters and EventWriters, each replaced whole."""
    outputs = {o.file: o for o in recording.network.outputs if o.kind != "DataDisplay"}
    found = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".lems-run-") as temporary:
        for path in recording.write(temporary):
            name = path.relative_to(temporary)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(folder / name) as place:
                path.replace(place)
            found.append((str(name), _contents(recording, outputs, str(name))))
    return found


def _contents(recording: lems.Recording, outputs: Mapping[str, Output], name: str) -> str:
    output = next((o for file, o in outputs.items() if str(Path(file)) == name), None)
    if output is None:
        return ""
    if output.kind == "EventWriter":
        count = sum(len(recording.events[f"{c.path}/{c.port}"]) for c in output.columns)
        return f"{counted(count, 'event')}, in s"
    return f"{len(recording.t):,} rows: time and {counted(len(output.columns), 'column')}, in SI"


def write_data(
    recording: lems.Recording, folder: Path, name: str, attributes: Mapping[str, str | float]
) -> Written:
    """All that was recorded, with units, as NetCDF."""
    data = dataset(recording).assign_attrs(dict(attributes))
    write_dataset(data, folder / name)
    count = len(recording.quantities) + len(recording.events)
    return name, f"all that was recorded: {counted(count, 'variable')} with units"


def dataset(recording: lems.Recording) -> "xr.Dataset":
    """Variables by path, with points for slashes, over time; the times of events by path and port.

    A quantity of many instances has the dim instance, too; the events of many have a second
    variable with their instances.
    """
    import xarray as xr

    plan = recording.network.plan
    time_unit = recording.network.time_unit
    variables: dict[str, xr.Variable] = {}
    for path, values in recording.quantities.items():
        one = plan.find(path, "")
        dims = ("time",) if values.ndim == 1 else ("time", f"{plan.units[one.unit].path}.instance")
        unit = plan.units[one.unit].units.get(one.name, "")
        attributes = {"units": unit or "1", "path": path}
        variables[_free(path, variables)] = xr.Variable(
            [_point(dim) for dim in dims], np.asarray(values), attributes
        )
    for path, times in recording.events.items():
        name = _free(path, variables)
        attributes = {"units": time_unit, "path": path, "long_name": "times of events"}
        at = times if times.ndim == 1 else times[:, 0]
        variables[name] = xr.Variable((f"{name}.event",), np.asarray(at, float), attributes)
        if times.ndim == 2:
            instances = times[:, 1].astype(np.int32)
            variables[f"{name}.instance"] = xr.Variable((f"{name}.event",), instances)
    time = xr.Variable(("time",), np.asarray(recording.t), {"units": time_unit})
    return xr.Dataset(variables, coords={"time": time})


def _point(path: str) -> str:
    return path.replace("/", ".")


def _free(path: str, taken: Mapping[str, object]) -> str:
    """NetCDF has no slashes in names."""
    name = _point(path)
    while name in taken or name == "time":
        name += "_"
    return name


def write_figures(
    recording: lems.Recording, record: tuple[str, ...], folder: Path, kind: str
) -> list[Written]:
    """A figure for each display, for each file of events, and for what was asked for besides."""
    from tvbjax.plot import display, raster

    found: list[Written] = []
    taken: set[str] = set()
    for output in (*recording.network.outputs, *_besides(recording, record)):
        if not output.columns or output.kind == "DataWriter":
            continue
        draw = display if output.kind == "DataDisplay" else raster
        name = _figure_name(output, taken)
        with atomic_path(folder / f"{name}.{kind}") as place:
            draw(recording, output).savefig(place)
        traces = counted(len(output.columns), "trace")
        what = traces if output.kind == "DataDisplay" else "raster of events"
        found.append((f"{name}.{kind}", what))
    return found


def _besides(recording: lems.Recording, record: tuple[str, ...]) -> list[Output]:
    """Displays of the paths that the command recorded, in working units."""
    plan = recording.network.plan
    place = Place("--record")
    traces, events = [], []
    for path in dict.fromkeys(record):
        if path in recording.quantities:
            one = plan.find(path, "")
            power = plan.units[one.unit].dimensions.get(one.name, 0.0)
            scales = (10.0**power, 10.0**plan.time_power)
            traces.append(Column(path, path, place, "", *scales))
        else:
            head, _, port = path.rpartition("/")
            events.append(Column(path, head, place, port))
    made = []
    if traces:
        made.append(Output("DataDisplay", "recorded", "", "", tuple(traces)))
    if events:
        made.append(Output("EventWriter", "recorded events", "", "", tuple(events)))
    return made


def _figure_name(output: Output, taken: set[str]) -> str:
    """A file name from the title: letters, digits, points, dashes and underscores."""
    base = (
        output.title if output.kind == "DataDisplay" or not output.file else Path(output.file).name
    )
    stem = re.sub(r"[^\w.-]+", "_", base).strip("._")[:80] or "figure"
    name, number = stem, 2
    while name.lower() in taken:
        name, number = f"{stem}_{number}", number + 1
    taken.add(name.lower())
    return name
