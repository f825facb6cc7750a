"""Normal errors that are alike in space and in time, in the coordinates in which they are not.

Of data (time, channel) the covariance is

    noise^2 I  +  error^2 R (x) C  +  offset^2 I (x) 1 1'

with R of the channels (how alike they see an error of the model) and C of the samples: that of an
Ornstein-Uhlenbeck process between reflecting ends, whose eigenvectors are the cosines of the
DCT-II; the first of them is constant and is all that an offset moves. In the eigenvectors of R and
C every number is normal by itself, so that errors of the model and offsets cost nothing: they are
integrated out exactly.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Rotation(eqx.Module):
    """`modes`: cosines of time, a row each. `spectrum`: the variance of an error of deviation 1 in
    each. `channels`: eigenvectors of the channels, a column each. `shared`: the eigenvalues."""

    modes: Float[np.ndarray, "mode time"]
    spectrum: Float[np.ndarray, " mode"]
    channels: Float[np.ndarray, "channel channel"]
    shared: Float[np.ndarray, " channel"]

    def __call__(self, data: Float[Array | np.ndarray, "time channel"]) -> Array:
        """Data in these coordinates."""
        return jnp.asarray(self.modes) @ data @ jnp.asarray(self.channels)

    def back(
        self, rotated: Float[Array, "*draw mode channel"]
    ) -> Float[Array, "*draw time channel"]:
        """Data from these coordinates."""
        return jnp.asarray(self.modes.T) @ rotated @ jnp.asarray(self.channels.T)

    def variance(self, noise, error, offset: float) -> Float[Array, "mode channel"]:
        """Of every number. `error`: the deviation where R has the eigenvalue 1."""
        found = noise**2 + error**2 * jnp.asarray(np.outer(self.spectrum, self.shared))
        return found.at[0].add(len(self.modes) * offset**2)

    def offset(self, mean: float) -> Float[Array, " channel"]:
        """What an offset of `mean` in all channels is in the first mode."""
        return jnp.asarray(mean * np.sqrt(len(self.modes)) * self.channels.sum(axis=0))

    def left_out(self, residual: Array, variance: Array) -> Float[Array, " channel"]:
        """The log density of every channel given all others: of a normal distribution with
        precision P, that of r_i has the mean r_i - (P r)_i / P_ii and the variance 1 / P_ii.
        Bürkner, Gabry & Vehtari (2021), Computational Statistics 36:1243."""
        precision = (1.0 / variance) @ jnp.asarray(self.channels**2).T
        pulled = (residual / variance) @ jnp.asarray(self.channels).T
        log_density = jnp.log(precision) - jnp.log(2.0 * jnp.pi) - pulled**2 / precision
        return 0.5 * log_density.sum(axis=0)


def cosines(samples: int) -> Float[np.ndarray, "mode time"]:
    """The orthonormal cosines of the DCT-II."""
    time = (np.arange(samples) + 0.5) / samples
    found = np.sqrt(2.0 / samples) * np.cos(np.pi * np.outer(np.arange(samples), time))
    found[0] = 1.0 / np.sqrt(samples)
    return found


def spectrum(samples: int, correlation: float) -> Float[np.ndarray, " mode"]:
    """Of an Ornstein-Uhlenbeck process of variance 1, on average over the samples, with this
    correlation time in samples: 1 / (1 + w^2 correlation^2) for a cosine of frequency w."""
    frequency = np.pi * np.arange(samples) / samples
    found = 1.0 / (1.0 + (correlation * frequency) ** 2)
    return found * samples / found.sum()
