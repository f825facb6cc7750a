"""What is drawn: the cortex, balls for regions without vertices, sensors; in few bits."""

import dataclasses

import numpy as np

from tvbjax.forward import Sensors
from tvbjax.plot.geometry import directions, shades, vertex_hemispheres
from tvbjax.plot.viewer._activity import encoded
from tvbjax.regions import Regions
from tvbjax.surface import Surface, without_vertices

_BALL, _SENSOR = 3.6, 1.7  # mm
_GLASS = 0.45  # opacity of a cortex with something inside


@dataclasses.dataclass(frozen=True)
class Shape:
    """A surface whose triangles are ordered left hemisphere first, and what lies in it."""

    surface: Surface
    mapping: np.ndarray
    left: int
    triangles: np.ndarray
    frame: np.ndarray
    """Unit vectors to the right, the front and up, one a row."""
    balls: np.ndarray
    """Regions without vertices whose centres are known."""
    regions: Regions
    sensors: Sensors | None

    def payload(self) -> dict:
        centres = self.regions.centres
        positions = [] if centres is None else centres[self.balls].round(2).tolist()
        inside = bool(len(self.balls)) or self._sensors_inside()
        return {
            "mesh": self._mesh(),
            "frame": self.frame.tolist(),
            "balls": {"regions": self.balls.tolist(), "positions": positions, "radius": _BALL},
            "sensors": None if self.sensors is None else self._sensors(self.sensors),
            "opacity": _GLASS if inside else 1.0,
        }

    def _mesh(self) -> dict:
        vertices = self.surface.vertices
        low = vertices.min(axis=0)
        step = np.ptp(vertices, axis=0) / 65_535
        step = np.where(step == 0, 1.0, step)
        wide = len(vertices) > 65_535
        return {
            "vertices": encoded(np.rint((vertices - low) / step).astype(np.uint16)),
            "low": low.tolist(),
            "step": step.tolist(),
            "normals": encoded(np.rint(127 * self.surface.normals).astype(np.int8)),
            "shades": encoded(np.rint(255 * shades(self.surface)).astype(np.uint8)),
            "regions": encoded(self.mapping.astype(np.uint16)),
            "triangles": encoded(self.triangles.astype(np.uint32 if wide else np.uint16)),
            "wide": wide,
            "left": self.left,
        }

    def _sensors(self, sensors: Sensors) -> dict:
        positions = sensors.positions.round(2).tolist()
        return {"labels": sensors.labels, "positions": positions, "radius": _SENSOR}

    def _sensors_inside(self) -> bool:
        """Whether half of the sensors or more are nearer the middle than most of the cortex."""
        if self.sensors is None:
            return False
        middle = self.surface.vertices.mean(axis=0)
        reach = np.percentile(np.linalg.norm(self.surface.vertices - middle, axis=1), 90)
        return bool(np.median(np.linalg.norm(self.sensors.positions - middle, axis=1)) < reach)


def shape_of(
    surface: Surface, mapping: np.ndarray, regions: Regions, sensors: Sensors | None
) -> Shape:
    """`mapping` is checked already."""
    empty = without_vertices(mapping, len(regions))
    balls = empty if regions.centres is not None else np.zeros(0, dtype=int)
    right = vertex_hemispheres(surface, mapping, regions)
    names = [regions.labels[region] for region in mapping]
    frame = directions(surface.vertices, right, names)
    right = np.zeros(len(surface), dtype=bool) if right is None else right
    side = right[surface.triangles].sum(axis=1) > 1
    order = np.argsort(side, kind="stable")
    left = int((~side).sum())
    return Shape(surface, mapping, left, surface.triangles[order], frame, balls, regions, sensors)
