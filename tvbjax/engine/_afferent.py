"""What arrives at every region in a step: signals sent, delayed, weighted, summed, received.

The rules of all inputs are terms; each has its way: by the connectome with its delays, as channels
or connection by connection; without delay; or within the region alone.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.coupling import (
    AbstractCarried,
    AbstractCoupling,
    AbstractPairwise,
    Instant,
    Own,
)
from tvbjax.engine import _history
from tvbjax.engine._network import Network
from tvbjax.mixed import Mixed

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


class Term(NamedTuple):
    """A rule of input number `input`, and what it reads of every region.

    `senders`: the regions that have what it reads, in mixed networks; None where all do.
    """

    input: int
    rule: AbstractCoupling
    own: Float[Array, "arity node"]
    senders: np.ndarray | None

    @property
    def signals(self) -> Float[Array, "channel node"]:
        """The channels that the regions send; 0 where a region sends nothing."""
        sent = self.rule.source(self.own)
        return sent if self.senders is None else jnp.where(self.senders[None], sent, 0.0)

    def heard(self, weights: Array, sources: Array | None = None) -> Array:
        """The weights of the connections by which something comes."""
        if self.senders is None:
            return weights
        from_them = jnp.asarray(self.senders)
        present = from_them[None] if sources is None else from_them[sources]
        return jnp.where(present, weights, 0.0)


def channels(simulator: "Simulator", state: Float[Array, "state node"]) -> Array:
    """What every region sends, (node, channel): channels to be summed, then what pairs read."""
    summed, paired = _travelling(_terms(simulator, state))
    return _sent([*summed, *paired], state)


def _sent(terms: list[Term], state: Array) -> Float[Array, "node channel"]:
    rows = [t.rule.source(t.own) if _paired(t) else t.signals for t in terms]
    return jnp.concatenate([jnp.zeros((0, state.shape[1]), state.dtype), *rows]).T


def inputs(
    simulator: "Simulator",
    network: Network,
    state: Float[Array, "state node"],
    ring: _history.Ring,
    step: Int[Array, ""],
) -> tuple[Float[Array, "input node"], _history.Ring]:
    """The coupling inputs of every region at `step`, and the ring with this step's channels."""
    total: dict[int, Array] = {}

    def add(term: Term, value: Array) -> None:
        total[term.input] = total[term.input] + value if term.input in total else value

    terms = _terms(simulator, state)
    summed, paired = _travelling(terms)
    if summed or paired:
        now = _sent([*summed, *paired], state)
        if simulator.horizon > 1:
            ring = _history.write(ring, now, step)
        for term, sums in _arriving(simulator, network, ring, now, step, summed, paired):
            strength = network.strength
            if term.senders is not None:
                strength = term.heard(network.weights, simulator.edges.sources).sum(axis=1)
            add(term, term.rule.target(sums, term.own, strength))
    for term in terms:
        if isinstance(term.rule, Own):
            alone = term.heard(jnp.ones_like(network.strength)[None])[0]
            sums = alone[None] * _by_itself(term.rule.rule, term.own)
            add(term, term.rule.target(sums, term.own, alone))
        elif isinstance(term.rule, Instant):
            weights = network.dense if term.rule.weights is None else term.rule.weights
            assert weights is not None
            weights = term.heard(weights)
            sums = _at_once(term.rule.rule, weights, term.own)
            add(term, term.rule.target(sums, term.own, weights.sum(axis=1)))
    rows = [total[i] for i in range(len(simulator.model.inputs))]
    return jnp.stack(rows) if rows else jnp.zeros((0, state.shape[1]), state.dtype), ring


def _terms(simulator: "Simulator", state: Float[Array, "state node"]) -> list[Term]:
    """The rules of all inputs, and what each reads of every region."""
    return [
        _term(simulator, i, rule, reads, state)
        for i, (rules, all_reads) in enumerate(zip(simulator.rules, simulator.reads, strict=True))
        for rule, reads in zip(rules, all_reads, strict=True)
    ]


def _term(simulator: "Simulator", number: int, rule, reads: tuple[str, ...], state) -> Term:
    model = simulator.model
    own = model.send(state, reads)
    senders = model.sending(reads) if isinstance(model, Mixed) else None
    if senders is not None:
        # Of no account, but as finite as what a sender has.
        own = jnp.where(senders[None], own, own[:, [int(senders.argmax())]])
    return Term(number, rule, own, senders)


def _paired(term: Term) -> bool:
    return isinstance(term.rule, AbstractPairwise)


def _travelling(terms: list[Term]) -> tuple[list[Term], list[Term]]:
    """The terms that the connectome carries: as channels, and connection by connection."""
    carried = [term for term in terms if not isinstance(term.rule, AbstractCarried)]
    return [term for term in carried if not _paired(term)], [t for t in carried if _paired(t)]


def _arriving(simulator, network, ring, now, step, summed, paired):
    """Each term with its weighted sums."""
    sources, delays = simulator.edges.sources, network.delays
    widths = [jax.eval_shape(t.rule.source, t.own).shape[0] for t in (*summed, *paired)]
    split = sum(widths[: len(summed)])
    sent = None
    if simulator.horizon > 1:
        sent = _history.delayed(ring, step, sources, delays)
        sums = _history.weighted(network.weights, sent[..., :split] if paired else sent)
    else:
        send = now[:, :split]
        sums = jnp.matmul(send.T, network.dense.T, precision=lax.Precision.HIGHEST)
        sent = now[sources] if paired else None
    first = 0
    for number, (term, width) in enumerate(zip((*summed, *paired), widths, strict=True)):
        if number < len(summed):
            yield term, sums[first : first + width]
        else:
            assert sent is not None
            theirs = jnp.moveaxis(sent[..., first : first + width], -1, 0)
            pairs = term.rule.pair(theirs, term.own[:, :, None])
            pairs = jnp.where(simulator.edges.present[None], pairs, 0.0)
            yield term, (term.heard(network.weights, sources)[None] * pairs).sum(axis=-1)
        first += width


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
