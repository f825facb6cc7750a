"""The phase plane of a model: vector field, nullclines, fixed points, trajectories."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from tvbjax import lems
from tvbjax.plot.style import load_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Range = tuple[float | int, float | int]
# Okabe and Ito's colours: blue and vermilion nullclines, a green trajectory.
_NULLCLINES = ("#0072B2", "#D55E00")
_TRAJECTORY, _FIELD, _INK = "#009E73", "#B4BAC0", "#1A1A1A"
_STYLE = {
    "font.size": 12,
    "axes.labelsize": 13,
    "axes.titlesize": 14,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
}
_FIELD_POINTS = 60
_STEPS = 20_000
_DRAWN = 4_000


def phase_plane(
    model: lems.Model,
    x: str | None = None,
    y: str | None = None,
    *,
    x_range: Range | None = None,
    y_range: Range | None = None,
    at: Mapping[str, float | int] | None = None,
    inputs: ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
    starts: ArrayLike | None = None,
    duration: float | int = 200.0,
    points: Sequence[lems.FixedPoint] | None = None,
) -> "Figure":
    """A figure of the plane of two state variables, 900 x 650 pixels, units on its axes.

    `x`, `y`, the ranges, `at`, `inputs`, `params`: as in `lems.nullclines`. `starts`: (trajectory,
    2), points of the plane from which to follow the whole model for `duration` ms, other variables
    from `at`. `points`: what to mark; by default the fixed points in the plane of a model with two
    state variables, none of a larger one, whose fixed points need not lie in the plane. Filled
    marks are stable, hollow ones not; squares are nodes, circles foci, diamonds saddles.

    Raises ModuleNotFoundError without matplotlib, ValueError for what does not fit.
    """
    matplotlib, figure_class, _ = load_matplotlib()
    plane = lems.plane(
        model, x, y, x_range=x_range, y_range=y_range, at=at, inputs=inputs, params=params
    )
    if not (np.isfinite(duration) and duration > 0):
        raise ValueError(f"phase_plane: duration is {duration}; give a positive number of ms.")
    if starts is not None and not np.isfinite(np.asarray(starts, float)).all():
        raise ValueError(f"phase_plane: starts has {starts!r:.80}; give finite numbers.")
    if points is None:
        points = _fixed_points(plane)
    with matplotlib.rc_context(_STYLE):
        figure = figure_class(figsize=(9, 6.5), dpi=100, layout="constrained")
        axes = figure.subplots()
        axes.set_xlim(plane.x_range)
        axes.set_ylim(plane.y_range)
        _draw_field(axes, plane)
        for colour, (name, curves) in zip(
            _NULLCLINES, lems.plane_nullclines(plane).items(), strict=True
        ):
            for number, curve in enumerate(curves):
                label = f"d{name}/dt = 0" if number == 0 else None
                axes.plot(*curve.T, color=colour, lw=2.2, label=label, zorder=3)
        if starts is not None:
            _draw_trajectories(axes, plane, np.asarray(starts, float), float(duration))
        _draw_points(axes, plane, points)
        axes.set_xlabel(_label(model, plane.x))
        axes.set_ylabel(_label(model, plane.y))
        _title(axes, plane)
        if axes.get_legend_handles_labels()[1]:
            figure.legend(loc="outside right upper", fontsize=11)
    return figure


def _fixed_points(plane: lems.Plane) -> Sequence[lems.FixedPoint]:
    model = plane.model
    if len(model.state_variables) > 2:
        return ()
    bounds: dict[str, Range] = {plane.x: plane.x_range, plane.y: plane.y_range}
    return lems.fixed_points(model, plane.inputs, bounds, plane.params)


def _draw_field(axes: "Axes", plane: lems.Plane):
    """Streamlines; where the field is 0 or not finite there are none."""
    x, y = (np.linspace(*ends, _FIELD_POINTS) for ends in (plane.x_range, plane.y_range))
    along, up = (np.ma.masked_invalid(part) for part in plane.field(*np.meshgrid(x, y)))
    if np.ma.count(along) and float(np.abs(along).max() + np.abs(up).max()) > 0.0:
        axes.streamplot(
            x, y, along, up, color=_FIELD, density=1.3, linewidth=0.8, arrowsize=0.9, zorder=1
        )


def _draw_trajectories(axes: "Axes", plane: lems.Plane, starts: np.ndarray, duration: float):
    if starts.ndim != 2 or starts.shape[1] != 2:
        raise ValueError(
            f"phase_plane: starts has the shape {starts.shape}; pass (trajectory, 2), "
            f"values of {plane.x} and {plane.y}."
        )
    paths = _trajectories(plane, starts, duration)
    for number, path in enumerate(np.moveaxis(paths, 2, 0)):
        label = f"trajectory, {duration:g} ms" if number == 0 else None
        axes.plot(*path.T, color=_TRAJECTORY, lw=1.4, label=label, zorder=4)
        axes.plot(*path[0], marker="o", ms=4, color=_TRAJECTORY, zorder=4)


def _trajectories(plane: lems.Plane, starts: np.ndarray, duration: float) -> np.ndarray:
    """Runge and Kutta's fourth-order steps of the whole model: (time, 2, trajectory)."""
    model, dt = plane.model, duration / _STEPS
    names = model.state_variables
    with jax.enable_x64(True):
        first = jnp.asarray(plane.states(*starts.T))
        inputs = jnp.asarray(np.tile(plane.inputs[:, None], (1, len(starts))))
        low, high = jnp.asarray(model.bounds).T[:, :, None]

        def change(state):
            return model.dfun(state, inputs, plane.params)

        def step(state, _):
            k1 = change(state)
            k2 = change(state + 0.5 * dt * k1)
            k3 = change(state + 0.5 * dt * k2)
            k4 = change(state + dt * k3)
            moved = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return jnp.clip(moved, low, high), None

        def block(state, _):
            after = jax.lax.scan(step, state, length=_STEPS // _DRAWN)[0]
            return after, after

        path = jax.jit(lambda state: jax.lax.scan(block, state, length=_DRAWN)[1])(first)
        whole = np.concatenate([np.asarray(first)[None], np.asarray(path)])
    return whole[:, [names.index(plane.x), names.index(plane.y)]]


def _draw_points(axes: "Axes", plane: lems.Plane, points: Sequence[lems.FixedPoint]):
    drawn: set[str] = set()
    for point in points:
        label = None if point.kind in drawn else str(point.kind)
        drawn.add(point.kind)
        axes.plot(
            point.values[plane.x],
            point.values[plane.y],
            marker=_marker(point.kind),
            ms=8.5,
            mew=1.8,
            mec=_INK,
            mfc=_INK if point.stable else "white",
            ls="none",
            label=label,
            zorder=5,
        )


def _marker(kind: lems.FixedPointKind) -> str:
    if "saddle" in kind:
        return "D"
    return "s" if "node" in kind else "o"


def _label(model: lems.Model, name: str) -> str:
    unit = model.units[name]
    text = next(s.description for s in model.spec.states if s.name == name)
    # The first clause: a description may go on for a line.
    words = text.split(",")[0].split(";")[0].strip()
    whole = f"{name}: {words}" if words and len(words) < 60 else name
    return f"{whole} ({unit})" if unit else whole


def _title(axes: "Axes", plane: lems.Plane):
    units = plane.model.units
    held = {**plane.at, **dict(zip(plane.model.inputs, plane.inputs, strict=True))}
    said = [f"{name} = {value:g} {units.get(name, '')}".strip() for name, value in held.items()]
    lines = textwrap.wrap(", ".join(said), 90) or [""]
    axes.set_title(plane.model.name, loc="left", fontweight="bold", pad=12 + 14 * len(lines))
    axes.annotate(
        "\n".join(lines),
        (0.0, 1.0),
        xytext=(0, 9),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=10,
        color="#555555",
    )
