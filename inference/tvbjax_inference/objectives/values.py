"""Objective of features of signals, each against the value that it should have."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats, is_traced
from tvbjax.axes import Axis
from tvbjax.features import AbstractFeature
from tvbjax.kinds import check_kind
from tvbjax.monitors._arguments import as_time
from tvbjax_inference.objectives._objective import AbstractOfSamples, Comparison, Kind
from tvbjax_inference.objectives._target import Target, as_target, check_finite, check_places


class Feature(AbstractOfSamples):
    """A feature against the values it should have: mean(((feature - target) / scale)^2), >= 0.

    `feature`: of `tvbjax.features` or of events, such as `features.Mean()` or
    `objectives.OnsetTime(threshold=, width=)`; it says of which monitor and variable, and its name
    is that of the objective. `reduce`: what is done to its values first, such as `jnp.mean` for one
    number of all regions. `target`: in the feature's unit, one number for all values or an array of
    their shape. `scale`: in that unit, > 0, a difference that counts as 1, such as the data's
    standard deviation.

    The gradient is 2 / scale times the deviation in scales, times that of the feature: strong from
    afar, smooth at agreement, and as good as the feature's, which its docstring tells.
    """

    feature: AbstractFeature = eqx.field(static=True)
    target: Target = eqx.field(converter=as_target)
    scale: Float[Array, "*place"] = eqx.field(default=1.0, converter=as_floats)
    reduce: Callable[[Array], Array] | None = eqx.field(default=None, static=True, kw_only=True)
    skip: float = eqx.field(default=0.0, static=True, kw_only=True, converter=as_time)

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.feature.name or self.feature.default_name

    @property
    def monitor(self) -> str | None:
        """The feature's monitor."""
        return self.feature.monitor

    @property
    def variable(self) -> str | None:
        """The feature's variable."""
        return self.feature.variable

    def __check_init__(self):
        check_kind("Feature: feature", self.feature, AbstractFeature, "tvbjax.features.Mean()")
        if self.reduce is not None and not callable(self.reduce):
            raise TypeError(
                f"{self.name}: reduce is {self.reduce!r:.60}; give a function such as jnp.mean."
            )
        check_finite(self.name, self.target)
        shapes = self.target.values.shape, self.scale.shape
        if shapes[1] not in ((), shapes[0]):
            raise ValueError(
                f"{self.name}: the scale has the shape {shapes[1]} and the target {shapes[0]}; "
                "give one number, or one for each value of the target."
            )
        if not is_traced(self.scale):
            scale = np.asarray(self.scale)
            bad = np.argwhere(~((scale > 0) & np.isfinite(scale)))
            if len(bad):
                raise ValueError(
                    f"{self.name}: the scale is {scale[tuple(bad[0])]:g} somewhere; give positive "
                    "finite differences that count as 1."
                )

    def check_seen(self, seen):
        seen.check_signals()
        if self.target.values.ndim and self.target.axis(-1) is not None and self.reduce is None:
            check_places(seen, self.target)

    def of(self, seen):
        value = self.feature.of(seen.as_array(), seen.time)
        value = jnp.asarray(value if self.reduce is None else self.reduce(value))
        shape = self.target.values.shape
        if shape not in ((), value.shape):
            after = "" if self.reduce is None else " after reduce"
            raise ValueError(
                f"{self.name}: the target has the shape {shape} and the feature of "
                f"'{seen.monitor}'{after} {value.shape}; give a target of that shape, one number "
                "for all, or reduce=."
            )
        return value

    def wanted(self, seen):
        return self.target.values

    def between(self, simulated, empirical):
        return jnp.mean(((simulated - empirical) / self.scale) ** 2)

    def compared(self, result):
        seen = self.seen(result)
        value = self.of(seen)
        wanted = jnp.broadcast_to(self.target.values, value.shape)
        if value.ndim == 0:
            axes = (Axis("value", (self.name,)),)
            return Comparison(self.name, value[None], wanted[None], axes, Kind.VALUES)
        rows = [Axis(f"dim_{i}", tuple(map(float, range(n)))) for i, n in enumerate(value.shape)]
        if value.shape[-1] == len(seen.places) and self.reduce is None:
            rows[-1] = seen.places
        return Comparison(self.name, value, wanted, tuple(rows), Kind.VALUES)
