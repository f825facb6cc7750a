"""What electrodes in the brain record: linear in the activity of sources, or the logarithm of its
power."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float

from tvbjax.forward import Gain
from tvbjax.kinds import check_number
from tvbjax_inference.bayes.likelihoods._likelihood import (
    Unknown,
    check_name,
    check_unknown,
    unknown,
)
from tvbjax_inference.bayes.likelihoods._recorded import AbstractRecording, Recorded
from tvbjax_inference.bayes.likelihoods._rotation import Rotation

# Of sources, in their unit: an Epileptor rests at about -2.
_LEVEL = 3.0


class Seeg(AbstractRecording):
    """Contacts record `amplitude * gain @ (sources + error) + offset + noise`.

    `data`: `(time, channel)`, in a unit of your own, a sample for each of the monitor's.
    `amplitude`, `noise`: priors, or numbers where they are known; by default lognormal, with a
    deviation of the logarithm of 1, about what data and gain suggest. `offset`: mean and deviation
    of every channel's own constant. By default so wide that the level of a signal says nothing, as
    where amplifiers or filters set it: the mean is 0, and the deviation is what all sources at 3
    would add up to, in the channel nearest to them and at the default amplitude's median, beside
    the root mean square of the channels' means. Give it where levels are known: they then tell of
    the sources' own.

    `error`: the deviation of the model's own error, in the unit of the sources, with a
    `correlation` in samples: what no parameters can explain. With 0 every sample counts as if the
    equations were the brain, and thousands of them make a posterior that is too narrow to trust,
    and nearly impossible to sample.

    Errors, offsets and noise are normal, and integrated out. Linear SEEG of the Epileptor: Hashemi
    et al. (2020), NeuroImage 217:116839; errors of models: Kennedy & O'Hagan (2001), J. R. Stat.
    Soc. B 63:425.
    """

    recorded: Recorded
    rotation: Rotation
    rotated: Float[np.ndarray, "mode channel"]
    right: Float[np.ndarray, "source mode"]
    singular: Float[np.ndarray, " mode"]
    amplitude: Unknown
    noise: Unknown
    error: Unknown
    offset: tuple[float, float] = eqx.field(static=True)
    correlation: float = eqx.field(static=True)
    name: str = eqx.field(static=True)
    settings: ClassVar = ("amplitude", "noise", "offset", "error", "correlation", "name")

    def __init__(
        self,
        gain: Gain,
        data: Any,
        *,
        amplitude: Unknown | None = None,
        noise: Unknown | None = None,
        offset: tuple[float, float] | None = None,
        error: Unknown = 0.1,
        correlation: float = 30.0,
        monitor: str | None = None,
        variable: str | None = None,
        skip: float = 0.0,
        name: str = "seeg",
    ):
        self.recorded = Recorded("Seeg", gain, data, monitor, variable, skip)
        _check_settings("Seeg", name, correlation)
        self.name, self.correlation = name, float(correlation)
        size = self.recorded.spread / float(jnp.sqrt(jnp.mean(gain.matrix**2)))
        self.amplitude = dist.LogNormal(np.log(size), 1.0) if amplitude is None else amplitude
        self.noise = _noise(self.recorded) if noise is None else noise
        self.error = error
        self.offset = _any_level(self.recorded, size) if offset is None else _pair(offset)
        _check("Seeg", self)
        left, singular, right = np.linalg.svd(np.asarray(gain.matrix, float))
        self.right, self.singular = right[: len(singular)].T, singular
        shared = np.zeros(len(left))
        shared[: len(singular)] = singular**2
        self.rotation, self.rotated = self.recorded.rotation(left, shared, correlation)

    def observe(self, result):
        amplitude, noise = unknown("amplitude", self.amplitude), unknown("noise", self.noise)
        error = unknown("error", self.error)
        sources = self.recorded.sources(self.who, result)
        seen = jnp.asarray(self.rotation.modes) @ sources @ jnp.asarray(self.right)
        mean = jnp.zeros(self.rotated.shape, seen.dtype)
        mean = mean.at[:, : len(self.singular)].set(
            amplitude * seen * jnp.asarray(self.singular)[None]
        )
        mean = mean.at[0].add(self.rotation.offset(self.offset[0]))
        self.state(mean, self.rotation.variance(noise, amplitude * error, self.offset[1]))


class SeegLogPower(AbstractRecording):
    """Contacts' log power is `amplitude * (log(gain @ exp(sources)) + offset) + error + noise`.

    `data`: `(time, channel)`, the logarithm of the power of what was recorded, smoothed, a sample
    for each of the monitor's. The gain is taken relative to `reference`, by default its greatest
    element, which only moves the offset; channels that are taken keep it. `amplitude`, `noise`,
    `offset`: priors, or numbers where they are known; `offset` is one for all contacts, by default
    normal about what makes contacts as loud as they are with sources of 0, `spread` the deviation
    of each contact's own beside it, in the unit of the data.

    `error`: the deviation of the model's own error, in the unit of the data, with a `correlation`
    in samples; contacts share it as far as they see the same sources.

    Vattikonda et al. (2021), Communications Biology 4:1244; errors of models: Kennedy & O'Hagan
    (2001), J. R. Stat. Soc. B 63:425.
    """

    recorded: Recorded
    rotation: Rotation
    rotated: Float[np.ndarray, "mode channel"]
    amplitude: Unknown
    noise: Unknown
    error: Unknown
    offset: Unknown
    spread: float = eqx.field(static=True)
    reference: float = eqx.field(static=True)
    correlation: float = eqx.field(static=True)
    name: str = eqx.field(static=True)
    settings: ClassVar = (*Seeg.settings, "spread", "reference")

    def __init__(
        self,
        gain: Gain,
        data: Any,
        *,
        amplitude: Unknown | None = None,
        noise: Unknown | None = None,
        offset: Unknown | None = None,
        spread: float = 0.0,
        reference: float | None = None,
        error: Unknown = 0.1,
        correlation: float = 30.0,
        monitor: str | None = None,
        variable: str | None = None,
        skip: float = 0.0,
        name: str = "seeg",
    ):
        self.recorded = Recorded("SeegLogPower", gain, data, monitor, variable, skip)
        _check_settings("SeegLogPower", name, correlation)
        check_number("SeegLogPower: spread", spread, least=0.0)
        if reference is not None:
            check_number("SeegLogPower: reference", reference, above=0.0)
        self.name, self.correlation, self.spread = name, float(correlation), float(spread)
        self.amplitude = dist.LogNormal(0.0, 0.5) if amplitude is None else amplitude
        self.noise = _noise(self.recorded) if noise is None else noise
        self.error = error
        self.reference = float(gain.matrix.max() if reference is None else reference)
        rows = np.asarray(gain.matrix, float)
        if (rows < 0).any() or not (rows > 0).any(axis=1).all():
            channel = gain.channels[int(np.argmin(rows.min(axis=1) * (rows.max(axis=1) > 0)))]
            raise ValueError(
                f"SeegLogPower: the gain of '{channel}' is negative somewhere, or 0 for all "
                "sources, and power has no logarithm then; give the gain of power, which is "
                "positive, or leave the channel out."
            )
        # As if all sources were 0, amplitudes 1.
        level = self.recorded.data.mean() - np.log(rows.sum(axis=1) / self.reference).mean()
        self.offset = dist.Normal(float(level), 2.0) if offset is None else offset
        check_unknown("SeegLogPower: offset", self.offset, least=-np.inf)
        _check("SeegLogPower", self)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        values, vectors = np.linalg.eigh(rows @ rows.T)
        self.rotation, self.rotated = self.recorded.rotation(
            vectors, np.maximum(values, 0.0), correlation
        )

    def observe(self, result):
        amplitude, noise = unknown("amplitude", self.amplitude), unknown("noise", self.noise)
        error, offset = unknown("error", self.error), unknown("offset", self.offset)
        gain = self.recorded.gain.matrix / self.reference
        sources = self.recorded.sources(self.who, result)
        # The largest source is taken out, so that no exponential is infinite.
        most = jax.lax.stop_gradient(sources.max(axis=1, keepdims=True))
        power = jnp.log(jnp.exp(sources - most) @ gain.T) + most
        mean = self.rotation(amplitude * (power + offset))
        self.state(mean, self.rotation.variance(noise, error, self.spread))


def _any_level(recorded: Recorded, amplitude: float) -> tuple[float, float]:
    """Mean and deviation of offsets that make up for any level of the sources. Not about the data's
    means, to which sources at rest add, too; and where those are 0 because a filter took them away,
    offsets are the negative of what sources add."""
    means = recorded.data.mean(axis=0)
    together = float(jnp.abs(recorded.gain.matrix).sum(axis=1).max())
    return 0.0, float(np.hypot(np.sqrt((means**2).mean()), _LEVEL * amplitude * together))


def _noise(recorded: Recorded) -> dist.Distribution:
    return dist.LogNormal(np.log(recorded.spread), 1.0)


def _pair(offset: Any) -> tuple[float, float]:
    """Mean and deviation. Raises `TypeError` or `ValueError` for others."""
    if not isinstance(offset, tuple | list) or len(offset) != 2:
        raise TypeError(
            f"Seeg: offset is {offset!r:.60}; give the mean and the deviation of every channel's "
            "own constant, e.g. (0.0, 10.0)."
        )
    mean, deviation = offset
    check_number("Seeg: the offset's mean", mean)
    check_number("Seeg: the offset's deviation", deviation, least=0.0)
    return mean, deviation


def _check_settings(who: str, name: object, correlation: object) -> None:
    check_name(who, name)
    check_number(f"{who}: correlation, in samples,", correlation, least=0.0)


def _check(who: str, likelihood: Seeg | SeegLogPower) -> None:
    for what in ("amplitude", "noise", "error"):
        check_unknown(f"{who}: {what}", getattr(likelihood, what))
    if not isinstance(likelihood.noise, dist.Distribution) and likelihood.noise == 0:
        raise ValueError(f"{who}: noise is 0, and data without noise have no density; give more.")
