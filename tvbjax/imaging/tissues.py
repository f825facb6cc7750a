"""White matter, grey matter and fluid in each voxel, which say where streamlines begin and end."""

from dataclasses import dataclass

import numpy as np

from tvbjax.imaging._packages import needed
from tvbjax.imaging.images import Mask, Volume

_CLASSES, _SMOOTHNESS = 3, 0.1


@dataclass(frozen=True, eq=False)
class Tissues:
    """The share of each tissue in a voxel, 0 to 1; all are 0 outside of the brain."""

    white: Volume
    grey: Volume
    fluid: Volume

    def __post_init__(self):
        for name, share in vars(self).items():
            if share.shape != self.white.shape:
                raise ValueError(
                    f"Tissues: {name} has the shape {share.shape}, and white {self.white.shape}."
                )
            if not (np.isfinite(share).all() and share.min() >= 0.0 and share.max() <= 1.01):
                raise ValueError(
                    f"Tissues: {name} has values of {np.nanmin(share):.3g} to "
                    f"{np.nanmax(share):.3g}; shares of a voxel are 0 to 1."
                )


def tissues_of(anatomy: Volume, mask: Mask) -> Tissues:
    """Tissues of a T1-weighted image within the brain, in which fluid is dark and white matter
    bright: a hidden Markov random field of three classes (Zhang, Brady & Smith 2001, IEEE Trans.
    Med. Imaging 20, 45).

    Raises ValueError for an image of another shape, or one that is the same everywhere.
    """
    if anatomy.shape != mask.shape:
        raise ValueError(
            f"tissues_of: the anatomy has the shape {anatomy.shape}, and the mask {mask.shape}."
        )
    inside = anatomy[mask]
    if not inside.size or not np.isfinite(inside).all() or np.ptp(inside) == 0.0:
        raise ValueError(
            "tissues_of: the anatomy has no contrast within the mask, or NaN; is it in the space "
            "of the mask?"
        )
    classifier = needed("dipy.segment.tissue").TissueClassifierHMRF(verbose=False)
    dark, bright = np.percentile(inside, [1.0, 99.0])
    # The background is a class of its own: fluid must lie clearly above it, and without any noise
    # it has no likelihood.
    scaled = np.clip(0.25 + 0.75 * (anatomy - dark) / max(bright - dark, 1e-12), 0.15, 1.1)
    noise = np.random.default_rng(0).uniform(0.0, 0.01, mask.shape)
    _, _, shares = classifier.classify(np.where(mask, scaled, noise), _CLASSES, _SMOOTHNESS)
    fluid, grey, white = (np.where(mask, np.clip(shares[..., i], 0.0, 1.0), 0.0) for i in range(3))
    return Tissues(white, grey, fluid)
