"""Optimizees of the framework L2L as they are: created, bounded and simulated by their own methods.

They maximise a weighted sum of fitness values; here less is better, and the sign is turned once.
"""

import contextlib
import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from tvbjax.kinds import check_number
from tvbjax_inference.l2l.dimensions import AbstractDimension, Unbounded
from tvbjax_inference.l2l.space import Space


@dataclasses.dataclass(frozen=True, eq=False)
class FromL2l:
    """An optimisee for `Python` from an object with `create_individual()` and `simulate(traj)`, and
    maybe `bounding_func(individual)`.

        ranges = {"coords": l2l.Real(-5.0, 5.0, shape=(2,))}
        old = FromL2l(optimizee, fitness_weights=(-1.0,), ranges=ranges)
        l2l.Study(l2l.Python(old, old.space), l2l.SeparableNes(), key, l2l.MaxEvaluations(1000))

    `fitness_weights`: of the numbers that `simulate` returns, as L2L's optimizers take them: the
    loss is minus their weighted sum. `ranges`: what each name may be; names without one start about
    a created individual, with a standard deviation of `scale` and no bounds. What an individual is
    before it is simulated is `bounding_func`'s to say, as ever.

    `simulate` gets a trajectory with `individual`, of which the names are attributes, and `ind_idx`
    and `generation` are 0. Global random numbers of NumPy and Python are seeded for each evaluation
    and put back; an optimizee's own generator is not.
    """

    optimizee: Any
    fitness_weights: Sequence[float] = (1.0,)
    ranges: Mapping[str, AbstractDimension] = dataclasses.field(default_factory=dict)
    scale: float = 1.0

    def __post_init__(self):
        for name in ("create_individual", "simulate"):
            if not callable(getattr(self.optimizee, name, None)):
                raise TypeError(
                    f"FromL2l: {self.optimizee!r:.60} has no method {name}; give an object of an "
                    "Optimizee class, not the class."
                )
        for weight in self.fitness_weights:
            check_number("FromL2l: fitness_weights", weight)
        check_number("FromL2l: scale", self.scale, above=0.0)

    @property
    def space(self) -> Space:
        """The names of a created individual, and what each may be."""
        with _seeded(0):
            created = dict(self.optimizee.create_individual())
        unknown = sorted(set(self.ranges) - set(created))
        if unknown:
            raise ValueError(
                f"FromL2l: ranges has '{unknown[0]}', and an individual {', '.join(created)}."
            )
        return Space(
            {
                name: self.ranges.get(name) or Unbounded(value, self.scale)
                for name, value in created.items()
            }
        )

    def __call__(self, values: dict[str, Any], seed: int) -> dict[str, Any]:
        bound = getattr(self.optimizee, "bounding_func", None)
        with _seeded(seed):
            individual = dict(bound(dict(values)) if bound else values)
            fitness = self.optimizee.simulate(Trajectory(Individual(individual)))
        fitness = np.ravel(np.asarray(fitness, float))
        if len(fitness) != len(self.fitness_weights):
            raise ValueError(
                f"FromL2l: simulate returned {len(fitness)} numbers, and there are "
                f"{len(self.fitness_weights)} fitness_weights; give one each."
            )
        loss = -float(np.dot(fitness, self.fitness_weights))
        return {"loss": loss, "more": {"fitness": fitness}}


class Individual:
    """Values as attributes, which an optimizee may also set; `ind_idx` and `generation` are 0."""

    def __init__(self, values: Mapping[str, Any]):
        self.__dict__ |= {"ind_idx": 0, "generation": 0} | dict(values)

    @property
    def params(self) -> dict[str, Any]:
        """All by name, also with `individual.` before it."""
        own = self.__dict__
        return own | {f"individual.{name}": value for name, value in own.items()}

    def __getattr__(self, name: str) -> Any:
        close = get_close_matches(name, self.__dict__, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise AttributeError(
            f"FromL2l: an individual has no '{name}'; {hint}it has {', '.join(self.__dict__)}."
        )


class Trajectory:
    """What `simulate` gets: `individual`, and the numbers of a run of one individual."""

    def __init__(self, individual: Individual):
        self.individual = individual
        self.ind_idx = self.generation = 0

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"FromL2l: the trajectory has no '{name}', only individual, ind_idx and generation; "
            "give the optimizee what it needs when it is made."
        )


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global random numbers from a seed, and afterwards as they were."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
