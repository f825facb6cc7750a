"""Studies on a real SLURM of one node, started for the tests: `make test-slurm`."""

import subprocess
import threading
import time

import jax.random as jr
import numpy as np
import pytest

from slurm_node import missing, slurm_node
from tvbjax import l2l
from tvbjax_inference.l2l.engines import _submitit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

PLANE = l2l.Space(x=l2l.Real(-2.0, 2.0), y=l2l.Real(-2.0, 2.0))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with slurm_node(tmp_path_factory.mktemp("slurm")):
        yield


def study(function, engine, *, size=6, generations=2, **more):
    optimisee = l2l.Python(function, PLANE, **more)
    stop = l2l.MaxGenerations(generations)
    return l2l.Study(optimisee, l2l.SeparableNes(size), jr.key(5), stop, engine=engine)


def _bowl():
    """Sent to jobs as it is, since they cannot import the tests."""

    def bowl(values, seed):
        import time

        time.sleep(0.3)
        return (values["x"] - 0.5) ** 2 + (values["y"] + 1.0) ** 2 + seed / 2**32

    return bowl


def _of_ends():
    def of_ends(values, seed):
        import os
        import signal
        import time

        kind = seed % 6
        if kind == 0:
            raise ValueError("it broke")
        if kind == 1:
            os._exit(3)
        if kind == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == 3:
            time.sleep(600)
        return float("nan") if kind == 4 else 1.0

    return of_ends


ENDS = ["raised", "exited", "killed", "timeout", "nan", "ok"]


def expected_ends(size):
    def seeds(values, seed):
        return {"loss": 0.0, "more": {"seed": seed}}

    seen = study(seeds, l2l.Inline(), size=size, generations=1).run(progress=False)
    return [ENDS[more["seed"] % 6] for more in seen.more]


@pytest.fixture
def dask_on_slurm(node, tmp_path):
    """Two jobs, each a worker."""
    jobqueue = pytest.importorskip("dask_jobqueue")
    from distributed import Client

    with jobqueue.SLURMCluster(
        cores=1,
        processes=1,
        memory="1GB",
        walltime="00:10:00",
        queue="main",
        local_directory=str(tmp_path),
        log_directory=str(tmp_path),
        job_directives_skip=["--mem"],
        scheduler_options={"dashboard_address": None, "host": "127.0.0.1"},
    ) as cluster:
        cluster.scale(jobs=2)
        with Client(cluster) as client:
            client.wait_for_workers(2, timeout=240)
            yield cluster, client


def test_dask_on_slurm_gives_the_same_though_a_job_is_cancelled(dask_on_slurm):
    cluster, client = dask_on_slurm
    inline = study(_bowl(), l2l.Inline(), size=16).run(progress=False)
    cancelled = []

    def cancel_one():
        time.sleep(1.0)
        listed = subprocess.run(["squeue", "-h", "-o", "%i"], capture_output=True, text=True)
        cancelled.append(listed.stdout.split()[0])
        subprocess.run(["scancel", cancelled[0]], check=True)

    canceller = threading.Thread(target=cancel_one)
    canceller.start()
    found = study(_bowl(), l2l.Dask(client), size=16).run(progress=False)
    canceller.join()
    assert len(cancelled) == 1
    np.testing.assert_array_equal(found.losses, inline.losses)
    ends = study(_of_ends(), l2l.Dask(client), size=16, generations=1, timeout=5.0)
    assert ends.run(progress=False).statuses.tolist() == expected_ends(16)


def executor(folder):
    import submitit

    made = submitit.AutoExecutor(folder=folder, cluster="slurm")
    made.update_parameters(timeout_min=5, slurm_partition="main", slurm_array_parallelism=4)
    return made


def test_submitit_gives_the_same(node, tmp_path):
    pytest.importorskip("submitit")
    inline = study(_bowl(), l2l.Inline(), size=4).run(progress=False)
    store = tmp_path / "kept"
    found = study(_bowl(), l2l.Submitit(executor(tmp_path)), size=4).run(store, progress=False)
    np.testing.assert_array_equal(found.losses, inline.losses)
    again = study(_bowl(), l2l.Inline(), size=4).resume(store, progress=False)
    np.testing.assert_array_equal(again.losses, inline.losses)


def test_every_end_of_a_job_is_a_status(node, tmp_path):
    pytest.importorskip("submitit")
    ends = study(_of_ends(), l2l.Submitit(executor(tmp_path)), size=12, generations=1, timeout=5.0)
    assert ends.run(progress=False).statuses.tolist() == expected_ends(12)


def test_a_job_that_is_preempted_begins_anew(node, tmp_path):
    """An evaluation that is interrupted in its first second, as by a queue with preemption."""
    pytest.importorskip("submitit")
    begun = tmp_path / "begun"
    begun.mkdir()

    def counted(values, seed):
        import os
        import time

        with open(begun / os.environ["SLURM_ARRAY_TASK_ID"], "a") as file:
            file.write("x")
        time.sleep(5.0)
        return 1.0

    seen = []

    class Watched:
        """The executor, of which the first job is interrupted once it runs."""

        def __init__(self, inner):
            self.inner = inner

        def map_array(self, *arguments):
            jobs = self.inner.map_array(*arguments)
            seen.extend(jobs)
            return jobs

    def interrupt():
        until = time.monotonic() + 120
        while not (begun / "0").exists() and time.monotonic() < until:
            time.sleep(0.1)
        seen[0]._interrupt()

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    one = study(counted, l2l.Submitit(Watched(executor(tmp_path))), size=2, generations=1)
    found = one.run(progress=False)
    interrupter.join()
    assert found.statuses.tolist() == ["ok", "ok"]
    assert [(begun / one).read_text() for one in ("0", "1")] == ["xx", "x"]


def test_a_job_that_is_cancelled_is_a_status(node, tmp_path, monkeypatch):
    """Without accounts SLURM tells of it by the queue alone."""
    pytest.importorskip("submitit")
    monkeypatch.setattr(_submitit, "_LOOK", 2.0)

    def slow(values, seed):
        import os
        import time

        time.sleep(600.0 if os.environ["SLURM_ARRAY_TASK_ID"] == "0" else 0.0)
        return 1.0

    class Cancelled:
        """The executor, of which the first job is cancelled."""

        def __init__(self, inner):
            self.inner = inner

        def map_array(self, *arguments):
            jobs = self.inner.map_array(*arguments)
            jobs[0].cancel()
            return jobs

    engine = l2l.Submitit(Cancelled(executor(tmp_path)))
    found = study(slow, engine, size=2, generations=1).run(progress=False)
    assert found.statuses.tolist() == ["killed", "ok"]
