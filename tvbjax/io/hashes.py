"""SHA-256 of files and folders."""

import hashlib
import os
from pathlib import Path


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file; of a folder, such as a Zarr store, that of the lines
    `<sha256 of a file>  <its path from the folder>`, sorted by path (as `sha256sum` writes them).

    Raises FileNotFoundError.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file())
        lines = (f"{sha256_of(path / one)}  {one}\n" for one in files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
