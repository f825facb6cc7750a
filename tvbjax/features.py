"""Measures that keep only features of a sweep's members: `sweep(measure=)`.

Frozen objects, so that equal ones compile once; what they compute is in `tvbjax.analysis`.

    measure=features.Together(features.FunctionalConnectivity("bold"), features.Mean("bold"))
"""

import abc
import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import analysis
from tvbjax.analysis._signals import Signals
from tvbjax.identity import named
from tvbjax.result import Result
from tvbjax.selection import monitor_of, period_of, place_of


@dataclasses.dataclass(frozen=True)
class AbstractFeature(abc.ABC):
    """A measure: of one member's result, a feature by name.

    `monitor`, `variable`: of what; they may be left out where there is one. `name`: in the result,
    by default that of the feature.
    """

    monitor: str | None = None
    variable: str | None = None
    name: str | None = dataclasses.field(default=None, kw_only=True)
    default_name: ClassVar[str]

    def __call__(self, result: Result) -> dict[str, Array]:
        """The feature by name."""
        samples = result.samples[monitor_of("feature", result, self.monitor)]
        number = place_of("feature", "variable", samples.variables, self.variable)
        signals = samples.values[:, number]
        return {self.name or self.default_name: self.of(jnp.asarray(signals), samples.time)}

    @abc.abstractmethod
    def of(self, signals: Signals, time: Float[Array | np.ndarray, " time"]) -> Array:
        """The feature. `time`: ms."""


@dataclasses.dataclass(frozen=True)
class Mean(AbstractFeature):
    """Every region's mean over time."""

    default_name: ClassVar[str] = "mean"

    def of(self, signals, time):
        return signals.mean(axis=0)


@dataclasses.dataclass(frozen=True)
class Variance(AbstractFeature):
    """Every region's variance over time."""

    default_name: ClassVar[str] = "variance"

    def of(self, signals, time):
        return signals.var(axis=0)


@dataclasses.dataclass(frozen=True)
class FunctionalConnectivity(AbstractFeature):
    """`analysis.functional_connectivity`."""

    default_name: ClassVar[str] = "functional_connectivity"

    def of(self, signals, time):
        return analysis.functional_connectivity(signals)


@dataclasses.dataclass(frozen=True)
class FunctionalConnectivityDynamics(AbstractFeature):
    """`analysis.functional_connectivity_dynamics`; `window` and `step` in samples."""

    window: int = dataclasses.field(kw_only=True)
    step: int = dataclasses.field(default=1, kw_only=True)
    default_name: ClassVar[str] = "functional_connectivity_dynamics"

    def of(self, signals, time):
        return analysis.functional_connectivity_dynamics(signals, self.window, self.step)


@dataclasses.dataclass(frozen=True)
class PowerSpectrum(AbstractFeature):
    """`analysis.power_spectrum`; `segment` in samples."""

    segment: int = dataclasses.field(kw_only=True)
    default_name: ClassVar[str] = "power_spectrum"

    def of(self, signals, time):
        return analysis.power_spectrum(signals, period_of(time), self.segment)


@dataclasses.dataclass(frozen=True, init=False)
class Together:
    """Several measures in one."""

    measures: tuple

    def __init__(self, *measures):
        for measure in measures:
            check_measure(measure)
        object.__setattr__(self, "measures", measures)

    def __call__(self, result: Result) -> dict[str, Array]:
        """What all of them give. Raises `ValueError` where two give one name."""
        found: dict[str, Array] = {}
        for measure in self.measures:
            for name, value in measure(result).items():
                if name in found:
                    raise ValueError(f"Together: two measures give '{name}'; rename one (name=).")
                found[name] = value
        return found


def check_measure(measure: Any) -> None:
    """Raises `TypeError` for what is no measure."""
    if not callable(measure) or isinstance(measure, type):
        raise TypeError(
            f"sweep: measure is {measure!r:.60}; give a function of a Result, or one of "
            "tvbjax.features, e.g. features.Mean()."
        )


def told(measure: Any) -> str:
    """A measure in words that stay the same from one program to the next: a function's by what it
    computes, as far as its code and what it closes over say so."""
    if isinstance(measure, Together):
        return f"Together({', '.join(told(one) for one in measure.measures)})"
    if isinstance(measure, AbstractFeature):
        return repr(measure)
    return named(measure)
