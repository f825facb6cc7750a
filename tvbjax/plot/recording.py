"""What a LEMS file asks to see of a run: the traces of a display, a raster of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax import lems
from tvbjax.plot.colours import PALETTE, legible
from tvbjax.plot.style import load_matplotlib
from tvbjax.plot.units import scaled_unit
from tvbjax_lems.runtime.request import Column, Output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Range = tuple[float | int, float | int]
_STYLE = {
    "font.size": 12,
    "axes.labelsize": 13,
    "axes.titlesize": 14,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
}
_PADS = {"w_pad": 0.08, "h_pad": 0.08}  # inches
_BINS = 2_000  # of the time axis: more cannot be seen, and would make SVG files of megabytes
_PANELS = 6
_NAMED = 14  # lines in a legend
_INSTANCES = 100  # lines drawn of a quantity of many instances
_ROWS_NAMED = 30
_SEEN = 0.1  # of an axis, which its lines must fill


@dataclass(frozen=True)
class _Line:
    """A quantity in the file's scale: (row, instance)."""

    label: str
    name: str
    unit: str
    colour: str
    values: np.ndarray


def display(
    recording: lems.Recording,
    output: Output,
    *,
    x_range: Range | None = None,
    y_range: Range | None = None,
) -> "Figure":
    """The figure of a display, one of `network.outputs` of the kind DataDisplay; 900 pixels wide.

    Scales, time scale, colours and labels are the file's; colours that white would swallow are
    darkened. Quantities of different units go to panels of their own, one above another. Of each
    pixel column the least and the largest value are drawn, so no spike is lost. `x_range`,
    `y_range`: the ends of the axes, in the file's scales, by default the file's; `y_range` for
    figures of one panel. The file's are cut to the time that was simulated, and left where they
    do not fit what was recorded.

    Raises ModuleNotFoundError without matplotlib, ValueError for an output of another kind.
    """
    matplotlib, figure_class, layout_class = load_matplotlib()
    _check_kind(output, "DataDisplay", "display")
    _check_scales(output)
    lines = _lines(recording, output)
    panels = _panels(lines)
    scale = output.columns[0].time_scale if output.columns else 1.0
    time = _times(recording, np.asarray(recording.t, float), scale)
    with matplotlib.rc_context(_STYLE):
        height = 1.4 + 2.8 * len(panels) if len(panels) > 1 else 4.8
        figure = figure_class(figsize=(9, min(height, 14)), dpi=100, layout=layout_class(**_PADS))
        grid = figure.subplots(max(len(panels), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, members in zip(grid, panels, strict=False):
            _draw_lines(axes, time, members)
        ends = x_range or _time_range(time, output.region)
        grid[-1].set_xlim(float(ends[0]), float(ends[1]))
        heights = y_range or _value_range(lines, output.region)
        if heights is not None and len(panels) == 1:
            grid[0].set_ylim(float(heights[0]), float(heights[1]))
        grid[-1].set_xlabel(f"time ({_time_unit(recording, scale)})")
        _title(grid[0], output.title)
        figure.align_ylabels()
    return figure


def raster(recording: lems.Recording, output: Output) -> "Figure":
    """The events of an output of the kind EventWriter, a row for each source; 900 pixels wide.

    Raises ModuleNotFoundError without matplotlib, ValueError for an output of another kind.
    """
    matplotlib, figure_class, layout_class = load_matplotlib()
    _check_kind(output, "EventWriter", "raster")
    sources = _sources(recording, output)
    with matplotlib.rc_context(_STYLE):
        size = min(2.0 + 0.28 * len(sources), 8.0)
        figure = figure_class(figsize=(9, size), dpi=100, layout=layout_class(**_PADS))
        axes = figure.subplots()
        _draw_sources(axes, sources, [column.path for column in output.columns])
        axes.set_xlim(float(recording.t[0]), float(recording.t[-1]))
        axes.set_xlabel(f"time ({recording.network.time_unit})")
        count = sum(len(source.times) for source in sources)
        _title(axes, output.file or output.title, f"{count:,} events")
    return figure


def _check_kind(output: Output, kind: str, name: str) -> None:
    if output.kind != kind:
        raise ValueError(f"{name}: the output is a {output.kind}; pass a {kind} of the network.")


def _check_scales(output: Output) -> None:
    for column in output.columns:
        if column.scale == 0.0 or column.time_scale <= 0.0:
            raise ValueError(
                f"display: {column.place}: the line '{column.label}' is scaled by {column.scale:g} "
                f"and its time by {column.time_scale:g} (SI); give another scale than 0, and a "
                "positive one for time."
            )


def _time_unit(recording: lems.Recording, scale: float) -> str:
    return scaled_unit(recording.network.time_unit, recording.network.plan.time_power, scale)


def _times(recording: lems.Recording, times: np.ndarray, scale: float) -> np.ndarray:
    return times * (10.0**recording.network.plan.time_power / scale)


# Traces.


def _lines(recording: lems.Recording, output: Output) -> list[_Line]:
    colours = legible([column.color for column in output.columns])
    return [
        _line(recording, column, colour)
        for column, colour in zip(output.columns, colours, strict=True)
    ]


def _line(recording: lems.Recording, column: Column, colour: str) -> _Line:
    plan = recording.network.plan
    found = plan.find(column.path, "")
    unit = plan.units[found.unit]
    power = float(unit.dimensions.get(found.name, 0.0))
    values = np.asarray(recording[column.path], float) * (10.0**power / column.scale)
    label, many = column.label, values.reshape(len(values), -1)
    if many.shape[1] > _INSTANCES:
        chosen = np.linspace(0, many.shape[1] - 1, _INSTANCES).round().astype(int)
        label = f"{label} ({_INSTANCES} of {many.shape[1]})"
        many = many[:, chosen]
    name = column.path.rpartition("/")[2]
    return _Line(
        label, name, scaled_unit(unit.units.get(found.name, ""), power, column.scale), colour, many
    )


def _time_range(time: np.ndarray, region: tuple[float, ...]) -> tuple[float, float]:
    """The file's part of the time that was simulated, all of it where they do not meet."""
    first, last = float(time[0]), float(time[-1])
    if region and region[0] < last and region[1] > first:
        return max(first, region[0]), min(last, region[1])
    return first, last


def _value_range(lines: list[_Line], region: tuple[float, ...]) -> tuple[float, float] | None:
    """The file's, if everything can be seen in it: many files have another plot's numbers."""
    values = np.concatenate([line.values.ravel() for line in lines]) if lines else np.zeros(0)
    values = values[np.isfinite(values)]
    if not region or not values.size:
        return None
    low, high = region[2:]
    least, most = float(values.min()), float(values.max())
    fits = low <= least and most <= high and most - least > _SEEN * (high - low)
    return (low, high) if fits else None


def _panels(lines: list[_Line]) -> list[list[_Line]]:
    """The lines by their units, in the order of the file; the last panel takes the rest."""
    units = list(dict.fromkeys(line.unit for line in lines))
    place = {unit: min(i, _PANELS - 1) for i, unit in enumerate(units)}
    return [
        [line for line in lines if place[line.unit] == i] for i in range(min(len(units), _PANELS))
    ]


def _draw_lines(axes: "Axes", time: np.ndarray, lines: list[_Line]) -> None:
    handles = []
    for line in lines:
        thin = line.values.shape[1] > 1
        for one in line.values.T:
            drawn = axes.plot(
                *_thinned(time, one), color=line.colour, lw=0.6 if thin else 1.3, alpha=0.9
            )
        handles.append(drawn[0])
    axes.set_ylabel(_y_label(lines))
    axes.margins(y=0.06)
    if len(lines) > 1:
        _legend(axes, handles, [line.label for line in lines])
    elif lines[0].label != lines[0].name:
        _note(axes, lines[0].label)


def _legend(axes: "Axes", handles: list[Any], labels: list[str]) -> None:
    """Beside the panel, where it covers nothing."""
    shown = [_plain(_short(label, 28)) for label in labels[:_NAMED]]
    axes.legend(
        handles[:_NAMED],
        shown,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.02),
        fontsize=10.5,
        handlelength=1.4,
        title=f"first {_NAMED} of {len(labels)}" if len(labels) > _NAMED else None,
    )


def _y_label(lines: list[_Line]) -> str:
    """What all lines are, with the unit: v (mV)."""
    names = {line.name for line in lines}
    units = {line.unit for line in lines}
    unit = units.pop() if len(units) == 1 else "several units"
    if len(names) > 1:
        return unit or "dimensionless"
    return _plain(f"{_short(names.pop())} ({unit})" if unit else _short(names.pop()))


def _thinned(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value of each of many parts, in order; few rows as they are."""
    each = len(time) // _BINS
    if each < 4:
        return time, values
    whole = len(time) // each * each
    parts = np.where(np.isfinite(values), values, np.nan)[:whole].reshape(-1, each)
    low = np.where(np.isnan(parts), np.inf, parts).argmin(axis=1)
    high = np.where(np.isnan(parts), -np.inf, parts).argmax(axis=1)
    offsets = np.arange(0, whole, each)[:, None]
    chosen = (np.sort(np.stack([low, high], axis=1), axis=1) + offsets).ravel()
    chosen = np.concatenate([[0], chosen, np.arange(whole, len(time)), [len(time) - 1]])
    return time[chosen], values[chosen]


# Events.


@dataclass(frozen=True)
class _Source:
    """What sends events; `column`: the number of the file's column that it belongs to."""

    name: str
    column: int
    times: np.ndarray


def _sources(recording: lems.Recording, output: Output) -> list[_Source]:
    plan = recording.network.plan
    found = []
    for number, column in enumerate(output.columns):
        times = np.asarray(recording.events[f"{column.path}/{column.port}"], float)
        if times.ndim == 1:
            found.append(_Source(column.path, number, times))
            continue
        size = plan.units[plan.find(column.path, column.port).unit].size
        name = column.path.removesuffix("[*]")
        for i in range(size):
            found.append(_Source(f"{name}[{i}]", number, times[times[:, 1] == i, 0]))
    return found


def _draw_sources(axes: "Axes", sources: list[_Source], names: list[str]) -> None:
    """Ticks, or dots where there are too many rows for ticks; the first source is at the top.

    Names stand at the rows, or, where there are many, at the middle of each column's rows.
    """
    columns = np.array([source.column for source in sources])
    several = len(names) < len(sources) and 1 < len(names) <= len(PALETTE)
    colours = [PALETTE[number if several else 0] for number in columns]
    if len(sources) <= 100:
        axes.eventplot(
            [source.times for source in sources],
            lineoffsets=list(range(len(sources))),
            linelengths=0.75,
            linewidths=1.2,
            colors=colours,
        )
    else:
        counts = [len(source.times) for source in sources]
        times = np.concatenate([source.times for source in sources])
        levels = np.repeat(np.arange(len(sources)), counts)
        size = float(np.clip(500 / len(sources), 0.7, 3.0)) ** 2
        shades = np.repeat(np.array(colours), counts)
        axes.scatter(times, levels, s=size, c=shades.tolist(), linewidths=0, rasterized=True)
    axes.set_ylim(max(len(sources), 1) - 0.4, -0.6)
    if len(sources) <= _ROWS_NAMED:
        _name_rows(axes, range(len(sources)), [source.name for source in sources])
    elif several:
        middles = [float(np.flatnonzero(columns == i).mean()) for i in range(len(names))]
        _name_rows(axes, middles, names)
    else:
        axes.set_ylabel("source")


def _name_rows(axes: "Axes", places: Sequence[float | int], names: Sequence[str]) -> None:
    axes.set_yticks(places, [_plain(_short(name, 30)) for name in names], fontsize=10.5)
    axes.tick_params(axis="y", length=0)


# Text.


def _title(axes: "Axes", title: str, more: str = "") -> None:
    axes.set_title(_plain(_short(title, 70)), loc="left", fontweight="bold")
    if more:
        _note(axes, more)


def _note(axes: "Axes", text: str) -> None:
    axes.set_title(_plain(_short(text, 40)), loc="right", fontsize=11, color="#555555")


def _short(text: str, length: int = 30) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _plain(text: str) -> str:
    """A file's text as text: no mathematics, and shown though it starts with an underscore."""
    printed = "".join(c if c.isprintable() else " " for c in text)
    return (f" {printed}" if printed.startswith("_") else printed).replace("$", r"\$")
