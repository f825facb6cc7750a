"""A measure over swept parameters."""

from typing import TYPE_CHECKING

import numpy as np

from tvbjax.plot.style import (
    NO_DATA,
    cell_edges,
    colour_bar,
    described,
    figure_of,
    panel,
    with_grey,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = "#0072B2"


def sweep(
    dataset: "xr.Dataset | xr.DataArray",
    variable: str | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Figure":
    """A measure over one swept parameter, as a line, or over two, as a heat map.

    `dataset`: what `sweep` gave, or one of its variables; `variable`: which, where there are
    several. Of a listed sweep (`Points`), members are marks at their parameters. The first
    parameter runs up, the second to the right. Diverged members are grey; on a line they are gaps.
    `ax`: draws there and returns its figure.

    Raises ModuleNotFoundError without matplotlib, ValueError for another number of parameters.
    """
    measured = _measured(dataset, variable)
    if 0 in measured.shape:
        raise ValueError(f"sweep: {measured.name!r} is empty, {dict(measured.sizes)}.")
    if measured.dims == ("member",):
        return _draw_members(measured, ax)
    if measured.ndim not in (1, 2):
        raise ValueError(
            f"sweep: {measured.name!r} has the sizes {dict(measured.sizes)}; draw it over one or "
            "two parameters: choose of the others by .sel(), or average by .mean(dim)."
        )
    with panel(ax, 7.6, 5.6) as axes:
        if measured.ndim == 2:
            draw_map(axes, measured)
        else:
            _draw_line(axes, measured)
    return figure_of(axes)


def draw_map(axes: "Axes", sweep_map: "xr.DataArray"):
    up, across = (str(dim) for dim in sweep_map.dims)
    values = np.ma.masked_invalid(np.asarray(sweep_map.values, dtype=float))
    ticks = {dim: _places(sweep_map[dim].values) for dim in (up, across)}
    edges = {dim: cell_edges(places) for dim, places in ticks.items()}
    image = axes.pcolormesh(
        edges[across], edges[up], values, cmap=with_grey("viridis"), rasterized=True
    )
    axes.set_facecolor(NO_DATA)
    axes.spines[:].set_visible(False)
    for dim, set_ticks in ((across, axes.set_xticks), (up, axes.set_yticks)):
        coordinate = sweep_map[dim].values
        if coordinate.dtype.kind not in "iuf" or len(coordinate) == 1:
            set_ticks(ticks[dim], [str(value) for value in coordinate])
    axes.set_xlabel(described(sweep_map[across], across))
    axes.set_ylabel(described(sweep_map[up], up))
    name = str(sweep_map.name or "value")
    axes.set_title(f"Sweep of {up} and {across}")
    note = " (grey: diverged)" if np.ma.getmaskarray(values).any() else ""
    colour_bar(axes, image, described(sweep_map, name) + note)


def _measured(dataset: "xr.Dataset | xr.DataArray", variable: str | None) -> "xr.DataArray":
    import xarray as xr

    if isinstance(dataset, xr.DataArray):
        return dataset
    about = ("diverged", "diverged_at", "finished")
    known = [str(name) for name in dataset.data_vars if name not in about]
    if variable is None and len(known) == 1:
        variable = known[0]
    if variable is None or variable not in dataset.data_vars:
        problem = "pass variable=" if variable is None else f"there is no {variable!r};"
        raise ValueError(f"sweep: {problem} one of {', '.join([*known, *about])}.")
    found = dataset[variable]
    if "diverged" in dataset and found.dtype.kind == "f" and variable not in about:
        found = found.where(~dataset["diverged"])  # keeps attributes and the order of dims
    return found


def _places(coordinate: np.ndarray) -> np.ndarray:
    """Where values stand on an axis: at themselves, or numbered where they are no numbers."""
    if coordinate.dtype.kind in "iuf" and len(coordinate) > 1:
        return coordinate.astype(float)
    return np.arange(len(coordinate), dtype=float)


def _draw_line(axes: "Axes", measured: "xr.DataArray"):
    dim = str(measured.dims[0])
    places, values = _places(measured[dim].values), np.asarray(measured.values, dtype=float)
    axes.plot(places, values, color=_LINE, lw=1.6, marker="o", ms=4)
    if measured[dim].dtype.kind not in "iuf" or len(places) == 1:
        axes.set_xticks(places, [str(value) for value in measured[dim].values])
    for place in places[~np.isfinite(values)]:
        axes.axvline(place, color=NO_DATA, lw=4, zorder=0)
    axes.set_xlabel(described(measured[dim], dim))
    axes.set_ylabel(described(measured, str(measured.name or "value")))
    note = " (grey: diverged)" if not np.isfinite(values).all() else ""
    axes.set_title(f"Sweep of {dim}{note}", loc="left")


def _draw_members(measured: "xr.DataArray", ax: "Axes | None") -> "Figure":
    """Members of a list over the one or two parameters that are numbers."""
    names = [
        str(name)
        for name, coordinate in measured.coords.items()
        if coordinate.dims == ("member",) and name != "member" and coordinate.dtype.kind in "iuf"
    ]
    if len(names) not in (1, 2):
        raise ValueError(
            f"sweep: members of {measured.name!r} have the parameters {names}; draw over one or "
            "two: leave out others by .drop_vars()."
        )
    values = np.asarray(measured.values, dtype=float)
    label = described(measured, str(measured.name or "value"))
    known = np.isfinite(values)
    with panel(ax, 7.6, 5.6) as axes:
        first = np.asarray(measured[names[0]].values, dtype=float)
        axes.set_xlabel(described(measured[names[-1]], names[-1]))
        axes.set_title(f"Sweep of {' and '.join(names)}", loc="left")
        if len(names) == 1:
            axes.plot(first[known], values[known], "o", color=_LINE, ms=5)
            axes.set_ylabel(label)
        else:
            second = np.asarray(measured[names[1]].values, dtype=float)
            axes.scatter(second[~known], first[~known], c=NO_DATA, s=36, edgecolors="#999999")
            image = axes.scatter(second[known], first[known], c=values[known], s=36)
            axes.set_ylabel(described(measured[names[0]], names[0]))
            colour_bar(axes, image, label + ("" if known.all() else " (grey: diverged)"))
    return figure_of(axes)
