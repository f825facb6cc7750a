"""Runs of functional images in fMRIPrep's derivatives: BOLD, its confounds, its repetition time.

Volumes (`_desc-preproc_bold.nii.gz`), surfaces (`_bold.func.gii` of both hemispheres) and
grayordinates (`_bold.dtseries.nii`), by the names of all versions since 1.2 (Esteban et al. 2019,
Nat. Methods 16, 111).
"""

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tvbjax.imaging.functional import steady_confounds
from tvbjax.imaging.images import check_gzip
from tvbjax.kinds import check_number

_IMAGES = re.compile(r"(_desc-preproc_bold\.nii\.gz|_bold\.func\.gii|_bold\.dtseries\.nii)$")
_CONFOUNDS = re.compile(r"_desc-confounds_(timeseries|regressors)\.tsv$")
# Entities that tell images of one run apart.
_OF_IMAGES = ("space", "res", "den", "hemi", "desc", "cohort", "echo", "part")
_REPETITION = "RepetitionTime"


@dataclasses.dataclass(frozen=True)
class FmriprepRun:
    """A run that `fmriprep_run` found.

    Attributes:
        images: one file, or those of the left and the right hemisphere.
        confounds: the table of confounds.
        repetition_time: ms.
    """

    images: tuple[Path, ...]
    confounds: Path
    repetition_time: float

    def load(
        self, **options: Any
    ) -> tuple[Float[np.ndarray, "*place time"], Float[np.ndarray, "time confound"]]:
        """BOLD, and confounds as `fmriprep_confounds` gives them with these `options`.

        BOLD is (x, y, z, time), or (vertex, time) with the left hemisphere's vertices first.
        Samples before the steady state, which the confounds tell, are left out of both. Raises
        ValueError where the two have different lengths.
        """
        parts = [_samples(path) for path in self.images]
        lengths = {part.shape[-1] for part in parts}
        # Under this name nilearn finds the table for surfaces of any version, too.
        name = _CONFOUNDS.sub("_desc-preproc_bold.nii.gz", self.confounds.name)
        rows, total = steady_confounds(self.confounds.with_name(name), options)
        if lengths != {total}:
            raise ValueError(
                f"{self.images[0]} has {parts[0].shape[-1]} samples and {self.confounds} {total}; "
                "they are not of one run."
            )
        bold = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return bold[..., total - len(rows) :], rows


def fmriprep_run(
    folder: str | os.PathLike[str],
    subject: str,
    *,
    task: str,
    session: str | None = None,
    run: str | None = None,
    space: str | None = None,
    repetition_time: float | None = None,
    **entities: str,
) -> FmriprepRun:
    """The run of a person in fMRIPrep's derivatives, with all that `regional_series` needs.

    `space`: e.g. "MNI152NLin2009cAsym", "fsaverage5", "fsLR", or "" for that of the run itself.
    `entities`: others of BIDS that tell files apart, e.g. `res="2"`, `acq="mb"`.
    `repetition_time`: ms, where no sidecar says it.

    Raises FileNotFoundError where there is none, and ValueError that lists them where there are
    several, a hemisphere lacks, or nothing says the repetition time.
    """
    place = Path(folder) / f"sub-{subject}"
    if not place.is_dir():
        there = ", ".join(sorted(one.name for one in Path(folder).glob("sub-*") if one.is_dir()))
        raise FileNotFoundError(f"{folder}: there is no sub-{subject}; there is {there or 'none'}.")
    place = place if session is None else place / f"ses-{session}"
    files = sorted(path for path in place.glob("**/func/*") if _IMAGES.search(path.name))
    wanted = {"task": task, "run": run, "space": space, **entities}
    wanted = {key: value for key, value in wanted.items() if value is not None}
    groups: dict[tuple, dict[str, Path]] = {}
    for path in files:
        found = _entities(path)
        if all(_alike(key, found.get(key, ""), value) for key, value in wanted.items()):
            hemisphere = found.pop("hemi", "")
            groups.setdefault(tuple(sorted(found.items())), {})[hemisphere] = path
    if not groups:
        there = "\n  ".join(path.name for path in files) or "none"
        said = ", ".join(f"{key}={value!r}" for key, value in wanted.items())
        raise FileNotFoundError(f"{place}: there is no BOLD of {said}; there is\n  {there}")
    if len(groups) > 1:
        there = "\n  ".join(path.name for group in groups.values() for path in group.values())
        raise ValueError(
            f"{place}: several runs or spaces; choose by session=, run=, space= or another entity "
            f"of\n  {there}"
        )
    images = _in_hemispheres(next(iter(groups.values())))
    if repetition_time is None:
        repetition_time = _repetition_time(images[0])
    check_number("fmriprep_run: repetition_time (ms)", repetition_time, above=0.0)
    return FmriprepRun(images, _confounds(images[0]), float(repetition_time))


def _in_hemispheres(group: dict[str, Path]) -> tuple[Path, ...]:
    if set(group) == {""}:
        return (group[""],)
    if set(group) != {"L", "R"}:
        raise ValueError(
            f"{next(iter(group.values()))}: the file of the other hemisphere is not beside it."
        )
    return group["L"], group["R"]


def _confounds(image: Path) -> Path:
    tables = [
        path
        for path in sorted(image.parent.iterdir())
        if _CONFOUNDS.search(path.name) and _of_run(path) == _of_run(image)
    ]
    if len(tables) != 1:
        there = ", ".join(path.name for path in tables) or "none"
        raise ValueError(
            f"{image}: its table *_desc-confounds_timeseries.tsv should be beside it, and there "
            f"is {there}."
        )
    return tables[0]


def _repetition_time(image: Path) -> float:
    """ms, of the image's sidecar, or of those of other images of the run, which all agree."""
    own = image.with_name(
        re.sub(r"(_bold)?\.(nii(\.gz)?|func\.gii|dtseries\.nii)$", "_bold.json", image.name)
    )
    times = _seconds(own)
    if not times:
        times = {
            seconds
            for path in sorted(image.parent.glob("*_bold*.json"))
            if _of_run(path) == _of_run(image)
            for seconds in _seconds(path)
        }
    if len(times) != 1:
        said = " and ".join(f"{one:g} s" for one in sorted(times)) or "none"
        raise ValueError(
            f"{image}: {_REPETITION} in the sidecars of this run is {said}; give "
            "repetition_time= in ms."
        )
    return 1000.0 * next(iter(times))


def _seconds(sidecar: Path) -> set[float]:
    if not sidecar.is_file():
        return set()
    try:
        found = json.loads(sidecar.read_text())
    except ValueError as error:
        raise ValueError(f"{sidecar}: no readable JSON ({error}).") from error
    value = found.get(_REPETITION) if isinstance(found, dict) else None
    if value is None:
        return set()
    check_number(f"{sidecar}: {_REPETITION} (s)", value, above=0.0)
    return {float(value)}


def _entities(path: Path) -> dict[str, str]:
    parts = path.name.split(".")[0].split("_")
    return dict(part.split("-", 1) for part in parts if "-" in part)


def _of_run(path: Path) -> dict[str, str]:
    return {key: value for key, value in _entities(path).items() if key not in _OF_IMAGES}


def _alike(key: str, value: str, wanted: str) -> bool:
    return value == wanted or (key == "run" and value.lstrip("0") == wanted.lstrip("0") != "")


def _samples(path: Path) -> np.ndarray:
    import nibabel

    try:
        check_gzip(path)
        image: Any = nibabel.load(path)
        if isinstance(image, nibabel.GiftiImage):
            values = np.stack([array.data for array in image.darrays], axis=-1)
        else:
            values = np.asarray(image.dataobj, np.float32)  # half the memory of a scaled image
    except Exception as error:
        raise ValueError(f"{path} is no readable image: {error}") from error
    if path.name.endswith(".dtseries.nii"):
        values = values.T
    wanted = 4 if path.name.endswith("bold.nii.gz") else 2
    if values.ndim != wanted:
        raise ValueError(f"{path} has the shape {values.shape}; BOLD has {wanted} axes.")
    return values
