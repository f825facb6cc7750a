"""Sensors: a map of the head for those around it, three views for those within."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import RBFInterpolator

from tvbjax.connectome import Connectome
from tvbjax.forward import Sensors
from tvbjax.forward._sensors import check_sensors
from tvbjax.plot.geometry import directions, sensor_directions
from tvbjax.plot.glass import SIDES, draw_body
from tvbjax.plot.ranges import colour_limits
from tvbjax.plot.style import STYLE, colour_bar, common_colour_bar, load_matplotlib
from tvbjax.surface import Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#2B3038"
_NAMED = 80  # up to so many sensors have their names
_GRID = 220
_LEAN = 0.2  # the least extent of a cap, of its largest
_ROUND = 0.22  # standard deviation of the distances from the middle, of their mean


def sensors(
    sensors: Sensors,
    values: "np.ndarray | Sequence[float] | None" = None,
    surface: Surface | None = None,
    *,
    connectome: Connectome | None = None,
    label: str = "",
    limits: tuple[float | int, float | int] | None = None,
) -> "Figure":
    """Sensors with values as colours: a topographic map of EEG and MEG, three views of SEEG.

    Sensors that lie about a sphere are mapped: angles from the top become distances from the
    middle, the nose is up, and values between sensors are interpolated by thin-plate splines.
    Others are drawn from the right, above and behind, in the outline of `surface`. `values`: one
    for each sensor, named `label` with its unit; NaN is left out of the map, and grey in the views.
    Channels of MEG that are no coil, such as triggers, are left out.
    Which way is right and front is told by names of the 10-20 system or of CTF's MEG, else by
    `connectome`, whose centres have the same axes; else x is right and y front.

    Raises ModuleNotFoundError without matplotlib, ValueError for values that do not fit.
    """
    check_sensors("sensors", sensors)
    shown = None if values is None else np.asarray(values, dtype=float)
    if shown is not None and shown.shape != (len(sensors),):
        raise ValueError(
            f"sensors: values has the shape {shown.shape}; pass one for each of the "
            f"{len(sensors)} sensors of {sensors.name!r}, in their order."
        )
    if sensors.orientations is not None and sensors.orientations.any():
        coils = np.linalg.norm(sensors.orientations, axis=1) > 0
        shown = None if shown is None else shown[coils]
        named = [label for label, coil in zip(sensors.labels, coils, strict=True) if coil]
        sensors = sensors.take(named)
    frame = sensor_directions(sensors.labels, sensors.positions)
    if frame is None and connectome is not None and connectome.centres is not None:
        frame = directions(connectome.centres, connectome.hemispheres, connectome.labels)
    places = sensors.positions @ (np.eye(3) if frame is None else frame).T
    middle, spread = sphere(places)
    matplotlib, figure_class, _ = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        if spread < _ROUND:
            figure = figure_class(figsize=(7.2, 6.4), dpi=100, layout="constrained")
            flat = flattened(places - middle)
            draw_topography(figure.subplots(), sensors, flat, shown, label, limits)
        else:
            figure = figure_class(figsize=(14, 5.2), dpi=100, layout="constrained")
            body = None if surface is None else (surface, np.eye(3) if frame is None else frame)
            _draw_views(figure, sensors, places, body, shown, label, limits)
    return figure


def sphere(places: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle of the sphere that fits best, and how much distances from it vary, relatively;
    infinity where points are few, in a plane or along a line."""
    # |p|² = 2 p·c + (r² - |c|²), linear in c and the rest.
    terms = np.concatenate([2 * places, np.ones((len(places), 1))], axis=1)
    middle = np.linalg.lstsq(terms, (places**2).sum(axis=1), rcond=None)[0][:3]
    distances = np.linalg.norm(places - middle, axis=1)
    # Through points along a line or in a plane there is a sphere too, of no meaning.
    extents = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
    flat = len(places) < 5 or not extents[-1] > _LEAN * extents[0]
    return middle, np.inf if flat else float(distances.std() / distances.mean())


def flattened(directions: np.ndarray) -> np.ndarray:
    """Azimuthal equidistant, (sensor, 2): at the top (0, 0), level with the middle 1 away."""
    level = np.linalg.norm(directions[:, :2], axis=1)
    angle = np.arctan2(level, directions[:, 2]) / (np.pi / 2)
    return directions[:, :2] * (angle / np.where(level > 0, level, 1.0))[:, None]


def draw_topography(
    axes: "Axes", sensors: Sensors, flat: np.ndarray, shown: np.ndarray | None, label: str, limits
):
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke

    radius = 1.06 * float(np.linalg.norm(flat, axis=1).max())
    if shown is not None:
        known = np.isfinite(shown)
        if known.sum() < 3:
            raise ValueError(
                f"sensors: {known.sum()} values are finite; a map takes three; without values "
                "the sensors alone are drawn."
            )
        low, high, diverging = colour_limits(shown[known], limits, "sensors")
        line = np.linspace(-radius, radius, _GRID)
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        # A little smoothing, so that sensors at one place are no contradiction.
        spline = RBFInterpolator(
            flat[known], shown[known], kernel="thin_plate_spline", smoothing=1e-6
        )
        filled = spline(grid)
        picture = filled.reshape(_GRID, _GRID)
        image = axes.imshow(
            picture,
            extent=(-radius, radius, -radius, radius),
            origin="lower",
            vmin=low,
            vmax=high,
            cmap="RdBu_r" if diverging else "viridis",
            interpolation="bilinear",
        )
        image.set_clip_path(Circle((0, 0), radius, transform=axes.transData))
        if high > low:
            levels = np.linspace(low, high, 8)[1:-1]
            inside = np.ma.array(picture, mask=np.hypot(*grid.T).reshape(picture.shape) > radius)
            axes.contour(
                line, line, inside, levels=levels, colors="#00000050", linewidths=0.7,
                linestyles="solid",
            )  # fmt: skip
        colour_bar(axes, image, label)
    _draw_head(axes, radius)
    axes.scatter(*flat.T, s=9 if len(flat) > _NAMED else 14, c=_INK, zorder=4)
    if len(flat) <= _NAMED:
        for name, place in zip(sensors.labels, flat, strict=True):
            axes.annotate(
                name, (place[0], place[1]), xytext=(0, 4), textcoords="offset points", ha="center",
                fontsize=8, color=_INK, zorder=5,
                path_effects=[withStroke(linewidth=2, foreground="#FFFFFFCC")],
            )  # fmt: skip
    axes.set_title(f"{sensors.name}: {len(flat)} sensors", loc="left")


def _draw_head(axes: "Axes", radius: float):
    turn = np.linspace(0, 2 * np.pi, 200)
    look = {"color": _INK, "lw": 1.6, "solid_capstyle": "round"}
    axes.plot(radius * np.cos(turn), radius * np.sin(turn), **look)
    side = 0.12
    axes.plot(
        radius * np.array([np.sin(-side), 0.0, np.sin(side)]),
        radius * np.array([np.cos(side), 1.12, np.cos(side)]),
        **look,
    )
    ear = np.linspace(-1.25, 1.25, 40)
    for sign in (-1, 1):
        axes.plot(sign * radius * (0.985 + 0.07 * np.cos(ear)), 0.2 * radius * np.sin(ear), **look)
    axes.set_aspect("equal")
    axes.axis("off")
    for name, sign, align in (("left", -1, "right"), ("right", 1, "left")):
        axes.text(
            sign * 0.8 * radius, -0.98 * radius, name, ha=align, va="top", color="#666666",
            fontsize=11,
        )  # fmt: skip


def _draw_views(figure: "Figure", sensors: Sensors, places, body, shown, label: str, limits):
    widths = [np.ptp(places[:, across]) + 40 for _, (across, _) in SIDES]
    panels = figure.subplots(1, 3, width_ratios=widths)
    if shown is not None:
        low, high, diverging = colour_limits(shown, limits, "sensors")
        colours = {"cmap": "RdBu_r" if diverging else "viridis", "vmin": low, "vmax": high}
    points = None
    for axes, (title, plane) in zip(panels, SIDES, strict=True):
        draw_body(axes, places, plane, body)
        at = places[:, plane].T
        if shown is None:
            axes.scatter(*at, s=12, c=_INK, zorder=2)
        else:
            known = np.isfinite(shown)
            axes.scatter(*at[:, ~known], s=14, c="#B5B9BE", zorder=2)
            points = axes.scatter(*at[:, known], s=16, c=shown[known], zorder=3, **colours)
        axes.set_aspect("equal")
        axes.axis("off")
        axes.set_title(title, fontsize=12, color="#444444")
    if points is not None:
        common_colour_bar(panels, points, label)
    figure.suptitle(f"{sensors.name}: {len(places)} sensors", x=0.01, ha="left", fontsize=14)
