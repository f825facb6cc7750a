"""The structural pipeline: from prepared images to a connectome, step by step.

Each step is kept by its inputs, so that an interrupted run goes on, and a changed option begins
where it matters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from tvbjax.connectome import Connectome
from tvbjax.imaging.bundles import Measure, Streamlines, streamline_count
from tvbjax.imaging.deconvolution import check_order, fibre_orientations, fibre_response
from tvbjax.imaging.explained_signal import signal_shares
from tvbjax.imaging.multi_shell import multi_shell_orientations, tissue_responses
from tvbjax.imaging.parcels import parcels_of
from tvbjax.imaging.preparation import Prepared
from tvbjax.imaging.step_cache import StepCache
from tvbjax.imaging.tissues import Tissues
from tvbjax.imaging.tractography import (
    check_angle,
    check_lengths,
    streamline_connectome,
    tracked,
)
from tvbjax.kinds import check_number
from tvbjax.progress import progress_bar

_STEPS = 4
_MOSTLY = 0.5  # the share of white matter in a voxel where streamlines begin


@dataclass(frozen=True)
class Structural:
    """How a connectome is made. `white`: the least anisotropy of white matter, where there are no
    tissues. `single`: that of voxels with a single fibre, for the response. `order`: of spherical
    harmonics, even. `multi_shell`: deconvolve several shells together, with three tissues; else
    the strongest alone. `density`: seeds along each edge of a voxel. `step`: mm. `angle`: degrees.
    `lengths`: mm. `measure`: what a bundle counts. `by_signal`: each streamline counts by what it
    explains of the signal (`signal_shares`). `seed`: of the random numbers."""

    white: float = 0.2
    single: float = 0.7
    order: int = 8
    multi_shell: bool = True
    density: int = 1
    step: float = 0.5
    angle: float = 25.0
    lengths: tuple[float, float] = (10.0, 250.0)
    measure: Measure = streamline_count
    by_signal: bool = False
    seed: int = 1

    def __post_init__(self):
        for name in ("white", "single"):
            check_number(f"Structural: {name}", getattr(self, name), above=0.0)
        check_order("Structural", self.order)
        check_angle("Structural", self.angle)
        check_lengths("Structural", self.lengths)


@dataclass(frozen=True, eq=False)
class StructuralResult:
    """What the steps made. `white`: where streamlines begin. `tissues`: where they are known."""

    connectome: Connectome
    prepared: Prepared
    white: Bool[np.ndarray, "x y z"]
    tissues: Tissues | None
    orientations: Float[np.ndarray, "x y z coefficient"]
    streamlines: Streamlines


def structural_connectome(
    images: Prepared,
    labels: Mapping[int, str],
    options: Structural | None = None,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    name: str = "tractography",
    progress: bool = True,
) -> StructuralResult:
    """A connectome from a diffusion image, by dipy.

    `images`: of `prepared`. `labels`: names by number, in the order of the regions. `cache`: a
    folder in which each step's result is kept, by all that went into it. `workers`: processes that
    deconvolve several shells.

    With tissues, of the anatomy or else of several shells, streamlines end in grey matter. Without,
    they stay in white matter, of an anisotropy of `white` or more, and in regions. Raises
    ValueError for labels without a voxel, and what the steps raise.
    """
    options = Structural() if options is None else options
    kept = StepCache(None if cache is None else Path(cache))
    diffusion, mask, anisotropy = images.diffusion, images.mask, images.tensors.anisotropy
    parcels_of(images.parcellation, diffusion.affine, labels)  # what is missing is told at once
    several = options.multi_shell and len(diffusion.gradients.shells) > 1
    tissues = images.tissues
    with progress_bar(f"connectome {name}", _STEPS, progress) as bar:
        bar(0, "orientations of fibres")
        within = mask & ((anisotropy >= options.white) | (images.parcellation > 0))
        if several:
            responses = tissue_responses(diffusion, images.tensors, mask, single=options.single)
            asked = mask if tissues is None else mask & (tissues.white > 0.0)

            def deconvolve() -> dict[str, np.ndarray]:
                found, shares = multi_shell_orientations(
                    diffusion,
                    asked,
                    responses,
                    order=options.order,
                    workers=workers,
                    told=lambda note: bar(0, note),
                )
                return {"shm": found, **vars(shares)}

            found = dict(kept("fibres", deconvolve, diffusion, asked, responses, options.order))
            orientations = found.pop("shm")
            tissues = Tissues(**found) if tissues is None else tissues
            response = responses.fibre
        else:
            shell = diffusion.strongest_shell
            response = fibre_response(shell, images.tensors, least=options.single)
            asked = within if tissues is None else mask & (tissues.white > 0.0)
            orientations = kept(
                "fibres",
                lambda: {"shm": fibre_orientations(shell, asked, response, order=options.order)},
                *(shell, asked, response, options.order),
            )["shm"]
        bar(1, "streamlines")
        white = within & (anisotropy >= options.white)
        if tissues is not None:
            white = mask & (tissues.white >= _MOSTLY)
        how = {
            "seed": options.seed,
            "density": options.density,
            "step": options.step,
            "angle": options.angle,
            "lengths": options.lengths,
        }
        where = (orientations, white, within if tissues is None else tissues, diffusion.affine)
        streamlines = _unpacked(
            kept("streamlines", lambda: _packed(tracked(*where, **how)), *where, how)
        )
        bar(1, "weights of streamlines")
        shares = None
        if options.by_signal:
            shell = diffusion.strongest_shell
            shares = kept(
                "shares",
                lambda: {"of": signal_shares(streamlines, shell, response)},
                *(streamlines, shell, response),
            )["of"]
        bar(1, "matrices")
        connectome = streamline_connectome(
            streamlines,
            images.parcellation,
            diffusion.affine,
            labels,
            measure=options.measure,
            shares=shares,
            name=name,
        )
        bar(1)
    return StructuralResult(connectome, images, white, tissues, orientations, streamlines)


def _packed(streamlines: Streamlines) -> dict[str, np.ndarray]:
    """Streamlines of different lengths as two arrays."""
    ends = np.cumsum([len(one) for one in streamlines])
    return {"points": np.concatenate(list(streamlines)).astype(np.float32), "ends": ends}


def _unpacked(arrays) -> Streamlines:
    return np.split(arrays["points"], arrays["ends"][:-1])
