"""Many simulations at once: over a grid, or over a list of parameter sets.

A member's noise depends on the key and on its number alone: member i is `simulate` with
`jax.random.fold_in(key, i)`. Results come back as one dataset, or go to disk batch by batch.
"""

import dataclasses
import json
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PyTree

from tvbjax.arrays import strong
from tvbjax.connections import check_connections, delays_of, fitted, with_layout
from tvbjax.ensemble import (
    Batch,
    Ensemble,
    Measure,
    compiled_call,
    members_per_call,
    outcome_shapes,
    tile_for,
    whole_tile,
    workers,
)
from tvbjax.features import check_measure, told
from tvbjax.free import Free, replace_leaf
from tvbjax.identity import digest
from tvbjax.progress import progress_bar
from tvbjax.provenance import describe
from tvbjax.result import Result
from tvbjax.simulation import check_key, continued, past_of, whole_steps
from tvbjax.simulator import Simulator
from tvbjax.stimulus import check_times
from tvbjax.sweep_dataset import dataset, labels_of, times_of, variables_of, with_absent
from tvbjax.sweep_store import SweepStore, open_store, open_sweep

if TYPE_CHECKING:
    import xarray as xr

Values = ArrayLike | Sequence


@dataclasses.dataclass(frozen=True)
class Points:
    """A list of parameter sets: all sequences have one length, and member i takes their i-th."""

    values: Mapping[Free, Values]


@dataclasses.dataclass(frozen=True)
class PerMember:
    """Initial states or keys, one for each member along the first axis."""

    values: Any


def sweep(
    simulator: Simulator,
    space: Mapping[Free, Values] | Points,
    duration: float,
    *,
    initial: Values | Result | PerMember | None = None,
    key: Array | PerMember | None = None,
    measure: Measure | None = None,
    tile: int | None = None,
    store: str | Path | None = None,
    progress: bool = True,
) -> "xr.Dataset":
    """Simulate `duration` ms at every point of a grid `{Free: values}`, or of `Points`.

    `measure`: a pure function of one member's `Result` that gives named arrays, evaluated inside
    the compiled run so that only they are kept; by default all samples of all monitors are.
    `initial`, `key`: as for `simulate`, or `PerMember` ones. `tile`: members side by side, in
    fours, by default as many as is predicted to be fastest; it changes no bit of a result. Surface
    simulations are always run one by one.
    Hold on to `measure`: a new function of the same text compiles anew.

    `store`: a folder (`.zarr`) to which finished batches go at once. Whatever stops the sweep, the
    same call goes on where it was, and ends with the same bytes; memory stays bounded. The result
    is then `open_sweep(store)`. In a program of several processes (`jax.distributed`) each does its
    share, and a store on a common disk is needed.

    Every device of the machine gets its share. Gives an `xarray.Dataset` with one dim per parameter
    (`member` for `Points` and stores), a variable per measure or monitor, and `diverged`: a member
    whose state or samples became NaN or infinite is marked, with the time in `diverged_at` (ms),
    its measures that are no integers are NaN, and the others are unharmed. Ctrl-C ends the sweep
    early: `finished` says which members there are.

    Raises `ValueError` for a space, names or an initial state that do not fit, `OSError` for a
    store that cannot be written.
    """
    plan = _planned(strong(simulator), space, duration, initial, key, measure, tile)
    if jax.process_count() > 1 and store is None:
        raise ValueError(
            "sweep: there are several processes; give store=, a .zarr folder that all can reach."
        )
    if store is None:
        return _in_memory(plan, progress)
    return _to_disk(plan, Path(store), progress)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep that has been checked. `values`: of every free leaf, for every member."""

    simulator: Simulator
    ensemble: Ensemble
    axes: dict[Free, np.ndarray]
    values: dict[Free, np.ndarray]
    listed: bool
    duration: float
    key: Any
    initial: Any
    members: int
    tile: int
    batch: int

    @property
    def batches(self) -> int:
        return -(-self.members // self.batch)

    def inputs(self, number: int) -> Batch:
        """The inputs of a batch; the last is filled with its last member."""
        first = number * self.batch
        numbers = np.minimum(np.arange(first, first + self.batch), self.members - 1)
        ensemble = self.ensemble

        def mine(own: bool, whole):
            return jax.tree.map(lambda x: x[numbers], whole) if own else whole

        return Batch(
            jnp.asarray(numbers, jnp.uint32),
            tuple(jnp.asarray(v[numbers]) for v in self.values.values()),
            mine(ensemble.own_keys, self.key),
            mine(ensemble.own_initial, self.initial),
        )


def _planned(simulator, space, duration, initial, key, measure, tile) -> Plan:
    """Everything that can be wrong is found here, before anything is run."""
    if measure is not None:
        check_measure(measure)
    axes = _axes(simulator, space)
    if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < 1):
        raise ValueError(f"sweep: tile is {tile!r}; give the members side by side, at least 1.")
    listed = isinstance(space, Points)
    values = axes if listed else _product(axes)
    members = len(next(iter(values.values())))
    paths = tuple(free.path(simulator) for free in axes)
    simulator = _laid_out(simulator, paths, values)
    keys = _keys(simulator, key, members)
    initial_values, first = _initial(simulator, initial, members)
    steps = whole_steps(duration, simulator.integrator.dt)
    if not any(getattr(path[0], "name", "") == "stimulus" for path in paths):
        check_times(simulator, first, steps)
    own = isinstance(key, PerMember), isinstance(initial, PerMember)
    ensemble = Ensemble(paths, steps, measure, first, *own)
    tile = tile_for(simulator, members, tile)
    batch = members_per_call(simulator, steps, members, tile)
    plan = Plan(
        simulator,
        ensemble,
        axes,
        values,
        listed,
        duration,
        keys,
        initial_values,
        members,
        tile,
        batch,
    )
    _check_names(plan)
    return plan


def _keys(simulator: Simulator, key: Array | PerMember | None, members: int) -> Array | None:
    if not isinstance(key, PerMember):
        check_key(simulator, key, "sweep")
        return key
    keys = key.values
    check_key(simulator, keys[0] if jnp.ndim(keys) and len(keys) else keys, "sweep")
    if jnp.shape(keys)[:1] != (members,):
        raise ValueError(
            f"sweep: there are keys of shape {jnp.shape(keys)} for {members} members; give one "
            "for each, e.g. jax.random.split(key, members)."
        )
    return keys


def _initial(simulator: Simulator, initial, members: int) -> tuple[Any, int]:
    """Pasts or carries, and the step from which they go on."""
    if isinstance(initial, Result):
        return continued(simulator, initial), initial.last
    if not isinstance(initial, PerMember):
        return past_of(simulator, initial), 0
    given = initial.values
    if len(given) != members:
        raise ValueError(
            f"sweep: there are {len(given)} initial states for {members} members; give one for "
            "each."
        )
    if isinstance(given[0], Result):
        if len({one.last for one in given}) > 1:
            raise ValueError("sweep: the results to go on from end at different steps.")
        carries = [continued(simulator, one) for one in given]
        return jax.tree.map(lambda *parts: np.stack(parts), *carries), given[0].last
    return np.stack([np.asarray(past_of(simulator, one)) for one in given]), 0


def _laid_out(simulator: Simulator, paths: tuple, values: dict[Free, np.ndarray]) -> Simulator:
    """The simulator laid out for the delays of all members, which are checked."""
    names = [path[1].name if path[0].name == "connectome" else "" for path in paths]
    if not any(names):
        return fitted(simulator)
    least = greatest = None
    known = np.zeros((simulator.regions,) * 2, bool)
    known[np.asarray(simulator.edges.targets), np.asarray(simulator.edges.sources)] = True
    seen = set()
    for number, chosen in enumerate(zip(*values.values(), strict=True)):
        own = {name: value for name, value in zip(names, chosen, strict=True) if name}
        same = tuple(sorted((name, np.asarray(value).tobytes()) for name, value in own.items()))
        if same in seen:
            continue
        seen.add(same)
        delays = _delays(simulator, own)
        weights = np.broadcast_to(own.get("weights", 0.0), known.shape)
        if (
            delays.min(initial=0) < 0
            or delays.max(initial=0) >= simulator.horizon
            or (weights != 0)[~known].any()
        ):
            _refuse(simulator, paths, chosen, number)
        least = delays if least is None else np.minimum(least, delays)
        greatest = delays if greatest is None else np.maximum(greatest, delays)
    assert least is not None and greatest is not None
    return with_layout(simulator, least, greatest)


def _delays(simulator: Simulator, own: Mapping[str, Any]) -> np.ndarray:
    connectome = simulator.connectome
    lengths = own.get("tract_lengths", connectome.tract_lengths)
    speed = np.asarray(own.get("speed", connectome.speed))
    lengths = np.broadcast_to(np.asarray(lengths), connectome.weights.shape)
    if speed.ndim == 0 and connectome.speed.ndim:
        speed = np.broadcast_to(speed, connectome.speed.shape)
    return delays_of(simulator, tract_lengths=lengths, speed=speed)


def _refuse(simulator, paths, chosen, number) -> None:
    """The error that `simulate` would give for this member."""
    for path, value in zip(paths, chosen, strict=True):
        simulator = replace_leaf(simulator, path, value)
    try:
        check_connections(simulator)
    except ValueError as error:
        raise ValueError(f"sweep: member {number}: {error}") from None


def _in_memory(plan: Plan, progress: bool) -> "xr.Dataset":
    outcome, finished = _blank(plan, plan.members), np.zeros(plan.members, bool)
    try:
        for number, part in _outcomes(plan, range(plan.batches), progress):
            first, count = number * plan.batch, _count(plan, number)
            for whole, some in zip(jax.tree.leaves(outcome), jax.tree.leaves(part), strict=True):
                whole[first : first + count] = some[:count]
            finished[first : first + count] = True
    except KeyboardInterrupt:
        if not finished.any():
            raise
        warnings.warn(
            f"sweep: interrupted; {finished.sum()} of {plan.members} members are in the result "
            "(see its variable 'finished').",
            stacklevel=3,
        )
    found = dataset(plan, outcome)
    found["finished"] = (found["diverged"].dims, finished.reshape(found["diverged"].shape))
    text = describe(plan.simulator, _one_key(plan))
    return found.assign_attrs(provenance=text, duration=plan.duration)


def _blank(plan: Plan, members: int) -> PyTree:
    """What members give before there is any: NaN (integers: 0), and that none diverged."""

    def blank(shape: jax.ShapeDtypeStruct) -> np.ndarray:
        fill = np.nan if np.issubdtype(shape.dtype, np.floating) else 0
        return np.full((members, *shape.shape[1:]), fill, shape.dtype)

    shapes = outcome_shapes(plan.simulator, plan.ensemble, plan.inputs(0), plan.tile)
    values, steps = jax.tree.map(blank, shapes)
    return values, steps - 1


def _to_disk(plan: Plan, path: Path, progress: bool) -> "xr.Dataset":
    store = _store(plan, path)
    plan = _as_begun(plan, store.batch)
    mine = range(jax.process_index(), plan.batches, jax.process_count())
    waiting = [number for number in mine if not store.done(number)]
    try:
        for number, (values, steps) in _outcomes(plan, waiting, progress):
            diverged = {"diverged": steps >= 0, "diverged_at": times_of(plan, steps)}
            store.write(number, with_absent(plan, values) | diverged)
    except KeyboardInterrupt:
        warnings.warn(
            f"sweep: interrupted; what was finished is in {path} (see its variable 'finished'), "
            "and the same sweep goes on from there.",
            stacklevel=3,
        )
    return open_sweep(path)


def _as_begun(plan: Plan, batch: int) -> Plan:
    """The plan with the batches of its store, which other cores or devices may have begun."""
    if batch == plan.batch:
        return plan
    devices = len(jax.local_devices())
    for tile in (plan.tile, whole_tile(1)):
        if batch % (tile * devices) == 0:
            return dataclasses.replace(plan, batch=batch, tile=tile)
    raise ValueError(
        f"sweep: the store was begun in batches of {batch} members, which {devices} devices cannot "
        "share evenly; go on with as many devices as it was begun with."
    )


def _store(plan: Plan, path: Path) -> SweepStore:
    """The folder of a sweep, laid out or opened."""
    import xarray as xr

    simulator = plan.simulator
    listed = dataclasses.replace(plan, axes=plan.values, listed=True)
    variables, coords = variables_of(listed, _blank(plan, 0))
    arrays = {
        name: (tuple(dims[1:]), values.shape[1:], values.dtype)
        for name, (dims, values, *_) in variables.items()
    }
    identity = json.loads(describe(simulator, _one_key(plan))) | {
        "space": {
            label: digest(values)
            for label, values in zip(
                labels_of(simulator, tuple(plan.axes)), plan.values.values(), strict=True
            )
        },
        "duration": plan.duration,
        "initial": [digest(np.asarray(leaf)) for leaf in jax.tree.leaves(plan.initial)],
        "keys": None if plan.key is None else digest(np.asarray(_key_data(plan.key))),
        "measure": told(plan.ensemble.measure),
        "block": [simulator.layout.block, simulator.layout.reach],
        "outcomes": {name: [list(shape), str(dtype)] for name, (_, shape, dtype) in arrays.items()},
    }
    text = describe(simulator, _one_key(plan))
    frame = xr.Dataset(coords=coords, attrs={"provenance": text, "duration": plan.duration})
    leader = jax.process_index() == 0
    return open_store(path, identity, arrays, frame, plan.batch, plan.members, leader=leader)


def _one_key(plan: Plan) -> Array | None:
    return None if plan.ensemble.own_keys else plan.key


def _key_data(key: Array) -> Array:
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(key) if typed else key


def _outcomes(plan: Plan, numbers: Sequence[int], progress: bool) -> Iterator[tuple[int, PyTree]]:
    """The batches' outcomes in their order; a few are computed ahead, no more are held."""
    if not numbers:
        return
    # Compiled here: the threads of the pool would not know the JAX settings of this one.
    call = compiled_call(plan.simulator, plan.ensemble, plan.inputs(numbers[0]), plan.tile)
    threads = workers()
    pool = ThreadPoolExecutor(threads)
    coming: deque[tuple[int, Future]] = deque()
    total = sum(_count(plan, number) for number in numbers)
    waiting = iter(numbers)
    try:
        with progress_bar(f"sweeping {total} simulations", total, progress) as advance_bar:
            for number in waiting:
                coming.append((number, pool.submit(_run, call, plan, number)))
                if len(coming) > 2 * threads:
                    yield from _next(plan, coming, advance_bar)
            while coming:
                yield from _next(plan, coming, advance_bar)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _next(plan: Plan, coming: deque, advance_bar: Callable) -> Iterator[tuple[int, PyTree]]:
    number, future = coming.popleft()
    yield number, future.result()
    advance_bar(_count(plan, number))


def _run(call: Callable[[Batch], PyTree], plan: Plan, number: int) -> PyTree:
    return jax.device_get(call(plan.inputs(number)))


def _count(plan: Plan, number: int) -> int:
    return min(plan.batch, plan.members - number * plan.batch)


def _check_names(plan: Plan) -> None:
    """Names of parameters, measures and ours must differ; found before anything is run."""
    shapes, _ = outcome_shapes(plan.simulator, plan.ensemble, plan.inputs(0), plan.tile)
    labels = labels_of(plan.simulator, tuple(plan.axes))
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
