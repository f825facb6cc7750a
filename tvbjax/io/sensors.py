"""Sensors and gain matrices from files of TVB, its pipelines and BIDS.

| file | content |
|---|---|
| sensors, `.txt`, `.txt.bz2` | per sensor: label, x, y, z in mm, of MEG the coil's direction, too |
| sensors, `.tsv` | BIDS's `_electrodes.tsv`: columns name, x, y, z |
| gain, `.npy`, `.mat`, text | (sensor, source); of a `.mat` the matrix of the name that is given |
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tvbjax.forward import Sensors
from tvbjax.io.archive import read_packed
from tvbjax.io.labelled import read_labelled
from tvbjax.io.table import (
    decode,
    labelled_numbers_from_text,
    not_a_number,
    number_in,
    numbers_from_npy,
)


def read_sensors(path: str | os.PathLike[str], *, oriented: bool = False) -> Sensors:
    """Sensors from a text file; `oriented`: also read the three columns of directions (MEG).

    Raises FileNotFoundError and ValueError.
    """
    path = Path(path)
    content = read_packed(path)
    if path.suffix.lower() == ".tsv":
        if oriented:
            raise ValueError(f"{path}: BIDS's electrodes have no directions; leave oriented out.")
        labels, numbers = _electrodes(content, str(path))
    else:
        columns = 6 if oriented else 3
        labels, numbers = labelled_numbers_from_text(content, str(path), columns=columns)
    name = path.name.split(".")[0]
    try:
        return Sensors(labels, numbers[:, :3], numbers[:, 3:] if oriented else None, name=name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_gain_matrix(
    path: str | os.PathLike[str], variable: str | None = None
) -> Float[np.ndarray, "sensor source"]:
    """A gain matrix from `.npy`, `.mat` or text (`.tsv`, `.csv`, `.txt`), as it is; NaN where the
    file has NaN. `variable`: of a `.mat` with several matrices.

    Raises FileNotFoundError and ValueError.
    """
    path = Path(path)
    if path.suffix.lower() != ".npy":
        return read_labelled(path, variable).values
    matrix = numbers_from_npy(read_packed(path), str(path))
    if matrix.ndim != 2:
        raise ValueError(f"{path} has the shape {matrix.shape}; a gain is (sensor, source).")
    return matrix


def _electrodes(content: bytes, where: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and places (mm) of BIDS's table of electrodes; other columns are passed by."""
    lines = [line.split("\t") for line in decode(content, where).splitlines() if line.strip()]
    header = [field.strip() for field in lines[0]] if lines else []
    missing = [name for name in ("name", "x", "y", "z") if name not in header]
    if missing:
        raise ValueError(f"{where}: there is no column {', '.join(missing)}, as BIDS has them.")
    places = [header.index(name) for name in ("name", "x", "y", "z")]
    labels, rows = [], []
    for number, fields in enumerate(lines[1:], start=2):
        if len(fields) != len(header):
            raise ValueError(f"{where}, line {number}: {len(fields)} of {len(header)} columns.")
        labels.append(fields[places[0]].strip())
        row = [number_in(fields[place]) for place in places[1:]]
        for place, value in zip(places[1:], row, strict=True):
            if value is None:
                raise ValueError(not_a_number(where, number, place + 1, fields[place]))
        rows.append(row)
    if not rows:
        raise ValueError(f"{where} has no electrodes.")
    return tuple(labels), np.array(rows, float)
