"""One step of a rule of optax, which mixes whole numbers and floats, under JAX's strict rules."""

from typing import Any

import jax
import jax.numpy as jnp
import optax


def begun(rule: Any, params: Any) -> Any:
    """A rule's memory before the first step."""
    with jax.numpy_dtype_promotion("standard"):
        return jax.tree.map(jnp.asarray, rule.init(params))


def changes(rule: Any, slopes: Any, memory: Any, params: Any, **known: Any) -> tuple[Any, Any]:
    """What a rule adds to params, in their types, and its memory afterwards. `known`: what some
    rules need beside gradients, as `value`."""
    with jax.numpy_dtype_promotion("standard"):
        added, after = optax.with_extra_args_support(rule).update(slopes, memory, params, **known)
    return jax.tree.map(lambda change, old: jnp.asarray(change, old.dtype), added, params), after


def moved(rule: Any, slopes: Any, memory: Any, params: Any, **known: Any) -> tuple[Any, Any]:
    """Params after one step, and the rule's memory."""
    added, after = changes(rule, slopes, memory, params, **known)
    return optax.apply_updates(params, added), after
