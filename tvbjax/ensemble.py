"""Many simulations in one compiled call: tiles of members, one after another, on every device.

A tile is a few members side by side, as many as stay in the cache; a device runs its tiles in turn,
and every device has its share. A member's numbers depend on its own values, key and number alone.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree

from tvbjax import engine
from tvbjax.free import leaf_at, replace_leaf
from tvbjax.result import Result
from tvbjax.simulation import chunk_steps, cut, phases_of, result_of
from tvbjax.simulator import Simulator

Measure = Callable[[Result], Mapping[str, Array]]

_AXIS = "member"

# Bytes of a tile's past that a core keeps at hand; and of all that a GPU should hold.
_CACHE = 2 << 20
_MOST_ON_CPU, _MOST_ON_GPU = 8, 4096

# A call is worth its start: this many node-steps, or this many tiles.
_NODE_STEPS_PER_CALL, _TILES_PER_CALL = 8_000_000, 64


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """What all calls of a sweep have in common.

    `paths`: the places of the leaves that vary. `duration`: steps. `measure`: of one member's
    result, or None for all samples. `own_keys`, `own_initial`: whether each member brings its own.
    """

    paths: tuple[Any, ...]
    steps: int
    measure: Measure | None
    first: int
    own_keys: bool
    own_initial: bool


class Batch(eqx.Module):
    """The members of a call: their numbers, and their own values, keys and initial states or
    carries, along the first axis; a key or initial state of all where they have none of their own.
    """

    numbers: Array
    values: tuple[Array, ...]
    keys: Array | None
    initial: Any


def tile_for(simulator: Simulator, members: int, asked: int | None = None) -> int:
    """Members side by side: as many as are asked for, else few enough that their past stays at
    hand. The vertices of a surface fill a core's cache alone: there each member is a tile.
    """
    on_cpu = jax.default_backend() == "cpu"
    if simulator.cortex is not None and on_cpu:
        return 1
    if asked is not None:
        return whole_tile(min(asked, members))
    per_member = member_bytes(simulator)
    most = _MOST_ON_CPU if on_cpu else _MOST_ON_GPU
    room = _CACHE if on_cpu else _memory() // 4
    fitting = 1 << max(0, int(math.log2(max(1, room // per_member))))
    return whole_tile(min(most, fitting, members))


def whole_tile(wanted: int) -> int:
    """The least tile of `wanted` members that rounds as all others do.

    Compilers treat a few members in ways of their own: from four on, in fours, a member's result is
    the same to the last bit whatever the tile.
    """
    return 4 * max(1, -(-wanted // 4))


def member_bytes(simulator: Simulator) -> int:
    """About what a member needs while it runs: its past, twice, and the steps at hand."""
    width = jnp.dtype(jnp.result_type(float)).itemsize
    past = simulator.horizon * sum(engine.channels(simulator)) * simulator.regions
    at_hand = 64 * len(simulator.model.state_variables) * simulator.nodes
    return 2 * width * (past + at_hand)


def _memory() -> int:
    stats = jax.local_devices()[0].memory_stats() or {}
    return int(stats.get("bytes_limit", 8 << 30))


def members_per_call(simulator: Simulator, steps: int, members: int, tile: int) -> int:
    """Whole tiles for every device, enough to be worth a call, and calls that come out even."""
    devices, threads = len(jax.local_devices()), workers()
    wanted = _NODE_STEPS_PER_CALL / (simulator.nodes * steps * tile)
    each = max(1, min(_TILES_PER_CALL, round(wanted)))
    tiles = math.ceil(members / (tile * devices))
    fewest = math.ceil(tiles / each)
    if fewest > 8 * threads:  # a last call more or less is no matter
        return tile * devices * each

    def longest(calls: int) -> int:
        """What the busiest thread has to do, in tiles."""
        return math.ceil(calls / threads) * math.ceil(tiles / calls)

    calls = min(range(fewest, min(tiles, 2 * fewest) + 1), key=longest)
    return tile * devices * math.ceil(tiles / calls)


def workers() -> int:
    """Calls at a time: one for each core that is not a device of its own."""
    if jax.default_backend() != "cpu":
        return 1
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, cores // len(jax.local_devices()))


def compiled_call(
    simulator: Simulator, ensemble: Ensemble, batch: Batch, tile: int
) -> Callable[[Batch], PyTree]:
    """A function from batches shaped like this one to their outcomes: values by name, and the step
    at which each member diverged, or -1. It may be called from several threads."""
    compiled = _call.lower(simulator, ensemble, batch, tile, len(jax.local_devices())).compile()
    return lambda batch: compiled(simulator, ensemble, batch, tile, len(jax.local_devices()))


@eqx.filter_jit
def _call(simulator: Simulator, ensemble: Ensemble, batch: Batch, tile: int, devices: int):
    if devices == 1:
        return _tiles(simulator, ensemble, batch, tile)
    arrays, rest = eqx.partition(simulator, eqx.is_array)
    shared, own = PartitionSpec(), PartitionSpec(_AXIS)
    specs = eqx.tree_at(
        lambda b: (b.keys, b.initial),
        jax.tree.map(lambda _: own, batch),
        (own if ensemble.own_keys else shared, own if ensemble.own_initial else shared),
        is_leaf=lambda x: x is None,
    )
    return jax.shard_map(
        lambda arrays, batch: _tiles(eqx.combine(arrays, rest), ensemble, batch, tile),
        mesh=Mesh(np.array(jax.local_devices()), (_AXIS,)),
        in_specs=(shared, specs),
        out_specs=own,
        check_vma=False,
    )(arrays, batch)


def outcome_shapes(simulator: Simulator, ensemble: Ensemble, batch: Batch, tile: int) -> PyTree:
    """The shapes of what a call gives."""
    devices = len(jax.local_devices())
    return eqx.filter_eval_shape(_call, simulator, ensemble, batch, tile, devices)


def _tiles(simulator: Simulator, ensemble: Ensemble, batch: Batch, tile: int) -> PyTree:
    """The outcomes of a batch, tile by tile."""
    mine = (batch.numbers, batch.values)
    mine = (*mine, batch.keys if ensemble.own_keys else None)
    mine = (*mine, batch.initial if ensemble.own_initial else None)
    count = batch.numbers.shape[0] // tile

    def one(mine):
        numbers, values, keys, initial = mine
        key = batch.keys
        if keys is None and key is not None:
            keys = jax.vmap(lambda number: jr.fold_in(key, number))(numbers)
        initial = batch.initial if initial is None else initial
        return _tile(simulator, ensemble, values, keys, initial)

    if count == 1:
        return one(mine)
    tiled = jax.tree.map(lambda x: x.reshape(count, tile, *x.shape[1:]), mine)
    outcome = jax.lax.map(one, tiled)
    return jax.tree.map(lambda x: x.reshape(count * tile, *x.shape[2:]), outcome)


def _tile(
    simulator: Simulator,
    ensemble: Ensemble,
    values: tuple[Array, ...],
    keys: Array | None,
    initial: Any,
):
    """The outcomes of members side by side."""
    first, steps = ensemble.first, ensemble.steps
    members = _members(simulator, ensemble.paths, values)
    carry = _begun(members, initial, ensemble.own_initial, len(values[0]))
    final, samples = _in_chunks(members, carry, keys, first, steps)
    samples = _whole(simulator, samples, first, steps)

    def measured(final, samples):
        result = result_of(simulator, first, steps, final, samples, "{}", complete=True)
        at = _trouble_at(final, result, simulator.integrator.dt)
        if ensemble.measure is None:
            return {name: s.values for name, s in result.samples.items()}, at
        found = _named(ensemble.measure(result))
        return jax.tree.map(lambda value: _masked(value, at >= 0), found), at

    axes = engine.axes_of(final)
    if ensemble.measure is None or jax.default_backend() != "cpu":
        return jax.vmap(measured, in_axes=(axes, 0))(final, samples)
    # One by one: sums over members side by side would round as the tile has it.
    alone = jax.vmap(lambda carry: carry, in_axes=(axes,))(final)
    return jax.lax.map(lambda one: measured(*one), (alone, samples))


def side_by_side(
    simulator: Simulator,
    paths: tuple[Any, ...],
    values: tuple[Array, ...],
    keys: Array | None,
    initial: Any,
    first: int,
    steps: int,
    measure: Callable[[Result], PyTree],
    derivatives: engine.Derivatives,
) -> tuple[PyTree, engine.Carry]:
    """What `measure` gives of members with own values and keys, along a first axis; and their
    carries, to go on from. Differentiable; a member that diverged has NaN.

    `initial`: a past for all, or carries as they were given.
    """
    members = _few_members(simulator, paths, values)
    carry = initial
    if not isinstance(initial, engine.Carry) or jnp.ndim(initial.state) == 2:
        carry = _begun(members, initial, False, len(values[0]))
    phases = phases_of(simulator, first)
    final, samples = engine.advance_members(members, carry, keys, steps, phases, derivatives)
    samples = _whole(simulator, samples, first, steps)

    def measured(final, samples):
        result = result_of(simulator, first, steps, final, samples, "{}", complete=True)
        diverged = final.trouble[0] >= 0
        return jax.tree.map(lambda value: _masked(value, diverged), measure(result))

    return jax.vmap(measured, in_axes=(engine.axes_of(final), 0))(final, samples), final


def begin_side_by_side(
    simulator: Simulator, paths: tuple[Any, ...], values: tuple[Array, ...], initial: Any
) -> engine.Carry:
    """The carries of members at the beginning, for `side_by_side`."""
    return _begun(_few_members(simulator, paths, values), initial, False, len(values[0]))


def _few_members(simulator: Simulator, paths: tuple, values: tuple[Array, ...]) -> engine.Members:
    """Members; of one alone all is shared, which is quicker."""
    if len(values[0]) > 1:
        return _members(simulator, paths, values)
    for path, value in zip(paths, values, strict=True):
        simulator = replace_leaf(simulator, path, value[0])
    return engine.one_member(simulator)


def _begun(members: engine.Members, initial: Any, own: bool, count: int) -> engine.Carry:
    """The carries of members at their beginning."""
    if isinstance(initial, engine.Carry):
        return _side_by_side(initial, own, count)
    some = initial[0] if own else initial
    if count == 1:
        return _side_by_side(engine.start(members.simulator, some), False, 1)
    shape = eqx.filter_eval_shape(engine.start, members.first(), some)
    axes = (0 if own else None,)
    return members.over(engine.start, initial, axes=axes, out_axes=engine.axes_of(shape))


def _whole(simulator: Simulator, samples, first: int, steps: int) -> list[Array]:
    """The samples without the rows that hold nothing."""
    return [
        jax.vmap(lambda value, i=i: cut(simulator, i, value, first, steps))(value)
        for i, value in enumerate(samples)
    ]


def _trouble_at(final: engine.Carry, result: Result, dt: float) -> Int[Array, ""]:
    """The step at which a member's state, or else a sample of it, was no finite number, or -1."""
    at = final.trouble[0]
    for samples in result.samples.values():
        rows = len(samples.time)
        if rows:
            bad = ~jnp.isfinite(samples.values).reshape(rows, -1).all(axis=1)
            steps = jnp.asarray(np.rint(samples.time / dt), at.dtype)
            at = jnp.where((at < 0) & bad.any(), steps[jnp.argmax(bad)], at)
    return at


def _in_chunks(
    members: engine.Members, carry: engine.Carry, keys: Array | None, first: int, steps: int
) -> tuple[engine.Carry, tuple[Array, ...]]:
    """So many steps, of which monitors hold what they need of a chunk at a time, and not of all."""
    simulator = members.simulator
    dt, phases = simulator.integrator.dt, phases_of(simulator, first)
    windows = [monitor.window_steps(dt) for monitor in simulator.monitors]
    length = chunk_steps(simulator, steps)
    count, rest = divmod(steps, length)
    if count < 2 or any(first % window or length % window for window in windows):
        return engine.advance_members(members, carry, keys, steps, phases)
    final, chunks = jax.lax.scan(
        lambda carry, _: engine.advance_members(members, carry, keys, length, phases),
        carry,
        length=count,
    )
    begins = [first + length * number for number in range(count)]
    samples = tuple(
        _rows_in_turn(rows, [len(monitor.times(begin, length, dt)) for begin in begins])
        for monitor, rows in zip(simulator.monitors, chunks, strict=True)
    )
    if not rest:
        return final, samples
    final, last = engine.advance_members(members, final, keys, rest, phases)
    return final, tuple(jnp.concatenate(both, axis=1) for both in zip(samples, last, strict=True))


def _rows_in_turn(
    chunks: Float[Array, "chunk member row *sample"], filled: list[int]
) -> Float[Array, "member filled *sample"]:
    """The rows of all chunks one after another; of each the first so many hold something."""
    count, members, rows, *rest = chunks.shape
    every = jnp.moveaxis(chunks, 0, 1).reshape(members, count * rows, *rest)
    there = np.arange(rows)[None] < np.array(filled)[:, None]
    return every if there.all() else every[:, np.flatnonzero(there)]


def _named(measured: Any) -> dict[str, Array]:
    if not isinstance(measured, Mapping):
        raise TypeError(
            f"sweep: the measure gives a {type(measured).__name__}; it must give arrays by name, "
            "e.g. {'mean': ...}."
        )
    return {name: jnp.asarray(value) for name, value in measured.items()}


def _side_by_side(carry: engine.Carry, own: bool, tile: int) -> engine.Carry:
    """Carries along a first axis, or one for all, as the engine has them; all are at one step."""
    target = engine.axes_of(carry)
    if not own:
        return jax.vmap(lambda c: c, in_axes=None, out_axes=target, axis_size=tile)(carry)
    carry = eqx.tree_at(lambda c: c.step, carry, carry.step[0])
    axes = eqx.tree_at(
        lambda c: c.step, jax.tree.map(lambda _: 0, carry), None, is_leaf=lambda x: x is None
    )
    return jax.vmap(lambda c: c, in_axes=(axes,), out_axes=target)(carry)


def _members(simulator: Simulator, paths: tuple, values: tuple[Array, ...]) -> engine.Members:
    """The simulator with the members' values in place, members last."""
    varying = []
    for path, value in zip(paths, values, strict=True):
        leaf = leaf_at(simulator, path)
        value = value.reshape(value.shape + (1,) * (leaf.ndim - value.ndim + 1))
        own = jnp.broadcast_to(value.astype(leaf.dtype), (len(value), *leaf.shape))
        simulator = eqx.tree_at(
            lambda s, p=path: leaf_at(s, p), simulator, jnp.moveaxis(own, 0, -1)
        )
        varying.append(path)
    arrays = jax.tree_util.tree_leaves_with_path(eqx.filter(simulator, eqx.is_array))
    return engine.Members(simulator, tuple(path in varying for path, _ in arrays))


def _masked(value: Array, diverged: Array) -> Array:
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    return jnp.where(diverged, jnp.asarray(jnp.nan, value.dtype), value)
