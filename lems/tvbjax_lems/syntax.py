"""The expression language: text to a small tree with positions, and back to text.

Two dialects: LEMS (`.gt.`, `^`) and RateML (`{a^b}`, `<`, `&&`, `1.0f`). Precedence, weakest first:
or, and, comparison, + -, * /, unary minus, ^; binary operators associate to the left, so that
2^3^2 is 64 and -x^2 is -(x^2), as in LEMS. Knows nothing of names, dimensions or numbers' sizes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from .errors import Code, suggestion

LENGTH_LIMIT = 10_000  # characters in an expression
NODE_LIMIT = 2_000
DEPTH_LIMIT = 40  # nested parentheses, calls and changes of precedence

# Function -> number of arguments, None for two or more.
FUNCTIONS: dict[str, int | None] = {
    **dict.fromkeys(
        ("exp", "log", "ln", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan"), 1
    ),
    **dict.fromkeys(("abs", "ceil", "floor", "factorial", "random", "H", "erf", "erfc"), 1),
    "atan2": 2,
    "derivative": 2,
    "max": None,
    "min": None,
}
PI = "pi"
TIME_NAME = "t"

_COMPARISONS = (".gt.", ".geq.", ".lt.", ".leq.", ".eq.", ".neq.")
_LOGIC = (".and.", ".or.")
_SPELLINGS = {".ge.": ".geq.", ".le.": ".leq.", ".ne.": ".neq."}
_C_SPELLINGS = {
    "<": ".lt.", "<=": ".leq.", ">": ".gt.", ">=": ".geq.", "==": ".eq.", "!=": ".neq.",
    "&&": ".and.", "||": ".or.",
}  # fmt: skip
_POWER = {
    ".or.": 1, ".and.": 2, **dict.fromkeys(_COMPARISONS, 3),
    "+": 4, "-": 4, "*": 5, "/": 5, "^": 7,
}  # fmt: skip
_UNARY_POWER = 6
_OPPOSITE = {
    ".gt.": ".leq.", ".leq.": ".gt.", ".lt.": ".geq.", ".geq.": ".lt.",
    ".eq.": ".neq.", ".neq.": ".eq.", ".and.": ".or.", ".or.": ".and.",
}  # fmt: skip

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+(?:\.(?![A-Za-z]+\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<dotted>\.[A-Za-z]+\.)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<symbol><=|>=|==|!=|&&|\|\||[-+*/^(){},<>!%&|=.\[\]])",
    re.ASCII,
)


class Dialect(Enum):
    """How expressions are spelt."""

    LEMS = auto()
    RATEML = auto()


class ExpressionError(Exception):
    """Something wrong in an expression at `offset`; callers add the place of the expression."""

    def __init__(self, code: Code, offset: int, message: str, hint: str = ""):
        super().__init__(message)
        self.code, self.offset, self.message, self.hint = code, offset, message, hint


@dataclass(frozen=True)
class Number:
    text: str
    offset: int


@dataclass(frozen=True)
class Name:
    name: str
    offset: int


@dataclass(frozen=True)
class Negative:
    operand: "Node"
    offset: int


@dataclass(frozen=True)
class Binary:
    """`offset` is the operator's."""

    operator: str
    left: "Node"
    right: "Node"
    offset: int


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple["Node", ...]
    offset: int


Node = Number | Name | Negative | Binary | Call


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name, operator, end
    text: str
    offset: int


def parse(text: str, dialect: Dialect = Dialect.LEMS) -> Node:
    """The tree of a number-valued expression. Raises ExpressionError."""
    node = _Parser(text, dialect).whole()
    if is_condition(node):
        raise _syntax(node.offset, "a condition stands where a number is needed")
    return node


def parse_condition(text: str, dialect: Dialect = Dialect.LEMS) -> Node:
    """The tree of a condition, such as `x .gt. 0 .and. y .lt. 1`. Raises ExpressionError.

    In RateML a number is a condition too, true where it is not zero.
    """
    node = _Parser(text, dialect).whole()
    return _as_condition(node, dialect, node.offset)


def is_condition(node: Node) -> bool:
    return isinstance(node, Binary) and node.operator in (*_COMPARISONS, *_LOGIC)


def is_comparison(node: Node) -> bool:
    return isinstance(node, Binary) and node.operator in _COMPARISONS


def spine(node: Node) -> tuple[Node, list[Binary]]:
    """The leftmost operand of a chain `a + b - c ...` and its operators, left to right.

    Chains are as long as the text; only what hangs to the right of them is bounded in depth.
    """
    chain: list[Binary] = []
    while isinstance(node, Binary):
        chain.append(node)
        node = node.left
    return node, chain[::-1]


def names(node: Node) -> Iterator[Name]:
    """Every name in the tree, in order of text."""
    first, chain = spine(node)
    match first:
        case Name():
            yield first
        case Negative(operand=operand):
            yield from names(operand)
        case Call(arguments=arguments):
            for argument in arguments:
                yield from names(argument)
    for link in chain:
        yield from names(link.right)


def calls(node: Node, function: str) -> Iterator[Call]:
    """Every call of a function in the tree."""
    first, chain = spine(node)
    match first:
        case Negative(operand=operand):
            yield from calls(operand, function)
        case Call(arguments=arguments):
            if first.function == function:
                yield first
            for argument in arguments:
                yield from calls(argument, function)
    for link in chain:
        yield from calls(link.right, function)


def size(node: Node) -> int:
    """The number of numbers, names, operators and functions in the tree."""
    first, chain = spine(node)
    match first:
        case Negative(operand=operand):
            count = 1 + size(operand)
        case Call(arguments=arguments):
            count = 1 + sum(size(argument) for argument in arguments)
        case _:
            count = 1
    return count + sum(1 + size(link.right) for link in chain)


def ambiguous_powers(node: Node, text: str) -> Iterator[int]:
    """Offsets of the minus signs in `text` of the form `a*-x^2`, which other LEMS tools read as
    a*(-x)^2; not those that parentheses make plain."""
    first, chain = spine(node)
    for part in (first, *(link.right for link in chain)):
        match part:
            case Negative(operand=operand):
                yield from ambiguous_powers(operand, text)
            case Call(arguments=arguments):
                for argument in arguments:
                    yield from ambiguous_powers(argument, text)
            case Binary():
                yield from ambiguous_powers(part, text)
    for link in chain:
        if link.operator in ("*", "/") and isinstance(link.right, Negative):
            minus, power = link.right.offset, link.right.operand
            if isinstance(power, Binary) and power.operator == "^":
                between = text[minus + 1 : power.offset]
                plain = between.count("(") == between.count(")")
                if plain and not text[link.offset + 1 : minus].strip():
                    yield minus


def substituted(node: Node, values: Mapping[str, Node]) -> Node:
    """The tree with names replaced by trees."""
    first, chain = spine(node)
    match first:
        case Name(name=name):
            result = values.get(name, first)
        case Negative(operand=operand, offset=offset):
            result = Negative(substituted(operand, values), offset)
        case Call(function=function, arguments=arguments, offset=offset):
            changed = tuple(substituted(argument, values) for argument in arguments)
            result = Call(function, changed, offset)
        case _:
            result = first
    for link in chain:
        result = Binary(link.operator, result, substituted(link.right, values), link.offset)
    return result


def to_text(node: Node) -> str:
    """The tree in LEMS spelling, with no more parentheses than needed."""
    return _text(node, 0)


def _text(node: Node, power: int) -> str:
    match node:
        case Number(text=text) | Name(name=text):
            return text
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(_text(a, 0) for a in arguments)})"
        case Negative(operand=operand):
            inner = f"-{_text(operand, _UNARY_POWER)}"
            return f"({inner})" if power > 4 else inner
        case Binary():
            return _binary_text(node, power)


def _binary_text(node: Binary, power: int) -> str:
    first, chain = spine(node)
    written = _text(first, _POWER[chain[0].operator])
    for i, link in enumerate(chain):
        mine = _POWER[link.operator]
        space = "" if link.operator == "^" else " "
        written = f"{written}{space}{link.operator}{space}{_text(link.right, mine + 1)}"
        following = _POWER[chain[i + 1].operator] if i + 1 < len(chain) else power
        if mine < following:
            written = f"({written})"
    return written


class _Parser:
    def __init__(self, text: str, dialect: Dialect):
        if len(text) > LENGTH_LIMIT:
            message = f"the expression has {len(text)} characters; at most {LENGTH_LIMIT} are read"
            raise ExpressionError(Code.TOO_LARGE, 0, message)
        self.dialect = dialect
        self.tokens = list(_tokens(text, dialect))
        if len(self.tokens) > NODE_LIMIT:
            message = f"the expression has more than {NODE_LIMIT} parts"
            raise ExpressionError(Code.TOO_LARGE, 0, message)
        self.next = 0
        self.depth = 0

    def whole(self) -> Node:
        if self.peek.kind == "end":
            raise _syntax(self.peek.offset, "the expression is empty")
        node = self.expression(0)
        self.expect_end()
        return node

    @property
    def peek(self) -> _Token:
        return self.tokens[self.next]

    def take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += token.kind != "end"
        return token

    def expect_end(self) -> None:
        token = self.peek
        if token.kind == "end":
            return
        if token.text in (")", "}"):
            raise _syntax(token.offset, f"'{token.text}' closes nothing")
        raise _unexpected(token, self.tokens[self.next - 1])

    def expression(self, weakest: int) -> Node:
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            message = f"the expression is nested more than {DEPTH_LIMIT} deep"
            raise ExpressionError(Code.TOO_LARGE, self.peek.offset, message)
        left = self.operand(weakest)
        while True:
            token = self.peek
            power = _POWER.get(token.text, 0) if token.kind == "operator" else 0
            if power <= weakest:
                break
            self.take()
            left = self.combine(token, left, self.expression(power))
        self.depth -= 1
        return left

    def operand(self, weakest: int) -> Node:
        token = self.take()
        if token.kind == "number":
            return Number(token.text, token.offset)
        if token.kind == "name":
            if self.peek.text == "(":
                return self.call(token)
            return Name(token.text, token.offset)
        if token.text in ("-", "+"):
            inner = self.expression(max(weakest, _UNARY_POWER))
            self.number(inner, token)
            return Negative(inner, token.offset) if token.text == "-" else inner
        if token.text == "!":
            inner = self.expression(max(weakest, _UNARY_POWER))
            return opposite(_as_condition(inner, self.dialect, token.offset))
        if token.text in ("(", "{"):
            inner = self.expression(0)
            self.close(token)
            return inner
        if token.kind == "end":
            raise _syntax(token.offset, "the expression ends where a value is needed")
        raise _syntax(token.offset, f"'{token.text}' stands where a value is needed")

    def close(self, opened: _Token) -> None:
        closing = {"(": ")", "{": "}"}[opened.text]
        token = self.take()
        if token.text == closing:
            return
        if token.kind == "end" or token.text in (")", "}"):
            raise _syntax(opened.offset, f"'{opened.text}' is never closed")
        raise _unexpected(token, self.tokens[self.next - 2])

    def call(self, name: _Token) -> Node:
        if name.text not in FUNCTIONS:
            raise ExpressionError(
                Code.UNKNOWN_NAME,
                name.offset,
                f"unknown function '{name.text}'",
                suggestion(name.text, FUNCTIONS),
            )
        opened = self.take()
        arguments = [self.number(self.expression(0), name)]
        while self.peek.text == ",":
            self.take()
            arguments.append(self.number(self.expression(0), name))
        self.close(opened)
        wanted = FUNCTIONS[name.text]
        if len(arguments) != wanted and not (wanted is None and len(arguments) > 1):
            raise _syntax(
                name.offset,
                f"{name.text} takes {wanted or 'two or more'} "
                f"argument{'s' if wanted != 1 else ''}, not {len(arguments)}",
            )
        if name.text == "derivative" and not all(isinstance(one, Name) for one in arguments):
            message = "derivative takes two names: a derived variable, and what it depends on"
            raise _syntax(name.offset, message)
        return Call(name.text, tuple(arguments), name.offset)

    def combine(self, token: _Token, left: Node, right: Node) -> Node:
        if token.text in _LOGIC:
            left = _as_condition(left, self.dialect, token.offset)
            right = _as_condition(right, self.dialect, token.offset)
        else:
            self.number(left, token)
            self.number(right, token)
        return Binary(token.text, left, right, token.offset)

    def number(self, node: Node, user: _Token) -> Node:
        if is_condition(node):
            raise _syntax(user.offset, f"'{user.text}' needs numbers, but one side is a condition")
        return node


def _tokens(text: str, dialect: Dialect) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _syntax(position, f"'{text[position]}' has no meaning in an expression")
        kind, found = str(match.lastgroup), match.group()
        if kind == "dotted":
            yield _Token("operator", _dotted(found, position), position)
        elif kind == "symbol":
            yield _Token("operator", _symbol(found, position, dialect), position)
        elif kind != "space":
            yield _Token(kind, found, position)
        position = match.end()
        if kind == "number" and dialect is Dialect.RATEML and text[position : position + 1] in "fF":
            position += 1 if not text[position + 1 : position + 2].isalnum() else 0
    yield _Token("end", "", len(text))


def _dotted(text: str, offset: int) -> str:
    operator = _SPELLINGS.get(text.lower(), text.lower())
    if operator not in _POWER:
        raise _syntax(
            offset, f"unknown operator '{text}'", suggestion(text, (*_COMPARISONS, *_LOGIC))
        )
    return operator


def _symbol(text: str, offset: int, dialect: Dialect) -> str:
    if text in ("%", "[", "]", "=", "&", "|", "."):
        raise _syntax(offset, f"'{text}' has no meaning in an expression")
    if dialect is Dialect.RATEML:
        return _C_SPELLINGS.get(text, text)
    if text in _C_SPELLINGS:
        raise _syntax(offset, f"'{text}' is not a LEMS operator", f"write {_C_SPELLINGS[text]}")
    if text in ("{", "}"):
        raise _syntax(offset, f"'{text}' is not LEMS", "write parentheses")
    if text == "!":
        raise _syntax(offset, "'!' is not a LEMS operator", "write the opposite comparison")
    return text


def _as_condition(node: Node, dialect: Dialect, offset: int) -> Node:
    if is_condition(node):
        return node
    if dialect is Dialect.RATEML:
        return Binary(".neq.", node, Number("0", node.offset), node.offset)
    raise _syntax(offset, "a number stands where a condition is needed", "compare it, as x .gt. 0")


def opposite(node: Node) -> Node:
    """The condition that holds where this one does not."""
    chain: list[Binary] = []
    while isinstance(node, Binary) and node.operator in _LOGIC:
        chain.append(node)
        node = node.left
    assert isinstance(node, Binary)  # a comparison: what _as_condition gives
    value = Binary(_OPPOSITE[node.operator], node.left, node.right, node.offset)
    for link in reversed(chain):
        value = Binary(_OPPOSITE[link.operator], value, opposite(link.right), link.offset)
    return value


def _unexpected(token: _Token, before: _Token) -> ExpressionError:
    if token.kind in ("number", "name") or token.text in ("(", "{"):
        hint = "write * to multiply"
        if before.kind == "number" and token.kind == "name":
            hint += "; a quantity with a unit belongs into a Constant"
        return _syntax(token.offset, f"an operator is missing before '{token.text or '('}'", hint)
    return _syntax(token.offset, f"unexpected '{token.text}'")


def _syntax(offset: int, message: str, hint: str = "") -> ExpressionError:
    return ExpressionError(Code.SYNTAX, offset, message, hint)
