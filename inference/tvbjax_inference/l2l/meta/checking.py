"""What a study is given, looked at before anything is computed; and what its first step tells."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.extend.core import Literal
from jax.tree_util import keystr, tree_leaves_with_path

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.meta.family import Family
from tvbjax_inference.l2l.meta.levels import Levels, Loss, Meta


def check_start(start: Any) -> Any:
    """The start, its numbers as arrays. Raises `TypeError` or `ValueError` where leaves are no
    finite floating-point numbers."""
    if not jax.tree.leaves(start):
        raise TypeError(f"MetaStudy: the start is {start!r:.60}; give a tree of arrays.")
    for path, leaf in tree_leaves_with_path(start):
        if not eqx.is_inexact_array_like(leaf):
            raise TypeError(
                f"MetaStudy: start{keystr(path)} is {leaf!r:.60}; give floating-point numbers, and "
                "hand the loss what else it needs with the tasks."
            )
        bad = np.argwhere(~np.isfinite(np.asarray(leaf)))
        if len(bad):
            raise ValueError(
                f"MetaStudy: start{keystr(path)} is {np.asarray(leaf)[tuple(bad[0])]} at "
                f"{[int(i) for i in bad[0]]}; give finite numbers."
            )
    return jax.tree.map(jnp.asarray, start)


def check_loss(name: str, loss: Loss, start: Any, family: Family) -> None:
    """Raises `TypeError` where a loss is no number of floating point, and `ValueError` where it
    does not depend on the params. Nothing is computed."""
    if not callable(loss):
        raise TypeError(
            f"MetaStudy: {name} is {loss!r:.60}; give a function of params, a task and a key."
        )
    arrays, rest = eqx.partition(family.task(0), eqx.is_array)

    def traced(params, arrays, key):
        return loss(params, eqx.combine(arrays, rest), key)

    jaxpr, shape = jax.make_jaxpr(traced, return_shape=True)(start, arrays, jr.key(0))
    fine = isinstance(shape, jax.ShapeDtypeStruct) and jnp.issubdtype(shape.dtype, jnp.floating)
    if not fine or shape.shape != ():
        raise TypeError(
            f"MetaStudy: {name} gives {shape}; let it give one number, e.g. a mean over the data."
        )
    if not _depends(jaxpr.jaxpr, len(jax.tree.leaves(start))):
        raise ValueError(
            f"MetaStudy: {name} does not depend on the params, so that there is nothing to adapt; "
            "look at whether its formula has them."
        )


def _depends(jaxpr: Any, first: int) -> bool:
    """Whether any output depends on the first inputs, as far as the operations say. What is called
    counts as depending on all that it is given."""
    live = {x for x in jaxpr.outvars if not isinstance(x, Literal)}
    for equation in reversed(jaxpr.eqns):
        if live.intersection(equation.outvars):
            live.update(x for x in equation.invars if not isinstance(x, Literal))
    return bool(live.intersection(jaxpr.invars[:first]))


def check_batch(batch: Any, family: Family) -> None:
    """Raises `ValueError` for more tasks than there are."""
    if batch is None:
        return
    check_count("MetaStudy: batch", batch)
    if batch > len(family):
        raise ValueError(
            f"MetaStudy: a batch of {batch} tasks, and the family has {len(family)}; give at most "
            "so many, or None for all."
        )


def tell_unmoved(gradient: Meta) -> None:
    """Warns of what the outer loss does not depend on, by the gradient of the first step."""
    parts = [(f"start{keystr(path)}", x) for path, x in tree_leaves_with_path(gradient.start)]
    parts += [
        (f"{name}{keystr(path)}", x)
        for name, tree in gradient.hyper.items()
        for path, x in tree_leaves_with_path(tree)
    ]
    for name, slopes in parts:
        if not np.asarray(slopes).any():
            warnings.warn(
                f"MetaStudy: the outer loss does not depend on '{name}' here: its gradient is 0. "
                "Look at whether the inner loop uses it; Truncated and Implicit do not see all.",
                stacklevel=5,
            )


def check_told(levels: Levels, meta: Meta, family: Family, number: int, key: Any, step: int):
    """Raises `ValueError` that says where the outer loss of a task, or its gradient, is lost."""
    task, label = family.task(number), family.labels[number]
    moving, told = jax.jit(
        lambda meta: levels.path(meta, levels.begin(meta), task, key, count=levels.inner.steps)
    )(meta)
    head = (
        f"MetaStudy: at outer step {step} no task has a finite outer loss and gradient; of the "
        f"task '{label}' "
    )
    losses, lengths = np.asarray(told.losses), np.asarray(told.lengths)
    for i, (loss, size) in enumerate(zip(losses, lengths, strict=True)):
        if np.isfinite(loss) and np.isfinite(size):
            continue
        what = f"loss is {loss}" if not np.isfinite(loss) else f"loss is {loss:.4g}, its gradient"
        tail = " not finite" if np.isfinite(loss) else ""
        when = "at the start" if not i else f"after {i} of {levels.inner.steps} inner steps"
        raise ValueError(
            f"{head}the inner {what}{tail} {when}; "
            + (
                "look at the start and at the loss's formula."
                if not i
                else f"it was {losses[0]:.4g} at the start: lower the inner rate."
            )
        )
    outer = float(levels.outer(moving.params, task, key))
    if not np.isfinite(outer):
        raise ValueError(
            f"{head}the inner losses are finite and the outer loss is {outer}; look at the "
            "formula of validation."
        )
    raise ValueError(
        f"{head}the losses are finite and the gradient through the inner loop is not; dynamics or "
        "inner steps that blow it up want FirstOrder(), Truncated(...) or PersistentEs(...), and "
        "Adam an eps_root."
    )
