"""Region mappings: which region every vertex of a surface belongs to."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from tvbjax.regions import Regions

Mapping = Int[np.ndarray, " vertex"] | Float[np.ndarray, " vertex"] | Sequence[int]


def checked_mapping(
    mapping: Mapping, regions: Regions, vertices: int
) -> Int[np.ndarray, " vertex"]:
    """The index of every vertex's region, as an array.

    Raises ValueError as `region_indices` does, and where a region that is known to be cortical has
    no vertex.
    """
    whole = region_indices(mapping, len(regions), vertices)
    empty = np.bincount(whole, minlength=len(regions)) == 0
    lost = np.flatnonzero(empty & regions.cortical) if regions.cortical is not None else []
    if len(lost):
        raise ValueError(
            f"region mapping: no vertex is in the cortical region {regions.labels[lost[0]]!r} "
            f"({len(lost)} such regions); map its vertices to it, or mark it as subcortical "
            "(Connectome(cortical=...)), and it will be a node of its own."
        )
    return whole


def without_vertices(
    mapping: Int[np.ndarray, " vertex"], regions: int
) -> Int[np.ndarray, " region"]:
    """The regions that no vertex is in, such as subcortical ones."""
    return np.flatnonzero(np.bincount(mapping, minlength=regions) == 0)


def region_indices(mapping: Mapping, regions: int, vertices: int) -> Int[np.ndarray, " vertex"]:
    """The index of every vertex's region, as an array of integers, which a mapping of floats may
    be, too. Raises ValueError for a region that does not exist, for another number of vertices, and
    for what is no number."""
    found = np.array(mapping)
    if found.shape != (vertices,) or found.dtype.kind not in "iuf":
        raise ValueError(
            f"region mapping: it has the shape {found.shape} and the type {found.dtype}, and the "
            f"surface {vertices} vertices; give the index of its region for each vertex."
        )
    with np.errstate(invalid="ignore"):  # NaN is no number of a region
        whole = np.rint(found).astype(np.int64)
    wrong = (whole != found) | (whole < 0) | (whole >= regions)
    if wrong.any():
        first = int(wrong.argmax())
        hint = "; indices begin at 0, yours seem to begin at 1" if whole.min() == 1 else ""
        raise ValueError(
            f"region mapping: vertex {first} is in region {found[first]}, and there are the "
            f"regions 0 to {regions - 1}{hint} ({wrong.sum()} such vertices)."
        )
    return whole
