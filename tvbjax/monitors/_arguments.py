"""What monitors are given: taken where it is another form of the same, else kept as it is, for the
check of the monitor that is built, which can say whose it is."""

import operator
from collections.abc import Iterable
from typing import Any

import jax

from tvbjax.arrays import check_finite
from tvbjax.kinds import check_count, check_kind


def as_time(value: Any) -> Any:
    """A number of whatever type as a float."""
    if isinstance(value, str | bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def check_numbers(who: str, **values: Any) -> None:
    """They are numbers, and finite."""
    for name, value in values.items():
        if not isinstance(value, jax.Array):
            raise TypeError(f"{who}: {name} is {value!r:.60}; give a number.")
        check_finite(f"{who}: {name}", value)


def as_count(value: Any) -> Any:
    """A whole number of whatever type as an int."""
    try:
        return value if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return value


def chosen_variables(variables: Any) -> Any:
    """Names as a tuple; one name may be given as it is."""
    if isinstance(variables, str):
        return (variables,)
    return tuple(variables) if isinstance(variables, Iterable) else variables


def check_counts(who: str, least: int, **counts: object) -> None:
    """Every one is a whole number, and no smaller than `least`."""
    for name, count in counts.items():
        check_count(f"{who}: {name}", count, least)


def check_period(who: str, period: object) -> None:
    """It is a number; whether it fits the steps is known later."""
    check_kind(f"{who}: period", period, float, "1.0, in ms")


def check_variables(who: str, variables: object) -> None:
    """They are names, each given once, or None."""
    if variables is None:
        return
    if not isinstance(variables, tuple) or not all(isinstance(n, str) for n in variables):
        raise TypeError(
            f"{who}: variables is {variables!r:.80}; give a name, a tuple of names, or None for "
            "the model's variables of interest."
        )
    for name in variables:
        if variables.count(name) > 1:
            raise ValueError(f"{who}: variables has '{name}' more than once; give each name once.")
