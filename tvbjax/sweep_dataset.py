"""What members of a sweep gave, as people read it: names, dims, coordinates and units."""

from typing import TYPE_CHECKING

import jax
import numpy as np

from tvbjax.free import Free
from tvbjax.result import coordinate_of, without_absent
from tvbjax.simulation import absent_of, whole_steps
from tvbjax.simulator import Simulator

if TYPE_CHECKING:
    import xarray as xr

    from tvbjax.sweeps import Plan


def times_of(plan: "Plan", steps: np.ndarray) -> np.ndarray:
    """When members diverged, ms; NaN where they did not."""
    return np.where(steps >= 0, steps * plan.simulator.integrator.dt, np.nan)


def dataset(plan: "Plan", outcome) -> "xr.Dataset":
    """The outcomes of all members."""
    import xarray as xr

    return xr.Dataset(*variables_of(plan, outcome))


def variables_of(plan: "Plan", outcome) -> tuple[dict[str, tuple], dict]:
    """Outcomes with names, dims and coordinates, as xarray takes them."""
    simulator, measured = plan.simulator, plan.ensemble.measure is not None
    values, steps = outcome
    labels = labels_of(simulator, tuple(plan.axes))
    dims = ("member",) if plan.listed else labels
    grid = (len(steps),) if plan.listed else tuple(len(v) for v in plan.axes.values())
    variables = {
        "diverged": (dims, (steps >= 0).reshape(grid)),
        "diverged_at": (dims, times_of(plan, steps).reshape(grid), {"units": "ms"}),
    }
    coords = _parameter_coords(labels, plan.axes, plan.listed)
    alone = len(simulator.monitors) == 1
    for name, value in with_absent(plan, values).items():
        if measured:
            own = tuple(f"{name}_{axis}" for axis in range(value.ndim - 1))
        else:
            suffix = "" if alone else f"_{name}"
            found = _sample_coords(simulator, name, suffix, plan.ensemble.first, plan.duration)
            own, coords = tuple(found), coords | found
        variables[name] = ((*dims, *own), value.reshape(*grid, *value.shape[1:]))
    return variables, coords


def with_absent(plan: "Plan", values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Samples with NaN where a region does not have a variable."""
    if plan.ensemble.measure is not None:
        return values
    simulator = plan.simulator
    numbers = {monitor.name: i for i, monitor in enumerate(simulator.monitors)}
    return {n: without_absent(v, absent_of(simulator, numbers[n])) for n, v in values.items()}


def labels_of(simulator, frees: tuple[Free, ...]) -> tuple[str, ...]:
    """Short names, or whole paths where short ones are not unique."""
    short = [free.label(simulator) for free in frees]
    return tuple(
        name if short.count(name) == 1 else jax.tree_util.keystr(free.path(simulator)).lstrip(".")
        for free, name in zip(frees, short, strict=True)
    )


def _parameter_coords(labels, axes, listed) -> dict:
    """The swept values; where one value is an array, its dim is numbered and the values beside."""
    coords = {}
    for label, values in zip(labels, axes.values(), strict=True):
        own = "member" if listed else label
        inner = tuple(f"{label}_{i}" for i in range(1, values.ndim))
        name = label if values.ndim == 1 else f"{label}_values"
        coords[name] = ((own, *inner), values)
    return coords


def _sample_coords(
    simulator: Simulator, name: str, suffix: str, first: int, duration: float
) -> dict:
    """The dims of a monitor's samples. Those that may differ from monitor to monitor have its name
    for a suffix; the regions are the same for all that have them."""
    dt = simulator.integrator.dt
    number = [monitor.name for monitor in simulator.monitors].index(name)
    monitor = simulator.monitors[number]
    times = monitor.times(first, whole_steps(duration, dt), dt)
    variables = np.asarray(simulator.observed[number], dtype=object)
    dims = {
        f"time{suffix}": (f"time{suffix}", times, {"units": "ms"}),
        f"variable{suffix}": (f"variable{suffix}", variables),
    }
    for axis in simulator.sample_axes(number):
        dim = axis.name if axis == simulator.node_axis else f"{axis.name}{suffix}"
        dims[dim] = coordinate_of(axis, dim)
    return dims
