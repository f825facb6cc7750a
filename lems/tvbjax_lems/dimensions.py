"""Dimensional analysis of expression trees.

Sums and comparisons need equal dimensions, a dimensional base a constant exponent, functions a pure
number; literals are pure numbers, but 0 fits everything, as does the dimension *.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .errors import Code
from .syntax import Binary, Call, ExpressionError, Name, Negative, Node, Number, spine, to_text
from .units import ANY, NONE, Dimension, describe

EXPONENT_LIMIT = 1_000_000
_SHOWN = 60  # characters of an expression in a message
# These give back the dimension of their argument; max and min need equal ones.
_KEEPS = ("abs", "max", "min", "ceil", "floor")


@dataclass(frozen=True)
class Scope:
    """The dimensions of the names in sight, and the file's names for dimensions.

    `labels`: those names by dimension, for who has many expressions in a large file.
    """

    names: Mapping[str, Dimension]
    dimensions: Mapping[str, Dimension]
    labels: Mapping[Dimension, str] | None = None

    def describe(self, dimension: Dimension) -> str:
        if self.labels is None:
            return describe(dimension, self.dimensions)
        return self.labels.get(dimension) or describe(dimension)


def dimension_of(node: Node, scope: Scope) -> Dimension:
    """The dimension of a tree. Raises ExpressionError where its parts do not fit together.

    A name that is not in the scope has dimension *: another pass reports it.
    """
    first, chain = spine(node)
    value, left = _leaf(first, scope), first
    for link in chain:
        value = _operate(link, value, left, scope)
        left = link
    return value


def check_condition(node: Node, scope: Scope) -> None:
    """Raise ExpressionError where a condition compares different dimensions."""
    chain: list[Binary] = []
    while isinstance(node, Binary) and node.operator in (".and.", ".or."):
        chain.append(node)
        node = node.left
    if isinstance(node, Binary):
        left = dimension_of(node.left, scope)
        _same(node, left, node.left, dimension_of(node.right, scope), scope)
    for link in reversed(chain):
        check_condition(link.right, scope)


def _leaf(node: Node, scope: Scope) -> Dimension:
    match node:
        case Number(text=text):
            return ANY if float(text) == 0.0 else NONE
        case Name(name=name):
            return scope.names.get(name, NONE if name == "pi" else ANY)
        case Negative(operand=operand):
            return dimension_of(operand, scope)
        case Call():
            return _call(node, scope)
        case Binary():
            raise AssertionError(node)


def _call(node: Call, scope: Scope) -> Dimension:
    found = [dimension_of(argument, scope) for argument in node.arguments]
    if node.function == "derivative":
        return found[0] / found[1]
    if node.function == "atan2":
        _compared(node, found, scope)
        return NONE
    if node.function == "sqrt":
        return found[0] ** Fraction(1, 2)
    if node.function in _KEEPS:
        _compared(node, found, scope)
        known = [d for d in found if not d.is_any]
        return known[0] if known else ANY
    for argument, other in zip(node.arguments, found, strict=True):
        if not other.agrees(NONE):
            raise ExpressionError(
                Code.DIMENSION,
                argument.offset,
                f"{node.function} needs a pure number, but '{shown(argument)}' "
                f"is {scope.describe(other)}",
                "divide by a constant of that dimension",
            )
    return NONE


def _compared(node: Call, found: Sequence[Dimension], scope: Scope) -> None:
    """Raise ExpressionError where the arguments of a call are of different dimensions."""
    for argument, other in zip(node.arguments, found, strict=True):
        if not other.agrees(found[0]):
            one, two = scope.describe(found[0]), scope.describe(other)
            raise ExpressionError(
                Code.DIMENSION,
                argument.offset,
                f"{node.function} cannot compare '{shown(node.arguments[0])}' ({one}) "
                f"with '{shown(argument)}' ({two})",
            )


def _operate(link: Binary, left: Dimension, left_node: Node, scope: Scope) -> Dimension:
    right = dimension_of(link.right, scope)
    match link.operator:
        case "*":
            return left * right
        case "/":
            return left / right
        case "^":
            return _power(link, left, right, scope)
        case _:
            return _same(link, left, left_node, right, scope)


def _same(
    link: Binary, left: Dimension, left_node: Node, right: Dimension, scope: Scope
) -> Dimension:
    if not left.agrees(right):
        one = f"'{shown(left_node)}' ({scope.describe(left)})"
        two = f"'{shown(link.right)}' ({scope.describe(right)})"
        match link.operator:
            case "+":
                message = f"cannot add {two} to {one}"
            case "-":
                message = f"cannot subtract {two} from {one}"
            case _:
                message = f"cannot compare {one} with {two}"
        raise ExpressionError(Code.DIMENSION, link.offset, message)
    return right if left.is_any else left


def _power(link: Binary, left: Dimension, right: Dimension, scope: Scope) -> Dimension:
    if not right.agrees(NONE):
        raise ExpressionError(
            Code.DIMENSION,
            link.offset,
            f"the exponent '{shown(link.right)}' is {scope.describe(right)}, not a pure number",
        )
    if left.is_any or left.is_none:
        return left
    exponent = _constant(link.right)
    base = f"'{shown(link.left)}' is {scope.describe(left)}"
    if exponent is None:
        message = f"{base}, so its exponent must be a constant number"
        raise ExpressionError(Code.DIMENSION, link.offset, message)
    found = left**exponent
    parts = [n for e in found.exponents or () for n in (abs(e.numerator), e.denominator)]
    if max(parts) > EXPONENT_LIMIT:
        message = f"{base}, and this power of it is beyond all bounds"
        raise ExpressionError(Code.DIMENSION, link.offset, message)
    return found


def shown(node: Node) -> str:
    """The text of a tree, cut where it is long."""
    text = to_text(node)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _constant(node: Node) -> Fraction | None:
    match node:
        case Number(text=text):
            return Fraction(float(text)).limit_denominator(1000) if float(text) < 1e3 else None
        case Negative(operand=operand):
            inner = _constant(operand)
            return None if inner is None else -inner
        case Binary(operator="/", left=Number() as left, right=Number() as right):
            top, bottom = _constant(left), _constant(right)
            return top / bottom if top is not None and bottom else None
        case _:
            return None
