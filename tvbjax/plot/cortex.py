"""Values on a surface, drawn from four sides; without a graphics card, for papers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.plot.geometry import directions, shades, vertex_hemispheres
from tvbjax.plot.ranges import colour_limits
from tvbjax.plot.style import STYLE, common_colour_bar, load_matplotlib
from tvbjax.regions import Regions
from tvbjax.surface import Surface, checked_mapping

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BARE, _NONE = (0.80, 0.80, 0.79), (0.66, 0.68, 0.70)
_LIGHT = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])
# Azimuth and elevation in degrees, as in the interactive brain: from the right to the front.
_LEFT, _RIGHT, _TOP, _FRONT = (180, 0), (0, 0), (-90, 90), (90, 0)


def surface(
    surface: Surface,
    values: "np.ndarray | Sequence[float] | None" = None,
    *,
    region_mapping: np.ndarray | None = None,
    connectome: Connectome | None = None,
    label: str = "",
    limits: tuple[float | int, float | int] | None = None,
) -> "Figure":
    """A surface from four sides, 1100 x 800 pixels, with colours for values.

    `values`: a number for each vertex, or for each region of `region_mapping`, named `label` with
    its unit; NaN is grey. `connectome`: with the mapping it tells which way is right and front, and
    the views are of both hemispheres' outer and inner sides; without it they are along the axes,
    with z up.

    Raises ModuleNotFoundError without matplotlib, ValueError for values or a mapping that do not
    fit.
    """
    mapping = None
    if region_mapping is not None:
        count = 1 + int(np.max(region_mapping)) if connectome is None else 0
        regions = connectome.regions if connectome is not None else _numbered(values, count)
        mapping = checked_mapping(region_mapping, regions, len(surface))
    shown = _per_vertex(surface, values, mapping)
    right, frame = None, np.eye(3)
    if connectome is not None and mapping is not None:
        right = vertex_hemispheres(surface, mapping, connectome.regions)
        names = [connectome.labels[region] for region in mapping]
        frame = directions(surface.vertices, right, names)
    parts = _parts(surface, right)
    matplotlib, figure_class, _ = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(11, 8), dpi=100, layout="constrained")
        panels = figure.subplots(2, 2).ravel()
        scale = _colours(shown, limits)
        faces = _face_colours(surface, shown, scale)
        for axes, (title, view, kept) in zip(panels, parts, strict=True):
            draw_mesh(axes, surface, frame, view, faces, kept)
            axes.set_title(title, fontsize=12, color="#444444")
        if scale is not None:
            common_colour_bar(panels, scale, label)
    return figure


def draw_mesh(
    axes: "Axes",
    surface: Surface,
    frame: np.ndarray,
    view: tuple[float | int, float | int],
    faces: np.ndarray,
    kept: np.ndarray,
):
    """Triangles that face the viewer, the farthest first: nearer ones hide them."""
    from matplotlib.collections import PolyCollection

    a, e = np.deg2rad(view)
    rows = np.array(
        [
            [-np.sin(a), np.cos(a), 0.0],
            [-np.sin(e) * np.cos(a), -np.sin(e) * np.sin(a), np.cos(e)],
            [np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)],
        ]
    )
    turn = rows @ frame
    eye, normals = surface.vertices @ turn.T, surface.normals @ turn.T
    corners, facing = eye[surface.triangles], normals[surface.triangles].mean(axis=1)
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-12)
    seen = kept & (facing[:, 2] > (-0.1 if surface.closed else -2.0))
    order = np.flatnonzero(seen)[np.argsort(corners[seen].mean(axis=1)[:, 2], kind="stable")]
    lit = np.clip(np.abs(facing[order] @ _LIGHT), 0.0, 1.0)
    colours = np.clip(faces[order] * (0.55 + 0.5 * lit)[:, None], 0.0, 1.0)
    drawn = PolyCollection(
        list(corners[order][:, :, :2]),
        facecolors=colours,
        edgecolors=colours,
        linewidths=0.4,
        rasterized=True,
    )
    axes.add_collection(drawn)
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.axis("off")


def _numbered(values, count: int) -> Regions:
    size = max(count, 0 if values is None else np.shape(values)[0])
    return Regions([f"region {i}" for i in range(size)])


def _per_vertex(surface: Surface, values, mapping: np.ndarray | None) -> np.ndarray | None:
    if values is None:
        return None
    found = np.asarray(values, dtype=float)
    found = np.where(np.isfinite(found), found, np.nan)
    if found.shape == (len(surface),):
        return found
    if mapping is None or found.ndim != 1 or len(found) <= mapping.max():
        raise ValueError(
            f"surface: values has the shape {found.shape}; pass one for each of the "
            f"{len(surface)} vertices, or one for each region with region_mapping=."
        )
    return found[mapping]


def _parts(surface: Surface, right: np.ndarray | None) -> list[tuple[str, Any, np.ndarray]]:
    """Titles, views, and which triangles are drawn."""
    every = np.ones(len(surface.triangles), dtype=bool)
    if right is None or right.all() or not right.any():
        names = ("from −x", "from +x", "from +z", "from +y")
        views = (_LEFT, _RIGHT, _TOP, _FRONT)
        return [(name, view, every) for name, view in zip(names, views, strict=True)]
    side = right[surface.triangles].sum(axis=1) > 1
    return [
        ("left, outside", _LEFT, ~side),
        ("right, outside", _RIGHT, side),
        ("left, inside", _RIGHT, ~side),
        ("right, inside", _LEFT, side),
    ]


def _colours(shown: np.ndarray | None, limits) -> Any:
    """What turns values into colours, and has a colour bar; None where there are no values."""
    if shown is None:
        return None
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high, diverging = colour_limits(shown, limits, "surface")
    return ScalarMappable(Normalize(low, high), "RdBu_r" if diverging else "viridis")


def _face_colours(surface: Surface, shown: np.ndarray | None, scale: Any) -> np.ndarray:
    """Of every triangle, (triangle, 3), darker in folds; of the mean of its vertices' values."""
    depth = shades(surface)[surface.triangles].mean(axis=1)[:, None]
    if shown is None:
        return np.array(_BARE)[None] * (0.72 + 0.35 * depth)
    mean = shown[surface.triangles].mean(axis=1)
    colours = np.asarray(scale.to_rgba(np.where(np.isnan(mean), 0.0, mean)))[:, :3]
    colours = np.where(np.isnan(mean)[:, None], np.array(_NONE)[None], colours)
    return colours * (0.78 + 0.26 * depth)
