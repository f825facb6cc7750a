"""Where the structures of the Allen mouse atlas lie: volumes and centres from its annotation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tvbjax.imaging.allen_tables import Structures
from tvbjax.kinds import check_number


@dataclass(frozen=True, eq=False)
class Places:
    """Of structures in the right hemisphere, with all their parts.

    `volumes`: mm³. `centres`: mm, to the right, to the front and up, from the middle of the
    annotation; those of the left hemisphere are their mirror images.
    """

    ids: Int[np.ndarray, " structure"]
    volumes: Float[np.ndarray, " structure"]
    centres: Float[np.ndarray, "structure 3"]

    def volume_of(self, structure: int) -> float:
        """0 for a structure that is not in the annotation."""
        found = np.flatnonzero(self.ids == structure)
        return float(self.volumes[found[0]]) if len(found) else 0.0

    def centre_of(self, structure: int) -> Float[np.ndarray, "3"]:
        """Raises ValueError for a structure that is not in the annotation."""
        found = np.flatnonzero(self.ids == structure)
        if not len(found):
            raise ValueError(
                f"places: structure {structure} has no voxel in the annotation's right half; take "
                "annotation and tables from one version of the atlas."
            )
        return self.centres[found[0]]


def allen_places(
    annotation: Int[np.ndarray, "back down right"], structures: Structures, resolution: float
) -> Places:
    """Places from the annotation volume of the Common Coordinate Framework.

    `annotation`: the structure of each voxel, axes to the back, down and to the right, as the atlas
    has them (for example `nrrd.read(file)[0]`). `resolution`: edge of a voxel in um: 10, 25, 50,
    100. Raises ValueError.
    """
    check_number("allen_places: resolution", resolution, above=0.0)
    volume = _checked(annotation)
    middle = volume.shape[2] // 2
    right = volume[:, :, middle:]
    labels, inverse = np.unique(right, return_inverse=True)
    inverse = inverse.ravel()
    counts = np.bincount(inverse, minlength=len(labels)).astype(float)
    grid = np.indices(right.shape).reshape(3, -1)
    sums = np.stack([np.bincount(inverse, axis, len(labels)) for axis in grid], axis=1)
    places, volumes, centres = [], [], []
    edge = resolution / 1000.0
    extent = np.array(volume.shape)
    for structure in structures.ids.tolist():
        parts = np.isin(labels, structures.below(structure))
        count = counts[parts].sum()
        if not count:
            continue
        back, down, rightwards = sums[parts].sum(axis=0) / count + 0.5
        places.append(structure)
        volumes.append(count * edge**3)
        centre = (
            rightwards + middle - extent[2] / 2,
            extent[0] / 2 - back,
            extent[1] / 2 - down,
        )
        centres.append(edge * np.array(centre))
    if not places:
        raise ValueError(
            "allen_places: no voxel of the annotation is of a structure of the table; take both "
            "from one version of the atlas."
        )
    return Places(np.array(places), np.array(volumes), np.array(centres))


def allen_parcellation(
    annotation: Int[np.ndarray, "back down right"],
    structures: Structures,
    regions: Sequence[int],
    places: Places,
) -> Int[np.ndarray, "back down right"]:
    """The region of each voxel: 0 to R-1 on the right, R to 2R-1 on the left, -1 for none.

    `regions`: ids of structures in the order of the connectome's right half. Voxels of their parts
    are theirs; those that the atlas gives to a parent or grandparent alone are the largest of its
    regions'.
    """
    volume = _checked(annotation)
    owners: dict[int, int] = {}
    # The largest last, so that a parent stays with it.
    for place in sorted(range(len(regions)), key=lambda i: places.volume_of(regions[i])):
        owners |= dict.fromkeys(structures.path_of(regions[place])[-3:-1], place)
    for place, structure in enumerate(regions):
        owners |= dict.fromkeys(structures.below(structure), place)
    labels, inverse = np.unique(volume, return_inverse=True)
    found = np.array([owners.get(label, -1) for label in labels.tolist()], np.int32)
    found = found[inverse].reshape(volume.shape)
    left = np.arange(volume.shape[2]) < volume.shape[2] // 2
    return np.where((found >= 0) & left, found + len(regions), found)


def _checked(annotation: np.ndarray) -> np.ndarray:
    volume = np.asarray(annotation)
    if volume.ndim != 3 or volume.dtype.kind not in "iu":
        raise ValueError(
            f"annotation: {volume.dtype} of the shape {volume.shape}; give whole numbers with "
            "three axes: to the back, down, to the right."
        )
    if volume.shape[2] < 2:
        raise ValueError("annotation: the last axis goes from left to right, and has one voxel.")
    return volume
