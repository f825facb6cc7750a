"""Random walks that go to worse losses by Metropolis' rule, and how wide they step.

Metropolis, Rosenbluth, Rosenbluth, Teller & Teller (1953), J. Chem. Phys. 21:1087.
"""

from collections.abc import Callable

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float

from tvbjax_inference.l2l.optimiser import within
from tvbjax_inference.l2l.space import Space


def stepped(
    space: Space,
    positions: Float[Array, "walker width"],
    steps: Float[Array, " walker"],
    key: Array,
) -> Float[Array, "walker width"]:
    """Each walker's next candidate. `steps`: deviations, in those of the space. Mirrored at ends,
    a step is as likely as the step back."""
    moved = jr.normal(key, positions.shape, positions.dtype)
    deviations = jnp.asarray(space.deviations, positions.dtype)
    return within(space, positions + steps[:, None] * deviations[None] * moved)


def accepted(
    old: Float[Array, " walker"],
    new: Float[Array, " walker"],
    temperatures: Float[Array, " walker"],
    key: Array,
) -> Bool[Array, " walker"]:
    """Whether each walker goes to its candidate: at the temperature 0 only where that is no worse.

    From one failure to the next it goes, since nothing better is known.
    """
    # -ln(uniform) is exponential; a product, not a quotient, is right for the temperature 0 too.
    allowed = temperatures * jr.exponential(key, old.shape, old.dtype)
    return (new <= old) | (new - old < allowed)


def adapted(
    steps: Float[Array, " walker"],
    moved: Bool[Array, " walker"],
    rate: Float[Array, ""],
    wanted: Float[Array, ""],
) -> Float[Array, " walker"]:
    """Steps that come to be accepted as often as `wanted`; not above the coordinates' own size."""
    change = rate * (moved.astype(steps.dtype) - wanted)
    # The least step keeps its logarithm finite however long nothing is accepted.
    return jnp.clip(steps * jnp.exp(change), jnp.finfo(steps.dtype).tiny, 4.0)


def chosen(condition: Bool[Array, " walker"]) -> Callable[[Array, Array], Array]:
    """Of two arrays, rows of the first where the condition is met."""

    def choose(first, second):
        return jnp.where(condition.reshape(-1, *(1,) * (first.ndim - 1)), first, second)

    return choose
