"""Sweeps to disk: what is killed goes on and ends with the same bytes; trouble is told early."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

import tvbjax
from networks import network
from tvbjax import Free, Points, features, monitors, noise, sweep_store

GAIN = Free(lambda s: s.coupling.a)
KEY = jax.random.key(4)


@pytest.fixture
def simulator(tmp_path):
    return network(tmp_path, noise=noise.Additive(0.05), monitors=monitors.TemporalAverage(1.0))


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("tvbjax.sweeps.tile_for", lambda *_: 2)
    monkeypatch.setattr("tvbjax.sweeps.members_per_call", lambda *_: 2)


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder and what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def mean(result):
    return {"mean": result.samples["temporal_average"].values.mean(axis=0)}


def test_a_store_holds_what_memory_would(simulator, tmp_path, small_batches):
    gains = np.linspace(0.0, 0.5, 7)
    kept = tvbjax.sweep(simulator, Points({GAIN: gains}), 10.0, key=KEY, measure=mean)
    path = tmp_path / "kept.zarr"
    stored = tvbjax.sweep(simulator, Points({GAIN: gains}), 10.0, key=KEY, measure=mean, store=path)
    assert stored["mean"].dims == kept["mean"].dims and stored.attrs["duration"] == 10.0
    np.testing.assert_array_equal(stored["mean"], kept["mean"])
    np.testing.assert_array_equal(stored["a"], gains)
    assert stored["finished"].all() and not stored["diverged"].any()
    np.testing.assert_array_equal(tvbjax.open_sweep(path)["mean"], kept["mean"])


def test_samples_of_a_grid_have_every_members_parameters(simulator, tmp_path, small_batches):
    gamma = Free(lambda s: s.model.params["gamma"])
    space = {GAIN: [0.0, 0.1, 0.3], gamma: [0.5, 1.0]}
    kept = tvbjax.sweep(simulator, space, 5.0, key=KEY)
    stored = tvbjax.sweep(simulator, space, 5.0, key=KEY, store=tmp_path / "grid.zarr")
    assert stored["temporal_average"].dims == ("member", "time", "variable", "region")
    grid = stored.set_index(member=["a", "gamma"]).unstack("member")
    order = ("a", "gamma", "time", "variable", "region")
    np.testing.assert_array_equal(
        grid["temporal_average"].transpose(*order), kept["temporal_average"]
    )
    np.testing.assert_allclose(stored["time"], kept["time"])


def test_an_interrupted_sweep_goes_on_where_it_was(simulator, tmp_path, monkeypatch, small_batches):
    from tvbjax import sweeps

    real, ran = sweeps._run, []

    def some(call, plan, number):
        if number >= 2 and len(ran) < 3:
            raise KeyboardInterrupt
        ran.append(number)
        return real(call, plan, number)

    space = {GAIN: np.linspace(0.0, 0.5, 7)}
    whole = tvbjax.sweep(
        simulator, space, 10.0, key=KEY, measure=mean, store=tmp_path / "whole.zarr"
    )
    monkeypatch.setattr(sweeps, "_run", some)
    path = tmp_path / "cut.zarr"
    with pytest.warns(UserWarning, match="interrupted; what was finished is in"):
        cut = tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=path)
    assert cut["finished"].values.tolist() == [True] * 4 + [False] * 3
    assert np.isnan(cut["mean"][4:]).all()
    ran.extend([-1, -1])
    ended = tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=path)
    assert sorted(number for number in ran if number >= 2) == [2, 3], "no batch is run again"
    np.testing.assert_array_equal(ended["mean"], whole["mean"])
    assert contents(path) == contents(tmp_path / "whole.zarr")


SCRIPT = """
    import sys
    import jax, numpy as np
    jax.config.update("jax_enable_x64", True)
    sys.path.insert(0, {tests!r})
    import tvbjax
    from pathlib import Path
    from networks import network
    from tvbjax import Free, monitors, noise, sweeps
    sweeps.tile_for = sweeps.members_per_call = lambda *_: 2

    def mean(result):
        return dict(mean=result.samples["temporal_average"].values.mean(axis=0))

    simulator = network(
        Path(sys.argv[1]).parent, noise=noise.Additive(0.05), monitors=monitors.TemporalAverage(1.0)
    )
    print("begun", flush=True)
    tvbjax.sweep(
        simulator, {{Free(lambda s: s.coupling.a): np.linspace(0.0, 0.5, 60)}}, 100.0,
        key=jax.random.key(4), measure=mean, store=sys.argv[1], progress=False,
    )
    print("ended", flush=True)
"""


def started(tmp_path: Path, path: Path) -> subprocess.Popen:
    script = tmp_path / "sweep.py"
    script.write_text(textwrap.dedent(SCRIPT.format(tests=str(Path(__file__).parent))))
    return subprocess.Popen(
        [sys.executable, str(script), str(path)], stdout=subprocess.PIPE, text=True
    )


def killed_and_ended(tmp_path: Path, kills: int) -> None:
    """Kill a sweep when a random number of its marks are there, again and again, and let it end."""
    whole = tmp_path / "whole.zarr"
    assert "ended" in started(tmp_path, whole).communicate()[0]
    draw = np.random.default_rng(0)
    for number in range(kills):
        path = tmp_path / f"killed_{number}.zarr"
        run = started(tmp_path, path)
        while True:
            marks = len(list((path / "finished").glob("[0-9]*"))) if path.exists() else 0
            if marks >= draw.integers(0, 28) or run.poll() is not None:
                break
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.02))
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        assert "ended" in started(tmp_path, path).communicate()[0]
        assert contents(path) == contents(whole)
        shutil.rmtree(path)


def test_a_killed_sweep_goes_on_and_ends_with_the_same_bytes(tmp_path):
    killed_and_ended(tmp_path, kills=1)


@pytest.mark.slow
def test_a_sweep_survives_twenty_kills(tmp_path):
    killed_and_ended(tmp_path, kills=20)


@pytest.mark.slow
def test_a_store_goes_on_in_the_batches_it_was_begun_with(simulator, tmp_path, monkeypatch):
    """As on a machine with other cores, which would choose other batches."""
    from tvbjax import sweeps

    real, space = sweeps._run, {GAIN: np.linspace(0.0, 0.5, 21)}
    whole, path = tmp_path / "whole.zarr", tmp_path / "cut.zarr"
    monkeypatch.setattr(sweeps, "members_per_call", lambda *_: 8)
    tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=whole)

    def first(call, plan, number):
        if number:
            raise KeyboardInterrupt
        return real(call, plan, number)

    monkeypatch.setattr(sweeps, "_run", first)
    with pytest.warns(UserWarning, match="interrupted"):
        tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=path)
    monkeypatch.setattr(sweeps, "_run", real)
    monkeypatch.setattr(sweeps, "members_per_call", lambda *_: 12)
    tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=path)
    assert contents(path) == contents(whole)
    monkeypatch.setattr(sweeps, "members_per_call", lambda *_: 6)
    odd = tmp_path / "odd.zarr"
    tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=odd, tile=4)
    monkeypatch.setattr(sweeps, "members_per_call", lambda *_: 8)
    with pytest.raises(ValueError, match="begun in batches of 6 members, which 1 devices cannot"):
        tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=odd)


def test_another_measure_of_the_same_shapes_is_another_sweep(simulator, tmp_path):
    def run(segment):
        spectrum = features.PowerSpectrum(segment=segment)
        measure = features.Together(spectrum, lambda r: {"last": r.final.state})
        path = tmp_path / "one.zarr"
        return tvbjax.sweep(simulator, {GAIN: [0.1]}, 12.0, key=KEY, store=path, measure=measure)

    run(8)
    run(8)
    with pytest.raises(ValueError, match="measure differ"):
        run(9)


def test_a_function_that_computes_something_else_is_another_measure(simulator, tmp_path):
    arguments: dict[str, Any] = dict(duration=5.0, key=KEY, store=tmp_path / "one.zarr")

    def scaled(factor):
        return lambda r: {"m": factor * r.final.state.mean()}

    tvbjax.sweep(simulator, {GAIN: [0.1]}, measure=scaled(2.0), **arguments)
    tvbjax.sweep(simulator, {GAIN: [0.1]}, measure=scaled(2.0), **arguments)
    for other in (scaled(3.0), lambda r: {"m": r.final.state.max()}):
        with pytest.raises(ValueError, match="measure differ"):
            tvbjax.sweep(simulator, {GAIN: [0.1]}, measure=other, **arguments)
    again = eqx.tree_at(lambda s: s.layout, simulator, network(tmp_path, block=2).layout)
    with pytest.raises(ValueError, match="block differ"):
        tvbjax.sweep(again, {GAIN: [0.1]}, measure=scaled(2.0), **arguments)


def test_another_sweep_does_not_go_on_in_a_folder(simulator, tmp_path):
    path = tmp_path / "one.zarr"
    tvbjax.sweep(simulator, {GAIN: [0.1, 0.2]}, 5.0, key=KEY, store=path)
    for changes, what in (
        (dict(space={GAIN: [0.1, 0.3]}), "space"),
        (dict(duration=6.0), "duration"),
        (dict(key=jax.random.key(5)), "key"),
        (dict(initial=np.zeros((1, 5))), "initial"),
        (dict(measure=mean), "measure"),
    ):
        arguments = dict(space={GAIN: [0.1, 0.2]}, duration=5.0, key=KEY) | changes
        with pytest.raises(ValueError, match=f"was begun by another sweep .*{what}.* differ"):
            tvbjax.sweep(simulator, store=path, **arguments)  # type: ignore
    (tmp_path / "other.zarr").mkdir()
    with pytest.raises(ValueError, match="is no sweep of tvbjax"):
        tvbjax.sweep(simulator, {GAIN: [0.1]}, 5.0, key=KEY, store=tmp_path / "other.zarr")


def test_what_cannot_be_written_is_told_before_anything_is_run(simulator, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("the sweep was run")

    monkeypatch.setattr("tvbjax.sweeps._run", never)
    with pytest.raises(ValueError, match=r"the store is 'x.nc'; give a path that ends in .zarr"):
        tvbjax.sweep(simulator, {GAIN: [0.1]}, 5.0, key=KEY, store=tmp_path / "x.nc")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        tvbjax.sweep(simulator, {GAIN: [0.1]}, 5.0, key=KEY, store=tmp_path / "no" / "x.zarr")
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(PermissionError, match="cannot be written to"):
            tvbjax.sweep(simulator, {GAIN: [0.1]}, 5.0, key=KEY, store=tmp_path / "x.zarr")
    little = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    with pytest.raises(OSError, match=r"2 members give up to .* and 1 kB are free.*measure="):
        tvbjax.sweep(simulator, {GAIN: [0.1, 0.2]}, 50.0, key=KEY, store=tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()


def test_a_disk_that_fills_loses_nothing(simulator, tmp_path, monkeypatch, small_batches):
    path, space = tmp_path / "full.zarr", {GAIN: np.linspace(0.0, 0.5, 7)}
    real = sweep_store._array

    def full(group, name):
        array = real(group, name)

        class Full:
            def __getitem__(self, span):
                return array[span]

            def __setitem__(self, span, values):
                if span.start >= 4:
                    raise OSError(28, "No space left on device")
                array[span] = values

        return Full()

    monkeypatch.setattr(sweep_store, "_array", full)
    with pytest.raises(OSError, match=r"members 4 to 5 cannot be written .*All before is kept"):
        tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=path)
    monkeypatch.setattr(sweep_store, "_array", real)
    assert tvbjax.open_sweep(path)["finished"].values.tolist() == [True] * 4 + [False] * 3
    ended = tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean, store=path)
    kept = tvbjax.sweep(simulator, space, 10.0, key=KEY, measure=mean)
    np.testing.assert_array_equal(ended["mean"], kept["mean"])


def test_there_is_nothing_to_open(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no .*none.zarr"):
        tvbjax.open_sweep(tmp_path / "none.zarr")
