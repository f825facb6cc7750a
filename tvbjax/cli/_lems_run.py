"""`tvbjax lems run`: run what a LEMS file says, write and plot what it records."""

import importlib.util
import re
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import typer
from rich.console import Console

from tvbjax import lems
from tvbjax.cli._lems_check import Dimensions
from tvbjax.cli._lems_files import check_names, counted, write_data, write_figures, write_texts
from tvbjax.cli._lems_parts import Asked, Done, run_in_parts
from tvbjax.tuning import tune_cpu
from tvbjax_lems.runtime.paths import PathError
from tvbjax_lems.units import TIME, QuantityError, Unit, quantity

_METHODS = {
    "euler": lems.Euler,
    "heun": lems.Heun,
    "rk4": lems.RungeKutta4,
    "exponential-euler": lems.ExponentialEuler,
}
_TIMES = {
    unit.symbol: unit
    for unit in (
        Unit("s", TIME),
        Unit("ms", TIME, -3),
        Unit("us", TIME, -6),
        Unit("min", TIME, 0, 60.0),
    )
}
_WARNINGS_SHOWN = 3
_ROOT_TOLERANCE = 1e-8  # of implicit solvers, in working units
_SOURCES_SHOWN = 20


class Units(StrEnum):
    """The system of units to compute and to record in."""

    neural = "neural"
    si = "si"


class Image(StrEnum):
    """The kind of file that a figure is."""

    png = "png"
    svg = "svg"


@dataclass(frozen=True)
class Choices:
    """Where the results go, and which."""

    file: Path
    folder: Path
    attributes: dict[str, str | float]
    plot: bool
    image: Image


File = Annotated[Path, typer.Argument(help="A LEMS file with a Target.", metavar="FILE")]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", "--component", help="The component to run, in place of the file's Target."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The folder to write to; by default the file's name, here."),
]
MethodName = Annotated[
    str, typer.Option(help="euler, heun, rk4, exponential-euler, or diffrax:NAME: diffrax:Tsit5.")
]
Step = Annotated[str | None, typer.Option(help="The time step, with its unit: '0.01 ms'.")]
Duration = Annotated[str | None, typer.Option(help="How long to simulate: '300 ms'.")]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=2**63 - 1, help="The seed of random, in place of the file's."),
]
Record = Annotated[
    list[str] | None,
    typer.Option(
        help="A path to record besides the file's: pop[0]/v, pop[*]/v, pop[0]/spike; repeatable."
    ),
]
Every = Annotated[int, typer.Option(min=1, help="Record each so many steps.")]
Include = Annotated[
    list[Path] | None,
    typer.Option("--include", "-I", help="A folder in which to look for included files."),
]
System = Annotated[Units, typer.Option(help="neural is ms, mV, nA, uS, nF, mM; si is SI.")]
Level = Annotated[
    Dimensions, typer.Option(help="What a wrong dimension is: an error, a warning, or nothing.")
]
Plot = Annotated[bool, typer.Option("--plot/--no-plot", help="Whether to draw the figures.")]
Format = Annotated[Image, typer.Option("--image", help="The kind of the figures.")]


def run(
    file: File,
    target: Target = None,
    out: Out = None,
    method: MethodName = "euler",
    step: Step = None,
    duration: Duration = None,
    seed: Seed = None,
    record: Record = None,
    every: Every = 1,
    include: Include = None,
    units: System = Units.neural,
    dimensions: Level = Dimensions.warn,
    plot: Plot = True,
    image: Format = Image.png,
) -> None:
    """Run a LEMS file: write the files that it names, all that it records, and its plots.

    All goes below --out: the files named by the LEMS file in SI units, one NetCDF file with
    everything recorded and its units, a figure for each display and each file of events. Files of
    the same names are replaced. Ctrl-C stops cleanly: what was recorded is written. Computes in
    double precision.

    Several Targets are run one after the other, each into a folder of its own below --out.

    Example: tvbjax lems run LEMS_sim.xml --duration "300 ms" --record "pop[*]/v"
    """
    # Refused where JAX runs already, as in a program that calls this; then it is only slower.
    with suppress(RuntimeError):
        tune_cpu()
    jax.config.update("jax_enable_x64", True)
    console = Console(soft_wrap=True, highlight=False)
    integrator = method_of(method)
    system = lems.NEURAL if units is Units.neural else lems.SI
    dt, length = (
        None if text is None else _time(option, text, system)
        for option, text in (("--step", step), ("--duration", duration))
    )
    paths = tuple(record or ())
    level = lems.DimensionCheck[dimensions.name.upper()]
    networks = _loaded(partial(_load, file, target, include or (), level, system), file, paths)
    folder = out or Path(file.stem)
    _check_folder(folder)
    draw = plot and _can_draw(console)

    def job(network: lems.Network, own: Path) -> None:
        asked = Asked(
            network,
            integrator,
            _given(dt, network.step, "step"),
            _given(length, network.duration, "duration"),
            _key(network, seed),
            paths,
            every,
        )
        check_names(network, own)
        attributes = {"source": file.name, "method": method, "step": asked.step}
        _run(console, asked, Choices(file, own, attributes, draw, image))

    if len(networks) == 1:
        job(networks[0], folder)
        return
    names = _folder_names([network.target for network in networks])
    failed = False
    for network, name in zip(networks, names, strict=True):
        console.print(f"Target {network.target}", markup=False, style="bold")
        try:
            job(network, folder / name)
        except (ValueError, OSError, FloatingPointError) as error:
            failed = True
            Console(stderr=True, soft_wrap=True).print(str(error), markup=False, style="red")
    if failed:
        raise typer.Exit(1)


def _folder_names(targets: Sequence[str]) -> list[str]:
    """A folder's name for each Target: its id, without what leads elsewhere."""
    names: list[str] = []
    for target in targets:
        plain = re.sub(r"[^\w.-]", "_", target).lstrip(".")[:100] or "target"
        taken = [name for name in names if name.split("#")[0] == plain]
        names.append(f"{plain}#{len(taken) + 1}" if taken else plain)
    return names


def _load(
    file: Path,
    target: str | None,
    include: Sequence[Path],
    level: lems.DimensionCheck,
    system: lems.UnitSystem,
    pool: bool = True,
) -> Sequence[lems.Network]:
    """The network of the target, else one for each of the file's Targets."""
    options: dict[str, Any] = dict(include=include, dimensions=level, units=system, pool=pool)
    if target is None:
        return lems.load_networks(file, **options)
    return [lems.load_network(file, target, **options)]


def _run(console: Console, asked: Asked, choices: Choices) -> None:
    """Run one network and write what it recorded."""
    try:
        done = run_in_parts(asked)
    except lems.DivergenceError as error:
        _write(console, error.recording, asked, choices)
        raise
    if done.recording is None:
        console.print("interrupted before anything was recorded; nothing is written")
        raise typer.Exit(130)
    _tell_speed(console, done)
    _write(console, done.recording, asked, choices)
    if not done.complete:
        end = float(done.recording.t[-1])
        console.print(f"interrupted at t = {end:g} {asked.network.time_unit}")
        raise typer.Exit(130)


# What the options mean.


def method_of(text: str) -> lems.AbstractMethod:
    """`euler`, or `diffrax:Tsit5`. Raises ValueError."""
    head, colon, name = text.partition(":")
    if colon and head == "diffrax":
        return _diffrax(name)
    if text in _METHODS:
        return _METHODS[text]()
    raise ValueError(_unknown("--method", text, [*_METHODS, "diffrax:NAME"]))


def _diffrax(name: str) -> lems.AbstractMethod:
    try:
        import diffrax
    except ImportError:
        raise ImportError(
            "--method: diffrax is not installed; run: pip install 'tvbjax[diffrax]'."
        ) from None
    known: dict[str, Any] = {
        name: solver
        for name, solver in vars(diffrax).items()
        if isinstance(solver, type)
        and issubclass(solver, diffrax.AbstractSolver)
        and not name.startswith("Abstract")
        and vars(solver).get("term_structure") is diffrax.AbstractTerm  # others want noise
    }
    if name not in known:
        raise ValueError(_unknown("--method diffrax", name, sorted(known)))
    options: dict[str, Any] = {}
    if issubclass(known[name], diffrax.AbstractImplicitSolver):
        finder = diffrax.VeryChord(rtol=_ROOT_TOLERANCE, atol=_ROOT_TOLERANCE)
        options["root_finder"] = finder
    return lems.Diffrax(known[name](**options))


def _unknown(option: str, name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    return f"{option}: there is no '{name}'{hint} There are {', '.join(known)}."


def _time(option: str, text: str, system: lems.UnitSystem) -> float:
    """A positive time in working units."""
    try:
        value = quantity(text, TIME, _TIMES, system)
    except QuantityError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise ValueError(f"{option}: {error.message}{hint}.") from None
    if value <= 0.0:
        raise ValueError(f"{option}: '{text}' is not a positive time.")
    return value


def _given(option: float | None, file: float | None, name: str) -> float:
    value = file if option is None else option
    if value is None:
        raise ValueError(
            f"lems run: the target is no simulation, so the file does not say its {name}; "
            f"give --{name} 'NUMBER UNIT', or a simulation as --target."
        )
    return value


def _key(network: lems.Network, seed: int | None) -> jax.Array | None:
    """From the option, the file, or neither where nothing is random."""
    plan = network.plan
    seed = plan.seed if seed is None else seed
    if seed is not None:
        return jax.random.key(seed)
    if drawing := plan.random_units():
        raise ValueError(
            f"lems run: '{drawing[0].component}' draws random numbers and the file has no seed; "
            "give --seed N, or seed in the file's simulation."
        )
    return None


def _loaded(
    load: Callable[..., Sequence[lems.Network]], file: Path, paths: Sequence[str]
) -> Sequence[lems.Network]:
    """The networks; of their warnings some of the file's own, and how many there are else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        networks = load()
        if any(_in_pools(network, paths) for network in networks):
            networks = load(pool=False)
    found = dict.fromkeys(
        str(one.message) for one in caught if issubclass(one.category, lems.LemsWarning)
    )
    mine = [text for text in found if text.startswith(f"{file}:")]
    left, others = len(mine[_WARNINGS_SHOWN:]), len(found) - len(mine)
    said = mine[:_WARNINGS_SHOWN]
    more = [counted(left, "more warning")] if left else []
    more += [counted(others, "warning") + " in included files"] if others else []
    if more:
        said.append(f"{' and '.join(more)}; tvbjax lems check {file} lists them")
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for text in said:
        console.print(text, style="yellow", markup=False)
    return networks


def _in_pools(network: lems.Network, paths: Sequence[str]) -> bool:
    """Whether a path leads to one of several synapses that are kept as one."""
    for path in paths:
        with suppress(PathError):  # which the run reports
            if network.plan.units[network.plan.find(path, "").unit].pool is not None:
                return True
    return False


def _can_draw(console: Console) -> bool:
    """Whether figures can be drawn; said before the run where they cannot."""
    there = importlib.util.find_spec("matplotlib") is not None
    if not there:
        text = "no figures: matplotlib is not installed; run: pip install 'tvbjax[plot]'"
        console.print(text, style="yellow", markup=False)
    return there


def _check_folder(folder: Path) -> None:
    """What would fail at the end of the run fails now."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"--out: {there} is a file; name a folder.")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise PermissionError(f"--out: nothing can be written to {there}: {reason}.") from None


# What it says and writes.


def _tell_speed(console: Console, done: Done) -> None:
    total, steps = sum(done.seconds), sum(done.steps)
    if done.speed is None or done.compiling is None:
        console.print(f"{steps:,} steps in {total:.3g} s, with the compilation")
        return
    ran = total - done.compiling
    console.print(
        f"compiled in {done.compiling:.2f} s; {steps:,} steps in {ran:.3g} s, "
        f"{done.speed:,.0f} steps/s"
    )


def _write(console: Console, recording: lems.Recording, asked: Asked, choices: Choices) -> None:
    """Write everything, and say what is where."""
    folder = choices.folder
    folder.mkdir(parents=True, exist_ok=True)
    written = write_texts(recording, folder)
    name = f"{choices.file.stem}.nc"
    if any(output.file == name for output in recording.network.outputs):
        name = f"{choices.file.stem}.recording.nc"
    written.append(write_data(recording, folder, name, choices.attributes))
    if choices.plot:
        written += write_figures(recording, asked.record, folder, choices.image.value)
    _tell_events(console, recording)
    console.print(f"written to {folder}:", markup=False)
    _tell(console, written)


def _tell_events(console: Console, recording: lems.Recording) -> None:
    """How many events each source sent; of many the first, and the sum of the rest."""
    counts = {path: len(times) for path, times in recording.events.items()}
    if not counts:
        return
    rows = [(path, counted(count, "event")) for path, count in counts.items()]
    if len(rows) > _SOURCES_SHOWN:
        others = list(counts.values())[_SOURCES_SHOWN:]
        more = (f"{counted(len(others), 'more source')}", counted(sum(others), "event"))
        rows = [*rows[:_SOURCES_SHOWN], more]
    console.print("events:")
    _tell(console, rows)


def _tell(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Two columns, never cut, so that names can be copied."""
    width = max(len(name) for name, _ in rows)
    for name, what in rows:
        console.print(f"  {name:{width}}  {what}", markup=False)
