"""Ensembles: a member's numbers are its own, whatever tile, call, device or process it is in."""

import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import network, ring_connectome
from tvbjax import Free, PerMember, Points, coupling, integrators, monitors, noise

GAIN = Free(lambda s: s.coupling.a)
SPEED = Free(lambda s: s.connectome.speed)
WEIGHTS = Free(lambda s: s.connectome.weights)
LENGTHS = Free(lambda s: s.connectome.tract_lengths)
KEY = jax.random.key(4)


@pytest.fixture
def simulator(tmp_path):
    return network(tmp_path, noise=noise.Additive(0.05), monitors=monitors.TemporalAverage(1.0))


def alone(simulator, number, changes, **arguments):
    for free, value in changes.items():
        simulator = free.replace(simulator, value)
    key = arguments.pop("key", None)
    key = jax.random.fold_in(KEY, number) if key is None else key
    run = tvbjax.simulate(simulator, 10.0, key=key, progress=False, **arguments)
    return run["temporal_average"].values


def swept(simulator, space, **arguments):
    given: dict[str, Any] = dict(key=KEY, progress=False) | arguments
    return tvbjax.sweep(simulator, Points(space), 10.0, **given)["temporal_average"].values


def test_members_may_have_weights_lengths_and_speeds_of_their_own(tmp_path):
    """Patients: each with a connectome, of which the simulator knows all connections."""
    draw = np.random.default_rng(0)
    brain = ring_connectome(speed=1.0)
    known = np.asarray(brain.weights) != 0
    weights = draw.uniform(0.0, 1.0, (6, 5, 5)) * known * (draw.random((6, 5, 5)) < 0.8)
    lengths = draw.uniform(0.0, 6.0, (6, 5, 5))
    speeds = draw.uniform(1.0, 20.0, 6)
    simulator = network(
        tmp_path,
        connectome=brain,
        noise=noise.Additive(0.05),
        monitors=monitors.TemporalAverage(1.0),
        horizon=61,
    )
    for space in (
        {WEIGHTS: weights},
        {WEIGHTS: weights, LENGTHS: lengths, SPEED: speeds},
    ):
        found = swept(simulator, space, tile=4)
        for number in (0, 5):
            changes = {free: values[number] for free, values in space.items()}
            np.testing.assert_allclose(found[number], alone(simulator, number, changes), rtol=1e-12)


def test_members_may_have_keys_and_states_of_their_own(simulator):
    keys = jax.random.split(jax.random.key(9), 3)
    shape = (simulator.horizon, 1, 5)
    states = [np.random.default_rng(i).uniform(0.0, 2.0, shape) for i in range(3)]
    gains = [0.1, 0.2, 0.3]
    found = swept(simulator, {GAIN: gains}, key=PerMember(keys), initial=PerMember(states))
    for i in range(3):
        expected = alone(simulator, i, {GAIN: gains[i]}, key=keys[i], initial=states[i])
        np.testing.assert_allclose(found[i], expected, rtol=1e-12)
    begun = [
        tvbjax.simulate(simulator, 5.0, key=keys[i], initial=states[i], progress=False)
        for i in range(3)
    ]
    on = swept(simulator, {GAIN: gains}, key=PerMember(keys), initial=PerMember(begun))
    expected = alone(simulator, 2, {GAIN: gains[2]}, key=keys[2], initial=begun[2])
    np.testing.assert_allclose(on[2], expected, rtol=1e-12)


def test_what_does_not_fit_the_members_is_an_error(simulator):
    gains = [0.1, 0.2, 0.3]
    with pytest.raises(ValueError, match=r"keys of shape \(2,\) for 3 members"):
        swept(simulator, {GAIN: gains}, key=PerMember(jax.random.split(KEY, 2)))
    with pytest.raises(ValueError, match="there are 1 initial states for 3 members"):
        swept(simulator, {GAIN: gains}, initial=PerMember([np.zeros((1, 5))]))
    full = np.ones((3, 5, 5))
    with pytest.raises(ValueError, match="member 0: .* the connection from .* was not there"):
        swept(simulator, {WEIGHTS: full})
    with pytest.raises(ValueError, match="member 1: .* exceeds the history"):
        swept(simulator, {SPEED: [2.0, 0.5]})
    one, other = (tvbjax.simulate(simulator, t, key=KEY, progress=False) for t in (5.0, 6.0))
    with pytest.raises(ValueError, match="end at different steps"):
        swept(simulator, {GAIN: gains}, initial=PerMember([one, other, one]))


def jansen_rit():
    return tvbjax.Simulator(
        tvbjax.lems.load("JansenRit"),
        ring_connectome(7),
        coupling.SigmoidalJansenRit(a=30.0),
        integrators.Heun(dt=0.1),
        noise.Additive({"y4": 1e-3}),
        monitors.SubSample(1.0),
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_tile_changes_no_bit(dtype):
    """Eleven members of a model with exponentials, side by side and in turn."""
    with jax.enable_x64(dtype == jnp.float64):
        simulator = jansen_rit()
        gain = Free(lambda s: s.coupling.a)

        def values(tile):
            found = tvbjax.sweep(
                simulator,
                {gain: np.linspace(0.0, 30.0, 11)},
                20.0,
                key=jax.random.key(1),
                tile=tile,
                progress=False,
            )
            assert found["subsample"].dtype == dtype
            return found["subsample"].values

        expected = values(4)
        assert np.ptp(expected[:, -1, 0, 0]) > 0
        for tile in (1, 8, 12) if dtype == jnp.float32 else (12,):
            np.testing.assert_array_equal(values(tile), expected)


@pytest.mark.slow
def test_long_members_run_in_chunks_with_the_same_bits(tmp_path, monkeypatch):
    """Monitors hold a chunk's means, not the run's; some chunks have no sample of a monitor."""
    watch = (
        monitors.TemporalAverage(1.0),
        monitors.Bold(20.0),
        monitors.FunctionalConnectivity(monitors.TemporalAverage(2.0), samples=12),
    )
    simulator = network(tmp_path, noise=noise.Additive(0.05), monitors=watch)

    def values():
        given: dict[str, Any] = dict(key=KEY, progress=False)
        found = tvbjax.sweep(simulator, {GAIN: [0.1, 0.2, 0.3]}, 70.0, **given)
        return [found[monitor.name].values for monitor in watch]

    whole = values()
    assert [len(one[0]) for one in whole] == [70, 3, 2]
    monkeypatch.setattr(tvbjax.simulation, "_NODE_STEPS_PER_CHUNK", 800)
    assert tvbjax.simulation.chunk_steps(simulator, 700) == 160  # four chunks and a rest
    jax.clear_caches()
    for one, other in zip(values(), whole, strict=True):
        np.testing.assert_array_equal(one, other)


COMMON = """
    import sys
    from pathlib import Path
    import jax, numpy as np
    jax.config.update("jax_enable_x64", True)
    {before}
    sys.path.insert(0, {tests!r})
    import tvbjax
    from networks import network
    from tvbjax import Free, monitors, noise, sweeps
    simulator = network(
        Path({folder!r}), noise=noise.Additive(0.05), monitors=monitors.TemporalAverage(1.0)
    )
    space = {{Free(lambda s: s.coupling.a): np.linspace(0.0, 0.5, 11)}}
    arguments = dict(key=jax.random.key(4), tile=4, progress=False)
"""


def python(folder: Path, name: str, before: str, after: str) -> subprocess.Popen:
    text = textwrap.dedent(
        COMMON.format(before=before, tests=str(Path(__file__).parent), folder=str(folder))
    )
    script = folder / f"{name}.py"
    script.write_text(text + textwrap.dedent(after))
    return subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_device_changes_no_bit(simulator, tmp_path):
    """Two devices, each with its share of every call."""
    run = python(
        tmp_path,
        "devices",
        'jax.config.update("jax_num_cpu_devices", 2)',
        f"""
        assert len(jax.devices()) == 2
        assert tvbjax.explain(simulator, members=11).devices == 2
        found = tvbjax.sweep(simulator, space, 10.0, **arguments)
        np.save({str(tmp_path / "two.npy")!r}, found["temporal_average"].values)
        """,
    )
    output, _ = run.communicate()
    assert run.returncode == 0, output
    here = tvbjax.sweep(
        simulator, {GAIN: np.linspace(0.0, 0.5, 11)}, 10.0, key=KEY, tile=4, progress=False
    )
    np.testing.assert_array_equal(np.load(tmp_path / "two.npy"), here["temporal_average"])


@pytest.mark.slow
def test_two_processes_share_a_sweep(simulator, tmp_path):
    """`jax.distributed` on loopback: one folder, each process its batches, one without does not."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    store = tmp_path / "shared.zarr"
    runs = [
        python(
            tmp_path,
            f"process_{number}",
            f"jax.distributed.initialize({address!r}, 2, {number})",
            f"""
            sweeps.members_per_call = lambda *_: 4
            try:
                tvbjax.sweep(simulator, space, 10.0, **arguments)
            except ValueError as error:
                assert "several processes; give store=" in str(error)
            else:
                raise AssertionError("a sweep of two processes needs a store")
            ran, real = [], sweeps._run
            def noted(call, plan, batch):
                ran.append(batch)
                return real(call, plan, batch)
            sweeps._run = noted
            tvbjax.sweep(simulator, space, 10.0, store={str(store)!r}, **arguments)
            assert sorted(ran) == list(range({number}, 3, 2)), ran
            """,
        )
        for number in range(2)
    ]
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output
    found = tvbjax.open_sweep(store)
    assert found["finished"].all()
    here = tvbjax.sweep(
        simulator, {GAIN: np.linspace(0.0, 0.5, 11)}, 10.0, key=KEY, tile=4, progress=False
    )
    np.testing.assert_array_equal(found["temporal_average"], here["temporal_average"])


def test_a_sweep_of_many_members_needs_no_more_memory_than_a_few(simulator):
    """What a call holds does not grow with the number of members."""
    few = tvbjax.explain(simulator, members=10**5, duration=10.0)
    many = tvbjax.explain(simulator, members=10**6, duration=10.0)
    assert many.working_bytes == few.working_bytes
    assert many.result_bytes == 10 * few.result_bytes == 10**6 * 10 * 5 * 8
    assert many.calls == -(-(10**6) // many.batch)


def test_an_explanation_says_what_was_chosen_and_why(tmp_path):
    simulator = network(tmp_path, noise=noise.Additive(0.1))
    told = tvbjax.explain(simulator)
    best = min(told.predicted, key=lambda both: told.predicted[both])
    assert told.chosen and (told.block, told.reach) == best
    assert told.far + told.long + told.short + told.alone == told.connections == 18
    assert told.generator == "Threefry" and told.delays[1] + 1 == told.horizon
    assert f"blocks of {told.block}" in str(told) and "predicted to be fastest" in str(told)
    asked = tvbjax.explain(network(tmp_path, block=2))
    assert (asked.block, asked.chosen) == (2, False) and "asked for with block=" in str(asked)
    instant = tvbjax.explain(network(tmp_path, delayed=False))
    assert "no delays" in str(instant)
    with pytest.raises(ValueError, match="members is 0"):
        tvbjax.explain(simulator, members=0)
    fast = eqx.tree_at(lambda s: s.connectome.speed, simulator, jnp.asarray(3.0))
    assert "18 connections" in str(tvbjax.explain(fast))
