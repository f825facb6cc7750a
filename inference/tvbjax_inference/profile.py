"""The profile of a loss along one number: the least loss of all others, at each of its values.

Raue et al. (2009), Bioinformatics 25:1923: a profile that stays low tells of a number that data do
not determine, and where it crosses a threshold is the end of a confidence interval.
"""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float

from tvbjax import Forward, Reverse
from tvbjax.arrays import as_floats
from tvbjax.kinds import check_count, check_number
from tvbjax.progress import progress_bar
from tvbjax_inference.fitted import Fit
from tvbjax_inference.fitting import fit as fitted
from tvbjax_inference.gradients import AbstractGradient
from tvbjax_inference.problem import AbstractProblem, Position

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Profile:
    """The least loss at each value of one number.

    `label`: of the number. `values`: in its unit, rising. `losses`: the least that were found.
    `positions`: of all numbers there, along a first axis. `best`, `least`: the fit's own value and
    loss.
    """

    label: str
    values: Float[np.ndarray, " value"]
    losses: Float[np.ndarray, " value"]
    positions: Position
    best: float
    least: float

    @property
    def minimum(self) -> float:
        """The least loss of all, the fit's own included."""
        return float(np.nanmin(np.append(self.losses, self.least)))

    def threshold(self, factor: float | int, level: float = 0.95) -> float:
        """The loss below which values are in the confidence interval, as `interval` has it."""
        return self.minimum + _rise(factor, level)

    def interval(self, factor: float | int, level: float = 0.95) -> tuple[float, float]:
        """The values at which the likelihood's ratio to the best is within the quantile `level` of
        chi squared of one degree of freedom; infinite at a side where the profile does not cross
        it: there go on to further values, or the data do not bound the number.

        `factor`: by what to multiply the loss to have minus the logarithm of the likelihood, as for
        `uncertainty`. Between values the root of what the loss is above its minimum is a straight
        line, as that of a parabola is.
        """
        threshold = _rise(factor, level) ** 0.5
        values = np.append(self.values, self.best)
        losses = np.append(self.losses, self.least)
        order = np.argsort(values, kind="stable")
        values, losses = values[order], losses[order]
        lowest = int(np.nanargmin(losses))
        losses = np.sqrt(losses - self.minimum)
        down = _crossing(values[lowest::-1], losses[lowest::-1], threshold)
        up = _crossing(values[lowest:], losses[lowest:], threshold)
        return (-np.inf if down is None else down, np.inf if up is None else up)

    def to_xarray(self) -> "xr.Dataset":
        """Losses and unbounded numbers by value."""
        import xarray as xr

        found: dict[str, Any] = {"loss": (("value",), self.losses)}
        for name, numbers in self.positions.items():
            inner = tuple(f"{name}_{i}" for i in range(numbers.ndim - 1))
            found[name] = (("value", *inner), np.asarray(numbers))
        about = {"number": self.label, "best": self.best, "least": self.least}
        return xr.Dataset(found, {"value": self.values}, about)

    def __repr__(self) -> str:
        return (
            f"Profile of {self.label}: losses {self.losses.min():.5g} to {self.losses.max():.5g} "
            f"at {len(self.values)} values from {self.values[0]:.5g} to {self.values[-1]:.5g}"
        )


def profile_likelihood(
    fit: Fit,
    name: str,
    values: ArrayLike,
    *,
    index: int | None = None,
    key: Array | None = None,
    steps: int = 20,
    optimiser: optax.GradientTransformation | None = None,
    gradient: AbstractGradient | None = None,
    progress: bool = True,
) -> Profile:
    """Fit all other numbers anew with one held at each of `values`, in its unit.

    `name`, `index`: which number, of several with that name; those of lines in maps and of shares
    are given unbounded, as they are. `key`: the fit's. The values are gone through from the best
    outwards, each from where its neighbour ended; an end of an `Interval` becomes the value a
    thousandth of its width inside. Each takes `steps` steps of `optimiser`, by default
    `optax.lbfgs()`; `gradient`: as for `fit`.
    """
    problem, number, values = _checked(fit, name, index, values)
    support = problem.supports()[name]
    free = jnp.atleast_1d(fit.position[name]).ravel()
    best = float(support.constrain(free[number]))
    held = np.asarray(support.unconstrain(jnp.asarray(values, free.dtype)))
    # Of an interval's end that is a value beside it.
    reached = np.asarray(support.constrain(jnp.asarray(held)))
    same = np.isclose(values, reached, rtol=1e-6, atol=1e-9 * np.abs(values).max())
    values = np.where(same, values, reached)
    optimiser = optax.lbfgs() if optimiser is None else optimiser
    losses, positions = np.empty(len(values)), [{}] * len(values)
    middle = int(np.argmin(np.abs(values - best)))
    outwards = [range(middle, len(values)), range(middle - 1, -1, -1)]
    with progress_bar(f"profile of {name}", len(values), progress) as advance:
        for way in outwards:
            before = _Held.without(fit.position, name, number)
            for i in way:
                one = _Held(problem, name, number, jnp.asarray(held[i], free.dtype), before)
                losses[i], before = _least(one, before, key, steps, optimiser, gradient)
                positions[i] = one.whole(before)
                advance(1, f"loss {losses[i]:.4g}")
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *positions)
    coordinate = problem.coordinates()[name][number]
    label = name if fit.position[name].ndim == 0 else f"{name}[{coordinate}]"
    return Profile(label, values, losses, stacked, best, fit.loss)


class _Held(AbstractProblem):
    """A problem with one number held still: its place is missing in positions."""

    problem: AbstractProblem
    name: str = eqx.field(static=True)
    number: int = eqx.field(static=True)
    value: Array
    begin: Position

    @staticmethod
    def without(position: Position, name: str, number: int) -> Position:
        """A position without the number."""
        rest = {n: x for n, x in position.items() if n != name}
        if position[name].ndim == 0:
            return rest
        return rest | {name: jnp.delete(position[name].ravel(), number)}

    def whole(self, position: Mapping[str, Array]) -> Position:
        """The problem's own position."""
        if self.name not in position:
            return dict(position) | {self.name: self.value}
        rest = position[self.name]
        numbers = jnp.concatenate([rest[: self.number], self.value[None], rest[self.number :]])
        return dict(position) | {self.name: numbers}

    @property
    def start(self):
        return self.begin

    def values(self, position):
        return self.problem.values(self.whole(position))

    def evaluate(self, positions, key, derivatives=Reverse(), carries=None):
        return self.problem.evaluate(jax.vmap(self.whole)(positions), key, derivatives, carries)

    def check(self, position, key):
        self.problem.check(self.whole(position), key)

    def check_differentiable(self):
        self.problem.check_differentiable()

    def coordinates(self):
        found = dict(self.problem.coordinates())
        own = found.pop(self.name)
        if self.name in self.begin:
            found[self.name] = own[: self.number] + own[self.number + 1 :]
        return found

    def supports(self):
        return self.problem.supports()

    def leaves(self):
        return self.problem.leaves()

    def compared(self, positions, key, derivatives=Forward()):
        return self.problem.compared(jax.vmap(self.whole)(positions), key, derivatives)

    def begun(self, positions):
        return self.problem.begun(jax.vmap(self.whole)(positions))

    def description(self):
        return (self.problem.description(), self.name, self.number, self.value)


@eqx.filter_jit
def _loss(problem: AbstractProblem, position: Position, key: Array | None) -> Array:
    return problem.loss(position, key)


def _least(one: _Held, start: Position, key, steps, optimiser, gradient) -> tuple[float, Position]:
    """The least loss from a start, and where it is."""
    if not any(numbers.size for numbers in start.values()):
        return float(_loss(one.problem, one.whole(start), key)), start
    with warnings.catch_warnings():
        # It begins where the loss is least already.
        for said in ("fit: the loss did not move", "fit: the loss does not depend on"):
            warnings.filterwarnings("ignore", message=said)
        found = fitted(
            one,
            key=key,
            optimiser=optimiser,
            steps=steps,
            starts=jax.tree.map(lambda x: x[None], start),
            gradient=gradient,
            patience=5,
            tolerance=1e-6,
            progress=False,
        )
    return found.loss, found.position


def _checked(fit: Any, name: str, index: int | None, values: Any):
    who = "profile_likelihood"
    if not isinstance(fit, Fit):
        raise TypeError(f"{who}: {fit!r:.60} is no Fit; give what tvbjax.inference.fit(...) gave.")
    problem = fit.problem
    if not isinstance(name, str) or name not in fit.position:
        raise ValueError(f"{who}: {name!r:.60} is not free; there are {', '.join(problem.start)}.")
    if index is not None:
        check_count(f"{who}: index", index, least=0)
    numbers, labels = fit.position[name], problem.coordinates()[name]
    if numbers.size > 1 and index is None or index is not None and not 0 <= index < numbers.size:
        raise ValueError(
            f"{who}: '{name}' is {numbers.size} numbers; give index=, one of 0 to "
            f"{numbers.size - 1} ({', '.join(labels[:4])}{', ...' if len(labels) > 4 else ''})."
        )
    found = np.sort(np.asarray(as_floats(values), float).ravel())
    if not found.size or not np.isfinite(found).all() or (np.diff(found) == 0).any():
        raise ValueError(f"{who}: values are {values!r:.60}; give one or more different numbers.")
    support = problem.supports()[name]
    bad = found[~support.contains(found)]
    if len(bad):
        raise ValueError(f"{who}: the value {bad[0]:g} of '{name}' is outside of {support}.")
    return problem, 0 if index is None else index, found


def _rise(factor: float | int, level: float) -> float:
    from scipy.stats import chi2

    check_number("Profile: level", level)
    if not 0 < level < 1:
        raise ValueError(f"Profile: level is {level!r:.60}; give a share between 0 and 1.")
    check_number("Profile: factor", factor, above=0.0)
    return float(chi2.ppf(level, 1)) / (2.0 * factor)


def _crossing(values: np.ndarray, losses: np.ndarray, threshold: float) -> float | None:
    """Where losses first pass a threshold, along values that begin at the minimum."""
    above = np.flatnonzero(losses > threshold)
    if not len(above):
        return None
    i = int(above[0])
    share = (threshold - losses[i - 1]) / (losses[i] - losses[i - 1])
    return float(values[i - 1] + share * (values[i] - values[i - 1]))
