"""A curve of fixed points followed by pseudo-arclength: tangents, Newton's method, what is passed.

Steps go along the tangent and Newton's method corrects them across it, so that the curve may turn.
Lengths are in scales, one for each state variable and one for the parameter.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

from .bifurcations import (
    BifurcationKind,
    System,
    determinant,
    hopf_frequency,
    is_fold,
    refined_branch_point,
    row_sizes,
    sums,
    tangent,
)
from .equilibria import spectrum

_TURN = 0.97  # cosine of the largest angle between the tangents of two points
_AWAY = 0.5  # how far a correction may lead, in the step
_ITERATIONS = 12
_SMALLEST = 1e-7  # of the largest step
_ATTEMPTS = 6  # at a step in which the stability changes and nothing is found
_ROOM = 1e-6  # beyond a limit, of the sizes
_SHORTEST = 1e-4  # a scale, of the sizes


class BranchEnd(StrEnum):
    """Why a branch ends; the last two leave a part of it unseen."""

    BOUND = "a bound of the parameter"
    STATE_BOUND = "a bound of a state variable"
    CLOSED = "closed"
    NO_CONVERGENCE = "no convergence"
    TOO_LONG = "too many points"


@dataclass(frozen=True, eq=False)
class Limits:
    """`low`, `high`, `sizes`: (state + 1,), of u = (*state, value): its ends and usual lengths.

    `step`: the largest one, in the scales; `points`: the most in one direction.
    """

    low: np.ndarray
    high: np.ndarray
    sizes: np.ndarray
    step: float
    points: int


@dataclass(frozen=True, eq=False)
class Point:
    """`along`: the tangent in units, of any length. `tests`: what changes its sign, by kind."""

    u: np.ndarray
    along: np.ndarray
    eigenvalues: np.ndarray
    tests: dict[BifurcationKind, float]
    kind: BifurcationKind | None = None

    @property
    def reversed(self) -> "Point":
        """The same with the tangent the other way."""
        tests = {k: v if k is BifurcationKind.HOPF else -v for k, v in self.tests.items()}
        return replace(self, along=-self.along, tests=tests)


@dataclass(frozen=True, eq=False)
class Trace:
    """`doubts`: after which points something changes that no bifurcation found explains."""

    points: list[Point]
    end: BranchEnd
    doubts: list[Point]


def unstable(eigenvalues: np.ndarray) -> int:
    """How many eigenvalues have a positive real part."""
    return int((np.real(eigenvalues) > 1e-9 * np.abs(eigenvalues).max()).sum())


def point_at(
    system: System, u: np.ndarray, before: np.ndarray, scale: np.ndarray, special: bool = False
) -> Point:
    """The point of a curve at u; its tangent points as `before`, both in units.

    `special`: u may be a branch point.
    """
    matrix = system.linear(u)[1]
    rows = np.abs(matrix * scale).max(axis=1)
    rows = row_sizes(system, u, scale) if special or not rows.all() else rows
    scaled = matrix * scale / rows[:, None]
    along = tangent(scaled, before / scale)
    eigenvalues = spectrum(matrix[:, :-1])
    tests = {
        BifurcationKind.FOLD: float(along[-1]),
        BifurcationKind.BRANCH_POINT: determinant(scaled, along),
        BifurcationKind.HOPF: sums(eigenvalues),
    }
    # An exact 0 is given a sign, so that just one of the two directions finds it.
    return Point(u, along * scale, eigenvalues, {k: v or 1e-300 for k, v in tests.items()})


def corrected(
    system: System,
    u: np.ndarray,
    row: np.ndarray,
    level: float,
    scale: np.ndarray,
    iterations: int = _ITERATIONS,
) -> np.ndarray | None:
    """Newton's method for rates = 0 and row . u = level; None where it does not converge."""
    before = np.inf
    for _ in range(iterations):
        rates, jacobian = system.linear(u)
        matrix = np.vstack([jacobian, row]) * scale
        right = np.append(-rates, level - row @ u)
        if not right.any():
            return u
        sizes = np.abs(matrix).max(axis=1)
        if not (np.isfinite(matrix).all() and np.isfinite(right).all() and (sizes > 0.0).all()):
            return None
        try:
            move = np.linalg.solve(matrix / sizes[:, None], right / sizes)
        except np.linalg.LinAlgError:
            return None
        u = u + scale * move
        size = float(np.linalg.norm(move))
        # Beside a branch point rounding keeps the steps from shrinking further.
        if size < 1e-12 or (size < 1e-7 and size > 0.5 * before):
            return u
        before = size
    return None


def trace(system: System, start: Point, limits: Limits) -> Trace:
    """The curve from a point on, the way its tangent points."""
    line, doubts = [start], []
    # A closed curve is back at the first point after the start, which may be a branch point.
    low, high, first = start.u, start.u, _first_scale(start, limits)
    length, attempts, goal = limits.step / 10, 0, None
    while len(line) < limits.points:
        step = _Step(system, line[-1], np.maximum(first, high - low))
        after = step.at(length)
        if after is None or not step.smooth(after, length):
            length /= 2
            if length < _SMALLEST * limits.step:
                return Trace(line, BranchEnd.NO_CONVERGENCE, doubts)
            continue
        covered, end = length, None
        stop = _stop(step, after, length, None if goal is None else line[goal], limits)
        if stop is not None:
            covered, after, end = stop
            if covered <= 1e-9 * length:
                return Trace(line, stop[2], doubts)
        # Signs are no guide at the branch point from which a curve starts.
        fresh = len(line) == 1 and start.kind is BifurcationKind.BRANCH_POINT
        passed = [] if fresh else _passed(step, after, covered)
        changed = unstable(line[-1].eigenvalues) != unstable(after.eigenvalues)
        if passed is None or (changed and not passed and len(line) > 1):
            if attempts < _ATTEMPTS:
                length, attempts = covered / 2, attempts + 1
                continue
            doubts.append(line[-1])
        line += [*(passed or ()), after]
        if end is BranchEnd.CLOSED:
            return Trace(line[goal:], end, doubts)
        if end is not None:
            return Trace(line, end, doubts)
        goal = len(line) - 1 if goal is None else goal
        low, high = np.minimum(low, after.u), np.maximum(high, after.u)
        length, attempts = min(1.5 * length, limits.step), 0
    return Trace(line, BranchEnd.TOO_LONG, doubts)


def _first_scale(start: Point, limits: Limits) -> np.ndarray:
    """What the states will cover, by the tangent, as long as the curve has not shown it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        guess = np.abs(start.along[:-1] / start.along[-1]) * limits.sizes[-1] / 4
    guess = np.where(np.isnan(guess), 0.0, guess)
    states = np.clip(guess, _SHORTEST * limits.sizes[:-1], limits.sizes[:-1])
    return np.append(states, limits.sizes[-1])


@dataclass(frozen=True, eq=False)
class _Step:
    system: System
    origin: Point
    scale: np.ndarray

    @property
    def along(self) -> np.ndarray:
        return _unit(self.origin.along / self.scale)

    def at(self, length: float, guess: np.ndarray | None = None) -> Point | None:
        """The point of the curve on the plane across the tangent at this distance."""
        row, ahead = self.along / self.scale, self.origin.u + length * self.along * self.scale
        start = ahead if guess is None else guess
        found = corrected(self.system, start, row, float(row @ ahead), self.scale)
        return self.checked(found)

    def checked(self, u: np.ndarray | None) -> Point | None:
        """The point at u; None without one, or where the curve has no slope there."""
        good = u is not None and np.isfinite(self.system.linear(u)[1]).all()
        return self.point(u) if good and u is not None else None

    def point(self, u: np.ndarray, special: bool = False) -> Point:
        return point_at(self.system, u, self.origin.along, self.scale, special)

    def smooth(self, after: Point, length: float) -> bool:
        """Whether it is plainly the same curve: it has hardly turned and lies near the tangent."""
        away = (after.u - self.origin.u) / self.scale - length * self.along
        turn = _unit(after.along / self.scale) @ self.along
        return bool(turn > _TURN and np.linalg.norm(away) < _AWAY * length)

    def between(self, after: Point, length: float) -> Callable[[float], np.ndarray]:
        """The cubic through both ends along their tangents, by the distance."""
        ahead = after.along / (self.along @ (after.along / self.scale))
        ends = np.stack([self.origin.u, after.u])
        return CubicHermiteSpline([0.0, length], ends, np.stack([self.along * self.scale, ahead]))

    def root(self, value: Callable[[float], float], first: float, last: float, length: float):
        """Where between the ends `value` is 0, the start where the signs do not differ."""
        if (first < 0.0) == (last < 0.0):
            return 0.0
        ends = {0.0: first, length: last}
        solve: Any = brentq
        return float(solve(lambda s: ends[s] if s in ends else value(s), 0.0, length, rtol=1e-14))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _stop(
    step: _Step, after: Point, length: float, goal: Point | None, limits: Limits
) -> tuple[float, Point, BranchEnd] | None:
    """Where within a step the curve ends, and why: the nearest limit, or the goal passed again."""
    found = []
    between = step.between(after, length)
    room = _ROOM * limits.sizes
    for edge, out in (
        (limits.low, after.u < limits.low - room),
        (limits.high, after.u > limits.high + room),
    ):
        for i in np.flatnonzero(out):
            u, row = step.origin.u, np.eye(len(edge))[i]
            first, past = (float(v[i] - edge[i]) for v in (u, after.u))
            s = step.root(lambda s, i=i, e=edge: float(between(s)[i] - e[i]), first, past, length)
            last = corrected(step.system, between(s), row, float(edge[i]), step.scale)
            end = BranchEnd.BOUND if i == len(edge) - 1 else BranchEnd.STATE_BOUND
            if (there := step.checked(last)) is None:
                s, there, end = 0.0, step.origin, BranchEnd.NO_CONVERGENCE
            found.append((s, there, end))
    if goal is not None and goal is not step.origin:
        gap = (goal.u - step.origin.u) / step.scale
        s = float(step.along @ gap)
        if 0.0 < s <= length and np.linalg.norm(gap) < 2 * length:
            back = step.at(s, between(s))
            if back is not None and np.abs((back.u - goal.u) / step.scale).max() < 1e-6:
                if back.along / step.scale @ (goal.along / step.scale) > 0.0:
                    found.append((s, goal, BranchEnd.CLOSED))
    return min(found, key=lambda one: one[0]) if found else None


def _passed(step: _Step, after: Point, length: float) -> list[Point] | None:
    """The bifurcations between the ends of a step, in order; None where one is not to be found."""
    found: list[tuple[float, Point]] = []
    between = step.between(after, length)
    for kind in (BifurcationKind.BRANCH_POINT, BifurcationKind.FOLD, BifurcationKind.HOPF):
        ends = step.origin.tests[kind], after.tests[kind]
        if (ends[0] < 0.0) == (ends[1] < 0.0):
            continue

        def test(s: float, kind=kind) -> float:
            # Beside a branch point Newton's method leads astray; the cubic is near enough there.
            on = None if kind is BifurcationKind.BRANCH_POINT else step.at(s, between(s))
            return (on or step.point(between(s))).tests[kind]

        s = step.root(test, *ends, length)
        # At a pitchfork one of the curves turns, which is no fold.
        if kind is BifurcationKind.FOLD and any(abs(s - one) < 1e-3 * length for one, _ in found):
            continue
        point = _located(step, kind, s, between(s), after)
        if point is not None:
            found.append((s, replace(point, kind=kind)))
        elif kind is BifurcationKind.BRANCH_POINT:
            return None
    return [point for _, point in sorted(found, key=lambda one: one[0])]


def _located(
    step: _Step, kind: BifurcationKind, s: float, guess: np.ndarray, after: Point
) -> Point | None:
    """The bifurcation at a distance along a step; None where it is not what its test said."""
    if kind is BifurcationKind.BRANCH_POINT:
        refined = refined_branch_point(step.system, guess, step.scale)
        return None if refined is None else step.point(refined, special=True)
    found = step.at(s, guess)
    if found is None:
        return None
    if kind is BifurcationKind.FOLD:
        size = max(np.abs(p.eigenvalues).max() for p in (step.origin, after))
        return found if is_fold(found.eigenvalues, float(size)) else None
    return found if hopf_frequency(found.eigenvalues) is not None else None
