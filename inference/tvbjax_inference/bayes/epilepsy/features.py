"""Features of raw SEEG that the inference looks at: power in time, slow and in few points.

As in the preparation of data for the Virtual Epileptic Patient (Vattikonda et al. 2021, Commun.
Biol. 4:1244): high-pass, squares in a sliding window, logarithm, low-pass, fewer points.
"""

import dataclasses
import math
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.ndimage import correlate1d, maximum_filter1d, minimum_filter1d
from scipy.signal import butter, sosfiltfilt

from tvbjax.kinds import check_count, check_kind, check_number
from tvbjax_inference.bayes.epilepsy.seizure import Seizure, some

_ORDER = 4  # of both filters, which run forwards and backwards
_SLOW = 2.0  # Hz, the usual low-pass
_SPARE = 0.4  # of the points' rate: what is slower is not aliased
_BASELINE = 2.0  # s before the onset, the least that a baseline is made of
_FEWEST = 20  # points of a window that a model is fitted to
# Of what is fitted, by default: s of the recording in a ms of the model, s ahead of the onset and
# behind the end, ms of the model from point to point.
PACE, BEFORE, AFTER, STEP = 4.0, 20.0, 5.0, 0.2
_MARK = (
    "mark it: in onsets.tsv, in the row of the seizure whose region is n/a, columns onset and end, "
    "in s from the first sample; or dataclasses.replace(seizure, onset=..., end=...)"
)


def log_power(
    samples: Float[np.ndarray, "time channel"],
    period: float,
    *,
    high_pass: float = 10.0,
    window: float = 0.5,
    low_pass: float | None = None,
    points: int = 300,
) -> Float[np.ndarray, "point channel"]:
    """The natural logarithm of the power of each channel in time, in the samples' unit squared.

    A high-pass (Butterworth, without delay) at `high_pass` Hz, the mean square in a sliding
    `window` (s, centred, mirrored at the ends), its logarithm, and a low-pass at `low_pass` Hz,
    read at `feature_times`: the middles of `points` equal parts of the recording. `period`: s
    between samples. `low_pass`: None is 2 Hz, or 0.4 of the points' rate where that is less.

    Of a sine of the amplitude A it is ln(A² / 2). Of white noise it has, before the low-pass, a
    variance of about 2 / (samples in the window) and a mean that is half of that too low.
    Raises ValueError for frequencies, windows and points that the recording does not allow, and
    where a channel has no power at all in some window: where it has one value throughout.
    """
    given = _checked("log_power", samples, period, high_pass, window, low_pass, points)
    silent = _silent(samples, given.window)
    if silent.any():
        time, channel = np.argwhere(silent)[0]
        raise ValueError(
            f"log_power: column {channel} has no power above {high_pass:g} Hz around "
            f"{time * period:g} s, as where a contact is disconnected; leave the channel out, or "
            "cut the recording."
        )
    power = np.maximum(_power(samples, period, high_pass, given.window), np.finfo(float).tiny)
    return _slow(np.log(power), period, given.low_pass, points)


def envelope(
    samples: Float[np.ndarray, "time channel"],
    period: float,
    *,
    high_pass: float = 10.0,
    window: float = 0.5,
    low_pass: float | None = None,
    points: int = 300,
) -> Float[np.ndarray, "point channel"]:
    """The root mean square of each channel in time, in the samples' unit: as `log_power`, with a
    root instead of the logarithm. Of a sine of the amplitude A it is A / √2."""
    given = _checked("envelope", samples, period, high_pass, window, low_pass, points)
    root = np.sqrt(_power(samples, period, high_pass, given.window))
    return _slow(root, period, given.low_pass, points)


def feature_times(samples: int, period: float, points: int) -> Float[np.ndarray, " point"]:
    """When the points of features are, s from the first sample: the middles of equal parts of a
    recording of so many samples."""
    return (np.arange(points) + 0.5) * (samples * period / points)


def seizure_window(seizure: Seizure, before: float = 5.0, after: float = 5.0) -> Seizure:
    """The part of a recording from `before` s ahead of the onset to `after` s behind the end.

    Marks are counted from its first sample. Regions that are reached later count as not known.
    Raises ValueError as `check_seizure` does, without an end, and where the recording is shorter.
    """
    check_number("seizure_window: before, in s,", before, least=0.0)
    check_number("seizure_window: after, in s,", after, least=0.0)
    check_seizure(seizure)
    where = f"seizure_window: {seizure.name!r}"
    if seizure.onset is None or seizure.end is None:
        raise ValueError(
            f"{where} has no end; {_MARK}. Where it lasts to the end of the recording, that is "
            f"{seizure.duration:g}."
        )
    first = round((seizure.onset - before) / seizure.period)
    last = round((seizure.end + after) / seizure.period)
    if first < 0 or last > len(seizure.samples):
        raise ValueError(
            f"{where} lasts from {seizure.onset:g} to {seizure.end:g} s of {seizure.duration:g} s, "
            f"so that there are not {before:g} s before and {after:g} s after it; lower them."
        )
    start = first * seizure.period
    kept = {
        region: max(0.0, time - start)
        for region, time in (seizure.onsets or {}).items()
        if time < last * seizure.period or time == math.inf
    }
    return dataclasses.replace(
        seizure,
        samples=seizure.samples[first:last],
        onset=max(0.0, seizure.onset - start),
        end=min(seizure.end - start, (last - first) * seizure.period),
        onsets=None if seizure.onsets is None else kept,
    )


def fitted_window(
    seizure: Seizure,
    *,
    pace: float = PACE,
    before: float = BEFORE,
    after: float = AFTER,
    step: float = STEP,
) -> tuple[Seizure, Float[np.ndarray, "point channel"]]:
    """What a model is fitted to: the window from `before` s ahead of the onset to `after` s behind
    the end, as far as they were recorded, and its log power at every `step` ms of a model, of which
    1 ms is `pace` s of the recording.

    Raises ValueError with all that keeps a recording from being fitted, as `seizure_window` and
    `log_power` do, and for a pace that makes too few or too many points.
    """
    for name, value in {"pace": pace, "step, in ms,": step}.items():
        check_number(f"fitted_window: {name}", value, above=0.0)
    for name, value in {"before": before, "after": after}.items():
        check_number(f"fitted_window: {name}, in s,", value, least=0.0)
    if seizure.onset is not None and seizure.end is not None:
        # Recordings often end with the seizure.
        before, after = min(before, seizure.onset), min(after, seizure.duration - seizure.end)
    window = seizure_window(seizure, before, after)
    where, count = f"fitted_window: {seizure.name!r}", len(window.samples)
    wanted = window.duration / (pace * step)
    if not _FEWEST <= wanted <= count:
        least, most = seizure.period / step, window.duration / (_FEWEST * step)
        raise ValueError(
            f"{where}: at a pace of {pace:g} s of the recording in a ms of the model, the window "
            f"of {window.duration:g} s makes {wanted:.4g} points, and {_FEWEST} to {count} (its "
            f"samples) can be fitted; give a pace from {1.01 * least:.3g} to {0.99 * most:.3g}."
        )
    silent = _silent(window.samples, _width(0.5, window.period)).any(axis=0)
    dead = [window.channels[number] for number in np.flatnonzero(silent)]
    if dead:
        raise ValueError(
            f"{where}: {some(dead)} have one value for 0.5 s or longer in the window, as "
            "disconnected contacts do; leave them out: status bad in seizures/"
            f"{seizure.name}_channels.tsv (columns name and status), or Seizure.take."
        )
    return window, log_power(window.samples, window.period, points=round(wanted))


def check_seizure(
    seizure: Seizure,
    *,
    high_pass: float = 10.0,
    window: float = 1.0,
    deviations: float = 6.0,
    ratio: float = 2.0,
) -> None:
    """Raises ValueError where no channel's power ever rises to `ratio` times after the onset of
    what is said to be a seizure, and warns where it does, and no more than power varies before.

    It is sure to rise where the log power (above `high_pass` Hz, in windows of `window` s) is more
    than `deviations` robust standard deviations, 1.4826 times the median absolute deviation, above
    the median of the time before the onset (the baseline, at least 2 s), and the power is at least
    `ratio` times that of the median. A baseline in which power drifts deviates much: what rises to
    `ratio` times and is within its deviations may be a seizure, and someone has to look.
    """
    check_kind("check_seizure: seizure", seizure, Seizure, "patient.seizures[0]")
    check_number("check_seizure: deviations", deviations, above=0.0)
    check_number("check_seizure: ratio", ratio, above=1.0)
    where = f"check_seizure: {seizure.name!r}"
    if seizure.onset is None:
        raise ValueError(f"{where} has no onset; {_MARK}.")
    if seizure.onset < _BASELINE:
        raise ValueError(
            f"{where} begins at {seizure.onset:g} s, and the baseline before it needs "
            f"{_BASELINE:g} s; give a longer recording."
        )
    given = _checked(where, seizure.samples, seizure.period, high_pass, window, None, 1)
    power = _power(seizure.samples, seizure.period, high_pass, given.window)
    level = np.log(np.maximum(power, np.finfo(float).tiny))
    begin = round(seizure.onset / seizure.period)
    end = len(level) if seizure.end is None else round(seizure.end / seizure.period)
    # Windows that reach into the seizure are no baseline.
    rest = level[: begin - given.window // 2]
    middle = np.median(rest, axis=0)
    spread = 1.4826 * np.median(np.abs(rest - middle), axis=0)
    rise = level[begin:end] - middle
    high = rise / np.maximum(spread, np.finfo(float).tiny)
    rises = rise >= math.log(ratio)
    if (rises & (high > deviations)).any():
        return
    time, channel = np.unravel_index(np.argmax(rise), rise.shape)
    span = f"from {seizure.onset:g} to {end * seizure.period:g} s"
    most = (
        f"The most is channel {seizure.channels[channel]!r} at "
        f"{(begin + time) * seizure.period:g} s: {math.exp(rise[time, channel]):.3g} times, "
        f"{high[time, channel]:.3g} deviations."
    )
    if rises.any():
        warnings.warn(
            f"{where}: {span} power rises to more than {ratio:g} times that before the onset, but "
            f"not by {deviations:g} robust standard deviations of it. {most} It may vary as much "
            "without a seizure: look at the recording, at onset and end.",
            stacklevel=2,
        )
        return
    raise ValueError(
        f"{where}: a seizure window without a seizure: {span} power never rises to {ratio:g} times "
        f"that before the onset. {most} Check onset and end (s from the first sample) and the "
        "channels, or lower ratio."
    )


@dataclasses.dataclass(frozen=True)
class _Checked:
    window: int  # samples, odd
    low_pass: float  # Hz


def _checked(
    who: str,
    samples: Any,
    period: float,
    high_pass: float,
    window: float,
    low_pass: float | None,
    points: int,
) -> _Checked:
    """The window in samples and the low-pass in Hz, where all of it fits the recording."""
    check_number(f"{who}: period, in s,", period, above=0.0)
    for name, value in {"high_pass, in Hz,": high_pass, "window, in s,": window}.items():
        check_number(f"{who}: {name}", value, above=0.0)
    check_count(f"{who}: points", points)
    shape = np.shape(samples)
    if len(shape) != 2 or not np.isfinite(samples).all():
        raise ValueError(
            f"{who}: samples have the shape {shape}, or hold NaN or infinity; give finite "
            "(time, channel)."
        )
    half, duration = 0.5 / period, shape[0] * period
    width = _width(window, period)
    rate = points / duration
    slow = min(_SLOW, _SPARE * rate) if low_pass is None else low_pass
    check_number(f"{who}: low_pass, in Hz,", slow, above=0.0)
    rules = {
        f"power above {high_pass:g} Hz (high_pass) is what is looked at, and samples at "
        f"{2 * half:g} Hz hold only what is below {half:g} Hz; record at more than "
        f"{2 * high_pass:g} Hz, or, if it was, give times in s (a column `time` in ms makes rates "
        "a thousand times too low)": high_pass < half,
        f"window is {window:g} s, {width} samples of {shape[0]}; give three or more, and less "
        "than the recording": 3 <= width < shape[0],
        f"low_pass is {slow:g} Hz; give less than half the samples' rate, {half:g} Hz": slow < half,
        f"{points} points are more than the {shape[0]} samples; lower points": points <= shape[0],
        f"low_pass is {slow:g} Hz, and {points} points in {duration:g} s, {rate:.3g} a second, "
        "show no more than half of that; raise points or lower it": points == 1
        or slow <= 0.5 * rate,
        f"{shape[0]} samples are too few for the filters; give {_least()} or more": shape[0]
        >= _least(),
    }
    for text, holds in rules.items():
        if not holds:
            raise ValueError(f"{who}: {text}.")
    return _Checked(width, slow)


def _width(window: float, period: float) -> int:
    """A window in samples, odd."""
    return 2 * round(0.5 * window / period - 0.5) + 1


def _silent(samples: np.ndarray, width: int) -> np.ndarray:
    """Whether all samples of the window around each are equal, (time, channel).

    Not by the power, which the high-pass's ringing keeps above 0."""
    values = np.asarray(samples, dtype=np.float64)
    most = maximum_filter1d(values, width, axis=0, mode="reflect")
    return most == minimum_filter1d(values, width, axis=0, mode="reflect")


def _least() -> int:
    """Samples that sosfiltfilt needs for its edges."""
    return 3 * (_ORDER + 1) + 1


def _power(samples: np.ndarray, period: float, high_pass: float, width: int) -> np.ndarray:
    """The mean square in a window around each sample, (time, channel)."""
    sections = butter(_ORDER, high_pass, "highpass", fs=1 / period, output="sos")
    fast = sosfiltfilt(sections, np.asarray(samples, dtype=np.float64), axis=0)
    # Not by running sums, whose rounding leaves a loud seizure's trace on what is silent.
    return correlate1d(fast**2, np.full(width, 1.0 / width), axis=0, mode="reflect")


def _slow(signal: np.ndarray, period: float, low_pass: float, points: int) -> np.ndarray:
    """Low-passed, at `feature_times`."""
    sections = butter(_ORDER, low_pass, "lowpass", fs=1 / period, output="sos")
    smooth = sosfiltfilt(sections, signal, axis=0)
    times = feature_times(len(signal), period, points)
    own = np.arange(len(signal)) * period
    return np.stack([np.interp(times, own, column) for column in smooth.T], axis=1)
