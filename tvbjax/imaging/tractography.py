"""From orientations of fibres to a connectome: streamlines, counts and lengths.

By dipy's probabilistic tracking; Girard et al. (2014), NeuroImage 98, 266.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from tvbjax.connectome import Connectome
from tvbjax.imaging._packages import in_dipys_basis, needed
from tvbjax.imaging.bundles import Bundle, Measure, Streamlines, lengths_of, streamline_count
from tvbjax.imaging.parcels import parcels_of
from tvbjax.imaging.tissues import Tissues
from tvbjax.kinds import check_count, check_number
from tvbjax.regions import hemispheres_from_labels


def tracked(
    orientations: Float[np.ndarray, "x y z coefficient"],
    seeds: Bool[np.ndarray, "x y z"],
    within: Bool[np.ndarray, "x y z"] | Tissues,
    affine: Float[np.ndarray, "4 4"],
    *,
    seed: int,
    density: int = 2,
    step: float = 0.5,
    angle: float = 25.0,
    lengths: tuple[float, float] = (10.0, 250.0),
) -> Streamlines:
    """Streamlines in mm, from `density`³ places in each voxel of `seeds`.

    `orientations`: of `fibre_orientations` or `multi_shell_orientations`. `within`: where they may
    go; or tissues, of which white matter lets them pass, grey matter ends them, and fluid makes
    them go back and try other ways (particle filtering). `seed`: of the random numbers; the same
    one gives the same streamlines. `step`: mm. `angle`: degrees, the largest between two steps.
    `lengths`: mm, the shortest and the longest that are kept.

    Raises ValueError where nothing is left, and for images of different shapes.
    """
    check_count("tracked: density", density)
    check_count("tracked: seed", seed)
    check_number("tracked: step (mm)", step, above=0.0)
    check_angle("tracked", angle)
    check_lengths("tracked", lengths)
    shape = within.white.shape if isinstance(within, Tissues) else within.shape
    if not orientations.shape[:3] == seeds.shape == shape:
        raise ValueError(
            f"tracked: orientations have the shape {orientations.shape[:3]}, seeds {seeds.shape}, "
            f"and where streamlines may go {shape}; give images of one grid."
        )
    if not seeds.any():
        raise ValueError("tracked: there is no voxel to begin in; look at the mask of seeds.")
    tracker = needed("dipy.tracking.tracker")
    criteria = needed("dipy.tracking.stopping_criterion")
    utils, data = needed("dipy.tracking.utils"), needed("dipy.data")
    voxel = np.linalg.norm(affine[:3, :3], axis=0)
    if isinstance(within, Tissues):
        track = tracker.pft_tracking
        maps = (np.ascontiguousarray(share, float) for share in vars(within).values())
        stop = criteria.CmcStoppingCriterion.from_pve(
            *maps, step_size=step, average_voxel_size=float(voxel.mean())
        )
    else:
        track = tracker.probabilistic_tracking
        stop = criteria.BinaryStoppingCriterion(within)
    shortest, longest = lengths
    with in_dipys_basis():
        found = track(
            utils.seeds_from_mask(seeds, affine, density=density),
            stop,
            affine,
            sh=orientations,
            sphere=data.default_sphere,
            min_len=shortest,
            max_len=longest,
            step_size=step,
            voxel_size=voxel,
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
    labels: Mapping[int, str],
    *,
    measure: Measure = streamline_count,
    shares: Float[np.ndarray, " streamline"] | None = None,
    speed: float = 3.0,
    name: str = "tractography",
) -> Connectome:
    """How strongly regions are joined by streamlines, and how long these are on average, mm.

    `parcellation`: the region of each voxel, 0 for none, of the image with `affine`. `labels`:
    names by number, in the order of the regions. Streamlines count where they end in two regions;
    both directions alike, and none from a region to itself. `measure`: `streamline_count` or
    `connection_density`, or a function of a `Bundle`. `shares`: how much each streamline counts, as
    of `signal_shares`; else 1. Centres are the regions' middles, mm.

    Raises ValueError for regions that have no voxel, and for a parcellation in another space, where
    no streamline ends in any region.
    """
    utils = needed("dipy.tracking.utils")
    parcels = parcels_of(parcellation, affine, labels)
    _check_inside(streamlines, affine, parcellation.shape)
    _, mapping = utils.connectivity_matrix(
        streamlines, affine, parcels.index, return_mapping=True, mapping_as_streamlines=False
    )
    size = len(parcels.labels)
    weights, lengths = np.zeros((size, size)), np.zeros((size, size))
    long = lengths_of(streamlines)
    for (one, other), members in mapping.items():
        if one and other and one != other:
            pair = (one - 1, other - 1)
            chosen = list(members)
            share = np.ones(len(chosen)) if shares is None else shares[chosen]
            volumes = parcels.volumes[list(pair)].tolist()
            bundle = Bundle(long[chosen], share, (volumes[0], volumes[1]))
            weights[pair] = weights[pair[::-1]] = measure(bundle)
            if share.any():
                mean = float(np.average(bundle.lengths, weights=share))
                lengths[pair] = lengths[pair[::-1]] = mean
    if not weights.any():
        raise ValueError(
            f"streamline_connectome: none of {len(streamlines)} streamlines joins two regions; is "
            "the parcellation in the space of the diffusion image?"
        )
    return Connectome(
        weights,
        lengths,
        speed,
        parcels.labels,
        centres=parcels.centres,
        hemispheres=hemispheres_from_labels(parcels.labels),
        name=name,
    )


def check_angle(what: str, angle: float) -> None:
    """Raises ValueError for an angle that no two steps of a streamline may have between them."""
    if not 0.0 < angle <= 90.0:
        raise ValueError(f"{what}: angle is {angle:g} degrees; give more than 0, 90 at most.")


def check_lengths(what: str, lengths: tuple[float, float]) -> None:
    """Raises ValueError where the shortest length is not below the longest."""
    if not 0.0 <= lengths[0] < lengths[1] < np.inf:
        raise ValueError(
            f"{what}: lengths are {lengths[0]:g} to {lengths[1]:g} mm; give the shortest first."
        )


def _check_inside(streamlines: Streamlines, affine: np.ndarray, shape: tuple[int, ...]) -> None:
    if not len(streamlines):
        raise ValueError("streamline_connectome: there is no streamline.")
    back = np.linalg.inv(affine)
    points = np.concatenate([np.asarray(one, float) for one in streamlines])
    places = np.rint(points @ back[:3, :3].T + back[:3, 3])
    outside = ((places < 0) | (places >= shape)).any(axis=1)
    if outside.any():
        first = ", ".join(f"{part:.4g}" for part in points[int(outside.argmax())])
        raise ValueError(
            f"streamline_connectome: streamlines leave the parcellation's grid, as at ({first}) "
            "mm; are both of one space, and streamlines in mm?"
        )


def voxels_of(streamlines: Streamlines, affine: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """How many streamlines pass each voxel."""
    found = np.zeros(shape, np.int64)
    back = np.linalg.inv(affine)
    for one in streamlines:
        places = np.unique(np.rint(one @ back[:3, :3].T + back[:3, 3]).astype(int), axis=0)
        inside = ((places >= 0) & (places < shape)).all(axis=1)
        np.add.at(found, tuple(places[inside].T), 1)
    return found
