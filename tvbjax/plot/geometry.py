"""Where to draw regions seen from above, whatever the axes of their centres; and in which order.

Knows nothing of drawing.
"""

import numpy as np
from jaxtyping import Float, Int

from tvbjax.connectome import Connectome
from tvbjax.regions import Regions

# Parts of labels that tell front from back, in the common parcellations.
_FRONT = ("front", "pfc", "orbit")
_BACK = ("occip", "v1", "cuneus", "calcarine")


def hemisphere_order(regions: Regions) -> Int[np.ndarray, " region"]:
    """Indices of the regions, left hemisphere first, otherwise as they are."""
    if regions.hemispheres is None:
        return np.arange(len(regions))
    return np.argsort(regions.hemispheres, kind="stable")


def axial_positions(connectome: Connectome) -> Float[np.ndarray, "region 2"]:
    """Positions in mm seen from above: right to the right, front up, middle at 0.

    The left-right axis is the one along which the hemispheres differ most; of the others the longer
    runs from back to front. Which end is the front is told by the labels, else by taking the axes
    as right-handed with the third one up. Without hemispheres, x is taken for right and y for
    front; without centres, regions lie on a circle of 80 mm, in hemisphere order.
    """
    regions = connectome.regions
    centres = regions.centres
    if centres is None:
        return _circle(regions)
    centres = centres - (centres.min(axis=0) + centres.max(axis=0)) / 2
    right = regions.hemispheres
    if right is None or right.all() or not right.any():
        return centres[:, :2]
    apart = centres[right].mean(axis=0) - centres[~right].mean(axis=0)
    across = int(np.argmax(np.abs(apart)))
    others = [axis for axis in range(3) if axis != across]
    along, up = sorted(others, key=lambda axis: -np.ptp(centres[:, axis]))
    to_right = np.sign(apart[across]) or 1.0
    to_front = _front_by_labels(regions.labels, centres[:, along])
    if to_front == 0.0:
        # up x right, as unit vectors: the component along the third axis.
        to_front = to_right * np.linalg.det(np.eye(3)[[along, up, across]])
    return np.stack([to_right * centres[:, across], to_front * centres[:, along]], axis=1)


def _front_by_labels(labels: tuple[str, ...], along: np.ndarray) -> float:
    """1 or -1 if the labels tell that the front is at large or small values, else 0."""
    front, back = (
        [any(part in label.lower() for part in parts) for label in labels]
        for parts in (_FRONT, _BACK)
    )
    if not any(front) or not any(back):
        return 0.0
    return float(np.sign(along[front].mean() - along[back].mean()))


def _circle(regions: Regions) -> np.ndarray:
    """Left hemisphere down the left half, right hemisphere up the right half."""
    size = len(regions)
    angles = np.empty(size)
    angles[hemisphere_order(regions)] = np.pi / 2 + 2 * np.pi * (np.arange(size) + 0.5) / size
    return 80.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
