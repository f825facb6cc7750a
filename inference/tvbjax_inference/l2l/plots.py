"""Figures of studies: how losses fell, which values are good, and where they lie.

Need matplotlib (`pip install 'tvbjax[plot]'`), which is imported only when drawing.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.kinds import check_kind
from tvbjax.plot.style import STYLE, colour_bar, figure_of, load_matplotlib, panel
from tvbjax_inference.l2l.dimensions import AbstractDimension, Categorical
from tvbjax_inference.l2l.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEST, _EACH, _FAILED = "#0072B2", "#B8BEC6", "#D55E00"
_AXES = 12  # of parallel coordinates that can be read
_DRAWN = 2_000  # evaluations that are drawn one by one
_SPREAD = 100.0  # of losses above zero: beyond it their logarithms are drawn


def plot_progress(outcome: Outcome, axes: "Axes | None" = None) -> "Figure":
    """Losses by evaluation, the least so far, and where evaluations failed.

    Raises ModuleNotFoundError without matplotlib, `ValueError` where no evaluation has a loss.
    """
    _check("plot_progress", outcome)
    totals = outcome.losses.sum(axis=1)
    numbers = np.arange(1, len(totals) + 1)
    with panel(axes, 6.3, 4.4) as axes:
        some = _some(len(totals))
        axes.plot(numbers[some], totals[some], ".", color=_EACH, markersize=4, label="evaluations")
        least = np.where(np.isfinite(outcome.least), outcome.least, np.nan)
        axes.step(numbers, least, where="post", color=_BEST, linewidth=2, label="least so far")
        failed = np.flatnonzero(outcome.statuses != "ok")
        if len(failed):
            axes.plot(
                numbers[failed],
                np.full(len(failed), 0.02),
                "|",
                color=_FAILED,
                transform=axes.get_xaxis_transform(),
                label=f"failed ({len(failed)})",
            )
        if _by_orders(totals):
            axes.set_yscale("log")
        several = outcome.losses.shape[1] > 1
        axes.set(xlabel="evaluation", ylabel="sum of losses" if several else "loss")
        axes.legend(frameon=False, loc="upper right")
        return figure_of(axes)


def plot_parallel_coordinates(outcome: Outcome, axes: "Axes | None" = None) -> "Figure":
    """Each evaluation as a line through its values, the better the darker; the best in front.

    Of arrays the first elements, twelve axes in all. Raises as `plot_progress` does.
    """
    _check("plot_parallel_coordinates", outcome)
    matplotlib, _, _ = load_matplotlib()
    totals = outcome.losses.sum(axis=1)
    fine = np.flatnonzero(np.isfinite(totals))
    order = fine[np.argsort(totals[fine])[::-1]]
    order = order[-_DRAWN:]
    columns = _columns(outcome)[:_AXES]
    heights = np.stack([height for _, height, _ in columns], axis=1)
    share = np.argsort(np.argsort(-totals[order])) / max(1, len(order) - 1)
    with panel(axes, max(6.3, 1.1 * len(columns) + 1.5), 4.4) as axes:
        colours = matplotlib.colormaps["viridis_r"](0.1 + 0.9 * share)
        for number, colour, part in zip(order, colours, share, strict=True):
            last = number == order[-1]
            axes.plot(
                heights[number],
                color=_FAILED if last else colour,
                linewidth=2.5 if last else 0.8,
                alpha=1.0 if last else 0.15 + 0.6 * part,
            )
        for place, (_, _, ticks) in enumerate(columns):
            axes.axvline(place, color="black", linewidth=0.8)
            for height, text in ticks:
                axes.annotate(
                    text,
                    (place, height),
                    textcoords="offset points",
                    xytext=(4, 0),
                    fontsize=9,
                    va="center",
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
                )
        turned = {} if len(columns) <= 6 else {"rotation": 20, "ha": "right"}
        axes.set_xticks(range(len(columns)), [name for name, _, _ in columns], **turned)
        axes.set(ylim=(-0.05, 1.05), xlim=(-0.2, len(columns) - 0.4), yticks=[])
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_title(f"best of {len(fine)} in vermilion, others darker the better")
        return figure_of(axes)


def plot_landscape(outcome: Outcome, x: str, y: str, axes: "Axes | None" = None) -> "Figure":
    """Losses over two names, as points where evaluations were; the best as a star.

    `x`, `y`: names of single numbers or options, or of an element, `"w[3]"`. Raises `ValueError`
    for names that are not there, and as `plot_progress` does.
    """
    _check("plot_landscape", outcome)
    columns = {name: (height, ticks) for name, height, ticks in _columns(outcome)}
    for name in (x, y):
        if name not in columns:
            raise ValueError(
                f"plot_landscape: there is no '{name}'; there are {', '.join(columns)}."
            )
    totals = outcome.losses.sum(axis=1)
    fine = np.flatnonzero(np.isfinite(totals))
    fine = fine[np.argsort(totals[fine])[::-1]][-_DRAWN:]
    logarithm = _by_orders(totals)
    shown = np.log10(totals[fine]) if logarithm else totals[fine]
    with panel(axes, 5.6, 4.6) as axes:
        image = axes.scatter(
            columns[x][0][fine], columns[y][0][fine], c=shown, cmap="viridis", s=18, linewidths=0
        )
        best = fine[-1]
        axes.plot(columns[x][0][best], columns[y][0][best], "*", color=_FAILED, markersize=16)
        for axis, name in ((axes.xaxis, x), (axes.yaxis, y)):
            ticks = columns[name][1]
            axis.set_ticks([height for height, _ in ticks], [text for _, text in ticks])
        axes.set(xlabel=x, ylabel=y, xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
        colour_bar(axes, image, "log10 of the loss" if logarithm else "loss")
        return figure_of(axes)


def plot_front(outcome: Outcome, axes: "Axes | None" = None) -> "Figure":
    """Two objectives of all evaluations, and the Pareto front.

    Raises `ValueError` where there are not two objectives, and as `plot_progress` does.
    """
    _check("plot_front", outcome)
    if outcome.losses.shape[1] != 2:
        raise ValueError(
            f"plot_front: there are {outcome.losses.shape[1]} objectives, and a front of two is "
            "drawn; outcome.front has the numbers of the efficient ones."
        )
    with panel(axes, 5.2, 4.6) as axes:
        some = _some(len(outcome.losses))
        axes.plot(*outcome.losses[some].T, ".", color=_EACH, markersize=4, label="evaluations")
        front = outcome.losses[outcome.front]
        front = front[np.argsort(front[:, 0])]
        axes.step(*front.T, where="post", color=_BEST, linewidth=1.2)
        axes.plot(*front.T, "o", color=_BEST, markersize=5, label=f"front ({len(front)})")
        axes.set(xlabel="loss 0", ylabel="loss 1")
        axes.legend(frameon=False)
        return figure_of(axes)


def overview(outcome: Outcome) -> "Figure":
    """Losses by evaluation beside values in parallel coordinates."""
    _check("overview", outcome)
    matplotlib, figure_class, _ = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        width = 6.3 + max(6.3, 1.1 * min(_AXES, outcome.space.size) + 1.5)
        figure = figure_class(figsize=(width, 4.4), dpi=100, layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(6.3, width - 6.3))
        plot_progress(outcome, left)
        plot_parallel_coordinates(outcome, right)
        return figure


def _check(who: str, outcome: Any) -> None:
    check_kind(f"{who}: outcome", outcome, Outcome, "what study.run() gave")
    if not np.isfinite(outcome.losses.sum(axis=1)).any():
        raise ValueError(f"{who}: no evaluation has a loss; see outcome.failures.")


def _some(count: int) -> np.ndarray:
    """Numbers of evaluations that are drawn one by one."""
    return np.unique(np.linspace(0, count - 1, min(count, _DRAWN)).astype(int))


def _by_orders(losses: np.ndarray) -> bool:
    """Whether losses are above zero and differ by orders of magnitude."""
    fine = losses[np.isfinite(losses)]
    return bool((fine > 0).all() and fine.max() > _SPREAD * fine.min())


def _columns(outcome: Outcome) -> list[tuple[str, np.ndarray, list[tuple[float, str]]]]:
    """Of each number and option its name, its heights from 0 to 1, and ticks."""
    found = []
    decoded = outcome.decoded()
    for name, dimension in outcome.space.dimensions:
        part = decoded[name].reshape(len(outcome.losses), dimension.size)
        for i in range(dimension.size):
            place = ",".join(map(str, np.unravel_index(i, dimension.shape)))
            label = f"{name}[{place}]" if dimension.shape else name
            found.append((label, *_height(dimension, part[:, i])))
    return found


def _height(
    dimension: AbstractDimension, values: np.ndarray
) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """From 0 to 1 as the dimension's own scale has it; ticks at the ends, or at each option."""
    if isinstance(dimension, Categorical):
        count = len(dimension.options)
        places = [list(dimension.options).index(value) for value in values]
        ticks = [(i / (count - 1), str(option)) for i, option in enumerate(dimension.options)]
        return np.array(places) / (count - 1), ticks
    numbers = values.astype(float)
    low, high = (float(x) for x in (numbers.min(), numbers.max()))
    if dimension.bounded:
        low, high = dimension.low, dimension.high  # type: ignore[attr-defined]
    if getattr(dimension, "log", False):
        heights = np.log(numbers / low) / (np.log(high / low) or 1.0)
        middle = float(np.sqrt(low * high))
    else:
        heights = (numbers - low) / ((high - low) or 1.0)
        middle = 0.5 * (low + high)
    return heights, [(0.0, f"{low:.3g}"), (0.5, f"{middle:.3g}"), (1.0, f"{high:.3g}")]
