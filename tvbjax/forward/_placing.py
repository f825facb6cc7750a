"""Sensors put on a surface: where rays from within meet it."""

import numpy as np
from jaxtyping import Float

from tvbjax.forward._sensors import Sensors
from tvbjax.surface import Surface


def projected_onto(
    sensors: Sensors, surface: Surface, centre: Float[np.ndarray, " 3"] | None = None
) -> Sensors:
    """Every sensor moved along its ray from `centre` (mm, by default 0, 0, 0) to where that leaves
    the surface; distances do not matter, so that directions may be given.

    Raises ValueError for a ray that does not meet the surface.
    """
    origin = np.zeros(3) if centre is None else np.asarray(centre, dtype=np.float64)
    placed = np.empty((len(sensors), 3))
    for number, position in enumerate(sensors.positions):
        ray = position - origin
        length = np.linalg.norm(ray)
        far = _leaves(surface, origin, ray / length) if length else None
        if far is None:
            raise ValueError(
                f"projected_onto: the ray to {sensors.labels[number]!r} does not meet the surface "
                f"{surface.name!r}; give a centre within it."
            )
        placed[number] = origin + far * ray / length
    return Sensors(sensors.labels, placed, sensors.orientations, name=sensors.name)


def _leaves(surface: Surface, origin: np.ndarray, ray: np.ndarray) -> float | None:
    """The greatest distance at which a ray meets a triangle.

    Möller & Trumbore (1997), J. Graphics Tools 2:21.
    """
    first, second, third = (surface.vertices[column] for column in surface.triangles.T)
    one, two = second - first, third - first
    across = np.cross(ray, two)
    volume = np.einsum("ij,ij->i", one, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        start = origin - first
        u = np.einsum("ij,ij->i", start, across) / volume
        sideways = np.cross(start, one)
        v = sideways @ ray / volume
        distance = np.einsum("ij,ij->i", two, sideways) / volume
        inside = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (distance > 0)
    return float(distance[inside].max()) if inside.any() else None
