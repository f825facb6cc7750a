"""Arrays by name in a file, from which only what began it goes on."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax.identity import told
from tvbjax.io.atomic import atomic_path


class KeptArrays:
    """The file of one run, written whole or not at all; another run's is refused.

    `identity`: all that makes it the same run. For messages, `who` keeps it, `what` the run is
    called, and `differ` what may be another in another run's.
    """

    def __init__(self, path: Path, identity: Any, *, who: str, what: str, differ: str):
        if path.suffix != ".npz":
            raise ValueError(f"{who}: the checkpoint {path.name} must end in .npz.")
        if not path.parent.is_dir():
            raise ValueError(
                f"{who}: there is no folder {path.parent} for the checkpoint {path.name}; make it."
            )
        self.path, self.identity = path, told(identity)
        self._who, self._what, self._differ = who, what, differ

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the place of what was there."""
        about = np.array(json.dumps({"identity": self.identity}))
        with atomic_path(self.path) as path, open(path, "wb") as file:
            np.savez(file, about=about, **arrays)  # type: ignore[arg-type]

    def read(self) -> dict[str, np.ndarray]:
        """What was written; nothing where there is no file. Raises `ValueError` for other files."""
        if not self.path.exists():
            return {}
        try:
            # Opened here, for numpy leaves a broken file open.
            with open(self.path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = dict(file)
            identity = json.loads(str(arrays.pop("about")))["identity"]
        except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{self._who}: {self.path} is no checkpoint of a {self._what}, or was damaged; "
                "move it away."
            ) from error
        if identity != self.identity:
            raise ValueError(
                f"{self._who}: {self.path} is the checkpoint of another {self._what}: "
                f"{self._differ} differ; move it away, or name another."
            )
        return arrays

    def damaged(self, lacks: str) -> ValueError:
        """The error of a file that is this run's and not whole."""
        return ValueError(
            f"{self._who}: {self.path} is a damaged checkpoint, it lacks '{lacks}'; move it away."
        )
