"""The posterior's modes: L-BFGS from several starts, then Newton's method in a trust region, and
the normal approximation there (Laplace's).

Posteriors of networks that seize have many modes, hundreds of nats apart, in which other regions
discharge at other times: a few starts end in any of them. So there are many, half of them the best
of hundreds of draws from the prior, and only what ends near the best is followed further. L-BFGS
alone stops tens of nats below a mode where some directions are a thousand times narrower than
others, and the curvature where it stops is not the mode's.
"""

import dataclasses
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.optimize
from jax import lax
from jaxtyping import Array, Float

from tvbjax.ensemble import workers
from tvbjax_inference.bayes.flat import Flat

# In nats: modes this far below the best have e^-10 of its weight or less.
NEGLIGIBLE = 10.0

# What is this far below the best after a first climb, in nats, is not followed further.
_HOPELESS = 100.0

# Draws from the prior that are looked at for every start.
_SCREENED = 50

# How often a climb that got stuck begins again, and what it must have gained.
_AGAIN, _GAIN = 3, 1.0

# Two positions are one mode within this many deviations of it.
_NEAR = 0.5

# What is flatter than the prior by far, or curved upwards, is as wide as this.
_LEAST_CURVATURE = 0.5

_HUGE = 1e15

# How many positions are looked at side by side.
_BATCH = 50


@dataclasses.dataclass(frozen=True, eq=False)
class Mode:
    """`position`: in unbounded numbers. `log_density`: there, up to the constant of all modes.
    `scale`: a square root of the inverse Hessian, whose curvatures are floored. `log_evidence`:
    Laplace's, up to the same constant. `converged`: whether the gradient is small in its own
    deviations. `reached`: the share of the starts that ended there."""

    position: Float[np.ndarray, " number"]
    log_density: float
    scale: Float[np.ndarray, "number number"]
    log_evidence: float
    converged: bool
    reached: float

    @property
    def covariance(self) -> Float[np.ndarray, "number number"]:
        """Of the normal approximation."""
        return self.scale @ self.scale.T


def check_precision() -> None:
    """Raises `ValueError` in single precision."""
    if jnp.result_type(float) != jnp.float64:
        raise ValueError(
            "sample: JAX works in single precision, in which the curvature of a posterior is "
            "lost to rounding; begin your program with jax.config.update('jax_enable_x64', True)."
        )


def find_modes(flat: Flat, key: Array, starts: int) -> tuple[Mode, ...]:
    """Modes within 10 nats of the best, the best first. The first start is the priors' medians;
    then, in turns, the best of many draws from the prior, and draws about the medians that are half
    as wide.

    Raises `ValueError` in single precision, in which Hessians are no good, and where no start has
    a finite density.
    """
    check_precision()
    search = _Search(flat)
    begins = _begins(flat, key, starts)
    with ThreadPoolExecutor(workers()) as pool:
        climbed = [end for end in pool.map(search.climb, begins) if end is not None]
        if not climbed:
            raise ValueError(
                f"sample: the density is no finite number at any of {starts} starts; look at the "
                "priors: a run must be finite where they say, and data possible."
            )
        best = min(end.fun for end in climbed)
        near = [end.x for end in climbed if end.fun - best < _HOPELESS]
        ends = sorted(pool.map(search.polish, near), key=lambda end: end.fun)
    found: list[Mode] = []
    for end in ends:
        if end.fun - ends[0].fun < NEGLIGIBLE and not any(_is(mode, end.x) for mode in found):
            found.append(search.mode(end.x, float(end.fun)))
    hits = [sum(_is(mode, end.x) for end in ends) for mode in found]
    return tuple(
        dataclasses.replace(mode, reached=count / starts)
        for mode, count in zip(found, hits, strict=True)
    )


def _begins(flat: Flat, key: Array, starts: int) -> list[np.ndarray]:
    """Where climbs begin."""
    middle = np.asarray(flat.start, float)
    found = [middle]
    screened, about = jr.split(key)
    if starts > 1:
        keys = jr.split(screened, _SCREENED * starts)
        drawn = flat.compile("prior numbers", _over(flat.prior_numbers), keys)(keys)
        values = flat.compile(
            "screened",
            lambda x, data: _over(flat.potential_beside, data)(x),
            drawn,
            flat.data,
        )(drawn, flat.data)
        order = np.argsort(np.nan_to_num(np.asarray(values), nan=_HUGE, posinf=_HUGE))
        best = np.asarray(drawn, float)[order]
    for i, one in enumerate(jr.split(about, max(0, starts - 1))):
        wide = middle + 0.5 * np.asarray(jr.normal(one, (flat.size,)))
        found.append(wide if i % 2 else best[i // 2])
    return found


def _over(function: Callable, *more: Any) -> Callable:
    """A function of one position over many."""
    return lambda all_: lax.map(lambda one: function(one, *more), all_, batch_size=_BATCH)


def _is(mode: Mode, position: np.ndarray) -> bool:
    away = np.linalg.solve(mode.scale, position - mode.position)
    return float(np.sqrt(np.mean(away**2))) < _NEAR


class _Search:
    """Compiled once for all starts."""

    def __init__(self, flat: Flat):
        of, given = flat.potential_beside, (flat.start, flat.data)
        self.slope = flat.compile("slope", jax.value_and_grad(of), *given)
        self.curvature = flat.compile("curvature", jax.hessian(of), *given)
        self.size, self.data = flat.size, flat.data

    def value(self, position: np.ndarray) -> tuple[float, np.ndarray]:
        """Potential and gradient; what is not finite is a wall."""
        value, gradient = (
            np.asarray(x, float) for x in self.slope(jnp.asarray(position), self.data)
        )
        if np.isfinite(value) and np.isfinite(gradient).all():
            return float(value), gradient
        return _HUGE, np.zeros_like(gradient)

    def hessian(self, position: np.ndarray) -> np.ndarray:
        """A trust region asks for those of steps that it then refuses, where a run may diverge."""
        found = np.asarray(self.curvature(jnp.asarray(position), self.data), float)
        return found if np.isfinite(found).all() else np.eye(self.size) * 1e6

    def climb(self, start: np.ndarray) -> scipy.optimize.OptimizeResult | None:
        """Most of the way up from a start; None where there is no finite density."""
        if self.value(start)[0] >= _HUGE:
            return None
        return self._lbfgs(start, _AGAIN, maxiter=400, maxfun=600)

    def polish(self, near: np.ndarray) -> scipy.optimize.OptimizeResult:
        """The mode above a position that is near it."""
        near = self._lbfgs(near, _AGAIN, maxiter=2000, maxfun=2500).x
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return scipy.optimize.minimize(
                self.value,
                near,
                jac=True,
                hess=self.hessian,
                method="trust-exact",
                options={"maxiter": 100, "gtol": 1e-4},
            )

    def _lbfgs(self, start: np.ndarray, again: int, **limits) -> scipy.optimize.OptimizeResult:
        """Line searches end at cliffs, where another climb often goes on."""
        end = scipy.optimize.minimize(
            self.value, start, jac=True, method="L-BFGS-B", options=limits | {"maxcor": 30}
        )
        gained = self.value(start)[0] - end.fun
        return self._lbfgs(end.x, again - 1, **limits) if again and gained > _GAIN else end

    def mode(self, position: np.ndarray, potential: float) -> Mode:
        """The normal approximation at a mode."""
        hessian = self.hessian(position)
        curvatures, axes = np.linalg.eigh((hessian + hessian.T) / 2.0)
        curvatures = np.maximum(curvatures, _LEAST_CURVATURE)
        scale = axes / np.sqrt(curvatures)
        gradient = self.value(position)[1]
        evidence = -potential + 0.5 * (
            len(position) * np.log(2.0 * np.pi) - np.log(curvatures).sum()
        )
        small = float(np.linalg.norm(scale.T @ gradient)) < 0.1
        return Mode(position, -potential, scale, float(evidence), small, 0.0)
