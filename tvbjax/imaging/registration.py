"""One image in the space of another: an affine alignment, and a deformation where one is asked for.

By dipy: mutual information (Mattes et al. 2003, IEEE Trans. Med. Imaging 22, 120) and symmetric
diffeomorphic registration (Avants et al. 2008, Med. Image Anal. 12, 26).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from tvbjax.imaging._packages import dipy_is_quiet, needed
from tvbjax.imaging.images import Image

_WINDOW = 9  # voxels
_STEPS = ("center_of_mass", "translation", "rigid", "affine")


@dataclass(frozen=True, eq=False)
class Alignment:
    """`matrix`: from mm of the static image to mm of the moving one. `mapping`: dipy's, which
    resamples."""

    matrix: Float[np.ndarray, "4 4"]
    mapping: Any

    def __call__(self, image: np.ndarray, *, labels: bool = False) -> np.ndarray:
        """An image on the grid of the moving one, on that of the static one; `labels` by nearest
        neighbours, others linearly."""
        if labels:
            moved = self.mapping.transform(image.astype(np.float64), interpolation="nearest")
            return np.rint(moved).astype(np.int32)
        return np.asarray(self.mapping.transform(image.astype(np.float64)))


def aligned(moving: Image, static: Image, *, deform: bool = False) -> Alignment:
    """How `moving` lies in `static`: two three-dimensional images of one brain, or of two that
    `deform` brings together.

    Both show the brain alone: skulls and necks lead astray. Their contrasts may differ. Raises
    ValueError for other images, those without contrast or with NaN, and for a deformation of fewer
    than nine voxels along an edge.
    """
    for name, image in (("moving", moving), ("static", static)):
        values = image.data
        if values.ndim != 3:
            raise ValueError(f"aligned: the {name} image has {values.ndim} axes; it needs 3.")
        if not np.isfinite(values).all() or np.ptp(values) == 0.0:
            raise ValueError(f"aligned: the {name} image has no contrast, or NaN.")
    align = needed("dipy.align")
    one, other = moving.data.astype(np.float64), static.data.astype(np.float64)
    affines = {"moving_affine": moving.affine, "static_affine": static.affine}
    with dipy_is_quiet():
        _, matrix = align.affine_registration(one, other, **affines, pipeline=list(_STEPS))
        if deform:
            _, mapping = align.syn_registration(
                one, other, **affines, prealign=matrix, level_iters=_levels(other.shape)
            )
            return Alignment(matrix, mapping)
    mapping = needed("dipy.align.imaffine").AffineMap(
        matrix,
        domain_grid_shape=other.shape,
        domain_grid2world=static.affine,
        codomain_grid_shape=one.shape,
        codomain_grid2world=moving.affine,
    )
    return Alignment(matrix, mapping)


def _levels(shape: tuple[int, ...]) -> list[int]:
    """Iterations from coarse to fine, each level with twice the voxels along an edge; the coarsest
    must have room for the window in which correlations are taken."""
    if min(shape) < _WINDOW:
        raise ValueError(
            f"aligned: a deformation needs {_WINDOW} voxels along each edge, and the static image "
            f"has {' x '.join(map(str, shape))}; align it without one."
        )
    return [
        count
        for level, count in zip((4, 2, 1), (10, 10, 5), strict=True)
        if min(shape) // level >= _WINDOW
    ]
