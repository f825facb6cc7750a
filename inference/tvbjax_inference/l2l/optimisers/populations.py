"""What algorithms that keep a population share: how it begins, and when it is at its end."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float

from tvbjax_inference.l2l.optimiser import within
from tvbjax_inference.l2l.optimisers.collapse import rounding
from tvbjax_inference.l2l.space import Space


def about(
    space: Space,
    start: Float[Array, " width"],
    sigma: Float[Array, ""],
    key: Array,
    count: int,
) -> Float[Array, "count width"]:
    """The start, and others about it. `sigma`: in deviations of the space."""
    steps = sigma * jr.normal(key, (count, space.width), start.dtype)
    steps = steps.at[0].set(0.0) * jnp.asarray(space.deviations, start.dtype)[None]
    return within(space, start[None] + steps)


def is_over(space: Space, population: Float[Array, "member width"]) -> Bool[Array, ""]:
    """Whether members differ by no more than rounding does, or are beyond all measure."""
    extent = jnp.max(population, axis=0) - jnp.min(population, axis=0)
    least = 4.0 * jnp.finfo(population.dtype).eps * jnp.max(jnp.abs(population), axis=0)
    scale = jnp.asarray(space.deviations, least.dtype)
    together = jnp.all(extent <= jnp.maximum(least, rounding(least.dtype) * scale))
    return together | jnp.any(jnp.abs(population) > 1e14)


def frozen(over: Bool[Array, ""], old: Any, new: Any) -> Any:
    """The old state where all is over, and else the new one."""
    return jax.tree.map(lambda before, after: jnp.where(over, before, after), old, new)
