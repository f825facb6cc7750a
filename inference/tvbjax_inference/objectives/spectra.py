"""Objective of power spectra."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import analysis
from tvbjax.analysis._signals import as_whole
from tvbjax.arrays import as_floats, is_traced
from tvbjax.axes import Axis
from tvbjax.kinds import check_kind, check_number
from tvbjax.monitors._arguments import as_time
from tvbjax_inference.objectives._objective import AbstractOfSamples, Comparison, Kind
from tvbjax_inference.objectives._seen import Seen
from tvbjax_inference.objectives._target import Target, as_target, check_dims, check_places
from tvbjax_inference.objectives.distances import Distance, as_distance, root_mean_square


class PowerSpectrum(AbstractOfSamples):
    """Log-spectral distance of simulated and empirical power from `low` to `high` Hz: the root mean
    square over frequencies of 10 log10(P(f) / target(f)), dB, >= 0 (Gray and Markel, IEEE ASSP
    24:380, 1976).

    `target`: (frequency,), compared with the mean of the places' power, or (frequency, place), each
    with its own; > 0 in the band, densities as `analysis.power_spectrum` and `scipy.signal.welch`
    give. `frequencies`: the target's, Hz, rising; of an `xarray.DataArray` its own. In between them
    the target's logarithm is interpolated at those of the simulation, multiples of
    1000 / (segment * period) Hz. `segment`: samples of a window of Welch's method. `relative`: of
    power as a share of its sum over the band, so that the signals' unit is of no account; False:
    of densities in units. `distance`: of the logarithms, dB.

    The gradient of a logarithm is that of relative change: weak frequencies count as much as strong
    ones, a peak of little power included. From Welch's estimate of k windows the logarithm's own
    noise is about 4.3 / sqrt(k) dB, below which the distance does not go: with shorter segments it
    is less noisy, and coarser in frequency. A peak that is off by more than its width moves by its
    flanks alone. Infinite or NaN where a signal is constant.
    """

    target: Target
    frequencies: Float[Array, " frequency"]
    segment: int = eqx.field(static=True)
    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    relative: bool = eqx.field(static=True)
    distance: Distance = eqx.field(static=True)
    monitor: str | None = eqx.field(static=True)
    variable: str | None = eqx.field(static=True)
    skip: float = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        target: Any,
        frequencies: Any = None,
        *,
        segment: int,
        low: float,
        high: float,
        relative: bool = True,
        distance: Distance = root_mean_square,
        monitor: str | None = None,
        variable: str | None = None,
        skip: float = 0.0,
        name: str = "power_spectrum",
    ):
        self.target = as_target(target)
        own = self.target.axis(0) if self.target.values.ndim else None
        if frequencies is None and own is None:
            raise ValueError(
                f"{name}: the target's frequencies are not known; give frequencies=, Hz, e.g. "
                "analysis.frequencies(period, segment)."
            )
        if own and frequencies is None and isinstance(own.coordinate[0], str):
            raise ValueError(
                f"{name}: the target's first dim is '{own.name}', of names; give frequencies "
                "first: target.transpose('frequency', ...)."
            )
        if own and frequencies is None and own.unit not in ("", "Hz"):
            raise ValueError(
                f"{name}: the target's {own.name} is in '{own.unit}'; give Hz: "
                f"target.assign_coords({own.name}=...), without or with the attribute units='Hz'."
            )
        self.frequencies = as_floats(own.coordinate if own and frequencies is None else frequencies)
        self.segment = as_whole(name, "segment", segment)
        self.low, self.high = as_time(low), as_time(high)
        self.relative, self.distance = relative, as_distance(distance)
        self.monitor, self.variable, self.skip, self.name = monitor, variable, skip, name

    def __check_init__(self):
        check_kind(f"{self.name}: relative", self.relative, bool, "True")
        check_dims(self.name, self.target, {1: "(frequency,)", 2: "(frequency, place)"})
        if self.frequencies.shape != self.target.values.shape[:1]:
            raise ValueError(
                f"{self.name}: {self.frequencies.size} frequencies of a target of shape "
                f"{self.target.values.shape}; give one for each row."
            )
        for what, value in (("low", self.low), ("high", self.high)):
            check_number(f"{self.name}: {what}", value)
        if not 0 < self.low < self.high:
            raise ValueError(
                f"{self.name}: the band is {self.low} to {self.high} Hz; give 0 < low < high."
            )
        if self.segment < 2:
            raise ValueError(f"{self.name}: segment={self.segment}; give two samples or more.")
        if not is_traced((self.frequencies, self.target)):
            self._check_target(np.asarray(self.frequencies), np.asarray(self.target.values))

    def check_seen(self, seen):
        seen.check_signals()
        seen.check_count(self.segment, f"a segment of {self.segment} samples")
        nyquist, spacing = 500.0 / seen.period, 1000.0 / (self.segment * seen.period)
        if self.high > nyquist * (1 + 1e-9):
            raise ValueError(
                f"{self.name}: the band is {self.low:g} to {self.high:g} Hz, and '{seen.monitor}' "
                f"with a sample every {seen.period:.10g} ms resolves up to {nyquist:g} Hz; lower "
                "high=, or the monitor's period."
            )
        if len(self._inside(seen)) < 2:
            raise ValueError(
                f"{self.name}: fewer than two frequencies lie in the band from {self.low:g} to "
                f"{self.high:g} Hz, as a segment of {self.segment} samples gives one every "
                f"{spacing:g} Hz; give a longer segment or a wider band."
            )
        if self.target.values.ndim == 2:
            check_places(seen, self.target)

    def of(self, seen):
        density = analysis.power_spectrum(seen.as_array(), seen.period, self.segment)
        if self.target.values.ndim == 1:
            density = density.mean(axis=1)
        return self._decibel(jnp.log(density[self._inside(seen)]))

    def wanted(self, seen):
        at = jnp.asarray(self._frequencies(seen), self.frequencies.dtype)
        # Outside the band nothing is read, and the target may be 0.
        logs = jnp.log(jnp.maximum(self.target.values, jnp.finfo(self.frequencies.dtype).tiny))
        columns = logs.reshape(len(logs), -1)
        found = jax.vmap(jnp.interp, (None, None, 1), 1)(at, self.frequencies, columns)
        return self._decibel(found.reshape(len(at), *logs.shape[1:]))

    def between(self, simulated, empirical):
        return self.distance(simulated, empirical)

    def compared(self, result):
        seen = self.seen(result)
        frequency = Axis("frequency", tuple(float(f) for f in self._frequencies(seen)), "Hz")
        axes = (frequency, seen.places)[: self.target.values.ndim]
        return Comparison(
            self.name, self.of(seen), self.wanted(seen), axes, Kind.SPECTRUM, unit="dB"
        )

    def _inside(self, seen: Seen) -> np.ndarray:
        """Which of the simulated frequencies are in the band."""
        grid = analysis.frequencies(seen.period, self.segment)
        slack = 1e-9 * self.high
        return np.flatnonzero((grid >= self.low - slack) & (grid <= self.high + slack))

    def _frequencies(self, seen: Seen) -> np.ndarray:
        return analysis.frequencies(seen.period, self.segment)[self._inside(seen)]

    def _decibel(self, logs: Float[Array, "frequency *place"]) -> Float[Array, "frequency *place"]:
        """Natural logarithms of power in dB, of its share in the band if that is asked for."""
        if self.relative:
            logs = logs - jax.nn.logsumexp(logs, axis=0, keepdims=True)
        return logs * (10.0 / np.log(10.0))

    def _check_target(self, frequencies: np.ndarray, values: np.ndarray) -> None:
        if not (np.isfinite(frequencies).all() and (np.diff(frequencies) > 0).all()):
            raise ValueError(f"{self.name}: the target's frequencies do not rise; sort them.")
        slack = 1e-6 * self.high
        if not frequencies[0] - slack <= self.low < self.high <= frequencies[-1] + slack:
            raise ValueError(
                f"{self.name}: the band is {self.low:g} to {self.high:g} Hz, and the target's "
                f"frequencies go from {frequencies[0]:g} to {frequencies[-1]:g} Hz; give a band "
                "within."
            )
        # All that is interpolated between, the neighbours of the band's ends included.
        first = max(0, int(np.searchsorted(frequencies, self.low, side="right")) - 1)
        last = int(np.searchsorted(frequencies, self.high))
        bad = np.argwhere(values[first : last + 1] <= 0)
        if len(bad):
            index = (int(bad[0][0]) + first, *(int(i) for i in bad[0][1:]))
            raise ValueError(
                f"{self.name}: {self.target.where(index)} at {frequencies[index[0]]:g} Hz is "
                f"{values[index]:g}, which has no logarithm; give power densities > 0 in the band."
            )
