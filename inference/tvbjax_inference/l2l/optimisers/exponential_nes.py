"""Exponential natural evolution strategy: a normal distribution of any shape, by natural gradients.

Glasmachers, Schaul, Yi, Wierstra & Schmidhuber (2010), GECCO, p. 393; Wierstra, Schaul,
Glasmachers, Sun, Peters & Schmidhuber (2014), J. Mach. Learn. Res. 15:949, algorithm 5 and table 1.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, as_optional_hyper
from tvbjax_inference.l2l.optimisers.populations import frozen
from tvbjax_inference.l2l.optimisers.shaping import is_over, shaped, symmetric_exponential


class _State(eqx.Module):
    """`shape`: of determinant 1; steps are `sigma` times it times normal numbers."""

    mean: Float[Array, " width"]
    sigma: Float[Array, ""]
    shape: Float[Array, "width width"]


class ExponentialNes(AbstractOptimiser):
    """xNES. `size`: candidates in a generation, by default 4 + 3 ln(width). `sigma`: the first
    deviation, in those of the space. `mean_rate`, `sigma_rate`, `shape_rate`: learning rates; by
    default 1 and the paper's 3 (3 + ln width) / (5 width^1.5)."""

    size: int | None = eqx.field(static=True, default=None)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)
    mean_rate: Array = eqx.field(converter=as_hyper, default=1.0)
    sigma_rate: Array | None = eqx.field(converter=as_optional_hyper, default=None)
    shape_rate: Array | None = eqx.field(converter=as_optional_hyper, default=None)

    stops_when = "the distribution is too narrow to change a loss, too thin, or beyond all measure"

    def __check_init__(self):
        if self.size is not None:
            check_count("ExponentialNes: size", self.size, 2)

    def population(self, space):
        return self.size or 4 + int(3 * math.log(space.width))

    def begin(self, space, start, key):
        sigma = jnp.asarray(self.sigma, start.dtype)
        return _State(start, sigma, jnp.eye(space.width, dtype=start.dtype))

    def propose(self, space, inner, key):
        drawn = jr.normal(key, (self.population(space), space.width), inner.mean.dtype)
        steps = matmul(inner.sigma * drawn, inner.shape.T)
        return inner.mean[None] + _scale(space, inner)[None] * steps, inner

    def learn(self, space, inner, candidates, evaluations, key):
        width, scale = space.width, _scale(space, inner)
        usual = 3.0 * (3.0 + math.log(width)) / (5.0 * width**1.5)
        moved = (candidates - inner.mean[None]) / (inner.sigma * scale[None])
        drawn = jnp.linalg.solve(inner.shape, moved.T).T
        shares = shaped(evaluations.losses)
        whole = matmul((shares[:, None] * drawn).T, drawn) - jnp.sum(shares) * jnp.eye(width)
        wider = jnp.trace(whole) / width
        bent = whole - wider * jnp.eye(width)
        sigma_rate = usual if self.sigma_rate is None else self.sigma_rate
        shape_rate = usual if self.shape_rate is None else self.shape_rate
        step = matmul(inner.shape, matmul(shares, drawn))
        after = _State(
            mean=inner.mean + self.mean_rate * inner.sigma * scale * step,
            sigma=inner.sigma * jnp.exp(0.5 * sigma_rate * wider),
            shape=matmul(
                inner.shape, symmetric_exponential(0.5 * shape_rate * 0.5 * (bent + bent.T))
            ),
        )
        return frozen(self.exhausted(space, inner), inner, after)

    def exhausted(self, space, inner):
        lengths = jnp.linalg.norm(inner.shape, axis=0)
        thin = jnp.linalg.norm(inner.shape) * jnp.linalg.norm(jnp.linalg.inv(inner.shape))
        limit = 0.1 / jnp.finfo(inner.mean.dtype).eps ** 0.5
        return is_over(inner.sigma * lengths, jnp.full_like(lengths, self.sigma)) | (thin > limit)


def _scale(space, inner) -> Float[Array, " width"]:
    return jnp.asarray(space.deviations, inner.mean.dtype)
