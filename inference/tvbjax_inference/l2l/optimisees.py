"""What is optimised: a JAX function, a Python function, or a command, with the space it takes."""

import abc
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tvbjax.identity import named
from tvbjax.kinds import check_count, check_kind, check_number
from tvbjax_inference.l2l.engines._engine import Work, pickled
from tvbjax_inference.l2l.space import Space


class AbstractOptimisee(abc.ABC):
    """What has a loss for the values of a space. `objectives`: how many numbers a loss is."""

    space: Space
    objectives: int

    @abc.abstractmethod
    def described(self) -> str:
        """Its name and a digest of what it computes."""


@dataclasses.dataclass(frozen=True, eq=False)
class Function(AbstractOptimisee):
    """A pure JAX function: compiled, side by side for all candidates, and differentiable.

    `function(values, key)`: the loss of one candidate from arrays by name, or an `Evaluated`; of an
    option it gets the place. `batched`: it takes values and keys with a first axis for candidates,
    and gives as many losses. `tile`: how many candidates are computed side by side, where all need
    too much memory. Candidates are shared among the devices of JAX.
    """

    function: Callable[..., Any]
    space: Space
    objectives: int = 1
    batched: bool = False
    tile: int | None = None

    def __post_init__(self):
        _check("Function", self)
        if not isinstance(self.batched, bool):
            raise TypeError(f"Function: batched is {self.batched!r:.60}; give True or False.")
        if self.tile is not None:
            check_count("Function: tile", self.tile)

    def described(self) -> str:
        return named(self.function)


@dataclasses.dataclass(frozen=True, eq=False)
class Python(AbstractOptimisee):
    """Any Python function, in worker processes.

    `function(values, seed)`: from numbers, options and NumPy arrays by name, and a whole number for
    its random numbers, to the loss: a number, a row of objectives, `{"loss": ..., "outputs": ...,
    "more": {...}}`, or an `Evaluated`. `timeout`: s, after which an evaluation is ended. `retries`:
    how often one that raised, exited, was killed or took too long is tried again. `lives`: how many
    evaluations a process serves before a new one takes its place; 1 for simulators that cannot be
    reset.
    """

    function: Callable[[dict[str, Any], int], Any]
    space: Space
    objectives: int = 1
    timeout: float | None = None
    retries: int = 0
    lives: int | None = None

    def __post_init__(self):
        _check("Python", self)
        _check_limits("Python", self)
        if self.lives is not None:
            check_count("Python: lives", self.lives)

    def described(self) -> str:
        return named(self.function)

    def work(self) -> Work:
        """What engines take."""
        name = getattr(self.function, "__qualname__", type(self.function).__name__)
        payload = ("function", pickled(self.function))
        return Work(name, payload, self.timeout, self.retries, self.lives)


# What a command's text may ask for beside the names of the space.
_GIVEN = ("seed", "folder", "values", "result")


@dataclasses.dataclass(frozen=True, eq=False)
class Command(AbstractOptimisee):
    """A command of the shell's, run without a shell, in a folder of its own for each evaluation.

    `argv`: the program and its arguments. Of these `{name}` becomes the value of that name,
    `{seed}` a whole number, `{values}` the path of a JSON file of all values, `{folder}` the
    evaluation's folder, and `{result}` the path of the file `result` in it. Numbers are written so
    that they are read again as they are; options as they are, arrays as JSON. `result`: a file that
    the command writes: JSON of a number, a row of objectives, or what `Python` takes; without one,
    the last line that it prints is the loss. `environment`: more variables. `timeout`, `retries`:
    as of `Python`; the command and all that it started are ended, but for what has begun a session
    of its own.
    """

    argv: Sequence[str]
    space: Space
    objectives: int = 1
    result: str | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    timeout: float | None = None
    retries: int = 0

    def __post_init__(self):
        check_kind("Command: space", self.space, Space, "Space(G=Real(0.0, 5.0))")
        check_count("Command: objectives", self.objectives)
        _check_limits("Command", self)
        argv = self.argv
        if isinstance(argv, str) or not argv or not all(isinstance(part, str) for part in argv):
            raise TypeError(
                f"Command: argv is {argv!r:.60}; give a list of texts, ['sim', '--G', '{{G}}']."
            )
        if self.result is not None and (os.path.isabs(self.result) or ".." in self.result):
            raise ValueError(
                f"Command: result is '{self.result}'; give the name of a file in the "
                "evaluation's folder."
            )
        if "{" not in argv[0] and shutil.which(argv[0]) is None:
            raise ValueError(f"Command: there is no program '{argv[0]}'.")
        bad = [(k, v) for k, v in self.environment.items() if not isinstance(v, str)]
        if bad:
            raise TypeError(
                f"Command: environment has {bad[0][0]} = {bad[0][1]!r:.60}; give texts."
            )
        self._check_places()
        object.__setattr__(self, "argv", tuple(map(_absolute, argv)))

    def described(self) -> str:
        return json.dumps([list(self.argv), self.result, sorted(self.environment)])

    def work(self) -> Work:
        """What engines take."""
        payload = ("shell", (list(self.argv), self.result, dict(self.environment)))
        return Work(self.argv[0], payload, self.timeout, self.retries)

    def _check_places(self) -> None:
        """Every name in braces is known, and the values go somewhere."""
        known = {*self.space.names, *_GIVEN}
        for name in self.space.names:
            if name in _GIVEN:
                raise ValueError(f"Command: '{name}' has another meaning here; rename it.")
        found = set(re.findall(r"\{([^{}]+)\}", " ".join(self.argv)))
        unknown = sorted(name for name in found - known if re.fullmatch(r"\w+", name))
        if unknown:
            raise ValueError(
                f"Command: argv has {{{unknown[0]}}}, and there are {', '.join(sorted(known))}."
            )
        if "result" in found and self.result is None:
            raise ValueError("Command: argv has {result}; name the file, result='result.json'.")
        missing = [name for name in self.space.names if name not in found]
        if missing and "values" not in found:
            raise ValueError(
                f"Command: '{missing[0]}' is nowhere in argv; write {{{missing[0]}}} where it "
                "belongs, or {values} for the path of a file of all values."
            )


def _absolute(part: str) -> str:
    """Commands run in folders of their own, where a relative path would lead nowhere."""
    return os.path.abspath(part) if os.path.isfile(part) else part


def _check(who: str, optimisee: Any) -> None:
    if not callable(optimisee.function):
        raise TypeError(f"{who}: {optimisee.function!r:.60} is no function.")
    check_kind(f"{who}: space", optimisee.space, Space, "Space(G=Real(0.0, 5.0))")
    check_count(f"{who}: objectives", optimisee.objectives)


def _check_limits(who: str, optimisee: Any) -> None:
    if optimisee.timeout is not None:
        check_number(f"{who}: timeout", optimisee.timeout, above=0.0)
    check_count(f"{who}: retries", optimisee.retries, 0)
