"""NSGA-II, by Optuna: for several objectives at once.

Deb, Pratap, Agarwal & Meyarivan (2002), IEEE Trans. Evol. Comput. 6:182.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, Search
from tvbjax_inference.l2l.optimisers.optuna_history import asked, empty, grown, optuna_of, seed
from tvbjax_inference.l2l.space import Values


class Nsga2(AbstractOptimiser):
    """Optuna's NSGA-II sampler. Needs the package optuna, and cannot be compiled.

    `objectives`: how many a loss has; one is a loss that is a number. `size`: candidates in a
    generation. `front` has what it is for; `best` is of the least sum.
    """

    objectives: int = eqx.field(static=True, default=2)
    size: int = eqx.field(static=True, default=50)
    crossover: float = eqx.field(static=True, default=0.9)

    several_objectives = True
    compiled = False

    def __check_init__(self):
        check_count("Nsga2: objectives", self.objectives)
        check_count("Nsga2: size", self.size, 2)

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        optuna_of("Nsga2")
        return empty(space, self.size, self.objectives, start.dtype)

    def propose(self, space, inner, key):
        sampler = optuna_of("Nsga2").samplers.NSGAIISampler(
            population_size=self.size, crossover_prob=self.crossover, seed=seed(key)
        )
        return asked("Nsga2", space, inner, sampler, self.size)

    def learn(self, space, inner, candidates, evaluations, key):
        losses = evaluations.losses
        losses = losses[:, None] if losses.ndim == 1 else losses
        if losses.shape[1] != self.objectives:
            raise ValueError(
                f"Nsga2: losses have {losses.shape[1]} objectives and it was made for "
                f"{self.objectives}; give Nsga2(objectives={losses.shape[1]})."
            )
        return grown(space, inner, candidates, losses)

    def front(self, search: Search) -> tuple[Values, Float[Array, "front objective"]]:
        """The values of all candidates that no other is better than in everything, and their
        losses, from the least first one on."""
        losses = jnp.asarray(search.inner.losses)
        chosen = jnp.flatnonzero(undominated(losses))
        chosen = chosen[jnp.argsort(losses[chosen, 0], stable=True)]
        coordinates = jnp.asarray(search.inner.coordinates)
        return search.space.decode(coordinates[chosen]), losses[chosen]


def undominated(losses: Float[Array, "candidate objective"]) -> Bool[Array, " candidate"]:
    """Which did not fail, and have none that is as good everywhere and better somewhere."""
    one, other = losses[:, None], losses[None]
    worse = (other <= one).all(axis=-1) & (other < one).any(axis=-1)
    return jnp.isfinite(losses).all(axis=1) & ~worse.any(axis=1)
