"""Simulators that an example needs and the rest of tvbjax does not, imported when first used."""

import importlib
from typing import Any


def engine(who: str, module: str, extra: str) -> Any:
    """A module of an optional package. `who`: what needs it, `extra`: what installs it.

    Raises `ModuleNotFoundError` that says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{who}: {error.name} is not installed; run: pip install 'tvbjax[{extra}]'.",
            name=error.name,
        ) from error
