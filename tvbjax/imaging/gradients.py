"""The gradients of diffusion-weighted images: read, checked, in one convention.

A table is right only together with its image's axes. FSL's tables (and BIDS's, dcm2niix's) are
relative to the voxel grid, with x reversed where the grid is right-handed, its affine has a
positive determinant; MRtrix's are in scanner axes. Here directions are relative to the voxel grid
as it is stored, which is what dipy computes with.
"""

from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

_UNWEIGHTED = 50.0  # s/mm², below which a direction does not matter
_GAP = 100.0  # s/mm² between shells
_FEWEST = 200  # voxels, below which fibres say nothing of the axes
_NORM = 0.05
_CLEARLY = 1.1  # how much more coherent another table must be to say that this one is wrong


@dataclass(frozen=True, eq=False)
class Gradients:
    """`bvals`: s/mm². `directions`: unit vectors along the axes of the voxel grid, 0 where the
    image is not weighted."""

    bvals: Float[np.ndarray, " volume"]
    directions: Float[np.ndarray, "volume 3"]

    @property
    def unweighted(self) -> Bool[np.ndarray, " volume"]:
        """Which volumes have no diffusion weighting (b < 50 s/mm²)."""
        return self.bvals < _UNWEIGHTED

    @property
    def shells(self) -> tuple[int, ...]:
        """The mean b-values, to 10 s/mm², of the weighted volumes; those of a shell lie less than
        100 s/mm² from the next."""
        of = self.shell_of_volume
        return tuple(
            int(np.round(self.bvals[of == shell].mean(), -1)) for shell in range(of.max() + 1)
        )

    @property
    def shell_of_volume(self) -> Int[np.ndarray, " volume"]:
        """Which shell, from the weakest on, each volume is of; -1 for the unweighted."""
        found = np.full(len(self.bvals), -1)
        order = np.flatnonzero(~self.unweighted)
        order = order[np.argsort(self.bvals[order], kind="stable")]
        found[order] = np.cumsum(np.diff(self.bvals[order], prepend=self.bvals[order[:1]]) >= _GAP)
        return found


def read_fsl_gradients(
    bvals: str | Path, bvecs: str | Path, affine: Float[np.ndarray, "4 4"]
) -> Gradients:
    """Gradients from FSL's text files, three rows of b-vectors or three columns.

    `affine`: of the image, whose handedness says whether x is reversed. Raises ValueError for
    tables that do not fit together or are not of unit vectors; FileNotFoundError.
    """
    values = _numbers(bvals).ravel()
    table = _numbers(bvecs)
    if table.shape[0] == 3 and table.shape[1] != 3:
        table = table.T
    if table.ndim != 2 or table.shape[1] != 3:
        raise ValueError(
            f"{bvecs}: {table.shape[0]} x {table.shape[1]} numbers; b-vectors are three rows or "
            "three columns."
        )
    if len(values) != len(table):
        raise ValueError(
            f"{bvals} has {len(values)} b-values and {bvecs} {len(table)} b-vectors; there is one "
            "of each for a volume."
        )
    return fsl_gradients(values, table, affine, where=str(bvecs))


def fsl_gradients(
    bvals: Float[np.ndarray, " volume"],
    bvecs: Float[np.ndarray, "volume 3"],
    affine: Float[np.ndarray, "4 4"],
    *,
    where: str = "bvecs",
) -> Gradients:
    """Gradients from arrays in FSL's convention. Raises ValueError."""
    bvals, bvecs = np.asarray(bvals, float), np.asarray(bvecs, float)
    weighted = bvals >= _UNWEIGHTED
    if not np.isfinite(bvals).all() or (bvals < 0).any():
        raise ValueError(f"{where}: b-values are finite and >= 0 s/mm².")
    norms = np.linalg.norm(bvecs, axis=1)
    wrong = np.flatnonzero(weighted & ~(np.abs(norms - 1.0) <= _NORM))
    if len(wrong):
        first = wrong[0]
        raise ValueError(
            f"{where}: the b-vector of volume {first} (b = {bvals[first]:g} s/mm²) has the length "
            f"{norms[first]:.3g}, and {len(wrong)} of {int(weighted.sum())} are no unit vectors; "
            "divide each by its length, and its b-value by the length's square if the scanner "
            "scaled them so."
        )
    if not weighted.any():
        raise ValueError(f"{where}: no volume is weighted (b of 50 s/mm² or more).")
    directions = np.where(weighted[:, None], bvecs / np.where(norms > 0, norms, 1.0)[:, None], 0.0)
    if np.linalg.det(np.asarray(affine)[:3, :3]) > 0:
        directions = directions * [-1.0, 1.0, 1.0]
    return Gradients(bvals, directions)


def fibre_coherence(
    directions: Float[np.ndarray, "x y z 3"],
    weights: Float[np.ndarray, "x y z"],
    voxel: Float[np.ndarray, "3"],
) -> float:
    """How well fibres go on in the next voxel: the fibre coherence index of Schilling et al.
    (2019), Magn. Reson. Imaging 57, 194.

    `directions`: the main one in each voxel, along the grid's axes. `weights`: its fractional
    anisotropy, 0 outside. `voxel`: edges in mm. The sum over pairs of neighbours along whose
    connection both directions lie, to 30 degrees.
    """
    near = np.cos(np.radians(30.0))
    total = 0.0
    for step in product((-1, 0, 1), repeat=3):
        if step <= (0, 0, 0):
            continue
        way = np.array(step) * voxel
        along = (np.abs(directions @ (way / np.linalg.norm(way))) > near) & (weights > 0)
        here, there = (
            tuple(
                slice(max(0, sign * s), n + min(0, sign * s))
                for s, n in zip(step, weights.shape, strict=True)
            )
            for sign in (-1, 1)
        )
        both = along[here] & along[there]
        total += float((weights[here] + weights[there])[both].sum())
    return total


def check_orientation(
    directions: Float[np.ndarray, "x y z 3"],
    weights: Float[np.ndarray, "x y z"],
    voxel: Float[np.ndarray, "3"],
) -> None:
    """Raises ValueError where fibres would go on clearly better if the axes of the b-vectors were
    reversed or exchanged: then the table does not belong to the image's axes.

    Arguments as of `fibre_coherence`. Fewer than 200 voxels, as of a small mask, tell nothing.
    """
    if (weights > 0).sum() < _FEWEST:
        return
    found = {}
    for order in permutations(range(3)):
        for signs in ((1.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, -1.0)):
            # A fibre has no sign, so that these are all.
            other = directions[..., list(order)] * np.array(signs)
            found[order, signs] = fibre_coherence(other, weights, voxel)
    given = found[(0, 1, 2), (1.0, 1.0, 1.0)]
    order, signs = best = max(found, key=lambda axes: found[axes])
    if found[best] > _CLEARLY * given:
        names = ", ".join(
            f"{'-' if sign < 0 else ''}{'xyz'[axis]}"
            for axis, sign in zip(order, signs, strict=True)
        )
        how = "reversed" if order == (0, 1, 2) else "exchanged"
        raise ValueError(
            f"the axes of the b-vectors look {how}: in {int((weights > 0).sum())} voxels fibres go "
            f"on from voxel to voxel {found[best] / max(given, 1e-12):.2f} times as well with "
            f"({names}) in place of (x, y, z). Check the convention of the table (FSL's is "
            "relative to the voxel grid, x reversed where the affine's determinant is positive) "
            f"and the mask, or take the table as ({names})."
        )


def _numbers(path: str | Path) -> np.ndarray:
    from tvbjax.io.table import numbers_from_text

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    return numbers_from_text(path.read_bytes().replace(b",", b" "), str(path))
