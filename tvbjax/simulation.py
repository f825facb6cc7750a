"""Run one simulation: in chunks, with a progress bar, stopped and continued without loss."""

import dataclasses
import json
import math
import warnings
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from tvbjax import engine
from tvbjax.arrays import check_one_key, is_key, is_traced, strong
from tvbjax.connections import fitted
from tvbjax.engine import Carry, Derivatives, Reverse
from tvbjax.identity import digest
from tvbjax.mixed import Mixed
from tvbjax.progress import progress_bar
from tvbjax.provenance import describe
from tvbjax.result import Note, Result, Samples
from tvbjax.simulator import Simulator
from tvbjax.steps import steps_of
from tvbjax.stimulus import check_times
from tvbjax_lems import Model

# A chunk is long enough that its start costs nothing, and short enough (under a second or so) that
# a progress bar moves and Ctrl-C is heard.
_NODE_STEPS_PER_CHUNK = 4_000_000

# What a run cannot change on its way; parameters, monitors' too, noise and key it may.
_SHAPING = ("model", "integrator", "horizon", "dtype")

_start = eqx.filter_jit(engine.start)
_advance = eqx.filter_jit(engine.advance)


class DivergenceError(FloatingPointError):
    """A state or a sample became infinite or NaN. `result` holds what was simulated, to look at."""

    def __init__(self, message: str, result: Result):
        super().__init__(message, result)
        self.result = result

    def __str__(self) -> str:
        return self.args[0]


def simulate(
    simulator: Simulator,
    duration: float,
    *,
    initial: ArrayLike | Sequence | Result | None = None,
    key: Array | None = None,
    progress: bool = True,
    derivatives: Derivatives = Reverse(),
) -> Result:
    """Simulate `duration` ms, a multiple of dt.

    `initial`: the state at t = 0, `(state, region)`, held in the past as well; or a history
    `(step, state, region)` of at least `simulator.horizon` steps, oldest first, whose last row is
    t = 0, of which haemodynamic monitors see all; or an earlier `Result`, which is then continued,
    with the same numbers as one long run; or None, the middle of each state variable's initial
    range.
    `key`: random key, needed where the simulator has noise.
    `progress`: show a bar on a terminal when the run is long.

    A run may go on with other parameters, also those of monitors that are leaves, noise or key, but
    not with another model, step, horizon or other monitors.

    Can be used inside `jax.jit`, `grad` and `vmap`; the run is then one piece, and instead of
    raising, `result.final.trouble` tells of a diverged state. `derivatives`: those for which it is
    made ready, `Reverse()` or `Forward()`; others come out right, too, but slower. Reverse mode
    keeps the states of a short run and runs parts of a long one again: its memory grows as the
    square root of the duration.

    Ctrl-C ends the run early and well: what was finished comes back, with `complete` False.
    Raises `ValueError` for input that does not fit, `DivergenceError` where the state diverges.
    """
    steps = whole_steps(duration, simulator.integrator.dt)
    simulator = strong(simulator)
    check_key(simulator, key, "simulate")
    first = initial.last if isinstance(initial, Result) else 0
    if first + steps >= 2**31:
        raise ValueError(
            f"simulate: {first + steps:.3g} steps are more than a run can count; use a larger dt."
        )
    if is_traced((simulator, initial, key)):
        if isinstance(initial, Result):
            carry = continued(simulator, initial)
        else:
            carry = engine.start(simulator, past_of(simulator, initial))
        phases = phases_of(simulator, first)
        carry, values = engine.advance(simulator, carry, key, steps, phases, derivatives)
        values = _cut(simulator, values, first, steps)
        return result_of(simulator, first, steps, carry, values, "{}", complete=True)
    simulator = fitted(simulator)
    check_times(simulator, first, steps)
    if isinstance(initial, Result):
        carry, origin = continued(simulator, initial), {"continues_from_step": first}
    else:
        past = past_of(simulator, initial)
        carry, origin = _start(simulator, past), digest(np.asarray(past))
    provenance = describe(simulator, key, initial=origin)
    return _in_chunks(simulator, first, steps, carry, key, provenance, progress)


def _in_chunks(simulator, first, steps, carry, key, provenance, progress) -> Result:
    """Chunk by chunk; what is finished when the run is interrupted or diverges is kept."""
    chunk, complete = chunk_steps(simulator, steps), True
    finished = carry, [], 0  # replaced as one, so that an interruption finds them in agreement
    label = f"simulating {steps * simulator.integrator.dt:g} ms"
    try:
        with progress_bar(label, steps, progress and steps > chunk) as advance_bar:
            while finished[2] < steps:
                carry, pieces, done = finished
                length = min(chunk, steps - done)
                carry, values = _advance(
                    simulator, carry, key, length, phases_of(simulator, first + done)
                )
                cut = _cut(simulator, values, first + done, length)
                finished = carry, [*pieces, [np.asarray(v) for v in cut]], done + length
                advance_bar(length)
                if int(carry.trouble[0]) >= 0:
                    break
    except KeyboardInterrupt:
        complete = False
    carry, pieces, done = finished
    if pieces:
        values = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    else:
        values = [np.zeros(none_of(simulator, i), _dtype()) for i in range(len(simulator.monitors))]
    result = result_of(simulator, first, done, carry, values, provenance, complete)
    if not complete:
        time = (first + done) * simulator.integrator.dt
        warnings.warn(
            f"simulate: interrupted at {time:g} ms; what was finished is in the result, and "
            "simulate(simulator, ..., initial=result, key=key) goes on from there.",
            stacklevel=3,
        )
    raise_trouble(simulator, result)
    return result


def none_of(simulator: Simulator, number: int) -> tuple[int, ...]:
    """The shape of no samples of a monitor."""
    return (0, len(simulator.observed[number]), *map(len, simulator.sample_axes(number)))


def _cut(simulator: Simulator, values, first: int, steps: int) -> list:
    return [cut(simulator, i, value, first, steps) for i, value in enumerate(values)]


def cut(simulator: Simulator, number: int, samples, first: int, steps: int):
    """The samples of a monitor without the rows that hold nothing."""
    return samples[: len(simulator.monitors[number].times(first, steps, simulator.integrator.dt))]


def raise_trouble(simulator: Simulator, result: Result) -> None:
    """Raise DivergenceError where a state or a sample is no finite number."""
    step, variable, region = (int(i) for i in result.final.trouble)
    dt = simulator.integrator.dt
    if step >= 0:
        raise DivergenceError(
            f"simulate: {simulator.model.state_variables[variable]} of {simulator.node_axis.name} "
            f"{simulator.node_axis.coordinate[region]} was no finite number at {step * dt:.10g} ms "
            f"(step {step}); try a smaller dt than {dt:g} ms, weaker coupling, or an initial state "
            "nearer to the model's range. Where smaller steps do not help, look for a division by "
            "0 in the parameters, the coupling or the model.",
            result,
        )
    remedies = {monitor.name: monitor.remedy for monitor in simulator.monitors}
    for name, samples in result.samples.items():
        fine = np.isfinite(samples.values)
        if not fine.all():
            row, variable, *places = np.argwhere(~fine)[0]
            where = ", ".join(
                f"{axis.name} {axis.coordinate[place]}"
                for axis, place in zip(samples.axes, places, strict=True)
            )
            raise DivergenceError(
                f"simulate: the samples of '{name}' have {samples.variables[variable]} = "
                f"{samples.values[(row, variable, *places)]} in {where} at "
                f"{samples.time[row]:.10g} ms, though the state is finite: {remedies[name]}.",
                result,
            )


def result_of(simulator, first, steps, carry, values, provenance, complete) -> Result:
    """A run of `steps` steps from step `first` on, for people."""
    dt = simulator.integrator.dt
    model = simulator.model
    units = model.units

    samples = {}
    for i, (monitor, value) in enumerate(zip(simulator.monitors, values, strict=True)):
        variables = simulator.observed[i]
        samples[monitor.name] = Samples(
            monitor.times(first, steps, dt),
            value,
            variables,
            tuple(units.get(name, "") for name in variables),
            simulator.sample_axes(i),
            absent_of(simulator, i),
        )
    labels = simulator.connectome.labels
    return Result(samples, carry, labels, first, first + steps, complete, Note(provenance))


def absent_of(simulator: Simulator, number: int) -> tuple[tuple[int, ...], ...]:
    """Per variable of a monitor, the regions that do not have it, in mixed networks."""
    model, monitor = simulator.model, simulator.monitors[number]
    regional = simulator.sample_axes(number) == (simulator.node_axis,) and not monitor.afferent
    if not isinstance(model, Mixed) or not regional:
        return ()
    return model.absent(simulator.observed[number])


def check_key(simulator: Simulator, key: Array | None, who: str) -> None:
    """A key where there is noise, and a key of JAX in any case."""
    if key is None:
        if simulator.noise is not None and simulator.noise.needs_key:
            raise ValueError(f"{who}: the simulator has noise; give a key, e.g. jax.random.key(0).")
        return
    check_one_key(who, key)


def keys_of_runs(simulator: Simulator, key: Array | None, count: int, who: str) -> Array | None:
    """A key for each of several runs: the one for all, or those that are given."""
    if is_key(key):
        assert key is not None
        one = () if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else (2,)
        if key.ndim > len(one) and len(key) == count:
            check_key(simulator, key[0], who)
            return key
    check_key(simulator, key, who)
    return None if key is None else jnp.broadcast_to(key, (count, *key.shape))


def whole_steps(duration: float, dt: float, who: str = "simulate") -> int:
    """The steps of a run of `duration` ms, which is a multiple of dt. `who`: runs it."""
    if isinstance(duration, str | bool) or np.ndim(duration) != 0 or duration is None:
        raise TypeError(f"{who}: the duration is {duration!r:.80}; give a number of ms.")
    if not duration > 0 or not math.isfinite(duration):
        raise ValueError(f"{who}: the duration is {duration!r} ms; give a positive time.")
    return steps_of(float(duration), dt, f"{who}: the duration")


def phases_of(simulator: Simulator, first: int) -> tuple[int | Array, ...]:
    """Per monitor, the steps of its window before `first`; a number other than 0 is traced."""
    dt = simulator.integrator.dt
    phases = [first % monitor.window_steps(dt) for monitor in simulator.monitors]
    return tuple(jnp.asarray(phase, jnp.int32) if phase else 0 for phase in phases)


def chunk_steps(simulator: Simulator, steps: int) -> int:
    """Equal chunks, whole in all windows where that is possible, so that they compile once."""
    count = math.ceil(steps * simulator.nodes / _NODE_STEPS_PER_CHUNK)
    dt = simulator.integrator.dt
    common = math.lcm(*(monitor.window_steps(dt) for monitor in simulator.monitors))
    for more in range(count, 2 * count):
        if steps % (more * common) == 0:
            return steps // more
    if count == 1 or common * count > 4 * steps:
        return math.ceil(steps / count)
    return math.ceil(steps / (count * common)) * common


def continued(simulator: Simulator, earlier: Result) -> Carry:
    """The carry of an earlier result, if it is one of this simulator."""
    nodes, variables = simulator.nodes, len(simulator.model.state_variables)
    expected = jax.eval_shape(
        engine.start, simulator, jax.ShapeDtypeStruct((1, variables, nodes), _dtype())
    )
    differs = []
    if not is_traced(simulator):
        began, now = json.loads(earlier.provenance.text), json.loads(describe(simulator, None))
        differs = [name for name in _SHAPING if name in began and began[name] != now[name]]
        watched = began.get("monitors", now["monitors"])
        if not _same_but_leaves(watched, now["monitors"], simulator.monitors):
            differs.append("monitors")
    if jax.tree.structure(expected) != jax.tree.structure(earlier.final):
        differs += [] if "monitors" in differs else ["monitors"]
    leaves = zip(jax.tree.leaves(expected), jax.tree.leaves(earlier.final), strict=False)
    if differs or any((a.shape, a.dtype) != (jnp.shape(b), b.dtype) for a, b in leaves):
        what = ", ".join(differs) or f"{simulator.node_axis.name}s, delays or precision"
        raise ValueError(
            f"simulate: the result given as initial is of another simulator ({what} differ); give "
            "the one that made it, or an array."
        )
    return earlier.final


def _same_but_leaves(began, now, part) -> bool:
    """Whether two descriptions of a part of a simulator differ at most in the values of leaves."""
    if isinstance(part, tuple) and isinstance(began, list):
        return len(began) == len(part) and all(map(_same_but_leaves, began, now, part))
    if isinstance(part, eqx.Module) and isinstance(began, dict):
        names = [field.name for field in dataclasses.fields(part)]
        return began.get("type") == now["type"] and all(
            _same_but_leaves(began.get(n), now.get(n), getattr(part, n)) for n in names
        )
    return eqx.is_array(part) or began == now


def past_of(simulator: Simulator, initial) -> Float[Array, "step state node"]:
    """The history up to t = 0 as the engine wants it."""
    model, nodes = simulator.model, simulator.nodes
    shape, place = (len(model.state_variables), nodes), simulator.node_axis.name
    if initial is None:
        middle = [(low + high) / 2.0 for low, high in model.initial_range]
        past = jnp.asarray(middle, _dtype())[None, :, None]
        return _of_members(model, jnp.broadcast_to(past, (1, *shape)))
    past = jnp.asarray(initial, _dtype())
    regional = past.ndim in (2, 3) and past.shape[-1] == simulator.regions
    if simulator.cortex is not None and regional:
        past = simulator.cortex.to_nodes(past)
    if past.shape == shape:
        past = past[None]
    elif past.ndim != 3 or past.shape[1:] != shape:
        raise ValueError(
            f"simulate: initial has shape {past.shape}; give {shape} (state variable, {place}), or "
            f"(horizon, {shape[0]}, {nodes}) with at least {simulator.horizon} steps of history."
        )
    elif past.shape[0] < simulator.horizon:
        raise ValueError(
            f"simulate: initial holds {past.shape[0]} steps of history and the longest delay needs "
            f"{simulator.horizon}; give more, or one state (state variable, {place}) that is held."
        )
    past = _of_members(model, past)
    if not isinstance(past, Tracer):
        _check_initial(simulator, np.asarray(past))
    return past


def _of_members(model: Model | Mixed, past: Array) -> Array:
    """The same with zeros where a region does not have a state variable."""
    if not isinstance(model, Mixed):
        return past
    return jnp.where(jnp.asarray(model.members)[None], past, 0.0)


def _check_initial(simulator: Simulator, past: np.ndarray) -> None:
    lower, upper = np.asarray(simulator.bounds).T[:, None, :, None]
    wrong = ~(np.isfinite(past) & (past >= lower) & (past <= upper))
    if isinstance(simulator.model, Mixed):
        wrong &= simulator.model.members
    bad = np.argwhere(wrong)
    if bad.size:
        row, variable, region = bad[0]
        low, high = simulator.bounds[variable]
        raise ValueError(
            f"simulate: initial has {simulator.model.state_variables[variable]} = "
            f"{past[row, variable, region]} in {simulator.node_axis.name} "
            f"{simulator.node_axis.coordinate[region]} "
            f"(row {row - past.shape[0] + 1} of the history); it must be finite and within "
            f"[{low:g}, {high:g}]."
        )


def _dtype():
    return jnp.result_type(float)
