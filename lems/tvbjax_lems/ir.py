"""What a model file declares, as frozen data: types with their dynamics, components, units.

Nothing is resolved here: dimensions and units are names, quantities are attributes as written.
Expressions are parsed. Every declaration keeps its element, for the place of an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import Code, Diagnostic, Place
from .syntax import ExpressionError, Node
from .units import Dimension, Unit
from .xml import Attribute, Element


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


@dataclass(frozen=True)
class Constant:
    name: str
    dimension: str
    value: Attribute
    element: Element


@dataclass(frozen=True)
class DerivedParameter:
    name: str
    dimension: str | None
    value: Expression
    element: Element


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
    name: str
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
    """A DerivedVariable (one case without a condition) or a ConditionalDerivedVariable."""

    name: str
    dimension: str | None
    exposure: str
    cases: tuple[Case, ...]
    element: Element


@dataclass(frozen=True)
class StateAssignment:
    variable: str
    value: Expression
    element: Element


@dataclass(frozen=True)
class Dynamics:
    states: tuple[StateVariable, ...]
    derivatives: tuple[TimeDerivative, ...]
    derived: tuple[DerivedVariable, ...]
    on_start: tuple[StateAssignment, ...]
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
    dynamics: Dynamics | None = None
    role: Role = field(default_factory=Role)

    @property
    def context(self) -> str:
        return f"ComponentType '{self.name}'"


@dataclass(frozen=True)
class Component:
    id: str
    type: str
    values: tuple[Attribute, ...]
    element: Element


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

    @property
    def place(self) -> Place:
        return Place(self.file)


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
