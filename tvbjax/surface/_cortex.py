"""Cortex: the nodes of a surface simulation, and how they are joined to regions and to neighbours.

Every vertex is a node, and so is every region without vertices. Regions send what their nodes have
on average, and every node hears what its region hears.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.arrays import check_finite
from tvbjax.axes import Axis
from tvbjax.coupling import AbstractCarried, AbstractCoupling, AbstractPairwise, Linear
from tvbjax.regions import Regions
from tvbjax.surface._local import LocalConnectivity
from tvbjax.surface._mapping import Mapping, checked_mapping, without_vertices
from tvbjax.surface._surface import Surface

_WIDTH = 32  # nodes of a region that are summed before regions are (measured)


class Averaging(eqx.Module):
    """Means over the nodes of every region. `groups`: nodes in groups of one region each, place by
    place; `present`: 1, or 0 where a group has fewer nodes; `shares`: of what every group's sum
    adds to the regions.
    """

    groups: Int[Array, "place group"]
    present: Float[Array, "place group"]
    shares: Float[Array, "region group"]

    def __call__(self, values: Float[Array, " node"]) -> Float[Array, " region"]:
        """The mean over every region's nodes."""
        present = self.present.astype(values.dtype)
        found = (
            here * values.at[nodes].get(mode="promise_in_bounds")
            for nodes, here in zip(self.groups, present, strict=True)
        )
        sums = sum(found, jnp.zeros(self.groups.shape[1], values.dtype))
        return jnp.matmul(self.shares.astype(sums.dtype), sums, precision=lax.Precision.HIGHEST)


class Cortex(eqx.Module):
    """The surface of a simulation: `Simulator(..., cortex=Cortex(surface, mapping, regions))`.

    `surface`, `mapping`: the region of every vertex, by index. `regions`: the connectome's, of
    which those without vertices are nodes after the vertices. `local`: how strongly vertices hear
    their neighbours; None for not at all. `coupling`: the rule of it, for the model's first input
    or for inputs by name, by default `Linear(a=1.0)`; what it makes of the neighbours is added to
    the input, computed anew in every stage of the integrator, without delay.
    """

    surface: Surface = eqx.field(static=True)
    regions: Regions = eqx.field(static=True)
    local: LocalConnectivity | None
    coupling: AbstractCoupling | dict[str, AbstractCoupling] | None
    region_of: Int[Array, " node"]
    averaging: Averaging
    axis: Axis = eqx.field(static=True)
    """The nodes by name: the number of a vertex, or the label of a region without any."""

    def __init__(
        self,
        surface: Surface,
        mapping: Mapping,
        regions: Regions,
        local: LocalConnectivity | None = None,
        coupling: AbstractCoupling | dict[str, AbstractCoupling] | None = None,
    ):
        if not isinstance(surface, Surface) or not isinstance(regions, Regions):
            raise TypeError(
                "Cortex: give a tvbjax.surface.Surface, the region of each vertex, and the "
                f"connectome's regions (connectome.regions); got {surface!r:.40}, {regions!r:.40}."
            )
        _check_neighbours(local, coupling)
        vertices = len(surface)
        found = checked_mapping(mapping, regions, vertices)
        alone = without_vertices(found, len(regions))
        nodes = np.concatenate([found, alone])
        self.surface, self.regions = surface, regions
        self.local = local
        self.coupling = Linear(a=1.0) if local is not None and coupling is None else coupling
        self.region_of = jnp.asarray(nodes, dtype=jnp.int32)
        self.averaging = _averaging(nodes, len(regions))
        numbers = (str(number) for number in range(vertices))
        self.axis = Axis("vertex", (*numbers, *(regions.labels[i] for i in alone)))
        if local is not None and local.vertices != vertices:
            raise ValueError(
                f"Cortex: the local connectivity is for {local.vertices} vertices, and the surface "
                f"has {vertices}."
            )

        _check_parameters(self.coupling, self.nodes)

    @property
    def nodes(self) -> int:
        """Vertices, and regions without any."""
        return self.region_of.shape[0]

    def averaged(self, values: Float[Array, "row node"]) -> Float[Array, "row region"]:
        """The means over every region's nodes."""
        return jnp.stack([self.averaging(row) for row in values])

    def to_nodes(
        self, values: Float[Array | np.ndarray, "*rows region"]
    ) -> Float[Array, "*rows node"]:
        """Every node's value by its region, e.g. of regional parameters."""
        values = jnp.asarray(values)
        if values.shape[-1:] != (len(self.regions),):
            raise ValueError(
                f"Cortex.to_nodes: values have the shape {values.shape}; give one for each of the "
                f"{len(self.regions)} regions, along the last axis."
            )
        return values.at[..., self.region_of].get(mode="promise_in_bounds")

    def of_vertices(
        self, values: Float[Array | np.ndarray, "*rows vertex"]
    ) -> Float[Array, "*rows node"]:
        """Every node's value where vertices have these, and regions without vertices 0; e.g. of a
        stimulus's pattern."""
        values = jnp.asarray(values)
        if values.shape[-1:] != (len(self.surface),):
            raise ValueError(
                f"Cortex.of_vertices: values have the shape {values.shape}; give one for each of "
                f"the {len(self.surface)} vertices, along the last axis."
            )
        missing = self.nodes - values.shape[-1]
        return jnp.concatenate([values, jnp.zeros((*values.shape[:-1], missing))], axis=-1)

    def neighbours(self, values: Float[Array, " node"]) -> Float[Array, " node"]:
        """What every node hears of its neighbours; 0 where it has none."""
        if self.local is None:
            return jnp.zeros_like(values)
        vertices = len(self.surface)
        heard = self.local(values[:vertices])
        return jnp.concatenate([heard, jnp.zeros_like(values[vertices:])])


def _check_neighbours(local: object, coupling: object) -> None:
    if not isinstance(local, LocalConnectivity | None):
        raise TypeError(
            f"Cortex: local is of the type {type(local).__name__}; give tvbjax.surface."
            "neighbour_average(surface), local_kernel(distances, kernel), or "
            "local_connectivity(matrix) of a matrix of weights."
        )
    rules = coupling.values() if isinstance(coupling, dict) else [coupling]
    for rule in rules:
        if not isinstance(rule, AbstractCoupling) and coupling is not None:
            raise TypeError(
                f"Cortex: coupling is {coupling!r:.80}; give a rule such as "
                'tvbjax.coupling.Linear(a=1.0), or rules by input, {"c_0": rule}.'
            )
    if local is None and coupling is not None:
        raise ValueError("Cortex: there is a coupling and no local connectivity; give local=.")


def _check_parameters(coupling: Any, nodes: int) -> None:
    """Every parameter of local rules is one number, or one for every node."""
    for rule in coupling.values() if isinstance(coupling, dict) else [coupling]:
        if isinstance(rule, AbstractCarried | AbstractPairwise):
            continue  # refused by the Simulator
        for path, leaf in jax.tree_util.tree_leaves_with_path(rule):
            name = jax.tree_util.keystr(path).lstrip(".")
            what = f"Cortex: '{name}' of the coupling {type(rule).__name__}"
            if jnp.shape(leaf) not in ((), (nodes,)):
                raise ValueError(
                    f"{what} has the shape {jnp.shape(leaf)}; give one number, or one for each of "
                    f"the {nodes} nodes: of regional values, cortex.to_nodes(values) of a Cortex "
                    "without a coupling."
                )
            check_finite(what, leaf)


def _averaging(nodes: np.ndarray, regions: int) -> Averaging:
    order = np.argsort(nodes, kind="stable")
    counts = np.bincount(nodes, minlength=regions)
    used = -(-counts // _WIDTH)
    groups = np.zeros((used.sum(), _WIDTH), dtype=np.int32)
    present = np.zeros(groups.shape)
    shares = np.zeros((regions, len(groups)))
    first = group = 0
    for region, (count, several) in enumerate(zip(counts, used, strict=True)):
        mine = slice(group, group + several)
        groups[mine].flat[:count] = order[first : first + count]
        present[mine].flat[:count] = 1.0
        shares[region, mine] = 1.0 / max(1, count)
        first, group = first + count, group + several
    dtype = jnp.result_type(float)
    return Averaging(
        jnp.asarray(groups.T), jnp.asarray(present.T, dtype=dtype), jnp.asarray(shares, dtype=dtype)
    )
