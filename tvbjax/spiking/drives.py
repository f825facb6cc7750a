"""Drives: spikes and currents that come to a population from outside of the network."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from tvbjax.arrays import as_floats, check_finite
from tvbjax.kinds import check_kind
from tvbjax.spiking.connectivity import cell_numbers
from tvbjax.spiking.correlated import AbstractCorrelation, MultipleInteraction
from tvbjax.spiking.poisson import bits_of, lanes_of, poisson_counts
from tvbjax.spiking.signals import (
    Course,
    HeardEach,
    Signals,
    as_course,
    check_course,
    told,
    values_of,
)

_TOGETHER = 1024  # given spikes that are looked at at once


class AbstractDrive(eqx.Module):
    """What comes to the cells of a population, `target`, from outside."""

    target: eqx.AbstractVar[str]

    @abc.abstractmethod
    def check(self, who: str, cells: int) -> None:
        """Raises `ValueError` for numbers that do not fit so many cells."""


class AbstractSpikeDrive(AbstractDrive):
    """Spikes, which arrive at a receptor with a weight; in a unit that the receptor's Property has.

    `receptor`: None for the only one.
    """

    receptor: eqx.AbstractVar[str | None]
    weight: eqx.AbstractVar[Float[Array, "*cell"]]

    @abc.abstractmethod
    def counts(
        self,
        key: Array | None,
        signals: Signals,
        begin,
        first: Int[Array, ""],
        steps: int,
        dt: float,
        cells: int,
    ) -> Float[Array, "step _"]:
        """How many spikes arrive at the end of each of `steps` steps from `first` on."""

    @property
    @abc.abstractmethod
    def random(self) -> bool:
        """Whether it needs a key."""


class Poisson(AbstractSpikeDrive):
    """Independent Poisson spikes to every cell.

    `rate`: kHz, one or one per cell, an equation of time (ms), or `Heard(name)`; below 0 it is 0,
    and 60 spikes in a step are the most. With `correlation` the spikes of different cells come
    together more often than by chance; their rate is then the same for all.
    """

    target: str = eqx.field(static=True)
    rate: Course
    weight: Float[Array, "*cell"]
    receptor: str | None = eqx.field(static=True)
    correlation: AbstractCorrelation | None

    def __init__(
        self,
        target: str,
        rate: Any,
        weight: Any,
        receptor: str | None = None,
        correlation: AbstractCorrelation | None = None,
    ):
        self.target, self.receptor, self.correlation = target, receptor, correlation
        self.rate, self.weight = as_course(rate), as_floats(weight)

    def check(self, who, cells):
        check_course(f"{who}: rate", self.rate, cells)
        if self.correlation is not None:
            kind = "SingleInteraction(0.1)"
            check_kind(f"{who}: correlation", self.correlation, AbstractCorrelation, kind)
            if isinstance(self.rate, HeardEach):
                raise ValueError(
                    f"{who}: proxies of regions, HeardEach, have independent spikes; leave out the "
                    "correlation, or hear the sum of all, Heard(name)."
                )
        _check_weight(who, self.weight, cells)
        if isinstance(self.rate, jax.Array) and not isinstance(self.rate, Tracer):
            if (np.asarray(self.rate) < 0).any():
                raise ValueError(
                    f"{who}: a rate is {float(self.rate.min()):g} kHz; give 0 or more."
                )
        if self.correlation is not None and isinstance(self.rate, jax.Array) and self.rate.ndim:
            raise ValueError(
                f"{who}: rate has the shape {jnp.shape(self.rate)}, and correlated spikes have one "
                "rate for all cells; give one number, or no correlation."
            )

    @property
    def greatest(self) -> float | None:
        """The greatest rate that random numbers are drawn for, kHz; None where it is not known."""
        if not isinstance(self.rate, jax.Array) or isinstance(self.rate, Tracer):
            return None
        rate = float(self.rate.max())
        if isinstance(self.correlation, MultipleInteraction):
            chance = self.correlation.correlation
            return None if isinstance(chance, Tracer) else rate / float(chance)
        return rate

    @property
    def random(self):
        return True

    def counts(self, key, signals, begin, first, steps, dt, cells):
        assert key is not None
        if isinstance(self.rate, HeardEach):
            return self._of_proxies(key, signals, begin, first, steps, dt, cells)
        rates = values_of(self.rate, signals, begin, first, steps, dt) * dt
        if self.correlation is not None:
            return self.correlation.counts(key, rates, first, cells)
        bits = bits_of(lanes_of(key, cells), first, steps)
        return poisson_counts(bits, rates)

    def _of_proxies(self, key, signals, begin, first, steps: int, dt: float, cells: int):
        """Spikes of a proxy for each region that is heard, weighted as its connection is."""
        heard = self.rate
        assert isinstance(heard, HeardEach)
        sent = told(signals, heard.signal, begin, first, steps)
        weights = told(signals, heard.weights, begin, first, steps)
        rates = (heard.gain * sent + heard.offset) * dt

        def one(total, proxy):
            number, rate, weight = proxy
            lanes = lanes_of(jax.random.fold_in(key, number), cells)
            counts = poisson_counts(bits_of(lanes, first, steps), rate[:, None])
            return total + weight[:, None] * counts, None

        proxies = jnp.arange(rates.shape[1]), rates.T, weights.T
        return lax.scan(one, jnp.zeros((steps, cells), rates.dtype), proxies)[0]


class SpikeTimes(AbstractSpikeDrive):
    """Spikes at given times: `times` in ms, `cells` the number of the cell that each is for.

    They arrive at the nearest end of a step, and are kept in the order of their times.
    """

    target: str = eqx.field(static=True)
    times: Float[np.ndarray, "*spike"]
    cells: Int[np.ndarray, "*spike"]
    weight: Float[Array, "*cell"]
    receptor: str | None = eqx.field(static=True)

    def __init__(
        self, target: str, times: Any, cells: Any, weight: Any, receptor: str | None = None
    ):
        self.target, self.receptor, self.weight = target, receptor, as_floats(weight)
        self.times, self.cells = np.asarray(times, float), cell_numbers("SpikeTimes")(cells)
        if self.times.ndim == 1 and self.times.shape == self.cells.shape:
            order = np.argsort(self.times, kind="stable")
            self.times, self.cells = self.times[order], self.cells[order]

    def check(self, who, cells):
        _check_weight(who, self.weight, cells)
        if self.times.shape != self.cells.shape or self.times.ndim != 1:
            raise ValueError(
                f"{who}: there are times of shape {self.times.shape} and cells of shape "
                f"{self.cells.shape}; give one cell for each time."
            )
        if self.times.size and not (np.isfinite(self.times).all() and self.times.min() > 0):
            raise ValueError(f"{who}: a time is {self.times.min():g} ms; give times after 0.")
        wrong = self.cells[(self.cells < 0) | (self.cells >= cells)]
        if wrong.size:
            raise ValueError(f"{who}: there is no cell {wrong[0]} among {cells}.")

    @property
    def random(self):
        return False

    def counts(self, key, signals, begin, first, steps, dt, cells):
        none = jnp.zeros((steps + 1, cells), jnp.result_type(float))
        if not self.times.size:
            return none[:steps]
        times = lax.stop_gradient(jnp.asarray(self.times))
        heard = jnp.asarray(self.cells, jnp.int32)
        # A spike of time n dt arrives at the end of step n - 1; those of other steps are passed by,
        # but not those of the first half step.
        ends = jnp.stack([first, first + steps]).astype(times.dtype) + 0.5
        ends = jnp.where(jnp.stack([first == 0, jnp.asarray(False)]), 0.0, ends)
        start, end = jnp.searchsorted(times, ends * dt).astype(jnp.int32)
        chunk = min(len(times), _TOGETHER)

        def some(loop):
            start, counts = loop
            places = start + jnp.arange(chunk, dtype=jnp.int32)
            own = jnp.minimum(places, len(times) - 1)
            at = jnp.rint(times[own] / dt).astype(jnp.int32) - 1 - first
            at = jnp.where(places < end, jnp.clip(at, 0, steps - 1), steps)
            return start + chunk, counts.at[at, heard[own]].add(1.0)

        return lax.while_loop(lambda loop: loop[0] < end, some, (start, none))[1][:steps]


class Current(AbstractDrive):
    """Sets a state of the cells that their equations leave alone, as `I_in` of the built-in cells,
    to a course in time, held through each step.

    `value`: in the state's unit; one, one per cell, an equation of time (ms), or `Heard(name)`.
    """

    target: str = eqx.field(static=True)
    value: Course = eqx.field(converter=as_course)
    state: str = eqx.field(static=True, default="I_in")

    def check(self, who, cells):
        if isinstance(self.value, HeardEach):
            raise TypeError(f"{who}: HeardEach is for the rate of Poisson; give Heard(name).")
        check_course(f"{who}: value", self.value, cells)

    def values(self, signals, begin, first, steps: int, dt: float) -> Float[Array, "step _"]:
        """The values in steps from `first` on."""
        return values_of(self.value, signals, begin, first, steps, dt)


def _check_weight(who: str, weight: Array, cells: int) -> None:
    if weight.shape not in ((), (cells,)):
        raise ValueError(
            f"{who}: weight has the shape {weight.shape}; give one, or one for each of {cells} "
            "cells."
        )
    check_finite(f"{who}: weight", weight)
