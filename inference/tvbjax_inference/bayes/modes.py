"""The posterior's modes: L-BFGS from several starts, then Newton's method in a trust region, and
the normal approximation there (Laplace's).

L-BFGS alone stops tens of nats below a mode where some directions are a thousand times narrower
than others, and the curvature where it stops is not the mode's.
"""

import dataclasses
import warnings
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

from tvbjax.ensemble import workers
from tvbjax_inference.bayes.flat import Flat

# In nats: modes this far below the best have e^-10 of its weight or less.
NEGLIGIBLE = 10.0

# Two positions are one mode within this many deviations of it.
_NEAR = 0.5

# What is flatter than the prior by far, or curved upwards, is as wide as this.
_LEAST_CURVATURE = 0.5

_HUGE = 1e15


@dataclasses.dataclass(frozen=True, eq=False)
class Mode:
    """`position`: in unbounded numbers. `log_density`: there, up to the constant of all modes.
    `scale`: a square root of the inverse Hessian, whose curvatures are floored. `log_evidence`:
    Laplace's, up to the same constant. `converged`: whether the gradient is small in its own
    deviations."""

    position: Float[np.ndarray, " number"]
    log_density: float
    scale: Float[np.ndarray, "number number"]
    log_evidence: float
    converged: bool

    @property
    def covariance(self) -> Float[np.ndarray, "number number"]:
        """Of the normal approximation."""
        return self.scale @ self.scale.T


def find_modes(flat: Flat, key: Array, starts: int) -> tuple[Mode, ...]:
    """Modes within 10 nats of the best, the best first. The first start is the priors' medians, the
    others lie about it by draws from the prior, half as far.

    Raises `ValueError` in single precision, in which Hessians are no good, and where no start has
    a finite density.
    """
    if jnp.result_type(float) != jnp.float64:
        raise ValueError(
            "sample: JAX works in single precision, in which the curvature of a posterior is "
            "lost to rounding; begin your program with jax.config.update('jax_enable_x64', True)."
        )
    search = _Search(flat)
    begins = [np.asarray(flat.start, float)]
    for one in jr.split(key, max(0, starts - 1)):
        begins.append(begins[0] + 0.5 * np.asarray(jr.normal(one, (flat.size,))))
    with ThreadPoolExecutor(workers()) as pool:
        ends = [end for end in pool.map(search.climb, begins) if end is not None]
    if not ends:
        raise ValueError(
            f"sample: the density is no finite number at any of {starts} starts; look at the "
            "priors: a run must be finite where they say, and data possible."
        )
    ends.sort(key=lambda end: end.fun)
    found: list[Mode] = []
    for end in ends:
        near = end.fun - ends[0].fun < NEGLIGIBLE
        if near and not any(_is(mode, end.x) for mode in found):
            found.append(search.mode(end.x, float(end.fun)))
    return tuple(found)


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
        """The mode above a start; None where there is no finite density."""
        if self.value(start)[0] >= _HUGE:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            limits = {"maxiter": 2000, "maxfun": 2500, "maxcor": 30}
            near = scipy.optimize.minimize(
                self.value, start, jac=True, method="L-BFGS-B", options=limits
            )
            return scipy.optimize.minimize(
                self.value,
                near.x,
                jac=True,
                hess=self.hessian,
                method="trust-exact",
                options={"maxiter": 100, "gtol": 1e-4},
            )

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
        return Mode(position, -potential, scale, float(evidence), small)
