"""From a numpyro model to draws of its posterior, with all that says how far to trust them."""

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
from tvbjax.progress import progress_bar
from tvbjax_inference.bayes.checkpoint import Checkpoint
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.modes import Mode, find_modes
from tvbjax_inference.bayes.nuts import Chains, Draw, Nuts
from tvbjax_inference.bayes.posterior import as_tree

if TYPE_CHECKING:
    import xarray as xr


def sample(
    model: Callable[[], Any],
    *,
    key: Array,
    method: Nuts = Nuts(),
    starts: int = 3,
    replicates: int = 200,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> "xr.DataTree":
    """Draws of the posterior of a model: what `program` makes, or any function of numpyro's
    statements that has no arguments.

    First the modes are found, by L-BFGS and Newton's method from several `starts`; where several
    are within 10 nats of the best, chains are shared out among them. Then `method` draws, in
    coordinates in which the normal approximation at a mode is standard.

    The result is a tree as ArviZ has it: `posterior`, `posterior_predictive` (as many `replicates`
    of the data, spread over the draws), `prior` and `prior_predictive`, `log_likelihood`,
    `sample_stats`, `observed_data`, and `modes`; its attributes say where it came from. Look at
    `diagnose(tree)` before anything else.

    `checkpoint`: a file `.npz` from which a run that was ended goes on, with draws equal to the
    last bit to those of one that was not. Ctrl-C loses no more than a block of draws.

    Needs JAX in double precision. Raises `TypeError` or `ValueError` for input that does not fit,
    and for a model without a finite density at any start.
    """
    check_one_key("sample", key)
    check_kind("sample: method", method, Nuts, "tvbjax.bayes.Nuts(chains=4)")
    check_count("sample: starts", starts)
    check_count("sample: replicates", replicates)
    flat = flat_of(model)
    file = None
    if checkpoint is not None:
        file = Checkpoint(Path(checkpoint), (_said(model), method, starts, key_numbers(key)))
    kept = None if file is None else file.read()
    at_modes, at_chains, at_replicates = jr.split(key, 3)
    modes = kept.modes if kept is not None else find_modes(flat, at_modes, starts)
    if file is not None and kept is None:
        file.keep(modes, (), None)
    chains = Chains(flat, modes, method)
    states, draws = chains.begin(at_chains), None
    if kept is not None:
        states, draws = kept.states(states), kept.draws
    draws = _drawn(chains, states, draws, file, modes, progress)
    return as_tree(flat, model, modes, method, draws, at_replicates, replicates)


def _drawn(
    chains: Chains,
    states: list[Any],
    draws: Draw | None,
    file: Checkpoint | None,
    modes: tuple[Mode, ...],
    progress: bool,
) -> Draw:
    """All steps, block by block; each block is kept before the next begins."""
    nuts = chains.nuts
    done = 0 if draws is None else draws.numbers.shape[1]
    with progress_bar("sampling the posterior", nuts.steps, progress) as advance_bar:
        advance_bar(done)
        while done < nuts.steps:
            # A block never spans the border, so that blocks are the same whatever was kept.
            end = nuts.warmup if done < nuts.warmup else nuts.steps
            count = min(nuts.block, end - done)
            states, more = chains.advance(states, count)
            draws = more if draws is None else _joined(draws, more)
            done += count
            if file is not None:
                file.keep(modes, states, draws)
            advance_bar(count, _note(more, done <= nuts.warmup))
    assert draws is not None
    return draws


def _joined(before: Draw, after: Draw) -> Draw:
    return Draw(*(np.concatenate(pair, axis=1) for pair in zip(before, after, strict=True)))


def _note(draws: Draw, warmup: bool) -> str:
    what = "warm-up" if warmup else "draws"
    return f"{what}, {draws.steps.mean():.0f} steps each, {int(draws.diverging.sum())} divergences"


def key_numbers(key: Array) -> np.ndarray:
    """A key as numbers."""
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return np.asarray(jr.key_data(key) if typed else key)


def _said(model: Any) -> Any:
    return model.description() if hasattr(model, "description") else model
