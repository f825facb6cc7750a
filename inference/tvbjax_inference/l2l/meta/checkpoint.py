"""A meta-study's state in a file, from which it goes on with the same numbers."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tvbjax.identity import told
from tvbjax.io.atomic import atomic_path

_EVERY = 10  # outer steps


class Checkpoint:
    """The file of one study; another's is refused."""

    def __init__(self, path: Any, identity: Any):
        if not isinstance(path, str | Path):
            raise TypeError(f"MetaStudy: checkpoint is {path!r:.60}; give a path, 'meta.npz'.")
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"MetaStudy: the checkpoint {path.name} must end in .npz.")
        if not path.parent.is_dir():
            raise ValueError(
                f"MetaStudy: there is no folder {path.parent} for the checkpoint {path.name}; make "
                "it."
            )
        self.path, self.identity = path, told(identity)

    def due(self, step: int) -> bool:
        """Whether it is time to write."""
        return step % _EVERY == 0

    def keep(self, state: Any, history: Mapping[str, np.ndarray]) -> None:
        """Write the state and the history, whole or not at all."""
        arrays = {f"state_{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))}
        arrays |= {f"history_{name}": x for name, x in history.items()}
        arrays["about"] = np.array(json.dumps({"identity": self.identity}))
        with atomic_path(self.path) as path, open(path, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def resumed(self, state: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """The state and the history in the file; the given state where there is none."""
        if not self.path.exists():
            return state, {}
        try:
            # Opened here, for numpy leaves a broken file open.
            with open(self.path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = dict(file)
            identity = json.loads(str(arrays.pop("about")))["identity"]
            leaves, structure = jax.tree.flatten(state)
            restored = [jnp.asarray(arrays[f"state_{i}"], x.dtype) for i, x in enumerate(leaves)]
        except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"MetaStudy: {self.path} is no checkpoint of a meta-study, or was damaged; move it "
                "away."
            ) from error
        if identity != self.identity:
            raise ValueError(
                f"MetaStudy: {self.path} is the checkpoint of another study: the tasks, the "
                "losses, the start, the rules, the gradient or the key differ; move it away, or "
                "name another."
            )
        prefix = "history_"
        history = {n[len(prefix) :]: x for n, x in arrays.items() if n.startswith(prefix)}
        return structure.unflatten(restored), history
