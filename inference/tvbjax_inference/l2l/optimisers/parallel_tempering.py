"""Parallel tempering: replicas at a ladder of temperatures that swap places.

Geyer (1991), Computing Science and Statistics 23:156; Earl & Deem (2005), Phys. Chem. Chem. Phys.
7:3910. Even and odd pairs take turns (Okabe, Kawata, Okamoto & Mikami 2001, Chem. Phys. Lett.
335:435), so that replicas travel farther than by chance.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.arrays import is_traced
from tvbjax.kinds import check_count, check_number
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, Search, as_hyper
from tvbjax_inference.l2l.optimisers.collapse import collapsed
from tvbjax_inference.l2l.optimisers.metropolis import accepted, adapted, chosen, stepped

# Adaptation falls as generations to this power: between 1/2 and 1 the walk still tends to its
# distribution (Andrieu & Thoms 2008, Stat. Comput. 18:343).
_FALL = 0.6
_ORDER = "give finite temperatures above 0 that rise, from cold to hot, e.g. ladder(0.01, 1.0, 8)."


class _State(eqx.Module):
    positions: Float[Array, "rung width"]
    losses: Float[Array, " rung"]
    steps: Float[Array, " rung"]
    swapped: Int[Array, " pair"]
    tried: Int[Array, " pair"]
    told: Int[Array, ""]


class ParallelTempering(AbstractOptimiser):
    """Replicas that walk at temperatures of their own and swap places with their neighbours.

    `temperatures`: from cold to hot, above 0, in the loss's units; `ladder` makes them. `step`: the
    deviation of a step, in those of the space, at first. `adaptation`: how fast each rung's step
    comes to be accepted as often as `acceptance`, at first; it falls with generations, so that
    rung i samples exp(-loss / temperature i) in the end. 0 keeps steps.
    """

    temperatures: Float[Array, " rung"] = eqx.field(converter=as_hyper)
    step: Array = eqx.field(converter=as_hyper, default=0.5)
    adaptation: Array = eqx.field(converter=as_hyper, default=0.5)
    acceptance: Array = eqx.field(converter=as_hyper, default=0.25)

    stops_when = "all steps are too small to change a loss"

    def __check_init__(self):
        shape = self.temperatures.shape
        if len(shape) != 1 or shape[0] < 2:
            raise ValueError(
                f"ParallelTempering: temperatures have the shape {shape}; give two or more in a "
                "row, e.g. ladder(0.01, 1.0, 8)."
            )
        if not is_traced(self.temperatures) and self._disordered():
            raise ValueError(
                f"ParallelTempering: temperatures are {np.asarray(self.temperatures)}; {_ORDER}"
            )

    def population(self, space):
        return len(self.temperatures)

    def begin(self, space, start, key):
        rungs = len(self.temperatures)
        start = eqx.error_if(start, self._disordered(), f"ParallelTempering: {_ORDER}")
        return _State(
            positions=jnp.broadcast_to(start, (rungs, space.width)),
            losses=jnp.full(rungs, jnp.inf, start.dtype),
            steps=jnp.full(rungs, self.step, start.dtype),
            swapped=jnp.zeros(rungs - 1, jnp.int32),
            tried=jnp.zeros(rungs - 1, jnp.int32),
            told=jnp.zeros((), jnp.int32),
        )

    def propose(self, space, inner, key):
        return stepped(space, inner.positions, inner.steps, key), inner

    def learn(self, space, inner, candidates, evaluations, key):
        walk, swap = jr.split(key)
        moved = accepted(inner.losses, evaluations.losses, self.temperatures, walk)
        choose = chosen(moved)
        positions = choose(candidates, inner.positions)
        losses = choose(evaluations.losses, inner.losses)
        order, tried, done = self._swaps(losses, inner.told, swap)
        rate = self.adaptation / (1.0 + inner.told.astype(losses.dtype)) ** _FALL
        return _State(
            positions=positions[order],
            losses=losses[order],
            steps=adapted(inner.steps, moved, rate, self.acceptance),
            swapped=inner.swapped + done.astype(jnp.int32),
            tried=inner.tried + tried.astype(jnp.int32),
            told=inner.told + 1,
        )

    def exhausted(self, space, inner):
        return collapsed(inner.steps, jnp.ones_like(inner.steps))

    def swap_rates(self, search: Search) -> Float[Array, " pair"]:
        """How often each rung and the next hotter one swapped, of the times they could; good
        ladders have about 0.2 to 0.4 everywhere. NaN before any could."""
        tried = search.inner.tried.astype(search.best.dtype)
        return search.inner.swapped.astype(search.best.dtype) / jnp.where(tried > 0, tried, jnp.nan)

    def _disordered(self) -> Array:
        rising = jnp.all(jnp.diff(self.temperatures) > 0) & (self.temperatures[0] > 0)
        return ~rising | ~jnp.isfinite(self.temperatures[-1])

    def _swaps(self, losses, told, key):
        """Whom each rung gets, and which pairs tried and did."""
        pairs = jnp.arange(len(losses) - 1, dtype=jnp.int32)
        tried = pairs % 2 == told % 2
        inverse = 1.0 / self.temperatures
        gain = (inverse[:-1] - inverse[1:]) * (losses[1:] - losses[:-1])
        # Of two failures the difference is NaN, which is not below anything.
        done = tried & (gain < jr.exponential(key, gain.shape, gain.dtype))
        down = jnp.concatenate([done, jnp.zeros(1, bool)])
        up = jnp.concatenate([jnp.zeros(1, bool), done])
        place = jnp.arange(len(losses), dtype=jnp.int32)
        return place + down.astype(jnp.int32) - up.astype(jnp.int32), tried, done


def ladder(coldest: float, hottest: float, rungs: int) -> Float[Array, " rung"]:
    """Temperatures at equal ratios, for which swaps are equally frequent where the heat capacity
    does not change (Earl & Deem 2005, section 3.1)."""
    check_number("ladder: coldest", coldest, above=0.0)
    check_number("ladder: hottest", hottest, above=coldest)
    check_count("ladder: rungs", rungs, 2)
    return as_hyper(np.geomspace(coldest, hottest, rungs))
