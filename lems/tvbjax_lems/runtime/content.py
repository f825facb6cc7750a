"""What a plan says, as something that can be compared and hashed: equal plans share programs."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass

import numpy as np


def content(value: object) -> Hashable:
    """Nested tuples with all that a plan holds, but functions, which are made from the rest."""
    if isinstance(value, Mapping):
        return tuple((key, content(one)) for key, one in value.items())
    if isinstance(value, tuple | list):
        return tuple(map(content, value))
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if is_dataclass(value):
        parts = (getattr(value, one.name) for one in fields(value))
        kept = (content(part) for part in parts if not isinstance(part, Callable))
        return type(value).__name__, *kept
    assert isinstance(value, Hashable), type(value)
    return value
