"""The outer loop: what is learned over a family of tasks, by gradients through their adaptation."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import optax
from jaxtyping import Array

from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.l2l.meta import checking
from tvbjax_inference.l2l.meta.checkpoint import Checkpoint
from tvbjax_inference.l2l.meta.family import Family, as_family
from tvbjax_inference.l2l.meta.gradients import AbstractMetaGradient, Unrolled
from tvbjax_inference.l2l.meta.inner import Inner
from tvbjax_inference.l2l.meta.learned import Learned
from tvbjax_inference.l2l.meta.levels import Levels, Loss, Meta
from tvbjax_inference.l2l.meta.running import Rows, Run
from tvbjax_inference.l2l.meta.stepping import Row, State, begun, outer_step


class MetaStudy(eqx.Module):
    """Learn what makes the adaptation to each of a family's tasks end well.

        MetaStudy(loss, tasks, start=params, inner=Inner(lambda h: optax.sgd(h["rate"]), 5,
                  {"rate": 0.1}), outer=optax.adam(1e-2)).run(200, key=key)

    `loss(params, task, key)`: what the inner loop makes small, a pure JAX function; `validation`:
    what the outer loop makes small, of the params that were adapted, by default the same. `tasks`:
    a `Family`, a list of trees, or a tree whose arrays have a first axis of tasks. `start`: params
    from which every task is adapted. `learned`: which of its leaves the outer loop moves: True for
    all, False for none, or a tree of these. `inner`: the inner loop, and its hyper-parameters that
    are learned. `outer`: a rule of optax, by default `optax.adam(0.01)`. `gradient`: how gradients
    of the outer loss are found, by default exactly (`Unrolled`). `batch`: how many tasks, drawn
    anew, each outer step has; by default all. `along`: the outer loss is the mean of those after
    each inner step, in place of that after the last. `together`: so many tasks are computed side by
    side, by default all; 1 where a task fills the processor.

    A task's noise is its own, and new in every outer step. Raises `TypeError` or `ValueError` for
    losses that are no numbers or do not depend on the params, and what cannot be learned.
    """

    family: Family
    levels: Levels
    meta: Meta
    gradient: AbstractMetaGradient
    outer: optax.GradientTransformation = eqx.field(static=True)
    batch: int | None = eqx.field(static=True)
    together: int | None = eqx.field(static=True)

    def __init__(
        self,
        loss: Loss,
        tasks: Any,
        *,
        start: Any,
        inner: Inner,
        outer: optax.GradientTransformation | None = None,
        gradient: AbstractMetaGradient | None = None,
        validation: Loss | None = None,
        learned: Any = True,
        batch: int | None = None,
        along: bool = False,
        together: int | None = None,
    ):
        self.family = as_family(tasks)
        check_kind("MetaStudy: inner", inner, Inner, "Inner(lambda h: optax.sgd(0.1), 5)")
        gradient = Unrolled() if gradient is None else gradient
        check_kind("MetaStudy: gradient", gradient, AbstractMetaGradient, "Unrolled()")
        outer = optax.adam(0.01) if outer is None else outer
        check_kind("MetaStudy: outer", outer, optax.GradientTransformation, "optax.adam(0.01)")
        start = checking.check_start(start)
        checking.check_loss("loss", loss, start, self.family)
        if validation is not None:
            checking.check_loss("validation", validation, start, self.family)
        checking.check_batch(batch, self.family)
        if together is not None:
            check_count("MetaStudy: together", together)
        moved, fixed = _parts(start, learned)
        numbers = {name: one.numbers for name, one in inner.hyper.items()}
        if not jax.tree.leaves(moved) and not numbers:
            raise ValueError(
                "MetaStudy: nothing is learned: no leaf of the start, and no hyper-parameter; give "
                "learned=True, or Inner(..., hyper={'rate': 0.1})."
            )
        self.levels = Levels(loss, validation or loss, inner, fixed, bool(along))
        self.meta = Meta(moved, numbers)
        gradient.check(self.levels, self.meta)
        self.gradient, self.outer = gradient, outer
        self.batch, self.together = batch, together

    def begin(self) -> State:
        """The state before the first outer step, a tree of arrays."""
        return begun(self)

    def step(self, state: State, key: Array) -> tuple[State, Row]:
        """The state after one more outer step, and what it met; of what failed nothing is told.

        Pure: `jax.vmap` over families, keys or hyper-parameters runs several outer loops at once,
        `jax.lax.scan` a whole one. `key`: the same in every step.
        """
        return outer_step(self, state, key)[:2]

    def start(self, state: State) -> Any:
        """Params from which tasks are adapted, as far as they are learned."""
        return self.levels.start(state.meta)

    def run(
        self,
        steps: int,
        *,
        key: Array,
        checkpoint: str | Path | None = None,
        progress: bool = True,
    ) -> Learned:
        """Take outer steps until there are `steps` of them.

        `checkpoint`: a file that is written as it goes on; a run that was stopped goes on from it,
        with the same numbers as without a stop. Ctrl-C ends the run early and well. A task whose
        outer loss or gradient is NaN is told of, and left out of the step's mean. Raises
        `ValueError` where that is so of all, saying where it comes from.
        """
        check_count("MetaStudy: steps", steps)
        check_one_key("MetaStudy: run", key)
        state, rows = self.begin(), Rows(self.family.labels)
        store = None
        if checkpoint is not None:
            store = Checkpoint(checkpoint, (self, key))
            state, history = store.resumed(state)
            rows.take(history)
        return Run(self, key, rows, store).until(state, steps, progress)


def _parts(start: Any, learned: Any) -> tuple[Any, Any]:
    """The leaves of the start that are learned, and those that stay."""
    try:
        if not all(isinstance(x, bool) for x in jax.tree.leaves(learned)):
            raise TypeError
        return eqx.partition(start, learned)
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"MetaStudy: learned is {learned!r:.60}; give True, False, or a tree of these like the "
            "start."
        ) from error
