"""When a study ends, beside its optimiser's own end."""

import abc
import dataclasses
from typing import NamedTuple

from tvbjax.kinds import check_count, check_number


class Progress(NamedTuple):
    """How far a study is. `least`: the least loss, of several objectives their sum; `since`:
    generations since it fell; `seconds`: since this run of the study began."""

    generations: int
    evaluations: int
    least: float
    since: int
    seconds: float


class AbstractStop(abc.ABC):
    """A reason to end."""

    @abc.abstractmethod
    def reason(self, progress: Progress) -> str | None:
        """The reason in words, or None."""

    def share(self, progress: Progress) -> float | None:
        """How much of the way is gone, where that is known."""
        return None


@dataclasses.dataclass(frozen=True)
class MaxEvaluations(AbstractStop):
    """So many evaluations; the generation in which they are reached is finished."""

    count: int

    def __post_init__(self):
        check_count("MaxEvaluations", self.count)

    def reason(self, progress):
        if progress.evaluations >= self.count:
            return f"{progress.evaluations} evaluations were made"
        return None

    def share(self, progress):
        return progress.evaluations / self.count


@dataclasses.dataclass(frozen=True)
class MaxGenerations(AbstractStop):
    """So many generations."""

    count: int

    def __post_init__(self):
        check_count("MaxGenerations", self.count)

    def reason(self, progress):
        if progress.generations >= self.count:
            return f"{progress.generations} generations were told"
        return None

    def share(self, progress):
        return progress.generations / self.count


@dataclasses.dataclass(frozen=True)
class Target(AbstractStop):
    """A loss of this or less was found."""

    loss: float

    def __post_init__(self):
        check_number("Target: loss", self.loss)

    def reason(self, progress):
        if progress.least <= self.loss:
            return f"the loss {progress.least:.6g} is at the target of {self.loss:g}"
        return None


@dataclasses.dataclass(frozen=True)
class Stalled(AbstractStop):
    """The least loss has not fallen for so many generations."""

    generations: int

    def __post_init__(self):
        check_count("Stalled: generations", self.generations)

    def reason(self, progress):
        if progress.since >= self.generations:
            return f"the least loss has not fallen for {progress.since} generations"
        return None


@dataclasses.dataclass(frozen=True)
class Walltime(AbstractStop):
    """No generation begins after so many seconds of this run; a study that is resumed has them
    anew, as a job of a cluster does."""

    seconds: float

    def __post_init__(self):
        check_number("Walltime: seconds", self.seconds, above=0.0)

    def reason(self, progress):
        if progress.seconds >= self.seconds:
            return f"{progress.seconds:.0f} s have passed"
        return None

    def share(self, progress):
        return progress.seconds / self.seconds
