"""`tvbjax imaging connectome`: of one person's diffusion image, or of a BIDS folder."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tvbjax.cli._imaging_people import Atlas, Labels, OneOf, Out, each_person, path_of

if TYPE_CHECKING:
    from tvbjax import imaging

_IMAGES = ("*_dwi.nii.gz", "*_dwi.nii")


class Weights(enum.StrEnum):
    """What a bundle counts: its streamlines, or their density."""

    COUNT = "count"
    DENSITY = "density"


def connectome(
    image: Annotated[
        Path,
        typer.Argument(metavar="DWI", help="A diffusion image (NIfTI), or a BIDS folder."),
    ],
    parcellation: Annotated[
        str,
        typer.Option(
            help="Regions by number, in the space of the image or of the anatomy; of a BIDS folder "
            "a path with {subject}, as derivatives/sub-{subject}_dseg.nii.gz."
        ),
    ],
    labels: Labels,
    out: Out,
    atlas: Atlas = "own",
    bvals: Annotated[Path | None, typer.Option(help="By default beside the image.")] = None,
    bvecs: Annotated[Path | None, typer.Option(help="By default beside the image.")] = None,
    anatomy: Annotated[
        str | None,
        typer.Option(
            help="A T1-weighted image of the brain alone, for tissues and for a parcellation in "
            "its space; of a BIDS folder with {subject}."
        ),
    ] = None,
    deform: Annotated[
        bool, typer.Option("--deform", help="The anatomy is a template: deform it to the scan.")
    ] = False,
    mask: Annotated[
        str | None,
        typer.Option(help="Where the brain is; of a BIDS folder with {subject}. Else found here."),
    ] = None,
    subject: Annotated[str, typer.Option(help="Of a single image: letters and digits.")] = "01",
    session: OneOf = None,
    run: OneOf = None,
    denoise: Annotated[bool, typer.Option(help="Take out what only noise explains.")] = True,
    order: Annotated[int, typer.Option(help="Of spherical harmonics, even.")] = 8,
    multi_shell: Annotated[
        bool, typer.Option(help="Several shells together; else the strongest alone, much faster.")
    ] = True,
    density: Annotated[int, typer.Option(help="Seeds along each edge of a voxel.")] = 1,
    white: Annotated[float, typer.Option(help="The least anisotropy of white matter.")] = 0.2,
    single: Annotated[float, typer.Option(help="That of voxels with a single fibre.")] = 0.7,
    weights: Annotated[Weights, typer.Option(help="What a bundle counts.")] = Weights.COUNT,
    by_signal: Annotated[
        bool, typer.Option("--by-signal", help="Count streamlines by what they explain.")
    ] = False,
    mrtrix: Annotated[
        bool, typer.Option("--mrtrix", help="By MRtrix3, which must be installed, with SIFT2.")
    ] = False,
    select: Annotated[int, typer.Option(help="Streamlines that MRtrix makes.")] = 100_000,
    seed: Annotated[int, typer.Option(min=1, help="Of the streamlines.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that deconvolve several shells.")] = 1,
    figures: Annotated[bool, typer.Option(help="Draw pictures to look at (not of MRtrix).")] = True,
) -> None:
    """Make connectomes: relation matrices in a BIDS derivative, a TVB zip, a picture.

    What steps made is kept in the folder, so that an interrupted command goes on. Of a BIDS folder
    each person is done by themselves: who fails is told, and the others go on.
    """
    from tvbjax import imaging
    from tvbjax.io import read_numbered_labels

    measures = {
        Weights.COUNT: imaging.streamline_count,
        Weights.DENSITY: imaging.connection_density,
    }
    if mrtrix and (by_signal or weights is not Weights.COUNT):
        raise ValueError("imaging connectome: --by-signal and --weights are not of MRtrix's.")
    if deform and anatomy is None:
        raise ValueError("imaging connectome: --deform is of an anatomy; give --anatomy.")
    how = imaging.Structural(
        white=white,
        single=single,
        order=order,
        multi_shell=multi_shell,
        density=density,
        measure=measures[weights],
        by_signal=by_signal,
        seed=seed,
    )
    task = _Task(
        imaging.Preparation(denoise=denoise, deform=deform),
        imaging.Mrtrix(select=select, order=order, seed=seed) if mrtrix else how,
        read_numbered_labels(labels),
        out,
        session,
        atlas,
        "streamlineWeight" if mrtrix or by_signal else f"streamline{weights.capitalize()}",
        workers,
        figures,
    )

    def work(person: str, scans: list[Path]) -> None:
        scan = _only(scans)
        tables = bvals or _beside(scan, ".bval"), bvecs or _beside(scan, ".bvec")
        folder = image if image.is_dir() else Path()
        regions = path_of(parcellation, person, session, folder)
        others = [
            None if name is None else path_of(name, person, session, folder)
            for name in (anatomy, mask)
        ]
        _one(_Images(scan, *tables, regions, *others), task, person)

    people = _people(image, session, run) if image.is_dir() else {subject: [image]}
    each_person(people, work, out)


class _Images(NamedTuple):
    """The files of one person."""

    scan: Path
    bvals: Path
    bvecs: Path
    parcellation: Path
    anatomy: Path | None
    mask: Path | None


class _Task(NamedTuple):
    """What is done with each person."""

    preparation: "imaging.Preparation"
    how: "imaging.Structural | imaging.Mrtrix"
    labels: dict[int, str]
    out: Path
    session: str | None
    atlas: str
    measure: str
    workers: int
    figures: bool


def _one(images: _Images, task: _Task, person: str) -> None:
    from tvbjax import imaging
    from tvbjax.imaging.images import grid_of, same_grid
    from tvbjax.io import write_bids_connectome, write_connectome_zip

    diffusion = imaging.read_diffusion(images.scan, images.bvals, images.bvecs)
    mask = None if images.mask is None else imaging.read_image(images.mask, 3, labels=True)
    scan = diffusion.unweighted
    if mask is not None and not same_grid(mask, scan):
        raise ValueError(
            f"{images.mask} has {grid_of(mask)}, and {images.scan} {grid_of(scan)}; "
            "resample it to that image."
        )
    name = f"sub-{person}" + ("" if task.session is None else f"_ses-{task.session}")
    kept = {"cache": task.out / "steps" / name, "name": name}
    prepared = imaging.prepared(
        diffusion,
        imaging.read_image(images.parcellation, 3, labels=True),
        task.preparation,
        anatomy=None if images.anatomy is None else imaging.read_image(images.anatomy, 3),
        mask=None if mask is None else mask.data > 0,
        **kept,
    )
    if isinstance(task.how, imaging.Mrtrix):
        made = imaging.mrtrix_connectome(prepared, task.labels, task.how, **kept)
    else:
        result = imaging.structural_connectome(
            prepared, task.labels, task.how, workers=task.workers, **kept
        )
        made = result.connectome
        if task.figures:
            figure = imaging.structural_quality(result)
            task.out.mkdir(parents=True, exist_ok=True)
            figure.savefig(task.out / f"{name}_meas-{task.measure}_quality.png")
    write_bids_connectome(
        made, task.out, person, session=task.session, atlas=task.atlas, measure=task.measure
    )
    packed = task.out / f"{name}_atlas-{task.atlas}_meas-{task.measure}_connectome.zip"
    write_connectome_zip(_without_blanks(made), packed)


def _without_blanks(found):
    """TVB's zip has no room for blanks in labels."""
    import dataclasses

    labels = tuple("_".join(label.split()) for label in found.labels)
    return found if labels == found.labels else dataclasses.replace(found, labels=labels)


def _beside(scan: Path, ending: str) -> Path:
    return scan.with_name(scan.name.removesuffix(".gz").removesuffix(".nii") + ending)


def _only(scans: list[Path]) -> Path:
    if len(scans) > 1:
        raise ValueError(
            f"there are {len(scans)} diffusion images ({', '.join(s.name for s in scans[:4])}); "
            "choose by --session or --run, or give one of them alone."
        )
    return scans[0]


def _people(folder: Path, session: str | None, run: str | None) -> dict[str, list[Path]]:
    """The diffusion images of each person in a BIDS folder, of that session and run."""
    wanted = [f"_{key}-{value}_" for key, value in (("ses", session), ("run", run)) if value]
    found: dict[str, list[Path]] = {}
    for place in sorted(folder.glob("sub-*")):
        scans = [scan for name in _IMAGES for scan in sorted(place.rglob(f"dwi/{name}"))]
        scans = [scan for scan in scans if all(part in scan.name for part in wanted)]
        if scans:
            found[place.name.removeprefix("sub-")] = scans
    if not found:
        raise ValueError(
            f"{folder}: no person with a diffusion image{' of ' * bool(wanted)}"
            f"{' and '.join(part.strip('_') for part in wanted)}; a BIDS folder has "
            "sub-01/dwi/sub-01_dwi.nii.gz."
        )
    return found
