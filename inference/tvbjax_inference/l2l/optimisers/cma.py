"""Covariance matrix adaptation: a normal distribution that learns its shape, and begins anew.

Hansen (2016), The CMA evolution strategy: a tutorial, arXiv:1604.00772, with weights below zero
(active); restarts after Auger & Hansen (2005) and Hansen (2009).
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int

from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper
from tvbjax_inference.l2l.optimisers.cma_distribution import (
    Normal,
    adapted,
    first_normal,
    sampled,
)
from tvbjax_inference.l2l.optimisers.cma_restarts import AbstractRestarts, Run
from tvbjax_inference.l2l.optimisers.cma_stopping import History, no_history, noted, stopped


class _State(eqx.Module):
    """`over`: whether all has come to its end. Without restarts nothing changes from then on."""

    normal: Normal
    history: History
    over: Bool[Array, ""]


class _Gathering(eqx.Module):
    """With restarts. `candidates`, `losses`: of the population so far, of so many batches
    (`gathered`); `used`: batches of this run; `sigma`: its first step size; `memory`: the rule's.
    """

    state: _State
    candidates: Float[Array, "room width"]
    losses: Float[Array, " room"]
    gathered: Int[Array, ""]
    used: Int[Array, ""]
    run: Run
    memory: Any


class Cma(AbstractOptimiser):
    """CMA-ES. `size`: candidates in a generation, by default 4 + 3 ln(width). `sigma`: the first
    step size, in deviations of the space. `restarts`: `Ipop()` or `Bipop()`; by default a run that
    has come to its end is the last. `tolerance`: differences of losses that count for none.

    With restarts `size` candidates are asked for at a time and gathered until the population is
    whole; the largest population is held in memory, which fewer `doublings` make smaller.
    """

    size: int | None = eqx.field(static=True, default=None)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)
    restarts: AbstractRestarts | None = None
    tolerance: Array = eqx.field(converter=as_hyper, default=1e-12)

    stops_when = "the distribution or its losses have become too narrow to tell more"

    def __check_init__(self):
        if self.size is not None:
            check_count("Cma: size", self.size, 3)
        if self.restarts is not None:
            check_kind("Cma: restarts", self.restarts, AbstractRestarts, "Ipop()")

    def population(self, space):
        return self.size or 4 + int(3 * math.log(space.width))

    def begin(self, space, start, key):
        state = self._begun(space, start, self.sigma)
        if self.restarts is None:
            return state
        room = self.restarts.most * self.population(space)
        run, memory = self.restarts.first(start.dtype)
        return _Gathering(
            state=state,
            candidates=jnp.zeros((room, space.width), start.dtype),
            losses=jnp.full(room, jnp.inf, start.dtype),
            gathered=jnp.zeros((), jnp.int32),
            used=jnp.zeros((), jnp.int32),
            run=run,
            memory=memory,
        )

    def propose(self, space, inner, key):
        normal = inner.normal if self.restarts is None else inner.state.normal
        return sampled(normal, _scale(space, normal), key, self.population(space)), inner

    def learn(self, space, inner, candidates, evaluations, key):
        losses = evaluations.losses
        if self.restarts is None:
            population = jnp.asarray(len(losses), losses.dtype)
            after = self._after(space, inner, candidates, losses, population, self.sigma)
            return jax.tree.map(lambda old, new: jnp.where(inner.over, old, new), inner, after)
        place = inner.gathered * len(losses)
        gathering = _Gathering(
            state=inner.state,
            candidates=jax.lax.dynamic_update_slice_in_dim(inner.candidates, candidates, place, 0),
            losses=jax.lax.dynamic_update_slice_in_dim(inner.losses, losses, place, 0),
            gathered=inner.gathered + 1,
            used=inner.used + 1,
            run=inner.run,
            memory=inner.memory,
        )
        whole = gathering.gathered >= gathering.run.batches
        return jax.lax.cond(
            whole, lambda g: self._generation(space, g, len(losses), key), lambda g: g, gathering
        )

    def exhausted(self, space, inner):
        return inner.over if self.restarts is None else inner.state.over

    def _begun(self, space, start, sigma) -> _State:
        return _State(
            normal=first_normal(start, sigma),
            history=no_history(space.width, self.population(space), start.dtype),
            over=jnp.zeros((), bool),
        )

    def _after(self, space, state, candidates, losses, population, sigma) -> _State:
        """One generation on."""
        scale = _scale(space, state.normal)
        history = noted(state.history, losses, population, state.normal.generation)
        normal = adapted(state.normal, scale, candidates, losses, population)
        over = stopped(normal, history, losses, population, scale, sigma, self.tolerance)
        return _State(normal, history, over)

    def _generation(self, space, gathering, size, key) -> _Gathering:
        """One generation on, and to the next run where this one ends."""
        run, memory = gathering.run, gathering.memory
        population = (size * run.batches).astype(gathering.losses.dtype)
        after = self._after(
            space,
            gathering.state,
            gathering.candidates,
            gathering.losses,
            population,
            self.sigma * run.share,
        )
        ends = after.over | (gathering.used >= run.limit)
        over = gathering.state.over | (after.over & self.restarts.over(memory))
        of_rule, of_place = jr.split(key)
        following, remembered = self.restarts.following(memory, gathering.used, of_rule)
        place = space.draw(of_place, 1)[0].astype(gathering.losses.dtype)
        begun = self._begun(space, place, self.sigma * following.share)
        state, run, memory, used = jax.tree.map(
            lambda new, old: jnp.where(ends, new, old),
            (begun, following, remembered, jnp.zeros_like(gathering.used)),
            (after, run, memory, gathering.used),
        )
        return _Gathering(
            state=_State(state.normal, state.history, over),
            candidates=gathering.candidates,
            losses=jnp.full_like(gathering.losses, jnp.inf),
            gathered=jnp.zeros_like(gathering.gathered),
            used=used,
            run=run,
            memory=memory,
        )


def _scale(space, normal: Normal) -> Float[Array, " width"]:
    return jnp.asarray(space.deviations, normal.mean.dtype)
