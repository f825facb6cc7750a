"""One figure of a whole study: connectome, activity, functional connectivity and a sweep."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float

from tvbjax.connectome import Connectome
from tvbjax.plot.geometry import axial_positions, hemisphere_order

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion, told apart by all common kinds of colour vision.
_LEFT, _RIGHT, _NEITHER = "#0072B2", "#D55E00", "#555555"
_NO_DATA = "#E6E6E6"
_STYLE = {
    "font.size": 12,
    "axes.titlesize": 14,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
}
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
    matplotlib, figure_class, layout_class = _matplotlib()
    fc = np.asarray(fc, dtype=float)
    _check(connectome, traces, fc, sweep_map)
    with matplotlib.rc_context(_STYLE):
        layout = layout_class(w_pad=0.15, h_pad=0.12)
        figure = figure_class(figsize=(16, 10), dpi=100, layout=layout)
        upper, lower = figure.subfigures(2, 1, height_ratios=[1.04, 1], hspace=0.02)
        panels = [
            *upper.subplots(1, 3, gridspec_kw={"wspace": 0.08}),
            *lower.subplots(1, 2, width_ratios=[1.9, 1], gridspec_kw={"wspace": 0.08}),
        ]
        _draw_graph(panels[0], connectome)
        _draw_weights(figure, panels[1], connectome)
        _draw_fc(figure, panels[2], connectome, fc)
        _draw_traces(panels[3], connectome, traces)
        _draw_sweep(figure, panels[4], sweep_map)
        for letter, axes in zip("ABCDE", panels, strict=True):
            title = axes.get_title()
            axes.set_title("")
            axes.set_title(rf"$\bf{{{letter}}}$   {title}", loc="left")
    return figure


def _matplotlib() -> tuple[Any, Any, Any]:
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


def _colours(connectome: Connectome) -> np.ndarray:
    right = connectome.hemispheres
    if right is None:
        return np.full(len(connectome.regions), _NEITHER)
    return np.where(right, _RIGHT, _LEFT)


def _draw_graph(axes: "Axes", connectome: Connectome):
    """Regions seen from above, area by in-strength; the strongest connections, width by weight."""
    from matplotlib.collections import LineCollection

    places = axial_positions(connectome)
    weights = np.asarray(connectome.without_self_connections().weights)
    either = np.maximum(weights, weights.T)
    rows, columns = np.triu_indices(len(places), k=1)
    values = either[rows, columns]
    lengths = np.linalg.norm(places[rows] - places[columns], axis=1)
    # Of connections that weigh the same, the shorter ones: neither side is favoured.
    drawn = np.lexsort((-lengths, values))[-_EDGES_DRAWN:]
    drawn = drawn[values[drawn] > 0]
    # Ranks, not values: weights span orders of magnitude. Equal weights share one rank.
    ranks = np.unique(values[drawn], return_inverse=True)[1] if drawn.size else np.zeros(0)
    share = (ranks + 1) / (ranks.max() + 1) if drawn.size else ranks
    lines = LineCollection(
        list(np.stack([places[rows[drawn]], places[columns[drawn]]], axis=1)),
        linewidths=0.3 + 1.5 * share**2,
        colors=[(0.25, 0.25, 0.25, 0.08 + 0.45 * s**2) for s in share],
        zorder=1,
    )
    axes.add_collection(lines)
    strength = weights.sum(axis=1)
    area = 18 + 160 * strength / (strength.max() or 1.0)
    axes.scatter(*places.T, s=area, c=_colours(connectome), edgecolors="white", lw=0.7, zorder=2)
    axes.set_aspect("equal", adjustable="box", anchor="N")
    for set_limits, along in ((axes.set_xlim, places[:, 0]), (axes.set_ylim, places[:, 1])):
        room = 0.08 * np.ptp(along) + 1.0
        set_limits(along.min() - room, along.max() + room)
    axes.axis("off")
    count = int((either[rows, columns] > 0).sum())
    which = "all" if len(drawn) == count else f"strongest {len(drawn)} of {count}"
    name = "" if connectome.name == "connectome" else f" {connectome.name}"
    axes.set_title(f"Connectome{name}, {len(places)} regions")
    _annotate_view(axes, connectome, f"{which} connected pairs\narea: in-strength")


def _annotate_view(axes: "Axes", connectome: Connectome, legend: str):
    """Sides, a scale bar, and what the marks mean."""
    place = {"transform": axes.transAxes, "fontsize": 12}
    if connectome.hemispheres is not None:
        axes.text(0.02, 0.97, "left", color=_LEFT, va="top", fontweight="bold", **place)
        axes.text(
            0.98, 0.97, "right", color=_RIGHT, va="top", ha="right", fontweight="bold", **place
        )
    axes.text(0.5, -0.02, legend, ha="center", va="top", color="#333333", **place)
    if connectome.centres is not None:
        axes.text(0.5, 0.99, "front", ha="center", va="top", color="#333333", **place)
        x, y = axes.transData.inverted().transform(axes.transAxes.transform((0.03, 0.05)))
        axes.plot([x, x + 20], [y, y], color="black", lw=2, solid_capstyle="butt")
        axes.annotate("20 mm", (x, y), xytext=(0, 5), textcoords="offset points", fontsize=11)


def _draw_weights(figure: "Figure", axes: "Axes", connectome: Connectome):
    from matplotlib.colors import LogNorm

    order = hemisphere_order(connectome.regions)
    weights = np.asarray(connectome.weights)[np.ix_(order, order)]
    positive = weights[weights > 0]
    shown = np.ma.masked_equal(weights, 0.0)
    if positive.size and positive.max() > 10 * positive.min():
        # Six orders of magnitude at most: below them, all weights look the same.
        norm = LogNorm(max(positive.min(), positive.max() * 1e-6), positive.max())
    else:
        norm = None
    axes.set_anchor("N")
    image = axes.imshow(shown, cmap=_with_grey("viridis"), norm=norm, interpolation="nearest")
    _label_regions(axes, connectome, order)
    axes.set_xlabel("from region")
    axes.set_ylabel("to region")
    axes.set_title("Weights")
    _colour_bar(figure, axes, image, "weight (grey: none)")


def _draw_fc(figure: "Figure", axes: "Axes", connectome: Connectome, fc: np.ndarray):
    order = hemisphere_order(connectome.regions)
    shown = np.ma.masked_invalid(fc[np.ix_(order, order)])
    shown = np.ma.array(shown, mask=np.ma.getmaskarray(shown) | np.eye(len(order), dtype=bool))
    largest = float(np.abs(shown).max()) if shown.count() else 1.0
    limit = min(1.0, np.ceil(largest * 10) / 10) or 1.0
    axes.set_anchor("N")
    image = axes.imshow(
        shown, cmap=_with_grey("RdBu_r"), vmin=-limit, vmax=limit, interpolation="nearest"
    )
    _label_regions(axes, connectome, order)
    axes.set_xlabel("region")
    axes.set_ylabel("region")
    mean = f", mean {shown.mean():.2f}" if shown.count() else ""
    axes.set_title(f"Functional connectivity{mean}")
    _colour_bar(figure, axes, image, "correlation")


def _colour_bar(figure: "Figure", axes: "Axes", image: Any, label: str):
    """As high as the panel, whatever its aspect."""
    bar = figure.colorbar(image, cax=axes.inset_axes((1.03, 0.0, 0.045, 1.0)), label=label)
    bar.outline.set_visible(False)


def _label_regions(axes: "Axes", connectome: Connectome, order: np.ndarray):
    """Names where they can be read, hemispheres where they cannot."""
    size = len(order)
    axes.spines[:].set_visible(False)
    right = connectome.hemispheres
    if size <= 20:
        labels = [connectome.labels[i] for i in order]
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
            for label, colour in zip(axis.get_ticklabels(), (_LEFT, _RIGHT), strict=True):
                label.set_color(colour)


def _draw_traces(axes: "Axes", connectome: Connectome, traces: "xr.DataArray"):
    """The first variable of some regions one above another, all on one scale."""
    order = hemisphere_order(connectome.regions)
    count = min(_TRACES_DRAWN, len(order))
    # Region k + 1/2 of `count` equal parts of the order: as many from each hemisphere.
    chosen = order[((np.arange(count) + 0.5) * len(order) / count).astype(int)]
    values = np.asarray(traces.values[:, 0, :], dtype=float)[:, chosen]
    time, time_label = _time_axis(traces)
    centred = values - np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)[None]
    swing = float(np.nanmax(np.abs(centred))) if np.isfinite(centred).any() else 0.0
    step = 1.6 * (swing or 1.0)
    colours = _colours(connectome)
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
    variable, unit = _variable(traces)
    axes.set_title(f"Activity: {variable} of {count} regions")
    bar = _round_down(step)
    x = 1.008
    trans = axes.get_yaxis_transform()
    bottom = -(count - 1) * step - bar / 2
    axes.plot([x, x], [bottom, bottom + bar], transform=trans, color="black", lw=2, clip_on=False)
    axes.text(
        x + 0.006,
        bottom + bar / 2,
        f"{bar:g} {unit}".strip(),
        transform=trans,
        va="center",
        fontsize=11,
    )


def _time_axis(traces: "xr.DataArray") -> tuple[np.ndarray, str]:
    """Times and their label: ms, or s beyond ten seconds."""
    if "time" not in traces.coords:
        return np.arange(traces.sizes["time"]), "sample"
    time = np.asarray(traces["time"].values, dtype=float)
    unit = traces["time"].attrs.get("units", "ms")
    if unit == "ms" and time[-1] - time[0] >= 10_000:
        return time / 1000, "time (s)"
    return time, f"time ({unit})"


def _variable(traces: "xr.DataArray") -> tuple[str, str]:
    """Name and unit of the first variable; a unit "1" is none."""
    name = str(traces["variable"].values[0]) if "variable" in traces.coords else "variable 0"
    unit = str(traces["unit"].values[0]) if "unit" in traces.coords else ""
    unit = unit or str(traces.attrs.get("units", ""))
    return name, "" if unit == "1" else unit


def _draw_sweep(figure: "Figure", axes: "Axes", sweep_map: "xr.DataArray"):
    up, across = (str(dim) for dim in sweep_map.dims)
    values = np.ma.masked_invalid(np.asarray(sweep_map.values, dtype=float))
    ticks = {}
    for dim in (up, across):
        coordinate = np.asarray(sweep_map[dim].values)
        if coordinate.dtype.kind in "iuf" and len(coordinate) > 1:
            ticks[dim] = coordinate.astype(float)
        else:
            ticks[dim] = np.arange(len(coordinate), dtype=float)
    edges = {dim: _edges(values) for dim, values in ticks.items()}
    image = axes.pcolormesh(
        edges[across], edges[up], values, cmap=_with_grey("viridis"), rasterized=True
    )
    axes.set_facecolor(_NO_DATA)
    axes.spines[:].set_visible(False)
    for dim, set_ticks in ((across, axes.set_xticks), (up, axes.set_yticks)):
        coordinate = sweep_map[dim].values
        if coordinate.dtype.kind not in "iuf" or len(coordinate) == 1:
            set_ticks(ticks[dim], [str(value) for value in coordinate])
    axes.set_xlabel(_described(sweep_map[across], across))
    axes.set_ylabel(_described(sweep_map[up], up))
    name = str(sweep_map.name or "value")
    axes.set_title(f"Sweep of {up} and {across}")
    note = " (grey: diverged)" if np.ma.getmaskarray(values).any() else ""
    _colour_bar(figure, axes, image, _described(sweep_map, name) + note)


def _described(array: "xr.DataArray", name: str) -> str:
    """Long name and unit where the attributes have them."""
    label = str(array.attrs.get("long_name", name))
    unit = str(array.attrs.get("units", ""))
    return label if unit in ("", "1") else f"{label} ({unit})"


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders of cells half-way between their centres."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _round_down(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is no larger than `value` > 0."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(m * power for m in (1, 2, 5) if m * power <= value * (1 + 1e-9)))


def _with_grey(name: str):
    import matplotlib

    return matplotlib.colormaps[name].with_extremes(bad=_NO_DATA)
