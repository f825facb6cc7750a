"""A whole brain in tvbjax as an optimisee: what is free in a simulator, and an objective.

Candidates run side by side as a fit's starts do, far quicker than one network each under `vmap`.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import supports
from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_kind
from tvbjax_inference.l2l.dimensions import AbstractDimension, Real, Unbounded
from tvbjax_inference.l2l.evaluating import Evaluated
from tvbjax_inference.l2l.optimisees import Function
from tvbjax_inference.l2l.space import Space
from tvbjax_inference.problem import AbstractProblem


@dataclasses.dataclass(frozen=True, eq=False)
class WholeBrain:
    """The loss of a `tvbjax.inference.Problem` as a function of values and keys, both with a first
    axis for candidates.

        brain = WholeBrain(Problem(simulator, free, objective, 60_000.0))
        l2l.Study(brain.optimisee(tile=64), l2l.Cma(), key, l2l.MaxEvaluations(1000))

    `key`: of the noise, the same for all candidates, whose losses then differ by their values
    alone; without one each has its own. A problem of several people (`Cohort`) needs one.
    """

    problem: AbstractProblem
    key: Array | None = None

    def __post_init__(self):
        check_kind("WholeBrain: problem", self.problem, AbstractProblem, "Problem(simulator, ...)")
        if self.key is not None:
            check_one_key("WholeBrain", self.key)

    @property
    def space(self) -> Space:
        """What is free, by its support: an interval from end to end, what is positive by factors
        from its present values, and other numbers from these in steps of the support's scale."""
        start, named = self.problem.start, self.problem.supports()
        return Space({name: _dimension(named[name], start[name]) for name in start})

    def optimisee(self, tile: int | None = None) -> Function:
        """For a `Study`. `tile`: how many candidates run side by side."""
        return Function(self, self.space, batched=True, tile=tile)

    def __call__(self, values: dict[str, Array], keys: Array) -> Evaluated:
        named = self.problem.supports()
        positions = {
            name: _numbers(named[name], values[name], start.dtype)
            for name, start in self.problem.start.items()
        }
        found = self.problem.evaluate(positions, keys if self.key is None else self.key)
        return Evaluated(found.losses, more=dict(found.terms))


def _dimension(support: supports.AbstractSupport, start: Array) -> AbstractDimension:
    """What an element of a position may be, as a value."""
    shape = start.shape
    if isinstance(support, supports.Interval):
        return Real(support.low, support.high, shape=shape)
    values = np.asarray(support.constrain(start), float)
    if isinstance(support, supports.Positive):
        return Unbounded(values, log=True, shape=shape)
    scale = support.scale if isinstance(support, supports.Real) else 1.0
    return Unbounded(values, scale, shape=shape)


def _numbers(
    support: supports.AbstractSupport, values: Float[Array, "*shape"], dtype: jnp.dtype
) -> Float[Array, "*shape"]:
    """The unbounded numbers of values, up to the ends of an interval."""
    if not isinstance(support, supports.Interval):
        return support.unconstrain(values.astype(dtype))
    # `unconstrain` keeps a start away from the ends, where gradients vanish; a search may go there.
    nearest = float(jnp.finfo(dtype).eps)
    share = (values.astype(dtype) - support.low) / (support.high - support.low)
    share = jnp.clip(share, nearest, 1.0 - nearest)
    return jnp.log(share) - jnp.log1p(-share)
