"""Results of steps on disk, by what went into them: what was computed once is read again.

A step's name, the versions of packages, and all that it is given say which file holds its result;
so a changed input or option computes it, and what follows, anew.
"""

import hashlib
import importlib.metadata
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.io.atomic import atomic_path

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class StepCache:
    """`folder`: where results are kept; None keeps none."""

    folder: Path | None

    def __call__(self, name: str, compute: Callable[[], Arrays], *given: Any) -> Arrays:
        """What `compute` gives, or what it gave before from equal `given`: arrays, numbers, texts,
        None, and tuples, mappings and dataclasses of those."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}-{key_of(name, given)}.npz"
        if path.is_file():
            try:
                with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                    return {one: kept[one] for one in kept.files}
            except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
                path.unlink()  # damaged: made anew
        found = {one: np.asarray(array) for one, array in compute().items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **found)  # pyright: ignore[reportArgumentType]
        return found


def key_of(name: str, given: Any) -> str:
    """Sixteen hexadecimal digits of a step and what it is given."""
    digest = hashlib.sha256()
    _add(digest, [name, [_version(package) for package in ("tvbjax", "dipy", "nilearn")], given])
    return digest.hexdigest()[:16]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _add(digest: Any, value: Any) -> None:
    """Hash a value with its kind and size, so that no two different ones read alike."""
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.shape} {value.dtype.str} ".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        _add(digest, {one.name: getattr(value, one.name) for one in fields(value)})
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)} ".encode())
        for key, one in value.items():
            _add(digest, key)
            _add(digest, one)
    elif isinstance(value, list | tuple):
        digest.update(f"sequence {len(value)} ".encode())
        for one in value:
            _add(digest, one)
    elif value is None or isinstance(value, str | int | float):
        digest.update(f"{json.dumps(value)} ".encode())
    else:
        raise TypeError(f"StepCache: {type(value).__name__} is not hashed; give arrays or numbers.")
