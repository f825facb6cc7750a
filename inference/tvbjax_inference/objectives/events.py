"""Features of events, differentiable: when a signal first crosses a threshold, how high its peak is
and when, how often it crosses. For `Feature`, and measures of a sweep like `tvbjax.features`.

Each has a `width`, in the unit of the signals, over which a sharp decision is made soft: as small
as you like the feature exact, as large as its gradient is to reach.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.features import AbstractFeature
from tvbjax.kinds import check_number
from tvbjax.selection import period_of


@dataclasses.dataclass(frozen=True)
class OnsetTime(AbstractFeature):
    """When a signal first crosses `threshold` upwards, ms: t_0 + sum over samples of the period
    times 1 - F(M_t), M_t the greatest value up to t, F the logistic function of
    (M_t - threshold) / width.

    For small widths the time of the first sample above; one period after the last where there is
    none. It does not depend on the sampling rate but for its resolution: the gradient, -1 / slope
    for a crossing of that slope, is that of a crossing between samples where the signal takes
    several of them through `width`, and less smooth than that with fewer. It vanishes where the
    signal stays many widths below: widen, or begin where there is an onset. Values above the
    threshold at the start give an onset of t_0, without a gradient.
    """

    threshold: float = dataclasses.field(kw_only=True)
    width: float = dataclasses.field(kw_only=True)
    default_name: ClassVar[str] = "onset_time"

    def __post_init__(self):
        _check_width(self)

    def of(self, signals, time):
        signals = jnp.asarray(signals)
        _, highest = jax.lax.scan(_higher, signals[0], signals)
        below = jax.nn.sigmoid((self.threshold - highest) / self.width)
        return time[0] + _period_of(self, time) * below.sum(axis=0)


@dataclasses.dataclass(frozen=True)
class PeakAmplitude(AbstractFeature):
    """A signal's peak, in its unit: the mean of its values, weighted by exp(x / width).

    Never above the maximum, and that for small widths: below it by about half a width where the
    peak is a parabola of many samples, by width times the logarithm of their number at most. The
    gradient is spread over the samples within a few widths of the peak; it jumps between peaks of
    equal height that are apart in time only for widths far smaller than their difference.
    """

    width: float = dataclasses.field(kw_only=True)
    default_name: ClassVar[str] = "peak_amplitude"

    def __post_init__(self):
        _check_width(self)

    def of(self, signals, time):
        return (jax.nn.softmax(signals / self.width, axis=0) * signals).sum(axis=0)


@dataclasses.dataclass(frozen=True)
class PeakLatency(AbstractFeature):
    """When a signal has its peak, ms: the mean of the samples' times, weighted by exp(x / width),
    a soft argmax (Kendall et al., ICCV 2017).

    For small widths the time of the largest sample, and no gradient; for large ones drawn to the
    middle of the run, the more so the longer it is. A width of about a tenth of the peak's height
    over the rest serves. Of two peaks within a width of each other it is a time in between.
    """

    width: float = dataclasses.field(kw_only=True)
    default_name: ClassVar[str] = "peak_latency"

    def __post_init__(self):
        _check_width(self)

    def of(self, signals, time):
        weights = jax.nn.softmax(signals / self.width, axis=0)
        times = jnp.asarray(time, signals.dtype)[:, None]
        return (weights * times).sum(axis=0)


@dataclasses.dataclass(frozen=True)
class EventRate(AbstractFeature):
    """How often a signal crosses `threshold` upwards, Hz: the total rise of F, the logistic
    function of (x - threshold) / width, per second of the recording.

    For small widths the number of upward crossings over the time from the first to the last sample;
    a wave that does not go far beyond on both sides counts as a part of one, and so does every rise
    of noise near the threshold. The gradient comes from minima and maxima within a few widths of
    the threshold: it vanishes where all of them are farther, and jumps where one appears.
    """

    threshold: float = dataclasses.field(kw_only=True)
    width: float = dataclasses.field(kw_only=True)
    default_name: ClassVar[str] = "event_rate"

    def __post_init__(self):
        _check_width(self)

    def of(self, signals, time):
        above = jax.nn.sigmoid((signals - self.threshold) / self.width)
        rises = jax.nn.relu(jnp.diff(above, axis=0)).sum(axis=0)
        return rises * (1000.0 / (_period_of(self, time) * (len(time) - 1)))


# A loop: the gradient of `jax.lax.cummax` takes thirty times as long to compile.
def _higher(highest: Array, row: Array) -> tuple[Array, Array]:
    highest = jnp.maximum(highest, row)
    return highest, highest


def _check_width(feature) -> None:
    who = type(feature).__name__
    check_number(f"{who}: width, in the signals' unit,", feature.width, above=0.0)
    check_number(f"{who}: threshold", getattr(feature, "threshold", 0.0))


def _period_of(feature: AbstractFeature, time: Float[Array | np.ndarray, " time"]) -> float:
    if len(time) < 2:
        raise ValueError(
            f"{type(feature).__name__}: {len(time)} samples; it takes two or more to know how far "
            "they are apart in time."
        )
    return period_of(time)
