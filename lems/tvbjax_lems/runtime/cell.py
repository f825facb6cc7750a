"""Cell: a LEMS component of which populations are made, with the synapses that it hears by.

The equations of one instance, compiled; how many there are and who is connected with whom is the
business of those who simulate populations. `CellSteps` steps a number of instances.
"""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import ir
from ..errors import Code, Diagnostic, LemsWarning, Report, failure, suggestion
from ..includes import is_library
from ..library import Examined, examine, locate_cell
from ..units import NEURAL, TIME, DimensionCheck, UnitSystem
from .assemble import Assembler
from .bind import Binder, Bound
from .cell_parts import POST, CellError, Memory, Receptor, own_receptor, parameters_of, parted
from .content import content
from .order import Order
from .paths import PathError
from .plan import Elsewhere, Parameter, Plan, Selected, State, UnitPlan
from .recorded import recorded
from .tree import Builder, Unit
from .wiring import Wiring


@dataclass(frozen=True, eq=False)
class CellPlan:
    """`plan`: of one instance. `root`: the number of the cell's own unit, `spikes`: its port.
    `receptors`: where spikes arrive, by name. Equal where all that they say is: what JAX compiled
    for a cell serves another one that was loaded from the same file."""

    plan: Plan
    root: int
    spikes: str
    receptors: Mapping[str, Receptor]

    @cached_property
    def _content(self) -> tuple[int, Hashable]:
        whole = content((self.plan, self.root, self.spikes, self.receptors))
        return hash(whole), whole

    def __hash__(self) -> int:
        return self._content[0]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, CellPlan) and self._content == other._content

    def __repr__(self) -> str:
        return f"CellPlan({self.plan.name!r}, receptors={list(self.receptors)})"


class Cell(eqx.Module):
    """A compiled cell.

    `params`: by component and name: the cell's own under its id, a synapse's under the name that it
    was given. Each is one number for all instances of a population, or one per instance.
    """

    params: dict[str, dict[str, Array]]
    plan: CellPlan = eqx.field(static=True)

    def __init__(self, plan: CellPlan, params: Mapping[str, Mapping[str, Any]] | None = None):
        self.plan = plan
        self.params = _defaults(plan) if params is None else {k: dict(v) for k, v in params.items()}

    @property
    def name(self) -> str:
        """The component's id."""
        return self.plan.plan.name

    @property
    def kind(self) -> str:
        """The component's type."""
        return self.plan.plan.units[self.plan.root].type

    @property
    def receptors(self) -> tuple[str, ...]:
        """Where spikes may arrive: the cell's own ports, and its synapses."""
        return tuple(self.plan.receptors)

    @property
    def states(self) -> tuple[str, ...]:
        """The state variables, those of synapses as `synapse/name`."""
        return tuple(name for name, _ in states_of(self.plan))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each state variable and of each parameter."""
        found = {}
        for unit in self.plan.plan.units:
            for name in unit.variables:
                text = unit.units.get(name, "")
                found[self._called(unit.path, name)] = text
        return found

    def type_of(self, receptor: str) -> str:
        """The LEMS type of a receptor's synapse, or of the cell."""
        return self.plan.plan.units[self.plan.receptors[receptor].unit].type

    def with_params(self, component: str = "", /, **values: Any) -> "Cell":
        """The cell with other numbers: its own, or those of `component`, a synapse or part of it.

        Raises ValueError for a name that it does not have.
        """
        path = component or self.name
        if path not in self.params:
            raise ValueError(
                f"{self.name}: there is no component '{path}'{_or(path, self.params)}; it has "
                f"{', '.join(self.params)}."
            )
        for name in values:
            if name not in self.params[path]:
                raise ValueError(
                    f"{self.name}: '{path}' has no parameter '{name}'"
                    f"{_or(name, self.params[path])}; it has {', '.join(self.params[path])}."
                )
        own = {name: jnp.asarray(value, float) for name, value in values.items()}
        return Cell(self.plan, {**self.params, path: {**self.params[path], **own}})

    def _called(self, path: str, name: str) -> str:
        return name if path == self.name else f"{path}/{name}"


def _or(name: str, known: Any) -> str:
    hint = suggestion(name, list(known))
    return f" ({hint})" if hint else ""


def states_of(plan: CellPlan) -> list[tuple[str, tuple[int, str]]]:
    """The state variables: what they are called, and their unit and name there."""
    return [
        (name if i == plan.root else f"{unit.path}/{name}", (i, name))
        for i, unit in enumerate(plan.plan.units)
        for name, variable in unit.variables.items()
        if isinstance(variable, State)
    ]


def _defaults(plan: CellPlan) -> dict[str, dict[str, Array]]:
    """The parameters that something reads, but for weights, which connections have."""
    memories = [r.memory for r in plan.receptors.values() if r.memory is not None]
    units = (*plan.plan.units, *(memory.unit for memory in memories))
    weights = {r.weight for r in plan.receptors.values()}
    read = _parameters_read(plan, units, memories)
    return {
        path: {
            n: jnp.asarray(v.value, float)
            for n, v in own.items()
            if n not in weights and (path, n) in read
        }
        for path, own in parameters_of(units).items()
    }


def _parameters_read(
    plan: CellPlan, units: Sequence[UnitPlan], memories: Sequence[Memory]
) -> set[tuple[str, str]]:
    """Paths and names of what formulas read; constants are in them as numbers."""
    formulas = [(unit.path, formula) for unit in units for formula in unit.formulas()]
    for one in plan.receptors.values():
        formulas += [(plan.plan.units[one.unit].path, formula) for formula in one.added.values()]
    for memory in memories:
        assigns = (*memory.arriving, *memory.returning)
        formulas += [(memory.unit.path, assign.value) for assign in assigns]
    read = {(path, name) for path, formula in formulas for name in formula.reads}
    for number, unit in enumerate(plan.plan.units):
        read |= {(unit.path, name) for name in _read_of(number, plan.plan.units)}
    return read


def load_cell(
    name_or_path: str | Path,
    component: str | None = None,
    *,
    synapses: Mapping[str, str] | Sequence[str] | str = (),
    include: Sequence[str | Path] = (),
    dimensions: DimensionCheck = DimensionCheck.WARN,
    units: UnitSystem = NEURAL,
) -> Cell:
    """The cell of a LEMS or NeuroML file, or a built-in one by its name.

    `component`: the id of the cell's component; by default that of the file's name, or the only one
    that sends events. `synapses`: ids of components that are attached to it, or a mapping to them
    from names of your own, `{"fast": "exponential", "slow": "exponential"}`. The cell's own event
    ports of direction `in` are receptors, too. `include`, `dimensions`, `units`: as in
    `load_network`. Raises LemsError with everything that is wrong.
    """
    report = Report()
    path = locate_cell(name_or_path)
    examined = examine(path, component, dimensions, report, include)
    report.stop()
    given = {synapses: synapses} if isinstance(synapses, str) else synapses
    given = given if isinstance(given, Mapping) else {name: name for name in given}
    plan = _compile(examined, path, component, given, units, report)
    for finding in report.warnings:
        if not is_library(finding.place.file):
            warnings.warn(str(finding), LemsWarning, stacklevel=2)
    return Cell(plan)


def _compile(
    examined: Examined,
    path: Path,
    component: str | None,
    synapses: Mapping[str, str],
    units: UnitSystem,
    report: Report,
) -> CellPlan:
    binder = Binder(examined.document, examined.types, units, report)
    bound = _chosen(examined, binder, path, component)
    report.stop()
    builder = Builder(binder, report)
    root = builder.build(bound, None, (bound.id,))
    wiring = Wiring(builder, binder, report)
    wiring.wire(root)
    attached = {
        name: _attach(root, name, wanted, builder, wiring) for name, wanted in synapses.items()
    }
    report.stop()
    assembler = Assembler(binder, units, report)
    every = list(root.walk())
    for unit in every:
        if unit.bound.type.dynamics is not None:
            assembler.number(unit)
    plans = []
    for unit in assembler.units:  # grows as it is walked
        plans.append(assembler.plan(unit))
    report.stop()
    for unit in assembler.units:
        if unit.copies is not None:
            _fail(bound, f"'{unit.path}' is a population within the cell", "list its parts")
    plans, receptors = _receptors(bound, root, attached, assembler, plans)
    order = tuple(assembler.ids[unit] for unit in every if unit in assembler.ids)
    constant = Order(plans, report, bound.component.element.place).constant()
    report.stop()
    plan = Plan(
        bound.id, bound.id, tuple(plans), order, (), (), (), (), None, None, None,
        units.name, float(units.power(TIME)), constant, (),
        lambda where, port="": recorded(assembler, root, where, port),
    )  # fmt: skip
    return CellPlan(plan, assembler.ids[root], _spike_port(bound), receptors)


def _chosen(examined: Examined, binder: Binder, path: Path, component: str | None) -> Bound:
    declared = {one.id: one for one in examined.document.components}
    name = component
    if name is None and path.stem in declared:
        name = path.stem
    if name is None:
        senders = [
            one.id
            for one in declared.values()
            if (kind := examined.types.get(one.type)) and _ports(kind, "out")
        ]
        if len(senders) != 1:
            known = ", ".join(senders[:10]) or "none"
            place = examined.document.place
            message = f"the file has the components that send events: {known}"
            raise failure(Code.COMPONENT, place, message, "name one: load_cell(path, 'id')")
        name = senders[0]
    bound = binder.component(name)
    if bound is None:
        binder.report.stop()
        place = examined.document.place
        raise failure(
            Code.COMPONENT, place, f"there is no component '{name}'", suggestion(name, declared)
        )
    return bound


def _ports(kind: ir.ComponentType, direction: str) -> list[str]:
    return [port.name for port in kind.ports if port.direction == direction]


def _spike_port(bound: Bound) -> str:
    ports = _ports(bound.type, "out")
    if len(ports) != 1:
        found = ", ".join(ports) or "none"
        _fail(bound, f"it has the event ports of direction out: {found}", "a cell has one")
    return ports[0]


def _attach(root: Unit, name: str, wanted: str, builder: Builder, wiring: Wiring) -> Unit | None:
    """A synapse under its name in the container that takes its type."""
    bound = root.bound
    component = builder.binder.component(wanted)
    if component is None:
        builder.report.stop()
        known = builder.binder.declared
        _fail(bound, f"there is no synapse '{wanted}'", suggestion(wanted, known), Code.REFERENCE)
    if not name.isidentifier():
        _fail(bound, f"a synapse cannot be called '{name}'", "use letters, digits and _")
    if name in (bound.id, *_ports(bound.type, "in"), *(child.id for child in bound.children)):
        _fail(bound, f"a synapse cannot be called '{name}', which the cell has", "choose another")
    kinds = bound.type.attachments
    fitting = [one for one in kinds if builder.binder.is_a(component.type.name, one.type)]
    if not fitting:
        known = ", ".join(f"{one.name} of type {one.type}" for one in kinds) or "nothing"
        _fail(bound, f"it takes no {component.type.name}", f"it takes {known}")
    unit = builder.build(component, root, (name,), fitting[0].name, attached=[0])
    wiring.wire(unit)
    return unit


def _receptors(
    bound: Bound,
    root: Unit,
    attached: Mapping[str, Unit | None],
    assembler: Assembler,
    plans: list[UnitPlan],
) -> tuple[list[UnitPlan], dict[str, Receptor]]:
    """The plans with the synapses kept once per cell, and where spikes arrive."""
    found: dict[str, Receptor] = {}
    number = assembler.ids[root]
    for port in plans[number].in_ports:
        try:
            own = own_receptor(port, number, plans[number])
        except CellError as error:
            _fail(bound, f"the port '{port}': {error.message}", error.hint)
        if own is not None and port != POST:
            found[port] = own
    if len({one.regime for one in found.values()}) > 1:
        _fail(bound, "its ports hear events in different regimes", "use one, or none, for all")
    changed = list(plans)
    for name, unit in attached.items():
        if unit is None or unit not in assembler.ids:
            continue
        i = assembler.ids[unit]
        try:
            changed[i], found[name] = parted(name, i, plans[i], _read_of(i, plans))
        except CellError as error:
            _fail(
                unit.bound, f"it cannot be a synapse of a population: {error.message}", error.hint
            )
    return changed, found


def _read_of(number: int, plans: Sequence[UnitPlan]) -> set[str]:
    """The names of a unit that others read."""
    read = set()
    for i, unit in enumerate(plans):
        for variable in unit.variables.values() if i != number else ():
            if isinstance(variable, Elsewhere) and variable.unit == number:
                read.add(variable.name)
            elif isinstance(variable, Selected):
                read |= {s.name for s in variable.sources if s.unit == number}
    return read


def _fail(bound: Bound, message: str, hint: str = "", code: Code = Code.STRUCTURE) -> NoReturn:
    element = bound.component.element
    report = Report()
    report.add(Diagnostic(code, element.place, message, hint, bound.context))
    report.stop()
    raise AssertionError("a report with an error stops")


def resized(plan: Plan, size: int) -> Plan:
    """The plan of so many instances."""
    return replace(plan, units=tuple(_of_size(unit, size) for unit in plan.units))


def _of_size(unit: UnitPlan, size: int) -> UnitPlan:
    variables = {}
    for name, variable in unit.variables.items():
        if isinstance(variable, Elsewhere):
            variable = replace(variable, index=None)
        elif isinstance(variable, Selected):
            sources = tuple(replace(source, index=None) for source in variable.sources)
            variable = replace(variable, sources=sources, size=size, index=None)
        elif isinstance(variable, Parameter):
            variable = replace(variable, value=np.reshape(variable.value, ()))
        variables[name] = variable
    return replace(unit, size=size, variables=variables)


def find(plan: CellPlan, path: str) -> tuple[int, str]:
    """The unit and name of a quantity of the cell. Raises PathError."""
    found = plan.plan.find(path, "").parts[0]
    if found.unit >= len(plan.plan.units) or (
        found.name not in plan.plan.units[found.unit].variables
    ):
        raise PathError(f"'{path}' is not kept for each cell")
    return found.unit, found.name
