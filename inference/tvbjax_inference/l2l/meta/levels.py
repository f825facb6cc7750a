"""Both loops of one task as pure functions: what a gradient of the outer loss goes through."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax_inference import gradient_step
from tvbjax_inference.l2l.meta.inner import Inner, length

Loss = Callable[[Any, Any, Array], Array]

# The number of the key that the outer loss has, which no inner step has.
_OUTER = 2**31 - 1


class Meta(eqx.Module):
    """What the outer loop learns: the start (None for leaves that stay), and hyper-parameters as
    unbounded numbers by name."""

    start: Any
    hyper: dict[str, Any]


class Moving(NamedTuple):
    """What goes from one inner step to the next: params, and the rule's memory."""

    params: Any
    memory: Any


class Told(NamedTuple):
    """Of inner steps: the loss before each, without a penalty; the length of the whole gradient;
    and the outer loss after each, where it counts."""

    losses: Float[Array, " step"]
    lengths: Float[Array, " step"]
    outer: Float[Array, " step"]


class Levels(eqx.Module):
    """The inner loss and loop, and the outer loss. `fixed`: the leaves of the start that are not
    learned. `along`: the outer loss is the mean of those after every step, not that of the last."""

    loss: Loss = eqx.field(static=True)
    validation: Loss = eqx.field(static=True)
    inner: Inner
    fixed: Any
    along: bool = eqx.field(static=True)

    def start(self, meta: Meta) -> Any:
        """The whole start."""
        return eqx.combine(meta.start, self.fixed)

    def hyper(self, meta: Meta) -> dict[str, Any]:
        """The hyper-parameters' values."""
        return {name: self.inner.hyper[name].values(x) for name, x in meta.hyper.items()}

    def begin(self, meta: Meta) -> Moving:
        """Params at the start, and a fresh memory."""
        start = self.start(meta)
        return Moving(start, gradient_step.begun(self.inner.made(self.hyper(meta)), start))

    def whole(self, meta: Meta, params: Any, task: Any, key: Array) -> tuple[Array, Array]:
        """The inner loss with its penalty, and without."""
        loss = self.loss(params, task, key)
        penalty = self.inner.penalty
        if penalty is None:
            return loss, loss
        return loss + penalty(params, self.start(meta), self.hyper(meta)), loss

    def outer(self, params: Any, task: Any, key: Array) -> Array:
        """The outer loss of params."""
        return self.validation(params, task, jr.fold_in(key, _OUTER))

    def step(
        self, meta: Meta, moving: Moving, task: Any, key: Array, number: Any, first_order: bool
    ) -> tuple[Moving, Array, Array]:
        """One inner step, the loss before it, and the length of the gradient. `first_order`: the
        gradient counts as a constant."""
        own = jr.fold_in(key, number) if self.inner.resample else key

        def whole(params):
            return self.whole(meta, params, task, own)

        params, memory = moving
        (value, loss), slopes = jax.value_and_grad(whole, has_aux=True)(params)
        if first_order:
            slopes = jax.lax.stop_gradient(slopes)
        rule = self.inner.made(self.hyper(meta))
        moved, after = gradient_step.moved(
            rule,
            slopes,
            memory,
            params,
            value=value,
            grad=slopes,
            value_fn=lambda p: whole(p)[0],
        )
        # The same types go in and out.
        moved, after = jax.tree.map(
            lambda new, old: jnp.asarray(new, old.dtype), (moved, after), (params, memory)
        )
        # A root's derivative at 0 times nothing would be NaN.
        return Moving(moved, after), loss, length(jax.lax.stop_gradient(slopes))

    def path(
        self,
        meta: Meta,
        moving: Moving,
        task: Any,
        key: Array,
        *,
        first: Any = 0,
        count: int,
        first_order: bool = False,
        recompute: bool = False,
    ) -> tuple[Moving, Told]:
        """`count` inner steps from the step `first` on. `recompute`: what is within a step is not
        kept for reverse mode, but computed again."""

        def body(moving, number):
            after, loss, size = self.step(meta, moving, task, key, number, first_order)
            outer = self.outer(after.params, task, key) if self.along else jnp.zeros_like(loss)
            return after, Told(loss, size, outer)

        body = jax.checkpoint(body) if recompute else body
        return jax.lax.scan(body, moving, first + jnp.arange(count, dtype=jnp.int32))

    def scored(self, moving: Moving, told: Told, task: Any, key: Array) -> Array:
        """The outer loss of a whole path."""
        return told.outer.mean() if self.along else self.outer(moving.params, task, key)
