"""From orientations of fibres to a connectome: streamlines, counts and lengths.

By dipy's probabilistic tracking; Girard et al. (2014), NeuroImage 98, 266.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from tvbjax.connectome import Connectome
from tvbjax.imaging._packages import in_dipys_basis, needed
from tvbjax.kinds import check_count, check_number
from tvbjax.regions import hemispheres_from_labels

Streamlines = Sequence[np.ndarray]  # (point, 3), mm, each with points of its own


def tracked(
    orientations: Float[np.ndarray, "x y z coefficient"],
    seeds: Bool[np.ndarray, "x y z"],
    within: Bool[np.ndarray, "x y z"],
    affine: Float[np.ndarray, "4 4"],
    *,
    seed: int,
    density: int = 2,
    step: float = 0.5,
    angle: float = 25.0,
    lengths: tuple[float, float] = (10.0, 250.0),
) -> Streamlines:
    """Streamlines in mm, from `density`³ places in each voxel of `seeds`, as long as they are
    `within`.

    `orientations`: of `fibre_orientations`. `seed`: of the random numbers; the same one gives the
    same streamlines. `step`: mm. `angle`: degrees, the largest between two steps. `lengths`: mm,
    the shortest and the longest that are kept. Raises ValueError where nothing is left.
    """
    check_count("tracked: density", density)
    check_count("tracked: seed", seed)
    check_number("tracked: step (mm)", step, above=0.0)
    if not seeds.any():
        raise ValueError("tracked: there is no voxel to begin in; look at the mask of seeds.")
    tracker = needed("dipy.tracking.tracker")
    criteria = needed("dipy.tracking.stopping_criterion")
    utils, data = needed("dipy.tracking.utils"), needed("dipy.data")
    shortest, longest = lengths
    with in_dipys_basis():
        found = tracker.probabilistic_tracking(
            utils.seeds_from_mask(seeds, affine, density=density),
            criteria.BinaryStoppingCriterion(within),
            affine,
            sh=orientations,
            sphere=data.default_sphere,
            min_len=shortest,
            max_len=longest,
            step_size=step,
            voxel_size=np.linalg.norm(affine[:3, :3], axis=0),
            max_angle=angle,
            random_seed=seed,
            return_all=False,
        )
        kept = [np.asarray(one) for one in found if len(one) > 1]
    if not kept:
        raise ValueError(
            f"tracked: no streamline of {shortest:g} to {longest:g} mm; look at the mask, or allow "
            "larger angles."
        )
    return kept


def streamline_connectome(
    streamlines: Streamlines,
    parcellation: Int[np.ndarray, "x y z"],
    affine: Float[np.ndarray, "4 4"],
    labels: dict[int, str],
    *,
    speed: float = 3.0,
    name: str = "tractography",
) -> Connectome:
    """How many streamlines join two regions, and how long these are on average, mm.

    `parcellation`: the region of each voxel, 0 for none, of the image with `affine`. `labels`:
    names by number, in the order of the regions. Streamlines count where they end in two regions;
    both directions alike, and none from a region to itself. Centres are the regions' middles, mm.

    Raises ValueError for regions that have no voxel, and for a parcellation in another space, where
    no streamline ends in any region.
    """
    utils = needed("dipy.tracking.utils")
    missing = [
        f"{number} ({text})"
        for number, text in labels.items()
        if not (parcellation == number).any()
    ]
    if missing:
        raise ValueError(
            f"streamline_connectome: no voxel of the parcellation is {', '.join(missing[:5])}"
            f"{' and others' if len(missing) > 5 else ''}; leave these labels out, or take the "
            "parcellation that they are of."
        )
    numbers = np.array(list(labels))
    index = np.zeros(int(parcellation.max()) + 1, np.int64)
    index[numbers] = 1 + np.arange(len(numbers))
    volume = np.where(parcellation > 0, index[np.maximum(parcellation, 0)], 0)
    counts, mapping = utils.connectivity_matrix(
        streamlines, affine, volume, return_mapping=True, mapping_as_streamlines=False
    )
    size = len(numbers)
    weights, lengths = np.zeros((size, size)), np.zeros((size, size))
    long = _lengths(streamlines)
    for (one, other), members in mapping.items():
        if one and other and one != other:
            pair = (one - 1, other - 1)
            weights[pair] = weights[pair[::-1]] = len(members)
            lengths[pair] = lengths[pair[::-1]] = float(long[list(members)].mean())
    if not weights.any():
        raise ValueError(
            f"streamline_connectome: none of {len(streamlines)} streamlines joins two regions; is "
            "the parcellation in the space of the diffusion image?"
        )
    grid = [np.argwhere(parcellation == number).mean(axis=0) for number in numbers]
    centres = np.array(grid) @ affine[:3, :3].T + affine[:3, 3]
    texts = tuple(labels.values())
    return Connectome(
        weights,
        lengths,
        speed,
        texts,
        centres=centres,
        hemispheres=hemispheres_from_labels(texts),
        name=name,
    )


def _lengths(streamlines: Streamlines) -> Float[np.ndarray, " streamline"]:
    return np.array([np.linalg.norm(np.diff(one, axis=0), axis=1).sum() for one in streamlines])


def voxels_of(streamlines: Streamlines, affine: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """How many streamlines pass each voxel."""
    found = np.zeros(shape, np.int64)
    back = np.linalg.inv(affine)
    for one in streamlines:
        places = np.unique(np.rint(one @ back[:3, :3].T + back[:3, 3]).astype(int), axis=0)
        inside = ((places >= 0) & (places < shape)).all(axis=1)
        np.add.at(found, tuple(places[inside].T), 1)
    return found
