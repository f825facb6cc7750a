"""The plan of a network: per unit what each of its names is, and what happens in a step.

Everything is resolved here: a name is a parameter, a state, a formula, or a value of other units by
way of index arrays. Frozen; the engine only reads it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .formulas import Formula
from .request import Output

Index = np.ndarray | None  # None: the two units share an axis


@dataclass(frozen=True, eq=False)
class Parameter:
    """A leaf of the network; `value` is () or (instance,)."""

    value: np.ndarray


@dataclass(frozen=True, eq=False)
class State:
    """A state variable; `unit` is its text."""

    unit: str


@dataclass(frozen=True, eq=False)
class Computed:
    """A derived parameter or variable."""

    formula: Formula


@dataclass(frozen=True, eq=False)
class Time:
    """The time of the simulation."""


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """The value of another unit's name for each instance of this one."""

    unit: int
    name: str
    index: Index


@dataclass(frozen=True, eq=False)
class Source:
    """A name of another unit; `index` is this side's instance for each of that side's."""

    unit: int
    name: str
    index: Index


@dataclass(frozen=True, eq=False)
class Selected:
    """Values of units below `size` instances, added or multiplied; then gathered by `index`."""

    sources: tuple[Source, ...]
    reduce: Literal["add", "multiply", "one"]
    size: int
    index: Index


Variable = Parameter | State | Computed | Time | Elsewhere | Selected


@dataclass(frozen=True, eq=False)
class Assign:
    variable: str
    value: Formula


@dataclass(frozen=True, eq=False)
class Emit:
    port: str


@dataclass(frozen=True, eq=False)
class Enter:
    regime: int


Action = Assign | Emit | Enter


@dataclass(frozen=True, eq=False)
class OnCondition:
    test: Formula
    actions: tuple[Action, ...]


@dataclass(frozen=True, eq=False)
class OnEvent:
    port: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, eq=False)
class Phase:
    """The dynamics that hold always, or while one regime is active."""

    derivatives: tuple[tuple[str, Formula], ...]
    on_conditions: tuple[OnCondition, ...]
    on_events: tuple[OnEvent, ...]
    on_entry: tuple[Action, ...] = ()


@dataclass(frozen=True, eq=False)
class Scheme:
    """A Markov chain: (unit, state) of its nodes and (from, to, unit) of its edges."""

    nodes: tuple[int, ...]
    state: str
    edges: tuple[tuple[int, int, int], ...]
    forward: str
    reverse: str


@dataclass(frozen=True, eq=False)
class Pool:
    """Synapses whose states add up, so that a cell's are kept as one.

    `increments`: per port and state, what one event adds, in the parameters of the synapse;
    `size`: the number of synapses.
    """

    size: int
    increments: dict[str, dict[str, Formula]]


@dataclass(frozen=True, eq=False)
class UnitPlan:
    """What a unit is. `dimensions`: per name, the power of ten of its working unit in SI.

    `properties`: the parameters that each instance may have its own value of.
    """

    path: str
    component: str
    type: str
    size: int
    variables: dict[str, Variable]
    dimensions: dict[str, float]
    units: dict[str, str]
    derived: tuple[str, ...]
    on_start: tuple[Assign, ...]
    base: Phase
    regimes: tuple[Phase, ...]
    regime_names: tuple[str, ...]
    initial_regime: int
    schemes: tuple[Scheme, ...]
    in_ports: tuple[str, ...]
    out_ports: tuple[str, ...]
    exponents: frozenset[str]
    properties: tuple[str, ...] = ()
    pool: Pool | None = None

    def formulas(self) -> list[Formula]:
        """Every formula of its variables and its dynamics."""
        return formulas_of(self.variables, (self.base, *self.regimes), self.on_start)


@dataclass(frozen=True, eq=False)
class LinkPlan:
    """Events from a port of one unit to a port of another. `delays` in working units of time.

    `targets` are instances; where the target is a pool they are its synapses' cells, and
    `synapses` says which synapse each connection has.
    """

    source: int
    source_port: str
    target: int
    target_port: str
    sources: np.ndarray
    targets: np.ndarray
    delays: np.ndarray
    synapses: np.ndarray | None = None


@dataclass(frozen=True)
class Part:
    """A name of a unit on some of its instances; None is all."""

    unit: int
    name: str
    instances: tuple[int, ...] | None


@dataclass(frozen=True)
class Recorded:
    """What a path names: one instance's quantity or events, or (`every`) those of several."""

    path: str
    parts: tuple[Part, ...]
    every: bool

    @property
    def unit(self) -> int:
        """The unit of its first part; all parts are of one kind."""
        return self.parts[0].unit

    @property
    def name(self) -> str:
        return self.parts[0].name


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """`name`: of the component that is run; `target`: of the simulation that runs it.

    `order`: children before parents. `constant`: derived names that do not change in time.

    `early`: derived names that a step reads before it computes them. `find`: what a path, and a
    port, name; raises PathError.
    """

    name: str
    target: str
    units: tuple[UnitPlan, ...]
    order: tuple[int, ...]
    links: tuple[LinkPlan, ...]
    outputs: tuple[Output, ...]
    quantities: tuple[Recorded, ...]
    events: tuple[Recorded, ...]
    step: float | None
    duration: float | None
    seed: int | None
    system: str
    time_power: float
    constant: frozenset[tuple[int, str]]
    early: tuple[tuple[int, str], ...]
    find: Callable[[str, str], Recorded]

    def random_units(self) -> list[UnitPlan]:
        """The units that draw random numbers."""
        return [u for u in self.units if any(formula.draws for formula in u.formulas())]

    def __repr__(self) -> str:
        instances = sum(unit.size for unit in self.units)
        return f"Plan({self.name!r}, {len(self.units)} components, {instances} instances)"


def formulas_of(
    variables: Mapping[str, Variable], phases: Iterable[Phase], on_start: Iterable[Assign]
) -> list[Formula]:
    """Every formula of a unit."""
    found = [v.formula for v in variables.values() if isinstance(v, Computed)]
    found += [assign.value for assign in on_start]
    for phase in phases:
        found += [formula for _, formula in phase.derivatives]
        found += [one.test for one in phase.on_conditions]
        handled = [*phase.on_conditions, *phase.on_events]
        actions = [a for one in handled for a in one.actions] + [*phase.on_entry]
        found += [a.value for a in actions if isinstance(a, Assign)]
    return found
