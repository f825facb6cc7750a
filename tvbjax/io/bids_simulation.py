"""A simulated result as a BIDS derivative: series, with the model, values and connectome behind it.

    model/desc-<Model>_eq.xml                                the model's equations, LEMS
    code/sub-<S>_desc-<desc>_run.json, ..._versions.txt      how it was run, and by what
    atlas-<A>_nodeindices.tsv                                the regions
    sub-<S>/dwi/...                                          the connectome, as in `bids`
    sub-<S>/model/sub-<S>_desc-<Model><desc>_param.xml       the model's parameters, LEMS
    sub-<S>/ts/sub-<S>_desc-<desc>_ts.tsv, .json             rows are times, columns regions

Sidecars have the keys that BEP034 requires in pull request 967 and those of 2021 to 2023.
"""

import dataclasses
import importlib.metadata
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.io._bids import (
    checked_names,
    place_of,
    sidecar_path,
    software,
    write_json,
    write_table,
    write_text,
)
from tvbjax.io.bids import write_bids_connectome
from tvbjax.io.hashes import sha256_of
from tvbjax_lems import Model, load, models, standalone_lems, values_lems

if TYPE_CHECKING:
    import xarray as xr

_DIMS = ("time", "variable", "region")


def write_bids_simulation(
    series: "xr.DataArray",
    model: Model,
    connectome: Connectome,
    folder: str | os.PathLike[str],
    subject: str,
    *,
    desc: str,
    atlas: str,
    session: str | None = None,
    equations: str | Path | None = None,
    run: Mapping[str, Any] | None = None,
    seed: int | None = None,
    repository: str | None = None,
) -> tuple[Path, ...]:
    """Write a simulated series with its model and connectome into a BIDS derivative.

    `series`: a monitor's, `result["bold"]`, dims (time, variable, region), time in ms; one table
    for each variable. `model`, `connectome`: the simulator's. `desc`: the simulation's name,
    letters and digits. `equations`: the file that the model was loaded from, by default the
    built-in one of its name. `run`: all else that is known, `result.attributes`. `repository`:
    where the study's code is, an address with a commit.

    Returns the tables of series. Raises ValueError for other dims or regions than the connectome's,
    values that are not finite, steps of time that differ, equations that are not the model's, or a
    folder with another model or atlas of that name.
    """
    checked_names("write_bids_simulation", subject=subject, session=session, desc=desc, atlas=atlas)
    period = _checked_period(series, connectome)
    variables = _variables(series)
    source = _equations_of(model, equations)
    root = Path(folder)
    place, stem = place_of(root, subject, session)
    start = place / "ts" / f"{stem}_desc-{desc}"
    parts = [f"_var-{short}" for _, short, _ in variables] if len(variables) > 1 else [""]
    tables = tuple(start.with_name(f"{start.name}{part}_ts.tsv") for part in parts)
    _check_no_others(start, tables)
    network = write_bids_connectome(connectome, folder, subject, atlas=atlas, session=session)
    name = re.sub(r"[^A-Za-z0-9]", "", model.name)
    equations_file = root / "model" / f"desc-{name}_eq.xml"
    values_file = place / "model" / f"{stem}_desc-{name}{desc}_param.xml"
    run_file = root / "code" / f"{stem}_desc-{desc}_run.json"
    versions_file = root / "code" / f"{stem}_desc-{desc}_versions.txt"
    for path in (equations_file, values_file, run_file, place / "ts" / "any"):
        path.parent.mkdir(parents=True, exist_ok=True)
    _write_equations(equations_file, standalone_lems(source))
    include = Path(os.path.relpath(equations_file, values_file.parent)).as_posix()
    write_text(values_file, values_lems(model, source, include))
    write_json(run_file, {**(run or {}), **({} if seed is None else {"seed": seed})})
    write_text(versions_file, _installed())
    times = start.with_name(f"{start.name}_times.tsv")
    write_table(times, np.asarray(series["time"], float)[:, None])
    _describe_table(times, "times of the samples", (series.sizes["time"], 1), {"Units": "ms"})

    def local(path: Path) -> str:
        return path.relative_to(root).as_posix()

    version = software()["Version"]
    inputs = (*network, equations_file, values_file)
    common = {
        "ModelEq": local(equations_file),
        "ModelParam": local(values_file),
        "Connectivity": local(network[0]),
        "Network": [local(path) for path in network[:2]],
        "SourceCodeRepository": repository or f"tvbjax {version}",
        "MachineCodeRepository": local(versions_file),
        "SourceCode": local(run_file),
        "SourceCodeVersion": version,
        "SoftwareName": "tvbjax",
        "SoftwareVersion": version,
        "SoftwareRepository": repository or f"tvbjax {version}",
        "SamplingFrequency": 1e3 / period,
        "SamplingPeriod": period,
        "SamplingPeriodUnits": "ms",
        "CoordsRows": [local(times)],
        "CoordsColumns": [local(network[2])],
        "Seed": seed,
        "InputSHA256": {local(path): sha256_of(path) for path in inputs},
    }
    for i, (table, (variable, _, unit)) in enumerate(zip(tables, variables, strict=True)):
        array = np.asarray(series.isel(variable=i), float)
        write_table(table, array)
        what = f"{variable} of {model.name}, {series.name or 'simulated'}"
        _describe_table(table, what, array.shape, {"Variable": variable, "Units": unit} | common)
    return tables


def _checked_period(series: "xr.DataArray", connectome: Connectome) -> float:
    """The time between samples, ms."""
    if series.dims != _DIMS:
        raise ValueError(
            f"write_bids_simulation: the series has the dims {series.dims}; give those of a "
            f"monitor of regions, {_DIMS}."
        )
    regions = tuple(str(one) for one in series["region"].values)
    if regions != tuple(connectome.labels):
        raise ValueError(
            f"write_bids_simulation: the series has {len(regions)} regions, {regions[:3]}, ..., "
            f"and the connectome {len(connectome.labels)}, {connectome.labels[:3]}, ...; give what "
            "was simulated, in its order."
        )
    values, times = np.asarray(series, float), np.asarray(series["time"], float)
    if not np.isfinite(values).all():
        first = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"write_bids_simulation: the series is {values[tuple(first)]} in sample {first[0]}, "
            f"variable {first[1]}, region {first[2]}; give what is finite."
        )
    steps = np.diff(times)
    if len(times) < 2 or not (steps > 0).all() or not np.allclose(steps, steps[0], rtol=1e-3):
        raise ValueError(
            "write_bids_simulation: BIDS wants one sampling period, and the times of the series "
            "are fewer than two, or steps between them differ."
        )
    return float(np.round((times[-1] - times[0]) / len(steps), 9))


def _check_no_others(start: Path, tables: Sequence[Path]) -> None:
    """Raise ValueError for tables of an earlier simulation that would lie among these."""
    others = {*start.parent.glob(f"{start.name}_ts.tsv"), *start.parent.glob(f"{start.name}_var-*")}
    left = sorted(path.name for path in others - set(tables) if path.suffix == ".tsv")
    if left:
        raise ValueError(
            f"write_bids_simulation: {start.parent} has {', '.join(left[:6])} of another "
            "simulation with this desc; remove these, or give another desc."
        )


def _equations_of(model: Model, equations: str | Path | None) -> str | Path:
    """Where the model's equations are; checked, so that no file tells of another model."""
    if equations is None and model.name not in models():
        raise ValueError(
            f"write_bids_simulation: {model.name} is no built-in model; give the file that it was "
            "loaded from, equations=path."
        )
    source = model.name if equations is None else equations
    # Values of parameters may be others than the file's.
    found, simulated = (
        dataclasses.replace(one.spec, parameters=()) for one in (load(source), model)
    )
    if found != simulated:
        raise ValueError(
            f"write_bids_simulation: the equations of {source} are not those of {model.name} that "
            "was simulated; give the file that it was loaded from, equations=path."
        )
    return source


def _write_equations(path: Path, text: str) -> None:
    if path.is_file() and path.read_text() != text:
        raise ValueError(
            f"{path} has other equations under this name; give another folder, or rename the model."
        )
    write_text(path, text)


def _variables(series: "xr.DataArray") -> list[tuple[str, str, str]]:
    """Of each variable its name, its name in letters and digits, and its unit."""
    names = [str(name) for name in series["variable"].values]
    short = [re.sub(r"[^A-Za-z0-9]", "", name) for name in names]
    if len(set(short)) < len(short) or not all(short):
        raise ValueError(
            f"write_bids_simulation: the variables {', '.join(names)} are not told apart by "
            "letters and digits alone, which is all that BIDS's names have; write them one by one."
        )
    units = (
        [str(unit) for unit in series["unit"].values]
        if "unit" in series.coords
        else ["1"] * len(names)
    )
    return list(zip(names, short, units, strict=True))


def _installed() -> str:
    """Every package and version of this Python, as pip reads them."""
    found = {f"{one.metadata['Name']}=={one.version}" for one in importlib.metadata.distributions()}
    return "".join(f"{line}\n" for line in sorted(found, key=str.lower))


def _describe_table(
    table: Path, what: str, shape: tuple[int, ...], more: Mapping[str, Any]
) -> None:
    about = {"Description": what, "NumberOfRows": shape[0], "NumberOfColumns": shape[1]}
    write_json(sidecar_path(table), about | dict(more))
