"""A phantom: diffusion-weighted images of a few bundles whose ends are known."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from tvbjax.imaging._packages import needed
from tvbjax.imaging.deconvolution import Response
from tvbjax.imaging.diffusion import Diffusion
from tvbjax.imaging.gradients import Gradients, fsl_gradients

_EDGE = 2.0  # mm
_NODE, _BUNDLE = 3.0, np.sqrt(5.0)  # radii in voxels
_EIGENVALUES, _SIGNAL = np.array([1.7e-3, 0.3e-3, 0.3e-3]), 100.0
_GREY = 0.7e-3  # mm²/s


class Phantom(NamedTuple):
    """`brain`: all that is not air. `parcellation`: from 1 on at the places of regions. `edges`:
    which regions are joined, from 0 on, and `distances`: mm from centre to centre."""

    diffusion: Diffusion
    brain: Bool[np.ndarray, "x y z"]
    white_matter: Bool[np.ndarray, "x y z"]
    parcellation: Int[np.ndarray, "x y z"]
    edges: tuple[tuple[int, int], ...]
    distances: tuple[float, ...]
    response: Response


def three_bundles(
    bvals: Float[np.ndarray, " volume"],
    bvecs: Float[np.ndarray, "volume 3"],
    *,
    noise: float = 30.0,
    seed: int = 0,
) -> Phantom:
    """Two bundles along the axes and one across, between three of four regions, which tells whether
    the b-vectors are right: a table that is reversed along an axis leaves the first two, and breaks
    the third. 30 x 30 x 10 voxels. Arguments as of `straight_bundles`.
    """
    centres = np.array([(4, 4, 5), (25, 4, 5), (25, 25, 5), (4, 25, 5)], float)
    edges = ((0, 1), (1, 2), (0, 2))
    return straight_bundles(bvals, bvecs, (30, 30, 10), centres, edges, noise=noise, seed=seed)


def straight_bundles(
    bvals: Float[np.ndarray, " volume"],
    bvecs: Float[np.ndarray, "volume 3"],
    shape: tuple[int, int, int],
    centres: Float[np.ndarray, "region 3"],
    edges: Sequence[tuple[int, int]],
    *,
    noise: float = 30.0,
    seed: int = 0,
) -> Phantom:
    """A scan of straight bundles between regions, all of the same thickness, in grey matter.

    `bvals`: s/mm², `bvecs`: unit vectors in FSL's convention. `shape`: voxels of 2 mm, the
    outermost of which are air. `centres`: of the regions, balls with a radius of three voxels, in
    voxels. `edges`: pairs of regions that are joined. `noise`: ratio of the unweighted signal to
    the deviation of Rician noise. Where bundles cross, each has the same share of the signal.
    """
    voxel = needed("dipy.sims.voxel")
    affine = np.diag([_EDGE, _EDGE, _EDGE, 1.0])
    gradients: Gradients = fsl_gradients(bvals, bvecs, affine)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).astype(float)
    directions: list[np.ndarray] = []
    inside: list[np.ndarray] = []
    for start, end in edges:
        way = centres[end] - centres[start]
        unit = way / np.linalg.norm(way)
        along = (grid - centres[start]) @ unit
        beside = np.linalg.norm(grid - centres[start] - along[..., None] * unit, axis=-1)
        inside.append((beside <= _BUNDLE) & (along >= 0) & (along <= np.linalg.norm(way)))
        directions.append(unit)
    white = np.any(inside, axis=0)
    table = needed("dipy.core.gradients").gradient_table(
        gradients.bvals, bvecs=gradients.directions, b0_threshold=50
    )
    rng = np.random.default_rng(seed)
    brain = np.zeros(shape, bool)
    brain[1:-1, 1:-1, 1:-1] = True
    clean = brain[..., None] * _SIGNAL * np.exp(-gradients.bvals * _GREY)
    kinds: dict[tuple[int, ...], np.ndarray] = {}
    for place in np.argwhere(white):
        here = tuple(i for i, one in enumerate(inside) if one[tuple(place)])
        if here not in kinds:
            kinds[here] = _mixture(voxel, table, [directions[i] for i in here])
        clean[tuple(place)] = kinds[here]
    real, imaginary = rng.normal(scale=_SIGNAL / noise, size=(2, *clean.shape))
    data = np.sqrt((clean + real) ** 2 + imaginary**2)
    parcellation = np.zeros(shape, np.int32)
    for number, centre in enumerate(centres):
        parcellation[np.linalg.norm(grid - centre, axis=-1) <= _NODE] = 1 + number
    distances = tuple(
        float(_EDGE * np.linalg.norm(centres[end] - centres[start])) for start, end in edges
    )
    return Phantom(
        Diffusion(data, affine, gradients),
        brain,
        white,
        parcellation,
        tuple(edges),
        distances,
        Response(_EIGENVALUES, _SIGNAL),
    )


def _mixture(voxel, table, directions) -> np.ndarray:
    """The signal of fibres along some directions, each with the same share."""
    shares = [100.0 / len(directions)] * len(directions)
    values = np.array([_EIGENVALUES] * len(directions))
    return voxel.multi_tensor(
        table,
        values,
        S0=_SIGNAL,
        angles=[tuple(one) for one in directions],
        fractions=shares,
        snr=None,
    )[0]
