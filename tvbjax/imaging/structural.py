"""The structural pipeline: from a diffusion image and a parcellation to a connectome, step by step.

Each step is kept by its inputs, so that an interrupted run goes on, and a changed option begins
where it matters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from tvbjax.connectome import Connectome
from tvbjax.imaging.diffusion import (
    Diffusion,
    Response,
    Tensors,
    brain_mask,
    denoised,
    fibre_orientations,
    fibre_response,
    tensors,
)
from tvbjax.imaging.step_cache import StepCache
from tvbjax.imaging.tractography import Streamlines, streamline_connectome, tracked
from tvbjax.kinds import check_number
from tvbjax.progress import progress_bar

_STEPS = 6


@dataclass(frozen=True)
class Structural:
    """How a connectome is made. `denoise`: take out what only noise explains. `white`: the least
    anisotropy of white matter. `single`: that of voxels with a single fibre, for the response.
    `order`: of spherical harmonics, even. `density`: seeds along each edge of a voxel. `step`: mm.
    `angle`: degrees. `lengths`: mm. `seed`: of the random numbers."""

    denoise: bool = True
    white: float = 0.2
    single: float = 0.7
    order: int = 8
    density: int = 1
    step: float = 0.5
    angle: float = 25.0
    lengths: tuple[float, float] = (10.0, 250.0)
    seed: int = 1

    def __post_init__(self):
        for name in ("white", "single"):
            check_number(f"Structural: {name}", getattr(self, name), above=0.0)
        if self.order < 2 or self.order % 2:
            raise ValueError(f"Structural: order is {self.order}; give an even one of 2 or more.")


@dataclass(frozen=True, eq=False)
class StructuralResult:
    """What the steps made. `white`: where streamlines begin and stay."""

    connectome: Connectome
    mask: Bool[np.ndarray, "x y z"]
    tensors: Tensors
    response: Response
    white: Bool[np.ndarray, "x y z"]
    orientations: Float[np.ndarray, "x y z coefficient"]
    streamlines: Streamlines


def structural_connectome(
    diffusion: Diffusion,
    parcellation: Int[np.ndarray, "x y z"],
    labels: Mapping[int, str],
    options: Structural | None = None,
    *,
    mask: Bool[np.ndarray, "x y z"] | None = None,
    cache: str | Path | None = None,
    name: str = "tractography",
    progress: bool = True,
) -> StructuralResult:
    """A connectome from a diffusion image.

    `parcellation`: the region of each voxel of the image, 0 for none. `labels`: names by number, in
    the order of the regions. `mask`: of the brain, found by `brain_mask` where none is given.
    `cache`: a folder in which each step's result is kept, by all that went into it.

    Streamlines may end in regions: those belong to where they may go, as white matter does. Raises
    ValueError for a parcellation of another shape, and what the steps raise.
    """
    options = Structural() if options is None else options
    for what, image in (("mask", mask), ("parcellation", parcellation)):
        if image is None or image.shape == diffusion.data.shape[:3]:
            continue
        raise ValueError(
            f"structural_connectome: the {what} has the shape {image.shape}, and the "
            f"diffusion image {diffusion.data.shape[:3]}; resample it to that image, by nearest "
            "neighbours."
        )
    kept = StepCache(None if cache is None else Path(cache))
    with progress_bar(f"connectome {name}", _STEPS, progress) as bar:
        if options.denoise:
            bar(0, "denoising")
            found = kept("denoised", lambda: {"data": denoised(diffusion).data}, diffusion)
            diffusion = Diffusion(found["data"], diffusion.affine, diffusion.gradients)
        bar(1, "mask")
        if mask is None:
            mask = kept("mask", lambda: {"mask": brain_mask(diffusion)}, diffusion)["mask"]
        bar(1, "tensors")
        found = kept("tensors", lambda: vars(tensors(diffusion, mask)), diffusion, mask)
        fitted = Tensors(found["anisotropy"], found["direction"])
        bar(1, "orientations of fibres")
        response = fibre_response(diffusion, fitted, least=options.single)
        white = mask & ((fitted.anisotropy >= options.white) | (parcellation > 0))
        given = (diffusion, white, response, options.order)
        orientations = kept(
            "orientations", lambda: {"shm": fibre_orientations(*given[:3], order=given[3])}, *given
        )["shm"]
        bar(1, "streamlines")
        begin = mask & (fitted.anisotropy >= options.white)
        streamlines = _unpacked(
            kept(
                "streamlines",
                lambda: _packed(
                    tracked(
                        orientations,
                        begin,
                        white,
                        diffusion.affine,
                        seed=options.seed,
                        density=options.density,
                        step=options.step,
                        angle=options.angle,
                        lengths=options.lengths,
                    )
                ),
                orientations,
                begin,
                white,
                diffusion.affine,
                options,
            )
        )
        bar(1, "connectome")
        connectome = streamline_connectome(
            streamlines, parcellation, diffusion.affine, dict(labels), name=name
        )
        bar(1)
    return StructuralResult(connectome, mask, fitted, response, white, orientations, streamlines)


def _packed(streamlines: Streamlines) -> dict[str, np.ndarray]:
    """Streamlines of different lengths as two arrays."""
    ends = np.cumsum([len(one) for one in streamlines])
    return {"points": np.concatenate(list(streamlines)).astype(np.float32), "ends": ends}


def _unpacked(arrays) -> Streamlines:
    return np.split(arrays["points"], arrays["ends"][:-1])
