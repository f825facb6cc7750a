"""Network: the components of a file, compiled; what `run` runs."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import ir
from ..errors import Code, Diagnostic, LemsWarning, Place, Report
from ..flatten import is_rate_model
from ..includes import is_library
from ..library import Examined, examine, locate
from ..resolve import choose
from ..units import NEURAL, TIME, DimensionCheck, UnitSystem
from .assemble import Assembler
from .bind import Binder
from .order import Order
from .paths import PathError
from .plan import Elsewhere, Parameter, Plan, Recorded, Selected, UnitPlan
from .pool import Attached, pooled
from .recorded import recorded
from .request import Column, Output, Reader, Request
from .tree import Builder, Unit
from .wiring import Wiring


class Network(eqx.Module):
    """A compiled network of components.

    `params`: per component path and parameter, () or one value per instance: the leaves that one
    may vary, fit or differentiate. `plan`: everything else, static.
    """

    params: dict[str, dict[str, Array]]
    plan: Plan = eqx.field(static=True)

    def __init__(self, plan: Plan, params: Mapping[str, Mapping[str, Any]] | None = None):
        self.plan = plan
        self.params = _defaults(plan) if params is None else {k: dict(params[k]) for k in params}

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def target(self) -> str:
        """The id of the Target: of the simulation, or of the component itself."""
        return self.plan.target

    @property
    def step(self) -> float | None:
        """The file's time step, in the unit system's time (ms for NEURAL)."""
        return self.plan.step

    @property
    def duration(self) -> float | None:
        """The file's length of simulation, in the unit system's time."""
        return self.plan.duration

    @property
    def time_unit(self) -> str:
        """The unit of times: ms, or s in SI units."""
        return {-3.0: "ms", 0.0: "s"}.get(self.plan.time_power, f"10^{self.plan.time_power:g} s")

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The plots and files that the file asks for."""
        return self.plan.outputs

    @property
    def sizes(self) -> dict[str, int]:
        """The number of instances of each component of the network, by path."""
        return {unit.path: unit.size for unit in self.plan.units}


def load_network(
    path: str | Path,
    target: str | None = None,
    *,
    include: Sequence[str | Path] = (),
    dimensions: DimensionCheck = DimensionCheck.WARN,
    units: UnitSystem = NEURAL,
    pool: bool = True,
) -> Network:
    """The network that a LEMS or NeuroML file describes, compiled.

    `target`: the id of the component to run, by default the Target's. `include`: folders in which
    to look for included files; NeuroML's core types are found where pyneuroml is installed.
    `dimensions`: what a wrong dimension is. `units`: the system that the network works in. `pool`:
    keep the synapses of one kind on a cell as one where their equations allow it (those that the
    file records are kept apart). Raises LemsError with everything that is wrong; gives a
    LemsWarning for what is doubtful.
    """
    report = Report()
    examined = examine(Path(path), target, dimensions, report, include)
    report.stop()
    chosen = choose(examined.document, target)
    network = compile_network(examined, chosen, units, report, pool)
    _warn(report)
    return network


def load_networks(
    path: str | Path,
    *,
    include: Sequence[str | Path] = (),
    dimensions: DimensionCheck = DimensionCheck.WARN,
    units: UnitSystem = NEURAL,
    pool: bool = True,
) -> tuple[Network, ...]:
    """A network for each Target of a file, in their order; the arguments are `load_network`'s."""
    report = Report()
    examined = examine(Path(path), None, dimensions, report, include)
    report.stop()
    document = examined.document
    names = dict.fromkeys(target.component for target in document.targets)
    chosen = [choose(document, name) for name in names] or [choose(document, None)]
    networks = tuple(compile_network(examined, one, units, report, pool) for one in chosen)
    _warn(report)
    return networks


def _warn(report: Report) -> None:
    for finding in report.warnings:
        if not is_library(finding.place.file):
            warnings.warn(str(finding), LemsWarning, stacklevel=3)


def is_network(
    path: str | Path, target: str | None = None, *, include: Sequence[str | Path] = ()
) -> bool:
    """Whether what a file runs is a network, for `load_network`, and not a rate model, for `load`.

    Raises LemsError where the file cannot be read.
    """
    examined = examine(locate(path), target, None, Report(), include)
    kinds = [examined.types.get(one.type) for one in examined.chosen]
    return bool(kinds) and not any(is_rate_model(kind) for kind in kinds)


def compile_network(
    examined: Examined, one: ir.Component, units: UnitSystem, report: Report, pool: bool = True
) -> Network:
    """The network that a component runs; warnings go to the report. Raises LemsError."""
    document = examined.document
    binder = Binder(document, examined.types, units, report)
    bound = binder.component(one.id)
    report.stop()
    assert bound is not None
    reader = Reader(binder, units, report)
    request = reader.request(bound)
    report.stop()
    builder = Builder(binder, report)
    tree = builder.build(request.component, None, (request.component.id,))
    report.stop()
    wiring = Wiring(builder, binder, report)
    wiring.wire(tree)
    report.stop()
    assembler = Assembler(binder, units, report)
    place = request.component.component.element.place
    plan = _plan(tree, wiring, assembler, request, place, report, pool)
    _check_used(place, plan, report)
    report.stop()
    return Network(plan)


def _plan(
    tree: Unit,
    wiring: Wiring,
    assembler: Assembler,
    request: Request,
    place: Place,
    report: Report,
    pool: bool,
) -> Plan:
    every = list(tree.walk())
    for unit in every:
        if unit.bound.type.dynamics is not None:
            assembler.number(unit)
    links = tuple(assembler.link(link) for link in wiring.links.values())
    quantities, events = _recordings(assembler, tree, request.outputs, report)
    plans = []
    for unit in assembler.units:  # grows as it is walked
        plans.append(assembler.plan(unit))
    report.stop()
    order = tuple(assembler.ids[unit] for unit in every if unit in assembler.ids)
    attached = {
        i: Attached(assembler.ids[unit.parent], np.asarray(unit.attached, np.int32))
        for i, unit in enumerate(assembler.units)
        if unit.attached is not None and unit.parent in assembler.ids
    }
    if pool:
        plans, links = pooled(plans, links, attached, (*quantities, *events))
    walk = Order(plans, report, place)
    constant = walk.constant()
    report.stop()
    return Plan(
        request.component.id,
        request.target,
        tuple(plans),
        order,
        links,
        request.outputs,
        tuple(quantities),
        tuple(events),
        request.step,
        request.duration,
        request.seed,
        assembler.system.name,
        float(assembler.system.power(TIME)),
        constant,
        walk.early(order, constant),
        lambda path, port="": recorded(assembler, tree, path, port),
    )


def _recordings(
    assembler: Assembler, tree: Unit, outputs: Sequence[Output], report: Report
) -> tuple[list[Recorded], list[Recorded]]:
    quantities: dict[str, Recorded] = {}
    events: dict[str, Recorded] = {}
    for column in (column for output in outputs for column in output.columns):
        found = _recorded(assembler, tree, column, report)
        if found is not None:
            (events if column.port else quantities).setdefault(found.path, found)
    return list(quantities.values()), list(events.values())


def _recorded(assembler: Assembler, tree: Unit, column: Column, report: Report) -> Recorded | None:
    try:
        return recorded(assembler, tree, column.path, column.port)
    except PathError as error:
        message = f"cannot record '{column.path}': {error.message}"
        report.add(Diagnostic(Code.PATH, column.place, message, error.hint))
        return None


def _check_used(place: Place, plan: Plan, report: Report) -> None:
    if not any(_does_something(unit) for unit in plan.units):
        message = f"'{plan.name}' has no dynamics, so there is nothing to simulate"
        report.add(Diagnostic(Code.DYNAMICS, place, message))


def _does_something(unit: UnitPlan) -> bool:
    phases = (unit.base, *unit.regimes)
    handled = any(phase.derivatives or phase.on_conditions or phase.on_events for phase in phases)
    return handled or bool(unit.derived or unit.schemes or unit.on_start)


def _defaults(plan: Plan) -> dict[str, dict[str, Array]]:
    """The parameters that something reads."""
    read: set[tuple[int, str]] = set()
    for i, unit in enumerate(plan.units):
        formulas = unit.formulas()
        for port in unit.pool.increments.values() if unit.pool else ():
            formulas += port.values()
        read |= {(i, name) for formula in formulas for name in formula.reads}
        for variable in unit.variables.values():
            if isinstance(variable, Elsewhere):
                read.add((variable.unit, variable.name))
            elif isinstance(variable, Selected):
                read |= {(source.unit, source.name) for source in variable.sources}
    params: dict[str, dict[str, Array]] = {}
    for i, unit in enumerate(plan.units):
        own = {
            name: jnp.asarray(variable.value, float)
            for name, variable in unit.variables.items()
            if isinstance(variable, Parameter) and (i, name) in read and name not in unit.exponents
        }
        if own:
            params[unit.path] = own
    return params
