"""A family of tasks: subjects, recordings or environments, alike in form and different in data."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_leaves_with_path
from jaxtyping import Array

from tvbjax.arrays import as_floats, is_key, is_traced
from tvbjax.kinds import names_of
from tvbjax_inference.cohort import without_places
from tvbjax_inference.problem import Position, Problem


class Family(eqx.Module):
    """Tasks side by side. `stacked`: one tree, of which every array has a first axis of tasks, and
    all else is common to the tasks. `labels`: what the tasks are called, by default 0, 1, ...

    Raises `ValueError` where arrays have different numbers of tasks, or there is NaN in them.
    """

    stacked: Any
    labels: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, stacked: Any, labels: Sequence[str] | None = None):
        arrays = [
            (keystr(path), leaf)
            for path, leaf in tree_leaves_with_path(stacked)
            if eqx.is_array_like(leaf) and not isinstance(leaf, bool | int | float | complex)
        ]
        if not arrays:
            raise TypeError(
                f"Family: {stacked!r:.60} has no arrays; give a tree of arrays with a first axis "
                "of tasks, or a list of tasks."
            )
        for name, leaf in arrays:
            if np.ndim(leaf) == 0 or not np.shape(leaf)[0]:
                raise ValueError(
                    f"Family: tasks{name} has the shape {np.shape(leaf)}, without an axis of "
                    "tasks; give one, or a list of tasks to be stacked."
                )
            if len(leaf) != len(arrays[0][1]):
                raise ValueError(
                    f"Family: tasks{arrays[0][0]} has {len(arrays[0][1])} tasks along its first "
                    f"axis, and tasks{name} {len(leaf)}; give all as many, or a list of tasks."
                )
        count = len(arrays[0][1])
        numbers = tuple(str(i) for i in range(count))
        self.labels = numbers if labels is None else names_of("Family: labels", labels, "['a']")
        if len(self.labels) != count:
            raise ValueError(f"Family: {len(self.labels)} labels for {count} tasks; give as many.")
        self.stacked = jax.tree.map(_as_array, stacked)
        for name, leaf in arrays:
            _check_numbers(f"tasks{name}", leaf, self.labels)

    @classmethod
    def of(cls, tasks: Sequence[Any] | Mapping[str, Any]) -> "Family":
        """One tree for each task, in a list or by label. Raises `ValueError`, and says which leaf
        of which task it is, where shapes or all but the arrays differ."""
        labels = tuple(tasks) if isinstance(tasks, Mapping) else None
        trees = list(tasks.values()) if isinstance(tasks, Mapping) else list(tasks)
        if not trees:
            raise ValueError("Family: there are no tasks; give one or more.")
        named = labels or tuple(str(i) for i in range(len(trees)))
        parts = [eqx.partition(jax.tree.map(_stackable, tree), eqx.is_array) for tree in trees]
        for label, part in zip(named[1:], parts[1:], strict=True):
            _check_alike(named[0], parts[0], label, part)
        arrays = jax.tree.map(lambda *x: jnp.stack(x), *(arrays for arrays, _ in parts))
        return cls(eqx.combine(arrays, parts[0][1]), labels)

    def __len__(self) -> int:
        return len(self.labels)

    def task(self, which: str | int) -> Any:
        """One task's tree, by label or number."""
        if isinstance(which, str):
            if which not in self.labels:
                raise KeyError(
                    f"Family: there is no task {which!r:.60}; there are {', '.join(self.labels)}."
                )
            which = self.labels.index(which)
        arrays, rest = self.parts
        return eqx.combine(jax.tree.map(lambda x: x[which], arrays), rest)

    @property
    def parts(self) -> tuple[Any, Any]:
        """The arrays, with their axis of tasks, and all else."""
        return eqx.partition(self.stacked, eqx.is_array)


def as_family(tasks: Any) -> Family:
    """A family, from itself, from a list of tasks, or from a tree with a first axis of tasks."""
    if isinstance(tasks, Family):
        return tasks
    listed = isinstance(tasks, list | tuple) and not hasattr(tasks, "_fields")
    return Family.of(tasks) if listed else Family(tasks)


def problems_as_tasks(problems: Mapping[str, Problem]) -> Family:
    """Subjects' problems as tasks, whose loss is `problem_loss`.

    They must differ in arrays alone, as for a `Cohort` that is compiled once: of the same `Free`,
    model and monitors, connections in the same places, delays that ask for the same layout.
    """
    if not isinstance(problems, Mapping) or not problems:
        raise TypeError(f"problems_as_tasks: {problems!r:.60}; give problems by subject.")
    for name, problem in problems.items():
        if not isinstance(problem, Problem):
            raise TypeError(
                f"problems_as_tasks: of {name!r:.60} there is {problem!r:.60}; give a "
                "tvbjax.inference.Problem."
            )
    return Family.of({name: without_places(problem) for name, problem in problems.items()})


def problem_loss(position: Position, problem: Problem, key: Array | None) -> Array:
    """The loss of a problem that is a task: params are a position, e.g. `problem.start`."""
    return problem.loss(position, key)


def _as_array(leaf: Any) -> Any:
    """Numpy's arrays and scalars as JAX's; keys, Python's numbers and all else as they are."""
    return jnp.asarray(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf


def _stackable(leaf: Any) -> Any:
    """Python's floats are data of a task, too."""
    return as_floats(leaf) if isinstance(leaf, float) else _as_array(leaf)


def _check_numbers(name: str, leaf: Any, labels: tuple[str, ...]) -> None:
    if is_key(leaf) and not isinstance(leaf, np.ndarray) or is_traced(leaf):
        return
    values = np.asarray(leaf)
    if not np.issubdtype(values.dtype, np.inexact):
        return
    bad = np.argwhere(np.isnan(values))
    if len(bad):
        first, *place = (int(i) for i in bad[0])
        where = f" at {place}" if place else ""
        raise ValueError(
            f"Family: {name} of the task '{labels[first]}' is NaN{where}; leave the task out, or "
            "give numbers and a mask for the loss."
        )


def _check_alike(first: str, one: tuple[Any, Any], label: str, other: tuple[Any, Any]) -> None:
    pairs = [dict(_named(arrays)) for arrays, _ in (one, other)]
    for name in pairs[0] | pairs[1]:
        shapes = [found[name].shape if name in found else None for found in pairs]
        if None in shapes:
            has, lacks = (first, label) if shapes[1] is None else (label, first)
            raise ValueError(
                f"Family: the task '{has}' has an array {name or 'itself'}, and '{lacks}' has "
                "none; give all tasks the same arrays."
            )
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"Family: the array {name or 'itself'} has the shape {shapes[0]} in the task "
                f"'{first}' and {shapes[1]} in '{label}'; give all the same, padded, with a mask "
                "for the loss."
            )
        dtypes = [found[name].dtype for found in pairs]
        if dtypes[0] != dtypes[1]:
            raise ValueError(
                f"Family: the array {name or 'itself'} is of {dtypes[0]} in the task '{first}' and "
                f"of {dtypes[1]} in '{label}'; give all the same."
            )
    rests = [jax.tree.flatten(rest) for _, rest in (one, other)]
    try:
        same = bool(rests[0] == rests[1])
    except (ValueError, TypeError):  # arrays that are part of the structure, such as maps
        same = False
    if not same:
        raise ValueError(
            f"Family: the tasks '{first}' and '{label}' differ in more than their arrays: in "
            "functions, texts or whole numbers, which shape the computation; give all the same "
            "objects (of problems: the same Free, model, monitors, and layout of delays)."
        )


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(keystr(path), leaf) for path, leaf in tree_leaves_with_path(tree)]
