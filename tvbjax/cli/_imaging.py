"""`tvbjax imaging ...`: connectomes and regional series from scans."""

import typer

from tvbjax.cli._imaging_connectome import connectome
from tvbjax.cli._imaging_functional import functional

app = typer.Typer(help="From scans to connectomes and regional series.", no_args_is_help=True)

app.command("connectome")(connectome)
app.command("functional")(functional)
