"""Diffusion-weighted images: read, checked, and what each voxel says of its fibres.

By dipy (Garyfallidis et al. 2014, Front. Neuroinform. 8, 8), an optional extra.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import nibabel.filebasedimages
import numpy as np
from jaxtyping import Bool, Float

from tvbjax.imaging._packages import in_dipys_basis, needed
from tvbjax.imaging.gradients import Gradients, check_orientation, read_fsl_gradients

Volume = Float[np.ndarray, "x y z"]
Mask = Bool[np.ndarray, "x y z"]


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


def read_image(
    path: str | Path, axes: int, *, labels: bool = False
) -> tuple[np.ndarray, Float[np.ndarray, "4 4"]]:
    """An image with so many axes and its affine: float32, or whole numbers for `labels`.

    Raises FileNotFoundError, and ValueError for a damaged image, other axes, or labels that are no
    whole numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        image: Any = nibabel.load(path)
        data = np.asarray(image.dataobj)
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: no readable image, or a cut one ({error}).") from error
    if data.ndim != axes:
        raise ValueError(f"{path}: the image has {data.ndim} axes, {data.shape}; it needs {axes}.")
    if not labels:
        return data.astype(np.float32), image.affine
    whole = np.rint(data)
    if not np.array_equal(whole, data):
        raise ValueError(
            f"{path}: a parcellation has whole numbers, and this has {data[whole != data][0]}; "
            "resample labels by nearest neighbours."
        )
    return whole.astype(np.int32), image.affine


@dataclass(frozen=True, eq=False)
class Tensors:
    """Per voxel the fractional anisotropy, and the main direction along the grid's axes."""

    anisotropy: Volume
    direction: Float[np.ndarray, "x y z 3"]


def brain_mask(diffusion: Diffusion) -> Mask:
    """Where the brain is, by thresholds of the smoothed unweighted image (Otsu 1979)."""
    segment = needed("dipy.segment.mask")
    mean = diffusion.data[..., diffusion.gradients.unweighted].mean(axis=-1)
    return segment.median_otsu(mean, median_radius=2, numpass=1)[1]


def denoised(diffusion: Diffusion) -> Diffusion:
    """Without what only noise explains, patch by patch: Veraart et al. (2016), NeuroImage 142,
    394."""
    localpca = needed("dipy.denoise.localpca")
    return Diffusion(
        localpca.mppca(diffusion.data, patch_radius=2), diffusion.affine, diffusion.gradients
    )


def tensors(diffusion: Diffusion, mask: Mask, *, check: bool = True) -> Tensors:
    """Diffusion tensors by weighted least squares: Basser et al. (1994), Biophys. J. 66, 259.

    `check`: raise ValueError where fibres would go on clearly better if the b-vectors were reversed
    along an axis (`check_orientation`).
    """
    dti = needed("dipy.reconst.dti")
    fit = dti.TensorModel(diffusion.table).fit(diffusion.data, mask=mask)
    anisotropy = np.where(mask, np.nan_to_num(fit.fa), 0.0)
    direction = np.nan_to_num(fit.evecs[..., 0])
    if check:
        weights = np.where(anisotropy > 0.3, anisotropy, 0.0)
        check_orientation(direction, weights, diffusion.voxel)
    return Tensors(anisotropy, direction)


@dataclass(frozen=True, eq=False)
class Response:
    """Of a single fibre: eigenvalues of its tensor, mm²/s, largest first, and its unweighted
    signal."""

    eigenvalues: Float[np.ndarray, "3"]
    signal: float


def fibre_response(diffusion: Diffusion, found: Tensors, *, least: float = 0.7) -> Response:
    """The mean of voxels whose anisotropy is `least` or more. Raises ValueError without any."""
    dti = needed("dipy.reconst.dti")
    chosen = found.anisotropy >= least
    if not chosen.any():
        raise ValueError(
            f"fibre_response: no voxel has an anisotropy of {least:g} or more, and the largest is "
            f"{found.anisotropy.max():.2f}; give a lower one, or a Response."
        )
    fit = dti.TensorModel(diffusion.table).fit(diffusion.data[chosen])
    values = fit.evals.mean(axis=0)
    across = values[1:].mean()
    unweighted = diffusion.data[chosen][:, diffusion.gradients.unweighted]
    return Response(np.array([values[0], across, across]), float(unweighted.mean()))


def fibre_orientations(
    diffusion: Diffusion, mask: Mask, response: Response, *, order: int = 8
) -> Float[np.ndarray, "x y z coefficient"]:
    """How fibres are oriented in each voxel: coefficients of spherical harmonics, to `order`, by
    constrained spherical deconvolution: Tournier, Calamante & Connelly (2007), NeuroImage 35, 1459.
    """
    csd = needed("dipy.reconst.csdeconv")
    pair = (response.eigenvalues, response.signal)
    with in_dipys_basis():
        model = csd.ConstrainedSphericalDeconvModel(diffusion.table, pair, sh_order_max=order)
        fit = model.fit(diffusion.data, mask=mask)
    return np.nan_to_num(fit.shm_coeff).astype(np.float64)
