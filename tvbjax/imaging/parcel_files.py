"""Parcellations of BOLD from files: of a volume, or of both hemispheres' surfaces."""

from pathlib import Path

import numpy as np
from jaxtyping import Int

from tvbjax.imaging.images import grid_of, read_grid, read_image, same_grid
from tvbjax.io import read_region_mapping


def read_parcels(*paths: str | Path, bold: str | Path | None = None) -> Int[np.ndarray, "*place"]:
    """The number of its region for each voxel of an image, or for each vertex of the left and then
    the right hemisphere (two `.label.gii`), as `regional_series` takes it; 0 is none.

    `bold`: the image that it is for, to see that both have the same grid. Raises FileNotFoundError,
    and ValueError for another grid, and where both hemispheres share numbers, so that regions of
    the left and the right would be one.
    """
    if len(paths) == 1 and Path(paths[0]).name.endswith((".nii", ".nii.gz")):
        image = read_image(paths[0], 3, labels=True)
        if bold is not None and str(bold).endswith((".nii", ".nii.gz")):
            series = read_grid(bold)
            if not same_grid(image, series):
                raise ValueError(
                    f"{paths[0]} has {grid_of(image)}, and {bold} {grid_of(series)}; resample the "
                    "parcellation to the BOLD image, by nearest neighbours."
                )
        return image.data
    if len(paths) != 2:
        raise ValueError(
            f"read_parcels: {len(paths)} files; give an image, or two .label.gii, left and right."
        )
    left, right = (np.maximum(read_region_mapping(path), 0) for path in paths)
    shared = np.intersect1d(left[left > 0], right[right > 0])
    if len(shared):
        raise ValueError(
            f"read_parcels: {paths[0]} and {paths[1]} share {len(shared)} numbers ({shared[0]}, "
            "...); number the regions of the right hemisphere on from the left."
        )
    return np.concatenate([left, right])
