"""Local connectivity: what the vertices of a surface tell their neighbours, at once.

A sparse matrix as lists of neighbours, slot by slot: most vertices have about as many, and the few
with more have the rest in a list of single connections.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.arrays import is_traced
from tvbjax.equations import AbstractEquation
from tvbjax.kinds import check_kind
from tvbjax.surface._surface import Surface

# A connection in a slot costs about this share of one in the list (measured, 16,384 vertices).
_SLOT, _SINGLE = 1.0, 4.0
_UNROLLED = 16  # slots that are written out; more of them are a loop


class LocalConnectivity(eqx.Module):
    """Weights from the neighbours of every vertex; build it by `local_connectivity`.

    `neighbours`, `weights`: slot by slot, 0 where a vertex has fewer. `targets`, `sources`, `more`:
    the connections that did not fit. The weights are leaves.
    """

    neighbours: Int[Array, "slot vertex"]
    weights: Float[Array, "slot vertex"]
    targets: Int[Array, " single"]
    sources: Int[Array, " single"]
    more: Float[Array, " single"]

    def __call__(self, values: Float[Array, " vertex"]) -> Float[Array, " vertex"]:
        """The weighted sum over the neighbours of every vertex."""
        slots = len(self.neighbours)
        weights = self.weights.astype(values.dtype)

        def one(slot):
            found = values.at[self.neighbours[slot]].get(mode="promise_in_bounds")
            return weights[slot] * found

        first = min(slots, _UNROLLED)
        total = sum((one(slot) for slot in range(first)), jnp.zeros_like(values))
        if slots > first:
            total = lax.fori_loop(first, slots, lambda slot, sum: sum + one(slot), total)
        if len(self.targets):
            rest = self.more.astype(values.dtype) * values[self.sources]
            total = total.at[self.targets].add(rest, indices_are_sorted=True)
        return total

    @property
    def vertices(self) -> int:
        """How many there are."""
        return self.neighbours.shape[1]

    def matrix(self) -> "scipy.sparse.csr_array":
        """As a sparse matrix `(target, source)`."""
        slots, vertices = self.neighbours.shape
        rows = np.concatenate([np.tile(np.arange(vertices), slots), np.asarray(self.targets)])
        columns = np.concatenate([np.asarray(self.neighbours).ravel(), np.asarray(self.sources)])
        weights = np.concatenate([np.asarray(self.weights).ravel(), np.asarray(self.more)])
        found = scipy.sparse.csr_array((weights, (rows, columns)), shape=(vertices, vertices))
        found.eliminate_zeros()
        return found


def local_connectivity(matrix: Any) -> LocalConnectivity:
    """From a sparse (or dense) matrix of weights, `(target, source)`, as SciPy has it.

    Raises `ValueError` for a matrix that is not square, or NaN.
    """
    found = _square(matrix, "local_connectivity")
    if not np.isfinite(found.data).all():
        row = int(np.searchsorted(found.indptr, np.argmin(np.isfinite(found.data)), "right")) - 1
        raise ValueError(f"local_connectivity: a weight to vertex {row} is NaN or infinite.")
    return _listed(found, jnp.asarray(found.data, dtype=jnp.result_type(float)))


def local_kernel(
    distances: Any,
    kernel: AbstractEquation,
    *,
    balanced: bool = True,
    negligible: float = 1e-9,
) -> LocalConnectivity:
    """Weights as a function of distance, e.g. `local_kernel(geodesic_distances(surface, 40.0),
    Gaussian(sigma=10.0))`; differentiable in the kernel's parameters.

    `distances`: sparse, mm; what is not stored is too far. `balanced`: scale every vertex's rows so
    that the sums of its positive and of its negative weights are the means over all vertices, for
    a mesh that is finer in some places; as TVB does. `negligible`: weights below this share of the
    largest are left out, where they are known numbers: a kernel much narrower than the cutoff then
    costs no more than it must. Raises `ValueError` where a vertex has no positive, or no negative,
    weight and others have: the mesh is too coarse for the kernel.
    """
    check_kind(
        "local_kernel: kernel", kernel, AbstractEquation, "tvbjax.equations.Gaussian(sigma=10.0)"
    )
    found = _square(distances, "local_kernel")
    if not len(found.data) or not np.isfinite(found.data).all():
        raise ValueError(
            "local_kernel: the distances are none, or NaN or infinite; give a cutoff that reaches "
            "the next vertices."
        )
    if (found.data < 0).any():
        raise ValueError(
            f"local_kernel: a distance is {found.data.min():g} mm; give distances >= 0."
        )
    weights = kernel(jnp.asarray(found.data, dtype=jnp.result_type(float)))
    if not is_traced(weights) and not np.isfinite(np.asarray(weights)).all():
        first = int(np.argmin(np.isfinite(np.asarray(weights))))
        raise ValueError(
            f"local_kernel: the kernel is {float(weights[first])} at a distance of "
            f"{found.data[first]:.6g} mm; give one that is finite at all distances."
        )
    if balanced:
        degrees = np.diff(found.indptr)
        rows = np.repeat(np.arange(len(degrees)), degrees)
        positive, negative = (
            _balanced(part, rows, len(degrees))
            for part in (jnp.maximum(weights, 0.0), jnp.minimum(weights, 0.0))
        )
        weights = positive + negative
    if not is_traced(weights):
        size = np.abs(np.asarray(weights))
        least = negligible * size.max(initial=0.0)
        kept = np.flatnonzero(size > least)
        if not len(kept) or not np.isfinite(size).all() or size.max() < np.finfo(np.float32).tiny:
            raise ValueError(
                "local_kernel: the kernel is 0, NaN or next to nothing at all distances; make it "
                "wider (sigma against the mesh's edges), or the surface finer."
            )
        found, weights = _only(found, kept), weights[kept]
    return _listed(found, weights)


def _only(found: scipy.sparse.csr_array, kept: np.ndarray) -> scipy.sparse.csr_array:
    """The matrix with these of its stored entries."""
    degrees = np.diff(found.indptr)
    rows = np.repeat(np.arange(len(degrees)), degrees)[kept]
    shape = (len(degrees), len(degrees))
    return scipy.sparse.csr_array((found.data[kept], (rows, found.indices[kept])), shape=shape)


def _square(matrix: Any, who: str) -> scipy.sparse.csr_array:
    shape = np.shape(matrix)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            f"{who}: the matrix has the shape {shape}; give a square one, from vertex to vertex."
        )
    return scipy.sparse.csr_array(matrix)


def _balanced(weights: Float[Array, " weight"], rows: np.ndarray, vertices: int) -> Array:
    sums = jax.ops.segment_sum(weights, rows, vertices, indices_are_sorted=True)
    mean = sums.mean()
    empty = (sums == 0) & (mean != 0)
    says = (
        "local_kernel: a vertex has no weight of a sign that others have; the surface is too "
        "coarse for the kernel: make it wider, or say balanced=False."
    )
    if is_traced(sums):
        sums = eqx.error_if(sums, empty.any(), says)
    elif empty.any():
        raise ValueError(says)
    return weights * (mean / jnp.where(sums == 0, 1.0, sums))[rows]


def _listed(found: scipy.sparse.csr_array, weights: Float[Array, " weight"]) -> LocalConnectivity:
    """In slots, as many as cost least, and single connections."""
    degrees = np.diff(found.indptr)
    vertices = len(degrees)
    place = np.arange(len(found.indices)) - np.repeat(found.indptr[:-1], degrees)
    rows = np.repeat(np.arange(vertices), degrees)
    longest = int(degrees.max(initial=0))
    beyond = np.array([(degrees - k).clip(min=0).sum() for k in range(longest + 1)])
    slots = int(np.argmin(_SLOT * vertices * np.arange(longest + 1) + _SINGLE * beyond))
    fits = place < slots
    # A slot that is none reads the vertex itself, with the weight 0.
    neighbours = np.tile(np.arange(vertices, dtype=np.int32), (slots, 1))
    neighbours[place[fits], rows[fits]] = found.indices[fits]
    table = jnp.zeros((slots, vertices), weights.dtype)
    table = table.at[place[fits], rows[fits]].set(weights[np.flatnonzero(fits)])
    return LocalConnectivity(
        jnp.asarray(neighbours),
        table,
        jnp.asarray(rows[~fits], dtype=jnp.int32),
        jnp.asarray(found.indices[~fits], dtype=jnp.int32),
        weights[np.flatnonzero(~fits)],
    )


def neighbour_average(surface: Surface) -> LocalConnectivity:
    """Every vertex hears the mean of the vertices that share an edge with it."""
    first, second = surface.edges.T
    pairs = np.concatenate([first, second]), np.concatenate([second, first])
    ones = np.ones(len(pairs[0]))
    adjacent = scipy.sparse.csr_array((ones, pairs), shape=(len(surface),) * 2)
    return local_connectivity(adjacent / adjacent.sum(axis=1)[:, None])
