"""The simulator: everything that defines a simulation, checked when it is put together.

A frozen noun. What may change between runs - parameters, weights, tract lengths, speed - are its
leaves, for gradients, sweeps and priors; what shapes the computation is fixed here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from tvbjax.arrays import is_traced
from tvbjax.axes import Axis
from tvbjax.connections import (
    Block,
    checked_block,
    concrete,
    delays_of,
    horizon_of,
    layout_for,
)
from tvbjax.connectome import Connectome
from tvbjax.coupling import (
    AbstractCarried,
    AbstractCoupling,
    AbstractPairwise,
    Formula,
    Instant,
    Own,
    PairFormula,
)
from tvbjax.engine import Edges, Layout, edges_of
from tvbjax.integrators import AbstractIntegrator
from tvbjax.mixed import Mixed
from tvbjax.monitors import RESERVED_NAMES, AbstractMonitor, TemporalAverage
from tvbjax.noise import AbstractNoise
from tvbjax.stimulus import Stimulus, check_stimuli
from tvbjax.surface import Cortex
from tvbjax_lems import Model

Coupling = AbstractCoupling | tuple[AbstractCoupling, ...]


class Simulator(eqx.Module):
    """A network of neural masses: model, connectome, coupling, integrator, noise, monitors.

    `model`: one for all regions, or `Mixed` ones, whose coupling inputs are their channels.

    `coupling` must be given: one rule for all of the model's coupling inputs, or a rule for each,
    by name (`coupling.declared(model)` gives those that the file declares); None is right only for
    a model without coupling inputs. Several rules for an input, as a tuple, are added:
    `(Linear(a=0.01), Instant(Difference(a=0.1), weights=local))`.
    `noise`: None is a deterministic simulation. `monitors`: by default means over 1 ms.
    `stimulus`: one or several, which are added.
    `cortex`: the nodes are the vertices of a surface, and regions without vertices; the connectome
    joins regions, whose state is their nodes' mean.
    `horizon`: steps of the past that are kept, by default just enough for the longest delay of
    this connectome; give more where you lower the speed or lengthen tracts.
    `block`: how many steps are taken together, by default what is predicted to be fastest; 1 where
    you shorten delays under `jit`. With a second number, `(8, 32)`, the far connections are summed
    for so many steps at once. `tvbjax.explain(simulator)` says what was chosen.
    """

    model: Model | Mixed
    connectome: Connectome
    coupling: Coupling | dict[str, Coupling] | None
    integrator: AbstractIntegrator
    noise: AbstractNoise | None
    monitors: tuple[AbstractMonitor, ...]
    stimuli: tuple[Stimulus, ...]
    cortex: Cortex | None
    edges: Edges = eqx.field(init=False)
    layout: Layout = eqx.field(init=False)
    horizon: int = eqx.field(static=True)
    block: Block | None = eqx.field(static=True)
    reads: tuple[tuple[tuple[str, ...], ...], ...] = eqx.field(init=False, static=True)
    observed: tuple[tuple[str, ...], ...] = eqx.field(init=False, static=True)

    def __init__(
        self,
        model: Model | Mixed,
        connectome: Connectome,
        coupling: AbstractCoupling
        | Sequence[AbstractCoupling]
        | Mapping[str, AbstractCoupling | Sequence[AbstractCoupling]]
        | None,
        integrator: AbstractIntegrator,
        noise: AbstractNoise | None = None,
        monitors: AbstractMonitor | Sequence[AbstractMonitor] | None = None,
        *,
        stimulus: Stimulus | Sequence[Stimulus] | None = None,
        cortex: Cortex | None = None,
        horizon: int | None = None,
        block: Block | None = None,
    ):
        _check_kinds(model, connectome, coupling, integrator, noise, monitors)
        if monitors is None:
            monitors = (_default_monitor(integrator.dt),)
        elif isinstance(monitors, AbstractMonitor):
            monitors = (monitors,)
        regions = connectome.weights.shape[-1]
        nodes = regions if cortex is None else _checked_cortex(cortex, model, connectome).nodes
        self.model = model
        self.connectome = connectome
        self.coupling = (
            {name: _together(rules) for name, rules in coupling.items()}
            if isinstance(coupling, Mapping)
            else _together(coupling)
        )
        self.integrator = integrator
        self.noise = None if noise is None else noise.bind(model.state_variables, nodes)
        self.monitors = tuple(monitors)
        self.stimuli = _stimuli(stimulus)
        self.cortex = cortex
        self.edges = edges_of(concrete("connectome.weights", connectome.weights))
        self.block = checked_block(block)
        self.horizon = horizon_of(self, horizon)
        _check_integrator(integrator, self.noise, self.horizon)
        _check_coupling(model, coupling)
        self.reads = tuple(
            tuple(_reads(model, name, available, rule) for rule in rules)
            for name, available, rules in zip(model.inputs, model.sources, self.rules, strict=True)
        )
        self.observed = tuple(_observed(model, monitor) for monitor in self.monitors)
        _check_parameters(model, nodes)
        _check_rules(self.rules, regions)
        _check_shapes(self)
        _check_senders(self)
        _check_monitors(self.monitors, nodes, integrator.dt)
        check_stimuli(self.stimuli, model.state_variables, nodes)
        delays = delays_of(self)
        self.layout = layout_for(self, delays, delays)

    @property
    def rules(self) -> tuple[tuple[AbstractCoupling, ...], ...]:
        """The coupling rules of every input of the model."""
        if isinstance(self.coupling, dict):
            return tuple(_as_tuple(self.coupling[name]) for name in self.model.inputs)
        if self.coupling is None:
            return ()
        return (_as_tuple(self.coupling),) * len(self.model.inputs)

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """The range of every state variable, which the integrator never leaves."""
        return self.model.bounds

    @property
    def bounded(self) -> bool:
        """Whether any state variable has a bound."""
        return any(np.isfinite(bound) for pair in self.bounds for bound in pair)

    @property
    def watches_inputs(self) -> bool:
        """Whether any monitor observes the coupling inputs."""
        return any(monitor.afferent for monitor in self.monitors)

    @property
    def regions(self) -> int:
        """The number of regions."""
        return self.edges.nodes

    @property
    def nodes(self) -> int:
        """The number of what has a state: regions, or vertices and regions without vertices."""
        return self.regions if self.cortex is None else self.cortex.nodes

    @property
    def node_axis(self) -> Axis:
        """The nodes by name."""
        labels = self.connectome.labels
        return Axis("region", labels) if self.cortex is None else self.cortex.axis

    @property
    def neighbourly(self) -> tuple[tuple[int, AbstractCoupling, tuple[str, ...]], ...]:
        """The rules by which vertices hear their neighbours: each with the number of its input, and
        the variables that it reads."""
        given = None if self.cortex is None else self.cortex.coupling
        if given is None:
            return ()
        model = self.model
        rules = given if isinstance(given, dict) else {model.inputs[0]: given}
        return tuple(
            (model.inputs.index(n), r, _reads(model, n, model.sources[model.inputs.index(n)], r))
            for n, r in rules.items()
        )


def _as_tuple(rules: Coupling) -> tuple[AbstractCoupling, ...]:
    return rules if isinstance(rules, tuple) else (rules,)


def _together(rules: Any) -> Any:
    """Several rules as a tuple, whatever sequence they came in."""
    return tuple(rules) if isinstance(rules, tuple | list) else rules


def _checked_cortex(cortex: Cortex, model: Model | Mixed, connectome: Connectome) -> Cortex:
    if not isinstance(cortex, Cortex):
        raise TypeError(
            f"Simulator: cortex is {cortex!r:.80}; give tvbjax.surface.Cortex(surface, mapping, "
            "connectome.regions)."
        )
    if isinstance(model, Mixed):
        raise ValueError(
            "Simulator: a surface has one model for all of its vertices; mixed models are for "
            "networks of regions."
        )
    if cortex.regions.labels != connectome.labels:
        raise ValueError(
            f"Simulator: the cortex was built for {len(cortex.regions)} regions, and the connectome"
            f" has {len(connectome.labels)} with other labels; give Cortex the connectome's own "
            "(connectome.regions)."
        )
    rules = cortex.coupling
    for name, rule in rules.items() if isinstance(rules, dict) else [("", rules)]:
        if name and name not in model.inputs:
            raise ValueError(
                f"Simulator: the cortex's coupling names '{name}', which is no input of "
                f"{model.name}; it has {', '.join(model.inputs) or 'none'}."
            )
        if isinstance(rule, AbstractCarried | AbstractPairwise) or (rule and not model.inputs):
            raise ValueError(
                f"Simulator: the cortex's coupling is {_kind(rule)}; neighbours are summed: give a "
                f"rule such as Linear, Difference or a sum of products, for an input of the model."
            )
    return cortex


def _stimuli(given: Any) -> tuple[Stimulus, ...]:
    stimuli = () if given is None else given if isinstance(given, tuple | list) else (given,)
    for stimulus in stimuli:
        if not isinstance(stimulus, Stimulus):
            raise TypeError(
                f"Simulator: stimulus is {stimulus!r:.80}; give e.g. tvbjax.Stimulus("
                "tvbjax.equations.PulseTrain(), pattern, 'V')."
            )
    return tuple(stimuli)


def _flat(coupling) -> list:
    """All rules of a coupling argument, whatever it holds."""
    if isinstance(coupling, Mapping):
        return [rule for rules in coupling.values() for rule in _flat(rules)]
    together = _together(coupling)
    return list(together) if isinstance(together, tuple) else [together]


def _check_kinds(model, connectome, coupling, integrator, noise, monitors) -> None:
    """Every argument is what it should be, for those who pass a name, a number or a class."""
    rules = _flat(coupling)
    if not rules and not isinstance(coupling, Mapping):
        raise ValueError(
            "Simulator: coupling is empty; give a rule, e.g. tvbjax.coupling.Linear(a=0.0) for "
            "regions that are alone."
        )
    if None in rules and len(rules) > 1:
        raise TypeError("Simulator: one of the coupling's rules is None; leave it out.")
    watch = monitors if isinstance(monitors, tuple | list) else [monitors]
    nothing = type(None)
    expected = [
        ("model", [model], (Model, Mixed), "tvbjax.lems.load('JansenRit')"),
        ("connectome", [connectome], (Connectome,), "tvbjax.datasets.connectome('tvb76')"),
        ("coupling", rules, (AbstractCoupling, nothing), "tvbjax.coupling.Linear(a=0.01)"),
        ("integrator", [integrator], (AbstractIntegrator,), "tvbjax.integrators.Heun(dt=0.1)"),
        ("noise", [noise], (AbstractNoise, nothing), "tvbjax.noise.Additive(0.001)"),
        ("monitors", watch, (AbstractMonitor, nothing), "tvbjax.monitors.TemporalAverage(1.0)"),
    ]
    for name, values, kinds, example in expected:
        for value in values:
            if not isinstance(value, kinds):
                raise TypeError(f"Simulator: {name} is {value!r:.80}; give e.g. {example}.")


def _check_integrator(
    integrator: AbstractIntegrator, noise: AbstractNoise | None, horizon: int
) -> None:
    name = type(integrator).__name__
    if noise is not None and not integrator.takes_noise:
        raise ValueError(
            f"Simulator: {name} is for equations without noise; give noise=None, or another "
            "integrator, such as Heun(dt=0.1)."
        )
    if horizon > 1 and integrator.needs_no_delays:
        raise ValueError(
            f"Simulator: {name} is for networks without delays, and the longest delay here is "
            f"{horizon - 1} steps; give the connectome tract lengths of 0, or another integrator."
        )


def _default_monitor(dt: float) -> AbstractMonitor:
    return TemporalAverage(period=dt * max(1, round(1.0 / dt)))


def _check_coupling(model: Model | Mixed, coupling: object) -> None:
    """Every input has a rule, and every rule an input."""
    given = coupling if isinstance(coupling, Mapping) else {}
    for name in given:
        if name not in model.inputs:
            raise ValueError(
                f"Simulator: coupling names '{name}', which is no input of {model.name}; "
                f"it has {', '.join(model.inputs) or 'none'}."
            )
        if not _flat(given[name]) or None in _flat(given[name]):
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


def _reads(
    model: Model | Mixed, name: str, available: tuple[str, ...], rule: AbstractCoupling
) -> tuple[str, ...]:
    """What an input's rule reads of a region: state variables, or derived values."""
    if isinstance(rule, AbstractCarried):
        return _reads(model, name, available, rule.rule)
    if isinstance(rule, Formula | PairFormula) and rule.reads is not None:
        return rule.reads
    if len(available) < rule.arity:
        known = ", ".join(available) or "none"
        raise ValueError(
            f"Simulator: {type(rule).__name__} reads {rule.arity} variables and the input "
            f"'{name}' of {model.name} names {known}; choose another coupling."
        )
    return available[: rule.arity]


def _check_senders(simulator: Simulator) -> None:
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
                    f"Simulator: the coupling {_kind(rule)} of the channel '{channel}' reads x_i "
                    f"of the region that hears it, and {region} sends nothing there; let its "
                    "population send on the channel too, or choose a rule of x_j alone."
                )


def _reads_receiver(simulator: Simulator, rule: AbstractCoupling, arity: int) -> bool:
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


def _observed(model: Model | Mixed, monitor: AbstractMonitor) -> tuple[str, ...]:
    """The names that a monitor observes."""
    known = model.inputs if monitor.afferent else model.observables
    default = model.inputs if monitor.afferent else model.variables_of_interest
    chosen = default if monitor.variables is None else monitor.variables
    if not chosen:
        raise ValueError(f"Simulator: the monitor '{monitor.name}' observes no variables.")
    for name in chosen:
        if name not in known:
            raise ValueError(
                f"{type(monitor).__name__}: '{name}' cannot be observed of {model.name}; "
                f"it has {', '.join(known)}."
            )
    return chosen


def _check_parameters(model: Model | Mixed, nodes: int) -> None:
    if isinstance(model, Mixed):
        if model.nodes != nodes:
            raise ValueError(
                f"Simulator: the populations have {model.nodes} regions and the connectome has "
                f"{nodes}; every region belongs to one population."
            )
        for one in model.populations.values():
            _check_parameters(one.model, len(one.regions))
        return
    owned = [(f"parameter '{n}' of {model.name}", v) for n, v in model.params.items()]
    _check_leaves(owned, nodes)


def _check_shapes(simulator: Simulator) -> None:
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
                    f"Simulator: the coupling {_kind(rule)} of the input '{name}' fails on "
                    f"{len(variables)} variables of {simulator.regions} regions: {error}"
                ) from error
            if shape != (simulator.regions,):
                raise ValueError(
                    f"Simulator: the coupling {_kind(rule)} of the input '{name}' gives the shape "
                    f"{shape}; it must give one number for each of the {simulator.regions} regions."
                )


def _kind(rule: AbstractCoupling) -> str:
    inner = f"({_kind(rule.rule)})" if isinstance(rule, AbstractCarried) else ""
    return f"{type(rule).__name__}{inner}"


def _heard(simulator: Simulator, rule: AbstractCoupling, own):
    """The input that a rule gives to regions of these variables, of signals that are zeros."""
    plain = rule.rule if isinstance(rule, AbstractCarried) else rule
    nodes = simulator.regions
    sums = plain.source(jnp.zeros_like(own))
    if isinstance(plain, AbstractPairwise):
        sums = plain.pair(jnp.zeros((len(own), nodes, 2)), own[:, :, None]).sum(axis=-1)
    return jnp.broadcast_to(plain.target(sums, own, jnp.zeros(nodes)), (nodes,))


def _check_rules(rules: tuple[tuple[AbstractCoupling, ...], ...], nodes: int) -> None:
    owned = []
    for rule in (rule for several in rules for rule in several):
        rule = _without_weights(rule, nodes)
        for path, leaf in jax.tree_util.tree_leaves_with_path(rule):
            name = jax.tree_util.keystr(path).lstrip(".")
            owned.append((f"'{name}' of {type(rule).__name__}", leaf))
    _check_leaves(owned, nodes)


def _check_leaves(owned: Sequence[tuple[str, Any]], nodes: int) -> None:
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


def _check_monitors(monitors: tuple[AbstractMonitor, ...], nodes: int, dt: float) -> None:
    names = [monitor.name for monitor in monitors]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"Simulator: {names.count(name)} monitors are called '{name}'; give them names, "
                f"e.g. TemporalAverage(1.0, name='fast')."
            )
    for monitor in monitors:
        monitor.check(nodes, dt)
        if monitor.name in RESERVED_NAMES or not monitor.name.isidentifier():
            raise ValueError(
                f"Simulator: a monitor cannot be called '{monitor.name}'; give it a name of "
                f"letters, digits and _ other than {', '.join(RESERVED_NAMES)}."
            )
