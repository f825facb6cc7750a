"""A meta-study's state in a file, from which it goes on with the same numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tvbjax_inference.kept import KeptArrays

_EVERY = 10  # outer steps
_HISTORY = "history_"


class Checkpoint:
    """The file of one study; another's is refused."""

    def __init__(self, path: Any, identity: Any):
        if not isinstance(path, str | Path):
            raise TypeError(f"MetaStudy: checkpoint is {path!r:.60}; give a path, 'meta.npz'.")
        self.file = KeptArrays(
            Path(path),
            identity,
            who="MetaStudy",
            what="meta-study",
            differ="the tasks, the losses, the start, the rules, the gradient or the key",
        )

    def due(self, step: int) -> bool:
        """Whether it is time to write."""
        return step % _EVERY == 0

    def keep(self, state: Any, history: Mapping[str, np.ndarray]) -> None:
        """Write the state and the history, whole or not at all."""
        arrays = {f"state_{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))}
        self.file.write(arrays | {f"{_HISTORY}{name}": x for name, x in history.items()})

    def resumed(self, state: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """The state and the history in the file; the given state where there is none."""
        arrays = self.file.read()
        if not arrays:
            return state, {}
        leaves, structure = jax.tree.flatten(state)
        try:
            restored = [jnp.asarray(arrays[f"state_{i}"], x.dtype) for i, x in enumerate(leaves)]
        except KeyError as error:
            raise self.file.damaged(error.args[0]) from error
        history = {n[len(_HISTORY) :]: x for n, x in arrays.items() if n.startswith(_HISTORY)}
        return structure.unflatten(restored), history
