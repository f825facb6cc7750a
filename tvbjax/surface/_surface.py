"""Surface: a triangulated cortex, skull or skin. Hashable, equal by value; knows no regions.

Static: no part of it is differentiated. Checked when built, since a mesh with holes or with edges
of three triangles gives distances and normals that mean nothing.
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int
from scipy.sparse.csgraph import connected_components

Values = np.ndarray | Sequence[Any]
_FLAT = 1e-12  # twice a triangle's area, of its longest edge squared: no more than rounding


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Surface:
    """Vertices and the triangles between them; arrays are read-only copies.

    `vertices`: mm, one row (x, y, z) each. `triangles`: indices of three vertices each, from 0.
    `closed`: whether the surface must be without holes; say False for a patch of one. `name`: for
    people. `winding`: found, for each triangle 1, or -1 where it must be turned for all to be wound
    alike, seen from outside; without an outside as most of their part are. Triangles stay as given.

    Raises ValueError for a triangle of vertices that do not exist or are not three, or without an
    area, an edge of three triangles or more, a hole, a vertex without a triangle, or a surface of
    one side only.
    """

    vertices: Float[np.ndarray, "vertex 3"]
    triangles: Int[np.ndarray, "triangle 3"]
    closed: bool
    name: str
    winding: Int[np.ndarray, " triangle"]
    _hash: int = dataclasses.field(repr=False, compare=False)

    def __init__(
        self, vertices: Values, triangles: Values, *, closed: bool = True, name: str = "surface"
    ):
        vertices = _vertices(vertices)
        triangles = _triangles(triangles, len(vertices))
        _check_mesh(vertices, triangles, closed)
        winding = _winding(vertices, triangles, closed)
        for array in (vertices, triangles, winding):
            array.setflags(write=False)
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "triangles", triangles)
        object.__setattr__(self, "closed", closed)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "winding", winding)
        # Computed once: jit asks for it at every call.
        value = (vertices.tobytes(), triangles.tobytes(), closed, name)
        object.__setattr__(self, "_hash", hash(value))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Surface)
            and (self._hash, self.closed, self.name) == (other._hash, other.closed, other.name)
            and np.array_equal(self.vertices, other.vertices)
            and np.array_equal(self.triangles, other.triangles)
        )

    def __len__(self) -> int:
        return len(self.vertices)

    def __repr__(self) -> str:
        return f"Surface({self.name!r}, {len(self)} vertices, {len(self.triangles)} triangles)"

    @cached_property
    def edges(self) -> Int[np.ndarray, "edge 2"]:
        """Every edge once, the smaller index first."""
        return np.unique(np.sort(_sides(self.triangles), axis=1), axis=0)

    @cached_property
    def edge_lengths(self) -> Float[np.ndarray, " edge"]:
        """mm."""
        first, second = self.edges.T
        return np.linalg.norm(self.vertices[first] - self.vertices[second], axis=1)

    @cached_property
    def triangle_areas(self) -> Float[np.ndarray, " triangle"]:
        """mm²."""
        return np.linalg.norm(_across(self.vertices, self.triangles), axis=1) / 2.0

    @cached_property
    def areas(self) -> Float[np.ndarray, " vertex"]:
        """Of every vertex, mm²: a third of its triangles' areas; their sum is the surface's."""
        return _gathered(self, self.triangle_areas / 3.0)

    @cached_property
    def normals(self) -> Float[np.ndarray, "vertex 3"]:
        """Unit normals at the vertices, the area-weighted mean of their triangles', that point out
        of a closed surface, and to one side of a patch, however triangles are wound."""
        across = _across(self.vertices, self.triangles) * self.winding[:, None]
        sums = np.stack([_gathered(self, across[:, axis]) for axis in range(3)], axis=1)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return sums / np.where(lengths == 0, 1.0, lengths)

    @cached_property
    def components(self) -> Int[np.ndarray, " vertex"]:
        """Which connected part every vertex is in, e.g. the hemispheres, from 0."""
        return _components(len(self), self.edges)


def _vertices(values: Values) -> np.ndarray:
    vertices = np.array(values, dtype=np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < 3:
        raise ValueError(
            f"Surface: vertices has the shape {vertices.shape}; pass one row (x, y, z) in mm each."
        )
    if not np.isfinite(vertices).all():
        row, column = np.argwhere(~np.isfinite(vertices))[0]
        raise ValueError(
            f"Surface: vertices[{row}, {column}] is {vertices[row, column]}; give finite mm."
        )
    return vertices


def _triangles(values: Values, vertices: int) -> np.ndarray:
    given = np.array(values)
    if given.ndim != 2 or given.shape[1] != 3 or len(given) == 0:
        raise ValueError(
            f"Surface: triangles has the shape {given.shape}; pass three vertex indices each."
        )
    triangles = np.rint(given).astype(np.int64)
    wrong = (triangles != given).any(axis=1) | ((triangles < 0) | (triangles >= vertices)).any(1)
    if wrong.any():
        row = int(wrong.argmax())
        hint = " (indices begin at 0; yours seem to begin at 1)" if triangles.min() == 1 else ""
        raise ValueError(
            f"Surface: triangle {row} is {given[row].tolist()}, and there are the vertices 0 to "
            f"{vertices - 1}{hint}."
        )
    ordered = np.sort(triangles, axis=1)
    flat = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if flat.any():
        row = int(flat.argmax())
        raise ValueError(
            f"Surface: triangle {row} is {triangles[row].tolist()}, no triangle; remove it."
        )
    return triangles


def _check_mesh(vertices: np.ndarray, triangles: np.ndarray, closed: bool) -> None:
    edges, counts = np.unique(np.sort(_sides(triangles), axis=1), axis=0, return_counts=True)
    used = np.zeros(len(vertices), dtype=bool)
    used[triangles] = True
    if not used.all():
        raise ValueError(
            f"Surface: vertex {int((~used).argmax())} is in no triangle ({(~used).sum()} such); "
            "leave out vertices that are not of the surface, and renumber the triangles."
        )
    if (counts > 2).any():
        first = int((counts > 2).argmax())
        raise ValueError(
            f"Surface: {counts[first]} triangles share the edge between the vertices "
            f"{_pair(edges[first])} ({(counts > 2).sum()} such edges), so it is no surface there; "
            "repair the mesh, e.g. with trimesh or MeshLab."
        )
    if closed and (counts == 1).any():
        first = int((counts == 1).argmax())
        raise ValueError(
            f"Surface: there is a hole: the edge between the vertices {_pair(edges[first])} has "
            f"one triangle ({(counts == 1).sum()} such edges); close the mesh, or say closed=False "
            "for a patch of a surface."
        )
    corners = vertices[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    flat = np.linalg.norm(_across(vertices, triangles), axis=1) <= _FLAT * longest**2
    if flat.any():
        row = int(flat.argmax())
        raise ValueError(
            f"Surface: triangle {row} is {triangles[row].tolist()}, and has no area: its corners "
            f"lie at one place or on a line ({flat.sum()} such triangles); merge vertices that lie "
            "at one place, and remove or mend the triangle, e.g. with trimesh or MeshLab."
        )


def _pair(edge: np.ndarray) -> str:
    return f"{edge[0]} and {edge[1]}"


def _sides(triangles: np.ndarray) -> np.ndarray:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _across(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Normals of triangles as they are wound, as long as twice their areas."""
    first, second, third = (vertices[column] for column in triangles.T)
    return np.cross(second - first, third - first)


def _gathered(surface: Surface, per_triangle: np.ndarray) -> np.ndarray:
    """Sums at the vertices of what their triangles have."""
    return np.bincount(
        surface.triangles.ravel(), weights=np.repeat(per_triangle, 3), minlength=len(surface)
    )


def _winding(vertices: np.ndarray, triangles: np.ndarray, closed: bool) -> np.ndarray:
    """Of every triangle 1, or -1 where it must be turned."""
    count, sides = len(triangles), _sides(triangles)
    ends = np.sort(sides, axis=1)
    order = np.lexsort(ends.T)
    shared = (ends[order[1:]] == ends[order[:-1]]).all(axis=1)
    one, other = order[:-1][shared], order[1:][shared]
    # A graph of every triangle twice, as it is and turned, that joins neighbours that are alike,
    # which go along their edge in opposite directions: it has two components for each part of the
    # surface, each the other turned, and one where there is only one side.
    turned = count * (sides[one, 0] == sides[other, 0])
    here, there = one % count, other % count
    pairs = np.concatenate([[here, there + turned], [here + count, there + count - turned]], axis=1)
    as_it_is, as_turned = _components(2 * count, pairs.T).reshape(2, count)
    if (as_it_is == as_turned).any():
        row = int((as_it_is == as_turned).argmax())
        raise ValueError(
            f"Surface: the part with triangle {row}, {triangles[row].tolist()}, has one side only, "
            "like a Moebius strip or a Klein bottle, so that it has no normals; repair the mesh, "
            "e.g. with trimesh or MeshLab."
        )
    alike = np.where(as_it_is < as_turned, 1, -1)
    part = np.minimum(as_it_is, as_turned)
    # Positive where a part is as it should be: its volume, else how many are wound so.
    size = np.ones(count)
    if closed:
        corners = vertices[triangles]
        size = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return alike * np.where(np.bincount(part, weights=alike * size) < 0, -1, 1)[part]


def _components(vertices: int, edges: np.ndarray) -> np.ndarray:
    graph = scipy.sparse.coo_array(
        (np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(vertices, vertices)
    )
    return connected_components(graph, directed=False)[1]
