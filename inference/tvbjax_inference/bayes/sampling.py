"""From a numpyro model to draws of its posterior, with all that says how far to trust them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.bayes.checkpoint import Checkpoint
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.method import AbstractMethod
from tvbjax_inference.bayes.modes import check_precision, find_modes
from tvbjax_inference.bayes.nuts import Nuts
from tvbjax_inference.bayes.posterior import as_tree

if TYPE_CHECKING:
    import xarray as xr


def sample(
    model: Callable[[], Any],
    *,
    key: Array,
    method: AbstractMethod = Nuts(),
    starts: int = 16,
    replicates: int = 200,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> "xr.DataTree":
    """Draws of the posterior of a model: what `program` makes, or any function of numpyro's
    statements that has no arguments.

    First the modes are found, by L-BFGS and Newton's method from several `starts`; where several
    are within 10 nats of the best, chains are shared out among them. Then `method` draws, in
    coordinates in which the normal approximation at a mode is standard: chains of `Nuts`, or, for
    what they cannot do, `Tempered` particles, or a normal approximation, `Variational`.

    The result is a tree as ArviZ has it: `posterior`, `posterior_predictive` (as many `replicates`
    of the data, spread over the draws), `prior` and `prior_predictive`, `log_likelihood`,
    `sample_stats`, `observed_data`, and `modes`; its attributes say where it came from. Look at
    `diagnose(tree)` before anything else.

    `checkpoint`: a file `.npz` from which a run that was ended goes on, with draws equal to the
    last bit to those of one that was not. Ctrl-C loses no more than a block of draws.

    Needs JAX in double precision. Raises `TypeError` or `ValueError` for input that does not fit,
    and for a model without a finite density at any start.
    """
    check_precision()
    check_one_key("sample", key)
    check_kind("sample: method", method, AbstractMethod, "tvbjax.bayes.Nuts(chains=4)")
    check_count("sample: starts", starts)
    check_count("sample: replicates", replicates)
    flat, file = flat_of(model), None
    if checkpoint is not None:
        said = model.description() if hasattr(model, "description") else model  # type: ignore[attr-defined]
        file = Checkpoint(Path(checkpoint), (said, method, starts, key_numbers(key)))
    at_modes, at_draws, at_replicates = jr.split(key, 3)
    modes = None if file is None else file.modes
    if modes is None:
        modes = find_modes(flat, at_modes, starts)
        if file is not None:
            file.keep_modes(modes)
    drawn = method.drawn(flat, modes, at_draws, file, progress)
    tree = as_tree(flat, model, modes, method, drawn, at_replicates, replicates)
    tree.attrs |= {"key of the draws": json.dumps(key_numbers(key).tolist()), "starts": str(starts)}
    return tree


def key_numbers(key: Array) -> np.ndarray:
    """A key as numbers."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return np.asarray(jr.key_data(key) if typed else key)
