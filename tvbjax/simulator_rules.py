"""The coupling rules of a simulator: what they read, and whether they fit its model and network."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from tvbjax.arrays import is_traced
from tvbjax.coupling import (
    AbstractCarried,
    AbstractCoupling,
    AbstractPairwise,
    Formula,
    Instant,
    Own,
    PairFormula,
)
from tvbjax.mixed import Mixed
from tvbjax_lems import Model

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


def together(rules: Any) -> Any:
    """Several rules as a tuple, whatever sequence they came in."""
    return tuple(rules) if isinstance(rules, tuple | list) else rules


def flat_rules(coupling) -> list:
    """All rules of a coupling argument, whatever it holds."""
    if isinstance(coupling, Mapping):
        return [rule for rules in coupling.values() for rule in flat_rules(rules)]
    several = together(coupling)
    return list(several) if isinstance(several, tuple) else [several]


def check_coupling(model: Model | Mixed, coupling: object) -> None:
    """Every input has a rule, and every rule an input."""
    given = coupling if isinstance(coupling, Mapping) else {}
    for name in given:
        if name not in model.inputs:
            raise ValueError(
                f"Simulator: coupling names '{name}', which is no input of {model.name}; "
                f"it has {', '.join(model.inputs) or 'none'}."
            )
        if not flat_rules(given[name]) or None in flat_rules(given[name]):
            raise ValueError(
                f"Simulator: coupling gives no rule for '{name}'; give one, e.g. "
                "tvbjax.coupling.Linear(a=0.0) for regions that are alone."
            )
    if not model.inputs and not isinstance(coupling, Mapping) and coupling is not None:
        raise ValueError(
            f"Simulator: {model.name} has no coupling input, so its regions hear nothing; give "
            "coupling=None."
        )
    missing = [name for name in model.inputs if name not in given]
    if missing and (coupling is None or isinstance(coupling, Mapping)):
        raise ValueError(
            f"Simulator: {model.name} has the coupling input '{missing[0]}' and no coupling is "
            "given for it; give one, e.g. tvbjax.coupling.Linear(a=0.0) for regions that are alone."
        )


def reads_of(
    model: Model | Mixed, name: str, available: tuple[str, ...], rule: AbstractCoupling
) -> tuple[str, ...]:
    """What an input's rule reads of a region: state variables, or derived values."""
    if isinstance(rule, AbstractCarried):
        return reads_of(model, name, available, rule.rule)
    if isinstance(rule, Formula | PairFormula) and rule.reads is not None:
        return rule.reads
    if len(available) < rule.arity:
        known = ", ".join(available) or "none"
        raise ValueError(
            f"Simulator: {type(rule).__name__} reads {rule.arity} variables and the input "
            f"'{name}' of {model.name} names {known}; choose another coupling."
        )
    return available[: rule.arity]


def check_senders(simulator: "Simulator") -> None:
    """In mixed networks: that a rule which reads x_i is heard by regions alone that have it."""
    model = simulator.model
    if not isinstance(model, Mixed):
        return
    for channel, rules, all_reads in zip(
        model.inputs, simulator.rules, simulator.reads, strict=True
    ):
        for rule, reads in zip(rules, all_reads, strict=True):
            senders = model.sending(reads)
            deaf = None if senders is None else model.hearing(channel) & ~senders
            if deaf is not None and deaf.any() and _reads_receiver(simulator, rule, len(reads)):
                region = simulator.connectome.labels[int(deaf.argmax())]
                raise ValueError(
                    f"Simulator: the coupling {kind_of(rule)} of the channel '{channel}' reads x_i "
                    f"of the region that hears it, and {region} sends nothing there; let its "
                    "population send on the channel too, or choose a rule of x_j alone."
                )


def _reads_receiver(simulator: "Simulator", rule: AbstractCoupling, arity: int) -> bool:
    """Whether what a region hears depends on its own variables."""
    if isinstance(rule, Own):
        return False  # who sends nothing hears nothing of itself
    own = jnp.zeros((arity, simulator.regions))
    jaxpr = jax.make_jaxpr(lambda own: _heard(simulator, rule, own))(own).jaxpr
    live = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    for equation in reversed(jaxpr.eqns):
        if live & set(equation.outvars):
            live |= {v for v in equation.invars if not isinstance(v, Literal)}
    return jaxpr.invars[0] in live


def check_shapes(simulator: "Simulator") -> None:
    """That every rule gives one number for each region; its own errors are told as its."""
    for name, rules, reads in zip(
        simulator.model.inputs, simulator.rules, simulator.reads, strict=True
    ):
        for rule, variables in zip(rules, reads, strict=True):
            try:
                own = jnp.zeros((len(variables), simulator.regions))
                shape = jax.eval_shape(lambda own, r=rule: _heard(simulator, r, own), own).shape
            except Exception as error:
                raise ValueError(
                    f"Simulator: the coupling {kind_of(rule)} of the input '{name}' fails on "
                    f"{len(variables)} variables of {simulator.regions} regions: {error}"
                ) from error
            if shape != (simulator.regions,):
                raise ValueError(
                    f"Simulator: the coupling {kind_of(rule)} of the input '{name}' gives the "
                    f"shape {shape}; it must give one number for each of the {simulator.regions} "
                    "regions."
                )


def kind_of(rule: AbstractCoupling) -> str:
    """The rule's class, and that of a rule within it, for messages."""
    inner = f"({kind_of(rule.rule)})" if isinstance(rule, AbstractCarried) else ""
    return f"{type(rule).__name__}{inner}"


def _heard(simulator: "Simulator", rule: AbstractCoupling, own):
    """The input that a rule gives to regions of these variables, of signals that are zeros."""
    plain = rule.rule if isinstance(rule, AbstractCarried) else rule
    nodes = simulator.regions
    sums = plain.source(jnp.zeros_like(own))
    if isinstance(plain, AbstractPairwise):
        sums = plain.pair(jnp.zeros((len(own), nodes, 2)), own[:, :, None]).sum(axis=-1)
    return jnp.broadcast_to(plain.target(sums, own, jnp.zeros(nodes)), (nodes,))


def check_rules(rules: tuple[tuple[AbstractCoupling, ...], ...], nodes: int) -> None:
    """The parameters of every rule are numbers, or one for every region."""
    owned = []
    for rule in (rule for several in rules for rule in several):
        rule = _without_weights(rule, nodes)
        for path, leaf in jax.tree_util.tree_leaves_with_path(rule):
            name = jax.tree_util.keystr(path).lstrip(".")
            owned.append((f"'{name}' of {type(rule).__name__}", leaf))
    check_leaves(owned, nodes)


def check_leaves(owned: Sequence[tuple[str, Any]], nodes: int) -> None:
    """Values by what they are called are finite numbers, or one for every node."""
    for name, value in owned:
        if jnp.shape(value) not in ((), (nodes,)):
            raise ValueError(
                f"Simulator: {name} has shape {jnp.shape(value)}; give a number, or one value for "
                f"each of the {nodes} regions (of a surface: of its nodes, cortex.to_nodes(...))."
            )
        if not is_traced(value) and not np.isfinite(value).all():
            raise ValueError(f"Simulator: {name} is {np.asarray(value)}; give finite numbers.")


def _without_weights(rule: AbstractCoupling, nodes: int) -> AbstractCoupling:
    """The rule with parameters alone for leaves; checks the weights of an instant one."""
    if not isinstance(rule, Instant):
        return rule
    if rule.weights is not None and rule.weights.shape != (nodes, nodes):
        raise ValueError(
            f"Simulator: the weights of Instant have shape {rule.weights.shape}; give one for each "
            f"pair of the {nodes} regions, ({nodes}, {nodes})."
        )
    if rule.weights is not None and not is_traced(rule.weights):
        bad = np.argwhere(~np.isfinite(np.asarray(rule.weights)))
        if bad.size:
            raise ValueError(
                f"Simulator: the weights of Instant have {rule.weights[tuple(bad[0])]} in row "
                f"{bad[0][0]}, column {bad[0][1]}; give finite numbers."
            )
    return rule.rule
