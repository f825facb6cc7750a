"""`tvbjax models` and `tvbjax lems ...`: what is in a LEMS file, whether it is right."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from tvbjax import lems
from tvbjax.cli._lems_convert import convert
from tvbjax.cli._lems_show import show

app = typer.Typer(
    help="Check a LEMS file, show what it says, or convert it.",
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


app.command("show")(show)
app.command("convert")(convert)
