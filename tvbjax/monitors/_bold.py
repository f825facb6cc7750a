"""The BOLD signal as a convolution of neural activity with a haemodynamic kernel.

The neural signal is averaged over a few ms, and those means are convolved. Differs from TVB, whose
sum lacks the time step, lags by one slot and starts from an empty stock: here the integral is in
seconds, every mean meets the kernel at its own age, and before t = 0 the activity is that of t = 0.
"""

import abc
import math

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats, is_traced
from tvbjax.monitors._monitor import AbstractMonitor, period_ends
from tvbjax.monitors._sampling import chosen_variables
from tvbjax.monitors._windows import add_block, close_windows, open_windows

_INTERIM = 4.0  # ms: TVB's sampling of the neural signal, far below the kernel's time scales


class AbstractKernel(eqx.Module):
    """A haemodynamic response: the kernel, and what is observed of the convolution.

    `length`: s, after which the kernel is taken as zero.
    """

    length: eqx.AbstractVar[float]

    @abc.abstractmethod
    def response(self, age: Float[Array, " age"]) -> Float[Array, " age"]:
        """The kernel in 1/s at ages in s."""

    @abc.abstractmethod
    def signal(self, convolved: Array) -> Array:
        """BOLD of the convolved activity."""


class FirstOrderVolterra(AbstractKernel):
    """The first-order Volterra kernel of the haemodynamic model:
    `1/3 exp(-t / (2 tau_s)) sin(w t) / w`, `w = sqrt(1/tau_f - 1/(4 tau_s^2))`, and
    `BOLD = k1 V0 (conv - 1)`.

    `tau_s`, `tau_f`: s, signal decay and feedback. `k1`, `V0`: 1.
    Friston et al. (2000), NeuroImage 12:466; constants as in TVB.
    """

    tau_s: Array = eqx.field(default=0.8, converter=as_floats)
    tau_f: Array = eqx.field(default=0.4, converter=as_floats)
    k1: Array = eqx.field(default=5.6, converter=as_floats)
    V0: Array = eqx.field(default=0.02, converter=as_floats)
    length: float = eqx.field(default=20.0, static=True)

    def __check_init__(self):
        if not is_traced((self.tau_s, self.tau_f)) and not 0 < self.tau_f < 4 * self.tau_s**2:
            raise ValueError(
                f"FirstOrderVolterra: tau_f = {self.tau_f} s and tau_s = {self.tau_s} s give no "
                "oscillation; the kernel needs 0 < tau_f < 4 tau_s^2."
            )

    def response(self, age):
        frequency = jnp.sqrt(1.0 / self.tau_f - 1.0 / (4.0 * self.tau_s**2))
        decay = jnp.exp(-age / (2.0 * self.tau_s))
        return decay * jnp.sin(frequency * age) / frequency / 3.0

    def signal(self, convolved):
        return self.k1 * self.V0 * (convolved - 1.0)


class Bold(AbstractMonitor):
    """BOLD every `period` ms (the repetition time), stamped at the end of the period, `s dt`.

    Nothing of the trajectory is kept but the means over about 4 ms of the kernel's length.
    """

    period: float = eqx.field(default=2000.0, static=True, converter=float)
    variables: tuple[str, ...] | None = eqx.field(
        default=None, static=True, converter=chosen_variables
    )
    kernel: AbstractKernel = eqx.field(default_factory=FirstOrderVolterra)
    name: str = eqx.field(default="bold", static=True)

    @property
    def pointwise(self) -> bool:
        return True

    def window_steps(self, dt: float) -> int:
        """Steps in one mean of the signal: the period's largest divisor up to 4 ms."""
        period = self.period_steps(dt)
        longest = max(1, min(period, math.floor(_INTERIM / dt + 1e-9)))
        return next(n for n in range(longest, 0, -1) if period % n == 0)

    def start(self, observed, dt):
        age = self._stock_length(dt)
        stock = jnp.broadcast_to(observed, (age, *observed.shape))
        return jnp.zeros_like(observed), stock

    def open(self, carried, chunk):
        return open_windows(carried[0], self.window_steps(chunk.dt), chunk)

    def update(self, buffer, block, offset, chunk):
        return add_block(buffer, block, offset, self.window_steps(chunk.dt), chunk)

    def close(self, carried, buffer, chunk):
        interim = self.window_steps(chunk.dt)
        per_sample = self.period_steps(chunk.dt) // interim
        unfinished, sums, finished = close_windows(buffer, interim, chunk)
        stock = jnp.concatenate([carried[1], sums / interim])
        age = self._stock_length(chunk.dt)
        weights = self._weights(chunk.dt, stock.dtype)

        def sample(end):
            window = lax.dynamic_slice_in_dim(stock, end, age, axis=0)
            return self.kernel.signal(
                jnp.tensordot(weights, window, axes=1, precision=lax.Precision.HIGHEST)
            )

        before = chunk.first // interim % per_sample
        most = (sums.shape[0] + per_sample - 1) // per_sample
        ends = per_sample * jnp.arange(1, most + 1, dtype=jnp.int32) - before
        newest = lax.dynamic_slice_in_dim(stock, finished, age, axis=0)
        return (unfinished, newest), lax.map(sample, ends)

    def times(self, first, steps, dt):
        return period_ends(first, steps, self.period_steps(dt)) * dt

    def _stock_length(self, dt: float) -> int:
        return math.ceil(1e3 * self.kernel.length / (dt * self.window_steps(dt)))

    def _weights(self, dt: float, dtype) -> Float[Array, " age"]:
        """Kernel times step, oldest first: midpoint rule, each mean at the age of its centre."""
        interim = 1e-3 * dt * self.window_steps(dt)
        ages = interim * (jnp.arange(self._stock_length(dt), dtype=dtype)[::-1] + 0.5)
        return self.kernel.response(ages) * interim
