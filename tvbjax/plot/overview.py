"""One figure of a whole study: connectome, activity, functional connectivity and a sweep."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array, Float

from tvbjax.connectome import Connectome
from tvbjax.plot.geometry import axial_positions, hemisphere_order, strongest_pairs
from tvbjax.plot.matrices import draw_correlations, draw_weights
from tvbjax.plot.series import draw_scale
from tvbjax.plot.style import (
    LEFT,
    RIGHT,
    STYLE,
    hemisphere_colours,
    load_matplotlib,
    time_axis,
    variable_of,
)
from tvbjax.plot.sweep_map import draw_map

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EDGES_DRAWN = 400
_TRACES_DRAWN = 8


def overview(
    connectome: Connectome,
    traces: "xr.DataArray",
    fc: "Float[Array, 'region region'] | np.ndarray | xr.DataArray",
    sweep_map: "xr.DataArray",
) -> "Figure":
    """Five panels, 1600 x 1000 pixels: connectome from above, its weights, FC, traces, sweep.

    `traces`: dims (time, variable, region); the first variable is drawn, for up to 8 regions spread
    over both hemispheres. `fc`: functional connectivity, (region, region), from -1 to 1.
    `sweep_map`: 2-D, one dim per swept parameter; the first runs up, the second to the right; its
    `name` and its and its coordinates' `units` and `long_name` name the axes. NaN is drawn grey.
    Matrices show the left hemisphere first, otherwise the connectome's order.

    Raises ModuleNotFoundError without matplotlib, ValueError for shapes that do not fit.
    """
    matplotlib, figure_class, layout_class = load_matplotlib()
    fc = np.asarray(fc, dtype=float)
    _check(connectome, traces, fc, sweep_map)
    with matplotlib.rc_context(STYLE):
        layout = layout_class(w_pad=0.15, h_pad=0.12)
        figure = figure_class(figsize=(16, 10), dpi=100, layout=layout)
        upper, lower = figure.subfigures(2, 1, height_ratios=[1.04, 1], hspace=0.02)
        panels = [
            *upper.subplots(1, 3, gridspec_kw={"wspace": 0.08}),
            *lower.subplots(1, 2, width_ratios=[1.9, 1], gridspec_kw={"wspace": 0.08}),
        ]
        _draw_graph(panels[0], connectome)
        draw_weights(panels[1], connectome)
        draw_correlations(panels[2], connectome.regions, fc)
        _draw_traces(panels[3], connectome, traces)
        draw_map(panels[4], sweep_map)
        for letter, axes in zip("ABCDE", panels, strict=True):
            title = axes.get_title()
            axes.set_title("")
            axes.set_title(rf"$\bf{{{letter}}}$   {title}", loc="left")
    return figure


def _check(
    connectome: Connectome, traces: "xr.DataArray", fc: np.ndarray, sweep_map: "xr.DataArray"
):
    size = len(connectome.regions)
    if traces.dims != ("time", "variable", "region"):
        raise ValueError(
            f"overview: traces has the dims {traces.dims}; pass (time, variable, region), "
            "as a Result gives them."
        )
    if traces.sizes["region"] != size:
        raise ValueError(
            f"overview: traces has {traces.sizes['region']} regions, the connectome {size}; "
            "pass those of a simulation of this connectome."
        )
    if 0 in traces.shape:
        raise ValueError(f"overview: traces is empty, {dict(traces.sizes)}; simulate for longer.")
    if fc.shape != (size, size):
        raise ValueError(f"overview: fc has the shape {fc.shape}; pass {(size, size)}.")
    if sweep_map.ndim != 2 or 0 in sweep_map.shape:
        raise ValueError(
            f"overview: sweep_map has the sizes {dict(sweep_map.sizes)}; pass two swept "
            "parameters, e.g. take one measure and .sel() the rest."
        )


def _draw_graph(axes: "Axes", connectome: Connectome):
    """Regions seen from above, area by in-strength; the strongest connections, width by weight."""
    from matplotlib.collections import LineCollection

    places = axial_positions(connectome)
    rows, columns, share = strongest_pairs(connectome, places, _EDGES_DRAWN)
    lines = LineCollection(
        list(np.stack([places[rows], places[columns]], axis=1)),
        linewidths=0.3 + 1.5 * share**2,
        colors=[(0.25, 0.25, 0.25, 0.08 + 0.45 * s**2) for s in share],
        zorder=1,
    )
    axes.add_collection(lines)
    weights = np.asarray(connectome.without_self_connections().weights)
    strength = weights.sum(axis=1)
    area = 18 + 160 * strength / (strength.max() or 1.0)
    axes.scatter(
        *places.T,
        s=area,
        c=hemisphere_colours(connectome.regions),
        edgecolors="white",
        lw=0.7,
        zorder=2,
    )
    axes.set_aspect("equal", adjustable="box", anchor="N")
    for set_limits, along in ((axes.set_xlim, places[:, 0]), (axes.set_ylim, places[:, 1])):
        room = 0.08 * np.ptp(along) + 1.0
        set_limits(along.min() - room, along.max() + room)
    axes.axis("off")
    count = int(np.triu((weights > 0) | (weights.T > 0)).sum())
    which = "all" if len(share) == count else f"strongest {len(share)} of {count}"
    name = "" if connectome.name == "connectome" else f" {connectome.name}"
    axes.set_title(f"Connectome{name}, {len(places)} regions")
    _annotate_view(axes, connectome, f"{which} connected pairs\narea: in-strength")


def _annotate_view(axes: "Axes", connectome: Connectome, legend: str):
    """Sides, a scale bar, and what the marks mean."""
    place = {"transform": axes.transAxes, "fontsize": 12}
    if connectome.hemispheres is not None:
        axes.text(0.02, 0.97, "left", color=LEFT, va="top", fontweight="bold", **place)
        axes.text(
            0.98, 0.97, "right", color=RIGHT, va="top", ha="right", fontweight="bold", **place
        )
    axes.text(0.5, -0.02, legend, ha="center", va="top", color="#333333", **place)
    if connectome.centres is not None:
        axes.text(0.5, 0.99, "front", ha="center", va="top", color="#333333", **place)
        x, y = axes.transData.inverted().transform(axes.transAxes.transform((0.03, 0.05)))
        axes.plot([x, x + 20], [y, y], color="black", lw=2, solid_capstyle="butt")
        axes.annotate("20 mm", (x, y), xytext=(0, 5), textcoords="offset points", fontsize=11)


def _draw_traces(axes: "Axes", connectome: Connectome, traces: "xr.DataArray"):
    """The first variable of some regions one above another, all on one scale."""
    order = hemisphere_order(connectome.regions)
    count = min(_TRACES_DRAWN, len(order))
    # Region k + 1/2 of `count` equal parts of the order: as many from each hemisphere.
    chosen = order[((np.arange(count) + 0.5) * len(order) / count).astype(int)]
    values = np.asarray(traces.values[:, 0, :], dtype=float)[:, chosen]
    time, time_label = time_axis(traces)
    centred = values - np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)[None]
    swing = float(np.nanmax(np.abs(centred))) if np.isfinite(centred).any() else 0.0
    step = 1.6 * (swing or 1.0)
    colours = hemisphere_colours(connectome.regions)
    for row, region in enumerate(chosen):
        axes.plot(time, centred[:, row] - row * step, color=colours[region], lw=0.9)
    axes.set_yticks([-row * step for row in range(count)], [connectome.labels[i] for i in chosen])
    for label, region in zip(axes.get_yticklabels(), chosen, strict=True):
        label.set_color(str(colours[region]))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(time[0], time[-1] if len(time) > 1 else time[0] + 1.0)
    axes.set_ylim(-(count - 0.35) * step, 0.65 * step)
    axes.set_xlabel(time_label)
    variable, unit = variable_of(traces)
    axes.set_title(f"Activity: {variable} of {count} regions")
    draw_scale(axes, step, unit, -(count - 1) * step)
