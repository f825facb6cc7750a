"""Ensemble Kalman inversion: candidates move by how they and what they simulate vary together.

Iglesias, Law & Stuart (2013), Inverse Problems 29:045001, equations 6 to 10. Needs what was
simulated, not its misfit alone, and no gradient.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper
from tvbjax_inference.l2l.optimisers.collapse import collapsed
from tvbjax_inference.l2l.optimisers.metropolis import chosen


class AbstractKalmanSteps(eqx.Module):
    """How much of the data each generation takes in; all of it once is a sum of 1."""

    @abc.abstractmethod
    def step(
        self,
        time: Float[Array, ""],
        misfits: Float[Array, " member"],
        fine: Bool[Array, " member"],
        outputs: int,
    ) -> Float[Array, ""]:
        """After a sum of `time`, for misfits of the ensemble of which those that failed count
        nothing."""

    @abc.abstractmethod
    def over(self, time: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether all data have been taken in."""


class FixedSteps(AbstractKalmanSteps):
    """Equal steps without end: the ensemble passes through the posterior, at a sum of 1, and goes
    on to the least misfit."""

    size: Array = eqx.field(converter=as_hyper, default=1.0)

    def step(self, time, misfits, fine, outputs):
        return self.size

    def over(self, time):
        return jnp.asarray(False)


class MisfitSteps(AbstractKalmanSteps):
    """Steps by the data misfit controller, that sum to `total`: 1 for the posterior.

    Iglesias & Yang (2021), Inverse Problems 37:025008, equation 36 and algorithm 1.
    """

    total: Array = eqx.field(converter=as_hyper, default=1.0)

    def step(self, time, misfits, fine, outputs):
        count = jnp.maximum(fine.sum(), 1).astype(misfits.dtype)
        values = jnp.where(fine, misfits, 0.0)
        mean = values.sum() / count
        variance = jnp.where(fine, (misfits - mean) ** 2, 0.0).sum() / count
        least = jnp.finfo(misfits.dtype).tiny
        by_mean = outputs / (2.0 * jnp.maximum(mean, least))
        by_variance = jnp.sqrt(outputs / (2.0 * jnp.maximum(variance, least)))
        return jnp.minimum(jnp.maximum(by_mean, by_variance), self.total - time)

    def over(self, time):
        return time >= self.total * (1.0 - 8.0 * jnp.finfo(time.dtype).eps)


class _State(eqx.Module):
    members: Float[Array, "member width"]
    time: Float[Array, ""]


class EnsembleKalman(AbstractOptimiser):
    """Ensemble Kalman inversion of `data` = outputs + noise of `covariance`.

    `data`: (output,), in the outputs' units. `covariance`: (output, output), or (output,)
    variances. `size`: members. `steps`: `MisfitSteps()` or `FixedSteps(size)`. The ensemble begins
    as a normal distribution about the start with `sigma` of the space's deviations, in coordinates:
    that is the prior. `square_root`: the ensemble's mean and covariance are moved, without random
    numbers (Whitaker & Hamill 2002, Mon. Weather Rev. 130:1913, equation 10), in place of each
    member by data perturbed anew. What failed is drawn anew from where the others went.
    """

    data: Float[Array, " output"] = eqx.field(converter=as_hyper)
    covariance: Float[Array, "output *output"] = eqx.field(converter=as_hyper)
    size: int = eqx.field(static=True, default=100)
    steps: AbstractKalmanSteps = eqx.field(default_factory=MisfitSteps)
    square_root: bool = eqx.field(static=True, default=False)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)

    needs_outputs = True
    needs_continuous = True
    stops_when = "all data have been taken in, or all members are the same"

    def __check_init__(self):
        check_count("EnsembleKalman: size", self.size, 2)
        check_kind("EnsembleKalman: steps", self.steps, AbstractKalmanSteps, "MisfitSteps()")
        count = self.data.shape
        if len(count) != 1 or self.covariance.shape not in (count, count * 2):
            raise ValueError(
                f"EnsembleKalman: data have the shape {count} and their covariance "
                f"{self.covariance.shape}; give (output,) and (output, output), or (output,) for "
                "variances."
            )

    @property
    def outputs(self):
        return len(self.data)

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        steps = jr.normal(key, (self.size, space.width), start.dtype)
        deviations = self.sigma * jnp.asarray(space.deviations, start.dtype)
        return _State(start[None] + deviations[None] * steps, jnp.zeros((), start.dtype))

    def propose(self, space, inner, key):
        return inner.members, inner

    def learn(self, space, inner, candidates, evaluations, key):
        outputs = evaluations.outputs
        assert outputs is not None  # `tell` has seen to it
        if outputs.shape[1:] != self.data.shape:
            raise ValueError(
                f"EnsembleKalman: a candidate has {outputs.shape[1]} outputs and there are "
                f"{len(self.data)} data; return as many, Evaluated(loss, outputs=...)."
            )
        fine = jnp.isfinite(evaluations.losses) & jnp.isfinite(outputs).all(axis=1)
        residuals = self._white(jnp.where(fine[:, None], self.data[None] - outputs, 0.0))
        misfits = 0.5 * (residuals**2).sum(axis=1)
        step = self.steps.step(inner.time, misfits, fine, len(self.data))
        moved = self._moved(candidates, jnp.sqrt(step) * residuals, fine, key)
        # One member alone does not vary with anything.
        anything = (fine.sum() >= 2) & (step > 0.0)
        return _State(
            jnp.where(anything, moved, candidates),
            jnp.where(anything, inner.time + step, inner.time),
        )

    def exhausted(self, space, inner):
        spread = jnp.std(inner.members, axis=0)
        same = collapsed(spread, jnp.asarray(space.deviations, spread.dtype))
        return self.steps.over(inner.time) | same

    def misfit(self, outputs: Float[Array, " output"]) -> Float[Array, ""]:
        """Half the squared distance of outputs from data in units of the noise: a loss to give."""
        return 0.5 * (self._white((self.data - outputs)[None]) ** 2).sum()

    def _white(self, residuals: Float[Array, "member output"]) -> Float[Array, "member output"]:
        if self.covariance.ndim == 1:
            return residuals / jnp.sqrt(self.covariance)[None]
        return solve_triangular(jnp.linalg.cholesky(self.covariance), residuals.T, lower=True).T

    def _moved(self, members, residuals, fine, key):
        """Members after one step, for residuals (data - outputs) in units of the step's noise."""
        count = jnp.maximum(fine.sum(), 2).astype(members.dtype)
        mask = fine[:, None].astype(members.dtype)

        def centred(values):
            mean = (mask * values).sum(axis=0) / count
            return mean, mask * (values - mean[None])

        mean, apart = centred(members)
        residual, varied = centred(residuals)
        # Outputs vary as residuals do, with the other sign. A thin decomposition serves many
        # outputs and many members alike: the gain has no part beyond what varies.
        left, values, right = jnp.linalg.svd(-varied / jnp.sqrt(count - 1.0), full_matrices=False)
        across = matmul(apart.T, left) / jnp.sqrt(count - 1.0)
        perturb, redraw = jr.split(key)
        whole = across * (values / (1.0 + values**2))[None]
        if self.square_root:
            root = jnp.sqrt(1.0 + values**2)
            reduced = across * (values / (root * (root + 1.0)))[None]
            centre = mean + matmul(whole, matmul(right, residual))
            moved = centre[None] + apart + matmul(matmul(varied, right.T), reduced.T)
        else:
            noise = jr.normal(perturb, residuals.shape, residuals.dtype)
            moved = members + matmul(matmul(residuals + noise, right.T), whole.T)
        return chosen(fine)(moved, self._redrawn(moved, mask, count, redraw))

    def _redrawn(self, moved, mask, count, key):
        """Draws from the normal distribution that the moved members have."""
        mean = (mask * moved).sum(axis=0) / count
        apart = mask * (moved - mean[None])
        # A root of the members' covariance, of as many rows as it has rank.
        root = jnp.linalg.qr(apart, mode="r") / jnp.sqrt(count - 1.0)
        steps = jr.normal(key, (len(moved), len(root)), moved.dtype)
        return mean[None] + matmul(steps, root)
