"""A run of a network in parts: it shows how far it is, and keeps what it has when it stops."""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tvbjax import lems
from tvbjax.progress import progress_bar
from tvbjax_lems.runtime.engine import Machine, NetworkState
from tvbjax_lems.runtime.paths import PathError

_PARTS = (4, 20)  # least and most
_WORK = 2_000_000  # steps times instances of a part that takes a fraction of a second
_VALUES = 500_000_000  # that may be recorded: 4 GB


@dataclass(frozen=True)
class Asked:
    """What to run. `step` and `duration` in the network's unit of time."""

    network: lems.Network
    method: lems.AbstractMethod
    step: float
    duration: float
    key: jax.Array | None
    record: tuple[str, ...]
    every: int

    @property
    def rows(self) -> int:
        return math.floor(self.duration / self.step / self.every + 1e-6)

    def __post_init__(self):
        if self.rows < 1:
            raise ValueError(
                f"lems run: a duration of {self.duration:g} holds no {self.every} steps of "
                f"{self.step:g}; give a longer --duration, or a smaller --step or --every."
            )
        plan = self.network.plan
        found = list(plan.quantities)
        for path in self.record:
            with suppress(PathError):  # of a port, or wrong, which `run` says
                found.append(plan.find(path, ""))
        if not (found or plan.events or self.record):
            raise ValueError(
                f"lems run: '{plan.name}' records nothing; name what to record with --record PATH."
            )
        columns = sum(
            plan.units[part.unit].size if part.instances is None else len(part.instances)
            for one in found
            for part in one.parts
        )
        if self.rows * columns > _VALUES:
            least = math.ceil(self.rows * self.every * columns / _VALUES)
            raise ValueError(
                f"lems run: {self.rows:,} rows of {columns} quantities do not fit into memory; "
                f"record fewer rows with --every {least} or more."
            )


@dataclass
class Done:
    """What is done of a run. `seconds`: of each part, the first with the compilation."""

    recording: lems.Recording | None = None
    complete: bool = False
    seconds: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    @property
    def compiling(self) -> float | None:
        """Seconds; None where a single part does not tell."""
        speed = self.speed
        return None if speed is None else max(self.seconds[0] - self.steps[0] / speed, 0.0)

    @property
    def speed(self) -> float | None:
        """Steps a second, compiled."""
        like_first = [
            (seconds, steps)
            for seconds, steps in zip(self.seconds[1:], self.steps[1:], strict=True)
            if steps == self.steps[0]
        ]
        total = sum(seconds for seconds, _ in like_first)
        return sum(steps for _, steps in like_first) / total if total > 0.0 else None


def run_in_parts(asked: Asked) -> Done:
    """Run; the numbers are those of a run in one piece. Stops on KeyboardInterrupt.

    Raises DivergenceError with the recording of all parts.
    """
    done = Done()
    parts: list[lems.Recording] = []
    state = _start(asked)
    try:
        with progress_bar(asked.network.name, asked.rows, True) as advance:
            for rows in _sizes(asked):
                began = time.perf_counter()
                parts.append(_part(asked, state, rows))
                state = parts[-1].final
                done.seconds.append(time.perf_counter() - began)
                done.steps.append(rows * asked.every)
                advance(rows)
        done.complete = True
    except KeyboardInterrupt:
        pass
    except lems.DivergenceError as error:
        raise lems.DivergenceError(str(error), joined([*parts, error.recording])) from None
    done.recording = joined(parts) if parts else None
    return done


def joined(parts: Sequence[lems.Recording]) -> lems.Recording:
    """One recording of several; row 0 of a part is the last one of the part before."""
    first, *others = parts
    return lems.Recording(
        first.network,
        jnp.concatenate([first.t, *(one.t[1:] for one in others)]),
        {
            path: jnp.concatenate([values, *(one.quantities[path][1:] for one in others)])
            for path, values in first.quantities.items()
        },
        {path: np.concatenate([one.events[path] for one in parts]) for path in first.events},
        parts[-1].final,
    )


def _sizes(asked: Asked) -> list[int]:
    """Rows of each part: equal ones where that goes, since another size compiles anew."""
    rows, (least, most) = asked.rows, _PARTS
    work = rows * asked.every * sum(asked.network.sizes.values())
    wanted = min(max(work // _WORK, least), most)
    for count in range(wanted, 1, -1):
        if rows % count == 0:
            return [rows // count] * count
    if work < _WORK * least:
        return [rows]
    return [rows // wanted] * wanted + [rows % wanted]


def _start(asked: Asked) -> NetworkState:
    """The initial state, as `run` makes it, so that the first part compiles as the others do."""
    key = None if asked.key is None else jax.random.fold_in(asked.key, 0)
    machine = Machine(asked.network.plan, asked.step)

    @eqx.filter_jit
    def start(key: jax.Array | None) -> NetworkState:
        return machine.start({}, machine.constants({}), key)

    return start(key)


def _part(asked: Asked, state: NetworkState, rows: int) -> lems.Recording:
    return lems.run(
        asked.network,
        method=asked.method,
        step=asked.step,
        duration=rows * asked.every * asked.step,
        key=asked.key,
        record=asked.record,
        every=asked.every,
        initial=state,
    )
