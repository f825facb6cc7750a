"""Ways to find the gradient of one task's outer loss by what the outer loop learns.

A way is a pair of functions, as in optax: `init` gives its state, and calling it the outer loss,
the gradient and the next state.
"""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.meta.levels import Levels, Meta


class Slope(NamedTuple):
    """The outer loss, its gradient, and the residual of what the gradient takes to be solved: 0
    where it takes nothing so."""

    loss: Float[Array, ""]
    gradient: Meta
    residual: Float[Array, ""]


class AbstractMetaGradient(eqx.Module):
    """A way to find the gradient of a task's outer loss."""

    def check(self, levels: Levels, meta: Meta) -> None:
        """Raises `ValueError` where this way cannot find what is to be learned."""
        return None

    def init(self, levels: Levels, meta: Meta) -> Any:
        """The state of one task before the first outer step, a tree of arrays."""
        return ()

    @abc.abstractmethod
    def __call__(
        self, levels: Levels, meta: Meta, task: Any, key: Array, noise: Array, state: Any
    ) -> tuple[Slope, Any]:
        """Of one task. `key`: of its losses; `noise`: of this way's own numbers."""


class Unrolled(AbstractMetaGradient):
    """Exact, by reverse mode through all inner steps: MAML. Finn, Abbeel & Levine (2017), ICML,
    PMLR 70:1126, algorithm 1.

    `recompute`: inner steps keep their params alone, and compute the rest again on the way back:
    a third more time, and memory that hardly grows with the number of steps.
    """

    recompute: bool = eqx.field(default=False, static=True)

    def __call__(self, levels, meta, task, key, noise, state):
        return _through(levels, meta, task, key, False, self.recompute), state


class FirstOrder(AbstractMetaGradient):
    """As `Unrolled`, but inner gradients count as constants: no second derivatives are found, which
    is exact where the inner loss has none. Finn, Abbeel & Levine (2017), section 5.2."""

    def __call__(self, levels, meta, task, key, noise, state):
        return _through(levels, meta, task, key, True, False), state


class Truncated(AbstractMetaGradient):
    """Exact within windows of `window` inner steps, counted from the last, and blind to what went
    before each: memory and the growth of gradients end at a window, and hyper-parameters are found
    with a bias. Shaban, Cheng, Hatch & Boots (2019), AISTATS, PMLR 89:1723.

    Of a start the outer loss after the last step tells nothing here, where there are more steps
    than the window has.
    """

    window: int = eqx.field(static=True)

    def __check_init__(self):
        check_count("Truncated: window", self.window)

    def __call__(self, levels, meta, task, key, noise, state):
        total = self._along if levels.along else self._last
        loss, gradient = jax.value_and_grad(total)(meta, levels, task, key)
        return Slope(loss, gradient, jnp.zeros_like(loss)), state

    def _last(self, meta: Meta, levels: Levels, task: Any, key: Array) -> Array:
        before = max(levels.inner.steps - self.window, 0)
        moving = levels.begin(meta)
        if before:
            still = jax.lax.stop_gradient(meta)
            moving = levels.path(still, levels.begin(still), task, key, count=before)[0]
        count = levels.inner.steps - before
        moving, told = levels.path(meta, moving, task, key, first=before, count=count)
        return levels.scored(moving, told, task, key)

    def _along(self, meta: Meta, levels: Levels, task: Any, key: Array) -> Array:
        first = levels.inner.steps % self.window or min(self.window, levels.inner.steps)

        @jax.checkpoint
        def window(moving, number):
            moving = jax.lax.stop_gradient(moving)
            moving, told = levels.path(meta, moving, task, key, first=number, count=self.window)
            return moving, told.outer

        moving, told = levels.path(meta, levels.begin(meta), task, key, count=first)
        numbers = jnp.arange(first, levels.inner.steps, self.window, jnp.int32)
        moving, outer = jax.lax.scan(window, moving, numbers)
        outer = jnp.concatenate([told.outer, outer.ravel()])
        return levels.scored(moving, told._replace(outer=outer), task, key)


class Reptile(AbstractMetaGradient):
    """From the params that were adapted to the start, so that a step down moves the start towards
    them: needs no derivatives of the outer loss. Nichol, Achiam & Schulman (2018),
    arXiv:1803.02999, algorithm 1.

    It learns the start alone.
    """

    def check(self, levels, meta):
        if meta.hyper:
            raise ValueError(
                f"Reptile: it learns the start alone, and not '{next(iter(meta.hyper))}'; fix that "
                "in the rule, or use FirstOrder()."
            )

    def __call__(self, levels, meta, task, key, noise, state):
        moving, told = levels.path(meta, levels.begin(meta), task, key, count=levels.inner.steps)
        away = jax.tree.map(lambda start, end: start - end, levels.start(meta), moving.params)
        learned = jax.tree.map(lambda x: x is not None, meta.start, is_leaf=lambda x: x is None)
        gradient = Meta(eqx.filter(away, learned), {})
        loss = levels.scored(moving, told, task, key)
        return Slope(loss, gradient, jnp.zeros_like(loss)), state


def _through(levels: Levels, meta: Meta, task: Any, key: Array, first_order: bool, again: bool):
    def total(meta):
        moving, told = levels.path(
            meta,
            levels.begin(meta),
            task,
            key,
            count=levels.inner.steps,
            first_order=first_order,
            recompute=again,
        )
        return levels.scored(moving, told, task, key)

    loss, gradient = jax.value_and_grad(total)(meta)
    return Slope(loss, gradient, jnp.zeros_like(loss))
