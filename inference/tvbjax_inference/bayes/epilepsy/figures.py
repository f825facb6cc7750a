"""Figures of a patient's posterior. Regions of which the data say nothing are pale, everywhere.

Need matplotlib (`pip install 'tvbjax[plot]'`), which is imported only when drawing.
"""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from tvbjax.connectome import Connectome
from tvbjax.forward import Sensors
from tvbjax.kinds import check_count, check_kind
from tvbjax.plot.geometry import directions
from tvbjax.plot.glass import SIDES, glass_brain
from tvbjax.plot.style import STYLE, figure_of, load_matplotlib, panel
from tvbjax_inference.bayes.epilepsy.regions import check_level, ranked
from tvbjax_inference.bayes.epilepsy.runs import check_tree

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Epileptogenic with a probability above 0.5, above 0.05, less.
_EZ, _PZ, _HEALTHY, _PRIOR = "#C0392B", "#E69F00", "#7FA394", "#C9CDD2"
_INK, _PREDICTED = "#1A1A1A", "#0072B2"
_LIKELY, _POSSIBLE = 0.5, 0.05
_NAMED = 30  # up to so many regions have their names
_ELECTRODE = re.compile(r"(?P<shaft>.*?\D)(?P<contact>\d+)(?:-.*)?")


def excitability_violins(
    tree: "xr.DataTree",
    summary: "xr.Dataset",
    *,
    truth: Float[np.ndarray, " region"] | None = None,
    most: int = 20,
    axes: "Axes | None" = None,
) -> "Figure":
    """Excitability of the `most` regions that are the most probably epileptogenic, as violins: red
    where that is more likely than not, orange above 5 %, else green; behind them the prior, in
    grey. Violins of regions of which the data say nothing are hatched and have no colour. `truth`:
    of every region, where it is known, as diamonds.

    Raises ModuleNotFoundError without matplotlib, `TypeError` or `ValueError`.
    """
    check_tree("excitability_violins", tree, ("excitability",))
    check_tree("excitability_violins", tree, ("excitability",), "prior")
    check_count("excitability_violins: most", most)
    after, before = (
        tree[group]["excitability"].transpose("chain", "draw", "region").values
        for group in ("posterior", "prior")
    )
    after, before = (x.reshape(-1, x.shape[-1]) for x in (after, before))
    order = ranked(summary)[:most]
    with panel(axes, max(6.0, 2.2 + 0.5 * len(order)), 5.0) as drawn:
        for place, region in enumerate(order):
            one = summary.isel(region=region)
            _draw_violin(drawn, place, before[:, region], 0.84, facecolor=_PRIOR, alpha=0.55)
            look: dict[str, Any] = {"facecolor": colour_of(float(one["epileptogenic"]))}
            if not bool(one["known"]):
                look = {"facecolor": "white", "edgecolor": "#8A9099", "hatch": "////"}
            _draw_violin(drawn, place, after[:, region], 0.6, **look)
            drawn.plot(place, float(one["mean"]), "_", color=_INK, ms=8, mew=1.4)
        if truth is not None:
            look = {"mfc": "white", "mec": _INK, "ms": 6, "ls": "", "zorder": 5}
            drawn.plot(range(len(order)), truth[order], "D", **look)
        threshold = summary.attrs["threshold"]
        drawn.axhline(threshold, color=_INK, lw=1.0, ls=":", zorder=0)
        names = [_plain(summary["region"].values[region]) for region in order]
        drawn.set_xticks(range(len(order)), names, rotation=60, ha="right", rotation_mode="anchor")
        drawn.set_xlim(-0.7, len(order) - 0.3)
        drawn.set_ylabel("excitability")
        count = summary.sizes["region"]
        some = f" of {len(order)} of {count} regions" if len(order) < count else ""
        drawn.set_title(f"Excitability{some}", loc="left")
        _violin_legend(drawn, threshold, truth is not None)
    return figure_of(drawn)


def implantation(connectome: Connectome, sensors: Sensors) -> "Figure":
    """Where a patient's contacts are, as small crosses, among the regions, in a glass brain from
    three sides, with the names of shafts and, of up to 30, regions. Positions have the axes of
    the centres.

    Raises ModuleNotFoundError without matplotlib, `ValueError` without centres.
    """
    check_kind("implantation: connectome", connectome, Connectome, "patient.connectome")
    check_kind("implantation: sensors", sensors, Sensors, "patient.sensors")
    figure = glass_brain(connectome, edges=60)
    assert connectome.centres is not None
    frame = directions(connectome.centres, connectome.hemispheres, connectome.labels)
    _draw_contacts(figure, sensors, frame)
    shafts: dict[str, list[tuple[int, int]]] = {}
    for i, label in enumerate(sensors.labels):
        shaft, contact = _electrode(label)
        shafts.setdefault(shaft, []).append((contact, i))
    ends = {shaft: (min(members)[1], max(members)[1]) for shaft, members in shafts.items()}
    at, centres = sensors.positions @ frame.T, connectome.centres @ frame.T
    look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 10}
    for axes, (_, plane) in zip(figure.axes, SIDES, strict=False):
        for shaft, (first, last) in ends.items():
            # Beyond the last contact, away from the first.
            away = at[last, plane] - at[first, plane]
            away = 9.0 * away / max(float(np.linalg.norm(away)), 1e-9)
            place, aside = tuple(at[last, plane]), tuple(away)
            axes.annotate(_plain(shaft), place, aside, va="center", weight="bold", zorder=5, **look)
        if len(centres) <= _NAMED:
            for i in _in_sight(centres, plane):
                name, place = _plain(connectome.labels[i]), tuple(centres[i, plane])
                axes.annotate(name, place, (0, 8), va="bottom", color="#5B6470", **look)
    return figure


def map_of_probability(
    summary: "xr.Dataset", connectome: Connectome, sensors: Sensors | None = None
) -> "Figure":
    """The probability that each region is epileptogenic, in a glass brain from three sides; regions
    of which the data say nothing are grey. Of a `summary` with an activity, rings are the zone of
    propagation: regions that probably discharge and are probably not epileptogenic. `sensors`:
    contacts, as small crosses; their positions have the axes of the centres.

    Raises ModuleNotFoundError without matplotlib, `ValueError` without centres.
    """
    check_kind("map_of_probability: connectome", connectome, Connectome, "simulator.connectome")
    known = summary["known"].values
    values = np.where(known, summary["epileptogenic"].values, np.nan)
    figure = glass_brain(
        connectome, values, label="P(epileptogenic); grey: not known", limits=(0.0, 1.0), edges=60
    )
    # White to red: where nothing is suspected, nothing stands out.
    for points in (one for axes in figure.axes[: len(SIDES)] for one in axes.collections):
        if points.get_array() is not None:
            points.set_cmap("YlOrRd")
            points.set_edgecolor("#6B7280")
    assert connectome.centres is not None
    frame = directions(connectome.centres, connectome.hemispheres, connectome.labels)
    if "recruited" in summary:
        driven = (summary["recruited"] > _LIKELY) & (summary["epileptogenic"] <= _LIKELY)
        _draw_rings(figure, connectome.centres[driven.values] @ frame.T)
    if sensors is not None:
        _draw_contacts(figure, sensors, frame)
    return figure


def predicted_seeg(
    tree: "xr.DataTree",
    *,
    name: str = "seeg",
    level: float = 0.9,
    most: int = 24,
    dt: float | int | None = None,
) -> "Figure":
    """What was recorded beside what the posterior predicts, contact by contact in the order of the
    electrodes: the band of probability `level` and the median. Of more than `most` contacts those
    of the largest deviation over time are shown. `dt`: ms between samples, for the axis.

    Raises ModuleNotFoundError without matplotlib, `TypeError` or `ValueError`.
    """
    check_tree("predicted_seeg", tree, (name,), "posterior_predictive")
    check_tree("predicted_seeg", tree, (name,), "observed_data")
    check_level("predicted_seeg", level)
    observed = tree["observed_data"].to_dataset()[name].transpose("sample", "channel")
    draws = tree["posterior_predictive"].to_dataset()[name].stack(every=("chain", "draw"))
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    bands = np.quantile(draws.transpose("every", "sample", "channel").values, tails, axis=0)
    labels = [str(label) for label in observed["channel"].values]
    largest = np.argsort(-observed.values.std(axis=0), kind="stable")[:most]
    chosen = sorted(largest, key=lambda i: _electrode(labels[i]))
    matplotlib, figure_class, _ = load_matplotlib()
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    time = np.arange(len(observed)) * (1.0 if dt is None else dt)
    outside = ((observed.values < bands[0]) | (observed.values > bands[2])).mean()
    with matplotlib.rc_context(STYLE):
        size = (3.1 * columns, 0.9 + 1.5 * rows)
        figure = figure_class(figsize=size, dpi=100, layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for axes, i in zip(panels.ravel(), chosen, strict=False):
            axes.fill_between(time, bands[0, :, i], bands[2, :, i], color=_PREDICTED, alpha=0.25)
            axes.plot(time, bands[1, :, i], color=_PREDICTED, lw=1.4)
            axes.plot(time, observed.values[:, i], color=_INK, lw=0.9)
            axes.set_title(_plain(labels[i]), loc="left", fontsize=11, pad=2)
            axes.tick_params(labelsize=9)
            axes.locator_params(axis="y", nbins=3)
        for axes in panels.ravel()[len(chosen) :]:
            axes.remove()
        _label_last_rows(panels, len(chosen), "sample" if dt is None else "time (ms)")
        some = f", {len(chosen)} of {len(labels)} contacts" if len(chosen) < len(labels) else ""
        figure.suptitle(
            f"Recorded (black) and predicted (blue, {level:.0%}){some}; "
            f"{outside:.1%} of all samples outside",
            x=0.01, ha="left", fontsize=13,
        )  # fmt: skip
    return figure


def shrinkage_scatter(
    tree: "xr.DataTree",
    summary: "xr.Dataset",
    truth: Float[np.ndarray, " region"],
    axes: "Axes | None" = None,
) -> "Figure":
    """How far every region's mean is from the truth, |mean - truth| / deviation, by how much of the
    prior's variance the data took. Well: right and low.

    Raises ModuleNotFoundError without matplotlib, `ValueError` for a truth of another shape.
    """
    check_tree("shrinkage_scatter", tree, ("excitability",))
    if truth.shape != (summary.sizes["region"],):
        raise ValueError(
            f"shrinkage_scatter: truth has the shape {truth.shape}; give one for each of the "
            f"{summary.sizes['region']} regions."
        )
    after = tree["posterior"].to_dataset()["excitability"].std(("chain", "draw")).values
    away = np.abs(summary["mean"].values - truth) / after
    shrinkage = summary["shrinkage"].values
    colours = [colour_of(p) for p in summary["epileptogenic"].values]
    with panel(axes, 6.4, 4.8) as drawn:
        drawn.axhline(2.0, color=_INK, lw=1.0, ls=":")
        for known, look in ((True, {}), (False, {"facecolors": "none"})):
            these = np.flatnonzero(summary["known"].values == known)
            edge = [colours[i] for i in these]
            face = look.get("facecolors", edge)
            drawn.scatter(shrinkage[these], away[these], s=40, c=face, edgecolors=edge)
        top = max(2.6, 1.15 * float(away.max()))
        height = -np.inf
        for i in _worth_naming(away, summary["epileptogenic"].values):
            height = max(float(away[i]), height + 0.055 * top)  # names above one another
            drawn.annotate(
                _plain(summary["region"].values[i]), (shrinkage[i], away[i]),
                xytext=(shrinkage[i] - 0.06, height), ha="right", va="center", fontsize=9,
                arrowprops={"arrowstyle": "-", "lw": 0.6, "color": "#8A9099", "shrinkB": 4},
            )  # fmt: skip
        drawn.set(xlabel="shrinkage: 1 - var posterior / var prior", ylabel="|mean - truth| / sd")
        drawn.set_xlim(min(0.0, float(shrinkage.min())) - 0.05, 1.05)
        drawn.set_ylim(bottom=-0.03 * top, top=top)
        drawn.set_title("Truth and what was learned (hollow: nothing)", loc="left")
    return figure_of(drawn)


def surgery_bars(surgery: "xr.Dataset", *, most: int = 15, axes: "Axes | None" = None) -> "Figure":
    """The probability of no seizure after each operation, the best first, with its interval; and
    how many regions seize on average. What came first, no surgery as a rule, is always shown.

    Raises ModuleNotFoundError without matplotlib.
    """
    prevented, size = surgery["prevented"].values, surgery["size"].mean("draw").values
    order = list(np.argsort(-prevented, kind="stable")[:most])
    if 0 not in order:
        order[-1] = 0
    with panel(axes, 7.4, 1.6 + 0.36 * len(order)) as drawn:
        places = np.arange(len(order))
        values = prevented[order]
        ends = np.stack(
            [values - surgery["low"].values[order], surgery["high"].values[order] - values]
        )
        drawn.barh(places, values, color=_HEALTHY, height=0.66)
        drawn.errorbar(values, places, xerr=ends.clip(min=0), fmt="none", ecolor=_INK, capsize=3)
        for place, i in zip(places, order, strict=True):
            drawn.annotate(
                f"{size[i]:.1f}", (1.06, place), xycoords=("axes fraction", "data"), va="center",
                ha="center", fontsize=10.5, annotation_clip=False,
            )  # fmt: skip
        drawn.annotate(
            "regions\nseizing", (1.06, 1.0), xycoords="axes fraction", xytext=(0, 4),
            textcoords="offset points", ha="center", va="bottom", fontsize=9.5,
        )  # fmt: skip
        names = [_plain(surgery["candidate"].values[i]) for i in order]
        drawn.set_yticks(places, names)
        drawn.tick_params(axis="y", length=0)
        drawn.set_ylim(len(order) - 0.4, -0.6)
        drawn.set(xlim=(0.0, 1.0), xlabel="P(no seizure)")
        drawn.set_title("After virtual surgery", loc="left")
    return figure_of(drawn)


def colour_of(probability: float) -> str:
    """Red where a region is more likely epileptogenic than not, orange above 5 %, else green."""
    if probability > _LIKELY:
        return _EZ
    return _PZ if probability > _POSSIBLE else _HEALTHY


def _draw_rings(figure: "Figure", places: Float[np.ndarray, "region axis"]) -> None:
    """Around regions, on the three sides of a glass brain, and what they stand for."""
    if not len(places):
        return
    look = {"facecolors": "none", "edgecolors": _PREDICTED, "linewidths": 1.8}
    for axes, (_, plane) in zip(figure.axes, SIDES, strict=False):
        rings = axes.scatter(*places[:, plane].T, s=230, zorder=4, **look)
    said = f"propagation: P(recruited) > {_LIKELY}, P(epileptogenic) at most {_LIKELY}"
    figure.legend([rings], [said], loc="outside lower center", frameon=False, fontsize=11)


def _draw_contacts(figure: "Figure", sensors: Sensors, frame: np.ndarray) -> None:
    """On the three sides of a glass brain."""
    at = sensors.positions @ frame.T
    for axes, (_, plane) in zip(figure.axes, SIDES, strict=False):
        axes.plot(*at[:, plane].T, "x", color=_INK, ms=3.5, mew=0.7, alpha=0.7, zorder=3)


def _in_sight(centres: np.ndarray, plane: tuple[int, int]) -> list[int]:
    """Regions without those that others nearer to the viewer hide: their names would, too."""
    depth = next(axis for axis in range(3) if axis not in plane)
    nearest = np.argsort(centres[:, depth] * (1.0 if depth == 1 else -1.0), kind="stable")
    flat, found = centres[:, plane], []
    hides = 0.04 * np.ptp(flat, axis=0).max()
    for i in map(int, nearest):
        if not found or np.linalg.norm(flat[found] - flat[i], axis=1).min() > hides:
            found.append(i)
    return found


def _draw_violin(axes: "Axes", place: int, values: np.ndarray, width: float, **look: Any) -> None:
    """A density, as wide as `width`; a line where all values are the same."""
    low, high = np.quantile(values, [0.005, 0.995])
    if not high > low:
        axes.plot([place - width / 2, place + width / 2], [low, low], color=_INK, lw=1.4)
        return
    from scipy.stats import gaussian_kde

    line = np.linspace(low, high, 120)
    half = gaussian_kde(values)(line)
    half = half / half.max() * width / 2
    axes.fill_betweenx(line, place - half, place + half, linewidth=0.8, **look)


def _violin_legend(axes: "Axes", threshold: float, truth: bool) -> None:
    """Above the panel, where it covers nothing."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(color=_EZ, label="P > 0.5"),
        Patch(color=_PZ, label="P > 0.05"),
        Patch(color=_HEALTHY, label="P ≤ 0.05"),
        Patch(facecolor="white", edgecolor="#8A9099", hatch="////", label="not known"),
        Patch(color=_PRIOR, label="prior"),
        Line2D([], [], color=_INK, ls=":", label=f"{threshold:g}"),
    ]
    if truth:
        handles.append(Line2D([], [], marker="D", mfc="white", mec=_INK, ls="", label="truth"))
    axes.legend(
        handles=handles, frameon=False, fontsize=10, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )


def _label_last_rows(panels: np.ndarray, count: int, label: str) -> None:
    """The axis of time at the lowest panel of every column."""
    rows, columns = panels.shape
    for column in range(columns):
        last = (count - 1 - column) // columns
        panels[last, column].set_xlabel(label, fontsize=10)
        panels[last, column].tick_params(labelbottom=True)


def _electrode(label: str) -> tuple[str, int]:
    """The shaft and the number of a contact: B'2 before B'10."""
    found = _ELECTRODE.fullmatch(label)
    return (label, 0) if found is None else (found["shaft"], int(found["contact"]))


def _worth_naming(away: np.ndarray, probability: np.ndarray) -> list[int]:
    """The most epileptogenic, and the furthest from the truth; the nearest to it first."""
    likely = [i for i in np.argsort(-probability)[:5] if probability[i] > _POSSIBLE]
    far = [i for i in np.argsort(-away)[:5] if away[i] > 2.0]
    return sorted({*map(int, likely), *map(int, far)}, key=lambda i: away[i])


def _plain(label: object, most: int = 34) -> str:
    """A label as text of a line, and no mathematics."""
    text = str(label)
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text.replace("$", r"\$")
