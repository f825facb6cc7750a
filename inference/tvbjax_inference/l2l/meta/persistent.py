"""The gradient of long inner loops from short pieces of them, without the bias of truncation."""

from typing import Any

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count, check_number
from tvbjax_inference.l2l.meta.gradients import AbstractMetaGradient, Slope


class _Particles(eqx.Module):
    """Of one task. `moving`: where each particle's inner loop is; `walked`: the sum of each pair's
    steps since its inner loop began; `number`: of the window."""

    moving: Any
    walked: Float[Array, "pair number"]
    number: Int[Array, ""]


class PersistentEs(AbstractMetaGradient):
    """Of `pairs` of particles that are moved by opposite normal steps of standard deviation
    `deviation` (in unbounded numbers): each outer step takes every particle's inner loop `window`
    steps further, and weighs its loss with all steps that it was moved by since its inner loop
    began. Vicol, Metz & Sohl-Dickstein (2021), ICML, PMLR 139:10553, algorithm 2.

    The estimate is of the outer loss smoothed by the steps, and unbiased for it on the mean of the
    windows. It needs no derivatives of the outer loss; the loss that is told is the particles' mean
    over the window. It follows losses along the way: for `MetaStudy(along=True)`.
    """

    deviation: float = eqx.field(static=True)
    pairs: int = eqx.field(static=True)
    window: int = eqx.field(static=True)

    def __check_init__(self):
        check_number("PersistentEs: deviation", self.deviation, above=0.0)
        check_count("PersistentEs: pairs", self.pairs)
        check_count("PersistentEs: window", self.window)

    def check(self, levels, meta):
        if not levels.along:
            raise ValueError(
                "PersistentEs: it weighs losses along the way; give MetaStudy(along=True)."
            )
        if levels.inner.steps % self.window:
            raise ValueError(
                f"PersistentEs: windows of {self.window} steps do not fill {levels.inner.steps} "
                "inner steps; give a divisor of them."
            )

    def init(self, levels, meta):
        flat, _ = jax.flatten_util.ravel_pytree(meta)
        begun = levels.begin(meta)
        moving = jax.tree.map(lambda x: jnp.broadcast_to(x, (self.pairs, 2, *jnp.shape(x))), begun)
        walked = jnp.zeros((self.pairs, len(flat)), flat.dtype)
        return _Particles(moving, walked, jnp.zeros((), jnp.int32))

    def __call__(self, levels, meta, task, key, noise, state):
        flat, unflatten = jax.flatten_util.ravel_pytree(meta)
        windows = levels.inner.steps // self.window
        number = state.number % windows
        steps = self.deviation * jr.normal(noise, (self.pairs, len(flat)), flat.dtype)
        anew = number == 0
        walked = jnp.where(anew, 0.0, state.walked) + steps

        def particle(moving, step):
            moved = unflatten(flat + step)
            begun = levels.begin(moved)
            moving = jax.tree.map(lambda x, y: jnp.where(anew, x, y), begun, moving)
            moving, told = levels.path(
                moved, moving, task, key, first=number * self.window, count=self.window
            )
            return moving, told.outer.mean()

        both = jnp.stack([steps, -steps], axis=1)
        moving, losses = jax.vmap(jax.vmap(particle))(state.moving, both)
        # A pair that diverged says nothing.
        differences = (losses[:, 0] - losses[:, 1]) / (2.0 * self.deviation**2)
        told = jnp.isfinite(differences)
        count = told.sum().astype(flat.dtype)
        weights = jnp.where(told, differences, 0.0)
        gradient = jnp.where(count > 0, matmul(weights, walked) / count, jnp.nan)
        loss = jnp.where(told, losses.mean(axis=1), 0.0).sum() / count
        slope = Slope(loss, unflatten(gradient), jnp.zeros_like(loss))
        return slope, _Particles(moving, walked, state.number + 1)
