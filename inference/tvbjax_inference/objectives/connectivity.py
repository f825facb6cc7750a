"""Objectives of how regions go together: functional connectivity, its dynamics, envelopes."""

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import analysis
from tvbjax.analysis._signals import Signals, as_whole, check_band
from tvbjax.arrays import is_traced
from tvbjax.axes import Axis
from tvbjax.kinds import check_number
from tvbjax.monitors._arguments import as_count, as_time
from tvbjax_inference.objectives._objective import AbstractOfSamples, Comparison, Kind
from tvbjax_inference.objectives._seen import Seen
from tvbjax_inference.objectives._target import (
    Target,
    as_target,
    check_correlations,
    check_finite,
    check_places,
)
from tvbjax_inference.objectives.distances import (
    Distance,
    as_distance,
    correlation_distance,
    wasserstein_distance,
)


class AbstractMatrix(AbstractOfSamples):
    """A distance between the upper triangles of a matrix of places and of a target."""

    if TYPE_CHECKING:

        @property
        def target(self) -> Target: ...
        @property
        def distance(self) -> Distance: ...
    else:
        target: eqx.AbstractVar[Target]
        distance: eqx.AbstractVar[Distance]

    def check_target(self) -> None:
        check_correlations(self.name, self.target)
        if self.distance is not correlation_distance or is_traced(self.target):
            return
        values = np.asarray(_upper(self.target.values))
        if (values == values[0]).all():
            raise ValueError(
                f"{self.name}: all correlations of the target are {values[0]:g}, so that there is "
                "no pattern to correlate with; give other data, or "
                "distance=objectives.root_mean_square."
            )

    def check_labels(self, seen: Seen) -> None:
        for dim in (0, 1):
            check_places(seen, self.target, dim)

    @abc.abstractmethod
    def matrix(self, seen: Seen) -> Float[Array, "place other"]:
        """The simulated matrix."""

    def of(self, seen):
        return _upper(self.matrix(seen))

    def wanted(self, seen):
        return _upper(self.target.values)

    def between(self, simulated, empirical):
        return self.distance(simulated, empirical)

    def compared(self, result):
        seen = self.seen(result)
        places = seen.places
        other = Axis(f"other_{places.name}", places.coordinate, places.unit)
        return Comparison(
            self.name, self.matrix(seen), self.target.values, (places, other), Kind.MATRIX
        )


class FunctionalConnectivity(AbstractMatrix):
    """Distance between the upper triangles of simulated and empirical functional connectivity:
    d(FC_ij, target_ij), i < j (Deco et al., Journal of Neuroscience 33:11239, 2013).

    `target`: (region, region), Pearson's correlations, without unit. `distance`: by default
    `correlation_distance`, 1 - r, 0 to 2, which sees the pattern and not the level;
    `root_mean_square` (0 to 2) sees both. Of signals such as those of Bold; of samples of
    `monitors.FunctionalConnectivity` the mean.

    Its gradient does not depend on the signals' scale. It is noisy: correlations of T independent
    samples vary by (1 - r^2) / sqrt(T), so that short runs or other noise give other gradients; use
    one key for all steps, or more time. NaN where a signal is constant, or where all correlations
    are equal (1 - r).
    """

    target: Target = eqx.field(converter=as_target)
    distance: Distance = eqx.field(
        default=correlation_distance, static=True, kw_only=True, converter=as_distance
    )
    monitor: str | None = eqx.field(default=None, static=True, kw_only=True)
    variable: str | None = eqx.field(default=None, static=True, kw_only=True)
    skip: float = eqx.field(default=0.0, static=True, kw_only=True, converter=as_time)
    name: str = eqx.field(default="functional_connectivity", static=True, kw_only=True)

    def __check_init__(self):
        self.check_target()

    def check_seen(self, seen):
        if not _is_matrix(seen):
            seen.check_signals()
            seen.check_count(2, "a correlation")
        self.check_labels(seen)

    def matrix(self, seen):
        if _is_matrix(seen):
            mean = seen.as_array().mean(axis=0)
            spread = jnp.sqrt(jnp.diagonal(mean))  # 1, but for covariances
            return mean / (spread[:, None] * spread[None, :])
        return analysis.functional_connectivity(seen.as_array())


class EnvelopeCorrelation(AbstractMatrix):
    """Distance between the upper triangles of simulated and empirical correlations of amplitude
    envelopes from `low` to `high` Hz (Hipp et al., Nature Neuroscience 15:884, 2012; Cabral et al.,
    NeuroImage 90:423, 2014), of signals filtered by `analysis.band_pass`.

    `target`: (region, region), without unit. `correlation`: `analysis.envelope_correlation`, or
    `analysis.orthogonal_envelope_correlation`, as the target was made. `distance`: as in
    `FunctionalConnectivity`, with the same range.

    The gradient does not depend on the signals' scale. Envelopes vary slowly: some seconds hold few
    independent values, so that it is noisier than that of functional connectivity. It is not smooth
    where an amplitude is 0, with the orthogonal form where two signals are in line.
    """

    target: Target = eqx.field(converter=as_target)
    low: float = eqx.field(static=True, converter=as_time)
    high: float = eqx.field(static=True, converter=as_time)
    correlation: Callable[[Signals], Array] = eqx.field(
        default=analysis.envelope_correlation, static=True, kw_only=True
    )
    order: int = eqx.field(default=3, static=True, kw_only=True, converter=as_count)
    distance: Distance = eqx.field(
        default=correlation_distance, static=True, kw_only=True, converter=as_distance
    )
    monitor: str | None = eqx.field(default=None, static=True, kw_only=True)
    variable: str | None = eqx.field(default=None, static=True, kw_only=True)
    skip: float = eqx.field(default=0.0, static=True, kw_only=True, converter=as_time)
    name: str = eqx.field(default="envelope_correlation", static=True, kw_only=True)

    def __check_init__(self):
        self.check_target()
        check_number(f"{self.name}: low", self.low)
        check_number(f"{self.name}: high", self.high)
        if not callable(self.correlation):
            raise TypeError(
                f"{self.name}: correlation is {self.correlation!r:.60}; give a function, such as "
                "analysis.orthogonal_envelope_correlation."
            )
        if not 0 < self.low < self.high:
            raise ValueError(
                f"{self.name}: the band is {self.low} to {self.high} Hz; give 0 < low < high."
            )
        if as_whole(self.name, "order", self.order) < 1:
            raise ValueError(f"{self.name}: order={self.order}; give 1 or more.")

    def check_seen(self, seen):
        seen.check_signals()
        seen.check_count(3, "an envelope's correlation")
        check_band(f"{self.name}: '{seen.monitor}'", self.low, self.high, seen.period)
        cycle = 1000.0 / self.low
        seen.check_count(int(np.ceil(cycle / seen.period)), f"a cycle of {self.low:g} Hz")
        self.check_labels(seen)

    def matrix(self, seen):
        band = analysis.band_pass(seen.as_array(), seen.period, self.low, self.high, self.order)
        return self.correlation(band)


class FunctionalConnectivityDynamics(AbstractOfSamples):
    """Distance between the distributions of simulated and empirical functional connectivity
    dynamics: correlations between the connectivities of sliding windows (Hansen et al., NeuroImage
    105:525, 2015; Deco et al., Scientific Reports 7:3095, 2017).

    `target`: a matrix (window, window), of which the values above the diagonal count, or values
    (value,); of another number of windows, if need be. `window`, `step`: samples, of the simulated
    signals. `apart`: windows closer than this many steps are left out; `window / step` and more do
    not overlap. `distance`, of two distributions: by default `wasserstein_distance`, 0 to 2; or
    `KolmogorovSmirnov(width=0.1)`, 0 to 1, the field's usual distance made differentiable.

    Gradients: the Wasserstein distance draws all values towards their quantiles, from however far,
    with jumps where values change places; Kolmogorov's and Smirnov's vanishes where distributions
    do not overlap within its width, as at the start of many a fit, and comes from few values:
    noisy. Both are gradients of correlations of correlations, which need long runs to be more than
    noise. NaN where a signal is constant in a window.
    """

    target: Target = eqx.field(converter=as_target)
    window: int = eqx.field(static=True, converter=as_count)
    step: int = eqx.field(default=1, static=True, converter=as_count)
    apart: int = eqx.field(default=1, static=True, kw_only=True, converter=as_count)
    distance: Distance = eqx.field(
        default=wasserstein_distance, static=True, kw_only=True, converter=as_distance
    )
    monitor: str | None = eqx.field(default=None, static=True, kw_only=True)
    variable: str | None = eqx.field(default=None, static=True, kw_only=True)
    skip: float = eqx.field(default=0.0, static=True, kw_only=True, converter=as_time)
    name: str = eqx.field(default="functional_connectivity_dynamics", static=True, kw_only=True)

    def __check_init__(self):
        fewest = {"window": 2, "step": 1, "apart": 1}
        for what, least in fewest.items():
            given = getattr(self, what)
            if as_whole(self.name, what, given) < least:
                raise ValueError(f"{self.name}: {what}={given}; give {least} or more.")
        if self.target.values.ndim != 1:
            check_correlations(self.name, self.target, fewest=self.apart + 1)
            return
        if not self.target.values.size:
            raise ValueError(f"{self.name}: the target has no values; give one or more.")
        check_finite(self.name, self.target)
        if not is_traced(self.target) and np.abs(self.target.values).max() > 1 + 1e-6:
            raise ValueError(
                f"{self.name}: the target has a value of {np.abs(self.target.values).max():g}, "
                "and no correlation is beyond 1."
            )

    def check_seen(self, seen):
        seen.check_signals()
        samples = self.window + self.apart * self.step
        seen.check_count(
            samples,
            f"two windows of {self.window} samples, {self.apart} steps of {self.step} apart,",
        )
        if len(seen.places) < 3:
            raise ValueError(
                f"{self.name}: '{seen.monitor}' observes {len(seen.places)} {seen.places.name}s; "
                "it takes three to correlate their connectivities."
            )

    def of(self, seen):
        matrix = analysis.functional_connectivity_dynamics(seen.as_array(), self.window, self.step)
        return _upper(matrix, self.apart)

    def wanted(self, seen):
        values = self.target.values
        return values if values.ndim == 1 else _upper(values, self.apart)

    def between(self, simulated, empirical):
        return self.distance(simulated, empirical)

    def compared(self, result):
        seen = self.seen(result)
        return Comparison(self.name, self.of(seen), self.wanted(seen), (), Kind.DISTRIBUTION)


def _is_matrix(seen: Seen) -> bool:
    """Whether they are samples of a matrix of places, as those of `monitors.FunctionalConnectivity`
    are."""
    return len(seen.axes) == 2 and seen.axes[0].coordinate == seen.axes[1].coordinate


def _upper(matrix: Float[Array, "place other"], apart: int = 1) -> Float[Array, " pair"]:
    return matrix[np.triu_indices(len(matrix), k=apart)]
