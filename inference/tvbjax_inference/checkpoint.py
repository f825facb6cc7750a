"""A fit's state in a file, from which it goes on with the same numbers."""

import json
import zipfile
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tvbjax.identity import told
from tvbjax.io.atomic import atomic_path
from tvbjax_inference.fitted import History
from tvbjax_inference.problem import AbstractProblem

_EVERY = 10  # steps


class Checkpoint:
    """The file of one fit; another's is refused."""

    def __init__(self, path: Path, problem: AbstractProblem, parts: tuple):
        if path.suffix != ".npz":
            raise ValueError(f"fit: the checkpoint {path.name} must end in .npz.")
        if not path.parent.is_dir():
            raise ValueError(
                f"fit: there is no folder {path.parent} for the checkpoint {path.name}; make it."
            )
        self.path = path
        self.identity = told((problem.description(), parts))

    def due(self, step: int) -> bool:
        """Whether it is time to write."""
        return step % _EVERY == 0

    def keep(self, state: Any, history: History) -> None:
        """Write the state and the history, whole or not at all."""
        arrays = {f"state_{i}": np.asarray(x) for i, x in enumerate(_leaves(state))}
        arrays |= {f"loss_{i}": x for i, x in enumerate(history.losses)}
        arrays |= {f"norm_{i}": x for i, x in enumerate(history.norms)}
        for i, (positions, terms) in enumerate(zip(history.positions, history.terms, strict=True)):
            arrays |= {f"position_{i}_{name}": x for name, x in positions.items()}
            arrays |= {f"term_{i}_{name}": x for name, x in terms.items()}
        about = {"identity": self.identity, "steps": len(history.losses)}
        arrays["about"] = np.array(json.dumps(about))
        with atomic_path(self.path) as path, open(path, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def resumed(self, state: Any, history: History) -> tuple[Any, History]:
        """What the file has, or what is given where there is none."""
        if not self.path.exists():
            return state, history
        try:
            # Opened here, for numpy leaves a broken file open.
            with open(self.path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays.pop("about")))
            identity, count = about["identity"], about["steps"]
        except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"fit: {self.path} is no checkpoint of a fit, or was damaged; move it away."
            ) from error
        if identity != self.identity:
            raise ValueError(
                f"fit: {self.path} is the checkpoint of another fit: the simulator, what is free, "
                "the objective, the key, the optimiser or the starts differ; move it away, or name "
                "another."
            )
        leaves, structure = jax.tree.flatten(state)
        try:
            restored = [jnp.asarray(arrays[f"state_{i}"], x.dtype) for i, x in enumerate(leaves)]
            history = History(
                [_by_name(arrays, f"position_{i}_") for i in range(count)],
                [arrays[f"loss_{i}"] for i in range(count)],
                [_by_name(arrays, f"term_{i}_") for i in range(count)],
                [arrays[f"norm_{i}"] for i in range(count)],
            )
        except KeyError as error:
            raise ValueError(
                f"fit: {self.path} is a damaged checkpoint, it lacks {error}; move it away."
            ) from error
        return structure.unflatten(restored), history


def _by_name(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: x for name, x in arrays.items() if name.startswith(prefix)}


def _leaves(state: Any) -> list:
    return jax.tree.leaves(eqx.filter(state, eqx.is_array))
