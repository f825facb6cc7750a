"""`tvbjax lems check`: everything that is wrong or doubtful about model files."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tvbjax import lems


class Dimensions(StrEnum):
    """What a wrong dimension is, on the command line."""

    strict = "strict"
    warn = "warn"
    off = "off"


def check(
    files: Annotated[
        list[str], typer.Argument(help="Paths of LEMS, NeuroML or RateML files.", metavar="FILE")
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings fail the check; dimensions are strict.")
    ] = False,
    dimensions: Annotated[
        Dimensions | None,
        typer.Option(
            help="What a wrong dimension is: an error (strict), a warning or nothing. "
            "By default an error in a rate model, a warning in a network."
        ),
    ] = None,
    component: Annotated[
        str | None, typer.Option(help="The component to compile, in place of the Target's.")
    ] = None,
    include: Annotated[
        list[Path] | None,
        typer.Option("--include", "-I", help="A folder in which to look for included files."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a JSON list of findings, each with code, severity, file, line, column, "
            "context, message and hint.",
        ),
    ] = False,
) -> None:
    """Check files: every error and warning with its place; status 1 if there are errors.

    Example: tvbjax lems check --strict -I types my_model.xml
    """
    level = Dimensions.strict if strict and dimensions is None else dimensions
    mode = None if level is None else lems.DimensionCheck[level.name.upper()]
    every: list[lems.Diagnostic] = []
    for file in files:
        found = lems.check(file, component, dimensions=mode, include=include or ())
        every += found
        if not as_json:
            _show(file, found, strict)
    if as_json:
        print(json.dumps([diagnostic.as_dict() for diagnostic in every], indent=2))
    if _fails(every, strict):
        raise typer.Exit(1)


def _fails(found: list[lems.Diagnostic], strict: bool) -> bool:
    return any(diagnostic.is_error or strict for diagnostic in found)


def _show(file: str, found: list[lems.Diagnostic], strict: bool) -> None:
    console = Console(soft_wrap=True)
    for diagnostic in found:
        style = "red" if diagnostic.is_error else "yellow"
        console.print(str(diagnostic), style=style, markup=False, highlight=False)
    errors = sum(diagnostic.is_error for diagnostic in found)
    counts = f"{_count(errors, 'error')}, {_count(len(found) - errors, 'warning')}"
    style = "red" if _fails(found, strict) else "green"
    console.print(f"{file}: {counts}", style=style, markup=False, highlight=False)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' if number != 1 else ''}"
