"""Monitors that see the brain from fewer places than regions: means over them, and sensors.

Each takes the samples of another monitor and combines their regions: means and gains are linear, so
that it does not matter whether they are taken before an average over time or after.
"""

import abc
from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from tvbjax.axes import Axis
from tvbjax.forward import Gain
from tvbjax.kinds import check_kind
from tvbjax.monitors._monitor import AbstractMonitor
from tvbjax.monitors._nested import AbstractNested


class AbstractOver(AbstractNested):
    """A monitor that combines each of another monitor's samples. `of`: that one."""

    @property
    def period(self) -> float | None:
        return self.of.period

    @abc.abstractmethod
    def combined(self, samples: Float[Array, "sample voi node"]) -> Array:
        """What is seen of the other monitor's samples, `(sample, voi, place)`."""

    def check(self, nodes, dt):
        self.of.check(nodes, dt)
        own = Axis("node", ("",) * nodes)
        if self.of.axes(own, dt) != (own,):
            raise ValueError(
                f"{type(self).__name__}: the samples of a {type(self.of).__name__} are not those "
                "of all nodes; give a monitor such as SubSample, TemporalAverage or Bold."
            )

    def start(self, past, dt):
        return self.of.start(past, dt)

    def open(self, carried, chunk):
        return self.of.open(carried, chunk)

    def close(self, carried, buffer, chunk):
        carried, samples = self.of.close(carried, buffer, chunk)
        return carried, self.combined(samples)

    def times(self, first, steps, dt):
        return self.of.times(first, steps, dt)


class GlobalAverage(AbstractOver):
    """The mean over all regions of another monitor's samples: `GlobalAverage(SubSample(1.0))` is
    what TVB calls GlobalAverage."""

    of: AbstractMonitor
    name: str = eqx.field(default="global_average", static=True)

    def axes(self, nodes, dt):
        return (Axis("region", ("mean",)),)

    def combined(self, samples):
        nodes = samples.shape[-1]
        return _product(samples, jnp.full((nodes, 1), 1.0 / nodes, samples.dtype))


class SpatialAverage(AbstractOver):
    """The mean over groups of regions of another monitor's samples, e.g. hemispheres, lobes, or
    over the vertices of a region: `SpatialAverage(SubSample(1.0), connectome.cortical)`.

    `groups`: per region (or vertex) the name or number of its group; numbered groups are in the
    order of their numbers, named ones in that in which they first appear. `labels`: names of the
    groups in that order, by default as given.
    """

    of: AbstractMonitor
    members: tuple[int, ...] = eqx.field(static=True)
    labels: tuple[str, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        of: AbstractMonitor,
        groups: Sequence[Any] | np.ndarray,
        labels: Sequence[str] | None = None,
        *,
        name: str = "spatial_average",
    ):
        kinds, self.members = _numbered(groups)
        if isinstance(labels, str):
            raise TypeError(
                f"SpatialAverage: labels is the text {labels!r}; give a list, one for each group."
            )
        self.labels = tuple(map(str, kinds if labels is None else labels))
        if len(self.labels) != len(kinds):
            raise ValueError(
                f"SpatialAverage: {len(self.labels)} labels for {len(kinds)} groups "
                f"({', '.join(map(str, kinds[:8]))}); give one for each, in that order."
            )
        label, count = Counter(self.labels).most_common(1)[0]
        if count > 1:
            raise ValueError(
                f"SpatialAverage: {count} groups have the label '{label}'; give each its own."
            )
        self.of = of
        self.name = name

    def check(self, nodes, dt):
        AbstractOver.check(self, nodes, dt)
        if len(self.members) != nodes:
            raise ValueError(
                f"SpatialAverage: groups are given for {len(self.members)} nodes, and the "
                f"network has {nodes}; give the group of each."
            )

    def axes(self, nodes, dt):
        return (Axis("region", self.labels),)

    def combined(self, samples):
        members = np.asarray(self.members)
        counts = np.bincount(members)
        share = np.zeros((len(members), len(counts)))
        share[np.arange(len(members)), members] = 1.0 / counts[members]
        return _product(samples, jnp.asarray(share, samples.dtype))


class Projection(AbstractOver):
    """What sensors measure: the gain times another monitor's samples, e.g. EEG, MEG or SEEG as
    `Projection(TemporalAverage(1.0), gain, name="eeg")`.

    `gain`: `tvbjax.forward.Gain`, a leaf. Without noise: what an instrument adds is for
    `forward.with_noise` to add. TVB adds noise of its own, and truncates the period to steps.
    """

    of: AbstractMonitor
    gain: Gain
    name: str = eqx.field(default="projection", static=True)

    def __check_init__(self):
        check_kind(
            "Projection: gain", self.gain, Gain, "tvbjax.forward.gain_of(sensors, matrix, unit)"
        )

    def check(self, nodes, dt):
        AbstractOver.check(self, nodes, dt)
        if self.gain.sources != nodes:
            raise ValueError(
                f"Projection: the gain has columns for {self.gain.sources} sources, and the "
                f"network has {nodes} nodes; {_way_to(nodes, self.gain.sources)}."
            )

    def axes(self, nodes, dt):
        return (Axis("channel", self.gain.channels),)

    def combined(self, samples):
        return _product(samples, self.gain.matrix.T.astype(samples.dtype))


class AfferentCoupling(AbstractOver):
    """What another monitor makes of the coupling inputs: of what arrives at every region over the
    connectome, not of its state. `AfferentCoupling(TemporalAverage(1.0))`; `variables` of that are
    names of inputs, None for all.

    The input of step s is that which led from step s - 1 to s. TVB's monitor of that name has the
    one that will lead to s + 1. Before t = 0 inputs count as 0, which haemodynamics see.
    """

    of: AbstractMonitor
    name: str = eqx.field(default="afferent_coupling", static=True)

    @property
    def afferent(self) -> bool:
        return True

    @property
    def combines(self) -> bool:
        return self.of.combines

    @property
    def pointwise(self) -> bool:
        return self.of.pointwise

    def check(self, nodes, dt):
        self.of.check(nodes, dt)

    def axes(self, nodes, dt):
        return self.of.axes(nodes, dt)

    def combined(self, samples):
        return samples


def _way_to(nodes: int, sources: int) -> str:
    """How one gets a gain for so many nodes from one of another number of sources."""
    if sources > nodes:
        return (
            "where the columns are vertices and the nodes regions, take "
            f"gain.summed_over_regions(region_mapping, {nodes}), or averaged_over_regions"
        )
    return (
        "on a cortex every vertex is a node, and then every region without vertices: where the "
        "columns are regions, compute a gain of forward.dipoles_of(cortex); where they are "
        f"vertices, add the {nodes - sources} missing regions by gain.with_sources(theirs)"
    )


def _numbered(groups: Sequence[Any] | np.ndarray) -> tuple[list[Any], tuple[int, ...]]:
    """The groups in their order, and the place in it of each node's."""
    given = np.asarray(groups, dtype=object)  # as they are: np.asarray would write NaN as a name
    if given.ndim != 1 or not len(given):
        raise ValueError(
            f"SpatialAverage: groups has the shape {given.shape}; give the group of each node, as "
            "a name or a number."
        )
    for node, group in enumerate(given):
        if not isinstance(group, str | Real | np.bool_) or group != group:
            raise ValueError(
                f"SpatialAverage: the group of node {node} is {group!r:.80}; give a name or a "
                "number, e.g. a group 'rest' for nodes that are in no other."
            )
    kinds = list(dict.fromkeys(given))
    if not any(isinstance(kind, str) for kind in kinds):
        kinds.sort()
    places = {kind: place for place, kind in enumerate(kinds)}
    return kinds, tuple(places[group] for group in given)


# Nodes that are summed in one go: a longer sum loses digits in single precision.
_TOGETHER = 256


def _product(
    samples: Float[Array, "sample voi node"], columns: Float[Array, "node place"]
) -> Float[Array, "sample voi place"]:
    """Sums over the nodes; of many nodes, sums of the sums over parts of them."""
    nodes = len(columns)
    parts = [
        jnp.matmul(
            samples[..., first : first + _TOGETHER],
            columns[first : first + _TOGETHER],
            precision=lax.Precision.HIGHEST,
        )
        for first in range(0, nodes, _TOGETHER)
    ]
    return sum(parts[1:], parts[0])
