"""The connections that exist, as padded lists of in-edges.

Built once from the weights that are not zero; weights and lengths themselves stay leaves of the
connectome, so that gradients and sweeps reach them.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int


class Edges(eqx.Module):
    """In-edges of every region: `sources[i, e]` sends to region i where `present[i, e]`.

    The padding names a source that exists, so that what is computed of it is as finite as that.
    """

    sources: Int[Array, "node degree"]
    present: Bool[Array, "node degree"]

    def weights(self, matrix: Float[Array, "node node"]) -> Float[Array, "node degree"]:
        """The weights of the edges, zero in the padding."""
        rows = jnp.arange(self.sources.shape[0])[:, None]
        return jnp.where(self.present, matrix[rows, self.sources], jnp.zeros((), matrix.dtype))

    def matrix(self, weights: Float[Array, "node degree"]) -> Float[Array, "node node"]:
        """The weights of the edges as a matrix."""
        nodes = self.sources.shape[0]
        rows = jnp.arange(nodes)[:, None]
        return jnp.zeros((nodes, nodes), weights.dtype).at[rows, self.sources].add(weights)

    def delay_steps(
        self, lengths: Float[Array, "node node"], speed: Array, dt: float
    ) -> Int[Array, "node degree"]:
        """Delays in whole steps, nearest, ties to even as in TVB; zero in the padding.

        -1 where there is no such delay: NaN, negative or beyond all counting.
        """
        rows = jnp.arange(self.sources.shape[0])[:, None]
        of_edges = lengths[rows, self.sources]
        edge_speed = speed if speed.ndim == 0 else speed[rows, self.sources]
        steps = jnp.rint(of_edges / edge_speed / dt)
        known = jnp.where((steps >= 0) & (steps < 2**30), steps, -1.0).astype(jnp.int32)
        return jnp.where(self.present, known, 0)


def edges_of(weights: Float[ArrayLike, "node node"]) -> Edges:
    """The edges of a concrete weight matrix; every region gets at least one slot."""
    present = np.asarray(weights) != 0
    nodes = present.shape[0]
    degrees = present.sum(axis=1)
    degree = max(1, int(degrees.max(initial=0)))
    sources = np.zeros((nodes, degree), dtype=np.int32)
    for node in range(nodes):
        others = np.flatnonzero(present[node])
        sources[node] = others[0] if len(others) else (node + 1) % nodes
        sources[node, : degrees[node]] = others
    slots = np.arange(degree)[None, :] < degrees[:, None]
    return Edges(jnp.asarray(sources), jnp.asarray(slots))
