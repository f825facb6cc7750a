"""Numbers that are checked before a run: NaN in a network would be silence, not an error."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from tvbjax.arrays import check_finite, is_traced


def check_known_numbers(who: str, tree: Any) -> None:
    """Raises ValueError that names the first array with NaN among those whose values are known."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not eqx.is_inexact_array_like(leaf) or is_traced(leaf):
            continue
        missing = np.isnan(np.asarray(leaf))
        if missing.any():
            place = jax.tree_util.keystr(path)
            many = f" in {int(missing.sum())} of {missing.size} places" if missing.ndim else ""
            raise ValueError(f"{who}: {place.lstrip('.')} is NaN{many}; give numbers.")


def check_scalars(
    one: Any, names: tuple[str, ...], above: tuple[str, ...] = (), least: tuple[str, ...] = ()
) -> None:
    """Raises ValueError for fields that are not one finite number each, of `above` not above 0, of
    `least` below 0."""
    for name in names:
        what, value = f"{type(one).__name__}: {name}", getattr(one, name)
        if value.ndim:
            raise ValueError(f"{what} has the shape {value.shape}; give one number.")
        check_finite(what, value)
        if is_traced(value):
            continue
        if name in above and not value > 0:
            raise ValueError(f"{what} is {float(value):g}; give one above 0.")
        if name in least and value < 0:
            raise ValueError(f"{what} is {float(value):g}; give 0 or more.")
