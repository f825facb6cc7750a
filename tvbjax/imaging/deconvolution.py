"""How fibres are oriented in each voxel, by constrained spherical deconvolution of one shell."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tvbjax.imaging._packages import in_dipys_basis, needed
from tvbjax.imaging.diffusion import Diffusion, Tensors
from tvbjax.imaging.images import Mask


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
    check_order("fibre_orientations", order)
    csd = needed("dipy.reconst.csdeconv")
    pair = (response.eigenvalues, response.signal)
    with in_dipys_basis():
        model = csd.ConstrainedSphericalDeconvModel(diffusion.table, pair, sh_order_max=order)
        fit = model.fit(diffusion.data, mask=mask)
    return np.nan_to_num(fit.shm_coeff).astype(np.float64)


def check_order(what: str, order: int) -> None:
    """Raises ValueError for an order that spherical harmonics of orientations do not have."""
    if order < 2 or order % 2:
        raise ValueError(f"{what}: order is {order}; give an even one of 2 or more.")
