"""Evaluations as jobs of SLURM through submitit: for those that take minutes to hours.

A job that is preempted is put into the queue again, and its evaluation begins anew.
"""

import contextlib
import dataclasses
import pickle
import subprocess
import time
from typing import Any

from tvbjax_inference.l2l.engines._engine import AGAIN, AbstractEngine, Report
from tvbjax_inference.l2l.engines._futures import guarded

_POLL = (0.1, 10.0)  # s, at first and at most
_LOOK = 30.0  # s between two looks at SLURM's queue


@dataclasses.dataclass(frozen=True, eq=False)
class Submitit(AbstractEngine):
    """`executor`: of submitit, with its parameters set (`timeout_min`, `slurm_partition`,
    `slurm_array_parallelism`). A generation is one array of jobs. A job that left the queue without
    a result, cancelled or killed, ends as `killed`, also where SLURM keeps no accounts."""

    executor: Any

    def __post_init__(self):
        if not hasattr(self.executor, "map_array"):
            raise TypeError(
                f"Submitit: {self.executor!r:.60} is no executor of submitit; give "
                "submitit.AutoExecutor(folder), which the extra slurm brings: "
                "pip install 'tvbjax[slurm]'."
            )

    @contextlib.contextmanager
    def opened(self, work):
        payload = pickle.dumps(work.payload)
        running: dict[Any, tuple[Any, int]] = {}

        def submit(tasks):
            jobs = [job for job, _ in tasks]
            columns = (
                [payload] * len(jobs),
                [job.values for job in jobs],
                [job.seed for job in jobs],
                [work.timeout] * len(jobs),
            )
            for started, task in zip(
                self.executor.map_array(Requeued(), *columns), tasks, strict=True
            ):
                running[started] = task

        def evaluate(jobs):
            if not jobs:
                return
            submit([(job, 1) for job in jobs])
            pause, queue = _POLL[0], _Queue()
            while running:
                lost = queue.left(running)
                ended = [started for started in running if started in lost or started.done()]
                pause = _POLL[0] if ended else min(1.5 * pause, _POLL[1])
                again = []
                for started in ended:
                    job, attempt = running.pop(started)
                    found = _lost(started) if started in lost else _found(started, work.name)
                    if found["status"] in AGAIN and attempt <= work.retries:
                        again.append((job, attempt + 1))
                    else:
                        yield Report(number=job.number, attempts=attempt, **found)
                if again:
                    submit(again)
                elif not ended:
                    time.sleep(pause)

        try:
            yield evaluate
        finally:
            for started in running:
                with contextlib.suppress(Exception):
                    started.cancel()


class Requeued:
    """An evaluation that begins anew when its job was preempted."""

    def __call__(self, *arguments: Any) -> dict[str, Any]:
        # submitit leaves a job that is put into the queue again by sys.exit.
        return guarded(*arguments, may_exit=True)

    def checkpoint(self, *arguments: Any) -> Any:
        """What submitit puts into the queue in place of a job that is interrupted."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


class _Queue:
    """SLURM's queue, looked at now and then: where SLURM keeps no accounts, submitit would wait for
    ever for a job that ended without a result."""

    def __init__(self):
        self.looked, self.absent = time.monotonic(), set()

    def left(self, running: Any) -> set[Any]:
        """Jobs of SLURM that were absent from the queue in two looks, and have no result."""
        if time.monotonic() - self.looked < _LOOK:
            return set()
        self.looked = time.monotonic()
        of_slurm = [one for one in running if type(one).__name__ == "SlurmJob"]
        there = _queued() if of_slurm else None
        if there is None:
            return set()
        before, self.absent = self.absent, {s for s in of_slurm if s.job_id not in there}
        return {one for one in self.absent & before if not one.done()}


def _queued() -> set[str] | None:
    """All jobs of ours in SLURM's queue; None where it does not answer now."""
    command = ["squeue", "--noheader", "--array", "--me", "--format=%i"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return set(listed.stdout.split())


def _lost(started: Any, why: str = "it left SLURM's queue") -> dict[str, Any]:
    words = f"its job {started.job_id} ended without a result: {why}"
    return {"status": "killed", "result": None, "error": words[:2000], "seconds": 0.0}


def _found(started: Any, name: str) -> dict[str, Any]:
    """What came of a job that has ended."""
    try:
        found = started.result()
    except Exception as error:  # submitit's own, of jobs that ended without a result
        return _lost(started, f"{type(error).__name__}: {error}")
    if found["status"] == "broken":
        raise RuntimeError(f"Submitit: {name} cannot be loaded in a job:\n{found['error']}")
    return found
