"""Regional matrices of the mouse as they are published: one table per hemisphere, and p-values.

The layout is that of Oh et al. (2014), Nature 508, 207, Supplementary Table 3: sheets W_ipsi,
PValue_ipsi, W_contra and PValue_contra of 213 structures, rows sources, columns targets, with the
acronyms in the first row and the first column. Each is saved as csv.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tvbjax.connectome import Connectome
from tvbjax.imaging.two_hemispheres import two_hemispheres
from tvbjax.io.labelled import read_labelled
from tvbjax.kinds import check_number

_PathLike = str | os.PathLike[str]
# A spreadsheet's p-value where the model has no weight.
_NO_VALUE = frozenset({"", "#NUM!", "NA", "NaN"})
_LARGEST_MM = 50.0  # no mouse, rat or marmoset is that wide


def read_regional_matrices(
    ipsi: _PathLike,
    contra: _PathLike,
    p_values: tuple[_PathLike, _PathLike] | None = None,
    *,
    largest_p: float = 0.05,
    centres: Mapping[str, Sequence[float]] | None = None,
    speed: float = 3.0,
    name: str = "regional mouse",
) -> Connectome:
    """The connectome of both hemispheres, taken to be alike, from tables of weights within one and
    to the other one; weights divided by the largest.

    `p_values`: tables for both; weights whose p is above `largest_p`, or not given, are set to 0.
    `centres`: by acronym, mm, of the right hemisphere, the first number to the right of the
    midline; tracts are as long as they are apart. Without, there are no delays. `speed`: mm/ms.

    Raises FileNotFoundError, and ValueError with the place for what is no number, NaN or negative,
    for tables that are not square or name other structures, a p-value that is none, and a
    structure without a centre.
    """
    labels, same = _square(ipsi)
    other = _of_same(contra, labels, ipsi)
    for path, weights in ((ipsi, same), (contra, other)):
        _refuse(~(np.isfinite(weights) & (weights >= 0)), weights, labels, path,
                "a weight is finite and >= 0; write 0 where there is no connection")  # fmt: skip
    if p_values is not None:
        check_number("read_regional_matrices: largest_p", largest_p, above=0.0)
        for path, weights in zip(p_values, (same, other), strict=True):
            p = _of_same(path, labels, ipsi, _NO_VALUE)
            _refuse((p < 0) | (p > 1), p, labels, path, "a p-value is from 0 to 1")
            weights[~(p <= largest_p)] = 0.0
    places = None if centres is None else _placed(centres, labels)
    return two_hemispheres(same, other, labels, places, speed=speed, name=name)


def _square(
    path: _PathLike, missing: frozenset[str] = frozenset()
) -> tuple[tuple[str, ...], Float[np.ndarray, "source target"]]:
    table = read_labelled(path, missing=missing)
    if table.rows is None or table.columns is None:
        raise ValueError(
            f"{path} has no names of structures in its first "
            f"{'column' if table.rows is None else 'row'}; both have them in the published layout."
        )
    if table.rows != table.columns:
        raise ValueError(
            f"{path}: {len(table.rows)} rows and {len(table.columns)} columns"
            f"{_first_difference(table.rows, table.columns)}; both are the same structures in one "
            "order."
        )
    return table.rows, table.values


def _of_same(
    path: _PathLike,
    labels: tuple[str, ...],
    first: _PathLike,
    missing: frozenset[str] = frozenset(),
) -> Float[np.ndarray, "source target"]:
    found, values = _square(path, missing)
    if found != labels:
        raise ValueError(
            f"{path} and {first} name {len(found)} and {len(labels)} structures"
            f"{_first_difference(found, labels)}; take all tables from one source."
        )
    return values


def _first_difference(one: Sequence[str], other: Sequence[str]) -> str:
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return f", of which number {place} is {a!r} and {b!r}"
    return ""


def _refuse(
    wrong: np.ndarray, values: np.ndarray, labels: tuple[str, ...], path: _PathLike, why: str
) -> None:
    if wrong.any():
        source, target = np.argwhere(wrong)[0]
        raise ValueError(
            f"{Path(path)}: from {labels[source]} to {labels[target]} is "
            f"{values[source, target]:g}; {why}."
        )


def _placed(
    centres: Mapping[str, Sequence[float]], labels: tuple[str, ...]
) -> Float[np.ndarray, "source 3"]:
    absent = [one for one in labels if one not in centres]
    if absent:
        raise ValueError(
            f"read_regional_matrices: centres has no {', '.join(absent[:5])}"
            f"{' and others' if len(absent) > 5 else ''} ({len(absent)} of {len(labels)} "
            "structures); give one of each."
        )
    for label in labels:
        place = np.asarray(centres[label], float)
        if place.shape != (3,) or not np.isfinite(place).all() or place[0] < 0:
            raise ValueError(
                f"read_regional_matrices: the centre of {label} is {centres[label]!r}; give three "
                "numbers in mm, the first >= 0: how far to the right of the midline."
            )
        if np.abs(place).max() > _LARGEST_MM:
            raise ValueError(
                f"read_regional_matrices: the centre of {label} is {centres[label]!r}, which are "
                "no mm in a mouse; divide um by 1000."
            )
    return np.array([centres[label] for label in labels], float)
