"""How figures look: fonts, colours of hemispheres, colour bars, names and units of axes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.regions import Regions

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion, told apart by all common kinds of colour vision.
LEFT, RIGHT, NEITHER = "#0072B2", "#D55E00", "#555555"
NO_DATA = "#E6E6E6"
_LINE = 40  # letters of a colour bar's label beside a panel of 3.6 inches
STYLE = {
    "font.size": 12,
    "axes.titlesize": 14,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
}


def load_matplotlib() -> tuple[Any, Any, Any]:
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tvbjax.plot: matplotlib is not installed; run: pip install 'tvbjax[plot]'.",
            name="matplotlib",
        ) from error
    return matplotlib, Figure, ConstrainedLayoutEngine


@contextmanager
def panel(axes: "Axes | None", width: float, height: float) -> "Iterator[Axes]":
    """Axes to draw on in this style: those given, else a new figure's, of so many inches."""
    matplotlib, figure_class, _ = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        if axes is not None:
            yield axes
        else:
            yield figure_class(figsize=(width, height), dpi=100, layout="constrained").subplots()


def figure_of(axes: "Axes") -> "Figure":
    """The whole figure that axes stand in."""
    from matplotlib.figure import Figure

    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def hemisphere_colours(regions: Regions) -> np.ndarray:
    right = regions.hemispheres
    if right is None:
        return np.full(len(regions), NEITHER)
    return np.where(right, RIGHT, LEFT)


def colour_bar(axes: "Axes", image: Any, label: str):
    """As high as the panel, whatever its aspect."""
    _colour_bar(axes, image, label, cax=axes.inset_axes((1.03, 0.0, 0.045, 1.0)))


def common_colour_bar(panels: "Sequence[Axes]", image: Any, label: str):
    """Right of all panels."""
    _colour_bar(panels[0], image, label, ax=list(panels), shrink=0.7, aspect=24)


def _colour_bar(axes: "Axes", image: Any, label: str, **place):
    figure = axes.get_figure()
    assert figure is not None
    # A label that is longer than its bar would be cut, or leave the panels no room.
    bar = figure.colorbar(image, label=fill(label, _LINE), **place)
    bar.outline.set_visible(False)


def label_regions(axes: "Axes", regions: Regions, order: np.ndarray):
    """Names where they can be read, hemispheres where they cannot."""
    size = len(order)
    axes.spines[:].set_visible(False)
    right = regions.hemispheres
    if size <= 20:
        labels = [regions.labels[i] for i in order]
        axes.set_xticks(range(size), labels, rotation=90)
        axes.set_yticks(range(size), labels)
    elif right is not None and 0 < right.sum() < size:
        border = int((~right).sum())
        middles = [(border - 1) / 2, (border + size - 1) / 2]
        axes.set_xticks(middles, ["left", "right"])
        axes.set_yticks(middles, ["left", "right"], rotation=90, va="center")
        for axis, line in ((axes.xaxis, axes.axvline), (axes.yaxis, axes.axhline)):
            axis.set_tick_params(length=0)
            line(border - 0.5, color="white", lw=2)
            for label, colour in zip(axis.get_ticklabels(), (LEFT, RIGHT), strict=True):
                label.set_color(colour)


def time_axis(traces: "xr.DataArray") -> tuple[np.ndarray, str]:
    """Times and their label: ms, or s beyond ten seconds."""
    if "time" not in traces.coords:
        return np.arange(traces.sizes["time"]), "sample"
    time = np.asarray(traces["time"].values, dtype=float)
    unit = traces["time"].attrs.get("units", "ms")
    if unit == "ms" and time[-1] - time[0] >= 10_000:
        return time / 1000, "time (s)"
    return time, f"time ({unit})"


def variable_of(traces: "xr.DataArray") -> tuple[str, str]:
    """Name and unit of the first variable; a unit "1" is none."""
    name = str(traces["variable"].values[0]) if "variable" in traces.coords else "variable 0"
    unit = str(traces["unit"].values[0]) if "unit" in traces.coords else ""
    unit = unit or str(traces.attrs.get("units", ""))
    return name, "" if unit == "1" else unit


def described(array: "xr.DataArray", name: str) -> str:
    """Long name and unit where the attributes have them."""
    label = str(array.attrs.get("long_name", name))
    unit = str(array.attrs.get("units", ""))
    return label if unit in ("", "1") else f"{label} ({unit})"


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Borders of cells half-way between their centres."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def round_down(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is no larger than `value` > 0."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(m * power for m in (1, 2, 5) if m * power <= value * (1 + 1e-9)))


def with_grey(name: str) -> Any:
    import matplotlib

    return matplotlib.colormaps[name].with_extremes(bad=NO_DATA)
