"""Packages that a part of the analysis needs and the rest of tvbjax does not: the extra `analysis`,
imported when first used."""

from typing import Any


def networkx(name: str) -> Any:
    """networkx; `name`: of the function that needs it, for the error."""
    try:
        import networkx
    except ModuleNotFoundError as error:
        raise _missing(name, "networkx") from error
    return networkx


def fast_ica(name: str) -> Any:
    """scikit-learn's class FastICA, and its warning that it did not converge."""
    try:
        from sklearn.decomposition import FastICA
        from sklearn.exceptions import ConvergenceWarning
    except ModuleNotFoundError as error:
        raise _missing(name, "scikit-learn") from error
    return FastICA, ConvergenceWarning


def _missing(name: str, package: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"{name}: {package} is not installed; run: pip install 'tvbjax[analysis]'.", name=package
    )
