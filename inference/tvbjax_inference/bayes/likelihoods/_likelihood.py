"""What was measured, and how likely it is given a run: statements of numpyro about a `Result`."""

import abc
import numbers
from typing import NamedTuple

import equinox as eqx
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array

from tvbjax import Result, Simulator
from tvbjax.kinds import check_kind, check_number
from tvbjax_inference.bayes.priors import allowed, prior_text


class Shown(NamedTuple):
    """Data or predictions for people: dims by name, and coordinates."""

    dims: tuple[str, ...]
    coordinates: dict[str, np.ndarray]


class AbstractLikelihood(eqx.Module):
    """A part of a program: the sites of what is unknown about the measurement, and the data's.

    `name`: of the site of the data.
    """

    name: eqx.AbstractVar[str]

    @property
    @abc.abstractmethod
    def unknowns(self) -> tuple[str, ...]:
        """The sites of its own unknowns."""

    @abc.abstractmethod
    def check(self, simulator: Simulator, duration: float) -> None:
        """Raises `ValueError` where data and a simulator's run of `duration` ms do not fit."""

    @abc.abstractmethod
    def duration(self, simulator: Simulator) -> float:
        """How long a run must be to be held against the data, ms."""

    @abc.abstractmethod
    def observe(self, result: Result) -> None:
        """Statements of numpyro: a sample site called `name`, observed, and a deterministic one
        called `name` and "_log_likelihood", of the parts that can be left out one at a time."""

    @abc.abstractmethod
    def as_measured(self, values: Array) -> Array:
        """Values of the data's site, as they are measured: the site may be in other coordinates."""

    @property
    @abc.abstractmethod
    def measured(self) -> np.ndarray:
        """The data as they were measured."""

    @property
    @abc.abstractmethod
    def shown(self) -> Shown:
        """How data and predictions are labelled: those of `as_measured`."""

    @property
    @abc.abstractmethod
    def parts(self) -> Shown:
        """How the parts of the log-likelihood are labelled."""


Unknown = dist.Distribution | float


def unknown(site: str, prior: Unknown) -> Array | float:
    """The value of an unknown with a prior; a number is known."""
    if not isinstance(prior, dist.Distribution):
        return prior
    return numpyro.sample(site, prior)  # type: ignore[return-value]


def check_unknown(where: str, prior: object, least: float = 0.0) -> None:
    """Raises `TypeError` or `ValueError` for what is no distribution of one number and no number,
    or may be less than `least`, which is 0 or minus infinity."""
    kinds = (dist.Distribution, numbers.Real)
    check_kind(where, prior, kinds, "numpyro.distributions.LogNormal(), or a number")
    if not isinstance(prior, dist.Distribution):
        return check_number(where, prior, least=least)
    if prior.batch_shape + prior.event_shape:
        raise ValueError(
            f"{where}: the prior has the shape {prior.batch_shape + prior.event_shape}; give "
            "one of a single number."
        )
    if allowed(prior)[0] < least:
        raise ValueError(
            f"{where} may be negative by its prior, {prior_text(prior)}; give one of positive "
            "numbers, such as LogNormal or HalfNormal, or a number."
        )


def check_name(who: str, name: object) -> None:
    """Raises `ValueError` for what cannot be the name of a site of data."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"{who}: name is {name!r:.60}; give text, such as 'seeg'.")


def checked_data(who: str, data, channels: tuple[str, ...]) -> np.ndarray:
    """Data as finite numbers `(time, channel)`; raises `ValueError` that says which are not."""
    found = np.asarray(data)
    if found.dtype.kind not in "biuf":
        raise TypeError(
            f"{who}: the data are of the type {found.dtype}; give real numbers (time, channel), "
            "e.g. data.astype(float)."
        )
    found = found.astype(float)
    if found.ndim != 2 or found.shape[1] != len(channels):
        raise ValueError(
            f"{who}: the data have the shape {found.shape} and the gain has {len(channels)} "
            "channels; give (time, channel)."
        )
    if len(found) < 2:
        raise ValueError(
            f"{who}: the number of the data's samples is {len(found)}; give two or more of every "
            "channel."
        )
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{who}: the data are {found[row, column]} at sample {row} of channel "
            f"'{channels[column]}' ({len(bad)} samples in all are not finite); leave the channel "
            "out, or cut the window."
        )
    still = np.flatnonzero(np.ptp(found, axis=0) == 0)
    if len(still):
        raise ValueError(
            f"{who}: channel '{channels[still[0]]}' is {found[0, still[0]]:g} in all samples; a "
            "contact that records nothing says nothing: leave it out."
        )
    return found
