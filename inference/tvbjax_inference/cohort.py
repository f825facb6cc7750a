"""Several subjects as one problem: some numbers are common to all, others each subject's own."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from tvbjax import Forward, Reverse
from tvbjax.arrays import as_floats, is_traced
from tvbjax.regions import Regions
from tvbjax_inference.problem import AbstractProblem, Compared, Evaluation, Position, Problem


class Cohort(AbstractProblem):
    """Make the mean of several subjects' losses small, in numbers of which some are shared.

        Cohort({"alice": Problem(...), "bob": Problem(...)}, shared=["G"])

    `problems`: by subject. `shared`: names that are free in every subject's problem and are one
    number, or one for each region, of all; the others are each subject's own, `alice.J` by name.
    `weights`: of the subjects' losses, by subject, >= 0, by default all alike; only their ratios
    count. The noise of each subject is its own.

    A shared name must have the same support and the same numbers everywhere. It starts at the mean
    of the subjects' unbounded numbers. A tie may have maps or groups of the subject's own.

    Subjects whose problems differ in arrays alone are compiled once, and run one after another:
    those of the same `Free`, model and monitors, where connections are in the same places and the
    delays ask for the same layout. Others are compiled one by one.
    """

    problems: dict[str, AbstractProblem]
    weights: dict[str, Float[Array, ""]]
    shared: tuple[str, ...] = eqx.field(static=True)
    subjects: tuple[str, ...] = eqx.field(static=True)  # as given: jax sorts dictionaries
    names: tuple[tuple[str, ...], ...] = eqx.field(static=True)  # by subject, as its problem's are

    def __init__(
        self,
        problems: Mapping[str, AbstractProblem],
        shared: Sequence[str] = (),
        *,
        weights: Mapping[str, ArrayLike] | None = None,
    ):
        _check_problems(problems)
        if isinstance(shared, str) or not isinstance(shared, Sequence):
            raise TypeError(
                f"Cohort: shared is {shared!r:.60}; give a list of names, such as "
                f"{[next(iter(problems[next(iter(problems))].start))]}."
            )
        weights = {} if weights is None else weights
        if not isinstance(weights, Mapping):
            raise TypeError(f"Cohort: weights is {weights!r:.60}; give numbers by subject.")
        unknown = [name for name in weights if name not in problems]
        if unknown:
            raise ValueError(
                f"Cohort: there is a weight of {unknown[0]!r:.60} and no such subject; there are "
                f"{', '.join(problems)}."
            )
        self.problems = dict(problems)
        self.subjects = tuple(problems)
        self.names = tuple(tuple(problem.start) for problem in problems.values())
        self.shared = tuple(dict.fromkeys(shared))
        self.weights = {one: as_floats(weights.get(one, 1.0)) for one in problems}

    def __check_init__(self):
        for name in self.shared:
            _check_shared(name, self.problems)
        weights = list(self.weights.values())
        if any(weight.shape != () for weight in weights):
            raise ValueError("Cohort: a weight is no single number; give one for each subject.")
        if not is_traced(weights):
            found = np.array([float(weight) for weight in weights])
            if not (np.isfinite(found).all() and (found >= 0).all() and found.sum() > 0):
                raise ValueError(
                    f"Cohort: weights are {found}; give numbers, 0 or more, not all 0."
                )

    @property
    def start(self) -> Position:
        starts = {one: self.problems[one].start for one in self.subjects}
        found = {
            name: jnp.stack([start[name] for start in starts.values()]).mean(axis=0)
            for name in self.shared
        }
        return found | {
            self.name_of(one, name): numbers
            for one, start in starts.items()
            for name, numbers in start.items()
            if name not in self.shared
        }

    def name_of(self, subject: str, name: str) -> str:
        """What a name of a subject's problem is called here."""
        return name if name in self.shared else f"{subject}.{name}"

    def of_subject(self, subject: str, position: Mapping[str, Any]) -> dict[str, Any]:
        """A subject's part of a position, or of anything else by names, by its problem's names."""
        names = self.names[self.subjects.index(self._known(subject))]
        return {name: position[self.name_of(subject, name)] for name in names}

    def key_of(self, subject: str, key: Array | None) -> Array | None:
        """The key of a subject's noise."""
        number = self.subjects.index(self._known(subject))
        return None if key is None else jr.fold_in(key, number)

    def _known(self, subject: str) -> str:
        if subject not in self.problems:
            raise KeyError(
                f"Cohort: there is no subject {subject!r:.60}; there are "
                f"{', '.join(self.subjects)}."
            )
        return subject

    def _by_name(self, each: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What every subject has, by this cohort's names; of what is shared, the first's."""
        found: dict[str, Any] = {name: each[self.subjects[0]][name] for name in self.shared}
        return found | {
            self.name_of(one, name): each[one][name]
            for one in self.subjects
            for name in each[one]
            if name not in self.shared
        }

    def values(self, position):
        """Those of shared names are the first subject's, where ties make others of the numbers."""
        return self._by_name(
            {
                one: self.problems[one].values(self.of_subject(one, position))
                for one in self.subjects
            }
        )

    def supports(self):
        return self._by_name({one: self.problems[one].supports() for one in self.subjects})

    def coordinates(self):
        return self._by_name({one: self.problems[one].coordinates() for one in self.subjects})

    def leaves(self):
        return self._by_name({one: self.problems[one].leaves() for one in self.subjects})

    def evaluate(self, positions, key, derivatives=Reverse(), carries=None):
        def evaluated(problem, positions, key, carries):
            return problem.evaluate(positions, key, derivatives, carries)

        found = self._each(evaluated, positions, key, carries)
        weights = jnp.stack([self.weights[one] for one in self.subjects])
        losses = jnp.stack([found[one].losses for one in self.subjects])
        # What counts for nothing may be NaN.
        counted = jnp.where((weights > 0)[:, None], losses, 0.0)
        total = (weights[:, None] * counted).sum(axis=0) / weights.sum()
        terms = {one: found[one].losses for one in self.subjects}
        for one in self.subjects:
            terms |= {f"{one}.{name}": term for name, term in found[one].terms.items()}
        return Evaluation(total, terms, {one: found[one].carries for one in self.subjects})

    def compared(self, positions, key, derivatives=Forward()):
        def compared(problem, positions, key, _):
            return problem.compared(positions, key, derivatives)

        found = self._each(compared, positions, key, None)
        values, counts = {}, {}
        for one in self.subjects:
            for name, simulated in found[one].values.items():
                values[f"{one}.{name}"] = simulated
                own = found[one].counts.get(name, jnp.ones(simulated.shape, bool))
                counts[f"{one}.{name}"] = own & (self.weights[one] > 0)
        return Compared(values, counts)

    def begun(self, positions):
        return {
            one: self.problems[one].begun(self.of_subject(one, positions)) for one in self.subjects
        }

    def _each(self, function, positions: Position, key: Array | None, carries: Any) -> dict:
        """A function of problem, positions, key and carries, for each subject; alike ones compile
        once."""
        given = {
            one: (
                without_places(self.problems[one]),
                self.of_subject(one, positions),
                self.key_of(one, key),
                None if carries is None else carries[one],
            )
            for one in self.subjects
        }
        found = {}
        for group in _alike(given):
            if len(group) == 1:
                found[group[0]] = function(*given[group[0]])
                continue
            parts = [eqx.partition(given[one], eqx.is_array) for one in group]
            arrays = jax.tree.map(lambda *x: jnp.stack(x), *(arrays for arrays, _ in parts))
            rest = parts[0][1]
            all_of = jax.lax.map(lambda own, r=rest: function(*eqx.combine(own, r)), arrays)
            for i, one in enumerate(group):
                found[one] = jax.tree.map(lambda x, i=i: x[i], all_of)
        return found

    def check(self, position, key):
        for one in self.subjects:
            try:
                self.problems[one].check(self.of_subject(one, position), self.key_of(one, key))
            except Exception as error:
                error.add_note(f"This is of the subject '{one}'.")
                raise

    def check_differentiable(self):
        for one in self.subjects:
            self.problems[one].check_differentiable()

    def description(self):
        each = tuple(self.problems[one].description() for one in self.subjects)
        return (self.subjects, each, self.shared, self.weights)


def without_places(problem: AbstractProblem) -> AbstractProblem:
    """Without what is known of regions beside their labels: a simulation does not depend on it."""
    if not isinstance(problem, Problem):
        return problem
    connectome = problem.simulator.connectome
    connectome = dataclasses.replace(connectome, regions=Regions(connectome.labels), name="")
    return eqx.tree_at(lambda p: p.simulator.connectome, problem, connectome)


def _alike(given: Mapping[str, Any]) -> list[list[str]]:
    """Subjects in groups of the same tree and the same shapes."""
    groups: list[tuple[Any, list[str]]] = []
    for one, tree in given.items():
        arrays, rest = eqx.partition(tree, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)
        kind = (structure, [(x.shape, x.dtype) for x in leaves])
        kind = (*kind, *jax.tree.flatten(rest))
        group = next((names for other, names in groups if _same(other, kind)), None)
        if group is None:
            groups.append((kind, [one]))
        else:
            group.append(one)
    return [names for _, names in groups]


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (ValueError, TypeError):  # arrays that are part of the structure, such as maps
        return False


def _check_problems(problems: Any) -> None:
    if not isinstance(problems, Mapping) or not problems:
        raise TypeError(f"Cohort: problems is {problems!r:.60}; give one or more by subject.")
    for subject, problem in problems.items():
        if not isinstance(problem, AbstractProblem):
            raise TypeError(
                f"Cohort: of {subject!r:.60} there is {problem!r:.60}; give a "
                "tvbjax.inference.Problem."
            )
        if not isinstance(subject, str) or not subject or "." in subject:
            raise ValueError(
                f"Cohort: a subject is called {subject!r:.60}; give a name without a dot."
            )
        dotted = [name for name in problem.start if "." in name]
        if dotted:
            raise ValueError(
                f"Cohort: '{dotted[0]}' of {subject!r:.60} has a dot, as the cohort's own names "
                "have; give Free(name=...), or another name in free."
            )


def _check_shared(name: str, problems: Mapping[str, AbstractProblem]) -> None:
    """A shared name is free everywhere, in the same numbers and the same support."""
    first = next(iter(problems))
    for subject, problem in problems.items():
        start = problem.start
        if name not in start:
            raise ValueError(
                f"Cohort: {name!r:.60} is shared, and is not free in the problem of '{subject}', "
                f"where there is {', '.join(start)}."
            )
        shapes = problems[first].start[name].shape, start[name].shape
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"Cohort: '{name}' is shared, and has the shape {shapes[0]} in '{first}' and "
                f"{shapes[1]} in '{subject}'; give both the same regions and tie, or share a line "
                "in maps (ties.Linear) or one number (ties.Shared)."
            )
        # Which of several monitors or stimuli it is may differ between subjects.
        leaves = [re.sub(r"\[\d+\]", "", p.leaves()[name]) for p in (problems[first], problem)]
        if leaves[0] != leaves[1]:
            raise ValueError(
                f"Cohort: '{name}' is shared, and is {leaves[0]} in '{first}' and {leaves[1]} in "
                f"'{subject}'; give both the same leaf, or other names."
            )
        supports = problems[first].supports()[name], problem.supports()[name]
        if supports[0] != supports[1]:
            raise ValueError(
                f"Cohort: '{name}' is shared, and its support is {supports[0]} in '{first}' and "
                f"{supports[1]} in '{subject}'; give both the same."
            )
        labels = problems[first].coordinates()[name], problem.coordinates()[name]
        if labels[0] != labels[1]:
            i = next(i for i, (a, b) in enumerate(zip(*labels, strict=True)) if a != b)
            raise ValueError(
                f"Cohort: '{name}' is shared, and its number {i} is that of {labels[0][i]} in "
                f"'{first}' and of {labels[1][i]} in '{subject}'; give both the same order."
            )
