"""Many simulations at once: over a grid, or over a list of parameter sets.

Members are run in tiles, a few side by side in one compiled call, and on a CPU one tile per core.
A member's noise depends on the key and on its number alone: member i is `simulate` with
`jax.random.fold_in(key, i)`.
"""

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, PyTree

from tvbjax.arrays import strong
from tvbjax.free import Free, replace_leaf
from tvbjax.mixed import Mixed
from tvbjax.progress import progress_bar
from tvbjax.provenance import describe
from tvbjax.result import Result, without_absent
from tvbjax.simulation import check_key, continued, past_of, simulate, whole_steps
from tvbjax.simulator import Simulator, check_connections

if TYPE_CHECKING:
    import xarray as xr

Values = ArrayLike | Sequence
Measure = Callable[[Result], Mapping[str, Array]]

# Side by side in one call: enough to fill vector registers, few enough to stay in the cache.
_TILE = 8


@dataclasses.dataclass(frozen=True)
class Points:
    """A list of parameter sets: all sequences have one length, and member i takes their i-th."""

    values: Mapping[Free, Values]


def sweep(
    simulator: Simulator,
    space: Mapping[Free, Values] | Points,
    duration: float,
    *,
    initial: Values | Result | None = None,
    key: Array | None = None,
    measure: Measure | None = None,
    tile: int = _TILE,
    progress: bool = True,
) -> "xr.Dataset":
    """Simulate `duration` ms at every point of a grid `{Free: values}`, or of `Points`.

    `measure`: a pure function of one member's `Result` that gives named arrays, evaluated inside
    the compiled run so that only they are kept; by default all samples of all monitors are.
    `initial`, `key`: as for `simulate`. `tile`: members in one compiled call.
    Hold on to `measure`: a new function of the same text compiles anew.

    Gives an `xarray.Dataset` with one dim per parameter (`member` for `Points`), a variable per
    measure or monitor, and `diverged`: a member whose state became NaN or infinite is marked there,
    with the time in `diverged_at` (ms), its measures that are no integers are NaN, and the others
    are unharmed. Ctrl-C ends the sweep early: `finished` says which members there are.

    Raises `ValueError` for a space, names or an initial state that do not fit.
    """
    simulator = strong(simulator)
    axes = _axes(simulator, space)
    if tile < 1:
        raise ValueError(f"sweep: tile is {tile}; give the members of one call, at least 1.")
    check_key(simulator, key, "sweep")
    listed = isinstance(space, Points)
    values = axes if listed else _product(axes)
    if isinstance(initial, Result):
        continued(simulator, initial)
    else:
        past = past_of(simulator, initial)
        initial = past[0] if past.shape[0] == 1 else past
    calls = _calls(values, tile)
    paths = tuple(free.path(simulator) for free in axes)
    fixed = (paths, duration, measure)
    _check_members(simulator, paths, values)
    _check_names(simulator, tuple(axes), _run_tile, (simulator, key, initial, *calls[0], *fixed))
    # Compiled here: the threads of the pool would not know the JAX settings of this one.
    compiled = _run_tile.lower(simulator, key, initial, *calls[0], *fixed).compile()

    def one(call):
        return jax.device_get(compiled(simulator, key, initial, *call, *fixed))

    members = len(next(iter(values.values())))
    done = _run_all(one, calls, members, progress)
    outcome = jax.tree.map(lambda *parts: np.concatenate(parts)[:members], *done)
    first = initial.last if isinstance(initial, Result) else 0
    outcome, unfinished = _padded(outcome, members)
    dataset = _dataset(simulator, axes, listed, outcome, measure is not None, (first, duration))
    dataset["finished"] = (dataset["diverged"].dims, ~unfinished.reshape(dataset["diverged"].shape))
    return dataset.assign_attrs(provenance=describe(simulator, key), duration=duration)


def _check_members(simulator, paths: tuple, values: dict[Free, np.ndarray]) -> None:
    """Where the sweep changes the connectome, that every member fits the simulator."""
    if all(path[0].name != "connectome" for path in paths):
        return
    for chosen in zip(*values.values(), strict=True):
        member = simulator
        for path, value in zip(paths, chosen, strict=True):
            member = replace_leaf(member, path, value)
        check_connections(member)


def _calls(values: dict[Free, np.ndarray], tile: int) -> list[tuple]:
    """Per tile, the numbers of its members and their values; the last is filled with its last."""
    members = len(next(iter(values.values())))
    tile = min(tile, members)
    calls = []
    for first in range(0, members, tile):
        numbers = np.minimum(np.arange(first, first + tile), members - 1)
        chosen = tuple(jnp.asarray(v[numbers]) for v in values.values())
        calls.append((jnp.asarray(numbers, jnp.uint32), chosen))
    return calls


def _run_all(one, calls: list[tuple], members: int, progress: bool) -> list:
    """The outcomes of the calls in their order, as far as they come before Ctrl-C."""
    done = []
    tile = len(calls[0][0])
    pool = ThreadPoolExecutor(_workers())
    try:
        with progress_bar(f"sweeping {members} simulations", members, progress) as advance_bar:
            for outcome in pool.map(one, calls):
                done.append(outcome)
                advance_bar(min(tile, members - tile * (len(done) - 1)))
    except KeyboardInterrupt:
        if not done:
            raise
        warnings.warn(
            f"sweep: interrupted; {min(members, tile * len(done))} of {members} members are in the "
            "result (see its variable 'finished').",
            stacklevel=3,
        )
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return done


def _padded(outcome: PyTree, members: int) -> tuple[PyTree, np.ndarray]:
    """The outcome with NaN (integers: 0) for members that there is none of, and which those are."""
    finished = len(outcome[1])

    def pad(array: np.ndarray) -> np.ndarray:
        fill = np.nan if np.issubdtype(array.dtype, np.floating) else 0
        missing = np.full((members - finished, *array.shape[1:]), fill, array.dtype)
        return np.concatenate([array, missing])

    values, steps = jax.tree.map(pad, outcome)
    unfinished = np.arange(members) >= finished
    steps[unfinished] = -1
    return (values, steps), unfinished


def _check_names(simulator, frees, run, arguments) -> None:
    """Names of parameters, measures and ours must differ; found before anything is run."""
    shapes, _ = eqx.filter_eval_shape(run, *arguments)
    labels = _labels(simulator, frees)
    ours = {"member", "region", "time", "variable", "diverged", "diverged_at", "finished"}
    for label in labels:
        if label in ours or "/" in label:
            raise ValueError(f"sweep: a parameter cannot be called '{label}'; name it (Free).")
    taken = {*labels, *ours}
    for name in shapes:
        if name in taken:
            raise ValueError(
                f"sweep: '{name}' names a measure or monitor and something else of the result; "
                "rename it (Free(..., name=) renames a parameter)."
            )


def _axes(simulator, space) -> dict[Free, np.ndarray]:
    """The values of every free leaf, checked."""
    given = space.values if isinstance(space, Points) else space
    if not given:
        raise ValueError("sweep: the space is empty; give {Free(...): values}.")
    axes = {free: free.checked(simulator, values) for free, values in given.items()}
    if len({free.path(simulator) for free in axes}) < len(axes):
        raise ValueError("sweep: two entries of the space select the same leaf.")
    lengths = {len(values) for values in axes.values()}
    if isinstance(space, Points) and len(lengths) > 1:
        raise ValueError(f"sweep: the points have {sorted(lengths)} values; give all as many.")
    return axes


def _product(axes: dict[Free, np.ndarray]) -> dict[Free, np.ndarray]:
    """Every member's value of every free leaf; the last leaf varies fastest."""
    lengths = tuple(len(values) for values in axes.values())
    index = np.indices(lengths).reshape(len(lengths), -1)
    return {free: axes[free][i] for free, i in zip(axes, index, strict=True)}


@eqx.filter_jit
def _run_tile(simulator, key, initial, numbers, values, paths, duration, measure):
    """The outcomes of a few members side by side, and the step at which each diverged, or -1."""

    def member(number, chosen):
        own = simulator
        for path, value in zip(paths, chosen, strict=True):
            own = replace_leaf(own, path, value)
        member_key = None if key is None else jr.fold_in(key, number)
        result = simulate(own, duration, initial=initial, key=member_key)
        at = result.final.trouble[0]
        if measure is None:
            return {name: s.values for name, s in result.samples.items()}, at
        measured = {name: jnp.asarray(value) for name, value in measure(result).items()}
        return jax.tree.map(lambda value: _masked(value, at >= 0), measured), at

    return jax.vmap(member)(numbers, values)


def _masked(value: Array, diverged: Array) -> Array:
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    return jnp.where(diverged, jnp.asarray(jnp.nan, value.dtype), value)


def _workers() -> int:
    """Threads that run tiles: one per core where the cores are the device."""
    if jax.default_backend() != "cpu":
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _dataset(simulator, axes, listed, outcome, measured, span) -> "xr.Dataset":
    import xarray as xr

    values, steps = outcome
    labels = _labels(simulator, tuple(axes))
    dims = ("member",) if listed else labels
    grid = (len(steps),) if listed else tuple(len(v) for v in axes.values())
    time = np.where(steps >= 0, steps * simulator.integrator.dt, np.nan)
    variables = {
        "diverged": (dims, (steps >= 0).reshape(grid)),
        "diverged_at": (dims, time.reshape(grid), {"units": "ms"}),
    }
    coords = _parameter_coords(labels, axes, listed)
    alone = len(simulator.monitors) == 1
    for name, value in values.items():
        if measured:
            own = tuple(f"{name}_{axis}" for axis in range(value.ndim - 1))
        else:
            suffix = "" if alone else f"_{name}"
            own = (f"time{suffix}", f"variable{suffix}", "region")
            coords |= _sample_coords(simulator, name, own, *span)
            value = without_absent(value, _absent(simulator, name))
        variables[name] = ((*dims, *own), value.reshape(*grid, *value.shape[1:]))
    return xr.Dataset(variables, coords)


def _absent(simulator: Simulator, monitor: str) -> tuple[tuple[int, ...], ...]:
    """Per variable of a monitor, the regions that do not have it."""
    names = dict(zip((m.name for m in simulator.monitors), simulator.observed, strict=True))
    model = simulator.model
    return model.absent(names[monitor]) if isinstance(model, Mixed) else ()


def _labels(simulator, frees: tuple[Free, ...]) -> tuple[str, ...]:
    """Short names, or whole paths where short ones are not unique."""
    short = [free.label(simulator) for free in frees]
    return tuple(
        name if short.count(name) == 1 else jax.tree_util.keystr(free.path(simulator)).lstrip(".")
        for free, name in zip(frees, short, strict=True)
    )


def _parameter_coords(labels, axes, listed) -> dict:
    """The swept values; where one value is an array, its dim is numbered and the values beside."""
    coords = {}
    for label, values in zip(labels, axes.values(), strict=True):
        own = "member" if listed else label
        inner = tuple(f"{label}_{i}" for i in range(1, values.ndim))
        name = label if values.ndim == 1 else f"{label}_values"
        coords[name] = ((own, *inner), values)
    return coords


def _sample_coords(
    simulator: Simulator, name: str, dims: tuple[str, ...], first: int, duration: float
) -> dict:
    dt = simulator.integrator.dt
    number = [monitor.name for monitor in simulator.monitors].index(name)
    times = simulator.monitors[number].times(first, whole_steps(duration, dt), dt)
    return {
        dims[0]: (dims[0], times, {"units": "ms"}),
        dims[1]: list(simulator.observed[number]),
        "region": list(simulator.connectome.labels),
    }
