"""Signals over time, one above another, and their spectra."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tvbjax.plot.geometry import hemisphere_order
from tvbjax.plot.given import check_data
from tvbjax.plot.style import (
    figure_of,
    hemisphere_colours,
    panel,
    round_down,
    time_axis,
    variable_of,
)
from tvbjax.regions import Regions, hemispheres_from_labels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 200
_ROOM = (1.6, 0.9)  # between few and between many rows, of the largest swing
_MANY = 20


def traces(
    data: "xr.DataArray",
    variable: str | None = None,
    regions: Sequence[str] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Figure":
    """Regions' signals one above another on one scale, each about its mean, with a bar of units.

    `data`: dims (time, variable, region), as `result["temporal_average"]`, or (time, region); what
    sensors measure has `channel` for `region`. `variable`: by default the first. `regions`: labels,
    in that order from above; by default all, up to 200, the left hemisphere first where labels tell
    the hemispheres, which are then blue and red. NaN is a gap; a sample between gaps, or the only
    one, is a point. `ax`: draws there and returns its figure.

    Raises ModuleNotFoundError without matplotlib, ValueError for data or labels that do not fit.
    """
    check_data("traces", data)
    place = "channel" if "channel" in data.dims else "region"
    shown = _of_one_variable(
        data.rename({place: "region"}) if place in data.dims else data, variable
    )
    count = shown.sizes["region"]
    if 0 in shown.shape:
        raise ValueError(f"traces: data is empty, {dict(shown.sizes)}; simulate for longer.")
    labelled = "region" in shown.coords
    labels = [str(one) for one in shown["region"].values] if labelled else [*map(str, range(count))]
    if regions is not None:
        unknown = [label for label in regions if label not in labels]
        if unknown or not len(regions):
            raise ValueError(
                f"traces: there is no region {unknown[0]!r}; there are {', '.join(labels[:8])}, ..."
                if unknown
                else "traces: regions is empty; name one or more."
            )
    where = Regions(labels, hemispheres=hemispheres_from_labels(labels))
    chosen = hemisphere_order(where) if regions is None else [labels.index(r) for r in regions]
    if len(chosen) > _MOST:
        raise ValueError(
            f"traces: {len(chosen)} regions are more than {_MOST} rows; pass the labels of some."
        )
    with panel(ax, 9.5, 2.2 + 0.28 * min(len(chosen), 12) + 0.1 * max(len(chosen) - 12, 0)) as axes:
        _draw_rows(axes, shown, where, np.asarray(chosen), place)
    return figure_of(axes)


def spectra(
    frequencies: np.ndarray,
    density: np.ndarray,
    *,
    unit: str = "",
    ax: "Axes | None" = None,
) -> "Figure":
    """Power spectral densities on logarithmic axes: each region's faint, their median in colour.

    `frequencies`: Hz, of `features.frequencies`. `density`: (frequency, region) or (frequency,), of
    `features.power_spectrum`, in `unit`²/Hz. 0 Hz is left out. `ax`: draws there.

    Raises ModuleNotFoundError without matplotlib, ValueError for shapes that do not fit.
    """
    frequencies, density = np.asarray(frequencies, float), np.asarray(density, float)
    if density.ndim not in (1, 2) or density.shape[:1] != frequencies.shape or not density.size:
        raise ValueError(
            f"spectra: frequencies has the shape {frequencies.shape} and density {density.shape}; "
            "pass (frequency,) and (frequency, region)."
        )
    each = density[:, None] if density.ndim == 1 else density
    kept = frequencies > 0
    if not (each[kept] > 0).any():
        raise ValueError("spectra: there is no power above 0 Hz; give signals that change.")
    shown = np.ma.masked_less_equal(np.ma.masked_invalid(each[kept]), 0.0)
    with panel(ax, 7.6, 5.0) as axes:
        several, alone = each.shape[1] > 1, "." if kept.sum() == 1 else ""
        if several:
            axes.plot(frequencies[kept], shown, alone, color="#5B6573", alpha=0.25, lw=0.8)
        axes.plot(
            frequencies[kept], np.ma.median(shown, axis=1), alone, color="#0072B2", lw=2.0,
            label=f"median of {each.shape[1]} regions" if several else None,
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="frequency (Hz)")
        squared = f"{unit}²/Hz" if unit and unit.isalpha() else f"({unit})²/Hz" if unit else "1/Hz"
        axes.set_ylabel(f"power spectral density ({squared})")
        if not alone:
            axes.set_xlim(frequencies[kept].min(), frequencies[kept].max())
        axes.grid(alpha=0.25, which="major", lw=0.6)
        if several:
            axes.legend(frameon=False, loc="lower left")
        axes.set_title("Spectra", loc="left")
    return figure_of(axes)


def _of_one_variable(data: "xr.DataArray", variable: str | None) -> "xr.DataArray":
    if set(data.dims) not in ({"time", "variable", "region"}, {"time", "region"}):
        raise ValueError(
            f"traces: data has the dims {data.dims}; pass (time, variable, region) or (time, "
            "region), as a Result gives them, or channel for region."
        )
    if "variable" not in data.dims:
        data = data.expand_dims(variable=[str(data.name or "value")])
    data = data.transpose("time", "variable", "region")
    if variable is None:
        return data.isel(variable=slice(0, 1))
    known = [str(name) for name in data["variable"].values]
    if variable not in known:
        raise ValueError(f"traces: there is no variable {variable!r}; there are {known}.")
    first = known.index(variable)
    return data.isel(variable=slice(first, first + 1))


def _draw_rows(axes: "Axes", shown: "xr.DataArray", where: Regions, chosen: np.ndarray, place: str):
    values = np.asarray(shown.values[:, 0], dtype=float)[:, chosen]
    values = np.where(np.isfinite(values), values, np.nan)
    # Of what is known of each: a region without any value has a row that stays empty.
    known = (~np.isnan(values)).sum(axis=0)
    centred = values - (np.nansum(values, axis=0) / np.maximum(known, 1))[None]
    swing = float(np.nanmax(np.abs(centred))) if known.any() else 0.0
    step = _ROOM[len(chosen) > _MANY] * (swing or 1.0)
    time, label = time_axis(shown)
    colours = hemisphere_colours(where)[chosen]
    there = np.pad(np.isfinite(values), ((1, 1), (0, 0)))
    alone = there[1:-1] & ~there[:-2] & ~there[2:]  # no line goes through them
    for row, colour in enumerate(colours):
        axes.plot(
            time, centred[:, row] - row * step, color=colour, lw=0.8,
            marker=".", markevery=np.flatnonzero(alone[:, row]).tolist(),
        )  # fmt: skip
    count = len(chosen)
    small = float(np.clip(260 / count, 5.5, 11))
    names = [where.labels[i] for i in chosen]
    axes.set_yticks([-row * step for row in range(count)], names, fontsize=small)
    for text, colour in zip(axes.get_yticklabels(), colours, strict=True):
        text.set_color(colour)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if len(time) > 1:
        axes.set_xlim(time[0], time[-1])
    else:
        axes.set_xticks(time)
    room = max(0.65 * step, 1.05 * swing)
    axes.set_ylim(-(count - 1) * step - room, room)
    axes.set_xlabel(label)
    variable, unit = variable_of(shown)
    axes.set_title(f"{variable}, {count} {place}{'s' if count > 1 else ''}", loc="left")
    draw_scale(axes, step, unit, -(count - 1) * step)


def draw_scale(axes: "Axes", step: float, unit: str, bottom: float):
    """A vertical bar of a round length, about `step`, right of the axes."""
    bar = round_down(step)
    trans = axes.get_yaxis_transform()
    ends = [bottom - bar / 2, bottom + bar / 2]
    axes.plot([1.008, 1.008], ends, transform=trans, color="black", lw=2, clip_on=False)
    axes.text(
        1.016, bottom, f"{bar:g} {unit}".strip(), transform=trans, va="center", fontsize=11,
    )  # fmt: skip
