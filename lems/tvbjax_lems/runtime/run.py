"""run: step a compiled network through time, and what comes of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .engine import Machine, NetworkState
from .files import write_outputs
from .methods import AbstractMethod, Euler
from .network import Network
from .paths import PathError
from .plan import Plan, Recorded
from .values import Values

STEP_LIMIT = 2_000_000_000


class DivergenceError(ArithmeticError):
    """A network's state became NaN or infinite. `t`: when, in working units of time."""

    def __init__(self, message: str, t: float):
        super().__init__(message)
        self.t = t


@dataclass(frozen=True)
class Recording:
    """What a run recorded, in the network's working units.

    `t`: (row,), row 0 is the initial state. `quantities`: by path, (row,), or (row, instance) for
    paths with [*]. `events`: by path and port, the times of the events; for paths with [*] two
    columns, time and instance. `final`: the state to go on from.
    """

    network: Network
    t: Array
    quantities: Mapping[str, Array]
    events: Mapping[str, np.ndarray]
    final: NetworkState

    def __getitem__(self, path: str) -> Array:
        if path not in self.quantities:
            known = ", ".join(self.quantities) or "nothing"
            raise KeyError(f"'{path}' was not recorded; recorded: {known}. Ask: record=({path!r},)")
        return self.quantities[path]

    def write(self, folder: str | Path) -> list[Path]:
        """Write the files that the LEMS file names, below `folder`, in SI units."""
        return write_outputs(self, Path(folder))


def run(
    network: Network,
    *,
    method: AbstractMethod | None = None,
    step: float | None = None,
    duration: float | None = None,
    key: Array | None = None,
    record: Sequence[str] = (),
    every: int = 1,
    initial: NetworkState | None = None,
) -> Recording:
    """Run a network from its start, or on from `initial`.

    `method`: how it is integrated, Euler() as PyLEMS by default. `step`, `duration`: in working
    units of time, the file's by default. `key`: for random, by default from the file's seed where
    it has one. `record`: more paths to record, `pop[0]/v`, `pop[*]/v` for all instances, or
    `pop[0]/spike` for a port. `every`: record each so many steps. Raises DivergenceError.
    """
    plan = network.plan
    method = Euler() if method is None else method
    dt = _time(plan.step if step is None else step, "step", plan)
    length = _time(plan.duration if duration is None else duration, "duration", plan)
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"run: every is {every!r}; give a whole number of steps, 1 or more.")
    rows = math.floor(length / dt / every + 1e-6)
    if rows < 1 or rows * every > STEP_LIMIT:
        raise ValueError(
            f"run: a duration of {length:g} with a step of {dt:g}, recorded every {every} steps, "
            f"makes {rows} rows; give at least one step and at most {STEP_LIMIT} steps."
        )
    if key is None and plan.seed is not None:
        key = jax.random.key(plan.seed)
    quantities, events = _asked(plan, record)
    program = _Program(plan, dt, method, rows, every, tuple(quantities), tuple(events))
    final, first, columns, counts, bad = _run(program, network.params, initial, key)
    start = 0.0 if initial is None else float(initial.steps) * dt
    t = start + np.arange(rows + 1) * (dt * every)
    if int(bad) >= 0:
        raise _divergence(plan, final, float(t[int(bad) + 1]))
    series = {
        one.path: jnp.concatenate([a[None], b])
        for one, a, b in zip(quantities, first, columns, strict=True)
    }
    times = {
        one.path: _times(np.asarray(count), one, t[1:])
        for one, count in zip(events, counts, strict=True)
    }
    return Recording(network, jnp.asarray(t, float), series, times, final)


@dataclass(frozen=True)
class _Program:
    """What a compiled run depends on besides arrays."""

    plan: Plan
    dt: float
    method: AbstractMethod
    rows: int
    every: int
    quantities: tuple[Recorded, ...]
    events: tuple[Recorded, ...]


@eqx.filter_jit
def _run(program: _Program, params: Any, initial: NetworkState | None, key: Array | None) -> Any:
    plan, method = program.plan, program.method
    machine = Machine(plan, program.dt)
    constants = machine.constants(params)
    start_key = None if key is None else jax.random.fold_in(key, 0)
    state = machine.start(params, constants, start_key) if initial is None else initial
    known = {**constants, **state.states}
    first = _observe(program, Values(plan, params, known, state.t, start_key))

    def one(state: NetworkState, _: Any) -> tuple[NetworkState, Any]:
        now = None if key is None else jax.random.fold_in(key, state.steps + 1)
        after, values, moment = method.step(machine, params, constants, state, now)
        counts = [_count(moment.emitted.get((e.unit, e.name)), e) for e in program.events]
        return after, (_observe(program, values), counts)

    def row(carry: Any, _: Any) -> tuple[Any, Any]:
        state, bad, i = carry
        if program.every == 1:
            state, (observed, counts) = one(state, None)
        else:
            state, (many, all_counts) = jax.lax.scan(one, state, None, length=program.every)
            observed = [value[-1] for value in many]
            counts = [count.sum(0) for count in all_counts]
        fine = jnp.isfinite(sum(jnp.sum(x) for x in state.states.values()))
        bad = jnp.where((bad < 0) & ~fine, i, bad)
        return (state, bad, i + 1), (observed, counts)

    begin = (state, jnp.asarray(-1, jnp.int32), jnp.asarray(0, jnp.int32))
    (final, bad, _), (columns, counts) = jax.lax.scan(row, begin, None, length=program.rows)
    return final, first, columns, counts, bad


def _observe(program: _Program, values: Values) -> list[Array]:
    found = []
    for one in program.quantities:
        value = values.full(one.unit, values.get(one.unit, one.name))
        found.append(value if one.instances is None else value[one.instances])
    return found


def _count(count: Array | None, one: Recorded) -> Array:
    if count is None:
        return jnp.zeros((), jnp.int8)
    chosen = count if one.instances is None else count[one.instances]
    return chosen.astype(jnp.int8)


def _asked(plan: Plan, record: Sequence[str]) -> tuple[list[Recorded], list[Recorded]]:
    quantities = {one.path: one for one in plan.quantities}
    events = {one.path: one for one in plan.events}
    for path in [record] if isinstance(record, str) else record:
        try:
            found = plan.find(path, "")
            quantities.setdefault(path, found)
        except PathError as error:
            head, _, port = path.rpartition("/")
            try:
                events.setdefault(path, plan.find(head, port))
            except PathError:
                hint = f" ({error.hint})" if error.hint else ""
                raise ValueError(f"run: cannot record '{path}': {error.message}{hint}.") from None
    return list(quantities.values()), list(events.values())


def _time(value: float | None, name: str, plan: Plan) -> float:
    if value is None:
        raise ValueError(f"run: '{plan.name}' does not say its {name}; give {name}=...")
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"run: {name} is {value!r}; give a positive time.")
    return number


def _times(count: np.ndarray, one: Recorded, t: np.ndarray) -> np.ndarray:
    if count.ndim == 1:
        return np.repeat(t, np.maximum(count, 0))
    rows, instances = np.nonzero(count)
    each = count[rows, instances]
    return np.stack([np.repeat(t[rows], each), np.repeat(instances, each)], axis=1)


def _divergence(plan: Plan, final: NetworkState, t: float) -> DivergenceError:
    names = [
        f"{plan.units[i].path}/{name}".strip("/")
        for (i, name), value in final.states.items()
        if not bool(jnp.all(jnp.isfinite(value)))
    ]
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return DivergenceError(
        f"{plan.name}: not finite at t = {t:g}: {shown or 'a state, which came back'}; "
        "take a smaller step, or another method.",
        t,
    )
