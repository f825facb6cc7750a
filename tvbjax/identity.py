"""What a value is, in a text that is the same in every program: of a function, what it computes.

A store of a sweep, and a run that goes on, are told apart by such texts.
"""

import dataclasses
import dis
import functools
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
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
    """A function's name, and a digest of all that `told` says of it."""
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"{name} {told(function)[:16]}"


def told(value: Any) -> str:
    """A digest of a value with all that it holds: of functions and classes their code, what they
    close over, and the globals and the defaults that they read, and so on into those; of the
    functions and classes of libraries the names, and what they close over.
    """
    return hashlib.sha256(_said(value, {}).encode()).hexdigest()


def _said(value: Any, seen: dict[int, tuple[int, Any]]) -> str:
    """`seen`: by id, what was said already; it is held, so that no other can have its id."""

    def parts(values) -> str:
        return " ".join(_said(part, seen) for part in values)

    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return "traced" if is_traced(value) else _digest_of(value)
    if isinstance(value, tuple):
        return f"({parts(value)})"
    if id(value) in seen:
        return f"number {seen[id(value)][0]} again"
    seen[id(value)] = (len(seen), value)
    if isinstance(value, MethodType):
        return parts((value.__func__, value.__self__))
    if isinstance(value, staticmethod | classmethod):
        return parts((value.__func__,))
    if isinstance(value, property):
        return parts((value.fget,))
    if isinstance(value, FunctionType):
        return _of_function(value, seen)
    if isinstance(value, type):
        return _of_class(value, seen)
    if hasattr(value, "__wrapped__"):  # by jax.jit and its like
        return f"{type(value).__name__} {parts((value.__wrapped__,))}"
    if isinstance(value, functools.partial):
        return f"partial {parts((value.func, value.args, value.keywords))}"
    if isinstance(value, list):
        return f"[{parts(value)}]"
    if isinstance(value, set | frozenset):  # its order differs from one program to the next
        return f"{{{' '.join(sorted(_said(part, seen) for part in value))}}}"
    if isinstance(value, Mapping):
        return f"{{{parts((*value.keys(), *value.values()))}}}"
    if isinstance(value, ModuleType):
        return value.__name__
    if hasattr(value, "__array__"):  # xarray's and pandas' among others
        return _digest_of(value)
    kind = type(value)
    if dataclasses.is_dataclass(value):
        # A hash that is kept is another in every program.
        kept = [field.name for field in dataclasses.fields(value) if field.compare]
        held = [getattr(value, name) for name in kept]
    elif isinstance(value, eqx.Module | SimpleNamespace) or not _of_library(kind.__module__):
        held = list(getattr(value, "__dict__", {}).values())
    else:
        return f"{kind} {getattr(value, '__name__', '')}"
    return f"{_said(kind, seen)} {parts(held)}"


def _digest_of(array: Any) -> str:
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    array = np.asarray(array)
    return repr(array.tolist()) if array.dtype.hasobject else digest(array)


def _of_function(value: FunctionType, seen: dict[int, tuple[int, Any]]) -> str:
    held = [*_closed(value), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    if _of_library(value.__module__):  # its name and version say what it does
        said = f"{value.__module__}.{value.__qualname__}"
    else:
        said = _code(value.__code__)
        for name in _globals(value.__code__):
            found = value.__globals__.get(name)
            held.append(found)
            if isinstance(found, ModuleType) and not _of_library(found.__name__):
                held += [vars(found).get(name) for name in _names(value.__code__)]
    return " ".join([said, *(_said(part, seen) for part in held)])


# Of what Python adds to classes, this is what a user writes.
_WRITTEN = ("__call__", "__init__", "__post_init__", "__check_init__")


def _of_class(value: type, seen: dict[int, tuple[int, Any]]) -> str:
    name = f"{value.__module__}.{value.__qualname__}"
    if _of_library(value.__module__):
        return name
    own = {
        n: x for n, x in vars(value).items() if n in _WRITTEN or not n.startswith(("__", "_abc"))
    }
    return " ".join([name, _said(value.__bases__, seen), _said(own, seen)])


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


def _globals(code: CodeType) -> list[str]:
    """The globals that it reads, or that functions within it read."""
    own = [i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    return list(dict.fromkeys([*own, *(name for part in inner for name in _globals(part))]))


def _names(code: CodeType) -> list[str]:
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return [*code.co_names, *inner]


def _code(code: CodeType) -> str:
    constants = [
        _code(value) if isinstance(value, CodeType) else _said(value, {})
        for value in code.co_consts
    ]
    return " ".join([code.co_code.hex(), *code.co_names, *constants])
