"""A fit's problem: what may vary in a simulator, and how far a run of it is from data.

A position is a dictionary of unbounded numbers by name, from which supports and ties make allowed
values. Several positions are simulated side by side.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.tree_util import keystr
from jaxtyping import Array, ArrayLike, Bool, Float, Shaped

from tvbjax import Forward, Free, Result, Reverse, Simulator, simulate
from tvbjax.arrays import is_traced, strong
from tvbjax.delays import Nearest
from tvbjax.engine import Carry, Derivatives
from tvbjax.ensemble import begin_side_by_side, side_by_side
from tvbjax.provenance import describe
from tvbjax.simulation import continued, keys_of_runs, past_of, whole_steps
from tvbjax.stimulus import check_times
from tvbjax.supports import AbstractSupport, Positive, Real, Weights
from tvbjax.sweep_dataset import labels_of
from tvbjax.ties import Linear
from tvbjax_inference.moving_delays import laid_out, moving
from tvbjax_inference.objectives import (
    AbstractObjective,
    Comparison,
    Kind,
    Sum,
    as_objective,
    comparisons,
)

Position = dict[str, Array]  # of one, or of several with a first axis


class Evaluation(eqx.Module):
    """Of several positions: the losses, each term's, and the carries at the end of the runs."""

    losses: Float[Array, " start"]
    terms: dict[str, Float[Array, " start"]]
    carries: Any


class Compared(NamedTuple):
    """What is compared with data, by name as in `objectives.comparisons`: the simulated values,
    differentiable, and whether each counts for the loss: all where it is not said. Of a matrix
    those above the diagonal, of a distribution in rising order."""

    values: dict[str, Float[Array, "start value"]]
    counts: dict[str, Bool[Array, "start value"]] = {}


class AbstractProblem(eqx.Module):
    """A loss by a position: what `fit` makes small."""

    @property
    @abc.abstractmethod
    def start(self) -> Position:
        """The position of the values that simulators have now."""

    @abc.abstractmethod
    def values(self, position: Position) -> dict[str, Array]:
        """The values of all free leaves, in their units."""

    @abc.abstractmethod
    def evaluate(
        self,
        positions: Position,
        key: Array | None,
        derivatives: Derivatives = Reverse(),
        carries: Any = None,
    ) -> Evaluation:
        """Losses of positions along a first axis, all with this key; a `Problem` takes one for each
        as well. Differentiable. A run that diverges has the loss NaN. `carries`: of an earlier
        evaluation, to go on from."""

    @abc.abstractmethod
    def check(self, position: Position, key: Array | None) -> None:
        """Raises an error that says where and why the loss of a position is no finite number."""

    @abc.abstractmethod
    def coordinates(self) -> dict[str, tuple[str, ...]]:
        """By name, what each of a position's numbers is called."""

    @abc.abstractmethod
    def supports(self) -> dict[str, AbstractSupport]:
        """By name, how each of a position's numbers alone becomes a value in its unit."""

    def leaves(self) -> dict[str, str]:
        """By name, which leaf of a simulator it is; by default the names themselves."""
        return {name: name for name in self.start}

    @abc.abstractmethod
    def compared(
        self, positions: Position, key: Array | None, derivatives: Derivatives = Forward()
    ) -> Compared:
        """What the objective compares with data, of positions along a first axis."""

    @abc.abstractmethod
    def begun(self, positions: Position) -> Any:
        """The carries of positions at their beginning, for evaluations that go on."""

    @abc.abstractmethod
    def description(self) -> tuple:
        """All that the loss depends on, for checkpoints."""

    def loss(self, position: Position, key: Array | None = None) -> Float[Array, ""]:
        """The loss of one position."""
        position = _checked(self, position)
        several = jax.tree.map(lambda numbers: numbers[None], position)
        return self.evaluate(several, key).losses[0]

    def check_differentiable(self) -> None:
        """Raises `ValueError` where exact gradients are zero by construction."""
        return None

    @property
    def count(self) -> int:
        """How many numbers may vary."""
        return sum(numbers.size for numbers in self.start.values())

    def draw(self, key: Array, count: int, spread: float = 1.0) -> Position:
        """Positions about the start, normal with this standard deviation in unbounded numbers."""
        keys = jr.split(key, len(self.start))
        return {
            name: numbers[None] + spread * jr.normal(k, (count, *numbers.shape), numbers.dtype)
            for (name, numbers), k in zip(self.start.items(), keys, strict=True)
        }


def checked_position(who: str, problem: Any, position: Mapping[str, ArrayLike]) -> Position:
    """A position that fits a problem. Raises `TypeError` or `ValueError` for others."""
    if not isinstance(problem, AbstractProblem):
        raise TypeError(
            f"{who}: {problem!r:.60} is no problem; give tvbjax.inference.Problem(...), or "
            "fit.problem."
        )
    start = problem.start
    if not isinstance(position, Mapping) or set(position) != set(start):
        raise TypeError(
            f"{who}: position is {position!r:.60}; give unbounded numbers by name for each of "
            f"{', '.join(start)}, such as fit.position or problem.start."
        )
    found = {}
    for name, numbers in start.items():
        try:
            found[name] = jnp.asarray(position[name], numbers.dtype)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{who}: the position's '{name}' is {position[name]!r:.60}, no number and no array."
            ) from error
        if found[name].shape != numbers.shape:
            raise ValueError(
                f"{who}: the position's '{name}' has the shape {found[name].shape} and the "
                f"problem's {numbers.shape}; give one position, without an axis of starts."
            )
        if not is_traced(found[name]) and not np.isfinite(np.asarray(found[name])).all():
            raise ValueError(f"{who}: the position's '{name}' is no finite number somewhere.")
    return found


def _checked(problem: AbstractProblem, position: Position) -> Position:
    """A position that fits, as far as is known: within jit a problem's own values are not."""
    return position if is_traced(problem) else checked_position("Problem", problem, position)


class Problem(AbstractProblem):
    """Make `objective` of `duration` ms of a simulator small by what is free in it.

    `free`: one `Free`, several, or several by name. `objective`: one of
    `tvbjax.inference.objectives`, or a function from a `Result` to a number. `initial`: as for
    `simulate`; a `Result` to go on from saves the transient in every evaluation.

    Raises `ValueError` where `where` selects nothing or integers, where the simulator's values are
    outside of their supports, or data do not fit the simulator.
    """

    simulator: Simulator
    objective: AbstractObjective
    past: Float[Array, "step state node"] | Carry
    free: tuple[Free, ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    duration: float = eqx.field(static=True)
    first: int = eqx.field(static=True)
    penalty: Callable[[dict[str, Array]], Array] | None = eqx.field(static=True)

    def __init__(
        self,
        simulator: Simulator,
        free: Free | Sequence[Free] | Mapping[str, Free],
        objective: AbstractObjective | Any,
        duration: float,
        *,
        initial: Any = None,
        penalty: Callable[[dict[str, Array]], Array] | None = None,
    ):
        if not isinstance(simulator, Simulator):
            raise TypeError(f"Problem: {simulator!r:.60} is no tvbjax.Simulator.")
        simulator = strong(simulator)
        steps = whole_steps(duration, simulator.integrator.dt)
        self.free, self.names = named_free("Problem", simulator, free)
        self.objective = as_objective(objective)
        self.objective.check(simulator, duration)
        self.duration = float(duration)
        self.first = initial.last if isinstance(initial, Result) else 0
        check_times(simulator, self.first, steps)
        for one in self.free:
            simulator = one.put(simulator, one.start(simulator))
        self.simulator = laid_out(simulator, self.free, self.names)
        if isinstance(initial, Result):
            self.past = continued(self.simulator, initial)
        else:
            self.past = past_of(self.simulator, initial)
        self.penalty = penalty
        _check_penalty(self)

    @property
    def start(self) -> Position:
        return {
            name: one.start(self.simulator) for name, one in zip(self.names, self.free, strict=True)
        }

    def values(self, position):
        position = _checked(self, position)
        return {
            name: one.values(self.simulator, position[name])
            for name, one in zip(self.names, self.free, strict=True)
        }

    def simulator_at(self, position: Position) -> Simulator:
        """The simulator with the values of a position."""
        position = _checked(self, position)
        simulator = self.simulator
        for name, one in zip(self.names, self.free, strict=True):
            simulator = one.put(simulator, position[name])
        return simulator

    def simulate(self, position: Position, key: Array | None = None) -> Result:
        """A run at a position, with errors where it diverges."""
        initial = self.past
        if isinstance(initial, Carry):
            initial = _as_result(initial, self.simulator, self.first)
        elif len(initial) == 1:
            initial = initial[0]  # one state that is held, and no history of one step
        return simulate(
            self.simulator_at(position), self.duration, initial=initial, key=key, progress=False
        )

    def evaluate(self, positions, key, derivatives=Reverse(), carries=None):
        (losses, terms), carries = self.run(positions, key, self._measured, derivatives, carries)
        penalty = self.penalty
        if penalty is not None:
            added = jax.vmap(lambda one: penalty(self.values(one)))(positions)
            losses, terms = losses + added, terms | {"penalty": added}
        return Evaluation(losses, terms, carries)

    def compared(self, positions, key, derivatives=Forward()):
        return self.run(positions, key, self._compared, derivatives)[0]

    def run(
        self,
        positions: Position,
        key: Array | None,
        measure: Callable[[Result], Any],
        derivatives: Derivatives = Reverse(),
        carries: Carry | None = None,
        duration: float | None = None,
    ) -> tuple[Any, Carry]:
        """What `measure` gives of the run at each of several positions, and the carries.

        `duration`: ms, by default the problem's.
        """
        count = len(next(iter(positions.values())))
        keys = keys_of_runs(self.simulator, key, count, "Problem")
        duration = self.duration if duration is None else duration
        return side_by_side(
            self.simulator,
            tuple(one.path(self.simulator) for one in self.free),
            self._leaves(positions),
            keys,
            self.past if carries is None else carries,
            self.first,
            whole_steps(duration, self.simulator.integrator.dt),
            measure,
            derivatives,
        )

    def begun(self, positions) -> Carry:
        paths = tuple(one.path(self.simulator) for one in self.free)
        return begin_side_by_side(self.simulator, paths, self._leaves(positions), self.past)

    def _leaves(self, positions: Position) -> tuple[Array, ...]:
        return tuple(
            jax.vmap(lambda numbers, one=one: one.values(self.simulator, numbers))(positions[name])
            for name, one in zip(self.names, self.free, strict=True)
        )

    def _measured(self, result: Result):
        objective = self.objective
        terms = objective.terms(result) if isinstance(objective, Sum) else {}
        return objective(result), terms

    def _compared(self, result: Result) -> Compared:
        found = comparisons(self.objective, result)
        return Compared(
            {name: _flat(one, one.simulated) for name, one in found.items()},
            {n: _flat(one, one.counts) for n, one in found.items() if one.counts is not None},
        )

    def check(self, position, key):
        result = self.simulate(position, key)
        terms = self.objective.objectives if isinstance(self.objective, Sum) else {}
        for name, one in (terms or {self.objective.name: self.objective}).items():
            loss = float(one(result))
            if np.isfinite(loss):
                continue
            said = _first_bad(one, result)
            raise ValueError(
                f"the loss '{name}' is {loss} at the start, though the run is finite: {said}"
            )
        if self.penalty is not None:
            added = float(self.penalty(self.values(position)))
            if not np.isfinite(added):
                raise ValueError(f"the penalty is {added} at the start; look at its formula.")

    def check_differentiable(self):
        moved = moving(self.simulator, self.free, self.names)
        if moved and isinstance(self.simulator.delays, Nearest):
            raise ValueError(
                f"Problem: '{moved[0][0]}' changes delays alone, and delays of whole steps have "
                "no derivative; build the Simulator with delays=tvbjax.delays.Linear(), or use "
                "gradients.EvolutionStrategy()."
            )

    def coordinates(self):
        labels = self.simulator.node_axis.coordinate
        found = {}
        for (name, numbers), one in zip(self.start.items(), self.free, strict=True):
            own = one.tie.names(numbers.shape)
            if isinstance(one.support, Weights):
                regions = self.simulator.connectome.labels
                pairs = zip(*one.support.places, strict=True)
                own = tuple(f"{regions[i]}, {regions[j]}" for i, j in pairs)
            if own is None and numbers.ndim == 1 and len(numbers) == len(labels):
                own = tuple(str(label) for label in labels)
            if own is None and numbers.ndim == 0:
                own = (name,)
            found[name] = own or tuple(str(i) for i in range(numbers.size))
        return found

    def supports(self):
        return {name: _of_numbers(one) for name, one in zip(self.names, self.free, strict=True)}

    def leaves(self):
        paths = (keystr(one.path(self.simulator)) for one in self.free)
        return dict(zip(self.names, paths, strict=True))

    def description(self):
        simulator, leaves = self.simulator, self.leaves()
        free = [
            (name, leaves[name], one.support, one.tie)
            for name, one in zip(self.names, self.free, strict=True)
        ]
        # Of other versions and devices the same fit may go on.
        said = describe(simulator, None, versions=None, backend=None)
        return (said, free, self.objective, self.past, self.duration, self.first, self.penalty)


def _flat(comparison: Comparison, values: Array) -> Shaped[Array, " value"]:
    """Values of a comparison, each once, in a row."""
    if comparison.kind is Kind.MATRIX:
        return values[np.triu_indices(len(values), k=1)]
    if comparison.kind is Kind.DISTRIBUTION:
        return jnp.sort(values.ravel())
    return values.ravel()


def _of_numbers(free: Free) -> AbstractSupport:
    """How one of a leaf's numbers becomes a value: those of lines and of shares stay as they are,
    and those of matrices are logarithms."""
    if isinstance(free.support, Weights):
        return Positive()
    if not free.support.elementwise or isinstance(free.tie, Linear):
        return Real()
    return free.support


_OF_THE_HISTORY = ("loss", "gradient", "step", "start")


def named_free(
    who: str, simulator: Simulator, free: Any
) -> tuple[tuple[Free, ...], tuple[str, ...]]:
    """What is given as free, and its names. Raises `TypeError` or `ValueError` for others."""
    given = free if isinstance(free, Mapping) else None
    several: Any = tuple(given.values()) if given is not None else free
    several = tuple(several) if isinstance(several, Sequence) else (several,)
    wrong = [one for one in several if not isinstance(one, Free)]
    if wrong or not several:
        what = repr(wrong[0])[:60] if wrong else "nothing"
        raise TypeError(
            f"{who}: {what} is given as free; give e.g. tvbjax.Free(lambda s: s.coupling.a, "
            "tvbjax.Interval(0.0, 1.0))."
        )
    names = tuple(given) if given is not None else labels_of(simulator, several)
    for name in names:
        if not isinstance(name, str) or name in _OF_THE_HISTORY:
            raise ValueError(
                f"{who}: {name!r:.60} cannot be a free leaf's name; give other text than "
                f"{', '.join(_OF_THE_HISTORY)}, which a fit's history has itself."
            )
    paths = [one.path(simulator) for one in several]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(
            f"{who}: {jax.tree_util.keystr(twice)} is given as free twice; leave one out."
        )
    return several, names


def _check_penalty(problem: Problem) -> None:
    if problem.penalty is None:
        return
    if not callable(problem.penalty):
        raise TypeError(
            f"Problem: penalty is {problem.penalty!r:.60}; give a function of the free values by "
            "name, e.g. lambda values: jnp.mean(values['w'] ** 2)."
        )
    if isinstance(problem.objective, Sum) and "penalty" in problem.objective.objectives:
        raise ValueError("Problem: a term of the objective is called 'penalty'; rename it.")
    penalty = problem.penalty
    found = jax.eval_shape(lambda p: penalty(problem.values(p)), problem.start)
    if getattr(found, "shape", None) != ():
        raise ValueError(
            f"Problem: the penalty is {found!r:.80}; let it give one number of JAX, e.g. a mean."
        )


def _first_bad(objective: AbstractObjective, result: Result) -> str:
    """Which of what an objective compares is no finite number, in words."""
    compared = objective.compared(result)
    if compared is None:
        return (
            f"look at the function's formula (a division by 0, a root of what is negative); "
            f"{_ranges(result)}."
        )
    for whose, values in (("simulated", compared.simulated), ("empirical", compared.empirical)):
        bad = np.argwhere(~np.isfinite(np.asarray(values)))
        if len(bad):
            places = [
                f"{axis.name} {axis.coordinate[i]}"
                for axis, i in zip(compared.axes, bad[0], strict=False)
            ]
            return (
                f"the {whose} {compared.name} is no number at {', '.join(places) or 'a place'} "
                f"({len(bad)} of {np.size(values)}); a signal that does not vary has no "
                "correlation: look at what that region does, at the transient, and at the data."
            )
    simulated = np.asarray(_flat(compared, compared.simulated))
    if simulated.size > 1 and np.ptp(simulated) <= 1e-6 * np.abs(simulated).max():
        return (
            f"all values of the simulated {compared.name} are {simulated[0]:.4g}, so that there is "
            "no pattern that could be like the data's; give regions noise or parameters of their "
            "own, or take another distance, such as objectives.root_mean_square."
        )
    return "its values are finite; look at the objective's formula (a division by 0, a root)."


def _ranges(result: Result) -> str:
    """The least and the greatest of each monitor's samples, and where they are, in words."""
    found = []
    for name, samples in result.samples.items():
        values, axes = np.asarray(samples.values), samples.axes
        if not values.size:
            continue
        ends = []
        for index in (values.argmin(), values.argmax()):
            place = np.unravel_index(index, values.shape)
            where = [f"{a.name} {a.coordinate[i]}" for a, i in zip(axes, place[2:], strict=False)]
            where.append(f"{float(np.asarray(samples.time)[place[0]]):g} ms")
            ends.append(f"{values[place]:.4g} ({', '.join(where)})")
        found.append(f"'{name}' goes from {' to '.join(ends)}")
    return "; ".join(found)


def _as_result(carry: Carry, simulator: Simulator, first: int) -> Result:
    from tvbjax.result import Note

    note = Note(describe(simulator, None))
    return Result({}, carry, simulator.connectome.labels, first, first, True, note)
