"""What arrives at every region in a step: signals sent, weighted, summed, received.

The rules of all inputs are links; each has its way: by the connectome with its delays, as channels
or connection by connection; without delay; or within the region alone. Here one simulation is
looked at, at one step: how the past is kept is the history's business.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from tvbjax.coupling import (
    AbstractCarried,
    AbstractCoupling,
    AbstractPairwise,
    Instant,
    Own,
)
from tvbjax.mixed import Mixed

if TYPE_CHECKING:
    from tvbjax.engine._network import Network, Wires
    from tvbjax.simulator import Simulator


class Link(NamedTuple):
    """A rule of input number `input`, and the names of what it reads of every region.

    `senders`: the regions that have what it reads, in mixed networks; None where all do.
    """

    input: int
    rule: AbstractCoupling
    reads: tuple[str, ...]
    senders: np.ndarray | None

    @property
    def travels(self) -> bool:
        """Whether the connectome carries it."""
        return not isinstance(self.rule, AbstractCarried)

    @property
    def paired(self) -> bool:
        """Whether it is evaluated for every connection."""
        return isinstance(self.rule, AbstractPairwise)

    def heard(self, weights: Array, sources: Array | None = None) -> Array:
        """The weights of the connections by which something comes."""
        if self.senders is None:
            return weights
        from_them = jnp.asarray(self.senders)
        present = from_them[None] if sources is None else from_them[sources]
        return jnp.where(present, weights, 0.0)


def links_of(simulator: "Simulator") -> list[Link]:
    """The rules of all inputs: first those whose channels are summed, then those of pairs."""
    model = simulator.model
    links = [
        Link(i, rule, reads, model.sending(reads) if isinstance(model, Mixed) else None)
        for i, (rules, all_reads) in enumerate(zip(simulator.rules, simulator.reads, strict=True))
        for rule, reads in zip(rules, all_reads, strict=True)
    ]
    return sorted(links, key=lambda link: (not link.travels, link.paired))


def _own(simulator: "Simulator", link: Link, state: Array) -> Float[Array, "arity node"]:
    own = simulator.model.send(state, link.reads)
    if link.senders is None:
        return own
    # Of no account, but as finite as what a sender has.
    return jnp.where(link.senders[None], own, own[:, [int(link.senders.argmax())]])


def sent(
    simulator: "Simulator", state: Float[Array, "state node"]
) -> Float[Array, "region channel"]:
    """What every region sends by the connectome: channels to be summed, then what pairs read."""
    state = _of_regions(simulator, state)
    rows = [jnp.zeros((0, state.shape[1]), state.dtype)]
    for link in links_of(simulator):
        if link.travels:
            signals = link.rule.source(_own(simulator, link, state))
            if link.senders is not None and not link.paired:
                signals = jnp.where(link.senders[None], signals, 0.0)
            rows.append(signals)
    return jnp.concatenate(rows).T


def channels(simulator: "Simulator") -> tuple[int, int]:
    """How many channels are summed, and how many variables pairs read."""
    shape = jax.ShapeDtypeStruct(
        (len(simulator.model.state_variables), simulator.regions), jnp.result_type(float)
    )
    count = [0, 0]
    for link in links_of(simulator):
        if link.travels:
            found = jax.eval_shape(lambda x, k=link: k.rule.source(_own(simulator, k, x)), shape)
            count[link.paired] += found.shape[0]
    return count[0], count[1]


def received(
    simulator: "Simulator",
    network: "Network",
    state: Float[Array, "state node"],
    sums: Float[Array, "region channel"],
    theirs: tuple[Float[Array, "region _ pair"], ...],
) -> Float[Array, "input node"]:
    """The coupling inputs of every node.

    `sums`: what arrived, weighted and summed; `theirs`: what arrived by each of the network's
    wires, for pairs.
    """
    nodes, state = state.shape[1], _of_regions(simulator, state)
    total: dict[int, Array] = {}
    summed = paired = 0
    for link, strength in zip(links_of(simulator), network.strengths, strict=True):
        own = _own(simulator, link, state)
        if not link.travels:
            value = _at_hand(network, link, own)
        elif link.paired:
            width = jax.eval_shape(link.rule.source, own).shape[0]
            read = [values[..., paired : paired + width] for values in theirs]
            arrived = _of_pairs(link, own, network.wires, read)
            value, paired = link.rule.target(arrived, own, strength), paired + width
        else:
            width = jax.eval_shape(link.rule.source, own).shape[0]
            arrived = sums[:, summed : summed + width].T
            value, summed = link.rule.target(arrived, own, strength), summed + width
        total[link.input] = total[link.input] + value if link.input in total else value
    rows = [total[i] for i in range(len(simulator.model.inputs))]
    if not rows:
        return jnp.zeros((0, nodes), state.dtype)
    inputs, cortex = jnp.stack(rows), simulator.cortex
    return inputs if cortex is None else cortex.to_nodes(inputs)


def near(
    simulator: "Simulator", inputs: Float[Array, "input node"], state: Float[Array, "state node"]
) -> Float[Array, "input node"]:
    """The inputs with what every vertex hears of its neighbours, now."""
    cortex = simulator.cortex
    if cortex is None or cortex.local is None:
        return inputs
    rows = list(inputs)
    for number, rule, reads in simulator.neighbourly:
        own = simulator.model.send(state, reads)
        sums = jnp.stack([cortex.neighbours(channel) for channel in rule.source(own)])
        strength = cortex.neighbours(jnp.ones_like(own[0]))
        rows[number] = rows[number] + rule.target(sums, own, strength)
    return jnp.stack(rows)


def _of_regions(simulator: "Simulator", state: Array) -> Float[Array, "state region"]:
    """What the regions have: the means of their nodes, or their own where they are the nodes."""
    return state if simulator.cortex is None else simulator.cortex.averaged(state)


def _of_pairs(link: Link, own: Array, wires: tuple["Wires", ...], read: list[Array]) -> Array:
    """The weighted sums of a rule of two regions, `(channel, node)`."""
    total = jnp.zeros_like(_by_itself(link.rule, own))
    for part, values in zip(wires, read, strict=True):
        pairs = link.rule.pair(jnp.moveaxis(values, -1, 0), own[:, :, None])  # type: ignore
        pairs = jnp.where(part.present[None], pairs, 0.0)
        total = total + (link.heard(part.weights, part.sources)[None] * pairs).sum(axis=-1)
    return total


def _at_hand(network: "Network", link: Link, own: Array) -> Float[Array, " node"]:
    """The input by a rule that no connection with a delay carries."""
    rule = link.rule
    if isinstance(rule, Own):
        alone = link.heard(jnp.ones((1, own.shape[1]), own.dtype))[0]
        return rule.target(alone[None] * _by_itself(rule.rule, own), own, alone)
    assert isinstance(rule, Instant)
    weights = network.dense if rule.weights is None else rule.weights
    assert weights is not None
    weights = link.heard(weights)
    return rule.target(_at_once(rule.rule, weights, own), own, weights.sum(axis=1))


def _by_itself(rule: AbstractCoupling, own: Array) -> Float[Array, "channel node"]:
    """What each region would hear over a connection with itself."""
    if isinstance(rule, AbstractPairwise):
        return rule.pair(own[:, :, None], own[:, :, None])[..., 0]
    return rule.source(own)


def _at_once(rule: AbstractCoupling, weights: Array, own: Array) -> Float[Array, "channel node"]:
    """Weighted sums of what the regions send just now."""
    if isinstance(rule, AbstractPairwise):
        # Where there is no connection the pair is one that there is, and does not count.
        present = weights != 0
        some = jnp.argmax(present, axis=1)[:, None]
        sources = jnp.where(present, jnp.arange(weights.shape[1])[None], some)
        pairs = rule.pair(own[:, sources], own[:, :, None])
        return (weights[None] * jnp.where(present[None], pairs, 0.0)).sum(axis=-1)
    return jnp.matmul(rule.source(own), weights.T, precision=lax.Precision.HIGHEST)
