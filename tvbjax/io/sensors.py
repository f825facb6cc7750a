"""Sensors and gain matrices from TVB's files.

| file | content |
|---|---|
| sensors, `.txt`, `.txt.bz2` | per sensor: label, x, y, z in mm, of MEG the coil's direction, too |
| gain, `.npy` or `.mat` | (sensor, source); of a `.mat` the one matrix of numbers that it holds |
"""

import io
import os
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tvbjax.forward import Sensors
from tvbjax.io.archive import read_packed
from tvbjax.io.table import labelled_numbers_from_text, numbers_from_npy


def read_sensors(path: str | os.PathLike[str], *, oriented: bool = False) -> Sensors:
    """Sensors from a text file; `oriented`: also read the three columns of directions (MEG).

    Raises FileNotFoundError and ValueError.
    """
    path = Path(path)
    content = read_packed(path)
    labels, numbers = labelled_numbers_from_text(content, str(path), columns=6 if oriented else 3)
    name = path.name.split(".")[0]
    try:
        return Sensors(labels, numbers[:, :3], numbers[:, 3:] if oriented else None, name=name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_gain_matrix(path: str | os.PathLike[str]) -> Float[np.ndarray, "sensor source"]:
    """A gain matrix from `.npy` or `.mat`, as it is; NaN where the file has NaN.

    Raises FileNotFoundError and ValueError.
    """
    path = Path(path)
    content = read_packed(path)
    matrix = numbers_from_npy(content, str(path)) if path.suffix == ".npy" else _mat(content, path)
    if matrix.ndim != 2:
        raise ValueError(f"{path} has the shape {matrix.shape}; a gain is (sensor, source).")
    return matrix


def _mat(content: bytes, path: Path) -> np.ndarray:
    import scipy.io

    try:
        found = scipy.io.loadmat(io.BytesIO(content))
    except Exception as error:
        raise ValueError(f"{path} is no readable .mat file ({error}).") from error
    matrices = {
        name: value
        for name, value in found.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim == 2
    }
    if len(matrices) != 1:
        raise ValueError(
            f"{path} holds {len(matrices)} matrices ({', '.join(matrices) or 'none'}); save the "
            "gain alone, or as .npy."
        )
    return next(iter(matrices.values())).astype(np.float64)
