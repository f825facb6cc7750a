"""Surfaces for tests."""

import numpy as np

from tvbjax.surface import Surface


def sphere(times: int = 2, radius: float = 1.0) -> Surface:
    """By subdivided triangles of an octahedron: 6, 18, 66, 258 or 1,026 vertices for 0 to 4."""
    vertices = np.concatenate([np.eye(3), -np.eye(3)])
    triangles = [
        [0, 1, 2],
        [1, 3, 2],
        [3, 4, 2],
        [4, 0, 2],
        [1, 0, 5],
        [3, 1, 5],
        [4, 3, 5],
        [0, 4, 5],
    ]
    for _ in range(times):
        middles: dict = {}
        points, finer = list(vertices), []

        def middle(i, j, points=points, middles=middles):
            key = (min(i, j), max(i, j))
            if key not in middles:
                middles[key] = len(points)
                point = points[i] + points[j]
                points.append(point / np.linalg.norm(point))
            return middles[key]

        for a, b, c in triangles:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            finer += [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]
        vertices, triangles = np.array(points), finer
    return Surface(radius * vertices, triangles, name="sphere")


def octahedron() -> Surface:
    """Six vertices, the size of a brain: right, left, front, back, up, down, in that order."""
    vertices = [[60, 0, 0], [-60, 0, 0], [0, 80, 0], [0, -80, 0], [0, 0, 50], [0, 0, -50]]
    # Wound alike, seen from outside.
    triangles = [
        [x, y, z] if (x + y + z) % 2 == 0 else [y, x, z]
        for x in (0, 1) for y in (2, 3) for z in (4, 5)
    ]  # fmt: skip
    return Surface(np.array(vertices, float), triangles)
