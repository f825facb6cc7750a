"""What drives a network from outside, as a function of time: a constant, an equation, or what is
heard from elsewhere, as the coupling of a brain region."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tvbjax.arrays import as_floats, check_finite
from tvbjax.equations import AbstractEquation

Signals = Mapping[str, Array]  # (step,), or (step, channel)


class Heard(eqx.Module):
    """`gain` times a signal from outside, and `offset`: what a network is told by its name, step
    after step.

    In co-simulation the names are the coupling inputs of the region's model. `unit`: of the
    product, where the gain makes it another than the signal's.
    """

    name: str = eqx.field(static=True)
    gain: Float[Array, ""] = eqx.field(converter=as_floats, default=1.0)
    offset: Float[Array, ""] = eqx.field(converter=as_floats, default=0.0)
    unit: str | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check_heard(self)


class HeardEach(eqx.Module):
    """What each region that is heard sends, delayed, as a proxy of its own: `gain` times that, and
    `offset`. A drive's weight is multiplied by that of each connection of the connectome."""

    name: str = eqx.field(static=True)
    gain: Float[Array, ""] = eqx.field(converter=as_floats, default=1.0)
    offset: Float[Array, ""] = eqx.field(converter=as_floats, default=0.0)
    unit: str | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check_heard(self)

    @property
    def signal(self) -> str:
        """Under which name what is sent is told, (step, source)."""
        return f"{self.name} of each"

    @property
    def weights(self) -> str:
        """Under which name the weights of the connections are told, (step, source)."""
        return f"weights of {self.name}"


Course = Float[Array, "*cell"] | AbstractEquation | Heard | HeardEach


def _check_heard(one: "Heard | HeardEach") -> None:
    for field in ("gain", "offset"):
        what, value = f"{type(one).__name__}: {field}", getattr(one, field)
        if value.ndim:
            raise ValueError(f"{what} has the shape {value.shape}; give one number.")
        check_finite(what, value)


def as_course(value) -> Course:
    """What a drive is given, numbers as arrays."""
    return value if isinstance(value, AbstractEquation | Heard | HeardEach) else as_floats(value)


def check_course(what: str, course: Course, cells: int) -> None:
    """Raises `ValueError` where numbers are neither one nor one per cell, or not finite."""
    if isinstance(course, AbstractEquation | Heard | HeardEach):
        return
    if course.shape not in ((), (cells,)):
        raise ValueError(
            f"{what} has the shape {course.shape}; give one number, one for each of {cells} cells, "
            "an equation of time, or Heard(name)."
        )
    check_finite(what, course)


def values_of(
    course: Course,
    signals: Signals,
    begin: Int[Array, ""],
    first: Int[Array, ""],
    steps: int,
    dt: float,
) -> Float[Array, "step _"]:
    """The values in `steps` steps from `first` on, for all cells (step, 1) or each (step, cell).

    `begin`: the step at which the signals begin.
    """
    if isinstance(course, HeardEach):
        raise TypeError("HeardEach is for the rate of Poisson spikes; give Heard(name).")
    if isinstance(course, Heard):
        found = told(signals, course.name, begin, first, steps)
        return (course.gain * found + course.offset)[:, None]
    if isinstance(course, AbstractEquation):
        times = (first + jnp.arange(steps, dtype=jnp.int32)).astype(float) * dt
        return course(times)[:, None]
    whole = course if course.ndim else course[None]
    return jnp.broadcast_to(whole, (steps, *whole.shape))


def told(
    signals: Signals, name: str, begin: Int[Array, ""], first: Int[Array, ""], steps: int
) -> Float[Array, "step *channel"]:
    """The signal of that name in `steps` steps from `first` on."""
    if name not in signals:
        known = ", ".join(signals) or "nothing"
        raise ValueError(f"Heard: nobody sends '{name}'; what is sent is {known}.")
    return signals[name][first - begin + jnp.arange(steps, dtype=jnp.int32)]
