"""Variables of MATLAB's files, all versions: matrices of numbers and lists of text, nothing else.

Knows no connectome. Nothing is unpickled or run; `where` says in messages which file is meant.
"""

import io
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

_HDF5 = b"\x89HDF\r\n\x1a\n"  # of version 7.3, after 512 bytes of MATLAB's own


def variables_of(content: bytes, where: str) -> dict[str, Any]:
    """Per name: a 2-D array of real numbers, a tuple of texts, or None for what is neither.

    Raises ValueError for what is no .mat file.
    """
    newest = _HDF5 in (content[:8], content[512:520])
    try:
        return _of_hdf5(content) if newest else _of_scipy(content)
    except Exception as error:
        raise ValueError(f"{where} is no readable .mat file ({error}).") from error


def matrix_of(content: bytes, where: str, variable: str | None = None) -> np.ndarray:
    """The matrix of that name, or the only one. Raises ValueError that lists what there is."""
    found = variables_of(content, where)
    matrices = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    if variable is not None:
        if variable not in matrices:
            kind = "no matrix of numbers" if variable in found else "not in it"
            raise ValueError(f"{where}: {variable} is {kind}; it holds {listed(matrices)}.")
        return matrices[variable]
    # A number is a matrix in MATLAB, and none that anyone looks for.
    several = {name: value for name, value in matrices.items() if value.size > 1} or matrices
    if len(several) != 1:
        mend = "say which by variable=" if several else "save a matrix of real numbers"
        raise ValueError(f"{where} holds {len(several)} matrices ({listed(several)}); {mend}.")
    return next(iter(several.values()))


def texts_of(content: bytes, where: str, variable: str | None = None) -> tuple[str, ...]:
    """The list of texts (cells, or rows of characters) of that name, or the only one."""
    found = variables_of(content, where)
    texts = {name: value for name, value in found.items() if isinstance(value, tuple)}
    if variable is not None:
        if variable not in texts:
            kind = "no list of text" if variable in found else "not in it"
            there = ", ".join(texts) or "none"
            raise ValueError(f"{where}: {variable} is {kind}; lists of text are {there}.")
        return texts[variable]
    several = {name: value for name, value in texts.items() if len(value) > 1} or texts
    if len(several) != 1:
        raise ValueError(
            f"{where} holds {len(several)} lists of text ({', '.join(several) or 'none'}); say "
            "which by variable=."
        )
    return next(iter(several.values()))


def listed(matrices: Mapping[str, Any], most: int = 12) -> str:
    """Names for an error: the first ones, and how many more."""
    names = list(matrices)
    more = f" and {len(names) - most} others" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _of_scipy(content: bytes) -> dict[str, Any]:
    import scipy.io

    found = scipy.io.loadmat(io.BytesIO(content))
    return {name: _simple(value) for name, value in found.items() if not name.startswith("__")}


def _simple(value: Any) -> Any:
    if hasattr(value, "toarray"):
        value = value.toarray()
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype.kind in "biuf" and value.ndim == 2:
        return value.astype(np.float64)
    if value.dtype.kind == "U":
        return tuple(text.strip() for text in value.ravel().tolist())
    if value.dtype == object and value.dtype.names is None:
        cells = [np.asarray(cell) for cell in value.ravel()]
        if all(cell.dtype.kind == "U" for cell in cells):
            return tuple("".join(cell.ravel().tolist()).strip() for cell in cells)
    return None


def _of_hdf5(content: bytes) -> dict[str, Any]:
    with h5py.File(io.BytesIO(content), "r") as file:
        names = [str(name) for name in file if not str(name).startswith("#")]
        return {name: _of_node(file, file[name]) for name in names}


def _of_node(file: h5py.File, node: Any) -> Any:
    if not isinstance(node, h5py.Dataset) or "MATLAB_empty" in node.attrs:
        return None
    kind = node.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    values = np.asarray(node[()]).T  # MATLAB's order is by columns
    if kind == "char":
        rows = ("".join(map(chr, row)).strip() for row in np.atleast_2d(values).tolist())
        return tuple(rows)
    if kind == "cell":
        cells = [_of_node(file, file[reference]) for reference in values.ravel()]
        if all(isinstance(cell, tuple) and len(cell) == 1 for cell in cells):
            return tuple(cell[0] for cell in cells)
        return None
    return values.astype(np.float64) if values.dtype.kind in "biuf" and values.ndim == 2 else None
