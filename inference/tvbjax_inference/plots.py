"""Figures of fits: losses, values, what was compared, and what data determine.

Need matplotlib (`pip install 'tvbjax[plot]'`), which is imported only when drawing.
"""

import math
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tvbjax.plot.colours import PALETTE
from tvbjax.plot.style import (
    STYLE,
    colour_bar,
    figure_of,
    load_matplotlib,
    panel,
    with_grey,
)
from tvbjax_inference.fitted import Fit
from tvbjax_inference.growth import Growth
from tvbjax_inference.information import WEAKLY, WELL, Information
from tvbjax_inference.objectives import Comparison, Kind, comparisons
from tvbjax_inference.problem import Problem
from tvbjax_inference.profile import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIMULATED, EMPIRICAL, OTHER = "#0072B2", "#1A1A1A", "#B8BEC6"
_GOOD, _FAIR, _BAD = "#009E73", "#E69F00", "#D55E00"
_NAMED = 24  # rows that can be named
_LINES = 6  # numbers that are lines, not a strip
_SERIES = 8  # places of which the time courses are shown


def plot_loss(fit: Fit) -> "Figure":
    """Losses by step, all starts with the best in colour; and the best start's terms, if there are
    several.

    Raises ModuleNotFoundError without matplotlib.
    """
    _check("plot_loss", fit, Fit, "what fit(...) gave")
    matplotlib, figure_class, _ = load_matplotlib()
    history, best = fit.history, _best(fit)
    losses = np.stack(history.losses)
    terms = {
        name: np.array([step[name][best] for step in history.terms])
        for name in (history.terms[0] if history.terms else ())
    }
    with matplotlib.rc_context(STYLE):
        count = 2 if terms else 1
        figure = figure_class(figsize=(6.3 * count, 4.4), dpi=100, layout="constrained")
        panels = figure.subplots(1, count, squeeze=False)[0]
        steps = np.arange(len(losses))
        mark = "o" if len(steps) == 1 else ""
        for start in range(losses.shape[1]):
            if start != best:
                panels[0].plot(steps, losses[:, start], color=OTHER, lw=1.2, marker=mark)
        panels[0].plot(steps, losses[:, best], color=SIMULATED, lw=2.2, marker=mark)
        lowest = int(np.nanargmin(losses[:, best]))
        panels[0].plot(lowest, losses[lowest, best], "o", color=SIMULATED, ms=7, zorder=3)
        _logarithmic(panels[0], losses)
        several = f" of {losses.shape[1]} starts" if losses.shape[1] > 1 else ""
        panels[0].set(xlabel="step", ylabel="loss")
        panels[0].set_title(f"Least loss{several}: {fit.loss:.4g}", loc="left")
        if terms:
            for number, (name, values) in enumerate(list(terms.items())[: len(PALETTE)]):
                colour = PALETTE[number % len(PALETTE)]
                panels[1].plot(steps, values, color=colour, lw=1.8, label=name, marker=mark)
            _logarithmic(panels[1], np.stack(list(terms.values())))
            panels[1].set(xlabel="step", ylabel="term, without its weight")
            panels[1].set_title("Terms of the best start", loc="left")
            # Beside the lines, which may be many.
            panels[1].legend(
                frameon=False, fontsize=10, loc="center left", bbox_to_anchor=(1.0, 0.5)
            )
            if len(terms) > len(PALETTE):
                panels[1].set_title(f"The first {len(PALETTE)} of {len(terms)} terms", loc="left")
    return figure


def plot_parameters(fit: Fit) -> "Figure":
    """Values of all that was free by step: of single numbers all starts, the best in colour; of
    several, such as those of regions, the best start's, as lines up to 6 and as a strip beyond.

    Raises ModuleNotFoundError without matplotlib.
    """
    _check("plot_parameters", fit, Fit, "what fit(...) gave")
    matplotlib, figure_class, _ = load_matplotlib()
    names, best = list(fit.problem.coordinates()), _best(fit)
    supports, labels = fit.problem.supports(), fit.problem.coordinates()
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(5.6 * columns, 3.8 * rows), dpi=100, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, name in zip(panels, names, strict=False):
            numbers = jnp.stack([jnp.asarray(one[name]) for one in fit.history.positions])
            values = np.asarray(supports[name].constrain(numbers))
            values = values.reshape(*values.shape[:2], -1)  # step, start, number
            if values.shape[2] == 1:
                _draw_starts(axes, values[..., 0], best)
            else:
                _draw_numbers(axes, values[:, best], labels[name])
            axes.set_xlabel("step")
            axes.set_title(name, loc="left")
        for axes in panels[len(names) :]:
            axes.remove()
    return figure


def plot_comparison(fit: Fit, key: "Array | None" = None) -> "Figure":
    """Empirical beside simulated values, of a run with the best ones: a row for each comparison.
    Matrices and a scatter with Pearson's r; distributions; spectra; time courses; values.

    `key`: of the run's noise. Of a cohort give one subject's: `fit.subject(name)`.

    Raises ModuleNotFoundError without matplotlib, TypeError for a fit of several subjects.
    """
    _check("plot_comparison", fit, Fit, "what fit(...) gave")
    problem = fit.problem
    if not isinstance(problem, Problem):
        raise TypeError(
            "plot_comparison: this is a fit of several subjects; give one's, fit.subject(name)."
        )
    found = comparisons(problem.objective, fit.simulate(key))
    if not found:
        raise ValueError(
            f"plot_comparison: the objective '{problem.objective.name}' compares nothing with "
            "data; plot_loss shows what it came to."
        )
    return draw_comparisons(found)


def draw_comparisons(found: "dict[str, Comparison]") -> "Figure":
    """The figure of `plot_comparison`, of comparisons by name."""
    matplotlib, figure_class, _ = load_matplotlib()
    draw = {
        Kind.MATRIX: (_draw_matrices, 3, 4.3),
        Kind.DISTRIBUTION: (_draw_distributions, 1, 3.6),
        Kind.SPECTRUM: (_draw_spectra, 1, 3.8),
        Kind.SERIES: (_draw_series, 1, 4.6),
        Kind.VALUES: (_draw_values, 1, 3.8),
    }
    heights = [draw[one.kind][2] for one in found.values()]
    wide = any(one.kind is Kind.MATRIX for one in found.values())
    with matplotlib.rc_context(STYLE):
        size = (14.0 if wide else 8.6, sum(heights))
        figure = figure_class(figsize=size, dpi=100, layout="constrained")
        parts = figure.subfigures(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, (name, one) in zip(parts, found.items(), strict=True):
            drawn, columns, _ = draw[one.kind]
            drawn(part.subplots(1, columns, squeeze=False)[0], name, one)
    return figure


def plot_identifiability(report: Information) -> "Figure":
    """How well each number is determined, correlations of their errors, and eigenvalues.

    Standard deviations are shares of the numbers' ranges; lines are where `well` and `weakly` end;
    what has no bound reaches the panel's end, hatched. Up to 24 numbers are named.

    Raises ModuleNotFoundError without matplotlib.
    """
    _check("plot_identifiability", report, Information, "what identifiability(...) gave")
    matplotlib, figure_class, _ = load_matplotlib()
    count = len(report.labels)
    height = max(4.8, 2.4 + 0.26 * min(count, _NAMED))
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(15.5, height), dpi=100, layout="constrained")
        bars, matrix, values = figure.subplots(1, 3, width_ratios=(1.15, 1.25, 1.0))
        _draw_shares(bars, report)
        shown = np.ma.array(report.correlation, mask=np.eye(count, dtype=bool))
        image = matrix.imshow(
            shown, cmap=with_grey("RdBu_r"), vmin=-1, vmax=1, interpolation="nearest"
        )
        _name(matrix, report.labels, "both")
        matrix.spines[:].set_visible(False)
        matrix.set_title("Correlations of errors", loc="left")
        colour_bar(matrix, image, "correlation")
        _draw_eigenvalues(values, report)
        figure.suptitle(report.about, x=0.01, ha="left", fontweight="bold")
    return figure


def plot_profile(
    profile: Profile,
    factor: float | int | None = None,
    level: float = 0.95,
    *,
    ax: "Axes | None" = None,
) -> "Figure":
    """A profile, with the fit's own value; with `factor`, as for `Profile.interval`, the threshold
    and the confidence interval, shaded. `ax`: draws there.

    Raises ModuleNotFoundError without matplotlib.
    """
    _check("plot_profile", profile, Profile, "what profile_likelihood(...) gave")
    with panel(ax, 6.6, 4.6) as axes:
        title = f"Profile of {profile.label}"
        ends = (profile.values[0], profile.values[-1])
        if factor is not None:
            low, high = profile.interval(factor, level)
            shown = max(low, ends[0]), min(high, ends[1])
            axes.axvspan(*shown, color=SIMULATED, alpha=0.12, lw=0)
            threshold = profile.threshold(factor, level)
            axes.axhline(threshold, color=_BAD, lw=1.2, ls="--")
            axes.annotate(
                f"{100 * level:g} %", (1.0, threshold), xycoords=("axes fraction", "data"),
                ha="right", va="bottom", color=_BAD, fontsize=11,
            )  # fmt: skip
            title += f": {_bound(low)} to {_bound(high)}"
        axes.plot(profile.values, profile.losses, "o-", color=SIMULATED, lw=1.8, ms=5)
        axes.plot(profile.best, profile.least, "*", color=_BAD, ms=15, label="fit", zorder=3)
        axes.set(xlabel=profile.label, ylabel="least loss of all others")
        axes.set_title(title, loc="left")
        axes.legend(frameon=False)
    return figure_of(axes)


def plot_growth(growth: Growth, *, ax: "Axes | None" = None) -> "Figure":
    """The final state's sensitivity by how long before the end it was changed, logarithmic; the
    rate, as a line; and the horizon that is advised, where gradients explode. `ax`: draws there.

    Raises ModuleNotFoundError without matplotlib.
    """
    _check("plot_growth", growth, Growth, "what gradient_growth(...) gave")
    with panel(ax, 6.6, 4.6) as axes:
        back, logs = growth.back
        axes.plot(back, logs / math.log(10), color=SIMULATED, lw=2.0, label="sensitivity")
        line = growth.rate * back / math.log(10)
        axes.plot(back, line, color=EMPIRICAL, lw=1.2, ls="--", label=f"{growth.rate:.3g} per ms")
        if growth.horizon is not None:
            axes.axvline(growth.horizon, color=_BAD, lw=1.4)
            axes.annotate(
                f"horizon {growth.horizon:.2g} ms", (growth.horizon, 1.0),
                xycoords=("data", "axes fraction"), xytext=(5, -2), textcoords="offset points",
                va="top", color=_BAD, fontsize=11,
            )  # fmt: skip
        axes.set(xlabel="change before the end (ms)", ylabel="log10 of the final state's change")
        said = "explode" if growth.explodes else "do not explode"
        axes.set_title(f"Gradients {said}", loc="left")
        axes.legend(frameon=False, loc="lower right" if growth.rate > 0 else "lower left")
    return figure_of(axes)


def _check(who: str, given: Any, kind: type, what: str) -> None:
    if not isinstance(given, kind):
        raise TypeError(f"{who}: {given!r:.60} is of the type {type(given).__name__}; give {what}.")


def _best(fit: Fit) -> int:
    return int(np.argmin(np.where(np.isfinite(fit.losses), fit.losses, np.inf)))


def _logarithmic(axes: "Axes", values: np.ndarray) -> None:
    """Where values are positive and span more than a factor of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        axes.set_yscale("log")
        if finite.max() < 1000 * finite.min():  # 0.5 says more there than powers of ten
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_starts(axes: "Axes", values: np.ndarray, best: int) -> None:
    mark = "o" if len(values) == 1 else ""
    for start in range(values.shape[1]):
        if start != best:
            axes.plot(values[:, start], color=OTHER, lw=1.2, marker=mark)
    axes.plot(values[:, best], color=SIMULATED, lw=2.2, marker=mark)
    axes.set_ylabel("value")


def _draw_numbers(axes: "Axes", values: np.ndarray, labels: tuple[str, ...]) -> None:
    """(step, number) of one start."""
    if values.shape[1] <= _LINES:
        for number, label in enumerate(labels):
            mark = "o" if len(values) == 1 else ""
            axes.plot(
                values[:, number], color=PALETTE[number % len(PALETTE)], label=label, marker=mark
            )
        axes.legend(frameon=False, fontsize=9, ncols=2)
        axes.set_ylabel("value")
        return
    image = axes.imshow(values.T, aspect="auto", cmap="viridis", interpolation="nearest")
    _name(axes, labels, "y")
    axes.spines[:].set_visible(False)
    colour_bar(axes, image, "value")


def _draw_matrices(panels: Any, name: str, one: Comparison) -> None:
    empirical, simulated = (np.asarray(x, float) for x in (one.empirical, one.simulated))
    size = len(empirical)
    beside = ~np.eye(size, dtype=bool)
    shown = [np.ma.array(x, mask=~beside | ~np.isfinite(x)) for x in (empirical, simulated)]
    largest = max((float(np.abs(x).max()) for x in shown if x.count()), default=1.0)
    limit = min(1.0, np.ceil(10 * largest) / 10) if largest <= 1 else largest
    image = None
    for axes, values, word in zip(panels, shown, ("empirical", "simulated"), strict=False):
        image = axes.imshow(
            values, cmap=with_grey("RdBu_r"), vmin=-limit, vmax=limit, interpolation="nearest"
        )
        labels = [str(x) for x in one.axes[0].coordinate] if one.axes else []
        _name(axes, tuple(labels), "both")
        axes.spines[:].set_visible(False)
        axes.set_title(f"{name}, {word}", loc="left")
    colour_bar(panels[1], image, "correlation" if largest <= 1 else one.unit or "value")
    upper = np.triu_indices(size, k=1)
    _scatter(panels[2], empirical[upper], simulated[upper], one.unit)


def _scatter(axes: "Axes", empirical: np.ndarray, simulated: np.ndarray, unit: str) -> None:
    both = np.isfinite(empirical) & np.isfinite(simulated)
    x, y = empirical[both], simulated[both]
    axes.plot(x, y, "o", color=SIMULATED, ms=4, alpha=0.5 if len(x) > 60 else 0.9, mew=0)
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    room = 0.05 * (high - low or 1.0)
    ends = (low - room, high + room)
    axes.plot(ends, ends, color=OTHER, lw=1.2, zorder=0)
    after = f" ({unit})" if unit else ""
    axes.set(xlim=ends, ylim=ends, xlabel=f"empirical{after}", ylabel=f"simulated{after}")
    axes.set_aspect("equal", anchor="W")
    if len(x) > 2 and x.std() > 0 and y.std() > 0:
        axes.set_title(f"r = {np.corrcoef(x, y)[0, 1]:.2f}", loc="left")


def _draw_distributions(panels: Any, name: str, one: Comparison) -> None:
    axes = panels[0]
    given = [np.asarray(x, float).ravel() for x in (one.empirical, one.simulated)]
    given = [x[np.isfinite(x)] for x in given]
    every = np.concatenate(given)
    edges = np.histogram_bin_edges(every, bins=min(60, max(8, int(np.sqrt(len(every))))))
    for x, word, colour in zip(
        given, ("empirical", "simulated"), (EMPIRICAL, SIMULATED), strict=True
    ):
        density, _ = np.histogram(x, edges, density=True)
        axes.stairs(density, edges, color=colour, lw=1.8, label=word)
        axes.stairs(density, edges, color=colour, alpha=0.15, fill=True)
    axes.set(xlabel=f"value ({one.unit})" if one.unit else "value", ylabel="density")
    axes.set_title(name, loc="left")
    axes.legend(frameon=False)


def _draw_spectra(panels: Any, name: str, one: Comparison) -> None:
    axes = panels[0]
    frequencies = np.asarray(one.axes[0].coordinate, float)
    for values, word, colour in (
        (one.empirical, "empirical", EMPIRICAL),
        (one.simulated, "simulated", SIMULATED),
    ):
        each = np.asarray(values, float).reshape(len(frequencies), -1)
        if each.shape[1] > 1:
            axes.plot(frequencies, each, color=colour, alpha=0.2, lw=0.8)
            word += f", median of {each.shape[1]}"
        axes.plot(frequencies, np.median(each, axis=1), color=colour, lw=2.2, label=word)
    axes.set(xlabel="frequency (Hz)", ylabel=f"power ({one.unit or 'dB'})")
    axes.set_title(name, loc="left")
    axes.legend(frameon=False)


def _draw_series(panels: Any, name: str, one: Comparison) -> None:
    axes = panels[0]
    time = np.asarray(one.axes[0].coordinate, float)
    empirical, simulated = (np.asarray(x, float) for x in (one.empirical, one.simulated))
    labels = [str(x) for x in one.axes[1].coordinate]
    count = min(len(labels), _SERIES)
    every = np.concatenate([empirical[:, :count], simulated[:, :count]])
    swing = float((np.nanmax(every, axis=0) - np.nanmin(every, axis=0)).max()) or 1.0
    for place in range(count):
        middle = float(np.nanmean(empirical[:, place]))
        for values, word, colour in (
            (empirical, "empirical", EMPIRICAL),
            (simulated, "simulated", SIMULATED),
        ):
            shifted = values[:, place] - middle - 1.1 * swing * place
            label = word if place == 0 else None
            axes.plot(time, shifted, color=colour, lw=1.3, alpha=0.85, label=label)
    axes.set_yticks([-1.1 * swing * place for place in range(count)], labels[:count])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"time ({one.axes[0].unit or 'ms'})")
    some = f", the first {count} of {len(labels)}" if len(labels) > count else ""
    axes.set_title(f"{name}{some}", loc="left")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderpad=0)


def _draw_values(panels: Any, name: str, one: Comparison) -> None:
    axes = panels[0]
    empirical, simulated = (np.asarray(x, float).ravel() for x in (one.empirical, one.simulated))
    unit = f" ({one.unit})" if one.unit else ""
    if len(empirical) > _NAMED:
        _scatter(axes, empirical, simulated, one.unit)
        axes.set_title(f"{name}, {axes.get_title(loc='left')}".rstrip(", "), loc="left")
        return
    places = np.arange(len(empirical))
    axes.vlines(places, empirical, simulated, color=OTHER, lw=2)
    axes.plot(places, empirical, "_", color=EMPIRICAL, ms=20, mew=2.5, label="empirical")
    axes.plot(places, simulated, "o", color=SIMULATED, ms=8, label="simulated")
    alone = len(one.axes) == 1 and len(one.axes[0]) == len(empirical)
    labels = [str(x) for x in one.axes[0].coordinate] if alone else list(map(str, places))
    tilted = sum(map(len, labels)) > 50
    axes.set_xticks(
        places, labels, rotation=45 if tilted else 0, ha="right" if tilted else "center"
    )
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_ylabel(f"value{unit}")
    axes.set_title(name, loc="left")
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderpad=0)


def _draw_shares(axes: "Axes", report: Information) -> None:
    shares, places = report.shares, np.arange(len(report.labels))
    finite = np.isfinite(shares)
    some = np.append(shares[finite & (shares > 0)], [WELL, WEAKLY])
    low, high = some.min() / 3, some.max() * 5
    colours = {"well": _GOOD, "weakly": _FAIR, "not": _BAD}
    for word, colour in colours.items():
        these = np.array([verdict == word for verdict in report.verdicts])
        if not these.any():
            continue
        width = np.where(finite, shares, high)
        for inside, hatch in ((these & finite, None), (these & ~finite, "////")):
            axes.barh(
                places[inside], width[inside] - low, left=low, color=colour, height=0.7,
                hatch=hatch, edgecolor="white" if hatch else colour, lw=0,
            )  # fmt: skip
        axes.plot([], [], "s", color=colour, label=word)
    for border in (WELL, WEAKLY):
        axes.axvline(border, color=EMPIRICAL, lw=1.0, ls=":")
    axes.set(xscale="log", xlim=(low, high), xlabel="standard deviation / range")
    axes.set_ylim(len(places) - 0.4, -0.6)
    _name(axes, report.labels, "y")
    axes.set_title("How well numbers are determined", loc="left")
    axes.legend(frameon=False, fontsize=10, loc="lower right", bbox_to_anchor=(1.0, 0.0))


def _draw_eigenvalues(axes: "Axes", report: Information) -> None:
    flat, found = report.flat, report.eigenvalues
    places = np.arange(1, len(found) + 1)
    floor = found[~flat].min() / 100
    heights = np.where(flat, floor, found)
    colours = np.where(flat, _BAD, np.where(report.loose, _FAIR, _GOOD))
    axes.vlines(places, floor / 10, heights, color=colours, lw=2)
    axes.scatter(places, heights, c=colours, s=45, zorder=3)
    for place in places[flat]:
        axes.annotate(
            "0", (place, floor), xytext=(0, 8), textcoords="offset points", ha="center", color=_BAD
        )
    axes.axhline(1.0, color=EMPIRICAL, lw=1.0, ls=":")
    axes.set(yscale="log", ylim=(floor / 10, found.max() * 5), xlabel="direction")
    if len(places) <= 12:
        axes.set_xticks(places)
    axes.set_ylabel("eigenvalue (1 / unbounded number²)")
    axes.set_title("Information by direction", loc="left")


def _name(axes: "Axes", labels: tuple[str, ...], which: str) -> None:
    """Names where they can be read."""
    places = np.arange(len(labels))
    if not len(labels) or len(labels) > _NAMED:
        if which == "y" and len(labels):
            axes.set_ylabel(f"{len(labels)} numbers, {labels[0]} to {labels[-1]}")
        return
    size = 11 if len(labels) <= 12 else 9
    axes.set_yticks(places, labels, fontsize=size)
    if which == "both":
        axes.set_xticks(places, labels, rotation=90, fontsize=size)


def _bound(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "no bound"
