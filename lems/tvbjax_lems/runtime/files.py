"""The files that a LEMS file asks for: columns of quantities, and lists of events, in SI units."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .request import Output

if TYPE_CHECKING:
    from .run import Recording


def write_outputs(recording: "Recording", folder: Path) -> list[Path]:
    """Write every DataWriter's and EventWriter's file below the folder; the paths written.

    A name that leads out of the folder is refused with a ValueError.
    """
    written = []
    for output in recording.network.outputs:
        if output.kind == "DataDisplay" or not output.file:
            continue
        path = folder / output.file
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"the file asks to write '{output.file}', which is outside of {folder}; "
                "change its fileName."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _events(recording, output) if output.kind == "EventWriter" else None
        if text is None:
            _columns(recording, output, path)
        else:
            path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _columns(recording: "Recording", output: Output, path: Path) -> None:
    plan = recording.network.plan
    powers = {
        one.path: plan.units[one.parts[0].unit].dimensions.get(one.parts[0].name, 0.0)
        for one in plan.quantities
    }
    columns = [np.asarray(recording.t, float) * 10.0**plan.time_power]
    for column in output.columns:
        values = np.asarray(recording[column.path], float)
        columns += list(np.atleast_2d((values * 10.0 ** powers[column.path]).T))
    np.savetxt(path, np.stack(columns, axis=1), fmt="%.10g", delimiter="\t")


def _events(recording: "Recording", output: Output) -> str:
    scale = 10.0**recording.network.plan.time_power
    rows: list[tuple[float, str]] = []
    for column in output.columns:
        path = "/".join(part for part in (column.path, column.port) if part)
        found = recording.events[path]
        if found.ndim == 2:  # of several instances: time and instance
            rows += [(float(t) * scale, f"{column.label}[{int(i)}]") for t, i in found]
        else:
            rows += [(float(t) * scale, column.label) for t in found]
    rows.sort(key=lambda row: row[0])
    if output.format.upper() == "ID_TIME":
        return "".join(f"{label}\t{t:.10g}\n" for t, label in rows)
    return "".join(f"{t:.10g}\t{label}\n" for t, label in rows)
