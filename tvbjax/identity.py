"""What a value is, in a text that is the same in every program: of a function, what it computes.

A store of a sweep, and a run that goes on, are told apart by such texts.
"""

import dataclasses
import functools
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tvbjax.arrays import is_traced


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's dtype, shape and bytes."""
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def named(function: Any) -> str:
    """A function's name, and a digest of its code, of what it closes over, of the globals and the
    defaults that it reads; so, too, of the functions of its own module among them.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    said = _said(function, getattr(function, "__module__", None), ())
    return f"{name} {hashlib.sha256(said.encode()).hexdigest()[:16]}"


def told(value: Any) -> str:
    """A digest of a value with all that it holds. Into functions and objects of whoever uses tvbjax
    it looks as `named` does; of those of libraries it takes the name, and what they close over.
    """
    return hashlib.sha256(_said(value, None, ()).encode()).hexdigest()


def _said(value: Any, module: str | None, within: tuple[int, ...]) -> str:
    """`module`: whose functions are looked into, None for all that are no library's; `within`: the
    values that this is part of."""
    if id(value) in within:
        return "itself"
    within = (*within, id(value))

    def parts(values) -> str:
        return " ".join(_said(part, module, within) for part in values)

    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return "traced" if is_traced(value) else _digest_of(value)
    if isinstance(value, MethodType):
        return parts((value.__func__, value.__self__))
    if isinstance(value, FunctionType):
        return _of_function(value, module, within)
    if hasattr(value, "__wrapped__"):  # by jax.jit and its like
        return f"{type(value).__name__} {parts((value.__wrapped__,))}"
    if isinstance(value, functools.partial):
        return f"partial {parts((value.func, value.args, value.keywords))}"
    if isinstance(value, tuple | list):
        return f"({parts(value)})"
    if isinstance(value, set | frozenset):  # its order differs from one program to the next
        return f"{{{' '.join(sorted(_said(part, module, within) for part in value))}}}"
    if isinstance(value, Mapping):
        return f"{{{parts((*value.keys(), *value.values()))}}}"
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "__array__"):  # xarray's and pandas' among others
        return _digest_of(value)
    kind = type(value)
    if module is None and dataclasses.is_dataclass(value):
        return f"{kind} {parts(getattr(value, f.name) for f in dataclasses.fields(value))}"
    own = kind.__module__ == module if module else not _of_library(kind.__module__)
    if (own and hasattr(value, "__dict__")) or isinstance(value, eqx.Module):
        call = vars(kind).get("__call__")
        return f"{kind} {parts((call, *vars(value).values()))}"
    return str(kind)


def _digest_of(array: Any) -> str:
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    array = np.asarray(array)
    return repr(array.tolist()) if array.dtype.hasobject else digest(array)


def _of_function(value: FunctionType, module: str | None, within: tuple[int, ...]) -> str:
    name = f"{value.__module__}.{value.__qualname__}"
    if module is None and not _of_library(value.__module__):
        module = value.__module__
    if value.__module__ != module:  # of a library: its name and version say what it does
        if module is not None:
            return name
        held = (*_closed(value), *(value.__defaults__ or ()))
        return " ".join([name, *(_said(part, None, within) for part in held)])
    read = [value.__globals__.get(name) for name in _names(value.__code__)]
    rest = (
        *_closed(value),
        *(value.__defaults__ or ()),
        *(value.__kwdefaults__ or {}).values(),
        *read,
    )
    return " ".join([_code(value.__code__), *(_said(part, module, within) for part in rest)])


def _closed(function: FunctionType) -> list:
    """What a function closes over."""
    closed = []
    for cell in function.__closure__ or ():
        try:
            closed.append(cell.cell_contents)
        except ValueError:  # not filled yet
            closed.append(None)
    return closed


@functools.cache
def _of_library(module: str) -> bool:
    """Whether a module is Python's, tvbjax's, or an installed package's."""
    top = module.split(".")[0]
    if top in sys.stdlib_module_names and top != "__main__" or top.startswith("tvbjax"):
        return True
    path = getattr(sys.modules.get(top), "__file__", None) or ""
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(path).parts)


def _names(code: CodeType) -> list[str]:
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return [*code.co_names, *inner]


def _code(code: CodeType) -> str:
    constants = [
        _code(value) if isinstance(value, CodeType) else _said(value, None, ())
        for value in code.co_consts
    ]
    return " ".join([code.co_code.hex(), *code.co_names, *constants])
