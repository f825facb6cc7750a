"""Evaluations through any executor of PEP 3148: a thread or process pool, MPI's, dask's.

An executor that loses workers loses evaluations; those are done again, and one that takes its
worker with it each time ends as `killed`.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tvbjax_inference.l2l.engines import _worker
from tvbjax_inference.l2l.engines._engine import AGAIN, AbstractEngine, Job, Report, Work
from tvbjax_inference.l2l.engines._processes import Processes

# How often an evaluation may lose its worker together with others; then it runs alone, and is
# the reason if it loses it again. The second time it runs with few others.
_TOGETHER, _FEW = 2, 8


@dataclasses.dataclass(frozen=True, eq=False)
class Futures(AbstractEngine):
    """Any executor, or a function that makes one: `Futures(lambda: ProcessPoolExecutor(4))`.

    With a function, an executor that breaks is replaced, and it is shut down at the end; an
    executor that is given stays the caller's. An evaluation with a timeout runs in a process beside
    the executor's worker, which can be ended.
    """

    executor: concurrent.futures.Executor | Callable[[], concurrent.futures.Executor]

    def __post_init__(self):
        if not hasattr(self.executor, "submit") and not callable(self.executor):
            raise TypeError(
                f"Futures: {self.executor!r:.60} is no executor; give one that has submit, or a "
                "function that makes one."
            )

    @contextlib.contextmanager
    def opened(self, work):
        session = _Session(self.executor, work)
        try:
            yield session.evaluate
        finally:
            session.close()


@dataclasses.dataclass(eq=False)
class _Task:
    job: Job
    attempts: int = 0
    losses: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Dask(AbstractEngine):
    """The workers of dask: of this machine (`LocalCluster`), of SLURM and its like through
    dask-jobqueue. `client`: a `distributed.Client`, which stays the caller's.

    An evaluation whose worker dies is done again by another; one that costs several workers
    (dask's `allowed-failures`) ends as `killed`.
    """

    client: Any

    def __post_init__(self):
        if not hasattr(self.client, "get_executor"):
            raise TypeError(
                f"Dask: {self.client!r:.60} is no client; give distributed.Client(cluster), which "
                "the extra dask brings: pip install 'tvbjax[dask]'."
            )

    def opened(self, work):
        return Futures(self.client.get_executor(pure=False)).opened(work)


class _Session:
    def __init__(self, executor: Any, work: Work):
        self.make = None if hasattr(executor, "submit") else executor
        self.executor = executor if self.make is None else self.make()
        self.work = work
        self.payload = pickle.dumps(work.payload)
        self.running: dict[concurrent.futures.Future, _Task] = {}

    def close(self) -> None:
        """Give up what runs; shut down what we made."""
        for future in self.running:
            future.cancel()
        if self.make is not None:
            self.executor.shutdown(wait=True, cancel_futures=True)

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Report]:
        """Reports of jobs as they end."""
        waiting = [_Task(job) for job in jobs]
        while waiting or self.running:
            # What may have cost a worker runs with few others, then alone: so it is known which.
            alone = any(task.losses for task in waiting)
            if waiting and not (alone and self.running):
                batch = _next(waiting)
                waiting = [task for task in waiting if task not in batch]
                for task in batch:
                    self._submit(task)
            done, _ = concurrent.futures.wait(
                self.running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                task = self.running.pop(future)
                found = self._found(future, task)
                if found is None:
                    waiting.append(task)
                elif found["status"] in AGAIN and task.attempts <= self.work.retries:
                    waiting.append(task)
                else:
                    yield Report(number=task.job.number, attempts=task.attempts, **found)

    def _submit(self, task: _Task) -> None:
        arguments = (self.payload, task.job.values, task.job.seed, self.work.timeout)
        try:
            future = self.executor.submit(guarded, *arguments)
        except concurrent.futures.BrokenExecutor as error:
            self._replace(error)
            future = self.executor.submit(guarded, *arguments)
        except Exception as error:
            raise RuntimeError(
                f"Futures: the executor takes no evaluation ({type(error).__name__}: {error}); "
                "give one that is open. What a store has is kept."
            ) from error
        self.running[future] = task

    def _found(self, future: concurrent.futures.Future, task: _Task) -> dict[str, Any] | None:
        """What came of it; None where its worker was lost and it is to be done again."""
        try:
            found = future.result()
        except (Exception, concurrent.futures.CancelledError) as error:
            broken = isinstance(error, concurrent.futures.BrokenExecutor)
            if broken and self.make is None:
                self._replace(error)
            # The other is dask's word for an evaluation that was with workers that died.
            if broken or type(error).__name__ == "KilledWorker":
                task.losses += 1
                return _killed(task, error) if task.losses > _TOGETHER else None
            raise RuntimeError(
                f"Futures: the executor failed ({type(error).__name__}: {error}). What was "
                "finished is in the store: mend the executor, and resume."
            ) from error
        task.attempts += 1
        if found["status"] == "broken":
            raise RuntimeError(
                f"Futures: {self.work.name} cannot be loaded by the executor's worker:\n"
                f"{found['error']}"
            )
        return found

    def _replace(self, error: BaseException) -> None:
        if self.make is None:
            raise RuntimeError(
                f"Futures: the executor is broken ({error}); give a function that makes one, e.g. "
                "Futures(lambda: ProcessPoolExecutor(4)), and what was lost is done again. What "
                "was finished is in the store."
            ) from error
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self.make()


def _next(waiting: list[_Task]) -> list[_Task]:
    """What may run together."""
    least = min(task.losses for task in waiting)
    together = [task for task in waiting if task.losses == least]
    return together if least == 0 else together[: _FEW if least == 1 else 1]


def _killed(task: _Task, error: BaseException) -> dict[str, Any]:
    task.attempts += 1
    words = f"it cost its worker: {type(error).__name__}: {error}"
    return {"status": "killed", "result": None, "error": words[:2000], "seconds": 0.0}


def guarded(
    payload: bytes, values: dict, seed: Any, timeout: float | None, *, may_exit: bool = False
) -> dict[str, Any]:
    """One evaluation in an executor's worker, which it never harms by an exception; nor by
    `sys.exit`, unless it `may_exit`."""
    if timeout is not None:
        return _beside(payload, values, seed, timeout)
    try:
        function = _loaded(payload)
    except Exception as error:
        return {"status": "broken", "error": f"{type(error).__name__}: {error}"}
    return _worker.call(function, values, seed, may_exit=may_exit)


@functools.lru_cache(maxsize=4)
def _loaded(payload: bytes) -> Any:
    return _worker.loaded(pickle.loads(payload))


class _Beside(threading.local):
    """A thread's own process for evaluations with a time limit, kept for the next one."""

    key: str | None = None
    stack: contextlib.ExitStack | None = None
    evaluate: Any = None


_BESIDE = _Beside()


def _beside(payload: bytes, values: dict, seed: Any, timeout: float) -> dict[str, Any]:
    key = f"{hashlib.sha256(payload).hexdigest()} {timeout}"
    if _BESIDE.key != key:
        if _BESIDE.stack is not None:
            _BESIDE.stack.close()
        work = Work("the function", pickle.loads(payload), timeout)
        _BESIDE.stack = contextlib.ExitStack()
        _BESIDE.evaluate = _BESIDE.stack.enter_context(Processes(1).opened(work))
        _BESIDE.key = key
    try:
        report = next(_BESIDE.evaluate([Job(0, values, seed)]))
    except RuntimeError as error:
        return {"status": "broken", "error": str(error)}
    return {
        "status": report.status,
        "result": report.result,
        "error": report.error,
        "seconds": report.seconds,
    }
