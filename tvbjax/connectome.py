"""Connectome: which region reaches which, how strongly, over how long a tract, how fast.

Weights, tract lengths and speed are leaves: they can be differentiated, batched and fitted. All
that is known of the regions themselves is static. Knows no model, no solver and no file format.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from tvbjax.arrays import as_floats
from tvbjax.regions import Regions

Values = Array | np.ndarray | Sequence[Any]


class Connectome(eqx.Module):
    """The structural connections of a brain. `[i, j]` leads **from j to i** (row = target).

    Attributes (leaves, of JAX's default float type):
        weights: connection strengths, >= 0, without unit; 0 means no connection.
        tract_lengths: lengths of the fibre tracts in mm, >= 0.
        speed: conduction speed in mm/ms (= m/s), > 0: one for all, or one per connection.
    Attributes (static):
        regions: labels and what else is known of each region; `len(connectome.regions)` many.
        name: a name for people to read.

    `dataclasses.replace(connectome, speed=5.0)` gives a changed and checked copy.
    """

    weights: Float[Array, "region region"]
    tract_lengths: Float[Array, "region region"]
    speed: Float[Array, ""] | Float[Array, "region region"]
    regions: Regions = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        weights: Values,
        tract_lengths: Values | None = None,
        speed: float | Array | np.ndarray = 3.0,
        labels: Sequence[str] | None = None,
        *,
        centres: Values | None = None,
        hemispheres: Values | None = None,
        cortical: Values | None = None,
        areas: Values | None = None,
        orientations: Values | None = None,
        name: str = "connectome",
        regions: Regions | None = None,
    ):
        """A connectome from arrays.

        `weights`, `tract_lengths` (mm): (region, region), from column to row; no tract lengths
        means zeros, so no delays. `speed`: mm/ms. `labels`: region_0, region_1, ... if None.
        `centres`: mm, (region, 3). `hemispheres`: True on the right. `cortical`: True for cortex.
        `areas`: mm². `orientations`: (region, 3). `regions`: all that from another connectome;
        what is given singly overrides it.

        Values are checked where they are known; under `jit` only shapes are. Raises ValueError.
        """
        self.weights = as_floats(weights)
        _check_square(self.weights)
        size = self.weights.shape[0]
        self.tract_lengths = (
            jnp.zeros_like(self.weights) if tract_lengths is None else as_floats(tract_lengths)
        )
        self.speed = as_floats(speed)
        given = {
            "labels": labels,
            "centres": centres,
            "hemispheres": hemispheres,
            "cortical": cortical,
            "areas": areas,
            "orientations": orientations,
        }
        self.regions = _regions(size, given, regions)
        self.name = name
        self._check()

    def _check(self):
        # Called from __init__ rather than named __check_init__, so that our messages come before
        # those of a run-time type checker.
        size = len(self.regions)
        shape = (size, size)
        if self.weights.shape != shape:
            raise ValueError(
                f"Connectome: {size} labels for weights of the shape {self.weights.shape}; "
                "pass one label per region."
            )
        if self.tract_lengths.shape != shape:
            raise ValueError(
                f"Connectome: tract_lengths {self.tract_lengths.shape} and weights {shape} differ; "
                "pass one length per weight, or None for no delays."
            )
        if self.speed.shape not in ((), shape):
            raise ValueError(
                f"Connectome: speed has the shape {self.speed.shape}; pass one number, "
                f"or one per connection, {shape}."
            )
        labels = self.regions.labels
        _check_values(
            self.weights,
            "weights",
            labels,
            lambda w: np.isfinite(w) & (w >= 0),
            "weights are finite and >= 0: set a missing connection to 0, and take jnp.abs(weights) "
            "or jnp.maximum(weights, 0) where signs have no place",
        )
        _check_values(
            self.tract_lengths,
            "tract_lengths",
            labels,
            lambda length: np.isfinite(length) & (length >= 0),
            "a tract length is finite and >= 0 mm: set it to 0 where there is no connection",
        )
        _check_values(
            self.speed,
            "speed",
            labels,
            lambda speed: speed > 0,
            "a conduction speed is > 0 mm/ms, since 0 would delay signals for ever: "
            "pass e.g. 3.0, or jnp.inf for no delays",
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the regions, distinct."""
        return self.regions.labels

    @property
    def centres(self) -> Float[np.ndarray, "region 3"] | None:
        """Centres of the regions in mm, or None. Where the axes point is the source's choice."""
        return self.regions.centres

    @property
    def hemispheres(self) -> np.ndarray | None:
        """True in the right hemisphere, (region,); or None."""
        return self.regions.hemispheres

    @property
    def cortical(self) -> np.ndarray | None:
        """True for cortex, (region,); or None."""
        return self.regions.cortical

    @property
    def areas(self) -> Float[np.ndarray, " region"] | None:
        """Surface areas in mm²; or None."""
        return self.regions.areas

    @property
    def orientations(self) -> Float[np.ndarray, "region 3"] | None:
        """Average surface normals; or None."""
        return self.regions.orientations

    def delays(self) -> Float[Array, "region region"]:
        """Time in ms which a signal takes from j to i: tract length over speed."""
        return self.tract_lengths / self.speed

    def delay_steps(self, dt: float) -> Int[Array, "region region"]:
        """Delays in whole steps of `dt` (ms, > 0), nearest, ties to even (as in TVB)."""
        if not dt > 0:
            raise ValueError(f"Connectome.delay_steps: dt is {dt}; a step is > 0 ms.")
        return jnp.rint(self.delays() / dt).astype(int)

    def in_strength(self) -> Float[Array, " region"]:
        """Sum of the weights that reach each region."""
        return in_strength(self.weights)

    def normalise(self, by: Callable[[Array], Array] = jnp.max) -> "Connectome":
        """Weights divided by a scale: by their maximum, or by what `by` makes of them.

        `by` takes the weights (region, region) and gives one number, or one per target region: e.g.
        `jnp.max`, `in_strength`, `largest_in_strength`. Where the scale is 0 (a region that nothing
        reaches), weights stay as they are. Differentiable.
        """
        scale = by(self.weights)
        if scale.shape not in ((), self.weights.shape[:1]):
            raise ValueError(
                f"Connectome.normalise: `by` gave the shape {scale.shape}; "
                f"it must give one number or one per region, {self.weights.shape[:1]}."
            )
        # Made 1 before the division: 0/0 would spoil the gradient even if masked later.
        divisor = jnp.where(scale == 0, jnp.ones_like(scale), scale)
        column = divisor if divisor.ndim == 0 else divisor[:, None]
        return self._with(self.weights / column, self.tract_lengths)

    def log_weights(self) -> "Connectome":
        """Weights w replaced by ln(1 + w): 0 stays 0, order stays, orders of magnitude shrink.

        For weights that span several orders of magnitude, as counts of streamlines do; a common
        step (e.g. Fornito, Zalesky and Bullmore 2016, Fundamentals of Brain Network Analysis). It
        depends on the unit of the weights (weights far below 1 hardly change), so take the raw
        counts first and normalise afterwards.
        """
        return self._with(jnp.log1p(self.weights), self.tract_lengths)

    def without_self_connections(self) -> "Connectome":
        """The diagonal of the weights set to 0."""
        keep = 1 - jnp.eye(self.weights.shape[0], dtype=self.weights.dtype)
        return self._with(self.weights * keep, self.tract_lengths)

    def subset(self, regions: Sequence[str | int]) -> "Connectome":
        """Only these regions, by label or index, in the order given. Raises ValueError."""
        indices = [self.regions.index(region) for region in regions]
        if not indices:
            raise ValueError("Connectome.subset: no regions given; name at least one.")
        for place, index in enumerate(indices):
            if index in indices[:place]:
                raise ValueError(
                    f"Connectome.subset: region {self.labels[index]!r} (index {index}) is named "
                    "twice; name each region once."
                )
        grid = np.ix_(indices, indices)
        return Connectome(
            self.weights[grid],
            self.tract_lengths[grid],
            self.speed if self.speed.ndim == 0 else self.speed[grid],
            name=self.name,
            regions=self.regions.take(indices),
        )

    def _with(self, weights: Array, tract_lengths: Array) -> "Connectome":
        return Connectome(weights, tract_lengths, self.speed, name=self.name, regions=self.regions)

    def __repr__(self) -> str:
        leaves = (self.weights, self.tract_lengths, self.speed)
        size = len(self.regions)
        if not all(_is_known(leaf) for leaf in leaves) or self.weights.shape != (size, size):
            # Traced, batched or partitioned: there is nothing to summarise.
            return (
                f"Connectome(name={self.name!r}, weights={eqx.tree_pformat(self.weights)}, "
                f"tract_lengths={eqx.tree_pformat(self.tract_lengths)}, "
                f"speed={eqx.tree_pformat(self.speed)})"
            )
        return _summary(self)


def in_strength(weights: Float[Array, "region region"]) -> Float[Array, " region"]:
    """Sum of the weights that reach each region; `normalise(by=in_strength)` makes it 1."""
    return weights.sum(axis=-1)


def largest_in_strength(weights: Float[Array, "region region"]) -> Float[Array, ""]:
    """Largest sum of weights that reaches any region (what TVB calls scaling by "region")."""
    return in_strength(weights).max()


def _is_known(array: Any) -> bool:
    return isinstance(array, jax.Array) and not isinstance(array, Tracer)


def _regions(size: int, given: dict[str, Any], regions: Regions | None) -> Regions:
    """One Regions from what was given singly and, for the rest, from `regions`."""
    if regions is not None and all(value is None for value in given.values()):
        return regions
    labels = given["labels"]
    if labels is not None and not isinstance(labels, str) and len(labels) != size:
        raise ValueError(
            f"Connectome: {len(labels)} labels for weights of the shape {(size, size)}; "
            "pass one label per region."
        )
    fields: dict[str, Any] = {
        name: getattr(regions, name, None) if value is None else value
        for name, value in given.items()
    }
    if fields["labels"] is None:
        fields["labels"] = tuple(f"region_{i}" for i in range(size))
    return Regions(**fields)


def _check_square(weights: Array):
    shape = weights.shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(
            f"Connectome: weights has the shape {shape}; pass a square matrix (region, region). "
            "To build many connectomes at once, use jax.vmap over a function that builds one."
        )


def _check_values(
    array: Array,
    name: str,
    labels: Sequence[str],
    accept: Callable[[np.ndarray], np.ndarray],
    mend: str,
):
    """Raise ValueError for the first entry that `accept` refuses, if the entries are known."""
    if not _is_known(array):
        return
    values = np.asarray(array)
    refused = ~accept(values)
    if not refused.any():
        return
    place = tuple(int(i) for i in np.argwhere(refused)[0])
    where = name
    if place:
        target, source = place
        where = f"{name}[{target}, {source}] (from {labels[source]!r} to {labels[target]!r})"
    count = int(refused.sum())
    others = f" (and {count - 1} more)" if count > 1 else ""
    raise ValueError(f"Connectome: {where} is {values[place]:g}{others}; {mend}.")


def _summary(connectome: Connectome) -> str:
    """What a person wants to know first, in three lines."""
    weights, lengths = np.asarray(connectome.weights), np.asarray(connectome.tract_lengths)
    size = len(connectome.regions)
    edges = weights != 0
    to_self = int(np.diag(edges).sum())
    count = int(edges.sum())
    pairs = size * (size - 1)
    density = (count - to_self) / pairs if pairs else 0.0
    kind = "undirected" if (weights == weights.T).all() else "directed"
    delays = np.asarray(connectome.delays())
    lines = [
        f"Connectome {connectome.name!r}: {size} regions, {count} connections"
        f" ({to_self} to self), {kind}, density {density:.1%}",
    ]
    if count:
        speed = np.asarray(connectome.speed)
        pace = f"{speed:g}" if speed.ndim == 0 else f"{speed.min():g} to {speed.max():g}"
        lines += [
            f"  weights {weights[edges].min():.4g} to {weights[edges].max():.4g},"
            f" largest in-strength {weights.sum(axis=1).max():.4g}",
            f"  tracts to {lengths[edges].max():.4g} mm at {pace} mm/ms:"
            f" longest delay {delays[edges].max():.4g} ms",
        ]
    return "\n".join(lines)
