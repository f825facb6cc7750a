"""Lyapunov exponents of one node: Runge and Kutta's steps of state and tangent vectors, and QR.

The exponents are exactly those of the discrete map that the steps are. In float64 throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from .emit import Model
from .equilibria import depends_on_time, node_inputs, node_params

_OFF_CENTRE = 0.618  # of the initial ranges: their middle is often a fixed point


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """How fast near trajectories part, along as many directions as there are exponents.

    `exponents`: (exponent,), per ms, descending; `errors`: their standard errors, from the blocks;
    `blocks`: (block, exponent), their means over parts of the run. `state`: (state,), the last one.
    """

    exponents: np.ndarray
    errors: np.ndarray
    blocks: np.ndarray = field(repr=False)
    state: np.ndarray

    @property
    def dimension(self) -> float:
        """Kaplan and Yorke's dimension of the attractor, at most the number of exponents."""
        total = np.cumsum(self.exponents)
        if total[0] < 0.0:
            return 0.0
        whole = int(np.flatnonzero(total >= 0.0)[-1]) + 1
        if whole == len(total):
            return float(whole)
        return float(whole + total[whole - 1] / abs(self.exponents[whole]))


def lyapunov_spectrum(
    model: Model,
    duration: float | int,
    *,
    dt: float | int = 0.01,
    transient: float | int | None = None,
    exponents: int | None = None,
    start: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    params: Mapping[str, Any] | None = None,
    blocks: int = 20,
) -> LyapunovSpectrum:
    """The Lyapunov exponents of one node under constant inputs, per ms, with their errors.

    `duration`, `dt`: ms; `transient`: ms before it, in which state and tangents settle, by default
    a fifth of the duration. `exponents`: how many, the largest ones; by default all. `start`:
    (state,), by default a point of the initial ranges beside their middle. `inputs`: (input,), 0 by
    default; `params`: scalars, in place of the model's. `blocks`: into how many parts to divide the
    run for the standard error; each should be long against the times of the dynamics.

    Clamps are applied after each step, as in a simulation. Raises ValueError for what does not fit
    and where the run diverges.
    """
    if depends_on_time(model):
        raise ValueError(
            f"lyapunov_spectrum: {model.name} depends on the time t; the exponents are those of "
            "equations without it."
        )
    size = len(model.state_variables)
    count = size if exponents is None else exponents
    if not isinstance(count, int) or not 1 <= count <= size:
        raise ValueError(f"lyapunov_spectrum: exponents = {count}; {model.name} has 1 to {size}.")
    before = duration / 5 if transient is None else transient
    good = np.isfinite([dt, duration, before]).all() and dt > 0.0 and before >= 0.0
    good = good and isinstance(blocks, int) and blocks >= 2
    steps, settling = (round(duration / dt / blocks), round(before / dt)) if good else (0, 0)
    if steps < 1:
        raise ValueError(
            f"lyapunov_spectrum: duration = {duration}, dt = {dt}, transient = {before}, "
            f"blocks = {blocks}; pass dt > 0, transient >= 0, all finite, and 2 blocks or more, "
            "each of a step."
        )
    if start is None:
        low, high = np.array(model.initial_range, dtype=float).T
        start = low + _OFF_CENTRE * (high - low)
    first = np.asarray(start, float)
    if first.shape != (size,):
        raise ValueError(
            f"lyapunov_spectrum: start has the shape {first.shape}; pass one number for each of "
            f"{model.state_variables}."
        )
    given = node_inputs(model, inputs, "lyapunov_spectrum")
    values = node_params(model, params, "lyapunov_spectrum")
    with jax.enable_x64(True):
        arguments = (model, jnp.asarray(first), given, values, float(dt))
        rates, last = _stretching(*arguments, count, settling, steps, blocks)
        rates, last = np.asarray(rates), np.asarray(last)
    if not np.isfinite(last).all():
        raise ValueError(
            f"lyapunov_spectrum: {model.name} diverged; lower dt = {dt:g} or start elsewhere."
        )
    if not np.isfinite(rates).all():
        raise ValueError(
            f"lyapunov_spectrum: the state of {model.name} met its bounds, where trajectories "
            "become one; its exponents are not defined."
        )
    # A QR decomposition orders them but for sampling.
    rates = rates[:, np.argsort(-rates.mean(axis=0), kind="stable")]
    return LyapunovSpectrum(
        rates.mean(axis=0), rates.std(axis=0, ddof=1) / np.sqrt(blocks), rates, last
    )


@partial(jax.jit, static_argnums=(5, 6, 7, 8))
def _stretching(model, first, inputs, params, dt, count, settling, steps, blocks):
    """Per block, the mean logarithms of the stretching by QR, per ms; and the last state."""
    low, high = jnp.asarray(np.asarray(model.bounds, dtype=float).T)

    def moved(state):
        def change(at):
            return model.dfun(at, inputs, params)

        k1 = change(state)
        k2 = change(state + 0.5 * dt * k1)
        k3 = change(state + 0.5 * dt * k2)
        k4 = change(state + dt * k3)
        return jnp.clip(state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), low, high)

    def step(carry, _):
        state, frame, total = carry
        after, tangents = jax.linearize(moved, state)
        frame, triangle = jnp.linalg.qr(jax.vmap(tangents, in_axes=1, out_axes=1)(frame))
        return (after, frame, total + jnp.log(jnp.abs(jnp.diag(triangle)))), None

    def block(carry, _):
        state, frame = carry
        whole = (state, frame, jnp.zeros(count))
        state, frame, total = jax.lax.scan(step, whole, length=steps)[0]
        return (state, frame), total / (steps * dt)

    # A frame at random would do; this one is no eigenvector of what models are made of.
    frame = jnp.linalg.qr(jnp.asarray(np.random.default_rng(0).normal(size=(len(first), count))))[0]
    start = (first, frame, jnp.zeros(count))
    state, frame, _ = jax.lax.scan(step, start, length=settling)[0]
    (state, _), rates = jax.lax.scan(block, (state, frame), length=blocks)
    return rates, state
