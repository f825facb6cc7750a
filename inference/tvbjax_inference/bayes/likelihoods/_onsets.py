"""When regions were seen to begin to seize, or not to."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from tvbjax import Result
from tvbjax.kinds import check_number
from tvbjax.near import near
from tvbjax_inference.bayes.likelihoods._likelihood import (
    AbstractLikelihood,
    Shown,
    Unknown,
    check_name,
    check_unknown,
    unknown,
)
from tvbjax_inference.objectives._seen import Seen, seen_in, seen_of


class OnsetTimes(AbstractLikelihood):
    """Onsets of regions are normal about those of the model, with a deviation.

    `onsets`: by region, ms from the first sample; infinity where a region was seen not to begin.
    Regions that are not named are not known. `duration`: ms, how long was looked. `deviation`: ms,
    a prior, or a number; by default lognormal about a twentieth of the duration. `threshold`: where
    a source's onset is, in its unit. `width`: over which a crossing is soft, so that a region that
    comes near the threshold is likelier to be wrong about than one that does not.

    A region with no onset in the model has one at `duration`; it is held against data the same way,
    so that a region that was seen not to begin is one with an onset at the end or later: what is
    known is P(onset > duration). The likelihood of thresholds is Sip et al.'s (2021), PLoS
    Computational Biology 17:e1008689, for a simpler model.
    """

    labels: tuple[str, ...] = eqx.field(static=True)
    times: Float[np.ndarray, " region"]
    length: float = eqx.field(static=True)
    deviation: Unknown
    threshold: float = eqx.field(static=True)
    width: float = eqx.field(static=True)
    monitor: str | None = eqx.field(static=True)
    variable: str | None = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        onsets: Mapping[str, float],
        duration: float,
        *,
        deviation: Unknown | None = None,
        threshold: float = 0.0,
        width: float = 0.1,
        monitor: str | None = None,
        variable: str | None = None,
        name: str = "onsets",
    ):
        check_number("OnsetTimes: duration", duration, above=0.0)
        check_number("OnsetTimes: threshold", threshold)
        check_number("OnsetTimes: width", width, above=0.0)
        if not isinstance(onsets, Mapping) or not onsets:
            raise TypeError(
                f"OnsetTimes: onsets is {onsets!r:.60}; give times by region, e.g. "
                "{'lA1': 12.5, 'rA1': float('inf')}."
            )
        for region, time in onsets.items():
            number = np.asarray(time)
            real = number.ndim == 0 and number.dtype.kind in "iuf"
            if not (real and (0 <= number <= duration or number == np.inf)):
                raise ValueError(
                    f"OnsetTimes: the onset of '{region}' is {time!r:.40}; give ms from 0 to "
                    f"{duration:g}, or infinity where it was seen not to begin."
                )
        self.labels, self.times = tuple(onsets), np.array(list(onsets.values()), float)
        self.length, self.threshold, self.width = float(duration), float(threshold), float(width)
        default = dist.LogNormal(np.log(duration / 20.0), 1.0)
        self.deviation = default if deviation is None else deviation
        check_unknown("OnsetTimes: deviation", self.deviation)
        check_name("OnsetTimes", name)
        self.monitor, self.variable, self.name = monitor, variable, name

    @property
    def unknowns(self):
        return ("onset_deviation",) if isinstance(self.deviation, dist.Distribution) else ()

    def duration(self, simulator):
        return self.length

    def check(self, simulator, duration):
        seen = seen_of("OnsetTimes", simulator, duration, self.monitor, self.variable, 0.0)
        seen.check_signals()
        self._places(seen)
        if duration + 1e-9 < self.length:
            raise ValueError(
                f"OnsetTimes: {self.length:g} ms were looked at, and a run has {duration:g} ms; "
                "run longer."
            )

    def _places(self, seen: Seen) -> np.ndarray:
        labels = [str(label) for label in seen.places.coordinate]
        for label in self.labels:
            if label not in labels:
                hint = near(label, labels) or f"see the {seen.places.name}s' labels."
                raise ValueError(f"OnsetTimes: there is no {seen.places.name} '{label}'; {hint}")
        return np.array([labels.index(label) for label in self.labels])

    def observe(self, result: Result) -> None:
        deviation = unknown("onset_deviation", self.deviation)
        seen = seen_in("OnsetTimes", result, self.monitor, self.variable, 0.0)
        sources = seen.as_array()[:, self._places(seen)]
        highest = jax.lax.associative_scan(jnp.maximum, sources, axis=0)
        waiting = jax.nn.sigmoid((self.threshold - highest) / self.width)
        onset = jnp.minimum(seen.period * waiting.sum(axis=0), self.length)
        numpyro.deterministic(f"{self.name}_of_the_model", onset)
        numpyro.sample(
            self.name, _Censored(onset, deviation, self.length).to_event(1), obs=self.measured
        )
        parts = _Censored(onset, deviation, self.length).log_prob(jnp.asarray(self.measured))
        numpyro.deterministic(f"{self.name}_log_likelihood", parts)

    @property
    def measured(self):
        return np.minimum(self.times, self.length)

    def as_measured(self, values: Array) -> Array:
        return values

    @property
    def shown(self):
        return Shown(("onset_of",), {"onset_of": np.array(self.labels)})

    @property
    def parts(self):
        return self.shown


class _Censored(dist.Distribution):
    """Normal, but no later than an end: what would be later is at the end."""

    support = dist.constraints.real  # type: ignore[assignment]
    arg_constraints = {}

    def __init__(self, mean: Any, deviation: Any, end: float):
        self.normal, self.end = dist.Normal(mean, deviation), end
        super().__init__(batch_shape=self.normal.batch_shape)

    def sample(self, key, sample_shape=()):
        return jnp.minimum(self.normal.sample(key, sample_shape), self.end)

    def log_prob(self, value):
        later = jax.scipy.special.log_ndtr((self.normal.loc - self.end) / self.normal.scale)
        return jnp.where(value >= self.end, later, self.normal.log_prob(value))
