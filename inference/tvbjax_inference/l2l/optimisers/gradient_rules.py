"""Steps by a rule of optax from several starts, shared by exact and estimated gradients."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from tvbjax.kinds import check_kind
from tvbjax_inference import gradient_step
from tvbjax_inference.l2l.space import Space

# A step below so many spacings of numbers about 1 is none.
_SPACINGS = 4.0


class Descent(eqx.Module):
    """Where each start is. `fine`: where its loss and gradient were last numbers, if `known`.
    `still`: whether the last step led nowhere."""

    positions: Float[Array, "start width"]
    fine: Float[Array, "start width"]
    known: Bool[Array, " start"]
    still: Bool[Array, " start"]
    memory: Any


def begun(
    space: Space, rule: Any, starts: int, start: Float[Array, " width"], key: Array
) -> Descent:
    """The first start is the given one, the others are drawn."""
    positions = jnp.concatenate([start[None], space.draw(key, starts)[1:]])
    return Descent(
        positions=positions,
        fine=positions,
        known=jnp.zeros(starts, bool),
        still=jnp.zeros(starts, bool),
        memory=jax.vmap(partial(gradient_step.begun, rule))(positions),
    )


def descended(
    space: Space,
    rule: Any,
    state: Descent,
    losses: Float[Array, " start"],
    gradients: Float[Array, "start width"],
    key: Array,
) -> Descent:
    """One step of the rule, back to the ends of what has ends.

    A start whose loss or gradient is no number goes half the way back to where they were, and is
    drawn anew where they never were; the rule does not learn of it.
    """
    fine = jnp.isfinite(losses) & jnp.isfinite(gradients).all(axis=1)

    def moved(position: Array, memory: Any, loss: Array, slope: Array) -> Any:
        return gradient_step.moved(rule, slope, memory, position, value=loss)

    safe_losses = jnp.where(fine, losses, 0.0)
    slopes = jnp.where(fine[:, None], gradients, 0.0)
    stepped, memory = jax.vmap(moved)(state.positions, state.memory, safe_losses, slopes)
    stepped = inside(space, stepped)
    back = jnp.where(
        state.known[:, None],
        0.5 * (state.positions + state.fine),
        space.draw(key, len(losses)),
    )
    positions = jnp.where(fine[:, None], stepped, back)
    least = _SPACINGS * jnp.finfo(positions.dtype).eps
    change = jnp.max(jnp.abs(positions - state.positions), axis=1)
    return Descent(
        positions=positions,
        fine=jnp.where(fine[:, None], state.positions, state.fine),
        known=state.known | fine,
        still=fine & (change <= least),
        memory=jax.tree.map(
            lambda new, old: jnp.where(fine.reshape(-1, *(1,) * (old.ndim - 1)), new, old),
            memory,
            state.memory,
        ),
    )


def inside(space: Space, positions: Float[Array, "*batch width"], margin: Any = 0.0) -> Array:
    """Positions at the nearest ends where they are beyond them, or nearer than `margin`."""
    bounded = jnp.broadcast_to(jnp.asarray(space.bounded, bool), positions.shape)
    least = jnp.broadcast_to(jnp.asarray(margin, positions.dtype), positions.shape)
    return jnp.where(bounded, jnp.clip(positions, least, 1.0 - least), positions)


def check_rule(who: str, rule: object) -> None:
    """Raises `TypeError` for what is no rule of optax."""
    check_kind(f"{who}: rule", rule, optax.GradientTransformation, "optax.adam(0.05)")


def check_gradients_suffice(who: str, rule: Any, space: Space) -> None:
    """Raises `ValueError` for a rule that must evaluate losses by itself."""
    position = jnp.zeros(space.width, jnp.result_type(float))

    def once(position):
        memory = gradient_step.begun(rule, position)
        return gradient_step.changes(rule, position, memory, position, value=position[0])

    try:
        jax.eval_shape(once, position)
    except TypeError as error:
        raise ValueError(
            f"{who}: the rule needs more than gradients, e.g. a line search's losses ({error}); "
            "use one that does not, as optax.adam(0.05), or tvbjax.inference.fit."
        ) from error
