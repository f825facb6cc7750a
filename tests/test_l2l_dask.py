"""Studies on dask's workers of this machine, of which some die."""

import os
import signal
import threading
import time

import jax.random as jr
import numpy as np
import pytest

from l2l_optimisees import ENDS, bowl
from tvbjax import l2l

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")

PLANE = l2l.Space(x=l2l.Real(-2.0, 2.0), y=l2l.Real(-2.0, 2.0))


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        with Client(cluster) as client:
            yield client


def slow(values, seed):
    """Long enough for its worker to be killed in the middle."""
    time.sleep(0.1)
    return (values["x"] - 0.5) ** 2 + seed / 2**32


def study(function, engine, *, size=12, generations=3, **more):
    optimisee = l2l.Python(function, PLANE, **more)
    stop = l2l.MaxGenerations(generations)
    return l2l.Study(optimisee, l2l.SeparableNes(size), jr.key(5), stop, engine=engine)


def test_workers_killed_in_mid_generation_change_nothing(client):
    inline = study(slow, l2l.Inline()).run(progress=False)
    pids = []

    def kill_two():
        for _ in range(2):
            time.sleep(1.0)
            found = [worker["pid"] for worker in _workers(client).values()]
            if found:
                pids.append(found[0])
                os.kill(found[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_two)
    killer.start()
    found = study(slow, l2l.Dask(client)).run(progress=False)
    killer.join()
    assert len(set(pids)) == 2
    np.testing.assert_array_equal(found.losses, inline.losses)
    assert (found.statuses == "ok").all()


def _workers(client):
    """With the pids of their processes."""
    pids = client.run(os.getpid)
    return {address: {"pid": pid} for address, pid in pids.items()}


def test_every_end_is_a_status(client):
    """A time limit puts evaluations into processes beside dask's workers, which so outlive them."""
    by_digit = dict(ENDS)

    def of_ends(values, seed):
        kind = by_digit.get(seed % 10)
        if kind == "raised":
            raise ValueError("it broke")
        if kind == "exited":
            os._exit(3)
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "timeout":
            time.sleep(600)
        return {"nan": float("nan"), "invalid": "text"}.get(str(kind), 1.0)

    def seeds(values, seed):
        return {"loss": 0.0, "more": {"seed": seed}}

    seen = study(seeds, l2l.Inline(), size=40, generations=1).run(progress=False)
    found = study(of_ends, l2l.Dask(client), size=40, generations=1, timeout=5.0).run(
        progress=False
    )
    expected = [ENDS.get(more["seed"] % 10, "ok") for more in seen.more]
    assert found.statuses.tolist() == expected
    assert set(expected) == {*ENDS.values(), "ok"}


@pytest.mark.slow
def test_what_takes_its_worker_with_it_ends_as_killed(client):
    def deadly(values, seed):
        if seed % 8 == 1:
            os._exit(1)
        return bowl(values, seed)

    found = study(deadly, l2l.Dask(client), size=8, generations=1).run(progress=False)
    here = study(deadly, l2l.Processes(2), size=8, generations=1).run(progress=False)
    assert set(found.statuses) == {"ok", "killed"}
    np.testing.assert_array_equal(found.losses, here.losses)


def test_what_is_no_client_is_told():
    with pytest.raises(TypeError, match="distributed.Client"):
        l2l.Dask("localhost:8786")
