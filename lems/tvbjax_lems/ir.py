"""What a model file declares, as frozen data: types with their dynamics, components, units.

Nothing is resolved here: dimensions and units are names, quantities are attributes as written.
Expressions are parsed. Every declaration keeps its element, for the place of an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .errors import Code, Diagnostic, Place
from .syntax import ExpressionError, Node
from .units import Dimension, Unit
from .xml import NOTHING, Attribute, Element, Lost


@dataclass(frozen=True)
class Expression:
    """A parsed expression and the attribute that it came from."""

    node: Node
    attribute: Attribute
    context: str

    def finding(self, error: ExpressionError, warning: bool = False) -> Diagnostic:
        """The diagnostic for an error in this expression."""
        return expression_finding(self.attribute, self.context, error, warning)


@dataclass(frozen=True)
class Parameter:
    """A Parameter, or a Property, which has a default."""

    name: str
    dimension: str
    element: Element
    default: Attribute | None = None
    domain: Attribute | None = None

    @property
    def is_property(self) -> bool:
        return self.element.tag == "Property"


@dataclass(frozen=True)
class Constant:
    name: str
    dimension: str
    value: Attribute
    element: Element


@dataclass(frozen=True)
class Select:
    """A path to a quantity elsewhere: `gates[*]/fcond`; `reduce` is "add", "multiply" or ""."""

    path: Attribute
    reduce: str
    required: bool
    context: str


@dataclass(frozen=True)
class DerivedParameter:
    """A value from an expression, or, where `value` is None, from a path."""

    name: str
    dimension: str | None
    value: Expression | None
    element: Element
    select: Select | None = None


@dataclass(frozen=True)
class Requirement:
    """A name from outside; `sources` names the state variables that a coupling may transmit."""

    name: str
    dimension: str
    sources: Attribute | None
    element: Element


@dataclass(frozen=True)
class Exposure:
    name: str
    dimension: str
    voi: bool
    element: Element


@dataclass(frozen=True)
class Fixed:
    parameter: str
    value: Attribute
    element: Element


@dataclass(frozen=True)
class Text:
    """A Text, Path, PathParameter or IndexParameter: a string that a component gives."""

    name: str
    element: Element


@dataclass(frozen=True)
class ChildSlot:
    """A Child (`many` False) or Children: where components of a type, or subtype, may stand."""

    name: str
    type: str
    many: bool
    element: Element


@dataclass(frozen=True)
class Reference:
    """A ComponentReference: the id of another component; a Link names a path instead."""

    name: str
    type: str
    local: bool
    required: bool
    default: str
    link: bool
    element: Element


@dataclass(frozen=True)
class EventPort:
    name: str
    direction: str
    element: Element


@dataclass(frozen=True)
class Attachments:
    """A container that connections and inputs fill: the synapses of a cell."""

    name: str
    type: str
    element: Element


@dataclass(frozen=True)
class InstanceRequirement:
    """A ComponentRequirement or InstanceRequirement: what must be there when a model is built."""

    name: str
    type: str
    element: Element


@dataclass(frozen=True)
class StateVariable:
    name: str
    dimension: str
    exposure: str
    bounds: Attribute | None
    initial: Attribute | None
    noise: Attribute | None
    element: Element


@dataclass(frozen=True)
class TimeDerivative:
    variable: str
    value: Expression
    element: Element


@dataclass(frozen=True)
class Case:
    """A value and its condition, None for the default case."""

    condition: Expression | None
    value: Expression


@dataclass(frozen=True)
class DerivedVariable:
    """A DerivedVariable (one case without a condition, or a path) or a conditional one."""

    name: str
    dimension: str | None
    exposure: str
    cases: tuple[Case, ...]
    element: Element
    select: Select | None = None


@dataclass(frozen=True)
class StateAssignment:
    variable: str
    value: Expression
    element: Element


@dataclass(frozen=True)
class EventOut:
    port: str
    element: Element


@dataclass(frozen=True)
class Transition:
    regime: str
    element: Element


Action = StateAssignment | EventOut | Transition


@dataclass(frozen=True)
class OnCondition:
    test: Expression
    actions: tuple[Action, ...]
    element: Element


@dataclass(frozen=True)
class OnEvent:
    port: str
    actions: tuple[Action, ...]
    element: Element


@dataclass(frozen=True)
class Regime:
    """One of the states of a machine: its dynamics hold while it is the active one."""

    name: str
    initial: bool
    derivatives: tuple[TimeDerivative, ...]
    on_entry: tuple[Action, ...]
    on_conditions: tuple[OnCondition, ...]
    on_events: tuple[OnEvent, ...]
    element: Element


@dataclass(frozen=True)
class KineticScheme:
    """A Markov chain: `nodes` and `edges` name Children; the rest are names inside them."""

    name: str
    nodes: str
    edges: str
    state_variable: str
    edge_source: str
    edge_target: str
    forward_rate: str
    reverse_rate: str
    element: Element


@dataclass(frozen=True)
class Dynamics:
    """`inherits`: whether it has Super, which adds it to the supertype's instead of replacing."""

    states: tuple[StateVariable, ...]
    derivatives: tuple[TimeDerivative, ...]
    derived: tuple[DerivedVariable, ...]
    on_start: tuple[StateAssignment, ...]
    element: Element
    on_conditions: tuple[OnCondition, ...] = ()
    on_events: tuple[OnEvent, ...] = ()
    regimes: tuple[Regime, ...] = ()
    kinetic_schemes: tuple[KineticScheme, ...] = ()
    inherits: bool = False


@dataclass(frozen=True)
class Assign:
    property: str
    value: Expression
    element: Element


@dataclass(frozen=True)
class ChildInstance:
    component: str
    element: Element


@dataclass(frozen=True)
class MultiInstantiate:
    """`component` names a reference, or `component_type` a type; `number` is an expression.

    `index`: the name under which each instance has its number, from 0; `names_index`: whether the
    file says it.
    """

    number: Expression
    component: str
    component_type: str
    index: str
    names_index: bool
    assigns: tuple[Assign, ...]
    element: Element


@dataclass(frozen=True)
class With:
    """Gives an instance a name: by its path, or as number `index` of the list at a path."""

    instance: str
    list: str
    index: str
    name: str
    element: Element


@dataclass(frozen=True)
class EventConnection:
    source: str
    target: str
    source_port: str
    target_port: str
    receiver: str
    container: str
    delay: Expression | None
    assigns: tuple[Assign, ...]
    element: Element


@dataclass(frozen=True)
class Tunnel:
    name: str
    end_a: str
    end_b: str
    component_a: str
    component_b: str
    assigns: tuple[Assign, ...]
    element: Element


@dataclass(frozen=True)
class ForEach:
    instances: str
    name: str
    items: "tuple[StructureItem, ...]"
    element: Element


StructureItem = ChildInstance | MultiInstantiate | With | EventConnection | Tunnel | ForEach


@dataclass(frozen=True)
class Run:
    """Names of the reference to the component to run and of the parameters with the times."""

    component: str
    variable: str
    increment: str
    total: str
    element: Element


@dataclass(frozen=True)
class Record:
    """Names of the parameters that hold what to record: a quantity, or (`port`) events."""

    quantity: str
    scale: str
    time_scale: str
    color: str
    port: str
    element: Element


@dataclass(frozen=True)
class Writer:
    """A DataDisplay, DataWriter or EventWriter: where the records below it go."""

    kind: str
    title: str
    path: str
    file_name: str
    format: str
    element: Element


@dataclass(frozen=True)
class Role:
    """What a type is to tvbjax beyond LEMS: a coupling function, sweep ranges, a speed."""

    coupling: Attribute | None = None
    scale: Expression | None = None
    sweep: Attribute | None = None
    speed: Attribute | None = None


@dataclass(frozen=True)
class ComponentType:
    """A type; after inheritance its tuples hold the supertype's declarations too."""

    name: str
    extends: str
    description: str
    element: Element
    parameters: tuple[Parameter, ...] = ()
    constants: tuple[Constant, ...] = ()
    derived_parameters: tuple[DerivedParameter, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    fixed: tuple[Fixed, ...] = ()
    texts: tuple[Text, ...] = ()
    slots: tuple[ChildSlot, ...] = ()
    references: tuple[Reference, ...] = ()
    ports: tuple[EventPort, ...] = ()
    attachments: tuple[Attachments, ...] = ()
    instance_requirements: tuple[InstanceRequirement, ...] = ()
    dynamics: Dynamics | None = None
    structure: tuple[StructureItem, ...] = ()
    run: Run | None = None
    record: Record | None = None
    writer: Writer | None = None
    role: Role = field(default_factory=Role)
    lost: Lost = NOTHING  # what the parts that could not be read may have declared

    @property
    def context(self) -> str:
        return f"ComponentType '{self.name}'"


@dataclass(frozen=True)
class Component:
    """`type` may be "" where `extends` names a prototype; `role` is the tag it stands under."""

    id: str
    type: str
    values: tuple[Attribute, ...]
    element: Element
    extends: str = ""
    role: str = ""
    children: "tuple[Component, ...]" = ()


@dataclass(frozen=True)
class Target:
    component: str
    element: Element


@dataclass(frozen=True)
class Document:
    """Everything that a file and its includes declare."""

    file: str
    description: str
    dimensions: Mapping[str, Dimension]
    units: Mapping[str, Unit]
    constants: tuple[Constant, ...]
    types: tuple[ComponentType, ...]
    components: tuple[Component, ...]
    targets: tuple[Target, ...]
    lost: Lost = NOTHING  # what the parts that could not be read may have declared

    @property
    def place(self) -> Place:
        return Place(self.file)

    @cached_property
    def dimension_names(self) -> Mapping[Dimension, str]:
        """The file's name of each dimension that it names."""
        return {dimension: name for name, dimension in self.dimensions.items()}


def expression_finding(
    attribute: Attribute, context: str, error: ExpressionError, warning: bool = False
) -> Diagnostic:
    """The diagnostic for an error in the expression of an attribute."""
    return Diagnostic(
        error.code,
        attribute.at(error.offset),
        error.message,
        error.hint,
        context,
        attribute.value,
        error.offset,
        warning,
    )


def finding(
    code: Code, element: Element, context: str, message: str, hint: str = "", warning: bool = False
) -> Diagnostic:
    """A diagnostic about a whole element."""
    return Diagnostic(code, element.place, message, hint, context, warning=warning)
