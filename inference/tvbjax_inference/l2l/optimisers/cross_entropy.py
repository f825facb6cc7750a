"""The cross-entropy method: draw, keep the best share, fit the distribution to it.

Rubinstein & Kroese (2004), The Cross-Entropy Method, Springer, algorithm 5.1; de Boer, Kroese,
Mannor & Rubinstein (2005), Ann. Oper. Res. 134:19; Botev, Kroese, Rubinstein & L'Ecuyer (2013),
Handbook of Statistics 31:35. Noise against early collapse: Szita & Lorincz (2006), Neural Comput.
18:2936.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tvbjax.kinds import check_count, check_kind, check_number
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, ranks
from tvbjax_inference.l2l.optimisers.collapse import collapsed
from tvbjax_inference.l2l.optimisers.distributions import AbstractDistribution, DiagonalNormal

# How many times the least candidates Face draws at most.
_MANY = 20


class _State(eqx.Module):
    distribution: Any
    updates: Int[Array, ""]


class CrossEntropy(AbstractOptimiser):
    """The cross-entropy method.

    `size`: candidates in a generation, by default 20 + 8 width. `distribution`: `DiagonalNormal()`,
    `FullNormal()` or `NormalMixture(components)`. `elite`: the share that is fitted, above 0 to 1.
    `smoothing`: how far the distribution moves to the fitted one, 0 to 1. `noise`: variance that is
    added to the fitted one, in that of the space; `noise_decay`: what is left of it after each
    generation, so that variances fall no faster than by this factor; without noise the search
    collapses on its way. `sigma`: the first deviation, in those of the space.
    """

    size: int | None = eqx.field(static=True, default=None)
    distribution: AbstractDistribution = eqx.field(default_factory=DiagonalNormal)
    elite: float = eqx.field(static=True, default=0.15)
    smoothing: Array = eqx.field(converter=as_hyper, default=0.9)
    noise: Array = eqx.field(converter=as_hyper, default=0.1)
    noise_decay: Array = eqx.field(converter=as_hyper, default=0.9)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)

    stops_when = "all deviations are too small to change a loss"

    def __check_init__(self):
        if self.size is not None:
            check_count("CrossEntropy: size", self.size, 2)
        _check_distribution("CrossEntropy", self.distribution)
        check_number("CrossEntropy: elite", self.elite, above=0.0)
        if self.elite > 1.0:
            raise ValueError(f"CrossEntropy: elite is {self.elite}; give a share, up to 1.")

    def population(self, space):
        return self.size or 20 + 8 * space.width

    def begin(self, space, start, key):
        deviations = self.sigma * jnp.asarray(space.deviations, start.dtype)
        state = self.distribution.begin(start, deviations, key)
        return _State(state, jnp.zeros((), jnp.int32))

    def propose(self, space, inner, key):
        return self.distribution.draw(inner.distribution, self.population(space), key), inner

    def learn(self, space, inner, candidates, evaluations, key):
        count = min(len(candidates), max(2, math.ceil(self.elite * len(candidates))))
        noise = self.noise * self.noise_decay ** inner.updates.astype(candidates.dtype)
        state = _updated(
            self.distribution,
            inner.distribution,
            candidates,
            _elites(evaluations.losses, count),
            self.smoothing,
            noise * jnp.asarray(space.deviations**2, candidates.dtype),
        )
        return _State(state, inner.updates + 1)

    def exhausted(self, space, inner):
        return _collapsed(space, self.distribution, inner.distribution)


class _Gathered(eqx.Module):
    distribution: Any
    updates: Int[Array, ""]
    candidates: Float[Array, "most width"]
    losses: Float[Array, " most"]
    filled: Int[Array, ""]
    best: Float[Array, ""]
    level: Float[Array, ""]
    unreliable: Bool[Array, ""]


class Face(AbstractOptimiser):
    """Fully adaptive cross-entropy: more candidates are drawn until the elite improves.

    Rubinstein & Kroese (2004), algorithm 5.2; de Boer et al. (2005). `least` candidates are drawn
    at once, and kept beside the last ones of the same distribution until the best of them, or the
    worst of the `elite` best, is better than after the last update. Where that is not so after
    `most` of them, by default 20 times as many, the search ends: it would not be reliable (told
    further losses, it updates with what there is). The other numbers are those of `CrossEntropy`,
    the noise's decay by update.
    """

    least: int = eqx.field(static=True, default=50)
    most: int | None = eqx.field(static=True, default=None)
    elite: int = eqx.field(static=True, default=10)
    distribution: AbstractDistribution = eqx.field(default_factory=DiagonalNormal)
    smoothing: Array = eqx.field(converter=as_hyper, default=0.9)
    noise: Array = eqx.field(converter=as_hyper, default=0.1)
    noise_decay: Array = eqx.field(converter=as_hyper, default=0.9)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)

    stops_when = "the most candidates bring no better elite, or all deviations are too small"

    def __check_init__(self):
        check_count("Face: least", self.least, 2)
        check_count("Face: elite", self.elite, 2)
        _check_distribution("Face", self.distribution)
        if self.most is not None:
            check_count("Face: most", self.most, self.least)
            if self.most % self.least:
                near = self.least * -(-self.most // self.least)
                raise ValueError(
                    f"Face: most {self.most} is no multiple of least {self.least}; give e.g. "
                    f"{near}."
                )
        if self.elite > self.least:
            raise ValueError(
                f"Face: elite {self.elite} is above least {self.least}; give at most that many."
            )

    def population(self, space):
        return self.least

    def begin(self, space, start, key):
        deviations = self.sigma * jnp.asarray(space.deviations, start.dtype)
        infinite = jnp.asarray(jnp.inf, start.dtype)
        most = self.most or _MANY * self.least
        return _Gathered(
            distribution=self.distribution.begin(start, deviations, key),
            updates=jnp.zeros((), jnp.int32),
            candidates=jnp.zeros((most, space.width), start.dtype),
            losses=jnp.full(most, jnp.inf, start.dtype),
            filled=jnp.zeros((), jnp.int32),
            best=infinite,
            level=infinite,
            unreliable=jnp.asarray(False),
        )

    def propose(self, space, inner, key):
        return self.distribution.draw(inner.distribution, self.least, key), inner

    def learn(self, space, inner, candidates, evaluations, key):
        gathered = jax.lax.dynamic_update_slice_in_dim(
            inner.candidates, candidates, inner.filled, axis=0
        )
        losses = jax.lax.dynamic_update_slice_in_dim(
            inner.losses, evaluations.losses, inner.filled, axis=0
        )
        filled = inner.filled + self.least
        order = jnp.sort(losses)
        best, level = order[0], order[self.elite - 1]
        better = (best < inner.best) | (level < inner.level)
        full = filled >= len(losses)
        noise = self.noise * self.noise_decay ** inner.updates.astype(candidates.dtype)
        updated = _updated(
            self.distribution,
            inner.distribution,
            gathered,
            _elites(losses, self.elite),
            self.smoothing,
            noise * jnp.asarray(space.deviations**2, candidates.dtype),
        )
        new = _Gathered(
            distribution=updated,
            updates=inner.updates + 1,
            candidates=gathered,
            losses=jnp.full_like(losses, jnp.inf),
            filled=jnp.zeros_like(filled),
            best=best,
            level=level,
            unreliable=full & ~better,
        )
        waiting = _Gathered(
            distribution=inner.distribution,
            updates=inner.updates,
            candidates=gathered,
            losses=losses,
            filled=filled,
            best=inner.best,
            level=inner.level,
            unreliable=inner.unreliable,
        )
        return jax.tree.map(lambda a, b: jnp.where(better | full, a, b), new, waiting)

    def exhausted(self, space, inner):
        return inner.unreliable | _collapsed(space, self.distribution, inner.distribution)


def _elites(losses: Float[Array, " candidate"], count: int) -> Float[Array, " candidate"]:
    """Equal weights of the best that did not fail; they sum to 1, or to 0 where all failed."""
    chosen = ((ranks(losses) < count) & jnp.isfinite(losses)).astype(losses.dtype)
    return chosen / jnp.maximum(chosen.sum(), 1.0)


def _updated(distribution, state, candidates, weights, smoothing, noise) -> Any:
    """The state moved to the fitted one; as it was where there is nothing to fit."""
    anything = weights.sum() > 0.0
    fitted = distribution.widened(distribution.fit(state, candidates, weights), noise)
    return jax.tree.map(
        lambda new, old: jnp.where(anything, smoothing * new + (1.0 - smoothing) * old, old),
        fitted,
        state,
    )


def _collapsed(space, distribution, state) -> Bool[Array, ""]:
    deviations = jnp.sqrt(distribution.variances(state))
    return collapsed(deviations, jnp.asarray(space.deviations, deviations.dtype))


def _check_distribution(who: str, distribution: Any) -> None:
    check_kind(f"{who}: distribution", distribution, AbstractDistribution, "FullNormal()")
