"""What stays the same over a run: weights, delays, bounds, gathered once outside the loop."""

from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tvbjax.coupling import Instant
from tvbjax.engine._afferent import Link, links_of
from tvbjax.engine._edges import Bundle, Bundles
from tvbjax.engine._members import Members
from tvbjax.engine._onward import Onward
from tvbjax.engine._taps import of_taps, taps_of
from tvbjax.mixed import Mixed

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


class Wires(eqx.Module):
    """A bundle of connections; a slot that is none has the weight 0."""

    sources: Int[Array, "row slot"]
    present: Bool[Array, "row slot"]
    weights: Float[Array, "row slot *member"]
    delays: Int[Array, "row slot *own"]


class Network(eqx.Module):
    """Connections by the layout's kinds, and what is known of every region.

    `far_on`, `long_on`, `short_on`: by their senders. `alone`: weights of what a region sends
    itself at once. `dense`: the weights as a matrix, for `Instant` rules. `product`: the matrix
    that sums what regions send now, where there are no delays: its rows are senders, its columns
    receivers and some of nothing. `strengths`: of each link the in-strength of every region.
    `owners`: which region has which state variable, where the models are mixed.
    """

    far: tuple[Wires, ...]
    long: tuple[Wires, ...]
    short: tuple[Wires, ...]
    far_on: tuple[Onward, ...]
    long_on: tuple[Onward, ...]
    short_on: tuple[Onward, ...]
    alone: Float[Array, "node *member"] | None
    dense: Float[Array, "node node *member"] | None
    product: Float[Array, "node column *member"] | None
    strengths: tuple[Float[Array, "node *member"], ...]
    lower: Float[Array, "state 1"]
    upper: Float[Array, "state 1"]
    owners: Bool[Array, "state node"] | None

    @property
    def wires(self) -> tuple[Wires, ...]:
        """All of them, in the order in which what they read is put together."""
        return (*self.far, *self.long, *self.short)

    def axes(self, members: Members) -> "Network":
        """Where the members are in each array: last, or None where all share it."""
        weights, delays = _own(members)
        own = ("alone", "dense", "product", "strengths")
        heard = delays if members.simulator.delays.taps > 1 and weights is None else weights
        varying = {name: weights for name in own} | {"weights": heard, "delays": delays}

        def axis(path, _):
            return varying.get([key.name for key in path if hasattr(key, "name")][-1])

        return jax.tree_util.tree_map_with_path(axis, self)


def own_delays(members: Members) -> bool:
    """Whether members have delays of their own."""
    return members.differ_in(lambda s: (s.connectome.tract_lengths, s.connectome.speed))


def _own(members: Members) -> tuple[int | None, int | None]:
    own_weights = members.differ_in(lambda s: s.connectome.weights)
    return (-1 if own_weights else None, -1 if own_delays(members) else None)


def network_of(members: Members) -> Network:
    """The network of members; an error where its leaves no longer fit its layout."""
    simulator = members.simulator
    edges, layout = simulator.edges, simulator.layout
    own_weights, own_delay = _own(members)
    weights = _shared_or_own(members, own_weights, lambda s: edges.weights(s.connectome.weights))
    delays, shares = _shared_or_own(members, own_delay, _taps)
    count = _shared_or_own(members, own_weights, lambda s: jnp.count_nonzero(s.connectome.weights))
    weights = _checked(simulator, weights, delays, count)
    links = links_of(simulator)
    at_once = any(isinstance(link.rule, Instant) and link.rule.weights is None for link in links)
    dtype = weights.dtype
    lower, upper = (jnp.asarray(b, dtype)[:, None] for b in zip(*simulator.bounds, strict=True))
    model = simulator.model
    alone = None
    if layout.alone is not None:
        whose = jnp.maximum(layout.alone, 0) // simulator.delays.taps
        alone = _kept(layout.alone >= 0, weights[whose])
    heard = of_taps(weights, shares)
    return Network(
        _wires(simulator, layout.far, heard, delays),
        _wires(simulator, layout.long, heard, delays),
        _wires(simulator, layout.short, heard, delays),
        _onward(simulator, layout.far_on, heard, delays),
        _onward(simulator, layout.long_on, heard, delays),
        _onward(simulator, layout.short_on, heard, delays),
        alone,
        edges.matrix(weights) if at_once else None,
        _product_of(edges.matrix(weights)) if layout.dense else None,
        tuple(_strength(simulator, link, weights) for link in links),
        lower,
        upper,
        jnp.asarray(model.members) if isinstance(model, Mixed) else None,
    )


def _shared_or_own(members: Members, axis: int | None, function):
    return function(members.simulator) if axis is None else members.over(function)


def _taps(simulator: "Simulator"):
    connectome = simulator.connectome
    return taps_of(simulator, connectome.tract_lengths, connectome.speed)


def _kept(present: Array, values: Array) -> Array:
    """Zero where nothing is present; values may have an axis of members more."""
    extra = values.ndim - present.ndim
    return jnp.where(present.reshape(present.shape + (1,) * extra), values, jnp.zeros_like(values))


def _wires(simulator: "Simulator", bundles: Bundles, weights, delays) -> tuple[Wires, ...]:
    sources, taps = simulator.edges.sources, simulator.delays.taps
    return tuple(
        Wires(
            sources[part.edges // taps],
            part.present,
            _kept(part.present, weights[part.edges]),
            delays[part.edges],
        )
        for part in bundles.parts
    )


def _onward(simulator: "Simulator", parts: tuple[Bundle, ...], weights, delays):
    edges, taps = simulator.edges, simulator.delays.taps
    return tuple(
        Onward(
            edges.sources[part.edges[:, 0] // taps],
            edges.targets[part.edges // taps],
            part.present,
            _kept(part.present, weights[part.edges]),
            delays[part.edges],
        )
        for part in parts
    )


def _product_of(matrix: Float[Array, "node node *member"]) -> Array:
    """Transposed, in whole vector registers: a product with that is the quickest."""
    width = -len(matrix) % 8
    return jnp.pad(jnp.swapaxes(matrix, 0, 1), [(0, 0), (0, width), *[(0, 0)] * (matrix.ndim - 2)])


def _strength(simulator: "Simulator", link: Link, weights: Array) -> Array:
    edges = simulator.edges
    if link.senders is not None:
        weights = _kept(jnp.asarray(link.senders)[edges.sources], weights)
    return edges.sums(weights)


def _checked(simulator: "Simulator", weights: Array, delays, count: Array) -> Array:
    layout, room = simulator.layout, simulator.delays.widened
    weights = eqx.error_if(
        weights,
        (delays >= simulator.horizon) | (delays < 0),
        f"simulate: a delay exceeds the history of {simulator.horizon} steps; build the Simulator "
        f"with the slowest speed or the longest tracts, or give it horizon={room}.",
    )
    ahead = simulator.integrator.ahead
    used = (
        (layout.far, layout.reach + ahead, simulator.horizon),
        (layout.long, layout.block + ahead, simulator.horizon),
        (layout.short, 0, layout.past),
    )
    for part, least, greatest in [(p, *limits) for kind, *limits in used for p in kind.parts]:
        those = delays[part.edges]
        weights = eqx.error_if(
            weights,
            _kept(part.present, (those < least) | (those > greatest)),
            f"simulate: a delay is not what the Simulator was built for, with time blocks of "
            f"{layout.reach} steps; build it from a connectome with the least delays that will "
            f"occur (the greatest speed), or give it block=1{room}.",
        )
    if layout.alone is not None:
        those = delays[jnp.maximum(layout.alone, 0)]
        weights = eqx.error_if(
            weights,
            _kept(layout.alone >= 0, those != 0),
            "simulate: a region's connection with itself had no delay when the Simulator was "
            "built, and has now; build it from the connectome with that delay.",
        )
    if layout.still is not None:
        weights = eqx.error_if(
            weights,
            delays[layout.still] != 0,
            "simulate: a connection had no delay when the Simulator was built, and has now; build "
            "it from the connectome with that delay.",
        )
    return eqx.error_if(
        weights,
        count > jnp.count_nonzero(weights, axis=0),
        "simulate: the weights have connections that the Simulator was not built with; build it "
        "anew from a connectome in which every connection that may vary is not zero.",
    )
