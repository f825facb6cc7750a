"""The BOLD signal as a convolution of neural activity with a haemodynamic kernel.

The neural signal is averaged over a few ms, and those means are convolved. Differs from TVB, whose
sum lacks the time step, lags by one slot and starts from an empty stock: here the integral is in
seconds, every mean meets the kernel at its own age, and before t = 0 the activity is that of the
history, and before that of its oldest row.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from tvbjax.kinds import check_kind
from tvbjax.monitors._arguments import as_time, chosen_variables
from tvbjax.monitors._interim import AbstractHaemodynamic, means_of_past, sample_ends
from tvbjax.monitors._kernels import AbstractKernel, FirstOrderVolterra
from tvbjax.monitors._windows import close_windows


class Bold(AbstractHaemodynamic):
    """BOLD every `period` ms (the repetition time), stamped at the end of the period, `s dt`.

    `kernel`: the haemodynamic response. `interim`: ms over which the activity is averaged first, by
    default the period's largest divisor up to 4 ms. Nothing of the trajectory is kept but those
    means over the kernel's length.
    """

    period: float = eqx.field(default=2000.0, static=True, converter=as_time)
    variables: tuple[str, ...] | None = eqx.field(
        default=None, static=True, converter=chosen_variables
    )
    kernel: AbstractKernel = eqx.field(default_factory=FirstOrderVolterra)
    name: str = eqx.field(default="bold", static=True)
    interim: float | None = eqx.field(default=None, static=True, converter=as_time)

    def __check_init__(self):
        check_kind("Bold: kernel", self.kernel, AbstractKernel, "monitors.Gamma()")

    @property
    def pointwise(self) -> bool:
        return all(jnp.ndim(leaf) == 0 for leaf in jax.tree.leaves(self.kernel))

    def check(self, nodes, dt):
        AbstractHaemodynamic.check(self, nodes, dt)
        for name in self.kernel.regional:
            shape = jnp.shape(getattr(self.kernel, name))
            if shape not in ((), (nodes,)):
                raise ValueError(
                    f"Bold: {name} of {type(self.kernel).__name__} has the shape {shape}; give one "
                    f"number, or one value for each of the {nodes} nodes."
                )
        length, mean = 1e3 * self.kernel.length, dt * self.window_steps(dt)
        if length < (1.0 - 1e-6) * mean:
            raise ValueError(
                f"Bold: the kernel's length of {length:.10g} ms is shorter than one mean of the "
                f"activity, {mean:.10g} ms; give a longer kernel ({type(self.kernel).__name__}"
                "(length=), in s), or a shorter interim, in ms."
            )

    def start(self, past, dt):
        age = self._stock_length(dt)
        means = means_of_past(past, self.window_steps(dt))[-age:]
        older = jnp.broadcast_to(past[:1], (age - len(means), *past.shape[1:]))
        return jnp.zeros_like(past[-1]), jnp.concatenate([older, means])

    def close(self, carried, buffer, chunk):
        interim = self.window_steps(chunk.dt)
        unfinished, sums, finished = close_windows(buffer, interim, chunk)
        stock = jnp.concatenate([carried[1], sums / interim])
        age = self._stock_length(chunk.dt)
        weights = self._weights(chunk.dt, stock.dtype)

        def sample(end):
            window = lax.dynamic_slice_in_dim(stock, end, age, axis=0)
            return self.kernel.signal(
                jnp.tensordot(weights, window, axes=1, precision=lax.Precision.HIGHEST)
            )

        per_sample = self.period_steps(chunk.dt) // interim
        ends = sample_ends(chunk, interim, per_sample, sums.shape[0])
        newest = lax.dynamic_slice_in_dim(stock, finished, age, axis=0)
        return (unfinished, newest), lax.map(sample, ends)

    def _stock_length(self, dt: float) -> int:
        return math.ceil(1e3 * self.kernel.length / (dt * self.window_steps(dt)))

    def _weights(self, dt: float, dtype) -> Float[Array, " age"]:
        """Kernel times step, oldest first: midpoint rule, each mean at the age of its centre."""
        interim = 1e-3 * dt * self.window_steps(dt)
        ages = interim * (jnp.arange(self._stock_length(dt), dtype=dtype)[::-1] + 0.5)
        return self.kernel.response(ages) * interim
