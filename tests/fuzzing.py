"""What the fuzz tests draw: expressions with their values, broken expressions, broken documents."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

VALUES = {"x": 1.5, "y": -2.0, "z": 0.25, "I": 3.0, "gamma": 0.1}

# An expression is a number's text, a name, or (operator, operand, ...); written and evaluated here,
# by rules of its own, so that the compiler's can be compared with them.
Tree = str | tuple

_LEVEL = {".or.": 1, ".and.": 2, "+": 4, "-": 4, "*": 5, "/": 5, "^": 7}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ".gt.": lambda a, b: a > b,
    ".lt.": lambda a, b: a < b,
    ".geq.": lambda a, b: a >= b,
    ".leq.": lambda a, b: a <= b,
    ".eq.": lambda a, b: a == b,
    ".neq.": lambda a, b: a != b,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": math.exp, "log": math.log, "ln": math.log, "sqrt": math.sqrt, "sin": math.sin,
    "cos": math.cos, "tan": math.tan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "abs": abs, "ceil": math.ceil, "floor": math.floor, "max": max, "min": min, "erf": math.erf,
    "atan": math.atan, "H": lambda a: 0.5 if a == 0 else float(a > 0),
}  # fmt: skip
_NUMBERS = ("0", "1", "2", "3.", ".5", "0.25", "1e-3", "1.5E+2", "7e0", "10")


def _numbers() -> st.SearchStrategy[Tree]:
    leaves = st.sampled_from([*_NUMBERS, *VALUES, "pi"])

    def grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        one = [name for name in _FUNCTIONS if name not in ("max", "min")]
        return st.one_of(
            st.tuples(st.sampled_from("+-*/^"), inner, inner),
            st.tuples(st.just("neg"), inner),
            st.tuples(st.sampled_from(one), inner),
            st.tuples(st.sampled_from(("max", "min")), inner, inner),
        )

    return st.recursive(leaves, grown, max_leaves=12)


NUMBER_TREES = _numbers()
CONDITION_TREES = st.recursive(
    st.tuples(st.sampled_from(sorted(_COMPARISONS)), NUMBER_TREES, NUMBER_TREES),
    lambda inner: st.tuples(st.sampled_from((".and.", ".or.")), inner, inner),
    max_leaves=4,
)


def written(tree: Tree, chance: random.Random, level: int = 0) -> str:
    """The text of a tree, with blanks, and parentheses where needed and sometimes where not."""
    if isinstance(tree, str):
        text, own = tree, 9
    elif tree[0] == "neg":
        text, own = f"-{written(tree[1], chance, 6)}", 6
    elif tree[0] in _FUNCTIONS:
        inside = ",".join(_blank(chance) + written(one, chance) for one in tree[1:])
        text, own = f"{tree[0]}{_blank(chance)}({inside})", 9
    else:
        own = _LEVEL.get(tree[0], 3)
        left, right = written(tree[1], chance, own), written(tree[2], chance, own + 1)
        space = " " if tree[0].startswith(".") else _blank(chance)
        text = f"{left}{space}{tree[0]}{space}{right}"
    return f"({text})" if own < level or chance.random() < 0.1 else text


def _blank(chance: random.Random) -> str:
    return chance.choice(("", "", " ", "  ", "\n", "\t"))


def value(tree: Tree) -> float:
    """Its number in Python's floats. Raises ArithmeticError or ValueError where it has none."""
    if isinstance(tree, str):
        found = math.pi if tree == "pi" else VALUES[tree] if tree in VALUES else float(tree)
    elif tree[0] == "neg":
        found = -value(tree[1])
    elif tree[0] in _FUNCTIONS:
        found = _FUNCTIONS[tree[0]](*(value(one) for one in tree[1:]))
    else:
        left, right = value(tree[1]), value(tree[2])
        operations: dict[str, Callable[[], float]] = {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: left / right,
            "^": lambda: left**right,
        }
        found = operations[tree[0]]()
    if isinstance(found, complex) or not math.isfinite(found):
        raise ValueError(tree)
    return float(found)


def holds(tree: Tree) -> bool:
    """Whether a condition is true. Raises as `value` does."""
    if tree[0] in _COMPARISONS:
        return _COMPARISONS[tree[0]](value(tree[1]), value(tree[2]))
    left, right = holds(tree[1]), holds(tree[2])
    return left and right if tree[0] == ".and." else left or right


TOKENS = (
    *"+-*/^(){},<>!%&|=.[]'\"@#$;:?\\`~ \t\n",
    "<=", ">=", "==", "!=", "&&", "||", "**", "..", ".gt.", ".lt.", ".geq.", ".ge.", ".eq.",
    ".and.", ".or.", ".not.", ".gtt.", ".", "x", "y", "alpha_1", "_a", "exp", "sin(", "max(",
    "random(", "H(", "f(", "pi", "t", "1", "0", ".5", "1.", "1e", "1e9", "1e-3", "1.0f", "2x",
    "10 mV", "nan", "inf", "π", "٣", "\x00", "\ud800", "é", "𝔵", "lambda", "__import__", "if",
)  # fmt: skip
TOKEN_STRINGS = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)
_GOOD = (
    "(v - rest) / scale + c", "a*-x^2", "2^-3^2", "x .gt. 1 .and. y .eq. 5 .or. z .leq. 0",
    "1 / (1 + exp(-(x - y) / z))", "{x^2} - {y^3} * 1.0f", "max(x, y, 5) - min(a, x)",
    "x > y && !(y <= 2) || a != a", "H(x) + 10 * H(a)", "-(-x)^.5e1",
)  # fmt: skip


@st.composite
def broken_expressions(draw: st.DrawFn) -> str:
    """A good expression with a few characters or tokens taken out, put in or exchanged."""
    text = draw(st.sampled_from(_GOOD))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 6)))
        text = text[:at] + draw(st.sampled_from(("", *TOKENS))) + text[end:]
    return text


MODELS = Path(__file__).parent / "models"
VOCABULARY = (
    "Lems", "neuroml", "Include", "Dimension", "Unit", "Constant", "Assertion", "ComponentType",
    "Component", "Target", "Parameter", "Property", "DerivedParameter", "Requirement", "Exposure",
    "Fixed", "Text", "Path", "IndexParameter", "Child", "Children", "ComponentReference", "Link",
    "ComponentRequirement", "InstanceRequirement", "EventPort", "Attachments", "Dynamics",
    "StateVariable", "TimeDerivative", "DerivedVariable", "ConditionalDerivedVariable", "Case",
    "OnStart", "OnCondition", "OnEvent", "OnEntry", "StateAssignment", "EventOut", "Transition",
    "Regime", "KineticScheme", "Super", "Structure", "ChildInstance", "MultiInstantiate",
    "ForEach", "With", "EventConnection", "Tunnel", "Assign", "Simulation", "Run", "Record",
    "EventRecord", "DataDisplay", "DataWriter", "EventWriter", "Procedure", "notes", "Cell",
)  # fmt: skip
ATTRIBUTES = (
    "name", "type", "extends", "dimension", "value", "select", "reduce", "required", "exposure",
    "variable", "parameter", "test", "condition", "port", "direction", "regime", "initial",
    "component", "componentType", "number", "instance", "list", "index", "as", "from", "to",
    "delay", "property", "id", "symbol", "power", "scale", "offset", "m", "t", "min", "max",
    "defaultValue", "local", "file", "href", "matches", "quantity", "xmlns", "foo",
)  # fmt: skip
TEXTS = (
    "", " ", "0", "1", "-1", "1e999", "1e-999", "nan", "inf", "1 ms", "1e300 ms", "x", "v", "t",
    "pi", "none", "*", "time", "voltage", "true", "false", "in", "out", "add", "multiply", "this",
    "parent", "..", "../..", "a/b", "gates[*]/q", "gates[*]", "//Cell[id=x]/v", "//", "[", "x[",
    "cells[0]/v", "cells[9]/v", "v/v/v", "x + ", "1/0", "0/0", "x^y^z", "2^-3^2", "(((((x",
    "random(1)", "exp(1000)", "sqrt(-1)", "1e400", "x .gt. 1", "x .and. y", "factorial(1e9)",
    "a b", "<x>", "&amp;", "\u00e9\u03c0", "\U0001d535", "x" * 300, "-" * 200, "(" * 300,
    "9" * 400, "Cell", "Synapse", "Gate", "net", "sim", "cell", "network.xml", ".", "/",
    "/dev/null", "Network", "Simulation", "units.xml", "nowhere.xml", "spike", "synapses", "free",
)  # fmt: skip
_GARBAGE = (
    b"<", b">", b"/>", b"&", b"&lt;", b"&#0;", b"&x;", b'"', b"'", b"=", b"\x00", b"\xff", b"\xc3",
    b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml?>", b"<!DOCTYPE a>", b"xmlns='u'", b"\r", b"(",
)  # fmt: skip


@st.composite
def broken_documents(draw: st.DrawFn, names: tuple[str, ...]) -> bytes:
    """A good document of tests/models after a few changes to its tree, or to its bytes."""
    root = etree.fromstring((MODELS / f"{draw(st.sampled_from(names))}.xml").read_bytes())
    for _ in range(draw(st.integers(1, 5))):
        _change(root, draw)
    data = etree.tostring(root)
    if draw(st.integers(0, 3)) == 0:
        for _ in range(draw(st.integers(1, 3))):
            at = draw(st.integers(0, len(data)))
            end = at + draw(st.sampled_from((0, 0, 1, 5, 100)))
            data = data[:at] + draw(st.sampled_from((b"", *_GARBAGE))) + data[end:]
        if draw(st.integers(0, 3)) == 0:
            data = data[: draw(st.integers(0, len(data)))]
    return data


def _change(root, draw: st.DrawFn) -> None:
    every = list(root.iter("*"))
    one = every[draw(st.integers(0, len(every) - 1))]
    other = every[draw(st.integers(0, len(every) - 1))]
    keys = sorted(one.keys())
    key = keys[draw(st.integers(0, len(keys) - 1))] if keys else "name"
    match draw(st.integers(0, 10)):
        case 0 if one is not root:
            one.getparent().remove(one)
        case 1 if one is not root:
            one.getparent().insert(0, etree.fromstring(etree.tostring(one)))
        case 2 if one is not root and one not in other.iterancestors() and one is not other:
            other.append(one)
        case 3:
            one.tag = draw(st.sampled_from(VOCABULARY))
        case 4:
            one.attrib.pop(key, None)
        case 5:
            one.set(draw(st.sampled_from(ATTRIBUTES)), one.attrib.pop(key, ""))
        case 6:
            one.set(key, draw(st.sampled_from(TEXTS)))
        case 7:
            one.set(draw(st.sampled_from(ATTRIBUTES)), draw(st.sampled_from(TEXTS)))
        case 8 if other.keys():
            theirs = sorted(other.keys())[0]
            mine, its = one.get(key, ""), other.get(theirs)
            one.set(key, its)
            other.set(theirs, mine)
        case 9:
            text = one.get(key, "")
            at = draw(st.integers(0, len(text)))
            piece = draw(st.sampled_from([c for c in TOKENS if c.isprintable()]))
            one.set(key, text[:at] + piece + text[at + draw(st.integers(0, 2)) :])
        case _:
            one.append(etree.Element(draw(st.sampled_from(VOCABULARY))))
