# pyright: reportMissingImports=false
"""Runs one file in PyLEMS and writes what it recorded: a script for PyLEMS's own environment.

`python pylems_run.py FILE OUT.npz [--include FOLDER] [--steps N]`. Needs PyLEMS and NumPy, nothing
of tvbjax. PyLEMS's own way out is a text file and prints; this reads its recorders.

OUT.npz: `paths`; `values` (path, row), SI; `t` (row,), s, the time at the start of each step
(PyLEMS records a row after the step taken at that time); `switched`, the times at which a condition
of the model changed between true and false; `seconds` of the simulation alone.
"""

import argparse
import io
import sys
import time
from contextlib import redirect_stdout

import numpy as np
from lems.model.model import Model
from lems.sim.build import SimulationBuilder
from lems.sim.runnable import Runnable


class Watched(SimulationBuilder):
    """Has every condition note the times at which it is true. It changes nothing else."""

    def __init__(self, model):
        super().__init__(model)
        self.true_at: dict[tuple[int, int], list[float]] = {}
        self.conditions = 0

        def note(runnable, condition):
            times = self.true_at.setdefault((id(runnable), condition), [])
            times.append(runnable.time_completed)

        Runnable.conformance_note = note

    def build_on_condition(self, runnable, regime, on_condition):
        test, *actions = super().build_on_condition(runnable, regime, on_condition)
        self.conditions += 1
        return [test, f"    self.conformance_note({self.conditions})", *actions]

    def switched(self, step: float) -> np.ndarray:
        """Beginnings and ends of the spans in which a condition is true, but for t = 0."""
        changes = [0.0]
        for times in self.true_at.values():
            at = np.asarray(times)
            gap = np.diff(at) > 1.5 * step
            changes += [*at[np.r_[True, gap]], *(at[np.r_[gap, True]] + step)]
        return np.unique([change for change in changes if change > step / 2])


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("file")
    options.add_argument("out")
    options.add_argument("--include", action="append", default=[])
    options.add_argument("--steps", type=int)
    options.add_argument("--unwatched", action="store_true", help="as PyLEMS is, to be timed")
    given = options.parse_args()

    model = Model()
    for folder in given.include:
        model.add_include_directory(folder)
    with redirect_stdout(io.StringIO()):
        model.import_from_file(given.file)
        builder = (SimulationBuilder if given.unwatched else Watched)(model.resolve())
        simulation = builder.build()
    step = _shorten(simulation, given.steps)

    begun = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        simulation.run()
    seconds = time.perf_counter() - begun

    recordings = {}
    for runnable in _tree(simulation.runnables.values()):
        for recording in runnable.recorded_variables:
            recordings[recording.full_path] = np.asarray(recording.values)
    if not recordings:
        sys.exit("PyLEMS recorded nothing")
    rows = min(len(recorded) for recorded in recordings.values())
    np.savez_compressed(
        given.out,
        paths=list(recordings),
        values=[recorded[:rows, 1] for recorded in recordings.values()],
        t=next(iter(recordings.values()))[:rows, 0],
        switched=[] if given.unwatched else builder.switched(step),
        steps=rows,
        seconds=seconds,
    )


def _shorten(simulation, steps: int | None) -> float:
    """End the run after so many steps. Gives the step, s."""
    # Beside the simulated component there is the one that describes the simulation, without a step.
    timed = [runnable for runnable in simulation.runnables.values() if runnable.time_step > 0]
    for runnable in timed:
        if steps is not None and runnable.time_total > (steps - 0.5) * runnable.time_step:
            runnable.configure_time(runnable.time_step, (steps - 0.5) * runnable.time_step)
    return timed[0].time_step


def _tree(runnables):
    """Every runnable below, each once: children are reachable in several ways."""
    found, queue = {}, list(runnables)
    while queue:
        runnable = queue.pop()
        if id(runnable) not in found:
            found[id(runnable)] = runnable
            queue += [*runnable.uchildren.values(), *runnable.children.values(), *runnable.array]
    return found.values()


if __name__ == "__main__":
    main()
