"""A fit's state in a file, from which it goes on with the same numbers."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tvbjax_inference.fitted import History
from tvbjax_inference.kept import KeptArrays
from tvbjax_inference.problem import AbstractProblem

_EVERY = 10  # steps


class Checkpoint:
    """The file of one fit; another's is refused."""

    def __init__(self, path: Path, problem: AbstractProblem, parts: tuple):
        self.file = KeptArrays(
            path,
            (problem.description(), parts),
            who="fit",
            what="fit",
            differ="the simulator, what is free, the objective, the key, the optimiser or the "
            "starts",
        )

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
        self.file.write(arrays)

    def resumed(self, state: Any, history: History) -> tuple[Any, History]:
        """What the file has, or what is given where there is none."""
        arrays = self.file.read()
        if not arrays:
            return state, history
        leaves, structure = jax.tree.flatten(state)
        try:
            restored = [jnp.asarray(arrays[f"state_{i}"], x.dtype) for i, x in enumerate(leaves)]
            state = structure.unflatten(restored)
            count = int(state.step)
            history = History(
                [_by_name(arrays, f"position_{i}_") for i in range(count)],
                [arrays[f"loss_{i}"] for i in range(count)],
                [_by_name(arrays, f"term_{i}_") for i in range(count)],
                [arrays[f"norm_{i}"] for i in range(count)],
            )
        except KeyError as error:
            raise self.file.damaged(error.args[0]) from error
        return state, history


def _by_name(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: x for name, x in arrays.items() if name.startswith(prefix)}


def _leaves(state: Any) -> list:
    return jax.tree.leaves(eqx.filter(state, eqx.is_array))
