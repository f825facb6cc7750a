"""How much of the signal each streamline explains, so that bundles that were met too often count no
more than their due: what SIFT does in MRtrix, by dipy's linear fascicle evaluation."""

import numpy as np
from jaxtyping import Float

from tvbjax.imaging._packages import needed
from tvbjax.imaging.bundles import Streamlines
from tvbjax.imaging.deconvolution import Response
from tvbjax.imaging.diffusion import Diffusion

_MOST = 40_000_000  # numbers of the matrix, some 1 GB


def signal_shares(
    streamlines: Streamlines, diffusion: Diffusion, response: Response
) -> Float[np.ndarray, " streamline"]:
    """Weights >= 0 with which the streamlines together explain the signal best: Pestilli et al.
    (2014), Nat. Methods 11, 1058.

    Streamlines that others make superfluous have 0. Raises ValueError where they are too many for
    memory: a streamline takes a number for each volume in each voxel that it passes.
    """
    back = np.linalg.inv(diffusion.affine)
    voxels = sum(
        len(np.unique(np.rint(one @ back[:3, :3].T + back[:3, 3]), axis=0)) for one in streamlines
    )
    numbers = voxels * int((~diffusion.gradients.unweighted).sum())
    if numbers > _MOST:
        some = int(len(streamlines) * _MOST / numbers)
        raise ValueError(
            f"signal_shares: {len(streamlines)} streamlines need a matrix of {numbers:.2g} "
            f"numbers, and {_MOST:.2g} are allowed; give some {some} of them, "
            "or take mrtrix_connectome, whose SIFT2 takes millions."
        )
    model = needed("dipy.tracking.life").FiberModel(diffusion.table)
    # dipy applies what it calls the affine from voxels to mm as it is: it is the way back.
    fit = model.fit(
        diffusion.data,
        [np.asarray(one, float) for one in streamlines],
        back,
        evals=tuple(response.eigenvalues),
        sphere=None,
    )
    return np.asarray(fit.beta, float)
