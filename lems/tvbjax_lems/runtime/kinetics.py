"""Kinetic schemes: Markov chains whose rates are held over a step, so that the step is exact."""

import jax.numpy as jnp
from jax.scipy.linalg import expm
from jaxtyping import Array, Float

from .plan import Scheme
from .values import Name, Values


def rates(scheme: Scheme, values: Values, size: int) -> Float[Array, "instance node node"]:
    """The generator A with dp/dt = A p: each column's off-diagonal rates leave that node."""
    count = len(scheme.nodes)
    matrix = jnp.zeros((size, count, count))
    for source, target, edge in scheme.edges:
        for start, end, name in (
            (source, target, scheme.forward),
            (target, source, scheme.reverse),
        ):
            rate = jnp.broadcast_to(jnp.asarray(values.get(edge, name), float), (size,))
            matrix = matrix.at[:, end, start].add(rate).at[:, start, start].add(-rate)
    return matrix


def derivative(scheme: Scheme, values: Values, size: int) -> dict[Name, Array]:
    """The rate of change of each node's occupancy."""
    change = _times(rates(scheme, values, size), _occupancy(scheme, values))
    return {(node, scheme.state): change[:, k] for k, node in enumerate(scheme.nodes)}


def advance(scheme: Scheme, values: Values, size: int, dt: float) -> dict[Name, Array]:
    """Each node's occupancy after dt: expm(A dt) p, in closed form for two nodes."""
    occupancy = _occupancy(scheme, values)
    matrix = rates(scheme, values, size)
    if len(scheme.nodes) == 2:
        forward, reverse = matrix[:, 1, 0], matrix[:, 0, 1]
        total = forward + reverse
        whole = occupancy[:, 0] + occupancy[:, 1]
        steady = whole * forward / jnp.where(total > 0.0, total, 1.0)
        second = steady + (occupancy[:, 1] - steady) * jnp.exp(-total * dt)
        second = jnp.where(total > 0.0, second, occupancy[:, 1])
        after = jnp.stack([whole - second, second], axis=1)
    else:
        after = _times(expm(matrix * dt), occupancy)
    return {(node, scheme.state): after[:, k] for k, node in enumerate(scheme.nodes)}


def _times(matrices: Array, vectors: Array) -> Float[Array, "instance node"]:
    """In full: GPUs round float32 to ten bits before they multiply matrices."""
    return jnp.einsum("ijk,ik->ij", matrices, vectors, precision="highest")


def _occupancy(scheme: Scheme, values: Values) -> Float[Array, "instance node"]:
    return jnp.stack([values.get(node, scheme.state) for node in scheme.nodes], axis=1)
