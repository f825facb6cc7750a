"""Noise: the increments that an integrator adds to the state.

A random number depends on the key, the absolute number of its step, the state variable and the
region alone, so that blocks, chunks, tiles and devices never change a result. Coloured noise has a
memory, which is carried.

With multiplicative noise an integrator says which stochastic integral it takes: Euler, Heun and RK4
Itô's, as TVB does, StratonovichHeun Stratonovich's.
"""

import abc
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int

from tvbjax.arrays import as_floats
from tvbjax.generators import AbstractGenerator, Threefry


class AbstractNoise(eqx.Module):
    """Makes the increment of a step from standard normal numbers."""

    @property
    @abc.abstractmethod
    def draws_from(self) -> AbstractGenerator | None:
        """Where normal numbers come from, one for each step, state variable and region; None for
        noise that needs none."""

    @abc.abstractmethod
    def increment(
        self,
        normal: Float[Array, "state node"] | None,
        before: Float[Array, "state node"] | None,
        step: Int[Array, ""],
        dt: float,
        memory: Float[Array, "row node"],
    ) -> tuple[Float[Array, "state node"], Float[Array, "row node"]]:
        """The increment of step `step`, and what to remember of it.

        `normal`: the normal numbers of this step; `before`: of the step before step 0, for noise
        that remembers. `memory`: what was remembered of the step before, zeros at step 0.
        """

    def remembers(self, states: int) -> int:
        """The rows of the memory: 0, or the number of state variables."""
        return 0

    def gain(self, x: Float[Array, "state node"]) -> Float[Array, "state node"] | None:
        """What the increments are multiplied by at a state; None for additive noise."""
        return None

    @abc.abstractmethod
    def bind(self, variables: tuple[str, ...], nodes: int) -> "AbstractNoise":
        """The same noise, checked against a model's state variables and the number of regions."""

    @property
    def needs_key(self) -> bool:
        """Whether a random key must be given."""
        return self.draws_from is not None


def _intensity(value: ArrayLike | Sequence | Mapping[str, ArrayLike | Sequence]):
    if isinstance(value, Mapping):
        return {name: as_floats(intensity) for name, intensity in value.items()}
    return as_floats(value)


def _time(tau: ArrayLike | None):
    if tau is None:
        return None
    value = as_floats(tau)
    if value.ndim or not (isinstance(value, Tracer) or (value > 0 and np.isfinite(value))):
        raise ValueError(f"noise: tau is {tau!r}; give a positive time in ms, or none for white.")
    return value


def _checked_generator(generator: Any) -> AbstractGenerator:
    if not isinstance(generator, AbstractGenerator):
        raise TypeError(
            f"noise: the generator is {generator!r:.60}; give tvbjax.generators.Threefry() or "
            "tvbjax.generators.CounterHash()."
        )
    return generator


class _AbstractGaussian(AbstractNoise):
    """Normal increments of an intensity, white or coloured, before the gain."""

    nsig: eqx.AbstractVar[Array | dict[str, Array]]
    tau: eqx.AbstractVar[Array | None]
    generator: eqx.AbstractVar[AbstractGenerator]

    @property
    def draws_from(self):
        return self.generator

    def bind(self, variables, nodes):
        return dataclasses.replace(self, nsig=_resolved(self.nsig, variables, nodes))

    def remembers(self, states):
        return 0 if self.tau is None else states

    def increment(self, normal, before, step, dt, memory):
        if isinstance(self.nsig, dict) or normal is None:
            raise TypeError("noise: it must be bound to a model by a Simulator.")
        # No noise must have no gradient either, and that of a root at 0 is infinite.
        some = self.nsig > 0
        spread = jnp.where(some, jnp.sqrt(2.0 * jnp.where(some, self.nsig, 1.0)), 0.0)
        if self.tau is None:
            scale = math.sqrt(dt) * spread
            # Row by row, or a compiler reads the numbers one by one.
            return jnp.stack([scale[i] * row for i, row in enumerate(normal)]), memory
        # The process is in equilibrium from its start; no step has this number.
        eta = memory if before is None else jnp.where(step == 0, before, memory)
        kept = jnp.exp(-dt / self.tau)
        eta = kept * eta + jnp.sqrt(1.0 - kept**2) * normal
        return dt * (spread * jnp.sqrt(1.0 / self.tau)) * eta, eta


class Additive(_AbstractGaussian):
    """Additive noise of intensity `nsig`: white increments `sqrt(2 nsig dt) N(0, 1)`.

    `nsig` is a diffusion D (state unit squared per ms), as in TVB, not a standard deviation.
    Give a number (every state variable), a mapping from state variable to a number or to an array
    `(node,)` (others get no noise), or an array `(state, 1)` or `(state, node)`.
    `tau`: correlation time in ms of coloured noise, None for white. Coloured increments are
    `dt sqrt(2 nsig / tau) eta` with `eta` an Ornstein-Uhlenbeck process of variance 1, as in TVB;
    a slow variable sees them as white noise of twice the intensity `nsig`.
    Fox, Gatland, Roy & Vemuri (1988), Phys. Rev. A 38:5938.

    `generator`: `generators.Threefry()`, or `CounterHash()`, which is faster.
    """

    nsig: Array | dict[str, Array] = eqx.field(converter=_intensity)
    tau: Array | None = eqx.field(default=None, converter=_time)
    generator: AbstractGenerator = eqx.field(default_factory=Threefry, converter=_checked_generator)


class Multiplicative(_AbstractGaussian):
    """Noise whose strength depends on the state: increments `g(x) sqrt(2 nsig dt) N(0, 1)`.

    `g`: a JAX function of the state `(state, node)`, elementwise in regions; by default the state
    itself, as in TVB. `nsig`, `tau`, `generator`: as of `Additive`.
    """

    nsig: Array | dict[str, Array] = eqx.field(converter=_intensity)
    g: Callable[[Array], Array] = eqx.field(static=True, default=lambda x: x)
    tau: Array | None = eqx.field(default=None, converter=_time)
    generator: AbstractGenerator = eqx.field(default_factory=Threefry, converter=_checked_generator)

    def __check_init__(self):
        if not callable(self.g):
            raise TypeError(
                f"Multiplicative: g is {self.g!r:.60}; give a function of the state, e.g. "
                "lambda x: 0.5 * x."
            )

    def bind(self, variables, nodes):
        shape = len(variables), nodes
        try:
            found = jax.eval_shape(self.g, jax.ShapeDtypeStruct(shape, jnp.result_type(float)))
        except Exception as error:
            raise ValueError(
                f"Multiplicative: g fails on a state of {shape[0]} state variables and {nodes} "
                f"regions: {error}"
            ) from error
        if getattr(found, "shape", None) not in (shape, ()):
            raise ValueError(
                f"Multiplicative: g gives the shape {getattr(found, 'shape', None)}; it must give "
                f"that of the state, {shape}, or one number."
            )
        return super().bind(variables, nodes)

    def gain(self, x):
        return jnp.broadcast_to(self.g(x), x.shape)


class Recorded(AbstractNoise):
    """Increments given as they are, `(steps, state, node)`: to replay a path, or another tool's.

    Row n is added in the step from n to n + 1; a run longer than the record is an error.
    """

    path: Float[Array, "steps state node"] = eqx.field(converter=as_floats)

    @property
    def draws_from(self):
        return None

    def bind(self, variables, nodes):
        expected = (len(variables), nodes)
        if self.path.ndim != 3 or self.path.shape[1:] != expected:
            raise ValueError(
                f"Recorded: the path has shape {self.path.shape}; it must be "
                f"(steps, {expected[0]} state variables, {expected[1]} regions)."
            )
        return self

    def increment(self, normal, before, step, dt, memory):
        path = eqx.error_if(
            self.path,
            step >= self.path.shape[0],
            f"Recorded: the path holds {self.path.shape[0]} steps and the simulation is longer; "
            "record more steps or simulate a shorter time.",
        )
        return lax.dynamic_index_in_dim(path, step, keepdims=False), memory


def _resolved(nsig: Array | dict[str, Array], variables: tuple[str, ...], nodes: int) -> Array:
    """`nsig` as an array `(state, 1)` or `(state, node)`, checked."""
    count = len(variables)
    if isinstance(nsig, dict):
        unknown = [name for name in nsig if name not in variables]
        if unknown:
            raise ValueError(
                f"noise: nsig names '{unknown[0]}', which is no state variable; "
                f"the model has {', '.join(variables)}."
            )
        rows = [_row(name, nsig[name], nodes) if name in nsig else None for name in variables]
        width = max((row.shape[0] for row in rows if row is not None), default=1)
        zero = jnp.zeros(width, dtype=jnp.result_type(float))
        resolved = jnp.stack([zero if r is None else jnp.broadcast_to(r, (width,)) for r in rows])
    elif nsig.ndim == 0:
        resolved = jnp.broadcast_to(nsig, (count, 1))
    elif nsig.ndim == 2 and nsig.shape[0] == count and nsig.shape[1] in (1, nodes):
        resolved = nsig
    else:
        raise ValueError(
            f"noise: nsig has shape {nsig.shape}; give one number, a mapping from state "
            f"variable to intensity, or an array of shape ({count}, 1) or ({count}, {nodes}). "
            "A plain vector could mean variables or regions."
        )
    _check_intensity(resolved, variables)
    return resolved


def _row(name: str, value: Array, nodes: int) -> Array:
    if value.ndim == 0:
        return value[None]
    if value.shape != (nodes,):
        raise ValueError(
            f"noise: nsig of '{name}' has shape {value.shape}; give a number or one value for "
            f"each of the {nodes} regions."
        )
    return value


def _check_intensity(nsig: Array, variables: tuple[str, ...]) -> None:
    if isinstance(nsig, Tracer):
        return
    values = np.asarray(nsig)
    bad = np.argwhere(~(np.isfinite(values) & (values >= 0)))
    if bad.size:
        variable, region = bad[0]
        raise ValueError(
            f"noise: nsig of '{variables[variable]}' is {values[variable, region]} (column "
            f"{region}); an intensity is a finite number >= 0."
        )
