"""What a run of a spiking network gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.spiking.program import Carry

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class SpikeTrains:
    """The spikes of a population: `times` in ms, sorted, and the number of the `cells`.

    `size`: how many cells there are. `start`, `duration`: ms; a spike at `start` is before it, one
    at the end is of it, as steps are.
    """

    times: Float[np.ndarray, " spike"]
    cells: Int[np.ndarray, " spike"]
    size: int
    duration: float
    start: float = 0.0

    def __len__(self) -> int:
        return len(self.times)

    def of(self, cell: int) -> Float[np.ndarray, " spike"]:
        """The times of one cell's spikes, ms."""
        return self.times[self.cells == cell]

    def between(self, start: float, end: float) -> "SpikeTrains":
        """The spikes after `start` and up to `end`, ms: without what happens at first."""
        last = self.start + self.duration
        slack = 1e-9 * max(abs(start), abs(last))
        if not self.start - slack <= start < end <= last + slack:
            raise ValueError(
                f"SpikeTrains: from {start:g} to {end:g} ms; give a time within the recorded "
                f"{self.start:g} to {last:g} ms."
            )
        first, after = np.searchsorted(self.times, [start + slack, end + slack], side="right")
        part = slice(first, after)
        return SpikeTrains(self.times[part], self.cells[part], self.size, end - start, start)

    @property
    def rate(self) -> float:
        """The mean rate, kHz."""
        return len(self.times) / (self.size * self.duration)


@dataclass(frozen=True)
class SpikingResult:
    """`result["rates"]` and what else was recorded, as xarray with units; `result.spikes` by
    population.

    `final`: the state to go on from, None of other simulators. `complete`: False where the run was
    interrupted.
    """

    recorded: Mapping[str, "xr.DataArray"]
    spikes: Mapping[str, SpikeTrains]
    final: Carry | None
    complete: bool = True

    def __getitem__(self, name: str) -> "xr.DataArray":
        if name not in self.recorded:
            known = ", ".join(self.recorded) or "nothing"
            raise KeyError(f"'{name}' was not recorded; recorded: {known}.")
        return self.recorded[name]

    def memory(self, projection: str) -> dict[str, np.ndarray]:
        """What each connection of a plastic projection remembers at the end, as its weight, by
        state; in the order of `network.projections[projection].sources` and `targets`."""
        memories = {} if self.final is None else self.final.memory
        if projection not in memories:
            known = ", ".join(memories) or "none"
            raise KeyError(f"'{projection}' remembers nothing; projections that do: {known}.")
        states = memories[projection].states
        return {name: np.asarray(value) for (_, name), value in states.items()}


def unpacked(bits: np.ndarray, size: int, first: int, dt: float, duration: float) -> SpikeTrains:
    """The spikes of bits, (step, byte); the step `first` ends at (first + 1) dt."""
    # Most bytes are 0: only the others are taken apart, so that memory goes with the spikes.
    steps, places = np.nonzero(bits)
    which, within = np.nonzero(np.unpackbits(bits[steps, places][:, None], axis=1))
    times, cells = (first + 1 + steps[which]) * dt, 8 * places[which] + within
    return SpikeTrains(times, cells.astype(np.int32), size, duration, first * dt)


def windows(count: Array | np.ndarray, steps: int) -> Array | np.ndarray:
    """The means of whole windows of so many steps."""
    whole = count.shape[0] // steps
    return count[: whole * steps].reshape(whole, steps, *count.shape[1:]).mean(axis=1)
