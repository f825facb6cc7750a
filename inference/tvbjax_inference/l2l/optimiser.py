"""What an optimiser is: candidates are asked for, their losses told, and less is better.

An optimiser is a frozen Module of hyper-parameters, its state a tree of arrays that is handed in
and out: `jit`, `scan` and `vmap` of whole searches work, and a state on disk goes on with the same
numbers. Optimisers know coordinates and nothing of what they stand for.
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_kind
from tvbjax_inference.l2l.dimensions import mirrored
from tvbjax_inference.l2l.space import Space, Values


class Evaluations(eqx.Module):
    """What came of a batch of candidates.

    `losses`: one each, or several each for more than one objective; what failed has NaN or
    infinity. `gradients`: of the loss by coordinates, for optimisers that `need_gradients`.
    `outputs`: what was simulated, for those that `need_outputs`.
    """

    losses: Float[Array, "candidate *objective"]
    gradients: Float[Array, "candidate width"] | None = None
    outputs: Float[Array, "candidate output"] | None = None


class Search(eqx.Module):
    """The state of an optimiser: its own (`inner`), and what all have.

    `generation`: how many were told. `best`, `least`: the coordinates of the least loss so far,
    and that loss (of several objectives the sum). `since`: generations since then.
    """

    inner: Any
    key: Array
    generation: Int[Array, ""]
    best: Float[Array, " width"]
    least: Float[Array, ""]
    since: Int[Array, ""]
    space: Space = eqx.field(static=True)


class AbstractOptimiser(eqx.Module):
    """Hyper-parameters and the rules `begin`, `propose`, `learn` of one algorithm.

    A user calls `init`, `ask`, `tell`, `best` and `should_stop`. An algorithm writes the five
    methods below those. Numbers that may be tuned are arrays, so that they can be searched
    themselves; numbers that shape arrays are Python's.
    """

    # What `tell` must be given beside losses.
    needs_gradients: ClassVar[bool] = False
    needs_outputs: ClassVar[bool] = False
    # Whether losses may have several objectives.
    several_objectives: ClassVar[bool] = False
    # Whether coordinates must be continuous.
    needs_continuous: ClassVar[bool] = False
    # Whether ask and tell are pure functions of arrays, which can be compiled.
    compiled: ClassVar[bool] = True
    # Why `should_stop` says so.
    stops_when: ClassVar[str] = "the search has converged to working precision"

    @property
    def outputs(self) -> int | None:
        """How many outputs a candidate must have, where outputs are needed."""
        return None

    def init(self, space: Space, key: Array, start: Mapping[str, Any] | None = None) -> Search:
        """The state at the beginning. `start`: values to begin about, in place of the middle.

        Raises `ValueError` for a start that is not in the space, or a space of the wrong kind.
        """
        name = type(self).__name__
        check_kind(f"{name}: space", space, Space, "Space(G=Real(0.0, 5.0))")
        check_one_key(name, key)
        if self.needs_continuous and not space.continuous:
            other = next(n for n, part in space.dimensions if not part.continuous)
            raise ValueError(
                f"{name} moves along real numbers only, and '{other}' is of others; use another "
                "optimiser, e.g. Cma, Genetic or Differential."
            )
        self.check(space)
        begun = space.middle if start is None else space.encode(start)
        coordinates = jnp.asarray(begun, jnp.result_type(float))
        first = jr.fold_in(key, 2**31 - 1)
        return Search(
            inner=self.begin(space, coordinates, first),
            key=key,
            generation=jnp.zeros((), jnp.int32),
            best=coordinates,
            least=jnp.asarray(jnp.inf, coordinates.dtype),
            since=jnp.zeros((), jnp.int32),
            space=space,
        )

    def ask(self, search: Search) -> tuple[Float[Array, "candidate width"], Search]:
        """Coordinates of the next candidates, the same whenever this state is asked, and the state
        to tell their losses to."""
        key = jr.fold_in(search.key, 2 * search.generation)
        candidates, inner = self.propose(search.space, search.inner, key)
        return candidates, eqx.tree_at(lambda s: s.inner, search, inner)

    def tell(
        self,
        search: Search,
        candidates: Float[Array, "candidate width"],
        evaluations: Evaluations,
    ) -> Search:
        """The state after what came of the candidates that were asked for, in their order. What
        failed counts as worse than all else."""
        self._check_told(candidates, evaluations)
        losses = evaluations.losses
        # -inf is no success either: it is an overflow.
        losses = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
        told = Evaluations(losses, evaluations.gradients, evaluations.outputs)
        key = jr.fold_in(search.key, 2 * search.generation + 1)
        inner = self.learn(search.space, search.inner, candidates, told, key)
        totals = losses if losses.ndim == 1 else losses.sum(axis=1)
        first = jnp.argmin(totals)
        better = totals[first] < search.least
        return Search(
            inner=inner,
            key=search.key,
            generation=search.generation + 1,
            best=jnp.where(better, candidates[first], search.best),
            least=jnp.where(better, totals[first], search.least),
            since=jnp.where(better, 0, search.since + 1).astype(jnp.int32),
            space=search.space,
        )

    def best(self, search: Search) -> Values:
        """The values of the least loss so far; those of the start where none was told."""
        return search.space.decode(search.best)

    def should_stop(self, search: Search) -> Bool[Array, ""]:
        """Whether the algorithm has come to its end, so that to go on would tell nothing."""
        return jnp.asarray(self.exhausted(search.space, search.inner))

    @abc.abstractmethod
    def population(self, space: Space) -> int:
        """How many candidates are asked for at once."""

    @abc.abstractmethod
    def begin(self, space: Space, start: Float[Array, " width"], key: Array) -> Any:
        """The algorithm's own state, a tree of arrays."""

    @abc.abstractmethod
    def propose(
        self, space: Space, inner: Any, key: Array
    ) -> tuple[Float[Array, "candidate width"], Any]:
        """Candidates, and the state that remembers what telling needs."""

    @abc.abstractmethod
    def learn(
        self,
        space: Space,
        inner: Any,
        candidates: Float[Array, "candidate width"],
        evaluations: Evaluations,
        key: Array,
    ) -> Any:
        """The state after losses, of which none is NaN: what failed has infinity."""

    def exhausted(self, space: Space, inner: Any) -> Bool[Array, ""] | bool:
        """Whether there is nothing more to find."""
        return False

    def check(self, space: Space) -> None:
        """Raises `ValueError` where the algorithm cannot search this space."""
        return None

    def _check_told(self, candidates: Array, evaluations: Evaluations) -> None:
        name = type(self).__name__
        losses = evaluations.losses
        if losses.shape[:1] != candidates.shape[:1] or losses.ndim not in (1, 2):
            raise ValueError(
                f"{name}: losses have the shape {losses.shape} for {len(candidates)} candidates; "
                "give one loss each, or a row of objectives each."
            )
        if losses.ndim == 2 and not self.several_objectives:
            raise ValueError(
                f"{name}: losses have {losses.shape[1]} objectives, and it takes one; give their "
                "weighted sum, or use Nsga2."
            )
        if self.needs_gradients and evaluations.gradients is None:
            raise ValueError(
                f"{name} needs gradients of the loss; search a JAX function, or use "
                "FiniteDifferences or Spsa."
            )
        if self.needs_outputs and evaluations.outputs is None:
            raise ValueError(
                f"{name} needs what was simulated, not its loss alone; return "
                "Evaluated(loss, outputs=...)."
            )


def ranks(losses: Float[Array, " candidate"]) -> Int[Array, " candidate"]:
    """The place of each in the order from best (0) to worst; of equals the first comes first."""
    order = jnp.argsort(losses, stable=True)
    return jnp.zeros_like(order).at[order].set(jnp.arange(len(order), dtype=order.dtype))


def finite_losses(losses: Float[Array, " candidate"]) -> Float[Array, " candidate"]:
    """What failed as bad as the worst that did not, for algorithms that reckon with losses; zeros
    where all failed."""
    fine = jnp.isfinite(losses)
    worst = jnp.max(jnp.where(fine, losses, -jnp.inf))
    return jnp.where(fine, losses, jnp.where(fine.any(), worst, 0.0))


def within(
    space: Space, coordinates: Float[np.ndarray | Array, "*batch width"]
) -> Float[Array, "*batch width"]:
    """Coordinates mirrored at the ends of what has ends: those that stand for the same values."""
    coordinates = jnp.asarray(coordinates)
    bounded = jnp.broadcast_to(jnp.asarray(space.bounded, bool), coordinates.shape)
    return jnp.where(bounded, mirrored(coordinates), coordinates)


def as_hyper(value: Any) -> Array:
    """A number that may be tuned: as a converter of fields."""
    return jnp.asarray(value, jnp.result_type(float))


def as_optional_hyper(value: Any) -> Array | None:
    """The same where None stands for what follows from the space."""
    return None if value is None else as_hyper(value)
