"""Genetic algorithm: tournaments, crossover, mutation, an elite, and a hall of fame.

Whole numbers and options are coordinates already. Goldberg & Deb (1991), Foundations of Genetic
Algorithms 1:69, for tournaments; `crossover` and `mutation` have papers of their own.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, as_optional_hyper, within
from tvbjax_inference.l2l.optimisers.crossover import AbstractCrossover, Blend
from tvbjax_inference.l2l.optimisers.mutation import AbstractMutation, NormalMutation
from tvbjax_inference.l2l.optimisers.populations import about, frozen, is_over


class _State(eqx.Module):
    """`children`: to be asked for. `members`, `losses`: who may become parents, best first.
    `hall`, `hall_losses`: the best of all, best first."""

    children: Float[Array, "member width"]
    members: Float[Array, "member width"]
    losses: Float[Array, " member"]
    hall: Float[Array, "famous width"]
    hall_losses: Float[Array, " famous"]


class Genetic(AbstractOptimiser):
    """A genetic algorithm. `size`: children in a generation, by default 40. `crossover`, and how
    many pairs do it (`crossing`); `mutation`, and of how many coordinates (`mutating`; by default
    of one in a child on average, and a tenth at most: with more of them steps would widen what
    selection narrows). `entrants`: in a tournament. `elite`: parents that live on. `famous`: how
    many are kept in the hall of fame. `sigma`: first deviation, in the space's.
    """

    size: int = eqx.field(static=True, default=40)
    crossover: AbstractCrossover = eqx.field(default_factory=Blend)
    mutation: AbstractMutation = eqx.field(default_factory=NormalMutation)
    crossing: Array = eqx.field(converter=as_hyper, default=0.9)
    mutating: Array | None = eqx.field(converter=as_optional_hyper, default=None)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)
    entrants: int = eqx.field(static=True, default=2)
    elite: int = eqx.field(static=True, default=1)
    famous: int = eqx.field(static=True, default=10)

    stops_when = "all members are one point, or beyond all measure"

    def __check_init__(self):
        check_count("Genetic: size", self.size, 2)
        check_count("Genetic: entrants", self.entrants)
        check_count("Genetic: elite", self.elite, 0)
        check_count("Genetic: famous", self.famous)
        check_kind("Genetic: crossover", self.crossover, AbstractCrossover, "Blend()")
        check_kind("Genetic: mutation", self.mutation, AbstractMutation, "NormalMutation()")
        if self.elite > self.size:
            raise ValueError(
                f"Genetic: the elite of {self.elite} is more than its {self.size} members; give a "
                "smaller one."
            )

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        members = about(space, start, self.sigma, key, self.size)
        return _State(
            children=members,
            members=members,
            losses=jnp.full(self.size, jnp.inf, start.dtype),
            hall=jnp.broadcast_to(start, (self.famous, space.width)),
            hall_losses=jnp.full(self.famous, jnp.inf, start.dtype),
        )

    def propose(self, space, inner, key):
        return inner.children, inner

    def learn(self, space, inner, candidates, evaluations, key):
        losses = evaluations.losses
        members, kept = _best(
            jnp.concatenate([inner.members[: self.elite], candidates]),
            jnp.concatenate([inner.losses[: self.elite], losses]),
            self.size,
        )
        hall, hall_losses = _best(
            jnp.concatenate([inner.hall, candidates]),
            jnp.concatenate([inner.hall_losses, losses]),
            self.famous,
        )
        children = self._children(space, members, kept, key)
        after = _State(children, members, kept, hall, hall_losses)
        return frozen(self.exhausted(space, inner), inner, after)

    def exhausted(self, space, inner):
        return jnp.isfinite(inner.losses).all() & is_over(space, inner.members)

    def _children(self, space, members, losses, key) -> Float[Array, "member width"]:
        chosen, crossed, which, mutated, where = jr.split(key, 5)
        pairs = (self.size + 1) // 2
        entrants = jr.randint(chosen, (2, pairs, self.entrants), 0, self.size)
        # Members are in order: the first of a tournament is its best.
        parents = members[jnp.min(entrants, axis=2)]
        crosses = jr.uniform(which, (pairs, 1), members.dtype) < self.crossing
        children = jnp.stack(self.crossover.cross(crossed, parents[0], parents[1]))
        children = jnp.where(crosses[None], children, parents)
        children = children.reshape(2 * pairs, space.width)[: self.size]
        scale = jnp.asarray(space.deviations, members.dtype)
        steps = self.mutation.steps(mutated, members, scale)
        share = min(0.1, 1.0 / space.width) if self.mutating is None else self.mutating
        moves = jr.uniform(where, children.shape, children.dtype) < share
        return within(space, jnp.where(moves, children + steps, children))


def _best(members: Array, losses: Array, count: int) -> tuple[Array, Array]:
    """The best of them, in order."""
    order = jnp.argsort(losses, stable=True)[:count]
    return members[order], losses[order]
