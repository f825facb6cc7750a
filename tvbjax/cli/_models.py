"""`tvbjax models`: the built-in models, and one of them in full."""

import textwrap

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from tvbjax import lems
from tvbjax.cli._lems_show import show

app = typer.Typer(help="List the built-in models, or show one: its equations and parameters.")
_WIDE = 100  # characters of a terminal that has room for state variables and inputs
_SENTENCE = 100


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the built-in models: state variables, number of parameters, what they are.

    Example: tvbjax models show JansenRit
    """
    if context.invoked_subcommand is not None:
        return
    console = Console()
    wide = console.width >= _WIDE
    columns = [Column("model", no_wrap=True)]
    if wide:
        columns += [Column("state variables", max_width=24)]
    columns += [Column("params", justify="right"), Column("description")]
    table = Table(*columns)
    for name in lems.models():
        model = lems.load(name)
        states = [", ".join(model.state_variables)] if wide else []
        table.add_row(name, *states, str(len(model.params)), escape(_first(model.description)))
    console.print(table)
    console.print("tvbjax models show NAME: equations, parameters, ranges, bounds, source")


def _first(description: str) -> str:
    """The first sentence, cut where it is long."""
    sentence = description.split(". ")[0].rstrip(".")
    return textwrap.shorten(sentence, _SENTENCE, placeholder=" ...")


app.command("show")(show)
