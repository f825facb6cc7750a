"""How fast are compiled LEMS models, beside PyLEMS and jLEMS in the same run on the same machine?

`make bench-lems`. NeuroML's examples, at the step and with the recordings of the file, one thread
of simulation. Steps per second are of the simulation alone: without reading and compiling for
tvbjax (given apart), without building for PyLEMS, and for jLEMS from the difference of a long and a
short run by its own clock, so that neither Java's start nor its warming up counts. A simulator that
is not installed leaves its columns empty.
"""

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp

from conformance import corpora, jlems, lems_files, ours, pylems
from tvbjax import lems

REPEATS = 3


@dataclass(frozen=True)
class Case:
    """`cells`: those that the file has, or that its only population is enlarged to. Steps are those
    taken by each simulator; jLEMS takes so many, and a third of them."""

    title: str
    name: str
    cells: int
    steps: int
    pylems_steps: int
    jlems_steps: int
    enlarge: bool = False


CASES = (
    Case("Hodgkin-Huxley (Ex1)", "LEMS_NML2_Ex1_HH.xml", 1, 300_000, 6_000, 600_000),
    Case("Izhikevich, 3 cells (Ex2)", "LEMS_NML2_Ex2_Izh.xml", 3, 300_000, 10_000, 1_500_000),
    Case("adEx, 4 cells (Ex8)", "LEMS_NML2_Ex8_AdEx.xml", 4, 300_000, 6_000, 600_000),
    Case("1,000 Hodgkin-Huxley (Ex1)", "LEMS_NML2_Ex1_HH.xml", 1000, 3_000, 20, 900, True),
)


def main() -> None:
    print(f"{_processor()}, Python {platform.python_version()}, jax {jax.__version__}")
    print(f"beside PyLEMS 0.6.9 and jLEMS in {corpora.jar().stem}\n")
    print(
        f"{'':27s} {'dtype':8s} {'load s':>6s} {'compile s':>9s} {'steps/s':>10s} "
        f"{'cell-steps/s':>12s} {'PyLEMS':>8s} {'jLEMS':>8s} {'x PyLEMS':>8s} {'x jLEMS':>8s}"
    )
    for case in CASES:
        with TemporaryDirectory() as scratch:
            path = _prepared(case, Path(scratch))
            references = (_pylems_rate(case, path), _jlems_rate(case, path))
            for x64 in (False, True):
                jax.config.update("jax_enable_x64", x64)
                _report(case, path, references)


def _report(case: Case, path: Path, references: tuple[float | None, float | None]) -> None:
    begun = time.perf_counter()
    network = ours.load(path, lems.NEURAL)
    loaded = time.perf_counter() - begun
    duration = case.steps * lems_files.simulation(path).step * 1e3

    def run() -> None:
        # All that is recorded: a run returns before it is done.
        jax.block_until_ready(dict(lems.run(network, duration=duration).quantities))

    first, *others = (_seconds(run) for _ in range(1 + REPEATS))
    best = min(others)
    rate = case.steps / best
    columns = [f"{given:8.0f}" if given else f"{'-':>8s}" for given in references]
    columns += [f"{rate / given:8.0f}" if given else f"{'-':>8s}" for given in references]
    dtype = jnp.result_type(float).name
    print(
        f"{case.title:27s} {dtype:8s} {loaded:6.2f} {first - best:9.2f} {rate:10.0f} "
        f"{rate * case.cells:12.3g} {' '.join(columns)}",
        flush=True,
    )


def _seconds(run: Callable[[], None]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _prepared(case: Case, scratch: Path) -> Path:
    """A copy of the examples, with the population enlarged where the case says so."""
    shutil.copytree(corpora.neuroml(), scratch / "corpus")
    path = scratch / "corpus" / "LEMSexamples" / case.name
    (path.parent / "results").mkdir()
    if case.enlarge:
        text = path.read_text()
        enlarged = text.replace('size="1"', f'size="{case.cells}"')
        if enlarged == text:
            raise RuntimeError(f"{case.name} has no population of size 1 to enlarge")
        path.write_text(enlarged)
    return path


def _pylems_rate(case: Case, path: Path) -> float | None:
    try:
        steps, seconds = pylems.seconds_for(path, case.pylems_steps)
    except corpora.Absent as absent:
        print(f"({absent})")
        return None
    return steps / seconds


def _jlems_rate(case: Case, path: Path) -> float | None:
    step = lems_files.simulation(path).step
    taken = []
    try:
        for steps in (case.jlems_steps // 3, case.jlems_steps):
            changed = path.with_stem(f"{path.stem}_{steps}")
            shutil.copy(path, changed)
            lems_files.change(changed, length=steps * step)
            taken.append(jlems.seconds_for(changed))
    except corpora.Absent as absent:
        print(f"({absent})")
        return None
    (few, short), (many, long) = taken
    return (many - few) / (long - short)


def _processor() -> str:
    """The processor's name as Linux gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.machine()


if __name__ == "__main__":
    main()
