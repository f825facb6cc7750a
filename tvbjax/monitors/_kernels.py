"""Haemodynamic responses: kernels that neural activity is convolved with."""

import abc
import dataclasses
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from tvbjax.arrays import as_numbers, is_traced
from tvbjax.kinds import check_kind
from tvbjax.monitors._arguments import as_time, check_numbers


class AbstractKernel(eqx.Module):
    """A haemodynamic response: the kernel, and what is observed of the convolution.

    `length`: s, after which the kernel is taken as zero. `regional`: the parameters that may have
    one value for every node; of the others there is one number.
    """

    regional: ClassVar[tuple[str, ...]] = ()
    length: eqx.AbstractVar[float]

    @abc.abstractmethod
    def response(self, age: Float[Array, " age"]) -> Float[Array, " age"]:
        """The kernel in 1/s at ages in s, > 0."""

    @abc.abstractmethod
    def signal(self, convolved: Array) -> Array:
        """BOLD of the convolved activity."""


class FirstOrderVolterra(AbstractKernel):
    """The first-order Volterra kernel of the haemodynamic model:
    `1/3 exp(-t / (2 tau_s)) sin(w t) / w`, `w = sqrt(1/tau_f - 1/(4 tau_s^2))`, and
    `BOLD = k1 V0 (conv - 1)`.

    `tau_s`, `tau_f`: s, signal decay and feedback. `k1`, `V0`: 1, or one value for every node.
    Friston et al. (2000), NeuroImage 12:466; constants as in TVB.
    """

    regional: ClassVar[tuple[str, ...]] = ("k1", "V0")
    tau_s: Array = eqx.field(default=0.8, converter=as_numbers)
    tau_f: Array = eqx.field(default=0.4, converter=as_numbers)
    k1: Array = eqx.field(default=5.6, converter=as_numbers)
    V0: Array = eqx.field(default=0.02, converter=as_numbers)
    length: float = eqx.field(default=20.0, static=True, converter=as_time)

    def __check_init__(self):
        _check_kernel(self)
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
        scale = self.k1 * self.V0
        if scale.ndim:
            scale = scale.reshape((1,) * (convolved.ndim - 1) + (-1,))
        return scale * (convolved - 1.0)


class Gamma(AbstractKernel):
    """A gamma function, `(t / tau)^(n-1) exp(-t / tau)`, scaled to the peak `a` (at (n-1) tau).

    `tau`: s. `n`: 1, > 1. `a`: 1/s. Boynton et al. (1996), J. Neurosci. 16:4207; constants as in
    TVB.
    """

    tau: Array = eqx.field(default=1.08, converter=as_numbers)
    n: Array = eqx.field(default=3.0, converter=as_numbers)
    a: Array = eqx.field(default=0.1, converter=as_numbers)
    length: float = eqx.field(default=20.0, static=True, converter=as_time)

    def __check_init__(self):
        _check_kernel(self)
        if not is_traced((self.tau, self.n)) and not (self.tau > 0 and self.n > 1):
            raise ValueError(
                f"Gamma: tau = {self.tau} s and n = {self.n}; the kernel needs tau > 0 and n > 1."
            )

    def response(self, age):
        order = self.n - 1.0
        at = age / (order * self.tau)  # 1 at the peak
        return self.a * jnp.exp(order * (jnp.log(at) + 1.0 - at))

    def signal(self, convolved):
        return convolved


class DoubleExponential(AbstractKernel):
    """A difference of two damped sines, `amp1 exp(-t / tau1) sin(2 pi f1 t) - amp2 exp(-t / tau2)
    sin(2 pi f2 t)`, scaled to the peak `a`.

    `tau1`, `tau2`: s. `f1`, `f2`: Hz. `amp1`, `amp2`: 1. `a`: 1/s. Polonsky et al. (2000), Nat.
    Neurosci. 3:1153; constants as in TVB.
    """

    tau1: Array = eqx.field(default=7.22, converter=as_numbers)
    f1: Array = eqx.field(default=0.03, converter=as_numbers)
    amp1: Array = eqx.field(default=0.1, converter=as_numbers)
    tau2: Array = eqx.field(default=7.4, converter=as_numbers)
    f2: Array = eqx.field(default=0.12, converter=as_numbers)
    amp2: Array = eqx.field(default=0.1, converter=as_numbers)
    a: Array = eqx.field(default=0.1, converter=as_numbers)
    length: float = eqx.field(default=20.0, static=True, converter=as_time)

    def __check_init__(self):
        _check_kernel(self)
        if not is_traced((self.tau1, self.tau2)) and not (self.tau1 > 0 and self.tau2 > 0):
            raise ValueError(
                f"DoubleExponential: tau1 = {self.tau1} s and tau2 = {self.tau2} s; both are > 0."
            )

    def response(self, age):
        grid = jnp.linspace(0.0, self.length, 4001, dtype=age.dtype)  # the peak has no closed form
        on_grid = self._plain(grid)  # by its place, not max(): see analysis.ks_distance
        return self.a * self._plain(age) / on_grid[jnp.argmax(on_grid)]

    def signal(self, convolved):
        return convolved

    def _plain(self, age):
        first = self.amp1 * jnp.exp(-age / self.tau1) * jnp.sin(2.0 * jnp.pi * self.f1 * age)
        second = self.amp2 * jnp.exp(-age / self.tau2) * jnp.sin(2.0 * jnp.pi * self.f2 * age)
        return first - second


class MixtureOfGammas(AbstractKernel):
    """A difference of two gamma densities, `(l t)^(a1-1) exp(-l t) / Gamma(a1) - c (l t)^(a2-1)
    exp(-l t) / Gamma(a2)`: a peak and an undershoot.

    `a1`, `a2`: 1, > 1. `l`: 1/s. `c`: 1. Glover (1999), NeuroImage 9:416; constants as in TVB.
    """

    a1: Array = eqx.field(default=6.0, converter=as_numbers)
    a2: Array = eqx.field(default=13.0, converter=as_numbers)
    l: Array = eqx.field(default=1.0, converter=as_numbers)  # noqa: E741 - the paper's and TVB's name
    c: Array = eqx.field(default=0.4, converter=as_numbers)
    length: float = eqx.field(default=32.0, static=True, converter=as_time)

    def __check_init__(self):
        _check_kernel(self)
        known = not is_traced((self.a1, self.a2, self.l))
        if known and not (self.a1 > 1 and self.a2 > 1 and self.l > 0):
            raise ValueError(
                f"MixtureOfGammas: a1 = {self.a1}, a2 = {self.a2}, l = {self.l} 1/s; the kernel "
                "needs a1 > 1, a2 > 1 and l > 0."
            )

    def response(self, age):
        logs = jnp.log(self.l * age)
        first = jnp.exp((self.a1 - 1.0) * logs - self.l * age - gammaln(self.a1))
        second = jnp.exp((self.a2 - 1.0) * logs - self.l * age - gammaln(self.a2))
        return first - self.c * second

    def signal(self, convolved):
        return convolved


def _check_kernel(kernel: AbstractKernel) -> None:
    """Its length and its parameters; how many nodes there are is known later."""
    who = type(kernel).__name__
    for field in dataclasses.fields(kernel):
        if field.name == "length":
            continue
        value = getattr(kernel, field.name)
        check_numbers(who, **{field.name: value})
        if field.name not in kernel.regional and jnp.shape(value) != ():
            raise ValueError(
                f"{who}: {field.name} has the shape {jnp.shape(value)}; give one number (for "
                "regional haemodynamics: monitors.BalloonWindkessel)."
            )
    check_kind(f"{who}: length", kernel.length, float, "20.0, in s")
    if not 0 < kernel.length < float("inf"):
        raise ValueError(f"{who}: length is {kernel.length!r} s; give a positive time.")
