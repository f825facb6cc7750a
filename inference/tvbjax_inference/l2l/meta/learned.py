"""What an outer loop learned, how it went, and what it is good for: to adapt to a task."""

import dataclasses
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_leaves_with_path
from jaxtyping import Array, Float

from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_count
from tvbjax_inference.l2l.meta.levels import Levels, Meta

if TYPE_CHECKING:
    import xarray as xr


class Adapted(eqx.Module):
    """Params that were adapted to a task. `losses`: the inner loss, without a penalty, before each
    inner step and after the last."""

    params: Any
    losses: Float[Array, " step"]


@dataclasses.dataclass(frozen=True, eq=False)
class Progress:
    """Outer step by outer step. `losses`, `lengths`: each task's outer loss, and the length of its
    gradient: NaN for tasks that were not drawn, and those that failed. `residuals`: see `Implicit`.
    `drawn`: whether a task was. `length`: of the mean gradient that the outer rule was given.
    `hyper`: values before the step, by name and place in the tree."""

    losses: Float[np.ndarray, "step task"]
    lengths: Float[np.ndarray, "step task"]
    residuals: Float[np.ndarray, "step task"]
    drawn: np.ndarray
    length: Float[np.ndarray, " step"]
    hyper: dict[str, np.ndarray]

    @property
    def loss(self) -> Float[np.ndarray, " step"]:
        """The mean outer loss of the tasks that were drawn and did not fail."""
        fine = np.isfinite(self.losses)
        return np.where(fine, self.losses, 0.0).sum(axis=1) / np.maximum(fine.sum(axis=1), 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Learned:
    """The start and the hyper-parameters after the last outer step.

    `start`: params, as the study was given them. `hyper`: values by name. `stopped`: why the outer
    loop ended. `arrays`: the places of arrays in the tree of a task.
    """

    start: Any
    hyper: dict[str, Any]
    progress: Progress
    stopped: str
    labels: tuple[str, ...]
    levels: Levels
    meta: Meta
    arrays: tuple[str, ...]

    def adapt(self, task: Any, key: Array, steps: int | None = None) -> Adapted:
        """Adapt to a task: to one like the family's, e.g. `family.task("bob")`. `steps`: by default
        the inner loop's own number. Raises `ValueError` for a task that lacks an array."""
        check_one_key("Learned: adapt", key)
        places = [keystr(path) for path, _ in tree_leaves_with_path(task)]
        missing = [name for name in self.arrays if name not in places]
        if missing:
            raise ValueError(
                f"Learned: the task has no {missing[0] or 'array'}, which those learned from have; "
                f"it has {', '.join(places) or 'nothing':.200}."
            )
        if steps is not None:
            check_count("Learned: steps", steps)
        return _adapted(self.levels, self.meta, task, key, steps or self.levels.inner.steps)

    def to_xarray(self) -> "xr.Dataset":
        """The progress: `loss` and `gradient` (its length) by step and task, `residual`, and the
        hyper-parameters by step."""
        import xarray as xr

        progress = self.progress
        found: dict[str, Any] = {
            "loss": (("step", "task"), progress.losses),
            "gradient": (("step", "task"), progress.lengths),
            "residual": (("step", "task"), progress.residuals),
            "drawn": (("step", "task"), progress.drawn),
            "mean_gradient": (("step",), progress.length),
        }
        for name, values in progress.hyper.items():
            inner = tuple(f"{name}_{i}" for i in range(values.ndim - 1))
            found[f"hyper_{name}"] = (("step", *inner), values)
        coordinates = {"step": np.arange(len(progress.length)), "task": list(self.labels)}
        return xr.Dataset(found, coordinates, {"stopped": self.stopped})

    def __repr__(self) -> str:
        loss = self.progress.loss
        hyper = ", ".join(
            f"{name} = {_shown(x)}" for name, x in named(self.hyper, np.asarray).items()
        )
        return (
            f"Learned: outer loss {loss[-1]:.5g} after {len(loss)} steps, {loss[0]:.5g} at first "
            f"({self.stopped})" + (f"; {hyper}" if hyper else "")
        )


def named(hyper: dict[str, Any], of: Any) -> dict[str, Any]:
    """Leaves of hyper-parameters by name and place."""
    return {
        f"{name}{keystr(path)}": of(leaf)
        for name, tree in hyper.items()
        for path, leaf in tree_leaves_with_path(tree)
    }


def _shown(values: np.ndarray) -> str:
    return f"{float(values):.5g}" if values.ndim == 0 else f"{values.shape} values"


@eqx.filter_jit
def _adapted(levels: Levels, meta: Meta, task: Any, key: Array, steps: int) -> Adapted:
    moving, told = levels.path(meta, levels.begin(meta), task, key, count=steps)
    last = levels.loss(moving.params, task, key)
    return Adapted(jax.tree.map(jnp.asarray, moving.params), jnp.append(told.losses, last))
