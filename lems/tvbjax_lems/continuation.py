"""Branches of fixed points over one parameter of a model, with stability and bifurcations.

Which starts, which branches and what is said of them; arclength.py follows one curve. In float64
throughout.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from .arclength import BranchEnd, Limits, Point, Trace, corrected, point_at, trace
from .bifurcations import (
    BifurcationKind,
    System,
    hopf_frequency,
    lyapunov_coefficient,
    other_direction,
    system_of,
)
from .emit import Model
from .equilibria import (
    FixedPoint,
    Range,
    depends_on_time,
    ends_of,
    fixed_points,
    node_inputs,
    node_params,
    search_box,
)
from .errors import suggestion

_MOVED = 1e-2  # how far Newton's method may move a start, in its values
_SAME = 1e-5  # of the usual lengths
_LOST = {
    BranchEnd.NO_CONVERGENCE: "cannot be followed further, Newton's method does not converge",
    BranchEnd.TOO_LONG: "has more than points = {points}; raise points or step",
}


@dataclass(frozen=True, eq=False)
class Bifurcation:
    """A point of a branch at which its stability or the number of fixed points changes.

    `state`: (state,); `values`: the same by name; `eigenvalues`: per ms. `index`: the point of the
    branch that it is. Of a Hopf point, `frequency`: cycles per ms, and `lyapunov`: the first
    Lyapunov coefficient, whose sign says what kind it is; its size depends on the units.
    """

    kind: BifurcationKind
    parameter_value: float
    state: np.ndarray
    values: dict[str, float]
    eigenvalues: np.ndarray
    index: int
    frequency: float | None = None
    lyapunov: float | None = None

    @property
    def supercritical(self) -> bool | None:
        """Of a Hopf point, whether its cycles attract within its centre manifold; else None."""
        return None if self.lyapunov is None else self.lyapunov < 0.0


@dataclass(frozen=True, eq=False)
class Branch:
    """A curve of fixed points of a model over one of its parameters or inputs.

    `parameter_values`: (point,), in order along the curve, so that they may turn; `states`: (point,
    state); `eigenvalues`: (point, state), per ms, the largest real part first. `ends`: why it ends
    at its first and at its last point.
    """

    model: Model
    parameter: str
    parameter_values: np.ndarray
    states: np.ndarray
    eigenvalues: np.ndarray
    bifurcations: tuple[Bifurcation, ...]
    ends: tuple[BranchEnd, BranchEnd]

    @property
    def stable(self) -> np.ndarray:
        """(point,): whether small disturbances die out; not at a bifurcation."""
        stable = np.real(self.eigenvalues).max(axis=1) < 0.0
        stable[[one.index for one in self.bifurcations]] = False
        return stable


def continuation(
    model: Model,
    parameter: str,
    bounds: Range,
    *,
    start: FixedPoint | Sequence[FixedPoint] | ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
    within: Mapping[str, Range] | None = None,
    switch: bool = True,
    step: float = 0.02,
    points: int = 2000,
) -> tuple[Branch, ...]:
    """The branches of fixed points of one node over `bounds` of a parameter or coupling input.

    `start`: fixed points at the parameter's value in `params` or `inputs`, or one state (state,);
    by default all that `fixed_points` finds. `inputs`: (input,), 0 by default; `params`: scalars,
    in place of the model's. `within`: per state variable, the range in which to look for starts and
    to stay. `switch`: whether to follow also the branches that are met at branch points. `step`:
    the largest step, in what a branch covers; `points`: the most in one direction.

    Warns (RuntimeWarning) where a branch cannot be followed, and gives it up to there. Raises
    ValueError for what does not fit, as a start that is no fixed point.
    """
    values = node_params(model, params, "continuation")
    given = node_inputs(model, inputs, "continuation")
    if depends_on_time(model):
        raise ValueError(
            f"continuation: {model.name} depends on the time t, so it has no fixed point."
        )
    known = {**dict(zip(model.inputs, given.tolist(), strict=True)), **values}
    if parameter not in known:
        raise ValueError(
            f"continuation: '{parameter}' is no parameter or input of {model.name}; "
            f"{suggestion(parameter, known)}"
        )
    value, (first, last) = float(known[parameter]), ends_of(parameter, bounds, "continuation")
    if first >= last:
        raise ValueError(f"continuation: bounds of {parameter} are {bounds}; pass low < high.")
    if not (np.isfinite([first, last]).all() and first <= value <= last):
        where = "inputs" if parameter in model.inputs else "params"
        raise ValueError(
            f"continuation: bounds {bounds} of {parameter} do not hold the value to start from, "
            f"{value:g}; pass low < high around it, or another value in {where}."
        )
    if not (0.0 < step <= 0.5 and points > 1):
        raise ValueError(
            f"continuation: step = {step} and points = {points}; pass a step above 0 and up to "
            "0.5, and at least 2 points."
        )
    limits = _limits(model, within, (first, last), step, points)
    states = _states(model, start, given, values, within)
    with jax.enable_x64(True):
        search = _Search(system_of(model, parameter, given, values), parameter, limits)
        first = [search.start(state, value) for state in states]
        branches, remarks = search.branches(first, switch)
    for remark in remarks:
        warnings.warn(f"continuation of {model.name}: {remark}.", RuntimeWarning, stacklevel=2)
    return tuple(branches)


def _limits(
    model: Model, within: Mapping[str, Range] | None, bounds: Range, step: float, points: int
) -> Limits:
    low, high = search_box(model, within, "continuation")
    clamps = np.asarray(model.bounds, dtype=float)
    given = np.array([name in (within or {}) for name in model.state_variables])
    edges = np.where(
        given[:, None], np.clip(np.stack([low, high], 1), *clamps.T[:, :, None]), clamps
    )
    sizes = np.append(high - low, bounds[1] - bounds[0])
    return Limits(
        np.append(edges[:, 0], bounds[0]), np.append(edges[:, 1], bounds[1]), sizes, step, points
    )


def _states(model: Model, start, inputs, params, within) -> list[np.ndarray]:
    if start is None:
        start = fixed_points(model, inputs, within, params)
        if not start:
            raise ValueError(
                f"continuation: found no fixed point of {model.name} to start from; pass start, or "
                "within with the ranges in which to look."
            )
    if isinstance(start, FixedPoint):
        return [start.state]
    several = isinstance(start, Sequence) and len(start) > 0
    if several and all(isinstance(one, FixedPoint) for one in start):
        return [point.state for point in start]
    state = np.asarray(start, float)
    if state.shape != (len(model.state_variables),):
        raise ValueError(
            f"continuation: start has the shape {state.shape}; pass fixed points, or one number "
            f"for each of {model.state_variables}."
        )
    return [state]


@dataclass(frozen=True, eq=False)
class _Search:
    system: System
    parameter: str
    limits: Limits

    def start(self, state: np.ndarray, value: float) -> np.ndarray:
        """The start, corrected. Raises ValueError where it is no fixed point."""
        u, sizes = np.append(state, value), self.limits.sizes
        found = corrected(self.system, u, self._fixed, value, sizes, iterations=50)
        if found is not None:
            if (np.abs(found - u) <= _MOVED * (np.abs(found) + 1e-3 * sizes)).all():
                return found
        made = "finds none from there"
        if found is not None:
            made = f"leads from there to {self._named(found)}; pass that if it is meant"
        raise ValueError(
            f"continuation: the start {self._named(u)} is no fixed point at {self.parameter} = "
            f"{value:g}. Its rates are {self._named(self.system.linear(u)[0])}, and Newton's "
            f"method {made}."
        )

    def branches(
        self, starts: Sequence[np.ndarray], switch: bool
    ) -> tuple[list[Branch], list[str]]:
        """The branches through the starts and, with `switch`, all that they lead to; remarks."""
        found: list[Branch] = []
        waiting: list[Point] = []
        remarks: list[str] = []
        sizes = self.limits.sizes

        def add(start: Point):
            branch, points, said = self._both_ways(start)
            found.append(branch)
            remarks.extend(said)
            waiting.extend(p for p in points if p.kind is BifurcationKind.BRANCH_POINT)

        for u in starts:
            if not any(self._passes(branch, u) for branch in found):
                add(point_at(self.system, u, self._fixed * sizes, sizes, special=True))
        while switch and waiting:
            point = waiting.pop(0)
            if sum(self._has(branch, point) for branch in found) > 1:
                continue
            direction = other_direction(self.system, point.u, point.along / sizes, sizes)
            if direction is None:
                place = self._place(point.u)
                remarks.append(f"the branches that meet {place} cannot be told apart")
            else:
                add(replace(point, along=direction * sizes))
        return found, remarks

    def _both_ways(self, start: Point) -> tuple[Branch, list[Point], list[str]]:
        forth = trace(self.system, start, self.limits)
        line, ends, traces = forth.points, (forth.end, forth.end), [forth]
        if forth.end is not BranchEnd.CLOSED:
            back = trace(self.system, start.reversed, self.limits)
            line = [*back.points[:0:-1], *forth.points]
            ends, traces = (back.end, forth.end), [back, forth]
        u = np.stack([point.u for point in line])
        branch = Branch(
            self.system.model,
            self.parameter,
            u[:, -1],
            u[:, :-1],
            np.stack([point.eigenvalues for point in line]),
            tuple(
                self._bifurcation(i, p.kind, p) for i, p in enumerate(line) if p.kind is not None
            ),
            ends,
        )
        return branch, line, [text for one in traces for text in self._remarks(one)]

    def _bifurcation(self, index: int, kind: BifurcationKind, point: Point) -> Bifurcation:
        found = Bifurcation(
            kind,
            float(point.u[-1]),
            point.u[:-1],
            dict(self._pairs(point.u)),
            point.eigenvalues,
            index,
        )
        angular = hopf_frequency(point.eigenvalues) if kind is BifurcationKind.HOPF else None
        if angular is None:
            return found
        coefficient = lyapunov_coefficient(self.system, point.u, angular)
        return replace(found, frequency=angular / (2 * np.pi), lyapunov=coefficient)

    def _remarks(self, done: Trace) -> Iterator[str]:
        if done.end in _LOST:
            said = _LOST[done.end].format(points=self.limits.points)
            yield f"a branch {said}; it ends {self._place(done.points[-1].u)}"
        for point in done.doubts:
            place = self._place(point.u)
            yield f"the stability changes {place}, where no fold, Hopf or branch point was found"

    def _passes(self, branch: Branch, u: np.ndarray) -> bool:
        """Whether a fixed point lies on a branch."""
        gaps = branch.parameter_values - u[-1]
        for i in np.flatnonzero((gaps[:-1] <= 0.0) != (gaps[1:] <= 0.0)):
            share = gaps[i] / (gaps[i] - gaps[i + 1])
            state = (1 - share) * branch.states[i] + share * branch.states[i + 1]
            guess = np.append(state, u[-1])
            found = corrected(self.system, guess, self._fixed, u[-1], self.limits.sizes)
            if found is not None and self._same(found, u):
                return True
        return any(self._same(np.append(s, v), u) for s, v in _ends_of(branch))

    def _has(self, branch: Branch, point: Point) -> bool:
        return any(
            one.kind is BifurcationKind.BRANCH_POINT
            and self._same(np.append(one.state, one.parameter_value), point.u)
            for one in branch.bifurcations
        )

    def _same(self, u: np.ndarray, v: np.ndarray) -> bool:
        return bool((np.abs(u - v) <= _SAME * self.limits.sizes).all())

    @property
    def _fixed(self) -> np.ndarray:
        """The direction of the parameter."""
        return np.append(np.zeros(len(self.limits.sizes) - 1), 1.0)

    def _place(self, u: np.ndarray) -> str:
        return f"at {self.parameter} = {u[-1]:.8g}, {self._named(u)}"

    def _named(self, numbers: np.ndarray) -> str:
        return ", ".join(f"{name} = {number:.6g}" for name, number in self._pairs(numbers))

    def _pairs(self, numbers: np.ndarray) -> Iterator[tuple[str, float]]:
        names = self.system.model.state_variables
        return ((name, float(n)) for name, n in zip(names, numbers[: len(names)], strict=True))


def _ends_of(branch: Branch) -> Iterator[tuple[np.ndarray, float]]:
    return ((branch.states[i], float(branch.parameter_values[i])) for i in (0, -1))
