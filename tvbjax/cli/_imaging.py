"""`tvbjax imaging`: connectomes from diffusion images, of one person or a BIDS folder."""

from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.console import Console

app = typer.Typer(help="From scans to connectomes.", no_args_is_help=True)

_IMAGES = ("*_dwi.nii.gz", "*_dwi.nii")


@app.command()
def connectome(
    image: Annotated[
        Path,
        typer.Argument(metavar="DWI", help="A diffusion image (NIfTI), or a BIDS folder."),
    ],
    parcellation: Annotated[
        str,
        typer.Option(
            help="Regions by number, in the space of the image; of a BIDS folder a path with "
            "{subject}, as derivatives/sub-{subject}_dseg.nii.gz."
        ),
    ],
    labels: Annotated[
        Path, typer.Option(help="Rows of number and name, as BIDS's dseg.tsv (index, name).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for all that is made.")],
    atlas: Annotated[str, typer.Option(help="The parcellation's name: letters, digits.")] = "own",
    bvals: Annotated[Path | None, typer.Option(help="By default beside the image.")] = None,
    bvecs: Annotated[Path | None, typer.Option(help="By default beside the image.")] = None,
    mask: Annotated[
        str | None,
        typer.Option(help="Where the brain is; of a BIDS folder with {subject}. Else found here."),
    ] = None,
    subject: Annotated[str, typer.Option(help="Of a single image: letters and digits.")] = "01",
    denoise: Annotated[bool, typer.Option(help="Take out what only noise explains.")] = True,
    order: Annotated[int, typer.Option(help="Of spherical harmonics, even.")] = 8,
    density: Annotated[int, typer.Option(help="Seeds along each edge of a voxel.")] = 1,
    white: Annotated[float, typer.Option(help="The least anisotropy of white matter.")] = 0.2,
    single: Annotated[float, typer.Option(help="That of voxels with a single fibre.")] = 0.7,
    seed: Annotated[int, typer.Option(min=1, help="Of the streamlines.")] = 1,
    figures: Annotated[bool, typer.Option(help="Draw pictures to look at.")] = True,
) -> None:
    """Make connectomes by dipy: relation matrices in a BIDS derivative, a TVB zip, a picture.

    What steps made is kept in the folder, so that an interrupted command goes on. Of a BIDS folder
    each person is done by themselves: who fails is told, and the others go on.
    """
    from tvbjax import imaging

    options = imaging.Structural(
        denoise=denoise, order=order, density=density, white=white, single=single, seed=seed
    )
    names = read_labels(labels)
    console = Console(soft_wrap=True)
    people = _people(image) if image.is_dir() else {subject: [image]}
    failed = []
    for person, scans in people.items():
        place = Path(parcellation.format(subject=person))
        try:
            scan = _only(scans)
            stem = _stem(scan)
            tables = bvals or stem.with_suffix(".bval"), bvecs or stem.with_suffix(".bvec")
            inside = None if mask is None else Path(mask.format(subject=person))
            images = _Images(scan, *tables, place, inside)
            _one(images, names, options, out, person, atlas, figures)
        except (ValueError, OSError) as error:
            if not image.is_dir():
                raise
            failed.append(person)
            console.print(f"sub-{person}: {error}", style="red", markup=False, highlight=False)
        else:
            console.print(f"sub-{person}: written to {out}", markup=False, highlight=False)
    if failed:
        raise ValueError(
            f"imaging connectome: {len(failed)} of {len(people)} people failed: "
            f"{', '.join(failed)}."
        )


class _Images(NamedTuple):
    """The files of one person."""

    scan: Path
    bvals: Path
    bvecs: Path
    parcellation: Path
    mask: Path | None


def _one(images: _Images, names, options, out, person, atlas, figures):
    from tvbjax import imaging
    from tvbjax.io import write_bids_connectome, write_connectome_zip

    diffusion = imaging.read_diffusion(images.scan, images.bvals, images.bvecs)

    def volume(path: Path) -> np.ndarray:
        found, affine = imaging.read_image(path, 3, labels=True)
        alike = found.shape == diffusion.data.shape[:3]
        if alike and not np.allclose(affine, diffusion.affine, atol=1e-2):
            raise ValueError(
                f"{path} is in another space than {images.scan}: their affines differ by up to "
                f"{np.abs(affine - diffusion.affine).max():.3g}; resample it to that image."
            )
        return found

    result = imaging.structural_connectome(
        diffusion,
        volume(images.parcellation),
        names,
        options,
        mask=None if images.mask is None else volume(images.mask) > 0,
        cache=out / "steps" / f"sub-{person}",
        name=f"sub-{person}",
    )
    write_bids_connectome(result.connectome, out, person, atlas=atlas, measure="streamlineCount")
    write_connectome_zip(_without_blanks(result.connectome), out / f"sub-{person}_connectome.zip")
    if figures:
        figure = imaging.structural_quality(result, diffusion)
        figure.savefig(out / f"sub-{person}_quality.png")


def _without_blanks(found):
    """TVB's zip has no room for blanks in labels."""
    import dataclasses

    labels = tuple("_".join(label.split()) for label in found.labels)
    return found if labels == found.labels else dataclasses.replace(found, labels=labels)


def _stem(scan: Path) -> Path:
    return scan.with_name(scan.name.removesuffix(".gz").removesuffix(".nii"))


def _only(scans: list[Path]) -> Path:
    if len(scans) > 1:
        raise ValueError(
            f"there are {len(scans)} diffusion images ({', '.join(s.name for s in scans[:4])}); "
            "give one of them alone."
        )
    return scans[0]


def _people(folder: Path) -> dict[str, list[Path]]:
    """The diffusion images of each person in a BIDS folder."""
    found: dict[str, list[Path]] = {}
    for place in sorted(folder.glob("sub-*")):
        scans = [scan for name in _IMAGES for scan in sorted(place.rglob(f"dwi/{name}"))]
        if scans:
            found[place.name.removeprefix("sub-")] = scans
    if not found:
        raise ValueError(
            f"{folder}: no person with a diffusion image; a BIDS folder has "
            "sub-01/dwi/sub-01_dwi.nii.gz."
        )
    return found


def read_labels(path: Path) -> dict[int, str]:
    """Names by number, from rows of both; the first may name the columns. Raises ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    found: dict[int, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        parts = line.split("\t") if "\t" in line else line.split(None, 1)
        if len(parts) < 2 or not line.strip() or line.startswith("#"):
            continue
        if not parts[0].strip().isdigit():
            if number == 1:
                continue
            raise ValueError(f"{path}, line {number}: {parts[0]!r} is no number of a region.")
        if int(parts[0]) == 0:
            continue
        if int(parts[0]) in found:
            raise ValueError(f"{path}, line {number}: {parts[0]} is there twice.")
        found[int(parts[0])] = parts[1].strip()
    if not found:
        raise ValueError(f"{path}: no row of a number and a name.")
    return found
