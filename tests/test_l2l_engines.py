"""Evaluations by engines: results do not depend on workers, and every end is a status."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import jax.random as jr
import numpy as np
import pytest

from l2l_optimisees import ENDS, bowl, noisy_bowl, of_all_ends
from processes import await_ends, is_alive
from tvbjax import l2l
from tvbjax_inference.l2l.engines import _submitit

PLANE = l2l.Space(x=l2l.Real(-2.0, 2.0), y=l2l.Real(-2.0, 2.0))


def study(optimisee, *, engine=None, generations=3, size=10, **more):
    stop = l2l.MaxGenerations(generations)
    return l2l.Study(optimisee, l2l.SeparableNes(size), jr.key(3), stop, engine=engine, **more)


def same(one, other):
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.coordinates, other.coordinates)
    assert one.statuses.tolist() == other.statuses.tolist()


def spawned(workers=2):
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


@pytest.fixture(scope="module")
def inline():
    return study(l2l.Python(noisy_bowl, PLANE), engine=l2l.Inline()).run(progress=False)


@pytest.mark.parametrize(
    "engine",
    [
        l2l.Processes(1),
        l2l.Processes(3),
        l2l.Futures(spawned),
        l2l.Futures(lambda: ThreadPoolExecutor(2)),
    ],
)
def test_results_do_not_depend_on_where_they_come_from(engine, inline):
    same(study(l2l.Python(noisy_bowl, PLANE), engine=engine).run(progress=False), inline)


def test_every_end_is_a_status_and_the_study_goes_on():
    optimisee = l2l.Python(of_all_ends, PLANE, timeout=3.0)
    found = study(optimisee, engine=l2l.Processes(4), size=30, generations=1).run(progress=False)
    expected = [ENDS.get(seed % 10, "ok") for seed in _seeds(found)]
    assert found.statuses.tolist() == expected
    assert {"ok", "raised", "exited", "killed", "timeout", "nan", "invalid"} <= set(expected)
    words = {status: error for status, error in zip(found.statuses, found.errors, strict=True)}
    assert "ValueError: it broke" in str(words["raised"])
    assert "signal 9" in str(words["killed"])
    assert "3 s" in str(words["timeout"])
    assert "objectives=1" in str(words["invalid"])
    assert any("last words" in (error or "") for error in found.errors)
    assert np.isfinite(found.losses[found.statuses == "ok"]).all()
    assert found.table()["kind"].dropna().between(7, 9).all()


def _seeds(found):
    """The seeds of the first generation, as a worker sees them."""
    seen = study(
        l2l.Python(lambda values, seed: {"loss": 0.0, "more": {"seed": seed}}, PLANE),
        engine=l2l.Inline(),
        size=len(found.losses),
        generations=1,
    ).run(progress=False)
    return [more["seed"] for more in seen.more]


@pytest.mark.slow
def test_an_executor_that_breaks_is_replaced_and_only_the_reason_fails():
    """Of one worker's death `concurrent.futures` gives up everything that waits."""

    def deadly(values, seed):
        if seed % 7 == 0:
            os._exit(3)
        return bowl(values, seed)

    kwargs = {"size": 12, "generations": 1}
    found = study(l2l.Python(deadly, PLANE), engine=l2l.Futures(spawned), **kwargs).run(
        progress=False
    )
    ours = study(l2l.Python(deadly, PLANE), engine=l2l.Processes(2), **kwargs).run(progress=False)
    assert "killed" in found.statuses and "ok" in found.statuses
    # An executor cannot tell an exit from a signal.
    assert (found.statuses == "ok").tolist() == (ours.statuses == "ok").tolist()
    np.testing.assert_array_equal(found.losses, ours.losses)


def test_an_executor_that_is_given_and_breaks_is_an_error():
    def deadly(values, seed):
        os._exit(3)

    with spawned(1) as executor:
        with pytest.raises(RuntimeError, match="give a function that makes one"):
            study(l2l.Python(deadly, PLANE), engine=l2l.Futures(executor)).run(progress=False)


def test_an_executor_that_was_shut_down_is_an_error():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="takes no evaluation.*after shutdown.*that is open"):
        study(l2l.Python(bowl, PLANE), engine=l2l.Futures(executor)).run(progress=False)


def test_a_hanging_evaluation_is_ended_in_an_executor_too():
    def hanging(values, seed):
        if seed % 3 == 0:
            time.sleep(600)
        return bowl(values, seed)

    optimisee = l2l.Python(hanging, PLANE, timeout=2.0)
    kwargs = {"size": 6, "generations": 1}
    found = study(optimisee, engine=l2l.Futures(lambda: ThreadPoolExecutor(2)), **kwargs).run(
        progress=False
    )
    assert "timeout" in found.statuses and "ok" in found.statuses


def test_retries_are_counted(tmp_path):
    """A function that works at the third attempt of each candidate."""

    def shy(values, seed):
        mark = tmp_path / str(seed)
        tries = len(mark.read_text()) if mark.exists() else 0
        mark.write_text("x" * (tries + 1))
        if tries < 2:
            os._exit(1)
        return bowl(values, seed)

    kwargs = {"size": 4, "generations": 1, "engine": l2l.Processes(2)}
    found = study(l2l.Python(shy, PLANE, retries=2), **kwargs).run(progress=False)
    assert found.statuses.tolist() == ["ok"] * 4 and found.attempts.tolist() == [3] * 4


def test_a_process_lives_as_long_as_it_is_said():
    def pid(values, seed):
        return {"loss": 0.0, "more": {"pid": os.getpid()}}

    kwargs = {"size": 6, "generations": 1, "engine": l2l.Processes(1)}
    for lives, count in ((1, 6), (3, 2), (None, 1)):
        found = study(l2l.Python(pid, PLANE, lives=lives), **kwargs).run(progress=False)
        assert len({more["pid"] for more in found.more}) == count


def test_workers_that_cannot_load_the_function_are_one_error():
    class Unloadable:
        def __call__(self, values, seed):
            return 0.0

        def __reduce__(self):
            return (__import__, ("no_such_module",))

    with pytest.raises(RuntimeError, match="no_such_module"):
        study(l2l.Python(Unloadable(), PLANE), engine=l2l.Processes(1)).run(progress=False)


def test_what_cannot_be_sent_is_told():
    lock = threading.Lock()
    optimisee = l2l.Python(lambda values, seed: lock.locked(), PLANE)
    with pytest.raises(TypeError, match="inside of it"):
        study(optimisee).run(progress=False)


def test_no_process_is_left_when_the_driver_is_killed(tmp_path):
    """SIGKILL of the driver, while one worker hangs with the interpreter's lock held and another
    has started a command."""
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys, os, subprocess, ctypes, jax.random as jr\n"
        "from tvbjax import l2l\n"
        "def hang(values, seed):\n"
        f"    open(r'{tmp_path}/' + str(os.getpid()), 'w').close()\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        f"    open(r'{tmp_path}/' + str(child.pid), 'w').close()\n"
        "    ctypes.PyDLL(None).sleep(600)\n"
        "space = l2l.Space(x=l2l.Real(0.0, 1.0))\n"
        "l2l.Study(l2l.Python(hang, space), l2l.SeparableNes(4), jr.key(0),\n"
        "          l2l.MaxGenerations(1), engine=l2l.Processes(2)).run()\n"
    )
    driver = subprocess.Popen([sys.executable, str(script)])
    until = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 5:
        assert time.monotonic() < until and driver.poll() is None
        time.sleep(0.05)
    pids = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(pids) == 4 and all(map(is_alive, pids))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    await_ends(pids)


def test_a_time_limit_needs_a_process():
    optimisee = l2l.Python(bowl, PLANE, timeout=1.0)
    with pytest.raises(ValueError, match=r"engine=Processes\(\)"):
        study(optimisee, engine=l2l.Inline()).run(progress=False)


# What SLURM says of its queue: the second job runs, and has its result by the time it is told.
SQUEUE = """#!/bin/sh
cat queue 2>/dev/null && rm queue && mv ready 7_1_0_result.pkl
true
"""


def test_a_job_that_left_slurms_queue_without_a_result_was_killed(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    from submitit.slurm.slurm import SlurmJob

    (tmp_path / "squeue").write_text(SQUEUE)
    (tmp_path / "sacct").write_text("#!/bin/sh\nexit 1\n")
    for name in ("squeue", "sacct"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "queue").write_text("7_1\n8\n")
    (tmp_path / "ready").write_bytes(
        pickle.dumps(
            ("success", {"status": "ok", "result": {"loss": [2.0]}, "error": None, "seconds": 1.0})
        )
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_submitit, "_LOOK", 0.0)

    class Executor:
        def map_array(self, function, *columns):
            return [SlurmJob(tmp_path, f"7_{i}") for i in range(len(columns[0]))]

    one = study(l2l.Python(bowl, PLANE), engine=l2l.Submitit(Executor()), size=2, generations=1)
    found = one.run(progress=False)
    assert found.statuses.tolist() == ["killed", "ok"]
    assert found.losses[1, 0] == 2.0
    assert "job 7_0 ended without a result: it left SLURM's queue" in str(found.errors[0])
