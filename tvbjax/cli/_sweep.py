"""`tvbjax sweep`: a grid of simulations to a file."""

from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console

from tvbjax import lems
from tvbjax.cli import _options as options
from tvbjax.cli._simulate import check_target
from tvbjax.io.xarray_files import write_dataset
from tvbjax.sweeps import sweep as run


def sweep(
    model: options.ModelName,
    over: Annotated[
        list[str],
        typer.Option(
            "--over",
            help="An axis of the grid: a model parameter, coupling.NAME or speed, with values "
            "from:to:count or a,b,c. Repeat it for more axes.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Result: .nc or .zarr; by default sweep.nc.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            help="Instead of --out: a .zarr folder to which finished batches go at once. Whatever "
            "stops the sweep, the same command goes on where it was.",
        ),
    ] = None,
    connectome: options.ConnectomeName = "tvb76",
    normalise: options.Normalised = True,
    speed: options.Speed = 3.0,
    coupling: options.CouplingText = "Linear:a=0.01",
    integrator: options.IntegratorName = "Heun",
    dt: options.Step = 0.1,
    duration: options.Duration = 1000.0,
    noise: options.NoiseTexts = None,
    monitor: options.MonitorTexts = None,
    set_: options.Settings = None,
    seed: options.Seed = 0,
    float64: options.Double = False,
) -> None:
    """Simulate a network at every point of a grid of parameters.

    A member that diverges is marked in the result (`diverged`), and the rest goes on.

    Example: tvbjax sweep MontbrioPazoRoxin --over eta=-6:-4:16 --over coupling.a=0:0.05:16
    """
    if float64:
        jax.config.update("jax_enable_x64", True)
    if out is not None and store is not None:
        raise typer.BadParameter("give --out or --store, not both.")
    out = Path("sweep.nc") if out is None else out
    if store is None:
        check_target(out)
    slowest = options.slowest(over, speed)
    simulator = options.simulator_of(
        model, connectome, normalise, slowest, coupling, integrator, dt, noise, monitor, set_
    )
    compiled = simulator.model
    assert isinstance(compiled, lems.Model)
    space = dict(options.axis_of(text, compiled) for text in over)
    result = run(simulator, space, duration, key=jax.random.key(seed), store=store)
    if store is None:
        write_dataset(result, out)
    console = Console()
    shape = " x ".join(f"{result.sizes[name]} {name}" for name in result["diverged"].dims)
    console.print(f"{shape}: {result['diverged'].size} simulations", highlight=False)
    if result["diverged"].any():
        console.print(f"{int(result['diverged'].sum())} diverged (see `diverged`)", style="yellow")
    console.print(f"written to {store or out}", highlight=False)
    if not result["finished"].all():
        raise typer.Exit(130)
