"""Whether exact gradients of a problem are of use: how fast a small change of state grows.

A gradient through T ms contains products of T ms of Jacobians, which grow as exp(lambda T) where
the largest Lyapunov exponent lambda is positive. Metz et al. (2021), arXiv:2111.05803; Mikhaeil,
Monfared & Durstewitz (2022), NeurIPS 35:11297.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float

import tvbjax
from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_number
from tvbjax.steps import steps_of
from tvbjax_inference.numbers import Numbers
from tvbjax_inference.problem import AbstractProblem, Position, Problem, checked_position

_WINDOWS = 50
# A gradient so many times longer than one followed through a single moment is noise.
_EXPLODED = 1e3
# Over a horizon that is advised a change grows by so much.
_ADVISED = 20.0


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Growth:
    """How a small change of state grows along a run.

    `times`: ms since the start. `logs`: the natural logarithm of the change's length there, 0 at
    the start. `rate`, `error`: of the run's second half, per ms, with its standard error: the
    largest Lyapunov exponent of the network, as far as the run tells. `gradients`: lengths of the
    loss's gradient by horizon, ms.
    """

    times: Float[np.ndarray, " time"]
    logs: Float[np.ndarray, " time"]
    rate: float
    error: float
    gradients: dict[float, float]

    @property
    def duration(self) -> float:
        """Of the run, ms."""
        return float(self.times[-1])

    @property
    def back(self) -> tuple[np.ndarray, np.ndarray]:
        """Horizons, ms, and the logarithm of the final state's sensitivity to a change so long
        before the end."""
        return self.duration - self.times[::-1], self.logs[-1] - self.logs[::-1]

    @property
    def explodes(self) -> bool:
        """Whether exact gradients of the whole run are of no use: a change grows by a factor above
        1000 over the run, and still does in its second half."""
        return min(float(self.logs[-1]), self.rate * self.duration) > math.log(_EXPLODED)

    @property
    def horizon(self) -> float | None:
        """For `Reverse(horizon=...)`, ms: a change grows by a factor of 20 within it; None where
        gradients may be followed to the start."""
        return math.log(_ADVISED) / self.rate if self.explodes else None

    def report(self) -> str:
        """What follows, in words."""
        rate = f"{self.rate:.3g} ± {self.error:.2g} per ms"
        total = self.logs[-1] / math.log(10.0)
        if self.explodes:
            text = (
                f"Gradients explode: a change of state grows at {rate}, by e every "
                f"{1 / self.rate:.3g} ms, and 10^{total:.1f} times over {self.duration:g} ms. Use "
                f"gradients.Reverse(horizon={_rounded(self.horizon or 0.0):g}), gradients."
                "EvolutionStrategy(), or gradients.PersistentEvolutionStrategy() of shorter runs."
            )
        elif total > 1.0:
            text = (
                f"Gradients grow: a change of state at {rate}, 10^{total:.1f} times over "
                f"{self.duration:g} ms. They may still be of use; try optax.clip_by_global_norm, "
                "and shorter runs."
            )
        elif total < -1.0 and self.rate < 0:
            text = (
                f"Exact gradients are of use: a change of state shrinks, at {rate}; what happens "
                f"more than {5 / -self.rate:.3g} ms before is forgotten, and need not be followed."
            )
        else:
            text = (
                f"Exact gradients are of use: a change of state neither grows nor shrinks ({rate})."
            )
        if self.gradients:
            lengths = (f"{length:.3g} over {h:g} ms" for h, length in self.gradients.items())
            text += f" The gradient's length is {', '.join(lengths)}."
        return text

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return f"Growth: {self.rate:.3g} ± {self.error:.2g} per ms over {self.duration:g} ms"


def gradient_growth(
    problem: AbstractProblem,
    position: Mapping[str, ArrayLike],
    key: Array | None = None,
    *,
    horizons: Sequence[float] = (),
) -> Growth:
    """Whether exact gradients explode about a position, when, and what to do about it.

    A random change of the initial state is followed in forward mode along the problem's whole run,
    and its length taken down in fifty windows. `horizons`: ms; for each the gradient is
    found with `Reverse(horizon)` as well, which is compiled anew. `key`: of the simulation's noise.

    Raises `ValueError` where the run diverges, or is too short to tell.
    """
    if isinstance(problem, AbstractProblem) and not isinstance(problem, Problem):
        raise TypeError(
            "gradient_growth: this is a problem of several subjects; give one's, "
            "cohort.problems[...], and cohort.of_subject(..., position)."
        )
    position = checked_position("gradient_growth", problem, position)
    assert isinstance(problem, Problem)
    if key is not None:
        check_one_key("gradient_growth", key)
    if isinstance(horizons, str) or not isinstance(horizons, Iterable):
        raise TypeError(
            f"gradient_growth: horizons is {horizons!r:.60}; give a list of ms, [100.0]."
        )
    for horizon in horizons:
        check_number("gradient_growth: a horizon, in ms,", horizon, above=0.0)
    dt = problem.simulator.integrator.dt
    steps = steps_of(problem.duration, dt, "gradient_growth: the duration")
    each = int(steps) // _WINDOWS
    if each < 1:
        raise ValueError(
            f"gradient_growth: a run of {int(steps)} steps is too short to tell; give the problem "
            f"{_WINDOWS} or more."
        )
    rates = np.asarray(_stretching(problem, position, key, each * dt), float)
    if not np.isfinite(rates).all():
        problem.check(position, key)
        raise ValueError("gradient_growth: a derivative of the state is no finite number.")
    logs = np.concatenate([[0.0], np.cumsum(rates)])
    half = rates[_WINDOWS // 2 :] / (each * dt)
    lengths = {}
    for horizon in horizons:
        length = float(_length(problem, Numbers.of(problem), position, key, float(horizon)))
        lengths[float(horizon)] = length
    return Growth(
        times=each * dt * np.arange(_WINDOWS + 1),
        logs=logs,
        rate=float(half.mean()),
        error=float(half.std(ddof=1) / np.sqrt(len(half))),
        gradients=lengths,
    )


@eqx.filter_jit
def _stretching(problem: Problem, position: Position, key: Array | None, window: float):
    """Of each window the logarithm of by how much a change of the state grows in it."""
    several = jax.tree.map(lambda x: x[None], position)

    def onward(carry):
        return problem.run(several, key, lambda _: (), tvbjax.Forward(), carry, window)[1]

    def one(state, _):
        carry, change = state
        carry, change = eqx.filter_jvp(onward, (carry,), (change,))
        change = eqx.filter(change, eqx.is_inexact_array)
        size = jnp.sqrt((change.state**2).sum())
        size = jnp.maximum(size, jnp.finfo(size.dtype).tiny)
        return (carry, jax.tree.map(lambda x: x / size, change)), jnp.log(size)

    carry = problem.begun(several)
    change = jax.tree.map(jnp.zeros_like, eqx.filter(carry, eqx.is_inexact_array))
    drawn = jr.normal(jr.key(0), carry.state.shape, carry.state.dtype)
    change = eqx.tree_at(lambda c: c.state, change, drawn / jnp.sqrt((drawn**2).sum()))
    return jax.lax.scan(one, (carry, change), length=_WINDOWS)[1]


@eqx.filter_jit
def _length(problem, numbers: Numbers, position: Position, key: Array | None, horizon: float):
    def loss(position):
        several = jax.tree.map(lambda x: x[None], position)
        return problem.evaluate(several, key, tvbjax.Reverse(horizon)).losses[0]

    return jnp.linalg.norm(numbers.flat(jax.grad(loss)(position)))


def _rounded(value: float) -> float:
    """To two digits."""
    return float(f"{value:.2g}")
