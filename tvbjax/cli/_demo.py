"""`tvbjax demo`: the whole path on real data, in about a minute."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path("demo"),
    duration: Annotated[float, typer.Option(help="Simulated time in ms.")] = 10_000.0,
    sweep_duration: Annotated[float, typer.Option(help="Time of each member in ms.")] = 2_000.0,
    points: Annotated[int, typer.Option(min=2, help="Points along each axis of the sweep.")] = 16,
) -> None:
    """Simulate 76 real regions from a LEMS model, sweep two parameters, draw one figure.

    Writes simulation.nc, functional_connectivity.nc, sweep.nc and overview.png, and prints where
    the time went.
    """
    from tvbjax import demo as work

    console = Console(highlight=False)
    made = work.run(
        out, duration=duration, sweep_duration=sweep_duration, points=points, say=console.print
    )
    table = Table("where time went", "seconds", title=None)
    for name, seconds in made.seconds.items():
        table.add_row(name, f"{seconds:.1f}")
    table.add_row("total", f"{sum(made.seconds.values()):.1f}", style="bold")
    console.print(table)
    for path in made.files:
        console.print(f"wrote {path}")
