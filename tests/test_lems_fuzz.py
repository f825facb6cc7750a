"""Whatever the input, a model file or an expression is read, or refused with a LemsError."""

import json
import random
import sys
import warnings
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fuzzing import (
    CONDITION_TREES,
    NUMBER_TREES,
    TOKEN_STRINGS,
    VALUES,
    Tree,
    broken_documents,
    broken_expressions,
    holds,
    value,
    written,
)
from tvbjax import lems
from tvbjax_lems.algebra import number, to_expression
from tvbjax_lems.errors import Code, Report, echo
from tvbjax_lems.library import examine
from tvbjax_lems.selects import parse_select
from tvbjax_lems.syntax import (
    Binary,
    Call,
    Dialect,
    ExpressionError,
    Name,
    Negative,
    Node,
    Number,
    opposite,
    parse,
    parse_condition,
    to_text,
)

pytestmark = pytest.mark.usefixtures("without_type_checks")
DOCUMENTS = broken_documents(("rate", "network"))
SCOPE = {name: number(at) for name, at in VALUES.items()}


def budget(quick: int, slow: int):
    """Parameters of a test: few inputs, always the same, by default; many, new ones, if slow."""
    common = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    return pytest.mark.parametrize(
        "setting",
        [
            pytest.param(settings(max_examples=quick, derandomize=True, **common), id=f"{quick}"),
            pytest.param(
                settings(max_examples=slow, **common), id=f"{slow}", marks=pytest.mark.slow
            ),
        ],
    )


def run(setting: settings, check: Callable[..., None], *inputs: st.SearchStrategy) -> None:
    """Give a check as many inputs as the setting says."""
    test: Callable[..., None] = setting(given(*inputs)(check))
    test()


def shape(node: Node) -> Tree:
    """A parsed tree without its offsets."""
    match node:
        case Number(text=text) | Name(name=text):
            return text
        case Negative(operand=operand):
            return ("neg", shape(operand))
        case Call(function=function, arguments=arguments):
            return (function, *(shape(one) for one in arguments))
        case Binary(operator=operator, left=left, right=right):
            return (operator, shape(left), shape(right))


def is_good_error(error: ExpressionError, text: str) -> bool:
    shown, caret = echo(text, error.offset).splitlines()
    return 0 <= error.offset <= len(text) and bool(error.message) and caret.endswith("^")


def check_text(text: str) -> None:
    for dialect in Dialect:
        for read in (parse, parse_condition):
            try:
                node = read(text, dialect)
            except ExpressionError as error:
                assert is_good_error(error, text)
                continue
            again = read(to_text(node))
            assert shape(again) == shape(node)
            assert to_text(again) == to_text(node)


@budget(800, 65_000)
def test_strings_of_tokens_are_read_or_refused_at_their_place(setting: settings):
    run(setting, check_text, TOKEN_STRINGS)


@budget(800, 65_000)
def test_broken_expressions_are_read_or_refused_at_their_place(setting: settings):
    run(setting, check_text, broken_expressions())


@budget(400, 25_000)
def test_what_is_written_is_read_back_with_pythons_value(setting: settings):
    def check(tree: Tree, seed: int) -> None:
        text = written(tree, random.Random(seed))
        node = parse(text)
        assert shape(node) == tree
        try:
            expected = value(tree)
        except (ArithmeticError, ValueError):
            return
        try:
            found = float(to_expression(node, SCOPE))
        except ExpressionError as error:  # more is refused than Python would: exponents of 1001
            assert error.code is Code.ARITHMETIC
            return
        # sympy orders sums in its own way, which costs digits where they cancel.
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6) or _is_steep(tree)

    run(setting, check, NUMBER_TREES, st.integers(0, 2**32))


def _is_steep(tree: Tree) -> bool:
    """Whether a rounding error can decide: steps and powers of differences of nearly equals."""
    text = str(tree)
    return any(word in text for word in ("ceil", "floor", "'H'", "tan", "'-'", "neg", "log", "^"))


@budget(300, 20_000)
def test_conditions_are_read_back_and_their_opposites_hold_where_they_do_not(setting: settings):
    def check(tree: Tree, seed: int) -> None:
        node = parse_condition(written(tree, random.Random(seed)))
        assert shape(node) == tree
        try:
            assert holds(shape(opposite(node))) != holds(tree)
        except (ArithmeticError, ValueError):
            return

    run(setting, check, CONDITION_TREES, st.integers(0, 2**32))


@budget(400, 20_000)
def test_paths_are_read_or_refused_at_their_place(setting: settings):
    pieces = (
        "a",
        "b1",
        "..",
        ".",
        "/",
        "//",
        "[*]",
        "[",
        "]",
        "[x='y']",
        "[2]",
        "='",
        " ",
        "*",
        ":",
    )

    def check(text: str) -> None:
        try:
            path = parse_select(text)
        except ExpressionError as error:
            assert is_good_error(error, text)
            return
        assert all(text.startswith(step.name, step.offset) for step in path.steps)

    run(setting, check, st.lists(st.sampled_from(pieces), max_size=12).map("".join))


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "-",
        "+",
        "1+",
        "x*",
        "((",
        "{",
        "!",
        "max(",
        "x,",
        ".and.",
        "1.a",
        "x .gt. 1 .or. ",
        "^",
    ],
)
def test_the_work_grows_no_faster_than_the_text(piece: str):
    """Counted in calls of functions, since a clock depends on the machine."""

    def work(count: int) -> int:
        calls = 0

        def count_calls(frame, event, argument) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        text = piece * count
        sys.setprofile(count_calls)
        try:
            parse(text, Dialect.RATEML)
        except ExpressionError:
            pass
        finally:
            sys.setprofile(None)
        return calls

    small, large = work(100), work(400)
    assert large < 6 * small + 1_000


def checked(data: bytes, folder) -> None:
    file = folder / "broken.xml"
    file.write_bytes(data)
    found = lems.check(file)
    assert all(str(one) for one in found)
    json.dumps([one.as_dict() for one in found])


def examined(data: bytes, folder) -> None:
    file = folder / "broken.xml"
    file.write_bytes(data)
    report = Report()
    try:
        examine(file, None, None, report)
    except lems.LemsError as error:
        assert error.diagnostics
    assert all(str(one) for one in report.diagnostics)


@budget(200, 25_000)
def test_broken_documents_are_examined_or_refused(setting: settings, tmp_path):
    run(setting, lambda data: examined(data, tmp_path), DOCUMENTS)


@budget(80, 5_000)
def test_broken_documents_are_compiled_or_refused(setting: settings, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(setting, lambda data: checked(data, tmp_path), DOCUMENTS)
