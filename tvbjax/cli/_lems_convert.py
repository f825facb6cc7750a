"""`tvbjax lems convert`: a model file as standard LEMS, or as a Python module with a sweep."""

import keyword
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import typer
from rich.console import Console

from tvbjax import lems
from tvbjax.io.atomic import atomic_path

# What the module and its script import, and what those import: the file lies first on the path.
_TAKEN = sys.stdlib_module_names | {"__main__", "jax", "jaxlib", "ml_dtypes", "numpy", "scipy"}
_TAKEN |= {"jax_plugins", "opt_einsum", "tvbjax", "tvbjax_lems", "tvbjax_inference"}


class Form(StrEnum):
    """What to convert to."""

    LEMS = "lems"
    PYTHON = "python"


def convert(
    model: Annotated[
        str, typer.Argument(help="A LEMS, NeuroML or RateML file, or a built-in model.")
    ],
    to: Annotated[
        Form, typer.Option("--to", help="Standard LEMS, or a Python module that needs only JAX.")
    ] = Form.LEMS,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write. LEMS is shown without it."),
    ] = None,
    component: Annotated[
        str | None,
        typer.Option(
            "--component",
            help="The component to take: of several parameter sets, or in place of the Target.",
        ),
    ] = None,
    include: Annotated[
        list[Path] | None,
        typer.Option("-I", "--include", help="A folder in which to look for included files."),
    ] = None,
) -> None:
    """Convert a model: RateML to LEMS, or LEMS to Python source with a sweep script beside it.

    Example: tvbjax lems convert JansenRit --to python -o jansen_rit.py
    """
    if to is Form.PYTHON:
        _python(model, out, component, tuple(include or ()))
        return
    text = lems.to_lems(model)
    if out is None:
        print(text)
        return
    _write(out, text)
    Console(soft_wrap=True).print(f"{out}", markup=False, highlight=False)


def _python(name: str, out: Path | None, component: str | None, include: tuple[Path, ...]) -> None:
    """The module, and a sweep script unless there is one already, which may have been changed."""
    origin = Path(name).name if Path(name).suffix else f"{name}.xml"
    if lems.is_network(name, component, include=include):
        jax.config.update("jax_enable_x64", True)  # so that parameters are written in full
        network = lems.load_network(name, component, include=include)
        path = _module_path(out, network.name)
        source = lems.network_module(network, origin)
        text, driver_text = source.text, lems.network_sweep_driver(network, path.stem)
    else:
        model = lems.load(name, component, include=include)
        path = _module_path(out, model.name)
        source, text = None, lems.python_module(model, origin)
        driver_text = lems.sweep_driver(model, path.stem)
    driver = path.with_name(f"{path.stem}_sweep.py")
    _write(path, text)
    console = Console(soft_wrap=True)
    console.print(f"{path}", markup=False, highlight=False)
    if source is not None and source.arrays:
        arrays = path.with_suffix(".npz")
        with atomic_path(arrays) as temporary, temporary.open("wb") as file:
            np.savez(file, **source.arrays)  # pyright: ignore[reportArgumentType]
        console.print(f"{arrays}", markup=False, highlight=False)
    if driver.exists():
        console.print(f"{driver} was there and is kept", markup=False, highlight=False)
        return
    _write(driver, driver_text)
    console.print(f"{driver}", markup=False, highlight=False)


def _module_path(out: Path | None, name: str) -> Path:
    """The file to write. Raises ValueError where Python could not import it."""
    path = out or Path(f"{name}.py")
    if path.suffix != ".py" or not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise ValueError(
            f"convert: Python cannot import {path.name}; give -o a name of letters, digits and _ "
            "that ends in .py and is no keyword."
        )
    if path.stem in _TAKEN:
        raise ValueError(
            f"convert: {path.name} would stand before the module {path.stem} that Python, JAX or "
            "NumPy import; give -o another name."
        )
    return path


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
