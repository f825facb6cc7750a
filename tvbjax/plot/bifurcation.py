"""A bifurcation diagram: branches of fixed points over a parameter, and what happens on them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tvbjax import lems
from tvbjax.plot.phase import _STYLE
from tvbjax.plot.style import load_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion.
_STABLE, _UNSTABLE, _INK = "#0072B2", "#D55E00", "#1A1A1A"
_MARKERS = {
    lems.BifurcationKind.FOLD: ("s", "F"),
    lems.BifurcationKind.HOPF: ("o", "H"),
    lems.BifurcationKind.BRANCH_POINT: ("D", "B"),
}
_LISTED = 14  # beyond, the legend has only the kinds
_SAME = 1e-4  # of the axes
# Around a mark, in points: where its label may stand, the best places first.
_PLACES = [
    (r * np.cos(a), r * np.sin(a))
    for r in (15, 22, 32)
    for a in np.deg2rad(45 + np.arange(0, 360, 30))
]


def bifurcation(
    branches: lems.Branch | Sequence[lems.Branch],
    y: str | Callable[[dict[str, np.ndarray]], np.ndarray] | None = None,
    *,
    label: str | None = None,
    x_range: tuple[float | int, float | int] | None = None,
    y_range: tuple[float | int, float | int] | None = None,
) -> "Figure":
    """A figure of branches over their parameter, 1000 x 650 pixels, units on its axes.

    `y`: a state variable, by default the first, or a function of all of them by name, as `lambda s:
    s["y1"] - s["y2"]`, with `label` for its axis. Stable parts are solid, unstable ones dashed;
    folds are squares, Hopf points circles, filled where a stable cycle is born, branch points
    diamonds, each with a number; the legend says where it is and how fast a Hopf point's cycle.

    Raises ModuleNotFoundError without matplotlib, ValueError for what does not fit.
    """
    matplotlib, figure_class, _ = load_matplotlib()
    branches = [branches] if isinstance(branches, lems.Branch) else list(branches)
    if not branches:
        raise ValueError("bifurcation: no branches; pass what lems.continuation gave.")
    parameters = {branch.parameter for branch in branches}
    models = {branch.model.name for branch in branches}
    if len(parameters) > 1 or len(models) > 1:
        raise ValueError(
            f"bifurcation: branches of {sorted(models)} over {sorted(parameters)}; pass those of "
            "one model over one parameter."
        )
    model, parameter = branches[0].model, branches[0].parameter
    heights = [_heights(model, branch.states, y) for branch in branches]
    with matplotlib.rc_context(_STYLE):
        figure = figure_class(figsize=(10, 6.5), dpi=100, layout="constrained")
        axes = figure.subplots()
        for branch, height in zip(branches, heights, strict=True):
            _draw_branch(axes, branch, height)
        axes.margins(0.04)
        axes.set_xlim(x_range or _ends(branches))
        if y_range is not None:
            axes.set_ylim(y_range)
        axes.set_xlabel(_name(model, parameter))
        axes.set_ylabel(
            label or _name(model, y if isinstance(y, str) else model.state_variables[0])
        )
        axes.set_title(model.name, loc="left", fontweight="bold", pad=12)
        _draw_points(axes, branches, heights)
        handles, names = axes.get_legend_handles_labels()
        order = sorted(range(len(names)), key=lambda i: names[i] != "stable")
        figure.legend(
            [handles[i] for i in order],
            [names[i] for i in order],
            loc="outside right upper",
            fontsize=10.5,
        )
    return figure


def _heights(model: lems.Model, states: np.ndarray, y) -> np.ndarray:
    named = dict(zip(model.state_variables, states.T, strict=True))
    if callable(y):
        height = np.asarray(y(named), float)
        if height.shape != states.shape[:1]:
            raise ValueError(
                f"bifurcation: y gives the shape {height.shape}; return one number per point, "
                f"{states.shape[:1]}."
            )
        return height
    chosen = model.state_variables[0] if y is None else y
    if chosen not in named:
        raise ValueError(
            f"bifurcation: '{chosen}' is no state variable; "
            f"there are {list(model.state_variables)}."
        )
    return named[chosen]


def _ends(branches: Sequence[lems.Branch]) -> tuple[float, float]:
    values = np.concatenate([branch.parameter_values for branch in branches])
    return float(values.min()), float(values.max())


def _draw_branch(axes: "Axes", branch: lems.Branch, height: np.ndarray):
    """Its stretches of equal stability; a step is stable where it is so on average."""
    real = np.real(branch.eigenvalues).max(axis=1)
    stable = real[:-1] + real[1:] < 0.0
    edges = [0, *(np.flatnonzero(stable[1:] != stable[:-1]) + 1), len(stable)]
    drawn = axes.get_legend_handles_labels()[1]
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        label = "stable" if stable[first] else "unstable"
        axes.plot(
            branch.parameter_values[first : last + 1],
            height[first : last + 1],
            color=_STABLE if stable[first] else _UNSTABLE,
            ls="-" if stable[first] else (0, (4, 2)),
            lw=2.2,
            solid_capstyle="butt",
            label=None if label in drawn else label,
            zorder=3,
        )
        drawn.append(label)


def _draw_points(axes: "Axes", branches: Sequence[lems.Branch], heights: Sequence[np.ndarray]):
    """Marks with numbers, from left to right, and what they are in the legend."""
    unit = branches[0].model.units[branches[0].parameter]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    size = np.array([right - left, top - bottom])
    marks: list[tuple[np.ndarray, lems.Bifurcation]] = []
    for branch, height in zip(branches, heights, strict=True):
        for one in branch.bifurcations:
            at = np.array([one.parameter_value, height[one.index]])
            inside = (left <= at[0] <= right) and (bottom <= at[1] <= top)
            if inside and not any(
                one.kind is other.kind and (np.abs(at - place) < _SAME * size).all()
                for place, other in marks
            ):
                marks.append((at, one))
    marks.sort(key=lambda mark: (mark[0][0], mark[0][1]))
    labels = _label_places(axes, [at for at, _ in marks], branches, heights)
    counts = dict.fromkeys(_MARKERS, 0)
    for (at, one), offset in zip(marks, labels, strict=True):
        marker, letter = _MARKERS[one.kind]
        counts[one.kind] += 1
        name = f"{letter}{counts[one.kind]}"
        text = f"{name}: {_said(one, at[0] if abs(at[0]) > 1e-9 * size[0] else 0.0, unit)}"
        if len(marks) > _LISTED:
            text = str(one.kind) if counts[one.kind] == 1 else None
        axes.plot(
            *at,
            marker=marker,
            ms=8 if marker != "D" else 7.5,
            mew=1.6,
            mec=_INK,
            mfc="white" if one.supercritical is False else _INK,
            ls="none",
            label=text,
            zorder=5,
        )
        axes.annotate(
            name,
            (at[0], at[1]),
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=11,
            color=_INK,
            zorder=6,
        )


def _label_places(axes: "Axes", marks, branches, heights) -> list[tuple[float, float]]:
    """Per mark the offset at which its label is farthest from curves, marks and other labels.

    In points, on axes of about the size that they will have.
    """
    wide, high = 480.0, 400.0
    low = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
    size = np.array([axes.get_xlim()[1], axes.get_ylim()[1]]) - low

    def paper(points) -> np.ndarray:
        return (np.asarray(points, float).reshape(-1, 2) - low) / size * [wide, high]

    curves = [_dense(paper(np.stack([b.parameter_values, h], 1)))
              for b, h in zip(branches, heights, strict=True)]  # fmt: skip
    marked = paper(marks)
    taken = np.concatenate([*curves, marked])
    chosen = []
    for at in marked:
        places = np.array([at + offset for offset in _PLACES])
        free = np.linalg.norm(places[:, None] - taken[None], axis=2).min(axis=1)
        inside = ((places > 8.0) & (places < [wide - 8.0, high - 8.0])).all(axis=1)
        good = np.where(inside, np.minimum(free, 14.0), -1.0)
        best = int(np.argmax(good))
        chosen.append(tuple(float(part) for part in _PLACES[best]))
        taken = np.concatenate([taken, places[best] + [[-6.0, 0.0], [0.0, 0.0], [6.0, 0.0]]])
    return chosen


def _dense(points: np.ndarray) -> np.ndarray:
    """A polyline as points at most 3 apart."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], max(2, int(length[-1] / 3.0)))
    return np.stack([np.interp(at, length, part) for part in points.T], axis=1)


def _said(one: lems.Bifurcation, value: float, unit: str) -> str:
    text = f"{one.kind}, {value:.5g} {unit}".rstrip()
    if one.frequency is None:
        return text
    kind = "supercritical" if one.supercritical else "subcritical"
    return f"{text},\n{kind}, {1000 * one.frequency:.4g} Hz"


def _name(model: lems.Model, name: str) -> str:
    unit = model.units[name]
    spec = model.spec
    text = next(
        s.description for s in (*spec.states, *spec.parameters, *spec.inputs) if s.name == name
    )
    words = text.split(",")[0].split(";")[0].strip()
    whole = f"{name}: {words}" if words and len(words) < 60 else name
    return f"{whole} ({unit})" if unit else whole
