"""Which samples of a result are meant, by the names of a monitor and a variable, and how far apart
in time they are."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float

from tvbjax.result import Result


def place_of(who: str, what: str, names: Sequence[str], name: str | None) -> int:
    """Where a name is among names; it may be left out where there is one. `who`, `what`: for the
    error, as `"feature"` and `"monitor"`. Raises `ValueError` for a name that is not there."""
    if name is None and len(names) == 1:
        return 0
    if name is None or name not in names:
        says = f"there are several {what}s" if name is None else f"there is no '{name}'"
        raise ValueError(f"{who}: {says}; name one of {', '.join(names)}.")
    return list(names).index(name)


def monitor_of(who: str, result: Result, monitor: str | None) -> str:
    """The name of a monitor of a result; it may be left out where there is one."""
    names = list(result.samples)
    return names[place_of(who, "monitor", names, monitor)]


def period_of(time: Float[Array | np.ndarray, " time"]) -> float:
    """The time between samples, ms, by their stamps, of which there are two or more."""
    return (float(time[-1]) - float(time[0])) / max(1, len(time) - 1)
