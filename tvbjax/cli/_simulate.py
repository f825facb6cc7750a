"""`tvbjax simulate`: one simulation to a file; it can be interrupted and resumed."""

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console

from tvbjax.cli import _options as options
from tvbjax.provenance import describe
from tvbjax.result import Result, join, load_result
from tvbjax.simulation import simulate as run


def simulate(
    model: options.ModelName,
    out: Annotated[Path, typer.Option("--out", "-o", help="Result: .nc or .zarr.")] = Path(
        "simulation.nc"
    ),
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from OUT until DURATION is reached.")
    ] = False,
) -> None:
    """Simulate a brain network and write the samples of its monitors.

    Ctrl-C stops cleanly: what was finished is written, and `--resume` goes on from there with the
    same numbers as a run that was never stopped.

    Example: tvbjax simulate MontbrioPazoRoxin --noise V=0.01 --monitor Bold:500 --duration 5000
    """
    if float64:
        jax.config.update("jax_enable_x64", True)
    console = Console()
    check_target(out)
    simulator = options.simulator_of(
        model, connectome, normalise, speed, coupling, integrator, dt, noise, monitor, set_
    )
    earlier = load_result(out) if resume else None
    left = duration - (earlier.last * dt if earlier else 0.0)
    key = jax.random.key(seed)
    if earlier:
        _check_same(earlier, describe(simulator, key), out)
    if earlier and left <= 0.5 * dt:
        console.print(f"{out} already holds {duration:g} ms; nothing to do.")
        return
    console.print(f"simulating {simulator.model.name} for {left:g} ms", highlight=False)
    result = run(simulator, left, initial=earlier, key=key)
    if result.last == result.first:
        console.print("interrupted before anything was finished; nothing is written")
        raise typer.Exit(130)
    result = join(earlier, result) if earlier else result
    result.save(out)
    _report(console, result, out, dt)
    if not result.complete:
        raise typer.Exit(130)


def _check_same(earlier: Result, wanted: str, out: Path) -> None:
    """A run goes on as it began: with the same model, parameters, noise and seed."""
    began, goes_on = json.loads(earlier.provenance.text), json.loads(wanted)
    for name in (n for n in began if n not in ("versions", "backend", "initial")):
        if began[name] != goes_on.get(name):
            raise ValueError(
                f"--resume: {out} was begun with another {name}: {_short(began[name])}, and now "
                f"it is {_short(goes_on.get(name))}; give the options it was begun with."
            )


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."


def check_target(out: Path) -> None:
    """What would fail at the end of the run fails now."""
    folder = out.resolve().parent
    if out.suffix not in (".nc", ".zarr"):
        raise ValueError(f"--out: {out} must end in .nc or .zarr.")
    if not folder.is_dir():
        raise FileNotFoundError(f"--out: there is no folder {folder}.")
    if not os.access(folder, os.W_OK) or not _can_create_in(folder):
        raise PermissionError(f"--out: nothing can be written to the folder {folder}.")
    if out.is_dir() and out.suffix == ".nc":
        raise IsADirectoryError(f"--out: {out} is a folder; name a file.")
    if out.is_file() and out.suffix == ".zarr":
        raise NotADirectoryError(f"--out: {out} is a file; name a folder.")


def _can_create_in(folder: Path) -> bool:
    """Whether a file can be made there; permissions alone do not tell."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _report(console: Console, result: Result, out: Path, dt: float) -> None:
    for name, samples in result.samples.items():
        shape = " x ".join(str(n) for n in samples.values.shape)
        console.print(f"{name}: {shape} (time x variable x region)", highlight=False)
    console.print(f"simulated to {result.last * dt:g} ms; written to {out}", highlight=False)
