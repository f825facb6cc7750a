"""Statistics of another monitor's samples, gathered while the simulation runs: covariance,
functional connectivity and its dynamics, power spectra. The samples themselves are not kept.

Every `samples` samples give one value; what is begun when the run ends is carried on.
"""

import abc
import warnings
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PyTree

from tvbjax.axes import Axis
from tvbjax.monitors._arguments import as_count, check_counts
from tvbjax.monitors._monitor import AbstractMonitor, period_ends
from tvbjax.monitors._nested import AbstractNested
from tvbjax.sizes import size_text

Sample = Float[Array, "voi node"]

_NO_CORRELATION = (
    "a signal that does not vary, or is no number, has no correlation; look at what is observed"
)
_MUCH = 1e9  # bytes gathered for each variable: that of connectivity on a cortex of 16,000 vertices


class AbstractStatistic(AbstractNested):
    """`of`: the monitor whose samples are summarised. `samples`: how many make one value."""

    if TYPE_CHECKING:

        @property
        def samples(self) -> int: ...
    else:
        samples: eqx.AbstractVar[int]

    def __check_init__(self):
        check_counts(type(self).__name__, 2, samples=self.samples)

    @property
    def fewest(self) -> int:
        """The places that it needs."""
        return 1

    @abc.abstractmethod
    def empty(self, sample: Sample) -> tuple[Array, ...]:
        """What is gathered of no samples yet. `sample`: one, for its shape."""

    @abc.abstractmethod
    def added(
        self, gathered: tuple[Array, ...], sample: Sample, number: Int[Array, ""], dt: float
    ) -> tuple[Array, ...]:
        """With one sample more. `number`: how many there were before."""

    @abc.abstractmethod
    def value(self, gathered: tuple[Array, ...], dt: float) -> Float[Array, "voi *place"]:
        """The statistic of all `samples` samples."""

    @property
    def period(self) -> float | None:
        inner = self.of.period
        return None if inner is None else inner * self.samples

    def check(self, nodes, dt):
        self.of.check(nodes, dt)
        who = type(self).__name__
        axes = self.of.axes(Axis("node", ("",) * nodes), dt)
        if len(axes) != 1:
            raise ValueError(
                f"{who}: the samples of a {type(self.of).__name__} are no signals of nodes; give "
                "a monitor such as TemporalAverage, Bold or Projection."
            )
        places = len(axes[0])
        if places < self.fewest:
            raise ValueError(
                f"{who}: a {type(self.of).__name__} observes {places} of the {self.fewest} places "
                "or more whose signals can be correlated here; give a monitor of more."
            )
        sample = jax.ShapeDtypeStruct((1, places), jnp.result_type(float))
        held = jax.eval_shape(self.empty, sample)
        size = sum(part.size * part.dtype.itemsize for part in held)
        if size > _MUCH:
            warnings.warn(
                f"{who}: {size_text(size)} are gathered for each variable of {places} places; "
                "average by region first, "
                f"{who}(SpatialAverage({type(self.of).__name__}(...), cortex.region_of), ...).",
                stacklevel=2,
            )

    def period_steps(self, dt: float) -> int:
        """Steps from one value to the next."""
        return self.of.period_steps(dt) * self.samples

    def start(self, past, dt):
        (places,) = self.of.axes(Axis("region", ("",) * past.shape[-1]), dt)
        sample = jnp.zeros((past.shape[1], len(places)), past.dtype)
        return (jnp.zeros((), jnp.int32), *self.empty(sample), *self.of.start(past, dt))

    def open(self, carried, chunk):
        return self.of.open(self._split(carried)[2], chunk)

    def close(self, carried, buffer, chunk):
        count, gathered, inner = self._split(carried)
        inner, rows = self.of.close(inner, buffer, chunk)
        every = self.of.period_steps(chunk.dt)
        there = (chunk.first + chunk.steps) // every - chunk.first // every
        shape = jax.eval_shape(lambda g: self.value(g, chunk.dt), gathered)
        most = (rows.shape[0] + self.samples - 1) // self.samples
        values = jnp.zeros((most, *shape.shape), shape.dtype)

        def one(loop, scanned):
            number, row = scanned
            return self._taken(loop, row, number < there, chunk.dt), None

        numbers = jnp.arange(rows.shape[0], dtype=jnp.int32)
        loop = (count, gathered, jnp.zeros((), jnp.int32), values)
        (count, gathered, _, values), _ = lax.scan(one, loop, (numbers, rows))
        return (count, *gathered, *inner), values

    def times(self, first, steps, dt):
        return period_ends(first, steps, self.period_steps(dt)) * dt

    def _split(self, carried: tuple[Array, ...]):
        """How many samples there are, what is gathered of them, what the other monitor carries."""
        size = len(self.empty(jnp.zeros((1, 3))))
        return carried[0], carried[1 : 1 + size], carried[1 + size :]

    def _taken(self, loop: PyTree, row: Sample, valid: Bool[Array, ""], dt: float) -> PyTree:
        """The loop's state after one sample, if there is one."""
        count, gathered, done, values = loop
        more = self.added(gathered, row, count, dt)
        gathered = jax.tree.map(lambda a, b: jnp.where(valid, a, b), more, gathered)
        count = count + valid.astype(jnp.int32)
        complete = valid & (count == self.samples)

        def finished():
            value = self.value(gathered, dt)
            return values.at[done].set(value, mode="drop"), self.empty(row)

        values, gathered = lax.cond(complete, finished, lambda: (values, gathered))
        count = jnp.where(complete, 0, count)
        return count, gathered, done + complete.astype(jnp.int32), values


class AbstractMoments(AbstractStatistic):
    """A statistic of pairs of regions by their means and the products of deviations from them.

    Updated sample by sample without cancellation: Welford (1962), Technometrics 4:419; counted from
    the first sample, so that a mean far above the deviations costs no digits.
    """

    def axes(self, nodes, dt):
        (places,) = self.of.axes(nodes, dt)
        return places, Axis(f"other_{places.name}", places.coordinate, places.unit)

    def empty(self, sample):
        zeros = jnp.zeros_like(sample)
        return zeros, jnp.zeros((*sample.shape, sample.shape[-1]), sample.dtype), zeros

    def added(self, gathered, sample, number, dt):
        mean, products, first = gathered
        first = jnp.where(number == 0, sample, first)
        sample = sample - first
        before = sample - mean
        mean = mean + before / (number + 1).astype(sample.dtype)
        return mean, products + before[:, :, None] * (sample - mean)[:, None, :], first


class Covariance(AbstractMoments):
    """The covariance matrix of the regions over every `samples` samples, `(region, other)`,
    normalised by their number less one, as `numpy.cov`; stamped at the end.
    """

    of: AbstractMonitor
    samples: int = eqx.field(static=True, converter=as_count)
    name: str = eqx.field(default="covariance", static=True)

    def value(self, gathered, dt):
        return gathered[1] / (self.samples - 1)


class FunctionalConnectivity(AbstractMoments):
    """Pearson's correlations of the regions over every `samples` samples, `(region, other)`,
    stamped at the end. A signal that does not vary has none, and the run says so.
    """

    of: AbstractMonitor
    samples: int = eqx.field(static=True, converter=as_count)
    name: str = eqx.field(default="functional_connectivity", static=True)

    @property
    def fewest(self) -> int:
        return 2

    @property
    def remedy(self) -> str:
        return _NO_CORRELATION

    def value(self, gathered, dt):
        return _correlations(gathered[1])


class FunctionalConnectivityDynamics(AbstractStatistic):
    """Correlations between the functional connectivities of `windows` sliding windows of `window`
    samples, each `step` samples after the one before, `(window, other)`; stamped at the end.

    Kept are the samples of one window and each window's connectivity. Hansen et al. (2015),
    NeuroImage 105:525.
    """

    of: AbstractMonitor
    window: int = eqx.field(static=True, converter=as_count)
    windows: int = eqx.field(static=True, converter=as_count)
    step: int = eqx.field(static=True, default=1, converter=as_count)
    name: str = eqx.field(default="functional_connectivity_dynamics", static=True)

    @property
    def samples(self) -> int:
        return self.window + (self.windows - 1) * self.step

    def __check_init__(self):
        check_counts(type(self).__name__, 2, window=self.window, windows=self.windows)
        check_counts(type(self).__name__, 1, step=self.step)

    @property
    def fewest(self) -> int:
        return 3  # of two there is one pair, and one number does not vary

    @property
    def remedy(self) -> str:
        return _NO_CORRELATION

    def axes(self, nodes, dt):
        every = self.of.period_steps(dt) * dt
        middles = self.window / 2.0 + self.step * np.arange(self.windows)
        first = Axis("window", tuple(float(t) for t in middles * every), "ms")
        return first, Axis("other_window", first.coordinate, "ms")

    def empty(self, sample):
        voi, nodes = sample.shape
        pairs = nodes * (nodes - 1) // 2
        recent = jnp.zeros((self.window, voi, nodes), sample.dtype)
        return recent, jnp.zeros((self.windows, voi, pairs), sample.dtype)

    def added(self, gathered, sample, number, dt):
        recent, found = gathered
        recent = jnp.concatenate([recent[1:], sample[None]])
        past = number + 1 - self.window
        due = (past >= 0) & (past % self.step == 0)

        def with_window():
            centred = recent - recent.mean(axis=0, keepdims=True)
            moments = jnp.einsum("tvi,tvj->vij", centred, centred, precision="highest")
            rows, columns = np.triu_indices(recent.shape[-1], k=1)
            pairs = _correlations(moments)[:, rows, columns]
            return found.at[past // self.step].set(pairs, mode="drop")

        return recent, lax.cond(due, with_window, lambda: found)

    def value(self, gathered, dt):
        centred = gathered[1] - gathered[1].mean(axis=-1, keepdims=True)
        return _correlations(jnp.einsum("wvp,uvp->vwu", centred, centred, precision="highest"))


class PowerSpectrum(AbstractStatistic):
    """The power spectral density by Welch's method, unit squared per Hz, `(frequency, region)`,
    over every `segments` segments of `segment` samples that overlap by half; stamped at the end.

    Hann windows, each segment without its mean, as `scipy.signal.welch`. Welch (1967), IEEE Trans.
    Audio Electroacoust. 15:70.
    """

    of: AbstractMonitor
    segment: int = eqx.field(static=True, converter=as_count)
    segments: int = eqx.field(static=True, converter=as_count)
    name: str = eqx.field(default="power_spectrum", static=True)

    @property
    def samples(self) -> int:
        return self.segment + (self.segments - 1) * self._hop

    @property
    def _hop(self) -> int:
        return self.segment - self.segment // 2

    def __check_init__(self):
        check_counts(type(self).__name__, 2, segment=self.segment)
        check_counts(type(self).__name__, 1, segments=self.segments)

    def axes(self, nodes, dt):
        every = 1e-3 * self.of.period_steps(dt) * dt
        found = tuple(float(f) for f in np.fft.rfftfreq(self.segment, every))
        return Axis("frequency", found, "Hz"), *self.of.axes(nodes, dt)

    def empty(self, sample):
        recent = jnp.zeros((self.segment, *sample.shape), sample.dtype)
        found = jnp.zeros((self.segment // 2 + 1, *sample.shape), sample.dtype)
        return recent, found

    def added(self, gathered, sample, number, dt):
        recent, total = gathered
        recent = jnp.concatenate([recent[1:], sample[None]])
        past = number + 1 - self.segment
        due = (past >= 0) & (past % self._hop == 0)
        return recent, lax.cond(due, lambda: total + self._periodogram(recent, dt), lambda: total)

    def value(self, gathered, dt):
        return jnp.moveaxis(gathered[1], 0, 1) / self.segments

    def _periodogram(self, recent, dt):
        every = 1e-3 * self.of.period_steps(dt) * dt
        hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(self.segment) / self.segment)
        centred = recent - recent.mean(axis=0, keepdims=True)
        spectrum = jnp.fft.rfft(jnp.asarray(hann, recent.dtype)[:, None, None] * centred, axis=0)
        # Of a real signal, both halves of the spectrum but for what is in neither.
        twice = np.full(self.segment // 2 + 1, 2.0)
        twice[0] = 1.0
        twice[-1] = 1.0 if self.segment % 2 == 0 else 2.0
        scale = jnp.asarray(twice * every / (hann**2).sum(), recent.dtype)
        return scale[:, None, None] * (spectrum.real**2 + spectrum.imag**2)


def _correlations(products: Float[Array, "voi place other"]) -> Float[Array, "voi place other"]:
    variances = jnp.diagonal(products, axis1=-2, axis2=-1)
    varies = variances > 0
    # Made 1 before the root: what is masked afterwards would still spoil the gradient.
    spread = jnp.sqrt(jnp.where(varies, variances, 1.0))
    found = jnp.clip(products / (spread[:, :, None] * spread[:, None, :]), -1.0, 1.0)
    return jnp.where(varies[:, :, None] & varies[:, None, :], found, jnp.nan)
