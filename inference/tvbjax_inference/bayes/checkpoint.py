"""A posterior's modes and draws in a file, from which they go on with the same numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tvbjax_inference.bayes.modes import Mode
from tvbjax_inference.kept import KeptArrays

_OF_A_MODE = ("position", "log_density", "scale", "log_evidence", "converged", "reached")


class Checkpoint:
    """The file of one posterior; another's is refused."""

    def __init__(self, path: Path, identity: Any):
        self.file = KeptArrays(
            path,
            identity,
            who="sample",
            what="posterior",
            differ="the simulator, what is free, priors, data, the key, the method or the starts",
        )
        self.arrays = self.file.read()

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
        self.file.write(self.arrays)

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
        self.file.write(self.arrays)

    def _get(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise self.file.damaged(name)
        return self.arrays[name]
