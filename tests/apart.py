"""Calls in a process of their own: simulators hold global state, and warn as they like."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle

from tvbjax import l2l
from tvbjax_inference.l2l.engines._engine import Job


def _called(values, seed):
    function, arguments = cloudpickle.loads(values["call"])
    return {"loss": 0.0, "more": {"returned": function(*arguments)}}


@contextlib.contextmanager
def apart() -> Iterator[Callable[..., Any]]:
    """Calls a function with arguments; gives numbers, texts, and lists of them."""
    work = l2l.Python(_called, l2l.Space(x=l2l.Real(0.0, 1.0))).work()
    with l2l.Processes(1).opened(work) as evaluate:

        def call(function, *arguments):
            job = Job(0, {"call": cloudpickle.dumps((function, arguments))}, 0)
            (report,) = evaluate([job])
            assert report.status == "ok", report.error
            assert report.result is not None
            return report.result["more"]["returned"]

        yield call
