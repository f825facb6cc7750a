"""Fibres and tissues from several shells at once: multi-tissue constrained spherical deconvolution.

Jeurissen et al. (2014), NeuroImage 103, 411. What grey matter and fluid explain is no fibre.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tvbjax.imaging._packages import in_dipys_basis, needed
from tvbjax.imaging.deconvolution import Response, check_order
from tvbjax.imaging.diffusion import Diffusion, Tensors
from tvbjax.imaging.images import Mask
from tvbjax.imaging.tissues import Tissues
from tvbjax.kinds import check_count

_NEAR = 50.0  # s/mm², within which b-values are of one shell
_FEWEST = 10  # voxels of a tissue
_GREY, _FLUID = 1.1e-3, 2.0e-3  # mm²/s, the largest of grey matter, the smallest of fluid
_ISOTROPIC = 0.2  # the largest anisotropy of grey matter and fluid


@dataclass(frozen=True, eq=False)
class TissueResponses:
    """Per tissue and shell, from the lowest b-value on, the tensor's eigenvalues, mm²/s, and the
    unweighted signal."""

    white: Float[np.ndarray, "shell 4"]
    grey: Float[np.ndarray, "shell 4"]
    fluid: Float[np.ndarray, "shell 4"]

    @property
    def fibre(self) -> Response:
        """Of a single fibre, at the largest b-value."""
        return Response(self.white[-1, :3], float(self.white[-1, 3]))


def tissue_responses(
    diffusion: Diffusion, found: Tensors, mask: Mask, *, single: float = 0.7
) -> TissueResponses:
    """The signals of voxels that are one tissue: a single fibre (an anisotropy of `single` or
    more), grey matter and fluid (an anisotropy below 0.2; a mean diffusivity below 1.1e-3 and above
    2e-3 mm²/s).

    Raises ValueError for a scan of one shell, and for a tissue with fewer than ten voxels.
    """
    shells = diffusion.gradients.shells
    if len(shells) < 2:
        raise ValueError(
            f"tissue_responses: the only shell is of b = {max(shells)} s/mm²; "
            "tissues are told apart by two or more. Take fibre_response and fibre_orientations."
        )
    isotropic = mask & (found.anisotropy < _ISOTROPIC) & (found.diffusivity > 0.0)
    places = {
        "white": mask & (found.anisotropy >= single),
        "grey": isotropic & (found.diffusivity < _GREY),
        "fluid": isotropic & (found.diffusivity > _FLUID),
    }
    for tissue, chosen in places.items():
        if chosen.sum() < _FEWEST:
            raise ValueError(
                f"tissue_responses: {int(chosen.sum())} voxels look like {tissue} alone, and "
                f"{_FEWEST} are needed; look at the mask, lower `single` (for white), or give "
                "TissueResponses."
            )
    mcsd = needed("dipy.reconst.mcsd")
    found_responses = mcsd.response_from_mask_msmt(
        diffusion.table, diffusion.data, *places.values(), tol=_NEAR
    )
    return TissueResponses(*found_responses)


def multi_shell_orientations(
    diffusion: Diffusion,
    mask: Mask,
    responses: TissueResponses,
    *,
    order: int = 8,
    workers: int = 1,
    told: Callable[[str], None] = lambda note: None,
) -> tuple[Float[np.ndarray, "x y z coefficient"], Tissues]:
    """How fibres are oriented in each voxel, as `fibre_orientations`, and the shares of tissues.

    Where a fibre and grey matter share a voxel, some of the latter (0.15 of a half at order 8, 0.09
    at 12) counts as white. A voxel takes some 50 ms (dipy solves each by cvxpy), shared by so many
    `workers`, processes. `told`: hears how far it is.

    Raises ValueError where responses are not of the scan's shells, and where more than one voxel in
    a hundred could not be solved.
    """
    check_order("multi_shell_orientations", order)
    check_count("multi_shell_orientations: workers", workers)
    mcsd = needed("dipy.reconst.mcsd")
    needed("cvxpy")
    shells = needed("dipy.core.gradients").unique_bvals_tolerance(
        diffusion.gradients.bvals, tol=_NEAR
    )
    given = (responses.white, responses.grey, responses.fluid)
    if any(len(one) != len(shells) - 1 for one in given):
        raise ValueError(
            f"multi_shell_orientations: responses of {[len(one) for one in given]} shells, and the "
            f"scan has {len(shells) - 1}: b = {', '.join(f'{b:g}' for b in shells[1:])} s/mm²."
        )
    with in_dipys_basis():
        response = mcsd.multi_shell_fiber_response(order, shells, *given, tol=_NEAR)
        model = mcsd.MultiShellDeconvModel(diffusion.table, response, sh_order_max=order, tol=_NEAR)
        coefficients = np.zeros((*mask.shape, (order + 1) * (order + 2) // 2))
        shares = np.zeros((*mask.shape, len(given)))
        how = {"engine": "joblib", "n_jobs": workers} if workers > 1 else {}
        levels = np.flatnonzero(mask.any(axis=(0, 1)))
        for number, level in enumerate(levels, start=1):
            told(f"orientations of fibres, slice {number} of {len(levels)}")
            part = mask[:, :, level]
            fit = model.fit(diffusion.data[:, :, level], mask=part, verbose=False, **how)
            coefficients[:, :, level] = np.asarray(fit.shm_coeff)
            shares[:, :, level] = np.asarray(fit.volume_fractions)
    failed = mask & ~np.isfinite(shares).all(axis=-1)
    if failed.sum() > 0.01 * mask.sum():
        raise ValueError(
            f"multi_shell_orientations: {int(failed.sum())} of {int(mask.sum())} voxels could not "
            "be solved; look at the responses."
        )
    good = (mask & ~failed)[..., None]
    fluid, grey, white = np.moveaxis(np.clip(np.where(good, shares, 0.0), 0.0, 1.0), -1, 0)
    return np.where(good, coefficients, 0.0), Tissues(white, grey, fluid)
