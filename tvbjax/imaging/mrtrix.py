"""A connectome by MRtrix3, where it is installed: its deconvolution, dynamic seeding and SIFT2.

MRtrix3 (Tournier et al. 2019, NeuroImage 202, 116137) is a program of its own; Debian has it as
`mrtrix3`. The steps are those of its MRtrix3_connectome, from the responses on.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
from jaxtyping import Float

from tvbjax.connectome import Connectome
from tvbjax.imaging.deconvolution import check_order
from tvbjax.imaging.diffusion import Diffusion
from tvbjax.imaging.parcels import parcels_of
from tvbjax.imaging.preparation import Prepared
from tvbjax.imaging.step_cache import key_of
from tvbjax.imaging.tractography import check_lengths
from tvbjax.io.table import numbers_from_text
from tvbjax.kinds import check_count
from tvbjax.progress import progress_bar
from tvbjax.regions import hemispheres_from_labels

_STEPS = 5
_TISSUES = ("white", "grey", "fluid")


@dataclass(frozen=True)
class Mrtrix:
    """How MRtrix makes a connectome. `select`: how many streamlines; its own pipeline takes 500 for
    each pair of regions, in both directions. `sift`: weights by SIFT2, else counts. `order`: of
    spherical harmonics, even; None leaves it to MRtrix. `lengths`: mm. `seed`: of the random
    numbers. `threads`: None takes all, with which streamlines differ a little from run to run; with
    0 they do not."""

    select: int = 100_000
    sift: bool = True
    order: int | None = None
    lengths: tuple[float, float] = (10.0, 250.0)
    seed: int = 1
    threads: int | None = None

    def __post_init__(self):
        check_count("Mrtrix: select", self.select)
        check_count("Mrtrix: seed", self.seed)
        if self.order is not None:
            check_order("Mrtrix", self.order)
        check_lengths("Mrtrix", self.lengths)


def mrtrix_connectome(
    images: Prepared,
    labels: Mapping[int, str],
    options: Mrtrix | None = None,
    *,
    cache: str | Path | None = None,
    speed: float = 3.0,
    name: str = "MRtrix3",
    progress: bool = False,
) -> Connectome:
    """Weights, and mean lengths in mm, of streamlines that MRtrix's programs find.

    `images`: of `prepared`; with tissues streamlines end at grey matter. `labels`: names by number,
    in the order of the regions. `cache`: a folder in which the files of steps are kept by all that
    went into them. Several shells are deconvolved together, with three tissues.

    Raises FileNotFoundError where MRtrix is not installed, RuntimeError with what it says where a
    program fails, ValueError for labels without a voxel, and where nothing joins two regions.
    """
    options = Mrtrix() if options is None else options
    if shutil.which("tckgen") is None:
        raise FileNotFoundError(
            "mrtrix_connectome: MRtrix3 is not installed (no program tckgen); on Debian: apt "
            "install mrtrix3. structural_connectome does without."
        )
    diffusion, tissues = images.diffusion, images.tissues
    parcels = parcels_of(images.parcellation, diffusion.affine, labels)
    with _folder(cache) as folder, progress_bar(f"connectome {name}", _STEPS, progress) as bar:
        run = _Runner(folder, options.seed, options.threads)
        scan = run.image("dwi", diffusion.data.astype(np.float32), diffusion.affine)
        given = [
            *("-grad", run.table("gradients", scanner_table(diffusion))),
            *("-mask", run.image("mask", images.mask.astype(np.uint8), diffusion.affine)),
        ]
        nodes = run.image("nodes", parcels.index, diffusion.affine)
        bar(0, "orientations of fibres")
        fibres = _orientations(run, scan, given, len(diffusion.gradients.shells), options.order)
        bar(1, "streamlines")
        stop: Sequence[Any] = ()
        if tissues is not None:
            zero = np.zeros_like(tissues.white)
            maps = np.stack([tissues.grey, zero, tissues.white, tissues.fluid, zero], axis=-1)
            stop = ["-act", run.image("5tt", maps.astype(np.float32), diffusion.affine)]
        shortest, longest = options.lengths
        tracks = run(
            "tracks.tck",
            lambda to: [
                *("tckgen", fibres, to, "-seed_dynamic", fibres, "-select", options.select),
                *("-minlength", shortest, "-maxlength", longest, *stop),
                *(("-backtrack", "-crop_at_gmwmi") if stop else given[2:]),
            ],
        )
        bar(1, "weights of streamlines")
        shares: Sequence[Any] = ()
        if options.sift:
            made = run("shares.txt", lambda to: ["tcksift2", tracks, fibres, to, *stop])
            shares = ["-tck_weights_in", made]
        bar(1, "matrices")
        both = ["-symmetric", "-zero_diagonal", *shares]
        weights = run("weights.csv", lambda to: ["tck2connectome", tracks, nodes, to, *both])
        both += ["-scale_length", "-stat_edge", "mean"]
        lengths = run("lengths.csv", lambda to: ["tck2connectome", tracks, nodes, to, *both])
        found = _matrix(weights), _matrix(lengths)
        if not found[0].any():
            raise ValueError(
                f"mrtrix_connectome: none of {options.select} streamlines joins two regions; is "
                "the parcellation in the space of the diffusion image?"
            )
        bar(1)
    return Connectome(
        *found,
        speed,
        parcels.labels,
        centres=parcels.centres,
        hemispheres=hemispheres_from_labels(parcels.labels),
        name=name,
    )


def scanner_table(diffusion: Diffusion) -> Float[np.ndarray, "volume 4"]:
    """MRtrix's table of gradients: directions along the scanner's axes, not the grid's, and b."""
    turn = diffusion.affine[:3, :3] / diffusion.voxel
    gradients = diffusion.gradients
    return np.column_stack([gradients.directions @ turn.T, gradients.bvals])


def _orientations(run: "_Runner", scan: Path, given: list, shells: int, order: int | None) -> Path:
    if shells == 1:
        most = [] if order is None else ["-lmax", order]
        response = run("response.txt", lambda to: ["dwi2response", "tournier", scan, to, *given])
        return run("fod.mif", lambda to: ["dwi2fod", "csd", scan, response, to, *given, *most])
    most = [] if order is None else ["-lmax", f"{order},0,0"]
    kinds = run(
        "responses",
        lambda to: ["dwi2response", "dhollander", scan, *_each(to, "txt"), *given],
    )
    found = run(
        "fods",
        lambda to: [
            *("dwi2fod", "msmt_csd", scan, *given, *most),
            *sum(zip(_each(kinds, "txt"), _each(to, "mif"), strict=True), ()),
        ],
    )
    return found / f"{_TISSUES[0]}.mif"


def _each(folder: Path, ending: str) -> list[Path]:
    return [folder / f"{tissue}.{ending}" for tissue in _TISSUES]


class _Runner(NamedTuple):
    """Files of steps in a folder, each named by all that went into it."""

    folder: Path
    seed: int
    threads: int | None

    def __call__(self, name: str, command: Callable[[Path], Sequence[Any]]) -> Path:
        """What a program makes at the place that `command` is given: a file, or, for a name without
        an ending, a folder with files."""
        # Names of files say what is in them, wherever the folder lies.
        parts = [str(part).removeprefix(f"{self.folder}/") for part in command(Path("result"))]
        stem, dot, ending = name.partition(".")
        path = self.folder / f"{stem}-{key_of(name, [parts, self.seed])}{dot}{ending}"
        if path.exists():
            return path
        temporary = path.with_name(f"unfinished-{path.name}")
        for old in (temporary,):
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        if not dot:
            temporary.mkdir()
        program, *arguments = map(str, command(temporary))
        threads = self.threads
        if program == "tcksift2" and threads == 0:
            threads = 1  # without threads of its own it leaves all weights at 1
        more = [] if threads is None else ["-nthreads", str(threads)]
        done = subprocess.run(
            [program, *arguments, *more, "-quiet"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=os.environ | {"MRTRIX_RNG_SEED": str(self.seed)},
        )
        if done.returncode:
            told = "; ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
            raise RuntimeError(
                f"mrtrix_connectome: {program} failed ({done.returncode}): {told[-600:]}"
            )
        temporary.rename(path)
        return path

    def image(self, name: str, data: np.ndarray, affine: np.ndarray) -> Path:
        path = self.folder / f"{name}-{key_of(name, [data, affine])}.nii"
        if not path.exists():
            temporary = path.with_name(f"unfinished-{path.name}")
            nibabel.save(nibabel.Nifti1Image(data, affine), temporary)
            temporary.rename(path)
        return path

    def table(self, name: str, values: np.ndarray) -> Path:
        path = self.folder / f"{name}-{key_of(name, values)}.txt"
        if not path.exists():
            np.savetxt(path, values)
        return path


@contextlib.contextmanager
def _folder(cache: str | Path | None) -> Iterator[Path]:
    if cache is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        Path(cache).mkdir(parents=True, exist_ok=True)
        yield Path(cache).resolve()


def _matrix(path: Path) -> np.ndarray:
    text = path.read_bytes().replace(b",", b" ")
    return np.nan_to_num(numbers_from_text(text, str(path)))  # no mean where nothing joins two
