"""Where dipoles are and where they point, of regions and surfaces; and how bad ones are refused."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from tvbjax.arrays import is_traced
from tvbjax.regions import Regions
from tvbjax.surface import Cortex, Surface


def dipoles_of(
    sources: Regions | Surface | Cortex,
) -> tuple[Float[np.ndarray, "source 3"], Float[np.ndarray, "source 3"]]:
    """Positions (mm) and orientations of the dipoles of a connectome's regions, of a surface's
    vertices, or of the nodes of a cortex (vertices, then the regions without any); for the gains:
    `sphere_eeg_gain(sensors, *dipoles_of(connectome.regions), radius=90.0)`.

    Vertices point along their normals. Regions' orientations are as given: where they are means
    over a folded cortex they are shorter than 1, by as much as its dipoles cancel; a region of the
    orientation 0 is silent.

    Raises ValueError where regions have no centres or no orientations, or where all of these are 0.
    """
    if isinstance(sources, Surface):
        return sources.vertices, sources.normals
    if isinstance(sources, Regions):
        positions, orientations = _of_regions(sources, np.arange(len(sources.labels)))
        if not orientations.any():
            raise ValueError(
                "dipoles_of: all orientations of the regions are 0, as in files that do not know "
                "them; give the connectome orientations, or use a surface."
            )
        return positions, orientations
    vertices = len(sources.surface)
    if sources.nodes == vertices:
        return dipoles_of(sources.surface)
    alone = _of_regions(sources.regions, np.asarray(sources.region_of)[vertices:])
    both = zip(dipoles_of(sources.surface), alone, strict=True)
    positions, orientations = (np.concatenate(parts) for parts in both)
    return positions, orientations


def _of_regions(regions: Regions, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    for what in ("centres", "orientations"):
        if getattr(regions, what) is None:
            raise ValueError(
                f"dipoles_of: the regions have no {what}; give them to the connectome "
                f"({what}=...), or give the gain positions and orientations."
            )
    assert regions.centres is not None and regions.orientations is not None
    return regions.centres[chosen], regions.orientations[chosen]


def fitted_sphere(
    points: Float[np.ndarray, "point 3"],
) -> tuple[Float[np.ndarray, " 3"], float]:
    """Centre and radius (mm) of the sphere nearest to points, e.g. `sensors.positions`, by least
    squares of |p|² = 2 p·centre + constant. Raises ValueError for points in a plane."""
    middle = points.mean(axis=0)
    apart = points - middle
    matrix = np.concatenate([2.0 * apart, np.ones((len(points), 1))], axis=1)
    found, _, rank, _ = np.linalg.lstsq(matrix, (apart**2).sum(axis=1), rcond=1e-9)
    if rank < 4:
        raise ValueError(
            f"fitted_sphere: {len(points)} points that lie in a plane, or are fewer than 4, fix no "
            "sphere; give points all around the head."
        )
    return middle + found[:3], float(np.sqrt(found[3] + found[:3] @ found[:3]))


def some(wrong: Array) -> Bool[Array, " 1"]:
    """Whether any is wrong, for `refused`."""
    return jnp.atleast_1d(wrong).any(keepdims=True)


def refused(values: Array, wrong: Bool[Array, " row"], message: str) -> Array:
    """`values`, or an error where a row is wrong: a ValueError that says `{count}` and `{first}`
    where numbers are known, else one when the computation runs."""
    if is_traced((values, wrong)):
        return eqx.error_if(values, wrong, message.format(count="some", first="(unknown)"))
    rows = np.flatnonzero(np.asarray(wrong))
    if len(rows):
        raise ValueError(message.format(count=len(rows), first=rows[0]))
    return values
