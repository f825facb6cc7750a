"""Connectomes from retrograde tracers: tables of the fraction of labelled neurons per pathway.

A tracer is injected into one area; where it labels neurons, axons come from. The layout is that of
the macaque's tables by Markov et al. (2014), Cerebral Cortex 24, 17: one row per injection and
source, with the extrinsic fraction of labelled neurons, FLNe, which sums to 1 over sources.
"""

import csv
import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from tvbjax.connectome import Connectome
from tvbjax.io.archive import read_packed
from tvbjax.io.labelled import read_labelled, splitter
from tvbjax.io.table import decode, not_a_number, number_in
from tvbjax.kinds import check_number

_PathLike = str | os.PathLike[str]
_ROUNDING = 0.01  # of the sum of an injection's fractions, which are given with three digits
_BLANK = frozenset({"", "NA", "NaN"})
_LONGEST_MM = 300.0

Injections = dict[str, dict[str, dict[str, float]]]  # by target, case and source


def read_retrograde_table(
    path: _PathLike,
    distances: _PathLike | None = None,
    *,
    source: str = "SOURCE",
    target: str = "TARGET",
    fraction: str = "FLNe",
    case: str | None = "CASE",
    unit: float = 1.0,
    speed: float = 3.0,
    name: str = "macaque",
) -> Connectome:
    """The connectome of the areas that were injected, so that every pair of them is known.

    Weights are the fractions as they are, from 0 to 1, means over the injections of an area, with 0
    where one labelled nothing; sources that were not injected are left out. Areas are in the order
    in which they are first injected. `source`, `target`, `fraction`, `case`: names of the columns,
    in upper or lower case; `case` tells the injections of an area apart, None where the table has
    each pair once. `distances`: a table of lengths between areas, with their names in the first row
    and the first column, in upper or lower case; what is blank is taken from the other half.
    Without, there are no delays. `unit`: mm in the unit of the distances. `speed`: mm/ms.

    Raises FileNotFoundError, and ValueError with the line for a missing column, a fraction that is
    no number from 0 to 1, a row that is there twice, and fractions of an injection that sum to more
    than 1; for fewer than two injected areas; and for distances that are missing, negative,
    different in both directions, or no mm.
    """
    injections = _injections(path, source, target, fraction, case)
    areas = list(injections)
    if len(areas) < 2:
        raise ValueError(f"{path} has injections into {len(areas)} area; a connectome needs two.")
    _check_one_spelling(path, injections)
    place = {area: i for i, area in enumerate(areas)}
    weights = np.zeros((len(areas), len(areas)))
    for into, cases in injections.items():
        for fractions in cases.values():
            for origin, value in fractions.items():
                if origin in place:
                    weights[place[into], place[origin]] += value / len(cases)
    check_number("read_retrograde_table: unit", unit, above=0.0)
    lengths = None if distances is None else unit * _distances(distances, areas)
    if lengths is not None and not 1.0 < lengths.max() < _LONGEST_MM:
        raise ValueError(
            f"{distances}: the longest distance is {lengths.max():g} mm, which no cortex has; pass "
            "unit=, mm in the unit of the table."
        )
    return Connectome(weights, lengths, speed, areas, name=name)


def _injections(
    path: _PathLike, source: str, target: str, fraction: str, case: str | None
) -> Injections:
    text = decode(read_packed(path), str(path))
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise ValueError(f"{path} is empty; it should have a row of names and rows of pathways.")
    split = splitter(lines[0][1])
    header = [name.casefold() for name in split(lines[0][1])]
    wanted = [source, target, fraction] + ([] if case is None else [case])
    absent = [one for one in wanted if one.casefold() not in header]
    if absent:
        hint = "; pass case=None where each pair is there once" if absent == [case] else ""
        raise ValueError(
            f"{path}: there is no column {' and no '.join(absent)}; the columns are "
            f"{', '.join(split(lines[0][1]))}. Name those that are meant{hint}."
        )
    twice = [one for one in wanted if header.count(one.casefold()) > 1]
    if twice:
        raise ValueError(f"{path}: there are several columns {twice[0]}; keep one.")
    columns = [header.index(one.casefold()) for one in wanted]
    found: Injections = {}
    for number, line in lines[1:]:
        row = _row(split, line, f"{path}, line {number}", len(header))
        origin, into, value = (row[column] for column in columns[:3])
        which = row[columns[3]] if case is not None else ""
        if not origin or not into:
            raise ValueError(f"{path}, line {number}: the name of an area is missing.")
        share = number_in(value)
        if share is None:
            raise ValueError(not_a_number(str(path), number, columns[2] + 1, value))
        if not 0.0 <= share <= 1.0:
            raise ValueError(
                f"{path}, line {number}: {fraction} is {value}; a fraction of labelled neurons is "
                "from 0 to 1."
            )
        fractions = found.setdefault(into, {}).setdefault(which, {})
        if origin in fractions:
            told = f" of case {which}" if case is not None else "; name the column of cases"
            raise ValueError(
                f"{path}, line {number}: {origin} to {into} is there twice{told}; keep one row of "
                "each injection."
            )
        fractions[origin] = share
        if sum(fractions.values()) > 1.0 + _ROUNDING:
            raise ValueError(
                f"{path}, line {number}: fractions of the injection into {into} sum to "
                f"{sum(fractions.values()):.3g}; they are shares of all labelled neurons."
            )
    return found


def _check_one_spelling(path: _PathLike, injections: Injections) -> None:
    """An area that is written in two ways would be left out as a source without a word."""
    areas = {area.casefold(): area for area in injections}
    named = {*injections, *(o for cases in injections.values() for f in cases.values() for o in f)}
    for one in sorted(named):
        if areas.get(one.casefold(), one) != one:
            raise ValueError(
                f"{path}: {one!r} and {areas[one.casefold()]!r} are the same but for upper and "
                "lower case; write an area in one way."
            )


def _row(split, line: str, where: str, width: int) -> list[str]:
    try:
        row = split(line)
    except csv.Error as error:
        raise ValueError(f"{where} cannot be read ({error}).") from error
    if len(row) != width:
        raise ValueError(f"{where}: {len(row)} columns, but the first row has {width}.")
    return row


def _distances(path: _PathLike, areas: Sequence[str]) -> Float[np.ndarray, "area area"]:
    table = read_labelled(path, missing=_BLANK)
    if table.rows is None or table.columns is None:
        raise ValueError(f"{path}: distances have names of areas in the first row and column.")
    rows, columns = (_places(names, path) for names in (table.rows, table.columns))
    known = np.full((len(areas), len(areas)), np.nan)
    folded = [area.casefold() for area in areas]
    for i, one in enumerate(folded):
        for j, other in enumerate(folded):
            if one in rows and other in columns:
                known[i, j] = table.values[rows[one], columns[other]]
    known = np.where(np.isnan(known), known.T, known)
    np.fill_diagonal(known, np.nan_to_num(np.diag(known), nan=0.0))
    apart = ~np.eye(len(areas), dtype=bool)
    wrong = ~np.isfinite(known) | (known < 0) | (apart & (known == 0))
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise ValueError(
            f"{path}: the distance between {areas[i]} and {areas[j]} is "
            f"{'missing' if np.isnan(known[i, j]) else f'{known[i, j]:g}'}; give one > 0 for each "
            f"pair of {len(areas)} areas, under the names of the other table."
        )
    differing = np.argwhere(~np.isclose(known, known.T, rtol=0.01))
    if len(differing):
        i, j = differing[0]
        raise ValueError(
            f"{path}: {areas[i]} and {areas[j]} are {known[i, j]:g} and {known[j, i]:g} apart; a "
            "distance is the same both ways."
        )
    return (known + known.T) / 2.0


def _places(names: Sequence[str], path: _PathLike) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        if name.casefold() in found:
            raise ValueError(f"{path}: {name!r} is there twice; keep one.")
        found[name.casefold()] = place
    return found
