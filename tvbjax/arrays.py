"""Arrays of the working float type: what makes leaves alike, so that nothing compiles twice."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array


def matmul(left: Array, right: Array) -> Array:
    """`left @ right` in the precision of their type. GPUs by themselves round float32 to ten bits
    before they multiply matrices, and a signal's correlation with itself is then 0.9999."""
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def as_floats(values: Any) -> Array:
    """`values` in JAX's default float type, float64 where x64 is on.

    As a converter of Module fields: a Python float would recompile at every new value. Raises
    `TypeError` for what is no number and no array of numbers.
    """
    if np.iscomplexobj(values):
        raise TypeError(f"{values!r:.60} is complex; give its real part, or its absolute value.")
    try:
        if isinstance(values, str):
            raise TypeError("text")
        return jnp.asarray(values, dtype=jnp.result_type(float))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{values!r:.60} is no number and no array of numbers; give one."
        ) from error


def as_numbers(value: Any) -> Array:
    """`as_floats`, but what is no number as it is: for the check of the Module that is built, which
    can say whose it is."""
    try:
        return as_floats(value)
    except TypeError:
        return value


def check_unlabelled(what: str, value: Any) -> None:
    """Raises `TypeError` for an xarray or pandas object with names along its dims: values would be
    taken in its order, which may be another than the brain's."""
    if hasattr(value, "coords") and hasattr(value, "dims"):
        axes = [value.coords[dim].values for dim in value.dims if dim in value.coords]
    else:
        axes = getattr(value, "axes", ()) if hasattr(value, "to_numpy") else ()
    for axis in axes:
        if not np.issubdtype(np.asarray(axis).dtype, np.number):
            raise TypeError(
                f"{what} has labels ({axis[0]}, ...), which are not read here; put its values in "
                "the order of connectome.labels, and give them without labels: "
                "maps.sel(region=list(connectome.labels)).values of xarray's, "
                "maps.loc[list(connectome.labels)].to_numpy() of pandas'."
            )


def strong(tree: Any) -> Any:
    """The same tree, its Python floats as arrays and no leaf weakly typed.

    A user's `tree_at(..., jnp.asarray(0.03))` gives a weakly typed leaf, which would recompile.
    """

    def one(leaf):
        if isinstance(leaf, float):
            return as_floats(leaf)
        if isinstance(leaf, jax.Array):
            weak = leaf.weak_type and jnp.issubdtype(leaf.dtype, jnp.floating)
            return jnp.asarray(leaf, dtype=leaf.dtype) if weak else leaf
        return jnp.asarray(leaf) if eqx.is_inexact_array_like(leaf) else leaf

    return jax.tree.map(one, tree)


def check_finite(what: str, value: Any) -> None:
    """Raises `ValueError` for NaN or infinity in numbers that are known."""
    if not is_traced(value) and not np.isfinite(np.asarray(value)).all():
        shown = f"{float(value):g}" if np.ndim(value) == 0 else "NaN or infinite somewhere"
        raise ValueError(f"{what} is {shown}; give finite numbers.")


def is_key(value: Any) -> bool:
    """Whether it is a random key of JAX, typed or raw."""
    dtype = value.dtype if isinstance(value, jax.Array) else None
    return dtype == jnp.uint32 or dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def check_one_key(who: str, key: Any) -> None:
    """Raises `TypeError` where `key` is not one random key of JAX."""
    typed = is_key(key) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if is_key(key) and key.shape == (() if typed else (2,)):
        return
    what = f"{len(key)} keys" if typed else f"{key!r:.60}"
    raise TypeError(f"{who}: key is {what}; give a key of JAX, e.g. jax.random.key(0).")


def is_traced(tree: Any) -> bool:
    """Whether we are inside a JAX transformation: of these leaves, or of everything (jit)."""
    leaves = [*jax.tree.leaves(tree), jnp.zeros(())]
    return any(isinstance(leaf, Tracer) for leaf in leaves)
