"""A glass brain: regions and their strongest connections from three sides, in an outline."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
from scipy.spatial import ConvexHull

from tvbjax.connectome import Connectome
from tvbjax.plot.geometry import directions, strongest_pairs
from tvbjax.plot.ranges import colour_limits
from tvbjax.plot.style import STYLE, common_colour_bar, hemisphere_colours, load_matplotlib
from tvbjax.surface import Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GLASS, _RIM = "#F2F3F4", "#8A9099"
_MARGIN = 10.0  # mm beyond the centres, where there is no surface
# Title, and which of (right, front, up) run to the right and up on the paper.
SIDES = (("from the right", (1, 2)), ("from above", (0, 1)), ("from behind", (0, 2)))


def glass_brain(
    connectome: Connectome,
    values: "np.ndarray | Sequence[float] | None" = None,
    surface: Surface | None = None,
    *,
    label: str = "",
    limits: tuple[float | int, float | int] | None = None,
    edges: int = 150,
) -> "Figure":
    """Regions and the strongest connections from the right, above and behind, 1400 x 520 pixels.

    `values`: a number for each region, for its colour, named `label` with its unit; NaN is grey.
    Without it colours tell the hemispheres. Areas tell in-strength. `surface`: its outline is
    drawn, else a hull of the centres. `edges`: how many pairs of regions are joined at most. Which
    way is right and front is found by the hemispheres and labels.

    Raises ModuleNotFoundError without matplotlib, ValueError without centres and for other shapes.
    """
    if connectome.centres is None:
        raise ValueError("glass_brain: the connectome has no centres; pass Connectome(centres=).")
    size = len(connectome.regions)
    shown = None if values is None else np.asarray(values, dtype=float)
    if shown is not None and shown.shape != (size,):
        raise ValueError(
            f"glass_brain: values has the shape {shown.shape}; pass one for each of the {size} "
            "regions."
        )
    if edges < 0:
        raise ValueError(f"glass_brain: edges is {edges}; give a count, 0 for none.")
    frame = directions(connectome.centres, connectome.hemispheres, connectome.labels)
    places = connectome.centres @ frame.T
    body = None if surface is None else (surface, frame)
    pairs = strongest_pairs(connectome, places, edges)
    matplotlib, figure_class, _ = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(14, 5.2), dpi=100, layout="constrained")
        widths = [np.ptp(places[:, across]) + 40 for _, (across, _) in SIDES]
        panels = figure.subplots(1, 3, width_ratios=widths)
        for axes, (title, plane) in zip(panels, SIDES, strict=True):
            draw_body(axes, places, plane, body)
            _draw_edges(axes, pairs, places[:, plane])
            points = _draw_nodes(axes, connectome, places, plane, shown, limits)
            axes.set_aspect("equal")
            axes.axis("off")
            axes.set_title(title, fontsize=12, color="#444444")
        if shown is not None:
            common_colour_bar(panels, points, label)
    return figure


def silhouette(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture of where points (point, 2) in mm are dense, from 0 to 1, and its x and y; its
    contour at 0.5 is their outline."""
    cell = max(float(np.ptp(points, axis=0).max()) / 110, 1e-6)
    low = points.min(axis=0) - 8 * cell
    shape = np.ceil((points.max(axis=0) + 8 * cell - low) / cell).astype(int)
    at = ((points - low) / cell).astype(int)
    filled = np.zeros(tuple(shape), dtype=bool)
    filled[tuple(at.T)] = True
    filled = scipy.ndimage.binary_closing(filled, iterations=3)
    filled = scipy.ndimage.binary_fill_holes(filled)
    smooth = scipy.ndimage.gaussian_filter(np.asarray(filled, dtype=float), 1.0)
    x, y = (low[axis] + cell * (np.arange(shape[axis]) + 0.5) for axis in range(2))
    return smooth.T, x, y


def draw_body(
    axes: "Axes",
    places: np.ndarray,
    plane: tuple[int, int],
    body: tuple[Surface, np.ndarray] | None,
):
    """An outline, and names of its sides: of a surface in a frame of directions, else of a hull."""
    if body is not None:
        surface, frame = body
        corners = surface.vertices[surface.triangles]
        inner = [(corners[:, 0] + corners[:, 1]) / 2, corners.mean(axis=1)]
        picture, x, y = silhouette((np.concatenate([surface.vertices, *inner]) @ frame.T)[:, plane])
        axes.contourf(x, y, picture, levels=[0.5, 2.0], colors=[_GLASS], zorder=0)
        axes.contour(x, y, picture, levels=[0.5], colors=[_RIM], linewidths=1.2, zorder=0)
    else:
        angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        circle = _MARGIN * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        around = (places[:, None, plane] + circle[None]).reshape(-1, 2)
        axes.fill(*around[ConvexHull(around).vertices].T, fc=_GLASS, ec=_RIM, lw=1.2, zorder=0)
    names = {0: ("left", "right"), 1: ("back", "front")}[plane[0]]
    look = {"transform": axes.transAxes, "color": "#666666", "fontsize": 11, "va": "bottom"}
    axes.text(0.0, -0.03, names[0], ha="left", **look)
    axes.text(1.0, -0.03, names[1], ha="right", **look)


def _draw_edges(axes: "Axes", pairs, places: np.ndarray):
    from matplotlib.collections import LineCollection

    rows, columns, share = pairs
    lines = LineCollection(
        list(np.stack([places[rows], places[columns]], axis=1)),
        linewidths=0.4 + 1.6 * share**2,
        colors=[(0.25, 0.28, 0.33, 0.08 + 0.32 * s**2) for s in share],
        zorder=1,
    )
    axes.add_collection(lines)


def _draw_nodes(axes: "Axes", connectome: Connectome, places, plane, shown, limits):
    """Those nearest to the viewer last, so that they are on top."""
    depth = next(axis for axis in range(3) if axis not in plane)
    # From the right and above the viewer is at large values, from behind at small ones.
    order = np.argsort(places[:, depth] * (-1.0 if depth == 1 else 1.0), kind="stable")
    strength = np.asarray(connectome.without_self_connections().weights).sum(axis=1)
    area = (16 + 110 * strength / (strength.max() or 1.0))[order]
    look = {"s": area, "edgecolors": "white", "linewidths": 0.7, "zorder": 2}
    at = places[order][:, plane].T
    if shown is None:
        return axes.scatter(*at, c=hemisphere_colours(connectome.regions)[order], **look)
    from matplotlib.colors import Normalize

    low, high, diverging = colour_limits(shown, limits, "glass_brain")
    colours = "RdBu_r" if diverging else "viridis"
    known = np.isfinite(shown[order])
    look["s"] = area[~known]
    axes.scatter(*at[:, ~known], c="#B5B9BE", **look)
    look["s"] = area[known]
    norm = Normalize(low, high)
    return axes.scatter(*at[:, known], c=shown[order][known], cmap=colours, norm=norm, **look)
