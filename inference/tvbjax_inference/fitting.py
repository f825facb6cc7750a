"""Fit a problem by gradients: from one start or several at once, with any optimiser of optax."""

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from tvbjax.arrays import check_one_key
from tvbjax.kinds import check_count, check_number
from tvbjax.progress import progress_bar
from tvbjax_inference import gradient_step
from tvbjax_inference.checkpoint import Checkpoint
from tvbjax_inference.fitted import Fit, History
from tvbjax_inference.gradients import AbstractGradient, Slope, best_for
from tvbjax_inference.problem import AbstractProblem, Position
from tvbjax_inference.starts import AbstractStarts, Drawn

# A gradient that is so many times the loss tells of dynamics that blow it up.
_EXPLODED = 1e6
_NO_LOSS = 1e-9
# One object, so that fits that do not name another share what was compiled.
_ADAM = optax.adam(0.05)


class State(eqx.Module):
    """What goes from step to step. `best`: the positions of the least losses so far."""

    step: Int[Array, ""]
    positions: Position
    optimiser: Any
    gradient: Any
    best: Position
    least: Float[Array, " start"]
    since: Int[Array, " start"]
    alive: Bool[Array, " start"]


def fit(
    problem: AbstractProblem,
    *,
    key: Array | None = None,
    optimiser: optax.GradientTransformation | None = None,
    steps: int = 100,
    starts: int | AbstractStarts | Mapping[str, Any] = 1,
    gradient: AbstractGradient | None = None,
    resample: bool = False,
    patience: int | None = None,
    tolerance: float = 1e-4,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> Fit:
    """Make the loss small in at most `steps` steps of `optimiser` (by default `optax.adam(0.05)`;
    `optax.lbfgs()` for losses without noise).

    `key`: of the simulations' noise, needed where there is some. Every step sees the same noise,
    so that the loss is a function of the position; `resample=True` draws new noise in every step.
    `starts`: how many, the first being the simulator's own values and the others drawn about them;
    or `Swept(...)`, the best of many that are simulated first; or positions, with a first axis. All
    starts are simulated side by side. `gradient`: how it is found; by default forward mode for up
    to three free numbers, else reverse mode.
    `patience`: stop when no start's least loss has fallen by the share `tolerance` for so many
    steps. A start whose loss or gradient is NaN stops there, and is told of.
    `checkpoint`: a file that is written as the fit goes on; a fit that was stopped goes on from it,
    with the same numbers as without a stop.

    Ctrl-C ends the fit early and well. Raises `ValueError` where the loss of every start is NaN,
    saying where that comes from. Warns where the loss does not depend on what is free, does not
    move, or gradients explode.
    """
    _check(problem, key, steps, patience, tolerance)
    optimiser = _ADAM if optimiser is None else optimiser
    if not isinstance(optimiser, optax.GradientTransformation):
        made = "its .gradient_transformation()"
        give = made if hasattr(optimiser, "gradient_transformation") else "one of optax, made"
        raise TypeError(
            f"fit: the optimiser is {optimiser!r:.60}; give {give}, e.g. optax.adam(0.05)."
        )
    gradient = best_for(problem) if gradient is None else gradient
    if not isinstance(gradient, AbstractGradient):
        raise TypeError(f"fit: gradient is {gradient!r:.60}; give e.g. gradients.Reverse().")
    if isinstance(starts, int | np.integer) and not isinstance(starts, bool):
        starts = Drawn(int(starts))
    if not isinstance(resample, bool):
        raise TypeError(f"fit: resample is {resample!r:.60}; give True or False.")
    positions = _positions(problem, starts, key)
    state = _begun(problem, optimiser, gradient, positions)
    history = History()
    store = None
    if checkpoint is not None:
        if not isinstance(checkpoint, str | Path):
            raise TypeError(f"fit: checkpoint is {checkpoint!r:.60}; give a path, 'fit.npz'.")
        parts = (key, optimiser, gradient, resample, tolerance, positions)
        store = Checkpoint(Path(checkpoint), problem, parts)
        state, history = store.resumed(state, history)
    run = _Run(problem, optimiser, gradient, key, resample)
    why = run.until(state, history, steps, patience, tolerance, store, progress)
    return Fit.of(problem, run.state, history, why)


class _Run:
    """A fit as it runs. `state`: as of the last whole step, also when it is interrupted."""

    def __init__(self, problem, optimiser, gradient, key, resample):
        self.parts = (problem, optimiser, gradient, key, resample)
        self.state = None

    def until(self, state, history, steps, patience, tolerance, store, progress) -> str:
        problem, optimiser, gradient, key, resample = self.parts
        self.state = state
        bar = progress_bar("fitting", steps, progress)
        with bar as advance:
            advance(int(state.step), "")
            try:
                # A fit that goes on from a checkpoint may be over.
                while int(self.state.step) < steps and not _over(self.state, patience):
                    following, slope, norms = _step(
                        problem, optimiser, gradient, self.state, key, resample, tolerance
                    )
                    losses = np.asarray(slope.losses)
                    if not history.losses:
                        _check_first(problem, self.state, slope, key)
                    history.add(self.state.positions, slope, norms)
                    self.state = following
                    if store is not None and store.due(int(following.step)):
                        store.keep(following, history)
                    least = np.asarray(following.least)
                    advance(1, f"loss {np.nanmin(least):.4g}")
                    _tell_explosion(history, losses, np.asarray(norms))
            except KeyboardInterrupt:
                warnings.warn(
                    f"fit: interrupted after {int(self.state.step)} steps; what was found is in "
                    "the result"
                    + (
                        "." if store is None else ", and the same call goes on from the checkpoint."
                    ),
                    stacklevel=3,
                )
                return "interrupted"
            finally:
                if store is not None and self.state is not state:
                    store.keep(self.state, history)
        why = _over(self.state, patience)
        if not np.asarray(self.state.alive).any():
            _tell_end(self.state)
        elif not why:
            _tell_still(history)
        return why or "all steps were taken"


def _over(state: State, patience: int | None) -> str:
    """Why there is no further step to take, or nothing."""
    alive = np.asarray(state.alive)
    if not alive.any():
        return "every start's loss or gradient became NaN"
    if patience is not None and (np.asarray(state.since)[alive] >= patience).all():
        return f"no start's loss fell in {patience} steps"
    return ""


@eqx.filter_jit
def _step(problem, optimiser, gradient, state: State, key, resample, tolerance):
    """One step of all starts; the slope at the beginning, and its length for each start."""
    own = key
    if key is not None and resample:
        own = jr.fold_in(key, state.step)
    noise = jr.fold_in(jr.key(0) if key is None else key, state.step + 2**30)
    slope, inner = gradient(problem, state.positions, own, noise, state.gradient)
    flat = [g.reshape(len(g), -1) for g in jax.tree.leaves(slope.gradients)]
    norms = jnp.sqrt(sum((g**2).sum(axis=1) for g in flat))
    fine = jnp.isfinite(slope.losses) & jnp.isfinite(norms) & state.alive

    def value(position):
        several = jax.tree.map(lambda x: x[None], position)
        return problem.evaluate(several, own).losses[0]

    def moved(position, loss, slopes, memory):
        return gradient_step.moved(
            optimiser, slopes, memory, position, value=loss, grad=slopes, value_fn=value
        )

    arguments = (state.positions, slope.losses, slope.gradients, state.optimiser)
    if len(slope.losses) == 1:  # a line search of one start need not wait for others
        alone = moved(*jax.tree.map(lambda x: x[0], arguments))
        positions, memory = jax.tree.map(lambda x: jnp.asarray(x)[None], alone)
    else:
        positions, memory = jax.lax.map(lambda one: moved(*one), arguments)

    def chosen(new, old, where=fine):
        return jax.tree.map(
            lambda a, b: jnp.where(where.reshape(-1, *(1,) * (jnp.ndim(b) - 1)), a, b), new, old
        )

    better = fine & (slope.losses < state.least)
    much = fine & ~(slope.losses > state.least - tolerance * jnp.abs(state.least))
    following = State(
        state.step + 1,
        chosen(positions, state.positions),
        chosen(memory, state.optimiser),
        inner,
        chosen(state.positions, state.best, better),
        jnp.where(better, slope.losses, state.least),
        jnp.where(much, 0, state.since + 1),
        fine,
    )
    return following, slope, norms


def _begun(problem, optimiser, gradient, positions: Position) -> State:
    count = len(next(iter(positions.values())))
    dtype = next(iter(positions.values())).dtype
    return State(
        jnp.zeros((), jnp.int32),
        positions,
        jax.vmap(partial(gradient_step.begun, optimiser))(positions),
        gradient.init(problem, positions),
        positions,
        jnp.full(count, jnp.inf, dtype),
        jnp.zeros(count, jnp.int32),
        jnp.ones(count, bool),
    )


def _positions(problem: AbstractProblem, starts, key) -> Position:
    """The starts along a first axis."""
    if isinstance(starts, AbstractStarts):
        return starts.positions(problem, key)
    start = problem.start
    if not isinstance(starts, Mapping) or set(starts) != set(start):
        raise TypeError(
            f"fit: starts is {starts!r:.60}; give a number, starts.Swept(...), or numbers by name "
            f"for each of {', '.join(start)}, with an axis of starts."
        )
    found = {name: jnp.asarray(starts[name], numbers.dtype) for name, numbers in start.items()}
    for name, numbers in start.items():
        shape = found[name].shape
        if shape[1:] != numbers.shape or len(shape) == numbers.ndim or not shape[0]:
            raise ValueError(
                f"fit: the starts of '{name}' have the shape {shape}; give an axis of one or more "
                f"starts, and of each the shape {numbers.shape}."
            )
        bad = np.argwhere(~np.isfinite(np.asarray(found[name])))
        if len(bad):
            raise ValueError(
                f"fit: start {bad[0][0]} of '{name}' has {float(found[name][tuple(bad[0])])}; give "
                "finite numbers."
            )
    if len({len(numbers) for numbers in found.values()}) > 1:
        raise ValueError("fit: the starts of all names must be as many.")
    return found


def _check(problem, key, steps, patience, tolerance) -> None:
    if not isinstance(problem, AbstractProblem):
        raise TypeError(f"fit: {problem!r:.60} is no problem; give tvbjax.inference.Problem(...).")
    if key is not None:
        check_one_key("fit", key)
    check_count("fit: steps", steps)
    if patience is not None:
        check_count("fit: patience", patience)
    check_number("fit: tolerance", tolerance, least=0.0)


def _check_first(problem: AbstractProblem, state: State, slope: Slope, key) -> None:
    """Of the first step: whether there is a loss at all, and whether it depends on what is free."""
    losses = np.asarray(slope.losses)
    if not np.isfinite(losses).any():
        problem.check(jax.tree.map(lambda x: x[0], state.positions), key)
        raise ValueError(
            f"fit: the loss of every start is no finite number ({losses[0]}); start elsewhere, or "
            "use narrower supports."
        )
    for name, slopes in slope.gradients.items():
        if not np.isfinite(np.asarray(slopes)).all(axis=tuple(range(1, slopes.ndim))).any():
            raise ValueError(
                f"fit: the gradient by '{name}' is no finite number though the loss is; dynamics "
                "that blow it up want gradients.Reverse(horizon=...) or "
                "gradients.EvolutionStrategy(), and a root or logarithm of 0 another formula."
            )
        if not np.asarray(slopes).any():
            warnings.warn(
                f"fit: the loss does not depend on '{name}' here: its gradient is 0. Look at "
                "whether the objective sees it (its monitor, variable and duration), and whether "
                "the start is where a bound or a saturated function holds the state.",
                stacklevel=5,
            )


def _tell_explosion(history: History, losses, norms) -> None:
    # Near the end of a fit a loss may be 0, and at a start that is its end, too.
    size = np.abs(history.losses[0]) + np.abs(losses) + _NO_LOSS
    if history.exploded or not (norms / _EXPLODED > size).any():
        return
    history.exploded = True
    warnings.warn(
        f"fit: a gradient of length {np.nanmax(norms):.2g} for a loss of {losses[0]:.2g}: it "
        "explodes, as it does where the dynamics are chaotic or unstable for long; "
        "`gradient_growth` tells from when on. Use gradients.Reverse(horizon=...), "
        "gradients.EvolutionStrategy(), shorter runs, or optax.clip_by_global_norm.",
        stacklevel=5,
    )


def _tell_end(state: State) -> None:
    warnings.warn(
        f"fit: at step {int(state.step) - 1} the loss or the gradient of every start became NaN; "
        "the best positions until then are in the result. Lower the learning rate, use narrower "
        "supports or a smaller dt.",
        stacklevel=5,
    )


def _tell_still(history: History) -> None:
    losses = np.stack(history.losses)
    losses = losses[:, np.isfinite(losses[0])]
    fell = np.nanmin(losses, axis=0) < losses[0]
    climbed = (np.nanmax(losses, axis=0) > losses[0]).any()
    if climbed and not fell.any() and not history.exploded:
        warnings.warn(
            f"fit: no step's loss was below that of its start, {losses[0].min():.4g}, and the last "
            f"is {losses[-1].min():.4g}; the result is the start itself. Lower the learning rate.",
            stacklevel=5,
        )
    moved = np.nanmax(losses, axis=0) - np.nanmin(losses, axis=0)
    if len(losses) > 5 and (moved <= 1e-6 * np.abs(losses[0])).all():
        warnings.warn(
            f"fit: the loss did not move from {losses[0, 0]:.4g} in {len(losses)} steps; raise the "
            "learning rate, start elsewhere (starts=), or look at whether the objective sees what "
            "is free.",
            stacklevel=5,
        )
