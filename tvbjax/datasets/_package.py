"""Where tvb-data's files lie; nothing of the package is imported."""

import importlib.util
from pathlib import Path


def tvb_data() -> Path:
    """The package's folder. Raises ModuleNotFoundError where it is not installed."""
    spec = importlib.util.find_spec("tvb_data")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ModuleNotFoundError(
            "datasets: the package tvb-data is not installed; run: pip install 'tvbjax[data]'. "
            "Without it, use datasets.synthetic_connectome.",
            name="tvb_data",
        )
    return Path(next(iter(folders)))
