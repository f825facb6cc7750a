"""Simulated annealing: chains side by side that accept worse losses while it is hot.

Kirkpatrick, Gelatt & Vecchi (1983), Science 220:671.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper
from tvbjax_inference.l2l.optimisers.collapse import collapsed
from tvbjax_inference.l2l.optimisers.cooling import AbstractCooling, ExponentialCooling
from tvbjax_inference.l2l.optimisers.metropolis import accepted, adapted, chosen, stepped


class _State(eqx.Module):
    positions: Float[Array, "chain width"]
    losses: Float[Array, " chain"]
    steps: Float[Array, " chain"]
    told: Int[Array, ""]


class Annealing(AbstractOptimiser):
    """Simulated annealing in `size` chains, which know nothing of each other.

    `cooling`: the temperature of every generation, in the loss's units. `step`: the deviation of a
    step, in those of the space. `adaptation`: how fast each chain's step comes to be accepted as
    often as `acceptance`, so that it falls with the temperature; 0 keeps it.
    """

    size: int = eqx.field(static=True, default=16)
    cooling: AbstractCooling = eqx.field(default_factory=ExponentialCooling)
    step: Array = eqx.field(converter=as_hyper, default=0.5)
    adaptation: Array = eqx.field(converter=as_hyper, default=0.1)
    acceptance: Array = eqx.field(converter=as_hyper, default=0.25)

    stops_when = "all steps are too small to change a loss"

    def __check_init__(self):
        check_count("Annealing: size", self.size)
        check_kind("Annealing: cooling", self.cooling, AbstractCooling, "ExponentialCooling()")

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        # A chain without a loss accepts the first that is one.
        return _State(
            positions=jnp.broadcast_to(start, (self.size, space.width)),
            losses=jnp.full(self.size, jnp.inf, start.dtype),
            steps=jnp.full(self.size, self.step, start.dtype),
            told=jnp.zeros((), jnp.int32),
        )

    def propose(self, space, inner, key):
        return stepped(space, inner.positions, inner.steps, key), inner

    def learn(self, space, inner, candidates, evaluations, key):
        temperature = self.cooling.temperature(inner.told)
        new = evaluations.losses
        moved = accepted(inner.losses, new, jnp.broadcast_to(temperature, new.shape), key)
        choose = chosen(moved)
        return _State(
            positions=choose(candidates, inner.positions),
            losses=choose(new, inner.losses),
            steps=adapted(inner.steps, moved, self.adaptation, self.acceptance),
            told=inner.told + 1,
        )

    def exhausted(self, space, inner):
        return collapsed(inner.steps, jnp.ones_like(inner.steps))
