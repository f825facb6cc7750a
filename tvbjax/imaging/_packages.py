"""Packages that imaging needs, imported when they are used."""

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def needed(module: str) -> Any:
    """A module of an optional package. Raises ModuleNotFoundError that says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.split(".")[0]
        if error.name is None or error.name.split(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f"tvbjax.imaging: {package} is not installed; run: pip install 'tvbjax[imaging]'.",
            name=package,
        ) from error


@contextmanager
def in_dipys_basis() -> Iterator[None]:
    """dipy's deconvolution and tracking share a basis of spherical harmonics that it calls legacy,
    and warns of wherever it is used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The legacy", PendingDeprecationWarning)
        yield


@contextmanager
def dipy_is_quiet() -> Iterator[None]:
    """dipy tells each step of a registration in its log."""
    log = logging.getLogger("dipy")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
