"""run: step a compiled network through time, and what comes of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from .asked import asked
from .engine import Machine
from .files import write_outputs
from .methods import AbstractMethod, Euler, Given
from .network import Network
from .plan import Parameter, Plan, Recorded, State, UnitPlan
from .state import NetworkState, joined, part_of
from .values import Name, Values

STEP_LIMIT = 2_000_000_000


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


class DivergenceError(FloatingPointError):
    """A network's state became NaN or infinite. `recording` holds what was recorded, to look at."""

    def __init__(self, message: str, recording: Recording):
        super().__init__(message, recording)
        self.recording = recording

    def __str__(self) -> str:
        return self.args[0]


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
    if not isinstance(method, AbstractMethod):
        raise TypeError(f"run: the method is {method!r}; pass an instance, such as lems.Heun().")
    if initial is not None and not isinstance(initial, NetworkState):
        raise TypeError(f"run: initial is a {type(initial).__name__}; pass a recording's final.")
    dt = _time(plan.step if step is None else step, "step", plan)
    length = _time(plan.duration if duration is None else duration, "duration", plan)
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"run: every is {every!r}; give a whole number of steps, 1 or more.")
    rows = math.floor(length / dt / every + 1e-6)
    if every > 1 and abs(length / dt / every - rows) > 1e-3:
        raise ValueError(
            f"run: the duration is {length / dt:g} steps, which every = {every} does not divide; "
            f"give a duration of {rows * every * dt:g} or another every."
        )
    if rows < 1 or rows * every > STEP_LIMIT:
        raise ValueError(
            f"run: a duration of {length:g} with a step of {dt:g}, recorded every {every} steps, "
            f"makes {rows:.4g} rows; give at least one step and at most {STEP_LIMIT:,} steps."
        )
    if not plan.random_units():
        key = None  # one less thing to compile for
    elif key is None and plan.seed is not None:
        key = jax.random.key(plan.seed)
    quantities, events = asked(plan, record, "run")
    program = _Program(plan, dt, method, rows, every, tuple(quantities), tuple(events))
    initial = None if initial is None else _going_on(plan, initial, dt)
    final, first, columns, counts = _run(program, _changed(network), initial, key)
    begin = 0 if initial is None else initial.steps
    fine = (begin + jnp.arange(rows * every + 1, dtype=jnp.int32)).astype(float) * dt
    t = fine[::every]
    series = {
        one.path: jnp.concatenate([a[None], b])
        for one, a, b in zip(quantities, first, columns, strict=True)
    }
    times: dict[str, Any] = {
        one.path: count if isinstance(count, Tracer) else _times(count, one, fine[1:])
        for one, count in zip(events, counts, strict=True)
    }
    recording = Recording(network, t, series, times, final)
    if not isinstance(t, Tracer) and not any(
        isinstance(leaf, Tracer) for leaf in jax.tree.leaves(final)
    ):
        _check_finite(recording)
    return recording


def _going_on(plan: Plan, initial: NetworkState, dt: float) -> NetworkState:
    """The state to start from; its steps count from t = 0 with this run's step."""
    wanted = {(i, n) for i, u in enumerate(plan.units) for n in u.variables if _is_state(u, n)}
    if set(initial.states) != wanted or any(
        value.shape[-1] != plan.units[name[0]].size for name, value in initial.states.items()
    ):
        raise ValueError(f"run: initial is not a state of '{plan.name}'; pass its own final.")
    if initial.step == dt:
        return initial
    if isinstance(initial.t, Tracer):
        raise ValueError(f"run: within jit, go on with the state's own step, {initial.step:g}.")
    t = float(initial.t)
    steps = round(t / dt)
    if initial.sent or abs(steps * dt - t) > 1e-3 * dt + 1e-6 * abs(t):
        why = "there are delayed events" if initial.sent else "its time is no multiple of it"
        raise ValueError(
            f"run: the state at t = {t:g} cannot go on with a step of {dt:g}, since {why}; go on "
            f"with its own, {initial.step:g}."
        )
    counted = jnp.asarray(steps, initial.steps.dtype)
    return replace(initial, steps=counted, step=dt)


def _is_state(unit: UnitPlan, name: str) -> bool:
    return isinstance(unit.variables[name], State)


def _changed(network: Network) -> dict[str, dict[str, Any]]:
    """The parameters that are not as in the file; the others are constants of what is compiled."""
    changed: dict[str, dict[str, Any]] = {}
    for unit in network.plan.units:
        for name, value in network.params.get(unit.path, {}).items():
            default = unit.variables[name]
            assert isinstance(default, Parameter)
            _check_shape(unit, name, jnp.shape(value), default.value.shape)
            if isinstance(value, Tracer) or not _same(value, default.value):
                changed.setdefault(unit.path, {})[name] = jnp.asarray(value, float)
    return changed


def _check_shape(
    unit: UnitPlan, name: str, shape: tuple[int, ...], default: tuple[int, ...]
) -> None:
    """Raise ValueError for a parameter that is neither one number nor one per instance."""
    if shape in ((), default) or (unit.pool is None and shape == (unit.size,)):
        return
    size = unit.size if unit.pool is None else unit.pool.size
    hint = "; to vary it by synapse, load_network(..., pool=False)" if unit.pool else ""
    raise ValueError(
        f"run: the parameter '{name}' of '{unit.path}' has the shape {shape}; give one number, or "
        f"one per instance, {(size,)}{hint}."
    )


def _same(value: Any, default: np.ndarray) -> bool:
    found = np.asarray(value)
    single = np.issubdtype(found.dtype, np.floating)
    wanted = default.astype(found.dtype) if single else default
    return found.shape == default.shape and np.array_equal(found, wanted)


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
    machine = Machine(program.plan, program.dt)
    constants = machine.constants(params)
    given = Given(params, constants, machine.amounts(params))
    start_key = None if key is None else jax.random.fold_in(key, 0)
    state = machine.start(params, constants, start_key) if initial is None else initial
    known = {**constants, **state.states}
    first = _observe(program.quantities, Values(program.plan, params, known, state.t, start_key))
    finals, columns, counts = [], {}, {}
    for part in machine.parts((*program.quantities, *program.events)):
        final, found, heard = _scan(program, part, given, part_of(state, part.members), key)
        finals.append(final)
        columns |= found
        counts |= heard
    return (
        joined(finals),
        first,
        [columns[one.path] for one in program.quantities],
        [counts[one.path] for one in program.events],
    )


def _scan(
    program: _Program, machine: Machine, given: Given, state: NetworkState, key: Array | None
) -> Any:
    """Step a part of the network that nothing connects with the others through time."""
    quantities = [one for one in program.quantities if one.parts[0].unit in machine.members]
    events = [one for one in program.events if one.parts[0].unit in machine.members]

    def one(state: NetworkState, _: Any) -> tuple[NetworkState, Any]:
        now = None if key is None else jax.random.fold_in(key, state.steps + 1)
        after, values, moment = program.method.step(machine, given, state, now)
        counts = [_count(machine, moment.emitted, event) for event in events]
        return after, (_observe(quantities, values), counts)

    def row(state: NetworkState, _: Any) -> tuple[NetworkState, Any]:
        if program.every == 1:
            return one(state, None)
        state, (many, counts) = jax.lax.scan(one, state, None, length=program.every)
        return state, ([value[-1] for value in many], counts)

    final, (columns, counts) = jax.lax.scan(row, state, None, length=program.rows)
    if program.every > 1:
        counts = [count.reshape(-1, *count.shape[2:]) for count in counts]
    found = {q.path: column for q, column in zip(quantities, columns, strict=True)}
    return final, found, {e.path: count for e, count in zip(events, counts, strict=True)}


def _observe(quantities: Sequence[Recorded], values: Values) -> list[Array]:
    found = []
    for one in quantities:
        parts = []
        for part in one.parts:
            value = values.full(part.unit, values.get(part.unit, part.name))
            parts.append(value if part.instances is None else value[np.asarray(part.instances)])
        whole = parts[0] if len(parts) == 1 else jnp.concatenate(parts)
        found.append(whole if one.every else whole[0])
    return found


def _count(machine: Machine, emitted: Mapping[Name, Array], one: Recorded) -> Array:
    """The events of one step, in as few bits as hold the most that there can be."""
    parts, most = [], 0
    for part in one.parts:
        count = emitted.get((part.unit, part.name))
        if count is None:
            count = jnp.zeros(machine.plan.units[part.unit].size, jnp.int32)
        parts.append(count if part.instances is None else count[np.asarray(part.instances)])
        sends = machine.sends(part.unit, part.name)
        most = 1 << 20 if sends is None else max(most, sends)
    whole = parts[0] if len(parts) == 1 else jnp.concatenate(parts)
    small = whole.astype(jnp.int8 if most < 128 else jnp.int32)
    return small if one.every else small[0]


def _time(value: float | None, name: str, plan: Plan) -> float:
    if value is None:
        raise ValueError(f"run: '{plan.name}' does not say its {name}; give {name}=...")
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"run: {name} is {value!r}; give a positive time.")
    return number


def _times(counts: Array, one: Recorded, t: Array) -> np.ndarray:
    count, at = np.asarray(counts), np.asarray(t)
    if count.ndim == 1:
        return np.repeat(at, np.maximum(count, 0))
    rows, instances = np.nonzero(count)
    each = count[rows, instances]
    return np.stack([np.repeat(at[rows], each), np.repeat(instances, each)], axis=1)


def _check_finite(recording: Recording) -> None:
    """Raise DivergenceError where the final state is not finite."""
    plan, states = recording.network.plan, recording.final.states
    names = [
        f"{plan.units[i].path}/{name}"
        for (i, name), value in states.items()
        if not bool(jnp.all(jnp.isfinite(value)))
    ]
    if not names:
        return
    first = len(recording.t) - 1
    for value in recording.quantities.values():
        bad = ~np.isfinite(np.asarray(value).reshape(len(recording.t), -1)).all(axis=1)
        first = min(first, int(np.argmax(bad))) if bad.any() else first
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise DivergenceError(
        f"{plan.name}: not finite by t = {float(recording.t[first]):g} "
        f"{recording.network.time_unit}: {shown}; "
        "take a smaller step, or another method.",
        recording,
    )
