"""Run one simulation: in chunks, with a progress bar, stopped and continued without loss."""

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
from tvbjax.engine import Carry
from tvbjax.progress import progress_bar
from tvbjax.provenance import describe
from tvbjax.result import Result, Samples
from tvbjax.simulator import Simulator

# A chunk is long enough that its start costs nothing, and short enough (under a second or so) that
# a progress bar moves and Ctrl-C is heard.
_NODE_STEPS_PER_CHUNK = 4_000_000

_start = eqx.filter_jit(engine.start)
_advance = eqx.filter_jit(engine.advance)


class DivergenceError(FloatingPointError):
    """A state became infinite or not a number. `result` holds what was simulated, to look at."""

    def __init__(self, message: str, result: Result):
        super().__init__(message)
        self.result = result


def simulate(
    simulator: Simulator,
    duration: float,
    *,
    initial: ArrayLike | Sequence | Result | None = None,
    key: Array | None = None,
    progress: bool = True,
) -> Result:
    """Simulate `duration` ms (rounded up to whole steps).

    `initial`: the state at t = 0, `(state, region)`, held in the past as well; or a history
    `(horizon, state, region)` of at least `simulator.horizon` steps, oldest first, whose last row
    is t = 0; or an earlier `Result`, which
    is then continued, with the same numbers as one long run; or None, the middle of each state
    variable's initial range. `key`: random key, needed where the simulator has noise.
    `progress`: show a bar on a terminal when the run is long.

    Can be used inside `jax.jit`, `grad` and `vmap`; the run is then one piece, and instead of
    raising, `result.final.trouble` tells of a diverged state.

    Ctrl-C ends the run early and well: what was finished comes back, with `complete` False.
    Raises `ValueError` for input that does not fit, `DivergenceError` where the state diverges.
    """
    steps = whole_steps(duration, simulator.integrator.dt)
    if simulator.noise is not None and simulator.noise.needs_key and key is None:
        raise ValueError("simulate: the simulator has noise; give a key, e.g. jax.random.key(0).")
    if isinstance(initial, Result):
        carry, first = _continued(simulator, initial), initial.last
    else:
        carry, first = None, 0
    if first + steps >= 2**31:
        raise ValueError(
            f"simulate: {first + steps} steps are more than a run can count; use a larger dt."
        )
    if _traced((simulator, initial, key)):
        carry = carry or engine.start(simulator, _past(simulator, initial))
        carry, values = engine.advance(simulator, carry, key, steps, _phases(simulator, first))
        return _result(simulator, first, steps, carry, values, "{}", complete=True)
    carry = carry or _start(simulator, _past(simulator, initial))
    return _in_chunks(simulator, first, steps, carry, key, progress)


def _in_chunks(simulator, first, steps, carry, key, progress) -> Result:
    """Chunk by chunk; what is finished when the run is interrupted or diverges is kept."""
    provenance = describe(simulator, key)
    pieces, done, complete = [], 0, True
    chunk = _chunk_steps(simulator, steps)
    label = f"simulating {steps * simulator.integrator.dt:g} ms"
    with progress_bar(label, steps, progress and steps > chunk) as advance_bar:
        while done < steps:
            length = min(chunk, steps - done)
            phases = _phases(simulator, first + done)
            try:
                carry, values = _advance(simulator, carry, key, length, phases)
                pieces.append([np.asarray(value) for value in jax.block_until_ready(values)])
            except KeyboardInterrupt:
                complete = False
                break
            done += length
            advance_bar(length)
            if int(carry.trouble[0]) >= 0:
                break
    values = [np.concatenate(parts) for parts in zip(*pieces, strict=True)] if pieces else None
    if values is None:
        values = [np.zeros((0, len(v), simulator.nodes)) for v in simulator.observed]
    result = _result(simulator, first, done, carry, values, provenance, complete)
    if not complete:
        time = (first + done) * simulator.integrator.dt
        warnings.warn(
            f"simulate: interrupted at {time:g} ms; what was finished is in the result, and "
            "simulate(simulator, ..., initial=result, key=key) goes on from there.",
            stacklevel=3,
        )
    _raise_trouble(simulator, result)
    return result


def _raise_trouble(simulator: Simulator, result: Result) -> None:
    step, variable, region = (int(i) for i in result.final.trouble)
    if step >= 0:
        dt = simulator.integrator.dt
        raise DivergenceError(
            f"simulate: {simulator.model.state_variables[variable]} of region "
            f"{simulator.connectome.labels[region]} was no finite number at {step * dt:.10g} ms "
            f"(step {step}); try a smaller dt than {dt:g} ms, weaker coupling, or an initial state "
            "nearer to the model's range. The error's `result` holds the samples.",
            result,
        )


def _result(simulator, first, steps, carry, values, provenance, complete) -> Result:
    dt = simulator.integrator.dt
    units = simulator.model.units
    samples = {}
    for i, (monitor, value) in enumerate(zip(simulator.monitors, values, strict=True)):
        variables = simulator.observed[i]
        samples[monitor.name] = Samples(
            monitor.times(first, steps, dt),
            value,
            variables,
            tuple(units.get(name, "") for name in variables),
        )
    labels = simulator.connectome.labels
    return Result(samples, carry, labels, first, first + steps, complete, provenance)


def whole_steps(duration: float, dt: float) -> int:
    """The steps of a run of `duration` ms, rounded up."""
    if not duration > 0 or not math.isfinite(duration):
        raise ValueError(f"simulate: the duration is {duration!r} ms; give a positive time.")
    return max(1, math.ceil(duration / dt - 1e-6))


def _traced(tree) -> bool:
    """Whether we are inside a JAX transformation: of these leaves, or of everything (jit)."""
    leaves = [*jax.tree.leaves(tree), jnp.zeros(())]
    return any(isinstance(leaf, Tracer) for leaf in leaves)


def _phases(simulator: Simulator, first: int) -> tuple[int, ...]:
    dt = simulator.integrator.dt
    return tuple(first % monitor.period_steps(dt) for monitor in simulator.monitors)


def _chunk_steps(simulator: Simulator, steps: int) -> int:
    """Equal chunks, whole in all periods where that is possible, so that they compile once."""
    count = math.ceil(steps * simulator.nodes / _NODE_STEPS_PER_CHUNK)
    dt = simulator.integrator.dt
    common = math.lcm(*(monitor.period_steps(dt) for monitor in simulator.monitors))
    if count == 1 or common * count > 4 * steps:
        return math.ceil(steps / count)
    return math.ceil(steps / (count * common)) * common


def _continued(simulator: Simulator, earlier: Result) -> Carry:
    """The carry of an earlier result, if it is one of this simulator."""
    nodes, variables = simulator.nodes, len(simulator.model.state_variables)
    expected = jax.eval_shape(
        engine.start, simulator, jax.ShapeDtypeStruct((1, variables, nodes), _dtype())
    )
    same = jax.tree.structure(expected) == jax.tree.structure(earlier.final)
    shapes = [leaf.shape for leaf in jax.tree.leaves(expected)]
    if not same or shapes != [jnp.shape(leaf) for leaf in jax.tree.leaves(earlier.final)]:
        raise ValueError(
            "simulate: the result given as initial is of another simulator (model, regions, "
            "delays or monitors differ); give the one that made it, or an array."
        )
    return earlier.final


def _past(simulator: Simulator, initial) -> Float[Array, "horizon state node"]:
    """The history up to t = 0 as the engine wants it."""
    model, nodes = simulator.model, simulator.nodes
    shape = (len(model.state_variables), nodes)
    if initial is None:
        middle = [(low + high) / 2.0 for low, high in model.initial_range]
        return jnp.broadcast_to(jnp.asarray(middle, _dtype())[None, :, None], (1, *shape))
    past = jnp.asarray(initial, _dtype())
    if past.shape == shape:
        past = past[None]
    elif past.ndim != 3 or past.shape[1:] != shape:
        raise ValueError(
            f"simulate: initial has shape {past.shape}; give {shape} (state variable, region), or "
            f"(horizon, {shape[0]}, {nodes}) with at least {simulator.horizon} steps of history."
        )
    elif past.shape[0] < simulator.horizon:
        raise ValueError(
            f"simulate: initial holds {past.shape[0]} steps of history and the longest delay needs "
            f"{simulator.horizon}; give more, or one state (state variable, region) that is held."
        )
    past = past[-simulator.horizon :]
    if not isinstance(past, Tracer):
        _check_initial(simulator, np.asarray(past))
    return past


def _check_initial(simulator: Simulator, past: np.ndarray) -> None:
    lower, upper = np.asarray(simulator.bounds).T[:, None, :, None]
    bad = np.argwhere(~(np.isfinite(past) & (past >= lower) & (past <= upper)))
    if bad.size:
        row, variable, region = bad[0]
        low, high = simulator.bounds[variable]
        raise ValueError(
            f"simulate: initial has {simulator.model.state_variables[variable]} = "
            f"{past[row, variable, region]} in region {simulator.connectome.labels[region]} "
            f"(row {row - past.shape[0] + 1} of the history); it must be finite and within "
            f"[{low:g}, {high:g}]."
        )


def _dtype():
    return jnp.result_type(float)
