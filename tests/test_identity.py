"""Texts by which stores and runs are told apart: the same in every program, another for others."""

import functools
import subprocess
import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from tvbjax.identity import named, told

FACTOR = 2.0


def helper(x):
    return FACTOR * x


def measure_of(target, *, by=1.0):
    def measure(result, scale=by):
        return scale * (helper(result) - target)

    return measure


class Distance:
    def __init__(self, target):
        self.target = target

    def __call__(self, result):
        return result - self.target


CHANGES = {
    "object": lambda: Distance(np.ones(3)),
    "another object": lambda: Distance(np.zeros(3)),
    "labelled array": lambda: measure_of(xr.DataArray(np.full(3, 5.0))),
    "another labelled array": lambda: measure_of(xr.DataArray(np.full(3, 6.0))),
    "array": lambda: measure_of(np.ones(3)),
    "values of an array": lambda: measure_of(np.full(3, 2.0)),
    "JAX's array": lambda: measure_of(jnp.full(3, 3.0)),
    "list": lambda: measure_of([1.0, 2.0]),
    "dictionary": lambda: measure_of({"a": np.zeros(2)}),
    "default": lambda: measure_of(np.ones(3), by=2.0),
    "function": lambda: measure_of(lambda x: x + 1),
    "another function": lambda: measure_of(lambda x: x - 1),
    "partial": lambda: functools.partial(measure_of(np.ones(3)), scale=3.0),
    "jit": lambda: jax.jit(measure_of(np.full(3, 7.0))),
    "another jit": lambda: jax.jit(measure_of(np.full(3, 8.0))),
}


def test_what_differs_is_told_apart_and_what_does_not_is_not():
    texts = {what: named(make()) for what, make in CHANGES.items()}
    assert len(set(texts.values())) == len(texts)
    assert texts == {what: named(make()) for what, make in CHANGES.items()}


def test_globals_count_also_those_of_a_function_that_is_called(monkeypatch):
    before = named(measure_of(0.0))
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert named(measure_of(0.0)) != before


OTHER_MODULE = """
import dataclasses
import types

def loss(x):
    return inner(x) - LEVEL

def inner(x):
    return x**2

LEVEL = 0.3

class Settings:
    level = 0.3

settings = types.SimpleNamespace(level=0.3)

class Loss:
    scale = 1.0

    def __call__(self, x):
        return self.inner(x)

    def inner(self, x):
        return x**2

class Sub(Loss):
    pass

@dataclasses.dataclass(frozen=True)
class Feature:
    width: float = 1.0

    def of(self, x):
        return x.mean()
"""
USER = """
import theirs
from theirs import Feature, Loss, Settings, Sub, loss, settings

CASES = {
    "module": lambda x: theirs.loss(x),
    "name": lambda x: loss(x),
    "class": lambda x: x - Settings.level,
    "namespace": lambda x: x - settings.level,
    "object": Loss(),
    "method": Loss().__call__,
    "base": Sub(),
    "dataclass": Feature(),
}
"""


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("x**2\n\nLEVEL", "x**3\n\nLEVEL", {"module", "name"}),
        ("LEVEL = 0.3", "LEVEL = 0.4", {"module", "name"}),
        ("    level = 0.3", "    level = 0.5", {"class"}),
        ("(level=0.3)", "(level=0.5)", {"namespace"}),
        ("scale = 1.0", "scale = 2.0", {"object", "method", "base"}),
        ("x**2\n\nclass Sub", "x**4\n\nclass Sub", {"object", "method", "base"}),
        ("x.mean()", "x.max()", {"dataclass"}),
        ("width: float = 1.0", "width: float = 2.0", {"dataclass"}),
    ],
)
def test_what_a_users_code_calls_counts_wherever_it_is(
    tmp_path, monkeypatch, before, after, changed
):
    assert OTHER_MODULE.count(before) == 1

    def digests(text):
        theirs = types.ModuleType("theirs")
        monkeypatch.setitem(sys.modules, "theirs", theirs)
        exec(text, vars(theirs))
        user: dict[str, Any] = {"__name__": "user"}
        exec(USER, user)
        return {name: told(case) for name, case in user["CASES"].items()}

    first, again = digests(OTHER_MODULE), digests(OTHER_MODULE)
    other = digests(OTHER_MODULE.replace(before, after))
    assert first == again and len(set(first.values())) == len(first)
    assert {name for name in first if first[name] != other[name]} == changed


def test_globals_named_as_attributes_do_not_count(monkeypatch):
    def measure(result):
        return result.FACTOR

    before = named(measure)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert named(measure) == before


def test_a_function_that_calls_itself_has_a_text():
    def down(n):
        return n and down(n - 1)

    assert named(down) == named(down)


def test_another_program_says_the_same(tmp_path):
    """Also where the order of sets and the addresses of objects are others."""
    text = """
from tvbjax.identity import named
from tvbjax.regions import Regions
regions = Regions(["left", "right"])
def f(x, s=frozenset({"a", "b", "c"})):
    return x in {"some", "other", "names"} and s and regions
print(named(f))
"""
    script = tmp_path / "script.py"
    script.write_text(text)
    command = [sys.executable, str(script)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, env={"PYTHONHASHSEED": each})
        for each in ("0", "1")
    ]
    assert runs[0].stdout.startswith("f ") and runs[0].stdout == runs[1].stdout
