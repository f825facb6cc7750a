"""Tables of numbers with the labels that they may have: text, .npy, MATLAB's files.

Knows no connectome. Text is separated by tabs, semicolons, commas or white space, whichever comes
first in this order; lines that begin with `#` are comments, as MRtrix and NumPy write them.
"""

import csv
import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tvbjax.io.archive import read_packed
from tvbjax.io.matlab import matrix_of
from tvbjax.io.table import decode, fields_of, not_a_number, number_in, numbers_from_npy


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Numbers (row, column), and the labels of both, None where the file has none."""

    values: np.ndarray
    rows: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None


def read_labelled(
    path: str | os.PathLike[str],
    variable: str | None = None,
    missing: frozenset[str] = frozenset(),
) -> Labelled:
    """A table from a file of the kind that its suffix says: .mat, .npy, else text.

    `variable`: of a .mat file with several matrices. `missing`: what a text has where there is no
    number, which is read as NaN. Raises FileNotFoundError, and ValueError with the line and the
    column.
    """
    path = Path(path)
    where = str(path)
    content = read_packed(path)
    suffix = Path(path.name.removesuffix(".bz2")).suffix.lower()
    if suffix == ".mat":
        return Labelled(matrix_of(content, where, variable))
    if variable is not None:
        raise ValueError(f"{path} is no .mat file, so that it has no variable {variable!r}.")
    if suffix == ".npy":
        values = numbers_from_npy(content, where)
        if values.ndim != 2:
            raise ValueError(f"{path} has the shape {values.shape}; it should have two axes.")
        return Labelled(values)
    return _of_text(decode(content, where), where, missing)


def _of_text(text: str, where: str, missing: frozenset[str]) -> Labelled:
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ValueError(f"{where} is empty; it should hold rows of numbers.")
    split = splitter(lines[0][1])
    try:
        rows = [(number, split(line)) for number, line in lines]
    except csv.Error as error:
        raise ValueError(f"{where} is no table that can be read ({error}).") from error
    header, body = None, rows
    first = rows[0][1]
    if first[0] == "" or (_are_labels(first[:1]) and _are_labels(first[1:] or first)):
        header, body = tuple(first), rows[1:]
    if not body:
        raise ValueError(f"{where} has a row of labels and no numbers.")
    width = len(body[0][1])
    for number, row in body:
        if len(row) != width:
            raise ValueError(
                f"{where}, line {number}: {len(row)} columns, but the rows before have {width}."
            )
    labelled = (
        _are_labels([row[0] for _, row in body])
        or (header is not None and header[0] == "")
        or (header is not None and len(header) + 1 == width)  # R leaves the corner out
    )
    if header is not None:
        header = header[1:] if labelled and len(header) == width else header
        if len(header) != width - labelled:
            raise ValueError(
                f"{where}, line {rows[0][0]}: {len(header)} labels for "
                f"{width - labelled} columns of numbers."
            )
    values = np.empty((len(body), width - labelled))
    for place, (number, row) in enumerate(body):
        for column, field in enumerate(row[labelled:]):
            value = math.nan if field in missing else number_in(field)
            if value is None:
                raise ValueError(not_a_number(where, number, column + labelled + 1, field))
            values[place, column] = value
    return Labelled(values, tuple(row[0] for _, row in body) if labelled else None, header)


def splitter(line: str) -> Callable[[str], list[str]]:
    """What takes the lines of a table apart of which this is one."""
    for delimiter in "\t;,":
        if delimiter in line:
            return lambda line: [
                field.strip()
                for field in next(
                    csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
                )
            ]
    return fields_of


def _are_labels(fields: list[str]) -> bool:
    """Most of them are no numbers: a few that are none are mistakes, which are told."""
    return sum(number_in(field) is None for field in fields) * 2 > len(fields)
