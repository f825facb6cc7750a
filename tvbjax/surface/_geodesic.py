"""Distances along a surface."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Float
from scipy.sparse.csgraph import dijkstra

from tvbjax.equations import AbstractEquation
from tvbjax.surface._surface import Surface


def edge_distances(surface: Surface, cutoff: float) -> scipy.sparse.csr_array:
    """The distance along edges of the mesh between all vertices nearer than `cutoff` mm, sparse,
    without those of 0; longer than geodesics, by a tenth or so, and quick. Dijkstra's algorithm.
    """
    _check(cutoff)
    graph, rows = _edge_graph(surface), []
    for begin in range(0, len(surface), _ROWS):  # a dense row for every vertex would be gigabytes
        chosen = np.arange(begin, min(begin + _ROWS, len(surface)))
        near = dijkstra(graph, directed=False, indices=chosen, limit=cutoff)
        near[~np.isfinite(near)] = 0.0
        rows.append(scipy.sparse.csr_array(near))
    return scipy.sparse.csr_array(scipy.sparse.vstack(rows))


def focal_pattern(
    surface: Surface, vertices: Sequence[int], kernel: AbstractEquation
) -> Float[Array, " vertex"]:
    """A pattern around some vertices: the sum over them of a function of the distance (mm, along
    edges), e.g. of a stimulus, `focal_pattern(surface, [10500], Gaussian(sigma=10.0))`. Parts of
    the surface that are not connected with a vertex hear nothing of it. Differentiable in the
    kernel's parameters. Raises `ValueError` for a vertex that does not exist.
    """
    chosen = np.asarray(vertices, dtype=np.int64)
    wrong = (chosen < 0) | (chosen >= len(surface))
    if chosen.ndim != 1 or not len(chosen) or wrong.any():
        raise ValueError(
            f"focal_pattern: the vertices are {vertices!r:.60}; give numbers from 0 to "
            f"{len(surface) - 1}."
        )
    near = dijkstra(_edge_graph(surface), directed=False, indices=chosen)
    there = np.isfinite(near)
    values = kernel(jnp.asarray(np.where(there, near, 0.0), dtype=jnp.result_type(float)))
    return jnp.where(there, values, jnp.zeros_like(values)).sum(axis=0)


def geodesic_distances(surface: Surface, cutoff: float) -> scipy.sparse.csr_array:
    """The geodesic distance between all vertices nearer than `cutoff` mm, sparse, without those of
    0. Exact on the mesh: Mitchell, Mount & Papadimitriou (1987), SIAM J. Comput. 16:647, by the
    package pygeodesic (`pip install 'tvbjax[surface]'`).

    Raises ImportError without it; `edge_distances` needs none.
    """
    _check(cutoff)
    try:
        import pygeodesic.geodesic as geodesic
    except ImportError:
        raise ImportError(
            "geodesic_distances needs the package pygeodesic: pip install 'tvbjax[surface]'; "
            "edge_distances(surface, cutoff) does without, a little less exactly."
        ) from None
    # A shortest way within the cutoff crosses triangles of vertices that are not much farther.
    reach = _DETOUR * (cutoff + float(surface.edge_lengths.max()))
    around = edge_distances(surface, reach)
    of_vertex = _triangles_of(surface)
    rows = []
    for vertex in range(len(surface)):
        close = np.append(around.indices[around.indptr[vertex] : around.indptr[vertex + 1]], vertex)
        triangles = surface.triangles[np.unique(of_vertex[close].indices)]
        patch, corners = np.unique(triangles, return_inverse=True)
        solver = geodesic.PyGeodesicAlgorithmExact(
            surface.vertices[patch], corners.reshape(triangles.shape)
        )
        here = np.searchsorted(patch, [vertex])
        found, _ = solver.geodesicDistances(here, None)
        near = np.flatnonzero((found < cutoff) & (found > 0))
        rows.append((np.full(len(near), vertex), patch[near], found[near]))
    targets, sources, lengths = (np.concatenate(part) for part in zip(*rows, strict=True))
    return scipy.sparse.csr_array((lengths, (targets, sources)), shape=(len(surface),) * 2)


def _edge_graph(surface: Surface) -> scipy.sparse.csr_array:
    """The lengths of the edges, each once."""
    first, second = surface.edges.T
    shape = (len(surface),) * 2
    return scipy.sparse.csr_array((surface.edge_lengths, (first, second)), shape=shape)


def _triangles_of(surface: Surface) -> scipy.sparse.csr_array:
    """Which triangles every vertex is in, `(vertex, triangle)`."""
    count = len(surface.triangles)
    numbers = np.repeat(np.arange(count), 3)
    ones = np.ones(3 * count, dtype=bool)
    shape = (len(surface), count)
    return scipy.sparse.csr_array((ones, (surface.triangles.ravel(), numbers)), shape=shape)


_DETOUR = 1.5  # how much longer ways along edges are than geodesics, at most
_ROWS = 512


def _check(cutoff: float) -> None:
    if not 0 < cutoff < np.inf:
        raise ValueError(f"distances: cutoff is {cutoff!r} mm; give a positive length.")
