"""The simulator: everything that defines a simulation, checked when it is put together.

A frozen noun. What may change between runs - parameters, weights, tract lengths, speed - are its
leaves, for gradients, sweeps and priors; what shapes the computation is fixed here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from tvbjax.axes import Axis
from tvbjax.connections import (
    Block,
    checked_block,
    concrete,
    horizon_of,
    layout_for,
    range_of,
)
from tvbjax.connectome import Connectome
from tvbjax.coupling import AbstractCarried, AbstractCoupling, AbstractPairwise
from tvbjax.delays import AbstractDelays, Nearest
from tvbjax.engine import Edges, Layout, edges_of
from tvbjax.integrators import AbstractIntegrator
from tvbjax.kinds import check_kind
from tvbjax.mixed import Mixed
from tvbjax.monitors import RESERVED_NAMES, AbstractMonitor, TemporalAverage
from tvbjax.noise import AbstractNoise
from tvbjax.simulator_rules import (
    check_coupling,
    check_leaves,
    check_rules,
    check_senders,
    check_shapes,
    flat_rules,
    kind_of,
    reads_of,
    together,
)
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
    `delays`: how a delay between two steps is read; by default the nearest step is, as in TVB.
    With `tvbjax.delays.Linear()` runs have gradients by conduction speed and tract lengths.
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
    stimulus: tuple[Stimulus, ...]
    cortex: Cortex | None
    delays: AbstractDelays
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
        delays: AbstractDelays = Nearest(),
        horizon: int | None = None,
        block: Block | None = None,
    ):
        _check_kinds(model, connectome, coupling, integrator, noise, monitors)
        check_kind("Simulator: delays", delays, AbstractDelays, "tvbjax.delays.Linear()")
        if monitors is None:
            monitors = (_default_monitor(integrator.dt),)
        elif isinstance(monitors, AbstractMonitor):
            monitors = (monitors,)
        regions = connectome.weights.shape[-1]
        nodes = regions if cortex is None else _checked_cortex(cortex, model, connectome).nodes
        self.model = model
        self.connectome = connectome
        self.coupling = (
            {name: together(rules) for name, rules in coupling.items()}
            if isinstance(coupling, Mapping)
            else together(coupling)
        )
        self.integrator = integrator
        self.noise = None if noise is None else noise.bind(model.state_variables, nodes)
        self.monitors = tuple(monitors)
        self.stimulus = _stimuli(stimulus)
        self.cortex = cortex
        self.delays = delays
        with jax.ensure_compile_time_eval():  # known numbers, also where jit builds the simulator
            self.edges = edges_of(concrete("connectome.weights", connectome.weights))
        self.block = checked_block(block)
        self.horizon = horizon_of(self, horizon)
        _check_integrator(integrator, self.noise, self.horizon)
        check_coupling(model, coupling)
        self.reads = tuple(
            tuple(reads_of(model, name, available, rule) for rule in rules)
            for name, available, rules in zip(model.inputs, model.sources, self.rules, strict=True)
        )
        self.observed = tuple(_observed(model, monitor) for monitor in self.monitors)
        _check_parameters(model, nodes)
        check_rules(self.rules, regions)
        check_shapes(self)
        check_senders(self)
        _check_monitors(self.monitors, self.node_axis, integrator.dt)
        check_stimuli(self.stimulus, model.state_variables, nodes)
        least, greatest = range_of(self)
        with jax.ensure_compile_time_eval():
            self.layout = layout_for(self, least, greatest)

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

    def sample_axes(self, number: int) -> tuple[Axis, ...]:
        """The axes of a monitor's samples after time and variable; `number`: of the monitor."""
        return self.monitors[number].axes(self.node_axis, self.integrator.dt)

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
            (model.inputs.index(n), r, reads_of(model, n, model.sources[model.inputs.index(n)], r))
            for n, r in rules.items()
        )


def _as_tuple(rules: Coupling) -> tuple[AbstractCoupling, ...]:
    return rules if isinstance(rules, tuple) else (rules,)


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
                f"Simulator: the cortex's coupling is {kind_of(rule)}; neighbours are summed: give "
                "a rule such as Linear, Difference or a sum of products, for an input of the model."
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


def _check_kinds(model, connectome, coupling, integrator, noise, monitors) -> None:
    """Every argument is what it should be, for those who pass a name, a number or a class."""
    rules = flat_rules(coupling)
    if not rules and not isinstance(coupling, Mapping):
        raise ValueError(
            "Simulator: coupling is empty; give a rule, e.g. tvbjax.coupling.Linear(a=0.0) for "
            "regions that are alone."
        )
    if None in rules and len(rules) > 1:
        raise TypeError("Simulator: one of the coupling's rules is None; leave it out.")
    several = isinstance(monitors, tuple | list)
    watch = monitors if several else [] if monitors is None else [monitors]
    nothing = type(None)
    expected = [
        ("model", [model], (Model, Mixed), "tvbjax.lems.load('JansenRit')"),
        ("connectome", [connectome], (Connectome,), "tvbjax.datasets.connectome('tvb76')"),
        ("coupling", rules, (AbstractCoupling, nothing), "tvbjax.coupling.Linear(a=0.01)"),
        ("integrator", [integrator], (AbstractIntegrator,), "tvbjax.integrators.Heun(dt=0.1)"),
        ("noise", [noise], (AbstractNoise, nothing), "tvbjax.noise.Additive(0.001)"),
        ("monitors", watch, (AbstractMonitor,), "tvbjax.monitors.TemporalAverage(1.0)"),
    ]
    for name, values, kinds, example in expected:
        for value in values:
            check_kind(f"Simulator: {name}", value, kinds, example)


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
    if isinstance(model, Mixed) and monitor.combines and not monitor.afferent:
        partial = [n for n, absent in zip(chosen, model.absent(chosen), strict=True) if absent]
        if partial:
            raise ValueError(
                f"{type(monitor).__name__}: '{partial[0]}' is not in all regions, and what is "
                "absent cannot be combined with the rest; choose variables that all regions have, "
                "or combine the samples yourself (absent ones are NaN there)."
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
    check_leaves(owned, nodes)


def _check_monitors(monitors: tuple[AbstractMonitor, ...], nodes: Axis, dt: float) -> None:
    names = [monitor.name for monitor in monitors]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"Simulator: {names.count(name)} monitors are called '{name}'; give them names, "
                f"e.g. TemporalAverage(1.0, name='fast')."
            )
    for monitor in monitors:
        monitor.check(len(nodes), dt)
        # Files and xarray have the axes beside the samples, by name.
        taken = dict.fromkeys([*RESERVED_NAMES, *(a.name for a in monitor.axes(nodes, dt))])
        if monitor.name in taken or not monitor.name.isidentifier():
            raise ValueError(
                f"Simulator: a monitor cannot be called '{monitor.name}'; give it a name of "
                f"letters, digits and _ other than {', '.join(taken)}."
            )
