"""A posterior's chains in a file, from which they go on with the same numbers."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tvbjax.identity import told
from tvbjax.io.atomic import atomic_path
from tvbjax_inference.bayes.modes import Mode
from tvbjax_inference.bayes.nuts import Draw

_OF_A_MODE = ("position", "log_density", "scale", "log_evidence", "converged")


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

    def keep(self, modes: Sequence[Mode], states: Sequence[Any], draws: Draw | None) -> None:
        """Write modes, the chains' states and draws so far, whole or not at all."""
        arrays: dict[str, np.ndarray] = {}
        for i, mode in enumerate(modes):
            arrays |= {f"mode_{i}_{n}": np.asarray(getattr(mode, n)) for n in _OF_A_MODE}
        for i, state in enumerate(states):
            leaves = jax.tree.leaves(state)
            arrays |= {f"chain_{i}_{j}": np.asarray(leaf) for j, leaf in enumerate(leaves)}
        if draws is not None:
            arrays |= {f"draw_{name}": np.asarray(x) for name, x in draws._asdict().items()}
        about = {"identity": self.identity, "modes": len(modes)}
        arrays["about"] = np.array(json.dumps(about))
        with atomic_path(self.path) as path, open(path, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def read(self) -> "Kept | None":
        """What the file has; None where there is none."""
        if not self.path.exists():
            return None
        try:
            # Opened here, for numpy leaves a broken file open.
            with open(self.path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays.pop("about")))
            identity, count = about["identity"], about["modes"]
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
        return Kept(self.path, arrays, count)


class Kept:
    """What a checkpoint has."""

    def __init__(self, path: Path, arrays: dict[str, np.ndarray], modes: int):
        self.path, self.arrays, self.count = path, arrays, modes

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes."""
        found = []
        for i in range(self.count):
            parts = [self._get(f"mode_{i}_{name}") for name in _OF_A_MODE]
            position, density, scale, evidence, converged = parts
            found.append(Mode(position, float(density), scale, float(evidence), bool(converged)))
        return tuple(found)

    def states(self, like: Sequence[Any]) -> list[Any]:
        """The chains' states; those that are given where none was kept."""
        if "chain_0_0" not in self.arrays:
            return list(like)
        found = []
        for i, state in enumerate(like):
            leaves, structure = jax.tree.flatten(state)
            kept = [self._get(f"chain_{i}_{j}") for j in range(len(leaves))]
            restored = [jnp.asarray(x, leaf.dtype) for x, leaf in zip(kept, leaves, strict=True)]
            found.append(structure.unflatten(restored))
        return found

    @property
    def draws(self) -> Draw | None:
        """The draws so far, warm-up included."""
        if "draw_numbers" not in self.arrays:
            return None
        return Draw(*(self._get(f"draw_{name}") for name in Draw._fields))

    def _get(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise ValueError(
                f"sample: {self.path} is a damaged checkpoint, it lacks '{name}'; move it away."
            )
        return self.arrays[name]
