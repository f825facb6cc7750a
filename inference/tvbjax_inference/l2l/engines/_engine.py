"""What an engine is: evaluations of a function, somewhere, each with what came of it."""

import abc
import dataclasses
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any


@dataclasses.dataclass(frozen=True)
class Work:
    """What is evaluated: a payload as `_worker.loaded` takes it, and how failures are met.

    `name`: for messages. `timeout`: s for an evaluation. `retries`: how often an evaluation is
    tried again that raised, exited, was killed or took too long. `lives`: evaluations of a process
    before it is replaced.
    """

    name: str
    payload: tuple[str, Any]
    timeout: float | None = None
    retries: int = 0
    lives: int | None = None


@dataclasses.dataclass(frozen=True)
class Job:
    """One evaluation. `number`: its place among the candidates."""

    number: int
    values: dict[str, Any]
    seed: Any


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of a job. `status`: ok, nan, invalid, raised, exited, killed, or timeout."""

    number: int
    status: str
    result: dict[str, Any] | None
    error: str | None
    seconds: float
    attempts: int


# What may go better when it is tried again; a loss of NaN does not.
AGAIN = ("raised", "exited", "killed", "timeout")

Evaluate = Callable[[Sequence[Job]], Iterator[Report]]


class AbstractEngine(abc.ABC):
    """Where evaluations run. Reports come as evaluations end, in any order."""

    @abc.abstractmethod
    def opened(self, work: Work) -> AbstractContextManager[Evaluate]:
        """A function that evaluates jobs, as long as the context lasts. At its end no process of
        it is left."""


def pickled(function: Callable) -> bytes:
    """A function as bytes, also of a notebook or a script. Raises `TypeError` where it cannot be
    sent to another process."""
    import cloudpickle

    try:
        return cloudpickle.dumps(function)
    except (TypeError, pickle.PicklingError, AttributeError, RuntimeError) as error:
        raise TypeError(
            f"Python: the function {getattr(function, '__qualname__', function)!r:.60} cannot be "
            f"sent to another process ({error}); open files, locks and clients inside of it, not "
            "around it."
        ) from error
