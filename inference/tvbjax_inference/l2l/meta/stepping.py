"""One outer step as a pure function: gradients of the tasks that are drawn, and the rule's step.

A task whose loss or gradient is no finite number is left out of the mean.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int

from tvbjax_inference import gradient_step
from tvbjax_inference.l2l.meta.inner import length
from tvbjax_inference.l2l.meta.learned import named
from tvbjax_inference.l2l.meta.levels import Meta

if TYPE_CHECKING:
    from tvbjax_inference.l2l.meta.study import MetaStudy


class State(eqx.Module):
    """What goes from one outer step to the next. `meta`: a `Meta`; `carried`: what the gradient
    carries on, of each task."""

    step: Int[Array, ""]
    meta: Any
    memory: Any
    carried: Any


class Row(NamedTuple):
    """Of one outer step: what `Progress` has of each."""

    losses: Array
    lengths: Array
    residuals: Array
    drawn: Array
    length: Array
    hyper: dict[str, Array]


def begun(study: "MetaStudy") -> State:
    """The state before the first outer step."""
    carried = study.gradient.init(study.levels, study.meta)
    count = len(study.family)
    carried = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x))), carried)
    memory = gradient_step.begun(study.outer, study.meta)
    return State(jnp.zeros((), jnp.int32), study.meta, memory, carried)


def keys_of(key: Array, step: Any, tasks: Array) -> tuple[Array, Array]:
    """For tasks by number, the keys of their losses and of the gradient's own numbers."""
    own = jr.fold_in(key, step)
    keys = jax.vmap(lambda task: jr.split(jr.fold_in(own, task)))(tasks)
    return keys[:, 0], keys[:, 1]


@eqx.filter_jit
def outer_step(study: "MetaStudy", state: State, key: Array) -> tuple[State, Row, Meta]:
    """One outer step, what it met, and the gradient that the outer rule was given."""
    count = len(study.family)
    tasks = jnp.arange(count, dtype=jnp.int32)
    if study.batch is not None:
        drawing = jr.fold_in(jr.fold_in(key, state.step), count)
        tasks = jr.permutation(drawing, tasks)[: study.batch]
    slopes, after = _slopes(study, state, tasks, key)
    lengths = jax.vmap(length)(slopes.gradient)
    fine = jnp.isfinite(slopes.loss) & jnp.isfinite(lengths)

    def mean(x):
        told = jnp.where(fine.reshape(-1, *(1,) * (x.ndim - 1)), x, 0.0)
        return told.sum(axis=0) / jnp.maximum(fine.sum(), 1).astype(x.dtype)

    gradient = jax.tree.map(mean, slopes.gradient)
    meta, memory = gradient_step.moved(study.outer, gradient, state.memory, state.meta)
    meta, memory = jax.tree.map(
        lambda new, old: jnp.where(fine.any(), jnp.asarray(new, old.dtype), old),
        (meta, memory),
        (state.meta, state.memory),
    )
    carried = jax.tree.map(lambda all_of, own: all_of.at[tasks].set(own), state.carried, after)

    def placed(values):
        return jnp.full(count, jnp.nan, values.dtype).at[tasks].set(values)

    row = Row(
        placed(slopes.loss),
        placed(lengths),
        placed(slopes.residual),
        jnp.zeros(count, bool).at[tasks].set(True),
        length(gradient),
        named(study.levels.hyper(state.meta), lambda x: x),
    )
    return State(state.step + 1, meta, memory, carried), row, gradient


def _slopes(study: "MetaStudy", state: State, tasks: Array, key: Array) -> tuple[Any, Any]:
    """The slopes of tasks by number, with a first axis, and what their gradients carry on."""
    arrays, rest = study.family.parts
    keys, noises = keys_of(key, state.step, tasks)

    def one(given):
        own, carried, key, noise = given
        task = eqx.combine(own, rest)
        return study.gradient(study.levels, state.meta, task, key, noise, carried)

    chosen = jax.tree.map(lambda x: x[tasks], (arrays, state.carried))
    given = (*chosen, keys, noises)
    if study.together is None or study.together >= len(tasks):
        return jax.vmap(one)(given)
    return jax.lax.map(one, given, batch_size=study.together)
