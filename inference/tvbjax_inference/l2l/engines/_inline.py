"""Evaluations one after another in this process: for functions that are quick and behave."""

import dataclasses
from contextlib import contextmanager

from tvbjax_inference.l2l.engines._engine import AGAIN, AbstractEngine, Report
from tvbjax_inference.l2l.engines._worker import call, loaded


@dataclasses.dataclass(frozen=True)
class Inline(AbstractEngine):
    """In this process, one after another. A function that ends the process ends the study, which
    then can be resumed; one that hangs, hangs: use `Processes` where that may be."""

    @contextmanager
    def opened(self, work):
        if work.timeout is not None:
            raise ValueError(
                f"Inline: {work.name} has timeout={work.timeout:g} s, and an evaluation in this "
                "process cannot be ended; use engine=Processes()."
            )
        function = loaded(work.payload)

        def evaluate(jobs):
            for job in jobs:
                attempt, found = 1, call(function, job.values, job.seed)
                while found["status"] in AGAIN and attempt <= work.retries:
                    attempt, found = attempt + 1, call(function, job.values, job.seed)
                yield Report(number=job.number, attempts=attempt, **found)

        yield evaluate
