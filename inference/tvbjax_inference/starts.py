"""Where a fit starts: about the simulator's own values, or at the best of many that are tried."""

import abc
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

import tvbjax
from tvbjax.kinds import check_count, check_number

if TYPE_CHECKING:
    from tvbjax_inference.problem import AbstractProblem, Position


class AbstractStarts(eqx.Module):
    """A way to choose starts."""

    @abc.abstractmethod
    def positions(self, problem: "AbstractProblem", key: Array | None) -> "Position":
        """Positions along a first axis. `key`: of the simulations."""


class Drawn(AbstractStarts):
    """`count` starts: the simulator's own values, and others drawn about them, normal with the
    standard deviation `spread` in unbounded numbers."""

    count: int = eqx.field(static=True)
    spread: float = eqx.field(default=1.0, static=True)
    seed: int = eqx.field(default=0, static=True)

    def __check_init__(self):
        check_count("starts", self.count)
        check_number("starts: spread", self.spread, least=0.0)

    def positions(self, problem, key):
        drawn = problem.draw(jr.key(self.seed), self.count, self.spread)
        return {name: numbers.at[0].set(problem.start[name]) for name, numbers in drawn.items()}


class Swept(AbstractStarts):
    """The `best` of `tried` positions, drawn as by `Drawn` and simulated first."""

    tried: int = eqx.field(default=64, static=True)
    best: int = eqx.field(default=4, static=True)
    spread: float = eqx.field(default=1.0, static=True)
    seed: int = eqx.field(default=0, static=True)

    def __check_init__(self):
        check_count("Swept: tried", self.tried)
        check_count("Swept: best", self.best)
        check_number("Swept: spread", self.spread, least=0.0)
        if self.best > self.tried:
            raise ValueError(
                f"Swept: the best {self.best} of {self.tried} are more than there are."
            )

    def positions(self, problem, key):
        tried = Drawn(self.tried, self.spread, self.seed).positions(problem, key)
        losses = np.asarray(_losses(problem, tried, key))
        if not np.isfinite(losses).any():
            problem.check(problem.start, key)
        order = np.argsort(np.where(np.isfinite(losses), losses, np.inf), kind="stable")
        return jax.tree.map(lambda x: x[order[: self.best]], tried)


# So many positions are simulated side by side.
_TILE = 8


@eqx.filter_jit
def _losses(problem, positions, key):
    count = len(next(iter(positions.values())))
    padded = -count % _TILE

    def filled(x):
        return jnp.concatenate([x, jnp.repeat(x[:1], padded, axis=0)]).reshape(
            -1, _TILE, *x.shape[1:]
        )

    def tile(some):
        return problem.evaluate(some, key, tvbjax.Forward()).losses

    return jax.lax.map(tile, jax.tree.map(filled, positions)).reshape(-1)[:count]
