"""Connectomes that diffusion pipelines wrote: MRtrix3_connectome, QSIPrep and QSIRecon."""

import os
import re
from pathlib import Path

from tvbjax.connectome import Connectome
from tvbjax.io.archive import read_packed
from tvbjax.io.labels import read_labels
from tvbjax.io.matlab import listed, variables_of
from tvbjax.io.matrices import filled, read_connectome_matrices
from tvbjax.regions import hemispheres_from_labels

_LEVEL = "MRtrix3_connectome-participant"
_CONNECTOME = re.compile(
    r"(?P<stem>.*_(?P<key>parc|desc)-(?P<parcellation>[^_]+))(_level-participant)?_connectome\.csv"
)


def read_mrtrix3_connectome(
    folder: str | os.PathLike[str],
    subject: str,
    *,
    session: str | None = None,
    parcellation: str | None = None,
    lengths: bool = True,
    speed: float = 3.0,
) -> Connectome:
    """A person's connectome from what the BIDS App MRtrix3_connectome wrote at participant level.

    Weights are sums of SIFT2's weights of streamlines, lengths their means (mm); both are one
    triangle in the files and symmetric here. Labels are those of the lookup table beside the
    folders of people, if it is there. `parcellation`: e.g. "desikan", where there are several.
    `lengths`: False does without mean lengths, which the App writes at `--output_verbosity` 2.

    Raises FileNotFoundError, and ValueError where there are several, or tables that do not fit.
    """
    root = Path(folder)
    root = root / _LEVEL if (root / _LEVEL).is_dir() else root
    place = root / f"sub-{subject}"
    if not place.is_dir():
        people = sorted(one.name for one in root.glob("sub-*") if one.is_dir())
        there = listed(dict.fromkeys(people))
        raise FileNotFoundError(f"{root}: there is no sub-{subject}; there is {there}.")
    place = place if session is None else place / f"ses-{session}"
    every = sorted(place.glob("**/connectome/*_connectome.csv"))
    matches = [(path, match) for path in every if (match := _CONNECTOME.fullmatch(path.name))]
    found = [
        (path, match)
        for path, match in matches
        if parcellation is None or match["parcellation"] == parcellation
    ]
    names = listed({str(path.relative_to(place)): None for path, _ in matches})
    if not found:
        raise FileNotFoundError(
            f"{place}: there is no connectome/*_connectome.csv"
            f"{'' if parcellation is None else f' of {parcellation}'}; there is {names}."
        )
    if len(found) > 1:
        raise ValueError(f"{place}: several connectomes, {names}; give parcellation= or session=.")
    path, match = found[0]
    tracts = path.with_name(f"{match['stem']}_meanlength.csv")
    if lengths and not tracts.is_file():
        raise FileNotFoundError(
            f"{place}: there is no {tracts.name}; run MRtrix3_connectome with --output_verbosity "
            "2, or pass lengths=False for no delays."
        )
    tables = sorted(root.glob(f"{match['key']}-{match['parcellation']}_lookup.*"))
    return read_connectome_matrices(
        path,
        tracts if lengths else None,
        read_labels(tables[0]) if tables else None,
        symmetric=True,
        speed=speed,
        name=f"sub-{subject}",
    )


def read_qsirecon_connectome(
    path: str | os.PathLike[str],
    measure: str,
    lengths: str | None = "radius2_meanlength",
    *,
    atlas: str | None = None,
    symmetric: bool | None = None,
    speed: float = 3.0,
) -> Connectome:
    """A connectome from a `*_connectivity.mat` of QSIPrep or QSIRecon.

    `measure`: the name between the atlas's and `_connectivity`, e.g.
    "sift_invnodevol_radius2_count". `lengths`: that of the mean lengths (mm), None for no delays.
    `atlas`: e.g. "4S156Parcels", where there are several. `symmetric`: as of
    `read_connectome_matrices`. Raises FileNotFoundError, and ValueError that lists what there is.
    """
    path = Path(path)
    variables = variables_of(read_packed(path), str(path))
    ends = "_region_labels"
    # Of QSIRecon atlas_4S156Parcels_..., of older QSIPreps aal116_...
    starts = {
        name.removesuffix(ends).removeprefix("atlas_"): name.removesuffix(ends)
        for name in variables
        if name.endswith(ends)
    }
    if not starts:
        raise ValueError(
            f"{path}: there is no variable *{ends}, as QSIRecon writes; it holds "
            f"{listed(variables)}. read_connectome_matrices reads any .mat."
        )
    if atlas is None and len(starts) > 1:
        raise ValueError(f"{path}: several atlases, {listed(starts)}; say which by atlas=.")
    chosen = atlas if atlas is not None else next(iter(starts))
    if chosen not in starts:
        raise ValueError(f"{path}: there is no atlas {chosen!r}; there is {listed(starts)}.")
    matrices = _measures(variables, starts[chosen])
    arrays = {}
    for what, name in (("weights", measure), ("tract_lengths", lengths)):
        if name is None:
            continue
        if matrices.get(name) is None:
            hint = "" if what == "weights" else " Name the one of the lengths by lengths=, or None."
            raise ValueError(
                f"{path}: there is no {name!r} of {chosen}; there is {listed(matrices)}.{hint}"
            )
        arrays[what] = filled(matrices[name], f"{path}: {name}", symmetric)
    labels = variables[starts[chosen] + ends]
    if not isinstance(labels, tuple):
        raise ValueError(f"{path}: {starts[chosen] + ends} is no list of names.")
    try:
        return Connectome(
            **arrays,
            speed=speed,
            labels=labels,
            hemispheres=hemispheres_from_labels(labels),
            name=path.name.split(".")[0],
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _measures(variables: dict, start: str) -> dict:
    """Matrices of an atlas, by the names of their measures."""
    begin, end = start + "_", "_connectivity"
    return {
        name.removeprefix(begin).removesuffix(end): value
        for name, value in variables.items()
        if name.startswith(begin) and name.endswith(end)
    }
