"""What an objective sees: one variable's samples of one monitor after a transient, of a result or,
by shape alone, of a simulator before anything runs."""

import dataclasses
import math
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from tvbjax import Result, Simulator
from tvbjax.axes import Axis
from tvbjax.selection import monitor_of, period_of, place_of
from tvbjax.simulation import absent_of, whole_steps


@dataclasses.dataclass(frozen=True)
class Seen:
    """`values`: (time, *place), or their shape. `time`: ms. `axes`: of the places. `who`: the
    objective, and `monitor` what it looks at, for errors. `every`: ms between samples, where that
    is known."""

    who: str
    monitor: str
    values: Array | jax.ShapeDtypeStruct
    time: Float[Array | np.ndarray, " time"]
    axes: tuple[Axis, ...]
    every: float | None

    @property
    def period(self) -> float:
        """Time between samples, ms. Raises `ValueError` where the samples do not tell."""
        if self.every is None:
            raise ValueError(
                f"{self.who}: the times of '{self.monitor}' are those of one sample, or not known "
                "here, as where a compiled function takes or gives a Result inside another; "
                "simulate and compare in one function, and compile that."
            )
        return self.every

    @property
    def places(self) -> Axis:
        """The axis of signals (time, place)."""
        return self.axes[0]

    def as_array(self) -> Float[Array, "time *place"]:
        """The values, where they are known."""
        return cast(Array, self.values)

    def check_signals(self) -> None:
        """Raises `ValueError` for samples that are no signals of places."""
        if len(self.axes) != 1:
            raise ValueError(
                f"{self.who}: the samples of '{self.monitor}' have the shape {self.values.shape}, "
                "and are no signals (time, place); name a monitor such as TemporalAverage or Bold."
            )

    def check_count(self, fewest: int, why: str) -> None:
        """Raises `ValueError` for fewer samples."""
        count = self.values.shape[0]
        if count < fewest:
            raise ValueError(
                f"{self.who}: {count} samples of '{self.monitor}' are left after skip, and {why} "
                f"takes {fewest}; run longer, or skip less."
            )

    def after(self, skip: float) -> "Seen":
        """Without the samples that begin in the first `skip` ms."""
        if not skip:
            return self
        count, first = self.values.shape[0], math.ceil(skip / self.period - 1e-6)
        if first >= count:
            raise ValueError(
                f"{self.who}: skip={skip:g} ms leaves none of the {count} samples of "
                f"'{self.monitor}', one every {self.period:.10g} ms; run longer, or skip less."
            )
        if isinstance(self.values, jax.ShapeDtypeStruct):
            shape = (count - first, *self.values.shape[1:])
            values = jax.ShapeDtypeStruct(shape, self.values.dtype)
        else:
            values = self.values[first:]
        return dataclasses.replace(self, values=values, time=self.time[first:])


def seen_in(
    who: str, result: Result, monitor: str | None, variable: str | None, skip: float
) -> Seen:
    """What is seen of a result."""
    name = monitor_of(who, result, monitor)
    samples = result.samples[name]
    number = place_of(who, "variable", samples.variables, variable)
    _check_present(who, samples.variables, samples.absent, samples.axes, number)
    known = len(samples.time) > 1 and not isinstance(samples.time, Tracer)
    every = period_of(samples.time) if known else None
    values = jnp.asarray(samples.values)[:, number]
    return Seen(who, name, values, samples.time, samples.axes, every).after(skip)


def seen_of(
    who: str,
    simulator: Simulator,
    duration: float,
    monitor: str | None,
    variable: str | None,
    skip: float,
) -> Seen:
    """What will be seen of a run, by shape."""
    dt = simulator.integrator.dt
    names = [one.name for one in simulator.monitors]
    index = place_of(who, "monitor", names, monitor)
    observed = simulator.observed[index]
    number = place_of(who, "variable", observed, variable)
    time = simulator.monitors[index].times(0, whole_steps(duration, dt), dt)
    axes = simulator.sample_axes(index)
    shape = (len(time), *map(len, axes))
    values = jax.ShapeDtypeStruct(shape, jnp.result_type(float))
    _check_present(who, observed, absent_of(simulator, index), axes, number)
    every = simulator.monitors[index].period_steps(dt) * dt
    if not len(time):
        raise ValueError(
            f"{who}: '{names[index]}' has no sample of {duration:g} ms, as it gives one every "
            f"{every:.10g} ms; run longer."
        )
    return Seen(who, names[index], values, time, axes, every).after(skip)


def _check_present(
    who: str,
    variables: tuple[str, ...],
    absent: tuple[tuple[int, ...], ...],
    axes: tuple[Axis, ...],
    number: int,
) -> None:
    """Every place has the variable: what mixed networks lack is 0 there, and no data."""
    if number < len(absent) and absent[number]:
        place = axes[0].coordinate[absent[number][0]]
        raise ValueError(
            f"{who}: '{variables[number]}' does not exist in {axes[0].name} {place}; choose a "
            "variable that all have."
        )
