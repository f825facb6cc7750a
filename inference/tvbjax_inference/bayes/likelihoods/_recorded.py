"""Signals of channels beside those that a run predicts: which samples they are held against, and
the statement that their differences are normal."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from tvbjax import Result, Simulator
from tvbjax.forward import Gain
from tvbjax.kinds import check_kind, check_number
from tvbjax_inference.bayes.likelihoods._likelihood import AbstractLikelihood, Shown, checked_data
from tvbjax_inference.bayes.likelihoods._rotation import Rotation, cosines, spectrum
from tvbjax_inference.objectives._seen import seen_in, seen_of


class Recorded(eqx.Module):
    """Data `(time, channel)` and the gain of their channels; `monitor`, `variable`, `skip`: the
    samples of a run that they are held against, in turn."""

    gain: Gain
    data: Float[np.ndarray, "time channel"]
    monitor: str | None = eqx.field(static=True)
    variable: str | None = eqx.field(static=True)
    skip: float = eqx.field(static=True)

    def __init__(self, who: str, gain: Gain, data, monitor, variable, skip):
        check_kind(f"{who}: gain", gain, Gain, "tvbjax.forward.gain_of(matrix, sensors)")
        check_number(f"{who}: skip", skip, least=0.0)
        self.gain, self.data = gain, checked_data(who, data, gain.channels)
        self.monitor, self.variable, self.skip = monitor, variable, float(skip)

    @property
    def spread(self) -> float:
        """The deviation of the data about their channels' means."""
        return float((self.data - self.data.mean(axis=0)).std())

    def rotation(
        self, vectors: np.ndarray, values: np.ndarray, correlation: float
    ) -> tuple[Rotation, np.ndarray]:
        """Coordinates by the eigenvectors of the channels, and the data in them."""
        samples = len(self.data)
        found = Rotation(cosines(samples), spectrum(samples, correlation), vectors, values)
        return found, found.modes @ self.data @ vectors

    def take(self, who: str, channels) -> "Recorded":
        """These channels alone."""
        gain = self.gain.take(channels)
        columns = [self.gain.channels.index(channel) for channel in gain.channels]
        data = self.data[:, columns]
        return Recorded(who, gain, data, self.monitor, self.variable, self.skip)

    def duration(self, simulator: Simulator) -> float:
        """How long a run must be, ms."""
        names = [one.name for one in simulator.monitors]
        index = names.index(self.monitor) if self.monitor in names else 0
        dt = simulator.integrator.dt
        every = simulator.monitors[index].period_steps(dt) * dt
        return float(len(self.data) * every + self.skip)

    def check(self, who: str, simulator: Simulator, duration: float) -> None:
        """Raises `ValueError` where data and samples do not fit."""
        seen = seen_of(who, simulator, duration, self.monitor, self.variable, self.skip)
        seen.check_signals()
        if self.gain.sources != len(seen.places):
            raise ValueError(
                f"{who}: the gain has {self.gain.sources} sources and '{seen.monitor}' has "
                f"{len(seen.places)} {seen.places.name}s; give the gain of this connectome."
            )
        if len(self.data) != len(seen.time):
            raise ValueError(
                f"{who}: the data have {len(self.data)} samples and '{seen.monitor}' has "
                f"{len(seen.time)} of {duration:g} ms; sample by sample they belong to one "
                f"another: run {self.duration(simulator):g} ms, or cut the data."
            )

    def sources(self, who: str, result: Result) -> Float[Array, "time source"]:
        """The samples of a run."""
        return seen_in(who, result, self.monitor, self.variable, self.skip).as_array()


class AbstractRecording(AbstractLikelihood):
    """A likelihood of signals of channels. `settings`: the names of what it was made with, beside
    what is `recorded`: fields that are called as the arguments are."""

    settings: eqx.AbstractClassVar[tuple[str, ...]]
    recorded: eqx.AbstractVar[Recorded]
    rotation: eqx.AbstractVar[Rotation]
    rotated: eqx.AbstractVar[Float[np.ndarray, "mode channel"]]

    @property
    def who(self) -> str:
        """For errors."""
        return type(self).__name__

    def take(self, channels: Sequence[str]) -> "AbstractRecording":
        """The likelihood of these channels alone, in that order. Raises ValueError."""
        kept = self.recorded.take(self.who, channels)
        places = {"monitor": kept.monitor, "variable": kept.variable, "skip": kept.skip}
        own = {name: getattr(self, name) for name in self.settings}
        return type(self)(kept.gain, kept.data, **places, **own)  # type: ignore[call-arg]

    @property
    def unknowns(self):
        several = ("amplitude", "noise", "error", "offset")
        return tuple(name for name in several if isinstance(getattr(self, name), dist.Distribution))

    def check(self, simulator, duration):
        self.recorded.check(self.who, simulator, duration)

    def duration(self, simulator):
        return self.recorded.duration(simulator)

    def as_measured(self, values):
        return self.rotation.back(values)

    @property
    def measured(self):
        return self.recorded.data

    @property
    def shown(self):
        samples = np.arange(len(self.recorded.data))
        return Shown(("sample", "channel"), {"sample": samples, "channel": self._channels})

    @property
    def parts(self):
        return Shown(("channel",), {"channel": self._channels})

    @property
    def _channels(self) -> np.ndarray:
        return np.array(self.recorded.gain.channels)

    def state(self, mean: Array, variance: Array) -> None:
        """The statement about the data, and each channel's log density given the others."""
        data = jnp.asarray(self.rotated)
        numpyro.sample(self.name, dist.Normal(mean, jnp.sqrt(variance)).to_event(2), obs=data)
        left_out = self.rotation.left_out(data - mean, variance)
        numpyro.deterministic(f"{self.name}_log_likelihood", left_out)
