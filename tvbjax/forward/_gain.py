"""Gain: what every sensor measures of a unit of activity in every source; linear, differentiable.

A source is a region, or a vertex of a surface. References are linear, so a referenced measurement
is one with another gain.
"""

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.arrays import as_floats, is_traced
from tvbjax.forward._sensors import Sensors, check_sensors, several
from tvbjax.kinds import check_kind
from tvbjax.near import near
from tvbjax.regions import Regions
from tvbjax.surface import Mapping, Surface, region_indices


def _real(matrix: Any) -> Array:
    """As floats: an imaginary part must not be lost without a word."""
    if np.iscomplexobj(matrix):
        raise ValueError(
            "Gain: the matrix is complex, and measurements are real; give its real part, or two "
            "gains, of the real and of the imaginary part."
        )
    return as_floats(matrix)


class Gain(eqx.Module):
    """A gain matrix (lead field), one row for every channel.

    `matrix`: in `unit` per unit of the source's activity. `channels`: names of the rows. Build it
    by `gain_of`, from a matrix for sensors, or by the analytic formulas.
    """

    matrix: Float[Array, "channel source"] = eqx.field(converter=_real)
    channels: tuple[str, ...] = eqx.field(static=True)
    unit: str = eqx.field(static=True, default="")

    def __check_init__(self):
        shape = jnp.shape(self.matrix)
        if len(shape) != 2 or shape[0] != len(self.channels):
            raise ValueError(
                f"Gain: the matrix has the shape {shape} and there are {len(self.channels)} "
                "channels; pass one row for each, (channel, source)."
            )
        if len(set(self.channels)) < len(self.channels):
            twice = next(c for c in self.channels if self.channels.count(c) > 1)
            raise ValueError(f"Gain: two channels are called {twice!r}; names are distinct.")
        if not is_traced(self.matrix) and not np.isfinite(np.asarray(self.matrix)).all():
            row = int(np.argmax(~np.isfinite(np.asarray(self.matrix)).all(axis=1)))
            raise ValueError(
                f"Gain: the row of {self.channels[row]!r} holds NaN or infinity; leave the channel "
                "out (gain_of does), or give it numbers."
            )

    @property
    def sources(self) -> int:
        """The number of regions or vertices."""
        return self.matrix.shape[1]

    def take(self, channels: Sequence[str] | str) -> "Gain":
        """The channels of these names, in that order, or the one of this. Raises ValueError."""
        channels = several("Gain.take", channels)
        rows = np.array([self._row(channel) for channel in channels])
        return Gain(self.matrix[rows], tuple(channels), self.unit)

    def average_reference(self) -> "Gain":
        """Against the mean of all channels. Raises ValueError for one channel."""
        if len(self.channels) < 2:
            raise ValueError(
                "Gain.average_reference: one channel against itself is 0; give two or more."
            )
        mean = self.matrix.mean(axis=0, keepdims=True)
        return Gain(self.matrix - mean, self.channels, self.unit)

    def referenced_to(self, channel: str) -> "Gain":
        """Against one channel, which then is 0. Raises ValueError if there is none of that name."""
        if not isinstance(channel, str):
            raise TypeError(
                f"Gain.referenced_to: channel is {channel!r:.60}; give one name, e.g. 'Cz'."
            )
        row = self._row(channel)
        return Gain(self.matrix - self.matrix[row : row + 1], self.channels, self.unit)

    def bipolar(self, pairs: Sequence[tuple[str, str]]) -> "Gain":
        """The differences of pairs of channels, first minus second, named `first-second`.
        Raises ValueError for what is no pair, or no name of a channel."""
        for number, pair in enumerate(pairs):
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
                raise ValueError(
                    f"Gain.bipolar: pairs[{number}] is {pair!r}; give pairs of channels, e.g. "
                    "[('F3', 'C3'), ('C3', 'P3')]."
                )
            if pair[0] == pair[1]:
                raise ValueError(
                    f"Gain.bipolar: pairs[{number}] is {pair[0]!r} against itself, which is 0; "
                    "give two channels."
                )
        if not len(pairs):
            raise ValueError("Gain.bipolar: there are no pairs; give one or more.")
        rows = np.array([[self._row(first), self._row(second)] for first, second in pairs])
        names = tuple(f"{first}-{second}" for first, second in pairs)
        return Gain(self.matrix[rows[:, 0]] - self.matrix[rows[:, 1]], names, self.unit)

    def summed_over_regions(self, mapping: Mapping, regions: int | Regions) -> "Gain":
        """From vertices to regions, where every vertex of a region has the region's activity: the
        sum over its vertices, as TVB does. Columns of regions without vertices are 0.

        `mapping`: every vertex's region, by index from 0; `regions`: how many there are, or
        the connectome's (connectome.regions). Raises ValueError where it does not fit.
        """
        regions = _count("summed_over_regions", regions)
        regional = self._by_region(region_indices(mapping, regions, self.sources), regions)
        return Gain(regional, self.channels, self.unit)

    def averaged_over_regions(self, mapping: Mapping, regions: int | Regions) -> "Gain":
        """From vertices to regions, where a region's activity is that of one source in all: the
        mean over its vertices. Columns of regions without vertices are 0."""
        regions = _count("averaged_over_regions", regions)
        chosen = region_indices(mapping, regions, self.sources)
        counts = np.maximum(1, np.bincount(chosen, minlength=regions)).astype(self.matrix.dtype)
        return Gain(self._by_region(chosen, regions) / counts[None], self.channels, self.unit)

    def with_sources(self, other: "Gain") -> "Gain":
        """These sources and then another gain's, e.g. of subcortical regions, for the same
        channels. Raises ValueError where the channels differ."""
        check_kind("Gain.with_sources: other", other, Gain, "gain_of(sensors, matrix, unit)")
        if self.channels != other.channels:
            raise ValueError(
                "Gain.with_sources: the channels differ; give gains for the same channels (take)."
            )
        both = jnp.concatenate([self.matrix, other.matrix], axis=1)
        return Gain(both, self.channels, self.unit)

    def _row(self, channel: str) -> int:
        if channel not in self.channels:
            known = ", ".join(self.channels[:8]) + ", ..." * (len(self.channels) > 8)
            hint = near(channel, self.channels) or f"there are {known}."
            raise ValueError(f"Gain: there is no channel {channel!r}; {hint}")
        return self.channels.index(channel)

    def _by_region(self, mapping: Int[np.ndarray, " vertex"], regions: int) -> Array:
        zeros = jnp.zeros((len(self.channels), regions), self.matrix.dtype)
        return zeros.at[:, mapping].add(self.matrix)


def _count(who: str, regions: Any) -> int:
    if isinstance(regions, Regions):
        return len(regions)
    try:
        return operator.index(regions)
    except TypeError:
        raise TypeError(
            f"Gain.{who}: regions is {regions!r:.60}; give their number, or connectome.regions."
        ) from None


def gain_of(
    sensors: Sensors, matrix: Array | np.ndarray, unit: str = "", *, surface: Surface | None = None
) -> Gain:
    """The gain of sensors from a matrix `(sensor, source)`.

    Sensors whose row holds NaN are left out, with a warning that names them: they are channels
    that the forward solution does not cover, such as triggers. `surface`: checked to have a vertex
    for each column. Raises ValueError where rows or columns do not fit.
    """
    check_sensors("gain_of", sensors)
    check_kind("gain_of: unit", unit, str, "'uV'")
    values = np.asarray(matrix)
    if values.ndim != 2 or len(values) != len(sensors):
        raise ValueError(
            f"gain_of: the matrix has the shape {values.shape} and there are {len(sensors)} "
            f"sensors ({sensors.name}); give one row for each sensor, in their order."
        )
    if surface is not None and values.shape[1] != len(surface):
        raise ValueError(
            f"gain_of: the matrix has columns for {values.shape[1]} sources and the surface "
            f"{surface.name!r} has {len(surface)} vertices."
        )
    covered = np.isfinite(values).all(axis=1)
    if not covered.any():
        raise ValueError("gain_of: every row of the matrix holds NaN or infinity.")
    if not covered.all():
        lost = [sensors.labels[row] for row in np.flatnonzero(~covered)]
        shown = ", ".join(lost[:12]) + (", ..." if len(lost) > 12 else "")
        warnings.warn(
            f"gain_of: {len(lost)} of {len(sensors)} sensors have no finite gain and are left out: "
            f"{shown}.",
            stacklevel=2,
        )
    names = tuple(np.array(sensors.labels, dtype=object)[covered])
    return Gain(values[covered], names, unit)
