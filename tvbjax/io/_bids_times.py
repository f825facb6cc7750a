"""When the samples of a series in a BIDS folder were taken, in ms, from what its sidecar says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.io._bids import numbers, texts, within

_MS = {"ms": 1.0, "msec": 1.0, "millisecond": 1.0, "s": 1e3, "sec": 1e3, "second": 1e3}
_NEAR = 0.01


def times_of(
    root: Path, table: Path, sidecar: Mapping[str, Any], known: np.ndarray | None, count: int
) -> np.ndarray:
    """The times of `count` samples, ms, ascending: those of the table itself (`known`), of the file
    that `CoordsRows` names, or by `SamplingPeriod` or `SamplingFrequency`. Raises ValueError."""
    times = _unchecked(root, table, sidecar, known, count)
    if not (np.isfinite(times).all() and (np.diff(times) > 0.0).all()):
        raise ValueError(f"{table}: its {count} times are not finite and ascending.")
    return times


def _unchecked(
    root: Path, table: Path, sidecar: Mapping[str, Any], known: np.ndarray | None, count: int
) -> np.ndarray:
    if known is not None and table.suffix != ".tsv":
        return known
    period, frequency = (_number(sidecar.get(f"Sampling{x}")) for x in ("Period", "Frequency"))
    given = known
    for name in texts(sidecar.get("CoordsRows", [])) if given is None else ():
        path = within(root, table, name)
        if path is not None and given is None:
            given = numbers(path)[0].ravel()
            if len(given) != count:
                raise ValueError(f"{path}: {len(given)} times for the {count} rows of {table}.")
    if given is None and period is not None:
        given = np.arange(count) * period
    if given is not None:
        return given * _scale(table, sidecar, given, frequency)
    if frequency is not None:
        return np.arange(count) * 1e3 / frequency
    raise ValueError(
        f"{table}: no times; its sidecar should have CoordsRows, the file of the times, "
        "SamplingPeriod or SamplingFrequency."
    )


def milliseconds_in(path: Path, unit: Any) -> float:
    """How many ms a unit of time is. Raises ValueError."""
    name = (unit.decode() if isinstance(unit, bytes) else str(unit)).lower()
    for known, scale in _MS.items():
        if name in (known, f"{known}s"):
            return scale
    raise ValueError(f"{path}: '{name}' is no unit of time that is known; known are ms and s.")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0.0 < value < np.inf else None


def _scale(
    table: Path, sidecar: Mapping[str, Any], given: np.ndarray, frequency: float | None
) -> float:
    """Milliseconds in the unit of the times: what is said, what the frequency fits, else ms."""
    if "SamplingPeriodUnits" in sidecar:
        return milliseconds_in(table, sidecar["SamplingPeriodUnits"])
    if len(given) < 2 or frequency is None:
        return 1.0
    step = float(np.median(np.diff(given)))
    for scale in (1.0, 1e3):
        if abs(step * scale * frequency / 1e3 - 1.0) < _NEAR:
            return scale
    raise ValueError(
        f"{table}: times are {step:g} apart, which SamplingFrequency, {frequency:g} Hz, fits "
        "neither in ms nor in s; give SamplingPeriodUnits."
    )
