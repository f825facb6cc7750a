"""Particle swarm: each is drawn to the best place it has seen, and to the best of its neighbours.

Clerc & Kennedy (2002), IEEE Trans. Evol. Comput. 6:58, type 1'' constriction; neighbours on a ring
after Kennedy & Mendes (2002), Congress on Evolutionary Computation, p. 1671.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, within
from tvbjax_inference.l2l.optimisers.populations import about, frozen, is_over


class _State(eqx.Module):
    """`bests`, `losses`: of each particle so far."""

    positions: Float[Array, "particle width"]
    velocities: Float[Array, "particle width"]
    bests: Float[Array, "particle width"]
    losses: Float[Array, " particle"]


class Swarm(AbstractOptimiser):
    """A particle swarm. `size`: of particles, by default 40. `inertia`: what is kept of a velocity;
    `own`, `others`: how strongly the own best place and that of neighbours draw, by default the
    constriction that phi = 4.1 gives. `reach`: how far neighbours are on the ring; by default all
    particles are. `sigma`: first deviation, in the space's."""

    size: int = eqx.field(static=True, default=40)
    inertia: Array = eqx.field(converter=as_hyper, default=0.7298437881283576)
    own: Array = eqx.field(converter=as_hyper, default=1.496179765663133)
    others: Array = eqx.field(converter=as_hyper, default=1.496179765663133)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)
    reach: int | None = eqx.field(static=True, default=None)

    stops_when = "all particles have one best place, or are beyond all measure"

    def __check_init__(self):
        check_count("Swarm: size", self.size, 2)
        if self.reach is not None:
            check_count("Swarm: reach", self.reach)

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        placed, moved = jr.split(key)
        positions = about(space, start, self.sigma, placed, self.size)
        aims = about(space, start, self.sigma, moved, self.size)
        return _State(
            positions=positions,
            velocities=0.5 * (aims - positions),
            bests=positions,
            losses=jnp.full(self.size, jnp.inf, start.dtype),
        )

    def propose(self, space, inner, key):
        return inner.positions, inner

    def learn(self, space, inner, candidates, evaluations, key):
        better = evaluations.losses < inner.losses
        bests = jnp.where(better[:, None], candidates, inner.bests)
        losses = jnp.where(better, evaluations.losses, inner.losses)
        own, others = jr.uniform(key, (2, *bests.shape), bests.dtype)
        leaders = bests[self._leaders(losses)]
        velocities = (
            self.inertia * inner.velocities
            + self.own * own * (bests - candidates)
            + self.others * others * (leaders - candidates)
        )
        aims = candidates + velocities
        positions = within(space, aims)
        # Who meets an end turns back, slower.
        velocities = jnp.where(positions == aims, velocities, -0.5 * velocities)
        after = _State(positions, velocities, bests, losses)
        return frozen(self.exhausted(space, inner), inner, after)

    def exhausted(self, space, inner):
        return jnp.isfinite(inner.losses).all() & is_over(space, inner.bests)

    def _leaders(self, losses):
        """The best neighbour of each."""
        if self.reach is None or 2 * self.reach + 1 >= self.size:
            return jnp.broadcast_to(jnp.argmin(losses), losses.shape)
        near = jnp.arange(-self.reach, self.reach + 1)
        near = (jnp.arange(self.size)[:, None] + near[None]) % self.size
        first = jnp.argmin(losses[near], axis=1)
        return jnp.take_along_axis(near, first[:, None], axis=1)[:, 0]
