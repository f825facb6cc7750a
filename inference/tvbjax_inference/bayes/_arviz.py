"""ArviZ's statistics, which are an extra."""

import importlib
from typing import Any


def arviz_stats() -> Any:
    """The package, or an error that says how to get it."""
    try:
        return importlib.import_module("arviz_stats")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "statistics of draws need ArviZ's: pip install 'tvbjax[bayes]'."
        ) from error
