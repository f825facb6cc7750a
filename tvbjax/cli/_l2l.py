"""`tvbjax l2l`: studies of a Python file run, gone on with, and looked at."""

import importlib.util
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import jax
import numpy as np
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

if TYPE_CHECKING:
    from tvbjax.l2l import Outcome, Study

app = typer.Typer(
    help="Learning to learn: run a study, go on with one, look at one.", no_args_is_help=True
)

Named = Annotated[
    str,
    typer.Argument(
        metavar="FILE.py[:NAME]",
        help="A Python file, and the name of the l2l.Study in it, by default `study`.",
    ),
]
Store = Annotated[Path, typer.Argument(metavar="STORE", help="The study's folder.")]
Double = Annotated[bool, typer.Option("--float64", help="Compute in double precision.")]
_STEP = 1.0  # s between two looks at a store
_BARS = "▁▂▃▄▅▆▇█"
_SHOWN = 60  # generations in the line of losses


@app.command()
def run(study: Named, store: Store, double: Double = False) -> None:
    """Run a study from the beginning, into a new folder.

    The file is run, as `python FILE.py` would run it, up to `if __name__ == "__main__"`. Whatever
    stops the study, `tvbjax l2l resume` goes on where it was.
    """
    if double:
        jax.config.update("jax_enable_x64", True)
    _tell(_study(study).run(store))


@app.command()
def resume(
    study: Named,
    store: Store,
    again: Annotated[
        bool, typer.Option("--again", help="Evaluate anew what failed in the last generation.")
    ] = False,
    double: Double = False,
) -> None:
    """Go on with a study that was stopped anywhere: only what is missing is evaluated."""
    if double:
        jax.config.update("jax_enable_x64", True)
    _tell(_study(study).resume(store, again=again))


@app.command()
def show(
    store: Store,
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking, until Ctrl-C.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write all evaluations to a file, too.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw losses and values to a file, too (.png, .pdf, .svg)."),
    ] = None,
) -> None:
    """What a study has found so far, also while it runs elsewhere."""
    from tvbjax.l2l import load_outcome, plots

    found = load_outcome(store)
    console = Console(soft_wrap=True)
    if csv is not None:
        found.table().to_csv(csv, index=False)
    if plot is not None:
        plots.overview(found).savefig(plot, dpi=150)
    if not watch:
        console.print(_view(found))
        return
    # Nothing is to be kept here: every Ctrl-C counts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Live(_view(found), console=console, refresh_per_second=4) as live:
            while True:
                time.sleep(_STEP)
                live.update(_view(load_outcome(store)))
    except KeyboardInterrupt:
        return


def _study(text: str) -> "Study":
    """The study of a file. Raises `ValueError` where there is none."""
    from tvbjax.l2l import Study

    place, _, name = text.partition(":")
    path = Path(place)
    if path.suffix != ".py":
        raise ValueError(f"l2l: '{place}' is no Python file; give FILE.py or FILE.py:NAME.")
    if not path.is_file():
        raise FileNotFoundError(f"l2l: there is no {path}.")
    # Workers import what the file imports; what it defines is sent to them as it is.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"l2l: {path} cannot be run as Python.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name or "study", None)
    if not isinstance(found, Study):
        known = [n for n, value in vars(module).items() if isinstance(value, Study)]
        hint = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"l2l: {path} has no l2l.Study called '{name or 'study'}'; {hint}.")
    return found


def _tell(found: "Outcome") -> None:
    console = Console(soft_wrap=True)
    console.print(_view(found))
    console.print(f"ended: {found.stopped}", highlight=False, markup=False)
    if found.stopped == "interrupted":
        raise typer.Exit(130)


def _view(found: "Outcome") -> Group:
    """How many evaluations, how many failed, the way of the losses, and the best values."""
    table = Table(show_header=False, box=None)
    last = int(found.generations.max(initial=-1)) + 1
    table.add_row("generations", str(last))
    failed = ", ".join(f"{count} {name}" for name, count in found.failures.items())
    table.add_row("evaluations", f"{len(found.losses)}" + (f" ({failed})" if failed else ""))
    if len(found.seconds):
        table.add_row("seconds each", f"{np.median(found.seconds):.3g} (median)")
    if not np.isfinite(found.loss):
        table.add_row("least loss", "none yet")
        return Group(table)
    table.add_row("least loss", f"{found.loss:.6g}")
    if found.losses.shape[1] == 1:
        table.add_row("by generation", _line(found))
    for name, value in found.values.items():
        shown = f"{value:.6g}" if isinstance(value, float) else f"{value}"
        table.add_row(name, shown if len(shown) < 80 else f"{np.shape(value)} values")
    return Group(table)


def _line(found: "Outcome") -> str:
    """The least loss of each generation as bars, the lowest the best."""
    losses = np.where(np.isfinite(found.losses[:, 0]), found.losses[:, 0], np.inf)
    last = found.generations.max() + 1
    least = np.array([losses[found.generations == g].min(initial=np.inf) for g in range(last)])
    shown = least[np.linspace(0, last - 1, min(last, _SHOWN)).astype(int)]
    fine = shown[np.isfinite(shown)]
    low, high = fine.min(), fine.max()
    share = (np.clip(shown, low, high) - low) / ((high - low) or 1.0)
    return "".join(_BARS[int(round(7 * part))] for part in share)
