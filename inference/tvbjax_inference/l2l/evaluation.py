"""How a study's candidates are evaluated: JAX functions in one compiled call, others by engines."""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from tvbjax_inference.l2l.engines._engine import AbstractEngine, Job, Report, Work, pickled
from tvbjax_inference.l2l.evaluating import evaluated
from tvbjax_inference.l2l.minimising import evaluate
from tvbjax_inference.l2l.optimisees import AbstractOptimisee, Command, Function, Python
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, Evaluations
from tvbjax_inference.l2l.parts import Part

# Parts of candidates at these places: (coordinates of all, keys of all, places) -> parts.
Evaluator = Callable[[np.ndarray, Array, np.ndarray], Iterator[Part]]


def evaluator(
    optimisee: AbstractOptimisee, optimiser: AbstractOptimiser, engine: AbstractEngine | None
) -> AbstractContextManager[Evaluator]:
    """What evaluates candidates, as long as the context lasts."""
    if isinstance(optimisee, Function):
        if engine is None:
            return _compiled(optimisee, optimiser)
        return _far(optimisee, optimiser, engine)
    assert isinstance(optimisee, Python | Command) and engine is not None
    space = optimisee.space
    decode = jax.jit(space.decode)

    def jobs(coordinates, keys, places):
        values = jax.device_get(decode(jnp.asarray(coordinates)))
        seeds = np.asarray(jax.vmap(jr.bits)(keys))
        for place in places:
            own = {name: part[place] for name, part in values.items()}
            yield Job(int(place), space.plain(own), int(seeds[place]))

    return _by_engine(optimisee, optimiser, optimisee.work(), engine, jobs)


@contextlib.contextmanager
def _by_engine(
    optimisee: AbstractOptimisee,
    optimiser: AbstractOptimiser,
    work: Work,
    engine: AbstractEngine,
    jobs: Callable,
):
    with engine.opened(work) as run:

        def evaluate_parts(coordinates, keys, places):
            for report in run(list(jobs(coordinates, keys, places))):
                yield _part(report, optimisee.objectives, optimiser)

        yield evaluate_parts


def _part(report: Report, objectives: int, optimiser: AbstractOptimiser) -> Part:
    """A report as a part of one. Outputs are kept for optimisers that need them."""
    status, error, result = report.status, report.error, report.result or {}
    losses = result.get("loss", [])
    if not optimiser.needs_outputs:
        result = {name: part for name, part in result.items() if name != "outputs"}
    elif status == "ok" and optimiser.outputs not in (None, len(result.get("outputs", []))):
        status = "invalid"
        error = (
            f"there are {len(result.get('outputs', []))} outputs, and {type(optimiser).__name__} "
            f"has {optimiser.outputs} data"
        )
    if status == "ok" and len(losses) != objectives:
        status = "invalid"
        error = f"the loss has {len(losses)} numbers, and the optimisee has objectives={objectives}"
    if status != "ok":
        losses, result = [np.nan] * objectives, {}

    def row(name: str) -> np.ndarray | None:
        return np.array([result[name]], float) if name in result else None

    return Part(
        np.array([report.number]),
        (status,),
        np.array([losses], float),
        np.array([report.seconds]),
        np.array([report.attempts]),
        (error,),
        row("outputs"),
        row("gradients"),
        (result.get("more", {}),),
    )


@contextlib.contextmanager
def _compiled(optimisee: Function, optimiser: AbstractOptimiser):
    """All candidates of a call in one program, in tiles, shared among devices."""
    run = jax.jit(_program(optimisee, optimiser.needs_gradients))

    def evaluate_parts(coordinates, keys, places):
        begun = time.perf_counter()
        if len(places) < len(coordinates):
            coordinates, keys = coordinates[places], keys[places]
        found, more = jax.device_get(run(jnp.asarray(coordinates), keys))
        seconds = (time.perf_counter() - begun) / len(places)
        yield _part_of_batch(optimisee, places, found, more, seconds)

    yield evaluate_parts


def _part_of_batch(
    optimisee: Function, places: np.ndarray, found: Evaluations, more: dict, seconds: float
) -> Part:
    losses = np.asarray(found.losses, float).reshape(len(places), -1)
    if losses.shape[1] != optimisee.objectives:
        raise ValueError(
            f"Function: the loss has {losses.shape[1]} numbers, and the optimisee has objectives="
            f"{optimisee.objectives}; give Function(..., objectives={losses.shape[1]})."
        )
    fine: np.ndarray = np.asarray(np.isfinite(losses).all(axis=1))
    words = [None if ok else f"the loss is {row}" for ok, row in zip(fine, losses, strict=True)]

    def rows(values: Any) -> np.ndarray | None:
        return None if values is None else np.asarray(values).reshape(len(places), -1)

    kept = tuple(
        {name: np.asarray(value[i]).tolist() for name, value in more.items()}
        for i in range(len(places) if more else 0)
    )
    return Part(
        places,
        tuple("ok" if ok else "nan" for ok in fine),
        np.where(fine[:, None], losses, np.nan),
        np.full(len(places), seconds),
        np.ones(len(places), int),
        tuple(words),
        rows(found.outputs),
        rows(found.gradients),
        kept,
    )


def _program(optimisee: Function, gradients: bool) -> Callable:
    """From coordinates and keys to evaluations, in tiles and on all devices."""
    one_tile = _tile_program(optimisee, gradients)

    def local(candidates, keys):
        size = optimisee.tile
        if size is None or size >= len(candidates):
            return one_tile(candidates, keys)
        count = math.ceil(len(candidates) / size)

        def tiled(x):
            return _filled(x, count * size).reshape(count, size, *x.shape[1:])

        found = jax.lax.map(lambda one: one_tile(*one), (tiled(candidates), tiled(keys)))
        return jax.tree.map(
            lambda x: x.reshape(count * size, *x.shape[2:])[: len(candidates)], found
        )

    devices = jax.local_devices()
    if len(devices) == 1:
        return local

    def shared(candidates, keys):
        count, whole = len(candidates), math.ceil(len(candidates) / len(devices)) * len(devices)
        axis = PartitionSpec("candidate")
        mesh = Mesh(np.array(devices), ("candidate",))
        sharded = jax.shard_map(
            local, mesh=mesh, in_specs=(axis, axis), out_specs=axis, check_vma=False
        )
        found = sharded(_filled(candidates, whole), _filled(keys, whole))
        return jax.tree.map(lambda x: x[:count], found)

    return shared


def _filled(values: Array, length: int) -> Array:
    """Values with their first repeated at the end, to a length that tiles or devices share."""
    return jnp.concatenate([values, jnp.repeat(values[:1], length - len(values), axis=0)])


def _tile_program(optimisee: Function, gradients: bool) -> Callable:
    function, space = optimisee.function, optimisee.space
    if not optimisee.batched:
        return lambda candidates, keys: evaluate(
            function, space, candidates, keys, gradients=gradients
        )

    def side_by_side(candidates, keys):
        def total(candidates):
            found = evaluated(function(space.decode(candidates), keys), batched=True)
            return found.loss.sum(), found

        if not gradients:
            found = total(candidates)[1]
            return Evaluations(found.loss, None, found.outputs), found.more
        # A candidate's loss depends on it alone, so that the sum's gradient has each one's.
        (_, found), slopes = jax.value_and_grad(total, has_aux=True)(candidates)
        return Evaluations(found.loss, slopes, found.outputs), found.more

    return side_by_side


class _Far:
    """A JAX function of one candidate, for an engine's workers."""

    def __init__(self, optimisee: Function, gradients: bool):
        self.parts = (optimisee, gradients)

    @functools.cached_property
    def run(self) -> Callable:
        """Compiled once in a worker."""
        return eqx.filter_jit(_tile_program(*self.parts))

    def __call__(self, values: dict, seed: Any) -> dict[str, Any]:
        key = jr.wrap_key_data(jnp.asarray(values["key"]), impl=values["impl"])
        found, more = jax.device_get(self.run(jnp.asarray(values["coordinates"])[None], key[None]))
        given: dict[str, Any] = {"loss": np.atleast_1d(found.losses[0]).tolist()}
        for name in ("outputs", "gradients"):
            if getattr(found, name) is not None:
                given[name] = getattr(found, name)[0]
        given["more"] = {name: np.asarray(value[0]) for name, value in more.items()}
        return given


def _far(optimisee: Function, optimiser: AbstractOptimiser, engine: AbstractEngine):
    name = getattr(optimisee.function, "__qualname__", "the function")
    work = Work(name, ("function", pickled(_Far(optimisee, optimiser.needs_gradients))))

    def jobs(coordinates, keys, places):
        impl, data = str(jr.key_impl(keys)), np.asarray(jr.key_data(keys))
        for place in places:
            values = {"coordinates": coordinates[place], "key": data[place], "impl": impl}
            yield Job(int(place), values, 0)

    return _by_engine(optimisee, optimiser, work, engine, jobs)
