"""The commands together, and errors as one clear message without a traceback."""

import math
import os
import signal
import sys
import time
import warnings

import typer
from rich.console import Console

from tvbjax.cli import _demo, _epilepsy, _imaging, _l2l, _lems, _models, _simulate, _sweep
from tvbjax_lems import LemsError

app = typer.Typer(
    name="tvbjax",
    help="Whole-brain models from LEMS: simulate, sweep, inspect.\n\n"
    "Every command writes its result whole or not at all, and exits with a status other than 0 "
    "where something is wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(_demo.demo)
app.command("simulate")(_simulate.simulate)
app.command("sweep")(_sweep.sweep)
app.add_typer(_models.app, name="models")
app.add_typer(_lems.app, name="lems")
app.add_typer(_epilepsy.app, name="epilepsy")
app.add_typer(_l2l.app, name="l2l")
app.add_typer(_imaging.app, name="imaging")

_EXPECTED = (
    ValueError,
    TypeError,
    OSError,
    ImportError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    MemoryError,
)
_DEAF = 10.0  # s after a Ctrl-C in which another is not heard


def main() -> None:
    """Run the command line; what a user can cause is told in one message."""
    console = Console(stderr=True, soft_wrap=True)
    held = signal.signal(signal.SIGINT, _Stop())
    try:
        _run(console)
    finally:
        signal.signal(signal.SIGINT, held)


class _Stop:
    """Ctrl-C ends a run and keeps what was finished; a second one must not cost that. After a while
    it counts again: an interrupt that falls into a finaliser is lost, and so would be the program's
    ear."""

    def __init__(self):
        self.heard = -math.inf

    def __call__(self, signum, frame) -> None:
        now = time.monotonic()
        if now - self.heard < _DEAF:
            return
        self.heard = now
        os.write(2, b"\nstopping; what is finished is kept ...\n")
        raise KeyboardInterrupt


def _run(console: Console) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_: console.print(
            f"warning: {message}", style="yellow", markup=False, highlight=False
        )
        try:
            app()
        except LemsError as error:
            _fail(console, str(error))
        except KeyboardInterrupt:
            console.print("interrupted", style="yellow")
            sys.exit(130)
        except _EXPECTED as error:
            _fail(console, _message(error))


def _message(error: BaseException) -> str:
    """The message alone: of a KeyError without its quotes, of an error raised inside a compiled
    function without the stack that JAX puts around it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    _, marker, inner = text.rpartition("EquinoxRuntimeError: ")
    return (inner if marker else text).split("\n\n")[0].strip() or type(error).__name__


def _fail(console: Console, message: str) -> None:
    console.print(f"error: {message}", style="red", markup=False, highlight=False)
    sys.exit(1)
