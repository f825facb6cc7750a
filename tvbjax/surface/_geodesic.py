"""Distances along a surface."""

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import dijkstra

from tvbjax.surface._surface import Surface


def edge_distances(surface: Surface, cutoff: float) -> scipy.sparse.csr_array:
    """The distance along edges of the mesh between all vertices nearer than `cutoff` mm, sparse,
    without those of 0; up to a fifth longer than geodesics, and quick. Dijkstra's algorithm.
    """
    _check(cutoff)
    first, second = surface.edges.T
    graph = scipy.sparse.csr_array(
        (surface.edge_lengths, (first, second)), shape=(len(surface),) * 2
    )
    rows = []
    for begin in range(0, len(surface), _ROWS):  # a dense row for every vertex would be gigabytes
        chosen = np.arange(begin, min(begin + _ROWS, len(surface)))
        near = dijkstra(graph, directed=False, indices=chosen, limit=cutoff)
        near[~np.isfinite(near)] = 0.0
        rows.append(scipy.sparse.csr_array(near))
    return scipy.sparse.csr_array(scipy.sparse.vstack(rows))


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
    parts, targets, sources, lengths = surface.components, [], [], []
    for part in range(parts.max() + 1):
        members = np.flatnonzero(parts == part)
        renumbered = np.full(len(surface), -1)
        renumbered[members] = np.arange(len(members))
        triangles = renumbered[surface.triangles[parts[surface.triangles[:, 0]] == part]]
        solver = geodesic.PyGeodesicAlgorithmExact(surface.vertices[members], triangles)
        for row, vertex in enumerate(members):
            found, _ = solver.geodesicDistances(np.array([row]), None)
            near = np.flatnonzero((found < cutoff) & (found > 0))
            targets.append(np.full(len(near), vertex))
            sources.append(members[near])
            lengths.append(found[near])
    whole = np.concatenate(lengths), (np.concatenate(targets), np.concatenate(sources))
    return scipy.sparse.csr_array(whole, shape=(len(surface),) * 2)


_ROWS = 512


def _check(cutoff: float) -> None:
    if not 0 < cutoff < np.inf:
        raise ValueError(f"distances: cutoff is {cutoff!r} mm; give a positive length.")
