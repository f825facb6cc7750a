"""A whole search as one pure function: for JAX functions, compiled, and fit for `vmap`.

What is to outlive a crash, or is no JAX function, is a `Study`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_count
from tvbjax_inference.l2l.evaluating import Evaluated, evaluated
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, Evaluations, Search
from tvbjax_inference.l2l.space import Space


class Trace(eqx.Module):
    """How a search went. `least`: the least loss after each generation; `losses`: all."""

    least: Float[Array, " generation"]
    losses: Float[Array, "generation candidate *objective"]


def minimise(
    function: Callable[[dict[str, Array], Array], Any],
    space: Space,
    optimiser: AbstractOptimiser,
    key: Array,
    *,
    generations: int,
    start: Mapping[str, Any] | None = None,
) -> tuple[Search, Trace]:
    """Search for the values of least loss, in so many generations.

    `function(values, key)`: the loss of one candidate, or an `Evaluated`; a pure JAX function.
    Every candidate has a key of its own. A search that comes to its end (`should_stop`) stays as it
    is. Pure: `jax.vmap` over keys makes restarts, over an optimiser's numbers a study of these.
    Raises what `AbstractOptimiser.init` does.
    """
    check_count("minimise: generations", generations)
    check_one_key("minimise", key)
    if not optimiser.compiled:
        raise ValueError(
            f"minimise: {type(optimiser).__name__} cannot be compiled; use a Study with it."
        )
    searched, evaluated_with = jr.split(key)
    search = optimiser.init(space, searched, start)

    def step(search, _):
        candidates, asked = optimiser.ask(search)
        keys = candidate_keys(evaluated_with, search.generation, len(candidates))
        found = evaluate(function, space, candidates, keys, gradients=optimiser.needs_gradients)[0]
        told = optimiser.tell(asked, candidates, found)
        over = optimiser.should_stop(search)
        told = jax.tree.map(lambda new, old: jnp.where(over, old, new), told, search)
        losses = jnp.where(over, jnp.nan, found.losses)
        return told, (told.least, losses)

    search, (least, losses) = jax.lax.scan(step, search, length=generations)
    return search, Trace(least, losses)


def candidate_keys(key: Array, generation: Any, count: int) -> Array:
    """Each candidate's own key, whichever worker evaluates it and when."""
    return jax.vmap(jr.fold_in, (None, 0))(jr.fold_in(key, generation), jnp.arange(count))


def evaluate(
    function: Callable[[dict[str, Array], Array], Any],
    space: Space,
    candidates: Float[Array, "candidate width"],
    keys: Array,
    *,
    gradients: bool = False,
) -> tuple[Evaluations, dict[str, Array]]:
    """What a JAX function gives for candidates side by side, and what more it keeps of them."""

    def one(coordinates, key) -> tuple[Array, Evaluated]:
        found = evaluated(function(space.decode(coordinates), key))
        return found.loss, found

    if not gradients:
        losses, found = jax.vmap(one)(candidates, keys)
        return Evaluations(losses, None, found.outputs), found.more
    slope = jax.vmap(jax.value_and_grad(one, has_aux=True))
    (losses, found), slopes = slope(candidates, keys)
    return Evaluations(losses, slopes, found.outputs), found.more
