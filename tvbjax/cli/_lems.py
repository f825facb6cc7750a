"""`tvbjax models` and `tvbjax lems ...`: what is in a LEMS file, whether it is right."""

import typer
from rich.console import Console
from rich.table import Column, Table

from tvbjax import lems
from tvbjax.cli._lems_check import check
from tvbjax.cli._lems_convert import convert
from tvbjax.cli._lems_run import run
from tvbjax.cli._lems_show import show

app = typer.Typer(
    help="Check a LEMS file, show what it says, run it, or convert it.",
    no_args_is_help=True,
)


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


app.command("check")(check)
app.command("show")(show)
app.command("convert")(convert)
app.command("run")(run)
