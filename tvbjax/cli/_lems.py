"""`tvbjax models` and `tvbjax lems check|show`: what is in a LEMS file."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from tvbjax import lems

app = typer.Typer(
    help="Check a LEMS file, or show what it says: equations, parameters, LaTeX, Python source.",
    no_args_is_help=True,
)
LemsFile = Annotated[str, typer.Argument(help="The path of a LEMS or RateML file.")]


def models() -> None:
    """List the built-in models: state variables, coupling inputs, what they are."""
    name_column = Column("model", no_wrap=True)
    table = Table(name_column, "state variables", "inputs", "parameters", "description")
    for name in lems.models():
        model = lems.load(name)
        table.add_row(
            name,
            ", ".join(model.state_variables),
            ", ".join(model.inputs),
            str(len(model.params)),
            model.description,
        )
    Console().print(table)


@app.command()
def check(
    file: LemsFile,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail the check too.")] = False,
) -> None:
    """Check a file: every error and warning with its line, and status 1 if there are errors."""
    found = lems.check(file)
    console = Console(soft_wrap=True)
    for diagnostic in found:
        style = "red" if diagnostic.is_error else "yellow"
        console.print(str(diagnostic), style=style, markup=False, highlight=False)
    errors = sum(diagnostic.is_error for diagnostic in found)
    warned = len(found) - errors
    if errors or (strict and warned):
        console.print(f"{file}: {errors} errors, {warned} warnings", style="red")
        raise typer.Exit(1)
    console.print(f"{file}: no errors, {warned} warnings", style="green", highlight=False)


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="A built-in model or the path of a LEMS file.")],
    latex: Annotated[bool, typer.Option("--latex", help="Only the equations, as LaTeX.")] = False,
    source: Annotated[
        bool, typer.Option("--source", help="Only the equations, as Python source.")
    ] = False,
) -> None:
    """Show a model: its parameters, state variables and equations.

    Example: tvbjax lems show JansenRit --latex > equations.tex
    """
    compiled = lems.load(model)
    if latex:
        print(lems.equations_latex(compiled))
        return
    if source:
        print(lems.python_source(compiled))
        return
    console = Console()
    console.print(f"[bold]{compiled.name}[/bold]", compiled.description, sep="\n", highlight=False)
    console.print(_parameters(compiled), _states(compiled))
    console.print(lems.python_source(compiled), markup=False, highlight=False, soft_wrap=True)


def _parameters(model: lems.Model) -> Table:
    table = Table("parameter", "value", "unit", "domain", "description")
    for row in model.spec.parameters:
        domain = model.domains.get(row.name)
        table.add_row(
            row.name,
            f"{float(model.params[row.name]):g}",
            model.units.get(row.name, ""),
            "" if domain is None else f"{domain[0]:g} to {domain[1]:g}",
            row.description,
        )
    return table


def _states(model: lems.Model) -> Table:
    table = Table("state variable", "unit", "initial range", "bounds")
    for name, initial, bounds in zip(
        model.state_variables, model.initial_range, model.bounds, strict=True
    ):
        table.add_row(
            name,
            model.units.get(name, ""),
            f"{initial[0]:g} to {initial[1]:g}",
            f"{bounds[0]:g} to {bounds[1]:g}",
        )
    return table
