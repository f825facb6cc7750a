"""What compiles, and how often: counted by JAX's own events."""

import contextlib
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import linear_model, network, ring_connectome
from tvbjax import Free, coupling, integrators, monitors, simulation

_compilations: list[str] = []


def _listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compilations.append(event)


@pytest.fixture(scope="module", autouse=True)
def listener():
    jax.monitoring.register_event_duration_secs_listener(_listen)


@contextlib.contextmanager
def compiled_at_most(count: int):
    before = len(_compilations)
    yield
    assert len(_compilations) - before <= count


def test_equal_simulators_and_other_values_compile_once(tmp_path):
    simulator = network(tmp_path, coupling=coupling.Linear(a=0.3))
    weak = eqx.tree_at(lambda s: s.coupling.a, simulator, jnp.asarray(0.4))
    tvbjax.simulate(weak, 10.0)
    with compiled_at_most(0):
        tvbjax.simulate(network(tmp_path, coupling=coupling.Linear(a=0.3)), 10.0)
        for value in (0.1, jnp.asarray(0.2), np.float64(0.3)):  # weakly typed, or no array at all
            changed = eqx.tree_at(lambda s: s.coupling.a, simulator, value)
            tvbjax.simulate(changed, 10.0)


def test_chunks_out_of_phase_compile_once_or_twice(tmp_path, monkeypatch):
    observers = (monitors.TemporalAverage(7.7), monitors.Bold(14.5), monitors.SubSample(2.9))
    simulator = network(tmp_path, monitors=observers)
    whole = tvbjax.simulate(simulator, 300.0)
    monkeypatch.setattr(simulation, "_NODE_STEPS_PER_CHUNK", 1000)
    with compiled_at_most(20):  # two of `advance`, and small helpers
        chunked = tvbjax.simulate(simulator, 300.0)
    for name in whole.samples:
        np.testing.assert_allclose(chunked[name], whole[name], rtol=1e-12)
        np.testing.assert_allclose(chunked[name]["time"], whole[name]["time"])


def test_a_sweep_with_new_lambdas_compiles_once(tmp_path):
    simulator = network(tmp_path, monitors=monitors.TemporalAverage(1.0))

    def sweep(values):
        return tvbjax.sweep(simulator, {Free(lambda s: s.coupling.a): values}, 5.0)

    sweep([0.1, 0.2])
    with compiled_at_most(0):
        sweep([0.3, 0.4])


def test_a_function_of_results_compiles_once(tmp_path):
    simulator = network(tmp_path)
    total = jax.jit(lambda result: result.samples["raw"].values.sum())
    first = total(tvbjax.simulate(simulator, 10.0, initial=np.ones((1, 5))))
    with compiled_at_most(0):
        other = tvbjax.simulate(simulator, 10.0, initial=np.ones((1, 5)) * 0.3)
        assert float(total(other)) != float(first)


def test_replace_checks_anew(tmp_path):
    simulator = network(tmp_path)
    changed = dataclasses.replace(simulator, monitors=monitors.SubSample(1.0))
    assert changed.observed == (("x",),)
    with pytest.raises(ValueError, match="no multiple of dt"):
        dataclasses.replace(simulator, monitors=monitors.SubSample(0.25))
    built = tvbjax.Simulator(
        linear_model(tmp_path), ring_connectome(), coupling.Linear(), integrators.Heun(dt=0.1)
    )
    assert dataclasses.replace(built, coupling=coupling.Scaling()).horizon == built.horizon
