"""Arguments of another kind than they should be, told in one way."""

import numbers
from collections.abc import Iterable

import numpy as np


def check_kind(where: str, value: object, kind: type | tuple[type, ...], example: str) -> None:
    """Raises `TypeError` where `value` is no `kind`. `where`: the argument, as `"Bold: kernel"`."""
    if isinstance(value, kind):
        return
    if isinstance(value, type) and issubclass(value, kind):
        name = value.__name__
        raise TypeError(f"{where} is the class {name}; give an instance: {name}(...).")
    raise TypeError(f"{where} is {value!r:.80}; give e.g. {example}.")


def check_number(where: str, value: object, *, least: float = -np.inf, above: float = -np.inf):
    """Raises `TypeError` where `value` is no number, and `ValueError` where it is not finite, below
    `least`, or not above `above`."""
    wanted = (
        f"a number above {above:g}"
        if above > -np.inf
        else f"a number of {least:g} or more"
        if least > -np.inf
        else "a finite number"
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{where} is {value!r:.60}; give {wanted}.")
    number = float(value)
    if not np.isfinite(number) or number < least or number <= above:
        raise ValueError(f"{where} is {value!r:.60}; give {wanted}.")


def names_of(where: str, value: object, example: str) -> tuple[str, ...]:
    """Names in their order. Raises `TypeError` for what are none, such as one text, of which the
    letters are no names, and `ValueError` where one is there twice."""
    found = None if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    if found is None or not all(isinstance(one, str) for one in found):
        raise TypeError(f"{where} is {value!r:.60}; give a list of names, e.g. {example}.")
    for place, one in enumerate(found):
        if one in found[:place]:
            raise ValueError(f"{where} names '{one}' twice; name it once.")
    return found


def check_count(where: str, value: object, least: int = 1):
    """Raises `ValueError` where `value` is no whole number of `least` or more."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{where} is {value!r:.60}; give a whole number of {least} or more.")
