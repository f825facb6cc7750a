"""The comparisons of two runs of one file: row by row, by events, by published spike times."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conformance.recorded import Recorded, maxima, relative_error, up_crossings

EXACT = 1e-9
NEARLY = 0.01
PUBLISHED = 1.5  # times the tolerance given for jNeuroML
LISTED = 60  # event times stored at most


@dataclass(frozen=True)
class Outcome:
    """What one comparison found. `said`: for the table, without what it was compared with."""

    against: str
    passed: bool
    said: str


def exact(ours: Recorded, theirs: Recorded, against: str) -> Outcome:
    """Row by row: equal to 1e-9 of each quantity's range before the first event, and the events
    thereafter (up-crossings of the middle of the range) within one step."""
    step = theirs.step
    rows, worst, where = _first_difference(ours, theirs)
    shift, missing = _event_shift(ours, theirs)
    if rows is None:
        return Outcome(against, True, f"equal to {worst:.0e} in {len(theirs.t)} rows")
    event = _first_event(theirs)
    # A pulse may begin one step earlier or later: PyLEMS adds steps up, and so meets an edge late.
    before = rows >= round(event / step)
    said = f"{worst:.0e} at most, from row {rows} (t = {rows * step:.6g} s, {where}) on; "
    said += f"first event at {event:.6g} s; "
    said += missing or f"events within {shift:.1f} steps"
    return Outcome(against, before and not missing and shift <= 1.0 + 1e-6, said)


def events(ours: Recorded, theirs: Recorded, against: str) -> Outcome:
    """Events alone, within one step."""
    shift, missing = _event_shift(ours, theirs)
    rows, worst, _ = _first_difference(ours, theirs)
    said = (
        f"equal to {worst:.0e}" if rows is None else missing or f"events within {shift:.1f} steps"
    )
    return Outcome(against, rows is None or (not missing and shift <= 1.0 + 1e-6), said)


def published(folder: Path, test: dict, method: str = "Euler") -> Outcome:
    """The spike times published with NeuroML's examples, by the rules of the tool that checks them:
    columns of the file that the simulation wrote, scaled; first samples above the threshold, or
    maxima where there is none; relative tolerance."""
    passed, worst, failures = True, 0.0, []
    for name, experiment in test["experiments"].items():
        rows = np.loadtxt(folder / experiment["file"], usecols=experiment["columns"])
        t, values = (rows * experiment["scaling"]).T
        threshold = experiment["threshold_scaled"]
        at = maxima(values) if threshold is None else up_crossings(values, threshold)
        expected = np.asarray(experiment["spike_times_ms"])
        if len(at) != len(expected):
            passed = False
            failures.append(f"{name}: {len(at)} spikes, expected {len(expected)}")
            continue
        tolerance = PUBLISHED * experiment["relative_tolerance"]
        worst = max(worst, relative_error(t[at], expected))
        if not np.allclose(t[at], expected, rtol=tolerance, atol=1e-8):
            passed = False
            failures.append(f"{name}: {relative_error(t[at], expected):.1e} > {tolerance:.1e}")
    said = "; ".join([f"spikes within {worst:.1e}", *failures])
    return Outcome(f"published spike times, {method}", passed, said)


def jlems_events(
    ours: Recorded, stored: dict, until: float = np.inf, other: Recorded | None = None
) -> Outcome:
    """Up-crossings and events that jLEMS found, within 1 %, those before the time `until`.

    `other`: our run at jLEMS's second step. With it the times are compared that both approach as
    the step goes to zero, by a straight line through those at two steps.
    """
    end = min(until, float(ours.t[-1]))
    pairs = []
    for name, quantity in stored["quantities"].items():
        for level in quantity["levels"]:
            found = ours.t[up_crossings(ours.values[name], level["threshold"])]
            expected = np.asarray(level["crossings"])
            if other is not None:
                if "other" not in level:
                    continue
                at = other.t[up_crossings(other.values[name], level["threshold"])]
                steps = (ours.step, other.step)
                found = _limit(found, at, steps)
                expected = _limit(expected, np.asarray(level["other"]), steps)
            pairs.append((name, found, expected))
    if other is None:
        pairs += [
            (name, ours.events[name], np.asarray(at)) for name, at in stored["events"].items()
        ]
    worst, compared, failures = 0.0, 0, []
    for name, found, expected in pairs:
        found, expected = found[found < end], expected[expected < end]
        compared += len(expected)
        error, missing = _time_error(found, expected, ours.step, end)
        worst = max(worst, error)
        if missing or error > NEARLY:
            failures.append(f"{name}: {missing or f'{error:.1e}'}")
    said = f"{compared} events within {worst:.1e}"
    if failures:
        said += f"; {len(failures)} of {len(pairs)} fail: " + "; ".join(failures[:3])
    return Outcome("jLEMS" if other is None else "jLEMS, step to 0", not failures, said)


def stored(
    ours: Recorded, theirs: Recorded, crossings: dict[str, tuple[float, np.ndarray]], against: str
) -> Outcome:
    """Chosen rows of a run kept on disk: equal to 1e-9, or events within one step of those stored.

    `theirs`: rows at the times it has. `crossings`: quantity -> threshold, times, s.
    """
    rows = np.rint(theirs.t / ours.step).astype(int)
    kept = Recorded(theirs.t, {name: ours.values[name][rows] for name in theirs.values})
    first, worst, _ = _first_difference(kept, theirs)
    if first is None:
        return Outcome(against, True, f"equal to {worst:.0e} in {len(rows)} rows")
    shift = 0.0
    for name, (threshold, times) in crossings.items():
        found = ours.t[up_crossings(ours.values[name], threshold)]
        if len(found) != len(times):
            return Outcome(against, False, f"{name}: {len(found)} events, expected {len(times)}")
        shift = max(shift, float(np.abs(found - times).max(initial=0.0)) / ours.step)
    said = (
        f"{worst:.0e} at most, from t = {theirs.t[first]:.6g} s on; events within {shift:.1f} steps"
    )
    return Outcome(against, shift <= 1.01, said)


def waveforms(ours: Recorded, theirs: Recorded) -> str:
    """The largest difference of any quantity as a share of its range, and which: to be read only.
    Around a spike it is large as soon as the spike comes one step apart."""
    _, worst, where = _first_difference(ours, theirs)
    return f"{worst:.0e} ({where})"


def _first_difference(ours: Recorded, theirs: Recorded) -> tuple[int | None, float, str]:
    """The first row that differs by more than 1e-9 of the range, the largest difference, and of
    which quantity these are."""
    first, worst, where = None, 0.0, ""
    for name, expected in theirs.values.items():
        rows = min(len(expected), len(ours.values[name]))
        got, expected = ours.values[name][:rows], expected[:rows]
        known = np.isfinite(expected)
        extent = np.ptp(expected[known]) or np.abs(expected[known]).max() or 1.0
        difference = np.where(known, np.abs(got - expected) / extent, 0.0)
        difference = np.where(np.isfinite(got), difference, np.inf)
        beyond = np.flatnonzero(difference > EXACT)
        if len(beyond) and (first is None or beyond[0] < first):
            first, where = int(beyond[0]), name
        if difference.max() > worst and first is None:
            where = name
        worst = max(worst, float(difference.max()))
    return first, worst, where


def _event_shift(ours: Recorded, theirs: Recorded) -> tuple[float, str]:
    """The most that an up-crossing of the middle is apart, in steps, or what is missing."""
    shift = 0.0
    for name, expected in theirs.values.items():
        rows = min(len(expected), len(ours.values[name]))
        expected = expected[:rows]
        threshold = (np.nanmin(expected) + np.nanmax(expected)) / 2
        at = up_crossings(expected, threshold)
        got = up_crossings(ours.values[name][:rows], threshold)
        # Neither from row 0, which PyLEMS does not record, nor where the last row cuts one off.
        at, got = (rows_[(rows_ > 1) & (rows_ < rows - 2)] for rows_ in (at, got))
        if len(got) != len(at):
            return shift, f"{name} crosses its middle {len(got)} times, expected {len(at)}"
        shift = max(shift, float(np.abs(got - at).max(initial=0)))
    return shift, ""


def _first_event(theirs: Recorded) -> float:
    if theirs.switched is None or len(theirs.switched) == 0:
        return float(theirs.t[-1])
    return float(theirs.switched[0])


def _limit(own: np.ndarray, other: np.ndarray, steps: tuple[float, float]) -> np.ndarray:
    """Event times as the step goes to zero, from those at two steps."""
    common = min(len(own), len(other))
    slope = (other[:common] - own[:common]) / (steps[1] - steps[0])
    return own[:common] - slope * steps[0]


def _time_error(
    found: np.ndarray, expected: np.ndarray, step: float, end: float
) -> tuple[float, str]:
    """Relative error of times, those within two steps being equal, or what is missing.

    An event within the last hundredth of the run may be there on one side only.
    """
    if len(expected) >= LISTED:
        found = found[: len(expected)]
    common = min(len(found), len(expected))
    extra = np.r_[found[common:], expected[common:]]
    if np.any(extra < (1 - NEARLY) * end):
        return 0.0, f"{len(found)} events, expected {len(expected)}"
    apart = np.abs(found[:common] - expected[:common])
    return float(
        np.max(np.where(apart <= 2.01 * step, 0.0, apart / expected[:common]), initial=0.0)
    ), ""
