"""What comes before fibres are looked for: noise, the brain's mask, tensors, and the anatomy and
the parcellation in the space of the diffusion image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from tvbjax.imaging.diffusion import Diffusion, Tensors, brain_mask, denoised, tensors
from tvbjax.imaging.images import Image, grid_of, same_grid
from tvbjax.imaging.parcels import check_grid
from tvbjax.imaging.registration import aligned
from tvbjax.imaging.step_cache import StepCache
from tvbjax.imaging.tissues import Tissues, tissues_of
from tvbjax.progress import progress_bar

_STEPS = 5
_INSIDE = 0.5  # of a parcellation, the least share that lies in the brain


@dataclass(frozen=True)
class Preparation:
    """How images are prepared. `denoise`: take out what only noise explains. `deform`: bring the
    anatomy to the scan by a deformation too, as a template's must be; a person's own is aligned
    by an affine map."""

    denoise: bool = True
    deform: bool = False


@dataclass(frozen=True, eq=False)
class Prepared:
    """All on the grid of the diffusion image. `mask`: the brain. `parcellation`: the region of each
    voxel, 0 for none. `tissues`: where an anatomy was given."""

    diffusion: Diffusion
    mask: Bool[np.ndarray, "x y z"]
    tensors: Tensors
    parcellation: Int[np.ndarray, "x y z"]
    tissues: Tissues | None = None

    def __post_init__(self):
        given = {"mask": self.mask, "parcellation": self.parcellation}
        given |= {} if self.tissues is None else {"tissues": self.tissues.white}
        check_grid("Prepared", self.diffusion.data.shape[:3], **given)


def prepared(
    diffusion: Diffusion,
    parcellation: Image,
    options: Preparation | None = None,
    *,
    anatomy: Image | None = None,
    mask: Bool[np.ndarray, "x y z"] | None = None,
    cache: str | Path | None = None,
    name: str = "scan",
    progress: bool = True,
) -> Prepared:
    """The images that `structural_connectome` and `mrtrix_connectome` take.

    `parcellation`: whole numbers, in the space of the diffusion image or of `anatomy`. `anatomy`: a
    T1-weighted image of the brain alone, the person's or, with `deform`, a template; it says where
    tissues are. `mask`: of the brain, found by `brain_mask` where none is given. `cache`: a folder
    in which each step's result is kept, by all that went into it.

    Raises ValueError for a parcellation in neither space, a registration that leaves half of it
    outside the brain, and what the steps raise.
    """
    options = Preparation() if options is None else options
    shape = diffusion.data.shape[:3]
    check_grid("prepared", shape, mask=mask)
    scan = Image(diffusion.data[..., 0], diffusion.affine)
    own = same_grid(parcellation, scan)
    if not own and (anatomy is None or not same_grid(parcellation, anatomy)):
        whose = "the diffusion image" if anatomy is None else "the diffusion image nor the anatomy"
        raise ValueError(
            f"prepared: the parcellation, {grid_of(parcellation)}, is not in the space of {whose}, "
            f"{grid_of(scan)}; give the T1-weighted image that it belongs to as anatomy, or "
            "resample it by nearest neighbours."
        )
    if not np.array_equal(parcellation.data, np.rint(parcellation.data)):
        raise ValueError(
            "prepared: the parcellation has values that are no whole numbers; read it with "
            "read_image(path, 3, labels=True)."
        )
    kept = StepCache(None if cache is None else Path(cache))
    with progress_bar(f"preparing {name}", _STEPS, progress) as bar:
        if options.denoise:
            bar(0, "denoising")
            found = kept("denoised", lambda: {"data": denoised(diffusion).data}, diffusion)
            diffusion = Diffusion(found["data"], diffusion.affine, diffusion.gradients)
        bar(1, "mask")
        if mask is None:
            mask = kept("mask", lambda: {"mask": brain_mask(diffusion)}, diffusion)["mask"]
        bar(1, "tensors")
        fitted = Tensors(**kept("tensors", lambda: vars(tensors(diffusion, mask)), diffusion, mask))
        bar(1, "registration")
        regions, structure, tissues = parcellation.data.astype(np.int32), None, None
        if anatomy is not None:
            static = Image(np.where(mask, diffusion.unweighted.data, 0.0), diffusion.affine)

            def register() -> dict[str, np.ndarray]:
                there = aligned(anatomy, static, deform=options.deform)
                made = regions if own else there(regions, labels=True)
                return {"anatomy": there(anatomy.data), "parcellation": made}

            found = kept("registered", register, anatomy, static, regions, options.deform)
            regions, structure = found["parcellation"], found["anatomy"]
        _check_place(regions, mask)
        bar(1, "tissues")
        if structure is not None:
            tissues = Tissues(
                **kept("tissues", lambda: vars(tissues_of(structure, mask)), structure, mask)
            )
        bar(1)
    return Prepared(diffusion, mask, fitted, regions, tissues)


def _check_place(regions: np.ndarray, mask: np.ndarray) -> None:
    labelled = regions > 0
    if not labelled.any():
        raise ValueError("prepared: the parcellation has no region in the diffusion image.")
    share = float(mask[labelled].mean())
    if share < _INSIDE:
        raise ValueError(
            f"prepared: only {100 * share:.0f} % of the parcellation's voxels lie in the brain's "
            "mask; are both of this scan? After a registration: give an anatomy of the brain "
            "alone, and look at the mask."
        )
