"""A pool of worker processes of our own: one evaluation each, with a time limit, killed if need be.

`concurrent.futures` gives up every pending evaluation when one worker dies, and cannot end one that
hangs; this does neither. Workers are new interpreters, never forks, in which JAX would lock up.
"""

import contextlib
import dataclasses
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.engines import _watchdog, _worker
from tvbjax_inference.l2l.engines._engine import AGAIN, AbstractEngine, Job, Report, Work

_START = 600.0  # s, in which a worker must have imported its function
_SAID = 2_000  # characters of what a worker printed that are kept with its end


@dataclasses.dataclass(frozen=True)
class Processes(AbstractEngine):
    """Worker processes on this machine. `workers`: how many, by default one for each core.
    `threads`: of each worker's numerical libraries. What a worker leaves among temporary files is
    removed when it ends."""

    workers: int | None = None
    threads: int = 1

    def __post_init__(self):
        if self.workers is not None:
            check_count("Processes: workers", self.workers)
        check_count("Processes: threads", self.threads)
        if os.name != "posix":
            raise OSError("Processes: needs Linux or macOS; use Inline() or an executor.")

    @contextlib.contextmanager
    def opened(self, work):
        pool = _Pool(work, self.workers or cores(), self.threads)
        try:
            yield pool.evaluate
        finally:
            pool.close()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclasses.dataclass
class _Task:
    job: Job
    attempts: int = 0


class _Worker:
    """A process, and what it does now. `deadline`: when it must have answered."""

    def __init__(self, work: Work, threads: int):
        self.log = tempfile.TemporaryFile()
        # Of all that it writes for a while, so that nothing of an evaluation that is killed stays.
        self.folder = tempfile.mkdtemp(prefix="tvbjax-l2l-")
        self.process = subprocess.Popen(
            [sys.executable, str(Path(_worker.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=_environment(threads) | {"TMPDIR": self.folder},
            start_new_session=True,  # a group to kill, and no Ctrl-C that was meant for the driver
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.heard, self.said = self.process.stdout, self.process.stdin
        os.set_blocking(self.heard.fileno(), False)
        self.buffer = bytearray()
        self.task: _Task | None = None
        self.ready = False
        self.served = 0
        self.begun = time.monotonic()
        self.deadline: float | None = self.begun + _START
        self._send((sys.path, work.payload))

    def start(self, task: _Task, timeout: float | None) -> None:
        self.log.seek(0)
        self.log.truncate()
        task.attempts += 1
        self.task, self.begun = task, time.monotonic()
        self.deadline = None if timeout is None else self.begun + timeout
        self._send((task.job.values, task.job.seed))

    def _send(self, value: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # its end is seen where its answers are read
            self.said.write(_worker.frame(value))
            self.said.flush()

    def answers(self) -> list[Any] | None:
        """What it says; None when it has ended."""
        try:
            data = os.read(self.heard.fileno(), 1 << 20)
        except BlockingIOError:
            return []
        if not data:
            return None
        self.buffer += data
        return _worker.unframed(self.buffer)

    def printed(self) -> str:
        size = self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, size - _SAID))
        return self.log.read().decode(errors="replace").strip()

    def end(self) -> int:
        """Kill it and all that it started; its exit status."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.said.close()
        self.heard.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return status


class _Pool:
    """Workers that are kept from one batch of jobs to the next."""

    def __init__(self, work: Work, most: int, threads: int):
        self.work, self.most, self.threads = work, most, threads
        self.workers: list[_Worker] = []
        self.selector = selectors.DefaultSelector()
        self.watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(_watchdog.__file__))],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def close(self) -> None:
        """End every worker."""
        for worker in list(self.workers):
            self._dismiss(worker)
        self.selector.close()
        if self.watchdog.stdin is not None:
            self.watchdog.stdin.close()
        self.watchdog.wait()

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Report]:
        """Reports of jobs as they end."""
        waiting = deque(_Task(job) for job in jobs)
        for worker in list(self.workers):
            if worker.task is not None:  # of a batch that was given up
                self._dismiss(worker)
        while waiting or any(worker.task for worker in self.workers):
            self._hand_out(waiting)
            for task, found in self._heard():
                again = found["status"] in AGAIN and task.attempts <= self.work.retries
                if again:
                    waiting.append(task)
                else:
                    yield Report(number=task.job.number, attempts=task.attempts, **found)

    def _hand_out(self, waiting: deque[_Task]) -> None:
        """Give every idle worker a job, and start workers for those that wait."""
        for worker in self.workers:
            if waiting and worker.ready and worker.task is None:
                worker.start(waiting.popleft(), self.work.timeout)
        starting = sum(not worker.ready for worker in self.workers)
        for _ in range(min(self.most - len(self.workers), len(waiting) - starting)):
            worker = _Worker(self.work, self.threads)
            self._tell_watchdog("+", worker)
            self.workers.append(worker)
            self.selector.register(worker.heard, selectors.EVENT_READ, worker)

    def _heard(self) -> list[tuple[_Task, dict[str, Any]]]:
        """What ended, after waiting for something to."""
        now = time.monotonic()
        ends = [worker.deadline for worker in self.workers if worker.deadline is not None]
        patience = max(0.0, min(ends) - now) if ends else None
        found = []
        for key, _ in self.selector.select(patience):
            found += self._answered(key.data)
        now = time.monotonic()
        for worker in list(self.workers):
            if worker.deadline is not None and now >= worker.deadline:
                found += self._overdue(worker)
        return found

    def _answered(self, worker: _Worker) -> list[tuple[_Task, dict[str, Any]]]:
        answers = worker.answers()
        if answers is None:
            return self._died(worker)
        found = []
        for kind, content in answers:
            if kind == "broken":
                raise RuntimeError(
                    f"Processes: {self.work.name} cannot be loaded in a worker:\n{content}"
                )
            worker.deadline = None
            if kind == "ready":
                worker.ready = True
                continue
            assert worker.task is not None
            found.append((worker.task, content))
            worker.task = None
            worker.served += 1
            if self.work.lives is not None and worker.served >= self.work.lives:
                self._dismiss(worker)
        return found

    def _died(self, worker: _Worker) -> list[tuple[_Task, dict[str, Any]]]:
        task, ready, seconds = worker.task, worker.ready, time.monotonic() - worker.begun
        status = worker.process.wait()
        said = worker.printed()
        self._dismiss(worker)
        how = f"signal {-status}" if status < 0 else f"status {status}"
        words = f"its process ended with {how}" + (f"; it printed last: {said}" if said else "")
        if task is None:
            if ready:  # between two evaluations: another takes its place
                return []
            raise RuntimeError(f"Processes: {self.work.name}: a worker does not start: {words}")
        kind = "killed" if status < 0 else "exited"
        return [(task, {"status": kind, "result": None, "error": words, "seconds": seconds})]

    def _overdue(self, worker: _Worker) -> list[tuple[_Task, dict[str, Any]]]:
        task, seconds = worker.task, time.monotonic() - worker.begun
        said = worker.printed()
        self._dismiss(worker)
        if task is None:
            raise RuntimeError(
                f"Processes: {self.work.name}: a worker has not started in {_START:g} s; {said}"
            )
        words = f"it took longer than {self.work.timeout:g} s and was ended" + (
            f"; it printed last: {said}" if said else ""
        )
        return [(task, {"status": "timeout", "result": None, "error": words, "seconds": seconds})]

    def _dismiss(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        self.selector.unregister(worker.heard)
        worker.end()
        self._tell_watchdog("-", worker)

    def _tell_watchdog(self, sign: str, worker: _Worker) -> None:
        if self.watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.watchdog.stdin.write(f"{sign}{worker.process.pid} {worker.folder}\n".encode())
                self.watchdog.stdin.flush()


def _environment(threads: int) -> dict[str, str]:
    """What a worker's libraries read: as many threads as it may use, and the driver's precision."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    settings = {name: str(threads) for name in names}
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        settings["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    settings["JAX_ENABLE_X64"] = str(int(jax.config.read("jax_enable_x64")))
    return os.environ | settings
