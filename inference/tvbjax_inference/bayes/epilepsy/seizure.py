"""A seizure as it was recorded by intracranial electrodes (SEEG): samples, and what was marked."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from tvbjax.kinds import check_kind, check_number
from tvbjax.near import near


@dataclasses.dataclass(frozen=True, eq=False)
class Seizure:
    """Raw samples of one seizure; times are in s and counted from the first sample.

    `channels`: names of the columns of `samples`, (time, channel), of any unit; a read-only copy is
    kept. `period`: s between samples. `onset`, `end`: when the seizure begins and ends, None where
    it was not marked. `onsets`: when it reaches regions, by their labels: `math.inf` for one that
    it was seen not to reach; what is not there is not known.

    Raises TypeError, and one ValueError with all that is wrong: a channel named twice, NaN or
    infinity, a constant channel, a period that is not positive, marks outside the recording.
    """

    name: str
    channels: tuple[str, ...]
    samples: Float64[np.ndarray, "time channel"]
    period: float
    onset: float | None = None
    end: float | None = None
    onsets: Mapping[str, float] | None = None

    def __post_init__(self):
        check_kind("Seizure: name", self.name, str, "'seizure1'")
        where = f"Seizure {self.name!r}"
        if isinstance(self.channels, str):
            raise TypeError(f"{where}: channels is {self.channels!r}; give a list of names.")
        check_number(f"{where}: period, in s,", self.period, above=0.0)
        for mark in ("onset", "end"):
            if getattr(self, mark) is not None:
                check_number(f"{where}: {mark}, in s,", getattr(self, mark))
        if self.onsets is not None:
            check_kind(f"{where}: onsets", self.onsets, Mapping, "{'lHippocampus': 12.5}")
            object.__setattr__(self, "onsets", dict(self.onsets))
        samples = np.array(self.samples, dtype=np.float64)
        samples.setflags(write=False)
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "channels", tuple(self.channels))
        for number in ("period", "onset", "end"):
            value = getattr(self, number)
            object.__setattr__(self, number, None if value is None else float(value))
        raise_all(where, [*_problems_of_channels(self), *_problems_of_marks(self)])

    def __repr__(self) -> str:
        onset, end = ("None" if t is None else f"{t:g}" for t in (self.onset, self.end))
        return (
            f"Seizure({self.name!r}: {len(self.channels)} channels, {self.duration:g} s at "
            f"{1 / self.period:g} Hz, onset={onset}, end={end})"
        )

    @property
    def duration(self) -> float:
        """Of the recording, s: samples times period."""
        return len(self.samples) * self.period

    @property
    def times(self) -> Float64[np.ndarray, " time"]:
        """Of the samples, s; the first is 0."""
        return np.arange(len(self.samples)) * self.period

    def take(self, channels: Sequence[str]) -> "Seizure":
        """The channels of these names, in that order. Raises ValueError."""
        for channel in channels:
            if channel not in self.channels:
                hint = near(channel, self.channels) or "see `channels`."
                raise ValueError(f"Seizure {self.name!r}: there is no channel {channel!r}; {hint}")
        columns = [self.channels.index(channel) for channel in channels]
        return dataclasses.replace(self, channels=tuple(channels), samples=self.samples[:, columns])


def some(names: Sequence[str], most: int = 6) -> str:
    """The first names, in quotes, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def raise_all(where: str, problems: Sequence[str]) -> None:
    """Raises one ValueError with all problems, a line each, where there are any."""
    if problems:
        raise ValueError("\n".join(f"{where}: {problem}" for problem in problems))


def _problems_of_channels(seizure: Seizure) -> Iterator[str]:
    samples, channels = seizure.samples, seizure.channels
    if samples.ndim != 2 or samples.shape[1] != len(channels) or samples.shape[0] < 2:
        yield (
            f"samples have the shape {samples.shape} and there are {len(channels)} channels; give "
            "(time, channel), two samples or more."
        )
        return
    if not channels:
        yield "there are no channels; give one or more."
    for channel in sorted({c for c in channels if channels.count(c) > 1}):
        yield f"two channels are called {channel!r}; names are distinct."
    finite = np.isfinite(samples)
    for channel, fine, column in zip(channels, finite.T, samples.T, strict=True):
        if not fine.all():
            first = int(np.argmin(fine))
            yield (
                f"channel {channel!r}: {int((~fine).sum())} samples are NaN or infinite, the first "
                f"is sample {first}, at {first * seizure.period:g} s; cut the recording there, or "
                f"leave the channel out ({_bad(seizure)})."
            )
        elif (column == column[0]).all():
            yield (
                f"channel {channel!r} is {column[0]:g} throughout, as dead contacts are; leave it "
                f"out ({_bad(seizure)})."
            )


def _bad(seizure: Seizure) -> str:
    return f"take; in a folder: status bad in {seizure.name}_channels.tsv, columns name and status"


def _problems_of_marks(seizure: Seizure) -> Iterator[str]:
    onset, end, whole = seizure.onset, seizure.end, seizure.duration
    if onset is not None and not 0 <= onset < whole:
        yield (
            f"onset is at {onset:g} s, and the recording lasts from 0 to {whole:g} s; give s from "
            "the first sample."
        )
    if end is not None and not (onset or 0.0) < end <= whole:
        yield (
            f"end is at {end:g} s; it is after the onset ({onset} s) and within the recording, "
            f"which lasts {whole:g} s."
        )
    for region, time in (seizure.onsets or {}).items():
        check_kind(f"Seizure {seizure.name!r}: onsets[{region!r}]", time, (float, int), "12.5")
        if not (0 <= time < whole or time == math.inf):
            yield (
                f"the onset in region {region!r} is at {time:g} s, and the recording lasts from 0 "
                f"to {whole:g} s; give s from the first sample, math.inf for 'not reached'."
            )
