"""The regions of a parcellation: numbered in the order of their labels, with places and volumes."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Parcels(NamedTuple):
    """`index`: 1 + the number of the region of each voxel, 0 for none. `centres`: mm. `volumes`:
    mm³."""

    index: Int[np.ndarray, "x y z"]
    labels: tuple[str, ...]
    centres: Float[np.ndarray, "region 3"]
    volumes: Float[np.ndarray, " region"]


def parcels_of(
    parcellation: Int[np.ndarray, "x y z"],
    affine: Float[np.ndarray, "4 4"],
    labels: Mapping[int, str],
) -> Parcels:
    """`labels`: names by number, in the order of the regions; other numbers are no region.

    Raises ValueError for labels without a voxel.
    """
    if not labels or 0 in labels:
        raise ValueError(
            f"there are {len(labels)} labels{', one of them for 0' * bool(labels)}; give "
            "names by number, {1: 'region', ...}."
        )
    missing = [
        f"{number} ({text})"
        for number, text in labels.items()
        if not (parcellation == number).any()
    ]
    if missing:
        raise ValueError(
            f"no voxel of the parcellation is {', '.join(missing[:5])}"
            f"{' and others' if len(missing) > 5 else ''}; leave these labels out, or take the "
            "parcellation that they are of."
        )
    index = np.zeros(parcellation.shape, np.int32)
    centres = []
    for region, number in enumerate(labels, start=1):
        chosen = parcellation == number
        index[chosen] = region
        centres.append(affine[:3, :3] @ np.argwhere(chosen).mean(axis=0) + affine[:3, 3])
    voxel = abs(float(np.linalg.det(affine[:3, :3])))
    volumes = voxel * np.bincount(index.ravel(), minlength=len(labels) + 1)[1:]
    return Parcels(index, tuple(labels.values()), np.array(centres), volumes)


def check_grid(what: str, shape: tuple[int, ...], **images: np.ndarray | None) -> None:
    """Raises ValueError for an image of another shape than the diffusion image's."""
    for name, image in images.items():
        if image is not None and image.shape != shape:
            raise ValueError(
                f"{what}: the {name} has the shape {image.shape}, and the diffusion image {shape}; "
                "resample it to that image, labels by nearest neighbours."
            )
