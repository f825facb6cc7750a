"""`tvbjax lems convert`: a model file as standard LEMS, or as a Python module with a sweep."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tvbjax import lems
from tvbjax.io.atomic import atomic_path


class Form(StrEnum):
    """What to convert to."""

    LEMS = "lems"
    PYTHON = "python"


def convert(
    model: Annotated[str, typer.Argument(help="A LEMS or RateML file, or a built-in model.")],
    to: Annotated[
        Form, typer.Option("--to", help="Standard LEMS, or a Python module that needs only JAX.")
    ] = Form.LEMS,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write. LEMS is shown without it."),
    ] = None,
    component: Annotated[
        str | None, typer.Option("--component", help="Of several parameter sets, the one to take.")
    ] = None,
) -> None:
    """Convert a model: RateML to LEMS, or LEMS to Python source with a sweep script beside it.

    Example: tvbjax lems convert JansenRit --to python -o jansen_rit.py
    """
    if to is Form.PYTHON:
        _python(model, out, component)
        return
    text = lems.to_lems(model)
    if out is None:
        print(text)
        return
    _write(out, text)
    Console(soft_wrap=True).print(f"{out}", markup=False, highlight=False)


def _python(name: str, out: Path | None, component: str | None) -> None:
    """The module, and a sweep script unless there is one already, which may have been changed."""
    model = lems.load(name, component)
    path = out or Path(f"{model.name}.py")
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise ValueError(
            f"convert: Python cannot import {path.name}; give -o a name of letters, digits and _ "
            "that ends in .py."
        )
    driver = path.with_name(f"{path.stem}_sweep.py")
    origin = Path(name).name if Path(name).suffix else f"{name}.xml"
    _write(path, lems.python_module(model, origin))
    console = Console(soft_wrap=True)
    console.print(f"{path}", markup=False, highlight=False)
    if driver.exists():
        console.print(f"{driver} was there and is kept", markup=False, highlight=False)
        return
    _write(driver, lems.sweep_driver(model, path.stem))
    console.print(f"{driver}", markup=False, highlight=False)


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
