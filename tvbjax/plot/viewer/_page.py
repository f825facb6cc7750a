"""The page: what is drawn put into the template, whole, with nothing left to load."""

import dataclasses
import html
import json
import re
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array

from tvbjax.connectome import Connectome
from tvbjax.forward import Sensors
from tvbjax.io.atomic import atomic_path
from tvbjax.plot.viewer._activity import Activity, activity_of
from tvbjax.plot.viewer._shape import Shape, shape_of
from tvbjax.surface import Surface

if TYPE_CHECKING:
    import xarray as xr

_SCRIPTS = ("data.js", "scene.js", "camera.js", "traces.js", "app.js", "controls.js")
# Okabe and Ito's that are seen on white and on black.
_PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Anchors at equal distances of viridis and of ColorBrewer's RdBu, reversed; linear between them.
_COLOURS = {
    "sequential": "440154 471365 482475 463480 414487 3b528b 355f8d 2f6c8e 2a788e 25848e 21918c "
    "1e9c89 22a884 2fb47c 44bf70 5ec962 7ad151 9bd93c bddf26 dfe318 fde725",
    "diverging": "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
}


@dataclasses.dataclass(frozen=True)
class Brain:
    """A page that shows activity on a brain: `html`, all of it. Made by `brain`.

    The last expression of a notebook's cell is shown there, in a frame, with all that it can do.
    """

    shape: Shape
    activity: Activity
    title: str

    @cached_property
    def html(self) -> str:
        """The page: no address in it is loaded, and its policy forbids to load any."""
        folder = files("tvbjax.plot.viewer")
        parts = {
            "title": html.escape(self.title),
            "css": (folder / "viewer.css").read_text("utf-8"),
            "script": "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS),
            "data": _inert(self._payload()),
        }
        template = (folder / "template.html").read_text("utf-8")
        # In one pass: a title that looks like a place is none.
        return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found.group(1)], template)

    def save(self, path: str | Path) -> Path:
        """Write the page, whole or not at all. Raises FileNotFoundError without the folder, and
        ValueError for a name that does not end in .html."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"Brain.save: {path.name} is no page's name; end it in .html.")
        with atomic_path(path) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        # A frame without this page's origin: scripts run in it and reach nothing of the notebook.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" '
            f'title="{html.escape(self.title)}" loading="lazy" '
            'style="width:100%;height:660px;border:0;color-scheme:normal"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Brain({self.title!r}, {len(self.html) / 1e6:.1f} MB of HTML)"

    def _payload(self) -> dict:
        colours = {name: [f"#{c}" for c in text.split()] for name, text in _COLOURS.items()}
        shown = {"colours": colours, "palette": _PALETTE}
        return self.shape.payload() | self.activity.payload() | shown


def brain(
    data: "xr.DataArray | Array | np.ndarray",
    surface: Surface,
    region_mapping: np.ndarray,
    *,
    connectome: Connectome | None = None,
    sensors: Sensors | None = None,
    time: np.ndarray | None = None,
    limits: tuple[float | int, float | int] | None = None,
    points: int = 1_000,
    title: str | None = None,
) -> Brain:
    """Activity on a brain that one turns, with a slider through time and linked traces.

    `data`: dims (time, variable, region), as `result["temporal_average"]`, or (time, region); in
    place of regions, the surface's vertices. An array without names is (time, region or vertex),
    with its `time` in ms. `region_mapping`: the region of every vertex. `connectome`: for labels,
    and for regions without vertices, which are drawn as balls at its centres; without it, labels
    are those of `data`. `sensors`: drawn as grey balls, in the surface's coordinates. `limits`: of
    the colours, in the data's unit, by default all but the outermost 1 % at each end of each
    variable's values; colours diverge, about 0, where both signs are about as large.

    Of more than `points` times every second, third ... is shown, and the page says so. NaN and
    infinity are grey, and the legend says so. Values are kept to 1/65,534 of their range, those of
    vertices to 1/254, positions to 1/65,535 of the surface's size.

    Raises ValueError for data, mapping or connectome that do not fit, and where the values would
    take more than 24 MB, which a smaller `points` mends.
    """
    activity = activity_of(data, surface, region_mapping, connectome, time, limits, points)
    shape = shape_of(surface, activity.mapping, activity.regions, sensors)
    return Brain(shape, activity, activity.name if title is None else title)


def _inert(payload: dict) -> str:
    """JSON that ends no script element and opens no comment, whatever the labels are."""
    text = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
