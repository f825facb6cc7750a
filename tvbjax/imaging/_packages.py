"""Packages that imaging needs, imported when they are used."""

import importlib
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
