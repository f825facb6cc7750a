"""What a simulator recorded, whichever it was, and the questions a comparison asks of it.

SI units throughout: seconds, volts, amperes.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Recorded:
    """One run. `t`: (row,), s. `values`: path -> (row,), SI. `events`: path -> times, s.

    Row 0 is the initial state, row n is at t = n step. `switched`: the times at which any of the
    model's conditions changed between true and false, where the simulator can tell.
    """

    t: np.ndarray
    values: dict[str, np.ndarray]
    events: dict[str, np.ndarray] = field(default_factory=dict)
    switched: np.ndarray | None = None

    @property
    def step(self) -> float:
        return float(self.t[1] - self.t[0])


def up_crossings(values: np.ndarray, threshold: float) -> np.ndarray:
    """Rows of the first sample above `threshold` after one at or below it.

    The rule of the Open Source Brain model validation tool, by which the spike times published
    with NeuroML's examples are found: no interpolation.
    """
    return 1 + np.flatnonzero((values[:-1] <= threshold) & (values[1:] > threshold))


def maxima(values: np.ndarray) -> np.ndarray:
    """Rows of local maxima, by the same tool's rule for tests without a threshold."""
    slope = np.diff(values)
    return 1 + np.flatnonzero((slope[:-1] >= 0) & (slope[1:] < 0))


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest relative error of event times; infinite where their numbers differ."""
    if len(found) != len(expected):
        return float("inf")
    if len(expected) == 0:
        return 0.0
    return float(np.max(np.abs(found - expected) / np.abs(expected)))
