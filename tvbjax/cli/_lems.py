"""`tvbjax lems ...`: what is in a LEMS file, whether it is right, what comes of it."""

import typer

from tvbjax.cli._lems_check import check
from tvbjax.cli._lems_convert import convert
from tvbjax.cli._lems_run import run
from tvbjax.cli._lems_show import show

app = typer.Typer(
    help="Check a LEMS file, show what it says, run it, or convert it.",
    no_args_is_help=True,
)

app.command("check")(check)
app.command("show")(show)
app.command("convert")(convert)
app.command("run")(run)
