"""The connections that exist, as a list sorted by receiving region, and bundles of them.

Built once from the weights that are not zero; weights and lengths themselves stay leaves of the
connectome, so that gradients and sweeps reach them.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

Values = Array | np.ndarray


class Edges(eqx.Module):
    """Connection e goes from region `sources[e]` to region `targets[e]`."""

    targets: Int[Array, " edge"]
    sources: Int[Array, " edge"]
    nodes: int = eqx.field(static=True)

    def weights(self, matrix: Float[Array, "node node"]) -> Float[Array, " edge"]:
        """The weights of the connections."""
        return matrix[self.targets, self.sources]

    def matrix(self, values: Float[Array, "edge *member"]) -> Float[Array, "node node *member"]:
        """The values of the connections as a matrix, zero elsewhere."""
        empty = jnp.zeros((self.nodes, self.nodes, *values.shape[1:]), values.dtype)
        return empty.at[self.targets, self.sources].set(values)

    def sums(self, values: Float[Array, "edge *member"]) -> Float[Array, "node *member"]:
        """The sum over what comes to each region."""
        return jax.ops.segment_sum(values, self.targets, self.nodes, indices_are_sorted=True)

    def delays(
        self, lengths: Float[Values, "node node"], speed: Values, dt: float
    ) -> Float[Values, " edge"]:
        """Delays in steps, which need not be whole; NumPy's of NumPy's arrays."""
        xp: Any = np if isinstance(lengths, np.ndarray) else jnp
        targets, sources = (xp.asarray(ends) for ends in (self.targets, self.sources))
        with np.errstate(all="ignore"):
            own_speed = speed if speed.ndim == 0 else speed[targets, sources]
            return lengths[targets, sources] / own_speed / dt

    def repeated(self, times: int) -> "Edges":
        """Every connection so many times."""
        if times == 1:
            return self
        with jax.ensure_compile_time_eval():
            targets, sources = (
                jax.device_put(np.repeat(np.asarray(end), times))
                for end in (self.targets, self.sources)
            )
            return Edges(targets, sources, self.nodes)


def edges_of(weights: Float[ArrayLike, "node node"]) -> Edges:
    """The connections of a concrete weight matrix."""
    present = np.asarray(weights) != 0
    targets, sources = np.nonzero(present)
    return Edges(
        jax.device_put(targets.astype(np.int32)),
        jax.device_put(sources.astype(np.int32)),
        present.shape[0],
    )


class Bundle(eqx.Module):
    """Connections to several regions, as many slots for each: a slot that is not `present` repeats
    a connection that there is, so that what is computed of it is as finite as that."""

    edges: Int[Array, "row slot"]
    present: Bool[Array, "row slot"]


class Bundles(eqx.Module):
    """Connections in bundles of regions with about as many each.

    `rows[i]`: where region i's sums are when those of all bundles follow one another, and then a
    row of zeros; None where the bundles' rows are the regions.
    """

    parts: tuple[Bundle, ...]
    rows: Int[Array, " node"] | None

    @property
    def chosen(self) -> np.ndarray:
        """The connections in the bundles."""
        found = [np.asarray(part.edges)[np.asarray(part.present)] for part in self.parts]
        return np.concatenate([np.zeros(0, int), *found])

    def together(self, sums: list[Array], empty: Array) -> Array:
        """The sums of the bundles as `(node, ...)`; `empty`: one row of zeros, `(1, ...)`."""
        if self.rows is None:
            return sums[0]
        return jnp.concatenate([*sums, empty])[self.rows]


def bundled(edges: Edges, chosen: np.ndarray, *, whole: bool) -> Bundles:
    """The chosen connections in bundles; `whole`: in one, with a row for every region."""
    degrees = _degrees(edges, chosen)
    if not degrees.any():
        return Bundles((), jax.device_put(np.zeros(edges.nodes, np.int32)))
    per_node = np.split(np.flatnonzero(chosen), np.cumsum(degrees)[:-1])
    if whole or _one_is_enough(degrees):
        return Bundles((_padded(per_node, int(chosen.argmax())),), None)
    order = np.argsort(-degrees, kind="stable")
    order = order[: np.count_nonzero(degrees)]
    bounds = _cuts(degrees[order])
    parts, rows = [], np.full(edges.nodes, len(order))
    for first, last in zip(bounds[:-1], bounds[1:], strict=True):
        order[first:last].sort()  # neighbours hear the same regions, just read
        parts.append(_padded([per_node[node] for node in order[first:last]], 0))
    rows[order] = np.arange(len(order))
    return Bundles(tuple(parts), jax.device_put(rows.astype(np.int32)))


def bundled_by_sender(edges: Edges, chosen: np.ndarray, *, whole: bool) -> tuple[Bundle, ...]:
    """The chosen connections in bundles whose rows are sending regions; `whole`: in one, with a row
    for every region."""
    targets, sources = np.asarray(edges.targets), np.asarray(edges.sources)
    order = np.lexsort((targets, sources))
    ends = jax.device_put(sources[order]), jax.device_put(targets[order])
    turned = Edges(ends[0], ends[1], edges.nodes)
    parts = bundled(turned, chosen[order], whole=whole).parts
    numbers = [jax.device_put(order[np.asarray(part.edges)].astype(np.int32)) for part in parts]
    return tuple(Bundle(n, part.present) for n, part in zip(numbers, parts, strict=True))


def slots_of(edges: Edges, chosen: np.ndarray) -> int:
    """How many slots the chosen connections take in their bundles."""
    degrees = _degrees(edges, chosen)
    if not degrees.any():
        return 0
    if _one_is_enough(degrees):
        return edges.nodes * int(degrees.max())
    ordered = -np.sort(-degrees[degrees > 0])
    return _slots(ordered, _cuts(ordered))


def _degrees(edges: Edges, chosen: np.ndarray) -> np.ndarray:
    return np.bincount(np.asarray(edges.targets)[chosen], minlength=edges.nodes)


def _padded(lists: list[np.ndarray], spare: int) -> Bundle:
    """One row for each list; a list of nothing repeats the connection `spare`."""
    width = max(len(own) for own in lists)
    index = np.array(
        [[*own, *[own[0] if len(own) else spare] * (width - len(own))] for own in lists]
    )
    slots = np.arange(width)[None] < np.array([len(own) for own in lists])[:, None]
    return Bundle(jax.device_put(index.astype(np.int32)), jax.device_put(slots))


# What a bundle costs of its own, in slots: its operations must be started, its rows put in order;
# and, as a share of all slots, to be compiled.
_BUNDLE, _COMPILED = 100, 0.03


def _one_is_enough(degrees: np.ndarray) -> bool:
    ordered = -np.sort(-degrees)
    in_one = len(degrees) * ordered[0]
    bounds = _cuts(ordered[ordered > 0])
    each = _cost_of_bundle(ordered)
    in_several = _slots(ordered, bounds) + each * (len(bounds) - 1) + len(degrees)
    return bool(in_one <= in_several)


def _cost_of_bundle(ordered: np.ndarray) -> float:
    return _BUNDLE + _COMPILED * float(ordered.sum())


def _slots(ordered: np.ndarray, bounds: list[int]) -> int:
    return sum((b - a) * int(ordered[a]) for a, b in zip(bounds[:-1], bounds[1:], strict=True))


def _cuts(ordered: np.ndarray) -> list[int]:
    """Where to cut regions in falling order of degree, for the least cost: few slots, few bundles.

    By dynamic programming over the distinct degrees.
    """
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] + 1))
    if len(starts) > 64:  # as good, and quick for large networks
        starts = starts[np.linspace(0, len(starts) - 1, 64).astype(int)]
    ends = [*starts[1:].tolist(), len(ordered)]
    best, came, each = np.zeros(len(starts) + 1), [0], _cost_of_bundle(ordered)
    for j, end in enumerate(ends):
        costs = best[: j + 1] + each + (end - starts[: j + 1]) * ordered[starts[: j + 1]]
        came.append(int(np.argmin(costs)))
        best[j + 1] = costs.min()
    bounds, j = [len(ordered)], len(ends)
    while j:
        j = came[j]
        bounds.append(int(starts[j]))
    return bounds[::-1]
