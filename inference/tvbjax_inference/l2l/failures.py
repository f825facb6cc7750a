"""What a study does with an evaluation that failed."""

import abc
import dataclasses

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.parts import Part


class StudyError(RuntimeError):
    """A study that cannot go on; what it has is in its store."""


class AbstractOnFailure(abc.ABC):
    """`again`: how often a failed evaluation is done again with other random numbers."""

    @property
    def again(self) -> int:
        """No more than once, by default."""
        return 0

    @abc.abstractmethod
    def met(self, generation: int, part: Part) -> None:
        """Called with evaluations that ended, whatever in; raises `StudyError` to end the study."""


@dataclasses.dataclass(frozen=True)
class Worst(AbstractOnFailure):
    """It counts as worse than all others, and the study goes on."""

    def met(self, generation, part):
        return None


@dataclasses.dataclass(frozen=True)
class Redraw(AbstractOnFailure):
    """It is done again with other random numbers, at most so many times; then as `Worst`."""

    times: int = 3

    def __post_init__(self):
        check_count("Redraw: times", self.times)

    @property
    def again(self) -> int:
        return self.times

    def met(self, generation, part):
        return None


@dataclasses.dataclass(frozen=True)
class Stop(AbstractOnFailure):
    """It ends the study with an error; its store can be resumed with `again=True`."""

    def met(self, generation, part):
        for place, status, error in zip(part.places, part.statuses, part.errors, strict=True):
            if status != "ok":
                raise StudyError(
                    f"Study: candidate {place} of generation {generation} ended in '{status}': "
                    f"{error}"
                )
