"""Train all members of an ensemble side by side, each with its own simulations held out."""

import dataclasses
import functools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float

from tvbjax.progress import progress_bar
from tvbjax_inference.bayes._flows import Member, relaxed

_LONGEST = 5.0  # of a gradient
_AVERAGED = 0.99  # of the weights' average remains in each step
_AT_ONCE = 1000  # simulations whose losses are computed side by side


@dataclasses.dataclass(frozen=True)
class Pace:
    """How members are trained: see `amortised.train`."""

    batch: int
    rate: float
    decay: float
    validation: float
    patience: int
    epochs: int


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Members at their best epochs. `training`, `validation`: losses as it went on. `fitted`,
    `unseen`: each member's own losses of the simulations that it was and was not trained with.
    `improving`: whether the last epoch was one of the best."""

    members: Member
    training: Float[np.ndarray, "epoch member"]
    validation: Float[np.ndarray, "epoch member"]
    fitted: Float[np.ndarray, "member n"]
    unseen: Float[np.ndarray, "member v"]
    improving: bool


def trained(
    members: Member,
    residuals: Float[Array, "n d"],
    context: Float[Array, "n c"],
    pace: Pace,
    key: Array,
    progress: bool,
) -> Trained:
    """Train until no member's validation loss falls for `pace.patience` epochs.

    Raises `FloatingPointError` where a member never has a finite loss.
    """
    count = len(jax.tree.leaves(eqx.filter(members, eqx.is_array))[0])
    held = max(1, round(pace.validation * len(residuals)))
    splits, shuffles = jr.split(key)
    rows = jax.vmap(lambda k: jr.permutation(k, len(residuals)))(jr.split(splits, count))
    data = (residuals, context, rows[:, held:], rows[:, :held])
    optimiser = _optimiser(pace.rate, pace.decay)
    weights, rest = eqx.partition(members, eqx.is_inexact_array)
    state = (weights, jax.vmap(optimiser.init)(weights), weights)
    best, least, since = weights, np.full(count, np.inf), np.zeros(count, int)
    history: list[tuple[np.ndarray, np.ndarray]] = []
    with progress_bar("training", pace.epochs, progress) as advance:
        try:
            for epoch in range(pace.epochs):
                keys = jr.split(jr.fold_in(shuffles, epoch), count)
                state, *losses = _epoch(state, rest, data, keys, optimiser, pace.batch)
                history.append((np.asarray(losses[0]), np.asarray(losses[1])))
                better = history[-1][1] < least  # not where it is NaN
                least, since = (
                    np.where(better, history[-1][1], least),
                    np.where(better, 0, since + 1),
                )
                best = _chosen(jnp.asarray(better), state[2], best)
                advance(1, f"validation loss {least.mean():.4g}")
                if (since >= pace.patience).all():
                    break
        except KeyboardInterrupt:
            warnings.warn(
                f"train: interrupted after {len(history)} epochs; the best weights so far are in "
                "the result.",
                stacklevel=4,
            )
    if not np.isfinite(least).all():
        raise FloatingPointError(
            "train: a flow's loss was never a finite number; give a lower rate, or look at the "
            "simulations for extreme values."
        )
    fitted, unseen = _losses(best, rest, data)
    return Trained(
        eqx.combine(best, rest),
        np.stack([one for one, _ in history]),
        np.stack([other for _, other in history]),
        np.asarray(fitted),
        np.asarray(unseen),
        len(history) == pace.epochs and bool((since < pace.patience).any()),
    )


@functools.cache
def _optimiser(rate: float, decay: float) -> optax.GradientTransformationExtraArgs:
    """One object for each, so that training again, with as many simulations, compiles nothing."""
    return optax.chain(optax.clip_by_global_norm(_LONGEST), optax.adamw(rate, weight_decay=decay))


def _loss(weights, rest, residuals, context):
    member = eqx.combine(weights, rest)
    return -jax.vmap(member.log_density)(residuals, context)


@eqx.filter_jit
def _epoch(state, rest, data, keys, optimiser, batch):
    """All batches once. The weights' average over the last steps is what is validated: it is
    better than the last weights, which go to and fro."""
    residuals, context, seen, held = data
    size = min(batch, seen.shape[1])
    arrays, other = eqx.partition(rest, eqx.is_array)

    def of_member(state, arrays, seen, held, key):
        rest = eqx.combine(arrays, other)

        def step(state, rows):
            weights, memory, mean = state
            loss, slopes = jax.value_and_grad(
                lambda w: _loss(w, rest, residuals[rows], context[rows]).mean()
            )(weights)
            with relaxed():
                changes, memory = optimiser.update(slopes, memory, weights)
                weights = optax.apply_updates(weights, changes)
            mean = jax.tree.map(lambda a, b: _AVERAGED * a + (1 - _AVERAGED) * b, mean, weights)
            return (weights, memory, mean), loss

        whole = len(seen) // size * size
        batches = jr.permutation(key, seen)[:whole].reshape(-1, size)
        state, losses = jax.lax.scan(step, state, batches)
        return state, losses.mean(), _all_losses(state[2], rest, residuals, context, held).mean()

    return jax.vmap(of_member)(state, arrays, seen, held, keys)


@eqx.filter_jit
def _losses(weights, rest, data):
    residuals, context, seen, held = data
    arrays, other = eqx.partition(rest, eqx.is_array)

    def of_member(weights, arrays, seen, held):
        rows = jnp.concatenate([seen, held])
        found = _all_losses(weights, eqx.combine(arrays, other), residuals, context, rows)
        return found[: len(seen)], found[len(seen) :]

    return jax.vmap(of_member)(weights, arrays, seen, held)


def _all_losses(weights, rest, residuals, context, rows):
    size = min(_AT_ONCE, len(rows))
    # Some again at the end, so that all parts are as long, and one function is compiled for them.
    parts = jnp.resize(rows, (-(-len(rows) // size), size))
    found = jax.lax.map(lambda part: _loss(weights, rest, residuals[part], context[part]), parts)
    return found.ravel()[: len(rows)]


@eqx.filter_jit
def _chosen(better, new, old):
    return jax.tree.map(
        lambda a, b: jnp.where(better.reshape(-1, *(1,) * (a.ndim - 1)), a, b), new, old
    )
