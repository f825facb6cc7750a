"""Diffusion-weighted images: read, checked, and what each voxel says of its fibres.

By dipy (Garyfallidis et al. 2014, Front. Neuroinform. 8, 8), an optional extra.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tvbjax.imaging._packages import needed
from tvbjax.imaging.gradients import Gradients, check_orientation, read_fsl_gradients
from tvbjax.imaging.images import Image, Mask, Volume, read_image

_DIRECTIONS = 6  # that a tensor needs


@dataclass(frozen=True, eq=False)
class Diffusion:
    """`data`: signal per voxel and volume. `affine`: from voxels to mm. `gradients`: one for each
    volume."""

    data: Float[np.ndarray, "x y z volume"]
    affine: Float[np.ndarray, "4 4"]
    gradients: Gradients

    def __post_init__(self):
        if self.data.ndim != 4:
            raise ValueError(
                f"Diffusion: data has the shape {self.data.shape}; give 4 axes: x, y, z, volume."
            )
        volumes = self.data.shape[3]
        if len(self.gradients.bvals) != volumes:
            raise ValueError(
                f"Diffusion: {len(self.gradients.bvals)} gradients for {volumes} volumes; give one "
                "for each, and take image and table from one series."
            )
        if not self.gradients.unweighted.any():
            raise ValueError(
                "Diffusion: no volume is without diffusion weighting (b < 50 s/mm²), which the "
                "others are compared with."
            )
        if not np.isfinite(self.data).all():
            raise ValueError("Diffusion: data has NaN or infinity; set such voxels to 0.")

    @property
    def voxel(self) -> Float[np.ndarray, "3"]:
        """Edges of a voxel, mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def unweighted(self) -> Image:
        """The mean of the volumes without diffusion weighting."""
        return Image(self.data[..., self.gradients.unweighted].mean(axis=-1), self.affine)

    @property
    def strongest_shell(self) -> "Diffusion":
        """The volumes of the largest b-value alone, and those without weighting."""
        return self.shell(len(self.gradients.shells) - 1)

    def shell(self, number: int) -> "Diffusion":
        """The volumes of one shell alone, from 0, the weakest, and those without weighting."""
        gradients = self.gradients
        chosen = gradients.unweighted | (gradients.shell_of_volume == number)
        some = Gradients(gradients.bvals[chosen], gradients.directions[chosen])
        return Diffusion(self.data[..., chosen], self.affine, some)

    @property
    def table(self) -> Any:
        """dipy's table of the gradients."""
        gradients = needed("dipy.core.gradients")
        return gradients.gradient_table(
            self.gradients.bvals, bvecs=self.gradients.directions, b0_threshold=50
        )


def read_diffusion(image: str | Path, bvals: str | Path, bvecs: str | Path) -> Diffusion:
    """A NIfTI image with FSL's tables of gradients, as of dcm2niix, BIDS or QSIPrep.

    Raises FileNotFoundError, and ValueError for an image that is damaged or has no four axes, and
    for tables that do not fit it.
    """
    data, affine = read_image(image, axes=4)
    return Diffusion(data, affine, read_fsl_gradients(bvals, bvecs, affine))


@dataclass(frozen=True, eq=False)
class Tensors:
    """Per voxel the fractional anisotropy, the mean diffusivity, mm²/s, and the main direction
    along the grid's axes."""

    anisotropy: Volume
    diffusivity: Volume
    direction: Float[np.ndarray, "x y z 3"]


def brain_mask(diffusion: Diffusion) -> Mask:
    """Where the brain is, by thresholds of the smoothed unweighted image (Otsu 1979)."""
    segment = needed("dipy.segment.mask")
    return segment.median_otsu(diffusion.unweighted.data, median_radius=2, numpass=1)[1]


def denoised(diffusion: Diffusion) -> Diffusion:
    """Without what only noise explains, patch by patch: Veraart et al. (2016), NeuroImage 142,
    394."""
    localpca = needed("dipy.denoise.localpca")
    return Diffusion(
        localpca.mppca(diffusion.data, patch_radius=2), diffusion.affine, diffusion.gradients
    )


def tensors(diffusion: Diffusion, mask: Mask, *, check: bool = True) -> Tensors:
    """Diffusion tensors by weighted least squares: Basser et al. (1994), Biophys. J. 66, 259. Of
    several shells, from the weakest with six directions: signals at large b are not a tensor's.

    `check`: raise ValueError where fibres would go on clearly better if the axes of the b-vectors
    were reversed or exchanged (`check_orientation`).
    """
    dti = needed("dipy.reconst.dti")
    shells = diffusion.gradients.shell_of_volume
    for number in range(shells.max()):
        if (shells == number).sum() >= _DIRECTIONS:
            diffusion = diffusion.shell(number)
            break
    fit = dti.TensorModel(diffusion.table).fit(diffusion.data, mask=mask)
    anisotropy = np.where(mask, np.nan_to_num(fit.fa), 0.0)
    direction = np.nan_to_num(fit.evecs[..., 0])
    if check:
        weights = np.where(anisotropy > 0.3, anisotropy, 0.0)
        check_orientation(direction, weights, diffusion.voxel)
    diffusivity = np.where(mask, np.nan_to_num(fit.md), 0.0)
    return Tensors(anisotropy, diffusivity, direction)
