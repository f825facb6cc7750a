"""A posterior's modes and draws in a file, from which they go on with the same numbers."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tvbjax.identity import told
from tvbjax.io.atomic import atomic_path
from tvbjax_inference.bayes.modes import Mode

_OF_A_MODE = ("position", "log_density", "scale", "log_evidence", "converged", "reached")


class Checkpoint:
    """The file of one posterior; another's is refused."""

    def __init__(self, path: Path, identity: Any):
        if path.suffix != ".npz":
            raise ValueError(f"sample: the checkpoint {path.name} must end in .npz.")
        if not path.parent.is_dir():
            raise ValueError(
                f"sample: there is no folder {path.parent} for the checkpoint {path.name}; make it."
            )
        self.path, self.identity = path, told(identity)
        self.arrays = self._read()

    @property
    def modes(self) -> tuple[Mode, ...] | None:
        """The modes, if they were kept."""
        if "modes" not in self.arrays:
            return None
        found = []
        for i in range(int(self.arrays["modes"])):
            part: dict[str, Any] = {name: self._get(f"mode_{i}_{name}") for name in _OF_A_MODE}
            numbers = {name: x.item() for name, x in part.items() if not x.ndim}
            found.append(Mode(**(part | numbers)))
        return tuple(found)

    def keep_modes(self, modes: Sequence[Mode]) -> None:
        """Write them."""
        for i, mode in enumerate(modes):
            for name in _OF_A_MODE:
                self.arrays[f"mode_{i}_{name}"] = np.asarray(getattr(mode, name))
        self.arrays["modes"] = np.array(len(modes))
        self._write()

    def state(self, like: Any) -> Any | None:
        """The state of a method, as a tree like this one; None where none was kept."""
        if "state_0" not in self.arrays:
            return None
        leaves, structure = jax.tree.flatten(like)
        kept = [self._get(f"state_{i}") for i in range(len(leaves))]
        restored = [jnp.asarray(x, leaf.dtype) for x, leaf in zip(kept, leaves, strict=True)]
        return structure.unflatten(restored)

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """The draws so far, by name; none at the beginning."""
        prefix = "draw_"
        return {n[len(prefix) :]: x for n, x in self.arrays.items() if n.startswith(prefix)}

    def keep(self, state: Any, draws: Mapping[str, np.ndarray]) -> None:
        """Write a method's state and its draws so far, whole or not at all."""
        self.arrays |= {f"state_{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))}
        self.arrays |= {f"draw_{name}": np.asarray(x) for name, x in draws.items()}
        self._write()

    def _write(self) -> None:
        about = np.array(json.dumps({"identity": self.identity}))
        with atomic_path(self.path) as path, open(path, "wb") as file:
            np.savez(file, about=about, **self.arrays)  # type: ignore[arg-type]

    def _read(self) -> dict[str, np.ndarray]:
        if not self.path.exists():
            return {}
        try:
            # Opened here, for numpy leaves a broken file open.
            with open(self.path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = dict(file)
            identity = json.loads(str(arrays.pop("about")))["identity"]
        except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"sample: {self.path} is no checkpoint of a posterior, or was damaged; move it "
                "away."
            ) from error
        if identity != self.identity:
            raise ValueError(
                f"sample: {self.path} is the checkpoint of another posterior: the simulator, what "
                "is free, priors, data, the key, the method or the starts differ; move it away, "
                "or name another."
            )
        return arrays

    def _get(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise ValueError(
                f"sample: {self.path} is a damaged checkpoint, it lacks '{name}'; move it away."
            )
        return self.arrays[name]
