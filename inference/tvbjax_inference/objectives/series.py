"""Objective of time courses."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.analysis._signals import centred, size_of
from tvbjax.arrays import as_floats, is_traced
from tvbjax.axes import Axis
from tvbjax.kinds import check_kind, check_number
from tvbjax.monitors._arguments import as_time
from tvbjax_inference.objectives._objective import AbstractOfSamples, Comparison, Kind
from tvbjax_inference.objectives._target import Target, as_target, check_dims, check_places


def _as_weights(given: Any) -> Array | None:
    return None if given is None else as_floats(given)


class TimeSeries(AbstractOfSamples):
    """Squared difference of simulated and measured time courses, relative to the target's variance:
    sum w_t (x_tp - y_tp)^2 / sum w_t (y_tp - mean_p)^2 over times t and places p. 0 at agreement,
    1 for the target's means, without unit and bound: the unexplained share of the variance.

    `target`: (time, place), in the samples' unit, one row for each sample after `skip`, in their
    order: of times of its own only the spacing is held against the samples. `period`:
    ms between its rows; of an `xarray.DataArray` with times in ms its own; None: taken to be that
    of the samples. `weights`: (time,), >= 0, 0 where nothing is compared. `scaled`: of a_p + b_p
    x_p, with offset and scale of every place that fit best (least squares; b_p may be negative):
    for sensors whose gain is not known; then 0 to 1, sum_p (1 - r_p^2) var_p / sum_p var_p.

    The gradient is smooth and strong from afar, and proportional to the difference. Where phases
    differ by more than half a cycle it leads to the wrong cycle, or to amplitude 0, as of every
    squared difference of oscillations: begin near, or with a spectrum. In chaotic or long runs it
    grows with the length of the run. With `scaled` it has no direction of a place's scale or
    offset, and is NaN where a place's signal is constant.
    """

    target: Target = eqx.field(converter=as_target)
    weights: Float[Array, " time"] | None = eqx.field(
        default=None, converter=_as_weights, kw_only=True
    )
    scaled: bool = eqx.field(default=False, static=True, kw_only=True)
    period: float | None = eqx.field(default=None, static=True, kw_only=True, converter=as_time)
    monitor: str | None = eqx.field(default=None, static=True, kw_only=True)
    variable: str | None = eqx.field(default=None, static=True, kw_only=True)
    skip: float = eqx.field(default=0.0, static=True, kw_only=True, converter=as_time)
    name: str = eqx.field(default="time_series", static=True, kw_only=True)

    def __check_init__(self):
        check_dims(self.name, self.target, {2: "(time, place)"})
        dims = [axis.name for axis in self.target.axes or ()]
        if "time" in dims[1:]:
            raise ValueError(
                f"{self.name}: the target's dims are {', '.join(dims)}; give time first: "
                f"target.transpose('time', '{dims[0]}')."
            )
        samples = self.target.values.shape[0]
        if self.weights is not None:
            self._check_weights(self.weights, samples)
        if samples < 2 or not is_traced((self.target, self.weights)) and not self._spread() > 0:
            raise ValueError(
                f"{self.name}: no place of the target, of shape {self.target.values.shape}, varies "
                "where the weights are; there is nothing that the difference could be relative to."
            )
        check_kind(f"{self.name}: scaled", self.scaled, bool, "True")
        if self.period is not None:
            check_number(f"{self.name}: period, in ms,", self.period, above=0.0)
        _ = self._sampling

    def check_seen(self, seen):
        seen.check_signals()
        samples = self.target.values.shape[0]
        if self._sampling is not None and abs(self._sampling / seen.period - 1) > 1e-3:
            raise ValueError(
                f"{self.name}: the target has a sample every {self._sampling:.10g} ms and "
                f"'{seen.monitor}' one every {seen.period:.10g} ms; give the monitor that period, "
                "or resample the target (scipy.signal.resample_poly)."
            )
        if samples != seen.values.shape[0]:
            count = seen.values.shape[0]
            if self.target.values.shape == (len(seen.places), count):
                raise ValueError(
                    f"{self.name}: the target has the shape {self.target.values.shape}, and what "
                    f"'{seen.monitor}' gives is (time, place), ({count}, {len(seen.places)}); give "
                    "target.T."
                )
            every = "" if seen.every is None else f", one every {seen.every:.10g} ms,"
            raise ValueError(
                f"{self.name}: the target has {samples} samples and '{seen.monitor}' gives "
                f"{seen.values.shape[0]}{every} after skip; run as long as the data are, or cut "
                "the target."
            )
        check_places(seen, self.target)

    def of(self, seen):
        signals = seen.as_array()
        if not self.scaled:
            return signals
        simulated, weights = self._centred(signals)
        empirical, _ = self._centred(self.target.values)
        size = size_of(simulated, axis=0)
        products = (weights * simulated / size * empirical).sum(axis=0)
        scale = products / (weights * (simulated / size) ** 2).sum(axis=0)
        mean = (weights * self.target.values).sum(axis=0) / weights.sum()
        return mean[None, :] + scale[None, :] * (simulated / size)

    def wanted(self, seen):
        return self.target.values

    def between(self, simulated, empirical):
        rest, weights = self._centred(empirical)
        size = size_of(rest).reshape(())
        difference = (weights * ((simulated - empirical) / size) ** 2).sum()
        return difference / (weights * (rest / size) ** 2).sum()

    def compared(self, result):
        seen = self.seen(result)
        time = Axis("time", tuple(float(t) for t in seen.time), "ms")
        simulated, counts = self.of(seen), None
        if self.weights is not None:
            counts = jnp.broadcast_to(self.weights[:, None] > 0, simulated.shape)
        return Comparison(
            self.name,
            simulated,
            self.target.values,
            (time, seen.places),
            Kind.SERIES,
            counts=counts,
        )

    def _centred(
        self, values: Float[Array, "time place"]
    ) -> tuple[Float[Array, "time place"], Float[Array, "time 1"]]:
        """Without weighted means, and the weights."""
        if self.weights is None:
            return centred(values), jnp.ones((len(values), 1), values.dtype)
        weights = self.weights[:, None]
        # Twice: the mean of large values is rounded as they are.
        for _ in range(2):
            values = values - (weights * values).sum(axis=0, keepdims=True) / weights.sum()
        return values, weights

    def _spread(self) -> float:
        """The target's weighted squares, in a unit of its own."""
        rest, weights = self._centred(self.target.values)
        values = self.target.values
        if not bool((values[:1] != values).any()):
            return 0.0
        return float((weights * (rest / size_of(rest)) ** 2).sum())

    def _check_weights(self, weights: Array, samples: int) -> None:
        if weights.shape != (samples,):
            raise ValueError(
                f"{self.name}: weights have the shape {weights.shape}; give one for each of the "
                f"target's {samples} samples, ({samples},)."
            )
        if is_traced(weights):
            return
        bad = np.flatnonzero(~((np.asarray(weights) >= 0) & np.isfinite(np.asarray(weights))))
        if len(bad):
            raise ValueError(
                f"{self.name}: weights[{bad[0]}] is {float(weights[bad[0]]):g}; give finite "
                "numbers, 0 or more."
            )

    @property
    def _sampling(self) -> float | None:
        """Time between the target's rows, ms, if that is known."""
        axis = self.target.axis(0)
        if self.period is not None or axis is None or isinstance(axis.coordinate[0], str):
            return self.period
        if axis.unit not in ("", "ms"):
            raise ValueError(
                f"{self.name}: the target's {axis.name} is in '{axis.unit}'; give ms: "
                f"target.assign_coords({axis.name}=...), without or with the attribute units='ms'."
            )
        steps = np.diff(np.asarray(axis.coordinate, float))
        uneven = np.flatnonzero(~(np.abs(steps - steps.mean()) < 1e-3 * abs(steps.mean())))
        if not len(uneven) and not steps.mean() > 0:
            raise ValueError(
                f"{self.name}: the target's times do not rise ({steps.mean():g} ms from row to "
                "row); turn it round (target.sortby('time'))."
            )
        if len(uneven):
            i = int(uneven[0])
            raise ValueError(
                f"{self.name}: the target's times are not evenly spaced ({steps[i]:g} ms after row "
                f"{i}, {steps.mean():g} ms on average); resample it (target.interp(time=...))."
            )
        return float(steps.mean())
